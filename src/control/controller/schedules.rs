//! Schedules of the controller: scenes are taken when they say, and what happens is told.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::Controller;
use crate::command::{Answer, Ask, ScheduleCommand};
use crate::config::{no_scene_faults, transition_from_document, transition_to_document};
use crate::control::handle::{Reply, say};
use crate::control::schedules::{Loaded, Taking};
use crate::event::{NodeEvent, Operated};
use crate::schedule::{BreakIn, Change};

impl Controller {
    /// Looks at the clock, and does what the schedules say.
    pub(super) fn run_schedules(&mut self) {
        let now = self.clock.unix_millis();
        for at in 0..self.schedules.list.len() {
            let schedule = &mut self.schedules.list[at];
            schedule.machine.advance(now, &mut schedule.told);
            self.settle_schedule(at);
            self.prepare_scheduled(at, now);
        }
    }

    /// A file or playlist has been played to its end, which may be that of an item.
    pub(super) fn schedule_layer_ended(&mut self, channel: &str, layer: &str) {
        let now = self.clock.unix_millis();
        let Some(schedule) = self.schedules.find(channel) else { return };
        schedule.machine.layer_ended(layer, now, &mut schedule.told);
    }

    /// Tells what has happened to the schedule at place `at`, and takes what it shows now.
    fn settle_schedule(&mut self, at: usize) {
        let schedule = &mut self.schedules.list[at];
        let told = std::mem::take(&mut schedule.told);
        let is_due = std::mem::take(&mut schedule.is_due);
        if told.is_empty() && !is_due {
            return;
        }
        let is_below = schedule.machine.break_in().is_some();
        let takes = is_due
            || !is_below
                && told
                    .iter()
                    .any(|change| matches!(change, Change::Started { .. } | Change::Filler { .. }));
        for change in told {
            self.tell_schedule(at, &change, is_below);
        }
        if takes {
            self.take_scheduled(at);
        }
    }

    fn tell_schedule(&mut self, at: usize, change: &Change, is_below: bool) {
        let (name, time, text, line) = match change {
            Change::Started { item, airing, joined } => {
                let how = if *joined { "is joined" } else { "begins" };
                let text = format!("{} {how} with scene {}", item.name, item.scene);
                let late = airing.began.saturating_sub(airing.planned);
                let line = json!({ "item": item.name, "scene": item.scene,
                    "planned_at": airing.planned, "began_at": airing.began, "late_ms": late,
                    "ends_at": airing.ends, "joined": joined, "in_break": is_below });
                let time = if *joined { self.clock.unix_millis() } else { airing.began };
                ("schedule_item_started", time, text, line)
            }
            Change::Ended { item, airing, at, ending } => {
                let text = format!("{} has ended: {}", item.name, ending.word());
                let lasted = at.saturating_sub(airing.began);
                let line = json!({ "item": item.name, "scene": item.scene,
                    "began_at": airing.began, "duration_ms": lasted, "reason": ending.word(),
                    "in_break": is_below });
                ("schedule_item_ended", *at, text, line)
            }
            Change::Missed { item, planned, at } => {
                let text = format!("{} is left out: something else starts first", item.name);
                let line = json!({ "item": item.name, "planned_at": planned });
                ("schedule_item_missed", *at, text, line)
            }
            Change::Filler { scene, at } => {
                let what = scene.as_deref().unwrap_or("no filler");
                let text = format!("nothing is planned now: {what}");
                let line = json!({ "scene": scene, "in_break": is_below });
                ("schedule_filler_started", *at, text, line)
            }
        };
        self.tell_of_schedule(at, (name, &text), (time, line), None);
    }

