//! Orders to a playlist's player: what each of them does to it.

use super::{ListPlayer, Next, Phase, PlaylistNews};
use crate::command::{ItemCommand, PlaybackCommand};
use crate::decode::Entry;
use crate::media::Micros;
use crate::pipeline::decode::DecodeOut;
use crate::pipeline::playback::LEAD;

impl<T: FnMut(PlaylistNews)> ListPlayer<T> {
    pub(super) fn obey(&mut self, command: PlaybackCommand, now: Micros, out: &DecodeOut) {
        self.is_changed = true;
        match command {
            PlaybackCommand::Play => self.resume(now),
            PlaybackCommand::Pause => self.pause(now, out),
            PlaybackCommand::Restart => {
                if let Some(entry) = self.on_air() {
                    let in_point = entry.item.in_point;
                    self.seek(entry, in_point, true, (now, out));
                }
            }
            PlaybackCommand::Seek(position) => {
                if let Some(entry) = self.on_air() {
                    self.seek(entry, position, self.plays(), (now, out));
                }
            }
            PlaybackCommand::Items(ItemCommand::Next) => {
                self.untake_what_is_not_on_air();
                self.jump((now, out));
            }
            PlaybackCommand::Items(ItemCommand::Previous) => {
                if let Some(entry) = self.on_air() {
                    self.order.go_before(entry.id);
                    self.jump((now, out));
                }
            }
            PlaybackCommand::Items(ItemCommand::Skip(place)) => {
                if self.order.go_to(place) {
                    self.jump((now, out));
                }
            }
            PlaybackCommand::Items(ItemCommand::Insert { place, item }) => {
                // Control has looked at the place; if items have gone since, it is the last one.
                let place = place.filter(|place| *place <= self.order.entries().len());
                if self.order.insert(place, item).is_ok() {
                    self.order_changed();
                }
            }
            PlaybackCommand::Items(ItemCommand::Remove(place)) => {
                if self.order.remove(place).is_ok() {
                    self.order_changed();
                }
            }
        }
    }

    /// The item that is seen or heard.
    fn on_air(&self) -> Option<Entry> {
        self.airings.now().map(|airing| airing.entry.clone())
    }

    const fn plays(&self) -> bool {
        !matches!(self.phase, Phase::Waiting { plays: false, .. } | Phase::Paused(_))
    }

    fn resume(&mut self, now: Micros) {
        match self.phase {
            Phase::Paused(position) => {
                let at = now + LEAD;
                if let (Some(entry), Some(mut file)) = (self.on_air(), self.file.take()) {
                    file.start_at(at);
                    let airing = super::Airing {
                        entry,
                        at,
                        from: position,
                        until: None,
                        duration: file.duration(),
                        has_pictures: file.has_pictures(),
                        begins: false,
                    };
                    self.airings.push(airing);
                    self.file = Some(file);
                }
                self.phase = Phase::Playing;
            }
            Phase::Waiting { plays: false, join } => {
                self.phase = Phase::Waiting { plays: true, join };
            }
            Phase::Ended(_) => {
                self.order.go_to(0);
                self.again();
            }
            Phase::Waiting { .. } | Phase::Playing | Phase::Failed(_) => {}
        }
    }

    fn pause(&mut self, now: Micros, out: &DecodeOut) {
        match (self.phase, self.on_air()) {
            // It is on its way to an item, and stays at the first picture of that.
            (Phase::Waiting { join: None, .. }, _) => {
                self.phase = Phase::Waiting { plays: false, join: None };
            }
            (Phase::Playing | Phase::Waiting { plays: true, .. }, Some(entry)) => {
                self.seek(entry, self.position(now), false, (now, out));
            }
            (Phase::Waiting { join, .. }, None) => {
                self.phase = Phase::Waiting { plays: false, join };
            }
            _ => {}
        }
    }

    /// Goes to a position of an item, and to what follows it then.
    fn seek(
        &mut self,
        entry: Entry,
        position: Micros,
        plays: bool,
        (now, out): (Micros, &DecodeOut),
    ) {
        // What is handed on already and not on the air comes again.
        self.untake_what_is_not_on_air();
        self.cut(now, out);
        self.phase = Phase::Waiting { plays, join: None };
        self.next = Next::Asked { entry, position: Some(position), is_sent: false };
    }

    /// Goes to what the order has next.
    fn jump(&mut self, (now, out): (Micros, &DecodeOut)) {
        let plays = self.plays();
        self.cut(now, out);
        self.again();
        self.phase = Phase::Waiting { plays, join: None };
    }

    /// What was decoded is not seen or heard any more, and nothing that was asked for comes.
    fn cut(&mut self, now: Micros, out: &DecodeOut) {
        out.revoke();
        self.airings.cut(now);
        self.end.opener.forget();
        (self.file, self.failures) = (None, 0);
    }

    /// Has the order go on with what follows the item that is on the air.
    fn untake_what_is_not_on_air(&mut self) {
        let coming = self.airings.coming().map(|airing| airing.entry.id);
        let place = coming.and_then(|id| self.order.place_of(id));
        match place {
            Some(place) => drop(self.order.go_to(place)),
            None => self.order.untake(),
        }
    }

    /// What comes next may be another item now.
    fn order_changed(&mut self) {
        self.failures = 0;
        if let Phase::Failed(_) = self.phase {
            return self.again();
        }
        if self.next.is_sought() {
            return;
        }
        let Some(asked) = self.next.entry().map(|entry| entry.id) else {
            self.next = Next::Unasked;
            return;
        };
        if self.order.take().is_none_or(|entry| entry.id != asked) {
            self.order.untake();
            self.end.opener.forget();
            self.next = Next::Unasked;
        }
    }
}
