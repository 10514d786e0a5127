//! Tests of the HTTP session on the RTMP port.

use super::*;
use proptest::prelude::*;

const BY: Micros = Micros::from_secs(10);
const PINGS: Pings = Pings { every: Micros::from_secs(30), timeout: Micros::from_secs(60) };

fn session(cors: Cors) -> Session {
    Session::new(Arc::new(cors), BY, PINGS)
}

fn said(session: &mut Session) -> String {
    let text = String::from_utf8(session.output().to_vec()).unwrap();
    session.consume_output(text.len());
    text
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event()).collect()
}

fn request(method: &str, path: &str, more: &str) -> String {
    let more = more.replace('\n', "\r\n");
    format!("{method} {path} HTTP/1.1\r\nHost: node:1935\r\n{more}\r\n")
}

fn asked(method: &str, path: &str, more: &str) -> Session {
    let mut session = session(Cors::SameHost);
    session.feed(request(method, path, more).as_bytes());
    session
}

const SOCKET: &str = "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n\
                      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n";

#[test]
fn a_stream_follows_its_head_in_whatever_pieces_the_request_comes() {
    let bytes = request("GET", "/live/x.flv?a=b", "");
    for step in [1, 3, bytes.len()] {
        let mut session = session(Cors::SameHost);
        bytes.as_bytes().chunks(step).for_each(|part| session.feed(part));
        assert_eq!(events(&mut session), [Event::Play { path: "/live/x".into() }]);
        assert!(said(&mut session).is_empty(), "the owner decides");
        assert!(session.accept_play());
        let head = said(&mut session);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        for field in [
            "video/x-flv",
            "Transfer-Encoding: chunked",
            "Cache-Control: no-store",
            "X-Accel-Buffering: no",
        ] {
            assert!(head.contains(field), "{field} in {head}");
        }
        assert!(!head.contains("Content-Length") && !head.contains("Access-Control"), "{head}");
        session.feed(b"GET / HTTP/1.1\r\n\r\n");
        session.end_play();
        assert_eq!(said(&mut session), "0\r\n\r\n");
        session.end_play();
        assert!(said(&mut session).is_empty(), "one end");
    }
}

#[test]
fn a_client_of_http_1_0_gets_the_file_as_it_is_to_the_end_of_the_connection() {
    let mut session = session(Cors::SameHost);
    session.feed(b"GET /live/x.flv HTTP/1.0\r\n\r\n");
    assert!(session.accept_play() && !session.is_chunked());
    assert!(!said(&mut session).contains("Transfer-Encoding"));
    session.end_play();
    assert!(said(&mut session).is_empty());
}

