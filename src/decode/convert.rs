//! Picture converter: decoded pictures to pooled frames. Those that are shown as they are come in
//! them already; planar ones of 8 bits are scaled by kernels of ours, all others by libswscale, and
//! those with alpha too, where it is kept.

use std::ptr::NonNull;

use super::alpha::{self, Alpha};
use super::av::Decoder;
use super::decoded::Decoded;
use super::error::{Error, Fault};
use super::orient;
use super::resize::PlaneScaler;
use super::{DecodeSink, Queue, Scale};
use crate::ffi::sys as ffi;
use crate::frame::{Frame, FrozenFrame, Geometry, PictureEvent, Pool};
use crate::media::{Micros, Orientation, PixelFormat, Size};
use crate::scene::kernel::{BT709, ColorMatrix, LumaWeights};

/// Scales pictures of any kind into frames of one pool; a new pool when the size changes.
pub(super) struct Converter {
    scale: Scale,
    format: PixelFormat,
    queue: Queue,
    /// What the alpha of pictures has to do with their colours; `None` if it is not kept.
    alpha: Option<Alpha>,
    orientation: Orientation,
    source: Option<Look>,
    method: Option<Method>,
    pool: Option<Pool>,
    /// Where pictures are made that are then turned or mirrored.
    unturned: Option<Frame>,
}

/// How pictures of one look become frames of one geometry.
enum Method {
    /// Each plane by itself.
    Planes(Box<PlaneScaler>),
    Library(Scaler),
    /// The same into the upper half of a frame, with alpha below.
    Alpha(Scaler, Alpha),
}

/// Everything about a picture that decides how it is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    width: i32,
    height: i32,
    format: i32,
    matrix: i32,
    full_range: bool,
    /// Its rows follow each other in memory from the top down.
    is_upright: bool,
    /// Shape of a pixel, width to height.
    pixel: (i32, i32),
}

impl Converter {
    pub(super) fn new(scale: Scale, format: PixelFormat, queue: Queue) -> Self {
        Self {
            scale,
            format,
            queue,
            alpha: None,
            orientation: Orientation::UPRIGHT,
            source: None,
            method: None,
            pool: None,
            unturned: None,
        }
    }

    /// The same for an I420 canvas, which keeps alpha where there is some: frames are then twice as
    /// high, as [`Geometry::with_alpha`] says.
    pub(super) const fn keeping(mut self, alpha: Option<Alpha>) -> Self {
        self.alpha = alpha;
        self
    }

    /// The same for an I420 canvas on which pictures are turned and mirrored like this. Those of
    /// NV12 stay as they are.
    pub(super) const fn oriented(mut self, orientation: Orientation) -> Self {
        self.orientation = orientation;
        self
    }

    /// The same for each of these sizes, where so many pictures may wait for their reader.
    pub(super) fn each(&self, scales: Vec<Scale>, queue: u32) -> Vec<Self> {
        let one = |scale| {
            Self::new(scale, self.format, Box::new(move |_| queue))
                .keeping(self.alpha)
                .oriented(self.orientation)
        };
        scales.into_iter().map(one).collect()
    }

    /// The decoder's last picture at its size on the canvas, or `None` while every frame of the
    /// pool is in use.
    pub(super) fn convert(&mut self, decoder: &Decoder) -> Result<Option<FrozenFrame>, Error> {
        let picture = decoder.frame();
        self.expect(picture)?;
        if let Some(pool) = self.pool.as_ref().filter(|_| self.is_direct()) {
            decoder.memory().offer(pool);
            if let Some(frame) = frame_of(picture, pool) {
                return Ok(Some(frame));
            }
        }
        self.copy(picture)
    }

    /// The same of a picture that lies in memory of its own.
    pub(super) fn convert_picture(
        &mut self,
        picture: &Decoded,
    ) -> Result<Option<FrozenFrame>, Error> {
        self.expect(picture)?;
        self.copy(picture)
    }

    /// Is ready for pictures like this one.
    fn expect(&mut self, picture: &Decoded) -> Result<(), Error> {
        let look = Look::of(picture);
        if self.source == Some(look) { Ok(()) } else { self.prepare(look) }
    }

