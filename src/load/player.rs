//! Player without a socket: what it sends, and the media in what it receives, by any protocol.

use std::cell::RefCell;
use std::io::{self, ErrorKind};

use tokio::net::TcpStream;

use super::Failure;
use super::demux::{COMMAND, ChunkDemuxer, HttpDemuxer, USER_CONTROL};
use super::programme::PEEK;
use super::request;
use super::target::{PlayAccess, Protocol};
use super::tls::PlayerTls;

/// One player. Send [`Player::output`]; read into a block behind what [`Player::restore`] puts
/// there, and have all of it received.
pub(super) struct Player {
    tls: Option<PlayerTls>,
    media: Media,
    /// What waits to be sent.
    output: Vec<u8>,
    /// The beginning of a TLS record whose end has not come.
    kept: Vec<u8>,
}

/// What is in the bytes once they are plain.
struct Media {
    demuxer: Demuxer,
    /// The status of a server that has done what it was asked.
    status: &'static [u8],
    is_accepted: bool,
    /// Answers to the server's pings.
    answers: Vec<u8>,
}

enum Demuxer {
    Chunks(ChunkDemuxer),
    Http(HttpDemuxer),
}

impl Player {
    pub(super) fn new(access: &PlayAccess) -> Result<Self, Failure> {
        Self::looking_at(access, PEEK)
    }

    /// One that is told so many bytes of each message.
    pub(super) fn looking_at(access: &PlayAccess, peek: usize) -> Result<Self, Failure> {
        let demuxer = match access.protocol {
            Protocol::Rtmp => Demuxer::Chunks(ChunkDemuxer::new(peek)),
            Protocol::Http => Demuxer::Http(HttpDemuxer::new(peek)),
        };
        let status = access.status;
        let media = Media { demuxer, status, is_accepted: false, answers: Vec::new() };
        let tls = access.trust.as_ref().map(PlayerTls::new).transpose()?;
        let mut player = Self { tls, media, output: Vec::new(), kept: Vec::new() };
        match &mut player.tls {
            None => player.output.extend_from_slice(&access.request),
            Some(tls) => {
                tls.send(&access.request);
                tls.take(&mut [], &mut player.output, |_| Ok(()))?;
            }
        }
        Ok(player)
    }

    /// What waits to be sent.
    pub(super) fn output(&self) -> &[u8] {
        &self.output
    }

    /// So many bytes of it were sent.
    pub(super) fn consume_output(&mut self, count: usize) {
        self.output.drain(..count);
    }

    /// Whether the server has said that it plays.
    pub(super) const fn is_accepted(&self) -> bool {
        self.media.is_accepted
    }

    /// Puts what was received but not used at the beginning of `block`, and says how much that is.
    /// What is read behind it is to be received together with it.
    pub(super) fn restore(&self, block: &mut [u8]) -> usize {
        block[..self.kept.len()].copy_from_slice(&self.kept);
        self.kept.len()
    }

    /// Takes what was restored and read; tells kind and first bytes of each message that ends.
    ///
    /// # Errors
    /// If the server refuses, ends the stream, or breaks the protocol.
    pub(super) fn receive(
        &mut self,
        bytes: &mut [u8],
        mut message: impl FnMut(u8, &[u8]),
    ) -> Result<(), Failure> {
        let Self { tls, media, output, kept } = self;
        if let Some(tls) = tls {
            let used = tls.take(bytes, output, |plain| media.take(plain, &mut message))?;
            kept.clear();
            kept.extend_from_slice(&bytes[used..]);
        } else {
            media.take(bytes, &mut message)?;
        }
        match tls {
            None => output.append(&mut media.answers),
            Some(tls) => {
                tls.send(&media.answers);
                media.answers.clear();
            }
        }
        Ok(())
    }

    /// Sends what waits, waits for bytes, and receives them; says how many came, `None` at the
    /// end. `block` is lent while it does not wait.
    ///
    /// # Errors
    /// As [`Player::receive`], or of the socket.
    pub(super) async fn step(
        &mut self,
        socket: &TcpStream,
        block: &RefCell<Vec<u8>>,
        mut message: impl FnMut(u8, &[u8]),
    ) -> Result<Option<usize>, Failure> {
        while !self.output.is_empty() {
            socket.writable().await?;
            let count = or_later(socket.try_write(&self.output))?.unwrap_or(0);
            self.consume_output(count);
        }
        loop {
            socket.readable().await?;
            let mut block = block.borrow_mut();
            let kept = self.restore(&mut block);
            match or_later(socket.try_read(&mut block[kept..]))? {
                Some(0) => return Ok(None),
                Some(count) => {
                    self.receive(&mut block[..kept + count], &mut message)?;
                    return Ok(Some(count));
                }
                None => {}
            }
        }
    }
}

