//! The server with each kind of peer, whose bytes are written by hand after what the programs send.

use crate::media::{Kind, Micros};
use crate::rtmp::amf0::Value;
use crate::rtmp::message::{Command, type_id};
use crate::rtmp::{Error, PlayRefusal, PublishRefusal, ServerEvent};

use super::harness::{
    Bench, call, command, connect, connect_object, delete_stream, hello, message,
};

fn set_chunk_size(bytes: u32) -> Vec<u8> {
    message(type_id::SET_CHUNK_SIZE, 0, 0, &bytes.to_be_bytes(), 128)
}

fn event(event: u16, data: &[u8]) -> Vec<u8> {
    message(type_id::USER_CONTROL, 0, 0, &[&event.to_be_bytes(), data].concat(), 128)
}

#[test]
fn connect_is_answered_in_the_order_clients_expect() {
    let mut bench = Bench::new();
    bench.feed(&hello()).unwrap();
    bench.feed(&connect("live")).unwrap();
    assert_eq!(bench.events(), ["connect live"]);
    assert!(bench.said().is_empty());
    bench.server.accept_connect();
    assert_eq!(
        bench.said(),
        [
            "window 5000000",
            "bandwidth 5000000 2",
            "chunk size 60000",
            "_result 1 @0 NetConnection.Connect.Success",
        ]
    );
}

/// The `_result` of connect, for a connect object with these members in addition.
fn connect_info(extra: &[(&str, Value)]) -> Value {
    let mut bench = Bench::new();
    let Value::Object(mut members) = connect_object("live") else { unreachable!() };
    members.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    bench.feed(&hello()).unwrap();
    bench.feed(&command(0, "connect", 1.0, &[Value::Object(members)])).unwrap();
    bench.server.accept_connect();
    let output = bench.server.output();
    let name = [2, 0, 7, b'_', b'r', b'e', b's', b'u', b'l', b't'];
    let at = output.windows(name.len()).position(|w| w == name).unwrap();
    Command::parse(&output[at..]).unwrap().args.remove(0)
}

#[test]
fn object_encoding_is_answered_with_amf0_even_to_who_asks_for_amf3() {
    for asked in [0.0, 3.0] {
        let info = connect_info(&[("objectEncoding", asked.into())]);
        assert_eq!(info.get("objectEncoding"), Some(&Value::Number(0.0)));
    }
}

#[test]
fn enhanced_clients_are_told_what_is_passed_on_and_others_are_not() {
    assert_eq!(connect_info(&[]).get("fourCcList"), None);
    let list = Value::StrictArray(vec!["hvc1".into(), "*".into(), 1.0.into()]);
    let info = connect_info(&[("fourCcList", list), ("capsEx", 3.0.into())]);
    assert_eq!(info.get("capsEx"), Some(&Value::Number(15.0)));
    assert_eq!(info.get("videoFourCcInfoMap").unwrap().get("*"), Some(&Value::Number(4.0)));
}

#[test]
fn what_a_client_says_about_itself_is_told_without_secrets() {
    let mut bench = Bench::new();
    let object = Value::object([
        ("app", "live/s3cret?key=s3cret".into()),
        ("tcurl", "rtmp://u:s3cret@h:1936/live/s3cret?key=s3cret".into()),
        ("flashVer", "FM\nLE".into()),
        ("fourCcList", Value::StrictArray(vec!["hvc1".into(), "too long".into()])),
        ("capsEx", Value::Number(-1.0)),
    ]);
    bench.feed(&hello()).unwrap();
    bench.feed(&command(0, "connect", 1.0, &[object])).unwrap();
    let Some(ServerEvent::Connect(connect)) = bench.server.poll_event() else { unreachable!() };
    assert_eq!(connect.tc_url, "rtmp://h:1936/live");
    assert_eq!((connect.app.as_str(), connect.flash_ver.as_str()), ("live", "FMLE"));
    assert!(connect.caps.can_decode_video(*b"hvc1") && !connect.caps.can_decode_video(*b"av01"));
    assert!(!connect.caps.can_reconnect());
    bench.server.accept_connect();
    bench.feed(&call(1, "publish", 5.0, &[""])).unwrap();
    let event = bench.server.poll_event();
    assert!(!format!("{event:?} {:?}", bench.server).contains("s3cret"));
}

