//! Addresses, as far as one subscriber has them.

use std::net::{IpAddr, Ipv6Addr};

/// What one subscriber has: an IPv4 address (also in its IPv6 form), or the first half of an IPv6
/// one.
#[must_use]
pub const fn network_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let half = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(half))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_has_an_ipv4_address_or_an_ipv6_network_of_64_bits() {
        for (peer, network) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            assert_eq!(network_of(peer.parse().unwrap()), network.parse::<IpAddr>().unwrap());
        }
    }
}
