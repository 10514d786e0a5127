//! Counters of an output.

use crossbeam::utils::CachePadded;

use super::cell::{Counter, Gauge, read_all};
use super::line::{LineFigures, LineStats};
use super::shard::ViewerDrop;
use crate::media::Micros;

/// The figures of one output. All writing methods are for the shard it runs on.
#[derive(Debug, Default)]
pub struct OutputStats {
    /// Its connection to the destination.
    pub line: LineStats,
    reading: CachePadded<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    jumps: Counter,
    drops: [Counter; ViewerDrop::ALL.len()],
    lag_s: Gauge,
    stalls: Counter,
    rtt_s: Gauge,
    acked_bytes: Gauge,
    unsent_bytes: Gauge,
}

impl OutputStats {
    /// It lost this much, in the unit of the reason.
    pub fn dropped(&self, reason: ViewerDrop, count: u64) {
        self.reading.drops[reason as usize].add(count);
    }

    /// Its picture broke off because it lagged.
    pub fn jumped(&self) {
        self.reading.jumps.add(1);
    }

    /// How far it is behind its stream.
    pub fn lag(&self, lag: Micros) {
        self.reading.lag_s.set(lag.secs_f64());
    }

    /// A live connection was given up because the destination took nothing.
    pub fn stalled(&self) {
        self.reading.stalls.add(1);
    }

    /// How long the way to the destination and back takes.
    pub fn rtt(&self, rtt: Micros) {
        self.reading.rtt_s.set(rtt.secs_f64());
    }

    /// What the destination's machine has acknowledged of this connection, and what waits in the
    /// socket.
    pub fn socket(&self, acked_bytes: u64, unsent_bytes: u32) {
        self.reading.acked_bytes.set(acked_bytes as f64);
        self.reading.unsent_bytes.set(unsent_bytes.into());
    }

    /// Figures that go on from these, for another thread to write.
    #[must_use]
    pub fn continued(&self) -> Self {
        let next = Self { line: self.line.continued(), ..Self::default() };
        let now = self.read();
        next.reading.jumps.add(now.jumps);
        next.reading.stalls.add(now.stalls);
        for (counter, count) in next.reading.drops.iter().zip(now.drops) {
            counter.add(count);
        }
        next
    }

    /// All figures, for any thread.
    #[must_use]
    pub fn read(&self) -> OutputFigures {
        OutputFigures {
            line: self.line.read(),
            jumps: self.reading.jumps.get(),
            drops: read_all(&self.reading.drops),
            lag_s: self.reading.lag_s.get(),
            stalls: self.reading.stalls.get(),
            rtt_s: self.reading.rtt_s.get(),
            acked_bytes: self.reading.acked_bytes.get_count(),
            unsent_bytes: self.reading.unsent_bytes.get_count(),
        }
    }
}

/// What an output had counted at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OutputFigures {
    /// Its connection to the destination.
    pub line: LineFigures,
    /// Times its picture broke off because it lagged.
    pub jumps: u64,
    /// What it lost, by [`ViewerDrop::ALL`].
    pub drops: [u64; ViewerDrop::ALL.len()],
    /// How far it is behind its stream, seconds.
    pub lag_s: f64,
    /// Live connections that were given up because the destination took nothing.
    pub stalls: u64,
    /// Time to the destination and back, seconds.
    pub rtt_s: f64,
    /// Bytes of the present connection that the destination's machine has acknowledged.
    pub acked_bytes: u64,
    /// Bytes that wait in the socket.
    pub unsent_bytes: u64,
}
