//! Reading codec headers bit by bit.

/// Takes bits off bytes, the highest first. Nothing is read beyond the end.
#[derive(Clone, Debug)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits taken so far.
    at: usize,
}

/// Leading zeros of the longest Exp-Golomb code that is read.
const GOLOMB_ZEROS_MAX: u32 = 31;

impl<'a> Bits<'a> {
    /// From the first bit of `bytes` on.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits, at most 32, as a number.
    pub fn take(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0_u32, |number, _| Some(number << 1 | u32::from(self.flag()?)))
    }

    /// The next bit.
    pub fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// Passes over bits.
    pub fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count)?;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// An unsigned Exp-Golomb code (ITU-T H.264 section 9.1; `uvlc` of AV1 is the same).
    pub fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > GOLOMB_ZEROS_MAX {
                return None;
            }
        }
        let rest = self.take(zeros)?;
        (1_u32 << zeros).checked_add(rest)?.checked_sub(1)
    }
}

/// The payload of an H.264 or H.265 unit without the bytes that keep start codes out of it.
#[must_use]
pub fn without_emulation(unit: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(unit.len());
    out.extend(unescaped(unit));
    out
}

/// The same bytes one after the other.
pub fn unescaped(unit: &[u8]) -> impl Iterator<Item = u8> {
    let mut zeros = 0;
    unit.iter().copied().filter(move |&byte| {
        let is_kept = zeros < 2 || byte != 3;
        zeros = if is_kept && byte == 0 { zeros + 1 } else { 0 };
        is_kept
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_and_codes_are_read_in_order_and_not_beyond_the_end() {
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0000]);
        assert_eq!((bits.take(3), bits.flag()), (Some(5), Some(false)));
        assert_eq!((bits.golomb(), bits.golomb()), (Some(2), Some(3)));
        assert_eq!((bits.skip(4), bits.take(1)), (Some(()), None));
        assert_eq!(Bits::new(&[0; 8]).golomb(), None);
    }

    #[test]
    fn only_a_three_after_two_zeros_is_left_out() {
        assert_eq!(
            without_emulation(&[0, 0, 3, 1, 0, 3, 0, 0, 3, 0, 0, 3]),
            [0, 0, 1, 0, 3, 0, 0, 0, 0]
        );
    }
}
