//! Playlist player on its decoder's thread: one file after the other without a gap, as it is told.
//! The next file is opened and decoded as far as it is seen first while another plays.

mod airings;
mod opener;
mod orders;
mod reports;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use self::airings::{Airing, Airings};
pub use self::opener::{Opener, OpenerEnd, open_items, opener_ends};
use super::decode::{DecodeOut, FULL, FileNews, IDLE, Retry};
use super::playback::{Endless, LEAD, PlaybackEnd, PlaybackRemote, playback_ends};
use crate::command::PlaylistView;
use crate::decode::{DecodeSink, Entry, Error, File, Refused, RunningOrder, Step, list};
use crate::frame::PictureEvent;
use crate::media::{Micros, Playlist};
use crate::ring::Bell;
use crate::runtime::Clock;

/// Items that are told as skipped once, until they are played. Beyond that they are told again.
const TOLD_MAX: usize = 1_000;

/// What becomes of a playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaylistNews {
    /// The same as of a file: it cannot be played, is played again, or is over.
    File(FileNews),
    /// An item begins.
    ItemStarted {
        /// Its place in this round, unless it was taken out meanwhile.
        index: Option<usize>,
        /// Its file.
        file: String,
    },
    /// An item cannot be played: the next one takes its place.
    ItemSkipped {
        /// Its file, or where it is named.
        file: String,
        /// Why, and what to do.
        reason: String,
    },
}

/// What control reads of a playlist: what was told last.
#[expect(clippy::disallowed_types, reason = "held for a moment, by control and a decoder")]
type Told = std::sync::Mutex<Arc<PlaylistView>>;

/// Control's end of a playlist's player.
#[derive(Debug)]
pub struct PlaylistRemote {
    /// The way of commands, and how the file is that plays.
    pub playback: PlaybackRemote,
    view: Arc<Told>,
}

impl PlaylistRemote {
    /// Which items it plays.
    #[must_use]
    pub fn view(&self) -> Arc<PlaylistView> {
        Arc::clone(&self.view.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The player's end.
#[derive(Debug)]
pub struct PlaylistEnd {
    playback: PlaybackEnd,
    view: Arc<Told>,
    opener: Opener,
    bell: Arc<Bell>,
}

/// The ends of a player, whose thread listens to `bell`, and of its opener.
#[must_use]
pub fn playlist_ends(bell: &Arc<Bell>) -> (PlaylistRemote, PlaylistEnd, OpenerEnd) {
    let (remote, playback) = playback_ends(bell);
    let (opener, opener_end) = opener_ends(bell);
    let view: Arc<Told> = Arc::default();
    let remote = PlaylistRemote { playback: remote, view: Arc::clone(&view) };
    let bell = Arc::clone(bell);
    (remote, PlaylistEnd { playback, view, opener, bell }, opener_end)
}

/// Plays a playlist as it is told until its readers are gone; the first picture is due at `start`
/// at the earliest. Its files are opened by [`open_items`].
pub fn play_list(
    (playlist, start): (Playlist, Micros),
    end: PlaylistEnd,
    mut out: DecodeOut,
    clock: Clock,
    tell: impl FnMut(PlaylistNews),
) {
    let bell = Arc::clone(&end.bell);
    let mut player = ListPlayer::new(playlist, start, end, tell);
    while !out.is_closed() {
        if let Some(wait) = player.step(clock.now(), &mut out) {
            let limit = if out.settle() { wait } else { wait.min(FULL) };
            bell.park(limit, || player.has_news());
        }
    }
}

/// What a player does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It waits for its next item, which is due at `join`, if something goes before it.
    Waiting {
        plays: bool,
        join: Option<Micros>,
    },
    Playing,
    /// It stays here.
    Paused(Micros),
    /// The last item was over here.
    Ended(Micros),
    /// Nothing can be played; the files are looked for again then.
    Failed(Micros),
}

/// An item that is open.
#[derive(Debug)]
struct Cue {
    entry: Entry,
    /// Where it begins, if that was asked for.
    position: Option<Micros>,
    file: Box<File>,
}

/// The item that comes next.
#[derive(Debug)]
enum Next {
    Unasked,
    /// It is to be opened, at this position if that was asked for; whether its opener knows.
    Asked {
        entry: Entry,
        position: Option<Micros>,
        is_sent: bool,
    },
    /// It is decoded as far as it is seen first.
    Cued(Cue),
    /// None comes.
    Over,
}

impl Next {
    fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Asked { entry, .. } | Self::Cued(Cue { entry, .. }) => Some(entry),
            Self::Unasked | Self::Over => None,
        }
    }

    /// Whether it was asked for by its position, and not because it is next.
    const fn is_sought(&self) -> bool {
        matches!(
            self,
            Self::Asked { position: Some(_), .. } | Self::Cued(Cue { position: Some(_), .. })
        )
    }
}

