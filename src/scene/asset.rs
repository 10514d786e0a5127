//! Asset: a still picture in the canvas' own form: premultiplied planes, alpha at both resolutions,
//! and for each row which spans are empty, opaque or mixed.

use std::sync::Arc;

use image::RgbaImage;

use super::color::{ONE, round, samples};
use super::kernel::{Kernels, Level, copy, mul255};
use crate::media::Rect;

/// An opaque or empty span shorter than this, beside a mixed one, is blended with it: switching
/// kernels would cost more than it saves.
const SHORT: usize = 16;

/// Alpha of what is opaque: longer than any row.
pub(super) static OPAQUE: [u8; 1 << 15] = [255; 1 << 15];

/// By how many bits the samples of a plane are sparser than pixels: of Y, Cb, Cr, and alpha at both
/// resolutions.
pub(super) const fn coarse(plane: usize) -> usize {
    match plane {
        0 | 3 => 0,
        _ => 1,
    }
}

/// A still picture with its place. Its edges are even, so that luma and chroma agree about them. A
/// clone shares its samples.
#[derive(Clone, Debug)]
pub(super) struct Asset {
    rect: Rect,
    opaque: bool,
    samples: Arc<Samples>,
}

#[derive(Clone, Debug)]
struct Samples {
    /// Y, Cb, Cr; rows as wide as the asset, or half as wide.
    planes: [Box<[u8]>; 3],
    /// Alpha at luma and at chroma resolution; empty if all is opaque.
    alpha: [Box<[u8]>; 2],
    runs: [Runs; 2],
}

/// How the pixels of a span cover what is below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    /// Completely: alpha is 255.
    Opaque,
    /// By their alpha.
    Mixed,
}

/// Pixels `from..to` of a row. What no span names is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) cover: Cover,
}

/// The spans of all rows of a plane.
#[derive(Clone, Debug, Default)]
struct Runs {
    spans: Vec<Span>,
    /// Where each row's spans start; one more than there are rows.
    starts: Vec<usize>,
}

/// One row of one plane of an asset.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) pixels: &'a [u8],
    /// Empty if the asset is opaque.
    pub(super) alpha: &'a [u8],
    pub(super) spans: &'a [Span],
}

