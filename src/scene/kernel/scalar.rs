//! Scalar kernels: the definition of every one.

use super::deinterlace;
use super::division::{div255, mul255};
use super::effect;
use super::matrix;
use super::resize;
use super::scale;
use super::table::{Kernels, Level};
use super::wipe;

pub(super) static KERNELS: Kernels = Kernels {
    level: Level::Scalar,
    blend,
    blend_faded,
    mix,
    fade,
    wipe: wipe::wipe,
    blend_rgb: effect::blend_rgb,
    chroma_key: effect::chroma_key,
    sum_rows: scale::sum_rows,
    sum_columns: scale::sum_columns,
    filter_rows: resize::filter_rows,
    filter_columns: resize::filter_columns,
    convert_luma: matrix::convert_luma,
    convert_chroma: matrix::convert_chroma,
    deinterlace: deinterlace::deinterlace,
};

pub(super) fn blend(dst: &mut [u8], src: &[u8], alpha: &[u8]) {
    for ((d, s), a) in dst.iter_mut().zip(src).zip(alpha) {
        *d = s.wrapping_add(mul255(*d, 255 - a));
    }
}

pub(super) fn blend_faded(dst: &mut [u8], src: &[u8], alpha: &[u8], opacity: u8) {
    for ((d, s), a) in dst.iter_mut().zip(src).zip(alpha) {
        let kept = 255 - mul255(*a, opacity);
        let over = u16::from(*s) * u16::from(opacity);
        *d = div255(over.wrapping_add(u16::from(*d) * u16::from(kept)));
    }
}

pub(super) fn mix(dst: &mut [u8], src: &[u8], opacity: u8) {
    for (d, s) in dst.iter_mut().zip(src) {
        *d = between(*s, *d, opacity);
    }
}

pub(super) fn fade(dst: &mut [u8], a: &[u8], b: &[u8], weight: u8) {
    for ((d, a), b) in dst.iter_mut().zip(a).zip(b) {
        *d = between(*a, *b, weight);
    }
}

const fn between(a: u8, b: u8, weight: u8) -> u8 {
    div255(a as u16 * weight as u16 + b as u16 * (255 - weight) as u16)
}
