//! Latency of the streams of a shard: how long their messages take from the log to viewers, and
//! which of them took longest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use super::list::List;
use super::origin::{OriginFigures, OriginSlot};
use super::publisher::{PublisherFigures, PublisherSlot};
use super::stage::{Stage, StageBlock, StageFigures};
use super::word_slot::WordSlot;
use crate::media::{Micros, OriginStamp, PublisherMetrics, Stamps};

/// Streams of a shard that have distributions of their own. Those beyond share one, which is of
/// their shard alone.
pub const LATENCY_STREAMS_MAX: usize = 64;

/// Frames that are remembered of each stream, those that took longest.
pub const WORST_MAX: usize = 8;

/// For how long they are remembered.
pub const WORST_KEPT: Micros = Micros::from_secs(60);

/// A number for a source of frames, which stands in their ids: another one for each of the last
/// 65536 that began.
#[must_use]
pub fn next_source() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

const STAGES: [Stage; 13] = [
    Stage::Read,
    Stage::Append,
    Stage::Hop,
    Stage::Send,
    Stage::FanOut,
    Stage::Blocked,
    Stage::ToLog,
    Stage::ToFirst,
    Stage::ToLast,
    Stage::Origin,
    Stage::PublisherCapture,
    Stage::PublisherEncode,
    Stage::PublisherUplink,
];

/// What a shard writes about one stream.
#[derive(Debug)]
pub struct StreamLatency {
    source: u16,
    stages: StageBlock<{ STAGES.len() }>,
    worst: [WorstSlot; WORST_MAX],
    origin: OriginSlot,
    publisher: PublisherSlot,
}

impl Default for StreamLatency {
    fn default() -> Self {
        Self {
            source: next_source(),
            stages: StageBlock::of(STAGES),
            worst: Default::default(),
            origin: OriginSlot::default(),
            publisher: PublisherSlot::default(),
        }
    }
}

/// A frame that took long.
#[derive(Debug, Default)]
struct WorstSlot(WordSlot<{ 2 + Stamps::WORDS }>);

impl WorstSlot {
    fn write(&self, stamps: &Stamps, at: Micros, took: Micros) {
        let mut words = [0; 2 + Stamps::WORDS];
        [words[0], words[1]] = [at.0, took.0];
        words[2..].copy_from_slice(&stamps.words());
        self.0.write(words);
    }

    /// When it was noted, and how long it took.
    fn noted(&self) -> (Micros, Micros) {
        (Micros(self.0.word(0)), Micros(self.0.word(1)))
    }

    fn read(&self) -> Option<WorstFrame> {
        let [at, took, words @ ..] = self.0.read()?;
        Some(WorstFrame { at: Micros(at), took: Micros(took), stamps: Stamps::from_words(&words) })
    }
}

/// A frame that took long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorstFrame {
    /// When it had passed the last of its points.
    pub at: Micros,
    /// From when it was due to then.
    pub took: Micros,
    /// Its points.
    pub stamps: Stamps,
}

impl StreamLatency {
    /// The number of the stream as a source of frames.
    #[must_use]
    pub const fn source(&self) -> u16 {
        self.source
    }

    /// Counts one duration. For the shard.
    pub fn observe(&self, stage: Stage, took: Micros) {
        self.stages.observe(stage, took);
    }

    /// A frame has passed its last point at `now`, and took so long. For the shard.
    pub fn passed(&self, stamps: &Stamps, now: Micros, took: Micros) {
        if cfg!(feature = "no-trace") {
            return;
        }
        let key = |slot: &WorstSlot| {
            let (at, took) = slot.noted();
            if now.since(at) < WORST_KEPT { took.0 } else { 0 }
        };
        let least = self.worst.iter().min_by_key(|slot| key(slot));
        if let Some(slot) = least.filter(|slot| took.0 > key(slot)) {
            slot.write(stamps, now, took);
        }
    }

    /// The origin stamp of a frame that came at `now`, which is `unix_us` by the time of day. For
    /// the shard.
    pub fn came_from(&self, stamp: &OriginStamp, now: Micros, unix_us: u64) {
        if let Some(took) = self.origin.note(stamp, now, unix_us) {
            self.observe(Stage::Origin, took);
        }
    }

    /// A keyframe with metrics of its publisher came at `now`, which is `unix_us` by the time of
    /// day. For the shard.
    pub fn published_with(&self, metrics: &PublisherMetrics, now: Micros, unix_us: u64) {
        for (stage, took) in self.publisher.note(metrics, now, unix_us) {
            if let Some(took) = took {
                self.observe(stage, took);
            }
        }
    }

    /// What the publisher of the stream says of its frames, if it does. For any thread.
    #[must_use]
    pub fn publisher(&self) -> Option<PublisherFigures> {
        self.publisher.read()
    }

    /// What the stamps of the stream say, if it has some. For any thread.
    #[must_use]
    pub fn origin(&self) -> Option<OriginFigures> {
        self.origin.read()
    }

