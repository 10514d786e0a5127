//! Looks at the scenes on the air: whether files that could not be shown can be, and whether others
//! have changed, or what texts are bound to.

use std::sync::Arc;

use serde_json::Value;

use super::asset_files::FileStamps;
use super::library::OnAir;
use super::load::{self, Loaded};
use super::{LoadReport, Scenes};
use crate::command::Answer;
use crate::config::checked_name;
use crate::control::threads::{ThreadPlace, ThreadRole};
use crate::media::Micros;
use crate::scene::DataSource;
use crate::stats::CoreRole;

/// How often files are looked at that texts are bound to.
const LOOK_EVERY: Micros = Micros::from_millis(500);

impl Scenes {
    /// Looks, once it is time, whether what could not be shown can be.
    pub(super) fn probe(&mut self, at: usize, now: Micros) {
        let programme = &mut self.channels[at];
        let Some(ticket) = programme.asset_faults.due(now) else { return };
        let Ok(OnAir { scene, .. }) = programme.library().on_air() else { return };
        let data = Arc::clone(&self.data);
        if !self.spawn_look(at, ticket, move || load::probe(&scene, &data)) {
            self.channels[at].asset_faults.put_off(now);
        }
    }

    /// Looks, once it is time, whether files of the scene on the air have changed.
    pub(super) fn look_at_files(&mut self, at: usize, now: Micros) {
        let Some((round, paths)) = self.channels[at].files.due(now) else { return };
        if !self.spawn_look(at, round, || Loaded::Files(FileStamps::read(paths))) {
            self.channels[at].files.put_off(now);
        }
    }

    /// Looks, once it is time, whether files have changed that texts of the scene on the air are
    /// bound to.
    pub(super) fn look_at_data(&mut self, at: usize, now: Micros) {
        let watch = &mut self.channels[at].watch;
        let is_file = |source: &DataSource| matches!(source, DataSource::File(_));
        if watch.looks || now < watch.next || !watch.bound.sources.iter().any(is_file) {
            return;
        }
        watch.next = now + LOOK_EVERY;
        let (sources, data) = (watch.bound.sources.clone(), Arc::clone(&self.data));
        let look = move || {
            data.look(&sources);
            Loaded::Looked
        };
        self.channels[at].watch.looks = self.spawn_look(at, 0, look);
    }

    /// Has a thread of its own, which may wait for a file as long as it likes, tell what `look`
    /// finds; whether there is one.
    fn spawn_look(
        &self,
        at: usize,
        ticket: u64,
        look: impl FnOnce() -> Loaded + Send + 'static,
    ) -> bool {
        let programme = &self.channels[at];
        let (id, news) = (programme.id, self.news.clone());
        let look = move || {
            let loaded = look();
            drop(news.blocking_send(LoadReport { id, ticket, loaded }));
        };
        let role = ThreadRole { role: CoreRole::Loader, of: programme.name.clone() };
        let place = ThreadPlace::below("scene", &self.decoders.cpus);
        let spawned = self.decoders.threads.spawn(role, place, None, look);
        if let Err(error) = &spawned {
            tracing::warn!("channel {}: no thread to look at files: {error}", programme.name);
        }
        spawned.is_ok()
    }

    /// Takes a document that texts are bound to, or forgets it.
    pub(super) fn put_data(&mut self, name: &str, document: Option<Value>) -> Answer {
        if let Err(fault) = checked_name(name) {
            return Answer::Invalid(vec![fault]);
        }
        if let Err(fault) = self.data.push(name, document) {
            return Answer::Invalid(vec![fault]);
        }
        (0..self.channels.len()).for_each(|at| self.compare_data(at));
        Answer::Done
    }

    /// Loads the scene on the air anew if what its texts are bound to has changed.
    pub(super) fn compare_data(&mut self, at: usize) {
        let watch = &mut self.channels[at].watch;
        let version = self.data.version_of(&watch.bound.sources);
        if version != watch.bound.version {
            (watch.bound.version, watch.reload) = (version, true);
            self.go_on(at);
        }
    }
}
