//! User data in encoded pictures: messages that a UUID names, which players pass over. They stand
//! in SEI units of H.264 and H.265 (`user_data_unregistered`, ITU-T H.264 section D.1.7), and in
//! metadata OBUs of AV1 (of an unregistered user private type, as OBS writes them).

use std::ops::Deref;

use super::bits::unescaped;
use super::{VideoCodec, av1, h264};

/// Names a kind of message.
pub type Uuid = [u8; 16];

/// Units of a picture that are looked at. What stands behind them is not found, and a picture whose
/// first slice does is given no user data.
const UNITS_MAX: usize = 64;

/// Bytes of a unit that are read. Messages that end behind them are not found.
const UNIT_READ_MAX: usize = 1_024;

/// Messages of a unit that are read. Those behind them are not found.
const MESSAGES_MAX: usize = 16;

/// Longest message that can be written, bytes beside its UUID.
pub const USER_DATA_BYTES_MAX: usize = 24;

/// Bytes of a unit with the longest message: its length, its header, and type, size, UUID and
/// message with a byte after every second one, and the end.
pub const USER_DATA_UNIT_MAX: usize = 4 + 2 + (2 + 16 + USER_DATA_BYTES_MAX) * 3 / 2 + 1;

/// Type of an SEI message (ITU-T H.264 annex D, H.265 annex D).
const UNREGISTERED: usize = 5;

/// H.265's units with SEI messages before and after slices (ITU-T H.265 table 7-1), and the
/// highest type of a slice.
const HEVC_PREFIX_SEI: u8 = 39;
const HEVC_SUFFIX_SEI: u8 = 40;
const HEVC_SLICE_MAX: u8 = 31;

/// Type of a metadata OBU (AV1 section 6.2.2), the unregistered user private types of its contents
/// (section 6.7.1), and the first byte of one with a size.
const AV1_METADATA: u8 = 5;
const AV1_USER_PRIVATE: std::ops::RangeInclusive<u8> = 6..=31;
const AV1_METADATA_HEADER: u8 = AV1_METADATA << 3 | 2;

/// OBUs with parts of pictures: frame headers, tile groups, frames, repeated headers.
const AV1_PICTURE: [u8; 4] = [3, 4, 6, 7];

/// Ends a unit of any codec: one bit, and zeros up to the end of the byte.
const TRAILING_BITS: u8 = 0x80;

/// Type of an H.265 unit.
fn hevc_type(first: u8) -> u8 {
    first >> 1 & 0x3f
}

/// Tells each message of user data in a picture, with its UUID. The picture is units with 4-byte
/// lengths, or the OBUs of a temporal unit; it may be cut off anywhere. Nothing is allocated.
pub fn each_user_data(codec: VideoCodec, picture: &[u8], mut found: impl FnMut(&Uuid, &[u8])) {
    if codec == VideoCodec::Av1 {
        let metadata = av1::obus(picture).take(UNITS_MAX).filter(|obu| obu.kind == AV1_METADATA);
        for obu in metadata {
            if let Some((kind, rest)) = obu.payload.split_first()
                && AV1_USER_PRIVATE.contains(kind)
                && let Some((uuid, message)) = rest.split_first_chunk()
                && let Some(end) = message.iter().rposition(|byte| *byte == TRAILING_BITS)
            {
                found(uuid, &message[..end]);
            }
        }
        return;
    }
    let mut read = [0; UNIT_READ_MAX];
    for unit in h264::units(picture).take(UNITS_MAX) {
        let Some(escaped) = sei_payload(codec, unit) else { continue };
        let bytes = read.iter_mut().zip(unescaped(escaped)).map(|(to, byte)| *to = byte).count();
        each_message(&read[..bytes], &mut found);
    }
}

/// What follows the header of a unit with SEI messages.
fn sei_payload(codec: VideoCodec, unit: &[u8]) -> Option<&[u8]> {
    let (first, rest) = unit.split_first()?;
    match codec {
        VideoCodec::H264 => (first & 0x1f == h264::nal::SEI).then_some(rest),
        VideoCodec::Hevc => [HEVC_PREFIX_SEI, HEVC_SUFFIX_SEI]
            .contains(&hevc_type(*first))
            .then(|| rest.get(1..))?,
        VideoCodec::Av1 => None,
    }
}

fn each_message(mut rest: &[u8], found: &mut impl FnMut(&Uuid, &[u8])) {
    for _ in 0..MESSAGES_MAX {
        let Some((kind, after)) = number(rest) else { return };
        let Some((size, after)) = number(after) else { return };
        let Some((message, after)) = after.split_at_checked(size) else { return };
        if kind == UNREGISTERED
            && let Some((uuid, message)) = message.split_first_chunk()
        {
            found(uuid, message);
        }
        if after.len() <= 1 {
            return;
        }
        rest = after;
    }
}

