//! Colour conversion from sRGB to the canvas: BT.709 matrix, limited range, 8 bits.
//!
//! The transfer curves of sRGB and BT.709 are taken as one, as players take them.

/// An opaque or translucent colour, sRGB with straight alpha.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    /// Red, 0 to 255.
    pub r: u8,
    /// Green, 0 to 255.
    pub g: u8,
    /// Blue, 0 to 255.
    pub b: u8,
    /// Alpha: 0 transparent, 255 opaque.
    pub a: u8,
}

/// 1.0 of the fixed-point samples below.
pub(super) const ONE: i64 = 1 << 16;

/// Luma, Cb and Cr of black.
pub(super) const BLACK: [u8; 3] = [16, 128, 128];

/// Luma, Cb and Cr of white.
pub(super) const WHITE: [u8; 3] = [235, 128, 128];

/// Weights of R, G and B in Y (219 steps), Cb and Cr (224 steps), in units of `1 / ONE`. The rows
/// of Cb and Cr sum to zero, so that grey has no colour.
const MATRIX: [[i64; 3]; 3] =
    [[11_966, 40_254, 4_064], [-6_596, -22_189, 28_785], [28_785, -26_146, -2_639]];

/// What the three samples are for black.
const OFFSET: [i64; 3] = [16, 128, 128];

/// Y, Cb and Cr in units of `1 / ONE`.
pub(super) fn samples(rgb: [u8; 3]) -> [i64; 3] {
    let mut out = OFFSET.map(|offset| offset * ONE);
    for (sample, weights) in out.iter_mut().zip(&MATRIX) {
        for (weight, value) in weights.iter().zip(rgb) {
            *sample += weight * i64::from(value);
        }
    }
    out
}

/// Y, Cb and Cr as bytes.
pub(super) fn bytes(color: Color) -> [u8; 3] {
    samples([color.r, color.g, color.b]).map(|sample| round(sample, ONE))
}

/// Weights of Y, Cb and Cr in R, G and B, in units of `1 / ONE`: the inverse of [`MATRIX`].
const INVERSE: [[i64; 3]; 3] =
    [[76_309, 0, 117_489], [76_309, -13_975, -34_925], [76_309, 138_438, 0]];

/// R, G and B of a sample, the nearest that there is.
pub(super) fn rgb(sample: [u8; 3]) -> [u8; 3] {
    INVERSE.map(|weights| {
        let parts = weights.iter().zip(sample).zip(OFFSET);
        let sum = parts.map(|((weight, value), offset)| weight * (i64::from(value) - offset));
        round(sum.sum::<i64>().max(0), ONE)
    })
}

/// `value / unit`, rounded to nearest, as a byte.
pub(super) fn round(value: i64, unit: i64) -> u8 {
    u8::try_from(((value + unit / 2) / unit).clamp(0, 255)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(r: u8, g: u8, b: u8) -> [u8; 3] {
        bytes(Color { r, g, b, a: 255 })
    }

    #[test]
    fn the_corners_of_the_cube_are_those_of_bt709() {
        assert_eq!(of(0, 0, 0), BLACK);
        assert_eq!(of(255, 255, 255), WHITE);
        assert_eq!(of(255, 0, 0), [63, 102, 240]);
        assert_eq!(of(0, 255, 0), [173, 42, 26]);
        assert_eq!(of(0, 0, 255), [32, 240, 118]);
    }

    #[test]
    fn what_is_shown_is_the_colour_that_was_asked_for() {
        for [r, g, b] in [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [18, 52, 200]] {
            let shown = rgb(of(r, g, b));
            let apart = [r, g, b].iter().zip(shown).map(|(a, b)| a.abs_diff(b)).max().unwrap();
            assert!(apart <= 2, "{shown:?} for {r} {g} {b}");
        }
    }

    #[test]
    fn grey_has_no_colour() {
        for v in 0..=255 {
            assert_eq!(of(v, v, v)[1..], [128, 128], "{v}");
        }
    }
}
