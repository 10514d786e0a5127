//! Alpha of decoded pictures, below their colours: one frame holds both.

use crate::frame::Frame;
use crate::scene::kernel::mul255;

/// Luma of black, and chroma of grey: what alpha leaves of them is missing in colours that were
/// multiplied by alpha before they became luma and chroma.
const BLACK: u8 = 16;
const GREY: u8 = 128;

/// Whether colours have been multiplied by their alpha.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alpha {
    Straight,
    /// As red, green and blue.
    Premultiplied,
}

impl Alpha {
    /// The colour in the frame, of a colour as it is; `offset` is what stands for nothing.
    fn applied(self, color: u8, alpha: u8, offset: u8) -> u8 {
        match self {
            Self::Straight => mul255(color, alpha),
            // No more than alpha leaves room for: scaling may overshoot.
            Self::Premultiplied => color.saturating_sub(mul255(offset, 255 - alpha)).min(alpha),
        }
    }
}

/// Makes a picture whose upper half has colours, and whose lower half of luma has alpha, one whose
/// colours are multiplied by it, and whose lower half has alpha in all planes: at luma resolution,
/// and at chroma resolution in both of chroma.
pub(super) fn stack(frame: &mut Frame, kind: Alpha) {
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
            cb_colors[at + x] = kind.applied(cb_colors[at + x], mean, GREY);
            cr_colors[at + x] = kind.applied(cr_colors[at + x], mean, GREY);
        }
    }
    for (color, alpha) in colors.iter_mut().zip(alpha) {
        *color = kind.applied(*color, *alpha, BLACK);
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
    use crate::media::Size;

    #[test]
    fn colours_are_multiplied_by_the_alpha_that_stands_below_them() {
        let size = Size::new(16, 16).unwrap();
        let pool = Pool::new(Geometry::with_alpha(size).unwrap(), 1).unwrap();
        let mut frame = pool.take().unwrap();
        for (plane, value) in frame.planes_mut().into_iter().zip([200, 100, 50]) {
            plane.data.fill(value);
        }
        let luma = frame.planes_mut().into_iter().next().unwrap();
        let half = luma.stride * 16;
        luma.data[half..].fill(255);
        luma.data[half..half + 2].fill(0);
        luma.data[half + luma.stride..][..2].fill(128);
        stack(&mut frame, Alpha::Straight);
        let planes = frame.geometry().planes().to_vec();
        let at =
            |plane: usize, x: usize, y: usize| frame.plane(plane)[y * planes[plane].stride + x];
        assert_eq!([at(0, 0, 0), at(0, 1, 1), at(0, 2, 0)], [0, 100, 200]);
        assert_eq!([at(1, 0, 0), at(2, 0, 0), at(1, 0, 8), at(2, 0, 8)], [25, 13, 64, 64]);
        assert_eq!([at(1, 1, 0), at(2, 1, 0), at(1, 1, 8), at(2, 1, 8)], [100, 50, 255, 255]);
    }

    #[test]
    fn premultiplied_colours_keep_what_alpha_leaves_of_black_and_grey() {
        let applied = |color, alpha, offset| Alpha::Premultiplied.applied(color, alpha, offset);
        assert_eq!(applied(16, 0, BLACK), 0, "nothing is nothing");
        assert_eq!([applied(235, 255, BLACK), applied(240, 255, GREY)], [235, 240]);
        // Half of white: as red, green and blue 128 each, as luma 126.
        assert_eq!(applied(126, 128, BLACK), mul255(235, 128));
        assert_eq!(applied(128, 128, GREY), mul255(128, 128));
        assert_eq!(applied(255, 100, BLACK), 100, "no more than alpha");
    }
}
