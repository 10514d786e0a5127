//! The families of each shard: how the load lies on them, and what they hand each other.

use std::fmt;

use super::page::Page;
use crate::stats::{PlacementStats, ShardFigures};

/// Writes what is told of each shard.
pub(super) fn write(
    page: &mut Page<'_>,
    shards: &[ShardFigures],
    placement: &PlacementStats,
) -> fmt::Result {
    type Figure = (&'static str, &'static str, fn(&ShardFigures) -> u64);
    const GAUGES: [Figure; 2] = [
        ("shard_connections", "Connections of a shard now", |s| s.connections),
        ("shard_viewers", "Connections of a shard that play now", |s| s.viewers),
    ];
    const COUNTERS: [Figure; 3] = [
        ("shard_connections_total", "Connections let in by a shard since start", |s| s.accepted),
        ("shard_hops_total", "Messages of streams handed to other shards", |s| s.hops),
        ("shard_hops_lost_total", "Messages that other shards were too slow to take", |s| {
            s.hops_lost
        }),
    ];
    let numbers: Vec<String> = (0..shards.len()).map(|number| number.to_string()).collect();
    for (name, help, read) in GAUGES {
        page.gauge(name, help, |family| {
            numbers
                .iter()
                .zip(shards)
                .try_for_each(|(number, shard)| family.sample(&[("shard", number)], read(shard)))
        })?;
    }
    for (name, help, read) in COUNTERS {
        page.counter(name, help, |family| {
            numbers
                .iter()
                .zip(shards)
                .try_for_each(|(number, shard)| family.sample(&[("shard", number)], read(shard)))
        })?;
    }
    let loads = placement.shards();
    let help = "Part of its time that a shard worked and did not wait, in the last second";
    page.gauge("shard_busy_ratio", help, |family| {
        let mut loads = numbers.iter().zip(loads.iter());
        loads.try_for_each(|(number, load)| family.sample(&[("shard", number)], load.busy))
    })?;
    let help = "Outputs, pushes and pulls moved to another shard because theirs was too busy";
    page.counter("shard_moves_total", help, |family| {
        family.each("kind", ["output", "pull"], placement.moved())
    })
}
