//! AMF0 values (Action Message Format 0, 2007): what commands and metadata are made of.

use std::fmt;

use super::limits::{AMF_DEPTH_MAX, AMF_VALUES_MAX};

/// One value. Debug shows strings, which may be secrets: never log a command's values.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A double.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// A string, long string or XML document.
    String(String),
    /// Named values in their order, with or without a class name.
    Object(Vec<(String, Self)>),
    /// Null.
    Null,
    /// Undefined, or a type its writer could not express.
    Undefined,
    /// Named values in their order; the declared count means nothing.
    EcmaArray(Vec<(String, Self)>),
    /// Values by number.
    StrictArray(Vec<Self>),
    /// Milliseconds since 1970 UTC, and a time zone in minutes that nobody uses.
    Date {
        /// Milliseconds since 1970 UTC.
        millis: f64,
        /// Minutes.
        zone: i16,
    },
}

/// The bytes are not AMF0 within our limits: drop the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A value ends beyond the bytes.
    Short,
    /// A type we do not read (AMF3, references, record sets, movie clips).
    Marker(u8),
    /// Nested deeper than [`AMF_DEPTH_MAX`].
    Deep,
    /// More than [`AMF_VALUES_MAX`] values.
    Many,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("AMF0 value is cut short"),
            Self::Marker(marker) => write!(f, "AMF0 type {marker:#04x} is not read"),
            Self::Deep => write!(f, "AMF0 values are nested deeper than {AMF_DEPTH_MAX}"),
            Self::Many => write!(f, "more than {AMF_VALUES_MAX} AMF0 values"),
        }
    }
}

impl std::error::Error for Error {}

/// AMF0 type markers (section 2.1).
mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0a;
    pub(super) const DATE: u8 = 0x0b;
    pub(super) const LONG_STRING: u8 = 0x0c;
    pub(super) const UNSUPPORTED: u8 = 0x0d;
    pub(super) const XML: u8 = 0x0f;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
}

/// Reads values one after the other; the limits count over all of them.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    values_left: usize,
}

impl<'a> Decoder<'a> {
    /// Over the values in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, values_left: AMF_VALUES_MAX }
    }

    /// What has not been read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next value; `None` at the end.
    ///
    /// # Errors
    /// If it is cut short, of a type we do not read, or over a limit. The decoder is then useless.
    pub fn value(&mut self) -> Result<Option<Value>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.nested(0).map(Some)
    }

    /// The next value if it is a string; otherwise nothing is read.
    pub fn string(&mut self) -> Option<String> {
        let before = self.clone();
        match self.value() {
            Ok(Some(Value::String(text))) => Some(text),
            _ => {
                *self = before;
                None
            }
        }
    }

    fn nested(&mut self, depth: usize) -> Result<Value, Error> {
        if depth >= AMF_DEPTH_MAX {
            return Err(Error::Deep);
        }
        self.values_left = self.values_left.checked_sub(1).ok_or(Error::Many)?;
        match self.array::<1>()?[0] {
            marker::NUMBER => Ok(Value::Number(self.number()?)),
            marker::BOOLEAN => Ok(Value::Boolean(self.array::<1>()? != [0])),
            marker::STRING => Ok(Value::String(self.text()?)),
            marker::OBJECT => Ok(Value::Object(self.members(depth)?)),
            marker::NULL => Ok(Value::Null),
            marker::UNDEFINED | marker::UNSUPPORTED => Ok(Value::Undefined),
            marker::ECMA_ARRAY => {
                self.array::<4>()?;
                Ok(Value::EcmaArray(self.members(depth)?))
            }
            marker::STRICT_ARRAY => {
                let count = u32::from_be_bytes(self.array()?);
                // Not reserved: the count is a claim, each value is not.
                (0..count)
                    .map(|_| self.nested(depth + 1))
                    .collect::<Result<_, _>>()
                    .map(Value::StrictArray)
            }
            marker::DATE => {
                let millis = self.number()?;
                Ok(Value::Date { millis, zone: i16::from_be_bytes(self.array()?) })
            }
            marker::LONG_STRING | marker::XML => {
                let length = u32::from_be_bytes(self.array()?);
                self.text_of(usize::try_from(length).unwrap_or(usize::MAX)).map(Value::String)
            }
            marker::TYPED_OBJECT => {
                self.text()?;
                Ok(Value::Object(self.members(depth)?))
            }
            other => Err(Error::Marker(other)),
        }
    }

    /// Members up to the end marker, or to the end of the bytes: some writers forget the marker.
    fn members(&mut self, depth: usize) -> Result<Vec<(String, Value)>, Error> {
        let mut members = Vec::new();
        while !self.rest.is_empty() {
            let name = self.text()?;
            if name.is_empty() && self.rest.first() == Some(&marker::OBJECT_END) {
                self.array::<1>()?;
                break;
            }
            members.push((name, self.nested(depth + 1)?));
        }
        Ok(members)
    }

    fn number(&mut self) -> Result<f64, Error> {
        self.array().map(f64::from_be_bytes)
    }

    fn text(&mut self) -> Result<String, Error> {
        let length = u16::from_be_bytes(self.array()?);
        self.text_of(usize::from(length))
    }

    fn text_of(&mut self, length: usize) -> Result<String, Error> {
        let (text, rest) = self.rest.split_at_checked(length).ok_or(Error::Short)?;
        self.rest = rest;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Error::Short)?;
        self.rest = rest;
        Ok(*bytes)
    }
}

