//! Head of an HTTP request (RFC 9112), read strictly: what could be understood in two ways is
//! refused.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

/// Longest head of a request: its first line and all its fields. A longer one is refused with 431.
pub const HEAD_BYTES_MAX: usize = 8 << 10;

/// Most fields of a head. One with more is refused with 431.
const HEAD_FIELDS_MAX: usize = 100;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Method,
    /// As it was sent, without the query.
    pub(super) path: String,
    pub(super) query: Query,
    /// Empty if there is none.
    pub(super) host: String,
    pub(super) origin: Option<String>,
    pub(super) upgrade: Upgrade,
    /// Which answers the client has: its `If-None-Match`.
    pub(super) known: Option<String>,
    /// Whether the client knows chunks: it speaks HTTP/1.1.
    pub(super) takes_chunks: bool,
}

/// What stood behind the question mark. It may hold a secret, so Debug does not show it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Query(pub(super) String);

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "" } else { "***" })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Options,
    Other,
}

/// Whether it asks for a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Upgrade {
    No,
    /// With this `Sec-WebSocket-Accept`.
    WebSocket(String),
    /// In a version that we do not speak.
    OtherVersion,
}

/// Why a head is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Bad(&'static str),
    TooLarge,
    Version,
}

/// How many bytes of `bytes` a whole head takes; `None` if there is more to come. `from` is where
/// the search may begin: the length of what was searched before.
///
/// # Errors
/// If it is too large.
pub(super) fn head_len(bytes: &[u8], from: usize) -> Result<Option<usize>, Fault> {
    let from = from.saturating_sub(END.len() - 1);
    let found = bytes.get(from..).unwrap_or_default().windows(END.len()).position(|w| w == END);
    let end = found.map(|at| from + at + END.len());
    if end.unwrap_or(bytes.len()) > HEAD_BYTES_MAX {
        return Err(Fault::TooLarge);
    }
    Ok(end)
}

const END: &[u8] = b"\r\n\r\n";

/// Reads a whole head.
///
/// # Errors
/// If it is not one.
pub(super) fn parse(head: &[u8]) -> Result<Request, Fault> {
    // A reader may take a line feed alone for the end of a line (RFC 9112 section 2.2). A proxy in
    // front of us may not, and then we would not see the same lines.
    let lines = head.iter().filter(|byte| **byte == b'\n').count();
    if head.windows(2).filter(|pair| pair == b"\r\n").count() != lines {
        return Err(Fault::Bad("a line ends in a bare line feed"));
    }
    let mut lines = [httparse::EMPTY_HEADER; HEAD_FIELDS_MAX];
    let mut request = httparse::Request::new(&mut lines);
    let (method, target, minor) = match request.parse(head) {
        Ok(httparse::Status::Complete(used)) if used == head.len() => {
            (request.method, request.path, request.version)
        }
        Ok(_) => return Err(Fault::Bad("the request is not whole")),
        Err(error) => return Err(error.into()),
    };
    let (Some(method), Some(target), Some(minor)) = (method, target, minor) else {
        return Err(Fault::Bad("the request is not whole"));
    };
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        _ => Method::Other,
    };
    if !target.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Fault::Bad("the target is not a path"));
    }
    let mut fields = Fields::default();
    request.headers.iter().try_for_each(|field| fields.add(field))?;
    if minor == 1 && fields.host.is_none() {
        return Err(Fault::Bad("a request needs a Host"));
    }
    let upgrade = fields.upgrade(method, minor)?;
    let (path, authority) = path_of(target)?;
    let query = target.split('#').next().and_then(|target| target.split_once('?'));
    let query = Query(query.map_or("", |(_, query)| query).to_owned());
    let host = authority.or(fields.host).unwrap_or_default().to_owned();
    let origin = fields.origin.map(str::to_owned);
    let known = fields.known.map(str::to_owned);
    let (path, takes_chunks) = (path.to_owned(), minor == 1);
    Ok(Request { method, path, query, host, origin, upgrade, known, takes_chunks })
}

