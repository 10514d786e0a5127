//! Plane scaler: planar pictures of 8 bits to frames of another size and of BT.709, by the kernels
//! of scenes: a row of the result is made of rows that are still in the cache.

use super::error::Fault;
use crate::frame::{Frame, Geometry, PlaneMut};
use crate::scene::kernel::{ColorMatrix, Kernels, Level, Polyphase};

/// Bytes that a vector may take from a row at once.
const WIDE: usize = 32;

/// A plane of a decoded picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct SourcePlane<'a> {
    /// Rows are `stride` bytes apart; the last one ends with its last sample.
    pub(super) data: &'a [u8],
    pub(super) stride: usize,
    pub(super) width: usize,
    pub(super) rows: usize,
}

/// Scales pictures of one size into frames of one geometry.
#[derive(Debug)]
pub(super) struct PlaneScaler {
    kernels: &'static Kernels,
    /// Of luma and of colour; `None` if the planes keep their size.
    filters: [Option<Filters>; 2],
    matrix: Option<ColorMatrix>,
    /// Width and rows of the planes that are scaled: luma, colour.
    sides: [(usize, usize); 2],
    /// A row between the two passes.
    row: Box<[i16]>,
}

#[derive(Debug)]
struct Filters {
    columns: Polyphase,
    rows: Polyphase,
}

impl PlaneScaler {
    /// From pictures of this width and height, of which colour has half the samples each way.
    pub(super) fn new(
        (width, height): (u32, u32),
        to: &Geometry,
        matrix: Option<ColorMatrix>,
    ) -> Self {
        let (wide, high) = (to.size().width(), to.size().height());
        let filters = |from: (u32, u32), to: (u32, u32)| {
            (from != to).then(|| Filters {
                columns: Polyphase::bicubic(from.0, to.0),
                rows: Polyphase::bicubic(from.1, to.1),
            })
        };
        let coarse = (width.div_ceil(2), height.div_ceil(2));
        let filters =
            [filters((width, height), (wide, high)), filters(coarse, (wide / 2, high / 2))];
        let taps = filters.iter().flatten().map(|filters| filters.columns.taps()).max();
        let row = vec![0; width as usize + WIDE + taps.unwrap_or(0)].into_boxed_slice();
        let sides = [(width, height), coarse].map(|(w, h)| (w as usize, h as usize));
        Self { kernels: Kernels::at(Level::best()), filters, matrix, sides, row }
    }

    /// Whether a picture is only copied.
    pub(super) const fn is_copy(&self) -> bool {
        self.filters[0].is_none() && self.filters[1].is_none() && self.matrix.is_none()
    }

    /// Makes a frame of the geometry that it was made for.
    pub(super) fn run(
        &mut self,
        source: &[SourcePlane<'_>; 3],
        frame: &mut Frame,
    ) -> Result<(), Fault> {
        let mut planes = frame.planes_mut();
        for (index, (source, plane)) in source.iter().zip(&mut planes).enumerate() {
            let coarse = index.min(1);
            if self.sides[coarse] != (source.width, source.rows) {
                return Err(Fault::INVALID);
            }
            match &self.filters[coarse] {
                Some(filters) => scale(self.kernels, filters, source, plane, &mut self.row),
                None => copy(source, plane),
            }
        }
        if let Some(matrix) = &self.matrix {
            convert(self.kernels, matrix, planes);
        }
        Ok(())
    }
}

fn scale(
    kernels: &Kernels,
    filters: &Filters,
    source: &SourcePlane<'_>,
    plane: &mut PlaneMut<'_>,
    row: &mut [i16],
) {
    for y in 0..plane.rows {
        let (first, weights) = filters.rows.trimmed(y);
        let rows = &source.data[first * source.stride..];
        // To a whole vector, as far as the last of the rows has samples behind its end.
        let last = rows.len().saturating_sub((weights.len() - 1) * source.stride);
        let wide = source.width.next_multiple_of(WIDE).min(last);
        (kernels.filter_rows)(&mut row[..wide], rows, source.stride, weights);
        let dst = &mut plane.data[y * plane.stride..][..plane.stride];
        (kernels.filter_columns)(dst, row, &filters.columns);
    }
}

fn copy(source: &SourcePlane<'_>, plane: &mut PlaneMut<'_>) {
    let rows = source.data.chunks(source.stride).zip(plane.data.chunks_mut(plane.stride));
    for (from, to) in rows.take(plane.rows) {
        to[..plane.width].copy_from_slice(&from[..plane.width]);
    }
}

fn convert(kernels: &Kernels, matrix: &ColorMatrix, [luma, cb, cr]: [PlaneMut<'_>; 3]) {
    let width = luma.width;
    let luma = luma.data.chunks_mut(2 * luma.stride).map(|pair| pair.split_at_mut(luma.stride));
    let colour = cb.data.chunks_mut(cb.stride).zip(cr.data.chunks_mut(cr.stride));
    for ((above, below), (b, r)) in luma.zip(colour).take(cb.rows) {
        let (b, r) = (&mut b[..cb.width], &mut r[..cb.width]);
        (kernels.convert_luma)(&mut above[..width], b, r, matrix);
        (kernels.convert_luma)(&mut below[..width], b, r, matrix);
        (kernels.convert_chroma)(b, r, matrix);
    }
}