/// A playlist that is played as it is told.
struct ListPlayer<T> {
    playlist: Playlist,
    start: Micros,
    end: PlaylistEnd,
    tell: T,
    order: RunningOrder,
    phase: Phase,
    /// What is decoded.
    file: Option<Box<File>>,
    next: Next,
    airings: Airings,
    /// Items in a row that could not be played, and why the last one could not.
    failures: usize,
    reason: String,
    /// Items that were told as skipped.
    told: Vec<u64>,
    retry: Retry,
    is_failing: bool,
    /// Whether what was told of the items is old.
    is_changed: bool,
}

impl<T: FnMut(PlaylistNews)> ListPlayer<T> {
    fn new(playlist: Playlist, start: Micros, end: PlaylistEnd, tell: T) -> Self {
        Self {
            playlist,
            start,
            end,
            tell,
            order: RunningOrder::new(Vec::new(), false, None),
            phase: Phase::Failed(Micros(0)),
            file: None,
            next: Next::Unasked,
            airings: Airings::default(),
            failures: 0,
            reason: String::new(),
            told: Vec::new(),
            retry: Retry::default(),
            is_failing: false,
            is_changed: true,
        }
    }

    /// Whether somebody has told it something.
    fn has_news(&self) -> bool {
        !self.end.playback.commands.is_empty() || self.end.opener.has_news()
    }

    /// Does what it is told, and hands on at most one picture or one block of audio. How long to
    /// wait then, if there is nothing to do.
    fn step(&mut self, now: Micros, out: &mut DecodeOut) -> Option<Duration> {
        while let Some(command) = self.end.playback.commands.pop() {
            self.obey(command, now, out);
        }
        self.ask();
        let wait = match self.phase {
            Phase::Playing => self.play(out),
            Phase::Waiting { plays, join } => self.go_on(plays, join, now, out),
            Phase::Failed(until) if until <= now => {
                self.look_again(now, out);
                None
            }
            Phase::Failed(until) => Some(Duration::from(until.since(now)).min(IDLE)),
            Phase::Paused(_) | Phase::Ended(_) => Some(IDLE),
        };
        let wait = wait.map(|wait| self.until_next(now, wait));
        self.air(now, out);
        self.publish(now);
        wait
    }

    /// Reads the playlist and begins with it.
    fn look_again(&mut self, now: Micros, out: &mut DecodeOut) {
        let listing = match list(&self.playlist) {
            Ok(listing) => listing,
            Err(error) => {
                self.reason = error.to_string();
                return self.fail(now, out);
            }
        };
        for Refused { place, reason } in listing.refused.into_iter().filter(|_| !self.is_failing) {
            (self.tell)(PlaylistNews::ItemSkipped { file: place, reason });
        }
        let seed = self.playlist.seed.map_or(now.0, u64::from);
        let seed = self.playlist.shuffle.then_some(seed);
        self.order = RunningOrder::new(listing.items, self.playlist.looped, seed);
        self.again();
    }

    /// Begins with what the order has next.
    fn again(&mut self) {
        (self.failures, self.next, self.is_changed) = (0, Next::Unasked, true);
        self.phase = Phase::Waiting { plays: true, join: None };
    }

    /// Nothing can be played now.
    fn fail(&mut self, now: Micros, out: &mut DecodeOut) {
        let retry_in = self.retry.wait();
        self.phase = Phase::Failed(now + retry_in);
        (self.next, self.is_changed) = (Next::Unasked, true);
        self.airings.cut(now);
        out.picture(PictureEvent::Failed);
        if !std::mem::replace(&mut self.is_failing, true) {
            let reason = self.reason.clone();
            (self.tell)(PlaylistNews::File(FileNews::Failed { reason, retry_in }));
        }
    }

    /// Has the next item opened early, and takes it once that is done.
    fn ask(&mut self) {
        let is_wanted = matches!(self.phase, Phase::Waiting { .. } | Phase::Playing);
        if matches!(self.next, Next::Unasked) && is_wanted && self.may_try() {
            let entry = self.order.take();
            self.next = entry.map_or(Next::Over, |entry| Next::Asked {
                entry,
                position: None,
                is_sent: false,
            });
            self.is_changed = true;
        }
        if let Next::Asked { entry, position, is_sent } = &mut self.next
            && !*is_sent
        {
            *is_sent = self.end.opener.request(entry, *position);
            return;
        }
        if !matches!(self.next, Next::Asked { .. }) {
            return;
        }
        let Some(opened) = self.end.opener.opened() else { return };
        let Next::Asked { entry, position, .. } = std::mem::replace(&mut self.next, Next::Unasked)
        else {
            return;
        };
        match opened {
            Ok(file) => self.next = Next::Cued(Cue { entry, position, file: Box::new(file) }),
            Err(error) => self.skip(&entry, &error),
        }
    }

    /// Whether there is an item that has not failed since one could be played.
    fn may_try(&self) -> bool {
        let count = self.order.entries().len();
        count == 0 || self.failures < count
    }

