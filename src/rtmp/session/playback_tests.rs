//! Players that pause, seek, choose tracks and play again, and what they are told.

use proptest::prelude::*;

use crate::media::Micros;
use crate::rtmp::amf0::Value;
use crate::rtmp::limits::{EVENTS_MAX, FEED_BYTES_MAX};
use crate::rtmp::message::type_id;
use crate::rtmp::{Error, PlayRefusal, Playback, ServerEvent};

use super::harness::{Bench, call, command, event_text, message};

fn flag(stream_id: u32, name: &str, txn: f64, flag: bool) -> Vec<u8> {
    command(stream_id, name, txn, &[Value::Null, flag.into()])
}

fn play(stream_id: u32, name: &str) -> Vec<u8> {
    call(stream_id, "play", 0.0, &[name])
}

/// A server that has accepted a player on message stream 1.
fn playing() -> Bench {
    let mut bench = Bench::connected();
    bench.feed(&[call(0, "createStream", 2.0, &[]), play(1, "show")].concat()).unwrap();
    assert_eq!(bench.events(), ["play live/show?"]);
    assert!(bench.server.accept_play());
    bench.said();
    bench
}

#[test]
fn a_pause_and_its_end_are_told_and_confirmed() {
    let mut bench = playing();
    bench.feed(&flag(1, "pause", 0.0, true)).unwrap();
    assert_eq!(bench.events(), ["playback"]);
    assert!(bench.server.playback().paused && bench.server.is_playing());
    assert_eq!(bench.said(), ["onStatus 0 @1 NetStream.Pause.Notify"]);
    bench.feed(&flag(1, "pauseRaw", 4.0, false)).unwrap();
    assert_eq!(bench.server.playback(), Playback::default());
    assert_eq!(bench.said(), ["_result 4 @0", "onStatus 0 @1 NetStream.Unpause.Notify"]);
}

#[test]
fn tracks_are_left_out_silently_and_come_back_with_two_statuses() {
    let mut bench = playing();
    for name in ["receiveAudio", "receiveVideo"] {
        bench.feed(&flag(1, name, 0.0, false)).unwrap();
        assert_eq!((bench.events(), bench.said()), (vec!["playback".to_owned()], Vec::new()));
    }
    assert_eq!(bench.server.playback(), Playback { paused: false, audio: false, video: false });
    bench.feed(&flag(1, "receiveVideo", 0.0, true)).unwrap();
    let said = ["onStatus 0 @1 NetStream.Seek.Notify", "onStatus 0 @1 NetStream.Play.Start"];
    assert_eq!(bench.said(), said);
    assert_eq!(bench.server.playback(), Playback { paused: false, audio: false, video: true });
}

#[test]
fn a_seek_is_confirmed() {
    let mut bench = playing();
    bench.feed(&command(1, "seek", 0.0, &[Value::Null, 5_000.0.into()])).unwrap();
    assert_eq!(bench.events(), ["seek"]);
    assert_eq!(bench.said(), ["onStatus 0 @1 NetStream.Seek.Notify"]);
}

#[test]
fn who_plays_nothing_can_neither_pause_nor_seek_and_hears_so() {
    for mut bench in [Bench::connected(), Bench::publishing()] {
        bench.feed(&[flag(1, "pause", 6.0, true), call(1, "seek", 7.0, &[])].concat()).unwrap();
        let said = ["_error 6 @0 NetStream.Failed", "_error 7 @0 NetStream.Seek.Failed"];
        assert_eq!(bench.said(), said);
        assert!(bench.events().is_empty());
        bench.feed(&flag(1, "pause", 0.0, true)).unwrap();
        assert!(bench.said().is_empty(), "no answer is wanted");
    }
}

#[test]
fn tracks_may_be_chosen_before_playing_and_a_new_stream_has_all() {
    let mut bench = Bench::connected();
    bench.feed(&[flag(1, "receiveVideo", 0.0, false), play(1, "show")].concat()).unwrap();
    assert_eq!(bench.events(), ["play live/show?"]);
    bench.server.accept_play();
    assert!(!bench.server.playback().video);
    bench.feed(&command(0, "deleteStream", 0.0, &[Value::Null, 1.0.into()])).unwrap();
    assert_eq!(bench.server.playback(), Playback::default());
}

#[test]
fn a_second_play_on_the_same_message_stream_takes_the_place_of_the_first() {
    let mut bench = playing();
    bench.feed(&flag(1, "pause", 0.0, true)).unwrap();
    bench.events();
    bench.feed(&play(1, "other")).unwrap();
    assert_eq!(bench.events(), ["play end", "play live/other?"]);
    assert!(!bench.server.playback().paused);
    bench.said();
    assert!(bench.server.accept_play());
    assert_eq!(bench.said()[2], "onStatus 0 @1 NetStream.Play.Start");
    // Also while the first waits for its answer.
    let mut bench = Bench::connected();
    bench.feed(&[play(1, "a"), play(1, "b")].concat()).unwrap();
    assert_eq!(bench.events(), ["play live/a?", "play end"]);
    assert!(!bench.server.accept_play());
    assert_eq!(bench.events(), ["play live/b?"]);
    assert!(bench.server.accept_play());
}

