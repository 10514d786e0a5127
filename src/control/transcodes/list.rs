//! Transcodes as control knows them: each is started when it is wanted, and ended some time after
//! it was wanted last.

use std::io;
use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use tokio::sync::mpsc;

use super::ladder::{LadderEvent, LadderMaker, Report, subject};
use super::rule::{DemandRule, RUNNING_MAX};
use crate::command::{Answer, ChannelSource, ChannelSwitch, SubscriptionEvent, TranscodedStreams};
use crate::config::{TRANSCODES_MAX, TranscodeConfig};
use crate::control::channels::context::ChannelContext;
use crate::control::placement::Placement;
use crate::control::threads::{Thread, ThreadPlace, ThreadRole};
use crate::event::{NodeEvent, TranscodeEvent, TranscodeNews};
use crate::ffi::set_log_subject;
use crate::media::{LatestTime, Micros};
use crate::pipeline::{SUBSCRIPTION_QUEUE, Transcode, transcode};
use crate::ring::{Bell, Sender, channel};
use crate::runtime::StopFlag;
use crate::stats::{CoreRole, Registry, TranscodeEntry, TranscodeState};

/// What all threads have told that may wait for control; a thread waits for room.
const NEWS_MAX: usize = 64;

/// Something that the controller is to do for a transcode.
pub(crate) enum Action {
    /// Tell everybody.
    Tell(NodeEvent),
    /// Let every shard know which streams are transcoded from others.
    Transcoded(Arc<[TranscodedStreams]>),
    /// Have this stream handed to a decoder.
    Subscribe(Arc<str>, Sender<SubscriptionEvent>),
    /// Give these to the shard of this number.
    Open(usize, Vec<ChannelSource>),
}

/// All transcodes of a node.
pub(crate) struct Transcodes {
    context: ChannelContext,
    known: Vec<Known>,
    tell: mpsc::Sender<Report>,
    /// From their threads.
    pub(crate) news: mpsc::Receiver<Report>,
    /// How many have been started.
    runs: u64,
    /// Whether shards know which streams there are.
    is_told: bool,
}

struct Known {
    config: TranscodeConfig,
    demand: Arc<LatestTime>,
    rule: DemandRule,
    run: Option<Run>,
    /// The thread of the run before it, until that is over.
    ending: Option<Arc<Thread>>,
    /// The shard that has its streams, once it has been chosen.
    shard: Option<usize>,
    entry: TranscodeEntry,
    /// Whether it was told that too many run.
    is_limit_told: bool,
}

/// A transcode whose thread runs.
struct Run {
    number: u64,
    thread: Arc<Thread>,
    /// From its encoders.
    events: Arc<ArrayQueue<NodeEvent>>,
    /// What stops each of its streams, while they are made.
    switches: Vec<(Arc<ChannelSwitch>, Arc<str>)>,
}

impl Known {
    fn new(config: &TranscodeConfig) -> Self {
        let streams = config.renditions.iter().map(|it| it.stream().to_owned()).collect();
        let entry = TranscodeEntry {
            name: config.name.clone(),
            source: config.stream.clone(),
            streams,
            ..TranscodeEntry::default()
        };
        Self {
            config: config.clone(),
            demand: Arc::default(),
            rule: DemandRule::default(),
            run: None,
            ending: None,
            shard: None,
            entry,
            is_limit_told: false,
        }
    }

    fn streams(&self) -> TranscodedStreams {
        let name = |stream: &str| Arc::from(stream);
        TranscodedStreams {
            source: name(&self.config.stream),
            streams: self.config.renditions.iter().map(|it| name(it.stream())).collect(),
            twin: self.config.twin().map(|twin| name(twin.stream())),
            demand: Arc::clone(&self.demand),
        }
    }

    fn event(&self, what: TranscodeNews, reason: String) -> Action {
        let (name, stream) = (self.config.name.clone(), self.config.stream.clone());
        Action::Tell(NodeEvent::Transcode(Box::new(TranscodeEvent { name, stream, what, reason })))
    }

