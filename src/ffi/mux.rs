//! A fragmented MP4 written by libavformat into memory. All `unsafe` about it is in here.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use super::{av, sys};

/// Largest codec header accepted, bytes. A larger one is broken.
pub const HEADER_BYTES_MAX: usize = 1 << 16;

/// Bytes of libavformat's own buffer in front of ours.
const IO_BYTES: c_int = 32 << 10;

/// Codecs that a file may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MuxCodec {
    /// H.264 with an `avcC`.
    H264,
    /// H.265 with an `hvcC`.
    Hevc,
    /// AV1 with an `av1C`.
    Av1,
    /// AAC with an `AudioSpecificConfig`.
    Aac,
    /// Opus with an `OpusHead`.
    Opus,
}

impl MuxCodec {
    const fn id(self) -> sys::AVCodecID {
        match self {
            Self::H264 => sys::AV_CODEC_ID_H264,
            Self::Hevc => sys::AV_CODEC_ID_HEVC,
            Self::Av1 => sys::AV_CODEC_ID_AV1,
            Self::Aac => sys::AV_CODEC_ID_AAC,
            Self::Opus => sys::AV_CODEC_ID_OPUS,
        }
    }
}

/// A track of pictures.
#[derive(Clone, Copy, Debug)]
pub struct MuxVideo<'a> {
    /// H.264, H.265 or AV1.
    pub codec: MuxCodec,
    /// What a decoder must have first.
    pub header: &'a [u8],
    /// The first keyframe, of which the size is read.
    pub keyframe: &'a [u8],
}

/// A track of sound.
#[derive(Clone, Copy, Debug)]
pub struct MuxAudio<'a> {
    /// AAC or Opus.
    pub codec: MuxCodec,
    /// What a decoder must have first.
    pub header: &'a [u8],
    /// Samples per second.
    pub rate: u32,
    /// Channels.
    pub channels: u32,
}

/// One packet of a track, with its times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct MuxPacket<'a> {
    /// The codec's own bytes.
    pub data: &'a [u8],
    /// When it is decoded. Each is later than the one before in its track.
    pub dts: i64,
    /// When it is shown, not before `dts`.
    pub pts: i64,
    /// How long it lasts.
    pub duration: i64,
    /// Whether a decoder can start here.
    pub key: bool,
}

/// Which track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// The pictures.
    Video,
    /// The sound.
    Audio,
}

/// An MP4 that grows by fragments: what has been taken from it is playable at any time.
#[derive(Debug)]
pub struct Mux {
    context: NonNull<sys::AVFormatContext>,
    packet: NonNull<sys::AVPacket>,
    /// What libavformat has written and nobody has taken. Reached through this pointer only.
    out: NonNull<Vec<u8>>,
    tracks: [Option<usize>; 2],
}

// SAFETY: the contexts may be used from any thread, one at a time, which `&mut self` ensures; the
// vector is reached by calls on them only.
unsafe impl Send for Mux {}

impl Mux {
    /// Begins a file and writes what stands in front of its fragments.
    ///
    /// # Errors
    /// In words, if libavformat does not take these tracks.
    pub fn open(video: Option<MuxVideo<'_>>, audio: Option<MuxAudio<'_>>) -> Result<Self, String> {
        av::init_log();
        let mut mux = Self::allocate()?;
        let mut next = 0;
        if let Some(video) = video {
            mux.add_video(video)?;
            mux.tracks[0] = Some(next);
            next += 1;
        }
        if let Some(audio) = audio {
            mux.add_audio(audio)?;
            mux.tracks[1] = Some(next);
        }
        let mut options = std::ptr::null_mut();
        let flags = c"frag_keyframe+empty_moov+default_base_moof";
        // SAFETY: the strings are zero-terminated; the context has its streams and its output; the
        // dictionary is freed after the call, whatever it leaves there.
        let code = unsafe {
            sys::av_dict_set(&raw mut options, c"movflags".as_ptr(), flags.as_ptr(), 0);
            let code = sys::avformat_write_header(mux.context.as_ptr(), &raw mut options);
            sys::av_dict_free(&raw mut options);
            code
        };
        check(code)?;
        mux.drain();
        Ok(mux)
    }

