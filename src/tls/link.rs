//! A connection's encryption without a socket: sealed bytes in, plain bytes out, and back.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};

use rustls::Connection;

use super::error::Failure;

/// Plain bytes that may be sealed, or wait to be, before the socket takes them. Small, so that what
/// a slow peer has not read waits in the stream's log, where it can be dropped.
const SEALED_BYTES_MAX: usize = 64 << 10;

/// One connection's TLS.
///
/// To send: drain what is sealed with [`Link::write_to`], and only then [`Link::seal`] more. To
/// receive: give what the socket had to [`Link::open`] until it opens nothing more, then send:
/// the handshake answers.
pub struct Link {
    connection: Connection,
    peer_closed: bool,
}

impl Link {
    pub(super) fn new(mut connection: Connection) -> Self {
        connection.set_buffer_limit(Some(SEALED_BYTES_MAX));
        Self { connection, peer_closed: false }
    }

    /// Whether nothing can be sealed yet. The peer has to speak first, or to take what waits.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether sealed bytes wait for the socket.
    #[must_use]
    pub fn has_sealed(&self) -> bool {
        self.connection.wants_write()
    }

    /// Whether the peer has said that it sends nothing more.
    #[must_use]
    pub const fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Opens what the peer sent: takes from `input` until it is empty or `plain` is full, and says
    /// how many bytes are in `plain`. With 0 there is nothing more to be had.
    ///
    /// # Errors
    /// If the peer is refused or does not speak TLS: send what is sealed (it says why), and close.
    pub fn open(&mut self, input: &mut &[u8], plain: &mut [u8]) -> Result<usize, Failure> {
        let mut count = 0;
        loop {
            match self.connection.reader().read(&mut plain[count..]) {
                Ok(0) => self.peer_closed |= count < plain.len(),
                Ok(read) => {
                    count += read;
                    continue;
                }
                Err(_) => {} // nothing is there yet
            }
            if count == plain.len() || input.is_empty() || self.peer_closed {
                return Ok(count);
            }
            // Its buffer was just emptied, so that it takes some; a message that can never be whole
            // is told by the next call.
            if self.connection.read_tls(input).is_err() {
                let text = "the peer sends messages that are too long".to_owned();
                return Err(rustls::Error::General(text).into());
            }
            self.connection.process_new_packets()?;
        }
    }

    /// Seals as many of the bytes in `pieces` as may wait, and says how many those are: not 0 once
    /// the handshake is over and nothing is sealed.
    ///
    /// # Errors
    /// If the connection has failed before.
    pub fn seal(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.connection.writer().write_vectored(pieces)
    }

    /// Gives all that is sealed to `socket`.
    ///
    /// # Errors
    /// What `socket` says; the rest waits.
    pub fn write_to(&mut self, socket: &mut dyn Write) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(socket)?;
        }
        Ok(())
    }

    /// Gives the first sealed piece to `write`, which says how much of it was taken; `None` if
    /// there is none.
    pub fn write_first<R>(&mut self, write: impl FnOnce(&[u8]) -> (usize, R)) -> Option<R> {
        let mut first = First { write: Some(write), result: None };
        if self.connection.wants_write() {
            // It says what it is told; the result says the rest.
            drop(self.connection.write_tls(&mut first));
        }
        first.result
    }

    /// Seals the word that nothing more will be sent.
    pub fn close(&mut self) {
        self.connection.send_close_notify();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("peer_closed", &self.peer_closed).finish_non_exhaustive()
    }
}

/// A writer that gives the first slice to a function, once.
struct First<F, R> {
    write: Option<F>,
    result: Option<R>,
}

impl<F: FnOnce(&[u8]) -> (usize, R), R> Write for First<F, R> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let Some(write) = self.write.take() else { return Ok(0) };
        let (taken, result) = write(piece);
        self.result = Some(result);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod harness;

#[cfg(test)]
mod tests {
    use super::harness::{Authority, meet, pair};
    use super::*;
    use proptest::prelude::*;

    /// A socket that takes as many bytes as it is allowed, and then is full.
    struct Narrow {
        room: usize,
        taken: Vec<u8>,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room -= count;
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn both_ends_meet_in_memory() {
        let (mut client, mut server) = pair();
        assert!(client.is_handshaking() && client.has_sealed() && server.is_handshaking());
        meet(&mut client, &mut server).unwrap();
        assert!(!client.is_handshaking() && !server.is_handshaking());
        assert!(!client.has_sealed() && !server.has_sealed());
    }

