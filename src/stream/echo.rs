//! Loop detection: finds out that a stream feeds itself: by a server that passes it on without
//! saying where it has come from, what was sent out comes back in.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::stream::StreamLog;

/// Messages that are remembered of what went out, at most. What is in flight in a ring of servers
/// is less, unless one of them is seconds behind.
const SENT_MAX: usize = 4_096;

/// How many more messages come back than not before that counts as proof. Two frames of silence
/// with one stamp are no loop.
const PROOF: u32 = 48;

/// How much a message that does not come back speaks against it. Some of those that do are not
/// known again.
const DOUBT: u32 = 2;

/// Bytes at either end of a message by which it is known again.
const SAMPLE: usize = 32;

/// What messages are known by: length and both ends of their bodies. Two pictures that differ do so
/// there: the beginning holds their number and the end is what the coder ended with.
fn fingerprint(body: &[u8]) -> u64 {
    let ends = [&body[..body.len().min(SAMPLE)], &body[body.len().saturating_sub(SAMPLE)..]];
    let mut word = body.len() as u64 ^ 0xcbf2_9ce4_8422_2325;
    for byte in ends.into_iter().flatten() {
        word = (word ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    word ^ (word >> 29)
}

/// What a stream was when its source left it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prints(Arc<[u64]>);

impl Prints {
    /// Of all pictures and audio in a log.
    #[must_use]
    pub fn of(log: &StreamLog) -> Self {
        let media = (log.first()..log.end()).filter_map(|number| log.get(number));
        let media = media.filter(|message| !message.is_header());
        let mut prints: Vec<u64> = media.map(|message| fingerprint(message.body())).collect();
        prints.sort_unstable();
        Self(prints.into())
    }

    /// Whether a message of this body was in it.
    #[must_use]
    pub fn contain(&self, body: &[u8]) -> bool {
        self.0.binary_search(&fingerprint(body)).is_ok()
    }
}

/// Watches one source of a stream.
///
/// A message that comes in with the very stamp and body under which one went out is that one: a
/// source's own messages go out after they have come in.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct LoopWatch {
    /// What went out, by the last digits of what it is known by; allocated with the first message.
    sent: Box<[u32]>,
    proof: u32,
    /// The message before: what it is known by, and its stamp.
    newest: (u64, u32),
}

impl LoopWatch {
    /// Whether it does not contradict itself, as what is read from a snapshot may.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.sent.len(), 0 | SENT_MAX)
    }

    /// A picture or audio came stamped `came` and goes out stamped `goes`, both in milliseconds.
    /// Says whether the stream feeds itself.
    pub fn passes(&mut self, came: u32, goes: u32, body: &[u8]) -> bool {
        if self.sent.is_empty() {
            self.sent = vec![0; SENT_MAX].into_boxed_slice();
        }
        let print = fingerprint(body);
        // The same again proves nothing: a burst of silence may have one stamp.
        if std::mem::replace(&mut self.newest, (print, came)) == (print, came) {
            return false;
        }
        let (index, known) = place(print, came);
        self.proof = if self.sent[index] == known {
            self.proof + 1
        } else {
            self.proof.saturating_sub(DOUBT)
        };
        let (index, known) = place(print, goes);
        self.sent[index] = known;
        self.proof >= PROOF
    }
}

/// Where a message is remembered, and as what; never as 0.
#[expect(clippy::cast_possible_truncation, reason = "the two halves are used")]
const fn place(print: u64, time: u32) -> (usize, u32) {
    let word = (print ^ time as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (known, digits) = ((word >> 32) as u32, word as u32 >> 8);
    (digits as usize % SENT_MAX, known | 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Kind, Micros};
    use crate::stream::log::tests::message;
    use crate::stream::{Flags, LogLimits, TimestampRepair};
    use std::collections::VecDeque;

    /// A picture that is like no other.
    fn picture(n: u32) -> Vec<u8> {
        let mut body = vec![0x27, 1, 0, 0, 0];
        body.extend((0..200_u32).flat_map(|i| (n * 7_919 + i).to_be_bytes()));
        body
    }

    #[test]
    fn what_goes_round_is_found_out_however_much_of_it_there_is() {
        for in_flight in [1, 3, 70, 700] {
            let (mut watch, mut repair) = (LoopWatch::default(), TimestampRepair::default());
            repair.resume(50_000);
            let mut ring: VecDeque<(u32, u32)> = (0..in_flight).map(|n| (n * 40, n)).collect();
            let found = (0..2 * in_flight + 10 * PROOF).find(|_| {
                let (came, n) = ring.pop_front().unwrap();
                let goes = repair.repair(Kind::Video, came);
                ring.push_back((goes, n));
                watch.passes(came, goes, &picture(n))
            });
            let found = found.expect("it goes round");
            assert!(found < in_flight + 4 * PROOF, "{found} of {in_flight}");
        }
    }

    #[test]
    fn a_good_source_is_never_taken_for_a_loop() {
        // A still picture whose groups are alike, with silence, and a line that is shifted.
        for shift in [0, 20, 40, 2_000, 5_040, 60_000] {
            let mut watch = LoopWatch::default();
            for n in 0..20_000_u32 {
                let (time, body) = (n * 40, picture(n % 50));
                assert!(!watch.passes(time, time + shift, &body), "picture {n}, shift {shift}");
                let audio = n * 21 + n / 3;
                let silence = [0xaf, 1, 0x21, 0x10, 4, 0x60, 0x8c, 0x1c];
                assert!(!watch.passes(audio, audio + shift, &silence), "audio {n}, shift {shift}");
            }
        }
    }

    #[test]
    fn pictures_and_audio_of_a_log_are_known_again() {
        let mut log = StreamLog::new(LogLimits::default(), true);
        log.push(message(Kind::Video, 0, Flags::KEY, &picture(1)), Micros(0));
        log.push(message(Kind::Audio, 5, Flags::default(), &[0xaf, 1, 9]), Micros(0));
        let prints = Prints::of(&log);
        assert!(prints.contain(&picture(1)) && prints.contain(&[0xaf, 1, 9]));
        assert!(!prints.contain(&picture(2)) && !prints.contain(&[0xaf, 1, 8]));
        assert!(!Prints::default().contain(&[]));
    }
}
