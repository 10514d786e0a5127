//! Open codec with its reusable frame and packet, and packets that land in our pool.

use std::ffi::{CStr, CString, c_int};
use std::ptr::NonNull;
use std::sync::Arc;

use crate::encode::Error;
use crate::ffi::{Buffer, av, sys};
use crate::frame::{PacketBuf, PacketPool};

/// `AVERROR(EAGAIN)`: give it more, or nothing to take now.
const AGAIN: c_int = -libc::EAGAIN;

/// An encoder of libavcodec. Everything it owns is freed on drop, the codec first.
pub(super) struct Codec {
    ctx: NonNull<sys::AVCodecContext>,
    frame: NonNull<sys::AVFrame>,
    packet: NonNull<sys::AVPacket>,
    /// Where `take_slot` takes slots; counted because the context holds its address while we move.
    pool: Arc<PacketPool>,
    /// Whether the codec says that it writes into buffers we give it.
    direct: bool,
    /// Packets that had to be copied into the pool all the same.
    copied: u64,
}

/// An encoded packet with its times in the codec's time base.
pub(super) struct Coded {
    pub(super) body: PacketBuf,
    pub(super) pts: i64,
    pub(super) dts: i64,
    pub(super) key: bool,
}

impl Codec {
    /// Allocates the codec of this name; `setup` fills in its context, then it is opened with
    /// `options`.
    pub(super) fn open(
        name: &CStr,
        pool: &PacketPool,
        setup: impl FnOnce(&mut sys::AVCodecContext),
        options: &[(&CStr, String)],
    ) -> Result<Self, Error> {
        // SAFETY: the name is a C string; the result is static or null.
        let codec = unsafe { sys::avcodec_find_encoder_by_name(name.as_ptr()) };
        let shown = name.to_string_lossy();
        if codec.is_null() {
            return Err(Error::Unavailable(format!(
                "the FFmpeg on this machine has no {shown}; install a build with it"
            )));
        }
        let memory = || Error::Unavailable("out of memory".to_owned());
        // SAFETY: plain allocations; each result is checked before it is used.
        let (ctx, frame, packet) = unsafe {
            (sys::avcodec_alloc_context3(codec), sys::av_frame_alloc(), sys::av_packet_alloc())
        };
        let this = Self {
            ctx: NonNull::new(ctx).ok_or_else(memory)?,
            frame: NonNull::new(frame).ok_or_else(memory)?,
            packet: NonNull::new(packet).ok_or_else(memory)?,
            pool: Arc::new(pool.clone()),
            // SAFETY: `codec` is not null.
            direct: unsafe { (*codec).capabilities } & sys::AV_CODEC_CAP_DR1.cast_signed() != 0,
            copied: 0,
        };
        // SAFETY: the context was just allocated and belongs to us alone.
        let context = unsafe { &mut *ctx };
        setup(context);
        if this.direct {
            context.opaque = Arc::as_ptr(&this.pool).cast_mut().cast();
            context.get_encode_buffer = Some(take_slot);
        }
        this.set_options(options)?;
        // SAFETY: the context is set up and not open yet.
        let code = unsafe { sys::avcodec_open2(ctx, codec, std::ptr::null_mut()) };
        if code < 0 {
            let text =
                format!("{shown} does not open with these settings: {}", av::error_text(code));
            // libx264 calls all its refusals "external".
            let settings = code == -libc::EINVAL || code == sys::AVERROR_EXTERNAL;
            return Err(if settings { Error::Config(text) } else { Error::Unavailable(text) });
        }
        Ok(this)
    }

    fn set_options(&self, options: &[(&CStr, String)]) -> Result<(), Error> {
        for (key, value) in options {
            let Ok(text) = CString::new(value.as_str()) else {
                return Err(Error::Config("a setting contains a zero byte".to_owned()));
            };
            // SAFETY: the private data of an allocated context takes options until it is opened.
            let code = unsafe {
                sys::av_opt_set(self.ctx.as_ref().priv_data, key.as_ptr(), text.as_ptr(), 0)
            };
            if code < 0 {
                let key = key.to_string_lossy();
                let text = av::error_text(code);
                return Err(Error::Config(format!("{key} = \"{value}\": {text}")));
            }
        }
        Ok(())
    }

    pub(super) const fn context(&self) -> &sys::AVCodecContext {
        // SAFETY: allocated in `open`, freed only on drop.
        unsafe { self.ctx.as_ref() }
    }

    pub(super) const fn context_mut(&mut self) -> &mut sys::AVCodecContext {
        // SAFETY: as above, and `&mut self` is the only access.
        unsafe { self.ctx.as_mut() }
    }

    /// The frame that is filled anew for each `send`.
    pub(super) const fn frame_mut(&mut self) -> &mut sys::AVFrame {
        // SAFETY: allocated in `open`, freed only on drop; `&mut self` is the only access.
        unsafe { self.frame.as_mut() }
    }

    /// What a decoder must know first.
    pub(super) const fn extradata(&self) -> &[u8] {
        let context = self.context();
        if context.extradata.is_null() {
            return &[];
        }
        // SAFETY: libavcodec keeps that many bytes there until the context is freed.
        unsafe {
            std::slice::from_raw_parts(
                context.extradata,
                context.extradata_size.unsigned_abs() as usize,
            )
        }
    }

