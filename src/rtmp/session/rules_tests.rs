//! Rules of living together with other programs that no single peer shows.

use proptest::prelude::*;

use crate::media::{Kind, Micros};
use crate::rtmp::amf0::{Decoder, Value};
use crate::rtmp::chunk::{MessageHeader, Reader, Writer};
use crate::rtmp::limits::ANSWERS_BYTES_MAX;
use crate::rtmp::message::{Command, type_id};
use crate::rtmp::{
    Client, ClientEvent, ClientSpec, Error, Goal, PlayRefusal, Server, ServerEvent, ServerSpec, Url,
};

use super::harness::{
    Bench, T0, call, command, connect, event_text, hello, message, message_text, pool,
};
use super::status::info;

fn spec(goal: Goal) -> ClientSpec {
    ClientSpec::new(&Url::parse("rtmp://host/live/key").unwrap(), goal)
}

/// What a server that accepts everything says in the life of a stream: to a publisher, or to a
/// player with some media.
fn said_by_a_server(goal: Goal) -> Vec<u8> {
    let (mut client, pool) = (Client::new(spec(goal), T0, [1; 32]), pool());
    let mut server = Server::new(ServerSpec::default(), T0, [2; 32]);
    let mut said = Vec::new();
    let mut turns = 0;
    while turns < 8 {
        turns += 1;
        let up = client.output().to_vec();
        client.consume_output(up.len());
        server.feed(&up, T0, &pool).unwrap();
        while let Some(event) = server.poll_event() {
            match event {
                ServerEvent::Connect(_) => server.accept_connect(),
                ServerEvent::Publish { .. } => assert!(server.accept_publish()),
                ServerEvent::Play { .. } => assert!(server.accept_play()),
                other => panic!("{other:?}"),
            }
        }
        if turns == 7 {
            server.write_message(Kind::Video, 0x100_0000, &[0x17; 300]).unwrap();
            server.write_message(Kind::Audio, 7, &[0xaf, 1]).unwrap();
            server.end_play();
            server.end_publish(crate::rtmp::PublishRefusal::Denied, "revoked");
        }
        let down = server.output().to_vec();
        server.consume_output(down.len());
        client.feed(&down, T0, &pool).unwrap();
        said.extend(down);
    }
    said
}

/// What a client makes of it, in pieces of these sizes in turn.
fn heard(goal: Goal, said: &[u8], pieces: &[usize]) -> (Vec<String>, Result<(), Error>) {
    let (mut client, pool) = (Client::new(spec(goal), T0, [1; 32]), pool());
    let (mut events, mut rest, mut turn) = (Vec::new(), said, 0);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(pieces[turn % pieces.len()].clamp(1, rest.len()));
        (rest, turn) = (after, turn + 1);
        let result = client.feed(piece, T0, &pool);
        events.extend(std::iter::from_fn(|| client.poll_event()).map(|event| match event {
            ClientEvent::Started { stream_id } => format!("started {stream_id}"),
            ClientEvent::Message { kind, time, body } => format!("{kind:?} {time} {}", body.len()),
            ClientEvent::Ended { code, .. } => code,
            other => format!("{other:?}"),
        }));
        if result.is_err() {
            return (events, result);
        }
        assert!(client.output().len() < ANSWERS_BYTES_MAX);
    }
    (events, Ok(()))
}

#[test]
fn what_a_server_says_cut_off_at_every_byte_is_survived_by_a_client() {
    for goal in [Goal::Publish, Goal::Play] {
        let said = said_by_a_server(goal);
        let (whole, result) = heard(goal, &said, &[usize::MAX]);
        assert_eq!(result, Ok(()));
        assert!(whole.len() >= 2, "{whole:?}");
        for at in 0..said.len() {
            let (events, result) = heard(goal, &said[..at], &[usize::MAX]);
            assert_eq!(result, Ok(()), "at {at}");
            assert!(whole.starts_with(&events), "at {at}: {events:?}");
        }
    }
}

