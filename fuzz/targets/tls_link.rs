//! TLS connections without sockets: strangers' bytes are refused alike however they come; between
//! two ends that know each other every byte arrives in its order; and of what somebody in between
//! has touched, nothing arrives but a beginning of what was sent.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::IoSlice;
use stream_manager_fuzz::peers::{client, server};
use stream_manager_fuzz::tls::Link;

/// Most bytes of what is on its way that come again.
const AGAIN_BYTES_MAX: usize = 4 << 10;

/// Opens what `link` has been sent, `step` bytes at a time.
fn open(link: &mut Link, bytes: &[u8], step: usize, room: usize) -> Result<Vec<u8>, String> {
    let (mut got, mut plain) = (Vec::new(), vec![0; room]);
    for mut piece in bytes.chunks(step.max(1)) {
        loop {
            let count = link.open(&mut piece, &mut plain).map_err(|failure| failure.to_string())?;
            got.extend_from_slice(&plain[..count]);
            if count == 0 {
                assert!(piece.is_empty() || link.peer_closed(), "it takes all there is");
                break;
            }
        }
    }
    Ok(got)
}

/// All that `link` has sealed.
fn sealed(link: &mut Link) -> Vec<u8> {
    let mut wire = Vec::new();
    link.write_to(&mut wire).expect("memory takes all");
    assert!(!link.has_sealed());
    wire
}

/// A stranger speaks first.
fn stranger(link: impl Fn() -> Link, bytes: &[u8], step: usize) {
    let heard = |step| {
        let mut link = link();
        let opened = open(&mut link, bytes, step, 64);
        let alert = opened.is_err() && link.has_sealed();
        let state = (link.is_handshaking(), link.peer_closed());
        if opened.is_err() {
            let again = link.open(&mut &b"more"[..], &mut [0; 64]);
            assert!(again.is_err(), "a connection that has failed stays so");
        }
        (opened, alert, state)
    };
    let whole = heard(usize::MAX);
    assert!(whole.0.as_ref().is_ok_and(Vec::is_empty) || whole.0.is_err(), "nobody let it in");
    assert_eq!(whole, heard(step));
}

/// One end, with what it has sent and got, and what is on its way to it.
struct End {
    link: Link,
    sent: Vec<u8>,
    got: Vec<u8>,
    wire: Vec<u8>,
    /// Whether it has failed, or has said its last word.
    is_over: bool,
}

impl End {
    fn new(link: Link) -> Self {
        let (sent, got, wire) = (Vec::new(), Vec::new(), Vec::new());
        Self { link, sent, got, wire, is_over: false }
    }

    /// Takes `count` bytes of what is on its way; fails only if somebody has `touched` something, or
    /// broken it off: who notices tells the other end.
    fn take(&mut self, count: usize, (step, room): (usize, usize), touched: bool) {
        let bytes: Vec<u8> = self.wire.drain(..count.min(self.wire.len())).collect();
        if self.is_over {
            return;
        }
        match open(&mut self.link, &bytes, step, room) {
            Ok(got) => self.got.extend(got),
            Err(text) => {
                assert!(touched, "{text}");
                self.is_over = true;
            }
        }
    }

    /// Says something, once the handshake is over.
    fn say(&mut self, count: usize) {
        let text: Vec<u8> =
            (0..count).map(|n| (self.sent.len() + n * 31 + n / 251) as u8).collect();
        if self.is_over {
            return;
        }
        let may = !(self.link.is_handshaking() || self.link.has_sealed());
        let Ok(taken) = self.link.seal(&[IoSlice::new(&text)]) else { return };
        assert!(!may || count == 0 || taken > 0, "it takes some");
        assert!(taken <= 64 << 10);
        self.sent.extend_from_slice(&text[..taken]);
    }

    /// Says its last word, and hears nothing more.
    fn close(&mut self) {
        self.is_over = true;
        self.link.close();
    }

    /// Somebody in between touches what is on its way to it, if anything is.
    fn touch(&mut self, how: u8, place: u8, byte: u8) -> bool {
        if self.wire.is_empty() {
            return false;
        }
        let at = usize::from(place) * self.wire.len() / 256;
        match how & 3 {
            0 => self.wire[at] ^= byte,
            1 => self.wire.insert(at, byte),
            2 => drop(self.wire.drain(at..(at + usize::from(byte)).min(self.wire.len()))),
            _ => {
                let again = at..self.wire.len().min(at + AGAIN_BYTES_MAX);
                self.wire.extend_from_within(again);
            }
        }
        true
    }
}

fn carry(from: &mut End, to: &mut End) {
    to.wire.extend(sealed(&mut from.link));
}

fuzz_target!(|data: &[u8]| {
    let [mode, step, data @ ..] = data else { return };
    let (pieces, mut touched) =
        (((usize::from(step & 31) + 1) << (step >> 5 << 1), 1 << (mode >> 4)), false);
    match mode & 3 {
        0 => return stranger(server, data, pieces.0),
        1 => return stranger(client, data, pieces.0),
        _ => {}
    }
    let (mut client, mut server) = (End::new(client()), End::new(server()));
    let meet = |client: &mut End, server: &mut End, touched| {
        for _ in 0..8 {
            carry(client, server);
            server.take(usize::MAX, pieces, touched);
            carry(server, client);
            client.take(usize::MAX, pieces, touched);
        }
    };
    if mode & 4 != 0 {
        meet(&mut client, &mut server, touched);
        assert!(!client.link.is_handshaking() && !server.link.is_handshaking());
    }
    for [what, a, b] in data.as_chunks::<3>().0.iter().take(64) {
        let (one, other) = match what & 1 {
            0 => (&mut client, &mut server),
            _ => (&mut server, &mut client),
        };
        match what >> 1 & 7 {
            0 => carry(one, other),
            1 | 2 => one.take(usize::from(*a) << (b & 7), pieces, touched),
            3 | 4 => one.say(usize::from(*a) << (b & 7)),
            5 => touched |= one.touch(what >> 4, *a, *b),
            6 if *a < 64 => {
                one.close();
                touched = true;
            }
            _ => {
                carry(one, other);
                other.take(usize::MAX, pieces, touched);
            }
        }
    }
    meet(&mut client, &mut server, touched);
    for (from, to) in [(&client, &server), (&server, &client)] {
        assert!(from.sent.starts_with(&to.got), "something else arrived");
        assert!(touched || from.sent.len() == to.got.len(), "something is missing");
    }
});
