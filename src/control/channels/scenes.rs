//! The scenes of all channels as control knows them, and the way of a new one to the air: it is
//! read and loaded on a thread of its own, crosses to the composer over a ring, and counts as
//! changed once its first frame has gone out.

mod asset_faults;
mod asset_files;
mod channel_scenes;
mod edits;
mod job;
mod library;
mod load;
mod look;
mod request;
mod screenshots;
mod transaction;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use self::asset_faults::AssetFaults;
use self::asset_files::{AssetFiles, FileStamps};
use self::job::{Job, Plan};
use self::library::{OnAir, stack};
use self::load::{Bound, Changes, Loaded, Order};
use self::request::{SceneRequest, Waiting};
use self::transaction::too_far;
use crate::command::{Answer, Ask};
use crate::config::{Becomes, ChannelConfig, NamedScene};
use crate::control::channels::context::ChannelContext;
use crate::control::channels::data_poller::DataPoller;
use crate::control::channels::natives::NativeEnd;
use crate::control::channels::scene_loader::SceneLoader;
use crate::control::channels::sources::{DecoderContext, Subscription};
use crate::control::event_queue::EventQueue;
use crate::control::handle::{Reply, say};
use crate::control::threads::{ThreadPlace, ThreadRole};
use crate::media::{Micros, Size};
use crate::pipeline::{SceneChange, SceneReport, StartAt};
use crate::ring::{Receiver, Sender};
use crate::runtime::Clock;
use crate::scene::{self, Scene, Transition};
use crate::stats::{AssetCacheFigures, ChannelStats, CoreRole};

/// Wishes that may wait for an earlier one of the same channel. Further ones are turned away.
const REQUESTS_MAX: usize = 128;

/// How long whoever has a wish waits for it. It may still come true later, if nobody has another.
const REQUEST_LIMIT: Micros = Micros::from_secs(12);

/// News that loading threads may have for the controller; each channel has one thread, and those
/// that still wait for a file of an earlier request.
const NEWS_MAX: usize = 64;

/// Control's ends of the rings to and from a composer.
#[derive(Debug)]
pub(crate) struct SceneEnds {
    pub(crate) changes: Sender<SceneChange>,
    pub(crate) reports: Receiver<SceneReport>,
    /// What draws the same scenes at other sizes.
    pub(crate) natives: Vec<NativeEnd>,
    /// The channel's figures, among them what the layers on the air cost.
    pub(crate) stats: Arc<ChannelStats>,
}

/// All channels' scenes.
#[derive(Debug)]
pub(crate) struct Scenes {
    clock: Clock,
    /// Where threads run, and what decoders of all channels have in common.
    decoders: DecoderContext,
    /// To whoever hears of assets that cannot be shown.
    events: EventQueue,
    channels: Vec<ChannelScenes>,
    loader: Arc<SceneLoader>,
    /// Fetches what texts are bound to.
    poller: DataPoller,
    /// What was pushed, or is to be forgotten, for who keeps it.
    pushed: Vec<(String, Option<Value>)>,
    /// Number of the next channel.
    next: u64,
    news: mpsc::Sender<LoadReport>,
    /// One reference for each screenshot that is being made, and one here.
    screenshots: Arc<()>,
}

/// What a loading thread says.
#[derive(Debug)]
pub(crate) struct LoadReport {
    /// Number of the channel.
    id: u64,
    ticket: u64,
    loaded: Loaded,
}

/// The scenes of one channel.
#[derive(Debug)]
struct ChannelScenes {
    /// Its number, which no other channel has or will have.
    id: u64,
    name: String,
    size: Size,
    list: Vec<Entry>,
    active: usize,
    /// In the form of a scene.
    overlays: Entry,
    /// How another scene comes on the air, where nobody says otherwise.
    transition: Transition,
    /// `None` if the channel shows the frames of another program.
    ends: Option<SceneEnds>,
    /// The wish that is being fulfilled. One at a time, so that each finds things as it left them.
    job: Option<Job>,
    waiting: VecDeque<Waiting>,
    last_ticket: u64,
    /// What of the scene on the air cannot be shown.
    asset_faults: AssetFaults,
    /// Those of it, and whether they have changed.
    files: AssetFiles,
    /// What its texts are bound to.
    bound: Bound,
    /// That has changed: the scene is to be loaded anew.
    is_rebound: bool,
    /// What was changed, for who keeps it.
    changes: Vec<Becomes>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    version: u64,
    scene: Scene,
}