    /// Tells of the schedule at place `at`: a line of its as-run log and an event.
    fn tell_of_schedule(
        &mut self,
        at: usize,
        (name, text): (&'static str, &str),
        (time, line): (u64, Value),
        actor: Option<String>,
    ) {
        let schedule = &self.schedules.list[at];
        schedule.write(name.trim_start_matches("schedule_"), time, line);
        let channel = schedule.channel.clone();
        let text = format!("schedule of channel {channel}: {text}");
        let channel = Some(channel);
        let operated = Operated { name, text, channel, actor, ..Operated::default() };
        self.publish(NodeEvent::Operated(Box::new(operated)));
    }

    /// Has the scene taken that the schedule at place `at` shows now.
    fn take_scheduled(&mut self, at: usize) {
        let schedule = &mut self.schedules.list[at];
        let Some(programme) = schedule.machine.programme() else { return };
        let (say, answer) = oneshot::channel();
        let scene = programme.scene.to_owned();
        let transition = programme.transition.map(transition_to_document);
        schedule.taking.push(Taking { scene: scene.clone(), answer });
        let channel = schedule.channel.clone();
        // It is no change to keep: a node that starts again looks at its schedule.
        let ask = Ask::Activate { channel, scene, transition };
        drop(self.scenes.ask(ask, say, false));
    }

    /// Loads the scene of an item that begins soon, unless somebody prepares another one.
    fn prepare_scheduled(&mut self, at: usize, now: u64) {
        let schedule = &mut self.schedules.list[at];
        let Some(scene) = schedule.prepare(now) else { return };
        let channel = schedule.channel.clone();
        if self.scenes.preview_of(&channel).is_some() {
            return;
        }
        self.schedules.list[at].prepared = Some(scene.clone());
        self.put_preview(channel, Some(scene));
    }

    fn put_preview(&mut self, channel: String, scene: Option<String>) {
        let (say, _answer) = oneshot::channel();
        drop(self.scenes.ask(Ask::PutPreview { channel, scene }, say, false));
    }

    /// Hears what has come of scenes on their way to the air.
    pub(super) fn hear_scheduled(&mut self) {
        for at in 0..self.schedules.list.len() {
            let mut waiting = Vec::new();
            for mut taking in std::mem::take(&mut self.schedules.list[at].taking) {
                match taking.answer.try_recv() {
                    Err(oneshot::error::TryRecvError::Empty) => waiting.push(taking),
                    Ok(answer) => self.scheduled_taken(at, &taking.scene, answer),
                    Err(oneshot::error::TryRecvError::Closed) => {}
                }
            }
            self.schedules.list[at].taking.extend(waiting);
        }
    }

    fn scheduled_taken(&mut self, at: usize, scene: &str, answer: Answer) {
        let now = self.clock.unix_millis();
        let schedule = &mut self.schedules.list[at];
        let reason = match answer {
            Answer::NotFound(text) | Answer::Conflict(text) | Answer::Unavailable(text) => {
                Some(text)
            }
            Answer::Invalid(faults) => Some(faults.join("; ")),
            _ => None,
        };
        let prepared = schedule.prepared.take_if(|prepared| prepared == scene);
        match reason {
            None => schedule.write("on_air", now, json!({ "scene": scene })),
            Some(reason) => {
                let text = format!("scene {scene} cannot be shown: {reason}");
                let line = json!({ "scene": scene, "reason": reason });
                self.tell_of_schedule(at, ("schedule_take_failed", &text), (now, line), None);
            }
        }
        let channel = self.schedules.list[at].channel.clone();
        let is_ours = self.scenes.preview_of(&channel) == prepared.as_deref();
        if prepared.is_some() && is_ours {
            self.put_preview(channel, None);
        }
    }

    /// Answers what is asked of a schedule, now or when its file is read; gives back all else.
    pub(super) fn answer_about_schedule(&mut self, ask: Ask, reply: Reply) -> Option<(Ask, Reply)> {
        let Ask::Schedule { channel, command, actor } = ask else { return Some((ask, reply)) };
        let Some(at) = self.schedules.list.iter().position(|it| it.channel == channel) else {
            let text = format!("channel {channel} is not there or has no [channel.schedule]");
            say(reply, Answer::NotFound(text));
            return None;
        };
        let now = self.clock.unix_millis();
        let schedule = &mut self.schedules.list[at];
        schedule.machine.advance(now, &mut schedule.told);
        self.settle_schedule(at);
        let answer = match command {
            ScheduleCommand::View => Ok(()),
            ScheduleCommand::Reload => {
                let file = self.schedules.list[at].config.file.clone();
                self.schedules.load(channel, file, actor, reply);
                return None;
            }
            ScheduleCommand::Skip => {
                let schedule = &mut self.schedules.list[at];
                let skipped = schedule.machine.skip(now, &mut schedule.told);
                skipped.map_err(|refusal| Answer::Conflict(refusal.to_string()))
            }
            ScheduleCommand::Break { scene, transition } => {
                self.begin_break(at, (scene, transition.as_ref()), now, actor)
            }
            ScheduleCommand::Return => self.end_break(at, now, actor),
        };
        self.settle_schedule(at);
        let view = || Answer::Schedule(Box::new(self.schedules.list[at].view(now)));
        say(reply, answer.map_or_else(|refusal| refusal, |()| view()));
        None
    }

    fn begin_break(
        &mut self,
        at: usize,
        (scene, transition): (String, Option<&Value>),
        now: u64,
        actor: Option<String>,
    ) -> Result<(), Answer> {
        let schedule = &mut self.schedules.list[at];
        let transition = transition.map(transition_from_document).transpose();
        let transition = transition.map_err(Answer::Invalid)?;
        let scenes = self.scenes.names(&schedule.channel);
        if !scenes.contains(&scene) {
            let text = format!("channel {} has no scene {scene}", schedule.channel);
            return Err(Answer::NotFound(text));
        }
        let break_in = BreakIn { scene: scene.clone(), transition, since: now };
        schedule.machine.begin_break(break_in, &mut schedule.told);
        schedule.is_due = true;
        let text = format!("scene {scene} breaks in");
        let line = json!({ "scene": scene, "actor": actor });
        self.tell_of_schedule(at, ("schedule_break_started", &text), (now, line), actor);
        Ok(())
    }

    fn end_break(&mut self, at: usize, now: u64, actor: Option<String>) -> Result<(), Answer> {
        let schedule = &mut self.schedules.list[at];
        let ended = schedule.machine.end_break(now, &mut schedule.told);
        let ended = ended.map_err(|refusal| Answer::Conflict(refusal.to_string()))?;
        schedule.is_due = true;
        let text = format!("the break-in with scene {} has ended", ended.scene);
        let lasted = now.saturating_sub(ended.since);
        let line = json!({ "scene": ended.scene, "duration_ms": lasted, "actor": actor });
        self.tell_of_schedule(at, ("schedule_break_ended", &text), (now, line), actor);
        Ok(())
    }

    /// A schedule's file has been read again.
    pub(super) fn schedule_loaded(&mut self, loaded: Loaded) {
        let Loaded { channel, rundown, actor, reply } = loaded;
        let rundown = match rundown {
            Ok(rundown) => Arc::new(rundown),
            Err(errors) => {
                let faults = errors.to_string().lines().map(str::to_owned).collect();
                return say(reply, Answer::Invalid(faults));
            }
        };
        let scenes = self.scenes.names(&channel);
        let faults = no_scene_faults(&rundown, scenes.iter().map(String::as_str));
        if !faults.is_empty() {
            return say(reply, Answer::Invalid(faults));
        }
        let Some(at) = self.schedules.list.iter().position(|it| it.channel == channel) else {
            return say(reply, Answer::NotFound(format!("channel {channel} has no schedule")));
        };
        let now = self.clock.unix_millis();
        let schedule = &mut self.schedules.list[at];
        schedule.config.rundown = Arc::clone(&rundown);
        schedule.machine.replace(rundown, now, &mut schedule.told);
        let line = json!({ "actor": actor });
        let text = "its file was read again";
        self.tell_of_schedule(at, ("schedule_reloaded", text), (now, line), actor);
        self.settle_schedule(at);
        let view = self.schedules.list[at].view(now);
        say(reply, Answer::Schedule(Box::new(view)));
    }
}
