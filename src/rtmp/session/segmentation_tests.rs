//! Sessions and how what they are fed is cut: the same bytes give the same events and the same
//! answers, whatever was read at once and whenever the owner decides.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use proptest::prelude::*;

use crate::frame::Budget;
use crate::media::Micros;
use crate::rtmp::amf0::Value;
use crate::rtmp::limits::{
    FEED_BYTES_MAX, HELD_BYTES_MAX, HELD_COMMANDS_MAX, HELD_EXCESS, HELD_MESSAGES_MAX,
};
use crate::rtmp::message::type_id;
use crate::rtmp::{
    Client, ClientEvent, ClientSpec, Error, Goal, PlayRefusal, PublishRefusal, ServerEvent as E,
    Url,
};

use super::harness::{
    Bench, T0, call, command, connect, delete_stream, event_text, hello, message, pool,
};
use super::status::info;

/// One of the things that a peer may say in any order.
#[derive(Clone, Debug)]
enum Saying {
    Command(Vec<u8>),
    /// Type, and length of the body.
    Message(u8, usize),
    Control(u8, Vec<u8>),
    ChunkSize(u32),
}

/// The bytes of a peer that says all this after `connect` without waiting for any answer.
fn bytes_of(sayings: &[Saying]) -> Vec<u8> {
    let mut bytes = [hello(), connect("live")].concat();
    let mut chunk_size = 128;
    for (number, saying) in sayings.iter().enumerate() {
        bytes.extend(match saying {
            // Our commands are shorter than any chunk.
            Saying::Command(bytes) => bytes.clone(),
            Saying::Message(type_id, length) => {
                let body = vec![u8::try_from(number).unwrap(); *length];
                message(*type_id, 1, 40 * u32::try_from(number).unwrap(), &body, chunk_size)
            }
            Saying::Control(type_id, body) => message(*type_id, 0, 0, body, chunk_size),
            Saying::ChunkSize(size) => {
                let said = message(type_id::SET_CHUNK_SIZE, 0, 0, &size.to_be_bytes(), chunk_size);
                chunk_size = *size;
                said
            }
        });
    }
    bytes
}

/// How an owner decides: from which byte on, and whether it grants what is asked.
#[derive(Clone, Copy, Debug)]
struct Owner {
    decides_from: usize,
    grants: bool,
}

const AT_ONCE: Owner = Owner { decides_from: 0, grants: true };

/// What came of it.
#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<String>,
    /// The answers as texts, and a hash of their bytes.
    said: Vec<String>,
    output: u64,
    ignored: u64,
    result: Result<(), Error>,
}

/// Feeds `said` in pieces of these sizes in turn.
fn outcome(said: &[u8], pieces: &[usize], owner: Owner) -> Outcome {
    let mut bench = Bench::new();
    let (mut events, mut asked, mut result) = (Vec::new(), None::<String>, Ok(()));
    let (mut fed, mut turn) = (0, 0);
    while fed < said.len() && result.is_ok() {
        let mut length = pieces[turn % pieces.len()].clamp(1, said.len() - fed);
        let decides_at_once = fed >= owner.decides_from;
        if !decides_at_once {
            length = length.min(owner.decides_from - fed);
        }
        result = bench.feed(&said[fed..fed + length]);
        (fed, turn) = (fed + length, turn + 1);
        loop {
            let Some(event) = bench.server.poll_event() else {
                let Some(asked) = asked.take_if(|_| fed >= owner.decides_from) else { break };
                decide(&mut bench, &asked, owner.grants);
                continue;
            };
            react(&mut bench, &event);
            let text = event_text(&event);
            if matches!(event, E::Connect(_) | E::Publish { .. } | E::Play { .. }) {
                assert_eq!(asked, None, "one thing is asked at a time");
                asked = Some(text.clone());
            }
            events.push(text);
            if let Some(asked) = asked.take_if(|_| decides_at_once) {
                decide(&mut bench, &asked, owner.grants);
            }
        }
    }
    let mut output = DefaultHasher::new();
    bench.server.output().hash(&mut output);
    let (output, ignored) = (output.finish(), bench.server.ignored_messages());
    Outcome { events, said: bench.said(), output, ignored, result }
}

fn decide(bench: &mut Bench, asked: &str, grants: bool) {
    let server = &mut bench.server;
    match (asked.split(' ').next(), grants) {
        (Some("connect"), _) => server.accept_connect(),
        (Some("publish"), true) => drop(server.accept_publish()),
        (Some("publish"), false) => drop(server.refuse_publish(PublishRefusal::Denied, "no")),
        (_, true) => drop(server.accept_play()),
        (_, false) => drop(server.refuse_play(PlayRefusal::Denied, "no")),
    }
}

