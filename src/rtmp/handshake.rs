//! The handshake of both roles (RTMP 1.0 section 5.2), simple and with the digests Flash Player 9
//! introduced. Nothing that fails to verify is refused: peers differ too much.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::Error;

const BLOCK: usize = 1_536;
const VERSION: u8 = 3;
const DIGEST: usize = 32;

/// Where a scheme keeps the four bytes from which its digest's place follows: scheme 0, scheme 1.
const SCHEMES: [usize; 2] = [772, 8];

/// "Genuine Adobe Flash Player 001" and the 32 bytes both keys share.
const PLAYER_TEXT: &[u8] = b"Genuine Adobe Flash Player 001";
const SERVER_TEXT: &[u8] = b"Genuine Adobe Flash Media Server 001";
const SHARED: [u8; 32] = [
    0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57,
    0x6e, 0xec, 0x5d, 0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
];

/// The versions we claim where a digest is in use; zero means "no digest".
const SERVER_VERSION: [u8; 4] = [4, 5, 0, 1];
const PLAYER_VERSION: [u8; 4] = [9, 0, 124, 2];

/// The server's side: reads C0, C1 and C2; writes S0, S1 and S2 as soon as C1 is there.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Server {
    random: Random,
    step: Step,
}

/// The client's side: writes C0 and C1 at once, C2 when S1 is there; reads S2 to its end.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Client {
    random: Random,
    digest: bool,
    step: Step,
}

#[derive(Debug, Serialize, Deserialize)]
enum Step {
    /// Collecting the version byte and the first block.
    First(Vec<u8>),
    /// Passing over the second block, which nobody needs: this many bytes are to come.
    Second(usize),
}

impl Server {
    pub(super) const fn new(random: [u8; 32]) -> Self {
        Self { random: Random::new(random), step: Step::First(Vec::new()) }
    }

    /// Takes handshake bytes off `input`; `true` once the handshake is over.
    pub(super) fn read(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Error> {
        let Some(c1) = self.step.first_block(input)? else { return Ok(false) };
        if let Step::First(_) = self.step {
            self.answer(&c1, out);
            self.step = Step::Second(BLOCK);
        }
        Ok(self.step.second_block(input))
    }

    /// Whether it does not contradict itself, as what is read from a snapshot may.
    pub(super) fn is_whole(&self) -> bool {
        self.step.is_whole()
    }

    fn answer(&mut self, c1: &[u8], out: &mut Vec<u8>) {
        let simple = c1[4..8] == [0; 4];
        let found = if simple { None } else { find_digest(c1, PLAYER_TEXT) };
        let mut s1 = self.random.block();
        s1[..8].fill(0);
        out.push(VERSION);
        let Some((scheme, c1_digest)) = found else {
            out.extend_from_slice(&s1);
            out.extend_from_slice(c1);
            return;
        };
        s1[4..8].copy_from_slice(&SERVER_VERSION);
        imprint(&mut s1, scheme, SERVER_TEXT);
        out.extend_from_slice(&s1);
        let mut s2 = self.random.block();
        sign_reply(&mut s2, &c1_digest, SERVER_TEXT);
        out.extend_from_slice(&s2);
    }
}

impl Client {
    /// Writes C0 and C1. With `digest` they carry one, for servers that only give H.264 to a
    /// "genuine" player.
    pub(super) fn new(random: [u8; 32], digest: bool, out: &mut Vec<u8>) -> Self {
        let mut random = Random::new(random);
        let mut c1 = random.block();
        c1[..8].fill(0);
        if digest {
            c1[4..8].copy_from_slice(&PLAYER_VERSION);
            imprint(&mut c1, SCHEMES[1], PLAYER_TEXT);
        }
        out.push(VERSION);
        out.extend_from_slice(&c1);
        Self { random, digest, step: Step::First(Vec::new()) }
    }

    /// Takes handshake bytes off `input`; `true` once the handshake is over.
    pub(super) fn read(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Error> {
        let Some(s1) = self.step.first_block(input)? else { return Ok(false) };
        if let Step::First(_) = self.step {
            match find_digest(&s1, SERVER_TEXT).filter(|_| self.digest) {
                None => out.extend_from_slice(&s1),
                Some((_, s1_digest)) => {
                    let mut c2 = self.random.block();
                    sign_reply(&mut c2, &s1_digest, PLAYER_TEXT);
                    out.extend_from_slice(&c2);
                }
            }
            self.step = Step::Second(BLOCK);
        }
        Ok(self.step.second_block(input))
    }

    /// Whether it does not contradict itself, as what is read from a snapshot may.
    pub(super) fn is_whole(&self) -> bool {
        self.step.is_whole()
    }
}

impl Step {
    fn is_whole(&self) -> bool {
        match self {
            Self::First(bytes) => bytes.len() <= BLOCK,
            Self::Second(left) => *left <= BLOCK,
        }
    }

