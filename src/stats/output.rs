//! What an output counts.

use std::sync::atomic::{AtomicU8, Ordering};

use crossbeam::utils::CachePadded;

use super::cell::{Counter, Gauge, read_all};
use super::shard::ViewerDrop;
use crate::media::Micros;

/// What an output is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputState {
    /// Its stream is not live.
    #[default]
    Idle,
    /// It looks up, connects or asks to publish.
    Connecting,
    /// It sends.
    Live,
    /// It failed and waits for its next try.
    Waiting,
    /// It has ended for good.
    Stopped,
}

impl OutputState {
    /// All of them, in the order of their values.
    pub const ALL: [Self; 5] =
        [Self::Idle, Self::Connecting, Self::Live, Self::Waiting, Self::Stopped];

    /// The value of the `state` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
        }
    }
}

/// The figures of one output. All writing methods are for the shard it runs on.
#[derive(Debug, Default)]
pub struct OutputStats(CachePadded<Counters>);

#[derive(Debug, Default)]
struct Counters {
    state: AtomicU8,
    connects: Counter,
    failures: Counter,
    bytes_out: Counter,
    jumps: Counter,
    drops: [Counter; ViewerDrop::ALL.len()],
    lag_s: Gauge,
    stalls: Counter,
    rtt_s: Gauge,
}

impl OutputStats {
    /// What it does now.
    pub fn set_state(&self, state: OutputState) {
        self.0.state.store(state as u8, Ordering::Relaxed);
    }

    /// The destination accepted it: it publishes.
    pub fn connected(&self) {
        self.0.connects.add(1);
        self.set_state(OutputState::Live);
    }

    /// A try or a live connection failed.
    pub fn failed(&self) {
        self.0.failures.add(1);
        self.set_state(OutputState::Waiting);
    }

    /// Bytes went to the destination.
    pub fn bytes_out(&self, bytes: u64) {
        self.0.bytes_out.add(bytes);
    }

    /// It lost this much, in the unit of the reason.
    pub fn dropped(&self, reason: ViewerDrop, count: u64) {
        self.0.drops[reason as usize].add(count);
    }

    /// Its picture broke off because it lagged.
    pub fn jumped(&self) {
        self.0.jumps.add(1);
    }

    /// How far it is behind its stream.
    pub fn lag(&self, lag: Micros) {
        self.0.lag_s.set(lag.secs_f64());
    }

    /// A live connection was given up because the destination took nothing.
    pub fn stalled(&self) {
        self.0.stalls.add(1);
    }

    /// How long the way to the destination and back takes.
    pub fn rtt(&self, rtt: Micros) {
        self.0.rtt_s.set(rtt.secs_f64());
    }

    /// All figures, for any thread.
    #[must_use]
    pub fn read(&self) -> OutputFigures {
        let state = usize::from(self.0.state.load(Ordering::Relaxed));
        OutputFigures {
            state: OutputState::ALL.get(state).copied().unwrap_or_default(),
            connects: self.0.connects.get(),
            failures: self.0.failures.get(),
            bytes_out: self.0.bytes_out.get(),
            jumps: self.0.jumps.get(),
            drops: read_all(&self.0.drops),
            lag_s: self.0.lag_s.get(),
            stalls: self.0.stalls.get(),
            rtt_s: self.0.rtt_s.get(),
        }
    }
}

/// What an output had counted at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OutputFigures {
    /// What it does.
    pub state: OutputState,
    /// Times the destination accepted it.
    pub connects: u64,
    /// Tries and live connections that failed.
    pub failures: u64,
    /// Bytes to the destination.
    pub bytes_out: u64,
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
}

impl OutputFigures {
    /// Times the destination accepted it again after the first.
    #[must_use]
    pub const fn reconnects(&self) -> u64 {
        self.connects.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_back() {
        let stats = OutputStats::default();
        assert_eq!(stats.read().state, OutputState::Idle);
        for state in OutputState::ALL {
            stats.set_state(state);
            assert_eq!(stats.read().state, state);
        }
    }

    #[test]
    fn a_failure_after_a_connect_leaves_it_waiting() {
        let stats = OutputStats::default();
        stats.connected();
        assert_eq!(stats.read().state, OutputState::Live);
        stats.failed();
        let figures = stats.read();
        assert_eq!((figures.connects, figures.failures), (1, 1));
        assert_eq!(figures.state, OutputState::Waiting);
    }
}
