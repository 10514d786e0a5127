//! HTTP connection limits: so many of one address, and so many that have not shown a token. A
//! connection beyond that takes the place of the oldest one, so that connections on which nothing
//! comes keep nobody out.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Connections at once. If all of them have shown a token, more wait in the kernel's queue.
pub(super) const CONNECTIONS_MAX: usize = 256;

/// Those of them that may have shown no token: the others are a reserve for who does.
const STRANGERS_MAX: usize = 192;

/// Strangers of one address (of IPv6 the network of 64 bits).
const PER_ADDRESS_MAX: usize = 32;

/// Set once somebody on the connection has shown a token.
#[derive(Clone, Debug, Default)]
pub(in crate::control::http) struct Known(Arc<AtomicBool>);

impl Known {
    /// A token of ours was shown.
    pub(in crate::control::http) fn is_shown(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_known(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The connections, oldest first; `E` ends one.
#[derive(Debug)]
pub(super) struct Lobby<E>(Vec<Visitor<E>>);

#[derive(Debug)]
struct Visitor<E> {
    number: u64,
    /// Nothing for a proxy, whose peers come from many addresses.
    address: Option<IpAddr>,
    known: Known,
    end: E,
}

impl<E> Default for Lobby<E> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<E> Lobby<E> {
    /// Whether nobody has to go, or somebody can.
    pub(super) fn has_room(&self) -> bool {
        self.0.len() < CONNECTIONS_MAX || self.strangers().next().is_some()
    }

    /// Takes in connection `number`; gives those that have to go for it.
    pub(super) fn enter(
        &mut self,
        number: u64,
        address: Option<IpAddr>,
        known: Known,
        end: E,
    ) -> Vec<E> {
        self.0.push(Visitor { number, address, known, end });
        self.shed()
    }

    /// A proxy has said whose connection this is; gives those that have to go for it.
    pub(super) fn name(&mut self, number: u64, address: IpAddr) -> Vec<E> {
        if let Some(visitor) = self.0.iter_mut().find(|visitor| visitor.number == number) {
            visitor.address = Some(address);
        }
        self.shed()
    }

    /// The connection has ended.
    pub(super) fn leave(&mut self, number: u64) {
        self.0.retain(|visitor| visitor.number != number);
    }

    fn strangers(&self) -> impl Iterator<Item = &Visitor<E>> {
        self.0.iter().filter(|visitor| !visitor.known.is_known())
    }

    fn of(&self, address: IpAddr) -> usize {
        self.strangers().filter(|visitor| visitor.address == Some(address)).count()
    }

    fn shed(&mut self) -> Vec<E> {
        let mut ended = Vec::new();
        while let Some(number) = self.surplus() {
            let at = self.0.iter().position(|visitor| visitor.number == number);
            ended.extend(at.map(|at| self.0.remove(at).end));
        }
        ended
    }

    /// Who has to go: the oldest of an address that has too many, or if strangers are too many in
    /// all, the oldest of the address that has most.
    fn surplus(&self) -> Option<u64> {
        let crowded = self.strangers().find(|visitor| {
            visitor.address.is_some_and(|address| self.of(address) > PER_ADDRESS_MAX)
        });
        let is_full = self.0.len() > CONNECTIONS_MAX || self.strangers().count() > STRANGERS_MAX;
        let most = || {
            let weight =
                |visitor: &&Visitor<E>| visitor.address.map_or(1, |address| self.of(address));
            // Of equals the last one is the maximum: reversed, that is the oldest.
            let all: Vec<_> = self.strangers().collect();
            all.into_iter().rev().max_by_key(weight)
        };
        let goes = crowded.or_else(|| if is_full { most() } else { None });
        goes.map(|visitor| visitor.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, n]))
    }

    #[test]
    fn connections_of_one_address_push_out_their_own_oldest_and_nobody_elses() {
        let mut lobby = Lobby::default();
        assert!(lobby.enter(0, address(1), Known::default(), 0).is_empty());
        let ended: Vec<_> =
            (1..=400).flat_map(|n| lobby.enter(n, address(2), Known::default(), n)).collect();
        assert_eq!(ended, (1..=400 - 32).collect::<Vec<_>>());
        assert!(lobby.has_room());
        lobby.leave(400);
        assert!(lobby.enter(401, address(2), Known::default(), 401).is_empty());
    }

    #[test]
    fn who_has_shown_a_token_stays_and_has_a_reserve() {
        let mut lobby = Lobby::default();
        let holder = Known::default();
        lobby.enter(0, address(1), holder.clone(), 0);
        holder.is_shown();
        for n in 1..=1_000_u64 {
            let from = address(u8::try_from(n % 200).unwrap());
            assert!(!lobby.enter(n, from, Known::default(), n).contains(&0));
        }
        assert_eq!(lobby.0.len(), 1 + STRANGERS_MAX);
        for n in 2_000..2_063 {
            let known = Known::default();
            known.is_shown();
            assert!(lobby.enter(n, address(1), known, n).is_empty(), "the reserve is taken");
        }
        assert!(lobby.has_room(), "strangers make room");
    }

    #[test]
    fn when_all_are_known_nobody_has_to_go() {
        let mut lobby = Lobby::default();
        for n in 0..CONNECTIONS_MAX as u64 {
            let known = Known::default();
            known.is_shown();
            lobby.enter(n, address(1), known, n);
        }
        assert!(!lobby.has_room());
    }

    #[test]
    fn a_proxy_has_as_many_as_there_are_until_it_names_its_peers() {
        let mut lobby = Lobby::default();
        for n in 0..100 {
            assert!(lobby.enter(n, None, Known::default(), n).is_empty());
        }
        let ended: Vec<_> = (0..40).flat_map(|n| lobby.name(n, address(1).unwrap())).collect();
        assert_eq!(ended, (0..8).collect::<Vec<_>>());
    }
}
