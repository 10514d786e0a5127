//! Channels of the running node: a new one is built on a thread of its own, opens its stream at its
//! shard and goes to the compose core; one that was stopped comes back from there and is
//! dropped on a thread of its own.

use std::io;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::audio::MixerControl;
use crate::command::{Answer, ChannelSource, ChannelSwitch};
use crate::config::{ChannelConfig, MAIN_RENDITION};
use crate::control::channels::build::{self, Built, Frames};
use crate::control::channels::compose::start_compose;
use crate::control::channels::context::ChannelContext;
use crate::control::channels::error::ChannelError;
use crate::control::channels::renditions::KnownStats;
use crate::control::channels::scenes::SceneEnds;
use crate::control::channels::sources::Subscription;
use crate::control::handle::{Reply, say};
use crate::control::threads::{Thread, ThreadPlace, ThreadRole};
use crate::frame::PacketPool;
use crate::media::Micros;
use crate::pipeline::ChannelStage;
use crate::ring::{Receiver, Sender};
use crate::scene;
use crate::stats::{ChannelEntry, ChannelStats, CoreRole};

/// How long the shard may take to open a stream: the encoders of the channel that is replaced
/// hand over what they hold meanwhile.
const OPENING_MAX: Micros = Micros::from_secs(10);

/// A channel that runs, or has stopped because its encoder failed.
pub(crate) struct Known {
    pub(crate) name: String,
    /// That of its first rendition.
    pub(crate) stream: Arc<str>,
    /// Those of all its renditions, by their names, the first one first.
    pub(crate) streams: Vec<(String, Arc<str>)>,
    pub(crate) switch: Arc<ChannelSwitch>,
    /// What stops each of its streams.
    pub(crate) switches: Vec<Arc<ChannelSwitch>>,
    /// Figures of its first rendition.
    pub(crate) stats: Arc<ChannelStats>,
    /// Those of all, by their names.
    known_stats: KnownStats,
}

impl Known {
    pub(crate) fn of(built: &Built) -> Self {
        let ChannelEntry { name, stats, renditions, .. } = &built.entry;
        let further = renditions.iter().map(|rendition| (&rendition.name, &rendition.stats));
        let main = MAIN_RENDITION.to_owned();
        let names: Vec<_> = [(&main, stats)].into_iter().chain(further).collect();
        let feeds = || names.iter().map(|(name, _)| (*name).clone()).zip(&built.feeds);
        let streams: Vec<_> =
            feeds().map(|(name, feed)| (name, Arc::clone(&feed.stream))).collect();
        let stats_of = |(name, stats): &(&String, &Arc<_>)| ((*name).clone(), Arc::clone(stats));
        Self {
            name: name.clone(),
            stream: streams.first().map(|(_, stream)| Arc::clone(stream)).unwrap_or_default(),
            switch: built.switch(),
            switches: built.feeds.iter().map(|feed| Arc::clone(&feed.switch)).collect(),
            stats: Arc::clone(stats),
            known_stats: KnownStats(names.iter().map(stats_of).collect()),
            streams,
        }
    }

    /// What the encoder of one of its streams is told by.
    pub(crate) fn switch_of(&self, stream: &str) -> Option<&ChannelSwitch> {
        let at = self.streams.iter().position(|(_, own)| **own == *stream)?;
        self.switches.get(at).map(|switch| &**switch)
    }

    /// Whether both make a stream of the same name.
    fn shares_stream(&self, other: &Self) -> bool {
        self.streams.iter().any(|(_, own)| other.streams.iter().any(|(_, it)| it == own))
    }
}

/// A channel on its way. One at a time, so that each finds things as the one before left them.
pub(crate) struct Job {
    pub(crate) config: ChannelConfig,
    /// The shard that its encoders feed.
    pub(crate) shard: usize,
    pub(crate) reply: Reply,
    pub(crate) opening: Option<Opening>,
}

/// A channel that is built, whose streams are being opened.
pub(crate) struct Opening {
    pub(crate) stage: ChannelStage,
    pub(crate) known: Known,
    pub(crate) entry: ChannelEntry,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) scenes: Option<SceneEnds>,
    pub(crate) mixer: Option<MixerControl>,
    pub(crate) faults: Vec<scene::Error>,
    /// Streams that its shard has not opened yet.
    pub(crate) to_open: usize,
    pub(crate) deadline: Micros,
}

/// All channels as control knows them.
pub(crate) struct ChannelList {
    context: ChannelContext,
    /// To the compose core.
    pub(crate) compose: Sender<ChannelStage>,
    /// Those that the compose core has let go.
    pub(crate) stopped: Receiver<ChannelStage>,
    /// Those that run, or have stopped.
    pub(crate) known: Vec<Known>,
    /// The one that is being built.
    pub(crate) job: Option<Job>,
    tell: mpsc::Sender<Outcome>,
    /// Channels that were built, or could not be.
    pub(crate) outcomes: mpsc::Receiver<Outcome>,
}

/// What came of building a channel.
pub(crate) type Outcome = Result<Box<Built>, ChannelError>;

