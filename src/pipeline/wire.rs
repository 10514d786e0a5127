//! Socket I/O of a connection's own task: it sends like the pump, waits through the executor when
//! the socket is full, and receives.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite, ready};
use glommio::net::TcpStream;

use super::reader::{Reader, Sent};
use crate::media::Micros;
use crate::stream::{DropPolicy, StreamLog};
use crate::tls;

/// A socket and whom to wake when it has room.
pub(super) struct Socket<'a, 'b> {
    pub(super) stream: &'a mut TcpStream,
    pub(super) cx: &'a mut Context<'b>,
}

impl Socket<'_, '_> {
    /// Reads what has come; if nothing has, the task of the context is woken when something does.
    pub(super) fn poll_read(&mut self, input: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_read(self.cx, input)
    }
}

/// Sends what waits in `reader`. If the socket is full, the reader is blocked and the task of the
/// context is woken when there is room. Says how many bytes went out.
///
/// # Errors
/// If the connection is broken.
pub(super) fn flush(
    reader: &Reader,
    log: Option<&StreamLog>,
    policy: &DropPolicy,
    socket: &mut Socket<'_, '_>,
    now: Micros,
) -> io::Result<u64> {
    let before = reader.bytes();
    let mut full = reader.is_blocked();
    loop {
        if !full {
            match reader.send(log, policy) {
                Sent::All => break,
                Sent::Blocked => {}
                Sent::Failed(error) => return Err(error),
            }
        }
        let first = reader.write_first(log, policy, |piece| {
            match Pin::new(&mut *socket.stream).poll_write(socket.cx, piece) {
                Poll::Ready(Ok(sent)) => (sent, Ok(true)),
                Poll::Ready(Err(error)) => (0, Err(error)),
                Poll::Pending => (0, Ok(false)),
            }
        });
        match first {
            None => break,
            Some(Ok(true)) => {
                reader.unblock(); // slow, but not gone
                full = false;
            }
            Some(Ok(false)) => {
                reader.block(now);
                return Ok(reader.bytes() - before);
            }
            Some(Err(error)) => return Err(error),
        }
    }
    reader.unblock();
    Ok(reader.bytes() - before)
}

/// What became of an attempt to receive.
#[derive(Debug)]
pub(super) enum Received {
    /// The peer said something; so say those who digested it.
    Digested(Result<(), String>),
    /// It will say nothing more.
    Closed,
    /// The connection is broken.
    Broken(io::Error),
    /// It is not the TLS that was expected.
    Garbled(tls::Failure),
}

/// Reads once by `read`, and gives `digest` what the peer said: as it lies in `scratch`, or, if it
/// speaks TLS, opened, in several parts. What is to be opened passes `before` first, which leaves
/// out what is not the peer's own, or waits for more with `None`. If nothing has come, it is for
/// `read` to see to it that the task is woken when something does.
pub(super) fn receive(
    reader: &Reader,
    read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
    scratch: &mut [u8],
    before: impl FnOnce(&[u8]) -> Result<Option<Cow<'_, [u8]>>, String>,
    mut digest: impl FnMut(&[u8]) -> Result<(), String>,
) -> Poll<Received> {
    let (input, plain) = match reader.link() {
        None => (scratch, &mut [][..]),
        Some(_) => scratch.split_at_mut(scratch.len() / 2),
    };
    let count = match ready!(read(input)) {
        Ok(0) => return Poll::Ready(Received::Closed),
        Ok(count) => count,
        Err(error) => return Poll::Ready(Received::Broken(error)),
    };
    let Some(link) = reader.link() else {
        return Poll::Ready(Received::Digested(digest(&input[..count])));
    };
    let sealed = match before(&input[..count]) {
        Ok(Some(sealed)) => sealed,
        Ok(None) => return Poll::Ready(Received::Digested(Ok(()))),
        Err(reason) => return Poll::Ready(Received::Digested(Err(reason))),
    };
    let mut sealed = &*sealed;
    loop {
        let opened = link.borrow_mut().open(&mut sealed, plain);
        match opened {
            Ok(0) if link.borrow().peer_closed() => return Poll::Ready(Received::Closed),
            Ok(0) => return Poll::Ready(Received::Digested(Ok(()))),
            Ok(count) => {
                if let Err(reason) = digest(&plain[..count]) {
                    return Poll::Ready(Received::Digested(Err(reason)));
                }
            }
            Err(failure) => return Poll::Ready(Received::Garbled(failure)),
        }
    }
}

/// For [`receive`]: nobody else speaks before the peer does.
pub(super) const fn all_of_it(bytes: &[u8]) -> Result<Option<Cow<'_, [u8]>>, String> {
    Ok(Some(Cow::Borrowed(bytes)))
}
