//! Whether a key lets a peer publish.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::info::{AddressRange, KeyInfo, KeyType};

/// What is decided about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may publish.
    Allow {
        /// Public name to publish under, such as `live/studio`.
        stream: Arc<str>,
        /// Whose key it is.
        owner: Arc<str>,
        /// Where it may be used from; empty for anywhere. Whoever hands the decision to a peer
        /// other than the one it was made for asks [`Decision::for_peer`] first.
        addresses: Arc<[AddressRange]>,
        /// Seconds for which it holds at most, from when it was made; `None` if the key has no end.
        valid_s: Option<u64>,
    },
    /// It may not.
    Deny(Denial),
}

/// Why not. The text is for the peer and says nothing that helps to guess a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// No such key.
    Unknown,
    /// It was taken back.
    Revoked,
    /// Its time is over.
    Expired,
    /// Not from this address.
    Address,
    /// An alias without a list of addresses: anybody could guess it.
    OpenAlias,
    /// Not decided by the key, for this reason.
    Other(&'static str),
}

impl Decision {
    /// No key has this hash.
    #[must_use]
    pub const fn unknown() -> Self {
        Self::Deny(Denial::Unknown)
    }

    /// For a reason outside the key, such as a store that does not answer.
    #[must_use]
    pub const fn denied(reason: &'static str) -> Self {
        Self::Deny(Denial::Other(reason))
    }

    /// The same decision for another peer that has the same key.
    #[must_use]
    pub fn for_peer(&self, peer: IpAddr) -> Self {
        match self {
            Self::Allow { addresses, .. } if !is_allowed(addresses, peer) => {
                Self::Deny(Denial::Address)
            }
            Self::Allow { .. } | Self::Deny(_) => self.clone(),
        }
    }

    /// Whether it is the same for every peer.
    #[must_use]
    pub fn holds_for_all(&self) -> bool {
        match self {
            Self::Allow { addresses, .. } => addresses.is_empty(),
            Self::Deny(denial) => *denial != Denial::Address,
        }
    }
}

/// Decides at `now_unix` seconds for a peer that has shown the key.
#[must_use]
pub fn decide(info: &KeyInfo, now_unix: u64, peer: IpAddr) -> Decision {
    if info.revoked {
        return Decision::Deny(Denial::Revoked);
    }
    if info.is_expired(now_unix) {
        return Decision::Deny(Denial::Expired);
    }
    if info.key_type == KeyType::Alias && info.allowed_ips.is_empty() {
        return Decision::Deny(Denial::OpenAlias);
    }
    let anywhere = info.key_type == KeyType::Development;
    let addresses = if anywhere { &[][..] } else { &info.allowed_ips };
    let decision = Decision::Allow {
        stream: info.stream.as_str().into(),
        owner: info.owner.as_str().into(),
        addresses: addresses.into(),
        valid_s: info.expires_at.map(|end| end - now_unix),
    };
    decision.for_peer(peer)
}

fn is_allowed(addresses: &[AddressRange], peer: IpAddr) -> bool {
    addresses.is_empty() || addresses.iter().any(|range| range.contains(peer))
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "this stream key is not known here",
            Self::Revoked => "this stream key has been revoked",
            Self::Expired => "this stream key has expired",
            Self::Address => "this stream key may not be used from this address",
            Self::OpenAlias => "this alias needs a list of allowed addresses, or the stream key",
            Self::Other(reason) => reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000;

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn verdict(info: &KeyInfo, from: &str) -> Option<Denial> {
        match decide(info, NOW, peer(from)) {
            Decision::Allow { .. } => None,
            Decision::Deny(denial) => Some(denial),
        }
    }

    #[test]
    fn a_good_key_publishes_under_its_public_name() {
        let info = KeyInfo::new(KeyType::Regular, "live/studio", NOW);
        let Decision::Allow { stream, valid_s, .. } = decide(&info, NOW + 10, peer("::1")) else {
            panic!("denied");
        };
        assert_eq!((&*stream, valid_s), ("live/studio", Some(30 * 86_400 - 10)));
    }

    #[test]
    fn revoked_and_expired_keys_open_nothing() {
        let mut info = KeyInfo::new(KeyType::Regular, "live/a", 0);
        info.expires_at = Some(NOW + 1);
        assert_eq!(verdict(&info, "::1"), None);
        info.expires_at = Some(NOW);
        assert_eq!(verdict(&info, "::1"), Some(Denial::Expired));
        info.revoked = true;
        assert_eq!(verdict(&info, "::1"), Some(Denial::Revoked));
    }

    #[test]
    fn a_list_of_addresses_keeps_others_out_also_when_they_share_the_answer() {
        let mut info = KeyInfo::new(KeyType::Regular, "live/a", NOW);
        info.allowed_ips = vec!["192.0.2.0/24".parse().unwrap()];
        assert_eq!(verdict(&info, "198.51.100.1"), Some(Denial::Address));
        let decision = decide(&info, NOW, peer("192.0.2.1"));
        assert!(matches!(decision, Decision::Allow { .. }));
        assert!(!decision.holds_for_all());
        let other = decision.for_peer(peer("198.51.100.1"));
        assert_eq!(other, Decision::Deny(Denial::Address));
        assert_eq!(decision.for_peer(peer("192.0.2.200")), decision);
    }

    #[test]
    fn an_alias_needs_a_list_and_a_development_key_ignores_it() {
        let mut alias = KeyInfo::new(KeyType::Alias, "live/a", NOW);
        assert_eq!(verdict(&alias, "::1"), Some(Denial::OpenAlias));
        alias.allowed_ips = vec!["::1".parse().unwrap()];
        assert_eq!(verdict(&alias, "::1"), None);
        let mut development = KeyInfo::new(KeyType::Development, "live/dev", NOW);
        development.allowed_ips.clone_from(&alias.allowed_ips);
        assert_eq!(verdict(&development, "192.0.2.1"), None);
    }
}
