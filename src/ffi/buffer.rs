//! Buffers that FFmpeg counts, over memory of our pools: nothing is copied on the way in or out.

use std::ffi::c_void;
use std::ptr::NonNull;

use super::sys;
use crate::frame::{FrozenFrame, Packet, PacketBuf, TAIL};

const _: () = assert!(TAIL >= sys::AV_INPUT_BUFFER_PADDING_SIZE as usize);

/// One counted reference to a buffer; dropping it gives the reference back. When FFmpeg has let go
/// of the last one, on whatever thread, the slot returns to its pool.
#[derive(Debug)]
pub struct Buffer(NonNull<sys::AVBufferRef>);

impl Buffer {
    /// A buffer over a finished picture, from its first plane on. It is marked read-only, so FFmpeg
    /// copies before it writes. `None` if memory is out; the picture is then given back.
    #[must_use]
    pub fn of_frame(frame: FrozenFrame) -> Option<Self> {
        let data = frame.plane(0).as_ptr().cast_mut();
        let bytes = frame.geometry().bytes();
        let raw = frame.into_raw();
        let flags = sys::AV_BUFFER_FLAG_READONLY.cast_signed();
        // SAFETY: the slot has that many bytes from its first plane on (plane 0 is at offset 0),
        // and lives until `free_frame` drops the reference that `raw` now is.
        let buffer = unsafe { sys::av_buffer_create(data, bytes, Some(free_frame), raw, flags) };
        if buffer.is_null() {
            // SAFETY: nobody else has taken the reference.
            unsafe { free_frame(raw, data) };
        }
        NonNull::new(buffer).map(Self)
    }

    /// A buffer over an empty packet, for FFmpeg to write up to `bytes` into, behind the headroom.
    /// The padding it asks for follows, zeroed. `None` if memory is out.
    ///
    /// # Panics
    /// If the packet has less room than `bytes`.
    #[must_use]
    pub fn of_packet(mut packet: PacketBuf, bytes: usize) -> Option<Self> {
        assert!(packet.is_empty() && packet.room() >= bytes, "the packet has no room for that");
        let data = packet.as_mut_ptr();
        // SAFETY: a slot has `TAIL` bytes past its capacity, and `bytes` is at most that.
        unsafe { data.add(bytes).write_bytes(0, TAIL) };
        let raw = packet.into_raw();
        // SAFETY: `bytes` and the tail are inside the slot, which lives until `free_packet`.
        let buffer =
            unsafe { sys::av_buffer_create(data, bytes + TAIL, Some(free_packet), raw, 0) };
        if buffer.is_null() {
            // SAFETY: nobody else has taken the reference.
            unsafe { free_packet(raw, data) };
        }
        NonNull::new(buffer).map(Self)
    }

    /// Takes over a reference that foreign code gives; `None` for null, with which it says that
    /// memory is out.
    ///
    /// # Safety
    /// `raw` must be null, or a valid reference that nobody else gives back.
    #[cfg(feature = "vaapi")]
    #[must_use]
    pub unsafe fn adopt(raw: *mut sys::AVBufferRef) -> Option<Self> {
        NonNull::new(raw).map(Self)
    }

    /// One more reference to the same buffer; `None` if memory is out.
    #[cfg(feature = "vaapi")]
    #[must_use]
    pub fn share(&self) -> Option<Self> {
        // SAFETY: ours is valid, and the new one belongs to what is returned.
        unsafe { Self::adopt(sys::av_buffer_ref(self.0.as_ptr())) }
    }

    /// The reference, which stays ours.
    #[cfg(feature = "vaapi")]
    #[must_use]
    pub const fn as_ptr(&self) -> *mut sys::AVBufferRef {
        self.0.as_ptr()
    }

    /// The first byte.
    #[must_use]
    pub const fn data(&self) -> *mut u8 {
        // SAFETY: a counted reference is valid until it is given back.
        unsafe { self.0.as_ref() }.data
    }