impl Asset {
    /// Converts what of `image` (sRGB, straight alpha) lies inside `within` when its corner is at
    /// `(x, y)`. Rows and columns that are fully transparent at the edges are left out.
    pub(super) fn new(image: &RgbaImage, (x, y): (i32, i32), within: Rect) -> Self {
        let seen = visible(image, (x, y), within);
        let rect = seen.even();
        let (w, h) = (px(rect.w), px(rect.h));
        let mut planes = [vec![0; w * h], vec![0; w * h / 4], vec![0; w * h / 4]];
        let mut alpha = [vec![0; w * h], vec![0; w * h / 4]];
        for block_y in 0..h / 2 {
            for block_x in 0..w / 2 {
                let mut sums = [0; 3];
                for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    let (col, row) = (block_x * 2 + dx, block_y * 2 + dy);
                    let (cx, cy) = (rect.x + int(col), rect.y + int(row));
                    let [r, g, b, a] = pixel(image, seen, (cx, cy), (x, y));
                    let [luma, cb, cr] = samples([r, g, b]).map(|sample| sample * i64::from(a));
                    planes[0][row * w + col] = round(luma, 255 * ONE);
                    alpha[0][row * w + col] = a;
                    sums = [sums[0] + cb, sums[1] + cr, sums[2] + i64::from(a)];
                }
                let at = block_y * (w / 2) + block_x;
                planes[1][at] = round(sums[0], 4 * 255 * ONE);
                planes[2][at] = round(sums[1], 4 * 255 * ONE);
                alpha[1][at] = round(sums[2], 4);
            }
        }
        Self::with_alpha(rect, planes, alpha)
    }

    /// An opaque asset from its planes. `rect` has even edges.
    pub(super) fn opaque(rect: Rect, planes: [Vec<u8>; 3]) -> Self {
        let (w, h) = (px(rect.w), px(rect.h));
        debug_assert!(rect == rect.even() && planes[0].len() == w * h, "planes fit their place");
        let samples = Samples {
            planes: planes.map(Vec::into_boxed_slice),
            alpha: [Box::default(), Box::default()],
            runs: [Runs::solid(w, h), Runs::solid(w / 2, h / 2)],
        };
        Self { rect, opaque: true, samples: Arc::new(samples) }
    }

    fn with_alpha(rect: Rect, planes: [Vec<u8>; 3], alpha: [Vec<u8>; 2]) -> Self {
        if alpha[0].iter().all(|a| *a == 255) {
            return Self::opaque(rect, planes);
        }
        let w = px(rect.w);
        let runs = [Runs::of(&alpha[0], w), Runs::of(&alpha[1], w / 2)];
        let planes = planes.map(Vec::into_boxed_slice);
        let samples = Samples { planes, alpha: alpha.map(Vec::into_boxed_slice), runs };
        Self { rect, opaque: false, samples: Arc::new(samples) }
    }

    /// This opaque asset with another on it, which lies inside it.
    pub(super) fn under(mut self, over: &Self) -> Self {
        let seen = self.rect.intersect(over.rect);
        let blend = Kernels::at(Level::Scalar).blend;
        let samples = Arc::make_mut(&mut self.samples);
        for plane in 0..3 {
            let coarse = plane.min(1);
            let width = px(self.rect.w) >> coarse;
            let (x, from_x) = (seen.x - self.rect.x, seen.x - over.rect.x);
            let (y, from_y) = (seen.y - self.rect.y, seen.y - over.rect.y);
            let length = px(seen.w) >> coarse;
            for line in 0..px(seen.h) >> coarse {
                let row = over.row(plane, (px(from_y) >> coarse) + line);
                let at = ((px(y) >> coarse) + line) * width + (px(x) >> coarse);
                let (dst, from) =
                    (&mut samples.planes[plane][at..][..length], px(from_x) >> coarse);
                if over.opaque {
                    copy(dst, &row.pixels[from..]);
                } else {
                    blend(dst, &row.pixels[from..], &row.alpha[from..]);
                }
            }
        }
        self
    }

    /// Where it is. Empty if it shows nothing.
    pub(super) const fn rect(&self) -> Rect {
        self.rect
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        let Samples { planes, alpha, runs } = &*self.samples;
        let pixels: usize = planes.iter().chain(alpha).map(|plane| plane.len()).sum();
        let runs = runs.iter().map(|Runs { spans, starts }| {
            size_of_val(spans.as_slice()) + size_of_val(starts.as_slice())
        });
        pixels + runs.sum::<usize>()
    }

    /// Where it hides everything below.
    pub(super) fn opaque_rect(&self) -> Rect {
        if self.opaque { self.rect } else { Rect::default() }
    }

    /// Row `y` of plane 0 (Y), 1 (Cb), 2 (Cr), or of its alpha as 3 and, at chroma resolution, 4.
    pub(super) fn row(&self, plane: usize, y: usize) -> Row<'_> {
        let coarse = coarse(plane);
        let w = px(self.rect.w) >> coarse;
        let Samples { planes, alpha, runs } = &*self.samples;
        let alpha = if self.opaque { &[] } else { &alpha[coarse][y * w..][..w] };
        let pixels = match planes.get(plane) {
            Some(plane) => &plane[y * w..][..w],
            None if self.opaque => &OPAQUE[..w],
            None => alpha,
        };
        Row { pixels, alpha, spans: runs[coarse].row(y) }
    }
}

impl Runs {
    /// `rows` rows that are opaque from end to end.
    fn solid(width: usize, rows: usize) -> Self {
        let spans = vec![Span { from: 0, to: width, cover: Cover::Opaque }; rows];
        Self { spans, starts: (0..=rows).collect() }
    }