impl Scenes {
    /// No channels yet. Loading threads report over the receiver, which the controller reads.
    pub(crate) fn new(context: &ChannelContext) -> (Self, mpsc::Receiver<LoadReport>) {
        let (news, told) = mpsc::channel(NEWS_MAX);
        let scenes = Self {
            clock: context.clock,
            decoders: context.decoders(""),
            events: Arc::clone(&context.events),
            channels: Vec::new(),
            loader: Arc::clone(&context.loader),
            poller: DataPoller::new(Arc::clone(&context.loader)),
            pushed: Vec::new(),
            next: 0,
            news,
            screenshots: Arc::default(),
        };
        (scenes, told)
    }

    /// Takes a channel, in the place of that of its name if there is one, and what of the scene
    /// that it begins with cannot be shown.
    pub(crate) fn put(
        &mut self,
        config: &ChannelConfig,
        ends: Option<SceneEnds>,
        faults: &[scene::Error],
    ) {
        let entry = |named: &NamedScene| Entry {
            name: named.name.clone(),
            version: 1,
            scene: named.scene.clone(),
        };
        let mut programme = ChannelScenes {
            id: self.next,
            name: config.name.clone(),
            size: config.size,
            list: config.scenes.iter().map(entry).collect(),
            active: config.active,
            transition: config.transition.clone(),
            overlays: Entry {
                name: String::new(),
                version: 1,
                scene: stack(config.overlays.clone()),
            },
            ends,
            job: None,
            waiting: VecDeque::new(),
            last_ticket: 0,
            asset_faults: AssetFaults::default(),
            files: AssetFiles::default(),
            bound: Bound::of(config, &self.loader.data),
            is_rebound: false,
            changes: Vec::new(),
        };
        self.next += 1;
        let now = self.clock.now();
        programme.settle((faults, false), now, &self.events);
        let library = programme.ends.is_some().then(|| programme.library());
        if let Some(Ok(OnAir { scene, .. })) = library.map(|it| it.on_air()) {
            programme.files.settle(FileStamps::unread(scene.files()), now);
        }
        self.remove(&config.name);
        self.channels.push(programme);
    }

    /// The channel of this name is gone. Who has a wish for it is told.
    pub(crate) fn remove(&mut self, name: &str) {
        let Some(at) = self.channels.iter().position(|it| it.name == name) else { return };
        let mut gone = self.channels.remove(at);
        gone.fail(&stopped(name));
        for mut request in gone.waiting {
            request.answer(stopped(name));
        }
    }

    /// Whether a composer has said something.
    pub(crate) fn have_mail(&self) -> bool {
        let mut ends = self.channels.iter().filter_map(|it| it.ends.as_ref());
        ends.any(|it| {
            !it.reports.is_empty() || it.natives.iter().any(|native| !native.retired.is_empty())
        })
    }

    /// What was changed since the last call and is to be kept.
    pub(crate) fn take_changes(&mut self) -> Vec<Becomes> {
        self.channels.iter_mut().flat_map(|it| std::mem::take(&mut it.changes)).collect()
    }

    /// The documents that were pushed, or are to be forgotten, since the last call.
    pub(crate) fn take_pushed(&mut self) -> Vec<(String, Option<Value>)> {
        std::mem::take(&mut self.pushed)
    }

