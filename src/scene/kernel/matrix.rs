//! Colour matrix: from planar pictures of any YCbCr matrix and range to the canvas' BT.709 in
//! limited range, without a way through RGB.

/// Bits of a factor behind the point.
pub(super) const BITS: u32 = 13;

/// The luma of red and of blue, which say all about a matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LumaWeights {
    /// Of red.
    pub red: f64,
    /// Of blue.
    pub blue: f64,
}

/// ITU-R BT.709-6, the canvas' own.
pub const BT709: LumaWeights = LumaWeights { red: 0.2126, blue: 0.0722 };

/// How samples of one YCbCr become those of another: factors in parts of `1 << 13`, and what is
/// added, with half a sample for rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColorMatrix {
    /// Of luma, Cb and Cr in luma.
    pub(super) luma: [i16; 3],
    pub(super) luma_offset: i32,
    /// Of Cb and Cr in Cb, and in Cr.
    pub(super) chroma: [[i16; 2]; 2],
    pub(super) chroma_offset: [i32; 2],
}

impl ColorMatrix {
    /// From these weights and range to BT.709 in limited range; `None` if that is what they are.
    #[must_use]
    pub fn to_bt709(from: LumaWeights, is_full_range: bool) -> Option<Self> {
        if from == BT709 && !is_full_range {
            return None;
        }
        // Steps from black to white, and the two ends of a colour apart.
        let (luma_range, chroma_range, black) =
            if is_full_range { (255.0, 255.0, 0.0) } else { (219.0, 224.0, 16.0) };
        // What a step of Cb and of Cr gives to red, green and blue.
        let green = |of: LumaWeights| 1.0 - of.red - of.blue;
        let (to_blue, to_red) = (2.0 * (1.0 - from.blue), 2.0 * (1.0 - from.red));
        let cb = [0.0, -to_blue * from.blue / green(from), to_blue];
        let cr = [to_red, -to_red * from.red / green(from), 0.0];
        let luma = |rgb: [f64; 3]| BT709.red * rgb[0] + green(BT709) * rgb[1] + BT709.blue * rgb[2];
        let blue = |rgb: [f64; 3]| (rgb[2] - luma(rgb)) / (2.0 * (1.0 - BT709.blue));
        let red = |rgb: [f64; 3]| (rgb[0] - luma(rgb)) / (2.0 * (1.0 - BT709.red));
        let from_chroma = |part: f64, range: f64| part * range / chroma_range;
        let gain = 219.0 / luma_range;
        let factors = [gain, from_chroma(luma(cb), 219.0), from_chroma(luma(cr), 219.0)];
        let chroma = [[blue(cb), blue(cr)], [red(cb), red(cr)]]
            .map(|row| row.map(|part| fixed(from_chroma(part, 224.0))));
        let luma = factors.map(fixed);
        let half = 1 << (BITS - 1);
        // Of the middle of chroma nothing is taken, whatever its factors were rounded to.
        let middle = |row: [i16; 2]| 128 * (i32::from(row[0]) + i32::from(row[1]));
        Some(Self {
            luma,
            luma_offset: (16 << BITS) + half - offset(black, luma[0]) - middle([luma[1], luma[2]]),
            chroma,
            chroma_offset: chroma.map(|row| (128 << BITS) + half - middle(row)),
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "factors are below 4")]
fn fixed(factor: f64) -> i16 {
    (factor * f64::from(1 << BITS)).round() as i16
}

#[expect(clippy::cast_possible_truncation, reason = "black is 0 or 16")]
fn offset(black: f64, factor: i16) -> i32 {
    (black * f64::from(factor)) as i32
}

/// See [`super::table::ConvertLuma`].
pub(super) fn convert_luma(luma: &mut [u8], cb: &[u8], cr: &[u8], matrix: &ColorMatrix) {
    let [y, b, r] = matrix.luma.map(i32::from);
    for (at, sample) in luma.iter_mut().enumerate() {
        let (cb, cr) = (i32::from(cb[at / 2]), i32::from(cr[at / 2]));
        *sample = whole(i32::from(*sample) * y + cb * b + cr * r + matrix.luma_offset);
    }
}

/// See [`super::table::ConvertChroma`].
pub(super) fn convert_chroma(cb: &mut [u8], cr: &mut [u8], matrix: &ColorMatrix) {
    let [[bb, rb], [br, rr]] = matrix.chroma.map(|row| row.map(i32::from));
    for (cb, cr) in cb.iter_mut().zip(cr) {
        let (b, r) = (i32::from(*cb), i32::from(*cr));
        *cb = whole(b * bb + r * rb + matrix.chroma_offset[0]);
        *cr = whole(b * br + r * rr + matrix.chroma_offset[1]);
    }
}

fn whole(sum: i32) -> u8 {
    u8::try_from((sum >> BITS).clamp(0, 255)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::kernel::tests::{all_that_this_cpu_has, noise};
    use crate::scene::kernel::{Kernels, Level};

    const BT601: LumaWeights = LumaWeights { red: 0.299, blue: 0.114 };

    const BT2020: LumaWeights = LumaWeights { red: 0.2627, blue: 0.0593 };

    /// A colour, red, green and blue from 0 to 1, in numbers that are not rounded.
    fn samples([r, g, b]: [f64; 3], of: LumaWeights, is_full: bool) -> [f64; 3] {
        let luma = of.red * r + (1.0 - of.red - of.blue) * g + of.blue * b;
        let (cb, cr) = ((b - luma) / (2.0 - 2.0 * of.blue), (r - luma) / (2.0 - 2.0 * of.red));
        if is_full {
            [luma * 255.0, cb * 255.0 + 128.0, cr * 255.0 + 128.0]
        } else {
            [luma * 219.0 + 16.0, cb * 224.0 + 128.0, cr * 224.0 + 128.0]
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within a byte")]
    fn byte(sample: f64) -> u8 {
        sample.round().clamp(0.0, 255.0) as u8
    }

    #[test]
    fn every_colour_is_as_exact_as_its_samples_are() {
        let kernels = Kernels::at(Level::best());
        for (from, is_full) in
            [(BT601, false), (BT601, true), (BT709, true), (BT2020, false), (BT2020, true)]
        {
            let matrix = ColorMatrix::to_bt709(from, is_full).unwrap();
            for n in 0..11 * 11 * 11 {
                let rgb = [n % 11, n / 11 % 11, n / 121].map(|part| f64::from(part) / 10.0);
                let source = samples(rgb, from, is_full);
                let [y, cb, cr] = source.map(byte);
                let (mut luma, mut blue, mut red) = ([y; 2], [cb], [cr]);
                (kernels.convert_luma)(&mut luma, &blue, &red, &matrix);
                (kernels.convert_chroma)(&mut blue, &mut red, &matrix);
                // What rounding of the source's samples may do, by its factors, and rounding once.
                let wanted = samples(rgb, BT709, false);
                let got = [luma[0], blue[0], red[0]].map(f64::from);
                for (got, wanted) in got.into_iter().zip(wanted) {
                    assert!(
                        (got - wanted).abs() < 1.25,
                        "{from:?} {is_full} {rgb:?}: {got} {wanted}"
                    );
                }
            }
        }
        assert_eq!(ColorMatrix::to_bt709(BT709, false), None, "there is nothing to convert");
    }

    #[test]
    fn grey_keeps_its_lightness_and_has_no_colour() {
        for (is_full, black, white) in [(false, 16, 235), (true, 0, 255)] {
            let matrix = ColorMatrix::to_bt709(BT601, is_full).unwrap();
            let (mut luma, mut cb, mut cr) = ([black, white], [128], [128]);
            convert_luma(&mut luma, &cb, &cr, &matrix);
            convert_chroma(&mut cb, &mut cr, &matrix);
            assert_eq!((luma, cb, cr), ([16, 235], [128], [128]), "{is_full}");
        }
    }

    #[test]
    fn every_level_converts_to_the_same_bytes() {
        let definition = Kernels::at(Level::Scalar);
        for kernels in all_that_this_cpu_has() {
            for (from, is_full) in [(BT601, false), (BT601, true), (BT2020, true)] {
                let matrix = ColorMatrix::to_bt709(from, is_full).unwrap();
                for len in (0..80).chain([640, 1_001]) {
                    let planes = [noise(1, 2 * len), noise(2, len), noise(3, len)];
                    let run = |kernels: &Kernels| {
                        let [mut luma, mut cb, mut cr] = planes.clone();
                        (kernels.convert_luma)(&mut luma, &cb, &cr, &matrix);
                        (kernels.convert_chroma)(&mut cb, &mut cr, &matrix);
                        [luma, cb, cr]
                    };
                    assert!(run(kernels) == run(definition), "{:?} {len}", kernels.level);
                }
            }
        }
    }
}
