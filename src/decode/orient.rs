//! Orientation of planes: samples moved to where a picture that is turned or mirrored has them.

use super::resize::SourcePlane;
use crate::frame::{Frame, PlaneMut};
use crate::media::Orientation;

/// Samples of a square that is turned at once: its rows stay in the cache, on both sides.
const TILE: usize = 32;

/// Writes `source` into `target`, which has its size after the orientation.
pub(super) fn plane(source: &SourcePlane<'_>, target: &mut PlaneMut<'_>, how: Orientation) {
    if how.is_sideways() {
        sideways(source, target, how);
    } else {
        along(source, target, how);
    }
}

/// Writes a frame into another, which has its size after the orientation. Alpha below the colours
/// is a picture of its own.
pub(super) fn frame(source: &Frame, target: &mut Frame, how: Orientation) {
    let parts = if source.geometry().has_alpha() { 2 } else { 1 };
    let shapes = source.geometry().planes().to_vec();
    for (index, (shape, whole)) in shapes.iter().zip(target.planes_mut()).enumerate() {
        let (rows, target_rows) = (shape.rows / parts, whole.rows / parts);
        for part in 0..parts {
            let from = SourcePlane {
                data: &source.plane(index)[part * rows * shape.stride..],
                stride: shape.stride,
                width: shape.width,
                rows,
            };
            let (stride, width) = (whole.stride, whole.width);
            let data = &mut whole.data[part * target_rows * stride..];
            plane(&from, &mut PlaneMut { data, stride, width, rows: target_rows }, how);
        }
    }
}

/// Each row is a row.
fn along(source: &SourcePlane<'_>, target: &mut PlaneMut<'_>, how: Orientation) {
    let is_half = how.quarters() == 2;
    for y in 0..target.rows {
        let from = if is_half { source.rows - 1 - y } else { y };
        let row = &source.data[from * source.stride..][..target.width];
        let to = &mut target.data[y * target.stride..][..target.width];
        if is_half == how.is_mirrored() {
            to.copy_from_slice(row);
        } else {
            to.iter_mut().zip(row.iter().rev()).for_each(|(to, from)| *to = *from);
        }
    }
}

/// Each row is a column.
fn sideways(source: &SourcePlane<'_>, target: &mut PlaneMut<'_>, how: Orientation) {
    // Clockwise, what is on the left comes to the top, and what is at the bottom to the left.
    let is_clockwise = how.quarters() == 1;
    let is_from_right = is_clockwise == how.is_mirrored();
    for (top, left) in tiles(target.rows, target.width) {
        for y in top..(top + TILE).min(target.rows) {
            let column = if is_from_right { source.width - 1 - y } else { y };
            let to = &mut target.data[y * target.stride..][..target.width];
            for (x, to) in to.iter_mut().enumerate().skip(left).take(TILE) {
                let row = if is_clockwise { source.rows - 1 - x } else { x };
                *to = source.data[row * source.stride + column];
            }
        }
    }
}

/// The upper left corners of all tiles.
fn tiles(rows: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
    let tops = (0..rows).step_by(TILE);
    tops.flat_map(move |top| (0..width).step_by(TILE).map(move |left| (top, left)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows of three samples, turned and mirrored.
    fn turned(how: Orientation) -> Vec<Vec<u8>> {
        let data = [1, 2, 3, 0, 4, 5, 6];
        let source = SourcePlane { data: &data, stride: 4, width: 3, rows: 2 };
        let (width, rows) = if how.is_sideways() { (2, 3) } else { (3, 2) };
        let mut to = [9; 8 * 3];
        plane(&source, &mut PlaneMut { data: &mut to, stride: 8, width, rows }, how);
        assert!(to.chunks(8).all(|row| row[width..].iter().all(|sample| *sample == 9)));
        to.chunks(8).take(rows).map(|row| row[..width].to_vec()).collect()
    }

    #[test]
    fn samples_come_to_where_they_belong() {
        let mirrored = Orientation::flipped(true, false);
        assert_eq!(turned(Orientation::UPRIGHT), [[1, 2, 3], [4, 5, 6]]);
        assert_eq!(turned(Orientation::turned(1)), [[4, 1], [5, 2], [6, 3]]);
        assert_eq!(turned(Orientation::turned(2)), [[6, 5, 4], [3, 2, 1]]);
        assert_eq!(turned(Orientation::turned(3)), [[3, 6], [2, 5], [1, 4]]);
        assert_eq!(turned(mirrored), [[3, 2, 1], [6, 5, 4]]);
        assert_eq!(turned(Orientation::flipped(false, true)), [[4, 5, 6], [1, 2, 3]]);
        assert_eq!(turned(mirrored.then(Orientation::turned(1))), [[6, 3], [5, 2], [4, 1]]);
        assert_eq!(turned(mirrored.then(Orientation::turned(3))), [[1, 4], [2, 5], [3, 6]]);
    }

    #[test]
    fn planes_larger_than_a_tile_are_turned_whole() {
        let (width, rows) = (2 * TILE + 5, TILE + 7);
        let data: Vec<u8> = (0..=250).cycle().take(width * rows).collect();
        let source = SourcePlane { data: &data, stride: width, width, rows };
        let mut to = vec![0; width * rows];
        let mut target = PlaneMut { data: &mut to, stride: rows, width: rows, rows: width };
        plane(&source, &mut target, Orientation::turned(1));
        for (y, x) in (0..width).flat_map(|y| (0..rows).map(move |x| (y, x))) {
            assert_eq!(to[y * rows + x], data[(rows - 1 - x) * width + y]);
        }
    }
}
