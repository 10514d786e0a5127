//! The client, joined with our server or with answers written by hand.

use proptest::prelude::*;

use crate::frame::PacketPool;
use crate::media::{Kind, Micros};
use crate::rtmp::amf0::Value;
use crate::rtmp::message::type_id;
use crate::rtmp::{
    Client, ClientEvent, ClientSpec, Error, Goal, PlayRefusal, PublishRefusal, Server, ServerSpec,
    Url,
};

use super::harness::{T0, command, event_text, message, pool};
use super::status::info;

fn spec(goal: Goal) -> ClientSpec {
    ClientSpec::new(&Url::parse("rtmp://host/live/s3cret?key=k").unwrap(), goal)
}

fn client_text(event: &ClientEvent) -> String {
    match event {
        ClientEvent::Started { stream_id } => format!("started {stream_id}"),
        ClientEvent::Message { kind, time, body } => format!("{kind:?} {time} {}", body.len()),
        ClientEvent::Refused { code, description } => format!("refused {code}: {description}"),
        ClientEvent::Ended { code, description } => format!("ended {code}: {description}"),
        ClientEvent::Authenticate { query } => format!("authenticate {}", query.expose()),
        ClientEvent::Redirect { to } => format!("redirect {}", to.tc_url()),
        ClientEvent::Reconnect { to } => format!("reconnect {}", to.tc_url()),
    }
}

/// How the server's owner decides.
#[derive(Clone, Copy, PartialEq)]
enum Owner {
    Accepts,
    RefusesConnect,
    RefusesStream,
}

/// Both ends of a connection; bytes move in pieces of the given sizes, in turn.
struct Joined {
    client: Client,
    server: Server,
    pool: PacketPool,
    owner: Owner,
    pieces: Vec<usize>,
    turn: usize,
    client_events: Vec<String>,
    server_events: Vec<String>,
}

impl Joined {
    fn new(spec: ClientSpec, owner: Owner, pieces: &[usize]) -> Self {
        Self {
            client: Client::new(spec, T0, [1; 32]),
            server: Server::new(ServerSpec::default(), T0, [2; 32]),
            pool: pool(),
            owner,
            pieces: pieces.to_vec(),
            turn: 0,
            client_events: Vec::new(),
            server_events: Vec::new(),
        }
    }

    fn piece(&mut self, available: usize) -> usize {
        self.turn += 1;
        self.pieces[self.turn % self.pieces.len()].clamp(1, available)
    }

    /// Moves bytes until there are none.
    fn run(&mut self) {
        while !(self.client.output().is_empty() && self.server.output().is_empty()) {
            let up = self.client.output().to_vec();
            if !up.is_empty() {
                let n = self.piece(up.len());
                self.client.consume_output(n);
                self.server.feed(&up[..n], T0, &self.pool).unwrap();
                self.decide();
            }
            let down = self.server.output().to_vec();
            if !down.is_empty() {
                let n = self.piece(down.len());
                self.server.consume_output(n);
                self.client.feed(&down[..n], T0, &self.pool).unwrap();
                while let Some(event) = self.client.poll_event() {
                    self.client_events.push(client_text(&event));
                }
            }
        }
    }

    fn decide(&mut self) {
        while let Some(event) = self.server.poll_event() {
            let text = event_text(&event);
            match text.split(' ').next() {
                Some("connect") if self.owner == Owner::RefusesConnect => {
                    self.server.refuse_connect("no such application");
                }
                Some("connect") => self.server.accept_connect(),
                _ if text == "publish end" || text == "play end" => {}
                Some("publish") if self.owner == Owner::RefusesStream => {
                    let why = "s3cret?key=k is taken, s3cret!";
                    self.server.refuse_publish(PublishRefusal::BadName, why);
                }
                Some("publish") => assert!(self.server.accept_publish()),
                Some("play") if self.owner == Owner::RefusesStream => {
                    self.server.refuse_play(PlayRefusal::StreamNotFound, "no such stream");
                }
                Some("play") => assert!(self.server.accept_play()),
                _ => {}
            }
            self.server_events.push(text);
        }
    }
}

