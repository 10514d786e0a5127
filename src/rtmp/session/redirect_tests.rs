//! The client with servers that send it elsewhere, or ask who it is.

use proptest::prelude::*;

use crate::frame::PacketPool;
use crate::rtmp::amf0::Value;
use crate::rtmp::chunk::Reader;
use crate::rtmp::limits::QUERY_BYTES_MAX;
use crate::rtmp::message::Command;
use crate::rtmp::{Client, ClientEvent, ClientSpec, Goal, Query, Server, ServerSpec, Url};

use super::harness::{Bench, T0, command, connect_object, hello, pool};
use super::status::{info, text_of};

/// A client whose handshake is over, and what it said in `connect`.
struct Peer {
    client: Client,
    connect: Value,
    pool: PacketPool,
}

impl Peer {
    fn new(spec: ClientSpec) -> Self {
        let pool = pool();
        let mut client = Client::new(spec, T0, [1; 32]);
        let mut server = Server::new(ServerSpec::default(), T0, [2; 32]);
        let mut said = Vec::new();
        for _ in 0..3 {
            let up = client.output().to_vec();
            client.consume_output(up.len());
            said.extend(&up);
            server.feed(&up, T0, &pool).unwrap();
            let down = server.output().to_vec();
            server.consume_output(down.len());
            client.feed(&down, T0, &pool).unwrap();
        }
        let mut rest = &said[hello().len()..];
        let message = Reader::default().read(&mut rest, &pool).unwrap().unwrap();
        let connect = Command::parse(&message.body).unwrap().object;
        Self { client, connect, pool }
    }

    fn to(url: &str) -> Self {
        Self::new(ClientSpec::new(&Url::parse(url).unwrap(), Goal::Publish))
    }

    fn receive(&mut self, name: &str, transaction: f64, info: Value) -> Vec<String> {
        let bytes = command(0, name, transaction, &[Value::Null, info]);
        self.client.feed(&bytes, T0, &self.pool).unwrap();
        self.events()
    }

    fn rejected(&mut self, description: &str) -> Vec<String> {
        self.receive("_error", 1.0, info(true, "NetConnection.Connect.Rejected", description))
    }

    fn events(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.client.poll_event()).map(|event| text(&event)).collect()
    }

    fn said(&self, name: &str) -> &str {
        text_of(&self.connect, name)
    }
}

fn text(event: &ClientEvent) -> String {
    match event {
        ClientEvent::Started { stream_id } => format!("started {stream_id}"),
        ClientEvent::Message { .. } => "message".to_owned(),
        ClientEvent::Authenticate { query } => format!("authenticate {}", query.expose()),
        ClientEvent::Redirect { to } => format!("redirect {} {}", to.tc_url(), to.name().expose()),
        ClientEvent::Reconnect { to } => {
            format!("reconnect {} {}", to.tc_url(), to.name().expose())
        }
        ClientEvent::Refused { description, .. } => format!("refused: {description}"),
        ClientEvent::Ended { description, .. } => format!("ended: {description}"),
    }
}

fn with(info: Value, name: &str, value: Value) -> Value {
    let Value::Object(mut members) = info else { unreachable!() };
    members.push((name.to_owned(), value));
    Value::Object(members)
}

const NEED_AUTH: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";

#[test]
fn a_login_takes_three_connections_and_never_sends_the_password() {
    let url = Url::parse("rtmp://bob:s3cret@host/live/key").unwrap();
    let spec = ClientSpec::new(&url, Goal::Publish);
    let mut first = Peer::new(spec.clone());
    assert_eq!((first.said("app"), first.said("tcUrl")), ("live", "rtmp://host/live"));
    assert_eq!(first.rejected(NEED_AUTH), ["authenticate authmod=adobe&user=bob"]);

    let query = Query::new("authmod=adobe&user=bob");
    let mut second = Peer::new(ClientSpec { query, ..spec.clone() });
    assert_eq!(second.said("app"), "live?authmod=adobe&user=bob");
    assert_eq!(second.said("tcUrl"), "rtmp://host/live?authmod=adobe&user=bob");
    let challenge = "[ AccessManager.Reject ] : [ authmod=adobe ] : \
                     ?reason=needauth&user=bob&salt=S&challenge=C&opaque=O";
    let events = second.rejected(challenge);
    let query = events[0].strip_prefix("authenticate ").unwrap();
    assert!(query.starts_with("authmod=adobe&user=bob&challenge=01010101&response="));
    assert!(query.ends_with("==&opaque=O"), "{query}");

    let mut third = Peer::new(ClientSpec { query: Query::new(query), ..spec });
    assert_eq!(third.said("app"), format!("live?{query}"));
    assert!(
        third.receive("_result", 1.0, info(false, "NetConnection.Connect.Success", "")).is_empty()
    );
    assert!(!format!("{query} {:?}", third.client).contains("s3cret"));
}