impl From<httparse::Error> for Fault {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::Version => Self::Version,
            httparse::Error::TooManyHeaders => Self::TooLarge,
            httparse::Error::HeaderName => Self::Bad("a header's name is not a word"),
            httparse::Error::HeaderValue => Self::Bad("a header has control characters"),
            _ => Self::Bad("the request line is not METHOD TARGET HTTP/1.1"),
        }
    }
}

/// The path of a target, and the host if the target is a whole URL.
fn path_of(target: &str) -> Result<(&str, Option<&str>), Fault> {
    let target = target.split(['?', '#']).next().unwrap_or_default();
    if target.starts_with('/') || target == "*" {
        return Ok((target, None));
    }
    let rest = ["http://", "https://"].into_iter().find_map(|scheme| target.strip_prefix(scheme));
    let rest = rest.ok_or(Fault::Bad("the target is not a path"))?;
    let path = rest.find('/').unwrap_or(rest.len());
    Ok((&rest[path..], Some(&rest[..path])))
}

/// The fields that we look at.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a str>,
    origin: Option<&'a str>,
    upgrades: bool,
    connection_upgrades: bool,
    key: Option<&'a str>,
    known: Option<&'a str>,
    version: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn add(&mut self, field: &httparse::Header<'a>) -> Result<(), Fault> {
        let name = field.name.to_ascii_lowercase();
        let Ok(value) = str::from_utf8(field.value) else {
            return Err(Fault::Bad("a header is not text"));
        };
        let has = |word: &str| {
            value.split(',').any(|one| one.trim_matches([' ', '\t']).eq_ignore_ascii_case(word))
        };
        match name.as_str() {
            "host" if is_host(value) => once(&mut self.host, value),
            "host" => Err(Fault::Bad("the Host is not one")),
            "origin" => once(&mut self.origin, value),
            "upgrade" => {
                self.upgrades |= has("websocket");
                Ok(())
            }
            "connection" => {
                self.connection_upgrades |= has("upgrade");
                Ok(())
            }
            "sec-websocket-key" => once(&mut self.key, value),
            "if-none-match" => once(&mut self.known, value),
            "sec-websocket-version" => once(&mut self.version, value),
            "content-length" if value == "0" => Ok(()),
            "content-length" | "transfer-encoding" => {
                Err(Fault::Bad("a request for a stream has no body"))
            }
            _ => Ok(()),
        }
    }

    /// The opening handshake of RFC 6455 section 4.2.
    fn upgrade(&self, method: Method, minor: u8) -> Result<Upgrade, Fault> {
        if !(self.upgrades && self.connection_upgrades && method == Method::Get && minor == 1) {
            return Ok(Upgrade::No);
        }
        if self.version != Some("13") {
            return Ok(Upgrade::OtherVersion);
        }
        let nonce = self.key.and_then(|key| BASE64_STANDARD.decode(key).ok());
        let (Some(key), Some(16)) = (self.key, nonce.map(|nonce| nonce.len())) else {
            return Err(Fault::Bad("Sec-WebSocket-Key is not 16 bytes in base64"));
        };
        Ok(Upgrade::WebSocket(accept(key)))
    }
}

/// `Sec-WebSocket-Accept` for a key.
fn accept(key: &str) -> String {
    const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    BASE64_STANDARD.encode(Sha1::new().chain_update(key).chain_update(MAGIC).finalize())
}

fn once<'a>(field: &mut Option<&'a str>, value: &'a str) -> Result<(), Fault> {
    if field.replace(value).is_some() {
        return Err(Fault::Bad("a header is there twice"));
    }
    Ok(())
}