#[test]
fn obs_publishes_without_waiting_between_its_calls() {
    let mut bench = Bench::new();
    // Handshake, chunk size and connect in one segment.
    bench.feed(&[hello(), set_chunk_size(4_096), connect("live")].concat()).unwrap();
    assert_eq!(bench.events(), ["connect live"]);
    bench.server.accept_connect();
    bench.said();
    let calls = [
        call(0, "releaseStream", 2.0, &["show"]),
        call(0, "FCPublish", 3.0, &["show"]),
        call(0, "createStream", 4.0, &[]),
    ];
    bench.feed(&calls.concat()).unwrap();
    assert_eq!(bench.said(), ["_result 2 @0", "_result 3 @0", "_result 4 @0 1"]);
    bench.feed(&call(1, "publish", 5.0, &["show", "live"])).unwrap();
    assert_eq!(bench.events(), ["publish live/show?"]);
    assert!(bench.said().is_empty(), "nothing may be said before the key is known to be good");
    assert!(bench.server.accept_publish());
    assert_eq!(bench.said(), ["onStatus 0 @1 NetStream.Publish.Start"]);

    let mut metadata = Vec::new();
    Value::from("@setDataFrame").encode(&mut metadata);
    Value::from("onMetaData").encode(&mut metadata);
    Value::EcmaArray(vec![("width".to_owned(), 1280.0.into())]).encode(&mut metadata);
    let media = [
        message(type_id::DATA, 1, 0, &metadata, 4_096),
        message(type_id::AUDIO, 1, 0, &[0xaf, 0, 0x11, 0x90], 4_096),
        message(type_id::VIDEO, 1, 0, &[7; 5_000], 4_096),
        message(type_id::VIDEO, 1, 33, &[], 4_096),
    ];
    bench.feed(&media.concat()).unwrap();
    assert_eq!(bench.events(), ["Data 0 37", "Audio 0 4", "Video 0 5000"]);

    bench.feed(&[call(0, "FCUnpublish", 6.0, &["show"]), delete_stream()].concat()).unwrap();
    assert_eq!(bench.events(), ["publish end"]);
    assert_eq!(bench.said(), ["_result 6 @0", "onStatus 0 @1 NetStream.Unpublish.Success"]);
}

#[test]
fn ffmpeg_publishes_and_answers_pings_late() {
    let mut bench = Bench::connected();
    let calls = [
        call(0, "releaseStream", 2.0, &["show?key=k"]),
        call(0, "FCPublish", 3.0, &["show?key=k"]),
        call(0, "createStream", 4.0, &[]),
        call(0, "_checkbw", 5.0, &[]),
    ];
    bench.feed(&calls.concat()).unwrap();
    assert_eq!(bench.said().len(), 4);
    bench.feed(&call(1, "publish", 6.0, &["show?key=k", "live"])).unwrap();
    assert_eq!(bench.events(), ["publish live/show?key=k"]);
    bench.server.accept_publish();
    bench.said();
    bench.tick(Micros::from_secs(30)).unwrap();
    assert_eq!(bench.said(), ["event 6 [0, 1, 251, 208]"]);
    for second in 0..100 {
        // Media is life enough; the pong comes when it comes, and no acknowledgement ever.
        bench.feed(&message(type_id::AUDIO, 1, second, &[0xaf, 1], 128)).unwrap();
        bench.tick(Micros::from_secs(1)).unwrap();
    }
    bench.feed(&event(7, &[0, 1, 251, 208])).unwrap();
}

#[test]
fn gstreamer_calls_without_transactions_get_no_answer() {
    let mut bench = Bench::connected();
    let calls = [
        call(0, "releaseStream", 0.0, &["show"]),
        call(0, "FCPublish", 0.0, &["show"]),
        call(0, "createStream", 2.0, &[]),
    ];
    bench.feed(&calls.concat()).unwrap();
    assert_eq!(bench.said(), ["_result 2 @0 1"]);
    bench.feed(&call(1, "publish", 0.0, &["show", "live"])).unwrap();
    bench.server.accept_publish();
    assert_eq!(bench.said(), ["onStatus 0 @1 NetStream.Publish.Start"]);
    bench.events();
    // The name, on stream 0, where others give the number of the stream.
    bench.feed(&call(0, "deleteStream", 0.0, &["show"])).unwrap();
    assert_eq!(bench.events(), ["publish end"]);
}

