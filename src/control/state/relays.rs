//! State of outputs, pulls and pushes: their figures and their last error.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use utoipa::ToSchema;

use crate::event::NodeEvent;
use crate::stats::{LineFigures, OutputSnapshot, PullSnapshot, RunState};

/// A destination that a channel is pushed to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Output {
    /// Its channel.
    pub channel: String,
    /// Its name.
    pub name: String,
    /// The stream that it sends: that of one of the channel's renditions.
    pub stream: String,
    /// The rendition that it sends in the place of that stream, whose codecs its destination does
    /// not announce.
    pub rendition: Option<String>,
    /// Where it goes, without what may be secret.
    pub url: String,
    /// What it does.
    pub state: RunState,
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
    /// What it does.
    pub state: RunState,
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
    /// The rendition that it sends in the place of that stream, whose codecs its destination does
    /// not announce.
    pub rendition: Option<String>,
    /// Where to, without what may be secret.
    pub url: String,
    /// What it does.
    pub state: RunState,
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

/// What outputs, pulls and pushes said last.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pulls: Lines,
    /// By [`path_of`].
    outputs: Lines,
}

impl Lines {
    fn keep(&mut self, is_there: impl Fn(&String) -> bool) {
        self.faults.retain(|name, _| is_there(name));
        self.bytes.retain(|name, _| is_there(name));
    }

    /// What went wrong last, until that is over, and the bits since the last look.
    fn look(&mut self, name: &str, line: &LineFigures) -> (Option<String>, f64) {
        if line.state == RunState::Live {
            self.faults.remove(name);
        }
        let before = self.bytes.insert(name.to_owned(), line.bytes).unwrap_or(line.bytes);
        let bits = line.bytes.saturating_sub(before) * 8;
        (self.faults.get(name).cloned(), bits as f64)
    }
}

impl Collected {
    pub(super) fn handle(&mut self, event: &NodeEvent) {
        match event {
            NodeEvent::PullFailed { name, reason, .. } => {
                self.pulls.faults.insert(name.clone(), reason.clone());
            }
            NodeEvent::OutputFailed { channel, name, reason, .. } => {
                self.outputs.faults.insert(path_of(channel, name), reason.clone());
            }
            // It may have failed again, or been stopped, before the next look.
            NodeEvent::PullConnected { name, .. } => {
                self.pulls.faults.remove(name);
            }
            NodeEvent::OutputConnected { channel, name, .. } => {
                self.outputs.faults.remove(&path_of(channel, name));
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
                state: line.state,
                error,
                connects: line.connects,
                failures: line.failures,
                bytes: line.bytes,
                bitrate_bps: bits / seconds,
            }
        };
        pulls.iter().map(show).map(|pull| (pull.name.clone(), pull)).collect()
    }

    /// All outputs by `channel/name` and all pushes by name, looked at every `seconds`.
    pub(super) fn outputs(
        &mut self,
        outputs: &[OutputSnapshot],
        seconds: f64,
    ) -> (BTreeMap<String, Output>, BTreeMap<String, Push>) {
        let paths: HashSet<_> = outputs.iter().map(|it| path_of(&it.channel, &it.name)).collect();
        self.outputs.keep(|path| paths.contains(path));
        let (mut of_channels, mut pushes) = (BTreeMap::new(), BTreeMap::new());
        for output in outputs {
            let line = &output.figures.line;
            let path = path_of(&output.channel, &output.name);
            let (error, bits) = self.outputs.look(&path, line);
            let shown = Output {
                channel: output.channel.clone(),
                name: output.name.clone(),
                stream: output.stream.clone(),
                rendition: output.rendition.clone(),
                url: output.destination.clone(),
                state: line.state,
                error,
                connects: line.connects,
                failures: line.failures,
                bytes: line.bytes,
                bitrate_bps: bits / seconds,
                lag_ms: output.figures.lag_s * 1e3,
                dropped: output.figures.drops.iter().sum(),
            };
            match output.channel.is_empty() {
                true => drop(pushes.insert(shown.name.clone(), push_of(shown))),
                false => drop(of_channels.insert(path, shown)),
            }
        }
        (of_channels, pushes)
    }
}

