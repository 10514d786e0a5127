//! Readers of a log: where they start, what they are sent, what they miss.

use proptest::prelude::*;

use super::*;
use crate::frame::PacketBuf;
use crate::media::Kind;
use crate::rtmp::flv;
use crate::stream::log::Pushed;
use crate::stream::repair::distance;
use crate::stream::{Flags, LogLimits};

mod delay;
mod playback;

const CHUNK: usize = 128;
const LIMITS: LogLimits = LogLimits { messages: 1_024, bytes: 1 << 20, millis: 60_000 };

fn message(kind: Kind, time: u32, flags: Flags, body: &[u8]) -> Message {
    Message::new(kind, time, flags, PacketBuf::copy_of(body), 128)
}

fn key(time: u32) -> Message {
    message(Kind::Video, time, Flags::KEY, &time.to_be_bytes())
}

fn inter(time: u32) -> Message {
    message(Kind::Video, time, Flags::default(), &time.to_be_bytes())
}

fn audio(time: u32) -> Message {
    message(Kind::Audio, time, Flags::default(), &time.to_be_bytes())
}

fn video_header(body: &[u8]) -> Message {
    message(Kind::Video, 0, Flags::HEADER, body)
}

fn audio_header(body: &[u8]) -> Message {
    message(Kind::Audio, 0, Flags::HEADER, body)
}

fn metadata(body: &[u8]) -> Message {
    message(Kind::Data, 0, Flags::HEADER, body)
}

/// A message as a peer reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    kind: Kind,
    time: u32,
    stream_id: u32,
    body: Vec<u8>,
}

/// Reads whole messages in the form we write; panics at anything else.
fn read(mut bytes: &[u8]) -> Vec<Read> {
    let mut out = Vec::new();
    let mut take = |count: usize| {
        let (taken, rest) = bytes.split_at(count);
        bytes = rest;
        (taken.to_vec(), rest.is_empty())
    };
    loop {
        let header = take(12).0;
        let kind = match header[7] {
            8 => Kind::Audio,
            9 => Kind::Video,
            18 => Kind::Data,
            other => panic!("message type {other}"),
        };
        assert_eq!(header[0] >> 6, 0);
        let mut time = u32::from_be_bytes([0, header[1], header[2], header[3]]);
        let extended = time == 0xff_ffff;
        if extended {
            time = u32::from_be_bytes(take(4).0.try_into().unwrap());
        }
        let length = usize::from(header[4]) << 16 | usize::from(header[5]) << 8;
        let length = length | usize::from(header[6]);
        let stream_id = u32::from_le_bytes(header[8..12].try_into().unwrap());
        let mut body = Vec::new();
        let mut end = false;
        while body.len() < length {
            if !body.is_empty() {
                assert_eq!(take(1).0[0], 0xc0 | header[0]);
                if extended {
                    assert_eq!(take(4).0, time.to_be_bytes());
                }
            }
            let (piece, last) = take(CHUNK.min(length - body.len()));
            body.extend(piece);
            end = last;
        }
        out.push(Read { kind, time, stream_id, body });
        if end {
            return out;
        }
    }
}

fn as_read(message: &Message) -> Read {
    let (kind, time, body) = (message.kind(), message.time(), message.body().to_vec());
    Read { kind, time, stream_id: 1, body }
}

/// Sends up to `room` bytes, in calls of up to `pieces` slices, and returns them.
fn send(
    cursor: &mut Cursor,
    log: &StreamLog,
    policy: &DropPolicy,
    mut room: usize,
    pieces: usize,
) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        cursor.settle(log, policy);
        let mut gathered = Vec::new();
        let mut count = 0;
        cursor.gather(log, 1_000, &mut |piece| {
            assert!(!piece.is_empty());
            if count == pieces {
                return false;
            }
            count += 1;
            gathered.extend_from_slice(piece);
            true
        });
        gathered.truncate(room);
        if gathered.is_empty() {
            return out;
        }
        cursor.advance(log, gathered.len());
        room -= gathered.len();
        out.extend(gathered);
    }
}

fn send_all(cursor: &mut Cursor, log: &StreamLog) -> Vec<Read> {
    let bytes = send(cursor, log, &DropPolicy::default(), usize::MAX, 64);
    assert!(cursor.is_between());
    if bytes.is_empty() { Vec::new() } else { read(&bytes) }
}

fn times(messages: &[Read]) -> Vec<(Kind, u32)> {
    messages.iter().map(|message| (message.kind, message.time)).collect()
}

