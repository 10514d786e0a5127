//! Demuxer: packets of a file or of a network input by libavformat. All `unsafe` about it is in
//! here.

use std::ffi::{CStr, CString, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;

use super::av::{Decoder, END, Packet, Setup};
use super::error::Fault;
use crate::ffi::sys as ffi;
use crate::media::Orientation;

/// Bytes and microseconds of a network input that are looked at before it is decoded.
const PROBE_BYTES: i64 = 1 << 20;
const PROBE_MICROS: i64 = 1_500_000;

/// Most streams of a network input; what has more is refused.
const STREAMS_MAX: c_int = 64;

/// Formats that may come from the network: none that names files, devices or filters.
const FORMATS: &CStr =
    c"flv,live_flv,mpegts,hls,dash,matroska,webm,mov,mp4,rtsp,rtp,sdp,mpeg,mpjpeg,\
    mjpeg,h264,hevc,ivf,obu,ogg,mp3,aac,ac3,eac3,flac,wav,alaw,mulaw,webvtt";

/// Whether to give an input up: asked on the thread that reads it, while it waits.
pub type GiveUp = Box<dyn Fn() -> bool + Send + Sync>;

/// A file or a network input open for reading.
pub(super) struct Demuxer {
    context: NonNull<ffi::AVFormatContext>,
    /// What the context asks while it waits: for as long as that is open.
    _give_up: Option<Box<GiveUp>>,
}

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
        let context = NonNull::new(context).ok_or(Fault::INVALID)?;
        let demuxer = Self { context, _give_up: None };
        demuxer.probe()?;
        Ok(demuxer)
    }

    /// Opens an address, and nothing that it leads to but by the protocols of `whitelist`. The
    /// address may be a secret.
    pub(super) fn open_network(
        url: &str,
        whitelist: &CStr,
        give_up: GiveUp,
    ) -> Result<Self, Fault> {
        let url = CString::new(url).map_err(|_| Fault::INVALID)?;
        let give_up = Box::new(give_up);
        // SAFETY: takes nothing; a null answer is an error.
        let mut context = unsafe { ffi::avformat_alloc_context() };
        if context.is_null() {
            return Err(Fault::MEMORY);
        }
        let opaque = (&raw const *give_up).cast_mut().cast::<c_void>();
        let callback = ffi::AVIOInterruptCB { callback: Some(should_give_up), opaque };
        let mut options = std::ptr::null_mut();
        // SAFETY: a new context of ours; the strings are zero-terminated and live through the
        // calls; on failure the library frees the context itself.
        let opened = unsafe {
            (*context).interrupt_callback = callback;
            (*context).probesize = PROBE_BYTES;
            (*context).max_analyze_duration = PROBE_MICROS;
            (*context).max_streams = STREAMS_MAX;
            for (key, value) in [
                (c"protocol_whitelist", whitelist),
                (c"format_whitelist", FORMATS),
                // What is behind on a network is lost; there is no use in old datagrams.
                (c"overrun_nonfatal", c"1"),
            ] {
                ffi::av_dict_set(&raw mut options, key.as_ptr(), value.as_ptr(), 0);
            }
            let any = std::ptr::null();
            let opened =
                ffi::avformat_open_input(&raw mut context, url.as_ptr(), any, &raw mut options);
            ffi::av_dict_free(&raw mut options);
            opened
        };
        Fault::check(opened)?;
        let context = NonNull::new(context).ok_or(Fault::INVALID)?;
        let demuxer = Self { context, _give_up: Some(give_up) };
        demuxer.probe()?;
        Ok(demuxer)
    }

    /// Looks at the first packets, for what the header does not say.
    fn probe(&self) -> Result<(), Fault> {
        // SAFETY: an open context; no options per stream.
        let found =
            unsafe { ffi::avformat_find_stream_info(self.context.as_ptr(), std::ptr::null_mut()) };
        Fault::check(found).map(drop)
    }

    /// Whether it comes in pieces, or as fast as it is read, and not as it is made.
    pub(super) fn is_bursty(&self) -> bool {
        // SAFETY: an open context, whose format is set and named; its bytes may come by other ways.
        unsafe {
            let context = self.context.as_ref();
            let name = CStr::from_ptr((*context.iformat).name).to_bytes();
            let can_seek = context.pb.as_ref().is_some_and(|pb| pb.seekable != 0);
            can_seek || name.starts_with(b"hls") || name.starts_with(b"dash")
        }
    }

    /// The codec of a stream as it is now; of some formats it may change.
    pub(super) fn codec(&self, index: usize) -> Option<ffi::AVCodecID> {
        // SAFETY: a valid pointer, see `stream`; a stream always has parameters.
        self.stream(index).map(|stream| unsafe { (*(*stream).codecpar).codec_id })
    }

    /// The name of a stream's codec, with the size of its pictures if it has any.
    pub(super) fn about(&self, index: usize) -> Option<String> {
        let stream = self.stream(index)?;
        // SAFETY: a valid pointer, see `stream`; names of codecs are static.
        unsafe {
            let parameters = &*(*stream).codecpar;
            let name = CStr::from_ptr(ffi::avcodec_get_name(parameters.codec_id)).to_string_lossy();
            let (width, height) = (parameters.width, parameters.height);
            Some(if width > 0 { format!("{name} {width}x{height}") } else { name.into_owned() })
        }
    }

    /// The stream of a kind that players would choose; cover art is none.
    pub(super) fn best(&self, which: Which) -> Option<usize> {
        let kind = match which {
            Which::Pictures => ffi::AVMEDIA_TYPE_VIDEO,
            Which::Audio => ffi::AVMEDIA_TYPE_AUDIO,
        };
        let none = std::ptr::null_mut();
        // SAFETY: an open context; no decoder is asked for.
        let index =
            unsafe { ffi::av_find_best_stream(self.context.as_ptr(), kind, -1, -1, none, 0) };
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
        let start = unsafe { self.context.as_ref() }.start_time;
        if start == i64::MIN { 0 } else { start }
    }

    /// How the pictures of a stream are to be turned and mirrored, by quarters; upright where the
    /// file says nothing of that, or something else.
    pub(super) fn orientation(&self, index: usize) -> Orientation {
        // SAFETY: the pointer is valid, see `stream`.
        let matrix = self.stream(index).and_then(|stream| unsafe { display_matrix(stream) });
        matrix.map_or(Orientation::UPRIGHT, orientation_of)
    }

    /// The next packet, or `None` at the end of the file.
    pub(super) fn read(&mut self) -> Result<Option<Packet>, Fault> {
        let mut packet = Packet::new()?;
        // SAFETY: an open context and an empty packet of ours.
        match unsafe { ffi::av_read_frame(self.context.as_ptr(), packet.as_ptr()) } {
            0.. => Ok(Some(packet)),
            END => Ok(None),
            code => Err(Fault(code)),
        }
    }

    /// Whether [`Demuxer::seek`] can be trusted. Formats whose times may jump are searched for a
    /// time by guessing; they often miss the first keyframe.
    pub(super) fn can_rewind(&self) -> bool {
        // SAFETY: an open context, whose format is set.
        let flags = unsafe { (*self.context.as_ref().iformat).flags };
        flags & ffi::AVFMT_TS_DISCONT.cast_signed() == 0
    }

    /// Goes to the last place before this time after the file's start, microseconds, where decoders
    /// can begin.
    pub(super) fn seek(&mut self, micros: i64) -> Result<(), Fault> {
        let time = self.start().saturating_add(micros);
        // SAFETY: an open context; stream -1 means times in microseconds.
        let done =
            unsafe { ffi::avformat_seek_file(self.context.as_ptr(), -1, i64::MIN, time, time, 0) };
        Fault::check(done).map(drop)
    }

    /// How long the file is, microseconds, if it says so.
    pub(super) fn duration(&self) -> Option<i64> {
        // SAFETY: an open context.
        let duration = unsafe { self.context.as_ref() }.duration;
        (duration > 0).then_some(duration)
    }

    /// A stream of the context: valid as long as `self`, whose streams are never removed.
    fn stream(&self, index: usize) -> Option<*const ffi::AVStream> {
        // SAFETY: an open context.
        let context = unsafe { self.context.as_ref() };
        if index >= usize::try_from(context.nb_streams).unwrap_or(0) {
            return None;
        }
        // SAFETY: `streams` has `nb_streams` valid pointers.
        Some(unsafe { (*context.streams.add(index)).cast_const() })
    }
}

