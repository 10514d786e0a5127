//! Compositing kernels over plain rows of bytes: one scalar definition, and twins that use wider
//! registers. All of them give the same bytes; a test compares them.
//!
//! A byte of colour is premultiplied by its alpha, so that covering is `s + d * (255 - a) / 255`.
//! Every division by 255 is rounded to nearest. A row function works on as many bytes as its
//! shortest argument has.

#![expect(unsafe_code, reason = "vector loads and stores; each block has its proof")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod deinterlace;
mod division;
mod effect;
mod filter;
mod matrix;
#[cfg(target_arch = "x86_64")]
mod matrix_avx2;
#[cfg(target_arch = "aarch64")]
mod matrix_neon;
#[cfg(target_arch = "aarch64")]
mod neon;
mod polyphase;
mod resize;
#[cfg(target_arch = "x86_64")]
mod resize_avx2;
#[cfg(target_arch = "aarch64")]
mod resize_neon;
mod scalar;
mod scale;
#[cfg(target_arch = "x86_64")]
mod scale_avx2;
#[cfg(target_arch = "aarch64")]
mod scale_neon;
mod table;
mod wipe;

pub use deinterlace::FieldRows;
pub use division::{div255, mul255};
pub use effect::{Key, Rows, RowsMut};
pub use filter::{Filter, GROUP, TAPS_MAX};
pub use matrix::{BT709, ColorMatrix, LumaWeights};
pub use polyphase::Polyphase;
pub use table::{Kernels, Level};
pub use wipe::{MASK_MAX, WipeEdge};

impl Level {
    /// The widest that this machine has.
    #[must_use]
    pub fn best() -> Self {
        Kernels::at(Self::Avx512).level
    }

    /// Those that this machine has, slowest first.
    pub fn here() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|level| Kernels::at(*level).level == *level)
    }
}

impl Kernels {
    /// The widest kernels of this machine that are not above `level`.
    #[must_use]
    pub fn at(level: Level) -> &'static Self {
        #[cfg(target_arch = "x86_64")]
        {
            if level >= Level::Avx512
                && let Some(kernels) = avx512::kernels()
            {
                return kernels;
            }
            if level >= Level::Avx2
                && let Some(kernels) = avx2::kernels()
            {
                return kernels;
            }
        }
        #[cfg(target_arch = "aarch64")]
        if level >= Level::Neon {
            return &neon::KERNELS;
        }
        let _ = level;
        &scalar::KERNELS
    }
}

/// Sets every byte of `dst`. The standard library's is as fast as memory.
pub fn fill(dst: &mut [u8], value: u8) {
    dst.fill(value);
}