#[test]
fn head_is_the_same_without_the_stream() {
    let mut session = asked("HEAD", "/live/x.flv", "");
    assert_eq!(events(&mut session).len(), 1);
    assert!(!session.accept_play());
    assert!(said(&mut session).contains("video/x-flv"));
    let mut missing = asked("HEAD", "/live/x.flv", "");
    missing.refuse_play("nobody");
    let head = said(&mut missing);
    assert!(head.starts_with("HTTP/1.1 404") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn a_viewer_too_many_is_told_to_come_later() {
    let mut session = asked("GET", "/live/x.flv", "");
    session.refuse_full("no more viewers");
    let answer = said(&mut session);
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nno more viewers\n"), "{answer}");
}

#[test]
fn a_stream_that_is_not_there_is_a_text() {
    let mut session = asked("GET", "/live/x.flv", "");
    session.refuse_play("nobody publishes");
    let answer = said(&mut session);
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    assert!(answer.contains("Content-Length: 17\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nnobody publishes\n"), "{answer}");
    assert!(!session.accept_play(), "too late");
}

#[test]
fn everything_else_is_refused_with_its_code() {
    for (method, path, more, code) in [
        ("GET", "/", "", 404),
        ("GET", "/live/x", "", 404),
        ("POST", "/live/x.flv", "", 405),
        ("PUT", "/live/x.flv", "", 405),
        ("GET", "/live/x.flv", "Content-Length: 4\n", 400),
        ("GET", "live", "", 400),
        ("GET", "/live/x.flv", &SOCKET.replace("13", "8"), 426),
        ("GET", "/live/x.flv", &format!("{SOCKET}Origin: http://evil\n"), 403),
    ] {
        let mut session = asked(method, path, more);
        let answer = said(&mut session);
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{method} {path}: {answer}");
        assert!(matches!(events(&mut session)[..], [Event::Over(_)]));
    }
}

#[test]
fn a_head_that_is_too_large_or_too_late_is_told_so() {
    let mut large = session(Cors::SameHost);
    large.feed(b"GET /live/x.flv HTTP/1.1\r\nX: ");
    for _ in 0..100 {
        large.feed(&[b'x'; 1_000]);
    }
    assert!(said(&mut large).starts_with("HTTP/1.1 431 "));
    assert_eq!(events(&mut large).len(), 1);
    let mut late = session(Cors::SameHost);
    late.feed(b"GET /live/x");
    assert!(late.tick(Micros(BY.0 - 1)).is_ok());
    assert!(late.tick(BY).is_err());
    assert!(said(&mut late).starts_with("HTTP/1.1 408 "));
    assert!(late.tick(BY).is_ok(), "once");
    let mut waiting = asked("GET", "/live/x.flv", "");
    assert!(waiting.tick(BY).is_ok(), "the wait for a stream is the owner's business");
}

#[test]
fn pages_of_the_same_host_and_no_others_may_read() {
    let mut ours = asked("GET", "/live/x.flv", "Origin: http://node:8080\n");
    ours.accept_play();
    let head = said(&mut ours);
    assert!(head.contains("Access-Control-Allow-Origin: http://node:8080\r\n"), "{head}");
    assert!(head.contains("Vary: Origin\r\n"), "{head}");
    let mut other = asked("GET", "/live/x.flv", "Origin: http://evil\n");
    other.accept_play();
    assert!(!said(&mut other).contains("Allow-Origin"));
    let mut all = session(Cors::Any);
    all.feed(request("GET", "/live/x.flv", "Origin: http://evil\n").as_bytes());
    all.refuse_play("no");
    let head = said(&mut all);
    assert!(head.contains("Access-Control-Allow-Origin: *\r\n") && !head.contains("Vary"));
}

#[test]
fn a_browser_that_asks_before_it_asks_is_answered() {
    let more = "Origin: http://node:8080\nAccess-Control-Request-Method: GET\n";
    let mut session = asked("OPTIONS", "/live/x.flv", more);
    let answer = said(&mut session);
    assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n"), "{answer}");
    assert!(answer.contains("Access-Control-Allow-Origin: http://node:8080\r\n"), "{answer}");
    assert!(answer.contains("Access-Control-Allow-Methods: GET"), "{answer}");
}

#[test]
fn a_web_socket_is_opened_pinged_and_closed() {
    let mut session = asked("GET", "/live/x.flv", SOCKET);
    assert_eq!(events(&mut session), [Event::Play { path: "/live/x".into() }]);
    assert!(session.is_web_socket());
    session.feed(&[0x89, 0x80, 0, 0, 0, 0]);
    assert!(said(&mut session).is_empty(), "not before its answer");
    assert!(session.accept_play() && session.is_web_socket());
    let head = said(&mut session);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    session.feed(&[0x89, 0x82, 0, 0, 0, 0, b'h', b'i']);
    assert_eq!(session.output(), [0x8a, 2, b'h', b'i']);
    session.consume_output(4);
    session.feed(&[0x88, 0x80, 0, 0, 0, 0, 1, 2, 3]);
    assert_eq!(session.output(), [0x88, 2, 3, 232]);
    assert!(matches!(events(&mut session)[..], [Event::Over(_)]));
    session.end_play();
    session.feed(&[0x89, 0x80, 0, 0, 0, 0]);
    assert_eq!(session.output().len(), 4, "one goodbye");
}

#[test]
fn who_closes_a_web_socket_before_it_is_open_is_answered_as_well() {
    for frames in [&b"\x88\x80\0\0\0\0"[..], b"\x21\0"] {
        let mut session = asked("GET", "/live/x.flv", SOCKET);
        session.feed(frames);
        assert!(matches!(events(&mut session)[..], [Event::Play { .. }, Event::Over(_)]));
        assert!(said(&mut session).starts_with("HTTP/1.1 400 Bad Request\r\n"));
        assert!(!session.accept_play(), "too late");
    }
}

#[test]
fn the_end_of_the_stream_closes_the_web_socket() {
    let mut session = asked("GET", "/live/x.flv", SOCKET);
    session.accept_play();
    said(&mut session);
    session.end_play();
    assert_eq!(session.output(), [0x88, 2, 3, 232]);
}

#[test]
fn who_waits_for_a_stream_when_the_node_stops_is_told() {
    let mut session = asked("GET", "/live/x.flv", "");
    session.end_play();
    assert!(said(&mut session).starts_with("HTTP/1.1 503 "));
}

proptest! {
    #[test]
    fn no_input_makes_it_panic_or_grow(
        parts in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                Just(b"GET /live/x.flv HTTP/1.1\r\n".to_vec()),
                Just(b"Host: a\r\n".to_vec()),
                Just(SOCKET.replace('\n', "\r\n").into_bytes()),
                Just(b"\r\n".to_vec()),
                Just(vec![b'a'; 5_000]),
            ],
            0..12,
        ),
        accepted: bool,
    ) {
        let mut session = session(Cors::SameHost);
        let mut overs = 0;
        for part in parts {
            session.feed(&part);
            for event in events(&mut session) {
                match event {
                    Event::Play { .. } if accepted => drop(session.accept_play()),
                    Event::Play { .. } => session.refuse_play("no"),
                    Event::Over(_) => overs += 1,
                }
            }
            prop_assert!(session.output().len() < 2_000);
            session.consume_output(session.output().len());
        }
        prop_assert!(overs <= 1);
    }
}

