//! Plane geometry: where the planes of a picture lie inside a slot.

use crate::media::{PixelFormat, Size};

/// Alignment of every plane and stride, bytes: one AVX-512 register.
pub(super) const ALIGN: usize = 64;

/// Bytes past the last plane that readers in vector steps may touch
/// (`AV_INPUT_BUFFER_PADDING_SIZE`).
const TAIL: usize = 64;

/// Rows are a multiple of this: a pair of macroblocks, one of each field.
const ROWS: usize = 32;

/// Rows below that are read when a motion vector points there.
const ROWS_READ: usize = 2;

/// One plane of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plane {
    /// First byte, from the slot's start; a multiple of 64.
    pub offset: usize,
    /// Bytes from one row to the next; a multiple of 64.
    pub stride: usize,
    /// Bytes of a row that hold pixels.
    pub width: usize,
    /// Rows.
    pub rows: usize,
    /// Rows that there is memory for: codecs read and write whole macroblocks, in both fields, and
    /// read a little further.
    pub room: usize,
}

/// Sizes and places of all planes of one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    size: Size,
    /// Less high than `size` where alpha lies below the colours.
    shown: Size,
    format: PixelFormat,
    planes: [Plane; 3],
    bytes: usize,
}

impl Geometry {
    /// The layout of a `size` picture in `format`.
    #[must_use]
    pub fn new(size: Size, format: PixelFormat) -> Self {
        let (width, height) = (size.width() as usize, size.height() as usize);
        let shapes: &[(usize, usize)] = match format {
            PixelFormat::I420 => {
                &[(width, height), (width / 2, height / 2), (width / 2, height / 2)]
            }
            PixelFormat::Nv12 => &[(width, height), (width, height / 2)],
        };
        let mut planes = [Plane::default(); 3];
        let mut offset = 0;
        for (index, (plane, (width, rows))) in planes.iter_mut().zip(shapes).enumerate() {
            // Planes a multiple of 4 KiB apart would compete for the same cache sets.
            offset += index * ALIGN;
            // Rows of luma twice as far apart as those of colour are what decoders take.
            let align = if shapes.len() == 3 && index == 0 { 2 * ALIGN } else { ALIGN };
            let stride = width.next_multiple_of(align);
            let room = rows.next_multiple_of(ROWS) + ROWS_READ;
            *plane = Plane { offset, stride, width: *width, rows: *rows, room };
            offset += stride * room;
        }
        Self { size, shown: size, format, planes, bytes: offset + TAIL }
    }

    /// The layout of an I420 picture of `size` with its alpha: a frame twice as high, whose upper
    /// half has colours that are multiplied by alpha, and whose lower half has alpha in all planes,
    /// at luma resolution and at chroma resolution. `None` if that is higher than frames are.
    #[must_use]
    pub fn with_alpha(size: Size) -> Option<Self> {
        let whole = Size::new(size.width(), size.height() * 2)?;
        Some(Self { shown: size, ..Self::new(whole, PixelFormat::I420) })
    }

    /// Size of the picture that is seen, luma pixels.
    #[must_use]
    pub const fn shown(&self) -> Size {
        self.shown
    }

    /// Whether alpha lies below the colours.
    #[must_use]
    pub const fn has_alpha(&self) -> bool {
        self.shown.height() != self.size.height()
    }

    /// Size of the frame, luma pixels, with the alpha that lies in it.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Pixel format.
    #[must_use]
    pub const fn format(&self) -> PixelFormat {
        self.format
    }

    /// The planes, as many as the format has.
    #[must_use]
    pub fn planes(&self) -> &[Plane] {
        &self.planes[..self.format.planes()]
    }

    /// Bytes of a slot.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_makes_a_frame_twice_as_high() {
        let size = Size::new(64, 4_096).unwrap();
        let geometry = Geometry::with_alpha(size).unwrap();
        assert_eq!((geometry.size().height(), geometry.shown()), (8_192, size));
        assert!(geometry.has_alpha() && !Geometry::new(size, PixelFormat::I420).has_alpha());
        assert!(Geometry::with_alpha(Size::new(64, 4_098).unwrap()).is_none());
    }

    #[test]
    fn planes_are_aligned_and_do_not_overlap() {
        for (w, h) in [(16, 16), (1920, 1080), (1280, 720), (642, 362), (8192, 8192)] {
            for format in [PixelFormat::I420, PixelFormat::Nv12] {
                let geometry = Geometry::new(Size::new(w, h).unwrap(), format);
                let mut end = 0;
                for plane in geometry.planes() {
                    assert_eq!((plane.offset % ALIGN, plane.stride % ALIGN), (0, 0));
                    assert!(plane.offset >= end && plane.width <= plane.stride);
                    end = plane.offset + plane.stride * plane.room;
                }
                assert!(end + TAIL <= geometry.bytes());
            }
        }
    }
}