/// A publisher's life in pieces of these sizes: what the server saw, what the client saw.
fn publish(pieces: &[usize], digest: bool) -> (Vec<String>, Vec<String>) {
    let spec = ClientSpec { digest, chunk_size: 500, enhanced: true, ..spec(Goal::Publish) };
    let mut joined = Joined::new(spec, Owner::Accepts, pieces);
    joined.run();
    let mut metadata = Vec::new();
    Value::from("onMetaData").encode(&mut metadata);
    Value::EcmaArray(vec![]).encode(&mut metadata);
    for (kind, time, body) in [
        (Kind::Data, 0, &metadata[..]),
        (Kind::Audio, 0, &[0xaf, 0, 0x11, 0x90]),
        (Kind::Video, 0xff_fffe, &[1; 1_700]),
        (Kind::Video, 0xff_ffff, &[0; 1_700]),
        (Kind::Video, u32::MAX, &[0xff; 501]),
    ] {
        joined.client.write_message(kind, time, body).unwrap();
    }
    joined.client.finish();
    joined.run();
    (joined.server_events, joined.client_events)
}

fn published() -> (Vec<String>, Vec<String>) {
    let server = [
        "connect live",
        "publish live/s3cret?key=k",
        "Data 0 21",
        "Audio 0 4",
        "Video 16777214 1700",
        "Video 16777215 1700",
        "Video 4294967295 501",
        "publish end",
    ];
    (server.map(str::to_owned).into(), vec!["started 1".to_owned()])
}

#[test]
fn a_client_publishes_to_a_server_and_says_goodbye() {
    assert_eq!(publish(&[usize::MAX], false), published());
    assert_eq!(publish(&[usize::MAX], true), published());
    assert_eq!(publish(&[1], true), published());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_segmentation_gives_the_same_events(
        pieces in proptest::collection::vec(1_usize..2_000, 1..20),
        digest: bool,
    ) {
        prop_assert_eq!(publish(&pieces, digest), published());
    }

    #[test]
    fn a_client_survives_any_server(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        type_id: u8,
    ) {
        for goal in [Goal::Publish, Goal::Play] {
            let mut joined = Joined::new(spec(goal), Owner::Accepts, &[usize::MAX]);
            joined.run();
            let _typed = joined.client.feed(&message(type_id, 1, 0, &bytes, 60_000), T0, &pool());
            let _raw = joined.client.feed(&bytes, T0, &pool());
        }
    }
}

#[test]
fn a_client_plays_from_a_server_to_the_end_of_the_stream() {
    let mut joined = Joined::new(spec(Goal::Play), Owner::Accepts, &[100]);
    joined.run();
    for (kind, time, length) in
        [(Kind::Audio, 5, 10), (Kind::Video, 6, 200_000), (Kind::Video, 0x0100_0000, 200_000)]
    {
        joined.server.write_message(kind, time, &vec![7; length]).unwrap();
        joined.run();
    }
    joined.server.end_play();
    joined.run();
    assert_eq!(
        joined.client_events,
        [
            "started 1",
            "Data 0 24",
            "Audio 5 10",
            "Video 6 200000",
            "Video 16777216 200000",
            "ended NetStream.Play.UnpublishNotify: The stream has ended.",
        ]
    );
    assert_eq!(joined.server_events, ["connect live", "play live/s3cret?key=k"]);
}

#[test]
fn a_player_that_finishes_ends_its_play() {
    let mut joined = Joined::new(spec(Goal::Play), Owner::Accepts, &[100]);
    joined.run();
    joined.client.finish();
    joined.run();
    assert_eq!(joined.server_events.last().unwrap(), "play end");
}

#[test]
fn refusals_reach_the_client_without_the_key() {
    let told = |goal, owner| {
        let mut joined = Joined::new(spec(goal), owner, &[1_000]);
        joined.run();
        joined.client_events
    };
    assert_eq!(
        told(Goal::Publish, Owner::RefusesConnect),
        ["refused NetConnection.Connect.Rejected: no such application"]
    );
    assert_eq!(
        told(Goal::Publish, Owner::RefusesStream),
        ["refused NetStream.Publish.BadName: *** is taken, ***!"]
    );
    assert_eq!(
        told(Goal::Play, Owner::RefusesStream),
        ["refused NetStream.Play.StreamNotFound: no such stream"]
    );
}

