//! Wipe mask: for each sample of a frame, how far a wipe has come when its edge is there.

use std::f64::consts::TAU;
use std::path::Path;

use image::DynamicImage;
use image::imageops::{FilterType, resize};

use super::direction::Direction;
use super::kernel::{MASK_MAX, WipeEdge};
use super::transition::{Progress, WipeShape};

/// A mask with the width of its edge. As large as a frame twice over: made away from the compose
/// core.
#[derive(Debug)]
pub(super) struct WipeMask {
    /// At luma and at chroma resolution.
    planes: [Box<[u16]>; 2],
    width: usize,
    softness: u16,
}

impl WipeMask {
    /// For pictures of this width and height, which are even. `read` gets the picture of a luma
    /// wipe.
    ///
    /// # Errors
    /// That of `read`.
    pub(super) fn new<E>(
        shape: &WipeShape,
        softness: f32,
        (w, h): (u32, u32),
        read: impl FnOnce(&Path) -> Result<DynamicImage, E>,
    ) -> Result<Self, E> {
        let fine: Box<[u16]> = match shape {
            WipeShape::Linear(direction) => each(w, h, |x, y| linear(*direction, (x, y), (w, h))),
            WipeShape::Clock => each(w, h, |x, y| clock(centred(x, w), centred(y, h))),
            WipeShape::Circle => {
                let corner = f64::from(w).hypot(f64::from(h)) / 2.0;
                each(w, h, |x, y| part(centred(x, w).hypot(centred(y, h)) / corner))
            }
            WipeShape::Luma(path) => {
                let image = resize(&read(path)?.into_luma16(), w, h, FilterType::Triangle);
                image.pixels().map(|pixel| pixel.0[0] >> 1).collect()
            }
        };
        let width = w as usize;
        let coarse = fine.chunks_exact(2 * width).flat_map(|pair| {
            let (above, below) = pair.split_at(width);
            let blocks = above.as_chunks::<2>().0.iter().zip(below.as_chunks::<2>().0);
            blocks.map(|(above, below)| {
                let sum: u32 = above.iter().chain(below).map(|value| u32::from(*value)).sum();
                u16::try_from((sum + 2) / 4).unwrap_or(MASK_MAX)
            })
        });
        let coarse = coarse.collect();
        let softness = part(f64::from(softness)).max(1);
        Ok(Self { planes: [fine, coarse], width, softness })
    }

    /// Row `y` of a plane: luma, or one of chroma.
    pub(super) fn row(&self, plane: usize, y: usize) -> &[u16] {
        let coarse = plane.min(1);
        let width = self.width >> coarse;
        &self.planes[coarse][y * width..][..width]
    }

    /// The edge when the wipe has come so far.
    pub(super) fn edge(&self, progress: Progress) -> WipeEdge {
        let threshold = progress.of(u32::from(MASK_MAX) + u32::from(self.softness));
        WipeEdge::new(u16::try_from(threshold).unwrap_or(u16::MAX), self.softness)
    }
}

fn each(w: u32, h: u32, value: impl Fn(u32, u32) -> u16) -> Box<[u16]> {
    (0..h).flat_map(|y| (0..w).map(move |x| (x, y))).map(|(x, y)| value(x, y)).collect()
}

/// The middle of a sample, from the middle of the frame.
fn centred(at: u32, side: u32) -> f64 {
    f64::from(at) + 0.5 - f64::from(side) / 2.0
}

/// A part of the way, 0 to 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn part(value: f64) -> u16 {
    ((value * f64::from(MASK_MAX)).round() as u16).min(MASK_MAX)
}

fn linear(direction: Direction, (x, y): (u32, u32), (w, h): (u32, u32)) -> u16 {
    let along = |at: u32, side: u32| {
        u16::try_from(at * u32::from(MASK_MAX) / (side - 1)).unwrap_or(MASK_MAX)
    };
    match direction {
        Direction::Right => along(x, w),
        Direction::Left => along(w - 1 - x, w),
        Direction::Down => along(y, h),
        Direction::Up => along(h - 1 - y, h),
    }
}

/// How far around from the top, clockwise.
fn clock(x: f64, y: f64) -> u16 {
    part(x.atan2(-y).rem_euclid(TAU) / TAU)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(shape: &WipeShape) -> WipeMask {
        WipeMask::new(shape, 0.0, (64, 32), |_| Err("no picture")).unwrap()
    }

    #[test]
    fn straight_edges_move_where_they_are_told_to() {
        let at = |direction, x: usize, y: usize| mask(&WipeShape::Linear(direction)).row(0, y)[x];
        for (direction, first, last) in [
            (Direction::Right, (0, 9), (63, 9)),
            (Direction::Left, (63, 9), (0, 9)),
            (Direction::Down, (9, 0), (9, 31)),
            (Direction::Up, (9, 31), (9, 0)),
        ] {
            let ends = (at(direction, first.0, first.1), at(direction, last.0, last.1));
            assert_eq!(ends, (0, MASK_MAX), "{direction:?}");
        }
    }

    #[test]
    fn a_clock_begins_at_the_top_and_a_circle_in_the_middle() {
        let clock = mask(&WipeShape::Clock);
        let quarters = [(33, 0), (63, 16), (31, 31), (0, 15)].map(|(x, y)| clock.row(0, y)[x]);
        assert!(
            quarters.is_sorted() && quarters[0] < 1_500 && quarters[3] > 24_000,
            "{quarters:?}"
        );
        let circle = mask(&WipeShape::Circle);
        let out = [(32, 16), (40, 16), (63, 16), (63, 31)].map(|(x, y)| circle.row(0, y)[x]);
        assert!(out.is_sorted() && out[0] < 1_000 && out[3] > 32_000, "{out:?}");
        assert_eq!(circle.row(1, 0).len(), 32);
    }

    #[test]
    fn a_picture_changes_first_where_it_is_dark_and_one_that_is_not_there_is_told() {
        let shape = WipeShape::Luma("ramp.png".into());
        let ramp =
            image::GrayImage::from_fn(128, 8, |x, _| image::Luma([u8::try_from(x * 2).unwrap()]));
        let luma = WipeMask::new(&shape, 0.0, (64, 32), |_| Ok::<_, String>(ramp.into())).unwrap();
        assert!(luma.row(0, 5).is_sorted() && luma.row(0, 5)[63] > 31_000);
        let missing = WipeMask::new(&shape, 0.0, (64, 32), |path| Err(path.to_owned()));
        assert_eq!(missing.unwrap_err().to_str(), Some("ramp.png"));
    }
}
