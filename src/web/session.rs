//! One HTTP client, from its request to the end of what it plays.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::answer::{self, Status};
use super::cors::Cors;
use super::frames::{self, Frames, NORMAL};
use super::request::{self, Fault, HEAD_BYTES_MAX, Method, Query, Request, Upgrade};
use crate::media::{KeepAlive, Micros, Pings};

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It wants to play, or to know whether it could: answer with `accept_play` or `refuse_play`,
    /// at any time; with `give_picture` if [`Session::wants_picture`].
    Play {
        /// The path as it was sent, without what tells the form: slash, application, slash, name.
        path: String,
    },
    /// It has been answered, or wants no more: send the output, and close once the client has had
    /// time to read it.
    Over(&'static str),
}

/// One client that asks for a stream.
///
/// After every `feed` drain `poll_event`, and send `output` before the stream, and between two of
/// its messages. `tick` at least once a second.
#[derive(Debug, Serialize, Deserialize)]
pub struct Session {
    state: State,
    cors: Arc<Cors>,
    output: Vec<u8>,
    #[serde(skip)]
    events: VecDeque<Event>,
    pings: Pings,
}

/// Which deadline has passed: send the output and close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// That of the request.
    Request,
    /// That of a sign of life.
    Silence,
}

impl Overdue {
    /// What is said about it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Request => "the client was too slow: no complete request",
            Self::Silence => "the client does not answer pings",
        }
    }
}

/// A WebSocket's signs of life.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Life {
    /// Whether something has come since the last look.
    heard: bool,
    /// From the first look at one that plays on.
    kept: Option<KeepAlive>,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    /// The head of the request, as far as it has come.
    Head {
        #[serde(with = "crate::media::instants")]
        by: Micros,
        bytes: Vec<u8>,
    },
    /// The owner decides. What the client says meanwhile is read as what it will be.
    Asked(Undecided),
    /// The stream flows.
    Plays(Form),
    /// Everything has been said.
    Over,
}

#[derive(Debug, Serialize, Deserialize)]
struct Undecided {
    /// Lines about pages of other servers.
    cors: String,
    /// Whether it wants only the head.
    only_head: bool,
    query: Query,
    form: Form,
}

#[derive(Debug, Serialize, Deserialize)]
enum Form {
    /// Whether in chunks of HTTP.
    Flv {
        in_chunks: bool,
    },
    /// A picture of the stream; the client has those with these tags.
    Picture {
        known: Option<String>,
    },
    WebSocket {
        accept: String,
        frames: Box<Frames>,
        life: Life,
    },
}

impl Session {
    /// A client whose request has to be complete by `by`.
    #[must_use]
    pub fn new(cors: Arc<Cors>, by: Micros, pings: Pings) -> Self {
        let state = State::Head { by, bytes: Vec::new() };
        Self { state, cors, output: Vec::new(), events: VecDeque::new(), pings }
    }

