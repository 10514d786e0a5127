//! The scenes of one channel: what is known of them, what a wish takes, and what it leaves.

use super::edits::{Edited, Edits};
use super::job::{Job, Plan};
use super::library::{Library, Target};
use super::load::{How, What};
use super::preview::Preview;
use super::request::{Edit, SceneRequest, Waiting};
use super::transaction::Transaction;
use super::{ChannelScenes, Entry};
use crate::command::{Answer, OverlaysView, SceneView, ScenesView};
use crate::config::{
    Becomes, NamedScene, Part, SCENES_MAX, checked_name, overlays_to_document, to_document,
    transition_from_document, transition_to_document, without_secrets,
};
use crate::control::event_queue::EventQueue;
use crate::media::Micros;
use crate::pipeline::StartAt;
use crate::scene::{self, Scene, Transition};

impl Plan {
    /// What is seen as soon as it can be.
    pub(super) const fn now(what: What, how: How, activates: Option<String>) -> Self {
        Self { what, how, at: StartAt::Now, activates, prepared: None }
    }
}

impl ChannelScenes {
    pub(super) fn view(&self) -> Answer {
        Answer::Scenes(ScenesView {
            active: self.list.get(self.active).map(|it| it.name.clone()).unwrap_or_default(),
            names: self.list.iter().map(|entry| entry.name.clone()).collect(),
            transition: transition_to_document(&self.transition),
        })
    }

    pub(super) fn scene_view(&self, name: &str) -> Answer {
        let Some(entry) = self.list.iter().find(|entry| entry.name == name) else {
            return self.no_scene(name);
        };
        let (name, version) = (entry.name.clone(), entry.version);
        Answer::Scene(SceneView {
            name,
            version,
            document: without_secrets(to_document(&entry.scene)),
        })
    }

    pub(super) fn overlays_view(&self) -> Answer {
        let Entry { version, scene, .. } = &self.overlays;
        let document = without_secrets(overlays_to_document(&scene.layers));
        Answer::Overlays(OverlaysView { version: *version, document })
    }

