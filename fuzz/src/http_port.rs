//! The HTTP port up to the token: request heads read with the program's own limits, and what is
//! told of a client by them, over a connection in memory.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};

use crate::keys::AddressRange;
use crate::web::Cors;

#[path = "../../src/control/http/head.rs"]
mod head;
#[path = "../../src/control/http/origin.rs"]
mod origin;

/// Turns that a connection gets beside those for the pieces that its peer says.
const TURNS: usize = 64;

/// Bytes of a request's head.
pub const HEAD_BYTES_MAX: usize = head::HEAD_BYTES_MAX;

/// Whom the headers name behind `peer`.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[AddressRange]) -> IpAddr {
    origin::client(peer, headers, trusted)
}

/// Whether a request without a token may be answered.
pub fn check(headers: &HeaderMap, cors: &Cors) -> Result<(), &'static str> {
    origin::check(headers, cors)
}

/// The peer's side of a connection in memory.
struct Peer<'a> {
    says: &'a [u8],
    /// Most bytes that come at once.
    step: usize,
    heard: &'a mut Vec<u8>,
}

impl Read for Peer<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // Who closes before the answer gets none: it waits.
        if self.says.is_empty() {
            return Poll::Pending;
        }
        let count = self.says.len().min(self.step).min(buf.remaining());
        let (piece, rest) = self.says.split_at(count);
        buf.put_slice(piece);
        self.says = rest;
        Poll::Ready(Ok(()))
    }
}

impl Write for Peer<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.heard.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Serves a peer that says this in pieces of `step` bytes; gives what it is answered. Each request
/// is answered with what `answer` makes of it.
pub fn serve(says: &[u8], step: usize, answer: impl Fn(&Request<Incoming>) -> String) -> Vec<u8> {
    let mut heard = Vec::new();
    let peer = Peer { says, step, heard: &mut heard };
    let service = service_fn(|request| {
        let text = answer(&request);
        async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text)))) }
    });
    {
        let mut reader = head::reader();
        // With a date, two answers to the same bytes would differ.
        let mut connection = pin!(reader.auto_date_header(false).serve_connection(peer, service));
        let mut context = Context::from_waker(Waker::noop());
        // It lets others have their turn now and then.
        let turns = TURNS + says.len() / step;
        let _may_wait = (0..turns).any(|_| connection.as_mut().poll(&mut context).is_ready());
    }
    heard
}

/// Where the peer connects from, and from where its word about others is taken.
pub fn trusting() -> (SocketAddr, Vec<AddressRange>) {
    let ranges = ["192.0.2.0/24", "2001:db8::/32"].map(|range| range.parse().expect("a range"));
    (SocketAddr::from(([192, 0, 2, 1], 50_000)), ranges.to_vec())
}
