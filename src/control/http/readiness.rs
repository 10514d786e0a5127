//! Readiness: whether the node can be used, and if not, what is missing.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::control::keystore::Keys;
use crate::stats::Snapshot;

/// What has to be true before others should send people here.
#[derive(Debug)]
pub struct Readiness {
    listens: AtomicBool,
    stopping: AtomicBool,
    channels: Vec<(String, AtomicBool)>,
    keys: Option<Keys>,
}

impl Readiness {
    /// Nothing is ready yet; these are the channels that have to produce, and the stream keys that
    /// have to be there for new publishers (`None` if anybody may publish).
    #[must_use]
    pub fn new<N: Into<String>>(channels: impl IntoIterator<Item = N>, keys: Option<Keys>) -> Self {
        let channels = channels.into_iter().map(|name| (name.into(), AtomicBool::new(false)));
        Self {
            listens: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            channels: channels.collect(),
            keys,
        }
    }

    /// RTMP accepts connections.
    pub fn set_listening(&self) {
        self.listens.store(true, Ordering::Relaxed);
    }

    /// The node goes down: from now on it is not ready, so that nobody is sent here any more.
    pub fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Takes from `snapshot` which channels produce: those whose encoder gave frames in the last
    /// seconds.
    pub fn update(&self, snapshot: &Snapshot) {
        for (name, produces) in &self.channels {
            let found = snapshot.channels.iter().find(|channel| channel.name == *name);
            let now = found.is_some_and(|channel| channel.figures.fps > 0.0);
            produces.store(now, Ordering::Relaxed);
        }
    }

    /// What is missing, in words; empty if the node is ready.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.stopping.load(Ordering::Relaxed) {
            missing.push("the node is stopping".to_owned());
        }
        if !self.listens.load(Ordering::Relaxed) {
            missing.push("RTMP does not listen yet".to_owned());
        }
        if let Some(trouble) = self.keys.as_ref().and_then(Keys::trouble) {
            missing.push(format!("stream keys cannot be checked: {trouble}"));
        }
        for (name, produces) in &self.channels {
            if !produces.load(Ordering::Relaxed) {
                missing.push(format!("channel {name} produces no frames"));
            }
        }
        missing
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.missing().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{ChannelFigures, ChannelSnapshot};

    fn producing(fps: f64) -> Snapshot {
        let figures = ChannelFigures { fps, ..Default::default() };
        let channel = ChannelSnapshot { name: "demo".into(), figures, ..Default::default() };
        Snapshot { channels: vec![channel], ..Default::default() }
    }

    #[test]
    fn it_takes_a_listener_and_every_channel() {
        let readiness = Readiness::new(["demo"], None);
        assert_eq!(readiness.missing().len(), 2);
        readiness.set_listening();
        assert_eq!(readiness.missing(), ["channel demo produces no frames"]);
        readiness.update(&producing(30.0));
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_channel_that_stops_takes_it_back() {
        let readiness = Readiness::new(["demo"], None);
        readiness.set_listening();
        readiness.update(&producing(30.0));
        readiness.update(&producing(0.0));
        assert!(!readiness.is_ready());
        readiness.update(&Snapshot::default());
        assert!(!readiness.is_ready(), "a channel nobody knows produces nothing");
    }

    #[test]
    fn a_node_that_stops_is_not_ready_whatever_works() {
        let readiness = Readiness::new(Vec::<String>::new(), None);
        readiness.set_listening();
        assert!(readiness.is_ready());
        readiness.set_stopping();
        assert_eq!(readiness.missing(), ["the node is stopping"]);
    }
}
