//! Tests of the stream log.

use super::*;
use crate::frame::{PacketBuf, PacketPool, PacketPoolSpec};
use crate::stream::message::Flags;

impl StreamLog {
    /// Appends a message that arrived at its time, or, if others are ahead of it, with them.
    pub(in crate::stream) fn put(&mut self, message: Message) -> Pushed {
        let ahead = distance(self.newest_time, message.time()).max(0);
        let known = [Kind::Audio, Kind::Video].map(|kind| self.tracks.newest_time(kind));
        let is_first = message.is_header() || known == [None; 2];
        let ahead = if is_first { 0 } else { ahead.unsigned_abs() };
        let arrived = self.newest_arrival + Micros::from_millis(ahead.into());
        self.push(message, arrived)
    }
}

pub(in crate::stream) const CHUNK: u32 = 1_000;

pub(in crate::stream) fn message(kind: Kind, time: u32, flags: Flags, body: &[u8]) -> Message {
    Message::new(kind, time, flags, PacketBuf::copy_of(body), CHUNK)
}

/// A log with both headers and `seconds` of 25 pictures and 50 audio frames, a keyframe a second.
pub(in crate::stream) fn filled(log: &mut StreamLog, seconds: u32) {
    log.put(message(Kind::Data, 0, Flags::HEADER, b"onMetaData"));
    log.put(message(Kind::Audio, 0, Flags::HEADER, b"asc"));
    log.put(message(Kind::Video, 0, Flags::HEADER, b"avcc"));
    extend(log, 0, seconds);
}

pub(in crate::stream) fn extend(log: &mut StreamLog, from_s: u32, seconds: u32) {
    for time in (from_s * 1_000..(from_s + seconds) * 1_000).step_by(20) {
        if time % 40 == 0 {
            let flags = if time % 1_000 == 0 { Flags::KEY } else { Flags::default() };
            log.put(message(Kind::Video, time, flags, &[1; 50]));
        }
        log.put(message(Kind::Audio, time, Flags::default(), &[2; 10]));
    }
}

#[test]
fn the_oldest_go_by_age_by_bytes_and_by_number() {
    let mut log = StreamLog::new(LogLimits { millis: 2_000, ..LogLimits::default() }, true);
    filled(&mut log, 5);
    assert!(log.get(log.first()).unwrap().time() >= 2_900);
    let limits = LogLimits { bytes: 3_000, ..LogLimits::default() };
    let mut log = StreamLog::new(limits, true);
    filled(&mut log, 5);
    assert!(log.end() - log.first() <= 11 && log.end() > 300);
    let mut log = StreamLog::new(LogLimits { messages: 7, ..LogLimits::default() }, false);
    filled(&mut log, 5);
    assert_eq!(log.end() - log.first(), 7);
}

/// Pictures and audio of `seconds` with one keyframe, at the beginning.
fn one_group(log: &mut StreamLog, from_s: u32, seconds: u32) {
    for time in (from_s * 1_000..(from_s + seconds) * 1_000).step_by(40) {
        let flags = if time == from_s * 1_000 { Flags::KEY } else { Flags::default() };
        log.put(message(Kind::Video, time, flags, &[1; 50]));
        log.put(message(Kind::Audio, time, Flags::default(), &[2; 10]));
    }
}

#[test]
fn what_came_since_the_newest_keyframe_is_kept_for_as_long_as_its_bytes_allow() {
    let mut log = StreamLog::new(LogLimits { messages: 100, ..LogLimits::default() }, true);
    one_group(&mut log, 0, 60);
    assert_eq!((log.first(), log.newest_key()), (0, Some(0)), "longer than all other limits");
    one_group(&mut log, 60, 20);
    assert_eq!((log.first(), log.newest_key()), (3_000, Some(3_000)), "the older one goes");
    let bytes = 429_000; // of some 1 500 messages
    let mut log = StreamLog::new(LogLimits { bytes, ..LogLimits::default() }, true);
    one_group(&mut log, 0, 60);
    assert_eq!(log.newest_key(), None);
    assert!(log.lag(log.first()) <= Micros::from_secs(10), "without it there is no need");
    assert!(log.memory() <= bytes);
}

