//! Readers that pause, go on, seek, or do without audio or pictures.

use super::*;

const PAUSED: Playback = Playback { paused: true, audio: true, video: true };
const PICTURES: Playback = Playback { paused: false, audio: false, video: true };
const AUDIO: Playback = Playback { paused: false, audio: true, video: false };

/// A reader that has been sent all of a log.
fn at_the_head(log: &StreamLog) -> Cursor {
    let mut cursor = Cursor::new(Start::Keyframe);
    assert!(!send_all(&mut cursor, log).is_empty());
    cursor
}

fn kinds(messages: &[Read]) -> Vec<Kind> {
    messages.iter().map(|message| message.kind).collect()
}

#[test]
fn a_paused_reader_is_sent_nothing_but_the_rest_of_its_message() {
    let mut log = with_headers();
    let (mut cursor, mut bytes) = in_the_first_picture(&mut log);
    cursor.set_playback(&log, PAUSED);
    play(&mut log, 40, 4_000, 400);
    bytes.extend(send(&mut cursor, &log, &DropPolicy::default(), usize::MAX, 64));
    assert!(cursor.is_between() && cursor.shared_place().is_none());
    assert_eq!(read(&bytes).len(), 4, "three headers and the begun picture");
}

#[test]
fn after_a_pause_it_goes_on_at_the_newest_keyframe_and_nothing_counts_as_lost() {
    let mut log = with_headers();
    play(&mut log, 0, 80, 400);
    let mut cursor = at_the_head(&log);
    cursor.set_playback(&log, PAUSED);
    play(&mut log, 80, 4_080, 400);
    cursor.set_playback(&log, Playback::default());
    let first = (Kind::Video, 4_000);
    assert_eq!(times(&send_all(&mut cursor, &log))[0], first);
    assert_eq!(cursor.drops(), Drops::default());
    assert_eq!(cursor.shared_place(), Some(log.end()));
}

#[test]
fn within_one_group_of_pictures_it_goes_on_where_it_was() {
    let mut log = with_headers();
    play(&mut log, 0, 80, 10_000);
    let mut cursor = at_the_head(&log);
    cursor.set_playback(&log, PAUSED);
    play(&mut log, 80, 3_080, 10_000);
    cursor.set_playback(&log, Playback::default());
    let got = times(&send_all(&mut cursor, &log));
    assert_eq!((got[0], got.len()), ((Kind::Video, 80), 150));
    assert_eq!(cursor.drops(), Drops::default());
}

#[test]
fn after_a_pause_audio_alone_goes_on_at_the_present() {
    let mut log = log_of([audio_header(b"a"), audio(0), audio(20)]);
    let mut cursor = at_the_head(&log);
    cursor.set_playback(&log, PAUSED);
    log.put(audio(5_000));
    cursor.set_playback(&log, Playback::default());
    assert!(send_all(&mut cursor, &log).is_empty());
    log.put(audio(5_020));
    assert_eq!(times(&send_all(&mut cursor, &log)), [(Kind::Audio, 5_020)]);
}

#[test]
fn a_reader_without_audio_gets_every_picture_and_a_new_header_with_the_audio() {
    let mut log = with_headers();
    play(&mut log, 0, 80, 400);
    let mut cursor = at_the_head(&log);
    cursor.set_playback(&log, PICTURES);
    play(&mut log, 80, 400, 400);
    log.put(audio_header(b"new"));
    let got = send_all(&mut cursor, &log);
    assert_eq!(kinds(&got), [Kind::Video; 8]);
    assert!(!cursor.set_playback(&log, Playback::default()));
    play(&mut log, 400, 440, 400);
    let got = send_all(&mut cursor, &log);
    assert_eq!(kinds(&got), [Kind::Audio, Kind::Video, Kind::Audio]);
    assert_eq!(got[0].body, b"new");
    assert_eq!(cursor.drops(), Drops::default());
}

#[test]
fn a_reader_without_pictures_gets_them_back_with_their_header_at_a_keyframe() {
    let mut log = with_headers();
    play(&mut log, 0, 80, 400);
    let mut cursor = at_the_head(&log);
    cursor.set_playback(&log, AUDIO);
    play(&mut log, 80, 880, 400);
    assert_eq!(kinds(&send_all(&mut cursor, &log)), [Kind::Audio; 20]);
    assert!(cursor.set_playback(&log, Playback::default()), "it waits for a keyframe");
    play(&mut log, 880, 1_240, 400);
    let got = send_all(&mut cursor, &log);
    let pictures: Vec<_> = got.iter().filter(|message| message.kind == Kind::Video).collect();
    assert_eq!(pictures[0].body, b"v");
    assert_eq!(pictures[1].time, 1_200);
    assert_eq!(cursor.shared_place(), Some(log.end()));
}

#[test]
fn what_a_reader_wants_is_known_before_it_starts() {
    let mut log = with_headers();
    play(&mut log, 0, 400, 400);
    let mut cursor = Cursor::new(Start::Keyframe);
    cursor.set_playback(&log, AUDIO);
    let got = send_all(&mut cursor, &log);
    assert!(!kinds(&got).contains(&Kind::Video), "not even the header");
    assert_eq!(got.len(), 2 + 10);
}

#[test]
fn who_seeks_starts_as_a_new_reader_does() {
    let mut log = with_headers();
    play(&mut log, 0, 1_000, 400);
    let mut cursor = at_the_head(&log);
    cursor.restart(Start::Keyframe);
    let fresh = send_all(&mut Cursor::new(Start::Keyframe), &log);
    assert_eq!(send_all(&mut cursor, &log), fresh);
    assert_eq!(cursor.drops(), Drops::default());
}
