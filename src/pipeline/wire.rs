//! How a connection's own task sends: like the pump, and, when the socket is full, by waiting for
//! room through the executor.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::AsyncWrite;
use glommio::net::TcpStream;

use super::reader::{Reader, Sent};
use crate::media::Micros;
use crate::stream::{DropPolicy, StreamLog};

/// A socket and whom to wake when it has room.
pub(super) struct Socket<'a, 'b> {
    pub(super) stream: &'a mut TcpStream,
    pub(super) cx: &'a mut Context<'b>,
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
            Some(Ok(true)) => full = false,
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
