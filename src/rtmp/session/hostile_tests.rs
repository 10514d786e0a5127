//! The server with peers that are broken or hostile: it refuses, or closes, and never more.

use proptest::prelude::*;

use crate::media::Micros;
use crate::rtmp::amf0::Value;
use crate::rtmp::limits::{ANSWERS_BYTES_MAX, EVENTS_MAX, HELD_COMMANDS_MAX, HELD_EXCESS};
use crate::rtmp::message::{Command, type_id};
use crate::rtmp::{Error, PlayRefusal, PublishRefusal};

use super::harness::{
    Bench, call, command, connect, connect_object, delete_stream, hello, message,
};

/// A whole life of a publisher, with all kinds of messages.
fn life() -> Vec<u8> {
    let mut metadata = Vec::new();
    Value::from("@setDataFrame").encode(&mut metadata);
    Value::from("onMetaData").encode(&mut metadata);
    Value::EcmaArray(vec![("width".to_owned(), 1280.0.into())]).encode(&mut metadata);
    [
        hello(),
        connect("live"),
        call(0, "createStream", 2.0, &[]),
        call(1, "publish", 3.0, &["show?key=k", "live"]),
        message(type_id::DATA, 1, 0, &metadata, 128),
        message(type_id::VIDEO, 1, 0x0100_0000, &[0x17; 300], 128),
        message(type_id::SET_CHUNK_SIZE, 0, 0, &[0, 0, 1, 0], 128),
        message(type_id::AGGREGATE, 1, 0, &[8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 12], 256),
        message(type_id::USER_CONTROL, 0, 0, &[0, 6, 1, 2, 3, 4], 256),
        call(0, "FCUnpublish", 4.0, &["show"]),
        call(1, "play", 5.0, &["show"]),
        delete_stream(),
    ]
    .concat()
}

#[test]
fn a_peer_that_was_not_let_in_to_publish_makes_us_keep_little() {
    let picture = message(type_id::VIDEO, 1, 0, &vec![0x17; 2 << 20], 128);
    let mut greeted = Bench::new();
    greeted.feed(&hello()).unwrap();
    for mut bench in [greeted, Bench::connected()] {
        let result = bench.feed(&picture);
        assert!(matches!(result, Err(Error::Limit(_))), "{result:?}");
    }
    let mut bench = Bench::publishing();
    bench.feed(&picture).unwrap();
    assert_eq!(bench.events().len(), 1, "a publisher's picture may be large");
}

/// Feeds pieces, accepts everything, and says what happened. Answers are given between pieces,
/// so `pieces` decide only the cutting if every command that needs an answer ends one.
fn live(pieces: &[&[u8]]) -> (Vec<String>, Result<(), Error>) {
    let mut bench = Bench::new();
    let mut all = Vec::new();
    for piece in pieces {
        let result = bench.feed(piece);
        for event in bench.events() {
            match event.split(' ').next() {
                Some("connect") => bench.server.accept_connect(),
                Some("publish") if event != "publish end" => {
                    bench.server.accept_publish();
                }
                Some("play") if event != "play end" => {
                    bench.server.accept_play();
                }
                _ => {}
            }
            all.push(event);
        }
        all.extend(bench.events());
        if result.is_err() {
            return (all, result);
        }
    }
    (all, Ok(()))
}

#[test]
fn a_life_cut_off_at_every_byte_ends_without_a_panic() {
    let life = life();
    for at in 0..life.len() {
        let (_, result) = live(&[&life[..at]]);
        assert_eq!(result, Ok(()), "at {at}");
    }
}

