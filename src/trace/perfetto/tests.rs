//! Traces read back by another reader, and their summary.

use prost::Message;

use super::*;
use crate::media::{FrameId, Stamp};
use crate::trace::summary::{SummaryError, summarize};

// What these tests look at of Perfetto's protos, by their numbers there.

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(message, repeated, tag = "1")]
    packet: Vec<Packet>,
}

#[derive(Clone, PartialEq, Message)]
struct Packet {
    #[prost(message, optional, tag = "6")]
    clock_snapshot: Option<Snapshot>,
    #[prost(uint64, optional, tag = "8")]
    timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "10")]
    trusted_packet_sequence_id: Option<u32>,
    #[prost(message, optional, tag = "11")]
    track_event: Option<Event>,
    #[prost(uint32, optional, tag = "58")]
    timestamp_clock_id: Option<u32>,
    #[prost(message, optional, tag = "60")]
    track_descriptor: Option<Track>,
}

#[derive(Clone, PartialEq, Message)]
struct Snapshot {
    #[prost(message, repeated, tag = "1")]
    clocks: Vec<ClockReading>,
}

#[derive(Clone, PartialEq, Message)]
struct ClockReading {
    #[prost(uint32, optional, tag = "1")]
    clock_id: Option<u32>,
    #[prost(uint64, optional, tag = "2")]
    timestamp: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(int32, optional, tag = "9")]
    kind: Option<i32>,
    #[prost(uint64, optional, tag = "11")]
    track_uuid: Option<u64>,
    #[prost(string, optional, tag = "23")]
    name: Option<String>,
    #[prost(int64, optional, tag = "30")]
    counter_value: Option<i64>,
    #[prost(fixed64, repeated, packed = "false", tag = "47")]
    flow_ids: Vec<u64>,
    #[prost(fixed64, repeated, packed = "false", tag = "48")]
    terminating_flow_ids: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Track {
    #[prost(uint64, optional, tag = "1")]
    uuid: Option<u64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
    #[prost(message, optional, tag = "4")]
    thread: Option<Thread>,
    #[prost(uint64, optional, tag = "5")]
    parent_uuid: Option<u64>,
    #[prost(message, optional, tag = "8")]
    counter: Option<Counter>,
}