impl Drop for Demuxer {
    fn drop(&mut self) {
        let mut context = self.context.as_ptr();
        // SAFETY: owned; closed once.
        unsafe { ffi::avformat_close_input(&raw mut context) };
    }
}

impl std::fmt::Debug for Demuxer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Demuxer")
    }
}

/// What a display matrix does to the right, and to what is below: the upper left four of its nine
/// numbers, which have 16 bits behind the point.
type DisplayMatrix = [i32; 4];

/// The display matrix of a stream, if it has one.
///
/// # Safety
/// `stream` must point to a stream of an open format context.
#[cfg(any(feature = "ffmpeg5", feature = "ffmpeg6"))]
unsafe fn display_matrix(stream: *const ffi::AVStream) -> Option<DisplayMatrix> {
    let mut bytes = 0;
    // SAFETY: by the caller; the answer is null or has so many bytes, which the stream keeps.
    unsafe {
        let kind = ffi::AV_PKT_DATA_DISPLAYMATRIX;
        let data = ffi::av_stream_get_side_data(stream, kind, &raw mut bytes);
        matrix_in(data, bytes)
    }
}

/// The display matrix of a stream, if it has one.
///
/// # Safety
/// `stream` must point to a stream of an open format context.
#[cfg(not(any(feature = "ffmpeg5", feature = "ffmpeg6")))]
unsafe fn display_matrix(stream: *const ffi::AVStream) -> Option<DisplayMatrix> {
    // SAFETY: by the caller; a stream always has parameters, and the answer is null or one of the
    // side data that they keep.
    unsafe {
        let of = &*(*stream).codecpar;
        let kind = ffi::AV_PKT_DATA_DISPLAYMATRIX;
        let count = of.nb_coded_side_data;
        let data = ffi::av_packet_side_data_get(of.coded_side_data, count, kind).as_ref()?;
        matrix_in(data.data, data.size)
    }
}

