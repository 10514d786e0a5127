//! Kernel table: the functions of a level, by what they compute.

use std::ops::Range;

use super::deinterlace::FieldRows;
use super::effect::{Key, Rows, RowsMut};
use super::filter::Filter;
use super::matrix::ColorMatrix;
use super::polyphase::Polyphase;
use super::wipe::WipeEdge;
use crate::scene::layer_style::BlendMode;

/// Covers `dst` with premultiplied `src`: `d = s + d * (255 - a) / 255`.
pub type Blend = fn(dst: &mut [u8], src: &[u8], alpha: &[u8]);

/// As [`Blend`], with `src` and `alpha` scaled by `opacity / 255`: `d = (s * o + d * (255 - a')) /
/// 255` where `a' = a * o / 255`.
pub type BlendFaded = fn(dst: &mut [u8], src: &[u8], alpha: &[u8], opacity: u8);

/// Covers `dst` with an evenly translucent `src`: `d = (o * s + (255 - o) * d) / 255`.
pub type Mix = fn(dst: &mut [u8], src: &[u8], opacity: u8);

/// Goes from `b` (weight 0) to `a` (weight 255): `d = (w * a + (255 - w) * b) / 255`.
pub type Fade = fn(dst: &mut [u8], a: &[u8], b: &[u8], weight: u8);

/// Goes from `b` to `a` where the edge has come over the mask.
pub type Wipe = fn(dst: &mut [u8], a: &[u8], b: &[u8], mask: &[u16], edge: &WipeEdge);

/// Adds up rows: `d = (sum of w * row + 128) / 256`, where the weights add up to 256. At most
/// [`TAPS_MAX`](super::TAPS_MAX) rows.
pub type SumRows = fn(dst: &mut [u8], rows: &[(&[u8], u8)]);

/// Adds up samples of `src` along the row by the filter, for these groups of
/// [`GROUP`](super::GROUP) samples of `dst`. A register's bytes may be read past the last sample of
/// `src` that has a weight.
pub type SumColumns = fn(dst: &mut [u8], src: &[u8], filter: &Filter, groups: Range<usize>);

/// The first pass of scaling: adds up rows, `stride` apart from the begin of `src` on, by these
/// weights, and keeps 6 bits behind the point. `src` has as many samples of every row as `dst`.
pub type FilterRows = fn(dst: &mut [i16], src: &[u8], stride: usize, weights: &[i16]);

/// The second pass: adds up samples of `src` along the row by the filter. `dst` has room for a
/// whole number of [`GROUP`](super::GROUP)s, and `src` has samples of any value past its last one:
/// as many as the filter has taps.
pub type FilterColumns = fn(dst: &mut [u8], src: &[i16], filter: &Polyphase);

/// Converts a row of luma, two samples of which have one of `cb` and `cr`.
pub type ConvertLuma = fn(luma: &mut [u8], cb: &[u8], cr: &[u8], matrix: &ColorMatrix);

/// Converts a row of colour.
pub type ConvertChroma = fn(cb: &mut [u8], cr: &mut [u8], matrix: &ColorMatrix);

/// Puts `opacity / 255` of `src` on `dst` by a blend mode: both are RGB, mixed and made YUV again.
pub type BlendRgb = fn(mode: BlendMode, dst: &mut RowsMut<'_>, src: &Rows<'_>, opacity: u8);

/// Makes what is near the key's colour transparent, in rows with alpha.
pub type ChromaKeyRows = fn(rows: &mut RowsMut<'_>, key: &Key);

/// Makes the row that is missing between two rows of a field.
pub type Deinterlace = fn(dst: &mut [u8], rows: &FieldRows<'_>);

/// Which registers the kernels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Whatever the compiler makes of the definition.
    Scalar,
    /// 16 bytes at a time, on 64-bit Arm.
    Neon,
    /// 32 bytes at a time.
    Avx2,
    /// 64 bytes at a time (AVX-512F and BW).
    Avx512,
}

impl Level {
    /// All levels, slowest first.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512];
}

/// One level's functions. Chosen once, at start.
#[derive(Clone, Copy, Debug)]
pub struct Kernels {
    /// What they use.
    pub level: Level,
    /// See [`Blend`].
    pub blend: Blend,
    /// See [`BlendFaded`].
    pub blend_faded: BlendFaded,
    /// See [`Mix`].
    pub mix: Mix,
    /// See [`Fade`].
    pub fade: Fade,
    /// See [`Wipe`].
    pub wipe: Wipe,
    /// See [`BlendRgb`].
    pub blend_rgb: BlendRgb,
    /// See [`ChromaKeyRows`].
    pub chroma_key: ChromaKeyRows,
    /// See [`SumRows`].
    pub sum_rows: SumRows,
    /// See [`SumColumns`].
    pub sum_columns: SumColumns,
    /// See [`FilterRows`].
    pub filter_rows: FilterRows,
    /// See [`FilterColumns`].
    pub filter_columns: FilterColumns,
    /// See [`ConvertLuma`].
    pub convert_luma: ConvertLuma,
    /// See [`ConvertChroma`].
    pub convert_chroma: ConvertChroma,
    /// See [`Deinterlace`].
    pub deinterlace: Deinterlace,
}