    fn of(alpha: &[u8], width: usize) -> Self {
        let mut runs = Self { spans: Vec::new(), starts: vec![0] };
        if width == 0 {
            return runs;
        }
        for row in alpha.chunks_exact(width) {
            runs.add_row(row);
        }
        runs
    }

    fn add_row(&mut self, row: &[u8]) {
        let start = self.starts.last().copied().unwrap_or(0);
        let mut from = 0;
        for run in row.chunk_by(|a, b| kind(*a) == kind(*b)) {
            let to = from + run.len();
            let beside_mixed = self.spans[start..]
                .last()
                .is_some_and(|span| span.cover == Cover::Mixed && span.to == from);
            let cover = match kind(run[0]) {
                Some(_) if beside_mixed && run.len() < SHORT => Some(Cover::Mixed),
                Some(cover) => Some(cover),
                None if beside_mixed && run.len() < SHORT && to < row.len() => Some(Cover::Mixed),
                None => None,
            };
            match (cover, self.spans.last_mut()) {
                (Some(Cover::Mixed), Some(last)) if beside_mixed => last.to = to,
                (Some(cover), _) => self.spans.push(Span { from, to, cover }),
                (None, _) => {}
            }
            from = to;
        }
        self.starts.push(self.spans.len());
    }

    fn row(&self, y: usize) -> &[Span] {
        match (self.starts.get(y), self.starts.get(y + 1)) {
            (Some(from), Some(to)) => &self.spans[*from..*to],
            _ => &[],
        }
    }
}

/// `None` is empty.
const fn kind(alpha: u8) -> Option<Cover> {
    match alpha {
        0 => None,
        255 => Some(Cover::Opaque),
        _ => Some(Cover::Mixed),
    }
}

/// The smallest rectangle inside `within` that holds every pixel with any alpha.
fn visible(image: &RgbaImage, (x, y): (i32, i32), within: Rect) -> Rect {
    let place = Rect { x, y, w: int32(image.width()), h: int32(image.height()) };
    let seen = place.intersect(within);
    let mut found = Rect::default();
    for row in seen.y..seen.y + seen.h {
        let clear = |col: &i32| pixel(image, seen, (*col, row), (x, y))[3] > 0;
        let columns = seen.x..seen.x + seen.w;
        if let (Some(left), Some(right)) = (columns.clone().find(clear), columns.rev().find(clear))
        {
            found = found.union(Rect { x: left, y: row, w: right + 1 - left, h: 1 });
        }
    }
    found
}

/// The pixel at `at` on the canvas, transparent outside `seen`.
fn pixel(image: &RgbaImage, seen: Rect, at: (i32, i32), origin: (i32, i32)) -> [u8; 4] {
    if !seen.contains(Rect { x: at.0, y: at.1, w: 1, h: 1 }) {
        return [0; 4];
    }
    let x = u32::try_from(at.0 - origin.0).unwrap_or(u32::MAX);
    let y = u32::try_from(at.1 - origin.1).unwrap_or(u32::MAX);
    image.get_pixel_checked(x, y).map_or([0; 4], |pixel| pixel.0)
}

/// Puts `over` (straight alpha) on `under`.
pub(super) fn cover(under: &mut [u8; 4], over: [u8; 4]) {
    let a = over[3];
    let kept = mul255(under[3], 255 - a);
    let total = u32::from(a) + u32::from(kept);
    if total == 0 {
        return;
    }
    for i in 0..3 {
        let sum = u32::from(over[i]) * u32::from(a) + u32::from(under[i]) * u32::from(kept);
        under[i] = u8::try_from((sum + total / 2) / total).unwrap_or(u8::MAX);
    }
    under[3] = u8::try_from(total).unwrap_or(u8::MAX);
}

/// A side or coordinate that is known not to be negative, as an index.
pub(super) fn px(v: i32) -> usize {
    usize::try_from(v).unwrap_or(0)
}

/// An index as a coordinate.
pub(super) fn int(v: usize) -> i32 {
    i32::try_from(v).unwrap_or(i32::MAX)
}

