//! Key policy: the decision whether a key lets a peer publish.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::address::AddressRange;
use super::info::{KeyInfo, KeyLimits, KeyType, Takeover};
use super::key::KeyHash;
use crate::media::Micros;

/// What is decided about what a peer shows. It is the same for every peer; whoever hands it to one
/// asks [`Decision::for_peer`] first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may publish.
    Allow(Arc<Grant>),
    /// It may not.
    Deny(Denial),
}

/// What a good key is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The key, also where an alias was shown.
    pub key: KeyHash,
    /// Public name to publish under, such as `live/studio`.
    pub stream: Arc<str>,
    /// Whose key it is.
    pub owner: Arc<str>,
    /// Its note for people.
    pub label: Arc<str>,
    /// Where it may be used from; empty for anywhere.
    pub addresses: Arc<[AddressRange]>,
    /// When it ends, on the node's clock; `None` if it does not.
    #[serde(with = "crate::media::instants")]
    pub until: Option<Micros>,
    /// What the publisher may use up.
    #[serde(with = "super::info::plain_limits")]
    pub limits: KeyLimits,
    /// Whether it takes the place of who publishes already.
    pub takeover: Takeover,
}

/// Why not. The text is for the peer and says nothing that helps to guess a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// No such key.
    Unknown,
    /// There was one, and it was deleted.
    Deleted,
    /// It was taken back.
    Revoked,
    /// Its time is over.
    Expired,
    /// Not from this address.
    Address,
    /// An alias without a list of addresses: anybody could guess it.
    OpenAlias,
    /// The key store does not answer.
    StoreAway,
    /// Too many wrong keys from this address: this many seconds are to pass first.
    Wait(u64),
    /// Not decided by the key, for this reason.
    Other(&'static str),
}

/// What a peer showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The key itself.
    Key,
    /// An alias that stands for it, and nothing else.
    Alias,
}

/// One instant on two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On the node's clock.
    pub now: Micros,
    /// Unix time, seconds.
    pub unix_s: u64,
}

impl Decision {
    /// No key has this hash.
    #[must_use]
    pub const fn unknown() -> Self {
        Self::Deny(Denial::Unknown)
    }

    /// For a reason outside the key.
    #[must_use]
    pub const fn denied(reason: &'static str) -> Self {
        Self::Deny(Denial::Other(reason))
    }

    /// The decision for one peer at `now`: it may come from elsewhere, or too late.
    #[must_use]
    pub fn for_peer(&self, peer: IpAddr, now: Micros) -> Self {
        match self {
            Self::Allow(grant) if grant.until.is_some_and(|until| now >= until) => {
                Self::Deny(Denial::Expired)
            }
            Self::Allow(grant) if !is_allowed(&grant.addresses, peer) => {
                Self::Deny(Denial::Address)
            }
            Self::Allow(_) | Self::Deny(_) => self.clone(),
        }
    }
}

/// Decides about the key with the hash `key`, of which `info` is known.
#[must_use]
pub fn decide(key: KeyHash, info: &KeyInfo, shown: Shown, at: Moment) -> Decision {
    if info.revoked {
        return Decision::Deny(Denial::Revoked);
    }
    if info.is_expired(at.unix_s) {
        return Decision::Deny(Denial::Expired);
    }
    let anywhere = info.key_type == KeyType::Development;
    if shown == Shown::Alias && info.allowed_ips.is_empty() && !anywhere {
        return Decision::Deny(Denial::OpenAlias);
    }
    let addresses = if anywhere { &[][..] } else { &info.allowed_ips };
    let left = info.expires_at.map(|end| end.saturating_sub(at.unix_s).saturating_mul(1_000_000));
    Decision::Allow(Arc::new(Grant {
        key,
        stream: info.stream.as_str().into(),
        owner: info.owner.as_str().into(),
        label: info.label.as_str().into(),
        addresses: addresses.into(),
        until: left.map(|left| Micros(at.now.0.saturating_add(left))),
        limits: info.limits,
        takeover: info.takeover,
    }))
}

