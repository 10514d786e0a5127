//! Readers that are sent a stream later than it comes.

use super::*;

const SECOND: Micros = Micros::from_secs(1);

/// What a reader is sent at a time, milliseconds.
fn sent_at(cursor: &mut Cursor, log: &StreamLog, now: u64) -> Vec<(Kind, u32)> {
    cursor.hold_back(log, Micros::from_millis(now));
    times(&send_all(cursor, log))
}

/// A log of four seconds, and a reader that is a second behind.
fn a_second_behind() -> (StreamLog, Cursor) {
    let mut log = with_headers();
    play(&mut log, 0, 4_000, 400);
    let mut cursor = Cursor::new(Start::Keyframe);
    cursor.set_delay(SECOND);
    let got = sent_at(&mut cursor, &log, 4_000);
    assert_eq!(got[3], (Kind::Video, 2_800), "the newest keyframe that is old enough");
    assert_eq!(got.last(), Some(&(Kind::Video, 3_000)));
    (log, cursor)
}

#[test]
fn a_delayed_reader_is_sent_each_message_once_it_is_that_old() {
    let (mut log, mut cursor) = a_second_behind();
    assert!(cursor.shared_place().is_none() && !cursor.is_caught_up(&log));
    assert!(sent_at(&mut cursor, &log, 4_019).is_empty());
    assert_eq!(sent_at(&mut cursor, &log, 4_020), [(Kind::Audio, 3_020)]);
    play(&mut log, 4_000, 4_400, 400);
    let got = sent_at(&mut cursor, &log, 4_400);
    assert_eq!((got[0], got.last()), ((Kind::Video, 3_040), Some(&(Kind::Video, 3_400))));
    assert_eq!(got.len(), 19, "none is left out");
    assert_eq!((cursor.lag(&log), cursor.drops()), (Micros(0), Drops::default()));
    // The stream brings nothing more: its end comes as late.
    assert_eq!(sent_at(&mut cursor, &log, 9_000).last(), Some(&(Kind::Audio, 4_380)));
    assert!(cursor.is_caught_up(&log));
}

#[test]
fn a_delayed_reader_of_a_new_stream_begins_with_its_first_keyframe() {
    let mut log = with_headers();
    play(&mut log, 0, 800, 400);
    let mut cursor = Cursor::new(Start::Keyframe);
    cursor.set_delay(SECOND);
    assert!(sent_at(&mut cursor, &log, 800).is_empty());
    play(&mut log, 800, 1_200, 400);
    assert_eq!(sent_at(&mut cursor, &log, 1_200)[3], (Kind::Video, 0));
}

#[test]
fn what_is_dumped_is_never_sent_and_the_delay_fills_again() {
    let (mut log, mut cursor) = a_second_behind();
    let left_out = cursor.dump(&log);
    assert_eq!(left_out, 29, "from the audio of 3.02 s to the keyframe of 3.6 s");
    play(&mut log, 4_000, 5_000, 400);
    assert!(sent_at(&mut cursor, &log, 4_599).is_empty());
    let got = sent_at(&mut cursor, &log, 4_650);
    assert_eq!(got, [(Kind::Video, 3_600), (Kind::Audio, 3_620), (Kind::Video, 3_640)]);
    assert_eq!(cursor.drops(), Drops::default(), "that was wanted");
    cursor.set_delay(Micros(0));
    assert_eq!(cursor.dump(&log), 0, "without a delay nothing waits");
}

#[test]
fn a_longer_delay_stops_a_reader_and_a_shorter_one_lets_it_jump() {
    let (mut log, mut cursor) = a_second_behind();
    cursor.set_delay(Micros::from_secs(3));
    play(&mut log, 4_000, 7_000, 400);
    assert!(sent_at(&mut cursor, &log, 6_000).is_empty());
    assert_eq!(sent_at(&mut cursor, &log, 6_020), [(Kind::Audio, 3_020)]);
    cursor.set_delay(SECOND);
    let got = sent_at(&mut cursor, &log, 6_980);
    assert_eq!(got[0], (Kind::Video, 5_600), "more waited than the limit of lag");
    assert_eq!(got.last(), Some(&(Kind::Audio, 5_980)));
    assert!(cursor.drops().jumped > 0);
}

#[test]
fn a_delayed_reader_whose_messages_the_log_has_let_go_of_goes_on_as_late() {
    let mut log = StreamLog::new(LogLimits { millis: 2_000, ..LIMITS }, true);
    log.put(video_header(b"v"));
    play(&mut log, 0, 2_000, 400);
    let mut cursor = Cursor::new(Start::Keyframe);
    cursor.set_delay(SECOND);
    assert!(!sent_at(&mut cursor, &log, 2_000).is_empty());
    play(&mut log, 2_000, 9_000, 400);
    let got = sent_at(&mut cursor, &log, 9_000);
    assert_eq!((got[0], got.last()), ((Kind::Video, 8_000), Some(&(Kind::Video, 8_000))));
    assert!(cursor.drops().overrun > 0);
}