/// What a publisher says, answers to which it does not wait for.
fn publisher() -> Vec<u8> {
    let mut metadata = Vec::new();
    Value::from("@setDataFrame").encode(&mut metadata);
    Value::from("onMetaData").encode(&mut metadata);
    Value::EcmaArray(vec![("width".to_owned(), 1280.0.into())]).encode(&mut metadata);
    [
        message(type_id::DATA, 1, 0, &metadata, 128),
        message(type_id::SET_CHUNK_SIZE, 0, 0, &[0, 0, 1, 0], 128),
        message(type_id::VIDEO, 1, 0x0100_0000, &[0x17; 900], 256),
        message(type_id::AUDIO, 1, 0x0100_0000, &[0xaf, 1], 256),
        message(type_id::USER_CONTROL, 0, 0, &[0, 6, 1, 2, 3, 4], 256),
        message(type_id::WINDOW_ACK, 0, 0, &[0, 0, 0, 1], 256),
        message(type_id::ABORT, 0, 0, &[0, 0, 0, 6], 256),
        call(0, "FCUnpublish", 4.0, &["show"]),
    ]
    .concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_segmentation_gives_a_client_the_same_events(
        pieces in proptest::collection::vec(1_usize..900, 1..20), plays: bool,
    ) {
        let goal = if plays { Goal::Play } else { Goal::Publish };
        let said = said_by_a_server(goal);
        prop_assert_eq!(heard(goal, &said, &pieces), heard(goal, &said, &[usize::MAX]));
    }

    #[test]
    fn any_segmentation_gives_a_server_the_same_events(
        pieces in proptest::collection::vec(1_usize..600, 1..20),
    ) {
        let events = |pieces: &[usize]| {
            let mut bench = Bench::publishing();
            let (bytes, mut turn, mut events) = (publisher(), 0, Vec::new());
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(pieces[turn % pieces.len()].min(rest.len()));
                (rest, turn) = (after, turn + 1);
                bench.feed(piece).unwrap();
                events.extend(bench.events());
            }
            events
        };
        let whole = events(&[usize::MAX]);
        prop_assert_eq!(whole.len(), 4);
        prop_assert_eq!(events(&pieces), whole);
    }
}

#[test]
fn a_c2_that_echoes_nothing_is_accepted() {
    let mut bench = Bench::new();
    let mut bytes = hello();
    bytes[1 + 1_536..].fill(0xee);
    bench.feed(&[bytes, connect("live")].concat()).unwrap();
    assert_eq!(bench.events(), ["connect live"]);
}

#[test]
fn a_handshake_of_one_byte_a_second_ends_at_its_deadline() {
    let mut bench = Bench::new();
    let bytes = hello();
    for byte in &bytes[..9] {
        bench.feed(&[*byte]).unwrap();
        bench.tick(Micros::from_secs(1)).unwrap();
    }
    bench.feed(&bytes[9..10]).unwrap();
    assert!(matches!(bench.tick(Micros::from_secs(1)), Err(Error::Late(_))));
}

#[test]
fn our_messages_begin_with_whole_headers_and_need_no_continuation() {
    let mut writer = Writer::default();
    writer.set_chunk_size(60_000);
    for (time, length) in [(0, 0), (5, 60_000), (0x100_0000, 60_000)] {
        let header = MessageHeader { chunk_stream: 6, time, length: 0, type_id: 9, stream_id: 1 };
        let mut bytes = Vec::new();
        writer.write(header, &vec![0xff; length], &mut bytes);
        let extended = if time < 0xff_ffff { 0 } else { 4 };
        assert_eq!(bytes[0] >> 6, 0, "type 0, with an absolute time");
        assert_eq!(bytes.len(), 12 + extended + length, "one chunk");
    }
}

#[test]
fn the_answer_to_create_stream_is_a_null_and_a_number_and_nothing_else() {
    let mut bench = Bench::connected();
    bench.feed(&call(0, "createStream", 4.0, &[])).unwrap();
    let want = Command::encode("_result", 4.0, &[Value::Null, Value::Number(1.0)]);
    assert!(bench.server.output().ends_with(&want));
}

#[test]
fn bandwidth_checks_are_answered_and_never_asked_for() {
    let mut bench = Bench::new();
    bench.feed(&[hello(), connect("live")].concat()).unwrap();
    assert_eq!(bench.events(), ["connect live"]);
    bench.server.accept_connect();
    assert!(!bench.said().iter().any(|text| text.contains("onBWDone")));
    bench.feed(&call(0, "_checkbw", 9.0, &[])).unwrap();
    assert_eq!(bench.said(), ["_result 9 @0"]);
}

#[test]
fn every_type_of_publishing_is_live() {
    for kind in [&["show", "live"][..], &["show", "record"], &["show", "append"], &["show"]] {
        let mut bench = Bench::connected();
        bench.feed(&call(1, "publish", 5.0, kind)).unwrap();
        assert_eq!(bench.events(), ["publish live/show?"], "{kind:?}");
    }
}