/// A width or height as a coordinate.
pub(super) fn int32(v: u32) -> i32 {
    i32::try_from(v).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use image::Rgba;

    use super::*;
    use crate::scene::color::bytes;
    use crate::scene::model::Color;

    const ALL: Rect = Rect { x: 0, y: 0, w: 4_096, h: 4_096 };

    fn low(v: u32) -> u8 {
        v.to_le_bytes()[0]
    }

    #[test]
    fn an_opaque_pattern_of_chroma_sized_blocks_survives_exactly() {
        let color = |x: u32, y: u32| Rgba([low(x / 2 * 37), low(y / 2 * 91), 80, 255]);
        let image = RgbaImage::from_fn(32, 16, color);
        let asset = Asset::new(&image, (10, 20), ALL);
        assert_eq!(asset.opaque_rect(), Rect { x: 10, y: 20, w: 32, h: 16 });
        for y in 0..16 {
            for x in 0..32 {
                let [r, g, b, a] = image.get_pixel(x, y).0;
                let expected = bytes(Color { r, g, b, a });
                let got = [0, 1, 2].map(|plane: usize| {
                    let coarse = plane.min(1);
                    asset.row(plane, y as usize >> coarse).pixels[x as usize >> coarse]
                });
                assert_eq!(got, expected, "{x} {y}");
            }
        }
    }

    #[test]
    fn an_odd_place_is_padded_and_transparent_edges_are_left_out() {
        let mut image = RgbaImage::new(40, 40);
        for (x, y) in [(11, 9), (12, 9)] {
            image.put_pixel(x, y, Rgba([255; 4]));
        }
        let asset = Asset::new(&image, (0, 0), ALL);
        assert_eq!(asset.rect(), Rect { x: 10, y: 8, w: 4, h: 2 });
        assert_eq!(asset.row(0, 1).alpha, [0, 255, 255, 0]);
        assert_eq!(asset.row(1, 0).alpha, [64, 64]);
        assert!(asset.opaque_rect().is_empty());
    }

    #[test]
    fn what_lies_outside_the_canvas_is_left_out() {
        let image = RgbaImage::from_pixel(100, 100, Rgba([1, 2, 3, 255]));
        let canvas = Rect { x: 0, y: 0, w: 64, h: 32 };
        assert_eq!(
            Asset::new(&image, (-50, -90), canvas).rect(),
            Rect { x: 0, y: 0, w: 50, h: 10 }
        );
        assert!(Asset::new(&image, (64, 0), canvas).rect().is_empty());
    }

    #[test]
    fn spans_say_what_the_alpha_says() {
        let mut state = 5_u32;
        for width in [1, 7, 64, 333] {
            let mut alpha = vec![0_u8; width];
            let mut value = 0;
            for a in &mut alpha {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if state >> 28 == 0 {
                    value = [0, 255, 90][(state >> 8) as usize % 3];
                }
                *a = value;
            }
            let runs = Runs::of(&alpha, width);
            let mut covers = vec![None; width];
            for span in runs.row(0) {
                covers[span.from..span.to].fill(Some(span.cover));
            }
            for (a, cover) in alpha.iter().zip(covers) {
                match cover {
                    None => assert_eq!(*a, 0),
                    Some(Cover::Opaque) => assert_eq!(*a, 255),
                    Some(Cover::Mixed) => {}
                }
            }
            assert!(runs.row(0).windows(2).all(|pair| pair[0].to <= pair[1].from));
        }
    }

    #[test]
    fn no_premultiplied_sample_is_above_its_alpha() {
        let image =
            RgbaImage::from_fn(64, 64, |x, y| Rgba([low(x * 4), 255, low(y * 4), low(x * y)]));
        let asset = Asset::new(&image, (1, 1), ALL);
        for plane in 0..3 {
            for y in 0..px(asset.rect().h) >> plane.min(1) {
                let row = asset.row(plane, y);
                assert!(row.pixels.iter().zip(row.alpha).all(|(s, a)| s <= a));
            }
        }
    }
}
