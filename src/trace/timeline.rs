//! Timeline of what threads have recorded: slices that nest, and frames side by side.

use std::collections::BTreeMap;

use super::recorder::{Gathered, Record, RecordKind};
use crate::media::FrameId;
use crate::stats::Stage;

/// Something that took a while, nanoseconds since the node's epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) kind: RecordKind,
    pub(super) frame: FrameId,
}

impl Slice {
    fn of(record: &Record) -> Self {
        let (end, took) = (record.end.nanos(), record.value * 1_000);
        let begin = end.saturating_sub(took);
        Self { begin, end, kind: record.kind, frame: record.frame }
    }
}

/// Whether the thread that records a stage works for all of it. In the others a frame waits.
pub(super) const fn is_work(kind: RecordKind) -> bool {
    matches!(kind, RecordKind::Turn | RecordKind::Stage(Stage::Compose | Stage::Encode))
}

/// What a thread has worked at, so that each slice lies in the ones that began before it and have
/// not ended: clocks that differ by a microsecond would have them overlap.
pub(super) fn nested(records: &[Record]) -> Vec<Slice> {
    let work = records.iter().filter(|record| is_work(record.kind));
    let mut slices: Vec<_> = work.map(Slice::of).collect();
    slices.sort_by_key(|slice| (slice.begin, std::cmp::Reverse(slice.end)));
    let mut open: Vec<u64> = Vec::new();
    for slice in &mut slices {
        while open.last().is_some_and(|end| *end <= slice.begin) {
            open.pop();
        }
        if let Some(outer) = open.last() {
            slice.end = slice.end.min(*outer);
        }
        open.push(slice.end);
    }
    slices
}

/// The stages of a frame, one after the other. A frame that several encoders have taken has as many
/// of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FrameWay {
    pub(super) frame: FrameId,
    pub(super) stages: Vec<Slice>,
    /// Frames that lie on one lane do not overlap.
    pub(super) lane: usize,
}

impl FrameWay {
    pub(super) fn begin(&self) -> u64 {
        self.stages.first().map_or(0, |slice| slice.begin)
    }

    pub(super) fn end(&self) -> u64 {
        self.stages.last().map_or(0, |slice| slice.end)
    }
}

/// The ways of all frames, by their sources, in the order in which they began.
pub(super) fn frames(gathered: &Gathered) -> BTreeMap<u16, Vec<FrameWay>> {
    let mut by_frame: BTreeMap<FrameId, Vec<Slice>> = BTreeMap::new();
    let records = gathered.threads.iter().flat_map(|thread| &thread.records);
    for record in records.filter(|it| matches!(it.kind, RecordKind::Stage(_))) {
        by_frame.entry(record.frame).or_default().push(Slice::of(record));
    }
    let mut ways: BTreeMap<u16, Vec<FrameWay>> = BTreeMap::new();
    for (frame, mut slices) in by_frame {
        slices.sort_by_key(|slice| (slice.begin, slice.end));
        let of_source = ways.entry(frame.source()).or_default();
        while !slices.is_empty() {
            let (mut stages, mut rest) = (Vec::<Slice>::new(), Vec::new());
            for slice in slices {
                let fits = stages.last().is_none_or(|before| before.end <= slice.begin);
                if fits { stages.push(slice) } else { rest.push(slice) }
            }
            of_source.push(FrameWay { frame, stages, lane: 0 });
            slices = rest;
        }
    }
    ways.values_mut().for_each(|ways| put_in_lanes(ways));
    ways
}

fn put_in_lanes(ways: &mut [FrameWay]) {
    ways.sort_by_key(FrameWay::begin);
    let mut ends: Vec<u64> = Vec::new();
    for way in ways {
        let (begin, end) = (way.begin(), way.end());
        way.lane = ends.iter().position(|end| *end <= begin).unwrap_or(ends.len());
        match ends.get_mut(way.lane) {
            Some(last) => *last = end,
            None => ends.push(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Stamp;
    use crate::trace::recorder::ThreadRecords;

    fn record(stage: Stage, number: u64, (begin, end): (u64, u64)) -> Record {
        let kind = RecordKind::Stage(stage);
        let frame = FrameId::new(3, number);
        Record { kind, end: Stamp::from_nanos(end * 1_000), frame, value: end - begin }
    }

    fn of(records: Vec<Record>) -> Gathered {
        let thread = String::new();
        Gathered { threads: vec![ThreadRecords { thread, id: 1, records, is_cut: false }] }
    }

    #[test]
    fn slices_of_a_thread_end_within_the_ones_around_them() {
        let mut turn = record(Stage::Compose, 0, (10, 50));
        turn.kind = RecordKind::Turn;
        let records = [
            record(Stage::Compose, 1, (20, 51)),
            turn,
            record(Stage::Queue, 1, (5, 60)),
            record(Stage::Encode, 1, (50, 70)),
        ];
        let slices: Vec<_> =
            nested(&records).iter().map(|it| (it.begin / 1_000, it.end / 1_000)).collect();
        assert_eq!(slices, [(10, 50), (20, 50), (50, 70)], "waiting is nobody's work");
    }

    #[test]
    fn frames_that_overlap_lie_on_lanes_of_their_own_and_stages_follow_each_other() {
        let ways = frames(&of(vec![
            record(Stage::Encode, 1, (20, 40)),
            record(Stage::Compose, 1, (0, 10)),
            record(Stage::Encode, 1, (25, 45)),
            record(Stage::Compose, 2, (30, 35)),
            record(Stage::Compose, 3, (50, 55)),
        ]));
        let ways: Vec<_> =
            ways[&3].iter().map(|it| (it.frame.number(), it.stages.len(), it.lane)).collect();
        assert_eq!(ways, [(1, 2, 0), (1, 1, 1), (2, 1, 2), (3, 1, 0)]);
    }
}
