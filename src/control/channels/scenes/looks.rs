//! Looks at the files of scenes on the air: whether those that could not be shown can be, and
//! whether others have changed. Each is on a thread of its own, which may wait for a file as long
//! as it likes.

use super::asset_files::FileStamps;
use super::library::OnAir;
use super::load::{self, Loaded};
use super::{LoadReport, Scenes};
use crate::control::threads::{ThreadPlace, ThreadRole};
use crate::media::Micros;
use crate::stats::CoreRole;

impl Scenes {
    /// Looks, once it is time, whether what could not be shown can be.
    pub(super) fn probe(&mut self, at: usize, now: Micros) {
        let programme = &mut self.channels[at];
        let Some(ticket) = programme.asset_faults.due(now) else { return };
        let Ok(OnAir { scene, .. }) = programme.library().on_air() else { return };
        if !self.spawn_look(at, ticket, move || load::probe(&scene)) {
            self.channels[at].asset_faults.put_off(now);
        }
    }

    /// Looks, once it is time, whether files have changed.
    pub(super) fn look_at_files(&mut self, at: usize, now: Micros) {
        let Some((round, paths)) = self.channels[at].files.due(now) else { return };
        if !self.spawn_look(at, round, || Loaded::Files(FileStamps::read(paths))) {
            self.channels[at].files.put_off(now);
        }
    }

    /// Has a thread tell what `look` finds; whether there is one.
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
        let place = ThreadPlace::below("scene", &self.cpus);
        let spawned = self.threads.spawn(role, place, None, look);
        if let Err(error) = &spawned {
            tracing::warn!("channel {}: no thread to look at files: {error}", programme.name);
        }
        spawned.is_ok()
    }
}