fn is_allowed(addresses: &[AddressRange], peer: IpAddr) -> bool {
    addresses.is_empty() || addresses.iter().any(|range| range.contains(peer))
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "this stream key is not known here",
            Self::Deleted => "this stream key has been deleted",
            Self::Revoked => "this stream key has been revoked",
            Self::Expired => "this stream key has expired",
            Self::Address => "this stream key may not be used from this address",
            Self::OpenAlias => "this alias needs a list of allowed addresses, or the stream key",
            Self::StoreAway => "stream keys cannot be checked at the moment; try again soon",
            Self::Wait(seconds) => {
                return write!(
                    f,
                    "too many wrong stream keys from this address; try again in {seconds} s"
                );
            }
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

    fn at(unix_s: u64) -> Moment {
        Moment { now: Micros::from_secs(unix_s - 500), unix_s }
    }

    fn key() -> KeyHash {
        KeyHash::of("key")
    }

    fn verdict(info: &KeyInfo, shown: Shown, from: &str) -> Option<Denial> {
        match decide(key(), info, shown, at(NOW)).for_peer(peer(from), at(NOW).now) {
            Decision::Allow(_) => None,
            Decision::Deny(denial) => Some(denial),
        }
    }

    #[test]
    fn a_good_key_publishes_under_its_public_name_until_its_end() {
        let info = KeyInfo::new(KeyType::Regular, "live/studio", NOW);
        let decision = decide(key(), &info, Shown::Key, at(NOW + 10));
        let Decision::Allow(grant) = &decision else { panic!("denied") };
        let end = Micros::from_secs(500 + 30 * 86_400);
        assert_eq!((&*grant.stream, grant.until), ("live/studio", Some(end)));
        assert_eq!(decision.for_peer(peer("::1"), end - Micros(1)), decision);
        let late = decision.for_peer(peer("::1"), end);
        assert_eq!(late, Decision::Deny(Denial::Expired));
    }

    #[test]
    fn revoked_and_expired_keys_open_nothing() {
        let mut info = KeyInfo::new(KeyType::Regular, "live/a", 0);
        info.expires_at = Some(NOW + 1);
        assert_eq!(verdict(&info, Shown::Key, "::1"), None);
        info.expires_at = Some(NOW);
        assert_eq!(verdict(&info, Shown::Key, "::1"), Some(Denial::Expired));
        info.revoked = true;
        assert_eq!(verdict(&info, Shown::Key, "::1"), Some(Denial::Revoked));
    }

    #[test]
    fn a_list_of_addresses_keeps_others_out_also_when_they_share_the_answer() {
        let mut info = KeyInfo::new(KeyType::Regular, "live/a", NOW);
        info.allowed_ips = vec!["192.0.2.0/24".parse().unwrap()];
        assert_eq!(verdict(&info, Shown::Key, "198.51.100.1"), Some(Denial::Address));
        assert_eq!(verdict(&info, Shown::Key, "192.0.2.200"), None);
    }

    #[test]
    fn an_alias_alone_needs_a_list_or_a_development_key() {
        for key_type in [KeyType::Regular, KeyType::Alias] {
            let mut info = KeyInfo::new(key_type, "live/a", NOW);
            assert_eq!(verdict(&info, Shown::Alias, "::1"), Some(Denial::OpenAlias));
            assert_eq!(verdict(&info, Shown::Key, "::1"), None, "the key itself will do");
            info.allowed_ips = vec!["::1".parse().unwrap()];
            assert_eq!(verdict(&info, Shown::Alias, "::1"), None);
            assert_eq!(verdict(&info, Shown::Alias, "::2"), Some(Denial::Address));
        }
        let development = KeyInfo::new(KeyType::Development, "live/dev", NOW);
        assert_eq!(verdict(&development, Shown::Alias, "192.0.2.1"), None);
    }

    #[test]
    fn a_development_key_ignores_the_list() {
        let mut development = KeyInfo::new(KeyType::Development, "live/dev", NOW);
        development.allowed_ips = vec!["::1".parse().unwrap()];
        assert_eq!(verdict(&development, Shown::Key, "192.0.2.1"), None);
    }
}