#[test]
fn a_second_request_that_cannot_be_met_is_refused_by_itself() {
    let mut bench = playing();
    bench.feed(&[call(0, "createStream", 9.0, &[]), play(2, "other")].concat()).unwrap();
    assert_eq!(bench.said(), ["_result 9 @0 2", "onStatus 0 @2 NetStream.Play.Failed"]);
    bench.feed(&call(2, "publish", 0.0, &["mine"])).unwrap();
    assert_eq!(bench.said(), ["onStatus 0 @2 NetStream.Publish.BadName"]);
    bench.feed(&play(1, "a/../b")).unwrap();
    assert_eq!(bench.said(), ["onStatus 0 @1 NetStream.Play.Failed"]);
    assert!(bench.events().is_empty() && bench.server.is_playing());
    // What ends the second message stream does not end the first.
    bench.feed(&command(0, "deleteStream", 0.0, &[Value::Null, 2.0.into()])).unwrap();
    bench.feed(&call(2, "closeStream", 0.0, &[])).unwrap();
    bench.feed(&flag(2, "pause", 0.0, true)).unwrap();
    assert!(bench.events().is_empty() && bench.server.is_playing());
    bench.feed(&call(1, "closeStream", 0.0, &[])).unwrap();
    assert_eq!(bench.events(), ["play end"]);
}

#[test]
fn a_player_whose_first_request_is_refused_may_play_something_else() {
    let mut bench = Bench::connected();
    bench.feed(&play(1, "a/../b")).unwrap();
    assert_eq!(bench.said(), ["onStatus 0 @1 NetStream.Play.StreamNotFound"]);
    assert!(bench.events().is_empty(), "no name to look for, and no reason to close");
    bench.feed(&play(1, "nothing")).unwrap();
    assert_eq!(bench.events(), ["play live/nothing?"]);
    assert!(bench.server.refuse_play(PlayRefusal::StreamNotFound, "nobody publishes it"));
    assert_eq!(bench.said(), ["onStatus 0 @1 NetStream.Play.StreamNotFound"]);
    bench.feed(&play(1, "show")).unwrap();
    assert_eq!(bench.events(), ["play live/show?"]);
    assert!(bench.server.accept_play() && bench.server.is_playing());
}

#[test]
fn a_player_that_only_asks_for_what_it_cannot_play_is_idle() {
    let mut bench = Bench::connected();
    for _ in 0..59 {
        bench.feed(&play(1, "a/../b")).unwrap();
        bench.tick(Micros::from_secs(1)).unwrap();
    }
    assert_eq!(bench.tick(Micros::from_secs(1)), Err(Error::Idle));
}

#[test]
fn media_goes_to_the_message_stream_that_plays() {
    let mut bench = playing();
    let calls = [call(1, "closeStream", 0.0, &[]), call(0, "createStream", 9.0, &[])];
    bench.feed(&[calls.concat(), play(2, "show")].concat()).unwrap();
    assert_eq!(bench.events(), ["play end", "play live/show?"]);
    assert!(bench.server.accept_play());
    assert_eq!(bench.server.stream_id(), 2);
}

#[test]
fn a_burst_of_the_smallest_messages_fits_into_what_a_session_is_fed_at_once() {
    let mut bench = Bench::publishing();
    // After the first, a message of one byte is one byte of header and its body.
    let first = message(type_id::AUDIO, 1, 0, &[0xaf], 128);
    let burst = [&first[..], &[0xc0 | first[0], 0xaf].repeat(20_000)].concat();
    let mut heard = 0;
    for piece in burst.chunks(FEED_BYTES_MAX) {
        bench.feed(piece).unwrap();
        let count = bench.events().len();
        assert!(count <= EVENTS_MAX);
        heard += count;
    }
    assert_eq!(heard, 20_001);
}

/// What an owner that grants everything at once hears, in pieces of these sizes in turn, and what
/// the player is sent at the end.
fn heard(said: &[u8], pieces: &[usize]) -> (Vec<String>, Playback, u32) {
    let mut bench = Bench::connected();
    let (mut events, mut rest, mut turn) = (Vec::new(), said, 0);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(pieces[turn % pieces.len()].clamp(1, rest.len()));
        (rest, turn) = (after, turn + 1);
        bench.feed(piece).unwrap();
        while let Some(event) = bench.server.poll_event() {
            match event {
                ServerEvent::Play { .. } => drop(bench.server.accept_play()),
                ServerEvent::Publish { .. } => drop(bench.server.accept_publish()),
                _ => {}
            }
            events.push(event_text(&event));
        }
        bench.said();
    }
    (events, bench.server.playback(), bench.server.stream_id())
}

/// One of the things that a client may say in any order.
fn saying() -> impl Strategy<Value = Vec<u8>> {
    let stream = 1..3_u32;
    prop_oneof![
        Just(call(0, "createStream", 2.0, &[])),
        (stream.clone(), 0..2_u8).prop_map(|(id, n)| play(id, &format!("show{n}"))),
        stream.clone().prop_map(|id| call(id, "publish", 0.0, &["mine"])),
        stream.clone().prop_map(|id| call(id, "closeStream", 0.0, &[])),
        stream.clone().prop_map(|id| {
            command(0, "deleteStream", 0.0, &[Value::Null, f64::from(id).into()])
        }),
        (stream.clone(), any::<bool>()).prop_map(|(id, on)| flag(id, "pause", 0.0, on)),
        (stream.clone(), any::<bool>()).prop_map(|(id, on)| flag(id, "receiveAudio", 0.0, on)),
        (stream.clone(), any::<bool>()).prop_map(|(id, on)| flag(id, "receiveVideo", 0.0, on)),
        stream.prop_map(|id| call(id, "seek", 0.0, &[])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_segmentation_of_any_commands_gives_the_same_events(
        sayings in proptest::collection::vec(saying(), 1..16),
        pieces in proptest::collection::vec(1_usize..200, 1..20),
    ) {
        let said = sayings.concat();
        prop_assert_eq!(heard(&said, &pieces), heard(&said, &[usize::MAX]));
    }
}
