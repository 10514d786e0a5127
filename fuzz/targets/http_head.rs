//! HTTP request heads on the RTMP port: the same is understood however the bytes come, no more is
//! kept than the limit, everything is answered, and what is understood is what httparse reads.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, OnceLock};
use stream_manager_fuzz::expanded;
use stream_manager_fuzz::media::{Micros, Pings};
use stream_manager_fuzz::web::{Cors, Event, HEAD_BYTES_MAX, Overdue, Session};

const BY: Micros = Micros::from_secs(10);

/// Most of an answer beside what it repeats of the head.
const ANSWER_BYTES_MAX: usize = 1_024;

/// Header lines for httparse, more than a request may have.
const LINES_MAX: usize = 1_024;

fn session(mode: u8) -> Session {
    static CORS: OnceLock<[Arc<Cors>; 4]> = OnceLock::new();
    let all = CORS.get_or_init(|| {
        ["same-host", "*", "", "https://a.example"].map(|text| Arc::new(text.parse().expect("one")))
    });
    let pings = Pings { every: Micros::from_secs(30), timeout: Micros::from_secs(60) };
    Session::new(Arc::clone(&all[usize::from(mode & 3)]), BY, pings)
}

/// What a client brings about: events, the query, and the answer.
type Came = (Vec<Event>, String, Vec<u8>);

/// Feeds a head, decides when all of it has come, and feeds what follows.
fn answered(mode: u8, head: &[u8], after: &[u8], step: usize) -> Came {
    let mut session = session(mode);
    head.chunks(step).for_each(|piece| session.feed(piece));
    let query = session.query().to_owned();
    match mode >> 2 & 7 {
        0 | 1 => drop(session.accept_play()),
        2 => session.refuse_play("no"),
        3 => session.refuse_full("full"),
        4 => session.forbid_play("forbidden"),
        _ => {}
    }
    after.chunks(step).for_each(|piece| session.feed(piece));
    if session.tick(BY) == Err(Overdue::Request) {
        assert!(session.output().starts_with(b"HTTP/1.1 408 "));
    }
    session.end_play();
    let output = session.output().to_vec();
    session.consume_output(output.len());
    session.feed(b"GET / HTTP/1.1\r\n\r\n");
    assert!(session.output().is_empty() && session.tick(BY).is_ok(), "it is over");
    let events: Vec<_> = std::iter::from_fn(|| session.poll_event()).collect();
    assert!(output.len() <= head.len() + after.len() + ANSWER_BYTES_MAX, "{}", output.len());
    assert!(output.starts_with(b"HTTP/1.1 "));
    (events, query, output)
}

/// How many of the bytes decide something.
fn head_len(mode: u8, bytes: &[u8]) -> Option<usize> {
    let mut session = session(mode);
    let place = bytes.iter().position(|byte| {
        session.feed(std::slice::from_ref(byte));
        !session.output().is_empty() || session.poll_event().is_some()
    });
    place.map(|at| at + 1)
}

/// What httparse makes of it: length, method and target.
fn otherwise(head: &[u8]) -> Option<(usize, String, String)> {
    let mut lines = [httparse::EMPTY_HEADER; LINES_MAX];
    let mut request = httparse::Request::new(&mut lines);
    match request.parse(head) {
        Ok(httparse::Status::Complete(count)) => {
            Some((count, request.method?.to_owned(), request.path?.to_owned()))
        }
        _ => None,
    }
}

fuzz_target!(|data: &[u8]| {
    let [mode, step, data @ ..] = data else { return };
    let bytes = expanded(data);
    let len = head_len(*mode, &bytes);
    assert!(len.unwrap_or(bytes.len()) <= HEAD_BYTES_MAX + 1, "more is kept than the limit");
    let (head, after) = bytes.split_at(len.unwrap_or(bytes.len()));
    let whole = answered(*mode, head, after, usize::MAX);
    assert_eq!(whole, answered(*mode, head, after, usize::from(*step).max(1)));

    let [Event::Play { path }, ..] = &whole.0[..] else { return };
    assert!(path.len() + whole.1.len() < head.len());
    let Some((count, method, target)) = otherwise(&bytes) else { return };
    assert_eq!(count, head.len(), "where the head ends");
    assert!(matches!(method.as_str(), "GET" | "HEAD"));
    let target = target.split('#').next().unwrap_or_default();
    let (asked, query) = target.split_once('?').unwrap_or((target, ""));
    assert!(asked.ends_with(&format!("{path}.flv")) && whole.1 == query);
});
