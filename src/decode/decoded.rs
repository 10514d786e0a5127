//! Owner of a decoded picture or piece of audio. All `unsafe` about it is in here.

use std::ptr::NonNull;

use super::error::Fault;
use super::resize::SourcePlane;
use crate::ffi::sys as ffi;
use crate::frame::PlaneMut;

/// `AV_NOPTS_VALUE`: no time is known.
pub(super) const NO_TIME: i64 = i64::MIN;

/// Where a plane is, and what of it is seen.
#[derive(Clone, Copy)]
struct PlaneSides {
    data: NonNull<u8>,
    stride: usize,
    width: usize,
    rows: usize,
}

/// A decoded picture or piece of audio.
#[derive(Debug)]
pub(super) struct Decoded(NonNull<ffi::AVFrame>);

// SAFETY: the frame is owned here alone and its data is reference-counted atomically.
unsafe impl Send for Decoded {}

impl Decoded {
    pub(super) fn new() -> Result<Self, Fault> {
        // SAFETY: no arguments; a null answer is an error.
        NonNull::new(unsafe { ffi::av_frame_alloc() }).map(Self).ok_or(Fault::MEMORY)
    }

    /// A picture of this size and format in memory of its own, whose rows follow each other without
    /// gaps; all zero, and in BT.709 of limited range where that says something.
    pub(super) fn with_memory((width, height): (i32, i32), format: i32) -> Result<Self, Fault> {
        let mut picture = Self::new()?;
        // SAFETY: owned, never null, and nobody else has it yet.
        let raw = unsafe { picture.0.as_mut() };
        (raw.width, raw.height, raw.format) = (width, height, format);
        (raw.colorspace, raw.color_range) = (ffi::AVCOL_SPC_BT709, ffi::AVCOL_RANGE_MPEG);
        // SAFETY: an empty frame of ours whose size and format are set.
        Fault::check(unsafe { ffi::av_frame_get_buffer(raw, 1) })?;
        for index in 0..3 {
            let (data, bytes) = picture.memory_of(index);
            // SAFETY: so many bytes of a buffer that nobody else refers to.
            unsafe { data.write_bytes(0, bytes) };
        }
        Ok(picture)
    }

    /// Audio of these samples of one channel.
    #[cfg(test)]
    pub(super) fn mono(rate: i32, samples: &[f32]) -> Self {
        let mut audio = Self::new().unwrap();
        let raw = audio.raw_mut();
        (raw.format, raw.sample_rate) = (ffi::AV_SAMPLE_FMT_FLT, rate);
        raw.nb_samples = i32::try_from(samples.len()).unwrap();
        // SAFETY: an empty frame of ours whose form is set right before its memory is taken, which
        // then has room for as many samples.
        unsafe {
            ffi::av_channel_layout_default(&raw mut raw.ch_layout, 1);
            Fault::check(ffi::av_frame_get_buffer(raw, 0)).unwrap();
            let bytes = samples.as_ptr().cast::<u8>();
            raw.data[0].copy_from_nonoverlapping(bytes, size_of_val(samples));
        }
        audio
    }

    /// A plane of a picture that [`Decoded::with_memory`] has made: empty if its format has fewer.
    #[expect(clippy::needless_pass_by_ref_mut, reason = "what it points to is written")]
    pub(super) fn plane_mut(&mut self, index: usize) -> &mut [u8] {
        let (data, bytes) = self.memory_of(index);
        if bytes == 0 {
            return &mut [];
        }
        // SAFETY: the buffer has so many bytes, all of them written, and is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(data, bytes) }
    }

    /// Where a plane begins, and how many bytes its rows have; of a format whose chroma has half as
    /// many rows.
    const fn memory_of(&self, index: usize) -> (*mut u8, usize) {
        let raw = self.raw();
        let rows = if index == 0 { raw.height } else { (raw.height + 1) / 2 };
        let data = raw.data[index];
        let bytes = raw.linesize[index].cast_unsigned() as usize * rows.cast_unsigned() as usize;
        if data.is_null() { (data, 0) } else { (data, bytes) }
    }

    /// For the library, which empties it and fills it anew.
    #[expect(clippy::needless_pass_by_ref_mut, reason = "the library writes what it points to")]
    pub(super) const fn as_mut_ptr(&mut self) -> *mut ffi::AVFrame {
        self.0.as_ptr()
    }

    /// The library's view, for the converters.
    pub(super) const fn raw(&self) -> &ffi::AVFrame {
        // SAFETY: owned, never null; written only by `Decoder::receive`, through `&mut`.
        unsafe { self.0.as_ref() }
    }

    /// The library's view, for a test that makes a picture.
    #[cfg(test)]
    pub(super) const fn raw_mut(&mut self) -> &mut ffi::AVFrame {
        // SAFETY: owned, never null, and borrowed mutably.
        unsafe { self.0.as_mut() }
    }

    /// The planes of a picture of `AV_PIX_FMT_YUV420P`; `None` if it is another, or upside down.
    pub(super) fn planes(&self) -> Option<[SourcePlane<'_>; 3]> {
        if self.coarse() == Some((1, 1)) { self.planar() } else { None }
    }

    /// The planes of a picture of 8 bits with three of them; `None` if it is another, or upside
    /// down.
    pub(super) fn planar(&self) -> Option<[SourcePlane<'_>; 3]> {
        let sides = self.plane_sides()?;
        let plane = |index: usize| {
            let PlaneSides { data, stride, width, rows } = sides[index];
            // SAFETY: a decoded picture has so many rows of this plane, each as long.
            let data =
                unsafe { std::slice::from_raw_parts(data.as_ptr(), (rows - 1) * stride + width) };
            SourcePlane { data, stride, width, rows }
        };
        Some([plane(0), plane(1), plane(2)])
    }

