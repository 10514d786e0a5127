//! Readiness: whether the node can be used, and if not, what is missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

use crate::control::keystore::Keys;
use crate::stats::{CoreStats, Snapshot};

/// Looks that a channel which comes while the node runs has for its first frames. Who is served by
/// the others need not go elsewhere meanwhile.
const FIRST_LOOKS: u32 = 5;

/// What has to be true before others should send people here.
#[derive(Debug)]
pub struct Readiness {
    listens: AtomicBool,
    stopping: AtomicBool,
    channels: ArcSwap<Vec<Channel>>,
    keys: Option<Keys>,
    cores: Arc<CoreStats>,
}

#[derive(Clone, Debug)]
struct Channel {
    name: String,
    /// Looks for which it counts as producing.
    trusted: u32,
}

impl Readiness {
    /// Nothing is ready yet; these are the channels that have to produce, and the stream keys that
    /// have to be there for new publishers (`None` if anybody may publish).
    #[must_use]
    pub fn new<N: Into<String>>(channels: impl IntoIterator<Item = N>, keys: Option<Keys>) -> Self {
        let channels = channels.into_iter().map(|name| Channel { name: name.into(), trusted: 0 });
        Self {
            listens: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            channels: ArcSwap::from_pointee(channels.collect()),
            keys,
            cores: Arc::default(),
        }
    }

    /// Misses what these figures say is missing.
    #[must_use]
    pub fn with_cores(self, cores: Arc<CoreStats>) -> Self {
        Self { cores, ..self }
    }

    /// RTMP accepts connections.
    pub fn set_listening(&self) {
        self.listens.store(true, Ordering::Relaxed);
    }

    /// The node goes down: from now on it is not ready, so that nobody is sent here any more.
    pub fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Takes from `snapshot`, about once a second, which channels there are and which of them
    /// produce: those whose encoder gave frames in the last seconds.
    pub fn update(&self, snapshot: &Snapshot) {
        let before = self.channels.load();
        let channels = snapshot.channels.iter().map(|channel| {
            let known = before.iter().find(|known| known.name == channel.name);
            let trusted = match known {
                _ if channel.figures.fps > 0.0 => 1,
                Some(known) => known.trusted.saturating_sub(1),
                None => FIRST_LOOKS,
            };
            Channel { name: channel.name.clone(), trusted }
        });
        self.channels.store(Arc::new(channels.collect()));
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
        for core in self.cores.missing().iter() {
            missing.push(format!("{core} has panicked"));
        }
        if let Some(trouble) = self.keys.as_ref().and_then(Keys::trouble) {
            missing.push(format!("stream keys cannot be checked: {trouble}"));
        }
        for Channel { name, .. } in self.channels.load().iter().filter(|it| it.trusted == 0) {
            missing.push(format!("channel {name} produces no frames"));
        }
        missing
    }

    /// Whether nothing is missing.
    #[cfg(test)]
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.missing().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{ChannelFigures, ChannelSnapshot};

    fn channel(name: &str, fps: f64) -> ChannelSnapshot {
        let figures = ChannelFigures { fps, ..Default::default() };
        ChannelSnapshot { name: name.into(), figures, ..Default::default() }
    }

    fn producing(fps: f64) -> Snapshot {
        Snapshot { channels: vec![channel("demo", fps)], ..Default::default() }
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
        assert!(readiness.is_ready(), "a channel that is gone is not missed");
    }

    #[test]
    fn a_channel_that_comes_later_has_some_seconds_for_its_first_frames() {
        let readiness = Readiness::new(["demo"], None);
        readiness.set_listening();
        let with = |fps| {
            let channels = vec![channel("demo", 30.0), channel("later", fps)];
            readiness.update(&Snapshot { channels, ..Default::default() });
            readiness.missing()
        };
        readiness.update(&producing(30.0));
        for _ in 0..FIRST_LOOKS {
            assert!(with(0.0).is_empty());
        }
        assert_eq!(with(0.0), ["channel later produces no frames"]);
        assert!(with(30.0).is_empty());
        assert_eq!(with(0.0), ["channel later produces no frames"], "it has stopped");
    }

    #[test]
    fn a_core_that_is_lost_is_missed_until_it_is_back() {
        let cores = Arc::new(CoreStats::default());
        let readiness = Readiness::new(Vec::<String>::new(), None).with_cores(Arc::clone(&cores));
        readiness.set_listening();
        cores.set_missing(vec!["shard 1".to_owned()]);
        assert_eq!(readiness.missing(), ["shard 1 has panicked"]);
        cores.set_missing(Vec::new());
        assert!(readiness.is_ready());
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
