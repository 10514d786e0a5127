//! Pull gate: a pulled stream opens only with something new. Headers alone open nothing, and
//! neither does what the stream was when its last source left it: a server in a ring of relays
//! still has both.

use serde::{Deserialize, Serialize};

use crate::frame::PacketBuf;
use crate::media::{Kind, Micros};
use crate::stream::{Flags, Prints};

/// How long repeats are held back: a ring has given all it had by then, and a source that is the
/// same again bit by bit, such as a still picture, is let in.
const HOLD_MAX: Micros = Micros::from_secs(2);

/// Messages, and bytes of them, that are held. A source that gives more is let in.
const HELD_MAX: usize = 2_048;
const HELD_BYTES_MAX: usize = 16 << 20;

/// A message as the server gave it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Pulled {
    pub(super) kind: Kind,
    pub(super) time: u32,
    pub(super) flags: Flags,
    pub(super) body: PacketBuf,
}

impl Pulled {
    /// Whether it is neither a header nor data.
    pub(super) const fn is_media(&self) -> bool {
        !self.flags.is_header() && !matches!(self.kind, Kind::Data)
    }
}

/// Holds messages until the stream is to open.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct PullGate {
    held: Vec<Pulled>,
    bytes: usize,
    /// When the first picture or audio came.
    #[serde(with = "crate::media::instants")]
    since: Option<Micros>,
}

impl PullGate {
    /// Takes a message. `past` is what the stream was, if that is not long ago. Gives everything
    /// that is held once the stream is to open.
    pub(super) fn take(
        &mut self,
        given: Pulled,
        past: Option<&Prints>,
        now: Micros,
    ) -> Option<Vec<Pulled>> {
        let is_media = given.is_media();
        if given.flags.is_key() {
            // What comes before a keyframe is not needed after it.
            self.held.retain(|held| !held.is_media());
            self.bytes = self.held.iter().map(|held| held.body.len()).sum();
        }
        let is_new = is_media && past.is_none_or(|past| !past.contain(&given.body));
        self.bytes += given.body.len();
        self.held.push(given);
        let is_full = self.held.len() > HELD_MAX || self.bytes > HELD_BYTES_MAX;
        let is_late = is_media && now.since(*self.since.get_or_insert(now)) >= HOLD_MAX;
        if is_full && !is_media {
            self.held.remove(0);
            return None;
        }
        let opens = is_new || is_late || is_full;
        opens.then(|| std::mem::take(self).held)
    }
}

/// Whether a data message is for players of that server only, and no part of the stream.
pub(super) fn is_the_servers_own(body: &[u8]) -> bool {
    // AMF0: a string marker, a length, and the name.
    let name = body.get(3..).unwrap_or_default();
    name.starts_with(b"|") || name.starts_with(b"onStatus")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{LogLimits, Message, StreamLog};

    fn given(kind: Kind, flags: Flags, body: &[u8]) -> Pulled {
        Pulled { kind, time: 0, flags, body: PacketBuf::copy_of(body) }
    }

    fn header() -> Pulled {
        given(Kind::Video, Flags::HEADER, b"avcc")
    }

    fn key(body: &[u8]) -> Pulled {
        given(Kind::Video, Flags::KEY, body)
    }

    fn picture(body: &[u8]) -> Pulled {
        given(Kind::Video, Flags::default(), body)
    }

    fn past(bodies: &[&[u8]]) -> Prints {
        let mut log = StreamLog::new(LogLimits::default(), true);
        for body in bodies {
            let body = PacketBuf::copy_of(body);
            log.push(Message::new(Kind::Video, 0, Flags::KEY, body, 1_000), Micros(0));
        }
        Prints::of(&log)
    }

    fn bodies(opened: Option<Vec<Pulled>>) -> Vec<Vec<u8>> {
        opened.expect("it opens").iter().map(|given| given.body.to_vec()).collect()
    }

    const NOW: Micros = Micros::from_secs(9);

    #[test]
    fn headers_alone_open_nothing_and_go_before_the_first_picture() {
        let mut gate = PullGate::default();
        for _ in 0..3 {
            assert!(gate.take(header(), None, NOW + Micros::from_secs(60)).is_none());
        }
        let data = given(Kind::Data, Flags::default(), b"\x02\x00\x01x");
        assert!(gate.take(data, None, NOW).is_none());
        let opened = bodies(gate.take(key(b"new"), None, NOW));
        assert_eq!((opened.len(), opened[4].as_slice()), (5, &b"new"[..]));
    }

    #[test]
    fn what_the_stream_was_does_not_open_it_again_and_what_is_new_does() {
        let (mut gate, past) = (PullGate::default(), past(&[b"one", b"two"]));
        assert!(gate.take(header(), Some(&past), NOW).is_none());
        assert!(gate.take(key(b"one"), Some(&past), NOW).is_none());
        assert!(gate.take(picture(b"two"), Some(&past), NOW).is_none());
        let opened = bodies(gate.take(picture(b"new"), Some(&past), NOW));
        assert_eq!(opened, [&b"avcc"[..], b"one", b"two", b"new"], "from its keyframe on");
    }

    #[test]
    fn of_what_is_held_the_newest_group_is_kept() {
        let (mut gate, past) = (PullGate::default(), past(&[b"one", b"two"]));
        for body in [b"one", b"two"] {
            assert!(gate.take(key(body), Some(&past), NOW).is_none());
        }
        assert_eq!(bodies(gate.take(picture(b"new"), Some(&past), NOW)), [&b"two"[..], b"new"]);
    }

    #[test]
    fn a_source_that_is_the_same_again_is_let_in_after_a_while() {
        let (mut gate, past) = (PullGate::default(), past(&[b"still"]));
        assert!(gate.take(key(b"still"), Some(&past), NOW).is_none());
        assert!(gate.take(key(b"still"), Some(&past), NOW + Micros::from_secs(1)).is_none());
        assert!(gate.take(key(b"still"), Some(&past), NOW + HOLD_MAX).is_some());
    }

    #[test]
    fn no_more_is_held_than_may_be() {
        let (mut gate, past) = (PullGate::default(), past(&[b"still"]));
        for _ in 0..3 * HELD_MAX {
            assert!(gate.take(header(), Some(&past), NOW).is_none());
        }
        assert!(gate.held.len() <= HELD_MAX);
        assert!(gate.take(picture(b"still"), Some(&past), NOW).is_some());
    }

    #[test]
    fn what_a_server_says_to_its_players_stays_with_them() {
        assert!(is_the_servers_own(b"\x02\x00\x11|RtmpSampleAccess"));
        assert!(is_the_servers_own(b"\x02\x00\x08onStatus"));
        assert!(!is_the_servers_own(b"\x02\x00\x0aonMetaData"));
        assert!(!is_the_servers_own(b""));
    }
}
