//! Stamps of a frame: when it was due, and when it passed each point of its way through the node.

use super::Micros;

/// A point in time, nanoseconds since the node's epoch. Zero stands for "not yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(u64);

impl Stamp {
    /// Not yet, or not known.
    pub const NONE: Self = Self(0);

    /// So many nanoseconds after the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The same instant, to the nanosecond.
    #[must_use]
    pub const fn of(at: Micros) -> Self {
        Self(at.0.saturating_mul(1_000))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Whether it is known.
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }

    /// Time from `earlier` to this, rounded down to microseconds; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Micros {
        Micros(self.0.saturating_sub(earlier.0) / 1_000)
    }
}

/// A frame of one source, the same on all threads that it passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameId(u64);

impl FrameId {
    /// Bits of the number of a frame; it begins anew after as many frames as these can tell apart,
    /// three days at 60 a second.
    const NUMBER_BITS: u32 = 24;

    /// Frame `number` of this source.
    #[must_use]
    pub const fn new(source: u16, number: u64) -> Self {
        let number = number & ((1 << Self::NUMBER_BITS) - 1);
        Self((source as u64) << Self::NUMBER_BITS | number)
    }

    /// The frame whose [`FrameId::bits`] these are.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & ((1 << (Self::NUMBER_BITS + 16)) - 1))
    }

    /// Source and number as one number of 40 bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Its source.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "there are no further bits")]
    pub const fn source(self) -> u16 {
        (self.0 >> Self::NUMBER_BITS) as u16
    }

    /// Its number, modulo 2^24.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0 & ((1 << Self::NUMBER_BITS) - 1)
    }
}

/// The points of a frame's way, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// It was due; of a published message: its first byte was read.
    Due,
    /// The composer began with it.
    Started,
    /// It was drawn.
    Composed,
    /// It was in the ring to its encoder.
    Queued,
    /// The encoder had it.
    Taken,
    /// The call to the encoder began that gave it back.
    Encoding,
    /// It was encoded; of a published message: its last byte was read.
    Encoded,
    /// It was in the log of its stream, on the shard that owns that.
    Appended,
    /// It was in the log of another shard.
    Received,
    /// The socket of a first viewer had taken what there was for it.
    Sent,
    /// Those of all viewers that were not full had.
    Served,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Due,
        Self::Started,
        Self::Composed,
        Self::Queued,
        Self::Taken,
        Self::Encoding,
        Self::Encoded,
        Self::Appended,
        Self::Received,
        Self::Sent,
        Self::Served,
    ];
}

/// When a frame passed the points of its way. Each thread writes those that the frame passes on it,
/// and hands the stamps on with the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// The frame.
    pub frame: FrameId,
    at: [Stamp; Point::ALL.len()],
}

impl Stamps {
    /// A frame that was due then.
    #[must_use]
    pub fn due(frame: FrameId, due: Stamp) -> Self {
        let mut stamps = Self { frame, ..Self::default() };
        stamps.set(Point::Due, due);
        stamps
    }

    /// When it passed this point.
    #[must_use]
    pub const fn at(&self, point: Point) -> Stamp {
        self.at[point as usize]
    }

    /// It passes this point now.
    pub const fn set(&mut self, point: Point, at: Stamp) {
        self.at[point as usize] = at;
    }

    /// Whether anything is known of its way.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.at(Point::Due).is_some()
    }

    /// Whether a publisher has sent it.
    #[must_use]
    pub const fn is_published(&self) -> bool {
        self.is_some() && !self.at(Point::Started).is_some()
    }

    /// Time from one point to a later one, if it has passed both.
    #[must_use]
    pub const fn between(&self, from: Point, to: Point) -> Option<Micros> {
        let (from, to) = (self.at(from), self.at(to));
        if from.is_some() && to.is_some() { Some(to.since(from)) } else { None }
    }

    /// All as plain numbers, the frame's first: see [`Stamps::from_words`].
    #[must_use]
    pub fn words(&self) -> [u64; Self::WORDS] {
        let mut words = [self.frame.bits(); Self::WORDS];
        for (word, stamp) in words[1..].iter_mut().zip(self.at) {
            *word = stamp.nanos();
        }
        words
    }

    /// Numbers of [`Stamps::words`].
    pub const WORDS: usize = 1 + Point::ALL.len();

    /// The stamps of these [`Stamps::words`].
    #[must_use]
    pub fn from_words(words: &[u64; Self::WORDS]) -> Self {
        let at = std::array::from_fn(|point| Stamp::from_nanos(words[1 + point]));
        Self { frame: FrameId::from_bits(words[0]), at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_in_the_order_of_their_places() {
        for (place, point) in Point::ALL.into_iter().enumerate() {
            assert_eq!(point as usize, place);
        }
    }

    #[test]
    fn time_is_known_between_two_points_that_were_passed() {
        let mut stamps = Stamps::due(FrameId::new(7, 1 << 24 | 5), Stamp::of(Micros(1_000)));
        assert_eq!((stamps.frame.source(), stamps.frame.number()), (7, 5));
        assert_eq!(stamps.between(Point::Due, Point::Sent), None);
        stamps.set(Point::Sent, Stamp::from_nanos(1_500_999));
        assert_eq!(stamps.between(Point::Due, Point::Sent), Some(Micros(500)));
        assert_eq!(stamps.between(Point::Sent, Point::Due), Some(Micros(0)));
        assert_eq!(Stamps::from_words(&stamps.words()), stamps);
        assert!(!Stamps::default().is_some() && stamps.is_published());
        stamps.set(Point::Started, Stamp::from_nanos(1));
        assert!(!stamps.is_published());
    }
}
