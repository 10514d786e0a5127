//! Deinterlacing kernel: a row of the field that is left out, made of the rows of the other field
//! around it, of what the field itself has there, and of what was there a picture ago.

/// By how much the slanted difference has to be less than the upright one: what is noise is not
/// taken for an edge.
const EDGE_BIAS: u8 = 6;

/// The rows that a missing row is made of. All have the same length.
#[derive(Clone, Copy, Debug)]
pub struct FieldRows<'a> {
    /// The rows of the field that is kept, above and below.
    pub kept: [&'a [u8]; 2],
    /// The row itself, as the other field has it.
    pub woven: &'a [u8],
    /// The same three of the picture before: above, below, and the row itself.
    pub before: Option<[&'a [u8]; 3]>,
}

/// Where nothing moves the row stays as it is woven; where something does it is interpolated along
/// edges (ELA): never farther from what is woven than the picture has changed there.
pub(super) fn deinterlace(dst: &mut [u8], rows: &FieldRows<'_>) {
    go(dst, rows);
}

/// The definition, for whatever registers its caller may use.
#[inline(always)]
pub(super) fn go(dst: &mut [u8], rows: &FieldRows<'_>) {
    let FieldRows { kept: [above, below], woven, before } = *rows;
    let count = dst.len().min(above.len()).min(below.len()).min(woven.len());
    let (dst, above, below) = (&mut dst[..count], &above[..count], &below[..count]);
    for (at, d) in dst.iter_mut().enumerate() {
        *d = average(above[at], below[at]);
    }
    for at in 1..count.saturating_sub(1) {
        let upright = above[at].abs_diff(below[at]);
        let falling = above[at - 1].abs_diff(below[at + 1]).saturating_add(EDGE_BIAS);
        let rising = above[at + 1].abs_diff(below[at - 1]).saturating_add(EDGE_BIAS);
        let value = average(above[at], below[at]);
        let is_falling = falling < upright;
        let value = if is_falling { average(above[at - 1], below[at + 1]) } else { value };
        let least = upright.min(falling);
        let is_rising = rising < least;
        dst[at] = if is_rising { average(above[at + 1], below[at - 1]) } else { value };
    }
    let Some([old_above, old_below, old_woven]) = before else { return };
    let count = count.min(old_above.len()).min(old_below.len()).min(old_woven.len());
    let (dst, above, below, woven) =
        (&mut dst[..count], &above[..count], &below[..count], &woven[..count]);
    let (old_above, old_below) = (&old_above[..count], &old_below[..count]);
    let old_woven = &old_woven[..count];
    for at in 0..count {
        let around = average(above[at].abs_diff(old_above[at]), below[at].abs_diff(old_below[at]));
        let change = woven[at].abs_diff(old_woven[at]).max(around);
        let least = woven[at].saturating_sub(change);
        let most = woven[at].saturating_add(change);
        dst[at] = dst[at].max(least).min(most);
    }
}

/// Half of the sum, rounded up.
const fn average(a: u8, b: u8) -> u8 {
    #[expect(clippy::cast_possible_truncation, reason = "the mean of two bytes is one")]
    let mean = (a as u16 + b as u16).div_ceil(2) as u8;
    mean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::kernel::tests::noise;
    use crate::scene::kernel::{Kernels, Level};

    #[test]
    fn what_stands_still_keeps_its_row_and_what_moves_is_interpolated() {
        let (above, below, woven) = (vec![100; 40], vec![120; 40], vec![30; 40]);
        let kept: [&[u8]; 2] = [&above, &below];
        let same: [&[u8]; 3] = [&above, &below, &woven];
        let moved: [&[u8]; 3] = [&[200; 40], &[200; 40], &woven];
        for (before, made) in [(Some(same), 30), (Some(moved), 110), (None, 110)] {
            let mut row = vec![0; 40];
            deinterlace(&mut row, &FieldRows { kept, woven: &woven, before });
            assert_eq!(row, [made; 40]);
        }
    }

    #[test]
    fn an_edge_that_is_slanted_is_followed() {
        let edge =
            |at: usize| -> Vec<u8> { (0..40).map(|x| if x < at { 16 } else { 235 }).collect() };
        let (above, below) = (edge(19), edge(21));
        let mut row = vec![0; 40];
        let woven = [0; 40];
        deinterlace(&mut row, &FieldRows { kept: [&above, &below], woven: &woven, before: None });
        assert_eq!(row, edge(20));
    }

    #[test]
    fn every_level_gives_the_same_bytes_of_rows_of_any_length() {
        for length in [0, 1, 2, 3, 31, 32, 33, 64, 97, 320] {
            let rows: Vec<_> = (0..6).map(|seed| noise(seed, length)).collect();
            let before: [&[u8]; 3] = [&rows[3], &rows[4], &rows[5]];
            for before in [None, Some(before)] {
                let fields = FieldRows { kept: [&rows[0], &rows[1]], woven: &rows[2], before };
                let mut expected = vec![7; length];
                deinterlace(&mut expected, &fields);
                for level in Level::here() {
                    let mut row = vec![9; length];
                    (Kernels::at(level).deinterlace)(&mut row, &fields);
                    assert_eq!(row, expected, "{level:?}, {length}");
                }
            }
        }
    }
}
