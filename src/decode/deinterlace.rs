//! Deinterlacing: whole pictures of those of two fields. The field that comes first is kept, and
//! the rows of the other are made anew where something moves.

use super::resize::SourcePlane;
use crate::frame::PlaneMut;
use crate::scene::kernel::{FieldRows, Kernels, Level};

/// Makes a whole picture of `fields`. `before` is the picture of two fields before it, if there is
/// one of the same size; `keeps_top` if the upper field comes first.
pub(super) fn whole(
    target: [PlaneMut<'_>; 3],
    fields: &[SourcePlane<'_>; 3],
    before: Option<&[SourcePlane<'_>; 3]>,
    keeps_top: bool,
) {
    let kernels = Kernels::at(Level::best());
    for (index, (mut target, fields)) in target.into_iter().zip(fields).enumerate() {
        let before = before.map(|before| &before[index]);
        plane(kernels, &mut target, fields, (before, usize::from(!keeps_top)));
    }
}

fn plane(
    kernels: &Kernels,
    target: &mut PlaneMut<'_>,
    fields: &SourcePlane<'_>,
    (before, kept): (Option<&SourcePlane<'_>>, usize),
) {
    let row = |plane: &SourcePlane<'_>, y: usize| -> std::ops::Range<usize> {
        let begin = y * plane.stride;
        begin..begin + plane.width
    };
    for (y, out) in target.data.chunks_mut(target.stride).take(target.rows).enumerate() {
        let out = &mut out[..target.width];
        if y % 2 == kept || fields.rows < 2 {
            out.copy_from_slice(&fields.data[row(fields, y)]);
            continue;
        }
        // At the edges the one row that there is stands for both.
        let above = y.checked_sub(1).unwrap_or(1);
        let below = if y + 1 < fields.rows { y + 1 } else { above };
        let kept = [above, below].map(|y| &fields.data[row(fields, y)]);
        let before = before.map(|plane| [above, below, y].map(|y| &plane.data[row(plane, y)]));
        (kernels.deinterlace)(
            out,
            &FieldRows { kept, woven: &fields.data[row(fields, y)], before },
        );
    }
}

/// By how much rows differ from both of their neighbours, more than those from each other: the comb
/// of two fields.
#[cfg(test)]
pub(super) fn comb(luma: &[u8], width: usize) -> u64 {
    let rows: Vec<_> = luma.chunks(width).collect();
    let teeth = rows.windows(3).flat_map(|rows| {
        (0..width).map(|x| {
            let [above, row, below] = [rows[0][x], rows[1][x], rows[2][x]];
            let tooth = row.abs_diff(above).min(row.abs_diff(below));
            u64::from(tooth.saturating_sub(above.abs_diff(below)))
        })
    });
    teeth.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 64;
    const ROWS: usize = 48;

    /// A bar that is as far to the right in each field as its time says: the comb of two fields.
    fn bar(time: usize) -> Vec<u8> {
        let at = |y: usize| 8 + 6 * (2 * time + y % 2);
        let pixel = |x: usize, y: usize| if (at(y)..at(y) + 16).contains(&x) { 235 } else { 16 };
        (0..ROWS * WIDTH).map(|at| pixel(at % WIDTH, at / WIDTH)).collect()
    }

    fn source(data: &[u8]) -> SourcePlane<'_> {
        SourcePlane { data, stride: WIDTH, width: WIDTH, rows: ROWS }
    }

    fn made(fields: &[u8], before: Option<&[u8]>, keeps_top: bool) -> Vec<u8> {
        let mut out = [vec![0; fields.len()], vec![0; fields.len()], vec![0; fields.len()]];
        let [a, b, c] = &mut out;
        let target = |data| PlaneMut { data, stride: WIDTH, width: WIDTH, rows: ROWS };
        let before = before.map(|before| [source(before); 3]);
        let target = [target(a.as_mut_slice()), target(b), target(c)];
        whole(target, &[source(fields); 3], before.as_ref(), keeps_top);
        let [luma, cb, cr] = out;
        assert!(luma == cb && luma == cr);
        luma
    }

    #[test]
    fn a_moving_bar_has_no_comb_and_is_where_the_first_field_has_it() {
        for keeps_top in [true, false] {
            for before in [None, Some(bar(0))] {
                let fields = bar(1);
                let picture = made(&fields, before.as_deref(), keeps_top);
                assert!(comb(&fields, WIDTH) > 100_000, "there is a comb to begin with");
                assert_eq!(comb(&picture, WIDTH), 0);
                let first = usize::from(!keeps_top);
                for (y, row) in picture.chunks(WIDTH).enumerate() {
                    assert_eq!(row, &fields[first * WIDTH..][..WIDTH], "{y}");
                }
            }
        }
    }

    #[test]
    fn what_stands_still_keeps_every_line() {
        let lines: Vec<u8> = (0..ROWS * WIDTH)
            .map(|at| if (at / WIDTH).is_multiple_of(2) { 16 } else { 235 })
            .collect();
        assert_eq!(made(&lines, Some(&lines), true), lines);
        let blurred = made(&lines, None, true);
        assert!(blurred.iter().all(|&value| value == 16), "without a history it cannot know");
    }
}
