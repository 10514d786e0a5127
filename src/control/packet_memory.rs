//! Packet memory: control adds slabs to the packet pool and gives unused memory back, and says when
//! there is not enough.

use std::sync::Arc;

use crate::frame::{self, PacketPool};
use crate::media::Micros;
use crate::stats::{PacketPoolFigures, Registry};

/// How often its figures are taken.
const FIGURES_EVERY: Micros = Micros::from_secs(1);

/// How often it is said at most that packets found no room.
const SAID_EVERY: Micros = Micros::from_secs(60);

/// Looks after a packet pool.
#[derive(Debug)]
pub(super) struct PacketMemory {
    pool: PacketPool,
    registry: Arc<Registry>,
    figures_from: Micros,
    /// Packets that had found no room when it was said last.
    heap_packets: u64,
    say_from: Micros,
}

impl PacketMemory {
    pub(super) const fn new(pool: PacketPool, registry: Arc<Registry>) -> Self {
        let (figures_from, say_from) = (Micros(0), Micros(0));
        Self { pool, registry, figures_from, heap_packets: 0, say_from }
    }

    /// Keeps free slots ahead of what is in use, `bytes_max` of memory at most. Says whether the
    /// pool has grown, so that more may be needed soon.
    pub(super) fn maintain(&mut self, bytes_max: usize, now: Micros) -> bool {
        let grown = self.pool.maintain(bytes_max, now);
        self.tell(&grown, bytes_max, now);
        grown.is_ok_and(|bytes| bytes > 0)
    }

    fn tell(&mut self, grown: &Result<usize, frame::Error>, bytes_max: usize, now: Micros) {
        if now >= self.figures_from {
            self.figures_from = now + FIGURES_EVERY;
            self.registry.set_packets(figures(&self.pool));
        }
        let more = self.pool.heap_packets() - self.heap_packets;
        if now < self.say_from || grown.is_ok() && more == 0 {
            return;
        }
        self.say_from = now + SAID_EVERY;
        self.heap_packets += more;
        if let Err(error) = &grown {
            tracing::warn!("the packet pool cannot grow: {error}");
        }
        if more > 0 {
            let (used, max) = (self.pool.usage().used_bytes >> 20, bytes_max >> 20);
            tracing::warn!(
                "{more} packets found no room in the packet pool and came from the heap; it holds \
                 {used} MiB of the {max} MiB that `packet_bytes_max` allows"
            );
        }
    }
}

fn figures(pool: &PacketPool) -> PacketPoolFigures {
    let usage = pool.usage();
    PacketPoolFigures {
        used_bytes: usage.used_bytes as u64,
        slab_bytes: usage.slab_bytes as u64,
        bytes_max: usage.bytes_max as u64,
        slabs_added: usage.slabs_added,
        slabs_removed: usage.slabs_removed,
        heap_packets: usage.heap_packets,
    }
}