    /// Whether it does not contradict itself, as what is read from a snapshot may.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        match &self.state {
            State::Head { bytes, .. } => bytes.len() <= HEAD_BYTES_MAX,
            State::Asked(Undecided { form: Form::WebSocket { frames, .. }, .. })
            | State::Plays(Form::WebSocket { frames, .. }) => frames.is_whole(),
            State::Asked(_) | State::Plays(_) | State::Over => true,
        }
    }

    /// Takes what the client sent.
    pub fn feed(&mut self, input: &[u8]) {
        match &mut self.state {
            State::Head { bytes, .. } => {
                let searched = bytes.len();
                // One byte beyond the limit is enough to know.
                let room = HEAD_BYTES_MAX + 1 - searched.min(HEAD_BYTES_MAX + 1);
                let (taken, after) = input.split_at(input.len().min(room));
                bytes.extend_from_slice(taken);
                match request::head_len(bytes, searched) {
                    Ok(None) => {}
                    Ok(Some(len)) => {
                        let bytes = std::mem::take(bytes);
                        self.on_head(&bytes[..len]);
                        self.receive(&bytes[len..]);
                        self.receive(after);
                    }
                    Err(fault) => self.on_fault(fault),
                }
            }
            State::Asked(_) | State::Plays(_) | State::Over => self.receive(input),
        }
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Looks at deadlines, and pings who plays over a WebSocket.
    ///
    /// # Errors
    /// The one that has passed: send the output and close.
    pub fn tick(&mut self, now: Micros) -> Result<(), Overdue> {
        if matches!(self.state, State::Head { by, .. } if now >= by) {
            self.refuse(Status::Late, "no complete request came in time", "", true);
            self.events.clear();
            return Err(Overdue::Request);
        }
        let State::Plays(Form::WebSocket { life, .. }) = &mut self.state else { return Ok(()) };
        let kept = life.kept.get_or_insert_with(|| KeepAlive::new(now));
        if std::mem::take(&mut life.heard) {
            kept.receive(now);
        }
        if kept.is_due(now, self.pings) {
            self.output.extend(frames::ping());
        }
        if kept.is_gone(now, self.pings) { Err(Overdue::Silence) } else { Ok(()) }
    }

    /// Bytes of [`Session::output`] that were taken have not left at `now`: a client cannot have
    /// answered what is among them. Before `tick`, as long as that is so.
    pub const fn hold_back(&mut self, now: Micros) {
        if let State::Plays(Form::WebSocket { life: Life { kept: Some(kept), .. }, .. }) =
            &mut self.state
        {
            kept.hold_back(now);
        }
    }

    /// Bytes to be sent.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// The first `n` bytes of [`Session::output`] have been sent.
    pub fn consume_output(&mut self, n: usize) {
        if n >= self.output.len() {
            self.output = Vec::new();
        } else {
            self.output.drain(..n);
        }
    }

    /// Whether the stream is to come as WebSocket frames.
    #[must_use]
    pub const fn is_web_socket(&self) -> bool {
        matches!(
            self.state,
            State::Plays(Form::WebSocket { .. })
                | State::Asked(Undecided { form: Form::WebSocket { .. }, .. })
        )
    }

    /// Whether the stream is to come in chunks of HTTP. The session says the last one.
    #[must_use]
    pub const fn is_chunked(&self) -> bool {
        matches!(
            self.state,
            State::Plays(Form::Flv { in_chunks: true })
                | State::Asked(Undecided { form: Form::Flv { in_chunks: true }, .. })
        )
    }

    /// The stream is there. `true`: it is to follow what is in `output`. `false`: the client only
    /// wanted to know, or wants no more; it is over.
    pub fn accept_play(&mut self) -> bool {
        if self.wants_picture() {
            return false;
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Asked(Undecided { cors, only_head, form, .. }) => {
                let head = match &form {
                    Form::Flv { in_chunks } => answer::stream(&cors, *in_chunks),
                    Form::WebSocket { accept, .. } => answer::web_socket(accept),
                    Form::Picture { .. } => return false,
                };
                self.output.extend_from_slice(head.as_bytes());
                if !only_head {
                    self.state = State::Plays(form);
                }
                !only_head
            }
            state => {
                self.state = state;
                false
            }
        }
    }

    /// Whether it asks for one picture of the stream.
    #[must_use]
    pub const fn wants_picture(&self) -> bool {
        matches!(self.state, State::Asked(Undecided { form: Form::Picture { .. }, .. }))
    }

    /// The picture that it wants, a JPEG with its tag in quotes; it is over.
    pub fn give_picture(&mut self, etag: &str, jpeg: &[u8]) {
        let State::Asked(Undecided { cors, only_head, form: Form::Picture { known }, .. }) =
            &self.state
        else {
            return;
        };
        let has = |tag: &str| tag == "*" || tag.trim_start_matches("W/") == etag;
        if known.iter().flat_map(|known| known.split(',')).any(|tag| has(tag.trim())) {
            self.output.extend_from_slice(answer::not_modified(etag, cors).as_bytes());
        } else {
            let head = answer::picture(etag, cors, jpeg.len());
            self.output.extend_from_slice(head.as_bytes());
            self.output.extend_from_slice(if *only_head { &[] } else { jpeg });
        }
        self.state = State::Over;
    }

    /// Its request cannot be met; `text` says what would be right.
    pub fn refuse_request(&mut self, text: &str) {
        self.refuse_undecided(Status::Bad, text);
    }

    /// There is no such stream; `text` says so to the client's user.
    pub fn refuse_play(&mut self, text: &str) {
        self.refuse_undecided(Status::NotFound, text);
    }

    /// The stream is there, but no more viewers are taken; `text` says so to the client's user.
    pub fn refuse_full(&mut self, text: &str) {
        self.refuse_undecided(Status::Unavailable, text);
    }

    /// The stream has ended, or the node ends: what the client plays, or waits for.
    pub fn end_play(&mut self) {
        match &self.state {
            State::Plays(Form::WebSocket { .. }) => self.close_socket(NORMAL),
            State::Plays(Form::Flv { in_chunks }) => {
                if *in_chunks {
                    self.output.extend_from_slice(answer::LAST_CHUNK);
                }
                self.state = State::Over;
            }
            State::Asked(_) => self.refuse_undecided(Status::Unavailable, "the node stops"),
            State::Plays(Form::Picture { .. }) | State::Head { .. } | State::Over => {}
        }
    }

    /// This client may not play it; `text` says why to its user.
    pub fn forbid_play(&mut self, text: &str) {
        self.refuse_undecided(Status::Forbidden, text);
    }

    /// The query of a request that is not decided yet, not decoded. It may hold a secret.
    #[must_use]
    pub fn query(&self) -> &str {
        match &self.state {
            State::Asked(undecided) => &undecided.query.0,
            State::Head { .. } | State::Plays(_) | State::Over => "",
        }
    }

    fn refuse_undecided(&mut self, status: Status, text: &str) {
        if let State::Asked(Undecided { cors, only_head, .. }) = &mut self.state {
            let (cors, with_body) = (std::mem::take(cors), !*only_head);
            self.refuse(status, text, &cors, with_body);
        }
    }

    fn refuse(&mut self, status: Status, text: &str, cors: &str, with_body: bool) {
        let text = answer::text(status, text, cors, with_body);
        self.output.extend_from_slice(text.as_bytes());
        self.state = State::Over;
    }

    fn close_socket(&mut self, code: u16) {
        self.output.extend(frames::close(code));
        self.state = State::Over;
    }

    fn on_head(&mut self, head: &[u8]) {
        match request::parse(head) {
            Ok(request) => self.on_request(request),
            Err(fault) => self.on_fault(fault),
        }
    }

    fn on_fault(&mut self, fault: Fault) {
        let (status, text) = match fault {
            Fault::Bad(text) => (Status::Bad, text),
            Fault::TooLarge => (Status::TooLarge, "the request's head is over 8 KiB"),
            Fault::Version => (Status::Version, "speak HTTP/1.1"),
        };
        self.refuse(status, text, "", true);
        self.events.push_back(Event::Over(text));
    }

    fn on_request(&mut self, request: Request) {
        let cors = answer::cors_fields(&self.cors, &request);
        let only_head = request.method == Method::Head;
        let is_ours = request.origin.as_ref().is_none_or(|origin| {
            self.cors.allowed(origin, &request.host).is_some() // browsers leave this check to us
        });
        let (status, text) = match (request.method, request.upgrade) {
            (Method::Other, _) => (Status::Method, "a stream can only be got: GET"),
            (Method::Options, _) => {
                self.output.extend_from_slice(answer::preflight(&cors).as_bytes());
                self.state = State::Over;
                return self.events.push_back(Event::Over("answered"));
            }
            (_, Upgrade::OtherVersion) => (Status::Upgrade, "speak version 13 of WebSocket"),
            (_, Upgrade::WebSocket(_)) if !is_ours => {
                (Status::Forbidden, "pages of this origin may not play; see [delivery] cors")
            }
            (_, upgrade) => match asked(&request.path) {
                Some((path, is_picture)) => {
                    let form = match upgrade {
                        _ if is_picture => Form::Picture { known: request.known },
                        Upgrade::WebSocket(accept) => {
                            let (frames, life) = (Box::default(), Life::default());
                            Form::WebSocket { accept, frames, life }
                        }
                        Upgrade::No | Upgrade::OtherVersion => {
                            Form::Flv { in_chunks: request.takes_chunks }
                        }
                    };
                    let (path, query) = (path.to_owned(), request.query);
                    self.state = State::Asked(Undecided { cors, only_head, query, form });
                    return self.events.push_back(Event::Play { path });
                }
                None => (Status::NotFound, "streams are played at /APP/NAME.flv"),
            },
        };
        self.refuse(status, text, &cors, !only_head);
        self.events.push_back(Event::Over(text));
    }

    /// What comes after the request: only a WebSocket client has something to say.
    fn receive(&mut self, input: &[u8]) {
        let form = match &mut self.state {
            State::Plays(form) | State::Asked(Undecided { form, .. }) => form,
            State::Head { .. } | State::Over => return,
        };
        let Form::WebSocket { frames, life, .. } = form else { return };
        life.heard |= !input.is_empty();
        let mut pongs = Vec::new();
        let Some(code) = frames.feed(input, &mut pongs) else {
            // Before the answer to its request a client may not speak: nothing is said to it then.
            if matches!(self.state, State::Plays(_)) {
                self.output.append(&mut pongs);
            }
            return;
        };
        if matches!(self.state, State::Plays(_)) {
            self.output.append(&mut pongs);
            self.close_socket(code);
        } else {
            self.refuse_undecided(Status::Bad, CLOSED);
        }
        self.events.push_back(Event::Over(CLOSED));
    }
}

/// The stream's path in that of a request, and whether a picture of it is wanted.
fn asked(path: &str) -> Option<(&str, bool)> {
    let picture = || path.strip_prefix("/snapshot")?.strip_suffix(".jpg");
    let stream = path.strip_suffix(".flv").map(|path| (path, false));
    stream.or_else(|| picture().filter(|path| path.starts_with('/')).map(|path| (path, true)))
}

const CLOSED: &str = "the client closed its WebSocket";

#[cfg(test)]
mod tests;
