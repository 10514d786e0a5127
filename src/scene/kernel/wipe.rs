//! Wipe between two rows by a mask that says when each sample changes.
//!
//! There is one definition, in whole numbers, of which the compiler makes what a level's registers
//! take.

use super::division::div255;

/// The highest value of a mask: what changes last.
pub const MASK_MAX: u16 = i16::MAX.cast_unsigned();

/// Where the edge of a wipe is: what of the mask is below it has changed.
#[derive(Clone, Copy, Debug)]
pub struct WipeEdge {
    threshold: u16,
    softness: u16,
    /// Bits by which the distance from the edge is stretched, so that the product keeps its places.
    stretch: u32,
    slope: u16,
}

impl WipeEdge {
    /// An edge as wide as `softness` of the mask's steps, 1 to [`MASK_MAX`], that has come as far
    /// as `threshold`: 0 changes nothing, [`MASK_MAX`] + `softness` everything.
    #[must_use]
    pub fn new(threshold: u16, softness: u16) -> Self {
        let softness = softness.clamp(1, MASK_MAX);
        let stretch = softness.leading_zeros();
        let whole = u32::from(softness << stretch);
        let slope = u16::try_from((255_u32 << 16).div_ceil(whole)).unwrap_or(u16::MAX);
        Self { threshold, softness, stretch, slope }
    }
}

/// Goes from `b` to `a` where the edge has come over the mask: `d = (w * a + (255 - w) * b) / 255`,
/// where `w` rises from 0 to 255 over the width of the edge.
#[inline(always)]
pub(super) fn wipe(dst: &mut [u8], a: &[u8], b: &[u8], mask: &[u16], edge: &WipeEdge) {
    let WipeEdge { threshold, softness, stretch, slope } = *edge;
    for (((d, a), b), m) in dst.iter_mut().zip(a).zip(b).zip(mask) {
        let come = threshold.saturating_sub(*m).min(softness) << stretch;
        let weight = ((u32::from(come) * u32::from(slope)) >> 16) as u16;
        let sum = u16::from(*a) * weight + u16::from(*b) * (255 - weight);
        *d = div255(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::kernel::tests::{all_that_this_cpu_has, noise};
    use crate::scene::kernel::{Kernels, Level};

    #[test]
    fn every_level_wipes_to_the_same_bytes() {
        let (a, b, low, high) = (noise(1, 300), noise(2, 300), noise(3, 300), noise(4, 300));
        let mask = low.iter().zip(&high).map(|(l, h)| u16::from_le_bytes([*l, h / 2]));
        let mask: Vec<_> = mask.collect();
        for kernels in all_that_this_cpu_has() {
            for len in (0..=140).chain([191, 192, 193, 256, 300]) {
                for (threshold, softness) in
                    [(0, 1), (900, 1), (32_767, 255), (40_000, 9_000), (65_534, 32_767)]
                {
                    let edge = WipeEdge::new(threshold, softness);
                    let run = |kernels: &Kernels| {
                        let mut row = vec![7; 300];
                        (kernels.wipe)(&mut row[..len], &a, &b, &mask, &edge);
                        row
                    };
                    let definition = run(Kernels::at(Level::Scalar));
                    assert!(run(kernels) == definition, "{:?} {len} {edge:?}", kernels.level);
                }
            }
        }
    }

    #[test]
    fn an_edge_leaves_nothing_before_it_and_nothing_behind_it() {
        let wipe = Kernels::at(Level::best()).wipe;
        let mask = [0, 1, 100, 9_000, 20_000, MASK_MAX - 1, MASK_MAX];
        for softness in [1, 2, 255, 256, 257, 4_000, MASK_MAX] {
            let run = |threshold| {
                let mut row = [9; 7];
                wipe(&mut row, &[200; 7], &[0; 7], &mask, &WipeEdge::new(threshold, softness));
                row
            };
            assert_eq!((run(0), run(MASK_MAX + softness)), ([0; 7], [200; 7]), "{softness}");
            let middle = run(100 + softness);
            assert!(middle[..3] == [200; 3] && middle.is_sorted_by(|a, b| a >= b), "{middle:?}");
        }
        let mut row = [0; 3];
        let edge = WipeEdge::new(20_000, 2_000);
        wipe(&mut row, &[255; 3], &[0; 3], &[18_000, 19_000, 20_000], &edge);
        assert_eq!(row, [255, 127, 0]);
    }
}
