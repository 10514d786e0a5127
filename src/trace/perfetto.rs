//! Perfetto form of a trace, as <https://ui.perfetto.dev> opens it: a track for each thread and each
//! stream, flows from thread to thread along each frame, and counters. Times are those of
//! `CLOCK_MONOTONIC`, so that a kernel trace lies beside it.
//!
//! The numbers of fields are those of Perfetto's `trace_packet.proto` and `track_event.proto`.

use std::collections::{BTreeMap, BTreeSet};

use super::recorder::{Gathered, Record, RecordKind, ThreadRecords};
use super::timeline::{FrameWay, Slice, frames, nested};
use crate::media::protobuf::Writer;
use crate::stats::Stage;

/// Bytes of a trace at most. What would come after them is left out.
const BYTES_MAX: usize = 64 << 20;

/// Perfetto's number of `CLOCK_MONOTONIC`, and of `CLOCK_BOOTTIME`, which its traces are shown by.
const MONOTONIC: u64 = 3;
const BOOTTIME: u64 = 6;

/// All packets are of one writer.
const SEQUENCE: u64 = 1;

/// Nothing that comes refers to what was before.
const STATE_CLEARED: u64 = 1;

/// Kinds of events.
const BEGIN: u64 = 1;
const END: u64 = 2;
const INSTANT: u64 = 3;
const COUNTER: u64 = 4;

/// Numbers of tracks: of the process, of its threads and its sources from there on, and of what a
/// source has several of.
const PROCESS: u64 = 1;
const THREADS: u64 = 1 << 40;
const SOURCES: u64 = 2 << 40;
const LANES: u64 = 3 << 40;
const COUNTERS: u64 = 4 << 40;
const EACH_BITS: u32 = 20;

/// What a trace says of the process.
#[derive(Clone, Debug, Default)]
pub struct TraceNames {
    /// Name of the node.
    pub node: String,
    /// The process' number.
    pub process: u32,
    /// Public names of streams, by their numbers as sources of frames.
    pub streams: BTreeMap<u16, String>,
    /// The node's epoch on `CLOCK_MONOTONIC`, nanoseconds.
    pub monotonic_epoch: u64,
    /// `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME` at one moment, nanoseconds.
    pub clocks: [u64; 2],
}

/// Writes what was gathered.
#[must_use]
pub fn write_perfetto(gathered: &Gathered, names: &TraceNames) -> Vec<u8> {
    let mut trace = Trace { out: Writer::default(), names };
    trace.head();
    for thread in &gathered.threads {
        trace.thread(thread);
    }
    let records = gathered.threads.iter().flat_map(|thread| &thread.records);
    let mut counters: BTreeMap<u64, Vec<&Record>> = BTreeMap::new();
    for record in records {
        if let Some((place, _)) = counter_of(record.kind) {
            let track = COUNTERS + (u64::from(record.frame.source()) << EACH_BITS) + place;
            counters.entry(track).or_default().push(record);
        }
    }
    let frames = frames(gathered);
    let counted = counters.values().flatten().map(|record| record.frame.source());
    let sources: BTreeSet<_> = counted.chain(frames.keys().copied()).collect();
    for source in sources {
        trace.source(source, frames.get(&source).map_or(&[][..], Vec::as_slice));
    }
    for (track, records) in counters {
        trace.counter(track, &records);
    }
    trace.out.finish()
}

/// Place and name of a kind that is a count.
const fn counter_of(kind: RecordKind) -> Option<(u64, &'static str)> {
    match kind {
        RecordKind::QueueLength => Some((0, "frames that wait for an encoder")),
        RecordKind::Viewers => Some((1, "viewers")),
        RecordKind::Blocked => Some((2, "viewers with full sockets")),
        RecordKind::Stage(_) | RecordKind::Turn => None,
    }
}

/// The name of a slice.
const fn name_of(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Stage(stage) => stage.label(),
        _ => "turn",
    }
}

/// What happens on a thread's track.
enum ThreadEvent<'a> {
    Begin(Slice),
    End,
    /// A frame has come by.
    Passed(&'a Record),
}

struct Trace<'a> {
    out: Writer,
    names: &'a TraceNames,
}

