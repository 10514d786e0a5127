//! Schedules of all channels: how far each has come, and what of it is on its way to the air.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use super::as_run::AsRun;
use crate::command::{Answer, ScheduleView, ScheduledView};
use crate::config::{ChannelConfig, Errors, ScheduleConfig, read_schedule};
use crate::control::handle::Reply;
use crate::schedule::{Airing, Change, Item, Machine, Rundown, Start, When};

/// How long before an item begins its scene is loaded, milliseconds, if the channel has no scene in
/// preview.
const PREPARE_MS: u64 = 5_000;

/// Items to come that a view has at most.
const NEXT_MAX: usize = 20;

/// Files that are read at once. Further ones wait until there is room for what came of them.
const LOADED_MAX: usize = 4;

/// A file that was read again.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) channel: String,
    pub(crate) rundown: Result<Rundown, Errors>,
    pub(crate) actor: Option<String>,
    pub(crate) reply: Reply,
}

/// A scene on its way to the air.
#[derive(Debug)]
pub(crate) struct Taking {
    pub(crate) scene: String,
    pub(crate) answer: oneshot::Receiver<Answer>,
}

/// The schedule of one channel.
#[derive(Debug)]
pub(crate) struct ChannelSchedule {
    pub(crate) channel: String,
    pub(crate) config: ScheduleConfig,
    pub(crate) machine: Machine,
    /// What has not been told, and whether a scene is to be taken whatever has.
    pub(crate) told: Vec<Change>,
    pub(crate) is_due: bool,
    pub(crate) taking: Vec<Taking>,
    /// The scene that it has put into preview.
    pub(crate) prepared: Option<String>,
    /// For which start it has looked whether to.
    looked_at: Option<u64>,
    as_run: AsRun,
}

/// The schedules of all channels that have one.
#[derive(Debug)]
pub(crate) struct Schedules {
    pub(crate) list: Vec<ChannelSchedule>,
    data_dir: Option<PathBuf>,
    line: mpsc::Sender<Loaded>,
    news: mpsc::Receiver<Loaded>,
}

impl Schedules {
    /// Those of these channels at `now`, milliseconds since 1970. Their as-run logs are by default
    /// in the data directory.
    pub(crate) fn new(channels: &[ChannelConfig], data_dir: Option<&Path>, now: u64) -> Self {
        let (line, news) = mpsc::channel(LOADED_MAX);
        let data_dir = data_dir.map(Path::to_owned);
        let mut schedules = Self { list: Vec::new(), data_dir, line, news };
        for channel in channels {
            schedules.put(&channel.name, channel.schedule.as_ref(), now);
        }
        schedules
    }

    /// A channel has this schedule from now on, or none. A break-in of one that it had stays.
    pub(crate) fn put(&mut self, channel: &str, config: Option<&ScheduleConfig>, now: u64) {
        let Some(config) = config else { return self.list.retain(|it| it.channel != channel) };
        if let Some(schedule) = self.find(channel) {
            let is_log = |of: &ScheduleConfig| {
                (of.as_run_folder.clone(), of.as_run_max_bytes, of.as_run_keep)
            };
            let has_log = is_log(&schedule.config) == is_log(config);
            schedule.config = config.clone();
            let rundown = Arc::clone(&config.rundown);
            schedule.machine.replace(rundown, now, &mut schedule.told);
            schedule.is_due = true;
            if has_log {
                return;
            }
        }
        let as_run = AsRun::open(channel, config, self.data_dir.as_deref());
        if let Some(schedule) = self.find(channel) {
            schedule.as_run = as_run;
            return;
        }
        let mut told = Vec::new();
        let machine = Machine::new(Arc::clone(&config.rundown), now, &mut told);
        self.list.push(ChannelSchedule {
            channel: channel.to_owned(),
            config: config.clone(),
            machine,
            told,
            is_due: true,
            taking: Vec::new(),
            prepared: None,
            looked_at: None,
            as_run,
        });
    }