/// An owner may do something at any event: here it ends a publisher at a certain message.
fn react(bench: &mut Bench, event: &E) {
    if let E::Message { body, .. } = event
        && body.len() == 666
    {
        bench.server.end_publish(PublishRefusal::Failed, "over");
    }
}

fn publish(name: &str) -> Saying {
    Saying::Command(call(1, "publish", 3.0, &[name, "live"]))
}

/// What ends or replaces nothing.
fn lasting() -> impl Strategy<Value = Saying> {
    let media = prop_oneof![Just(type_id::AUDIO), Just(type_id::VIDEO)];
    prop_oneof![
        4 => (media, prop_oneof![1_usize..600, Just(1_500), Just(20_000)])
            .prop_map(|(type_id, length)| Saying::Message(type_id, length)),
        1 => Just(Saying::Command(call(0, "createStream", 2.0, &[]))),
        1 => Just(Saying::Command(call(0, "FCPublish", 4.0, &["show"]))),
        1 => Just(publish("show")),
        1 => Just(Saying::Command(connect("again"))),
        1 => (256_u32..5_000).prop_map(Saying::ChunkSize),
        1 => any::<[u8; 4]>().prop_map(|[a, b, c, d]| {
            Saying::Control(type_id::USER_CONTROL, vec![0, 6, a, b, c, d])
        }),
        1 => (1_u32..60_000).prop_map(|window| {
            Saying::Control(type_id::WINDOW_ACK, window.to_be_bytes().to_vec())
        }),
        1 => (1_u32..1 << 30).prop_map(|window| {
            let body = [&window.to_be_bytes()[..], &[2]].concat();
            Saying::Control(type_id::PEER_BANDWIDTH, body)
        }),
        1 => Just(Saying::Control(type_id::ABORT, vec![0, 0, 0, 6])),
    ]
}