#[test]
fn a_login_that_is_not_accepted_or_not_there_ends_in_a_refusal_that_says_so() {
    let asked = |url: &str, query: &str, description: &str| {
        let spec = ClientSpec::new(&Url::parse(url).unwrap(), Goal::Publish);
        Peer::new(ClientSpec { query: Query::new(query), ..spec }).rejected(description)
    };
    let failed = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed&opaque=O";
    let again = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&salt=S&opaque=O";
    let limelight = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=llnw ] : ";
    let bob = "rtmp://bob:pw@host/live/key";
    for (url, query, description, word) in [
        ("rtmp://host/live/key", "", NEED_AUTH, "add user:password@"),
        (bob, "authmod=adobe&user=bob", NEED_AUTH, "does not accept"),
        (bob, "authmod=adobe&user=bob&response=R", failed, "does not accept"),
        (bob, "authmod=adobe&user=bob&response=R", again, "does not accept"),
        (bob, "", limelight, "unknown kind"),
        (bob, "", "no such application", "no such application"),
    ] {
        let events = asked(url, query, description);
        assert_eq!(events.len(), 1);
        assert!(events[0].starts_with("refused: ") && events[0].contains(word), "{events:?}");
    }
    let endless = format!("{again}{}", "O".repeat(QUERY_BYTES_MAX));
    let code = "NetConnection.Connect.Rejected".into();
    let endless = Value::object([("code", code), ("description", endless.as_str().into())]);
    assert!(Peer::to(bob).receive("_error", 1.0, endless)[0].starts_with("refused: "));
}

#[test]
fn a_redirection_is_followed_before_the_stream_starts_and_after() {
    let ex = Value::object([
        ("code", 302.0.into()),
        ("redirect", "rtmp://other:19350/live".into()),
        ("redirect2", "rtmp://other:19350/live/x".into()),
    ]);
    let moved = info(true, "NetConnection.Connect.Rejected", "RTMP 302 Redirect");
    let moved = with(moved, "ex", ex);
    let there = ["redirect rtmp://other:19350/live key?k=v"];
    assert_eq!(Peer::to("rtmp://host/live/key?k=v").receive("_error", 1.0, moved.clone()), there);
    // SRS lets the connection succeed first, and tells with a status.
    let mut peer = Peer::to("rtmp://host/live/key?k=v");
    peer.receive("_result", 1.0, info(false, "NetConnection.Connect.Success", ""));
    assert_eq!(peer.receive("onStatus", 0.0, moved.clone()), there);
    assert!(peer.receive("onStatus", 0.0, moved).is_empty(), "once is enough");
}

#[test]
fn a_redirection_to_nowhere_is_a_refusal() {
    for target in [Value::Null, "".into(), "http://other/live".into(), "rtmp://".into(), 1.0.into()]
    {
        let ex = Value::object([("code", 302.0.into()), ("redirect", target)]);
        let moved = with(info(true, "NetConnection.Connect.Rejected", "moved"), "ex", ex);
        let events = Peer::to("rtmp://host/live/key").receive("_error", 1.0, moved);
        assert!(events[0].starts_with("refused: redirected, but it is"), "{events:?}");
    }
}

#[test]
fn a_redirected_client_keeps_the_query_it_was_given_when_it_logs_in() {
    let url = Url::parse("rtmp://bob:pw@host/live/key").unwrap();
    let there = url.redirected("rtmp://other/live?token=t").unwrap();
    let mut peer = Peer::new(ClientSpec::new(&there, Goal::Publish));
    assert_eq!(peer.said("app"), "live?token=t");
    assert_eq!(peer.rejected(NEED_AUTH), ["authenticate token=t&authmod=adobe&user=bob"]);
}