    /// What it can show now.
    pub(super) fn library(&self) -> Library {
        let named = |Entry { name, scene, .. }: &Entry| NamedScene {
            name: name.clone(),
            scene: scene.clone(),
        };
        Library {
            size: self.size,
            natives: self.ends.iter().flat_map(|it| &it.natives).map(|it| it.size).collect(),
            scenes: self.list.iter().map(named).collect(),
            overlays: self.overlays.scene.layers.clone(),
            active: self.list.get(self.active).map(|it| it.name.clone()).unwrap_or_default(),
        }
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
        let others = self.list.iter().filter(|it| it.scene.inner_scenes().contains(&name));
        let mut users: Vec<_> = others.map(|it| format!("scene {}", it.name)).collect();
        if self.overlays.scene.inner_scenes().contains(&name) {
            users.push("an overlay".to_owned());
        }
        if !users.is_empty() {
            let text = format!("scene {name} is shown by {}; change that first", users.join(", "));
            return Answer::Conflict(text);
        }
        self.list.remove(place);
        self.is_unsettled = true;
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

    /// The next requests that need more than an answer, and what they take. Edits that follow each
    /// other are made at the same frame, however many there are.
    pub(super) fn next_job(&mut self) -> Option<(Plan, Vec<Waiting>)> {
        while let Some(mut first) = self.waiting.pop_front() {
            match self.plan(first.wish.clone(), first.keep) {
                Ok(mut plan) => {
                    let mut requests = vec![first];
                    self.join(&mut plan, &mut requests);
                    return Some((plan, requests));
                }
                Err(answer) => first.answer(answer),
            }
        }
        None
    }

    /// Takes what waits and can be made at the same frame.
    fn join(&mut self, plan: &mut Plan, requests: &mut Vec<Waiting>) {
        let What::New { edits, library, .. } = &mut plan.what else { return };
        if !requests.iter().all(Waiting::can_share) {
            return;
        }
        while let Some(next) = self.waiting.front().filter(|it| it.can_share())
            // The version that those before it leave is not known yet.
            && let SceneRequest::Edit { target, version: None, edit } = &next.wish
            // What would be refused is, once what may be another answer then is known.
            && let Ok(more) = self.edits_of((target, None), edit.clone(), library)
            && let Some(next) = self.waiting.pop_front()
        {
            edits.push(more);
            requests.push(next);
        }
    }

    /// What an edit makes of its target, if that is at this version.
    fn edits_of(
        &self,
        (target, version): (&Target, Option<u64>),
        edit: Edit,
        library: &Library,
    ) -> Result<Edits, Answer> {
        match edit {
            Edit::Put(document) => {
                self.check_put(target, version)?;
                Ok(Edits::of(target, document))
            }
            Edit::Patch { layer, keys } => {
                if let Target::Scene(name) = target
                    && self.place(name).is_none()
                {
                    return Err(self.no_scene(name));
                }
                if !library.has_layer(target, &layer) {
                    return Err(no_layer(target, &layer));
                }
                self.check_put(target, version)?;
                Ok(Edits::of_layer(target.clone(), layer, keys))
            }
        }
    }

    /// What a wish takes, or why it takes nothing.
    fn plan(&mut self, wish: SceneRequest, keep: bool) -> Result<Plan, Answer> {
        let channel = &self.name;
        if self.ends.is_none() {
            let text = format!("channel {channel} shows another program's frames, not scenes");
            return Err(Answer::Invalid(vec![text]));
        }
        let library = self.library();
        let replaces = library.on_air().ok();
        match wish {
            SceneRequest::Edit { target, version, edit } => {
                let edits = vec![self.edits_of((&target, version), edit, &library)?];
                Ok(Plan::now(What::New { edits, library, replaces }, How::CUT, None))
            }
            SceneRequest::Activate { scene, transition } => {
                let asked = transition.as_ref().map(transition_from_document).transpose();
                let asked = asked.map_err(Answer::Invalid)?;
                let Some(place) = self.place(&scene) else { return Err(self.no_scene(&scene)) };
                if place == self.active {
                    return Err(Answer::Done);
                }
                let next = Library { active: scene.clone(), ..library }.on_air();
                let Ok(next) = next else { return Err(self.no_scene(&scene)) };
                let how = self.how(Some(place), asked);
                let is_prepared = self.preview.as_ref().is_some_and(|it| it.scene == scene);
                let prepared = match is_prepared {
                    true => self.ready(&next, &how, replaces.as_ref()),
                    false => None,
                };
                let plan = Plan::now(What::Known { next, replaces }, how, Some(scene));
                Ok(Plan { prepared, ..plan })
            }
            SceneRequest::Take { transition, asked, .. } => {
                self.plan_take((transition.as_ref(), asked), replaces)
            }
            // That needs nothing to be loaded.
            SceneRequest::Remove { scene } => Err(self.remove(&scene, keep)),
            SceneRequest::Transaction(document) => self.plan_transaction(document, library),
        }
    }

    fn plan_transaction(
        &self,
        document: serde_json::Value,
        library: Library,
    ) -> Result<Plan, Answer> {
        let mut transaction = Transaction::read(document).map_err(Answer::Invalid)?;
        for (target, version) in &transaction.versions {
            self.check_put(target, Some(*version))?;
        }
        let asked = transaction.transition.take();
        let activates = transaction.edits.active.clone().filter(|name| *name != library.active);
        let how = match &activates {
            None => How { is_asked: asked.is_some(), transition: asked.unwrap_or(Transition::CUT) },
            Some(name) => match transaction.own_transition(name).filter(|_| asked.is_none()) {
                Some(transition) => How { transition, is_asked: false },
                None => self.how(self.place(name), asked),
            },
        };
        let replaces = library.on_air().ok();
        let Transaction { edits, at, .. } = transaction;
        let what = What::New { edits: vec![edits], library, replaces };
        Ok(Plan { what, how, at, activates, prepared: None })
    }

    /// How a scene comes on the air: as somebody asks, or it says, or the channel.
    pub(super) fn how(&self, place: Option<usize>, asked: Option<Transition>) -> How {
        let is_asked = asked.is_some();
        let own = || self.list.get(place?)?.scene.transition.clone();
        let transition = asked.or_else(own).unwrap_or_else(|| self.transition.clone());
        How { transition, is_asked }
    }

    /// Other scenes come on the air like this from now on.
    pub(super) fn put_transition(&mut self, document: &serde_json::Value, keep: bool) -> Answer {
        match transition_from_document(document) {
            Ok(transition) => (self.transition, self.is_unsettled) = (transition, true),
            Err(faults) => return Answer::Invalid(faults),
        }
        if keep {
            self.changes.push(Becomes::Transition(self.name.clone(), self.transition.clone()));
        }
        Answer::Done
    }

    pub(super) fn check_put(&self, target: &Target, version: Option<u64>) -> Result<(), Answer> {
        let (present, scene) = match target {
            Target::Overlays => (Some(self.overlays.version), None),
            Target::Scene(name) => {
                (self.place(name).map(|place| self.list[place].version), Some(name))
            }
        };
        let what = scene.map_or_else(|| "the stack".to_owned(), |name| format!("scene {name}"));
        if let Some(wanted) = version
            && present != Some(wanted)
        {
            return Err(Answer::Conflict(match present {
                Some(now) => format!(
                    "{what} is at version {now}, not {wanted}: read it again, then change it"
                ),
                None => format!("there is no {what}; to add it, name no version"),
            }));
        }
        if let (None, Some(scene)) = (present, scene) {
            checked_name(scene).map_err(|fault| Answer::Invalid(vec![fault]))?;
            if self.list.len() >= SCENES_MAX {
                let text = format!("a channel has at most {SCENES_MAX} scenes: replace one");
                return Err(Answer::Conflict(text));
            }
        }
        Ok(())
    }

    /// The scene on the air once more, if something of it has become well, or a text another.
    pub(super) fn reload(&mut self) -> Option<Plan> {
        let is_other = self.asset_faults.take_reload();
        let is_rebound = std::mem::take(&mut self.is_rebound);
        if !is_rebound && !is_other {
            return None;
        }
        let scene = self.library().on_air().ok()?;
        // What a broken file keeps as it is must not keep texts from changing.
        let what = match is_rebound {
            true => What::Known { next: scene.clone(), replaces: Some(scene) },
            false => {
                let placeholders = self.asset_faults.placeholders().to_vec();
                What::Again { scene, placeholders }
            }
        };
        Some(Plan::now(what, How::CUT, None))
    }

    /// What of the scene on the air cannot be shown from now on: there is a placeholder for it, or,
    /// if it `stays`, what was there before.
    pub(super) fn settle(
        &mut self,
        (faults, stays): (&[scene::Error], bool),
        now: Micros,
        events: &EventQueue,
    ) {
        let Some(entry) = self.list.get(self.active) else { return };
        let of = (&self.name[..], &entry.name[..]);
        let told = match stays {
            true => self.asset_faults.find(of, faults, now),
            false => self.asset_faults.settle(of, faults, now),
        };
        for event in told {
            events.force_push(event);
        }
    }

    /// The job is done, on the air at `tick`. What of its scene cannot be shown.
    pub(super) fn commit(&mut self, tick: Option<u64>, now: Micros) -> Vec<scene::Error> {
        let Some(job) = self.job.take() else { return Vec::new() };
        let Job { requests, made, activates, faults, layers, files, bound, .. } = job;
        if let (Some(ends), Some(_)) = (&self.ends, tick) {
            ends.stats.set_layers(layers);
            self.files.settle(files, now);
        }
        if let Some(bound) = bound {
            self.bound = bound;
        }
        self.is_unsettled = true;
        let was = self.list.get(self.active).map(|it| it.name.clone());
        let activates = activates.filter(|_| made.iter().all(Result::is_ok));
        let shown = activates.clone().or_else(|| Some(self.list.get(self.active)?.name.clone()));
        let mut made = made.into_iter();
        for mut request in requests {
            // What only shows something that is known makes nothing.
            let answer = match made.next().unwrap_or_else(|| Ok(Edited::default())) {
                Ok(edited) => {
                    self.make(edited, activates.as_ref(), request.keep);
                    match request.wish {
                        SceneRequest::Take { swap, asked, .. } => {
                            self.preview = was.clone().filter(|_| swap).map(Preview::new);
                            self.taken((asked, tick), activates.clone())
                        }
                        _ if request.wish.tells_frame() => Answer::Shown { frame: tick },
                        _ => Answer::Done,
                    }
                }
                Err(faults) => Answer::Invalid(faults),
            };
            request.answer(answer);
        }
        let place = shown.as_ref().and_then(|name| self.place(name));
        self.active = place.unwrap_or(0);
        if let (Some(tick), Some(scene)) = (tick, activates) {
            let channel = &self.name;
            tracing::info!("channel {channel} shows scene {scene} from frame {tick} on");
        }
        faults
    }

    /// Makes what edits came to, and another scene the one on the air.
    fn make(&mut self, edited: Edited, activates: Option<&String>, keep: bool) {
        let channel = self.name.clone();
        let mut changes = Vec::new();
        for (target, scene) in edited.becomes {
            changes.push(match &target {
                Target::Overlays => Becomes::Overlays(channel.clone(), scene.layers.clone()),
                Target::Scene(name) => {
                    let named = NamedScene { name: name.clone(), scene: scene.clone() };
                    Becomes::Scene(channel.clone(), named)
                }
            });
            self.become_of(&target, scene);
        }
        self.list.retain(|entry| !edited.gone.contains(&entry.name));
        changes.extend(activates.map(|name| Becomes::OnAir(channel.clone(), name.clone())));
        let gone = edited.gone.into_iter().map(|name| Part::Scene(channel.clone(), name));
        changes.extend(gone.map(Becomes::Gone));
        for change in changes.into_iter().filter(|_| keep) {
            // Of many edits of one thing, the last is what is kept.
            self.changes.retain(|other| other.part() != change.part());
            self.changes.push(change);
        }
    }

    fn become_of(&mut self, target: &Target, scene: Scene) {
        let place = match target {
            Target::Scene(name) => self.place(name),
            Target::Overlays => None,
        };
        let entry = match (target, place) {
            (Target::Overlays, _) => &mut self.overlays,
            (Target::Scene(_), Some(place)) => &mut self.list[place],
            (Target::Scene(name), None) => {
                self.list.push(Entry { name: name.clone(), version: 1, scene });
                return;
            }
        };
        if entry.scene != scene {
            entry.version += 1;
            entry.scene = scene;
        }
    }

    /// The job comes to nothing.
    pub(super) fn fail(&mut self, answer: &Answer) {
        for mut request in self.job.take().into_iter().flat_map(|job| job.requests) {
            request.answer(answer.clone());
        }
    }

    /// The same, because of one of its requests: if there are more, each is tried by itself.
    pub(super) fn fail_one(&mut self, answer: &Answer) {
        match self.job.take_if(|job| job.requests.len() > 1) {
            Some(job) => {
                for request in job.requests.into_iter().rev() {
                    self.waiting.push_front(Waiting { is_alone: true, ..request });
                }
            }
            None => self.fail(answer),
        }
    }
}

fn no_layer(target: &Target, layer: &str) -> Answer {
    Answer::NotFound(match target {
        Target::Scene(scene) => format!("scene {scene} has no layer {layer}"),
        Target::Overlays => format!("there is no overlay {layer}"),
    })
}
