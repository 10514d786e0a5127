//! The scenes of one channel: what is known of them, what a wish takes, and what it leaves.

use super::load::What;
use super::{ChannelScenes, Entry, FADE_MS_MAX, Keeps, SceneRequest};
use crate::command::{Answer, SceneView, ScenesView};
use crate::config::{Becomes, NamedScene, Part, SCENES_MAX, checked_name, to_document};
use crate::control::event_queue::EventQueue;
use crate::control::handle::say;
use crate::media::Micros;
use crate::scene;

impl ChannelScenes {
    pub(super) fn view(&self) -> Answer {
        Answer::Scenes(ScenesView {
            active: self.list.get(self.active).map(|it| it.name.clone()).unwrap_or_default(),
            names: self.list.iter().map(|entry| entry.name.clone()).collect(),
        })
    }

    pub(super) fn scene_view(&self, name: &str) -> Answer {
        let Some(entry) = self.list.iter().find(|entry| entry.name == name) else {
            return self.no_scene(name);
        };
        let (name, version) = (entry.name.clone(), entry.version);
        Answer::Scene(SceneView { name, version, document: to_document(&entry.scene) })
    }

    pub(super) fn no_scene(&self, name: &str) -> Answer {
        Answer::NotFound(format!("channel {} has no scene {name}", self.name))
    }

    pub(super) fn remove(&mut self, name: &str, keep: bool) -> Answer {
        let Some(place) = self.place(name) else { return self.no_scene(name) };
        if place == self.active {
            let text = format!("scene {name} is on the air; show another one first");
            return Answer::Conflict(text);
        }
        self.list.remove(place);
        self.active -= usize::from(place < self.active);
        if keep {
            let part = Part::Scene(self.name.clone(), name.to_owned());
            self.changes.push(Becomes::Gone(part));
        }
        Answer::Done
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|entry| entry.name == name)
    }

    /// What has to be loaded for a wish, or why nothing has.
    pub(super) fn plan(
        &mut self,
        wish: SceneRequest,
        keep: bool,
    ) -> Result<(String, What, u32), Answer> {
        let channel = &self.name;
        if self.ends.is_none() {
            let text = format!("channel {channel} shows another program's frames, not scenes");
            return Err(Answer::Invalid(vec![text]));
        }
        let on_air = self.list.get(self.active).map(|entry| entry.scene.clone());
        match wish {
            SceneRequest::Put { scene, version, document } => {
                let place = self.place(&scene);
                self.check_put(&scene, place, version)?;
                let replaces = on_air.filter(|_| place == Some(self.active));
                Ok((scene, What::New { document, replaces }, 0))
            }
            SceneRequest::Activate { scene, fade_ms } => {
                if fade_ms > FADE_MS_MAX {
                    let text = format!("`fade_ms` must be 0 to {FADE_MS_MAX}, not {fade_ms}");
                    return Err(Answer::Invalid(vec![text]));
                }
                let Some(place) = self.place(&scene) else { return Err(self.no_scene(&scene)) };
                if place == self.active {
                    return Err(Answer::Done);
                }
                let (next, replaces) = (self.list[place].scene.clone(), on_air);
                Ok((scene, What::Known { scene: next, replaces }, fade_ms))
            }
            // That needs nothing to be loaded.
            SceneRequest::Remove { scene } => Err(self.remove(&scene, keep)),
        }
    }

    pub(super) fn check_put(
        &self,
        scene: &str,
        place: Option<usize>,
        version: Option<u64>,
    ) -> Result<(), Answer> {
        let present = place.map(|place| self.list[place].version);
        if let Some(wanted) = version
            && present != Some(wanted)
        {
            return Err(Answer::Conflict(match present {
                Some(now) => format!(
                    "scene {scene} is at version {now}, not {wanted}: read it again, then change it"
                ),
                None => format!("there is no scene {scene}; to add it, name no version"),
            }));
        }
        if place.is_none() {
            checked_name(scene).map_err(|fault| Answer::Invalid(vec![fault]))?;
            if self.list.len() >= SCENES_MAX {
                let text = format!("a channel has at most {SCENES_MAX} scenes: replace one");
                return Err(Answer::Conflict(text));
            }
        }
        Ok(())
    }

    /// The scene on the air once more, if something of it has become well.
    pub(super) fn reload(&mut self) -> Option<(String, What, u32)> {
        let entry = self.list.get(self.active).filter(|_| self.asset_faults.take_reload())?;
        let (scene, replaces) = (entry.scene.clone(), Some(entry.scene.clone()));
        Some((entry.name.clone(), What::Known { scene, replaces }, 0))
    }

    /// What of the scene on the air cannot be shown from now on.
    pub(super) fn settle(&mut self, faults: &[scene::Error], now: Micros, events: &EventQueue) {
        let Some(entry) = self.list.get(self.active) else { return };
        for event in self.asset_faults.settle((&self.name, &entry.name), faults, now) {
            events.force_push(event);
        }
    }

    /// The wish has come true, on the air at `tick`. What of its scene cannot be shown.
    pub(super) fn commit(&mut self, tick: Option<u64>) -> Vec<scene::Error> {
        let Some(job) = self.job.take() else { return Vec::new() };
        let mut place = self.place(&job.scene);
        if let Some(scene) = job.becomes {
            match place {
                Some(at) if self.list[at].scene == scene => {}
                Some(at) => {
                    self.list[at].version += 1;
                    self.list[at].scene = scene;
                }
                None => {
                    place = Some(self.list.len());
                    self.list.push(Entry { name: job.scene.clone(), version: 1, scene });
                }
            }
        }
        if let (true, Some(place)) = (job.on_air, place) {
            self.active = place;
        }
        if let Some(Entry { name, scene, .. }) = place.map(|place| &self.list[place]) {
            let (channel, name) = (self.name.clone(), name.clone());
            self.changes.extend(match job.keeps {
                Keeps::Nothing => None,
                Keeps::Scene => {
                    let scene = scene.clone();
                    Some(Becomes::Scene(channel, NamedScene { name, scene }))
                }
                Keeps::OnAir => Some(Becomes::OnAir(channel, name)),
            });
        }
        if let Some(tick) = tick {
            let (channel, scene) = (&self.name, &job.scene);
            tracing::info!("channel {channel} shows scene {scene} from frame {tick} on");
        }
        job.reply.into_iter().for_each(|reply| say(reply, Answer::Done));
        job.faults
    }

    pub(super) fn fail(&mut self, answer: Answer) {
        if let Some(reply) = self.job.take().and_then(|job| job.reply) {
            say(reply, answer);
        }
    }
}