    /// The peer's first block when it is complete; an empty one if it was complete before.
    fn first_block(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Self::First(bytes) = self else { return Ok(Some(Vec::new())) };
        if bytes.is_empty() {
            match input.first() {
                None => return Ok(None),
                Some(&VERSION) => bytes.reserve_exact(1 + BLOCK),
                Some(&version) => return Err(Error::NotRtmp(what_starts_with(version))),
            }
        }
        let taken = input.len().min(1 + BLOCK - bytes.len());
        bytes.extend_from_slice(&input[..taken]);
        *input = &input[taken..];
        Ok((bytes.len() > BLOCK).then(|| bytes.split_off(1)))
    }

    /// Whether the second block has passed.
    fn second_block(&mut self, input: &mut &[u8]) -> bool {
        let Self::Second(left) = self else { return false };
        let taken = input.len().min(*left);
        *left -= taken;
        *input = &input[taken..];
        *left == 0
    }
}

const fn what_starts_with(version: u8) -> &'static str {
    match version {
        6 | 8 | 9 => "encrypted RTMP (RTMPE) is not spoken here",
        b'C' | b'D' | b'G' | b'H' | b'O' | b'P' => "looks like HTTP",
        0x16 => "looks like TLS: use the rtmps port",
        _ => "the first byte is not version 3",
    }
}

/// Scheme and digest of a block, trying scheme 0 and then scheme 1.
fn find_digest(block: &[u8], text: &[u8]) -> Option<(usize, [u8; DIGEST])> {
    SCHEMES.into_iter().find_map(|scheme| {
        let at = digest_at(block, scheme);
        let digest = block_digest(block, at, text);
        (block[at..at + DIGEST] == digest).then_some((scheme, digest))
    })
}

fn imprint(block: &mut [u8; BLOCK], scheme: usize, text: &[u8]) {
    let at = digest_at(block, scheme);
    let digest = block_digest(block, at, text);
    block[at..at + DIGEST].copy_from_slice(&digest);
}

/// At most 772 + 4 + 727, so that the digest fits in the block.
fn digest_at(block: &[u8], scheme: usize) -> usize {
    let sum: usize = block[scheme..scheme + 4].iter().map(|b| usize::from(*b)).sum();
    scheme + 4 + sum % 728
}

/// Digest of a block without the place of the digest itself.
fn block_digest(block: &[u8], at: usize, text: &[u8]) -> [u8; DIGEST] {
    hmac(text, [&block[..at], &block[at + DIGEST..]])
}

/// Ends a second block with the proof that its writer has read the digest of the first.
fn sign_reply(block: &mut [u8; BLOCK], digest: &[u8; DIGEST], text: &[u8]) {
    let key = hmac(&[text, &SHARED].concat(), [digest, &[]]);
    let (body, place) = block.split_at_mut(BLOCK - DIGEST);
    place.copy_from_slice(&hmac(&key, [body, &[]]));
}

fn hmac(key: &[u8], parts: [&[u8]; 2]) -> [u8; DIGEST] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
    parts.into_iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Filler for the blocks: it keeps nothing secret, it only has to differ (splitmix64).
#[derive(Debug, Serialize, Deserialize)]
struct Random(u64);

impl Random {
    const fn new(seed: [u8; 32]) -> Self {
        let mut state = 0_u64;
        let mut at = 0;
        while at < seed.len() {
            state = state.wrapping_mul(0x0100_0000_01b3) ^ seed[at] as u64;
            at += 1;
        }
        Self(state)
    }

    fn block(&mut self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        for piece in block.chunks_exact_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            piece.copy_from_slice(&(z ^ z >> 31).to_le_bytes());
        }
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Joins both sides, `step` bytes at a time.
    fn join(digest: bool, step: usize) -> (Vec<u8>, Vec<u8>) {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        let mut client = Client::new([1; 32], digest, &mut up);
        let mut server = Server::new([2; 32]);
        let (mut at_server, mut at_client) = (0, 0);
        let mut done = (false, false);
        while done != (true, true) {
            let upto = up.len().min(at_server + step);
            let mut input = &up[at_server..upto];
            done.0 |= server.read(&mut input, &mut down).unwrap();
            at_server = upto - input.len();
            let upto = down.len().min(at_client + step);
            let mut input = &down[at_client..upto];
            done.1 |= client.read(&mut input, &mut up).unwrap();
            at_client = upto - input.len();
        }
        (up, down)
    }