    /// Adds what has been counted of each stage to `to`. For any thread.
    pub fn read_into(&self, to: &mut StageFigures) {
        self.stages.read_into(to);
    }

    /// The frames of the last minute that took longest, the longest first. For any thread.
    #[must_use]
    pub fn worst(&self, now: Micros) -> Vec<WorstFrame> {
        let mut worst: Vec<_> = self.worst.iter().filter_map(WorstSlot::read).collect();
        worst.retain(|frame| now.since(frame.at) < WORST_KEPT);
        worst.sort_by_key(|frame| std::cmp::Reverse(frame.took));
        worst
    }
}

/// A stream, and what its shard writes about it.
#[derive(Clone, Debug)]
pub struct StreamLatencyEntry {
    /// Public name; empty for the streams that share one.
    pub stream: Arc<str>,
    /// The figures.
    pub latency: Arc<StreamLatency>,
}

/// The streams of one shard.
#[derive(Debug, Default)]
pub struct StreamLatencies {
    own: List<StreamLatencyEntry>,
    others: Arc<StreamLatency>,
}

impl StreamLatencies {
    /// A stream begins. It is listed for as long as the answer lives. For the shard.
    #[must_use]
    pub fn open(self: &Arc<Self>, stream: &Arc<str>) -> OpenLatency {
        if self.own.read().len() >= LATENCY_STREAMS_MAX {
            return OpenLatency { of: None, latency: Arc::clone(&self.others) };
        }
        let latency = Arc::default();
        let entry = StreamLatencyEntry { stream: Arc::clone(stream), latency };
        self.own.add(&entry);
        OpenLatency { of: Some(Arc::clone(self)), latency: entry.latency }
    }

    /// All that there are, with what those beyond the limit share. For any thread.
    #[must_use]
    pub fn read(&self) -> Vec<StreamLatencyEntry> {
        let others = StreamLatencyEntry { stream: "".into(), latency: Arc::clone(&self.others) };
        self.own.read().iter().cloned().chain([others]).collect()
    }
}

/// A stream's figures, listed until this is dropped.
#[derive(Debug)]
pub struct OpenLatency {
    of: Option<Arc<StreamLatencies>>,
    latency: Arc<StreamLatency>,
}

impl std::ops::Deref for OpenLatency {
    type Target = StreamLatency;
    fn deref(&self) -> &StreamLatency {
        &self.latency
    }
}

impl Drop for OpenLatency {
    fn drop(&mut self) {
        if let Some(list) = &self.of {
            list.own.remove(|entry| Arc::ptr_eq(&entry.latency, &self.latency));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{FrameId, Point, Stamp};

    fn frame(number: u64, took_ms: u64) -> (Stamps, Micros) {
        let mut stamps = Stamps::due(FrameId::new(3, number), Stamp::of(Micros(1)));
        let took = Micros::from_millis(took_ms);
        stamps.set(Point::Appended, Stamp::of(Micros(1) + took));
        (stamps, took)
    }

    #[test]
    fn the_longest_frames_of_a_minute_are_kept() {
        let latency = StreamLatency::default();
        let at = Micros::from_secs(100);
        for number in 0..100 {
            let (stamps, took) = frame(number, 10 + number * 7 % 100);
            latency.passed(&stamps, at, took);
        }
        let worst = latency.worst(at);
        let ms: Vec<_> = worst.iter().map(|it| it.took.millis()).collect();
        assert_eq!(ms, [109, 108, 107, 106, 105, 104, 103, 102]);
        assert_eq!(worst[0].stamps.between(Point::Due, Point::Appended), Some(worst[0].took));
        let later = at + WORST_KEPT;
        assert!(latency.worst(later).is_empty());
        let (stamps, took) = frame(1, 5);
        latency.passed(&stamps, later, took);
        assert_eq!(latency.worst(later).len(), 1, "those of before make room for a short one");
    }

    #[test]
    fn streams_beyond_the_limit_share_figures_and_places_come_back() {
        let list = Arc::<StreamLatencies>::default();
        let name = |number: usize| Arc::from(format!("live/{number}"));
        let mut open: Vec<_> = (0..=LATENCY_STREAMS_MAX).map(|at| list.open(&name(at))).collect();
        open.iter().for_each(|it| it.observe(Stage::Send, Micros(5)));
        let counted = || {
            let mut others = StageFigures::default();
            list.read().last().unwrap().latency.read_into(&mut others);
            others.of(Stage::Send).count()
        };
        assert_eq!((list.read().len(), counted()), (LATENCY_STREAMS_MAX + 1, 1));
        open.remove(0);
        let again = list.open(&name(0));
        assert_eq!(list.read().len(), LATENCY_STREAMS_MAX + 1);
        again.observe(Stage::Send, Micros(5));
        assert_eq!(counted(), 1);
    }
}
