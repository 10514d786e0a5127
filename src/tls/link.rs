//! A connection's encryption without a socket: sealed bytes in, plain bytes out, and back.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::{Connection, ContentType};

use super::error::Failure;
use super::pool;
use super::records::{PLAIN_BYTES_MAX, Pieces, Sealer};
use super::suites::watch;

/// Plain bytes that may be sealed, or wait to be, before the socket takes them. Small, so that what
/// a slow peer has not read waits in the stream's log, where it can be dropped.
pub const SEALED_BYTES_MAX: usize = 64 << 10;

/// One connection's TLS.
///
/// To send: drain what is sealed with [`Link::write_to`], and only then [`Link::seal`] more. To
/// receive: give what the socket had to [`Link::open`] until it opens nothing more, then send:
/// the handshake answers.
///
/// rustls does the handshake and opens what comes. What is sent is sealed here, with the key that
/// rustls uses: which that is shows with the first bytes, and anew whenever rustls has sealed
/// something itself, because another key may follow then.
pub struct Link {
    connection: Connection,
    /// The key for what is sent, once it is known.
    sealer: Option<Arc<Sealer>>,
    /// Sealed records, in their order, and how much of them has been sent.
    sealed: Vec<u8>,
    sent: usize,
    peer_closed: bool,
}

impl Link {
    pub(super) fn new(mut connection: Connection) -> Self {
        connection.set_buffer_limit(Some(SEALED_BYTES_MAX));
        let (sealer, sealed) = (None, Vec::new());
        let mut link = Self { connection, sealer, sealed, sent: 0, peer_closed: false };
        link.collect();
        link
    }

    /// Whether nothing can be sealed yet. The peer has to speak first, or to take what waits.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether sealed bytes wait for the socket.
    #[must_use]
    pub const fn has_sealed(&self) -> bool {
        !self.sealed.is_empty()
    }

    /// The sealed bytes that wait for the socket.
    #[must_use]
    pub fn sealed(&self) -> &[u8] {
        &self.sealed[self.sent..]
    }