    #[test]
    fn a_simple_handshake_is_answered_simply_and_c1_is_echoed() {
        let (up, down) = join(false, 100);
        assert_eq!((up.len(), down.len()), (1 + 2 * BLOCK, 1 + 2 * BLOCK));
        assert_eq!(down[0], VERSION);
        assert_eq!(down[5..9], [0; 4]);
        assert_eq!(down[1 + BLOCK..], up[1..=BLOCK]);
        assert_eq!(up[1 + BLOCK..], down[1..=BLOCK]);
    }

    #[test]
    fn one_byte_at_a_time_is_the_same_as_all_at_once() {
        for digest in [false, true] {
            assert_eq!(join(digest, 1), join(digest, usize::MAX / 2));
        }
    }

    #[test]
    fn a_digest_in_either_scheme_is_answered_in_that_scheme() {
        for scheme in SCHEMES {
            let mut c1 = Random::new([3; 32]).block();
            c1[4..8].copy_from_slice(&PLAYER_VERSION);
            imprint(&mut c1, scheme, PLAYER_TEXT);
            let (found, c1_digest) = find_digest(&c1, PLAYER_TEXT).unwrap();
            assert_eq!(found, scheme);

            let mut down = Vec::new();
            let mut server = Server::new([4; 32]);
            let mut input = &[&[VERSION], &c1[..]].concat()[..];
            assert!(!server.read(&mut input, &mut down).unwrap());
            let (s1, s2) = down[1..].split_at(BLOCK);
            assert_eq!(find_digest(s1, SERVER_TEXT).unwrap().0, scheme);
            let key = hmac(&[SERVER_TEXT, &SHARED].concat(), [&c1_digest, &[]]);
            assert_eq!(s2[BLOCK - DIGEST..], hmac(&key, [&s2[..BLOCK - DIGEST], &[]]));
        }
    }

    #[test]
    fn a_digest_that_does_not_verify_falls_back_to_the_simple_handshake() {
        let mut c1 = Random::new([3; 32]).block();
        c1[4..8].copy_from_slice(&PLAYER_VERSION);
        let mut down = Vec::new();
        let mut input = &[&[VERSION], &c1[..]].concat()[..];
        Server::new([4; 32]).read(&mut input, &mut down).unwrap();
        assert_eq!(down[1 + BLOCK..], c1);
    }

    #[test]
    fn s0_s1_and_s2_leave_before_c2_and_what_follows_c2_is_left_alone() {
        let mut down = Vec::new();
        let mut server = Server::new([0; 32]);
        let mut c0c1 = vec![0; 1 + BLOCK];
        c0c1[0] = VERSION;
        assert!(!server.read(&mut &c0c1[..], &mut down).unwrap());
        assert_eq!(down.len(), 1 + 2 * BLOCK);
        let c2_and_more = vec![7; BLOCK + 5];
        let mut input = &c2_and_more[..];
        assert!(server.read(&mut input, &mut down).unwrap());
        assert_eq!(input, [7; 5]);
    }

    #[test]
    fn other_protocols_are_named_at_their_first_byte() {
        for (byte, word) in [(6, "RTMPE"), (b'G', "HTTP"), (b'P', "HTTP"), (0x16, "rtmps")] {
            let error = Server::new([0; 32]).read(&mut &[byte][..], &mut Vec::new()).unwrap_err();
            assert!(matches!(error, Error::NotRtmp(what) if what.contains(word)), "{error}");
        }
    }

    #[test]
    fn a_digest_fits_wherever_the_block_says_it_is() {
        let block = [0xff; BLOCK];
        for scheme in SCHEMES {
            assert!(digest_at(&block, scheme) + DIGEST <= BLOCK);
        }
        let mut worst = [0; BLOCK];
        worst[772..776].copy_from_slice(&[255, 255, 217, 0]);
        assert_eq!(digest_at(&worst, 772), 772 + 4 + 727);
        assert!(find_digest(&worst, PLAYER_TEXT).is_none());
    }
}