impl ChannelList {
    /// These channels, and the rings to and from the compose core.
    pub(crate) fn new(
        context: ChannelContext,
        (compose, stopped): (Sender<ChannelStage>, Receiver<ChannelStage>),
        known: Vec<Known>,
    ) -> Self {
        let (tell, outcomes) = mpsc::channel(1);
        Self { context, compose, stopped, known, job: None, tell, outcomes }
    }

    /// The packet pool of the node.
    pub(crate) const fn packets(&self) -> &PacketPool {
        &self.context.packets
    }

    /// Drops what the compose core has sent back. That ends the encoders.
    pub(crate) fn read_mail(&mut self) {
        while let Some(stage) = self.stopped.pop() {
            self.discard(stage);
        }
    }

    /// Builds a channel that feeds `shard`, in the place of that of its name if there is one, and
    /// answers `reply` once it runs or cannot.
    pub(crate) fn begin(&mut self, config: ChannelConfig, shard: usize, reply: Reply) {
        if self.job.is_some() {
            let text = "another channel is being built; try again".to_owned();
            return say(reply, Answer::Conflict(text));
        }
        // Who goes on with another's stream counts on: it begins when that has ended. The encoders
        // of two streams may work at once for a moment.
        let old = self.find(&config.name).filter(|old| *old.stream == *config.stream);
        let stats = old.map(|old| old.known_stats.clone()).unwrap_or_default();
        let (context, tell, wanted) =
            (self.context.at_shard(shard), self.tell.clone(), config.clone());
        let build = move || {
            let built = build::build(&context, &wanted, Frames::Composed, &stats);
            let outcome = built.and_then(Built::wait_open).map(Box::new);
            // The controller is gone only when the node stops; what was built ends with it.
            drop(tell.blocking_send(outcome));
        };
        self.job = Some(Job { config, shard, reply, opening: None });
        let started = self.spawn("channel", build);
        if let Err(error) = started {
            self.fail(Answer::Unavailable(ChannelError::Thread(error).to_string()));
        }
    }

    /// What a shard is given of a channel that was built, and its number. If one of its streams is
    /// that of the channel that it replaces, that one ends now, and the shard waits for its end.
    pub(crate) fn open(&mut self, built: Built) -> Option<(usize, Vec<ChannelSource>)> {
        let known = Known::of(&built);
        let Built { stage, feeds, subscriptions, scenes, mixer, faults, entry, .. } = built;
        if let Some(old) = self.find(&known.name).filter(|old| old.shares_stream(&known)) {
            old.switch.stop();
        }
        let deadline = self.context.clock.now() + OPENING_MAX;
        let to_open = feeds.len();
        let opening = Opening {
            stage,
            known,
            entry,
            subscriptions,
            scenes,
            mixer,
            faults,
            to_open,
            deadline,
        };
        let job = self.job.as_mut()?;
        job.opening = Some(opening);
        Some((job.shard, feeds))
    }

    /// Gives up a channel whose stream does not open.
    pub(crate) fn tick(&mut self) {
        let opening = self.job.as_ref().and_then(|job| job.opening.as_ref());
        if opening.is_some_and(|it| self.context.clock.now() >= it.deadline) {
            let text = "the encoders of the channel before it do not end; try again later";
            self.fail(Answer::Unavailable(text.to_owned()));
        }
    }

    /// Starts another compose core in the place of one that has ended; it has no channels yet.
    pub(crate) fn restart_compose(&mut self) -> bool {
        match start_compose(&self.context, Vec::new()) {
            Ok((compose, stopped)) => {
                (self.compose, self.stopped) = (compose, stopped);
                true
            }
            Err(error) => {
                tracing::error!("no thread for the compose core: {error}");
                false
            }
        }
    }

    /// Whether no channel is being built.
    pub(crate) const fn may_begin(&self) -> bool {
        self.job.is_none()
    }

    /// Whether there is a channel of this name.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<&Known> {
        self.known.iter().find(|known| known.name == name)
    }

    /// Forgets the channel of this name.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Known> {
        let at = self.known.iter().position(|known| known.name == name)?;
        Some(self.known.remove(at))
    }

    /// The channel that was being built does not run.
    pub(crate) fn fail(&mut self, answer: Answer) {
        let Some(Job { reply, opening, .. }) = self.job.take() else { return };
        if let Some(Opening { stage, known, .. }) = opening {
            known.switch.stop();
            self.discard(stage);
        }
        say(reply, answer);
    }

    /// Drops something whose end may take time.
    pub(crate) fn discard(&self, what: impl Send + 'static) {
        if let Err(error) = self.spawn("channel-end", move || drop(what)) {
            tracing::warn!("a channel ended on the control thread: no other could be had: {error}");
        }
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<Arc<Thread>> {
        let role = ThreadRole { role: CoreRole::Loader, of: String::new() };
        self.context.threads.spawn(
            role,
            ThreadPlace::below(name, &self.context.encode_cpus),
            None,
            run,
        )
    }
}