#[test]
fn gstreamer_bandwidth_is_answered_with_a_window_once() {
    let mut bench = Bench::connected();
    let bandwidth = message(type_id::PEER_BANDWIDTH, 0, 0, &[0, 38, 37, 160, 2], 128);
    bench.feed(&bandwidth.repeat(3)).unwrap();
    assert_eq!(bench.said(), ["window 2500000"]);
}

#[test]
fn rtmpdump_plays_and_everything_it_says_meanwhile_is_read() {
    let mut bench = Bench::connected();
    let calls = [
        message(type_id::WINDOW_ACK, 0, 0, &[0, 38, 37, 160], 128),
        call(0, "createStream", 2.0, &[]),
        event(3, &[0, 0, 0, 0, 0, 0, 1, 44]),
    ];
    bench.feed(&calls.concat()).unwrap();
    bench.said();
    let play = [
        command(8, "play", 3.0, &[Value::Null, "mp4:show".into(), Value::Number(-1_000.0)]),
        event(3, &[0, 0, 0, 1, 0, 0, 0x8c, 0xa0]),
    ];
    bench.feed(&play.concat()).unwrap();
    assert_eq!(bench.events(), ["play live/show?"]);
    assert!(bench.said().is_empty());
    assert!(bench.server.accept_play());
    assert_eq!(
        bench.said(),
        [
            "event 0 [0, 0, 0, 8]",
            "onStatus 0 @8 NetStream.Play.Reset",
            "onStatus 0 @8 NetStream.Play.Start",
            "data |RtmpSampleAccess @8 24 bytes",
        ]
    );
    let chatter = [
        command(1, "pause", 0.0, &[Value::Null, true.into(), 0.0.into()]),
        command(1, "seek", 0.0, &[Value::Null, 0.0.into()]),
        command(1, "receiveVideo", 0.0, &[Value::Null, false.into()]),
        message(type_id::ACKNOWLEDGEMENT, 0, 0, &[0, 0, 1, 0], 128),
        event(31, &[0, 0, 0, 1]),
        event(26, &[]),
        message(type_id::AUDIO, 1, 0, &[0xaf, 1], 128),
        message(200, 1, 0, &[1, 2, 3], 128),
    ];
    bench.feed(&chatter.concat()).unwrap();
    assert_eq!(bench.events(), ["playback", "seek", "playback"]);
    let said = ["onStatus 0 @8 NetStream.Pause.Notify", "onStatus 0 @8 NetStream.Seek.Notify"];
    assert_eq!(bench.said(), said);
    bench.server.write_message(Kind::Video, 40, &[0x17, 1]).unwrap();
    assert_eq!(bench.said(), ["type 9 @8 2 bytes"]);
    bench.feed(&delete_stream()).unwrap();
    assert_eq!(bench.events(), ["play end"]);
}

#[test]
fn ffplay_asks_for_the_length_and_vlc_closes_the_stream() {
    let mut bench = Bench::connected();
    let calls = [
        call(0, "createStream", 2.0, &[]),
        call(0, "FCSubscribe", 3.0, &["show"]),
        call(0, "getStreamLength", 4.0, &["show"]),
        call(1, "play", 5.0, &["show"]),
    ];
    bench.feed(&calls.concat()).unwrap();
    assert_eq!(bench.said(), ["_result 2 @0 1", "_result 3 @0", "_result 4 @0 0"]);
    bench.server.accept_play();
    bench.events();
    bench.feed(&call(1, "closeStream", 0.0, &[])).unwrap();
    assert_eq!(bench.events(), ["play end"]);
    bench.feed(&call(0, "close", 0.0, &[])).unwrap();
    assert_eq!(bench.events(), ["closed"]);
}