    /// Whether nothing is left to do before the next bytes are sealed.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.sealer.is_some() && !self.has_sealed()
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
            let (processed, sealed) = watch(|| self.connection.process_new_packets());
            if sealed.any || processed.is_err() {
                // The peer may have asked for another key, or has broken the connection.
                self.sealer = None;
            }
            self.collect();
            processed?;
        }
    }

    /// Seals as many of the bytes in `pieces` as may wait, and says how many those are: not 0 once
    /// the handshake is over and nothing is sealed.
    ///
    /// # Errors
    /// If the connection has failed before, or a key of TLS 1.2 has sealed as much as it may.
    pub fn seal(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut plain = Pieces::new(pieces);
        let wanted = plain.len().min(SEALED_BYTES_MAX.saturating_sub(self.sealed().len()));
        let mut count = 0;
        while count < wanted {
            let next = (wanted - count).min(PLAIN_BYTES_MAX);
            match &self.sealer {
                Some(sealer) if !sealer.is_exhausted() => {
                    if self.sealed.capacity() == 0 {
                        self.sealed = pool::take();
                    }
                    let content = ContentType::ApplicationData;
                    sealer.seal(content, &mut plain, next, &mut self.sealed)?;
                    count += next;
                }
                Some(_) => self.change_key()?,
                None => {
                    let taken = self.seal_by_rustls(plain.first(next))?;
                    if taken == 0 {
                        break;
                    }
                    plain.skip(taken);
                    count += taken;
                }
            }
        }
        Ok(count)
    }

    /// Lets rustls seal these bytes, or keep them until the handshake is over, and watches by which
    /// key it does.
    fn seal_by_rustls(&mut self, plain: &[u8]) -> io::Result<usize> {
        let (written, sealed) = watch(|| self.connection.writer().write(plain));
        if !self.connection.is_handshaking() {
            self.sealer = sealed.data_sealer;
        }
        self.collect();
        written
    }

    /// The key has sealed as much as it may: the peer is told that another one follows.
    fn change_key(&mut self) -> io::Result<()> {
        self.sealer = None;
        let changed = self.connection.refresh_traffic_keys();
        self.collect();
        changed.map_err(|_| {
            self.close();
            io::Error::other("a key of TLS 1.2, which cannot be changed, has sealed its records")
        })
    }

    /// Takes what rustls has sealed: all records wait in one order.
    fn collect(&mut self) {
        while self.connection.wants_write() {
            if self.sealed.capacity() == 0 {
                self.sealed = pool::take();
            }
            // Memory takes everything.
            if self.connection.write_tls(&mut self.sealed).is_err() {
                return;
            }
        }
    }

    /// Gives all that is sealed to `socket`.
    ///
    /// # Errors
    /// What `socket` says; the rest waits.
    pub fn write_to(&mut self, socket: &mut dyn Write) -> io::Result<()> {
        while self.has_sealed() {
            match socket.write(self.sealed()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.advance(count),
                Err(error) => {
                    self.shrink();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The socket has taken the first `count` of the sealed bytes.
    pub fn advance(&mut self, count: usize) {
        self.sent += count.min(self.sealed().len());
        if self.sent == self.sealed.len() {
            self.sent = 0;
            pool::give(std::mem::take(&mut self.sealed));
        }
    }

    /// The socket is full: what waits goes to memory of its size, and the buffer to others.
    fn shrink(&mut self) {
        if self.sealed.capacity() > 2 * self.sealed().len() {
            let rest = self.sealed().to_vec();
            self.sent = 0;
            pool::give(std::mem::replace(&mut self.sealed, rest));
        }
    }

    /// Seals the word that nothing more will be sent.
    pub fn close(&mut self) {
        self.sealer = None;
        self.connection.send_close_notify();
        self.collect();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("peer_closed", &self.peer_closed).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod harness;

#[cfg(test)]
mod tests {
    use super::harness::{Authority, meet, pair, pair_by};
    use super::*;
    use crate::tls::suites::provider;
    use proptest::prelude::*;
    use rustls::SupportedCipherSuite;

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

    /// All that `from` has sealed arrives.
    fn deliver(from: &mut Link, to: &mut Link) -> Vec<u8> {
        let mut socket = Narrow { room: usize::MAX, taken: Vec::new() };
        from.write_to(&mut socket).unwrap();
        let (mut input, mut plain, mut got) = (&socket.taken[..], vec![0; 4_096], Vec::new());
        loop {
            let count = to.open(&mut input, &mut plain).unwrap();
            got.extend_from_slice(&plain[..count]);
            if count == 0 {
                return got;
            }
        }
    }

    /// What `from` says arrives, as so many pieces.
    fn say(from: &mut Link, to: &mut Link, pieces: &[&[u8]]) {
        let said: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        assert_eq!(from.seal(&said).unwrap(), pieces.concat().len());
        assert_eq!(deliver(from, to), pieces.concat());
    }

    #[test]
    fn both_ends_seal_with_the_key_of_rustls_by_every_suite() {
        let long = vec![0xa5; 40_000];
        for suite in provider().cipher_suites.iter().copied() {
            let Some((mut client, mut server)) = pair_by(suite, None) else { continue };
            meet(&mut client, &mut server).unwrap();
            for _ in 0..3 {
                say(&mut server, &mut client, &[b"few", b"", b" bytes", &long]);
                say(&mut client, &mut server, &[&long, b"x"]);
                assert!(client.is_ready() && server.is_ready(), "{suite:?}");
            }
            server.close();
            assert!(deliver(&mut server, &mut client).is_empty() && client.peer_closed());
        }
    }

    #[test]
    fn the_suite_that_seals_fastest_is_agreed_on() {
        let (mut client, mut server) = pair();
        meet(&mut client, &mut server).unwrap();
        let suite = server.connection.negotiated_cipher_suite().unwrap().suite();
        assert_eq!(suite, rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
    }

    #[test]
    fn a_key_that_the_peer_asks_for_is_the_next_one_that_seals() {
        let (mut client, mut server) = pair();
        meet(&mut client, &mut server).unwrap();
        say(&mut server, &mut client, &[b"by the first key"]);
        say(&mut client, &mut server, &[b"by the first key"]);
        for _ in 0..3 {
            // Before rustls seals the answer, some waits that is sealed by the old key.
            assert_eq!(server.seal(&[IoSlice::new(b"old ")]).unwrap(), 4);
            client.connection.refresh_traffic_keys().unwrap();
            client.sealer = None;
            client.collect();
            assert!(deliver(&mut client, &mut server).is_empty());
            assert!(server.sealer.is_none(), "it is asked for anew");
            assert_eq!(server.seal(&[IoSlice::new(b"and "), IoSlice::new(b"new")]).unwrap(), 7);
            assert_eq!(deliver(&mut server, &mut client), b"old and new");
            say(&mut client, &mut server, &[b"by ", b"the next key"]);
            say(&mut server, &mut client, &[b"by ", b"the next key"]);
        }
    }

    #[test]
    fn a_key_that_has_sealed_its_records_is_changed_or_ends_the_connection() {
        for suite in provider().cipher_suites.iter().copied() {
            let Some((mut client, mut server)) = pair_by(suite, Some(6)) else { continue };
            meet(&mut client, &mut server).unwrap();
            let (long, mut keys) = (vec![1; 60_000], 0);
            for n in 0..30 {
                let before = server.sealer.as_ref().map(Arc::as_ptr);
                match server.seal(&[IoSlice::new(&[n]), IoSlice::new(&long)]) {
                    Ok(count) => {
                        assert_eq!(count, 1 + long.len());
                        assert_eq!(deliver(&mut server, &mut client), [&[n], &long[..]].concat());
                    }
                    Err(error) => {
                        assert!(error.to_string().contains("TLS 1.2"), "{error}");
                        assert!(matches!(suite, SupportedCipherSuite::Tls12(_)));
                        deliver(&mut server, &mut client);
                        assert!(client.peer_closed());
                        break;
                    }
                }
                keys += usize::from(server.sealer.as_ref().map(Arc::as_ptr) != before);
            }
            let is_13 = matches!(suite, SupportedCipherSuite::Tls13(_));
            assert_eq!(is_13, !client.peer_closed(), "{suite:?}");
            assert!(!is_13 || keys > 10, "{keys} keys");
        }
    }

    #[test]
    fn a_full_socket_keeps_no_more_memory_than_waits() {
        let (mut client, mut server) = pair();
        meet(&mut client, &mut server).unwrap();
        let big = vec![7; 50_000];
        assert_eq!(server.seal(&[IoSlice::new(&big)]).unwrap(), big.len());
        let all = server.sealed().len();
        let mut socket = Narrow { room: all - 100, taken: Vec::new() };
        server.write_to(&mut socket).unwrap_err();
        assert_eq!((server.sealed().len(), server.sealed.capacity()), (100, 100));
        assert!(server.has_sealed() && !server.is_ready());
        server.advance(100);
        assert!(server.is_ready() && server.sealed.capacity() == 0);
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
        let files = Authority::new().issue(dir.path(), "node.example");
        let acceptor = crate::tls::Acceptor::load(files, &[]).unwrap();
        for (place, trusted) in
            [("stranger", Authority::named("Another authority")), ("namesake", Authority::new())]
        {
            let mut server = acceptor.link().unwrap();
            let mut client =
                trusted.connector(&dir.path().join(place)).link("node.example").unwrap();
            assert!(meet(&mut client, &mut server).is_err());
            assert!(client.has_sealed(), "an alert waits");
            let mut socket = Narrow { room: usize::MAX, taken: Vec::new() };
            client.write_to(&mut socket).unwrap();
            let told = server.open(&mut &socket.taken[..], &mut [0; 64]).unwrap_err().to_string();
            assert!(told.contains("does not accept our certificate"), "{place}: {told}");
        }
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
                // Of a batch the socket takes a part.
                let taken = server.sealed().len().div_ceil(3);
                socket.taken.extend_from_slice(&server.sealed()[..taken]);
                server.advance(taken);
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