#[test]
fn its_bytes_are_those_of_the_memory_that_its_messages_hold() {
    let pool = PacketPool::new(PacketPoolSpec::default()).unwrap();
    let empty = pool.usage().used_bytes;
    let limits = LogLimits { bytes: 1 << 20, millis: u32::MAX, ..LogLimits::default() };
    let mut log = StreamLog::new(limits, false);
    for n in 0..5_000_u32 {
        let (kind, size) = if n % 3 == 0 { (Kind::Video, 4_100) } else { (Kind::Audio, 300) };
        let mut body = pool.take(size);
        body.extend(&vec![1; size]);
        log.put(Message::new(kind, n * 10, Flags::default(), body, CHUNK));
        let held = pool.usage().used_bytes - empty;
        assert_eq!(log.memory(), held + log.entries.len() * size_of::<Entry>());
        assert!(log.memory() <= 1 << 20);
    }
    assert!(log.memory() > (1 << 20) - (8 << 10), "as much as the limit lets it");
    drop(log);
    assert_eq!(pool.usage().used_bytes, empty);
}

#[test]
fn how_much_is_kept_does_not_hang_on_how_far_audio_and_picture_are_apart() {
    for offset in [0, 9_000] {
        let mut log = StreamLog::new(LogLimits::default(), true);
        for n in 0..1_000_u32 {
            let arrived = Micros::from_millis(u64::from(n) * 40);
            let flags = if n % 50 == 0 { Flags::KEY } else { Flags::default() };
            log.push(message(Kind::Video, n * 40 + offset, flags, &[1; 990]), arrived);
            log.push(message(Kind::Audio, n * 40, Flags::default(), &[2; 10]), arrived);
        }
        assert_eq!(log.end() - log.first(), 2 * 251, "ten seconds");
        assert!((log.bitrate_bps() / 200_000.0 - 1.0).abs() < 0.02, "{}", log.bitrate_bps());
    }
}

#[test]
fn nothing_of_a_source_that_has_left_describes_the_next_one() {
    let mut log = StreamLog::new(LogLimits::default(), true);
    filled(&mut log, 3);
    log.put(message(Kind::Video, 3_000, Flags::header_of(4), b"further"));
    log.end_source();
    assert_eq!((log.catch_up().count(), log.headers().count()), (0, 0));
    assert!(!log.has_video() && !log.carries(Kind::Audio) && log.newest_key().is_none());
    assert!(log.end() > log.first(), "who reads it may read it to its end");
    let again = message(Kind::Audio, 0, Flags::HEADER, b"asc");
    assert_eq!(log.put(again), Pushed::Added, "the same header is this source's own");
    assert!(log.header_of(Kind::Video).is_none() && !log.carries(Kind::Video));
    assert_eq!(log.catch_up().map(Message::body).collect::<Vec<_>>(), [b"asc"]);
}

#[test]
fn readers_start_by_the_track_that_all_players_show_or_by_one_that_is_there() {
    let mut log = StreamLog::new(LogLimits::default(), true);
    let further = |time, key: bool| {
        let flags = if key { Flags::key_of(3) } else { Flags::frame_of(3) };
        message(Kind::Video, time, flags, b"frame")
    };
    log.put(further(0, true));
    log.put(further(40, false));
    assert_eq!(log.newest_key(), Some(0));
    log.put(message(Kind::Video, 80, Flags::default(), b"frame"));
    assert_eq!(log.newest_key(), None);
    log.put(further(120, true));
    assert_eq!(log.newest_key(), None);
    log.put(message(Kind::Video, 120, Flags::KEY, b"frame"));
    assert_eq!(log.newest_key(), Some(4));
}

#[test]
fn a_header_that_repeats_is_not_sent_again_and_a_new_one_starts_a_new_cache() {
    let mut log = StreamLog::new(LogLimits::default(), true);
    filled(&mut log, 2);
    let repeated = message(Kind::Video, 2_000, Flags::HEADER, b"avcc");
    assert_eq!(log.put(repeated), Pushed::Repeated);
    assert!(log.newest_key().is_some());
    let changed = message(Kind::Video, 2_000, Flags::HEADER, b"other");
    assert_eq!(log.put(changed), Pushed::Added);
    assert_eq!(log.newest_key(), None);
}