    fn copy(&mut self, picture: &Decoded) -> Result<Option<FrozenFrame>, Error> {
        let (Some(pool), Some(method)) = (&self.pool, &mut self.method) else {
            return Err(Error::Decoder(Fault::INVALID));
        };
        let Some(mut frame) = pool.take() else { return Ok(None) };
        match &mut self.unturned {
            None => method.run(picture, &mut frame)?,
            Some(unturned) => {
                method.run(picture, unturned)?;
                orient::frame(unturned, &mut frame, self.orientation);
            }
        }
        Ok(Some(frame.freeze()))
    }

    /// Whether pictures are shown as they are.
    fn is_direct(&self) -> bool {
        self.unturned.is_none()
            && matches!(&self.method, Some(Method::Planes(scaler)) if scaler.is_copy())
    }

    fn prepare(&mut self, look: Look) -> Result<(), Error> {
        self.source = None;
        let is_planar = self.format == PixelFormat::I420;
        let turn = if is_planar { self.orientation } else { Orientation::UPRIGHT };
        let shown = (self.scale)(turn.size(look.shown()));
        // As large as it is before it is turned.
        let size = turn.size(shown);
        let alpha = self.alpha.filter(|_| look.has_alpha());
        let fits = |size| Geometry::with_alpha(size).is_some();
        let alpha = alpha.filter(|_| fits(size) && fits(shown));
        let geometry_of = |size| {
            let stacked = alpha.and_then(|_| Geometry::with_alpha(size));
            stacked.unwrap_or_else(|| Geometry::new(size, self.format))
        };
        let (geometry, inner) = (geometry_of(shown), geometry_of(size));
        let sides = look.sides().filter(|_| is_planar);
        let method = match (alpha, sides) {
            (Some(alpha), _) => {
                let scaler = Scaler::new(look, size, ffi::AV_PIX_FMT_YUVA420P);
                Method::Alpha(scaler.map_err(Error::Decoder)?, alpha)
            }
            (None, Some(sides)) => {
                let matrix = ColorMatrix::to_bt709(look.weights(), look.full_range);
                Method::Planes(Box::new(PlaneScaler::new(sides, &inner, matrix)))
            }
            (None, None) => {
                let format = match self.format {
                    PixelFormat::I420 => ffi::AV_PIX_FMT_YUV420P,
                    PixelFormat::Nv12 => ffi::AV_PIX_FMT_NV12,
                };
                Method::Library(Scaler::new(look, size, format).map_err(Error::Decoder)?)
            }
        };
        self.method = Some(method);
        self.unturned = None;
        if !turn.is_upright() {
            self.unturned = Pool::new(inner, 1)?.take();
        }
        if self.pool.as_ref().is_none_or(|pool| *pool.geometry() != geometry) {
            self.pool = None; // before the new one: not both at once
            // Should pictures of that size come later that are shown as they are, some are copied.
            let direct = if self.is_direct() { super::DIRECT_PICTURES } else { 0 };
            let extra = super::POOL_EXTRA_PICTURES + direct;
            let slots = (self.queue)(size).saturating_add(extra);
            self.pool = Some(Pool::new(geometry, slots)?);
        }
        self.source = Some(look);
        Ok(())
    }
}

impl Method {
    /// Makes a frame of a picture.
    fn run(&mut self, picture: &Decoded, frame: &mut Frame) -> Result<(), Error> {
        let done = match self {
            Self::Planes(scaler) => {
                picture.planes().ok_or(Fault::INVALID).and_then(|planes| scaler.run(&planes, frame))
            }
            Self::Library(scaler) => scaler.run(picture, frame),
            Self::Alpha(scaler, kind) => {
                scaler.run(picture, frame).map(|()| alpha::stack(frame, *kind))
            }
        };
        done.map_err(Error::Decoder)
    }
}

/// Hands on the decoder's last picture, which is due at `at`, at further sizes; a size without room
/// goes without it.
pub(super) fn convert_further(
    converters: &mut [Converter],
    (decoder, at): (&Decoder, Micros),
    out: &mut dyn DecodeSink,
) {
    for (size, converter) in converters.iter_mut().enumerate() {
        // What is wrong with the picture was told at the first size.
        if let Ok(Some(frame)) = converter.convert(decoder) {
            out.further_picture(size, PictureEvent::Picture { frame, at });
        }
    }
}