    fn allocate() -> Result<Self, String> {
        let mut context = std::ptr::null_mut();
        // SAFETY: the name is zero-terminated; on success the context is ours.
        let code = unsafe {
            let (any, name) = (std::ptr::null(), c"mp4".as_ptr());
            sys::avformat_alloc_output_context2(&raw mut context, any, name, any.cast())
        };
        check(code)?;
        let context = NonNull::new(context).ok_or(NO_MEMORY)?;
        // SAFETY: no arguments; null is an error.
        let packet = NonNull::new(unsafe { sys::av_packet_alloc() });
        let out = NonNull::from(Box::leak(Box::default()));
        let Some(packet) = packet else {
            // SAFETY: allocated above, and used by nobody else.
            unsafe {
                sys::avformat_free_context(context.as_ptr());
                drop(Box::from_raw(out.as_ptr()));
            }
            return Err(NO_MEMORY.to_owned());
        };
        let mux = Self { context, packet, out, tracks: [None; 2] };
        // SAFETY: the buffer belongs to the I/O context; the callback casts the opaque pointer back
        // to what it is, and `mux` frees it after that context.
        let io = unsafe {
            let buffer = sys::av_malloc(IO_BYTES.unsigned_abs() as usize);
            let opaque = out.as_ptr().cast();
            sys::avio_alloc_context(buffer.cast(), IO_BYTES, 1, opaque, None, Some(take), None)
        };
        if io.is_null() {
            return Err(NO_MEMORY.to_owned());
        }
        // SAFETY: the context is ours alone.
        unsafe {
            (*context.as_ptr()).pb = io;
            (*context.as_ptr()).flags |= sys::AVFMT_FLAG_CUSTOM_IO.cast_signed();
        }
        Ok(mux)
    }

    fn add_video(&mut self, video: MuxVideo<'_>) -> Result<(), String> {
        let (width, height) = picture_size(&video)
            .ok_or("the size of the pictures could not be read from the first keyframe")?;
        let parameters = self.add_stream(video.codec, video.header)?;
        // SAFETY: the parameters belong to a stream of this context.
        let parameters = unsafe { &mut *parameters };
        parameters.codec_type = sys::AVMEDIA_TYPE_VIDEO;
        (parameters.width, parameters.height) = (width, height);
        if video.codec == MuxCodec::Hevc {
            parameters.codec_tag = u32::from_le_bytes(*b"hvc1");
        }
        Ok(())
    }

    fn add_audio(&mut self, audio: MuxAudio<'_>) -> Result<(), String> {
        let parameters = self.add_stream(audio.codec, audio.header)?;
        // SAFETY: the parameters belong to a stream of this context.
        let parameters = unsafe { &mut *parameters };
        parameters.codec_type = sys::AVMEDIA_TYPE_AUDIO;
        parameters.sample_rate = c_int::try_from(audio.rate).map_err(|_| "no such sample rate")?;
        parameters.frame_size = if audio.codec == MuxCodec::Aac { 1_024 } else { 960 };
        let channels = c_int::try_from(audio.channels).map_err(|_| "so many channels")?;
        // SAFETY: the layout is part of those parameters.
        unsafe { sys::av_channel_layout_default(&raw mut parameters.ch_layout, channels) };
        Ok(())
    }

    /// A new stream with its codec's header; gives its parameters, which live with the context.
    fn add_stream(
        &mut self,
        codec: MuxCodec,
        header: &[u8],
    ) -> Result<*mut sys::AVCodecParameters, String> {
        // SAFETY: an allocated context; no codec is asked for.
        let stream = unsafe { sys::avformat_new_stream(self.context.as_ptr(), std::ptr::null()) };
        let stream = NonNull::new(stream).ok_or(NO_MEMORY)?;
        let (extradata, size) = padded(header)?;
        // SAFETY: the stream belongs to the context, which frees its parameters and the extradata.
        unsafe {
            (*stream.as_ptr()).time_base = MILLIS;
            let parameters = (*stream.as_ptr()).codecpar;
            (*parameters).codec_id = codec.id();
            (*parameters).extradata = extradata.as_ptr();
            (*parameters).extradata_size = size;
            Ok(parameters)
        }
    }

