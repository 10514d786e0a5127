//! Work of jobs: what waits is begun, loaded on a thread, and sent to the composer.

use std::io;
use std::sync::Arc;

use super::asset_files::FileStamps;
use super::edits::Edited;
use super::job::{Job, Plan};
use super::library::OnAir;
use super::load::{self, Changes, Order, Prepared, What, new_inputs};
use super::request::Waiting;
use super::{ChannelScenes, LoadReport, REQUEST_LIMIT, Scenes, stopped};
use crate::command::Answer;
use crate::control::channels::sources::{DecoderContext, FILE_LEAD, Sources};
use crate::control::threads::{ThreadPlace, ThreadRole};
use crate::pipeline::{SceneChange, StartAt};
use crate::scene;
use crate::stats::{CoreRole, LayerCost};

impl Scenes {
    /// Begins with the next requests that need more than an answer; if there are none, shows again
    /// what has become well.
    pub(super) fn go_on(&mut self, at: usize) {
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
        Plan { what, how, at: start, activates, prepared }: Plan,
        requests: Vec<Waiting>,
    ) {
        let latest = self.clock.now() + REQUEST_LIMIT;
        let deadline = requests.first().map_or(latest, |request| request.deadline);
        let programme = &mut self.channels[at];
        programme.last_ticket += 1;
        let ticket = programme.last_ticket;
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
        if let (Some(prepared), What::Known { next, replaces }) = (prepared, &what) {
            return self.take(at, *prepared, (next, replaces.as_ref()));
        }
        let decoders = self.decoders_of(at);
        let programme = &self.channels[at];
        let costs = programme.costs();
        let order = Order { decoders, what, how, loader: Arc::clone(&self.loader), costs };
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
    pub(super) fn spawn(
        &self,
        at: usize,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let role = ThreadRole { role: CoreRole::Loader, of: self.channels[at].name.clone() };
        let place = ThreadPlace::below(name, &self.decoders.cpus);
        self.decoders.threads.spawn(role, place, None, run).map(drop)
    }

    /// Where the decoders of the channel at place `at` run, and what is decoded for it.
    pub(super) fn decoders_of(&self, at: usize) -> DecoderContext {
        let programme = &self.channels[at];
        let inputs = programme.ends.as_ref().map(|ends| ends.inputs.clone()).unwrap_or_default();
        DecoderContext { channel: programme.name.clone(), inputs, ..self.decoders.clone() }
    }

    /// Sends a loaded scene to the composer, with the pictures that its inputs have now: all
    /// of them are decoded.
    fn take(
        &mut self,
        at: usize,
        mut prepared: Prepared,
        (next, replaces): (&OnAir, Option<&OnAir>),
    ) {
        let (decoders, clock) = (self.decoders_of(at), self.clock);
        let mut sources = Sources::default();
        for (size, (scene, made)) in next.sizes().zip(&mut prepared.scenes).enumerate() {
            let old = replaces.and_then(|old| old.sizes().nth(size));
            sources.want_pictures(new_inputs(scene, old), made);
        }
        let started = sources.start(&decoders, clock.now() + FILE_LEAD);
        let programme = &mut self.channels[at];
        match started {
            Ok(started) => self.subscriptions.extend(started.subscriptions),
            Err(error) => return programme.fail(&Answer::Unavailable(error.to_string())),
        }
        for made in &mut prepared.scenes {
            made.preroll(clock.now(), |_| false);
        }
        let costs = programme.costs();
        if let Some(changes) = prepared.into_changes((next, replaces), clock, &costs) {
            programme.send(changes, Vec::new(), Vec::new());
        }
    }
}

impl ChannelScenes {
    /// What the layers on the air cost so far.
    fn costs(&self) -> Vec<Arc<LayerCost>> {
        self.ends.as_ref().map(|ends| ends.stats.layer_costs()).unwrap_or_default()
    }

    /// Sends what the job has come to to the composer.
    pub(super) fn send(
        &mut self,
        changes: Changes,
        made: Vec<Result<Edited, Vec<String>>>,
        faults: Vec<scene::Error>,
    ) {
        let Changes { change, natives, layers, files, bound } = changes;
        let (ticket, at) = self.job.as_ref().map_or((0, StartAt::Now), |job| (job.ticket, job.at));
        let change = SceneChange { ticket, change, natives, at };
        let sent = self.ends.as_mut().is_some_and(|ends| ends.changes.push(change).is_ok());
        match &mut self.job {
            Some(job) if sent => {
                (job.made, job.faults, job.sent) = (made, faults, true);
                (job.layers, job.files, job.bound) = (layers, files, Some(bound));
            }
            _ => self.fail(&stopped(&self.name)),
        }
    }
}
