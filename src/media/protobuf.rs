//! Protocol buffers, as far as traces and profiles need them: fields of messages, written and read.

/// A message being written.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

/// How a field is written, its wire type.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

impl Writer {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push((value & 0x7f) as u8);
    }

    fn tag(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    /// A number that is not negative.
    pub(crate) fn uint(&mut self, field: u64, value: u64) {
        self.tag(field, VARINT);
        self.varint(value);
    }

    /// A number of eight bytes.
    pub(crate) fn fixed(&mut self, field: u64, value: u64) {
        self.tag(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A text.
    pub(crate) fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    /// A message in this one.
    pub(crate) fn message(&mut self, field: u64, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.tag(field, BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Bytes so far.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The message.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A number.
    Number(u64),
    /// A text, or a message.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The number, or 0.
    pub(crate) const fn number(self) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Bytes(_) => 0,
        }
    }

    /// The bytes, or none.
    pub(crate) const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Number(_) => &[],
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// The fields of a message, in order. It ends with the message, or where that is broken, which
/// [`Fields::is_broken`] tells apart.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    is_broken: bool,
}

impl<'a> Fields<'a> {
    pub(crate) const fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, is_broken: false }
    }

    pub(crate) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(count).ok()?)?;
        self.rest = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            VARINT => Value::Number(self.varint()?),
            FIXED64 => Value::Number(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            FIXED32 => Value::Number(u32::from_le_bytes(self.take(4)?.try_into().ok()?).into()),
            BYTES => {
                let count = self.varint()?;
                Value::Bytes(self.take(count)?)
            }
            _ => return None,
        };
        Some((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            (self.rest, self.is_broken) = (&[], true);
        }
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_are_those_of_the_specification() {
        let mut writer = Writer::default();
        writer.uint(1, 150);
        writer.text(2, "testing");
        writer.message(3, |inner| inner.uint(1, 150));
        writer.fixed(47, 1);
        let bytes = writer.finish();
        assert_eq!(bytes[..3], [0x08, 0x96, 0x01]);
        assert_eq!(bytes[3..12], *b"\x12\x07testing");
        assert_eq!(bytes[12..17], [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(bytes[17..], [0xf9, 0x02, 1, 0, 0, 0, 0, 0, 0, 0]);
        let fields: Vec<_> = Fields::of(&bytes).collect();
        assert_eq!(fields[0], (1, Value::Number(150)));
        assert_eq!(fields[1], (2, Value::Bytes(b"testing")));
        assert_eq!(fields[3], (47, Value::Number(1)));
    }

    proptest! {
        #[test]
        fn any_bytes_end_and_what_is_cut_off_is_broken(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            value in any::<u64>(),
            cut in 1..9_usize,
        ) {
            let mut fields = Fields::of(&bytes);
            prop_assert!(fields.by_ref().count() <= bytes.len());
            let mut writer = Writer::default();
            writer.uint(5, value);
            writer.fixed(6, value);
            let whole = writer.finish();
            let mut fields = Fields::of(&whole);
            let numbers: Vec<_> = fields.by_ref().map(|(_, it)| it.number()).collect();
            prop_assert_eq!(numbers, [value, value]);
            prop_assert!(!fields.is_broken());
            let mut fields = Fields::of(&whole[..whole.len() - cut.min(8)]);
            prop_assert_eq!(fields.by_ref().count(), 1);
            prop_assert!(fields.is_broken());
        }
    }
}