#[derive(Clone, PartialEq, Message)]
struct Thread {
    #[prost(int32, optional, tag = "2")]
    tid: Option<i32>,
    #[prost(string, optional, tag = "5")]
    thread_name: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Counter {}

/// 100 s after the machine's start.
const EPOCH: u64 = 100_000_000_000;

fn record(stage: Stage, number: u64, (begin, end): (u64, u64)) -> Record {
    let (kind, frame) = (RecordKind::Stage(stage), FrameId::new(7, number));
    Record { kind, end: Stamp::from_nanos(end * 1_000_000), frame, value: (end - begin) * 1_000 }
}

/// Frames 1 to 3 on their way from the composer to viewers; the second waits for 50 ms.
fn gathered() -> Gathered {
    let [mut compose, mut encode, mut shard] = [const { Vec::new() }; 3];
    for number in 1..=3_u64 {
        let (at, wait) = (number * 33, if number == 2 { 50 } else { 0 });
        compose.push(record(Stage::Compose, number, (at, at + 4)));
        let count = Record { kind: RecordKind::QueueLength, value: 2, ..compose[0] };
        compose.push(Record { end: Stamp::from_nanos((at + 4) * 1_000_000), ..count });
        encode.push(record(Stage::Queue, number, (at + 4, at + 5 + wait)));
        encode.push(record(Stage::Lookahead, number, (at + 5 + wait, at + 71 + wait)));
        encode.push(record(Stage::Encode, number, (at + 71 + wait, at + 77 + wait)));
        shard.push(record(Stage::Append, number, (at + 77 + wait, at + 78 + wait)));
        shard.push(record(Stage::Send, number, (at + 78 + wait, at + 79 + wait)));
    }
    let threads = [("compose", compose), ("video-demo", encode), ("shard-0", shard)];
    let threads = threads.into_iter().zip(1..).map(|((thread, records), id)| ThreadRecords {
        thread: thread.to_owned(),
        id,
        records,
        is_cut: false,
    });
    Gathered { threads: threads.collect() }
}

fn names() -> TraceNames {
    TraceNames {
        node: "here".to_owned(),
        process: 4_000,
        streams: BTreeMap::from([(7, "live/demo".to_owned())]),
        monotonic_epoch: EPOCH,
        clocks: [EPOCH + 5, EPOCH + 9_000],
    }
}

#[test]
fn another_reader_finds_tracks_that_nest_flows_along_each_frame_and_counters() {
    let file = File::decode(&*write_perfetto(&gathered(), &names())).unwrap();
    let clocks = &file.packet[0].clock_snapshot.as_ref().unwrap().clocks;
    let clocks: Vec<_> = clocks.iter().map(|it| (it.clock_id, it.timestamp)).collect();
    assert_eq!(clocks, [(Some(3), Some(EPOCH + 5)), (Some(6), Some(EPOCH + 9_000))]);
    let tracks: BTreeMap<_, _> = file
        .packet
        .iter()
        .filter_map(|packet| packet.track_descriptor.clone())
        .map(|track| (track.uuid(), track))
        .collect();
    let threads = tracks.values().filter_map(|track| track.thread.as_ref());
    let threads: Vec<_> = threads.map(|it| (it.tid(), it.thread_name())).collect();
    assert_eq!(threads, [(1, "compose"), (2, "video-demo"), (3, "shard-0")]);
    assert!(tracks.values().all(|it| it.parent_uuid.is_none_or(|id| tracks.contains_key(&id))));

    let mut open: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let mut flows: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    let (mut ended, mut counts, mut last) = (Vec::new(), Vec::new(), BTreeMap::new());
    for packet in &file.packet {
        assert_eq!(packet.trusted_packet_sequence_id, Some(1));
        let Some(event) = &packet.track_event else { continue };
        assert_eq!(packet.timestamp_clock_id, Some(3), "CLOCK_MONOTONIC");
        let (track, at) = (event.track_uuid(), packet.timestamp() - EPOCH);
        assert!(tracks.contains_key(&track));
        assert!(last.insert(track, at).is_none_or(|before| before <= at), "in order");
        match event.kind() {
            1 => open.entry(track).or_default().push(event.name().to_owned()),
            2 => drop(open.get_mut(&track).unwrap().pop().unwrap()),
            3 => {}
            _ => counts.push((tracks[&track].counter.is_some(), event.counter_value())),
        }
        for flow in event.flow_ids.iter().chain(&event.terminating_flow_ids) {
            flows.entry(*flow).or_default().push((at, track & 0xff));
        }
        ended.extend(event.terminating_flow_ids.iter().map(|_| tracks[&track].uuid() & 0xff));
    }
    assert!(open.values().all(Vec::is_empty), "everything has ended: {open:?}");
    assert_eq!((counts, ended), (vec![(true, 2); 3], vec![3; 3]));
    assert_eq!(flows.len(), 3);
    for (number, mut way) in (1..).zip(flows.into_values()) {
        way.sort_unstable();
        let threads: Vec<_> = way.iter().map(|(_, thread)| *thread).collect();
        assert_eq!(threads, [1, 2, 3, 3], "composer, encoder, shard, its first viewer");
        assert_eq!(way[0].0, number * 33_000_000);
    }
}

#[test]
fn frames_lie_on_lanes_of_their_stream_each_with_its_stages() {
    let file = File::decode(&*write_perfetto(&gathered(), &names())).unwrap();
    let lanes = file.packet.iter().filter_map(|packet| packet.track_descriptor.as_ref());
    let lanes = lanes.filter(|track| track.name() == "live/demo frames");
    let lanes: Vec<_> = lanes.map(Track::uuid).collect();
    assert_eq!(lanes.len(), 3, "three frames at once");
    let events = file.packet.iter().filter_map(|packet| packet.track_event.as_ref());
    let first = events.filter(|event| event.track_uuid() == lanes[0] && event.kind() == 1);
    let names: Vec<_> = first.map(|event| event.name()).collect();
    let stages = ["frame 1", "compose", "queue", "lookahead", "encode", "append", "send"];
    assert_eq!(names[..7], stages);
}

#[test]
fn a_summary_shows_the_worst_frame_first_and_where_its_time_went() {
    let trace = write_perfetto(&gathered(), &names());
    let text = summarize(&trace).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "The 3 of 3 frames that took longest");
    assert_eq!(lines[2], "live/demo frame 2: 63.000 ms, and 66.000 ms in the encoder by design");
    let queue = lines.iter().find(|line| line.contains("queue")).unwrap();
    assert!(queue.contains("51.000 ms") && queue.matches('#').count() > 25, "{queue}");
    assert_eq!(summarize(&trace[..trace.len() - 3]), Err(SummaryError::Broken));
    assert_eq!(summarize(&[]), Err(SummaryError::NoFrames));
    assert_eq!(summarize(b"not a trace"), Err(SummaryError::Broken));
}
