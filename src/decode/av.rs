//! Owners of libavcodec's packets and decoders. All `unsafe` about them is in here.

use std::ptr::NonNull;
use std::sync::Arc;

use super::decoded::{Decoded, NO_TIME};
use super::deinterlace;
use super::direct::{self, PictureMemory};
use super::error::Fault;
use crate::ffi::sys as ffi;

/// `AVERROR_EOF`, which is a macro in C: minus the tag `EOF `.
pub(super) const END: i32 = -i32::from_le_bytes(*b"EOF ");

/// Largest extradata (codec header) accepted, bytes.
const HEADER_BYTES_MAX: usize = 1 << 16;

/// A packet: one encoded access unit or audio frame.
#[derive(Debug)]
pub(super) struct Packet(NonNull<ffi::AVPacket>);

// SAFETY: the packet is owned here alone and its data is reference-counted atomically.
unsafe impl Send for Packet {}

impl Packet {
    pub(super) fn new() -> Result<Self, Fault> {
        // SAFETY: no arguments; a null answer is an error.
        NonNull::new(unsafe { ffi::av_packet_alloc() }).map(Self).ok_or(Fault::MEMORY)
    }

    /// A packet with a padded copy of `bytes`.
    pub(super) fn copy_of(bytes: &[u8], pts: i64, dts: i64) -> Result<Self, Fault> {
        let mut packet = Self::new()?;
        let size = i32::try_from(bytes.len()).map_err(|_| Fault::INVALID)?;
        // SAFETY: an empty packet of ours; the call gives it `size` bytes and zeroed padding.
        Fault::check(unsafe { ffi::av_new_packet(packet.0.as_ptr(), size) })?;
        // SAFETY: ours alone.
        let raw = unsafe { packet.0.as_mut() };
        // SAFETY: `data` has `size` bytes, just allocated, so it cannot overlap `bytes`.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), raw.data, bytes.len()) };
        raw.pts = pts;
        raw.dts = dts;
        Ok(packet)
    }

    pub(super) const fn as_ptr(&mut self) -> *mut ffi::AVPacket {
        self.0.as_ptr()
    }

    const fn raw(&self) -> &ffi::AVPacket {
        // SAFETY: owned, never null, written only through `&mut self`.
        unsafe { self.0.as_ref() }
    }

    /// Stream it belongs to.
    pub(super) fn stream(&self) -> Option<usize> {
        usize::try_from(self.raw().stream_index).ok()
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> usize {
        usize::try_from(self.raw().size).unwrap_or(0)
    }

    /// Whether a decoder may begin here.
    pub(super) const fn is_key(&self) -> bool {
        self.raw().flags & ffi::AV_PKT_FLAG_KEY.cast_signed() != 0
    }

    /// When it is shown and when it is decoded, in its stream's units, as far as that is known.
    pub(super) fn times(&self) -> [Option<i64>; 2] {
        let raw = self.raw();
        [raw.pts, raw.dts].map(|time| (time != NO_TIME).then_some(time))
    }

    /// Gives it other times.
    pub(super) const fn set_times(&mut self, [pts, dts]: [i64; 2]) {
        // SAFETY: ours alone.
        let raw = unsafe { self.0.as_mut() };
        (raw.pts, raw.dts) = (pts, dts);
    }

    /// Time of its end, in its stream's units, if both its time and duration are known.
    pub(super) fn end(&self) -> Option<i64> {
        let raw = self.raw();
        (raw.pts != NO_TIME && raw.duration > 0).then(|| raw.pts.saturating_add(raw.duration))
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: owned; freed once.
        unsafe { ffi::av_packet_free(&raw mut raw) };
    }
}

/// How to open a decoder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    /// Threads it may use, at least 1.
    pub(super) threads: u32,
    /// Threads work on one picture only, so that none is held back.
    pub(super) slices_only: bool,
    /// The stream has no reordered pictures: each is given out at once.
    pub(super) low_delay: bool,
    /// Most pixels of a picture.
    pub(super) pixels_max: i64,
    /// A decoder is looked for that gives the alpha of VP8 and VP9, which have it beside them.
    pub(super) keeps_alpha: bool,
}

/// An open decoder with the frame it decodes into.
#[derive(Debug)]
pub(super) struct Decoder {
    context: NonNull<ffi::AVCodecContext>,
    memory: Arc<PictureMemory>,
    frame: Decoded,
    /// The same as a whole picture, if it is of two fields.
    whole: Option<Decoded>,
    /// The picture of two fields before it.
    before: Option<Decoded>,
}