    /// The same to be written, of a picture that [`Decoded::like`] has made.
    #[expect(clippy::needless_pass_by_ref_mut, reason = "what it points to is written")]
    pub(super) fn planar_mut(&mut self) -> Option<[PlaneMut<'_>; 3]> {
        let sides = self.plane_sides()?;
        let plane = |index: usize| {
            let PlaneSides { data, stride, width, rows } = sides[index];
            // SAFETY: the buffer is ours alone, has so many rows, all of which were written once,
            // and is borrowed mutably; planes do not overlap.
            let data = unsafe {
                std::slice::from_raw_parts_mut(data.as_ptr(), (rows - 1) * stride + width)
            };
            PlaneMut { data, stride, width, rows }
        };
        Some([plane(0), plane(1), plane(2)])
    }

    fn plane_sides(&self) -> Option<[PlaneSides; 3]> {
        let (raw, (coarse_x, coarse_y)) = (self.raw(), self.coarse()?);
        let side = |side: i32| usize::try_from(side).ok().filter(|side| *side > 0);
        let (width, height) = (side(raw.width)?, side(raw.height)?);
        let plane = |index: usize| {
            let (x, y) = if index == 0 { (0, 0) } else { (coarse_x, coarse_y) };
            let (width, rows) = (width.div_ceil(1 << x), height.div_ceil(1 << y));
            let stride = side(raw.linesize[index]).filter(|stride| *stride >= width)?;
            Some(PlaneSides { data: NonNull::new(raw.data[index])?, stride, width, rows })
        };
        Some([plane(0)?, plane(1)?, plane(2)?])
    }

    /// By which powers of two its colour is coarser than its luma, across and down, of a format of
    /// 8 bits with three planes.
    const fn coarse(&self) -> Option<(u32, u32)> {
        match self.raw().format {
            ffi::AV_PIX_FMT_YUV420P | ffi::AV_PIX_FMT_YUVJ420P => Some((1, 1)),
            ffi::AV_PIX_FMT_YUV422P | ffi::AV_PIX_FMT_YUVJ422P => Some((1, 0)),
            ffi::AV_PIX_FMT_YUV444P | ffi::AV_PIX_FMT_YUVJ444P => Some((0, 0)),
            _ => None,
        }
    }

    /// Whether its upper field comes first, if it says that it is of two fields.
    #[cfg(any(feature = "ffmpeg5", feature = "ffmpeg6"))]
    pub(super) fn is_top_first(&self) -> Option<bool> {
        let raw = self.raw();
        (raw.interlaced_frame != 0).then_some(raw.top_field_first != 0)
    }

    /// Whether its upper field comes first, if it says that it is of two fields.
    #[cfg(not(any(feature = "ffmpeg5", feature = "ffmpeg6")))]
    pub(super) fn is_top_first(&self) -> Option<bool> {
        let has = |flag: u32| self.raw().flags & flag.cast_signed() != 0;
        has(ffi::AV_FRAME_FLAG_INTERLACED).then(|| has(ffi::AV_FRAME_FLAG_TOP_FIELD_FIRST))
    }

    /// Whether two pictures have the same size and format.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let look = |raw: &ffi::AVFrame| (raw.width, raw.height, raw.format);
        look(self.raw()) == look(other.raw())
    }

    /// A picture of the same size and format, in memory of its own.
    pub(super) fn like(other: &Self) -> Result<Self, Fault> {
        let mut picture = Self::new()?;
        // SAFETY: owned, never null, and nobody else has it yet.
        let raw = unsafe { picture.0.as_mut() };
        let from = other.raw();
        (raw.width, raw.height, raw.format) = (from.width, from.height, from.format);
        // SAFETY: an empty frame of ours whose size and format are set.
        Fault::check(unsafe { ffi::av_frame_get_buffer(raw, 0) })?;
        // SAFETY: both have buffers of the same size and format; the copy writes every row.
        Fault::check(unsafe { ffi::av_frame_copy(raw, from) })?;
        Ok(picture)
    }

    /// The same picture with the times, colours and shape of pixels of another.
    pub(super) fn with_properties(mut self, other: &Self) -> Result<Self, Fault> {
        // SAFETY: both frames are valid, and ours is borrowed by nobody.
        Fault::check(unsafe { ffi::av_frame_copy_props(self.0.as_mut(), other.raw()) })?;
        Ok(self)
    }

    /// Another handle of the same memory, which nobody writes any more.
    pub(super) fn share(&self) -> Result<Self, Fault> {
        let picture = Self::new()?;
        // SAFETY: an empty frame of ours and a valid one, whose buffers are counted.
        Fault::check(unsafe { ffi::av_frame_ref(picture.0.as_ptr(), self.raw()) })?;
        Ok(picture)
    }

    /// Its time in its stream's units.
    pub(super) fn time(&self) -> Option<i64> {
        let raw = self.raw();
        let time = if raw.pts == NO_TIME { raw.best_effort_timestamp } else { raw.pts };
        (time != NO_TIME).then_some(time)
    }

    /// How long it is shown, in its stream's units, if it says so.
    pub(super) fn duration(&self) -> Option<i64> {
        #[cfg(feature = "ffmpeg5")]
        let duration = self.raw().pkt_duration;
        #[cfg(not(feature = "ffmpeg5"))]
        let duration = self.raw().duration;
        (duration > 0).then_some(duration)
    }

    /// How long its audio is, microseconds.
    pub(super) fn audio_micros(&self) -> i64 {
        let raw = self.raw();
        let rate = i64::from(raw.sample_rate.max(1));
        i64::from(raw.nb_samples) * 1_000_000 / rate
    }
}

impl Drop for Decoded {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: owned; freed once.
        unsafe { ffi::av_frame_free(&raw mut raw) };
    }
}