#[test]
fn a_life_byte_by_byte_is_as_it_should_be() {
    let life = life();
    let bytes: Vec<_> = life.chunks(1).collect();
    let (events, result) = live(&bytes);
    assert_eq!(result, Ok(()));
    assert_eq!(
        events,
        [
            "connect live",
            "publish live/show?key=k",
            "Data 0 37",
            "Video 16777216 300",
            "Audio 0 1",
            "publish end",
            "play live/show?",
            "play end",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_change_of_bytes_ends_in_events_or_an_error(
        changes in proptest::collection::vec((3_073_usize..4_200, any::<u8>()), 1..6),
        step in 1_usize..700,
    ) {
        let mut life = life();
        for (at, byte) in changes {
            let at = at % life.len();
            life[at] = byte;
        }
        let pieces: Vec<_> = life.chunks(step).collect();
        let _events = live(&pieces);
    }

    #[test]
    fn any_command_of_a_connected_peer_is_survived(
        names in proptest::collection::vec(
            prop_oneof![
                Just("createStream"), Just("publish"), Just("play"), Just("deleteStream"),
                Just("closeStream"), Just("FCUnpublish"), Just("releaseStream"), Just("connect"),
                Just("close"), Just("pause"), Just("whatever"),
            ],
            0..12,
        ),
        answers in proptest::collection::vec(0_u8..7, 12),
        argument in prop_oneof![
            Just(Value::Null), Just(Value::Number(f64::NAN)), Just(Value::Number(-1.0)),
            Just(Value::from("show")), Just(Value::StrictArray(vec![])),
        ],
    ) {
        let mut bench = Bench::connected();
        for (name, answer) in names.iter().zip(answers) {
            bench.feed(&command(1, name, 9.0, &[Value::Null, argument.clone()])).unwrap();
            match answer {
                0 => { bench.server.accept_publish(); }
                1 => { bench.server.refuse_publish(PublishRefusal::Denied, ""); }
                2 => { bench.server.accept_play(); }
                3 => { bench.server.refuse_play(PlayRefusal::Failed, ""); }
                4 => bench.server.end_play(),
                5 => bench.server.end_publish(PublishRefusal::Failed, ""),
                _ => {}
            }
            prop_assert!(!(bench.server.is_playing() && bench.server.is_publishing()));
        }
        bench.said();
    }

    #[test]
    fn any_body_of_any_type_is_survived_by_a_publisher(
        type_id: u8,
        body in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut bench = Bench::publishing();
        let _result = bench.feed(&message(type_id, 1, 0, &body, 128));
        bench.events();
    }
}

#[test]
fn answers_in_states_that_do_not_wait_for_them_say_nothing() {
    let mut bench = Bench::new();
    for stage in [hello(), connect("live")] {
        assert!(!bench.server.accept_publish());
        assert!(!bench.server.accept_play());
        assert!(!bench.server.refuse_publish(PublishRefusal::Denied, "no"));
        assert!(!bench.server.refuse_play(PlayRefusal::Failed, "no"));
        bench.server.end_play();
        bench.server.end_publish(PublishRefusal::Failed, "no");
        assert!(bench.said().is_empty());
        bench.feed(&stage).unwrap();
        bench.said();
    }
}

#[test]
fn connect_without_or_with_odd_fields_is_answered() {
    let object = |name: &str, value: Option<Value>| {
        let Value::Object(mut members) = connect_object("live") else { unreachable!() };
        members.retain(|(n, _)| n != name);
        members.extend(value.map(|value| (name.to_owned(), value)));
        Value::Object(members)
    };
    let odd = [None, Some(Value::Null), Some(Value::Number(7.0)), Some(Value::StrictArray(vec![]))];
    for value in odd {
        for name in ["app", "type", "flashVer", "tcUrl", "fourCcList", "capsEx", "objectEncoding"] {
            let mut bench = Bench::new();
            bench.feed(&hello()).unwrap();
            let connect = command(0, "connect", 1.0, &[object(name, value.clone())]);
            bench.feed(&connect).unwrap();
            let events = bench.events();
            if name == "app" {
                assert!(events[0].starts_with("refused: "), "{events:?}");
                assert_eq!(bench.said(), ["_error 1 @0 NetConnection.Connect.Rejected"]);
            } else {
                assert_eq!(events, ["connect live"], "{name}");
            }
        }
    }
    let amf3_object = [&Command::encode("connect", 1.0, &[])[..], &[0x11, 0x0a, 0x0b]].concat();
    for body in [Command::encode("connect", 1.0, &[]), amf3_object] {
        for type_id in [type_id::COMMAND, type_id::COMMAND_AMF3] {
            let mut bench = Bench::new();
            bench.feed(&[hello(), message(type_id, 0, 0, &body, 128)].concat()).unwrap();
            assert_eq!(bench.said(), ["_error 1 @0 NetConnection.Connect.Rejected"]);
        }
    }
}

#[test]
fn names_of_every_length_and_kind_are_answered() {
    for length in [0, 1, 256, 257, 1_000, 65_535, 65_536, 70_000] {
        for verb in ["publish", "play"] {
            let mut bench = Bench::connected();
            bench.feed(&call(1, verb, 5.0, &[&"n".repeat(length)])).unwrap();
            let events = bench.events();
            let good = (1..=256).contains(&length);
            match (good, verb) {
                (true, _) => assert!(events[0].starts_with(verb), "{length}: {events:?}"),
                (false, "publish") => assert!(events[0].starts_with("refused: "), "{events:?}"),
                (false, _) => assert!(events.is_empty(), "a player may go on: {events:?}"),
            }
            assert_eq!(bench.said().is_empty(), good);
        }
    }
    for name in ["../../etc/passwd", "%2e%2e/x", "a\0b", "a\r\nb"] {
        let mut bench = Bench::connected();
        bench.feed(&call(1, "publish", 5.0, &[name])).unwrap();
        assert_eq!(bench.said(), ["onStatus 0 @1 NetStream.Publish.BadName"], "{name}");
        let mut bench = Bench::new();
        bench.feed(&[hello(), connect(name)].concat()).unwrap();
        assert_eq!(bench.said(), ["_error 1 @0 NetConnection.Connect.Rejected"], "{name}");
    }
}

#[test]
fn short_control_messages_close_the_connection() {
    for type_id in 1..=6 {
        for length in 0..=8_usize {
            let mut bench = Bench::connected();
            let body = &[0, 6, 0, 0, 0, 1, 0, 0][..length];
            let result = bench.feed(&message(type_id, 0, 0, body, 128));
            let least = if type_id == type_id::USER_CONTROL { 6 } else { 4 };
            assert_eq!(result.is_err(), length < least, "type {type_id}, {length} bytes");
        }
    }
}

#[test]
fn tiny_windows_make_no_storm_of_acknowledgements() {
    for window in [0_u32, 1, 2, 16, u32::MAX] {
        let mut bench = Bench::publishing();
        bench.feed(&message(type_id::WINDOW_ACK, 0, 0, &window.to_be_bytes(), 128)).unwrap();
        let frame = message(type_id::VIDEO, 1, 0, &[1; 100], 128);
        for _ in 0..1_000 {
            bench.feed(&frame).unwrap();
            bench.events();
        }
        assert!(bench.said().len() <= 1 + 112_000 / (16 << 10), "{window}");
    }
}

#[test]
fn a_million_pings_end_at_a_limit() {
    let ping = message(type_id::USER_CONTROL, 0, 0, &[0, 6, 0, 0, 0, 1], 128);
    let mut bench = Bench::connected();
    assert!(matches!(bench.feed(&ping.repeat(100_000)), Err(Error::Limit(_))));
    // Slow enough for the rate, but the answers are never read.
    let mut bench = Bench::connected();
    let mut result = Ok(());
    for _ in 0..1_000 {
        bench.now = bench.now + Micros::from_secs(1);
        result = result.and_then(|()| bench.feed(&ping.repeat(1_000)));
    }
    assert!(matches!(result, Err(Error::Limit(_))));
    assert!(bench.server.output().len() <= ANSWERS_BYTES_MAX + 64);
    // Read, they are no reason to close.
    let mut bench = Bench::connected();
    for _ in 0..100 {
        bench.now = bench.now + Micros::from_secs(1);
        bench.feed(&ping.repeat(1_000)).unwrap();
        let pongs = bench.said().iter().filter(|text| text.starts_with("event 7")).count();
        assert_eq!(pongs, 1_000);
    }
}

#[test]
fn floods_of_commands_end_at_a_limit() {
    for flood in [
        call(0, "createStream", 2.0, &[]),
        call(1, "publish", 0.0, &["show"]),
        connect("live"),
        message(type_id::COMMAND, 0, 0, &[5], 128),
    ] {
        let mut bench = Bench::connected();
        assert!(matches!(bench.feed(&flood.repeat(10_000)), Err(Error::Limit(_))));
    }
    let mut bench = Bench::new();
    bench.feed(&[hello(), connect("live")].concat()).unwrap();
    assert_eq!(bench.events(), ["connect live"]);
    let held = call(0, "createStream", 2.0, &[]).repeat(HELD_EXCESS * HELD_COMMANDS_MAX + 1);
    assert!(matches!(bench.feed(&held), Err(Error::Limit(_))));
}

#[test]
fn more_messages_than_anyone_needs_end_at_a_limit() {
    let mut bench = Bench::publishing();
    let one = message(type_id::AUDIO, 1, 0, &[1], 128);
    assert!(matches!(bench.feed(&one.repeat(EVENTS_MAX + 1)), Err(Error::Limit(_))));
    assert!(bench.events().len() <= EVENTS_MAX + 1);
    let mut bench = Bench::publishing();
    let tag = [8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 12];
    let aggregate = message(type_id::AGGREGATE, 1, 0, &tag.repeat(EVENTS_MAX + 1), 128);
    assert!(matches!(bench.feed(&aggregate), Err(Error::Limit(_))));
    assert!(bench.events().len() <= EVENTS_MAX + 1);
}

#[test]
fn commands_before_connect_and_commands_without_end_close_the_connection() {
    let mut bench = Bench::new();
    bench.feed(&hello()).unwrap();
    assert!(matches!(bench.feed(&call(1, "publish", 1.0, &["x"])), Err(Error::Protocol(_))));
    let mut bench = Bench::connected();
    let endless = message(type_id::COMMAND, 0, 0, &vec![2; 300 << 10], 128);
    assert!(matches!(bench.feed(&endless), Err(Error::Limit(_))));
}

#[test]
fn other_protocols_are_turned_away_at_their_first_byte() {
    for text in [&b"GET / HTTP/1.1\r\n"[..], b"POST /open/1", &[6, 0, 0], &[0x16, 3, 1]] {
        let mut bench = Bench::new();
        assert!(matches!(bench.feed(text), Err(Error::NotRtmp(_))));
        assert!(bench.server.output().is_empty());
    }
}

#[test]
fn a_second_connect_is_answered_and_changes_nothing() {
    let mut bench = Bench::publishing();
    bench.feed(&command(0, "connect", 9.0, &[connect_object("other")])).unwrap();
    assert_eq!(bench.said(), ["_error 9 @0 NetConnection.Connect.Rejected"]);
    assert!(bench.events().is_empty() && bench.server.is_publishing());
}

#[test]
fn output_is_freed_when_it_has_been_sent() {
    let mut bench = Bench::connected();
    bench.feed(&call(0, "createStream", 2.0, &[])).unwrap();
    let length = bench.server.output().len();
    bench.server.consume_output(length - 1);
    assert_eq!(bench.server.output().len(), 1);
    bench.server.consume_output(100);
    assert!(bench.server.output().is_empty());
}