    fn failed(&mut self, reason: String) -> Action {
        self.entry.failures += 1;
        self.entry.reason.clone_from(&reason);
        if self.entry.state != TranscodeState::Live {
            self.entry.state = TranscodeState::Failed;
        }
        self.event(TranscodeNews::Failed, reason)
    }

    /// Its encoders have been ended.
    fn ended(&mut self, why: &str, placement: &mut Placement, now: Micros) -> Option<Action> {
        let was_live = self.entry.since.take().is_some();
        self.entry.renditions.clear();
        self.entry.state = TranscodeState::Waiting;
        placement.remove_channel(&subject(&self.config.name), now);
        was_live.then(|| self.event(TranscodeNews::Ended, why.to_owned()))
    }

    /// Lets its thread end.
    fn stop(&mut self, why: &str, placement: &mut Placement, now: Micros) -> Option<Action> {
        let run = self.run.take()?;
        run.thread.stop();
        self.ending = Some(run.thread);
        let action = self.ended(why, placement, now);
        self.rest();
        action
    }

    /// It does not run.
    fn rest(&mut self) {
        let is_off = !self.config.enabled;
        self.entry.state = if is_off { TranscodeState::Stopped } else { TranscodeState::Idle };
    }
}

impl Transcodes {
    /// These, none of which runs yet.
    pub(crate) fn new(
        context: &ChannelContext,
        configs: &[TranscodeConfig],
        registry: &Registry,
    ) -> Self {
        let (tell, news) = mpsc::channel(NEWS_MAX);
        let known: Vec<_> = configs.iter().map(Known::new).collect();
        known.iter().for_each(|known| registry.put_transcode(&known.entry));
        Self { context: context.clone(), known, tell, news, runs: 0, is_told: configs.is_empty() }
    }

    /// Several times a second: starts what is wanted, and ends what is not.
    pub(crate) fn tick(&mut self, placement: &mut Placement, registry: &Registry) -> Vec<Action> {
        let now = self.context.clock.now();
        let mut actions = Vec::new();
        if !std::mem::replace(&mut self.is_told, true) {
            // One that is off makes nothing: players get what there is.
            let on = self.known.iter().filter(|known| known.config.enabled);
            actions.push(Action::Transcoded(on.map(Known::streams).collect()));
        }
        let mut running = self.known.iter().filter(|known| known.run.is_some()).count();
        for at in 0..self.known.len() {
            let known = &mut self.known[at];
            let before = (known.entry.state, known.entry.failures);
            actions.extend(known.hear_encoders());
            if known.run.as_ref().is_some_and(|run| run.thread.is_over()) {
                running -= 1;
                known.run = None;
                known.rule.lost(now);
                actions.extend(known.ended("its thread has failed", placement, now));
                actions.push(known.failed("its thread has failed; it begins anew".to_owned()));
            }
            known.ending.take_if(|thread| thread.is_over());
            let is_due = known.rule.is_due(&known.config, known.demand.get(), now);
            match (is_due, known.run.is_some()) {
                (true, false) if known.ending.is_some() => {}
                (true, false) if running >= RUNNING_MAX => actions.extend(known.refuse()),
                (true, false) => {
                    running += 1;
                    actions.push(self.start(at, placement, now));
                }
                (false, true) => {
                    running -= 1;
                    actions.extend(known.stop("nobody reads its renditions", placement, now));
                }
                (false, false) if known.entry.state != TranscodeState::Failed => known.rest(),
                _ => {}
            }
            let known = &self.known[at];
            if before != (known.entry.state, known.entry.failures) {
                registry.put_transcode(&known.entry);
            }
        }
        actions
    }