/// # Safety
/// `data` is null or has so many bytes.
unsafe fn matrix_in(data: *const u8, bytes: usize) -> Option<DisplayMatrix> {
    if data.is_null() || bytes < 9 * size_of::<i32>() {
        return None;
    }
    // SAFETY: by the caller; the stream keeps them meanwhile.
    let (numbers, _) = unsafe { std::slice::from_raw_parts(data, bytes) }.as_chunks::<4>();
    Some([0, 1, 3, 4].map(|index| i32::from_ne_bytes(numbers[index])))
}

/// The orientation that a display matrix stands for.
fn orientation_of(matrix: DisplayMatrix) -> Orientation {
    const HALF: i32 = 1 << 15;
    let [a, b, c, d] = matrix.map(|it| i32::from(it > HALF) - i32::from(it < -HALF));
    let quarters = match (d, -c) {
        (1, 0) => 0,
        (0, 1) => 1,
        (-1, 0) => 2,
        (0, -1) => 3,
        _ => return Orientation::UPRIGHT,
    };
    let turned = Orientation::turned(quarters);
    if (a, b) == (d, -c) {
        turned
    } else if (a, b) == (-d, c) {
        Orientation::flipped(true, false).then(turned)
    } else {
        Orientation::UPRIGHT
    }
}

/// libavformat's question whether to stop waiting.
unsafe extern "C" fn should_give_up(give_up: *mut c_void) -> c_int {
    // SAFETY: the box of an open demuxer, which outlives its context.
    let give_up = unsafe { &*give_up.cast::<GiveUp>() };
    c_int::from(give_up())
}

/// Whether the FFmpeg libraries here can open addresses of a protocol; if not, the names of those
/// that they can.
pub(super) fn check_protocol(scheme: &str) -> Result<(), Vec<String>> {
    let (mut names, mut next) = (Vec::new(), std::ptr::null_mut());
    // SAFETY: the call goes through a static list, with a place that is ours; names are static.
    unsafe {
        loop {
            let name = ffi::avio_enum_protocols(&raw mut next, 0);
            if name.is_null() {
                break;
            }
            names.push(CStr::from_ptr(name).to_string_lossy().into_owned());
        }
        if !ffi::av_find_input_format(c"rtsp".as_ptr()).is_null() {
            names.extend(["rtsp", "rtsps"].map(str::to_owned));
        }
    }
    if names.iter().any(|name| name == scheme) { Ok(()) } else { Err(names) }
}