    /// An item cannot be played.
    fn skip(&mut self, entry: &Entry, error: &Error) {
        self.failures += 1;
        self.reason = error.to_string();
        if self.told.contains(&entry.id) {
            return;
        }
        if self.told.len() < TOLD_MAX {
            self.told.push(entry.id);
        }
        let (file, reason) = (entry.item.path.display().to_string(), self.reason.clone());
        (self.tell)(PlaylistNews::ItemSkipped { file, reason });
    }

    fn play(&mut self, out: &mut DecodeOut) -> Option<Duration> {
        if out.is_full() {
            return Some(FULL);
        }
        let Some(file) = &mut self.file else {
            self.phase = Phase::Waiting { plays: true, join: None };
            return None;
        };
        let stepped = file.step(&mut Endless(out));
        if out.handed {
            self.failures = 0;
        }
        let join = match stepped {
            Ok(Step::More) => return None,
            Ok(Step::Full | Step::Ready) => return Some(FULL),
            Ok(Step::Ended) => file.join(),
            Err(error) => {
                let join = file.handed_until();
                if let Some(entry) = self.airings.newest() {
                    self.skip(&entry, &error);
                }
                join
            }
        };
        self.airings.end(join);
        self.file = None;
        self.phase = Phase::Waiting { plays: true, join: Some(join) };
        None
    }

    /// Goes on with the next item, if that is ready.
    fn go_on(
        &mut self,
        plays: bool,
        join: Option<Micros>,
        now: Micros,
        out: &mut DecodeOut,
    ) -> Option<Duration> {
        let is_over = join.is_none_or(|join| join <= now);
        match std::mem::replace(&mut self.next, Next::Unasked) {
            Next::Cued(cue) if plays => {
                let at = join.filter(|join| *join >= now);
                let at = at.unwrap_or_else(|| (now + LEAD).max(self.start));
                self.begin(cue, at);
                out.handed = false;
            }
            Next::Cued(cue) => return self.show(cue, now, out),
            Next::Over if is_over => {
                self.next = Next::Over;
                self.phase = Phase::Ended(self.position(now));
                out.picture(PictureEvent::Ended);
                (self.tell)(PlaylistNews::File(FileNews::Ended));
            }
            Next::Unasked if is_over && !self.may_try() => self.fail(now, out),
            waits => {
                let is_unsent = matches!(waits, Next::Asked { is_sent: false, .. });
                self.next = waits;
                return Some(if is_unsent { FULL } else { IDLE });
            }
        }
        None
    }

    /// Plays an item from this time on.
    fn begin(&mut self, cue: Cue, at: Micros) {
        let Cue { entry, position, mut file } = cue;
        file.start_joined(at);
        self.took_over(entry, position, &file, at);
        self.file = Some(file);
        self.phase = Phase::Playing;
    }

    /// Shows the first picture of an item and stays there.
    fn show(&mut self, cue: Cue, now: Micros, out: &mut DecodeOut) -> Option<Duration> {
        let Cue { entry, position, mut file } = cue;
        file.start_at(now);
        let shown = if file.has_pictures() { file.step(&mut Endless(out)) } else { Ok(Step::More) };
        match shown {
            Ok(Step::Full) => {
                file.wait();
                self.next = Next::Cued(Cue { entry, position, file });
                return Some(FULL);
            }
            Ok(_) => {
                self.phase = Phase::Paused(file.round_start().0);
                self.took_over(entry, position, &file, now);
                self.file = Some(file);
            }
            Err(error) => self.skip(&entry, &error),
        }
        None
    }

    /// This item is handed on from now on.
    fn took_over(&mut self, entry: Entry, position: Option<Micros>, file: &File, at: Micros) {
        if position.is_none() {
            self.order.begun();
        }
        let begins = position.is_none();
        let (has_pictures, duration) = (file.has_pictures(), file.duration());
        let from = file.round_start().0;
        let until = None;
        let airing = Airing { entry, at, from, until, duration, has_pictures, begins };
        self.airings.push(airing);
        (self.next, self.is_changed) = (Next::Unasked, true);
    }

    /// Tells of what has come on the air.
    fn air(&mut self, now: Micros, out: &mut DecodeOut) {
        while let Some(airing) = self.airings.begun(now) {
            let (entry, begins) = (airing.entry.clone(), airing.begins);
            if !airing.has_pictures && out.has_pictures() {
                // What was seen before has nothing to do with what is heard now.
                out.picture(PictureEvent::Ended);
            }
            self.is_changed = true;
            self.told.retain(|id| *id != entry.id);
            self.retry.reset();
            if std::mem::take(&mut self.is_failing) {
                (self.tell)(PlaylistNews::File(FileNews::Restored));
            }
            if begins {
                let index = self.order.place_of(entry.id);
                let file = entry.item.path.display().to_string();
                (self.tell)(PlaylistNews::ItemStarted { index, file });
            }
        }
    }
}

#[cfg(test)]
mod tests;