impl Value {
    /// An object of named values.
    #[must_use]
    pub fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Object(members.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// The number, if it is one.
    #[must_use]
    pub const fn as_number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The members of an object or ECMA array; none for other values.
    #[must_use]
    pub fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) | Self::EcmaArray(members) => members,
            _ => &[],
        }
    }

    /// The member of that name, whatever its capitals.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// Appends the value's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => {
                out.push(marker::NUMBER);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Boolean(flag) => out.extend_from_slice(&[marker::BOOLEAN, u8::from(*flag)]),
            Self::String(text) => encode_string(text, out),
            Self::Object(members) => {
                out.push(marker::OBJECT);
                encode_members(members, out);
            }
            Self::Null => out.push(marker::NULL),
            Self::Undefined => out.push(marker::UNDEFINED),
            Self::EcmaArray(members) => {
                out.push(marker::ECMA_ARRAY);
                out.extend_from_slice(&count(members.len()).to_be_bytes());
                encode_members(members, out);
            }
            Self::StrictArray(values) => {
                out.push(marker::STRICT_ARRAY);
                out.extend_from_slice(&count(values.len()).to_be_bytes());
                values.iter().for_each(|value| value.encode(out));
            }
            Self::Date { millis, zone } => {
                out.push(marker::DATE);
                out.extend_from_slice(&millis.to_be_bytes());
                out.extend_from_slice(&zone.to_be_bytes());
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Boolean(flag)
    }
}

fn encode_string(text: &str, out: &mut Vec<u8>) {
    if let Ok(length) = u16::try_from(text.len()) {
        out.push(marker::STRING);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(marker::LONG_STRING);
        out.extend_from_slice(&count(text.len()).to_be_bytes());
    }
    out.extend_from_slice(text.as_bytes());
}

fn encode_members(members: &[(String, Value)], out: &mut Vec<u8>) {
    for (name, value) in members {
        // A name has no long form; what a peer could not have sent whole is cut.
        let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&name.as_bytes()[..usize::from(length)]);
        value.encode(out);
    }
    out.extend_from_slice(&[0, 0, marker::OBJECT_END]);
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> Result<Vec<Value>, Error> {
        let mut decoder = Decoder::new(bytes);
        std::iter::from_fn(|| decoder.value().transpose()).collect()
    }

    fn encode(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (-1e9..1e9).prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            ".{0,20}".prop_map(Value::String),
            Just(Value::Null),
            Just(Value::Undefined),
            (0.0..1e12, any::<i16>()).prop_map(|(millis, zone)| Value::Date { millis, zone }),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            let members = proptest::collection::vec((".{1,8}", inner.clone()), 0..6);
            prop_oneof![
                members.clone().prop_map(Value::Object),
                members.prop_map(Value::EcmaArray),
                proptest::collection::vec(inner, 0..6).prop_map(Value::StrictArray),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(value in any_value()) {
            prop_assert_eq!(decode(&encode(&value)), Ok(vec![value]));
        }

        #[test]
        fn cut_and_random_bytes_never_panic(value in any_value(), junk: Vec<u8>) {
            let whole = encode(&value);
            for at in 0..whole.len() {
                let _cut = decode(&whole[..at]);
            }
            let _junk = decode(&junk);
        }
    }

    #[test]
    fn a_long_string_goes_round() {
        let value = Value::String("x".repeat(70_000));
        assert_eq!(encode(&value)[0], marker::LONG_STRING);
        assert_eq!(decode(&encode(&value)), Ok(vec![value]));
    }

    #[test]
    fn every_unknown_marker_is_an_error() {
        for byte in 0..=255_u8 {
            let known = matches!(byte, 0..=3 | 5 | 6 | 8 | 0x0a..=0x0d | 0x0f | 0x10);
            let result = decode(&[byte, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            let refused = matches!(result, Err(Error::Marker(m)) if m == byte);
            assert_eq!(refused, !known, "marker {byte:#x}: {result:?}");
        }
    }

    #[test]
    fn counts_and_lengths_of_four_gigabytes_reserve_nothing() {
        let huge = |marker| decode(&[marker, 0xff, 0xff, 0xff, 0xff, 5]);
        assert_eq!(huge(marker::STRICT_ARRAY), Err(Error::Short));
        assert_eq!(huge(marker::LONG_STRING), Err(Error::Short));
        assert_eq!(huge(marker::ECMA_ARRAY), Err(Error::Short));
        let claimed = [marker::ECMA_ARRAY, 0xff, 0xff, 0xff, 0xff, 0, 0, 9];
        assert_eq!(decode(&claimed), Ok(vec![Value::EcmaArray(Vec::new())]));
    }

    #[test]
    fn nesting_stops_at_the_limit_instead_of_the_stack() {
        let arrays = [marker::STRICT_ARRAY, 0, 0, 0, 1].repeat(70_000);
        assert_eq!(decode(&arrays), Err(Error::Deep));
        let objects = [marker::OBJECT, 0, 1, b'a'].repeat(20_000);
        assert_eq!(decode(&objects), Err(Error::Deep));
    }

    #[test]
    fn the_number_of_values_has_a_limit() {
        assert_eq!(decode(&[marker::NULL; AMF_VALUES_MAX + 1]), Err(Error::Many));
        assert!(decode(&[marker::NULL; AMF_VALUES_MAX]).is_ok());
    }

    #[test]
    fn an_object_without_its_end_marker_ends_with_the_bytes() {
        let object = Value::object([("a", 1.0.into())]);
        let bytes = encode(&object);
        assert_eq!(decode(&bytes[..bytes.len() - 3]), Ok(vec![object]));
    }

    #[test]
    fn text_that_is_not_utf8_is_still_text() {
        let bytes = [marker::STRING, 0, 2, 0xff, b'a'];
        assert_eq!(decode(&bytes), Ok(vec![Value::String("\u{fffd}a".to_owned())]));
    }
}