/// A number as SEI messages have it: bytes that are 255 and one that is not, which add up.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let high = bytes.iter().take_while(|byte| **byte == u8::MAX).count();
    let (last, rest) = bytes[high..].split_first()?;
    Some((high * usize::from(u8::MAX) + usize::from(*last), rest))
}

/// Where user data is to stand in a picture: in front of the first unit with a part of the picture.
/// `None` if there is none among the first 64 units.
#[must_use]
pub fn place_of_user_data(codec: VideoCodec, picture: &[u8]) -> Option<usize> {
    if codec == VideoCodec::Av1 {
        let mut obus = av1::obus(picture).take(UNITS_MAX);
        return obus.find(|obu| AV1_PICTURE.contains(&obu.kind)).map(|obu| obu.at);
    }
    let is_slice = |unit: &[u8]| match (codec, unit.first()) {
        (VideoCodec::Hevc, Some(first)) => hevc_type(*first) <= HEVC_SLICE_MAX,
        (_, Some(first)) => (1..=h264::nal::IDR).contains(&(first & 0x1f)),
        (_, None) => false,
    };
    let mut at = 0;
    for unit in h264::units(picture).take(UNITS_MAX) {
        if is_slice(unit) {
            return Some(at);
        }
        at += 4 + unit.len();
    }
    None
}

/// A unit that holds one message of user data, as it stands in a picture: with its length, or as an
/// OBU with its size.
#[derive(Clone, Debug)]
pub struct UserDataUnit {
    bytes: [u8; USER_DATA_UNIT_MAX],
    len: usize,
    /// Zeros in a row at the end, which the next byte must not make a start code.
    zeros: u8,
}

impl UserDataUnit {
    /// The unit of this message, of which [`USER_DATA_BYTES_MAX`] bytes are written at most.
    #[must_use]
    pub fn new(codec: VideoCodec, uuid: &Uuid, message: &[u8]) -> Self {
        let message = &message[..message.len().min(USER_DATA_BYTES_MAX)];
        let mut unit = Self { bytes: [0; USER_DATA_UNIT_MAX], len: 0, zeros: 0 };
        // Both are below 128 and one byte in every form.
        let [size, kind] = [uuid.len() + message.len(), UNREGISTERED];
        let small = |number: usize| u8::try_from(number).unwrap_or(0);
        if codec == VideoCodec::Av1 {
            const KIND_AND_END: usize = 2;
            unit.plain(&[AV1_METADATA_HEADER, small(KIND_AND_END + size)]);
            unit.plain(&[*AV1_USER_PRIVATE.start()]);
            unit.plain(uuid);
            unit.plain(message);
            unit.plain(&[TRAILING_BITS]);
            return unit;
        }
        unit.plain(&[0; 4]);
        match codec {
            VideoCodec::Hevc => unit.plain(&[HEVC_PREFIX_SEI << 1, 1]),
            VideoCodec::H264 | VideoCodec::Av1 => unit.plain(&[h264::nal::SEI]),
        }
        unit.escaped(&[small(kind), small(size)]);
        unit.escaped(uuid);
        unit.escaped(message);
        unit.plain(&[TRAILING_BITS]);
        let length = u32::try_from(unit.len - 4).unwrap_or(0);
        unit.bytes[..4].copy_from_slice(&length.to_be_bytes());
        unit
    }

    fn plain(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// With a 3 wherever the bytes would look like the beginning of a unit.
    fn escaped(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.zeros == 2 && byte <= 3 {
                self.plain(&[3]);
                self.zeros = 0;
            }
            self.plain(&[byte]);
            self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
        }
    }
}

impl Deref for UserDataUnit {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CODECS: [VideoCodec; 3] = [VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Av1];

    fn found(codec: VideoCodec, picture: &[u8]) -> Vec<(Uuid, Vec<u8>)> {
        let mut all = Vec::new();
        each_user_data(codec, picture, |uuid, message| all.push((*uuid, message.to_vec())));
        all
    }

    fn with_length(unit: &[u8]) -> Vec<u8> {
        [&u32::try_from(unit.len()).unwrap().to_be_bytes()[..], unit].concat()
    }

    /// What stands before the first slice of a picture, and that slice.
    fn picture(codec: VideoCodec) -> [Vec<u8>; 2] {
        match codec {
            // A buffering period, then an IDR slice.
            VideoCodec::H264 => [with_length(&[6, 0, 1, 9, 0x80]), with_length(&[0x65, 1, 2])],
            VideoCodec::Hevc => {
                [with_length(&[0x4e, 1, 0, 1, 9, 0x80]), with_length(&[0x26, 1, 7])]
            }
            // A sequence header, then a frame.
            VideoCodec::Av1 => [vec![0x0a, 2, 1, 2], vec![0x32, 3, 1, 2, 3]],
        }
    }