#[test]
fn enhanced_media_is_taken_from_publishers_that_negotiated_nothing() {
    let mut bench = Bench::publishing();
    for body in [&b"\x90hvc1\x01"[..], b"\x90av01\x01", b"\x96\x00vp09\x01\x01", b"\x90Opus\x01"] {
        let type_id = if body[1..5] == *b"Opus" { type_id::AUDIO } else { type_id::VIDEO };
        bench.feed(&message(type_id, 1, 0, body, 128)).unwrap();
        let Some(ServerEvent::Message { body: got, .. }) = bench.server.poll_event() else {
            panic!("no message")
        };
        assert_eq!(&got[..], body, "passed on as it is");
    }
}

#[test]
fn a_player_without_the_codec_hears_which_it_lacks() {
    let mut bench = Bench::connected();
    bench.feed(&call(1, "play", 5.0, &["show"])).unwrap();
    let refusal = PlayRefusal::Codec(crate::rtmp::flv::VideoFormat::Hevc);
    assert!(bench.server.refuse_play(refusal, &refusal.to_string()));
    let output = bench.server.output();
    assert!(output.windows(4).any(|w| w == b"HEVC"));
    assert_eq!(bench.said(), ["onStatus 0 @1 NetStream.Play.Failed"]);
}

#[test]
fn amf3_bodies_are_passed_over() {
    // An object with a class that refers to itself, a bad reference, and a bare marker.
    for body in
        [&[0x11, 0x0a, 0x0b, 0x01][..], &[0x11, 0x0a, 0x02], &[0x11], &[0, 0x11, 0x06, 0xff]]
    {
        let mut bench = Bench::publishing();
        for type_id in [type_id::DATA_AMF3, type_id::COMMAND_AMF3, type_id::DATA, type_id::COMMAND]
        {
            bench.feed(&message(type_id, 1, 0, body, 128)).unwrap();
        }
        assert!(bench.events().is_empty() && bench.said().is_empty());
        assert!(bench.server.is_publishing());
    }
}

#[test]
fn metadata_names_that_players_cannot_hold_are_left_out() {
    let mut bench = Bench::publishing();
    let mut body = Vec::new();
    Value::from("onMetaData").encode(&mut body);
    let members = ["n".repeat(127), "n".repeat(128), "n".repeat(60_000), "width".to_owned()];
    Value::Object(members.map(|name| (name, 1.0.into())).into()).encode(&mut body);
    bench.feed(&message(type_id::DATA, 1, 0, &body, 128)).unwrap();
    let Some(ServerEvent::Message { body, .. }) = bench.server.poll_event() else { panic!() };
    let mut values = Decoder::new(&body);
    assert_eq!(values.string().as_deref(), Some("onMetaData"));
    let value = values.value().unwrap().unwrap();
    let lengths: Vec<_> = value.members().iter().map(|(name, _)| name.len()).collect();
    assert_eq!(lengths, [127, 5]);
    assert!(body.ends_with(&[0, 0, 9]));
}

#[test]
fn a_flood_of_publishing_and_ending_on_one_connection_ends_at_a_limit() {
    let mut bench = Bench::connected();
    let round = [call(1, "publish", 0.0, &["show"]), call(0, "deleteStream", 0.0, &[])].concat();
    let mut result = Ok(());
    for _ in 0..2_000 {
        result = result.and_then(|()| bench.feed(&round));
        bench.events();
        bench.server.accept_publish();
        bench.said();
    }
    assert!(matches!(result, Err(Error::Limit(_))));
}

#[test]
fn media_with_any_audio_format_and_short_bodies_is_passed_on_or_left_out() {
    let mut bench = Bench::publishing();
    for first in 0..=255_u8 {
        for length in 0..=10 {
            let body = &[&[first], &[0xff; 9][..]].concat()[..length];
            for type_id in [type_id::AUDIO, type_id::VIDEO] {
                bench.feed(&message(type_id, 1, 0, body, 128)).unwrap();
            }
            assert_eq!(bench.events().len(), if length == 0 { 0 } else { 2 });
        }
    }
}