    /// Answers a question or a wish about scenes, now or later; what it changes is to be kept if
    /// `keep`. Gives back what is no such thing.
    pub(crate) fn ask(&mut self, ask: Ask, reply: Reply, keep: bool) -> Option<(Ask, Reply)> {
        let (ask, reply) = self.ask_about_data(ask, reply)?;
        if let Ask::ControlPlayback { channel, layer, command } = ask {
            say(reply, self.decoders.players.command(&channel, &layer, command));
            return None;
        }
        let (Ask::Scenes { channel }
        | Ask::Scene { channel, .. }
        | Ask::Screenshot { channel, .. }
        | Ask::RemoveScene { channel, .. }
        | Ask::PutScene { channel, .. }
        | Ask::Overlays { channel }
        | Ask::PutOverlays { channel, .. }
        | Ask::Playback { channel }
        | Ask::PatchLayer { channel, .. }
        | Ask::PutTransition { channel, .. }
        | Ask::Transaction { channel, .. }
        | Ask::Activate { channel, .. }) = &ask
        else {
            return Some((ask, reply));
        };
        let Some(at) = self.channels.iter().position(|it| it.name == *channel) else {
            let text = format!("there is no channel {channel}");
            say(reply, Answer::NotFound(text));
            return None;
        };
        let programme = &mut self.channels[at];
        let wish = match ask {
            Ask::Scenes { .. } => {
                say(reply, programme.view());
                return None;
            }
            Ask::Scene { scene, .. } => {
                say(reply, programme.scene_view(&scene));
                return None;
            }
            Ask::Screenshot { scene, width, .. } => {
                self.screenshot(at, &scene, width, reply);
                return None;
            }
            Ask::Overlays { .. } => {
                say(reply, programme.overlays_view());
                return None;
            }
            Ask::Playback { channel } => {
                say(reply, Answer::Playback(self.decoders.players.views(&channel)));
                return None;
            }
            Ask::PutTransition { document, .. } => {
                say(reply, programme.put_transition(&document, keep));
                return None;
            }
            ask => match SceneRequest::of(ask) {
                Ok(wish) => wish,
                Err(other) => return Some((*other, reply)),
            },
        };
        if programme.waiting.len() == REQUESTS_MAX {
            let text = format!("channel {} has other changes to make; try again", programme.name);
            say(reply, Answer::Unavailable(text));
            return None;
        }
        let deadline = self.clock.now() + REQUEST_LIMIT;
        let (reply, is_alone) = (Some(reply), false);
        programme.waiting.push_back(Waiting { wish, reply, deadline, keep, is_alone });
        self.go_on(at);
        None
    }

    /// Reads what the composers say. Retired scenes are dropped here, where it may take its time.
    pub(crate) fn read_mail(&mut self) {
        for at in 0..self.channels.len() {
            let programme = &mut self.channels[at];
            let Some(ends) = &mut programme.ends else { continue };
            ends.natives.iter_mut().for_each(NativeEnd::drop_retired);
            let mut told = None;
            while let Some(report) = ends.reports.pop() {
                match report {
                    SceneReport::Shown { ticket, tick } => told = Some((ticket, tick, true)),
                    SceneReport::TooFar { ticket, tick, .. } => told = Some((ticket, tick, false)),
                    SceneReport::Retired(retired) => drop(retired),
                }
            }
            let Some((ticket, tick, is_shown)) = told else { continue };
            if programme.job.as_ref().is_none_or(|job| job.ticket != ticket) {
                continue;
            }
            if is_shown {
                let now = self.clock.now();
                let faults = programme.commit(Some(tick), now);
                programme.settle((&faults, false), now, &self.events);
            } else {
                programme.fail(&too_far(tick));
            }
            self.go_on(at);
        }
    }

    /// What a loading thread says; subscriptions that the shard is to be given.
    pub(crate) fn handle(
        &mut self,
        LoadReport { id, ticket, loaded }: LoadReport,
    ) -> Vec<Subscription> {
        // Or its channel is gone.
        let Some(at) = self.channels.iter().position(|it| it.id == id) else { return Vec::new() };
        let (programme, now) = (&mut self.channels[at], self.clock.now());
        let loaded = match loaded {
            Loaded::Probed(faults) => {
                programme.asset_faults.probed(ticket, &faults, now);
                self.go_on(at);
                return Vec::new();
            }
            Loaded::Files(found) => {
                if programme.files.looked(ticket, found, now) {
                    programme.asset_faults.changed();
                }
                self.compare_data(at);
                return Vec::new();
            }
            loaded => loaded,
        };
        if programme.job.as_ref().is_none_or(|job| job.ticket != ticket) {
            return Vec::new();
        }
        match loaded {
            Loaded::Subscriptions(subscriptions) => return subscriptions,
            Loaded::Probed(_) | Loaded::Files(_) => {}
            Loaded::Kept(faults) => {
                programme.job = None;
                programme.settle((&faults, true), now, &self.events);
            }
            Loaded::Wrong(faults) => programme.fail_one(&Answer::Invalid(faults)),
            Loaded::Failed(text) => programme.fail_one(&Answer::Unavailable(text)),
            Loaded::Checked(made) => {
                if let Some(job) = &mut programme.job {
                    job.made = made;
                }
                programme.commit(None, now);
            }
            Loaded::Ready(made, changes, faults) => {
                let Changes { change, natives, layers, files, bound } = *changes;
                let at = programme.job.as_ref().map_or(StartAt::Now, |job| job.at);
                let change = SceneChange { ticket, change, natives, at };
                let ends = programme.ends.as_mut();
                let sent = ends.is_some_and(|ends| ends.changes.push(change).is_ok());
                match &mut programme.job {
                    Some(job) if sent => {
                        (job.made, job.faults, job.sent) = (made, faults, true);
                        (job.layers, job.files, job.bound) = (layers, files, Some(bound));
                    }
                    _ => programme.fail(&stopped(&programme.name)),
                }
            }
        }
        if programme.job.is_none() {
            self.go_on(at);
        }
        Vec::new()
    }

