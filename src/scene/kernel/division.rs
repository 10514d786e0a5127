//! Division by 255 of products of bytes, rounded to nearest.

/// `x / 255`, rounded to nearest, for `x <= 65_152`: a sum of two products that
/// [`BlendFaded`](super::table::BlendFaded) can reach, because no colour is above its alpha.
#[must_use]
pub const fn div255(x: u16) -> u8 {
    let t = x.wrapping_add(128);
    (t.wrapping_add(t >> 8) >> 8) as u8
}

/// `x * y / 255`, rounded to nearest.
#[must_use]
pub const fn mul255(x: u8, y: u8) -> u8 {
    div255(x as u16 * y as u16)
}