// SAFETY: a codec context may be used from any thread, one at a time, which `&mut self` ensures.
unsafe impl Send for Decoder {}

/// What a decoder answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A frame: see [`Decoder::frame`].
    Frame,
    /// It needs another packet.
    Hungry,
    /// It has been drained to the end.
    End,
}

impl Decoder {
    /// Opens a decoder by codec number with the codec's header. Times are in milliseconds.
    pub(super) fn open(codec: ffi::AVCodecID, header: &[u8], setup: Setup) -> Result<Self, Fault> {
        let mut decoder = Self::with_codec(codec_of(codec))?;
        if header.len() > HEADER_BYTES_MAX {
            return Err(Fault::INVALID);
        }
        // SAFETY: not open yet and ours alone.
        let context = unsafe { decoder.context.as_mut() };
        let padding = ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
        // SAFETY: plain allocation, zeroed; a null answer is an error.
        let copy = unsafe { ffi::av_mallocz(header.len() + padding) }.cast::<u8>();
        if copy.is_null() {
            return Err(Fault::MEMORY);
        }
        // SAFETY: `copy` was just allocated with room for `header`.
        unsafe { std::ptr::copy_nonoverlapping(header.as_ptr(), copy, header.len()) };
        context.extradata = copy; // freed with the context
        context.extradata_size = i32::try_from(header.len()).map_err(|_| Fault::INVALID)?;
        context.pkt_timebase = ffi::AVRational { num: 1, den: 1_000 };
        decoder.start(setup)?;
        Ok(decoder)
    }

    /// Opens the decoder of a stream of a demuxer.
    ///
    /// # Safety
    /// `stream` must point to a stream of an open format context.
    pub(super) unsafe fn of_stream(
        stream: *const ffi::AVStream,
        setup: Setup,
    ) -> Result<Self, Fault> {
        // SAFETY: by the caller; a demuxer's streams always have parameters.
        let (parameters, time_base) = unsafe { ((*stream).codecpar, (*stream).time_base) };
        // SAFETY: as above.
        let id = unsafe { (*parameters).codec_id };
        let mut beside = None;
        if setup.keeps_alpha {
            // SAFETY: by the caller.
            beside = unsafe { alpha_decoder(stream, id) };
        }
        let mut decoder = Self::with_codec(beside.unwrap_or_else(|| codec_of(id)))?;
        let context = decoder.context.as_ptr();
        // SAFETY: both are valid; the call copies.
        Fault::check(unsafe { ffi::avcodec_parameters_to_context(context, parameters) })?;
        // SAFETY: ours alone.
        unsafe { decoder.context.as_mut() }.pkt_timebase = time_base;
        decoder.start(setup)?;
        Ok(decoder)
    }

    /// Takes packets whose times are in milliseconds, from the first on.
    pub(super) const fn takes_millis(mut self) -> Self {
        // SAFETY: ours alone; nothing has been handed in yet.
        unsafe { self.context.as_mut() }.pkt_timebase = ffi::AVRational { num: 1, den: 1_000 };
        self
    }

    fn with_codec(codec: *const ffi::AVCodec) -> Result<Self, Fault> {
        if codec.is_null() {
            return Err(Fault(-i32::from_le_bytes([0xf8, b'D', b'E', b'C'])));
        }
        let frame = Decoded::new()?;
        // SAFETY: `codec` is one of the library's static codecs.
        let context = unsafe { ffi::avcodec_alloc_context3(codec) };
        let memory = Arc::default();
        let context = NonNull::new(context).ok_or(Fault::MEMORY)?;
        Ok(Self { context, memory, frame, whole: None, before: None })
    }

    fn start(&mut self, setup: Setup) -> Result<(), Fault> {
        // SAFETY: not open yet and ours alone.
        let context = unsafe { self.context.as_mut() };
        context.thread_count = i32::try_from(setup.threads.clamp(1, 64)).unwrap_or(1);
        let slices = ffi::FF_THREAD_SLICE.cast_signed();
        let frames = ffi::FF_THREAD_FRAME.cast_signed();
        context.thread_type = if setup.slices_only { slices } else { slices | frames };
        if setup.low_delay {
            context.flags |= ffi::AV_CODEC_FLAG_LOW_DELAY.cast_signed();
        }
        context.max_pixels = setup.pixels_max;
        // SAFETY: not open yet; the memory is dropped after the context is freed.
        unsafe { direct::attach(context, &self.memory) };
        let none = std::ptr::null_mut();
        // SAFETY: a context made for its codec; no options.
        let opened = unsafe { ffi::avcodec_open2(self.context.as_ptr(), std::ptr::null(), none) };
        Fault::check(opened).map(drop)
    }

