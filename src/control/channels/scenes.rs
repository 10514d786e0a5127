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
mod monitor;
mod monitors;
mod on_air;
mod preview;
mod previews;
mod request;
mod screenshots;
mod transaction;
mod warm;
mod work;

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use self::asset_faults::AssetFaults;
use self::asset_files::{AssetFiles, FileStamps};
use self::job::Job;
use self::library::{OnAir, stack};
use self::load::{Bound, Loaded};
use self::monitor::MonitorEnd;
use self::preview::Preview;
use self::request::{SceneRequest, Waiting};
use self::transaction::too_far;
use crate::command::{Answer, Ask};
use crate::config::{Becomes, ChannelConfig, NamedScene};
use crate::control::channels::context::ChannelContext;
use crate::control::channels::data_poller::DataPoller;
use crate::control::channels::input_pool::{InputId, InputPool};
use crate::control::channels::natives::NativeEnd;
use crate::control::channels::scene_loader::SceneLoader;
use crate::control::channels::sources::{DecoderContext, Subscription};
use crate::control::event_queue::EventQueue;
use crate::control::handle::{Reply, say};
use crate::media::{Micros, Size};
use crate::pipeline::{FrameTapEnd, SceneChange, SceneReport};
use crate::ring::{Receiver, Sender};
use crate::runtime::Clock;
use crate::scene::{self, Scene, Transition};
use crate::stats::{AssetCacheFigures, ChannelStats};

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
    /// What is decoded for the channel.
    pub(crate) inputs: InputPool,
    /// Frames of the programme, for whoever looks at it first.
    pub(crate) tap: Option<FrameTapEnd>,
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
    /// Of inputs that were started here.
    subscriptions: Vec<Subscription>,
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
    /// The scene that is prepared to be taken.
    preview: Option<Preview>,
    /// Inputs that are decoded whether they are on the air or not.
    warm: Vec<InputId>,
    /// Whether those, or what is in preview, may be others now.
    is_unsettled: bool,
    /// What draws its small pictures, while somebody looks.
    monitor: Option<MonitorEnd>,
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
            subscriptions: Vec::new(),
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
            preview: None,
            warm: Vec::new(),
            is_unsettled: true,
            monitor: None,
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
        self.settle_inputs(self.channels.len() - 1);
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

    /// Decoders that want streams, since the last call: for the shard.
    pub(crate) fn take_subscriptions(&mut self) -> Vec<Subscription> {
        std::mem::take(&mut self.subscriptions)
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
            say(reply, self.decoders.players.command(&channel, &layer, &command));
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
        | Ask::Preview { channel }
        | Ask::PutPreview { channel, .. }
        | Ask::Take { channel, .. }
        | Ask::MonitorPicture { channel, .. }
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
        let (ask, reply) = self.answer(at, ask, reply, keep)?;
        let wish = match SceneRequest::of(ask) {
            Ok(wish) => wish,
            Err(other) => return Some((*other, reply)),
        };
        let programme = &mut self.channels[at];
        if programme.waiting.len() == REQUESTS_MAX {
            let text = format!("channel {} has other changes to make; try again", programme.name);
            say(reply, Answer::Unavailable(text));
            return None;
        }
        let wish = programme.begin_take(wish);
        let deadline = self.clock.now() + REQUEST_LIMIT;
        let (reply, is_alone) = (Some(reply), false);
        programme.waiting.push_back(Waiting { wish, reply, deadline, keep, is_alone });
        self.go_on(at);
        None
    }

    /// Answers what needs nothing to be loaded first, about the channel at place `at`; gives back
    /// all else.
    fn answer(&mut self, at: usize, ask: Ask, reply: Reply, keep: bool) -> Option<(Ask, Reply)> {
        let programme = &mut self.channels[at];
        let answer = match ask {
            Ask::Scenes { .. } => programme.view(),
            Ask::Scene { scene, .. } => programme.scene_view(&scene),
            Ask::Overlays { .. } => programme.overlays_view(),
            Ask::Playback { channel } => Answer::Playback(self.decoders.players.views(&channel)),
            Ask::Preview { .. } => programme.preview_view(),
            Ask::PutPreview { scene, .. } => self.put_preview(at, scene),
            Ask::PutTransition { document, .. } => {
                let answer = programme.put_transition(&document, keep);
                self.settle_inputs(at);
                answer
            }
            Ask::Screenshot { scene, width, .. } => {
                self.screenshot(at, &scene, width, reply);
                return None;
            }
            Ask::MonitorPicture { monitor, .. } => {
                self.monitor_picture(at, monitor, reply);
                return None;
            }
            other => return Some((other, reply)),
        };
        say(reply, answer);
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
            self.settle_inputs(at);
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
            Loaded::Previewed(made) => {
                programme.previewed(ticket, made, &self.events);
                return Vec::new();
            }
            Loaded::Subscriptions(subscriptions) => return subscriptions,
            loaded => loaded,
        };
        if programme.job.as_ref().is_none_or(|job| job.ticket != ticket) {
            return Vec::new();
        }
        match loaded {
            Loaded::Subscriptions(_)
            | Loaded::Previewed(_)
            | Loaded::Probed(_)
            | Loaded::Files(_) => {}
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
                self.settle_inputs(at);
            }
            Loaded::Ready(made, changes, faults) => programme.send(*changes, made, faults),
        }
        if self.channels[at].job.is_none() {
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
            self.settle_inputs(at);
            self.probe(at, now);
            self.look_at_files(at, now);
        }
    }
}

fn stopped(channel: &str) -> Answer {
    Answer::Unavailable(format!("channel {channel} has stopped"))
}

#[cfg(test)]
mod tests;