    /// Starts the thread of a transcode, which waits for its source.
    fn start(&mut self, at: usize, placement: &Placement, now: Micros) -> Action {
        self.runs += 1;
        let number = self.runs;
        let known = &mut self.known[at];
        let subject = subject(&known.config.name);
        let choose = || placement.choose_for_channel(&subject, &known.config.stream, now);
        let shard = *known.shard.get_or_insert_with(choose);
        let context = self.context.at_shard(shard);
        let (maker, events) =
            LadderMaker::new(&context, &known.config, (number, self.tell.clone()));
        let bell = Bell::new();
        let stop = StopFlag::new(Arc::clone(&bell));
        let (subscription, messages) = channel(SUBSCRIPTION_QUEUE, Arc::clone(&bell));
        let (stopping, clock) = (stop.clone(), context.clock);
        let role = ThreadRole { role: CoreRole::Decoder, of: subject.clone() };
        let run = move || {
            set_log_subject(&subject);
            let stage = Transcode::new(maker.decoder(), maker);
            transcode(stage, messages, &bell, &stopping, clock);
        };
        let place = ThreadPlace::below("transcode", &context.encode_cpus);
        let started = context.threads.spawn(role, place, Some(stop), run);
        let subscribe = Action::Subscribe(Arc::from(known.config.stream.as_str()), subscription);
        known.started(started, (number, events), now).unwrap_or(subscribe)
    }

    /// What a thread says.
    pub(crate) fn handle(
        &mut self,
        (number, news): Report,
        placement: &mut Placement,
        registry: &Registry,
    ) -> Vec<Action> {
        let now = self.context.clock.now();
        let is_of = |known: &&mut Known| known.run.as_ref().is_some_and(|run| run.number == number);
        // What has been told to end has been told of already.
        let Some(known) = self.known.iter_mut().find(is_of) else { return Vec::new() };
        let mut actions = Vec::new();
        match news {
            LadderEvent::Began { size, fps, entries, feeds } => {
                let shard = known.shard.unwrap_or_default();
                let streams: Vec<_> =
                    entries.iter().map(|it| (it.name.clone(), Arc::from(&*it.stream))).collect();
                placement.put_channel(&subject(&known.config.name), &streams, shard, now);
                if let Some(run) = &mut known.run {
                    let switch =
                        |it: &ChannelSource| (Arc::clone(&it.switch), Arc::clone(&it.stream));
                    run.switches = feeds.iter().map(switch).collect();
                }
                let of =
                    |(name, width, height): (&str, u32, u32)| format!("{name} ({width}x{height})");
                let all = entries.iter().map(|it| of((&it.name, it.facts.width, it.facts.height)));
                let all = all.collect::<Vec<_>>().join(", ");
                let text = format!("{size} at {fps} frames a second becomes {all}");
                let entry = &mut known.entry;
                (entry.size, entry.fps) = ((size.width(), size.height()), fps);
                (entry.state, entry.since) = (TranscodeState::Live, Some(now));
                (entry.renditions, entry.starts) = (entries, entry.starts + 1);
                entry.reason.clear();
                actions.push(Action::Open(shard, feeds));
                actions.push(known.event(TranscodeNews::Started, text));
            }
            LadderEvent::Ended(why) => actions.extend(known.ended(&why, placement, now)),
            LadderEvent::Failed(why) => actions.push(known.failed(why)),
        }
        registry.put_transcode(&known.entry);
        actions
    }

    /// What the encoder of one of their streams is told by, while there is one.
    pub(crate) fn switch_of(&self, stream: &str) -> Option<&ChannelSwitch> {
        let runs = self.known.iter().filter_map(|known| known.run.as_ref());
        let mut switches = runs.flat_map(|run| &run.switches);
        switches.find(|(_, own)| **own == *stream).map(|(switch, _)| &**switch)
    }

