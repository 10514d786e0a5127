//! Streams with a fallback as control knows them: each has a thread while the node runs, and a
//! channel for its gaps that is built anew when its source is another.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::format;
use super::link::{FallbackReport, Link, Report};
use crate::audio::MixerControl;
use crate::command::{ChannelSource, SubscriptionEvent};
use crate::config::{ChannelConfig, Fallback, SourceFormat, StreamConfig};
use crate::control::channels::build::{self, Built, Frames};
use crate::control::channels::context::ChannelContext;
use crate::control::channels::error::ChannelError;
use crate::control::channels::renditions::KnownStats;
use crate::control::channels::scenes::SceneEnds;
use crate::control::threads::{Thread, ThreadPlace, ThreadRole};
use crate::event::{FallbackEvent, FallbackNews, NodeEvent};
use crate::ffi::set_log_subject;
use crate::media::{FailoverState, Micros, VideoCodec};
use crate::pipeline::{
    ChannelStage, FailoverStage, STANDBY_QUEUE, SUBSCRIPTION_QUEUE, Standby, failover,
};
use crate::ring::{Bell, Sender, channel};
use crate::runtime::StopFlag;
use crate::stats::{CoreRole, FallbackEntry, Registry};
use crate::stream::{Break, Failover, FailoverNews, FailoverRules};

/// What all threads have told that may wait for control; a thread waits for room.
const NEWS_MAX: usize = 64;

/// How long a thread that has ended by itself, or a fallback that could not be built, waits until
/// it is tried again.
const RETRY_WAIT: Micros = Micros::from_secs(5);

/// Something that the controller is to do.
pub(crate) enum Action {
    /// Tell everybody.
    Tell(NodeEvent),
    /// Have this stream handed to a thread.
    Subscribe(Arc<str>, Sender<SubscriptionEvent>),
    /// Give this to the shard of this number.
    Open(usize, Box<ChannelSource>),
    /// Compose this.
    Compose(Box<ChannelStage>),
}

/// All streams with a fallback of a node.
pub(crate) struct Fallbacks {
    context: ChannelContext,
    known: Vec<Known>,
    tell: mpsc::Sender<Report>,
    /// From their threads, and those that build fallbacks.
    pub(crate) news: mpsc::Receiver<Report>,
    /// Threads that have been started.
    runs: u64,
    grace: Micros,
}

struct Known {
    config: StreamConfig,
    shard: usize,
    run: Option<Run>,
    /// Not before this, after a failure.
    retry_at: Micros,
    /// What its source is like.
    source: Option<SourceFormat>,
    /// What its fallback is made like, or is being made like.
    made: Option<SourceFormat>,
    is_building: bool,
    /// Codecs that have no encoder here are replaced by H.264.
    is_h264_only: bool,
    standby: Option<Kept>,
    entry: FallbackEntry,
}

/// A thread that passes a stream on.
struct Run {
    number: u64,
    thread: Arc<Thread>,
    bell: Arc<Bell>,
    standbys: Sender<Standby>,
}

/// What a channel that fills gaps needs to be kept for.
struct Kept {
    _scenes: Option<SceneEnds>,
    _mixer: Option<MixerControl>,
}

impl Known {
    fn new(config: &StreamConfig, shard: usize) -> Self {
        let entry = FallbackEntry {
            stream: config.name.clone(),
            source: config.source.clone(),
            ..FallbackEntry::default()
        };
        Self {
            config: config.clone(),
            shard,
            run: None,
            retry_at: Micros(0),
            source: None,
            made: None,
            is_building: false,
            is_h264_only: false,
            standby: None,
            entry,
        }
    }

    fn event(&self, what: FallbackNews, reason: String) -> Action {
        let stream = self.config.name.clone();
        Action::Tell(NodeEvent::Fallback(Box::new(FallbackEvent { stream, what, reason })))
    }

    fn failed(&mut self, reason: String, now: Micros) -> Action {
        self.retry_at = now + RETRY_WAIT;
        self.entry.is_ready = false;
        self.entry.reason.clone_from(&reason);
        self.event(FallbackNews::Failed, reason)
    }

    /// What its fallback is to be made like, if it is composed.
    fn wanted(&self) -> Option<SourceFormat> {
        let source = self.source?;
        let codec = if self.is_h264_only { VideoCodec::H264 } else { source.codec };
        let is_composed = !matches!(self.config.fallback, Fallback::Stream(_));
        is_composed.then_some(SourceFormat { codec, ..source })
    }