    /// Whether the file has this track.
    #[must_use]
    pub fn has(&self, track: Track) -> bool {
        self.tracks[track as usize].is_some()
    }

    /// Adds a packet; nothing for a track that the file does not have.
    ///
    /// # Errors
    /// In words, if libavformat refuses it. The file goes on without it.
    pub fn write(&mut self, track: Track, packet: &MuxPacket<'_>) -> Result<(), String> {
        let Some(index) = self.tracks[track as usize] else { return Ok(()) };
        let size = c_int::try_from(packet.data.len()).map_err(|_| "the packet is too large")?;
        let raw = self.packet.as_ptr();
        // SAFETY: the packet is ours and empty; the call gives it `size` bytes with padding.
        check(unsafe { sys::av_new_packet(raw, size) })?;
        // SAFETY: `data` has `size` bytes, just allocated; `index` is a stream of the context.
        let code = unsafe {
            std::ptr::copy_nonoverlapping(packet.data.as_ptr(), (*raw).data, packet.data.len());
            let base = (**(*self.context.as_ptr()).streams.add(index)).time_base;
            (*raw).stream_index = c_int::try_from(index).unwrap_or(0);
            (*raw).dts = sys::av_rescale_q(packet.dts, MILLIS, base);
            (*raw).pts = sys::av_rescale_q(packet.pts, MILLIS, base);
            (*raw).duration = sys::av_rescale_q(packet.duration, MILLIS, base);
            if packet.key {
                (*raw).flags |= sys::AV_PKT_FLAG_KEY.cast_signed();
            }
            let code = sys::av_write_frame(self.context.as_ptr(), raw);
            sys::av_packet_unref(raw);
            code
        };
        check(code)
    }

    /// Ends the fragment: all packets so far are in the output then.
    pub fn flush(&mut self) {
        // SAFETY: an open context; no packet means flush.
        let code = unsafe { sys::av_write_frame(self.context.as_ptr(), std::ptr::null_mut()) };
        if code < 0 {
            tracing::debug!("flushing an MP4 fragment: {}", av::error_text(code));
        }
        self.drain();
    }

    /// Writes the end of the file.
    pub fn finish(&mut self) {
        // SAFETY: an open context whose header was written.
        let code = unsafe { sys::av_write_trailer(self.context.as_ptr()) };
        if code < 0 {
            tracing::debug!("ending an MP4: {}", av::error_text(code));
        }
        self.drain();
    }

    /// Moves the output so far to the end of `to`: whole boxes.
    pub fn take_output(&mut self, to: &mut Vec<u8>) {
        self.drain();
        // SAFETY: libavformat uses the vector only inside calls on the context, which need `self`.
        to.append(unsafe { self.out.as_mut() });
    }

    fn drain(&mut self) {
        // SAFETY: the I/O context lives as long as `self`.
        unsafe { sys::avio_flush((*self.context.as_ptr()).pb) };
    }
}

impl Drop for Mux {
    fn drop(&mut self) {
        let mut packet = self.packet.as_ptr();
        // SAFETY: all are owned and freed once, the I/O context before what its callback uses; its
        // buffer may be another one than it was given, so it is freed from where it is now.
        unsafe {
            let mut io = (*self.context.as_ptr()).pb;
            if !io.is_null() {
                sys::av_freep((&raw mut (*io).buffer).cast());
                sys::avio_context_free(&raw mut io);
            }
            sys::avformat_free_context(self.context.as_ptr());
            sys::av_packet_free(&raw mut packet);
            drop(Box::from_raw(self.out.as_ptr()));
        }
    }
}