    /// Keeps at most so many bytes of loaded pictures for scenes to come; what is kept.
    pub(crate) fn keep_assets(&self, bytes_max: usize) -> AssetCacheFigures {
        self.loader.assets.set_bytes_max(bytes_max);
        self.loader.assets.figures()
    }

    /// Answers those who have waited too long, and ends what a channel that has stopped will not
    /// do.
    pub(crate) fn tick(&mut self) {
        let now = self.clock.now();
        for at in 0..self.channels.len() {
            let programme = &mut self.channels[at];
            let late = |programme: &str| {
                Answer::Unavailable(format!("channel {programme} takes long; look again later"))
            };
            if let Some(job) = programme.job.as_mut().filter(|job| now >= job.deadline) {
                job.requests.iter_mut().for_each(|it| it.answer(late(&programme.name)));
                // A file that never comes keeps no later wish waiting.
                if !job.sent && !programme.waiting.is_empty() {
                    programme.job = None;
                    self.go_on(at);
                }
            }
            let programme = &mut self.channels[at];
            // They wait in the order of their deadlines.
            let overdue = programme.waiting.iter().take_while(|it| now >= it.deadline);
            let overdue = overdue.count();
            for mut request in programme.waiting.drain(..overdue) {
                request.answer(late(&programme.name));
            }
            let gone = programme.ends.as_ref().is_some_and(|ends| ends.changes.is_closed());
            if gone && programme.job.as_ref().is_some_and(|job| job.sent) {
                programme.fail(&stopped(&programme.name));
                self.go_on(at);
            }
            self.probe(at, now);
            self.look_at_files(at, now);
        }
    }

    /// Begins with the next requests that need more than an answer; if there are none, shows again
    /// what has become well.
    fn go_on(&mut self, at: usize) {
        while self.channels[at].job.is_none() {
            let programme = &mut self.channels[at];
            let next = programme.next_job();
            let Some((plan, requests)) = next.or_else(|| Some((programme.reload()?, Vec::new())))
            else {
                return;
            };
            self.begin(at, plan, requests);
        }
    }

    /// Loads a scene for a job that begins now.
    fn begin(
        &mut self,
        at: usize,
        Plan { what, how, at: start, activates }: Plan,
        requests: Vec<Waiting>,
    ) {
        let latest = self.clock.now() + REQUEST_LIMIT;
        let deadline = requests.first().map_or(latest, |request| request.deadline);
        let programme = &mut self.channels[at];
        programme.last_ticket += 1;
        let ticket = programme.last_ticket;
        let ends = programme.ends.as_ref();
        let order = Order {
            decoders: DecoderContext { channel: programme.name.clone(), ..self.decoders.clone() },
            what,
            how,
            loader: Arc::clone(&self.loader),
            costs: ends.map(|ends| ends.stats.layer_costs()).unwrap_or_default(),
        };
        programme.job = Some(Job {
            ticket,
            requests,
            made: Vec::new(),
            faults: Vec::new(),
            layers: Vec::new(),
            files: FileStamps::default(),
            at: start,
            activates,
            bound: None,
            sent: false,
            deadline,
        });
        let (id, news) = (programme.id, self.news.clone());
        let load = move || {
            // The controller is gone only when the node stops.
            load::load(order, |loaded| drop(news.blocking_send(LoadReport { id, ticket, loaded })));
        };
        if let Err(error) = self.spawn(at, "scene", load) {
            let answer = Answer::Unavailable(format!("no thread to load it: {error}"));
            self.channels[at].fail(&answer);
        }
    }

    /// Has a thread of this name work for the channel at place `at`, below normal priority: it may
    /// wait for files.
    ///
    /// # Errors
    /// If the system has no thread for us.
    fn spawn(&self, at: usize, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let role = ThreadRole { role: CoreRole::Loader, of: self.channels[at].name.clone() };
        let place = ThreadPlace::below(name, &self.decoders.cpus);
        self.decoders.threads.spawn(role, place, None, run).map(drop)
    }
}

fn stopped(channel: &str) -> Answer {
    Answer::Unavailable(format!("channel {channel} has stopped"))
}

#[cfg(test)]
mod tests;