/// Copies as many bytes as both rows have. The standard library's is as fast as memory.
pub fn copy(dst: &mut [u8], src: &[u8]) {
    let n = dst.len().min(src.len());
    dst[..n].copy_from_slice(&src[..n]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::color::{Color, bytes, rgb};
    use crate::scene::layer_style::BlendMode;

    /// Bytes with no pattern, the same in every run.
    pub(super) fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let next = move |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..len).map(next).collect()
    }

    /// Premultiplied pairs: no colour is above its alpha.
    fn pairs(seed: u64, len: usize) -> (Vec<u8>, Vec<u8>) {
        let alpha: Vec<u8> = noise(seed, len)
            .into_iter()
            .map(|a| {
                if a < 40 {
                    0
                } else if a > 215 {
                    255
                } else {
                    a
                }
            })
            .collect();
        let src = noise(seed + 1, len).iter().zip(&alpha).map(|(s, a)| mul255(*s, *a)).collect();
        (src, alpha)
    }

    /// The kernels of every level that this CPU has, as the kernel of the system tells: if a level
    /// that it has would not be run, the test fails. Says which ones run.
    pub(super) fn all_that_this_cpu_has() -> Vec<&'static Kernels> {
        use std::io::Write;
        static SAID: std::sync::Once = std::sync::Once::new();
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let flags: Vec<_> = cpu
            .lines()
            .find_map(|line| line.strip_prefix("flags")?.split_once(':'))
            .map_or_else(Vec::new, |(_, flags)| flags.split_whitespace().collect());
        let (run, left): (Vec<_>, Vec<_>) = Level::ALL.into_iter().partition(|level| {
            let needs: &[_] = match level {
                Level::Scalar => &[],
                Level::Neon => return cfg!(target_arch = "aarch64"),
                _ if cfg!(not(target_arch = "x86_64")) => return false,
                Level::Avx2 => &["avx2"],
                Level::Avx512 => &["avx512f", "avx512bw"],
            };
            needs.iter().all(|flag| flags.contains(flag))
        });
        // Past the test harness, which keeps what a test that passes prints.
        SAID.call_once(|| {
            let text = format!("kernel levels run: {run:?}; not on this CPU: {left:?}\n");
            std::io::stderr().write_all(text.as_bytes()).unwrap();
        });
        let kernels: Vec<_> = run.iter().map(|level| Kernels::at(*level)).collect();
        let got: Vec<_> = kernels.iter().map(|kernels| kernels.level).collect();
        assert_eq!(got, run, "this CPU has a level whose kernels are not run");
        assert_eq!(Some(&Level::best()), run.last());
        kernels
    }

    #[test]
    fn division_by_255_rounds_to_nearest_for_every_sum_of_products() {
        for x in 0..=65_152_u16 {
            assert_eq!(u32::from(div255(x)), (u32::from(x) * 2 + 255) / 510, "{x}");
        }
    }

    #[test]
    fn every_level_gives_the_same_bytes_at_every_length_and_alignment() {
        let definition = Kernels::at(Level::Scalar);
        let (src, alpha) = pairs(3, 400);
        let (dst, other) = (noise(7, 400), noise(9, 400));
        for twin in all_that_this_cpu_has() {
            let level = twin.level;
            for len in (0..=140).chain([191, 192, 193, 256, 300]) {
                for offset in [0, 1, 3, 31, 32, 63] {
                    let span = offset..offset + len;
                    let (s, a, b) =
                        (&src[span.clone()], &alpha[span.clone()], &other[span.clone()]);
                    for opacity in [0, 1, 127, 128, 200, 254, 255] {
                        let run = |k: &Kernels| {
                            let mut rows = [0; 4].map(|_| dst.clone());
                            (k.blend)(&mut rows[0][span.clone()], s, a);
                            (k.blend_faded)(&mut rows[1][span.clone()], s, a, opacity);
                            (k.mix)(&mut rows[2][span.clone()], b, opacity);
                            (k.fade)(&mut rows[3][span.clone()], b, s, opacity);
                            rows
                        };
                        assert_eq!(run(twin), run(definition), "{level:?} {len} at {offset}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_pair_of_bytes_fades_the_same_at_every_level() {
        let a: Vec<u8> = (0..=255).collect();
        for kernels in all_that_this_cpu_has() {
            let level = kernels.level;
            for b in 0..=255_u8 {
                for weight in [0, 1, 2, 64, 127, 128, 129, 253, 254, 255] {
                    let (mut row, mut expected) = (vec![0; 256], vec![0; 256]);
                    (kernels.fade)(&mut row, &a, &[b; 256], weight);
                    (scalar::KERNELS.fade)(&mut expected, &a, &[b; 256], weight);
                    assert_eq!(row, expected, "{level:?} {b} {weight}");
                }
            }
        }
    }

    /// Two rows with their chroma, premultiplied, and their alpha.
    struct Block {
        luma: [Vec<u8>; 2],
        chroma: [Vec<u8>; 2],
        alpha: [Vec<u8>; 3],
    }

    impl Block {
        /// Of `samples` chroma samples; opaque unless `has_alpha`.
        fn noise(seed: u64, samples: usize, has_alpha: bool) -> Self {
            let [(first, mut one), (second, mut two)] =
                [seed, seed + 2].map(|seed| pairs(seed, 2 * samples));
            let [(cb, mut coarse), (cr, _)] = [pairs(seed + 4, samples), pairs(seed + 4, samples)];
            if !has_alpha {
                [&mut one, &mut two, &mut coarse].into_iter().for_each(|row| row.fill(255));
                let opaque = |seed| noise(seed, samples);
                return Self {
                    luma: [noise(seed, 2 * samples), noise(seed + 1, 2 * samples)],
                    chroma: [opaque(seed + 2), opaque(seed + 3)],
                    alpha: [one, two, coarse],
                };
            }
            Self { luma: [first, second], chroma: [cb, cr], alpha: [one, two, coarse] }
        }

        fn rows(&self) -> Rows<'_> {
            Rows {
                luma: self.luma.each_ref().map(Vec::as_slice),
                chroma: self.chroma.each_ref().map(Vec::as_slice),
                alpha: [&self.alpha[0], &self.alpha[1]],
                coarse: &self.alpha[2],
            }
        }

        fn rows_mut(&mut self, has_alpha: bool) -> RowsMut<'_> {
            let alpha = self.alpha.each_mut().map(Vec::as_mut_slice);
            RowsMut {
                luma: self.luma.each_mut().map(Vec::as_mut_slice),
                chroma: self.chroma.each_mut().map(Vec::as_mut_slice),
                alpha: has_alpha.then_some(alpha),
            }
        }

        fn bytes(&self) -> Vec<u8> {
            let rows = self.luma.iter().chain(&self.chroma).chain(&self.alpha);
            rows.flatten().copied().collect()
        }
    }

    const KEY: Key = Key { chroma: [-0.3, -0.35], similarity: 0.2, smoothness: 0.3, spill: 0.4 };

    #[test]
    fn every_level_blends_and_keys_to_the_same_bytes() {
        let definition = Kernels::at(Level::Scalar);
        for twin in all_that_this_cpu_has() {
            for samples in (0..=70).chain([127, 128, 129, 200]) {
                for (has_alpha, opacity) in [(false, 255), (true, 255), (true, 77), (false, 1)] {
                    let src = Block::noise(50, samples, true);
                    for (_, mode) in BlendMode::WORDS {
                        let run = |k: &Kernels| {
                            let mut dst = Block::noise(90, samples, has_alpha);
                            (k.blend_rgb)(mode, &mut dst.rows_mut(has_alpha), &src.rows(), opacity);
                            dst.bytes()
                        };
                        assert!(
                            run(twin) == run(definition),
                            "{:?} {samples} {mode:?}",
                            twin.level
                        );
                    }
                    let run = |k: &Kernels| {
                        let mut rows = Block::noise(90, samples, has_alpha);
                        (k.chroma_key)(&mut rows.rows_mut(true), &KEY);
                        rows.bytes()
                    };
                    assert!(run(twin) == run(definition), "{:?} {samples} key", twin.level);
                }
            }
        }
    }

    #[test]
    fn a_layer_of_which_nothing_is_seen_changes_no_byte_and_neutral_colours_do_neither() {
        let grey = |value: u8| {
            let mut block = Block::noise(1, 40, false);
            block.luma.iter_mut().for_each(|row| row.fill(value));
            block.chroma.iter_mut().for_each(|row| row.fill(128));
            block
        };
        let (black, white) = (grey(16), grey(235));
        let mut nothing = Block::noise(5, 40, true);
        nothing.luma.iter_mut().chain(&mut nothing.chroma).for_each(|row| row.fill(0));
        nothing.alpha.iter_mut().for_each(|row| row.fill(0));
        nothing.alpha[0][3] = 1; // or the tile is left out
        for (mode, neutral) in [
            (BlendMode::Add, &black),
            (BlendMode::Screen, &black),
            (BlendMode::Multiply, &white),
            (BlendMode::Multiply, &nothing),
        ] {
            let mut dst = Block::noise(70, 40, false);
            let before = dst.bytes();
            (Kernels::at(Level::best()).blend_rgb)(
                mode,
                &mut dst.rows_mut(false),
                &neutral.rows(),
                if std::ptr::eq(neutral, &nothing) { 0 } else { 255 },
            );
            assert_eq!(dst.bytes(), before, "{mode:?}");
        }
    }

    #[test]
    fn colours_multiply_add_and_screen_as_light_does() {
        let flat = |r, g, b| {
            let [y, cb, cr] = bytes(Color { r, g, b, a: 255 });
            let mut block = Block::noise(1, 4, false);
            block.luma.iter_mut().for_each(|row| row.fill(y));
            block.chroma[0].fill(cb);
            block.chroma[1].fill(cr);
            block
        };
        for (mode, exact) in [
            (BlendMode::Multiply, [157, 0, 20]),
            (BlendMode::Add, [255, 100, 150]),
            (BlendMode::Screen, [243, 100, 130]),
        ] {
            let mut dst = flat(200, 0, 100);
            let src = flat(200, 100, 50);
            let kernels = Kernels::at(Level::best());
            (kernels.blend_rgb)(mode, &mut dst.rows_mut(false), &src.rows(), 255);
            let got = rgb([dst.luma[0][2], dst.chroma[0][1], dst.chroma[1][1]]);
            for (got, exact) in got.into_iter().zip(exact) {
                assert!((i32::from(got) - exact).abs() <= 3, "{mode:?} {got} {exact}");
            }
        }
    }

    #[test]
    fn a_key_takes_its_colour_away_and_leaves_others_as_they_are() {
        let [_, cb, cr] = bytes(Color { r: 0, g: 255, b: 0, a: 255 });
        let chroma = [cb, cr].map(|c| (f32::from(c) - 128.0) / 224.0);
        let key = Key { chroma, similarity: 0.2, smoothness: 0.1, spill: 0.1 };
        let keyed = |r, g, b| {
            let [y, cb, cr] = bytes(Color { r, g, b, a: 255 });
            let mut block = Block::noise(1, 2, false);
            block.luma.iter_mut().for_each(|row| row.fill(y));
            block.chroma[0].fill(cb);
            block.chroma[1].fill(cr);
            (Kernels::at(Level::best()).chroma_key)(&mut block.rows_mut(true), &key);
            let own = [y, cb, cr];
            (own, [block.luma[0][1], block.chroma[0][0], block.chroma[1][0]], block.alpha[0][1])
        };
        assert_eq!(keyed(0, 255, 0).1, [0; 3]);
        assert_eq!((keyed(20, 200, 30).2, keyed(0, 255, 0).2), (0, 0));
        for (r, g, b) in [(230, 180, 150), (255, 255, 255), (0, 0, 0), (40, 40, 200)] {
            let (own, got, alpha) = keyed(r, g, b);
            assert_eq!((got, alpha), (own, 255), "{r} {g} {b}");
        }
        let (own, got, alpha) = keyed(120, 255, 110);
        assert!(alpha > 0 && alpha < 255, "{alpha}");
        let grey = |cb: u8, alpha: u8| (f32::from(cb) - 128.0 * f32::from(alpha) / 255.0).abs();
        assert!(grey(got[1], alpha) < grey(own[1], 255) * f32::from(alpha) / 255.0);
    }

    #[test]
    fn rows_of_different_lengths_are_as_long_as_the_shortest() {
        for kernels in all_that_this_cpu_has() {
            let level = kernels.level;
            let mut dst = vec![9; 100];
            (kernels.blend)(&mut dst, &[5; 80], &[255; 70]);
            assert_eq!((dst[69], dst[70]), (5, 9), "{level:?}");
            (kernels.fade)(&mut dst, &[1; 33], &[0; 99], 255);
            assert_eq!((dst[32], dst[33]), (1, 5), "{level:?}");
        }
    }

    #[test]
    fn blending_rounds_once_and_with_an_opacity_the_alpha_as_well() {
        let (src, alpha) = pairs(21, 4_096);
        let before = noise(22, 4_096);
        for (opacity, error_max) in [(255, 0.5), (180, 1.0), (3, 1.0)] {
            let mut dst = before.clone();
            (Kernels::at(Level::best()).blend_faded)(&mut dst, &src, &alpha, opacity);
            for i in 0..dst.len() {
                let o = f64::from(opacity) / 255.0;
                let exact = f64::from(src[i]) * o
                    + f64::from(before[i]) * (1.0 - f64::from(alpha[i]) / 255.0 * o);
                assert!(
                    (f64::from(dst[i]) - exact).abs() <= error_max + 1e-9,
                    "{i}: {} {exact}",
                    dst[i]
                );
            }
        }
    }
}
