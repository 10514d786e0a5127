//! Stages of a frame's way, each with its distribution of durations.

use super::log_histogram::{LogFigures, LogHistogram};
use crate::media::{Point, Stamps};

/// A stage, or a stretch of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// From when a tick was due to when the composer began with it; of one that was skipped, to
    /// when that was seen.
    Tick,
    /// Drawing.
    Compose,
    /// Making a rendition's size.
    Scale,
    /// Waiting for the encoder, which is busy with frames before it.
    Queue,
    /// In the encoder until that has the pictures that it looks ahead at: delay by design.
    Lookahead,
    /// In the call to the encoder.
    Encode,
    /// A published message from its first byte to its last.
    Read,
    /// To the stream's log.
    Append,
    /// To the log of another shard.
    Hop,
    /// From the log to the socket of a first viewer.
    Send,
    /// From there to the sockets of all viewers that are not full.
    FanOut,
    /// How long what a viewer is sent next has waited, of those whose sockets are full: counted
    /// again and again while they are.
    Blocked,
    /// From when a frame was due, or a message's first byte came, to the stream's log.
    ToLog,
    /// The same to the socket of a first viewer.
    ToFirst,
    /// The same to the sockets of all viewers that are not full.
    ToLast,
    /// Of a stream with origin stamps: from when a frame was due where it was made to when it had
    /// come here, by the time of day of both machines.
    Origin,
    /// In a publisher that says so, such as OBS: from when a frame was composed to when its encoder
    /// was asked for it.
    PublisherCapture,
    /// There: in its encoder.
    PublisherEncode,
    /// From there to here, with what waits there to be sent, by the time of day of both machines.
    PublisherUplink,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Tick,
        Self::Compose,
        Self::Scale,
        Self::Queue,
        Self::Lookahead,
        Self::Encode,
        Self::Read,
        Self::Append,
        Self::Hop,
        Self::Send,
        Self::FanOut,
        Self::Blocked,
        Self::ToLog,
        Self::ToFirst,
        Self::ToLast,
        Self::Origin,
        Self::PublisherCapture,
        Self::PublisherEncode,
        Self::PublisherUplink,
    ];

    /// Its name in the API, in metrics and in traces.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tick => "tick",
            Self::Compose => "compose",
            Self::Scale => "scale",
            Self::Queue => "queue",
            Self::Lookahead => "lookahead",
            Self::Encode => "encode",
            Self::Read => "read",
            Self::Append => "append",
            Self::Hop => "hop",
            Self::Send => "send",
            Self::FanOut => "fan_out",
            Self::Blocked => "blocked",
            Self::ToLog => "to_log",
            Self::ToFirst => "to_first_viewer",
            Self::ToLast => "to_last_viewer",
            Self::Origin => "origin",
            Self::PublisherCapture => "publisher_capture",
            Self::PublisherEncode => "publisher_encode",
            Self::PublisherUplink => "publisher_uplink",
        }
    }

    /// Whether it is one part of the way through the node, and neither a stretch of several nor
    /// before it.
    #[must_use]
    pub const fn is_part(self) -> bool {
        !matches!(
            self,
            Self::Blocked
                | Self::ToLog
                | Self::ToFirst
                | Self::ToLast
                | Self::Origin
                | Self::PublisherCapture
                | Self::PublisherEncode
                | Self::PublisherUplink
        )
    }

    /// The stage of this number, see [`Stage::ALL`].
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// How long a frame has been in each stage that it has passed, in order, microseconds.
pub fn parts_of(stamps: &Stamps) -> impl Iterator<Item = (Stage, u64)> {
    let is_published = stamps.is_published();
    let first = if is_published { Point::Encoded } else { Point::Started };
    let begin = if is_published { Stage::Read } else { Stage::Tick };
    let in_log = match stamps.at(Point::Received).is_some() {
        true => Point::Received,
        false => Point::Appended,
    };
    [
        (begin, Point::Due, first),
        (Stage::Compose, Point::Started, Point::Composed),
        (Stage::Scale, Point::Composed, Point::Queued),
        (Stage::Queue, Point::Queued, Point::Taken),
        (Stage::Lookahead, Point::Taken, Point::Encoding),
        (Stage::Encode, Point::Encoding, Point::Encoded),
        (Stage::Append, Point::Encoded, Point::Appended),
        (Stage::Hop, Point::Appended, Point::Received),
        (Stage::Send, in_log, Point::Sent),
        (Stage::FanOut, Point::Sent, Point::Served),
    ]
    .into_iter()
    .filter_map(|(stage, from, to)| Some((stage, stamps.between(from, to)?.0)))
}

