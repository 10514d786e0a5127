//! Previews of channels: what is put there is loaded anew when it changes, and taken.

use std::sync::Arc;

use super::job::Plan;
use super::library::OnAir;
use super::load::{self, How, Prepared, PreviewOrder, What, new_inputs};
use super::preview::{Preview, Wanted};
use super::request::SceneRequest;
use super::{ChannelScenes, LoadReport, Scenes};
use crate::command::{Answer, TakenView};
use crate::config::transition_from_document;
use crate::control::channels::bound_text;
use crate::control::event_queue::EventQueue;
use crate::event::{NodeEvent, Operated};
use crate::scene::Warm;

impl ChannelScenes {
    /// What is in preview.
    pub(super) fn preview_view(&self) -> Answer {
        Answer::Preview(self.preview.as_ref().map(Preview::view))
    }

    /// What a take takes: what is in preview, if it is ready.
    pub(super) fn plan_take(
        &mut self,
        (transition, asked): (Option<&serde_json::Value>, u64),
        replaces: Option<OnAir>,
    ) -> Result<Plan, Answer> {
        let Some(preview) = &self.preview else {
            let text =
                format!("channel {} has no scene in preview; put one there first", self.name);
            return Err(Answer::Conflict(text));
        };
        let transition = transition.map(transition_from_document).transpose();
        let transition = transition.map_err(Answer::Invalid)?;
        let scene = preview.scene.clone();
        let Some(place) = self.place(&scene) else { return Err(self.no_scene(&scene)) };
        if place == self.active {
            return Err(self.taken((asked, None), Some(scene)));
        }
        let next = self.library().named(&scene);
        let Some(Ok(next)) = next else { return Err(self.no_scene(&scene)) };
        let how = self.how(Some(place), transition);
        let prepared = self.ready(&next, &how, replaces.as_ref());
        let plan = Plan::now(What::Known { next, replaces }, how, Some(scene));
        Ok(Plan { prepared, ..plan })
    }

    /// Notes when a take has come, and gives up a job that nobody waits for until it is done.
    pub(super) fn begin_take(&mut self, wish: SceneRequest) -> SceneRequest {
        let SceneRequest::Take { transition, swap, .. } = wish else { return wish };
        if self.job.take_if(|job| job.requests.is_empty() && !job.sent).is_some() {
            self.is_rebound = true;
        }
        let asked = self.ends.as_ref().map_or(0, |ends| ends.stats.tick());
        SceneRequest::Take { transition, swap, asked }
    }

    /// What is loaded of `next`, if nothing of it has to be waited for.
    pub(super) fn ready(
        &mut self,
        next: &OnAir,
        how: &How,
        replaces: Option<&OnAir>,
    ) -> Option<Box<Prepared>> {
        let inputs = &self.ends.as_ref()?.inputs;
        let is_cold = new_inputs(&next.scene, replaces.map(|old| &old.scene))
            .any(|layer| layer.warm == Warm::Off);
        if is_cold || !self.warm.iter().all(|id| inputs.find(id).is_some()) {
            return None;
        }
        self.preview.as_mut()?.take(next, how)
    }

    /// What is said of a scene that has been taken, and what is in preview now.
    pub(super) fn taken(
        &self,
        (asked_frame, frame): (u64, Option<u64>),
        scene: Option<String>,
    ) -> Answer {
        let preview = self.preview.as_ref().map(|preview| preview.scene.clone());
        Answer::Taken(TakenView { scene: scene.unwrap_or_default(), asked_frame, frame, preview })
    }

    /// What has come of a load; who is told.
    pub(super) fn previewed(
        &mut self,
        ticket: u64,
        made: Result<Box<Prepared>, String>,
        events: &EventQueue,
    ) {
        let Some(preview) = self.preview.as_mut().filter(|it| it.ticket == ticket) else { return };
        let (channel, scene) = (&self.name, &preview.scene);
        let (name, text) = match &made {
            Ok(_) => ("preview_ready", format!("scene {scene} of channel {channel} can be taken")),
            Err(reason) => {
                let text = format!("scene {scene} of channel {channel} cannot be shown: {reason}");
                ("preview_failed", text)
            }
        };
        let channel = Some(channel.clone());
        let operated = Operated { name, text, channel, ..Operated::default() };
        events.force_push(NodeEvent::Operated(Box::new(operated)));
        preview.loaded(made);
    }
}

impl Scenes {
    /// The scene that a channel has in preview.
    pub(crate) fn preview_of(&self, channel: &str) -> Option<&str> {
        let programme = self.channels.iter().find(|it| it.name == channel)?;
        programme.preview.as_ref().map(|preview| preview.scene.as_str())
    }

    /// Names of the scenes that a channel has.
    pub(crate) fn names(&self, channel: &str) -> Vec<String> {
        let programme = self.channels.iter().find(|it| it.name == channel);
        programme.into_iter().flat_map(|it| &it.list).map(|it| it.name.clone()).collect()
    }

    /// Puts a scene of the channel at place `at` into preview; or none.
    pub(super) fn put_preview(&mut self, at: usize, scene: Option<String>) -> Answer {
        let programme = &mut self.channels[at];
        if programme.ends.is_none() {
            let channel = &programme.name;
            let text = format!("channel {channel} shows another program's frames, not scenes");
            return Answer::Invalid(vec![text]);
        }
        if let Some(scene) = &scene
            && programme.place(scene).is_none()
        {
            return programme.no_scene(scene);
        }
        // One that could not be shown is tried again.
        (programme.preview, programme.is_unsettled) = (scene.map(Preview::new), true);
        self.settle_inputs(at);
        Answer::Done
    }

    /// Whether the texts of what is in preview say something else now.
    pub(super) fn is_preview_rebound(&self, at: usize) -> bool {
        let wanted = self.channels[at].preview.as_ref().and_then(Preview::wanted);
        wanted.is_some_and(|it| it.data != self.data_version(&it.next))
    }

    fn data_version(&self, scene: &OnAir) -> u64 {
        self.loader.data.version_of(&bound_text::sources(&scene.scene))
    }

    /// Loads what is in preview, if that is not what it is now.
    pub(super) fn load_preview(&mut self, at: usize) {
        let programme = &self.channels[at];
        let Some(preview) = &programme.preview else { return };
        let Some(next) = programme.library().named(&preview.scene) else {
            self.channels[at].preview = None;
            return;
        };
        let how = programme.how(programme.place(&preview.scene), None);
        // What is there was checked when it was written.
        let Ok(next) = next else { return };
        let data = self.data_version(&next);
        let wanted = Wanted { next, how, data };
        if preview.is_of(&wanted) {
            return;
        }
        let order = PreviewOrder {
            decoders: self.decoders_of(at),
            next: wanted.next.clone(),
            how: wanted.how.clone(),
            loader: Arc::clone(&self.loader),
        };
        let programme = &mut self.channels[at];
        programme.last_ticket += 1;
        let (id, ticket, news) = (programme.id, programme.last_ticket, self.news.clone());
        if let Some(preview) = &mut programme.preview {
            preview.load(ticket, wanted);
        }
        let load = move || {
            load::load_preview(&order, |loaded| {
                drop(news.blocking_send(LoadReport { id, ticket, loaded }));
            });
        };
        if let Err(error) = self.spawn(at, "preview", load) {
            let reason = format!("no thread to load it: {error}");
            self.channels[at].previewed(ticket, Err(reason), &self.events);
        }
    }
}