fn log_of(messages: impl IntoIterator<Item = Message>) -> StreamLog {
    let mut log = StreamLog::new(LIMITS, true);
    for message in messages {
        log.put(message);
    }
    log
}

fn with_headers() -> StreamLog {
    log_of([video_header(b"v"), audio_header(b"a"), metadata(b"m")])
}

/// Pictures every 40 ms from `from` to `to` with a keyframe every `gop`, and audio between them.
fn play(log: &mut StreamLog, from: u32, to: u32, gop: u32) {
    for time in (from..to).step_by(40) {
        log.put(if time.is_multiple_of(gop) { key(time) } else { inter(time) });
        log.put(audio(time + 20));
    }
}

/// A reader that has been sent the headers and a part of the log's first picture.
fn in_the_first_picture(log: &mut StreamLog) -> (Cursor, Vec<u8>) {
    play(log, 0, 40, 400);
    let mut cursor = Cursor::new(Start::Keyframe);
    let bytes = send(&mut cursor, log, &DropPolicy::default(), 50, 64);
    assert!(!cursor.is_between());
    (cursor, bytes)
}

#[test]
fn a_late_reader_gets_metadata_headers_and_then_the_newest_keyframe() {
    let mut log = with_headers();
    play(&mut log, 0, 1_400, 400);
    let got = send_all(&mut Cursor::new(Start::Keyframe), &log);
    let start = [(Kind::Data, 0), (Kind::Audio, 0), (Kind::Video, 0)];
    assert_eq!(times(&got)[..3], start);
    assert_eq!(got[1].body, b"a");
    assert_eq!(got[2].body, b"v");
    let rest: Vec<_> =
        (log.newest_key().unwrap()..log.end()).map(|seq| as_read(log.get(seq).unwrap())).collect();
    assert_eq!(got[3..], rest);
}

#[test]
fn without_a_gop_cache_a_late_reader_starts_at_the_next_keyframe() {
    let mut log = StreamLog::new(LIMITS, false);
    log.put(video_header(b"v"));
    play(&mut log, 0, 480, 400);
    let mut cursor = Cursor::new(Start::Keyframe);
    assert_eq!(times(&send_all(&mut cursor, &log)), [(Kind::Video, 0)], "the header");
    play(&mut log, 480, 840, 400);
    let got = send_all(&mut cursor, &log);
    let (audio, rest) = got.split_at(8);
    assert!(audio.iter().all(|message| message.kind == Kind::Audio), "at once");
    assert_eq!(times(rest)[0], (Kind::Video, 800));
    assert_eq!(cursor.drops(), Drops::default());
}

#[test]
fn where_the_keyframe_is_too_long_ago_headers_and_audio_come_at_once() {
    let mut log = StreamLog::new(LogLimits { bytes: 20_000, ..LIMITS }, true);
    for header in [video_header(b"v"), audio_header(b"a")] {
        log.put(header);
    }
    play(&mut log, 0, 16_000, 20_000);
    assert_eq!(log.newest_key(), None);
    let mut cursor = Cursor::new(Start::Keyframe);
    assert_eq!(send_all(&mut cursor, &log).len(), 2, "the headers");
    play(&mut log, 16_000, 16_040, 20_000);
    assert_eq!(times(&send_all(&mut cursor, &log)), [(Kind::Audio, 16_020)]);
    let mut got = Vec::new();
    for from in (16_040..20_040).step_by(400) {
        play(&mut log, from, from + 400, 20_000);
        got.extend(send_all(&mut cursor, &log));
    }
    let first = got.iter().find(|message| message.kind == Kind::Video).unwrap();
    assert_eq!((first.time, cursor.drops()), (20_000, Drops::default()));
}

#[test]
fn a_late_reader_starts_at_a_keyframe_that_is_older_than_the_log_is_long() {
    let mut log = StreamLog::new(LogLimits { millis: 10_000, ..LIMITS }, true);
    for header in [video_header(b"v"), audio_header(b"a")] {
        log.put(header);
    }
    play(&mut log, 0, 16_000, 20_000);
    let got = send_all(&mut Cursor::new(Start::Keyframe), &log);
    assert_eq!((times(&got)[2], got.len()), ((Kind::Video, 0), 802));
}

#[test]
fn a_stream_without_video_starts_at_once() {
    let mut log = log_of([audio_header(b"a"), audio(0), audio(20)]);
    let mut cursor = Cursor::new(Start::Keyframe);
    assert_eq!(times(&send_all(&mut cursor, &log)), [(Kind::Audio, 0)]);
    log.put(audio(40));
    assert_eq!(times(&send_all(&mut cursor, &log)), [(Kind::Audio, 40)]);
}

