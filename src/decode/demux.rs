//! Demuxer: packets of a file by libavformat. All `unsafe` about it is in here.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;

use super::av::{Decoder, END, Packet, Setup};
use super::error::Fault;
use crate::ffi::sys as ffi;

/// A file open for reading.
#[derive(Debug)]
pub(super) struct Demuxer(NonNull<ffi::AVFormatContext>);

// SAFETY: a format context may be used from any thread, one at a time, which `&mut self` ensures.
unsafe impl Send for Demuxer {}

/// Which kind of stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Pictures,
    Audio,
}

/// The clock of a stream: units of `num / den` seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Units {
    num: i64,
    den: i64,
}

impl Units {
    /// Microseconds of that many units.
    pub(super) fn micros(self, time: i64) -> i64 {
        let micros = i128::from(time) * i128::from(self.num) * 1_000_000 / i128::from(self.den);
        i64::try_from(micros).unwrap_or(0)
    }
}

impl Demuxer {
    /// Opens a local file; what it says about other places is not followed.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let mut url = b"file:".to_vec();
        url.extend_from_slice(path.as_os_str().as_bytes());
        let url = CString::new(url).map_err(|_| Fault(-libc::ENOENT))?;
        let mut options = std::ptr::null_mut();
        let mut context = std::ptr::null_mut();
        // SAFETY: the strings are zero-terminated and live through the calls; on failure the
        // library frees the context itself and leaves the pointer null.
        let opened = unsafe {
            ffi::av_dict_set(&raw mut options, c"protocol_whitelist".as_ptr(), c"file".as_ptr(), 0);
            let (url, any) = (url.as_ptr(), std::ptr::null());
            let opened = ffi::avformat_open_input(&raw mut context, url, any, &raw mut options);
            ffi::av_dict_free(&raw mut options);
            opened
        };
        Fault::check(opened)?;
        let demuxer = NonNull::new(context).map(Self).ok_or(Fault::INVALID)?;
        // SAFETY: an open context; no options per stream.
        Fault::check(unsafe { ffi::avformat_find_stream_info(context, std::ptr::null_mut()) })?;
        Ok(demuxer)
    }

    /// The stream of a kind that players would choose; cover art is none.
    pub(super) fn best(&self, which: Which) -> Option<usize> {
        let kind = match which {
            Which::Pictures => ffi::AVMEDIA_TYPE_VIDEO,
            Which::Audio => ffi::AVMEDIA_TYPE_AUDIO,
        };
        let none = std::ptr::null_mut();
        // SAFETY: an open context; no decoder is asked for.
        let index = unsafe { ffi::av_find_best_stream(self.0.as_ptr(), kind, -1, -1, none, 0) };
        let index = usize::try_from(index).ok()?;
        // SAFETY: the pointer is valid, see `stream`.
        let disposition = unsafe { (*self.stream(index)?).disposition };
        (disposition & ffi::AV_DISPOSITION_ATTACHED_PIC.cast_signed() == 0).then_some(index)
    }

    /// Opens the decoder of a stream.
    pub(super) fn decoder(&self, index: usize, setup: Setup) -> Result<Decoder, Fault> {
        let stream = self.stream(index).ok_or(Fault::INVALID)?;
        // SAFETY: a stream of this open context.
        unsafe { Decoder::of_stream(stream, setup) }
    }

    /// The clock of a stream's times.
    pub(super) fn units(&self, index: usize) -> Units {
        // SAFETY: the pointer is valid, see `stream`.
        let base = self.stream(index).map(|stream| unsafe { (*stream).time_base });
        match base {
            Some(base) if base.num > 0 && base.den > 0 => {
                Units { num: i64::from(base.num), den: i64::from(base.den) }
            }
            Some(_) | None => Units { num: 1, den: 1_000_000 },
        }
    }

    /// How long a picture of a stream is shown on average, microseconds, if the file says so.
    pub(super) fn picture_micros(&self, index: usize) -> Option<i64> {
        // SAFETY: the pointer is valid, see `stream`.
        let rate = self.stream(index).map(|stream| unsafe { (*stream).avg_frame_rate })?;
        (rate.num > 0 && rate.den > 0)
            .then(|| i64::from(rate.den) * 1_000_000 / i64::from(rate.num))
    }

    /// Samples of luma a second of a stream of pictures, if the file says so.
    pub(super) fn samples_per_second(&self, index: usize) -> Option<i64> {
        // SAFETY: a valid pointer, see `stream`; a stream always has parameters.
        let (width, height) = self.stream(index).map(|stream| unsafe {
            let parameters = &*(*stream).codecpar;
            (i64::from(parameters.width), i64::from(parameters.height))
        })?;
        let micros = self.picture_micros(index).filter(|micros| *micros > 0)?;
        (width > 0 && height > 0).then(|| width * height * 1_000_000 / micros)
    }

    /// The time at which the file begins, microseconds.
    pub(super) fn start(&self) -> i64 {
        // SAFETY: an open context.
        let start = unsafe { self.0.as_ref() }.start_time;
        if start == i64::MIN { 0 } else { start }
    }

    /// The next packet, or `None` at the end of the file.
    pub(super) fn read(&mut self) -> Result<Option<Packet>, Fault> {
        let mut packet = Packet::new()?;
        // SAFETY: an open context and an empty packet of ours.
        match unsafe { ffi::av_read_frame(self.0.as_ptr(), packet.as_ptr()) } {
            0.. => Ok(Some(packet)),
            END => Ok(None),
            code => Err(Fault(code)),
        }
    }

    /// Whether [`Demuxer::rewind`] can be trusted. Formats whose times may jump are searched for a
    /// time by guessing; they often miss the first keyframe.
    pub(super) fn can_rewind(&self) -> bool {
        // SAFETY: an open context, whose format is set.
        let flags = unsafe { (*self.0.as_ref().iformat).flags };
        flags & ffi::AVFMT_TS_DISCONT.cast_signed() == 0
    }

    /// Goes back to the beginning.
    pub(super) fn rewind(&mut self) -> Result<(), Fault> {
        let start = self.start();
        // SAFETY: an open context; stream -1 means times in microseconds.
        let done =
            unsafe { ffi::avformat_seek_file(self.0.as_ptr(), -1, i64::MIN, start, start, 0) };
        Fault::check(done).map(drop)
    }

    /// A stream of the context: valid as long as `self`, whose streams are never removed.
    fn stream(&self, index: usize) -> Option<*const ffi::AVStream> {
        // SAFETY: an open context.
        let context = unsafe { self.0.as_ref() };
        if index >= usize::try_from(context.nb_streams).unwrap_or(0) {
            return None;
        }
        // SAFETY: `streams` has `nb_streams` valid pointers.
        Some(unsafe { (*context.streams.add(index)).cast_const() })
    }
}

impl Drop for Demuxer {
    fn drop(&mut self) {
        let mut context = self.0.as_ptr();
        // SAFETY: owned; closed once.
        unsafe { ffi::avformat_close_input(&raw mut context) };
    }
}