fn is_host(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]%".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(head: &str) -> Result<Request, Fault> {
        parse(head.replace('\n', "\r\n").as_bytes())
    }

    #[test]
    fn the_path_comes_without_its_query() {
        let request = read("GET /live/x.flv?start=1 HTTP/1.1\nHost: node:1935\n\n").unwrap();
        let Request { method, path, host, origin, upgrade, .. } = request;
        assert_eq!(
            (method, path.as_str(), host.as_str()),
            (Method::Get, "/live/x.flv", "node:1935")
        );
        assert_eq!((origin, upgrade), (None, Upgrade::No));
        let whole = read("HEAD http://a:1/live/x.flv HTTP/1.1\nHost: b\n\n").unwrap();
        assert_eq!((whole.path.as_str(), whole.host.as_str()), ("/live/x.flv", "a:1"));
        assert_eq!(read("GET / HTTP/1.0\n\n").unwrap().host, "");
    }

    #[test]
    fn the_handshake_of_the_standard_gives_the_accept_of_the_standard() {
        let head = "GET /chat HTTP/1.1\nHost: a\nUpgrade: WebSocket\nConnection: keep-alive, \
                    Upgrade\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\
                    Sec-WebSocket-Version: 13\n\n";
        let accept = Upgrade::WebSocket("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned());
        assert_eq!(read(head).unwrap().upgrade, accept);
        assert_eq!(read(&head.replace(": 13", ": 8")).unwrap().upgrade, Upgrade::OtherVersion);
        assert!(read(&head.replace("dGhl", "")).is_err());
        assert_eq!(read(&head.replace("Upgrade: W", "X: W")).unwrap().upgrade, Upgrade::No);
    }

    #[test]
    fn what_could_be_understood_in_two_ways_is_refused() {
        for head in [
            "GET  /a HTTP/1.1\nHost: a\n\n",
            "GET /a HTTP/1.1 \nHost: a\n\n",
            "GET /a HTTP/1.1\n\n",
            "GET /a HTTP/1.1\nHost: a\nHost: b\n\n",
            "GET /a HTTP/1.1\nHost: a b\n\n",
            "GET /a HTTP/1.1\nHost: a\n folded\n\n",
            "GET /a HTTP/1.1\nHost : a\n\n",
            "GET /a HTTP/1.1\nHost: a\nContent-Length: 3\n\n",
            "GET /a HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n",
            "GET /a HTTP/1.1\nHost: a\nX: \x07\n\n",
            "GET a HTTP/1.1\nHost: a\n\n",
            "GET /a\nHost: a\n\n",
            "G@T /a HTTP/1.1\nHost: a\n\n",
        ] {
            assert!(matches!(read(head), Err(Fault::Bad(_))), "{head:?}: {:?}", read(head));
        }
        let bare = b"GET /a HTTP/1.1\nHost: a\r\n\r\n";
        assert!(parse(bare).is_err(), "a line that ends in a bare line feed");
        assert_eq!(read("GET / HTTP/2.0\nHost: a\n\n"), Err(Fault::Version));
    }

    #[test]
    fn a_head_may_come_in_pieces_and_has_a_limit() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        for end in 0..head.len() - 3 {
            let expected = (end == head.len() - 4).then_some(head.len() - 4);
            assert_eq!(head_len(&head[..end], end.saturating_sub(1)), Ok(expected), "{end}");
        }
        assert_eq!(head_len(&[b'a'; HEAD_BYTES_MAX], 0), Ok(None));
        assert_eq!(head_len(&[b'a'; HEAD_BYTES_MAX + 1], 0), Err(Fault::TooLarge));
    }

    proptest! {
        #[test]
        fn no_head_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(parse(&bytes));
        }

        #[test]
        fn no_text_makes_it_panic(
            words in proptest::collection::vec(
                prop_oneof![
                    Just("GET "), Just("/"), Just(" HTTP/1.1"), Just("\r\n"), Just("Host:"),
                    Just("é"), Just("http://"), Just("["), Just("Upgrade: websocket"), Just("\t"),
                    Just("Connection: upgrade"), Just("Sec-WebSocket-Key: "), Just("?"), Just("%"),
                ],
                0..20,
            ),
        ) {
            drop(parse(words.concat().as_bytes()));
        }
    }
}