    #[test]
    fn no_more_waits_sealed_than_is_allowed() {
        let (mut client, mut server) = pair();
        meet(&mut client, &mut server).unwrap();
        let big = vec![7; 1 << 20];
        assert_eq!(server.seal(&[IoSlice::new(&big)]).unwrap(), SEALED_BYTES_MAX);
        assert_eq!(server.seal(&[IoSlice::new(&big)]).unwrap(), 0);
        let mut socket = Narrow { room: usize::MAX, taken: Vec::new() };
        server.write_to(&mut socket).unwrap();
        assert!(socket.taken.len() < SEALED_BYTES_MAX + 4_096, "{}", socket.taken.len());
    }

    #[test]
    fn the_end_is_said_and_heard() {
        let (mut client, mut server) = pair();
        meet(&mut client, &mut server).unwrap();
        assert_eq!(server.seal(&[IoSlice::new(b"last words")]).unwrap(), 10);
        server.close();
        let mut socket = Narrow { room: usize::MAX, taken: Vec::new() };
        server.write_to(&mut socket).unwrap();
        let (mut input, mut plain) = (&socket.taken[..], [0; 64]);
        assert_eq!(client.open(&mut input, &mut plain).unwrap(), 10);
        assert!(client.peer_closed());
        assert_eq!(client.open(&mut input, &mut plain).unwrap(), 0);
    }

    #[test]
    fn a_peer_that_is_refused_is_told_why() {
        let dir = tempfile::tempdir().unwrap();
        let server = Authority::new().issue(dir.path(), "node.example");
        let mut server = crate::tls::Acceptor::load(server, &[]).unwrap().link().unwrap();
        let stranger = Authority::new().connector(&dir.path().join("stranger"));
        let mut client = stranger.link("node.example").unwrap();
        assert!(meet(&mut client, &mut server).is_err());
        assert!(client.has_sealed(), "an alert waits");
        let mut socket = Narrow { room: usize::MAX, taken: Vec::new() };
        client.write_to(&mut socket).unwrap();
        let told = server.open(&mut &socket.taken[..], &mut [0; 64]).unwrap_err().to_string();
        assert!(told.contains("does not accept our certificate"), "{told}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn every_byte_arrives_in_its_order_however_the_socket_blocks(
            pieces in prop::collection::vec(1_usize..40_000, 1..24),
            rooms in prop::collection::vec(1_usize..50_000, 8..40),
            plain_len in 100_usize..20_000,
        ) {
            let (mut client, mut server) = pair();
            meet(&mut client, &mut server).unwrap();
            let total: usize = pieces.iter().sum();
            #[expect(clippy::cast_possible_truncation, reason = "a pattern")]
            let sent: Vec<u8> = (0..total).map(|n| (n * 31 + n / 251) as u8).collect();
            let (mut rest, mut got) = (&sent[..], Vec::new());
            let mut plain = vec![0; plain_len];
            let mut rooms = rooms.iter().cycle();
            let mut lengths = pieces.iter().cycle();
            while got.len() < sent.len() {
                let mut socket = Narrow { room: *rooms.next().unwrap(), taken: Vec::new() };
                while server.write_to(&mut socket).is_ok() && !rest.is_empty() {
                    let (a, b) = (*lengths.next().unwrap(), *lengths.next().unwrap());
                    let (first, after) = rest.split_at(a.min(rest.len()));
                    let second = &after[..b.min(after.len())];
                    let pieces = [IoSlice::new(first), IoSlice::new(&[]), IoSlice::new(second)];
                    let taken = server.seal(&pieces).unwrap();
                    prop_assert!(taken > 0 && taken <= SEALED_BYTES_MAX);
                    rest = &rest[taken..];
                }
                // A task that waits for room gives the socket the first piece alone.
                server.write_first(|piece| {
                    let taken = piece.len().div_ceil(3);
                    socket.taken.extend_from_slice(&piece[..taken]);
                    (taken, ())
                });
                let mut input = &socket.taken[..];
                loop {
                    let count = client.open(&mut input, &mut plain).unwrap();
                    got.extend_from_slice(&plain[..count]);
                    if count == 0 {
                        break;
                    }
                }
            }
            prop_assert!(got == sent, "some byte is wrong");
        }
    }
}