/// The distributions of some stages, all written by one thread.
#[derive(Debug)]
pub struct StageBlock<const N: usize> {
    stages: [Stage; N],
    histograms: [LogHistogram; N],
}

impl<const N: usize> StageBlock<N> {
    /// Of these stages.
    #[must_use]
    pub fn of(stages: [Stage; N]) -> Self {
        Self { stages, histograms: std::array::from_fn(|_| LogHistogram::default()) }
    }

    /// Counts one duration. For the block's one writer.
    pub fn observe(&self, stage: Stage, took: crate::media::Micros) {
        if let Some(at) = self.stages.iter().position(|other| *other == stage) {
            self.histograms[at].observe(took);
        }
    }

    /// Adds what has been counted of each stage to `to`. For any thread.
    pub fn read_into(&self, to: &mut StageFigures) {
        for (stage, histogram) in self.stages.iter().zip(&self.histograms) {
            to.add(*stage, &histogram.read());
        }
    }
}

/// What has been counted of each stage, by [`Stage::ALL`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageFigures([LogFigures; Stage::ALL.len()]);

impl StageFigures {
    /// What has been counted of this one.
    #[must_use]
    pub const fn of(&self, stage: Stage) -> &LogFigures {
        &self.0[stage as usize]
    }

    /// Adds to one stage.
    pub fn add(&mut self, stage: Stage, figures: &LogFigures) {
        self.0[stage as usize].add(figures);
    }

    /// Adds to all of them what others have counted.
    pub fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(all, part)| all.add(part));
    }

    /// What was counted after `earlier`, a reading of the same threads.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(std::array::from_fn(|at| {
            let (now, before) = (&self.0[at], &earlier.0[at]);
            // A stream that has begun anew has counted nothing before.
            if now.count() < before.count() { now.clone() } else { now.since(before) }
        }))
    }

    /// The stages that something was counted of.
    pub fn each(&self) -> impl Iterator<Item = (Stage, &LogFigures)> {
        Stage::ALL.into_iter().zip(&self.0).filter(|(_, figures)| figures.count() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{FrameId, Micros, Stamp};

    #[test]
    fn stages_are_in_the_order_of_their_numbers() {
        for (number, stage) in (0..).zip(Stage::ALL) {
            assert_eq!(Stage::of_number(number), Some(stage));
            assert_eq!(stage as u8, number);
        }
        assert_eq!(Stage::of_number(200), None);
    }

    #[test]
    fn the_parts_of_a_way_add_up_to_all_of_it() {
        let mut stamps = Stamps::default();
        stamps.frame = FrameId::new(1, 2);
        for (at, point) in (1..).zip(Point::ALL) {
            stamps.set(point, Stamp::of(Micros(at * at * 1_000)));
        }
        let parts: Vec<_> = parts_of(&stamps).collect();
        assert_eq!(parts.len(), 10);
        let whole = stamps.between(Point::Due, Point::Served).unwrap();
        assert_eq!(parts.iter().map(|(_, took)| took).sum::<u64>(), whole.0);
        let mut published = Stamps::due(stamps.frame, Stamp::of(Micros(1)));
        published.set(Point::Encoded, Stamp::of(Micros(3)));
        published.set(Point::Appended, Stamp::of(Micros(7)));
        published.set(Point::Sent, Stamp::of(Micros(8)));
        let parts: Vec<_> = parts_of(&published).collect();
        assert_eq!(parts, [(Stage::Read, 2), (Stage::Append, 4), (Stage::Send, 1)]);
    }

    #[test]
    fn a_block_counts_its_own_stages_and_no_others() {
        let block = StageBlock::of([Stage::Queue, Stage::Encode]);
        block.observe(Stage::Encode, Micros(9));
        block.observe(Stage::Tick, Micros(9));
        let mut figures = StageFigures::default();
        block.read_into(&mut figures);
        block.read_into(&mut figures);
        let counted: Vec<_> = figures.each().map(|(stage, it)| (stage, it.count())).collect();
        assert_eq!(counted, [(Stage::Encode, 2)]);
    }
}
