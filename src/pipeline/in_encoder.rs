//! Stamps of the pictures that are in a video encoder, and how long they were in it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::media::{Point, Stamp, Stamps};
use crate::runtime::Clock;
use crate::stats::{ChannelStats, Stage};
use crate::trace::record_stage;

/// Pictures in an encoder whose stamps are kept: more than any looks ahead. Those beyond are sent
/// without them.
const IN_ENCODER_MAX: usize = 128;

/// The pictures that an encoder holds.
pub(super) struct InEncoder {
    clock: Clock,
    stats: Arc<ChannelStats>,
    /// By their places.
    stamps: VecDeque<(i64, Stamps)>,
    /// When the present call to the encoder began.
    encoding: Stamp,
}

impl InEncoder {
    /// Of an encoder with these figures.
    pub(super) fn new(clock: Clock, stats: Arc<ChannelStats>) -> Self {
        let stamps = VecDeque::with_capacity(IN_ENCODER_MAX);
        Self { clock, stats, stamps, encoding: Stamp::NONE }
    }

    /// The picture at this place, which the encoder's thread took from its ring then, is handed to
    /// the encoder now.
    pub(super) fn put(&mut self, pts: i64, mut stamps: Stamps, taken: Stamp) {
        self.encoding = self.clock.stamp();
        if !stamps.is_some() {
            return;
        }
        stamps.set(Point::Taken, taken);
        let took = taken.since(stamps.at(Point::Queued));
        self.stats.encoder_took(Stage::Queue, took);
        record_stage(Stage::Queue, stamps.frame, taken, took);
        if self.stamps.len() == IN_ENCODER_MAX {
            self.stamps.pop_front();
        }
        self.stamps.push_back((pts, stamps));
    }

    /// The picture at this place comes out. What it was in the encoder for before the present call
    /// is the time until the pictures were there that the encoder looks ahead at.
    pub(super) fn take(&mut self, pts: i64) -> Stamps {
        let at = self.stamps.iter().position(|(place, _)| *place == pts);
        let Some((_, mut stamps)) = at.and_then(|at| self.stamps.remove(at)) else {
            return Stamps::default();
        };
        let now = self.clock.stamp();
        stamps.set(Point::Encoding, self.encoding);
        stamps.set(Point::Encoded, now);
        let ahead = self.encoding.since(stamps.at(Point::Taken));
        let took = now.since(self.encoding);
        self.stats.encoder_took(Stage::Lookahead, ahead);
        self.stats.encoder_took(Stage::Encode, took);
        record_stage(Stage::Lookahead, stamps.frame, self.encoding, ahead);
        record_stage(Stage::Encode, stamps.frame, now, took);
        stamps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{FrameId, Micros};
    use crate::stats::StageFigures;

    #[test]
    fn delay_by_design_is_told_apart_from_the_call_that_gives_a_picture_back() {
        let (clock, stats) = (Clock::start(), Arc::<ChannelStats>::default());
        let mut inside = InEncoder::new(clock, Arc::clone(&stats));
        let wait = |ms| {
            let until = clock.now() + Micros::from_millis(ms);
            while clock.now() < until {
                std::hint::spin_loop();
            }
        };
        let put = |inside: &mut InEncoder, pts: i64| {
            let frame = FrameId::new(1, pts.unsigned_abs());
            let mut stamps = Stamps::due(frame, clock.stamp());
            stamps.set(Point::Queued, clock.stamp());
            inside.put(pts, stamps, clock.stamp());
        };
        put(&mut inside, 0);
        wait(20);
        put(&mut inside, 1);
        wait(3);
        let stamps = inside.take(0);
        assert_eq!(stamps.frame, FrameId::new(1, 0));
        let ahead = stamps.between(Point::Taken, Point::Encoding).unwrap();
        let took = stamps.between(Point::Encoding, Point::Encoded).unwrap();
        assert!(ahead >= Micros::from_millis(20) && took >= Micros::from_millis(3));
        let mut figures = StageFigures::default();
        stats.read_encode_into(&mut figures);
        assert_eq!(figures.of(Stage::Lookahead).max(), ahead);
        assert_eq!(figures.of(Stage::Encode).max(), took);
        assert_eq!(figures.of(Stage::Queue).count(), 2);
        assert!(!inside.take(0).is_some(), "it is given back once");
        for pts in 2..200 {
            put(&mut inside, pts);
        }
        assert!(!inside.take(1).is_some() && inside.take(199).is_some());
    }
}