/// How newer releases pass what is to be written.
#[cfg(any(feature = "ffmpeg7", feature = "ffmpeg8"))]
type Bytes = *const u8;
#[cfg(not(any(feature = "ffmpeg7", feature = "ffmpeg8")))]
type Bytes = *mut u8;

/// libavformat's output goes to the vector behind `opaque`.
unsafe extern "C" fn take(opaque: *mut c_void, bytes: Bytes, size: c_int) -> c_int {
    // SAFETY: `opaque` is the vector of the `Mux` whose call this is, reached by nobody else
    // meanwhile; libavformat says that there are `size` bytes.
    unsafe {
        let out = &mut *opaque.cast::<Vec<u8>>();
        let size = usize::try_from(size).unwrap_or(0);
        out.extend_from_slice(std::slice::from_raw_parts(bytes.cast_const(), size));
    }
    size
}

/// The size of the pictures, as libavcodec's parser reads it.
fn picture_size(video: &MuxVideo<'_>) -> Option<(c_int, c_int)> {
    let codec = video.codec.id();
    let mut padding = video.keyframe.to_vec();
    padding.resize(padding.len() + sys::AV_INPUT_BUFFER_PADDING_SIZE as usize, 0);
    let size = c_int::try_from(video.keyframe.len()).ok()?;
    let (extradata, extradata_size) = padded(video.header).ok()?;
    // SAFETY: parser and context are ours and freed here; the context frees the extradata. The
    // input has its padding behind it and outlives the call; the output only points into it.
    unsafe {
        let mut context = sys::avcodec_alloc_context3(std::ptr::null());
        if context.is_null() {
            sys::av_free(extradata.as_ptr().cast());
            return None;
        }
        (*context).codec_id = codec;
        (*context).extradata = extradata.as_ptr();
        (*context).extradata_size = extradata_size;
        let parser = sys::av_parser_init(c_int::try_from(codec).unwrap_or(0));
        let mut found = None;
        if !parser.is_null() {
            (*parser).flags |= sys::PARSER_FLAG_COMPLETE_FRAMES.cast_signed();
            let (mut out, mut out_size) = (std::ptr::null_mut(), 0);
            let input = padding.as_ptr();
            sys::av_parser_parse2(
                parser,
                context,
                &raw mut out,
                &raw mut out_size,
                input,
                size,
                i64::MIN,
                i64::MIN,
                0,
            );
            let of_parser = ((*parser).width, (*parser).height);
            let of_context = ((*context).width, (*context).height);
            let good = |(width, height): &(c_int, c_int)| *width > 0 && *height > 0;
            found = [of_parser, of_context].into_iter().find(good);
            sys::av_parser_close(parser);
        }
        sys::avcodec_free_context(&raw mut context);
        found
    }
}

/// A copy of a codec's header in libavutil's memory, with zeros behind it.
fn padded(header: &[u8]) -> Result<(NonNull<u8>, c_int), String> {
    let size = c_int::try_from(header.len()).ok().filter(|_| header.len() <= HEADER_BYTES_MAX);
    let size = size.ok_or("the codec's header is too large")?;
    // SAFETY: null is an error; otherwise that many zeroed bytes are ours.
    let memory =
        unsafe { sys::av_mallocz(header.len() + sys::AV_INPUT_BUFFER_PADDING_SIZE as usize) };
    let memory = NonNull::new(memory.cast::<u8>()).ok_or(NO_MEMORY)?;
    // SAFETY: just allocated, large enough, and apart from `header`.
    unsafe { std::ptr::copy_nonoverlapping(header.as_ptr(), memory.as_ptr(), header.len()) };
    Ok((memory, size))
}

fn check(code: c_int) -> Result<(), String> {
    if code < 0 { Err(av::error_text(code)) } else { Ok(()) }
}

/// Our times are in milliseconds.
const MILLIS: sys::AVRational = sys::AVRational { num: 1, den: 1_000 };

const NO_MEMORY: &str = "no memory";