#[test]
fn a_reader_that_is_there_first_gets_everything_in_order_and_once() {
    let mut log = StreamLog::new(LIMITS, true);
    let mut cursor = Cursor::new(Start::Keyframe);
    assert!(send_all(&mut cursor, &log).is_empty());
    let all =
        [metadata(b"m"), audio_header(b"a"), audio(0), video_header(b"v"), key(10), inter(50)];
    for message in &all {
        log.put(message.clone());
    }
    assert_eq!(send_all(&mut cursor, &log), all.each_ref().map(as_read));
}

#[test]
fn a_live_reader_gets_audio_at_once_and_video_from_the_next_keyframe() {
    let mut log = with_headers();
    play(&mut log, 0, 80, 400);
    let mut cursor = Cursor::new(Start::Live);
    assert_eq!(send_all(&mut cursor, &log).len(), 3, "the headers");
    play(&mut log, 80, 440, 400);
    let got = send_all(&mut cursor, &log);
    let first_video = got.iter().find(|message| message.kind == Kind::Video).unwrap();
    assert_eq!((got[0].kind, first_video.time), (Kind::Audio, 400));
    assert_eq!(cursor.drops(), Drops::default(), "what came before its start is no loss");
}

#[test]
fn tracks_whose_timestamps_are_far_apart_make_no_reader_late() {
    for offset in [0, 1_500, 10_000] {
        for kind in [Kind::Video, Kind::Audio] {
            let mut log = with_headers();
            let mut cursor = Cursor::new(Start::Keyframe);
            let mut got = Vec::new();
            for n in 0..100_u32 {
                let arrived = Micros::from_millis(u64::from(n) * 40);
                let [picture, block] = [Kind::Video, Kind::Audio]
                    .map(|of| n * 40 + if of == kind { offset } else { 0 });
                let picture = if n % 50 == 0 { key(picture) } else { inter(picture) };
                log.push(picture, arrived);
                got.extend(send_all(&mut cursor, &log));
                log.push(audio(block), arrived);
                got.extend(send_all(&mut cursor, &log));
            }
            let what = format!("{kind:?} {offset} ms ahead");
            assert_eq!(cursor.drops(), Drops::default(), "{what}");
            assert_eq!(got.len(), 3 + 200, "{what}");
        }
    }
}

#[test]
fn what_comes_in_one_burst_is_sent_whole_to_a_reader_that_was_there() {
    let mut log = with_headers();
    let mut cursor = Cursor::new(Start::Keyframe);
    log.push(key(0), Micros(0));
    send_all(&mut cursor, &log);
    // The source stood still for 9 s and sends now what it has made meanwhile.
    for time in (40..9_000).step_by(40) {
        log.push(if time % 2_000 == 0 { key(time) } else { inter(time) }, Micros::from_secs(9));
    }
    assert_eq!(send_all(&mut cursor, &log).len(), 224);
    assert_eq!(cursor.drops(), Drops::default());
}

#[test]
fn a_burst_of_audio_that_the_log_cannot_hold_costs_what_it_cannot_hold_and_no_more() {
    let mut log = StreamLog::new(LogLimits { messages: 100, ..LIMITS }, true);
    let mut cursor = Cursor::new(Start::Keyframe);
    log.push(audio(0), Micros(0));
    send_all(&mut cursor, &log);
    for time in 1..=1_000 {
        log.push(audio(time), Micros::from_secs(5));
    }
    assert_eq!(times(&send_all(&mut cursor, &log)).last(), Some(&(Kind::Audio, 1_000)));
    assert_eq!(cursor.drops().overrun, 900);
}

#[test]
fn each_track_begins_at_a_keyframe_of_its_own() {
    let further = |time: u32, is_key: bool| {
        let flags = if is_key { Flags::key_of(2) } else { Flags::frame_of(2) };
        message(Kind::Video, time, flags, b"other")
    };
    let mut log = with_headers();
    log.put(message(Kind::Video, 0, Flags::header_of(2), b"second"));
    log.put(further(0, true));
    log.put(key(40));
    log.put(further(40, false));
    let mut cursor = Cursor::new(Start::Keyframe);
    let got = send_all(&mut cursor, &log);
    assert_eq!(times(&got)[4..], [(Kind::Video, 40)], "no picture without what it refers to");
    for time in [80, 120, 160] {
        log.put(further(time, time == 120));
        log.put(inter(time));
    }
    let got: Vec<_> = send_all(&mut cursor, &log).into_iter().map(|read| read.time).collect();
    assert_eq!(got, [80, 120, 120, 160, 160]);
    assert_eq!(cursor.shared_place(), Some(log.end()), "now it takes all");
}

