//! Channels of the running node: a new one is built on a thread of its own, opens its stream at the
//! home shard and goes to the compose core; one that was stopped comes back from there and is
//! dropped on a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::channels::{self, Built, Frames, Shop};
use super::desk::{Desk, HOME};
use super::scenes::SceneEnds;
use super::sources::Tap;
use super::start_error::StartError;
use super::surveys::{Reply, say};
use crate::command::{Answer, ChannelFeed, ChannelSwitch, ToShard};
use crate::config::ChannelConfig;
use crate::event::{NodeEvent, Operated};
use crate::frame::PacketPool;
use crate::media::Micros;
use crate::pipeline::ChannelStage;
use crate::ring::{Receiver, Sender};
use crate::runtime::{Clock, NICE_ENCODE, Worker};
use crate::scene;
use crate::stats::{ChannelEntry, ChannelStats};

/// How long the home shard may take to open a stream: the encoders of the channel that is replaced
/// hand over what they hold meanwhile.
const OPENING_MAX: Micros = Micros::from_secs(10);

/// Channels that may wait for the compose core, which takes them between two ticks. They come one
/// at a time.
pub(super) const COMPOSE_QUEUE: usize = 4;

/// How long encoders may take to hand over what they still hold when the node stops.
const DRAIN_LIMIT: Micros = Micros::from_millis(1_200);

/// The threads of all channels' encoders and first decoders, which the desk starts and the node
/// waits for.
#[derive(Clone, Default)]
pub(super) struct Workers(Arc<ArcSwap<Vec<Arc<Worker<()>>>>>);

impl Workers {
    /// Further ones. Those that have ended are forgotten.
    pub(super) fn add(&self, workers: Vec<Worker<()>>) {
        let workers: Vec<_> = workers.into_iter().map(Arc::new).collect();
        self.0.rcu(|known| {
            let running = known.iter().filter(|worker| !worker.is_finished());
            running.chain(&workers).cloned().collect::<Vec<_>>()
        });
    }

