//! Surface: a picture with alpha that layers are drawn on before it is put on the canvas as one.

use super::asset::{coarse, px};
use super::kernel::Rows;
use crate::frame::PlaneMut;
use crate::media::Rect;

/// Premultiplied Y, Cb and Cr, and alpha at both resolutions; nothing is on it at first.
#[derive(Debug, Default)]
pub(super) struct Surface {
    rect: Rect,
    planes: [Box<[u8]>; 5],
}

impl Surface {
    /// As large as `rect`, which has even sides.
    pub(super) fn new(rect: Rect) -> Self {
        let planes = [0, 1, 2, 3, 4].map(|plane| {
            let bytes = (px(rect.w) >> coarse(plane)) * (px(rect.h) >> coarse(plane));
            vec![0; bytes].into_boxed_slice()
        });
        Self { rect: Rect { x: 0, y: 0, ..rect }, planes }
    }

    /// All of it, its corner at 0.
    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.planes.iter().map(|plane| plane.len()).sum()
    }

    pub(super) const fn rect(&self) -> Rect {
        self.rect
    }

    pub(super) fn planes_mut(&mut self) -> [PlaneMut<'_>; 5] {
        let (w, h) = (px(self.rect.w), px(self.rect.h));
        let mut index = 0;
        self.planes.each_mut().map(|data| {
            let (width, rows) = (w >> coarse(index), h >> coarse(index));
            index += 1;
            PlaneMut { data, stride: width, width, rows }
        })
    }

    /// Row `y` of a plane; 3 and 4 are alpha.
    pub(super) fn row(&self, plane: usize, y: usize) -> &[u8] {
        let w = px(self.rect.w) >> coarse(plane);
        &self.planes[plane][y * w..][..w]
    }

    /// The two rows of pixels that share row `y` of chroma: so many chroma samples, and their
    /// pixels, from `(pixel, sample)` on.
    pub(super) fn rows(
        &self,
        y: usize,
        (pixel, sample): (usize, usize),
        samples: usize,
    ) -> Rows<'_> {
        let fine = |plane, line| &self.row(plane, 2 * y + line)[pixel..][..2 * samples];
        let half = |plane| &self.row(plane, y)[sample..][..samples];
        Rows {
            luma: [fine(0, 0), fine(0, 1)],
            chroma: [half(1), half(2)],
            alpha: [fine(3, 0), fine(3, 1)],
            coarse: half(4),
        }
    }
}
