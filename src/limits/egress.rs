//! Egress limit: whether the node's outgoing bandwidth leaves room for one more viewer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::stats::ShardStats;

/// The limit of what goes out. Each shard says in its own figures what its readers need, by the
/// mean rates of the streams they read; the sum is made when a viewer comes.
///
/// Shards that let viewers in at the same instant do not see each other's: the limit can be passed
/// by one viewer for each shard but one.
#[derive(Debug)]
pub struct Egress {
    max_bps: AtomicU64,
    shards: Vec<Arc<ShardStats>>,
}

impl Egress {
    /// A limit of `max_bps` bits per second (0: none) for all shards with these figures.
    #[must_use]
    pub const fn new(max_bps: u64, shards: Vec<Arc<ShardStats>>) -> Self {
        Self { max_bps: AtomicU64::new(max_bps), shards }
    }

    /// Lets another limit hold for viewers who come from now on.
    pub fn set(&self, max_bps: u64) {
        self.max_bps.store(max_bps, Ordering::Relaxed);
    }

    /// Whether a viewer of a stream of `bps` bits per second fits. If so, `of`, the figures of the
    /// shard that asks, promise it that rate at once.
    #[must_use]
    pub fn admits(&self, bps: f64, of: &ShardStats) -> bool {
        let promised: f64 = self.shards.iter().map(|shard| shard.promised_bps()).sum();
        let max_bps = self.max_bps.load(Ordering::Relaxed);
        let fits = max_bps == 0 || promised + bps <= max_bps as f64;
        if fits {
            of.promise(of.promised_bps() + bps);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_shards(max_bps: u64) -> (Egress, [Arc<ShardStats>; 2]) {
        let shards = [Arc::new(ShardStats::default()), Arc::default()];
        (Egress::new(max_bps, shards.to_vec()), shards)
    }

    #[test]
    fn the_viewers_of_all_shards_share_the_limit() {
        let (egress, [one, two]) = two_shards(5_000_000);
        assert!(egress.admits(2e6, &one) && egress.admits(2e6, &two));
        assert!(!egress.admits(2e6, &one), "6 of 5 Mb/s");
        assert!(egress.admits(1e6, &one), "exactly the limit");
        two.promise(0.0);
        assert!(egress.admits(2e6, &one), "others have left");
    }

    #[test]
    fn without_a_limit_everybody_fits_and_is_counted() {
        let (egress, [one, _]) = two_shards(0);
        assert!((0..1_000).all(|_| egress.admits(1e9, &one)));
        assert!((one.promised_bps() - 1e12).abs() < 1.0);
    }
}
