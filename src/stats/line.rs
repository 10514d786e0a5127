//! Counters of an outgoing connection to another server, whichever way the stream goes.

use crossbeam::utils::CachePadded;

use super::cell::Counter;
use super::state::{RunState, StateCell};

/// The figures of one connection. All writing methods are for the shard it runs on.
#[derive(Debug, Default)]
pub struct LineStats(CachePadded<Counters>);

#[derive(Debug, Default)]
struct Counters {
    state: StateCell,
    connects: Counter,
    failures: Counter,
    bytes: Counter,
}

impl LineStats {
    /// What it does now.
    pub fn set_state(&self, state: RunState) {
        self.0.state.set(state);
    }

    /// The server consented: the stream runs.
    pub fn connected(&self) {
        self.0.connects.add(1);
        self.set_state(RunState::Live);
    }

    /// A try or a live connection failed.
    pub fn failed(&self) {
        self.0.failures.add(1);
        self.set_state(RunState::Failed);
    }

    /// Bytes went the way of the stream.
    pub fn bytes(&self, bytes: u64) {
        self.0.bytes.add(bytes);
    }

    /// Figures that go on from these, for another thread to write.
    #[must_use]
    pub fn continued(&self) -> Self {
        let (next, now) = (Self::default(), self.read());
        next.0.connects.add(now.connects);
        next.0.failures.add(now.failures);
        next.0.bytes.add(now.bytes);
        next
    }

    /// All figures, for any thread.
    #[must_use]
    pub fn read(&self) -> LineFigures {
        LineFigures {
            state: self.0.state.get(),
            connects: self.0.connects.get(),
            failures: self.0.failures.get(),
            bytes: self.0.bytes.get(),
        }
    }
}

/// What a connection had counted at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineFigures {
    /// What it does.
    pub state: RunState,
    /// Times the server consented.
    pub connects: u64,
    /// Tries and live connections that failed.
    pub failures: u64,
    /// Bytes to an output's destination, or from a pull's server.
    pub bytes: u64,
}

impl LineFigures {
    /// Times the server consented again after the first.
    #[must_use]
    pub const fn reconnects(&self) -> u64 {
        self.connects.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_after_a_connect_leaves_it_failed() {
        let stats = LineStats::default();
        stats.connected();
        assert_eq!(stats.read().state, RunState::Live);
        stats.failed();
        let figures = stats.read();
        assert_eq!((figures.connects, figures.failures), (1, 1));
        assert_eq!(figures.state, RunState::Failed);
    }
}