#[test]
fn a_publisher_that_is_ended_hears_why() {
    let mut joined = Joined::new(spec(Goal::Publish), Owner::Accepts, &[1_000]);
    joined.run();
    joined.server.end_publish(PublishRefusal::Denied, "the key was revoked");
    joined.run();
    assert_eq!(
        joined.client_events,
        ["started 1", "ended NetStream.Publish.Denied: the key was revoked"]
    );
    joined.client.write_message(Kind::Video, 0, &[1]).unwrap();
    assert!(joined.client.output().is_empty());
}

#[test]
fn an_error_to_calls_that_do_not_matter_is_tolerated() {
    let mut joined = Joined::new(spec(Goal::Publish), Owner::Accepts, &[usize::MAX]);
    joined.run();
    for transaction in [2.0, 3.0, 6.0, 7.0] {
        let error = command(0, "_error", transaction, &[Value::Null, info(true, "Net.X", "")]);
        joined.client.feed(&error, T0, &pool()).unwrap();
    }
    assert!(joined.client.poll_event().is_none());
}

#[test]
fn a_ping_is_answered_and_a_bandwidth_too() {
    let mut joined = Joined::new(spec(Goal::Publish), Owner::Accepts, &[usize::MAX]);
    joined.run();
    let ping = message(type_id::USER_CONTROL, 0, 0, &[0, 6, 1, 2, 3, 4], 60_000);
    joined.client.feed(&ping, T0, &pool()).unwrap();
    assert!(joined.client.output().ends_with(&[0, 7, 1, 2, 3, 4]));
}

#[test]
fn media_without_play_start_starts_the_stream() {
    let mut joined = Joined::new(spec(Goal::Play), Owner::Accepts, &[usize::MAX]);
    // The owner has not decided yet when the media comes.
    while joined.client.poll_event().is_none() && joined.server_events.len() < 2 {
        let up = joined.client.output().to_vec();
        joined.client.consume_output(up.len());
        joined.server.feed(&up, T0, &joined.pool).unwrap();
        while let Some(event) = joined.server.poll_event() {
            joined.server.accept_connect();
            joined.server_events.push(event_text(&event));
        }
        let down = joined.server.output().to_vec();
        joined.server.consume_output(down.len());
        joined.client.feed(&down, T0, &joined.pool).unwrap();
    }
    let frame = message(type_id::VIDEO, 1, 9, &[0x17, 1], 60_000);
    joined.client.feed(&frame, T0, &joined.pool).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| joined.client.poll_event()).collect();
    let texts: Vec<_> = events.iter().map(client_text).collect();
    assert_eq!(texts, ["started 1", "Video 9 2"]);
}

#[test]
fn a_server_that_does_not_answer_or_goes_silent_is_given_up() {
    let mut client = Client::new(spec(Goal::Publish), T0, [1; 32]);
    assert_eq!(client.tick(T0 + Micros::from_secs(9)), Ok(()));
    let result = client.tick(T0 + Micros::from_secs(10));
    assert_eq!(result, Err(Error::Late("no complete handshake")));

    for (goal, want) in [(Goal::Play, Err(Error::Silent)), (Goal::Publish, Ok(()))] {
        let mut joined = Joined::new(spec(goal), Owner::Accepts, &[usize::MAX]);
        joined.run();
        assert_eq!(joined.client.tick(T0 + Micros::from_secs(29)), Ok(()));
        assert_eq!(joined.client.tick(T0 + Micros::from_secs(30)), want);
    }
}

#[test]
fn the_key_shows_nowhere_in_debug_output() {
    let mut joined = Joined::new(spec(Goal::Publish), Owner::Accepts, &[usize::MAX]);
    joined.run();
    let text = format!("{:?} {:?}", joined.client, joined.server);
    assert!(!text.contains("s3cret") && !text.contains("key=k"), "{text}");
}

#[test]
fn too_much_unread_output_is_refused_and_nothing_is_queued() {
    let mut joined = Joined::new(spec(Goal::Publish), Owner::Accepts, &[usize::MAX]);
    joined.run();
    let huge = vec![0; 0x100_0000];
    assert!(matches!(joined.client.write_message(Kind::Video, 0, &huge), Err(Error::Limit(_))));
    assert!(joined.client.output().is_empty());
    let large = vec![0; 0xff_ffff];
    let mut result = Ok(());
    for _ in 0..4 {
        result = result.and_then(|()| joined.client.write_message(Kind::Video, 0, &large));
    }
    assert!(matches!(result, Err(Error::Limit(_))));
}
