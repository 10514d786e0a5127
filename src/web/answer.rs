//! The heads of answers, and the short texts of those that are not a stream.

use super::cors::{Cors, METHODS, PREFLIGHT_SECONDS};
use super::request::Request;

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    NoContent,
    NotModified,
    Bad,
    Forbidden,
    NotFound,
    Method,
    Late,
    Upgrade,
    TooLarge,
    Unavailable,
    Version,
}

impl Status {
    const fn line(self) -> &'static str {
        match self {
            Self::NoContent => "204 No Content",
            Self::NotModified => "304 Not Modified",
            Self::Bad => "400 Bad Request",
            Self::Forbidden => "403 Forbidden",
            Self::NotFound => "404 Not Found",
            Self::Method => "405 Method Not Allowed",
            Self::Late => "408 Request Timeout",
            Self::Upgrade => "426 Upgrade Required",
            Self::TooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
            Self::Version => "505 HTTP Version Not Supported",
        }
    }

    /// Fields that only this one has.
    const fn fields(self) -> &'static str {
        match self {
            Self::Method => "Allow: GET, HEAD, OPTIONS\r\n",
            Self::Upgrade => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            _ => "",
        }
    }
}

/// The lines about other servers' pages, each with its line end: nothing if the request does not
/// come from one.
pub(super) fn cors_fields(cors: &Cors, request: &Request) -> String {
    let (allowed, varies) = cors.answer(request.origin.as_deref(), &request.host);
    let allowed = allowed.map(|origin| format!("Access-Control-Allow-Origin: {origin}\r\n"));
    allowed.unwrap_or_default() + if varies { "Vary: Origin\r\n" } else { "" }
}

/// The head before an FLV file of unknown length: in chunks, so that its end can be told from a
/// connection that breaks, or up to the end of the connection. nginx in front of it is told not to
/// hold it back.
pub(super) fn stream(cors: &str, in_chunks: bool) -> String {
    let form = if in_chunks { "Transfer-Encoding: chunked\r\n" } else { "" };
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n{form}Cache-Control: no-store\r\n\
         X-Accel-Buffering: no\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n\
         {cors}\r\n"
    )
}

/// The head before a JPEG of so many bytes, which the client has to ask about each time.
pub(super) fn picture(etag: &str, cors: &str, bytes: usize) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {bytes}\r\nETag: {etag}\r\n\
         Cache-Control: no-cache\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n\
         {cors}\r\n"
    )
}

/// That the client has the newest picture.
pub(super) fn not_modified(etag: &str, cors: &str) -> String {
    let line = Status::NotModified.line();
    format!(
        "HTTP/1.1 {line}\r\nETag: {etag}\r\nCache-Control: no-cache\r\nConnection: close\r\n\
         {cors}\r\n"
    )
}

/// The chunk that ends an answer in chunks.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The head before WebSocket frames.
pub(super) fn web_socket(accept: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// What a browser is told that asks before it asks.
pub(super) fn preflight(cors: &str) -> String {
    format!(
        "HTTP/1.1 {}\r\nAllow: {METHODS}\r\n{cors}\
         Access-Control-Allow-Methods: {METHODS}\r\nAccess-Control-Allow-Headers: *\r\n\
         Access-Control-Max-Age: {PREFLIGHT_SECONDS}\r\nConnection: close\r\n\r\n",
        Status::NoContent.line()
    )
}

/// An answer that is a short text, or only its head.
pub(super) fn text(status: Status, text: &str, cors: &str, with_body: bool) -> String {
    let (line, fields, len) = (status.line(), status.fields(), text.len() + 1);
    let head = format!(
        "HTTP/1.1 {line}\r\n{fields}Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {len}\r\nCache-Control: no-store\r\nConnection: close\r\n{cors}\r\n"
    );
    if with_body { format!("{head}{text}\n") } else { head }
}