#[test]
fn who_plays_over_a_web_socket_is_pinged_and_given_up_when_nothing_comes() {
    let at = |seconds| BY + Micros::from_secs(seconds);
    let mut session = asked("GET", "/live/x.flv", SOCKET);
    assert!(session.accept_play());
    session.consume_output(session.output().len());
    let pong = [0x8a, 0x80, 1, 2, 3, 4];
    for round in 0..5 {
        assert_eq!(session.tick(at(round * 30)), Ok(()));
        let ping = if round == 0 { &[][..] } else { &[0x89, 0][..] };
        assert_eq!(session.output(), ping, "round {round}");
        session.consume_output(2);
        session.feed(&pong);
    }
    assert_eq!(session.tick(at(121)), Ok(()), "the last pong is heard");
    assert_eq!(session.tick(at(150)), Ok(()));
    assert_eq!(session.tick(at(180)), Ok(()));
    assert_eq!(session.tick(at(181)), Err(Overdue::Silence));
    let mut plain = asked("GET", "/live/x.flv", "");
    assert!(plain.accept_play());
    plain.consume_output(plain.output().len());
    assert_eq!((plain.tick(at(9_000)), plain.output()), (Ok(()), &[][..]), "HTTP has no pings");
}

#[test]
fn who_plays_over_a_web_socket_is_given_up_only_after_it_had_time_to_answer_a_ping() {
    let at = |seconds| BY + Micros::from_secs(seconds);
    let mut session = asked("GET", "/live/x.flv", SOCKET);
    assert!(session.accept_play());
    session.consume_output(session.output().len());
    assert_eq!(session.tick(at(0)), Ok(()));
    // The machine does not run the node for two minutes.
    assert_eq!((session.tick(at(120)), session.output()), (Ok(()), &[0x89, 0][..]));
    session.consume_output(2);
    // The ping waits behind a message that the client is still taking.
    for second in 121..=200 {
        session.hold_back(at(second));
        assert_eq!(session.tick(at(second)), Ok(()));
    }
    assert_eq!(session.tick(at(229)), Ok(()));
    assert_eq!(session.tick(at(230)), Err(Overdue::Silence));
    assert!(session.is_web_socket(), "it is for its owner to end it");
}

#[test]
fn a_snapshot_is_one_jpeg_which_a_client_that_has_it_is_not_sent_again() {
    let given = |method: &str, more: &str| {
        let mut session = asked(method, "/snapshot/live/x.jpg?width=320", more);
        assert_eq!(events(&mut session), [Event::Play { path: "/live/x".into() }]);
        assert!(session.wants_picture() && !session.accept_play() && session.wants_picture());
        assert_eq!(session.query(), "width=320");
        session.give_picture("\"a-320\"", b"JPEG");
        let text = said(&mut session);
        session.end_play();
        assert!(said(&mut session).is_empty(), "all has been said");
        text
    };
    let whole = given("GET", "If-None-Match: \"b-320\"\n");
    assert!(whole.starts_with("HTTP/1.1 200 OK\r\n") && whole.ends_with("\r\n\r\nJPEG"), "{whole}");
    for field in ["image/jpeg", "Content-Length: 4", "ETag: \"a-320\"", "no-cache"] {
        assert!(whole.contains(field), "{field} in {whole}");
    }
    let head = given("HEAD", "");
    assert!(head.contains("Content-Length: 4\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    for known in ["\"a-320\"", "W/\"a-320\"", "\"b\", \"a-320\"", "*"] {
        let short = given("GET", &format!("If-None-Match: {known}\n"));
        assert!(short.starts_with("HTTP/1.1 304 ") && short.ends_with("\r\n\r\n"), "{short}");
    }
    let mut wrong = asked("GET", "/snapshot/live/x.jpg?width=no", "");
    wrong.refuse_request("what would be right");
    assert!(said(&mut wrong).starts_with("HTTP/1.1 400 "));
    for path in ["/snapshot.jpg", "/snapshotlive/x.jpg", "/live/x.jpg"] {
        let mut session = asked("GET", path, "");
        assert!(said(&mut session).starts_with("HTTP/1.1 404 "), "{path}");
    }
}