impl Media {
    fn take(&mut self, bytes: &[u8], mut message: impl FnMut(u8, &[u8])) -> Result<(), Failure> {
        let Self { demuxer, status, is_accepted, answers } = self;
        match demuxer {
            Demuxer::Chunks(chunks) => chunks.take(bytes, |kind, start| {
                match kind {
                    COMMAND if !*is_accepted => {
                        *is_accepted = start.windows(status.len()).any(|part| part == *status);
                    }
                    USER_CONTROL => {
                        if let [0, PING, time @ ..] = start
                            && let Some(time) = time.first_chunk()
                        {
                            answers.extend(request::pong(*time));
                        }
                    }
                    _ => {}
                }
                message(kind, start);
            }),
            Demuxer::Http(http) => {
                http.take(bytes, answers, message)?;
                *is_accepted = http.is_accepted();
            }
        }
        Ok(())
    }
}

/// The event of a ping (RTMP 1.0 section 7.1.7).
const PING: u8 = 6;

fn or_later(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::demux::VIDEO;
    use crate::load::tls::TrustArgs;
    use crate::tls::Acceptor;
    use crate::tls::harness::Authority;
    use std::io::IoSlice;
    use std::sync::Arc;

    #[test]
    fn a_ping_is_answered_and_the_start_of_playing_is_noticed() {
        let access = PlayAccess {
            address: ([127, 0, 0, 1], 1).into(),
            trust: None,
            protocol: Protocol::Rtmp,
            request: Arc::from(&b"request"[..]),
            status: b"Started",
        };
        let mut player = Player::new(&access).unwrap();
        assert_eq!(player.output(), b"request");
        player.consume_output(7);
        let mut wire = vec![0; 3_073];
        wire.extend([2, 0, 0, 0, 0, 0, 6, USER_CONTROL, 0, 0, 0, 0, 0, PING, 1, 2, 3, 4]);
        player.receive(&mut wire, |_, _| {}).unwrap();
        let pong = [2, 0, 0, 0, 0, 0, 6, USER_CONTROL, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4];
        assert_eq!((player.output(), player.is_accepted()), (&pong[..], false));
        let command = b"onStatus Started";
        let mut wire = [&[3, 0, 0, 0, 0, 0, 16, COMMAND, 0, 0, 0, 0], &command[..]].concat();
        player.receive(&mut wire, |_, _| {}).unwrap();
        assert!(player.is_accepted());
    }

    #[test]
    fn by_tls_records_may_come_in_pieces() {
        const TAGS: usize = 20;
        let dir = tempfile::tempdir().unwrap();
        let files = Authority::new().issue(dir.path(), "node.example");
        let mut server = Acceptor::load(files, &[]).unwrap().link().unwrap();
        let access = PlayAccess {
            address: ([127, 0, 0, 1], 1).into(),
            trust: Some(TrustArgs::anybody().to("node.example").unwrap()),
            protocol: Protocol::Http,
            request: Arc::from(&b"request"[..]),
            status: b"",
        };
        let mut answer = b"HTTP/1.1 200 OK\r\n\r\nFLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
        for _ in 0..TAGS {
            answer.extend([VIDEO, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
            answer.extend([0x17; 0x800 + 4]);
        }
        let mut player = Player::new(&access).unwrap();
        let (mut block, mut plain, mut count) = (vec![0; 64 << 10], [0; 64], 0);
        while count < TAGS {
            let mut input = player.output();
            let length = input.len();
            while let heard @ 1.. = server.open(&mut input, &mut plain).unwrap() {
                assert_eq!(&plain[..heard], b"request");
                assert_eq!(server.seal(&[IoSlice::new(&answer)]).unwrap(), answer.len());
            }
            player.consume_output(length);
            let mut wire = Vec::new();
            server.write_to(&mut wire).unwrap();
            for piece in wire.chunks(700) {
                let kept = player.restore(&mut block);
                block[kept..kept + piece.len()].copy_from_slice(piece);
                let bytes = &mut block[..kept + piece.len()];
                player.receive(bytes, |kind, _| count += usize::from(kind == VIDEO)).unwrap();
            }
        }
        assert!(player.is_accepted());
    }
}