#[test]
fn a_stream_of_other_tracks_only_is_played_from_their_keyframe() {
    let frame = |time: u32, flags: Flags| message(Kind::Video, time, flags, b"other");
    let mut log = log_of([frame(0, Flags::header_of(1)), frame(0, Flags::key_of(1))]);
    log.put(frame(40, Flags::frame_of(1)));
    let got = send_all(&mut Cursor::new(Start::Keyframe), &log);
    assert_eq!(got.len(), 3);
}

#[test]
fn who_comes_after_a_source_has_left_gets_only_what_the_next_one_sends() {
    for framing in [Framing::default(), Framing::Flv] {
        let mut log = with_headers();
        play(&mut log, 0, 400, 400);
        let mut stays = Cursor::new(Start::Keyframe);
        send_all(&mut stays, &log);
        let mut full = Cursor::new(Start::Keyframe).framed(framing);
        full.settle(&log, &DropPolicy::default());
        log.end_source();
        let mut waits = Cursor::new(Start::Keyframe).framed(framing);
        let next = [audio_header(b"a"), audio(500), audio(520)];
        for (index, message) in next.iter().enumerate() {
            for cursor in [&mut waits, &mut full] {
                cursor.settle(&log, &DropPolicy::default());
            }
            log.put(message.clone());
            assert!(index > 0 || !log.has_video());
        }
        assert_eq!(send_all(&mut stays, &log), next.each_ref().map(as_read));
        for cursor in [&mut waits, &mut full] {
            let got = send(cursor, &log, &DropPolicy::default(), usize::MAX, 64);
            if framing == Framing::Flv {
                assert_eq!(got, reference(framing, 4, &next));
            } else {
                assert_eq!(read(&got), next.each_ref().map(as_read));
            }
        }
    }
}

#[test]
fn a_slow_reader_jumps_to_the_newest_keyframe_and_finishes_its_message_first() {
    let mut log = with_headers();
    let (mut cursor, mut bytes) = in_the_first_picture(&mut log);
    play(&mut log, 40, 1_640, 400);
    bytes.extend(send(&mut cursor, &log, &DropPolicy::default(), usize::MAX, 64));
    let got = read(&bytes);
    let media: Vec<_> = got.iter().skip(3).map(|message| message.time).collect();
    assert_eq!(media[..2], [0, 1_600], "the begun message, then the newest keyframe");
    let drops = cursor.drops();
    assert_eq!((drops.jumped, drops.overrun, drops.gaps), (79, 0, 1));
}

#[test]
fn a_reader_that_starts_far_behind_the_head_loses_nothing_while_it_catches_up() {
    let mut log = with_headers();
    play(&mut log, 0, 8_000, 20_000);
    let mut cursor = Cursor::new(Start::Keyframe);
    let policy = DropPolicy::default();
    for from in (8_000..12_000).step_by(40) {
        let sent = send(&mut cursor, &log, &policy, 150, 64);
        assert!(!sent.is_empty());
        play(&mut log, from, from + 40, 20_000);
    }
    assert_eq!(cursor.drops(), Drops::default());
}

#[test]
fn without_a_newer_keyframe_video_is_dropped_and_audio_is_not() {
    let mut log = with_headers();
    play(&mut log, 0, 40, 10_000);
    let mut cursor = Cursor::new(Start::Keyframe);
    send_all(&mut cursor, &log);
    play(&mut log, 40, 2_040, 10_000);
    let got = send_all(&mut cursor, &log);
    assert!(got.iter().all(|message| message.kind == Kind::Audio));
    assert_eq!(got.len(), 50, "every audio");
    let drops = cursor.drops();
    assert_eq!((drops.skipped, drops.jumped, drops.gaps), (50, 0, 1));
    play(&mut log, 2_040, 2_080, 10_000);
    assert_eq!(send_all(&mut cursor, &log).len(), 1, "still no video");
    log.put(key(2_100));
    log.put(inter(2_140));
    let back = send_all(&mut cursor, &log);
    assert_eq!(times(&back), [(Kind::Video, 2_100), (Kind::Video, 2_140)]);
}