/// Names an output in all channels; a push has no channel.
fn path_of(channel: &str, name: &str) -> String {
    format!("{channel}/{name}")
}

fn push_of(output: Output) -> Push {
    let Output { channel: _, name, stream, rendition, url, state, error, .. } = output;
    let Output { connects, failures, bytes, bitrate_bps, lag_ms, dropped, .. } = output;
    Push {
        name,
        stream,
        rendition,
        url,
        state,
        error,
        connects,
        failures,
        bytes,
        bitrate_bps,
        lag_ms,
        dropped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Micros;
    use crate::stats::OutputFigures;

    fn line(state: RunState, bytes: u64) -> LineFigures {
        LineFigures { state, bytes, ..LineFigures::default() }
    }

    fn pull(state: RunState, bytes: u64) -> Vec<PullSnapshot> {
        let figures = line(state, bytes);
        vec![PullSnapshot { name: "a".to_owned(), figures, ..PullSnapshot::default() }]
    }

    #[test]
    fn a_failure_is_shown_until_it_is_live_and_the_rate_is_that_since_the_last_look() {
        let mut collected = Collected::default();
        let (name, reason) = ("a".to_owned(), "h:1935: refused".to_owned());
        let (actor, retry_in) = (String::new(), Micros::from_secs(1));
        collected.handle(&NodeEvent::PullFailed { name, reason, actor, retry_in });
        for state in RunState::ALL.into_iter().filter(|state| *state != RunState::Live) {
            let shown = collected.pulls(&pull(state, 0), 1.0).remove("a").unwrap();
            assert_eq!(shown.error.as_deref(), Some("h:1935: refused"), "{state:?}");
        }
        let shown = collected.pulls(&pull(RunState::Live, 1_000), 2.0).remove("a").unwrap();
        assert_eq!((shown.error, shown.state), (None, RunState::Live));
        assert!((shown.bitrate_bps - 4_000.0).abs() < 1e-9);
        assert!(collected.pulls(&[], 1.0).is_empty() && collected.pulls.bytes.is_empty());
    }

    #[test]
    fn pushes_and_outputs_of_one_name_in_several_channels_have_each_their_own_error() {
        let mut collected = Collected::default();
        let figures = OutputFigures { line: line(RunState::Failed, 0), ..Default::default() };
        let of = |channel: &str| OutputSnapshot {
            channel: channel.to_owned(),
            name: "cdn".to_owned(),
            stream: "live/x".to_owned(),
            figures,
            ..Default::default()
        };
        let fails = |channel: &str| NodeEvent::OutputFailed {
            channel: channel.to_owned(),
            name: "cdn".to_owned(),
            reason: format!("of {channel}"),
            retry_in: Micros::from_secs(1),
        };
        for channel in ["", "a"] {
            collected.handle(&fails(channel));
        }
        let all = [of(""), of("a"), of("b")];
        let (outputs, pushes) = collected.outputs(&all, 1.0);
        assert_eq!((outputs.len(), pushes.len()), (2, 1));
        assert_eq!(outputs["a/cdn"].error.as_deref(), Some("of a"));
        assert_eq!(outputs["b/cdn"].error, None);
        assert_eq!(outputs["a/cdn"].stream, "live/x");
        let push = &pushes["cdn"];
        assert_eq!((push.error.as_deref(), push.stream.as_str()), (Some("of "), "live/x"));
        let (channel, name) = ("a".to_owned(), "cdn".to_owned());
        collected.handle(&NodeEvent::OutputConnected {
            channel,
            name,
            omits_tracks: false,
            rendition: None,
        });
        let (outputs, pushes) = collected.outputs(&all, 1.0);
        assert_eq!(outputs["a/cdn"].error, None, "it was live between two looks");
        assert!(pushes["cdn"].error.is_some());
        collected.outputs(&[], 1.0);
        assert!(collected.outputs.faults.is_empty() && collected.outputs.bytes.is_empty());
    }
}