impl Trace<'_> {
    /// A packet at this time since the node's epoch; `Trace.packet` is field 1.
    fn packet(&mut self, at: u64, write: impl FnOnce(&mut Writer)) {
        if self.out.len() >= BYTES_MAX {
            return;
        }
        let at = self.names.monotonic_epoch + at;
        self.out.message(1, |packet| {
            packet.uint(8, at); // timestamp
            packet.uint(58, MONOTONIC); // timestamp_clock_id
            packet.uint(10, SEQUENCE); // trusted_packet_sequence_id
            write(packet);
        });
    }

    /// The clocks and the process.
    fn head(&mut self) {
        let [monotonic, boottime] = self.names.clocks;
        self.out.message(1, |packet| {
            packet.uint(10, SEQUENCE);
            packet.uint(13, STATE_CLEARED); // sequence_flags
            packet.message(6, |snapshot| {
                for (id, at) in [(MONOTONIC, monotonic), (BOOTTIME, boottime)] {
                    snapshot.message(1, |clock| {
                        clock.uint(1, id);
                        clock.uint(2, at);
                    });
                }
            });
        });
        let (process, node) = (u64::from(self.names.process), self.names.node.clone());
        self.track(PROCESS, None, None, |track| {
            track.message(3, |descriptor| {
                descriptor.uint(1, process);
                descriptor.text(6, &format!("stream-manager {node}"));
            });
        });
    }

    /// A track with this number, and what is particular to its kind.
    fn track(
        &mut self,
        uuid: u64,
        parent: Option<u64>,
        name: Option<&str>,
        kind: impl FnOnce(&mut Writer),
    ) {
        self.packet(0, |packet| {
            packet.message(60, |track| {
                track.uint(1, uuid);
                if let Some(parent) = parent {
                    track.uint(5, parent);
                }
                if let Some(name) = name {
                    track.text(2, name);
                }
                kind(track);
            });
        });
    }

    fn event(&mut self, track: u64, at: u64, kind: u64, more: impl FnOnce(&mut Writer)) {
        self.packet(at, |packet| {
            packet.message(11, |event| {
                event.uint(9, kind);
                event.uint(11, track);
                more(event);
            });
        });
    }

    /// What a thread has worked at, and where frames came by on it.
    fn thread(&mut self, thread: &ThreadRecords) {
        let id = u64::from(thread.id.unsigned_abs());
        let (track, process) = (THREADS + id, u64::from(self.names.process));
        self.track(track, Some(PROCESS), None, |descriptor| {
            descriptor.message(4, |of_thread| {
                of_thread.uint(1, process);
                of_thread.uint(2, id);
                of_thread.text(5, &thread.thread);
            });
        });
        let mut events = Vec::new();
        let mut open: Vec<u64> = Vec::new();
        for slice in nested(&thread.records) {
            while let Some(end) = open.pop_if(|end| *end <= slice.begin) {
                events.push((end, ThreadEvent::End));
            }
            events.push((slice.begin, ThreadEvent::Begin(slice)));
            open.push(slice.end);
        }
        events.extend(open.into_iter().rev().map(|end| (end, ThreadEvent::End)));
        let passed = thread.records.iter().filter(|record| {
            matches!(record.kind, RecordKind::Stage(Stage::Append | Stage::Hop | Stage::Send))
        });
        events.extend(passed.map(|record| (record.end.nanos(), ThreadEvent::Passed(record))));
        // Those of one time stay as they are: slices end in the reverse order of their beginnings.
        events.sort_by_key(|(at, _)| *at);
        for (at, event) in events {
            match event {
                ThreadEvent::Begin(slice) => self.begin(track, &slice),
                ThreadEvent::End => self.event(track, at, END, |_| {}),
                ThreadEvent::Passed(record) => self.passed(track, record),
            }
        }
    }

    fn begin(&mut self, track: u64, slice: &Slice) {
        let flow = slice.frame.bits();
        self.event(track, slice.begin, BEGIN, |event| {
            event.text(23, name_of(slice.kind));
            if flow != 0 {
                event.fixed(47, flow);
            }
        });
    }

    fn passed(&mut self, track: u64, record: &Record) {
        let is_last = record.kind == RecordKind::Stage(Stage::Send);
        self.event(track, record.end.nanos(), INSTANT, |event| {
            event.text(23, name_of(record.kind));
            // The flow of a frame ends with its first viewer.
            event.fixed(if is_last { 48 } else { 47 }, record.frame.bits());
        });
    }

    /// The frames of a source, on as many lanes as there were at once.
    fn source(&mut self, source: u16, ways: &[FrameWay]) {
        let name = self.names.streams.get(&source);
        let name = name.cloned().unwrap_or_else(|| format!("source {source}"));
        let parent = SOURCES + u64::from(source);
        self.track(parent, Some(PROCESS), Some(&name), |_| {});
        let lane_of = |lane: usize| LANES + (u64::from(source) << EACH_BITS) + lane as u64;
        let lanes = ways.iter().map(|way| way.lane + 1).max().unwrap_or(0);
        for lane in 0..lanes {
            let name = format!("{name} frames");
            self.track(lane_of(lane), Some(parent), Some(&name), |_| {});
        }
        for way in ways {
            let track = lane_of(way.lane);
            self.event(track, way.begin(), BEGIN, |event| {
                event.text(23, &format!("frame {}", way.frame.number()));
            });
            for slice in &way.stages {
                self.event(track, slice.begin, BEGIN, |event| event.text(23, name_of(slice.kind)));
                self.event(track, slice.end, END, |_| {});
            }
            self.event(track, way.end(), END, |_| {});
        }
    }

    fn counter(&mut self, track: u64, records: &[&Record]) {
        let Some(first) = records.first() else { return };
        let (source, name) = (first.frame.source(), counter_of(first.kind));
        let name = name.map_or("", |(_, name)| name);
        self.track(track, Some(SOURCES + u64::from(source)), Some(name), |descriptor| {
            descriptor.message(8, |_| {});
        });
        for record in records {
            self.event(track, record.end.nanos(), COUNTER, |event| event.uint(30, record.value));
        }
    }
}

#[cfg(test)]
mod tests;
