//! Polling of what scenes on the air are made of: whether files that could not be shown can be, and
//! whether others have changed, or what texts are bound to.

use std::sync::Arc;

use serde_json::Value;

use super::asset_files::FileStamps;
use super::library::OnAir;
use super::load::{self, Loaded};
use super::{LoadReport, Scenes};
use crate::command::Answer;
use crate::config::checked_name;
use crate::media::Micros;
use crate::scene::DataSource;

impl Scenes {
    /// Looks, once it is time, whether what could not be shown can be.
    pub(super) fn probe(&mut self, at: usize, now: Micros) {
        let programme = &mut self.channels[at];
        let Some(ticket) = programme.asset_faults.due(now) else { return };
        let Ok(OnAir { scene, .. }) = programme.library().on_air() else { return };
        let loader = Arc::clone(&self.loader);
        if !self.spawn_look(at, ticket, move || load::probe(&scene, &loader)) {
            self.channels[at].asset_faults.put_off(now);
        }
    }

    /// Looks, once it is time, whether files of the scene on the air have changed, and reads those
    /// that its texts are bound to.
    pub(super) fn look_at_files(&mut self, at: usize, now: Micros) {
        let programme = &mut self.channels[at];
        let is_file = |source: &&DataSource| matches!(source, DataSource::File(_));
        let bound: Vec<_> = programme.bound.sources.iter().filter(is_file).cloned().collect();
        let Some((round, paths)) = programme.files.due(now, !bound.is_empty()) else { return };
        let loader = Arc::clone(&self.loader);
        let look = move || {
            loader.data.look(&bound);
            Loaded::Files(FileStamps::read(paths))
        };
        if !self.spawn_look(at, round, look) {
            self.channels[at].files.put_off(now);
        }
    }

    /// Has a thread of its own, which may wait for a file as long as it likes, tell what `look`
    /// finds; whether there is one.
    fn spawn_look(
        &self,
        at: usize,
        ticket: u64,
        look: impl FnOnce() -> Loaded + Send + 'static,
    ) -> bool {
        let (id, news) = (self.channels[at].id, self.news.clone());
        let spawned = self.spawn(at, "scene", move || {
            let loaded = look();
            drop(news.blocking_send(LoadReport { id, ticket, loaded }));
        });
        if let Err(error) = &spawned {
            let channel = &self.channels[at].name;
            tracing::warn!("channel {channel}: no thread to look at files: {error}");
        }
        spawned.is_ok()
    }

    /// Takes a document that texts are bound to, or forgets it.
    pub(super) fn put_data(&mut self, name: &str, document: Option<Value>) -> Answer {
        if let Err(fault) = checked_name(name) {
            return Answer::Invalid(vec![fault]);
        }
        if let Err(fault) = self.loader.data.push(name, document) {
            return Answer::Invalid(vec![fault]);
        }
        (0..self.channels.len()).for_each(|at| self.compare_data(at));
        Answer::Done
    }

    /// Loads the scene on the air anew if what its texts are bound to has changed, or anything else
    /// of it.
    pub(super) fn compare_data(&mut self, at: usize) {
        let programme = &mut self.channels[at];
        let version = self.loader.data.version_of(&programme.bound.sources);
        if version != programme.bound.version {
            (programme.bound.version, programme.is_rebound) = (version, true);
        }
        self.go_on(at);
    }
}
