//! Origins: the time of day that origin stamps are made of and compared with, and what the newest
//! stamp of a stream says.

use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::Counter;
use super::word_slot::WordSlot;
use crate::media::{ClockState, Micros, NodeId, OriginStamp};

/// The time of day at a node, which is looked at once a second: between two looks it goes as the
/// node's clock does, so that a step of it is in no interval within a second. One thread writes.
#[derive(Debug, Default)]
pub struct OriginClock {
    node: NodeId,
    /// The time of day at the start of the node's clock, microseconds since 1970; 0 if that is not
    /// known.
    unix_at_start: AtomicU64,
    /// Largest error in microseconds, doubled, and one more if something keeps the clock; all ones
    /// if the kernel does not say.
    state: AtomicU64,
}

const STATE_UNKNOWN: u64 = u64::MAX;

impl OriginClock {
    /// Of this node.
    #[must_use]
    pub fn new(node: NodeId) -> Self {
        Self { node, unix_at_start: AtomicU64::new(0), state: AtomicU64::new(STATE_UNKNOWN) }
    }

    /// What stands in the stamps of frames that are made here.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// The clock's start was then by the time of day, about which the kernel says this. For the one
    /// thread that looks.
    pub fn set(&self, unix_at_start: u64, state: Option<ClockState>) {
        self.unix_at_start.store(unix_at_start, Ordering::Relaxed);
        let word = state.map_or(STATE_UNKNOWN, |state| {
            state.error_max.0.min(STATE_UNKNOWN >> 2) << 1 | u64::from(state.is_synchronised)
        });
        self.state.store(word, Ordering::Relaxed);
    }

    /// A time of the node's clock by the time of day, microseconds since 1970; `None` if that is
    /// not known.
    #[must_use]
    pub fn unix_us(&self, at: Micros) -> Option<u64> {
        let start = self.unix_at_start.load(Ordering::Relaxed);
        (start > 0).then(|| start.saturating_add(at.0))
    }

    /// What the kernel said last.
    #[must_use]
    pub fn state(&self) -> Option<ClockState> {
        let word = self.state.load(Ordering::Relaxed);
        (word != STATE_UNKNOWN)
            .then_some(ClockState { is_synchronised: word & 1 == 1, error_max: Micros(word >> 1) })
    }

    /// The stamp of frame `frame`, which was due at `due`; `None` while the time of day is not
    /// known.
    #[must_use]
    pub fn stamp(&self, frame: u64, due: Micros) -> Option<OriginStamp> {
        OriginStamp::checked(self.unix_us(due)?, self.node, frame)
    }
}

/// What the stamps of a stream say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginFigures {
    /// The newest.
    pub stamp: OriginStamp,
    /// When it came.
    pub at: Micros,
    /// How long its frame took, microseconds; below zero if the clocks of the two machines are
    /// further apart than that.
    pub took_us: i64,
    /// Stamps that were ahead of the clock here, of which no duration was counted.
    pub ahead: u64,
}

/// The newest stamp of a stream. Its shard writes.
#[derive(Debug, Default)]
pub(super) struct OriginSlot {
    newest: WordSlot<5>,
    ahead: Counter,
}

impl OriginSlot {
    /// A stamp that came at `now`, `unix_us` by the time of day. How long its frame took, if that
    /// is to be counted: not of one that has come already, as user data and as a message of its
    /// own, and not if it would have come before it was made.
    pub(super) fn note(&self, stamp: &OriginStamp, now: Micros, unix_us: u64) -> Option<Micros> {
        let (node, frame) = (stamp.node.bits(), stamp.frame);
        if [self.newest.word(0), self.newest.word(1)] == [node, frame] && self.newest.word(2) > 0 {
            return None;
        }
        // Both are below 2^62.
        let took = unix_us.cast_signed().saturating_sub(stamp.unix_us.cast_signed());
        self.newest.write([node, frame, stamp.unix_us, now.0, took.cast_unsigned()]);
        if took < 0 {
            self.ahead.add(1);
        }
        u64::try_from(took).ok().map(Micros)
    }

    pub(super) fn read(&self) -> Option<OriginFigures> {
        let [node, frame, unix_us, at, took] = self.newest.read()?;
        Some(OriginFigures {
            stamp: OriginStamp { unix_us, node: NodeId::from_bits(node), frame },
            at: Micros(at),
            took_us: took.cast_signed(),
            ahead: self.ahead.get(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId::new(3, 4);

    #[test]
    fn stamps_are_of_the_time_of_day_and_intervals_do_not_move_with_it() {
        let clock = OriginClock::new(NODE);
        assert_eq!((clock.stamp(1, Micros(5)), clock.state()), (None, None));
        let state = ClockState { is_synchronised: true, error_max: Micros(900) };
        clock.set(1_000_000, Some(state));
        let first = clock.stamp(1, Micros(5)).unwrap();
        assert_eq!((first.unix_us, first.node, first.frame), (1_000_005, NODE, 1));
        assert_eq!(clock.stamp(2, Micros(45)).unwrap().unix_us - first.unix_us, 40);
        assert_eq!(clock.state(), Some(state));
        clock.set(500, None);
        assert_eq!((clock.unix_us(Micros(7)), clock.state()), (Some(507), None));
    }

    #[test]
    fn a_frame_counts_once_and_not_if_it_would_have_come_before_it_was_made() {
        let slot = OriginSlot::default();
        assert_eq!(slot.read(), None);
        let stamp = |frame| OriginStamp { unix_us: 1_000, node: NODE, frame };
        let at = Micros(70);
        assert_eq!(slot.note(&stamp(0), at, 1_250), Some(Micros(250)));
        assert_eq!(slot.note(&stamp(0), at, 1_251), None, "it came as a message, too");
        assert_eq!(slot.note(&stamp(1), at, 1_300), Some(Micros(300)));
        assert_eq!(slot.note(&stamp(2), at, 990), None);
        let newest = OriginFigures { stamp: stamp(2), at, took_us: -10, ahead: 1 };
        assert_eq!(slot.read(), Some(newest));
    }
}
