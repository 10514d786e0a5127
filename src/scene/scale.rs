//! Scaler: a canvas at another, smaller size, of which only what changed is made anew.

use super::damage::{Damage, History};
use super::kernel::{Filter, GROUP, Kernels, Level, TAPS_MAX};
use crate::frame::{Frame, FrozenFrame, PlaneMut, Pool};
use crate::media::{PixelFormat, Rect, Size};

/// Samples that the kernels take at once from a row.
const SPAN: usize = 32;

/// Bytes that the kernels may read past the end of a row.
const SLACK: usize = 64;

/// Makes smaller pictures of a canvas: each sample is the mean of what it covers.
///
/// A slot keeps its pixels while it is free, so that only what changed since is made anew in it.
/// When nothing changed the picture before is given again. Nothing here allocates after it was
/// made.
#[derive(Debug)]
pub struct Scaler {
    from: Size,
    to: Size,
    kernels: &'static Kernels,
    /// Of luma, and of chroma.
    filters: [Filters; 2],
    history: History,
    /// The newest picture, and the mark of what it shows.
    last: Option<(FrozenFrame, u64)>,
    /// A row of the canvas.
    row: Box<[u8]>,
}

/// How one plane is scaled.
#[derive(Debug)]
struct Filters {
    columns: Filter,
    rows: Filter,
}

impl Scaler {
    /// By how much a side is reduced at most.
    pub const REDUCTION_MAX: u32 = Filter::REDUCTION_MAX;

    /// From a canvas of size `from` to `to`. Kernels are the widest this machine has, but not above
    /// `level`.
    #[must_use]
    pub fn new(from: Size, to: Size, level: Level) -> Self {
        let plane = |part: u32| Filters {
            columns: Filter::area(from.width() / part, to.width() / part),
            rows: Filter::area(from.height() / part, to.height() / part),
        };
        let row = vec![0; from.width() as usize + SPAN + SLACK].into_boxed_slice();
        Self {
            from,
            to,
            kernels: Kernels::at(level),
            filters: [plane(1), plane(2)],
            history: History::begin(to.rect()),
            last: None,
            row,
        }
    }

    /// Whether it can scale from one size to the other.
    #[must_use]
    pub const fn can_scale(from: Size, to: Size) -> bool {
        const fn fits(from: u32, to: u32) -> bool {
            to <= from && from <= to * Scaler::REDUCTION_MAX
        }
        fits(from.width(), to.width()) && fits(from.height(), to.height())
    }

    /// The canvas has changed there since the last call.
    pub fn change(&mut self, damage: &Damage) {
        let mut changed = Damage::none(self.to.rect());
        for rect in damage.rects() {
            changed.add(self.covering(*rect));
        }
        if !changed.is_empty() {
            self.history.push(&changed);
        }
    }

    /// The canvas' picture at the other size, in a frame of `pool`; `None` while all of those are
    /// in use: what changed is not lost.
    pub fn scale(&mut self, canvas: &FrozenFrame, pool: &Pool) -> Option<FrozenFrame> {
        let mark = self.history.mark();
        if let Some((last, shown)) = &self.last
            && *shown == mark
        {
            return Some(last.share());
        }
        let fits = |of: &crate::frame::Geometry, size| {
            of.size() == size && of.format() == PixelFormat::I420
        };
        if !fits(canvas.geometry(), self.from) || !fits(pool.geometry(), self.to) {
            debug_assert!(false, "a picture has another size or format than the scaler");
            return None;
        }
        let mut frame = pool.take()?;
        for rect in self.history.since(frame.content()).rects() {
            self.draw(canvas, &mut frame, *rect);
        }
        frame.set_content(mark);
        let frame = frame.freeze();
        self.last = Some((frame.share(), mark));
        Some(frame)
    }

    /// What of the smaller picture shows something of `rect` of the canvas.
    fn covering(&self, rect: Rect) -> Rect {
        // In steps of two, which is one of chroma.
        let side = |at: i32, length: i32, from: u32, to: u32| {
            let (from, to) = (i64::from(from), i64::from(to));
            let begin = i64::from(at) * to / (2 * from) * 2;
            let end = (i64::from(at + length) * to + 2 * from - 1) / (2 * from) * 2;
            (int(begin), int(end - begin))
        };
        let (x, w) = side(rect.x, rect.w, self.from.width(), self.to.width());
        let (y, h) = side(rect.y, rect.h, self.from.height(), self.to.height());
        Rect { x, y, w, h }
    }

    /// Makes what lies in `rect` anew. What is made of a sample does not depend on `rect`.
    fn draw(&mut self, canvas: &FrozenFrame, frame: &mut Frame, rect: Rect) {
        for (index, mut plane) in frame.planes_mut().into_iter().enumerate() {
            let coarse = index.min(1);
            let part = |at: i32| usize::try_from(at).unwrap_or(0) >> coarse;
            let groups = part(rect.x) / GROUP..part(rect.x + rect.w).div_ceil(GROUP);
            let filters = &self.filters[coarse];
            let stride = canvas.geometry().planes().get(index).map_or(0, |plane| plane.stride);
            let source = Rows { data: canvas.plane(index), stride };
            for y in part(rect.y)..part(rect.y + rect.h) {
                let PlaneMut { data, stride, .. } = &mut plane;
                let dst = &mut data[y * *stride..][..*stride];
                scale_row(self.kernels, filters, (&source, y), &mut self.row, (dst, &groups));
            }
        }
    }
}

/// The rows of a plane.
struct Rows<'a> {
    data: &'a [u8],
    stride: usize,
}

/// Makes groups of row `y` of the smaller plane; `row` is as wide as one of the larger.
fn scale_row(
    kernels: &Kernels,
    Filters { columns, rows }: &Filters,
    (source, y): (&Rows<'_>, usize),
    row: &mut [u8],
    (dst, groups): (&mut [u8], &std::ops::Range<usize>),
) {
    let (first, last) = (groups.start * GROUP, (groups.end * GROUP).min(columns.length()));
    if first >= last {
        return;
    }
    let (begin, (end, weights)) = (columns.of(first).0, columns.of(last - 1));
    let begin = begin / SPAN * SPAN;
    let end = (end + weights.len()).next_multiple_of(SPAN).min(source.stride);
    let (top, weights) = rows.of(y);
    let line = |n: usize| &source.data[(top + n) * source.stride..][begin..end];
    if rows.is_identity() {
        row[begin..end].copy_from_slice(line(0));
    } else {
        let mut lines = [(&[][..], 0); TAPS_MAX];
        // Rows that weigh nothing may not be there.
        let count = weights.iter().rposition(|weight| *weight > 0).map_or(0, |n| n + 1);
        for (n, place) in lines[..count].iter_mut().enumerate() {
            *place = (line(n), weights[n]);
        }
        (kernels.sum_rows)(&mut row[begin..end], &lines[..count]);
    }
    if columns.is_identity() {
        dst[first..last].copy_from_slice(&row[first..last]);
    } else {
        (kernels.sum_columns)(dst, row, columns, groups.clone());
    }
}

fn int(n: i64) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
