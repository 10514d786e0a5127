//! Polling of what scenes on the air are made of: whether files that could not be shown can be, and
//! whether others have changed, or what texts are bound to.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::asset_files::FileStamps;
use super::library::OnAir;
use super::load::{self, Loaded};
use super::{LoadReport, Scenes};
use crate::command::{Answer, Ask};
use crate::config::checked_name;
use crate::control::handle::{Reply, say};
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

    /// Answers what is about documents that are pushed; gives back all else.
    pub(super) fn ask_about_data(&mut self, ask: Ask, reply: Reply) -> Option<(Ask, Reply)> {
        let answer = match ask {
            Ask::PutData { name, document } => self.put_data(name, document),
            Ask::Data { name } => self.data(name.as_deref()),
            other => return Some((other, reply)),
        };
        say(reply, answer);
        None
    }

    /// Takes a document that texts are bound to, or forgets it.
    fn put_data(&mut self, name: String, document: Option<Value>) -> Answer {
        let pushed = checked_name(&name);
        let pushed = pushed.and_then(|_| self.loader.data.push(&name, document.clone()));
        if let Err(fault) = pushed {
            return Answer::Invalid(vec![fault]);
        }
        self.pushed.push((name, document));
        (0..self.channels.len()).for_each(|at| self.compare_data(at));
        Answer::Done
    }

    /// The documents that were pushed, or the one of this name.
    fn data(&self, name: Option<&str>) -> Answer {
        let mut pushed = self.loader.data.pushed(name);
        match name {
            None => Answer::Data(pushed.into_iter().collect()),
            Some(name) => match pushed.remove(name) {
                Some(document) => Answer::Data(document),
                None => Answer::NotFound(format!("no document {name} has been pushed")),
            },
        }
    }

    /// Has the documents fetched that texts of all scenes are bound to, and shows those that have
    /// changed. Whom to trust for HTTPS is in `ca_file`, or the system knows.
    pub(crate) fn fetch_data(&mut self, ca_file: Option<&Path>) {
        let entries = self.channels.iter().flat_map(|it| it.list.iter().chain([&it.overlays]));
        let wanted = entries.flat_map(|entry| entry.scene.http_documents()).collect();
        self.poller.follow(&wanted, ca_file);
        if !wanted.is_empty() {
            (0..self.channels.len()).for_each(|at| self.compare_data(at));
        }
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