#[test]
fn nginx_rtmp_relays_push_with_extra_arguments_and_pull_with_negative_starts() {
    let mut bench = Bench::connected();
    let publish = [Value::Null, "show".into(), "live".into(), Value::Undefined];
    let calls = [call(0, "createStream", 2.0, &[]), command(1, "publish", 0.0, &publish)];
    bench.feed(&calls.concat()).unwrap();
    assert_eq!(bench.events(), ["publish live/show?"]);

    let mut bench = Bench::connected();
    let play = [Value::Null, "show".into(), Value::Number(-1_000.0), Value::Number(-1.0)];
    bench.feed(&command(1, "play", 0.0, &play)).unwrap();
    assert_eq!(bench.events(), ["play live/show?"]);
}

#[test]
fn cameras_publish_on_stream_0_without_a_type() {
    let mut bench = Bench::connected();
    bench.feed(&call(0, "publish", 4.0, &["show"])).unwrap();
    assert!(bench.server.accept_publish());
    assert_eq!(bench.said(), ["onStatus 0 @0 NetStream.Publish.Start"]);
    bench.feed(&message(type_id::VIDEO, 0, 0, &[0x17, 1], 128)).unwrap();
    assert_eq!(bench.events()[1..], ["Video 0 2"]);
}

#[test]
fn flash_sends_commands_behind_a_zero_byte() {
    let mut bench = Bench::new();
    bench.feed(&hello()).unwrap();
    let wrapped = |name: &str, values: &[Value]| {
        let body = [&[0], &Command::encode(name, 1.0, values)[..]].concat();
        message(type_id::COMMAND_AMF3, 0, 0, &body, 128)
    };
    let Value::Object(members) = connect_object("/live/") else { unreachable!() };
    bench.feed(&wrapped("connect", &[Value::EcmaArray(members)])).unwrap();
    assert_eq!(bench.events(), ["connect live"]);
    bench.server.accept_connect();
    bench.feed(&wrapped("publish", &[Value::Null, "show".into()])).unwrap();
    assert_eq!(bench.events(), ["publish live/show?"]);
}

#[test]
fn what_comes_between_connect_and_its_answer_waits_for_the_answer() {
    let mut bench = Bench::new();
    let eager = [
        hello(),
        connect("live"),
        call(0, "createStream", 2.0, &[]),
        call(1, "publish", 3.0, &["show"]),
    ];
    bench.feed(&eager.concat()).unwrap();
    assert_eq!(bench.events(), ["connect live"]);
    bench.server.accept_connect();
    assert_eq!(bench.events(), ["publish live/show?"]);
    assert_eq!(bench.said()[3..], ["_result 1 @0 NetConnection.Connect.Success", "_result 2 @0 1"]);
}

#[test]
fn a_refused_connect_says_why_and_forgets_what_waited() {
    let mut bench = Bench::new();
    bench.feed(&[hello(), connect("live"), call(1, "publish", 3.0, &["show"])].concat()).unwrap();
    bench.events();
    bench.server.refuse_connect("no such application");
    assert_eq!(bench.said(), ["_error 1 @0 NetConnection.Connect.Rejected"]);
    bench.server.accept_connect();
    bench.feed(&call(1, "publish", 4.0, &["show"])).unwrap();
    assert!(bench.events().is_empty() && bench.said().is_empty());
}

#[test]
fn refusals_come_before_any_start_with_codes_that_encoders_show() {
    for (refusal, code) in [
        (PublishRefusal::Denied, "NetStream.Publish.Denied"),
        (PublishRefusal::BadName, "NetStream.Publish.BadName"),
        (PublishRefusal::Failed, "NetStream.Failed"),
    ] {
        let mut bench = Bench::connected();
        bench.feed(&call(1, "publish", 5.0, &["show"])).unwrap();
        assert!(bench.server.refuse_publish(refusal, "the key has expired"));
        let level = b"\x00\x05level\x02\x00\x05error".as_slice();
        let text = b"the key has expired".as_slice();
        for part in [level, text] {
            assert!(bench.server.output().windows(part.len()).any(|w| w == part));
        }
        assert_eq!(bench.said(), [format!("onStatus 0 @1 {code}")]);
        assert!(!bench.server.is_publishing());
    }
    let mut bench = Bench::connected();
    bench.feed(&call(1, "play", 5.0, &["show"])).unwrap();
    assert!(bench.server.refuse_play(PlayRefusal::StreamNotFound, "no such stream"));
    assert_eq!(bench.said(), ["onStatus 0 @1 NetStream.Play.StreamNotFound"]);
}