fn any_saying() -> impl Strategy<Value = Saying> {
    prop_oneof![
        6 => lasting(),
        1 => Just(Saying::Message(type_id::VIDEO, 666)),
        1 => Just(Saying::Command(delete_stream())),
        1 => Just(Saying::Command(call(1, "closeStream", 0.0, &[]))),
        1 => Just(Saying::Command(call(0, "FCUnpublish", 6.0, &["show"]))),
        1 => (1_u32..3).prop_map(|id| Saying::Command(call(id, "play", 0.0, &["other"]))),
        1 => Just(Saying::Command(command(1, "pause", 0.0, &[Value::Null, true.into()]))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_same_bytes_give_the_same_events_and_answers_however_they_are_cut(
        mut sayings in proptest::collection::vec(any_saying(), 1..24),
        pieces in proptest::collection::vec(prop_oneof![1_usize..200, 200..20_000_usize], 1..20),
        decides_from in prop_oneof![Just(0_usize), 0..20_000_usize, Just(1 << 30)],
        grants: bool,
    ) {
        sayings.insert(sayings.len() / 2, publish("show"));
        let said = bytes_of(&sayings);
        let owner = Owner { decides_from: decides_from.min(said.len()), grants };
        let whole = outcome(&said, &[usize::MAX], owner);
        prop_assert_eq!(outcome(&said, &pieces, owner), whole);
    }

    #[test]
    fn nothing_depends_on_how_long_an_owner_thinks_about_what_is_not_withdrawn(
        mut sayings in proptest::collection::vec(lasting(), 1..24),
        decides_from in 0_usize..30_000,
    ) {
        sayings.insert(sayings.len() / 2, publish("show"));
        let said = bytes_of(&sayings);
        let at_once = outcome(&said, &[FEED_BYTES_MAX], AT_ONCE);
        let owner = Owner { decides_from: decides_from.min(said.len()), grants: true };
        let later = outcome(&said, &[FEED_BYTES_MAX], owner);
        prop_assert_eq!(later.events, at_once.events);
        prop_assert_eq!(later.ignored, at_once.ignored);
        let sorted = |mut texts: Vec<String>| {
            texts.sort();
            texts
        };
        prop_assert_eq!(sorted(later.said), sorted(at_once.said));
    }

    #[test]
    fn a_client_makes_the_same_of_the_same_bytes(
        early in proptest::collection::vec(1_usize..900, 0..4),
        late in proptest::collection::vec(1_usize..3_000, 0..9),
        is_told: bool,
        pieces in proptest::collection::vec(1_usize..900, 1..20),
    ) {
        let said = played(&early, &late, is_told);
        let (events, output) = heard(&said, &pieces);
        prop_assert_eq!(&(events.clone(), output), &heard(&said, &[usize::MAX]));
        let media = early.len() + late.len();
        let has_started = is_told || !late.is_empty();
        prop_assert_eq!(events.len(), if has_started { 1 + media } else { 0 });
    }
}

/// What a server says to a player: data of these sizes before it says that it plays, if it does
/// say so, and pings and pictures afterwards.
fn played(early: &[usize], late: &[usize], is_told: bool) -> Vec<u8> {
    let data = |length: &usize| {
        let mut body = Vec::new();
        Value::from("onTextData").encode(&mut body);
        Value::String("x".repeat(*length)).encode(&mut body);
        message(type_id::DATA, 1, 0, &body, 128)
    };
    let success = info(false, "NetConnection.Connect.Success", "");
    let start = info(false, "NetStream.Play.Start", "");
    let ping = message(type_id::USER_CONTROL, 0, 0, &[0, 6, 0, 0, 0, 9], 128);
    let mut said = [
        hello(),
        command(0, "_result", 1.0, &[Value::Null, success]),
        command(0, "_result", 4.0, &[Value::Null, Value::Number(1.0)]),
    ]
    .concat();
    early.iter().for_each(|length| said.extend(data(length)));
    if is_told {
        said.extend(command(1, "onStatus", 0.0, &[Value::Null, start]));
    }
    for length in late {
        said.extend(message(type_id::VIDEO, 1, 7, &vec![0x17; *length], 128));
        said.extend(&ping);
    }
    said
}

fn heard(said: &[u8], pieces: &[usize]) -> (Vec<String>, Vec<u8>) {
    let url = Url::parse("rtmp://host/live/key").unwrap();
    let mut client = Client::new(ClientSpec::new(&url, Goal::Play), T0, [1; 32]);
    let (pool, mut events, mut rest, mut turn) = (pool(), Vec::new(), said, 0);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(pieces[turn % pieces.len()].clamp(1, rest.len()));
        (rest, turn) = (after, turn + 1);
        client.feed(piece, T0, &pool).unwrap();
        while let Some(event) = client.poll_event() {
            events.push(match event {
                ClientEvent::Message { kind, body, .. } => format!("{kind:?} {}", body.len()),
                other => format!("{other:?}"),
            });
        }
    }
    (events, client.output().to_vec())
}

#[test]
fn metadata_that_comes_before_a_server_says_that_it_plays_is_not_lost() {
    for is_told in [true, false] {
        let (events, _) = heard(&played(&[5, 6], &[9], is_told), &[usize::MAX]);
        let want = ["Started { stream_id: 1 }", "Data 21", "Data 22", "Video 9"];
        assert_eq!(events, want, "{is_told}");
    }
}

/// An encoder that waits for no answer: `connect`, `publish` and 62 pictures.
fn hasty() -> Vec<u8> {
    let begun = [Saying::Command(call(0, "createStream", 2.0, &[])), publish("show")];
    let pictures = std::iter::repeat_n(Saying::Message(type_id::VIDEO, 900), 62);
    bytes_of(&begun.into_iter().chain(pictures).collect::<Vec<_>>())
}

#[test]
fn an_encoder_that_waits_for_no_answer_loses_no_picture() {
    let said = hasty();
    for decides_from in [0, 3_500, said.len()] {
        for piece in [1, 100, 1_448, FEED_BYTES_MAX, usize::MAX] {
            let owner = Owner { decides_from, grants: true };
            let Outcome { events, ignored, result, .. } = outcome(&said, &[piece], owner);
            assert_eq!((events.len(), ignored, result), (2 + 62, 0, Ok(())), "{piece}: {events:?}");
        }
    }
}

#[test]
fn a_publisher_that_is_refused_is_heard_no_longer_and_that_is_counted() {
    let said = hasty();
    for decides_from in [0, said.len()] {
        let owner = Owner { decides_from, grants: false };
        let Outcome { events, ignored, .. } = outcome(&said, &[1_448], owner);
        assert_eq!((events.len(), ignored), (2, 62));
    }
}

#[test]
fn a_peer_that_waits_for_leave_is_answered_and_may_withdraw() {
    let mut bench = Bench::connected();
    let picture = message(type_id::VIDEO, 1, 0, &[0x17; 20_000], 128);
    let ping = message(type_id::USER_CONTROL, 0, 0, &[0, 6, 1, 2, 3, 4], 128);
    let window = message(type_id::WINDOW_ACK, 0, 0, &[0, 0, 0, 1], 128);
    let asked = call(1, "publish", 0.0, &["show"]);
    bench.feed(&[asked, window, picture.clone(), picture, ping].concat()).unwrap();
    assert!(bench.said().iter().all(|text| !text.starts_with("event")), "not before it is asked");
    assert_eq!(bench.events(), ["publish live/show?"]);
    assert!(bench.server.ignored_messages() == 0 && bench.server.wants_input());
    let said = bench.said();
    assert!(said[0].starts_with("ack ") && said[1].starts_with("ack "), "{said:?}");
    assert_eq!(said[2..], ["event 7 [1, 2, 3, 4]"]);
    bench.feed(&call(0, "FCUnpublish", 4.0, &["show"])).unwrap();
    assert_eq!(bench.events(), ["publish end"]);
    bench.feed(&call(1, "publish", 5.0, &["again"])).unwrap();
    assert!(bench.events().is_empty(), "the answer to the first is still to come");
    assert!(!bench.server.accept_publish());
    assert_eq!(bench.events(), ["publish live/again?"]);
    assert_eq!(bench.server.ignored_messages(), 2, "they were part of what was withdrawn");
}

/// A session that is asked for leave to publish.
fn asked() -> Bench {
    let mut bench = Bench::connected();
    bench.feed(&call(1, "publish", 0.0, &["show"])).unwrap();
    assert_eq!(bench.events(), ["publish live/show?"]);
    bench
}

#[test]
fn a_peer_that_says_much_before_it_may_is_not_read_until_it_may() {
    let long = message(type_id::VIDEO, 1, 0, &[0x17; 10_000], 20_000);
    let short = message(type_id::AUDIO, 1, 0, &[0xaf; 2], 20_000);
    for (one, most) in [(long, HELD_BYTES_MAX / 10_000 + 1), (short, HELD_MESSAGES_MAX)] {
        let mut bench = asked();
        bench.feed(&message(type_id::SET_CHUNK_SIZE, 0, 0, &[0, 0, 0x4e, 0x20], 128)).unwrap();
        let mut count = 0;
        while bench.server.wants_input() {
            bench.feed(&one).unwrap();
            assert!(bench.events().is_empty());
            count += 1;
        }
        assert_eq!(count, most);
        // What had been read already is taken, and a peer that is not read is not silent.
        bench.feed(&one.repeat(20)).unwrap();
        for _ in 0..10 {
            bench.tick(Micros::from_secs(20)).unwrap();
        }
        assert!(bench.server.accept_publish() && bench.server.wants_input());
        assert_eq!(bench.events().len(), count + 20);
        // Who reads on regardless comes to an end.
        let mut bench = asked();
        bench.feed(&message(type_id::SET_CHUNK_SIZE, 0, 0, &[0, 0, 0x4e, 0x20], 128)).unwrap();
        let mut result = Ok(());
        for _ in 0..HELD_EXCESS * most + 2 {
            result = result.and_then(|()| bench.feed(&one));
            assert!(bench.events().is_empty());
        }
        assert!(matches!(result, Err(Error::Limit(_))), "{result:?}");
    }
}

#[test]
fn a_peer_that_asks_much_before_it_is_connected_is_not_read_until_it_is() {
    let mut bench = Bench::new();
    bench.feed(&[hello(), connect("live")].concat()).unwrap();
    assert_eq!(bench.events(), ["connect live"]);
    let mut count = 0;
    while bench.server.wants_input() {
        bench.feed(&call(0, "createStream", 2.0, &[])).unwrap();
        assert!(bench.events().is_empty() && bench.said().is_empty());
        count += 1;
    }
    assert_eq!(count, HELD_COMMANDS_MAX);
    bench.server.accept_connect();
    bench.events();
    let results = bench.said().iter().filter(|text| text.starts_with("_result 2")).count();
    assert_eq!(results, count);
}

#[test]
fn what_waits_comes_from_the_memory_that_all_connections_share() {
    let budget = Arc::new(Budget::new(1 << 20));
    let mut bench = asked();
    bench.server.join(Arc::clone(&budget));
    let picture = message(type_id::VIDEO, 1, 0, &[0x17; 30_000], 128);
    bench.feed(&picture.repeat(2)).unwrap();
    assert!(bench.events().is_empty());
    // A little is free.
    assert!((30_000..=60_000).contains(&budget.held()), "{}", budget.held());
    assert!(bench.server.accept_publish());
    assert_eq!(bench.events().len(), 2);
    assert_eq!(budget.held(), 0);
}
