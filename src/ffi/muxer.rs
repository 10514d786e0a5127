//! Muxer: encoded video and audio to a file, in any container that libavformat writes. All `unsafe`
//! about it is in here.

use std::ffi::{CString, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{NonNull, null, null_mut};

use super::av::error_text;
use super::picture::{PictureCodec, padded};
use super::sys;

/// What a file's video is.
#[derive(Clone, Copy, Debug)]
pub struct VideoTrack<'a> {
    /// Its codec.
    pub codec: PictureCodec,
    /// The codec's configuration record.
    pub header: &'a [u8],
    /// Width and height, pixels.
    pub sides: (u32, u32),
    /// Pictures per second, as a fraction. Times count in its inverse.
    pub rate: (u32, u32),
}

/// What a file's audio is: stereo.
#[derive(Clone, Copy, Debug)]
pub struct AudioTrack<'a> {
    /// Opus; otherwise AAC.
    pub is_opus: bool,
    /// The decoder's configuration.
    pub header: &'a [u8],
    /// Samples per second. Times count in samples.
    pub sample_rate: u32,
}

/// A file being written.
#[derive(Debug)]
pub struct Muxer {
    context: NonNull<sys::AVFormatContext>,
    packet: NonNull<sys::AVPacket>,
    /// The clock that times of video, and of audio, come in.
    clocks: [sys::AVRational; 2],
    /// The first thing that went wrong.
    failed: Option<String>,
}

/// Index of the track, which is its place in the file.
const VIDEO: usize = 0;
const AUDIO: usize = 1;

impl Muxer {
    /// Makes the file, or empties it, and writes its head. What kind of container it is, its
    /// extension says.
    ///
    /// # Errors
    /// What libavformat says, and of what.
    pub fn create(
        path: &Path,
        video: VideoTrack<'_>,
        audio: Option<AudioTrack<'_>>,
    ) -> Result<Self, String> {
        let failed = |code| format!("cannot write {}: {}", path.display(), error_text(code));
        let mut url = b"file:".to_vec();
        url.extend_from_slice(path.as_os_str().as_bytes());
        let url = CString::new(url).map_err(|_| failed(-libc::ENOENT))?;
        let mut context = null_mut();
        // SAFETY: the string is zero-terminated; on failure the pointer stays null.
        let code = unsafe {
            sys::avformat_alloc_output_context2(&raw mut context, null(), null(), url.as_ptr())
        };
        let context = NonNull::new(context).ok_or_else(|| failed(code))?;
        // SAFETY: null is an error.
        let packet = NonNull::new(unsafe { sys::av_packet_alloc() });
        let Some(packet) = packet else {
            // SAFETY: ours alone; freed once.
            unsafe { sys::avformat_free_context(context.as_ptr()) };
            return Err(failed(-libc::ENOMEM));
        };
        let clock = |num: u32, den: u32| sys::AVRational { num: int(num), den: int(den) };
        let samples = audio.map_or(1, |audio| audio.sample_rate);
        let clocks = [clock(video.rate.1, video.rate.0), clock(1, samples)];
        let muxer = Self { context, packet, clocks, failed: None };
        muxer.add(VIDEO, video.header, |about| {
            about.codec_type = sys::AVMEDIA_TYPE_VIDEO;
            about.codec_id = video.codec.id();
            (about.width, about.height) = (int(video.sides.0), int(video.sides.1));
            about.color_range = sys::AVCOL_RANGE_MPEG;
            about.color_space = sys::AVCOL_SPC_BT709;
        })?;
        if let Some(audio) = audio {
            muxer.add(AUDIO, audio.header, |about| {
                about.codec_type = sys::AVMEDIA_TYPE_AUDIO;
                about.codec_id =
                    if audio.is_opus { sys::AV_CODEC_ID_OPUS } else { sys::AV_CODEC_ID_AAC };
                about.sample_rate = int(audio.sample_rate);
                // SAFETY: an empty layout becomes stereo.
                unsafe { sys::av_channel_layout_default(&raw mut about.ch_layout, 2) };
            })?;
        }
        // SAFETY: a context with its streams; what was opened is closed when `muxer` is dropped.
        let code = unsafe {
            let raw = context.as_ptr();
            let opened = sys::avio_open(
                &raw mut (*raw).pb,
                url.as_ptr(),
                sys::AVIO_FLAG_WRITE.cast_signed(),
            );
            if opened < 0 { opened } else { sys::avformat_write_header(raw, null_mut()) }
        };
        if code < 0 { Err(failed(code)) } else { Ok(muxer) }
    }