impl std::fmt::Debug for Converter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Converter").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Look {
    fn of(picture: &Decoded) -> Self {
        let raw = picture.raw();
        let (format, old_full_range) = plain_format(raw.format);
        let pixel = (raw.sample_aspect_ratio.num, raw.sample_aspect_ratio.den);
        Self {
            width: raw.width,
            height: raw.height,
            format,
            matrix: matrix(raw.colorspace, raw.height),
            full_range: old_full_range || raw.color_range == ffi::AVCOL_RANGE_JPEG,
            is_upright: raw.linesize.iter().all(|bytes| *bytes >= 0),
            pixel: if pixel.0 > 0 && pixel.1 > 0 { pixel } else { (1, 1) },
        }
    }

    /// Width and height of a picture whose planes can be scaled by themselves.
    fn sides(&self) -> Option<(u32, u32)> {
        let side = |side: i32| u32::try_from(side).ok().filter(|side| *side > 0);
        let is_planar = self.format == ffi::AV_PIX_FMT_YUV420P && self.is_upright;
        is_planar.then_some((side(self.width)?, side(self.height)?))
    }

    /// Whether its format has alpha.
    fn has_alpha(&self) -> bool {
        // SAFETY: static data of the library; null for a number that it does not know.
        let about = unsafe { ffi::av_pix_fmt_desc_get(self.format).as_ref() };
        about.is_some_and(|about| about.flags & u64::from(ffi::AV_PIX_FMT_FLAG_ALPHA) != 0)
    }

    /// ITU-T H.273, table 4.
    fn weights(&self) -> LumaWeights {
        let (red, blue) = match self.matrix.cast_unsigned() {
            ffi::SWS_CS_ITU709 => return BT709,
            ffi::SWS_CS_FCC => (0.30, 0.11),
            ffi::SWS_CS_SMPTE240M => (0.212, 0.087),
            ffi::SWS_CS_BT2020 => (0.2627, 0.0593),
            _ => (0.299, 0.114),
        };
        LumaWeights { red, blue }
    }

    /// The size with square pixels, brought into the range that sizes have.
    fn shown(&self) -> Size {
        let even = |side: i64| {
            let side = side.clamp(i64::from(Size::SIDE_MIN), i64::from(Size::SIDE_MAX));
            u32::try_from(side & !1).unwrap_or(Size::SIDE_MIN)
        };
        let width = i64::from(self.width) * i64::from(self.pixel.0) / i64::from(self.pixel.1);
        let (width, height) = (even(width), even(i64::from(self.height)));
        let smallest = Size::new(Size::SIDE_MIN, Size::SIDE_MIN);
        #[expect(clippy::expect_used, reason = "both are even and within the range")]
        Size::new(width, height).or(smallest).expect("a clamped even size is a size")
    }
}

/// The picture as the frame of `pool` that it was decoded into, if it was.
fn frame_of(picture: &Decoded, pool: &Pool) -> Option<FrozenFrame> {
    let raw = picture.raw();
    // SAFETY: if the first plane begins where that of a slot does, the slot is the picture's
    // memory, which its buffer refers to; pictures that were given out are not written any more.
    let frame = unsafe { pool.frozen_at(raw.data[0]) }?;
    let size = frame.geometry().size();
    let is_whole = |side: i32, all: u32| side.cast_unsigned() == all;
    (is_whole(raw.width, size.width()) && is_whole(raw.height, size.height())).then_some(frame)
}

/// The `yuvj` formats are the `yuv` ones with full range.
const fn plain_format(format: i32) -> (i32, bool) {
    match format {
        ffi::AV_PIX_FMT_YUVJ420P => (ffi::AV_PIX_FMT_YUV420P, true),
        ffi::AV_PIX_FMT_YUVJ422P => (ffi::AV_PIX_FMT_YUV422P, true),
        ffi::AV_PIX_FMT_YUVJ444P => (ffi::AV_PIX_FMT_YUV444P, true),
        ffi::AV_PIX_FMT_YUVJ440P => (ffi::AV_PIX_FMT_YUV440P, true),
        ffi::AV_PIX_FMT_YUVJ411P => (ffi::AV_PIX_FMT_YUV411P, true),
        other => (other, false),
    }
}