    /// The channel of this name is gone.
    pub(crate) fn remove(&mut self, channel: &str) {
        self.list.retain(|it| it.channel != channel);
    }

    /// The one of this channel.
    pub(crate) fn find(&mut self, channel: &str) -> Option<&mut ChannelSchedule> {
        self.list.iter_mut().find(|it| it.channel == channel)
    }

    /// Comes when something is due by the clock, or a file has been read. Nothing is lost if it is
    /// not waited for until then.
    pub(crate) async fn due(&mut self, now: u64) -> Option<Loaded> {
        let next = self.list.iter().filter_map(ChannelSchedule::due_at).min();
        let wait = next.map_or(Duration::MAX, |at| Duration::from_millis(at.saturating_sub(now)));
        tokio::select! {
            loaded = self.news.recv() => loaded,
            () = tokio::time::sleep(wait) => None,
        }
    }

    /// Has the file of a channel's schedule read again, on a thread that may wait for the disk.
    pub(crate) fn load(&self, channel: String, file: PathBuf, actor: Option<String>, reply: Reply) {
        let line = self.line.clone();
        tokio::spawn(async move {
            let origin = file.display().to_string();
            let read = spawn_blocking(move || read_schedule(&file)).await;
            let rundown = read.unwrap_or_else(|error| {
                Err(Errors::about(&origin, format!("cannot be read: {error}; try again")))
            });
            // The controller is gone only when the node stops.
            drop(line.send(Loaded { channel, rundown, actor, reply }).await);
        });
    }
}

impl ChannelSchedule {
    /// When it is to be looked at, milliseconds since 1970; `None` if nothing is known to come.
    fn due_at(&self) -> Option<u64> {
        if self.is_due || !self.told.is_empty() {
            return Some(0);
        }
        let next = self.machine.next_at()?;
        match self.looked_at == Some(next) {
            true => Some(next),
            false => Some(next.saturating_sub(PREPARE_MS)),
        }
    }

    /// The scene that is to be loaded now, as it is shown soon; told once for each start.
    pub(crate) fn prepare(&mut self, now: u64) -> Option<String> {
        let next = self.machine.next_at().filter(|next| *next <= now + PREPARE_MS)?;
        if self.looked_at.replace(next) == Some(next) || self.machine.break_in().is_some() {
            return None;
        }
        let (item, airing) = self.machine.upcoming(1).pop()?;
        let is_shown = self.machine.programme().is_some_and(|it| it.scene == item.scene);
        (airing.began == next && !is_shown).then(|| item.scene.clone())
    }

    /// Leaves a line for the as-run log.
    pub(crate) fn write(&self, event: &str, at: u64, more: Value) {
        self.as_run.write(event, at, &self.machine.rundown().zone, more);
    }

    /// How it stands.
    pub(crate) fn view(&self, now: u64) -> ScheduleView {
        let machine = &self.machine;
        let next = machine.upcoming(NEXT_MAX);
        ScheduleView {
            file: self.config.file.display().to_string(),
            time_zone: machine.rundown().zone.name().to_owned(),
            at: now,
            scene: machine.programme().map(|programme| programme.scene.to_owned()),
            now: machine.running().map(|(item, airing)| scheduled(item, airing)),
            filler_since: machine.filler_since(),
            break_in: machine.break_in().map(|it| (it.scene.clone(), it.since)),
            next: next.iter().map(|(item, airing)| scheduled(item, *airing)).collect(),
        }
    }
}

fn scheduled(item: &Item, airing: Airing) -> ScheduledView {
    ScheduledView {
        item: item.name.clone(),
        scene: item.scene.clone(),
        start: match item.when {
            When::At { start: Start::Hard, .. } => "hard",
            When::At { start: Start::Soft { .. }, .. } => "soft",
            When::Next => "follows",
        },
        planned_at: airing.planned,
        at: airing.began,
        ends_at: airing.ends,
    }
}