#[test]
fn a_request_to_reconnect_leaves_the_stream_as_it_is_until_the_client_finishes() {
    let mut peer = Peer::to("rtmp://host/live/key");
    peer.receive("_result", 1.0, info(false, "NetConnection.Connect.Success", ""));
    peer.receive("_result", 4.0, 1.0.into());
    let start = info(false, "NetStream.Publish.Start", "");
    assert_eq!(peer.receive("onStatus", 0.0, start), ["started 1"]);
    let request = info(false, "NetConnection.Connect.ReconnectRequest", "leaving");
    for (tc_url, there) in [
        (None, "reconnect rtmp://host/live key"),
        (Some("rtmp://other/app"), "reconnect rtmp://other/app key"),
        (Some("//other/app"), "reconnect rtmp://other/app key"),
        (Some("/app"), "reconnect rtmp://host/app key"),
    ] {
        let request = match tc_url {
            Some(tc_url) => with(request.clone(), "tcUrl", tc_url.into()),
            None => request.clone(),
        };
        assert_eq!(peer.receive("onStatus", 0.0, request), [there]);
    }
    let nowhere = with(request.clone(), "tcUrl", "http://other".into());
    assert!(peer.receive("onStatus", 0.0, nowhere).is_empty());
    peer.client.consume_output(usize::MAX);
    peer.client.write_message(crate::media::Kind::Video, 0, &[0x17]).unwrap();
    assert!(!peer.client.output().is_empty(), "the stream goes on");
    peer.client.finish();
    assert!(peer.receive("onStatus", 0.0, request).is_empty());
}

/// A server whose peer announced these bits.
fn server_of(caps_ex: f64) -> Bench {
    let mut bench = Bench::new();
    let object = with(connect_object("live"), "capsEx", caps_ex.into());
    bench.feed(&[hello(), command(0, "connect", 1.0, &[object])].concat()).unwrap();
    assert!(!bench.server.request_reconnect(None, "too early"));
    bench.server.accept_connect();
    bench.said();
    bench
}

#[test]
fn only_peers_that_understand_it_are_asked_to_reconnect() {
    let mut bench = server_of(1.0);
    assert!(bench.server.request_reconnect(Some("rtmp://other/live"), "the node stops"));
    let output = bench.server.output().to_vec();
    let (mut reader, pool) = (Reader::default(), pool());
    reader.set_chunk_size(60_000);
    let message = reader.read(&mut &output[..], &pool).unwrap().unwrap();
    let status = Command::parse(&message.body).unwrap();
    assert_eq!((message.stream_id, status.transaction), (0, 0.0));
    assert!(status.object == Value::Null);
    let info = &status.args[0];
    assert_eq!(text_of(info, "code"), "NetConnection.Connect.ReconnectRequest");
    assert_eq!(text_of(info, "level"), "status");
    assert_eq!(text_of(info, "tcUrl"), "rtmp://other/live");
    for bits in [0.0, 6.0, 14.0] {
        let mut bench = server_of(bits);
        assert!(!bench.server.request_reconnect(None, "the node stops"));
        assert!(bench.said().is_empty());
    }
}

#[test]
fn each_side_learns_what_the_other_announces() {
    let url = Url::parse("rtmp://host/live/key").unwrap();
    for (enhanced, goal) in [(true, Goal::Publish), (true, Goal::Play), (false, Goal::Play)] {
        let spec = ClientSpec { enhanced, ..ClientSpec::new(&url, goal) };
        let (mut client, pool) = (Client::new(spec, T0, [1; 32]), pool());
        let mut server = Server::new(ServerSpec::default(), T0, [2; 32]);
        for _ in 0..4 {
            let up = client.output().to_vec();
            client.consume_output(up.len());
            server.feed(&up, T0, &pool).unwrap();
            server.accept_connect();
            let down = server.output().to_vec();
            server.consume_output(down.len());
            client.feed(&down, T0, &pool).unwrap();
        }
        assert_eq!(server.capabilities().can_reconnect(), enhanced);
        assert_eq!(client.capabilities().is_enhanced(), enhanced);
        assert_eq!(client.capabilities().has_multitrack(), enhanced);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_description_and_target_is_survived(
        description in "(\\[ AccessManager.Reject \\] : \\[ )?.{0,20}(authmod=adobe)?.{0,20}\
                        (\\?reason=needauth&salt=)?.{0,40}",
        target in ".{0,60}",
        code in prop_oneof![Just(302.0), -1_000.0..1_000.0_f64],
    ) {
        let mut peer = Peer::to("rtmp://bob:s3cret@host/live/key");
        let ex = Value::object([("code", code.into()), ("redirect", target.as_str().into())]);
        let status = info(true, "NetConnection.Connect.Rejected", &description);
        let events = peer.receive("_error", 1.0, with(status, "ex", ex));
        let shown = events.concat();
        prop_assert!(events.len() <= 1 && !shown.contains("s3cret"), "{}", shown);
        let request = info(false, "NetConnection.Connect.ReconnectRequest", &description);
        peer.receive("onStatus", 0.0, with(request, "tcUrl", target.as_str().into()));
    }
}
