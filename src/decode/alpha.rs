//! Alpha of decoded pictures, below their colours: one frame holds both.

use crate::frame::Frame;
use crate::media::Size;
use crate::scene::kernel::mul255;

/// The size of a frame for pictures of this size with their alpha: twice as high. `None` if that is
/// higher than frames are.
pub(super) const fn stacked(size: Size) -> Option<Size> {
    Size::new(size.width(), size.height() * 2)
}

/// Makes a picture whose upper half has colours that are not multiplied by their alpha, and whose
/// lower half of luma has alpha, one whose colours are, and whose lower half has alpha in all
/// planes: at luma resolution, and at chroma resolution in both of chroma.
pub(super) fn stack(frame: &mut Frame) {
    let [luma, cb, cr] = frame.planes_mut();
    let (colors, alpha) = luma.data.split_at_mut(luma.stride * luma.rows / 2);
    let half = cb.stride * cb.rows / 2;
    let ([cb_colors, cb_alpha], [cr_colors, cr_alpha]) =
        (halves(cb.data, half), halves(cr.data, half));
    for y in 0..cb.rows / 2 {
        let pair = &alpha[2 * y * luma.stride..][..2 * luma.stride];
        let (above, below) = pair.split_at(luma.stride);
        let at = y * cb.stride;
        for x in 0..cb.width {
            let four = [above[2 * x], above[2 * x + 1], below[2 * x], below[2 * x + 1]];
            let sum: u16 = four.into_iter().map(u16::from).sum();
            let mean = u8::try_from((sum + 2) / 4).unwrap_or(255);
            (cb_alpha[at + x], cr_alpha[at + x]) = (mean, mean);
            cb_colors[at + x] = mul255(cb_colors[at + x], mean);
            cr_colors[at + x] = mul255(cr_colors[at + x], mean);
        }
    }
    for (color, alpha) in colors.iter_mut().zip(alpha) {
        *color = mul255(*color, *alpha);
    }
}

fn halves(data: &mut [u8], half: usize) -> [&mut [u8]; 2] {
    let (above, below) = data.split_at_mut(half);
    [above, below]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Geometry, Pool};
    use crate::media::PixelFormat;

    #[test]
    fn colours_are_multiplied_by_the_alpha_that_stands_below_them() {
        let size = stacked(Size::new(16, 16).unwrap()).unwrap();
        let pool = Pool::new(Geometry::new(size, PixelFormat::I420), 1).unwrap();
        let mut frame = pool.take().unwrap();
        for (plane, value) in frame.planes_mut().into_iter().zip([200, 100, 50]) {
            plane.data.fill(value);
        }
        let luma = frame.planes_mut().into_iter().next().unwrap();
        let half = luma.stride * 16;
        luma.data[half..].fill(255);
        luma.data[half..half + 2].fill(0);
        luma.data[half + luma.stride..][..2].fill(128);
        stack(&mut frame);
        let planes = frame.geometry().planes().to_vec();
        let at =
            |plane: usize, x: usize, y: usize| frame.plane(plane)[y * planes[plane].stride + x];
        assert_eq!([at(0, 0, 0), at(0, 1, 1), at(0, 2, 0)], [0, 100, 200]);
        assert_eq!([at(1, 0, 0), at(2, 0, 0), at(1, 0, 8), at(2, 0, 8)], [25, 13, 64, 64]);
        assert_eq!([at(1, 1, 0), at(2, 1, 0), at(1, 1, 8), at(2, 1, 8)], [100, 50, 255, 255]);
    }

    #[test]
    fn a_picture_that_would_be_too_high_with_its_alpha_has_none() {
        assert!(stacked(Size::new(4_096, 4_096).unwrap()).is_some());
        assert!(stacked(Size::new(4_096, 4_098).unwrap()).is_none());
    }
}