#[test]
fn media_before_a_request_to_publish_is_left_out_and_after_it_waits() {
    let mut bench = Bench::connected();
    let frame = message(type_id::VIDEO, 1, 0, &[0x17, 1], 128);
    bench
        .feed(&[frame.clone(), call(1, "publish", 5.0, &["show"]), frame.clone()].concat())
        .unwrap();
    assert_eq!(bench.events(), ["publish live/show?"]);
    assert_eq!(bench.server.ignored_messages(), 1);
    bench.server.accept_publish();
    bench.feed(&frame).unwrap();
    assert_eq!(bench.events(), ["Video 0 2", "Video 0 2"]);
    assert_eq!(bench.server.ignored_messages(), 1);
}

#[test]
fn an_answer_to_a_withdrawn_request_is_not_taken_for_the_next_ones() {
    let mut bench = Bench::connected();
    let hasty =
        [call(1, "publish", 5.0, &["good"]), delete_stream(), call(1, "publish", 6.0, &["evil"])];
    bench.feed(&hasty.concat()).unwrap();
    assert_eq!(bench.events(), ["publish live/good?", "publish end"]);
    assert!(!bench.server.accept_publish());
    assert!(!bench.server.is_publishing());
    assert_eq!(bench.events(), ["publish live/evil?"]);
    assert!(bench.server.refuse_publish(PublishRefusal::Denied, "no"));
    bench.feed(&call(1, "publish", 7.0, &["next"])).unwrap();
    assert!(bench.server.accept_publish());
}

#[test]
fn a_second_stream_on_a_connection_is_refused_and_the_first_goes_on() {
    let mut bench = Bench::publishing();
    bench.feed(&call(1, "publish", 6.0, &["other"])).unwrap();
    bench.feed(&call(1, "play", 7.0, &["other"])).unwrap();
    assert_eq!(
        bench.said(),
        ["onStatus 0 @1 NetStream.Publish.BadName", "onStatus 0 @1 NetStream.Play.Failed",]
    );
    assert!(bench.events().is_empty() && bench.server.is_publishing());
}

#[test]
fn a_publisher_may_end_and_begin_again_on_its_connection() {
    let mut bench = Bench::publishing();
    for _ in 0..10_000 {
        bench.now = bench.now + Micros::from_millis(10);
        bench.feed(&delete_stream()).unwrap();
        bench.feed(&call(1, "publish", 6.0, &["show"])).unwrap();
        assert_eq!(bench.events(), ["publish end", "publish live/show?"]);
        assert!(bench.server.accept_publish());
        bench.said();
    }
}

#[test]
fn an_ended_publisher_hears_why_and_no_more_of_its_media_comes_through() {
    let mut bench = Bench::publishing();
    bench.server.end_publish(PublishRefusal::Denied, "the key was revoked");
    assert_eq!(bench.said(), ["onStatus 0 @1 NetStream.Publish.Denied"]);
    bench.feed(&message(type_id::VIDEO, 1, 0, &[0x17, 1], 128)).unwrap();
    assert!(bench.events().is_empty());
}

#[test]
fn the_end_of_a_stream_is_told_to_its_players_once() {
    let mut bench = Bench::connected();
    bench.feed(&call(1, "play", 5.0, &["show"])).unwrap();
    bench.server.accept_play();
    bench.said();
    bench.server.end_play();
    bench.server.end_play();
    assert_eq!(
        bench.said(),
        ["onStatus 0 @1 NetStream.Play.UnpublishNotify", "event 1 [0, 0, 0, 1]"]
    );
}

#[test]
fn a_ping_is_answered_at_once_with_its_own_bytes() {
    let mut bench = Bench::connected();
    bench.feed(&event(6, &[1, 2, 3, 4])).unwrap();
    assert_eq!(bench.said(), ["event 7 [1, 2, 3, 4]"]);
}

