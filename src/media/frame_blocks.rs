//! Frame number as black and white blocks: what a frame counter draws, and programs read from the
//! picture again.

/// Blocks of the number, the highest bit first.
const NUMBER_BITS: u32 = 32;

/// Blocks behind it: the sum of the number's bytes, inverted, so that neither black nor white alone
/// is a number.
const CHECK_BITS: u32 = 8;

/// Blocks beside each other.
pub const FRAME_BLOCKS: u32 = NUMBER_BITS + CHECK_BITS;

/// The blocks of a number, of which 32 bits count: white ones are set, the first is the highest of
/// [`FRAME_BLOCKS`] bits.
#[must_use]
pub fn frame_blocks(number: u64) -> u64 {
    let number = number & u64::from(u32::MAX);
    let sum = number.to_le_bytes().into_iter().fold(0, u8::wrapping_add);
    number << CHECK_BITS | u64::from(!sum)
}

/// Whether block `n` of these is white.
#[must_use]
pub const fn is_white_block(blocks: u64, n: u32) -> bool {
    blocks >> (FRAME_BLOCKS - 1 - n) & 1 == 1
}

/// The number of these blocks; `None` if its check says that it is none.
#[must_use]
pub fn frame_of_blocks(blocks: u64) -> Option<u32> {
    let number = blocks >> CHECK_BITS;
    (frame_blocks(number) == blocks).then(|| u32::try_from(number).ok()).flatten()
}

/// Where block `n` of a row of this width begins, pixels: at an even column.
#[must_use]
pub fn frame_block_edge(width: u32, n: u32) -> u32 {
    let way = u64::from(width) * u64::from(n) / u64::from(FRAME_BLOCKS);
    u32::try_from(way).unwrap_or(0) & !1
}

/// The number in a picture that is one row of blocks: its luma, `width` pixels in each row. `None`
/// if there is none.
#[must_use]
pub fn frame_in_picture(luma: &[u8], width: u32) -> Option<u32> {
    let columns = usize::try_from(width).ok().filter(|columns| *columns > 0)?;
    let rows: Vec<_> = luma.chunks_exact(columns).collect();
    // The middle half of each block: its edges are blurred.
    let rows = &rows[rows.len() / 4..rows.len() - rows.len() / 4];
    let mut blocks = 0;
    for n in 0..FRAME_BLOCKS {
        let right = if n + 1 == FRAME_BLOCKS { width } else { frame_block_edge(width, n + 1) };
        let (left, quarter) =
            (frame_block_edge(width, n), (right - frame_block_edge(width, n)) / 4);
        let [from, to] = [left + quarter, right - quarter].map(|at| at as usize);
        let bytes = rows.iter().flat_map(|row| &row[from..to]);
        let (sum, count) =
            bytes.fold((0_u64, 0_u64), |(sum, count), luma| (sum + u64::from(*luma), count + 1));
        const MIDDLE: u64 = 126;
        blocks = blocks << 1 | u64::from(sum > count * MIDDLE);
    }
    frame_of_blocks(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_are_the_number_and_its_check() {
        let bits = |n: u64| format!("{:040b}", frame_blocks(n));
        assert_eq!(bits(0), format!("{:032b}{:08b}", 0, 0xFF));
        assert_eq!(bits(0x0102_0304), format!("{:032b}{:08b}", 0x0102_0304, 0xF5));
        assert_eq!(frame_blocks(1 << 32 | 7), frame_blocks(7));
        assert_eq!((frame_of_blocks(0), frame_of_blocks((1 << FRAME_BLOCKS) - 1)), (None, None));
    }

    #[test]
    fn a_picture_without_pixels_has_no_number() {
        for (luma, width) in [(&[][..], 0), (&[], 640), (&[255; 10], 20), (&[255; 39], 39)] {
            assert_eq!(frame_in_picture(luma, width), None, "{width}");
        }
    }

    proptest! {
        #[test]
        fn a_number_is_read_from_a_picture_that_is_not_sharp(
            number: u32, width in 120_u32..1_300, height in 1_usize..20, noise: u8,
        ) {
            let blocks = frame_blocks(number.into());
            let edges: Vec<_> = (0..FRAME_BLOCKS).map(|n| frame_block_edge(width, n)).collect();
            let row = (0..width).map(|x| {
                let n = edges.partition_point(|edge| *edge <= x) - 1;
                let is_white = is_white_block(blocks, u32::try_from(n).unwrap());
                // An encoder is not exact.
                let off = noise.wrapping_mul(u8::try_from(x % 251).unwrap()) % 60;
                if is_white { 235 - off } else { 16 + off }
            });
            let row: Vec<_> = row.collect();
            prop_assert_eq!(frame_in_picture(&row.repeat(height), width), Some(number));
        }
    }
}