/// The scaler's number for a colour matrix. What is not said is guessed as players do: BT.709 for
/// HD, BT.601 below.
const fn matrix(space: ffi::AVColorSpace, height: i32) -> i32 {
    let number = match space {
        ffi::AVCOL_SPC_BT709 => ffi::SWS_CS_ITU709,
        ffi::AVCOL_SPC_FCC => ffi::SWS_CS_FCC,
        ffi::AVCOL_SPC_BT470BG | ffi::AVCOL_SPC_SMPTE170M => ffi::SWS_CS_ITU601,
        ffi::AVCOL_SPC_SMPTE240M => ffi::SWS_CS_SMPTE240M,
        ffi::AVCOL_SPC_BT2020_NCL | ffi::AVCOL_SPC_BT2020_CL => ffi::SWS_CS_BT2020,
        _ if height >= 720 => ffi::SWS_CS_ITU709,
        _ => ffi::SWS_CS_ITU601,
    };
    number.cast_signed()
}

/// A scaler from one look to one size and format.
struct Scaler {
    context: NonNull<ffi::SwsContext>,
    /// It writes a fourth plane, which stands below the first.
    is_alpha: bool,
}

// SAFETY: a scaler may be used from any thread, one at a time, which `&mut self` ensures.
unsafe impl Send for Scaler {}

impl Scaler {
    fn new(from: Look, to: Size, format: i32) -> Result<Self, Fault> {
        let side = |side: u32| i32::try_from(side).map_err(|_| Fault::INVALID);
        let (width, height) = (side(to.width())?, side(to.height())?);
        let flags = ffi::SWS_BICUBIC.cast_signed();
        let (none, default) = (std::ptr::null_mut(), std::ptr::null());
        // SAFETY: plain numbers, which the call checks; null asks for defaults.
        let context = unsafe {
            ffi::sws_getCachedContext(
                none_context(),
                from.width,
                from.height,
                from.format,
                width,
                height,
                format,
                flags,
                none,
                none,
                default,
            )
        };
        let is_alpha = format == ffi::AV_PIX_FMT_YUVA420P;
        let context = NonNull::new(context).ok_or(Fault::INVALID)?;
        let scaler = Self { context, is_alpha };
        let (full, limited, one) = (i32::from(from.full_range), 0, 1 << 16);
        let target = ffi::SWS_CS_ITU709.cast_signed();
        // SAFETY: the tables are static data of the library, for any number; the context is ours.
        // A negative answer means that source and target have no matrices: nothing to convert.
        unsafe {
            let (from, to) =
                (ffi::sws_getCoefficients(from.matrix), ffi::sws_getCoefficients(target));
            ffi::sws_setColorspaceDetails(
                scaler.context.as_ptr(),
                from,
                full,
                to,
                limited,
                0,
                one,
                one,
            );
        }
        Ok(scaler)
    }

    fn run(&mut self, picture: &Decoded, frame: &mut Frame) -> Result<(), Fault> {
        let raw = picture.raw();
        let planes = frame.planes_mut();
        let mut data = [std::ptr::null_mut::<u8>(); 4];
        let mut strides = [0_i32; 4];
        for (index, plane) in planes.into_iter().enumerate() {
            if !plane.data.is_empty() {
                data[index] = plane.data.as_mut_ptr();
                strides[index] = i32::try_from(plane.stride).map_err(|_| Fault::INVALID)?;
                if index == 0 && self.is_alpha {
                    let half = plane.stride * (plane.rows / 2);
                    (data[3], strides[3]) = (plane.data[half..].as_mut_ptr(), strides[0]);
                }
            }
        }
        // SAFETY: the source planes are those of a decoded frame, whose look the scaler was made
        // for; the target planes have the rows and strides of the size it was made for, of a frame
        // twice as high both the first and the fourth, and `frame` is borrowed mutably, so nobody
        // reads them.
        let rows = unsafe {
            ffi::sws_scale(
                self.context.as_ptr(),
                raw.data.as_ptr().cast(),
                raw.linesize.as_ptr(),
                0,
                raw.height,
                data.as_ptr(),
                strides.as_ptr(),
            )
        };
        Fault::check(rows).map(drop)
    }
}

const fn none_context() -> *mut ffi::SwsContext {
    std::ptr::null_mut()
}

impl Drop for Scaler {
    fn drop(&mut self) {
        // SAFETY: owned; freed once.
        unsafe { ffi::sws_freeContext(self.context.as_ptr()) };
    }
}

#[cfg(test)]
mod tests;