#[test]
fn dropped_video_comes_back_only_under_the_low_mark() {
    let mut log = with_headers();
    play(&mut log, 0, 40, 10_000);
    let mut cursor = Cursor::new(Start::Keyframe);
    send_all(&mut cursor, &log);
    play(&mut log, 40, 2_040, 10_000);
    send_all(&mut cursor, &log);
    log.put(key(2_100));
    log.put(audio(2_400));
    assert_eq!(times(&send_all(&mut cursor, &log)), [(Kind::Audio, 2_400)]);
    log.put(key(2_440));
    log.put(audio(2_600));
    assert_eq!(send_all(&mut cursor, &log).len(), 2);
}

#[test]
fn a_reader_that_the_log_has_left_behind_goes_on_at_a_keyframe() {
    let mut log = StreamLog::new(LogLimits { messages: 16, ..LIMITS }, true);
    log.put(video_header(b"v"));
    play(&mut log, 0, 40, 400);
    let mut cursor = Cursor::new(Start::Keyframe);
    let policy = DropPolicy { high_ms: u32::MAX, low_ms: 0 };
    send(&mut cursor, &log, &policy, usize::MAX, 64);
    play(&mut log, 40, 2_040, 400);
    let got = read(&send(&mut cursor, &log, &policy, usize::MAX, 64));
    assert_eq!(times(&got)[0], (Kind::Video, 2_000));
    assert_eq!(cursor.drops().gaps, 1);
    assert!(cursor.drops().overrun > 16);
}

#[test]
fn headers_that_changed_in_what_was_jumped_over_are_sent_before_the_keyframe() {
    let mut log = with_headers();
    play(&mut log, 0, 40, 400);
    let mut cursor = Cursor::new(Start::Keyframe);
    send_all(&mut cursor, &log);
    play(&mut log, 40, 800, 400);
    log.put(video_header(b"new"));
    play(&mut log, 800, 1_240, 400);
    let got = send_all(&mut cursor, &log);
    assert_eq!(times(&got)[..2], [(Kind::Video, 0), (Kind::Video, 1_200)]);
    assert_eq!(got[0].body, b"new");
    assert_ne!(got[1].body, b"new");
}

#[test]
fn with_no_room_for_bytes_only_the_begun_message_is_given() {
    let mut log = with_headers();
    log.put(message(Kind::Video, 0, Flags::KEY, &[5; 1_000]));
    log.put(inter(40));
    let mut cursor = Cursor::new(Start::Keyframe);
    let gather = |cursor: &mut Cursor| {
        let mut bytes = 0;
        cursor.gather(&log, 0, &mut |piece| {
            bytes += piece.len();
            true
        });
        bytes
    };
    cursor.settle(&log, &DropPolicy::default());
    assert_eq!(gather(&mut cursor), 0);
    let headers: usize = (0..3).map(|place| log.header(place, 3).unwrap().wire_len()).sum();
    cursor.advance(&log, headers + 100);
    assert_eq!(gather(&mut cursor), 1_000 + 12 + 7 - 100);
}

#[test]
fn caught_up_is_until_the_next_message() {
    let mut log = with_headers();
    log.put(key(0));
    let mut cursor = Cursor::new(Start::Keyframe);
    assert!(!cursor.is_caught_up(&log));
    send_all(&mut cursor, &log);
    assert!(cursor.is_caught_up(&log));
    log.put(inter(40));
    assert!(!cursor.is_caught_up(&log));
}

/// What happens to a stream and one of its readers.
#[derive(Clone, Debug)]
enum Act {
    Push { kind: u8, step: u32, len: usize },
    Send { room: usize, pieces: usize },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let push = (0..12_u8, 0..400_u32, 1..400_usize).prop_map(|(kind, step, len)| Act::Push {
        kind,
        step,
        len,
    });
    let send = (0..900_usize, 1..64_usize).prop_map(|(room, pieces)| Act::Send { room, pieces });
    proptest::collection::vec(prop_oneof![3 => push, 2 => send], 1..120)
}

/// Pushes what `act` says; the first four bytes of a frame's body are its time.
fn push(log: &mut StreamLog, now: &mut u32, kind: u8, step: u32, len: usize) -> Option<Message> {
    *now = now.wrapping_add(step);
    let mut body = now.to_be_bytes().to_vec();
    body.resize(len.max(4), kind);
    let message = match kind {
        0 => video_header(&body[..len.min(2)]),
        1 => audio_header(&body[..len.min(2)]),
        2 => metadata(&body[..len.min(2)]),
        3 | 4 => message(Kind::Video, *now, Flags::KEY, &body),
        5..=8 => message(Kind::Video, *now, Flags::default(), &body),
        _ => message(Kind::Audio, *now, Flags::default(), &body),
    };
    match log.put(message) {
        Pushed::Added => log.get(log.end() - 1).cloned(),
        Pushed::Repeated => None,
    }
}