    /// Waits until they have handed over what they held. Call it after the compose core has ended.
    pub(super) fn finish(&self, clock: Clock) {
        let (workers, deadline) = (self.0.load_full(), clock.now() + DRAIN_LIMIT);
        while workers.iter().any(|worker| !worker.is_finished()) && clock.now() < deadline {
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
}

/// A channel that runs, or has stopped because its encoder failed.
pub(super) struct Known {
    name: String,
    stream: Arc<str>,
    switch: Arc<ChannelSwitch>,
    stats: Arc<ChannelStats>,
}

impl Known {
    pub(super) fn of(built: &Built) -> Self {
        let ChannelFeed { stream, switch, stats, .. } = &built.feed;
        let name = built.entry.name.clone();
        let (stream, switch) = (Arc::clone(stream), Arc::clone(switch));
        Self { name, stream, switch, stats: Arc::clone(stats) }
    }
}

/// A channel on its way. One at a time, so that each finds things as the one before left them.
struct Job {
    config: ChannelConfig,
    reply: Reply,
    opening: Option<Opening>,
}

/// A channel that is built, whose stream is being opened.
struct Opening {
    stage: ChannelStage,
    known: Known,
    entry: ChannelEntry,
    taps: Vec<Tap>,
    workers: Vec<Worker<()>>,
    scenes: Option<SceneEnds>,
    faults: Vec<scene::Error>,
    deadline: Micros,
}

/// All channels as control knows them.
pub(super) struct LiveChannels {
    shop: Shop,
    compose: Sender<ChannelStage>,
    /// Those that the compose core has let go.
    pub(super) stopped: Receiver<ChannelStage>,
    workers: Workers,
    known: Vec<Known>,
    job: Option<Job>,
    tell: mpsc::Sender<Outcome>,
    /// Channels that were built, or could not be.
    pub(super) outcomes: mpsc::Receiver<Outcome>,
}

/// What came of building a channel.
pub(super) type Outcome = Result<Box<Built>, StartError>;

impl LiveChannels {
    /// These channels, and the rings to and from the compose core.
    pub(super) fn new(
        shop: Shop,
        (compose, stopped): (Sender<ChannelStage>, Receiver<ChannelStage>),
        workers: Workers,
        known: Vec<Known>,
    ) -> Self {
        let (tell, outcomes) = mpsc::channel(1);
        Self { shop, compose, stopped, workers, known, job: None, tell, outcomes }
    }

    /// The packet pool of the node.
    pub(super) const fn packets(&self) -> &PacketPool {
        &self.shop.packets
    }

    /// Drops what the compose core has sent back. That ends the encoders.
    pub(super) fn read_mail(&mut self) {
        while let Some(stage) = self.stopped.pop() {
            self.discard(stage);
        }
    }

    /// Builds a channel, in the place of that of its name if there is one, and answers `reply` once
    /// it runs or cannot.
    pub(super) fn begin(&mut self, config: ChannelConfig, reply: Reply) {
        if self.job.is_some() {
            let text = "another channel is being built; try again".to_owned();
            return say(reply, Answer::Conflict(text));
        }
        // Who goes on with another's stream counts on: it begins when that has ended. The encoders
        // of two streams may work at once for a moment.
        let old = self.find(&config.name).filter(|old| *old.stream == *config.stream);
        let stats = old.map(|old| Arc::clone(&old.stats)).unwrap_or_default();
        let (shop, tell, wanted) = (self.shop.clone(), self.tell.clone(), config.clone());
        let build = move || {
            let built = channels::build(&shop, &wanted, Frames::Composed, &stats);
            let outcome = built.and_then(Built::wait_open).map(Box::new);
            // The desk is gone only when the node stops; what was built ends with the message.
            drop(tell.blocking_send(outcome));
        };
        self.job = Some(Job { config, reply, opening: None });
        let started = Worker::spawn("channel", self.shop.encode_cpus.clone(), NICE_ENCODE, build);
        if let Err(error) = started {
            self.fail(Answer::Unavailable(StartError::Thread(error).to_string()));
        }
    }

    /// What the home shard is given of a channel that was built. If its stream is that of the
    /// channel that it replaces, that one ends now, and the shard waits for its end.
    fn open(&mut self, built: Built) -> Option<ChannelFeed> {
        let known = Known::of(&built);
        let Built { stage, feed, taps, workers, scenes, faults, entry, .. } = built;
        if let Some(old) = self.find(&known.name).filter(|old| old.stream == known.stream) {
            old.switch.stop();
        }
        let deadline = self.shop.clock.now() + OPENING_MAX;
        let opening = Opening { stage, known, entry, taps, workers, scenes, faults, deadline };
        self.job.as_mut()?.opening = Some(opening);
        Some(feed)
    }

    /// Gives up a channel whose stream does not open.
    pub(super) fn tick(&mut self) {
        let opening = self.job.as_ref().and_then(|job| job.opening.as_ref());
        if opening.is_some_and(|it| self.shop.clock.now() >= it.deadline) {
            let text = "the encoders of the channel before it do not end; try again later";
            self.fail(Answer::Unavailable(text.to_owned()));
        }
    }

    fn find(&self, name: &str) -> Option<&Known> {
        self.known.iter().find(|known| known.name == name)
    }

    fn remove(&mut self, name: &str) -> Option<Known> {
        let at = self.known.iter().position(|known| known.name == name)?;
        Some(self.known.remove(at))
    }

    /// The channel that was being built does not run.
    fn fail(&mut self, answer: Answer) {
        let Some(Job { reply, opening, .. }) = self.job.take() else { return };
        if let Some(Opening { stage, known, .. }) = opening {
            known.switch.stop();
            self.discard(stage);
        }
        say(reply, answer);
    }

    /// Drops something whose end may take time.
    fn discard(&self, what: impl Send + 'static) {
        let cpus = self.shop.encode_cpus.clone();
        if let Err(error) = Worker::spawn("channel-end", cpus, NICE_ENCODE, move || drop(what)) {
            tracing::warn!("a channel ended on the control thread: no other could be had: {error}");
        }
    }
}

impl Desk {
    /// A channel was built, or could not be.
    pub(super) fn channel_built(&mut self, outcome: Outcome) {
        match outcome {
            Ok(built) => {
                if let Some(feed) = self.channels.open(*built) {
                    self.tell(HOME, ToShard::Feed(Box::new(feed)));
                }
            }
            Err(error) => self.channels.fail(Answer::Unavailable(error.to_string())),
        }
    }

    /// The home shard has opened the stream of a channel, unless somebody else feeds it.
    pub(super) fn channel_opened(&mut self, switch: &Arc<ChannelSwitch>, is_open: bool) {
        let opening = self.channels.job.as_ref().and_then(|job| job.opening.as_ref());
        if !opening.is_some_and(|it| Arc::ptr_eq(&it.known.switch, switch)) {
            return; // it took too long
        }
        if !is_open {
            let stream = opening.map(|it| it.known.stream.to_string()).unwrap_or_default();
            let text = format!(
                "somebody else feeds the stream {stream}; end that first, or give the channel \
                 another `stream`"
            );
            return self.channels.fail(Answer::Conflict(text));
        }
        let Some(Job { config, reply, opening: Some(opening) }) = self.channels.job.take() else {
            return;
        };
        let Opening { stage, known, entry, taps, workers, scenes, faults, .. } = opening;
        if let Err(stage) = self.channels.compose.push(stage) {
            known.switch.stop();
            self.channels.discard(stage);
            let text = "the compose core takes no channels: the node is stopping".to_owned();
            return say(reply, Answer::Unavailable(text));
        }
        match self.channels.remove(&known.name) {
            Some(old) => {
                old.switch.stop();
                if !Arc::ptr_eq(&old.stats, &known.stats) {
                    self.troubles.forget(&known.name);
                }
                self.outputs.set_stream(&known.name, &known.stream);
                self.tell_channel("channel_stopped", &old, "ended: another takes its place");
            }
            None => {
                for (spec, entry) in self.outputs.channel(&config) {
                    self.registry.add_output(&entry);
                    self.tell(HOME, ToShard::AddOutput(Box::new(spec)));
                }
            }
        }
        self.registry.put_channel(&entry);
        self.scenes.put(&config, scenes, &faults);
        for (stream, tap) in taps {
            self.tell(HOME, ToShard::Tap(stream, tap));
        }
        self.tell_channel("channel_started", &known, "began");
        self.channels.workers.add(workers);
        self.channels.known.push(known);
        say(reply, Answer::Done);
    }

    /// Ends a channel with its outputs. Its encoders hand over what they hold, and then its stream
    /// ends.
    pub(super) fn remove_channel(&mut self, name: &str) -> Answer {
        let Some(known) = self.channels.remove(name) else {
            return Answer::NotFound(format!("there is no channel {name}"));
        };
        known.switch.stop();
        for command in self.outputs.remove_channel(name, &self.registry) {
            self.tell(HOME, command);
        }
        self.scenes.remove(name);
        self.registry.remove_channel(name);
        self.troubles.forget(name);
        self.tell_channel("channel_stopped", &known, "ended");
        Answer::Done
    }

    fn tell_channel(&mut self, name: &'static str, known: &Known, what: &str) {
        let operated = Operated {
            name,
            text: format!("channel {} {what}", known.name),
            channel: Some(known.name.clone()),
            stream: Some(known.stream.to_string()),
            actor: self.reloads.actor.clone(),
            ..Operated::default()
        };
        self.publish(NodeEvent::Operated(Box::new(operated)));
    }
}