/// What a client says, message by message, with the server's side of the dialogue given.
fn client_says(goal: Goal, answers: &[Vec<u8>], finish: bool) -> Vec<String> {
    let (mut client, pool) = (Client::new(spec(goal), T0, [1; 32]), pool());
    let mut server_hello = hello();
    server_hello[0] = 3;
    client.feed(&server_hello, T0, &pool).unwrap();
    for answer in answers {
        client.feed(answer, T0, &pool).unwrap();
    }
    if finish {
        client.finish();
    }
    let output = client.output().to_vec();
    let (mut reader, mut input) = (Reader::default(), &output[hello().len()..]);
    let mut said = Vec::new();
    while let Some(message) = reader.read(&mut input, &pool).unwrap() {
        if message.type_id == type_id::SET_CHUNK_SIZE {
            reader.set_chunk_size(u32::from_be_bytes(*message.body.first_chunk().unwrap()));
        }
        said.push(message_text(&message));
    }
    said
}

fn connected() -> Vec<u8> {
    let success = info(false, "NetConnection.Connect.Success", "");
    command(0, "_result", 1.0, &[Value::Null, success])
}

fn created(number: f64) -> Vec<u8> {
    command(0, "_result", 4.0, &[Value::Null, Value::Number(number)])
}

fn started(code: &str) -> Vec<u8> {
    command(1, "onStatus", 0.0, &[Value::Null, info(false, code, "")])
}

#[test]
fn a_publishing_client_speaks_in_the_order_that_picky_ingests_want() {
    let answers = [connected(), created(1.0), started("NetStream.Publish.Start")];
    assert_eq!(
        client_says(Goal::Publish, &answers, true),
        [
            "connect 1 @0",
            "chunk size 60000",
            "releaseStream 2 @0",
            "FCPublish 3 @0",
            "createStream 4 @0",
            "publish 5 @1",
            "FCUnpublish 6 @0",
            "deleteStream 7 @0 1",
        ]
    );
    assert_eq!(client_says(Goal::Publish, &[], false), ["connect 1 @0"], "no chunk size before");
}

#[test]
fn a_playing_client_says_its_window_and_its_buffer() {
    let answers = [connected(), created(3.0), started("NetStream.Play.Start")];
    assert_eq!(
        client_says(Goal::Play, &answers, true),
        [
            "connect 1 @0",
            "window 2500000",
            "createStream 4 @0",
            "play 5 @3",
            "event 3 [0, 0, 0, 3, 0, 0, 11, 184]",
            "deleteStream 7 @0 3",
        ]
    );
}

#[test]
fn every_code_that_ends_a_stream_ends_it_at_a_client() {
    for code in [
        "NetStream.Play.Stop",
        "NetStream.Play.Complete",
        "NetStream.Play.UnpublishNotify",
        "NetStream.Play.Failed",
        "NetStream.Failed",
        "NetConnection.Connect.Closed",
    ] {
        let said = [&hello()[..], &connected(), &created(1.0), &started("NetStream.Play.Start")];
        let said = [&said.concat()[..], &started(code)].concat();
        let (events, result) = heard(Goal::Play, &said, &[usize::MAX]);
        assert_eq!((events, result), (vec!["started 1".to_owned(), code.to_owned()], Ok(())));
    }
}

#[test]
fn the_name_shows_in_no_text_of_a_server_however_it_is_hidden() {
    let url = Url::parse("rtmp://host/live/s3cret-key?k=v").unwrap();
    let words = ["s3cret-key", "s3cret\0-key", "\x1b[0ms3cret-key?k=v", "s3c\r\nret-key"];
    for word in words {
        for code in [word.to_owned(), format!("NetStream.{word}"), format!("Net\n{word}")] {
            let spec = ClientSpec::new(&url, Goal::Publish);
            let (mut client, pool) = (Client::new(spec, T0, [1; 32]), pool());
            client.feed(&hello(), T0, &pool).unwrap();
            let status =
                Value::object([("code", code.as_str().into()), ("description", word.into())]);
            let refusal = command(0, "_error", 1.0, &[Value::Null, status]);
            client.feed(&refusal, T0, &pool).unwrap();
            let Some(ClientEvent::Refused { code, description }) = client.poll_event() else {
                panic!("no refusal")
            };
            for text in [code, description] {
                assert!(!text.contains("s3cret-key"), "{text}");
                assert!(!text.chars().any(char::is_control), "{text:?}");
            }
        }
    }
}

#[test]
fn what_events_say_of_themselves_holds_no_name() {
    let mut bench = Bench::connected();
    bench.feed(&call(1, "publish", 5.0, &["s3cret;$(rm -rf)<b>\"?key=s3cret"])).unwrap();
    let event = bench.server.poll_event().unwrap();
    assert!(!format!("{event:?}").contains("s3cret"));
    assert_eq!(event_text(&event), "publish live/s3cret;$(rm -rf)<b>\"?key=s3cret");
}