proptest! {
    #[test]
    fn whatever_a_socket_accepts_the_bytes_are_those_of_the_messages(
        acts in acts(),
        start in prop_oneof![Just(0_u32), Just(0xff_ff00), Just(u32::MAX - 3_000)],
        stream_id in 1..3_u32,
    ) {
        let mut log = StreamLog::new(LIMITS, true);
        let mut cursor = Cursor::new(Start::Keyframe).framed(Framing::Chunks(stream_id));
        let never = DropPolicy { high_ms: u32::MAX, low_ms: 0 };
        cursor.settle(&log, &never);
        let (mut now, mut bytes, mut all) = (start, Vec::new(), Vec::new());
        cursor.settle(&log, &never);
        for act in acts {
            match act {
                Act::Push { kind, step, len } => {
                    all.extend(push(&mut log, &mut now, kind, step, len));
                }
                Act::Send { room, pieces } => {
                    bytes.extend(send(&mut cursor, &log, &never, room, pieces));
                }
            }
        }
        bytes.extend(send(&mut cursor, &log, &never, usize::MAX, 64));
        // A reader that is there from the start and never slow gets all but the video before the
        // first keyframe.
        let mut keyed = false;
        let expected = all.iter().filter(|m| {
            keyed |= m.is_key();
            m.kind() != Kind::Video || m.is_header() || keyed
        });
        let expected: Vec<_> =
            expected.map(|m| Read { stream_id, ..as_read(m) }).collect();
        let got = if bytes.is_empty() { Vec::new() } else { read(&bytes) };
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn a_slow_reader_gets_whole_messages_in_order_and_video_that_decodes(
        acts in acts(),
        gop_cache in any::<bool>(),
    ) {
        let limits = LogLimits { messages: 24, bytes: 8_000, millis: 6_000 };
        let mut log = StreamLog::new(limits, gop_cache);
        let mut cursor = Cursor::new(Start::Keyframe);
        let policy = DropPolicy::default();
        let (mut now, mut bytes, mut all) = (0, Vec::new(), Vec::new());
        for act in acts {
            match act {
                Act::Push { kind, step, len } => {
                    all.extend(push(&mut log, &mut now, kind, step, len));
                }
                Act::Send { room, pieces } => {
                    bytes.extend(send(&mut cursor, &log, &policy, room, pieces));
                }
            }
        }
        bytes.extend(send(&mut cursor, &log, &policy, usize::MAX, 64));
        let got = if bytes.is_empty() { Vec::new() } else { read(&bytes) };
        let is_header = |m: &Read| m.kind == Kind::Data || m.body.len() < 4;
        let frames: Vec<_> = got.iter().filter(|m| !is_header(m)).collect();
        prop_assert!(frames.windows(2).all(|pair| distance(pair[0].time, pair[1].time) >= 0));
        // Each inter picture follows the picture before it in the stream.
        let video = |m: &&Message| m.kind() == Kind::Video && !m.is_header();
        let stream: Vec<_> = all.iter().filter(video).collect();
        let mut at = None;
        for picture in frames.into_iter().filter(|m| m.kind == Kind::Video) {
            let from = at.map_or(0, |at: usize| at + 1);
            let found = stream[from..].iter().position(|m| as_read(m) == *picture);
            let found = from + found.expect("a picture of the stream, in its order");
            prop_assert!(stream[found].is_key() || at.is_some_and(|at| at + 1 == found));
            at = Some(found);
        }
    }
}

/// The messages as an FLV file (or as WebSocket frames of one), written the plain way.
fn reference(framing: Framing, flags: u8, messages: &[Message]) -> Vec<u8> {
    let file = [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0];
    let mut out = framed(framing, &file);
    for message in messages {
        let kind = match message.kind() {
            Kind::Audio => 8,
            Kind::Video => 9,
            Kind::Data => 18,
        };
        let len = u32::try_from(message.body().len()).unwrap();
        let mut tag = vec![kind];
        tag.extend(&len.to_be_bytes()[1..]);
        tag.extend(&(message.time() & 0xff_ffff).to_be_bytes()[1..]);
        tag.push(u8::try_from(message.time() >> 24).unwrap());
        tag.extend([0; 3]);
        tag.extend(message.body());
        tag.extend((len + 11).to_be_bytes());
        out.extend(framed(framing, &tag));
    }
    out
}

fn framed(framing: Framing, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    if framing == Framing::WebSocketFlv {
        let len = payload.len();
        match len {
            0..=125 => frame.extend([0x82, u8::try_from(len).unwrap()]),
            126..=0xffff => {
                frame.extend([0x82, 126]);
                frame.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            _ => {
                frame.extend([0x82, 127]);
                frame.extend((len as u64).to_be_bytes());
            }
        }
    }
    if framing == Framing::ChunkedFlv {
        frame.extend(format!("{:x}\r\n", payload.len()).bytes());
    }
    frame.extend(payload);
    if framing == Framing::ChunkedFlv {
        frame.extend(b"\r\n");
    }
    frame
}

fn flv_cursor(framing: Framing) -> Cursor {
    Cursor::new(Start::Keyframe).framed(framing)
}

#[test]
fn an_flv_reader_gets_a_file_that_says_what_the_stream_has() {
    let video = [video_header(b"v"), key(0)];
    let audio = [audio_header(b"a"), audio(20)];
    let both = [video_header(b"v"), audio_header(b"a"), key(0)];
    let neither = [metadata(b"m")];
    for (messages, flags) in [(&video[..], 1), (&audio, 4), (&both, 5), (&neither, 5)] {
        let mut log = StreamLog::new(LIMITS, true);
        let mut cursor = flv_cursor(Framing::Flv);
        cursor.settle(&log, &DropPolicy::default());
        let none = send(&mut cursor, &log, &DropPolicy::default(), usize::MAX, 64);
        assert!(none.is_empty(), "the file begins with its first tag");
        for message in messages {
            log.put(message.clone());
        }
        let got = send(&mut cursor, &log, &DropPolicy::default(), usize::MAX, 64);
        assert_eq!(got, reference(Framing::Flv, flags, messages));
    }
}

#[test]
fn a_late_flv_reader_starts_at_a_keyframe_after_the_headers() {
    let mut log = with_headers();
    play(&mut log, 0, 1_400, 400);
    let mut cursor = flv_cursor(Framing::Flv);
    let got = send(&mut cursor, &log, &DropPolicy::default(), usize::MAX, 64);
    let expected: Vec<_> = log.catch_up().cloned().collect();
    assert!(expected[3].is_key());
    assert_eq!(got, reference(Framing::Flv, 5, &expected));
}

#[test]
fn web_socket_frames_have_all_three_lengths() {
    let body = |len: usize| message(Kind::Audio, 0, Flags::default(), &vec![7; len]);
    let messages = [body(110), body(111), body(65_520), body(65_521)];
    let mut log = log_of([]);
    let mut cursor = flv_cursor(Framing::WebSocketFlv);
    cursor.settle(&log, &DropPolicy::default());
    for message in &messages {
        log.put(message.clone());
    }
    let got = send(&mut cursor, &log, &DropPolicy::default(), usize::MAX, 64);
    assert_eq!(got, reference(Framing::WebSocketFlv, 4, &messages));
}

#[test]
fn the_body_of_a_tag_lies_where_it_was_written() {
    let mut log = log_of([audio_header(b"a")]);
    let mut cursor = flv_cursor(Framing::Flv);
    send(&mut cursor, &log, &DropPolicy::default(), usize::MAX, 64);
    log.put(audio(20));
    cursor.settle(&log, &DropPolicy::default());
    let mut pieces = Vec::new();
    cursor.gather(&log, 1_000, &mut |piece| {
        pieces.push((piece.as_ptr(), piece.len()));
        true
    });
    let body = log.get(1).unwrap().body();
    assert_eq!(pieces.len(), 3);
    assert_eq!((pieces[0].1, pieces[1], pieces[2].1), (11, (body.as_ptr(), body.len()), 4));
}

#[test]
fn the_bodies_of_tags_are_what_our_own_parser_reads() {
    let avc = |key, packet| [&flv::avc_header(key, packet, 40)[..], b"nal"].concat();
    let start = avc(true, flv::AvcPacket::SequenceHeader);
    let log = log_of([
        message(Kind::Video, 0, Flags::HEADER, &start),
        message(Kind::Video, 0x0123_4567, Flags::KEY, &avc(true, flv::AvcPacket::Nalus)),
        message(Kind::Audio, 0x0123_4568, Flags::default(), &flv::aac_header(false)),
    ]);
    let mut cursor = flv_cursor(Framing::Flv);
    let bytes = send(&mut cursor, &log, &DropPolicy::default(), usize::MAX, 64);
    let mut rest = &bytes[13..];
    let mut tags = Vec::new();
    while let [kind, a, b, c, x, y, z, upper, 0, 0, 0, after @ ..] = rest {
        let (body, after) = after.split_at(u32::from_be_bytes([0, *a, *b, *c]) as usize);
        tags.push((*kind, u32::from_be_bytes([*upper, *x, *y, *z]), body));
        rest = &after[4..];
    }
    assert!(rest.is_empty());
    let [(9, 0, header), (9, 0x0123_4567, key), (8, 0x0123_4568, audio)] = tags[..] else {
        panic!("{tags:?}");
    };
    assert!(flv::Video::parse(header).unwrap().is_sequence_header());
    let key = flv::Video::parse(key).unwrap();
    assert!(key.is_keyframe() && key.composition_ms == 40);
    assert_eq!(flv::Audio::parse(audio).unwrap().format, flv::AudioFormat::Aac);
}

#[test]
fn a_changed_audio_header_reaches_readers_in_order() {
    let mut log = with_headers();
    play(&mut log, 0, 400, 400);
    let mut early = Cursor::new(Start::Keyframe);
    send_all(&mut early, &log);
    log.put(message(Kind::Audio, 400, Flags::HEADER, b"new"));
    log.put(audio(420));
    let got = send_all(&mut early, &log);
    assert_eq!((got.len(), &got[0].body[..], got[1].time), (2, &b"new"[..], 420));
    // Who starts at the keyframe before it needs the old one first.
    let late = send_all(&mut Cursor::new(Start::Keyframe), &log);
    let headers: Vec<_> =
        late.iter().filter(|m| m.kind == Kind::Audio && m.body.len() < 4).collect();
    assert_eq!(headers.len(), 2);
    assert_eq!((&headers[0].body[..], &headers[1].body[..]), (&b"a"[..], &b"new"[..]));
    assert_eq!(late[late.len() - 2].body, b"new");
    // And who starts after it gets the new one only.
    play(&mut log, 800, 840, 400);
    let later = send_all(&mut Cursor::new(Start::Keyframe), &log);
    assert_eq!(later[1].body, b"new");
    assert_eq!(times(&later)[3..], [(Kind::Video, 800), (Kind::Audio, 820)]);
}

#[test]
fn a_source_that_keeps_changing_its_headers_costs_old_keyframes_and_no_memory() {
    let mut log = with_headers();
    log.put(key(0));
    for n in 0..100_u8 {
        log.put(message(Kind::Audio, 40, Flags::HEADER, &[n]));
    }
    assert_eq!(log.newest_key(), None, "the header of its time is not known any more");
    log.put(key(80));
    let got = send_all(&mut Cursor::new(Start::Keyframe), &log);
    assert_eq!((got.len(), &got[1].body[..]), (4, &[99][..]));
}

proptest! {
    #[test]
    fn whatever_a_socket_accepts_the_bytes_are_those_of_the_flv_file(
        acts in acts(),
        start in prop_oneof![Just(0_u32), Just(0xff_ff00), Just(u32::MAX - 3_000)],
        framing in prop_oneof![
            Just(Framing::Flv), Just(Framing::ChunkedFlv), Just(Framing::WebSocketFlv)
        ],
    ) {
        let mut log = StreamLog::new(LIMITS, true);
        let mut cursor = flv_cursor(framing);
        let never = DropPolicy { high_ms: u32::MAX, low_ms: 0 };
        cursor.settle(&log, &never);
        let (mut now, mut bytes, mut all) = (start, Vec::new(), Vec::new());
        for act in acts {
            match act {
                Act::Push { kind, step, len } => {
                    all.extend(push(&mut log, &mut now, kind, step, len));
                }
                Act::Send { room, pieces } => {
                    bytes.extend(send(&mut cursor, &log, &never, room, pieces));
                }
            }
        }
        bytes.extend(send(&mut cursor, &log, &never, usize::MAX, 64));
        prop_assert!(cursor.is_between());
        let mut keyed = false;
        all.retain(|m| {
            keyed |= m.is_key();
            m.kind() != Kind::Video || m.is_header() || keyed
        });
        if !all.is_empty() {
            let at = match framing {
                Framing::Flv => 4,
                Framing::ChunkedFlv => 7,
                _ => 6,
            };
            let flags = bytes[at];
            prop_assert_eq!(bytes, reference(framing, flags, &all));
        }
    }
}
