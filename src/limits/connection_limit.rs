//! Connection counts: all of them, and those of each address.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use super::address_table::AddressTable;
use crate::stats::Limit;

/// Low bits of a word: the connections of an address. The others are a hash of the address.
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// Counts connections. All shards share one.
///
/// Where there is no place for an address, which the size of the table makes next to impossible, it
/// is let in and counts in all only.
#[derive(Debug)]
pub struct ConnectionLimit {
    max: AtomicU32,
    per_ip_max: AtomicU32,
    all: AtomicU32,
    addresses: AddressTable,
}

/// That a connection is counted; to be given back by [`ConnectionLimit::leave`].
#[must_use]
#[derive(Debug, Default)]
pub struct ConnectionPermit {
    /// The number of its address's word, if addresses are counted.
    word: Option<usize>,
}

impl ConnectionLimit {
    /// For `max` connections in all and `per_ip_max` (0: any number) of one address.
    #[must_use]
    pub fn new(max: u32, per_ip_max: u32) -> Self {
        let addresses = AddressTable::new(2 * max as usize);
        let [max, per_ip_max] = [max, per_ip_max].map(AtomicU32::new);
        Self { max, per_ip_max, all: AtomicU32::new(0), addresses }
    }

    /// Lets others hold from now on. Nobody who is there has to go.
    pub fn set(&self, max: u32, per_ip_max: u32) {
        self.max.store(max, Ordering::Relaxed);
        self.per_ip_max.store(per_ip_max, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> u32 {
        self.all.load(Ordering::Relaxed)
    }

    /// Counts a connection of `ip`.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn enter(&self, ip: IpAddr) -> Result<ConnectionPermit, Limit> {
        let mut place = self.enter_unnamed()?;
        match self.name(&mut place, ip) {
            Ok(()) => Ok(place),
            Err(limit) => {
                self.leave(place);
                Err(limit)
            }
        }
    }

    /// Counts a connection in all, but of no address.
    ///
    /// # Errors
    /// If there are as many as there may be.
    pub fn enter_unnamed(&self) -> Result<ConnectionPermit, Limit> {
        if self.all.fetch_add(1, Ordering::Relaxed) >= self.max.load(Ordering::Relaxed) {
            self.all.fetch_sub(1, Ordering::Relaxed);
            return Err(Limit::Connections);
        }
        Ok(ConnectionPermit::default())
    }

    /// Counts a connection that is of no address so far as one of `ip`.
    ///
    /// # Errors
    /// If that address has as many as it may have; nothing is counted then.
    pub fn name(&self, place: &mut ConnectionPermit, ip: IpAddr) -> Result<(), Limit> {
        // Counted also without a limit: there may be one later.
        let most = match self.per_ip_max.load(Ordering::Relaxed) {
            0 => COUNT_MASK,
            most => u64::from(most),
        };
        self.name_within(place, ip, most)
    }

    /// Counts a connection that is there already, beyond all limits: of no address, or of `ip`.
    pub fn readmit(&self, ip: Option<IpAddr>) -> ConnectionPermit {
        self.all.fetch_add(1, Ordering::Relaxed);
        let mut place = ConnectionPermit::default();
        if let Some(ip) = ip {
            // An address with so many connections that it is full counts in all only.
            let _counted = self.name_within(&mut place, ip, COUNT_MASK);
        }
        place
    }

    fn name_within(
        &self,
        place: &mut ConnectionPermit,
        ip: IpAddr,
        most: u64,
    ) -> Result<(), Limit> {
        if place.word.is_some() {
            return Ok(());
        }
        let home = self.addresses.home(ip);
        let tag = home.hash & !COUNT_MASK;
        loop {
            let mine = self
                .addresses
                .window(home)
                .find(|(_, word)| word & !COUNT_MASK == tag && word & COUNT_MASK > 0);
            let found = mine.or_else(|| self.addresses.window(home).find(|(_, word)| *word == 0));
            let Some((number, word)) = found else { return Ok(()) };
            if word & COUNT_MASK >= most {
                return Err(Limit::ConnectionsPerIp);
            }
            if self.addresses.change(number, word, (tag | word) + 1) {
                place.word = Some(number);
                return Ok(());
            }
        }
    }

    /// The connection has gone.
    #[expect(clippy::needless_pass_by_value, reason = "a place is left once")]
    pub fn leave(&self, place: ConnectionPermit) {
        self.all.fetch_sub(1, Ordering::Relaxed);
        let Some(number) = place.word else { return };
        loop {
            let word = self.addresses.get(number);
            let left = if word & COUNT_MASK > 1 { word - 1 } else { 0 };
            if self.addresses.change(number, word, left) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_connections_and_no_more_until_one_has_gone() {
        let connections = ConnectionLimit::new(100, 2);
        let first = connections.enter(ip("192.0.2.1")).unwrap();
        let _second = connections.enter(ip("192.0.2.1")).unwrap();
        assert_eq!(connections.enter(ip("192.0.2.1")).unwrap_err(), Limit::ConnectionsPerIp);
        assert!(connections.enter(ip("192.0.2.2")).is_ok(), "others are not meant");
        connections.leave(first);
        assert!(connections.enter(ip("192.0.2.1")).is_ok());
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_both_forms_of_ipv4_are_too() {
        let connections = ConnectionLimit::new(100, 1);
        let _held = [
            connections.enter(ip("2001:db8::1")).unwrap(),
            connections.enter(ip("192.0.2.1")).unwrap(),
        ];
        for same in ["2001:db8::ffff:2", "::ffff:192.0.2.1"] {
            assert_eq!(connections.enter(ip(same)).unwrap_err(), Limit::ConnectionsPerIp, "{same}");
        }
        assert!(connections.enter(ip("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn the_limit_of_all_holds_for_addresses_together_and_for_proxies() {
        let connections = ConnectionLimit::new(2, 0);
        let mut held =
            vec![connections.enter(ip("192.0.2.1")).unwrap(), connections.enter_unnamed().unwrap()];
        assert_eq!(connections.enter(ip("192.0.2.2")).unwrap_err(), Limit::Connections);
        assert_eq!(connections.enter_unnamed().unwrap_err(), Limit::Connections);
        connections.leave(held.remove(0));
        assert!(connections.enter(ip("192.0.2.2")).is_ok());
    }

    #[test]
    fn a_proxy_is_counted_as_whom_it_speaks_for() {
        let connections = ConnectionLimit::new(100, 1);
        let [mut first, mut second] = [(); 2].map(|()| connections.enter_unnamed().unwrap());
        connections.name(&mut first, ip("192.0.2.1")).unwrap();
        let refused = connections.name(&mut second, ip("192.0.2.1")).unwrap_err();
        assert_eq!(refused, Limit::ConnectionsPerIp);
        connections.leave(second);
        connections.leave(first);
        assert!(connections.enter(ip("192.0.2.1")).is_ok());
    }

    #[test]
    fn limits_that_change_count_who_is_there_already_and_nobody_has_to_go() {
        let connections = ConnectionLimit::new(100, 0);
        let _held = [(); 3].map(|()| connections.enter(ip("192.0.2.1")).unwrap());
        connections.set(100, 3);
        assert_eq!(connections.enter(ip("192.0.2.1")).unwrap_err(), Limit::ConnectionsPerIp);
        let _other = connections.enter(ip("192.0.2.2")).unwrap();
        connections.set(4, 0);
        assert_eq!(connections.enter(ip("192.0.2.3")).unwrap_err(), Limit::Connections);
        connections.set(5, 0);
        assert!(connections.enter(ip("192.0.2.1")).is_ok());
    }

    #[test]
    fn shards_that_count_at_once_lose_nothing() {
        let connections = ConnectionLimit::new(1_000_000, 100_000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..20_000 {
                        let address = Ipv4Addr::from_bits(n % 64).into();
                        connections.leave(connections.enter(address).unwrap());
                    }
                });
            }
        });
        assert_eq!(connections.all.load(Ordering::Relaxed), 0);
        let home = connections.addresses.home(ip("0.0.0.1"));
        assert!(connections.addresses.window(home).all(|(_, word)| word == 0), "all have left");
    }

    #[test]
    fn as_many_addresses_as_there_may_be_connections_find_a_place() {
        let connections = ConnectionLimit::new(10_000, 1);
        let all: Vec<ConnectionPermit> = (0..10_000)
            .map(|n| connections.enter(Ipv4Addr::from_bits(n).into()).unwrap())
            .collect();
        let counted = all.iter().filter(|place| place.word.is_some()).count();
        assert!(counted >= 9_990, "{counted}");
    }
}
