//! Looking after the scenes on the air: whether files that could not be shown can be, and whether
//! what texts are bound to has changed.

use std::sync::Arc;

use serde_json::Value;

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
    /// Looks, once it is time, whether what could not be shown can be: on a thread of its own,
    /// which may wait for a file as long as it likes.
    pub(super) fn probe(&mut self, at: usize, now: Micros) {
        let programme = &mut self.channels[at];
        let Some(ticket) = programme.asset_faults.due(now) else { return };
        let Ok(OnAir { scene, .. }) = programme.library().on_air() else { return };
        let (id, news, data) = (programme.id, self.news.clone(), Arc::clone(&self.data));
        let look = move || {
            let loaded = load::probe(&scene, &data);
            drop(news.blocking_send(LoadReport { id, ticket, loaded }));
        };
        let role = ThreadRole { role: CoreRole::Loader, of: programme.name.clone() };
        if let Err(error) =
            self.threads.spawn(role, ThreadPlace::below("scene", &self.cpus), None, look)
        {
            tracing::warn!("channel {}: no thread to look at files: {error}", programme.name);
            programme.asset_faults.put_off(now);
        }
    }

    /// Looks, once it is time, whether files have changed that texts of the scene on the air are
    /// bound to: on a thread of its own as well.
    pub(super) fn look_at_data(&mut self, at: usize, now: Micros) {
        let programme = &mut self.channels[at];
        let watch = &mut programme.watch;
        let is_file = |source: &DataSource| matches!(source, DataSource::File(_));
        if watch.looks || now < watch.next || !watch.bound.sources.iter().any(is_file) {
            return;
        }
        (watch.looks, watch.next) = (true, now + LOOK_EVERY);
        let (id, ticket, sources) = (programme.id, 0, watch.bound.sources.clone());
        let (news, data) = (self.news.clone(), Arc::clone(&self.data));
        let look = move || {
            data.look(&sources);
            drop(news.blocking_send(LoadReport { id, ticket, loaded: Loaded::Looked }));
        };
        let role = ThreadRole { role: CoreRole::Loader, of: programme.name.clone() };
        if let Err(error) =
            self.threads.spawn(role, ThreadPlace::below("scene", &self.cpus), None, look)
        {
            tracing::warn!("channel {}: no thread to look at files: {error}", programme.name);
            programme.watch.looks = false;
        }
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