    /// A shard has opened the stream of a rendition, or somebody else feeds it. Whether it is one
    /// of these.
    pub(crate) fn opened(&mut self, switch: &Arc<ChannelSwitch>, is_open: bool) -> Option<Action> {
        if is_open {
            return None;
        }
        let streams = |known: &Known| {
            let run = known.run.as_ref();
            let all = run.map(|run| run.switches.as_slice()).unwrap_or_default().iter();
            all.filter(|(own, _)| Arc::ptr_eq(own, switch)).map(|it| it.1.to_string()).collect()
        };
        self.known.iter_mut().find_map(|known| {
            let streams: Vec<String> = streams(known);
            let streams = (!streams.is_empty()).then(|| streams.join(" or "))?;
            Some(known.failed(format!(
                "somebody else feeds the stream {streams}; end that, or give the rendition another \
                 `stream`"
            )))
        })
    }

    /// One more transcode.
    pub(crate) fn add(&mut self, config: &TranscodeConfig, registry: &Registry) -> Answer {
        if self.known.iter().any(|known| known.config.name == config.name) {
            return Answer::Conflict(format!("there is a transcode {} already", config.name));
        }
        if self.known.len() >= TRANSCODES_MAX {
            return Answer::Conflict(format!("the node has {TRANSCODES_MAX} transcodes"));
        }
        let known = Known::new(config);
        registry.put_transcode(&known.entry);
        self.known.push(known);
        self.is_told = false;
        Answer::Done
    }

    /// Ends a transcode and forgets it.
    pub(crate) fn remove(
        &mut self,
        name: &str,
        placement: &mut Placement,
        registry: &Registry,
    ) -> (Answer, Option<Action>) {
        let Some(at) = self.known.iter().position(|known| known.config.name == name) else {
            return (Answer::NotFound(format!("there is no transcode {name}")), None);
        };
        let action = self.known[at].stop("it was removed", placement, self.context.clock.now());
        self.known.remove(at);
        registry.remove_transcode(name);
        self.is_told = false;
        (Answer::Done, action)
    }

    /// Turns a transcode on or off.
    pub(crate) fn switch(&mut self, name: &str, on: bool) -> Answer {
        match self.known.iter_mut().find(|known| known.config.name == name) {
            Some(known) => {
                known.config.enabled = on;
                self.is_told = false;
                Answer::Done
            }
            None => Answer::NotFound(format!("there is no transcode {name}")),
        }
    }
}

impl Known {
    /// Its thread has been started, or could not be: that is told.
    fn started(
        &mut self,
        thread: io::Result<Arc<Thread>>,
        (number, events): (u64, Arc<ArrayQueue<NodeEvent>>),
        now: Micros,
    ) -> Option<Action> {
        match thread {
            Ok(thread) => {
                self.run = Some(Run { number, thread, events, switches: Vec::new() });
                self.entry.state = TranscodeState::Waiting;
                self.is_limit_told = false;
                None
            }
            Err(error) => {
                self.rule.lost(now);
                Some(self.failed(format!("no thread for it: {error}; raise `ulimit -u`")))
            }
        }
    }

    /// It is not started: too many run. Told once.
    fn refuse(&mut self) -> Option<Action> {
        let is_first = !std::mem::replace(&mut self.is_limit_told, true);
        is_first.then(|| {
            self.failed(format!("{RUNNING_MAX} transcodes run, which is the most; it waits"))
        })
    }

    /// What its encoders say, which are no channel's.
    fn hear_encoders(&mut self) -> Vec<Action> {
        let Some(run) = &self.run else { return Vec::new() };
        let heard: Vec<_> = std::iter::from_fn(|| run.events.pop()).collect();
        let told = heard.into_iter().filter_map(|event| match event {
            NodeEvent::EncoderFailed { reason, .. } => Some(format!("an encoder: {reason}")),
            NodeEvent::EncoderChanged { from, to, reason, .. } => {
                Some(format!("{to} encodes instead of {from}: {reason}"))
            }
            _ => None,
        });
        told.map(|reason| self.failed(reason)).collect()
    }
}