    #[test]
    fn what_is_put_before_the_first_slice_is_found_there() {
        for codec in CODECS {
            let [before, slice] = picture(codec);
            let plain = [&before[..], &slice].concat();
            assert_eq!(place_of_user_data(codec, &plain), Some(before.len()), "{codec:?}");
            assert_eq!(place_of_user_data(codec, &before), None);
            let unit = UserDataUnit::new(codec, &[7; 16], b"when and who");
            let whole = [&before[..], &unit, &slice].concat();
            assert_eq!(found(codec, &whole), [([7; 16], b"when and who".to_vec())], "{codec:?}");
            assert_eq!(found(codec, &plain), []);
            for end in 0..whole.len() {
                let of_cut = found(codec, &whole[..end]).len();
                assert_eq!(
                    of_cut,
                    usize::from(end >= before.len() + unit.len()),
                    "{codec:?} {end}"
                );
            }
        }
    }

    #[test]
    fn no_start_code_comes_out_whatever_the_message_is() {
        for codec in [VideoCodec::H264, VideoCodec::Hevc] {
            let unit = UserDataUnit::new(codec, &[0; 16], &[0; USER_DATA_BYTES_MAX]);
            assert!(unit.len() <= USER_DATA_UNIT_MAX);
            let is_code = |three: &[u8]| three[..2] == [0, 0] && three[2] < 3;
            assert!(!unit[4..].windows(3).any(is_code), "{unit:?}");
            assert_eq!(found(codec, &unit), [([0; 16], vec![0; USER_DATA_BYTES_MAX])]);
        }
    }

    #[test]
    fn several_messages_of_a_unit_are_told_and_others_passed_over() {
        let mut unit = vec![6, 1, 2, 0, 9];
        for uuid in [1, 2] {
            unit.extend([5, 17]);
            unit.extend([uuid; 16]);
            unit.push(0x42);
        }
        // Longer than a byte can say.
        unit.extend([5, 0xff, 1]);
        unit.extend([3; 256]);
        unit.push(TRAILING_BITS);
        let all = found(VideoCodec::H264, &with_length(&unit));
        assert_eq!(all[..2], [([1; 16], vec![0x42]), ([2; 16], vec![0x42])]);
        assert_eq!((all.len(), all[2].1.len()), (3, 240));
    }

    #[test]
    fn what_is_beyond_the_limits_is_not_looked_at() {
        let unit = UserDataUnit::new(VideoCodec::H264, &[7; 16], b"x");
        let empty = with_length(&[9, 0xf0]).repeat(UNITS_MAX);
        assert_eq!(found(VideoCodec::H264, &[&empty[..], &unit].concat()), []);
        let slice = with_length(&[0x65, 1]);
        assert_eq!(place_of_user_data(VideoCodec::H264, &[&empty[..], &slice].concat()), None);
        let mut many = vec![6];
        (0..=MESSAGES_MAX).for_each(|_| many.extend([&[5, 16][..], &[1; 16]].concat()));
        many.push(TRAILING_BITS);
        assert_eq!(found(VideoCodec::H264, &with_length(&many)).len(), MESSAGES_MAX);
        let mut long = vec![6, 4, 0xff, 0xff, 0xff, 0xff, 0xff];
        long.extend([1; UNIT_READ_MAX]);
        long.extend([&[5, 16][..], &[1; 16], &[TRAILING_BITS]].concat());
        assert_eq!(found(VideoCodec::H264, &with_length(&long)), []);
    }

    proptest! {
        #[test]
        fn any_message_is_read_as_it_was_written(
            uuid: Uuid,
            message in proptest::collection::vec(prop_oneof![Just(0), any::<u8>()],
                                                 0..=USER_DATA_BYTES_MAX),
        ) {
            for codec in CODECS {
                let unit = UserDataUnit::new(codec, &uuid, &message);
                prop_assert_eq!(found(codec, &unit), vec![(uuid, message.clone())]);
            }
        }

        #[test]
        fn broken_pictures_do_no_harm(
            mut picture in proptest::collection::vec(any::<u8>(), 0..200),
            first in prop_oneof![Just(6_u8), Just(0x4e), Just(0x2a)],
        ) {
            for codec in CODECS {
                let _any = (found(codec, &picture), place_of_user_data(codec, &picture));
            }
            // As one unit of user data: the messages in it are broken.
            if let Some(at) = picture.first_mut() {
                *at = first;
            }
            let unit = with_length(&picture);
            for codec in CODECS {
                let _any = (found(codec, &unit), found(codec, &picture));
            }
        }
    }
}