#[test]
fn headers_of_further_tracks_are_kept_beside_those_of_the_main_one() {
    let mut log = StreamLog::new(LogLimits::default(), true);
    filled(&mut log, 2);
    let mut push =
        |track, body: &[u8]| log.put(message(Kind::Video, 2_000, Flags::header_of(track), body));
    for track in 1..=255 {
        assert_eq!(push(track, &[track]), Pushed::Added);
    }
    assert_eq!(push(1, &[1]), Pushed::Repeated);
    assert_eq!(push(2, b"new"), Pushed::Added);
    assert!(log.newest_key().is_some(), "the main track goes on");
    let bodies: Vec<_> = log.headers().map(|header| header.body().to_vec()).collect();
    let main = [&b"onMetaData"[..], b"asc", b"avcc"].map(<[u8]>::to_vec);
    let further = (1..=61).map(|track| if track == 2 { b"new".to_vec() } else { vec![track] });
    assert_eq!(bodies, main.into_iter().chain(further).collect::<Vec<_>>());
}

#[test]
fn what_is_said_about_a_track_beside_its_header_is_kept_too_and_may_change_often() {
    let mut log = StreamLog::new(LogLimits::default(), true);
    filled(&mut log, 2);
    for light in 0..100 {
        log.put(message(Kind::Video, 2_000, Flags::config_of(0), &[light]));
        log.put(message(Kind::Audio, 2_000, Flags::config_of(5), &[light]));
    }
    let bodies: Vec<_> = log.headers().skip(3).map(Message::body).collect();
    assert_eq!(bodies, [[99], [99]]);
    assert!(log.newest_key().is_some(), "decoders do without");
    assert_eq!(log.header_of(Kind::Video).unwrap().body(), b"avcc");
}

#[test]
fn the_rate_is_that_of_the_streams_own_time_however_fast_it_came() {
    let mut log = StreamLog::new(LogLimits::default(), true);
    assert!(log.bitrate_bps().abs() < f64::EPSILON);
    log.put(message(Kind::Video, 5_000, Flags::KEY, &[1; 1_000]));
    assert!((log.bitrate_bps() - 8_000.0).abs() < 1.0, "{}", log.bitrate_bps());
    let mut log = StreamLog::new(LogLimits::default(), true);
    filled(&mut log, 5);
    // 25 pictures of 50 bytes and 50 audio frames of 10 each second.
    assert!((log.bitrate_bps() / 14_000.0 - 1.0).abs() < 0.02, "{}", log.bitrate_bps());
}

#[test]
fn catching_up_begins_with_headers_and_a_keyframe() {
    let mut log = StreamLog::new(LogLimits::default(), true);
    filled(&mut log, 3);
    let sent: Vec<_> = log.catch_up().collect();
    assert!(sent[..3].iter().all(|m| m.is_header() && m.time() == 0));
    assert!(sent[3].is_key() && sent[3].time() == 2_000);
}

#[test]
fn recent_messages_begin_with_the_keyframe_before_what_is_asked_for() {
    let mut log = StreamLog::new(LogLimits::default(), true);
    let seconds = |s: u64| Micros::from_millis(s * 1_000);
    assert_eq!(log.recent(seconds(0), seconds(9)), None);
    filled(&mut log, 5);
    let time = |log: &StreamLog, number| log.get(number).unwrap().time();
    let range = log.recent(Micros::from_millis(2_500), Micros::from_millis(4_200)).unwrap();
    let (messages, wanted) = (range.messages, range.wanted);
    assert_eq!((time(&log, messages.start), time(&log, wanted)), (2_000, 2_500));
    assert_eq!((time(&log, messages.end - 1), range.arrived), (4_180, Micros::from_millis(2_500)));
    assert_eq!(log.headers_at(messages.start).count(), 3);
    // More than there is begins with the first keyframe, and ends with the newest message.
    let all = log.recent(seconds(0), Micros(u64::MAX)).unwrap();
    assert_eq!((all.messages, all.wanted), (3..log.end(), 3));
    assert_eq!(log.recent(seconds(9), Micros(u64::MAX)), None, "nothing has come since");
    log.end_source();
    assert_eq!(log.recent(seconds(0), Micros(u64::MAX)), None, "that of another source is none");
    for time in (6_000..7_000).step_by(20) {
        log.put(message(Kind::Audio, time, Flags::default(), b"a"));
    }
    let audio = log.recent(seconds(0), Micros(u64::MAX)).unwrap();
    assert_eq!(time(&log, audio.messages.start), 6_000, "audio alone has no keyframes");
    log.put(message(Kind::Video, 7_000, Flags::default(), b"v"));
    assert_eq!(log.recent(seconds(0), Micros(u64::MAX)), None, "no keyframe yet");
}
