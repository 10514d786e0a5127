//! Surfaces of a GPU that pictures are written into: NV12, mapped where the driver can.
//!
//! Memory that is mapped is often uncached: it is written once, from the beginning to the end, and
//! never read.

use std::ffi::c_int;
use std::ptr::NonNull;

use super::device::Device;
use crate::encode::{Error, VideoSpec};
use crate::ffi::{Buffer, av, sys};
use crate::frame::FrozenFrame;
use crate::media::PixelFormat;

/// Surfaces of an encoder: the one that is written, and those of pictures that libavcodec keeps as
/// long as others refer to them.
const SURFACES: c_int = 8;

/// libavutil's frame for the memory of a surface while it is mapped.
pub(super) struct Mapping(NonNull<sys::AVFrame>);

impl Mapping {
    pub(super) fn new() -> Result<Self, Error> {
        // SAFETY: a plain allocation.
        let frame = NonNull::new(unsafe { sys::av_frame_alloc() });
        frame.map(Self).ok_or_else(|| Error::Unavailable("out of memory".to_owned()))
    }

    /// Takes a surface of the pool into `surface`, and writes the picture into it: the one copy
    /// that is made of it here. Where the driver does not map, libavutil hands on what was written.
    pub(super) fn write(
        &self,
        pool: *mut sys::AVBufferRef,
        surface: &mut sys::AVFrame,
        picture: &FrozenFrame,
    ) -> Result<(), Error> {
        let failed = |what: &str, code| Error::Device(format!("{what}: {}", av::error_text(code)));
        // SAFETY: the pool belongs to the codec that `surface` is of, which has no surface now.
        let code = unsafe { sys::av_hwframe_get_buffer(pool, surface, 0) };
        if code < 0 {
            return Err(failed("the driver has no surface left", code));
        }
        let mapped = self.0.as_ptr();
        let flags = sys::AV_HWFRAME_MAP_WRITE | sys::AV_HWFRAME_MAP_OVERWRITE;
        // SAFETY: both frames are ours; the mapping is empty, and its format is the surface's.
        let code = unsafe {
            (*mapped).format = sys::AV_PIX_FMT_NV12;
            sys::av_hwframe_map(mapped, surface, flags as c_int)
        };
        if code < 0 {
            // SAFETY: gives the surface back to its pool.
            unsafe { sys::av_frame_unref(surface) };
            return Err(failed("the driver maps no surface", code));
        }
        // SAFETY: libavutil has mapped a picture of this size in NV12, for writing, until the frame
        // is unreferenced, which ends the mapping.
        unsafe {
            copy(picture, &*mapped);
            sys::av_frame_unref(mapped);
        }
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let mut frame = self.0.as_ptr();
        // SAFETY: allocated by us, freed once.
        unsafe { sys::av_frame_free(&raw mut frame) };
    }
}

/// A pool of surfaces for a task.
#[expect(clippy::cast_ptr_alignment, reason = "libavutil aligns what it allocates")]
pub(super) fn pool(device: &Device, spec: &VideoSpec) -> Result<Buffer, Error> {
    // SAFETY: the device is valid; the context of frames is ours.
    let pool = unsafe { Buffer::adopt(sys::av_hwframe_ctx_alloc(device.raw())) };
    let pool = pool.ok_or_else(|| Error::Unavailable("out of memory".to_owned()))?;
    // SAFETY: the buffer holds a context of frames that is ours alone until it is initialised.
    let code = unsafe {
        let frames = &mut *pool.data().cast::<sys::AVHWFramesContext>();
        frames.format = sys::AV_PIX_FMT_VAAPI;
        frames.sw_format = sys::AV_PIX_FMT_NV12;
        frames.width = spec.size.width().cast_signed();
        frames.height = spec.size.height().cast_signed();
        frames.initial_pool_size = SURFACES;
        sys::av_hwframe_ctx_init(pool.as_ptr())
    };
    if code < 0 {
        let text = format!("the driver makes no surfaces of {}", spec.size);
        return Err(Error::Unavailable(format!("{text}: {}", av::error_text(code))));
    }
    Ok(pool)
}

/// Writes a picture as NV12.
///
/// # Safety
/// `to` must be memory for a picture of the same size in NV12 that may be written.
unsafe fn copy(picture: &FrozenFrame, to: &sys::AVFrame) {
    let planes = picture.geometry().planes();
    let row_of = |index: usize, row: usize| {
        let at = row * planes[index].stride;
        &picture.plane(index)[at..at + planes[index].width]
    };
    // SAFETY: by the caller there are as many rows of as many bytes in each plane of `to`.
    let into = |index: usize, row: usize, width: usize| unsafe {
        let stride = to.linesize[index].unsigned_abs() as usize;
        std::slice::from_raw_parts_mut(to.data[index].add(row * stride), width)
    };
    for row in 0..planes[0].rows {
        into(0, row, planes[0].width).copy_from_slice(row_of(0, row));
    }
    for row in 0..planes[1].rows {
        match picture.geometry().format() {
            PixelFormat::Nv12 => into(1, row, planes[1].width).copy_from_slice(row_of(1, row)),
            PixelFormat::I420 => {
                let pairs = into(1, row, 2 * planes[1].width).chunks_exact_mut(2);
                for (pair, (u, v)) in pairs.zip(row_of(1, row).iter().zip(row_of(2, row))) {
                    pair.copy_from_slice(&[*u, *v]);
                }
            }
        }
    }
}
