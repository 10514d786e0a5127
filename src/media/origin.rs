//! Origin stamp: when a frame was due by the time of day, at which node, and its number there. It
//! travels in the stream, so that whoever has the frame knows how long it took.

use std::fmt;

use super::user_data::{UserDataUnit, Uuid, each_user_data};
use super::{Micros, VideoCodec};

/// Names the stamp among user data.
const UUID: Uuid = [
    0x8c, 0x1f, 0x5e, 0x2b, 0x6d, 0x0a, 0x4b, 0x77, 0x9e, 0x43, 0x53, 0x4d, 0x4f, 0x52, 0x49, 0x47,
];

/// Bytes of the stamp behind its UUID: three numbers, each of 8 bytes, the highest first.
const STAMP_BYTES: usize = 24;

/// Latest time that is believed, microseconds since 1970: the year 2255. It is below 2^53, so that
/// numbers of AMF0 hold it to the microsecond.
pub const UNIX_US_MAX: u64 = 9_000_000_000_000_000;

/// A node, at one of its starts, and the machine whose clock it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeId(u64);

impl NodeId {
    /// Run `run` of a node on the machine of this number; 0 stands for a machine that is not known.
    #[must_use]
    pub const fn new(machine: u32, run: u32) -> Self {
        Self((machine as u64) << 32 | run as u64)
    }

    /// The node whose [`NodeId::bits`] these are.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// All of it as one number.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Reads what `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }

    /// Whether both read the same machine's clock.
    #[must_use]
    pub const fn shares_clock_with(self, other: Self) -> bool {
        let (own, other) = (self.0 >> 32, other.0 >> 32);
        own != 0 && own == other
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// When and where a frame was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginStamp {
    /// When it was due, microseconds since 1970, UTC.
    pub unix_us: u64,
    /// At which node.
    pub node: NodeId,
    /// Its number there: that of its tick, at the frame rate of its stream.
    pub frame: u64,
}

impl OriginStamp {
    /// The stamp as user data of a picture of this codec.
    #[must_use]
    pub fn unit(&self, codec: VideoCodec) -> UserDataUnit {
        let mut bytes = [0; STAMP_BYTES];
        let numbers = [self.unix_us, self.node.bits(), self.frame];
        for (to, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            to.copy_from_slice(&number.to_be_bytes());
        }
        UserDataUnit::new(codec, &UUID, &bytes)
    }

    /// The stamp that this user data is, if it is one and its time is possible.
    #[must_use]
    pub fn of_user_data(uuid: &Uuid, message: &[u8]) -> Option<Self> {
        if *uuid != UUID || message.len() != STAMP_BYTES {
            return None;
        }
        let number = |at: usize| {
            let bytes = message.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map(|bytes| u64::from_be_bytes(*bytes))
        };
        Self::checked(number(0)?, NodeId(number(8)?), number(16)?)
    }

    /// The first stamp among a picture's user data; the picture may be cut off behind it.
    #[must_use]
    pub fn in_picture(codec: VideoCodec, picture: &[u8]) -> Option<Self> {
        let mut stamp = None;
        each_user_data(codec, picture, |uuid, message| {
            stamp = stamp.or_else(|| Self::of_user_data(uuid, message));
        });
        stamp
    }

    /// The stamp of these, if the time is possible.
    #[must_use]
    pub fn checked(unix_us: u64, node: NodeId, frame: u64) -> Option<Self> {
        (1..=UNIX_US_MAX).contains(&unix_us).then_some(Self { unix_us, node, frame })
    }
}

/// What the kernel says of the machine's time of day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockState {
    /// Whether something keeps it: NTP, PTP. Else it may be wrong by any time.
    pub is_synchronised: bool,
    /// How wrong it may be at most, if it is kept.
    pub error_max: Micros,
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: OriginStamp =
        OriginStamp { unix_us: 1_780_000_000_123_456, node: NodeId::new(7, 9), frame: 3 << 40 };

    #[test]
    fn a_stamp_is_read_from_a_picture_of_each_codec_as_it_was_written() {
        for codec in [VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Av1] {
            let unit = STAMP.unit(codec);
            assert_eq!(OriginStamp::in_picture(codec, &unit), Some(STAMP), "{codec:?}");
            let other = UserDataUnit::new(codec, &[1; 16], &[1; STAMP_BYTES]);
            let both = [&other[..], &unit].concat();
            assert_eq!(OriginStamp::in_picture(codec, &both), Some(STAMP), "{codec:?}");
            assert_eq!(OriginStamp::in_picture(codec, &other), None);
        }
    }

    #[test]
    fn what_can_be_no_time_is_no_stamp() {
        let read = |unix_us| {
            let stamp = OriginStamp { unix_us, ..STAMP };
            OriginStamp::in_picture(VideoCodec::H264, &stamp.unit(VideoCodec::H264))
        };
        assert_eq!((read(0), read(UNIX_US_MAX + 1)), (None, None));
        assert!(read(UNIX_US_MAX).is_some());
        let short = UserDataUnit::new(VideoCodec::H264, &UUID, &[1; STAMP_BYTES - 1]);
        assert_eq!(OriginStamp::in_picture(VideoCodec::H264, &short), None);
    }

    #[test]
    fn nodes_share_a_clock_if_their_machine_is_the_same_and_known() {
        let [one, same, other] = [(5, 1), (5, 2), (6, 1)].map(|(m, run)| NodeId::new(m, run));
        assert!(one.shares_clock_with(same) && !one.shares_clock_with(other));
        assert!(!NodeId::new(0, 1).shares_clock_with(NodeId::new(0, 1)), "nobody knows");
        assert_eq!(NodeId::parse(&one.to_string()), Some(one));
        assert_eq!(NodeId::parse("+123456789abcdef"), None);
    }
}
