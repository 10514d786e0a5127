//! The tags of an FLV file or stream (Video File Format 10.1 annex E.4.1), and of an RTMP aggregate
//! message, which is made like one (RTMP 1.0 section 7.1.6).

/// A tag's header. Behind it lies the body, and behind that the size of both, in four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagHeader {
    /// What the body is, as an RTMP message's type id: 8 audio, 9 video, 18 data.
    pub type_id: u8,
    /// Length of the body, bytes.
    pub body_bytes: usize,
    /// Timestamp, milliseconds, modulo 2^32.
    pub time: u32,
}

impl TagHeader {
    /// Length of a header.
    pub const BYTES: usize = 11;

    /// Length of the size that stands behind each tag.
    pub const SIZE_BYTES: usize = 4;

    /// Reads a header; any bytes are one. The flag of encrypted bodies and the stream id, which is
    /// always 0, are left out.
    #[must_use]
    pub const fn parse(bytes: &[u8; Self::BYTES]) -> Self {
        const TYPE: u8 = 0x1f;
        let [kind, l0, l1, l2, t1, t2, t3, t0, ..] = *bytes;
        Self {
            type_id: kind & TYPE,
            body_bytes: u32::from_be_bytes([0, l0, l1, l2]) as usize,
            time: u32::from_be_bytes([t0, t1, t2, t3]),
        }
    }
}

/// One tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// As in [`TagHeader::type_id`].
    pub type_id: u8,
    /// As in [`TagHeader::time`].
    pub time: u32,
    /// What follows the header.
    pub body: &'a [u8],
}

/// The tags of a file behind its header and the first size of a previous tag, up to the first tag
/// that is not whole.
#[derive(Clone, Debug)]
pub struct Tags<'a>(&'a [u8]);

impl<'a> Tags<'a> {
    /// The tags in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        let (header, rest) = self.0.split_first_chunk()?;
        let TagHeader { type_id, body_bytes, time } = TagHeader::parse(header);
        let (body, rest) = rest.split_at_checked(body_bytes)?;
        // The size of the previous tag says nothing new, and the last one may be missing.
        self.0 = rest.get(TagHeader::SIZE_BYTES..).unwrap_or(&[]);
        Some(Tag { type_id, time, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_s_upper_byte_comes_last_and_flags_are_left_out() {
        let header = TagHeader::parse(&[0x29, 1, 2, 3, 0x22, 0x33, 0x44, 0x11, 0, 0, 0]);
        let wanted = TagHeader { type_id: 9, body_bytes: 0x1_0203, time: 0x1122_3344 };
        assert_eq!(header, wanted);
    }
}