    /// Sends the frame; it keeps its buffers, for the next audio.
    pub(super) fn send(&mut self) -> Result<(), Error> {
        // SAFETY: both were allocated in `open`; the caller has filled in the frame.
        check(unsafe { sys::avcodec_send_frame(self.ctx.as_ptr(), self.frame.as_ptr()) })
    }

    /// Sends the frame and lets go of our reference to its buffers, whether it was taken or not.
    pub(super) fn send_away(&mut self) -> Result<(), Error> {
        let sent = self.send();
        // SAFETY: the frame is ours; libavcodec has references of its own to what it still needs.
        unsafe { sys::av_frame_unref(self.frame.as_ptr()) };
        sent
    }

    /// Says that no frame follows.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        // SAFETY: a null frame is how the end is said.
        check(unsafe { sys::avcodec_send_frame(self.ctx.as_ptr(), std::ptr::null()) })
    }

    /// The next packet, if one is ready.
    pub(super) fn receive(&mut self) -> Result<Option<Coded>, Error> {
        // SAFETY: both were allocated in `open`.
        let code = unsafe { sys::avcodec_receive_packet(self.ctx.as_ptr(), self.packet.as_ptr()) };
        if code == AGAIN || code == sys::AVERROR_EOF {
            return Ok(None);
        }
        check(code)?;
        // SAFETY: on success libavcodec has filled the packet.
        let packet = unsafe { self.packet.as_ref() };
        let (pts, dts) = (packet.pts, packet.dts);
        let key = packet.flags & sys::AV_PKT_FLAG_KEY.cast_signed() != 0;
        let body = self.take_body();
        Ok(Some(Coded { body, pts, dts, key }))
    }

    /// The packet's bytes: the very slot the codec wrote, or a copy if it had a buffer of its own.
    fn take_body(&mut self) -> PacketBuf {
        // SAFETY: the packet is filled (see `receive`) and ours alone.
        let packet = unsafe { self.packet.as_ref() };
        let (written, len) = (packet.data, packet.size.unsigned_abs() as usize);
        let starts_here = |buffer: NonNull<sys::AVBufferRef>| {
            // SAFETY: a packet's buffer is valid as long as the packet.
            unsafe { buffer.as_ref() }.data == written
        };
        let buffer = NonNull::new(packet.buf).filter(|buffer| self.direct && starts_here(*buffer));
        if let Some(buffer) = buffer {
            // SAFETY: a codec with DR1 has no buffers but those of `take_slot`; this one starts
            // where the packet does, and libavcodec has finished it.
            let shared = unsafe { Buffer::packet(buffer.as_ptr(), len) };
            // SAFETY: ends libavcodec's reference to the slot; ours is `shared`.
            unsafe { sys::av_packet_unref(self.packet.as_ptr()) };
            return shared.into_unique().unwrap_or_else(|shared| self.copy(&shared));
        }
        let bytes = if written.is_null() {
            &[][..]
        } else {
            // SAFETY: libavcodec says that the packet has `len` bytes there.
            unsafe { std::slice::from_raw_parts(written, len) }
        };
        let body = self.copy(bytes);
        // SAFETY: the packet is ours, and its bytes have been copied.
        unsafe { sys::av_packet_unref(self.packet.as_ptr()) };
        body
    }

    /// A copy of `bytes` in a slot of the pool. Counted.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> PacketBuf {
        self.copied += 1;
        let mut body = self.pool.take(bytes.len());
        body.extend(bytes);
        body
    }

    /// Packets so far that were copied because the codec does not write into our slots.
    #[cfg(test)]
    pub(super) const fn copied(&self) -> u64 {
        self.copied
    }
}

impl Drop for Codec {
    fn drop(&mut self) {
        let mut ctx = self.ctx.as_ptr();
        let mut frame = self.frame.as_ptr();
        let mut packet = self.packet.as_ptr();
        // SAFETY: each was allocated in `open` and is freed here once; the codec goes first, as it
        // may still hold buffers of the pool.
        unsafe {
            sys::avcodec_free_context(&raw mut ctx);
            sys::av_packet_free(&raw mut packet);
            sys::av_frame_free(&raw mut frame);
        }
    }
}

fn check(code: c_int) -> Result<(), Error> {
    if code < 0 { Err(Error::Device(av::error_text(code))) } else { Ok(()) }
}

/// libavcodec wants room for a packet: it gets a slot of the pool, behind the slot's headroom.
unsafe extern "C" fn take_slot(
    ctx: *mut sys::AVCodecContext,
    packet: *mut sys::AVPacket,
    _flags: c_int,
) -> c_int {
    // SAFETY: `opaque` is the counted pool of the `Codec` that owns this context; a pool may be
    // used from any thread.
    let pool = unsafe { &*(*ctx).opaque.cast::<PacketPool>() };
    // SAFETY: libavcodec hands over a packet of which it has set the size, and which nobody else
    // uses.
    let packet = unsafe { &mut *packet };
    let size = packet.size.unsigned_abs() as usize;
    let Some(buffer) = Buffer::of_packet(pool.take(size), size) else { return -libc::ENOMEM };
    packet.data = buffer.data();
    packet.buf = buffer.into_raw();
    0
}