    /// Something happened to it.
    fn changed(&mut self, news: FailoverNews) -> Option<Action> {
        let after = self.config.after.secs_f64();
        let (what, reason) = match news {
            FailoverNews::Broken(why) => {
                self.entry.breaks += 1;
                let why = match why {
                    Break::Lost => "its publisher's connection was lost; it is waited for".into(),
                    Break::Silent => format!(
                        "its publisher is connected and has sent nothing for {after:.1} s: look at \
                         its encoder and its uplink"
                    ),
                    Break::NoPictures => format!(
                        "its publisher sends audio, and has sent no picture for {after:.1} s: look \
                         at its camera and its encoder"
                    ),
                };
                (FallbackNews::Started, why)
            }
            FailoverNews::Back(gap) => {
                let (gap, good) = (gap.secs_f64(), self.config.back_after.secs_f64());
                let reason = format!(
                    "its source has been good for {good:.1} s; the gap was {gap:.1} s long"
                );
                (FallbackNews::Ended, reason)
            }
            FailoverNews::Over { .. } => return None,
        };
        Some(self.event(what, reason))
    }

    fn set_state(&mut self, state: FailoverState, now: Micros) {
        let is_shown = |state| matches!(state, FailoverState::Standby | FailoverState::Returning);
        match (is_shown(self.entry.state), is_shown(state)) {
            (true, true) => {}
            (true, false) => {
                let since = self.entry.since.replace(now).unwrap_or(now);
                self.entry.shown = self.entry.shown + now.since(since);
            }
            _ => self.entry.since = Some(now),
        }
        self.entry.state = state;
    }
}

impl Fallbacks {
    /// These, none of which runs yet, on shards that `place` chooses by the name of each. A source
    /// that is over is waited for `grace`.
    pub(crate) fn new(
        context: &ChannelContext,
        (configs, grace): (&[StreamConfig], Micros),
        place: impl Fn(&str) -> usize,
        registry: &Registry,
    ) -> Self {
        let (tell, news) = mpsc::channel(NEWS_MAX);
        let known = |config: &StreamConfig| Known::new(config, place(&config.name));
        let known: Vec<_> = configs.iter().map(known).collect();
        known.iter().for_each(|known| registry.put_fallback(&known.entry));
        Self { context: context.clone(), known, tell, news, runs: 0, grace }
    }

    /// Several times a second: starts what does not run, and builds fallbacks out of these
    /// channels.
    pub(crate) fn tick(&mut self, channels: &[ChannelConfig], registry: &Registry) -> Vec<Action> {
        let now = self.context.clock.now();
        let mut actions = Vec::new();
        for at in 0..self.known.len() {
            let known = &mut self.known[at];
            let before = known.entry.clone();
            if known.run.as_ref().is_some_and(|run| run.thread.is_over()) {
                (known.run, known.standby, known.made) = (None, None, None);
                known.set_state(FailoverState::Idle, now);
                actions.push(known.failed("its thread has failed; it begins anew".into(), now));
            }
            if now >= known.retry_at {
                match known.run {
                    None => actions.extend(self.start(at, now)),
                    Some(_) => actions.extend(self.build(at, channels, now)),
                }
            }
            let known = &self.known[at];
            if before != known.entry {
                registry.put_fallback(&known.entry);
            }
        }
        actions
    }

    /// Starts the thread of a stream, which waits for its source.
    fn start(&mut self, at: usize, now: Micros) -> Vec<Action> {
        self.runs += 1;
        let (number, known) = (self.runs, &mut self.known[at]);
        let bell = Bell::new();
        let stop = StopFlag::new(Arc::clone(&bell));
        let (subscription, messages) = channel(SUBSCRIPTION_QUEUE, Arc::clone(&bell));
        let (mut standbys, to_come) = channel(STANDBY_QUEUE, Arc::clone(&bell));
        let context = self.context.at_shard(known.shard);
        let link = Link {
            stream: Arc::from(known.config.name.as_str()),
            number,
            home: Arc::clone(&context.home),
            clock: context.clock,
            tell: self.tell.clone(),
        };
        let StreamConfig { after, back_after, .. } = known.config;
        let rules = FailoverRules { after, back_after, grace: self.grace };
        let stage = FailoverStage::new(Failover::new(rules, context.packets.clone()), link);
        let subject = format!("fallback {}", known.config.name);
        let role = ThreadRole { role: CoreRole::Decoder, of: subject.clone() };
        let (own, stopping, clock) = (Arc::clone(&bell), stop.clone(), context.clock);
        let run = move || {
            set_log_subject(&subject);
            failover(stage, messages, to_come, (&own, &stopping), clock);
        };
        let place = ThreadPlace::below("fallback", &context.encode_cpus);
        let mut actions = Vec::new();
        match context.threads.spawn(role, place, Some(stop), run) {
            Ok(thread) => {
                if let Fallback::Stream(stream) = &known.config.fallback {
                    let (other, messages) = channel(SUBSCRIPTION_QUEUE, Arc::clone(&bell));
                    drop(standbys.push(Standby::Stream(messages)));
                    actions.push(Action::Subscribe(Arc::from(stream.as_str()), other));
                    known.entry.is_ready = true;
                    known.entry.reason.clear();
                }
                known.run = Some(Run { number, thread, bell, standbys });
                let source = Arc::from(known.config.source.as_str());
                actions.push(Action::Subscribe(source, subscription));
            }
            Err(error) => {
                let reason = format!("no thread for it: {error}; raise `ulimit -u`");
                actions.push(known.failed(reason, now));
            }
        }
        actions
    }

