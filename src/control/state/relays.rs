//! State of pulls and pushes: their figures and their last error.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use utoipa::ToSchema;

use crate::event::NodeEvent;
use crate::stats::{LineFigures, LineState, OutputSnapshot, PullSnapshot};

/// A stream that is pulled from another server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Pull {
    /// Its name.
    pub name: String,
    /// The local stream that it feeds.
    pub stream: String,
    /// Where from, without what may be secret.
    pub url: String,
    /// `always` or `on-demand`.
    pub mode: String,
    /// `idle` (nobody reads it), `connecting`, `live`, `waiting` (for its next try) or `stopped`.
    pub state: String,
    /// What went wrong last, with the host, until it is live again.
    pub error: Option<String>,
    /// Times a server gave the stream.
    pub connects: u64,
    /// Tries and live connections that failed.
    pub failures: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Bits per second, of the last second or so.
    pub bitrate_bps: f64,
}

/// A stream that is pushed to another server, whatever feeds it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Push {
    /// Its name.
    pub name: String,
    /// The stream.
    pub stream: String,
    /// Where to, without what may be secret.
    pub url: String,
    /// `idle` (its stream is not there), `connecting`, `live`, `waiting` (for its next try) or
    /// `stopped`.
    pub state: String,
    /// What went wrong last, with the host, until it is live again.
    pub error: Option<String>,
    /// Times the destination accepted it.
    pub connects: u64,
    /// Tries and live connections that failed.
    pub failures: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Bits per second, of the last second or so.
    pub bitrate_bps: f64,
    /// How far it is behind its stream.
    pub lag_ms: f64,
    /// Messages it was not sent.
    pub dropped: u64,
}

/// What one kind of them said last, by name.
#[derive(Debug, Default)]
struct Lines {
    faults: HashMap<String, String>,
    /// Bytes at the last look.
    bytes: HashMap<String, u64>,
}

/// What pulls and pushes said last.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pulls: Lines,
    pushes: Lines,
}

impl Lines {
    fn keep(&mut self, is_there: impl Fn(&String) -> bool) {
        self.faults.retain(|name, _| is_there(name));
        self.bytes.retain(|name, _| is_there(name));
    }

    /// What went wrong last, until that is over, and the bits since the last look.
    fn look(&mut self, name: &str, line: &LineFigures) -> (Option<String>, f64) {
        if !matches!(line.state, LineState::Waiting | LineState::Connecting) {
            self.faults.remove(name);
        }
        let before = self.bytes.insert(name.to_owned(), line.bytes).unwrap_or(line.bytes);
        let bits = line.bytes.saturating_sub(before) * 8;
        (self.faults.get(name).cloned(), bits as f64)
    }
}

impl Heard {
    pub(super) fn hear(&mut self, event: &NodeEvent) {
        match event {
            NodeEvent::PullFailed { name, reason, .. } => {
                self.pulls.faults.insert(name.clone(), reason.clone());
            }
            NodeEvent::OutputFailed { name, reason, .. } => {
                self.pushes.faults.insert(name.clone(), reason.clone());
            }
            _ => {}
        }
    }

    /// All pulls by name, looked at every `seconds`.
    pub(super) fn pulls(&mut self, pulls: &[PullSnapshot], seconds: f64) -> BTreeMap<String, Pull> {
        self.pulls.keep(|name| pulls.iter().any(|pull| pull.name == *name));
        let show = |pull: &PullSnapshot| {
            let line = &pull.figures;
            let (error, bits) = self.pulls.look(&pull.name, line);
            Pull {
                name: pull.name.clone(),
                stream: pull.stream.clone(),
                url: pull.url.clone(),
                mode: pull.mode.to_owned(),
                state: line.state.label().to_owned(),
                error,
                connects: line.connects,
                failures: line.failures,
                bytes: line.bytes,
                bitrate_bps: bits / seconds,
            }
        };
        pulls.iter().map(show).map(|pull| (pull.name.clone(), pull)).collect()
    }

    /// All pushes by name, out of all outputs, looked at every `seconds`.
    pub(super) fn pushes(
        &mut self,
        outputs: &[OutputSnapshot],
        seconds: f64,
    ) -> BTreeMap<String, Push> {
        let pushes: Vec<_> = outputs.iter().filter(|output| is_push(output)).collect();
        self.pushes.keep(|name| pushes.iter().any(|push| push.name == *name));
        let show = |push: &OutputSnapshot| {
            let line = &push.figures.line;
            let (error, bits) = self.pushes.look(&push.name, line);
            Push {
                name: push.name.clone(),
                stream: push.stream.clone(),
                url: push.destination.clone(),
                state: line.state.label().to_owned(),
                error,
                connects: line.connects,
                failures: line.failures,
                bytes: line.bytes,
                bitrate_bps: bits / seconds,
                lag_ms: push.figures.lag_s * 1e3,
                dropped: push.figures.drops.iter().sum(),
            }
        };
        pushes.into_iter().map(show).map(|push| (push.name.clone(), push)).collect()
    }
}

/// Whether it is a push that belongs to no channel.
pub(super) fn is_push(output: &OutputSnapshot) -> bool {
    output.channel.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Micros;
    use crate::stats::OutputFigures;

    fn line(state: LineState, bytes: u64) -> LineFigures {
        LineFigures { state, bytes, ..LineFigures::default() }
    }

    fn pull(state: LineState, bytes: u64) -> Vec<PullSnapshot> {
        let figures = line(state, bytes);
        vec![PullSnapshot { name: "a".to_owned(), figures, ..PullSnapshot::default() }]
    }

    #[test]
    fn a_failure_is_shown_until_it_is_over_and_the_rate_is_that_since_the_last_look() {
        let mut heard = Heard::default();
        let (name, reason) = ("a".to_owned(), "h:1935: refused".to_owned());
        heard.hear(&NodeEvent::PullFailed { name, reason, retry_in: Micros::from_secs(1) });
        for state in [LineState::Waiting, LineState::Connecting] {
            let shown = heard.pulls(&pull(state, 0), 1.0).remove("a").unwrap();
            assert_eq!(shown.error.as_deref(), Some("h:1935: refused"), "{state:?}");
        }
        let shown = heard.pulls(&pull(LineState::Live, 1_000), 2.0).remove("a").unwrap();
        assert_eq!((shown.error, shown.state.as_str()), (None, "live"));
        assert!((shown.bitrate_bps - 4_000.0).abs() < 1e-9);
        assert!(heard.pulls(&[], 1.0).is_empty() && heard.pulls.bytes.is_empty());
    }

    #[test]
    fn pushes_are_the_outputs_of_no_channel() {
        let mut heard = Heard::default();
        let figures = OutputFigures { line: line(LineState::Idle, 0), ..Default::default() };
        let push = OutputSnapshot { name: "up".to_owned(), figures, ..Default::default() };
        let output = OutputSnapshot { channel: "demo".to_owned(), ..push.clone() };
        let shown = heard.pushes(&[output, push], 1.0);
        assert_eq!(shown.len(), 1);
        assert_eq!(shown["up"].state, "idle");
    }
}
