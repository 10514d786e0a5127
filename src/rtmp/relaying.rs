//! Relay path at `connect`: nodes that relay a stream tell each other through which nodes it has
//! come, and where it goes. A stream is never offered to a place that it came from.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::amf0::Value;
use super::limits::RELAY_HOPS_MAX;

/// One stream at one node. It says nothing about either to others, but is the same whenever they
/// are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hop(u64);

impl Hop {
    /// The stream `name` at the node with this random number.
    #[must_use]
    pub fn new(node: u64, name: &str) -> Self {
        // FNV-1a over the name, then the finisher of splitmix64.
        let mut word = node ^ 0xcbf2_9ce4_8422_2325;
        for byte in name.bytes() {
            word = (word ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(word ^ (word >> 31))
    }

    fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == HOP_CHARS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

/// Hexadecimal digits of a hop.
const HOP_CHARS: usize = 16;

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hops in the order in which a stream takes them, at most [`RELAY_HOPS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hops(Vec<Hop>);

impl Hops {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `hop` is one of them.
    #[must_use]
    pub fn contains(&self, hop: Hop) -> bool {
        self.0.contains(&hop)
    }

    /// The first of them.
    #[must_use]
    pub fn first(&self) -> Option<Hop> {
        self.0.first().copied()
    }

    /// These and one more; `None` if it is one of them already, or if there are too many. Both say
    /// that the stream goes round.
    #[must_use]
    pub fn with(&self, hop: Hop) -> Option<Self> {
        let fits = self.0.len() < RELAY_HOPS_MAX && !self.contains(hop);
        fits.then(|| Self(self.0.iter().copied().chain([hop]).collect()))
    }

    /// Adds the others as far as there is room and they are not there yet.
    pub fn add_all(&mut self, others: &Self) {
        for hop in &others.0 {
            if self.0.len() < RELAY_HOPS_MAX && !self.contains(*hop) {
                self.0.push(*hop);
            }
        }
    }

    fn parse(text: &str) -> Self {
        Self(text.split(',').take(RELAY_HOPS_MAX).filter_map(Hop::parse).collect())
    }

    fn text(&self) -> String {
        self.0.iter().map(Hop::to_string).collect::<Vec<_>>().join(",")
    }
}

/// What a node says about a stream that it relays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relaying {
    /// From where on it has come, the publisher's node first. Of who publishes.
    pub path: Hops,
    /// Where it would go: to who asks first, then to those that have asked there. Of who plays.
    pub goes_to: Hops,
}

/// Members of the object of `connect`, and the first of the answer to `play`.
const PATH: &str = "relayPath";
const GOES_TO: &str = "relayGoesTo";

/// Member of the answer to `connect` by which a node says that it heeds them.
const HEEDS: &str = "relay";

impl Relaying {
    /// What the object of `connect` says; `None` if the peer is no node that relays.
    pub(super) fn of(object: &Value) -> Option<Self> {
        let hops = |name| object.get(name).and_then(Value::as_str).map(Hops::parse);
        let (path, goes_to) = (hops(PATH), hops(GOES_TO));
        (path.is_some() || goes_to.is_some())
            .then(|| Self { path: path.unwrap_or_default(), goes_to: goes_to.unwrap_or_default() })
    }

    /// Members for the object of `connect`: what there is to say.
    pub(super) fn members(&self) -> impl Iterator<Item = (String, Value)> + use<> {
        let said = [(PATH, self.path.text()), (GOES_TO, self.goes_to.text())];
        let said = said.into_iter().filter(|(_, text)| !text.is_empty());
        said.map(|(name, text)| (name.to_owned(), Value::String(text)))
    }
}

/// The member by which a server answers a node that relays.
pub(super) fn heeds() -> (String, Value) {
    (HEEDS.to_owned(), true.into())
}

/// Whether a server's answer to `connect` has it.
pub(super) fn is_heeded(answer: &Value) -> bool {
    answer.get(HEEDS) == Some(&Value::Boolean(true))
}

/// The member by which a server says through where the stream that begins has come.
pub(super) fn path_member(path: &Hops) -> (String, Value) {
    (PATH.to_owned(), Value::String(path.text()))
}

/// What that says.
pub(super) fn path_of(status: &Value) -> Option<Hops> {
    status.get(PATH).and_then(Value::as_str).map(Hops::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hops(count: u64) -> Hops {
        (0..count).fold(Hops::default(), |hops, node| hops.with(Hop::new(node, "a/b")).unwrap())
    }

    #[test]
    fn a_hop_is_one_stream_of_one_node() {
        let hop = Hop::new(7, "live/a");
        assert_eq!(hop, Hop::new(7, "live/a"));
        assert_ne!(hop, Hop::new(8, "live/a"));
        assert_ne!(hop, Hop::new(7, "live/b"));
    }

    #[test]
    fn what_is_said_reads_back() {
        let said = Relaying { path: hops(3), goes_to: hops(2) };
        let object = Value::Object(said.members().collect());
        assert_eq!(Relaying::of(&object), Some(said));
        assert_eq!(path_of(&Value::Object(vec![path_member(&hops(4))])), Some(hops(4)));
        assert!(is_heeded(&Value::Object(vec![heeds()])));
    }

    #[test]
    fn who_says_nothing_is_no_relay_and_who_talks_nonsense_has_been_nowhere() {
        let with = |text: &str| Value::object([("app", "live".into()), (PATH, text.into())]);
        assert_eq!(Relaying::of(&Value::object([("app", "live".into())])), None);
        for odd in ["", "x", "0123456789abcdefg", ",,", "+123456789abcdef"] {
            assert_eq!(Relaying::of(&with(odd)), Some(Relaying::default()), "{odd}");
        }
    }

    #[test]
    fn a_stream_that_comes_back_or_has_come_too_far_goes_no_further() {
        let far = hops(RELAY_HOPS_MAX as u64 - 1);
        assert!(far.with(Hop::new(3, "a/b")).is_none(), "it has been there");
        let full = far.with(Hop::new(99, "a/b")).unwrap();
        assert!(full.with(Hop::new(100, "a/b")).is_none(), "it has been everywhere");
        let long = vec![full.text(); 3].join(",");
        assert_eq!(Hops::parse(&long), full, "and a peer cannot make it longer");
        let mut some = hops(2);
        some.add_all(&full);
        assert_eq!(some.0.len(), RELAY_HOPS_MAX);
    }
}