    /// Builds the fallback of a stream, if its source is another than it was built for.
    fn build(&mut self, at: usize, channels: &[ChannelConfig], now: Micros) -> Option<Action> {
        let (tell, known) = (self.tell.clone(), &mut self.known[at]);
        let wanted = known.wanted().filter(|it| Some(*it) != known.made && !known.is_building)?;
        let run = known.run.as_ref()?;
        let Some(config) = known.config.standby(&wanted, channels) else {
            let reason = "the scene that it shows is no longer there: add it, or give the stream \
                          another `fallback`";
            return Some(known.failed(reason.to_owned(), now));
        };
        (known.made, known.is_building) = (Some(wanted), true);
        let (number, home) = (run.number, Arc::clone(&run.bell));
        let context = ChannelContext { home, ..self.context.clone() };
        let build = move || {
            let built = build::build(&context, &config, Frames::Composed, &KnownStats::default());
            let outcome = built.and_then(|built| {
                built.switch().pause(true);
                built.wait_open().map(Box::new)
            });
            // The controller is gone only when the node stops; what was built ends with it.
            drop(tell.blocking_send((number, FallbackReport::Built(outcome))));
        };
        let role = ThreadRole { role: CoreRole::Loader, of: String::new() };
        let place = ThreadPlace::below("fallback-load", &self.context.encode_cpus);
        let started = self.context.threads.spawn(role, place, None, build);
        let error = started.err()?;
        (known.made, known.is_building) = (None, false);
        Some(known.failed(ChannelError::Thread(error).to_string(), now))
    }

    /// What a thread says. `compose` is the bell of the compose core.
    pub(crate) fn handle(
        &mut self,
        (number, report): Report,
        compose: &Arc<Bell>,
        registry: &Registry,
    ) -> Vec<Action> {
        let now = self.context.clock.now();
        let is_of = |known: &&mut Known| known.run.as_ref().is_some_and(|run| run.number == number);
        let Some(known) = self.known.iter_mut().find(is_of) else { return Vec::new() };
        let mut actions = Vec::new();
        match report {
            FallbackReport::Open(source) => actions.push(Action::Open(known.shard, source)),
            FallbackReport::Source(headers, rate) => {
                known.source = format::of_source(&headers, rate);
                if known.source.is_none() {
                    let reason = "its source has no pictures, which a fallback is made like";
                    actions.push(known.failed(reason.to_owned(), now));
                } else if known.made.is_none() {
                    known.retry_at = now;
                }
            }
            FallbackReport::Change(news) => actions.extend(known.changed(news)),
            FallbackReport::State(state) => known.set_state(state, now),
            FallbackReport::StandbyLost => {
                (known.standby, known.made) = (None, None);
                let reason = "its encoders have ended; they are started again";
                actions.push(known.failed(reason.to_owned(), now));
            }
            FallbackReport::Built(Ok(built)) => {
                known.is_building = false;
                known.put(*built, compose, now, &mut actions);
            }
            FallbackReport::Built(Err(error)) => {
                let other = known.made.is_some_and(|made| made.codec != VideoCodec::H264);
                known.is_h264_only |= other && matches!(error, ChannelError::Encoder(..));
                (known.made, known.is_building) = (None, false);
                actions.push(known.failed(error.to_string(), now));
            }
        }
        registry.put_fallback(&known.entry);
        actions
    }
}

impl Known {
    /// Its fallback is this one from now on.
    fn put(&mut self, built: Built, compose: &Arc<Bell>, now: Micros, actions: &mut Vec<Action>) {
        let Built { stage, mut feeds, subscriptions, scenes, mixer, faults, .. } = built;
        let Some(run) = &mut self.run else { return };
        let Some(feed) = feeds.pop() else { return };
        if run.standbys.push(Standby::Channel(feed, Arc::clone(compose))).is_err() {
            self.made = None;
            return;
        }
        actions.push(Action::Compose(Box::new(stage)));
        let subscribe = |(stream, ring)| Action::Subscribe(stream, ring);
        actions.extend(subscriptions.into_iter().map(subscribe));
        self.standby = Some(Kept { _scenes: scenes, _mixer: mixer });
        (self.entry.is_ready, self.entry.reason) = (true, String::new());
        if !faults.is_empty() {
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            let reason = format!("not all of it can be shown: {}", faults.join("; "));
            // It is looked at again, in case the file has come.
            self.made = None;
            let action = self.failed(reason, now);
            actions.push(action);
            self.entry.is_ready = true;
        }
    }
}
