//! Counters of an outgoing connection to another server, whichever way the stream goes.

use std::sync::atomic::{AtomicU8, Ordering};

use crossbeam::utils::CachePadded;

use super::cell::Counter;

/// What an output or a pull is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineState {
    /// An output's stream is not live; nobody wants a pull's.
    #[default]
    Idle,
    /// It looks up, connects or asks for consent.
    Connecting,
    /// It sends, or receives.
    Live,
    /// It failed and waits for its next try.
    Waiting,
    /// It has ended for good.
    Stopped,
}

impl LineState {
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

/// The figures of one connection. All writing methods are for the shard it runs on.
#[derive(Debug, Default)]
pub struct LineStats(CachePadded<Counters>);

#[derive(Debug, Default)]
struct Counters {
    state: AtomicU8,
    connects: Counter,
    failures: Counter,
    bytes: Counter,
}

impl LineStats {
    /// What it does now.
    pub fn set_state(&self, state: LineState) {
        self.0.state.store(state as u8, Ordering::Relaxed);
    }

    /// The server consented: the stream runs.
    pub fn connected(&self) {
        self.0.connects.add(1);
        self.set_state(LineState::Live);
    }

    /// A try or a live connection failed.
    pub fn failed(&self) {
        self.0.failures.add(1);
        self.set_state(LineState::Waiting);
    }

    /// Bytes went the way of the stream.
    pub fn bytes(&self, bytes: u64) {
        self.0.bytes.add(bytes);
    }

    /// All figures, for any thread.
    #[must_use]
    pub fn read(&self) -> LineFigures {
        let state = usize::from(self.0.state.load(Ordering::Relaxed));
        LineFigures {
            state: LineState::ALL.get(state).copied().unwrap_or_default(),
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
    pub state: LineState,
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
    fn every_state_is_read_back() {
        let stats = LineStats::default();
        assert_eq!(stats.read().state, LineState::Idle);
        for state in LineState::ALL {
            stats.set_state(state);
            assert_eq!(stats.read().state, state);
        }
    }

    #[test]
    fn a_failure_after_a_connect_leaves_it_waiting() {
        let stats = LineStats::default();
        stats.connected();
        assert_eq!(stats.read().state, LineState::Live);
        stats.failed();
        let figures = stats.read();
        assert_eq!((figures.connects, figures.failures), (1, 1));
        assert_eq!(figures.state, LineState::Waiting);
    }
}