    /// Hands in a packet, or `None` to begin draining. All frames must have been received before.
    pub(super) fn send(&mut self, packet: Option<&mut Packet>) -> Result<(), Fault> {
        let packet = packet.map_or(std::ptr::null_mut(), Packet::as_ptr);
        // SAFETY: an open decoder; the packet is valid, or null, which means drain.
        Fault::check(unsafe { ffi::avcodec_send_packet(self.context.as_ptr(), packet) }).map(drop)
    }

    /// Asks for the next frame.
    pub(super) fn receive(&mut self) -> Result<Received, Fault> {
        let frame = self.frame.as_mut_ptr();
        // SAFETY: an open decoder and a frame of ours, which the call empties first.
        match unsafe { ffi::avcodec_receive_frame(self.context.as_ptr(), frame) } {
            0.. => {
                self.deinterlace();
                Ok(Received::Frame)
            }
            END => Ok(Received::End),
            code if code == -libc::EAGAIN => Ok(Received::Hungry),
            code => Err(Fault(code)),
        }
    }

    /// The frame of the last [`Received::Frame`].
    pub(super) fn frame(&self) -> &Decoded {
        self.whole.as_ref().unwrap_or(&self.frame)
    }

    /// Makes a whole picture of the frame, if that says that it is of two fields. What cannot be
    /// made stays as it is.
    fn deinterlace(&mut self) {
        let before = self.before.take();
        let target = self.whole.take();
        let Some(keeps_top) = self.frame.is_top_first() else { return };
        let Some(fields) = self.frame.planar() else { return };
        let target = target.filter(|target| target.is_like(&self.frame));
        let target = target.map_or_else(|| Decoded::like(&self.frame), Ok);
        let Ok(mut target) = target.and_then(|target| target.with_properties(&self.frame)) else {
            return;
        };
        let before_it = before.as_ref().filter(|before| before.is_like(&self.frame));
        let before_it = before_it.and_then(Decoded::planar);
        let Some(planes) = target.planar_mut() else { return };
        deinterlace::whole(planes, &fields, before_it.as_ref(), keeps_top);
        self.whole = Some(target);
        self.before = self.frame.share().ok();
    }

    /// Where its pictures are decoded into.
    pub(super) fn memory(&self) -> &PictureMemory {
        &self.memory
    }

    /// Forgets everything about the stream so far: a jump, a loop, damage.
    pub(super) fn flush(&mut self) {
        // SAFETY: an open decoder.
        unsafe { ffi::avcodec_flush_buffers(self.context.as_ptr()) };
        self.before = None;
    }
}

/// The decoder of a codec; null if there is none.
fn codec_of(id: ffi::AVCodecID) -> *const ffi::AVCodec {
    // SAFETY: any number is allowed.
    unsafe { ffi::avcodec_find_decoder(id) }
}

/// The decoder that gives the alpha of a stream that says that it has some beside its pictures.
///
/// # Safety
/// `stream` must point to a stream of an open format context.
unsafe fn alpha_decoder(
    stream: *const ffi::AVStream,
    id: ffi::AVCodecID,
) -> Option<*const ffi::AVCodec> {
    let name = match id {
        ffi::AV_CODEC_ID_VP8 => c"libvpx",
        ffi::AV_CODEC_ID_VP9 => c"libvpx-vp9",
        _ => return None,
    };
    // SAFETY: by the caller; the names end with a zero.
    let (said, codec) = unsafe {
        let key = c"alpha_mode".as_ptr();
        let said = ffi::av_dict_get((*stream).metadata, key, std::ptr::null(), 0);
        (said, ffi::avcodec_find_decoder_by_name(name.as_ptr()))
    };
    (!said.is_null() && !codec.is_null()).then_some(codec)
}

impl Drop for Decoder {
    fn drop(&mut self) {
        let mut context = self.context.as_ptr();
        // SAFETY: owned; freed once, with all it holds.
        unsafe { ffi::avcodec_free_context(&raw mut context) };
    }
}