    /// Hands the reference to foreign code, which must unreference it.
    #[must_use]
    #[expect(clippy::mem_forget, reason = "the reference now belongs to the pointer")]
    pub const fn into_raw(self) -> *mut sys::AVBufferRef {
        let raw = self.0.as_ptr();
        std::mem::forget(self);
        raw
    }

    /// One more reference to the packet that a buffer lies over, `len` bytes long.
    ///
    /// # Safety
    /// `buffer` must be a valid reference to a buffer made by [`Buffer::of_packet`]. Foreign code
    /// must have written its first `len` bytes and write no more.
    #[must_use]
    pub unsafe fn packet(buffer: *const sys::AVBufferRef, len: usize) -> Packet {
        // SAFETY: by the caller, the opaque pointer is the one `of_packet` gave, not yet taken back
        // as the buffer still has a reference.
        unsafe { PacketBuf::share_raw(sys::av_buffer_get_opaque(buffer), len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: the reference is ours and is given back once.
        unsafe { sys::av_buffer_unref(&raw mut raw) };
    }
}

unsafe extern "C" fn free_frame(raw: *mut c_void, _data: *mut u8) {
    // SAFETY: `raw` comes from `into_raw` in `of_frame`; FFmpeg calls this once.
    drop(unsafe { FrozenFrame::from_raw(raw) });
}

unsafe extern "C" fn free_packet(raw: *mut c_void, _data: *mut u8) {
    // SAFETY: `raw` comes from `into_raw` in `of_packet`; FFmpeg calls this once.
    drop(unsafe { PacketBuf::from_raw(raw) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Geometry, HEADROOM, PacketPool, PacketPoolSpec, Pool};
    use crate::media::{PixelFormat, Size};

    #[test]
    fn a_lent_picture_comes_back_with_the_last_reference_to_it() {
        let size = Size::new(64, 32).unwrap();
        let pool = Pool::new(Geometry::new(size, PixelFormat::I420), 1).unwrap();
        let frame = pool.take().unwrap().freeze();
        let pixels = frame.plane(0).as_ptr();
        let buffer = Buffer::of_frame(frame).unwrap();
        assert_eq!(buffer.data().cast_const(), pixels);
        // SAFETY: the buffer is valid; the new reference is given back by the other owner below.
        let more = unsafe { sys::av_buffer_ref(buffer.0.as_ptr()) };
        assert_eq!(pool.in_use(), 1);
        drop(buffer);
        assert_eq!(pool.in_use(), 1);
        // SAFETY: `more` is valid; a read-only buffer is never writable.
        assert_eq!(unsafe { sys::av_buffer_is_writable(more) }, 0);
        drop(Buffer(NonNull::new(more).unwrap()));
        assert_eq!(pool.in_use(), 0);
    }

    #[test]
    fn a_packet_that_foreign_code_filled_is_ours_alone_once_it_lets_go() {
        let pool = PacketPool::new(PacketPoolSpec { bytes_max: 16 << 20 }).unwrap();
        let buffer = Buffer::of_packet(pool.take(5), 5).unwrap();
        let at = buffer.data();
        // SAFETY: five bytes and the padding were asked for; the padding is written by `of_packet`.
        let packet = unsafe {
            at.copy_from_nonoverlapping(b"hello".as_ptr(), 5);
            assert!(std::slice::from_raw_parts(at.add(5), TAIL).iter().all(|byte| *byte == 0));
            Buffer::packet(buffer.0.as_ptr(), 5)
        };
        let packet = packet.into_unique().unwrap_err();
        drop(buffer);
        let mut packet = packet.into_unique().unwrap();
        assert_eq!((&*packet, packet.as_ptr()), (&b"hello"[..], at.cast_const()));
        packet.prepend(&[1; HEADROOM]);
        drop(packet);
        assert_eq!((pool.take(5).room() >= 5, pool.heap_packets()), (true, 0));
    }
}
