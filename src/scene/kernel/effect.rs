//! Effects on pixels with alpha: blend modes and chroma keys.
//!
//! There is one definition of each, of which the compiler makes what a level's registers take. It
//! is IEEE 754 arithmetic whose order is fixed, so that every level gives the same bytes.

#![expect(clippy::needless_range_loop, reason = "several rows are walked in step")]

use crate::scene::layer_style::BlendMode;

/// Chroma samples that are worked on at once: their pixels fit the first cache.
const TILE: usize = 32;

/// The same in pixels of one row.
const WIDE: usize = 2 * TILE;

/// Weights of red, green and blue in luma, BT.709.
const RED: f32 = 0.2126;
const GREEN: f32 = 0.7152;
const BLUE: f32 = 0.0722;

/// Distance from luma to red, and to blue, at full chroma.
const TO_RED: f32 = 2.0 * (1.0 - RED);
const TO_BLUE: f32 = 2.0 * (1.0 - BLUE);

/// Two rows of pixels and the row of chroma samples that they share, premultiplied. All are as
/// long as the shortest.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Luma.
    pub luma: [&'a [u8]; 2],
    /// Cb and Cr.
    pub chroma: [&'a [u8]; 2],
    /// Alpha of the pixels.
    pub alpha: [&'a [u8]; 2],
    /// Alpha of the chroma samples.
    pub coarse: &'a [u8],
}

/// The same to be written.
#[derive(Debug)]
pub struct RowsMut<'a> {
    /// Luma.
    pub luma: [&'a mut [u8]; 2],
    /// Cb and Cr.
    pub chroma: [&'a mut [u8]; 2],
    /// Alpha of the two rows and of the chroma samples; `None` if all is opaque.
    pub alpha: Option<[&'a mut [u8]; 3]>,
}

/// A chroma key as the kernel takes it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Cb and Cr of the colour, from -0.5 to 0.5.
    pub chroma: [f32; 2],
    /// See [`ChromaKey`](crate::scene::ChromaKey).
    pub similarity: f32,
    /// Above 0.
    pub smoothness: f32,
    /// Above 0.
    pub spill: f32,
}

/// Puts `opacity / 255` of `src` on `dst` by a blend mode, in linear combinations of the RGB that
/// both stand for.
#[inline(always)]
pub(super) fn blend_rgb(mode: BlendMode, dst: &mut RowsMut<'_>, src: &Rows<'_>, opacity: u8) {
    let samples = length(dst, src);
    let opacity = f32::from(opacity) / 255.0;
    let mut from = 0;
    while from < samples {
        let count = TILE.min(samples - from);
        let pixels = 2 * from..2 * (from + count);
        let is_empty = |row: &[u8]| row[pixels.clone()].iter().all(|a| *a == 0);
        if !src.alpha.iter().all(|row| is_empty(row)) {
            tile(mode, dst, src, (from, count), opacity);
        }
        from += count;
    }
}

fn length(dst: &RowsMut<'_>, src: &Rows<'_>) -> usize {
    let luma = dst.luma.iter().map(|row| row.len()).chain(src.luma.iter().map(|row| row.len()));
    let pixels = luma.chain(src.alpha.iter().map(|row| row.len())).min().unwrap_or(0);
    let chroma = dst.chroma.iter().map(|row| row.len());
    let chroma = chroma.chain(src.chroma.iter().map(|row| row.len())).chain([src.coarse.len()]);
    let samples = chroma.min().unwrap_or(0).min(pixels / 2);
    dst.alpha.as_ref().map_or(samples, |[first, second, coarse]| {
        samples.min(first.len().min(second.len()) / 2).min(coarse.len())
    })
}

/// Colours of a tile's pixels, premultiplied, and their alpha; 0 to 1.
struct Tile {
    rgb: [[f32; WIDE]; 3],
    alpha: [f32; WIDE],
}

impl Tile {
    /// Black, with the alpha of a row; opaque without.
    #[inline(always)]
    fn of(row: Option<&[u8]>) -> Self {
        let mut all = Self { rgb: [[0.0; WIDE]; 3], alpha: [1.0; WIDE] };
        if let Some(row) = row {
            for (a, byte) in all.alpha.iter_mut().zip(row) {
                *a = f32::from(*byte) / 255.0;
            }
        }
        all
    }
}

/// Chroma of a tile, for each pixel of a row, and the alpha of its samples.
struct Chroma {
    pixels: [[f32; WIDE]; 2],
    alpha: [f32; TILE],
}

impl Chroma {
    /// `opacity` of what the rows hold; without alpha all is opaque.
    #[inline(always)]
    fn of(
        rows: [&[u8]; 2],
        alpha: Option<&[u8]>,
        (from, count): (usize, usize),
        opacity: f32,
    ) -> Self {
        let mut all = Self { pixels: [[0.0; WIDE]; 2], alpha: [1.0; TILE] };
        if let Some(alpha) = alpha {
            for (a, byte) in all.alpha.iter_mut().zip(&alpha[from..from + count]) {
                *a = f32::from(*byte) / 255.0;
            }
        }
        for (pixels, row) in all.pixels.iter_mut().zip(rows) {
            for i in 0..count {
                let value = chroma(row[from + i], all.alpha[i]) * opacity;
                (pixels[2 * i], pixels[2 * i + 1]) = (value, value);
            }
        }
        all.alpha.iter_mut().for_each(|a| *a *= opacity);
        all
    }
}

#[inline(always)]
fn tile(
    mode: BlendMode,
    dst: &mut RowsMut<'_>,
    src: &Rows<'_>,
    (from, count): (usize, usize),
    opacity: f32,
) {
    let over = Chroma::of(src.chroma, Some(src.coarse), (from, count), opacity);
    let under_alpha = dst.alpha.as_ref().map(|[_, _, coarse]| &**coarse);
    let under =
        Chroma::of(dst.chroma.each_ref().map(|row| &**row), under_alpha, (from, count), 1.0);
    let (over_chroma, over_coarse) = (over.pixels, over.alpha);
    let (under_chroma, under_coarse) = (under.pixels, under.alpha);
    let mut sums = [[0.0_f32; WIDE]; 2];
    for row in 0..2 {
        let span = 2 * from..2 * (from + count);
        let mut over = Tile::of(Some(&src.alpha[row][span.clone()]));
        let mut under = Tile::of(dst.alpha.as_ref().map(|alpha| &alpha[row][span.clone()]));
        let over_luma = &src.luma[row][span.clone()];
        let luma = &mut dst.luma[row][span.clone()];
        for i in 0..2 * count {
            let y = (f32::from(over_luma[i]) - 16.0 * over.alpha[i]) / 219.0 * opacity;
            over.alpha[i] *= opacity;
            let [r, g, b] = rgb(y, over_chroma[0][i], over_chroma[1][i]);
            // What no screen can show would shine through.
            let a = over.alpha[i];
            over.rgb[0][i] = r.max(0.0).min(a);
            over.rgb[1][i] = g.max(0.0).min(a);
            over.rgb[2][i] = b.max(0.0).min(a);
            let y = (f32::from(luma[i]) - 16.0 * under.alpha[i]) / 219.0;
            let [r, g, b] = rgb(y, under_chroma[0][i], under_chroma[1][i]);
            (under.rgb[0][i], under.rgb[1][i], under.rgb[2][i]) = (r, g, b);
        }
        for channel in 0..3 {
            for i in 0..2 * count {
                let (s, d) = (over.rgb[channel][i], under.rgb[channel][i]);
                let (sa, da) = (over.alpha[i], under.alpha[i]);
                under.rgb[channel][i] = match mode {
                    BlendMode::Over => s + d * (1.0 - sa),
                    // What is brighter than white already stays so.
                    BlendMode::Add => (s + d).min(1.0).max(d),
                    BlendMode::Multiply => s * (1.0 - da) + d * (1.0 - sa) + s * d,
                    BlendMode::Screen => s + d - s * d,
                };
            }
        }
        for i in 0..2 * count {
            let (r, g, b) = (under.rgb[0][i], under.rgb[1][i], under.rgb[2][i]);
            let y = RED * r + GREEN * g + BLUE * b;
            sums[0][i] += (b - y) / TO_BLUE;
            sums[1][i] += (r - y) / TO_RED;
            let alpha = over.alpha[i] + under.alpha[i] - over.alpha[i] * under.alpha[i];
            under.alpha[i] = alpha;
            luma[i] = byte((16.0 * alpha + 219.0 * y).min(255.0 * alpha));
        }
        if let Some(alpha) = &mut dst.alpha {
            for (out, a) in alpha[row][span].iter_mut().zip(&under.alpha) {
                *out = byte(255.0 * a);
            }
        }
    }
    for i in 0..count {
        let (over, under) = (over_coarse[i], under_coarse[i]);
        let alpha = over + under - over * under;
        for c in 0..2 {
            let mean = (sums[c][2 * i] + sums[c][2 * i + 1]) / 4.0;
            dst.chroma[c][from + i] = byte((128.0 * alpha + 224.0 * mean).min(255.0 * alpha));
        }
        if let Some([_, _, coarse]) = &mut dst.alpha {
            coarse[from + i] = byte(255.0 * alpha);
        }
    }
}

/// Makes what is near the key's colour transparent, in rows with alpha.
#[inline(always)]
pub(super) fn chroma_key(rows: &mut RowsMut<'_>, key: &Key) {
    let RowsMut { luma: [first, second], chroma: [cb, cr], alpha: Some(alpha) } = rows else {
        return;
    };
    let [first_alpha, second_alpha, coarse] = alpha;
    let samples = cb.len().min(cr.len()).min(coarse.len());
    let pixels = [first.len(), second.len(), first_alpha.len(), second_alpha.len()];
    let samples = samples.min(pixels.into_iter().min().unwrap_or(0) / 2);
    let mut from = 0;
    while from < samples {
        let count = TILE.min(samples - from);
        let mut kept = [0.0_f32; TILE];
        for i in 0..count {
            let at = from + i;
            let a = f32::from(coarse[at]) / 255.0;
            let own = a.max(1.0 / 255.0);
            let u = chroma(cb[at], a) / own;
            let v = chroma(cr[at], a) / own;
            let (du, dv) = (u - key.chroma[0], v - key.chroma[1]);
            let beyond = (du * du + dv * dv).sqrt() - key.similarity;
            let mask = soft(beyond / key.smoothness);
            let color = soft(beyond / key.spill);
            kept[i] = mask;
            let alpha = a * mask;
            coarse[at] = byte(255.0 * alpha);
            cb[at] = byte((128.0 + 224.0 * u * color) * alpha).min(coarse[at]);
            cr[at] = byte((128.0 + 224.0 * v * color) * alpha).min(coarse[at]);
        }
        for row in [&mut *first, first_alpha, second, second_alpha] {
            let row = &mut row[2 * from..2 * (from + count)];
            for (i, pair) in row.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                *pair = [byte(f32::from(pair[0]) * kept[i]), byte(f32::from(pair[1]) * kept[i])];
            }
        }
        from += count;
    }
}

/// From 0 to 1, and slow at the beginning: `x` to the power of 3/2.
#[inline(always)]
fn soft(x: f32) -> f32 {
    let x = x.clamp(0.0, 1.0);
    x * x.sqrt()
}

#[inline(always)]
fn chroma(byte: u8, alpha: f32) -> f32 {
    (f32::from(byte) - 128.0 * alpha) / 224.0
}

#[inline(always)]
fn rgb(y: f32, cb: f32, cr: f32) -> [f32; 3] {
    let (r, b) = (y + TO_RED * cr, y + TO_BLUE * cb);
    [r, (y - RED * r - BLUE * b) / GREEN, b]
}

/// The nearest byte.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 to 255 by the clamp"
)]
fn byte(x: f32) -> u8 {
    (x + 0.5).clamp(0.0, 255.0) as u8
}