    /// Adds the next track.
    fn add(
        &self,
        at: usize,
        header: &[u8],
        set: impl FnOnce(&mut sys::AVCodecParameters),
    ) -> Result<(), String> {
        let (extradata, size) = padded(header).ok_or("a codec's header is too large")?;
        // SAFETY: a context that has no head yet; it frees the stream and its extradata.
        unsafe {
            let stream = sys::avformat_new_stream(self.context.as_ptr(), null());
            if stream.is_null() {
                sys::av_free(extradata.as_ptr().cast());
                return Err("out of memory".to_owned());
            }
            let clock = self.clocks[at];
            (*stream).time_base = clock;
            if at == VIDEO {
                // A picture lasts one unit of its clock.
                (*stream).avg_frame_rate = sys::AVRational { num: clock.den, den: clock.num };
            }
            let about = &mut *(*stream).codecpar;
            (about.extradata, about.extradata_size) = (extradata.as_ptr(), size);
            set(about);
        }
        Ok(())
    }

    /// Writes an encoded picture; times are in pictures, decoding order.
    pub fn video(&mut self, body: &[u8], (pts, dts): (i64, i64), is_key: bool) {
        self.write(VIDEO, body, (pts, dts), is_key);
    }

    /// Writes an encoded block of audio; its time is the number of its first sample.
    pub fn audio(&mut self, body: &[u8], first_sample: i64) {
        self.write(AUDIO, body, (first_sample, first_sample), true);
    }

    fn write(&mut self, track: usize, body: &[u8], (pts, dts): (i64, i64), is_key: bool) {
        if self.failed.is_some() {
            return;
        }
        // SAFETY: the packet is ours; it has no buffer, so that the library copies what it keeps of
        // `body`. The head was written, with this track in it.
        let code = unsafe {
            let packet = self.packet.as_ptr();
            (*packet).data = body.as_ptr().cast_mut();
            (*packet).size = c_int::try_from(body.len()).unwrap_or(0);
            (*packet).stream_index = c_int::try_from(track).unwrap_or(0);
            ((*packet).pts, (*packet).dts) = (pts, dts);
            (*packet).flags = if is_key { sys::AV_PKT_FLAG_KEY.cast_signed() } else { 0 };
            let stream = *(*self.context.as_ptr()).streams.add(track);
            sys::av_packet_rescale_ts(packet, self.clocks[track], (*stream).time_base);
            sys::av_interleaved_write_frame(self.context.as_ptr(), packet)
        };
        if code < 0 {
            self.failed = Some(error_text(code));
        }
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The first thing that went wrong since the file was made.
    pub fn finish(mut self) -> Result<(), String> {
        // SAFETY: the head was written; the trailer is written once.
        let code = unsafe { sys::av_write_trailer(self.context.as_ptr()) };
        match self.failed.take() {
            Some(failed) => Err(failed),
            None if code < 0 => Err(error_text(code)),
            None => Ok(()),
        }
    }
}

impl Drop for Muxer {
    fn drop(&mut self) {
        let (context, mut packet) = (self.context.as_ptr(), self.packet.as_ptr());
        // SAFETY: all of it is ours; `avio_closep` takes a null for a file that was not opened.
        unsafe {
            sys::av_packet_free(&raw mut packet);
            sys::avio_closep(&raw mut (*context).pb);
            sys::avformat_free_context(context);
        }
    }
}

fn int(number: u32) -> c_int {
    c_int::try_from(number).unwrap_or(c_int::MAX)
}
