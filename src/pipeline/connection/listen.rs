//! Read readiness of a connection: woken by its socket alone, or read together with other
//! publishers.

use std::cell::Cell;
use std::io;
use std::task::Poll;

use super::{Connection, Role};
use crate::pipeline::shard::Shard;
use crate::pipeline::socket;
use crate::pipeline::wire::Socket;

/// How a connection listens.
#[derive(Debug, Default)]
pub(super) struct Listening {
    /// Whether its socket is looked at with the others.
    together: Cell<bool>,
    /// Whether the last read took all there was.
    drained: Cell<bool>,
}

impl Connection {
    /// Reads what has come, or arranges for its task to be woken when something does.
    pub(super) fn poll_read(
        &self,
        shard: &Shard,
        socket: &mut Socket<'_, '_>,
        input: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if !matches!(&*self.role.borrow(), Role::Publisher(_)) {
            self.listen_alone(shard);
            return socket.poll_read(input);
        }
        // What has come goes out to viewers before the kernel is asked to tell of more.
        if !self.listening.drained.replace(false) {
            match socket::receive(self.reader.fd(), input) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => {
                    let is_all = read.as_ref().is_ok_and(|count| *count < input.len());
                    self.listening.drained.set(is_all);
                    shard.watch.has_read();
                    return Poll::Ready(read);
                }
            }
        }
        if shard.watch.is_busy()
            && shard.watch.wait(self.number, self.reader.fd(), socket.cx.waker())
        {
            self.listening.together.set(true);
            return Poll::Pending;
        }
        self.listen_alone(shard);
        socket.poll_read(input)
    }

    /// Its socket is not looked at with the others any more.
    pub(super) fn listen_alone(&self, shard: &Shard) {
        if self.listening.together.replace(false) {
            shard.watch.forget(self.number, self.reader.fd());
        }
    }
}
