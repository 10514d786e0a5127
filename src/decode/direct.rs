//! Direct decoding: pictures that libavcodec decodes into frames of a pool, so that nothing is
//! copied where they are shown as they are. All `unsafe` about it is in here and in
//! `frame/pool.rs`.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::DIRECT_PICTURES;
use crate::ffi::sys as ffi;
use crate::frame::{Frame, FrozenFrame, Pool};

/// Where a decoder takes memory for its pictures from: a pool, if it was offered one whose frames
/// are as it wants them, or libavcodec's own.
#[derive(Debug, Default)]
pub(super) struct PictureMemory {
    /// The first that was offered. Of a stream that changes its size pictures are copied from then
    /// on, until it has another decoder.
    pool: OnceLock<Pool>,
    /// Frames of pools that the decoder refers to.
    held: AtomicU32,
}

/// What a buffer of libavcodec keeps: the frame, until it is no longer referred to.
struct Lease {
    _frame: FrozenFrame,
    memory: Arc<PictureMemory>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(1, Ordering::Relaxed);
    }
}

impl PictureMemory {
    /// Pictures of the pool's size are decoded into it from now on, if it is the first one.
    pub(super) fn offer(&self, pool: &Pool) {
        self.pool.get_or_init(|| pool.clone());
    }

    /// Frames of pools that the decoder refers to now.
    #[cfg(test)]
    pub(super) fn held(&self) -> u32 {
        self.held.load(Ordering::Relaxed)
    }

    /// A frame for a picture, if there is a pool for it and the decoder does not hold too many.
    fn take(&self) -> Option<Frame> {
        let pool = self.pool.get()?;
        (self.held.load(Ordering::Relaxed) < DIRECT_PICTURES).then(|| pool.take()).flatten()
    }
}

/// Has a decoder take the memory of its pictures by these rules.
///
/// # Safety
/// `context` is not open yet, and `memory` outlives it.
pub(super) unsafe fn attach(context: &mut ffi::AVCodecContext, memory: &Arc<PictureMemory>) {
    context.opaque = Arc::as_ptr(memory).cast_mut().cast();
    context.get_buffer2 = Some(get_buffer);
    // Without it the decoder's threads would wait for the one that asks for pictures.
    #[cfg(feature = "ffmpeg5")]
    {
        context.thread_safe_callbacks = 1;
    }
}

/// libavcodec's question for memory. Called on the decoder's threads, of which each has a copy of
/// the context.
unsafe extern "C" fn get_buffer(
    context: *mut ffi::AVCodecContext,
    picture: *mut ffi::AVFrame,
    flags: c_int,
) -> c_int {
    // SAFETY: both pointers are valid for the call, and `opaque` is the decoder's memory, of which
    // it keeps a reference for as long as the context lives.
    unsafe {
        let memory = (*context).opaque.cast::<PictureMemory>().cast_const();
        if !memory.is_null() && give(&mut *context, &mut *picture, memory) {
            return 0;
        }
        ffi::avcodec_default_get_buffer2(context, picture, flags)
    }
}

/// Gives the picture a frame. Whether it has one now.
///
/// # Safety
/// `memory` is inside an `Arc`.
unsafe fn give(
    context: &mut ffi::AVCodecContext,
    picture: &mut ffi::AVFrame,
    memory: *const PictureMemory,
) -> bool {
    // Others write beside their pictures, or want room around them.
    let is_plain = matches!(context.codec_id, ffi::AV_CODEC_ID_H264 | ffi::AV_CODEC_ID_HEVC);
    if !is_plain || picture.format != ffi::AV_PIX_FMT_YUV420P {
        return false;
    }
    // SAFETY: by the contract above; what is counted here belongs to the new handle.
    let memory = unsafe {
        Arc::increment_strong_count(memory);
        Arc::from_raw(memory)
    };
    let Some(mut frame) = memory.take() else { return false };
    if !fits(context, picture, &frame) {
        return false;
    }
    let strides = frame.geometry().planes().iter().map(|plane| plane.stride).collect::<Vec<_>>();
    let bytes = frame.geometry().bytes();
    let planes = frame.planes_raw();
    memory.held.fetch_add(1, Ordering::Relaxed);
    let lease = Box::new(Lease { _frame: frame.freeze(), memory });
    let lease = Box::into_raw(lease).cast::<c_void>();
    // SAFETY: the memory is the slot's, which the lease keeps until the buffer calls `release`.
    let buffer = unsafe { ffi::av_buffer_create(planes[0], bytes, Some(release), lease, 0) };
    let Some(buffer) = NonNull::new(buffer) else {
        // SAFETY: made above; without a buffer nobody calls `release`.
        drop(unsafe { Box::from_raw(lease.cast::<Lease>()) });
        return false;
    };
    for (index, (plane, stride)) in planes.into_iter().zip(strides).enumerate() {
        picture.data[index] = plane;
        picture.linesize[index] = c_int::try_from(stride).unwrap_or(0);
    }
    picture.extended_data = picture.data.as_mut_ptr();
    picture.buf[0] = buffer.as_ptr();
    true
}

/// Whether a frame has the room that the decoder wants, in rows as far apart as libavcodec's own
/// would be: decoders take it that all pictures of a stream have the same.
fn fits(context: &mut ffi::AVCodecContext, picture: &ffi::AVFrame, frame: &Frame) -> bool {
    let (mut width, mut height, mut aligns) = (picture.width, picture.height, [0; 8]);
    // SAFETY: the context is valid, and the answers are ours.
    unsafe {
        ffi::avcodec_align_dimensions2(
            context,
            &raw mut width,
            &raw mut height,
            aligns.as_mut_ptr(),
        );
    }
    let geometry = frame.geometry();
    let shown = (context.width.cast_unsigned(), context.height.cast_unsigned());
    if shown != (geometry.size().width(), geometry.size().height()) {
        return false;
    }
    // As libavcodec does: wider until every plane's rows are aligned.
    let side = |side: c_int| usize::try_from(side).unwrap_or(0);
    let align = |index: usize| side(aligns[index]).max(1);
    let mut stride = side(width).max(1);
    while !stride.is_multiple_of(align(0)) || !(stride / 2).is_multiple_of(align(1)) {
        stride += 1 << stride.trailing_zeros();
    }
    geometry.planes().iter().enumerate().all(|(index, plane)| {
        let coarse = index.min(1);
        plane.stride == stride >> coarse && plane.room >= side(height).div_ceil(1 << coarse)
    })
}

/// The last reference to a picture's memory has gone.
unsafe extern "C" fn release(lease: *mut c_void, _data: *mut u8) {
    // SAFETY: made in `give`, and called once by the buffer that it was given to.
    drop(unsafe { Box::from_raw(lease.cast::<Lease>()) });
}
