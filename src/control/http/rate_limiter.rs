//! Rate limiter of addresses: how often each may ask.

use std::collections::HashMap;
use std::net::IpAddr;

use tokio::sync::Mutex;

use crate::media::{Micros, network_of};

/// Addresses that are remembered. Those that have asked for nothing lately make room.
const ADDRESSES_MAX: usize = 1_024;

/// How often an address may ask.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// Requests at once.
    burst: f64,
    /// Requests a second for long.
    per_second: f64,
}

/// Of who shows a right token: twice as much as a show takes that is edited live by a program.
const KNOWN: Rate = Rate { burst: 2_000.0, per_second: 1_000.0 };

/// Of who shows none.
const STRANGERS: Rate = Rate { burst: 200.0, per_second: 50.0 };

/// How often each address has asked lately.
#[derive(Debug)]
pub(super) struct RateLimiter {
    rate: Rate,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Micros,
}

impl Bucket {
    fn filled(self, rate: Rate, now: Micros) -> Self {
        let left = self.left + now.since(self.at).secs_f64() * rate.per_second;
        Self { left: left.min(rate.burst), at: now }
    }
}

impl RateLimiter {
    /// For who shows a right token.
    pub(super) fn of_known() -> Self {
        Self { rate: KNOWN, buckets: Mutex::default() }
    }

    /// For all others.
    pub(super) fn of_strangers() -> Self {
        Self { rate: STRANGERS, buckets: Mutex::default() }
    }

    /// Takes `cost` from what `peer` may ask for; `false` if it has to wait.
    pub(super) async fn take(&self, peer: IpAddr, cost: f64, now: Micros) -> bool {
        // An IPv6 peer owns its whole network of 64 bits.
        let peer = network_of(peer);
        let rate = self.rate;
        let mut buckets = self.buckets.lock().await;
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&peer) {
            buckets.retain(|_, bucket| bucket.filled(rate, now).left < rate.burst);
            if buckets.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        let full = Bucket { left: rate.burst, at: now };
        let bucket = buckets.get(&peer).map_or(full, |bucket| bucket.filled(rate, now));
        let is_let_in = bucket.left >= 1.0;
        let left = if is_let_in { bucket.left - cost } else { bucket.left };
        buckets.insert(peer, Bucket { left, at: now });
        is_let_in
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_too_often_waits_and_others_do_not() {
        let limiter = RateLimiter::of_strangers();
        let [a, b] = [1, 2].map(|n| IpAddr::from([192, 0, 2, n]));
        let mut now = Micros::from_secs(1);
        let mut passed = 0;
        while limiter.take(a, 1.0, now).await {
            passed += 1;
        }
        assert_eq!(passed, 200);
        assert!(limiter.take(b, 1.0, now).await);
        now = now + Micros::from_millis(20);
        assert!(limiter.take(a, 1.0, now).await);
        assert!(!limiter.take(a, 1.0, now).await);
    }

    #[tokio::test]
    async fn who_is_known_may_ask_a_thousand_times_a_second() {
        let limiter = RateLimiter::of_known();
        let a = IpAddr::from([192, 0, 2, 1]);
        for ms in 0..5_000 {
            assert!(limiter.take(a, 1.0, Micros::from_millis(ms)).await, "{ms}");
        }
    }

    #[tokio::test]
    async fn an_ipv6_network_is_one_address() {
        let limiter = RateLimiter::of_strangers();
        let from = |text: &str| text.parse().unwrap();
        while limiter.take(from("2001:db8::1"), 1.0, Micros(0)).await {}
        assert!(!limiter.take(from("2001:db8::ffff:2"), 1.0, Micros(0)).await);
        assert!(limiter.take(from("2001:db8:0:1::1"), 1.0, Micros(0)).await);
    }

    #[tokio::test]
    async fn the_table_is_bounded_and_the_idle_make_room() {
        let limiter = RateLimiter::of_strangers();
        for n in 0..u32::try_from(ADDRESSES_MAX).unwrap() {
            assert!(limiter.take(IpAddr::from(n.to_be_bytes()), 1.0, Micros(0)).await);
        }
        let late = IpAddr::from([255, 0, 0, 1]);
        assert!(!limiter.take(late, 1.0, Micros(0)).await);
        assert!(limiter.take(late, 1.0, Micros::from_secs(60)).await);
        assert_eq!(limiter.buckets.lock().await.len(), 1);
    }
}
