//! Reports of a playlist's player: what it says of itself while it plays.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::airings::Airing;
use super::{ListPlayer, Phase, PlaylistNews};
use crate::command::{PlaybackState, PlaylistView};
use crate::decode::Entry;
use crate::media::Micros;

impl<T: FnMut(PlaylistNews)> ListPlayer<T> {
    /// No longer than until the next item is on the air, or what plays is over.
    pub(super) fn until_next(&self, now: Micros, wait: Duration) -> Duration {
        let join = match self.phase {
            Phase::Waiting { join, .. } => join,
            _ => None,
        };
        let coming = self.airings.coming().map(|airing| airing.at);
        let times = [join, coming].into_iter().flatten().filter(|at| *at > now);
        times.map(|at| Duration::from(at.since(now))).fold(wait, Duration::min)
    }

    pub(super) fn position(&self, now: Micros) -> Micros {
        match self.phase {
            Phase::Paused(position) | Phase::Ended(position) => position,
            _ => self.airings.position(now, self.file.as_ref().map(|file| file.handed_until())),
        }
    }

    /// Tells how it goes.
    pub(super) fn publish(&mut self, now: Micros) {
        let state = match self.phase {
            Phase::Failed(_) if self.is_failing => PlaybackState::Failed,
            Phase::Failed(_) => PlaybackState::Opening,
            Phase::Waiting { plays: true, .. } if self.airings.now().is_none() => {
                PlaybackState::Opening
            }
            Phase::Waiting { plays: true, .. } | Phase::Playing => PlaybackState::Playing,
            Phase::Waiting { plays: false, .. } | Phase::Paused(_) => PlaybackState::Paused,
            Phase::Ended(_) => PlaybackState::Ended,
        };
        let duration = self.airings.now().and_then(|airing| airing.duration);
        self.end.playback.status.set(state, self.position(now), duration);
        if std::mem::take(&mut self.is_changed) {
            let view = Arc::new(self.view());
            *self.end.view.lock().unwrap_or_else(PoisonError::into_inner) = view;
        }
    }

    fn view(&self) -> PlaylistView {
        let is_on = !matches!(self.phase, Phase::Ended(_) | Phase::Failed(_));
        let now = self.airings.now().filter(|_| is_on);
        let goes_on = matches!(self.phase, Phase::Playing | Phase::Waiting { plays: true, .. });
        let next = match self.airings.coming() {
            Some(airing) => Some((&airing.entry, Some(airing.at))),
            None if self.next.is_sought() => None,
            None => self
                .next
                .entry()
                .map(|entry| (entry, now.filter(|_| goes_on).and_then(Airing::expected_end))),
        };
        let place = |entry: &Entry| self.order.place_of(entry.id);
        PlaylistView {
            now: now.map(|it| (place(&it.entry), it.entry.item.clone(), it.at)),
            next: next.map(|(entry, at)| (place(entry), entry.item.clone(), at)),
            items: self.order.entries().iter().map(|entry| entry.item.clone()).collect(),
        }
    }
}