#[test]
fn bytes_are_acknowledged_before_a_window_is_full_and_the_count_wraps() {
    let mut bench = Bench::publishing();
    bench.feed(&message(type_id::WINDOW_ACK, 0, 0, &100_000_u32.to_be_bytes(), 128)).unwrap();
    let start = bench.server.bytes_received();
    assert!(start < 50_000);
    let frame = message(type_id::VIDEO, 1, 0, &[1; 10_000], 60_000);
    bench.feed(&set_chunk_size(60_000)).unwrap();
    let mut acknowledged = 0;
    while bench.server.bytes_received() < start + 1_000_000 {
        bench.feed(&frame).unwrap();
        for text in bench.said() {
            let count: u64 = text.strip_prefix("ack ").unwrap().parse().unwrap();
            assert_eq!(count, acknowledged + 50_000, "half a window, however it came");
            acknowledged = count;
        }
        assert!(bench.server.bytes_received() - acknowledged < 100_000);
        bench.events();
    }
}

#[test]
fn a_silent_peer_is_given_up_and_pings_go_out_before() {
    let mut bench = Bench::publishing();
    bench.tick(Micros::from_secs(29)).unwrap();
    assert!(bench.said().is_empty());
    bench.tick(Micros::from_secs(1)).unwrap();
    assert_eq!(bench.said().len(), 1);
    bench.tick(Micros::from_secs(29)).unwrap();
    assert_eq!(bench.tick(Micros::from_secs(1)), Err(Error::Silent));
}

#[test]
fn a_peer_is_given_up_only_after_it_had_time_to_answer_a_ping() {
    let mut bench = Bench::publishing();
    bench.tick(Micros::from_secs(20)).unwrap();
    // The machine does not run the node for two minutes.
    bench.tick(Micros::from_secs(120)).unwrap();
    assert_eq!(bench.said().len(), 1, "a ping");
    bench.tick(Micros::from_secs(29)).unwrap();
    bench.feed(&event(7, &[0; 4])).unwrap();
    bench.tick(Micros::from_secs(30)).unwrap();
    assert_eq!(bench.said().len(), 1, "another ping");
    bench.tick(Micros::from_secs(29)).unwrap();
    assert_eq!(bench.tick(Micros::from_secs(1)), Err(Error::Silent));
}

#[test]
fn a_ping_that_waits_to_be_sent_is_not_held_against_the_peer() {
    let mut bench = Bench::publishing();
    bench.tick(Micros::from_secs(30)).unwrap();
    assert_eq!(bench.said().len(), 1, "a ping");
    // For 70 s it waits behind a message that the peer is still taking.
    for _ in 0..70 {
        bench.server.hold_back(bench.now + Micros::from_secs(1));
        bench.tick(Micros::from_secs(1)).unwrap();
    }
    bench.tick(Micros::from_secs(29)).unwrap();
    assert_eq!(bench.tick(Micros::from_secs(1)), Err(Error::Silent));
}

#[test]
fn a_peer_that_does_not_get_on_is_given_up() {
    let late = |bench: &mut Bench, seconds: u64| {
        bench.tick(Micros::from_secs(seconds - 1)).unwrap();
        matches!(bench.tick(Micros::from_secs(1)), Err(Error::Late(_)))
    };
    let mut bench = Bench::new();
    assert!(late(&mut bench, 10), "silence from the start");
    let mut bench = Bench::new();
    bench.feed(&hello()[..1_000]).unwrap();
    assert!(late(&mut bench, 10), "half a C1");
    let mut bench = Bench::new();
    bench.feed(&hello()).unwrap();
    assert!(late(&mut bench, 10), "a handshake and nothing more");
    let mut bench = Bench::connected();
    for _ in 0..59 {
        bench.tick(Micros::from_secs(1)).unwrap();
        bench.feed(&event(7, &[0; 4])).unwrap();
    }
    assert_eq!(bench.tick(Micros::from_secs(1)), Err(Error::Idle), "connected and pongs only");
    let mut bench = Bench::connected();
    bench.feed(&call(1, "publish", 5.0, &["show"])).unwrap();
    bench.tick(Micros::from_secs(59)).unwrap();
}
