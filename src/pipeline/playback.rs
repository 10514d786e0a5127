//! Playback of a video file on its decoder's thread: it plays, pauses and goes to other positions
//! as it is told, and is opened again when the file changes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::decode::{DecodeOut, FULL, FileNews, IDLE, Retry, file};
use crate::command::{PlaybackCommand, PlaybackState};
use crate::decode::{DecodeSink, Error, File, Step};
use crate::frame::{AudioBlock, PictureEvent};
use crate::media::Micros;
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::runtime::Clock;
use crate::scene::FileStamp;

/// Commands that may wait for a player.
const COMMANDS_MAX: usize = 8;

/// From the moment that the first picture is decoded to its showing: what follows gets ahead
/// meanwhile.
pub(super) const LEAD: Micros = Micros::from_millis(40);

/// How often a file is looked at. A change counts once two looks have found the same: whoever
/// writes a file has finished then.
const LOOK_EVERY: Micros = Micros::from_millis(500);

/// Rounds of a short file that are decoded ahead and remembered.
const ROUNDS_MAX: usize = 64;

/// A duration that is not known.
const UNKNOWN: u64 = u64::MAX;

/// What a player tells of itself while it runs.
#[derive(Debug)]
pub(super) struct Status {
    /// Place in [`PlaybackState::WORDS`].
    state: AtomicU8,
    /// Microseconds of the file.
    position: AtomicU64,
    duration: AtomicU64,
}

/// Control's end of a player.
#[derive(Debug)]
pub struct PlaybackRemote {
    commands: Sender<PlaybackCommand>,
    status: Arc<Status>,
}

/// The player's end.
#[derive(Debug)]
pub struct PlaybackEnd {
    pub(super) commands: Receiver<PlaybackCommand>,
    pub(super) status: Arc<Status>,
}

/// Both ends of a player, whose thread listens to `bell`.
#[must_use]
pub fn playback_ends(bell: &Arc<Bell>) -> (PlaybackRemote, PlaybackEnd) {
    let (sender, commands) = channel(COMMANDS_MAX, Arc::clone(bell));
    let (state, position) = (AtomicU8::new(0), AtomicU64::new(0));
    let status = Arc::new(Status { state, position, duration: AtomicU64::new(UNKNOWN) });
    let remote = PlaybackRemote { commands: sender, status: Arc::clone(&status) };
    (remote, PlaybackEnd { commands, status })
}

impl PlaybackRemote {
    /// Has the player do something. Whether there was room for the command.
    pub fn send(&mut self, command: PlaybackCommand) -> bool {
        self.commands.push(command).is_ok()
    }

    /// Whether the player is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.commands.is_closed()
    }

    /// What it does, where in the file it is, and how long that is, if it says so.
    #[must_use]
    pub fn status(&self) -> (PlaybackState, Micros, Option<Micros>) {
        let state = usize::from(self.status.state.load(Ordering::Relaxed));
        let state = PlaybackState::WORDS.get(state).map_or(PlaybackState::Opening, |it| it.1);
        let duration = self.status.duration.load(Ordering::Relaxed);
        let position = Micros(self.status.position.load(Ordering::Relaxed));
        (state, position, (duration != UNKNOWN).then_some(Micros(duration)))
    }
}

impl Status {
    fn set_state(&self, state: PlaybackState) {
        let at = PlaybackState::WORDS.iter().position(|(_, it)| *it == state);
        self.state.store(at.and_then(|at| u8::try_from(at).ok()).unwrap_or(0), Ordering::Relaxed);
    }

    /// Tells what it does, where it is, and how long the file is.
    pub(super) fn set(&self, state: PlaybackState, position: Micros, duration: Option<Micros>) {
        self.set_state(state);
        self.position.store(position.0, Ordering::Relaxed);
        self.duration.store(duration.map_or(UNKNOWN, |it| it.0), Ordering::Relaxed);
    }
}

/// Which file is played, and from when on.
#[derive(Clone, Debug)]
pub struct PlaybackSpec {
    /// The file, as it is looked at for changes.
    pub path: PathBuf,
    /// Where in it playing begins.
    pub in_point: Micros,
    /// When its first picture is due at the earliest, on the node's clock.
    pub start: Micros,
}

/// Plays a file as it is told until its readers are gone. `open` opens it, here and whenever it
/// cannot be played or has changed.
#[expect(clippy::too_many_arguments, reason = "each is a part of its thread")]
pub fn play_file(
    open: impl FnMut() -> Result<File, Error>,
    spec: PlaybackSpec,
    end: PlaybackEnd,
    bell: &Arc<Bell>,
    out: DecodeOut,
    clock: Clock,
    tell: impl FnMut(FileNews),
) {
    let status = Arc::clone(&end.status);
    let controls = RefCell::new(Controls::new(open, spec, end, tell));
    let controls = &controls;
    let open = || {
        let file = controls.borrow_mut().open_first()?;
        let mut player = Player::new(file);
        Ok(move |out: &mut DecodeOut| {
            let controls = &mut *controls.borrow_mut();
            let step = player.step(clock.now(), out, controls)?;
            if step == Step::Ready {
                let limit = if out.settle() { IDLE } else { FULL };
                bell.park(limit, || !controls.end.commands.is_empty());
                return Ok(Step::More);
            }
            Ok(step)
        })
    };
    file(open, bell, out, Retry::default(), |news| {
        if matches!(news, FileNews::Failed { .. }) {
            status.set_state(PlaybackState::Failed);
        }
        (controls.borrow_mut().tell)(news);
    });
}

/// What a player has to do with others: who commands it, whom it tells, and its file.
struct Controls<O, T> {
    open: O,
    tell: T,
    spec: PlaybackSpec,
    end: PlaybackEnd,
    /// The file that is played as it was before it was opened, and as the last look has found it.
    opened: Option<FileStamp>,
    seen: Option<FileStamp>,
    /// When it is looked at next.
    next_look: Micros,
    /// What has taken its place and cannot be played, and when that is tried again.
    refused: Option<(Option<FileStamp>, Micros)>,
    retry: Retry,
}

impl<O: FnMut() -> Result<File, Error>, T: FnMut(FileNews)> Controls<O, T> {
    fn new(open: O, spec: PlaybackSpec, end: PlaybackEnd, tell: T) -> Self {
        Self {
            open,
            tell,
            spec,
            end,
            opened: None,
            seen: None,
            next_look: Micros(0),
            refused: None,
            retry: Retry::default(),
        }
    }

    /// Opens the file that is played first, or after it could not be played.
    fn open_first(&mut self) -> Result<File, Error> {
        self.opened = FileStamp::of(&self.spec.path);
        (self.seen, self.refused) = (self.opened, None);
        (self.open)()
    }

    /// Another file that is in the place of the one that is played, and its stamp.
    fn replacement(&mut self, now: Micros) -> Option<(File, Option<FileStamp>)> {
        if now < self.next_look {
            return None;
        }
        self.next_look = now + LOOK_EVERY;
        let found = FileStamp::of(&self.spec.path);
        let is_settled = std::mem::replace(&mut self.seen, found) == found;
        let waits = self.refused.is_some_and(|(file, until)| file == found && now < until);
        if !is_settled || found == self.opened || waits {
            return None;
        }
        match (self.open)() {
            Ok(file) => Some((file, found)),
            Err(error) => {
                self.refuse(found, &error, now);
                None
            }
        }
    }

    /// What is in the place of the file cannot be played: the file goes on.
    fn refuse(&mut self, stamp: Option<FileStamp>, error: &Error, now: Micros) {
        let retry_in = self.retry.wait();
        if self.refused.replace((stamp, now + retry_in)).is_none() {
            (self.tell)(FileNews::Failed { reason: error.to_string(), retry_in });
        }
    }

    /// A file with this stamp is played from now on.
    fn accept(&mut self, stamp: Option<FileStamp>) {
        self.opened = stamp;
        self.retry.reset();
        if self.refused.take().is_some() {
            (self.tell)(FileNews::Restored);
        }
    }
}

/// What a player does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It decodes up to what is seen first.
    Cueing {
        plays: bool,
    },
    Playing,
    /// All has been handed on, and is over at this time.
    Ending(Micros),
    /// It stays here.
    Paused(Micros),
    /// It was over here.
    Ended(Micros),
}

/// A file that is played as it is told.
struct Player {
    file: File,
    phase: Phase,
    /// Whether it is told as a beginning once it plays.
    begins: bool,
    /// When rounds began or begin, and where in the file.
    rounds: VecDeque<(Micros, Micros)>,
    /// What takes the place of the file once it is cued.
    next: Option<(File, Option<FileStamp>)>,
}

impl Player {
    fn new(mut file: File) -> Self {
        file.wait();
        let (phase, rounds) = (Phase::Cueing { plays: true }, VecDeque::new());
        Self { file, phase, begins: true, rounds, next: None }
    }

    /// Does what it is told, and hands on at most one picture or one block of audio.
    /// [`Step::Ready`] if there is nothing to do until the next command.
    fn step<O: FnMut() -> Result<File, Error>, T: FnMut(FileNews)>(
        &mut self,
        now: Micros,
        out: &mut DecodeOut,
        controls: &mut Controls<O, T>,
    ) -> Result<Step, Error> {
        while let Some(command) = controls.end.commands.pop() {
            self.obey(command, now, out, controls.spec.in_point)?;
        }
        if self.next.is_none() {
            self.next = controls.replacement(now);
        }
        self.replace(now, out, controls);
        let step = match self.phase {
            Phase::Cueing { plays } => self.cue(plays, now, out, controls.spec.start)?,
            Phase::Playing if out.is_full() => Step::Full,
            Phase::Playing => {
                let step = self.file.step(&mut Endless(out))?;
                if step == Step::Ended {
                    self.phase = Phase::Ending(self.file.handed_until());
                }
                step
            }
            Phase::Ending(at) if now < at => Step::Full,
            Phase::Ending(_) => {
                self.phase = Phase::Ended(self.position(now));
                out.picture(PictureEvent::Ended);
                (controls.tell)(FileNews::Ended);
                Step::More
            }
            Phase::Paused(_) | Phase::Ended(_) => Step::Ready,
        };
        if self.phase == Phase::Playing && std::mem::take(&mut self.begins) {
            (controls.tell)(FileNews::Started);
        }
        self.publish(now, &controls.end.status);
        Ok(if step == Step::Ended { Step::More } else { step })
    }

    fn obey(
        &mut self,
        command: PlaybackCommand,
        now: Micros,
        out: &DecodeOut,
        in_point: Micros,
    ) -> Result<(), Error> {
        let plays =
            matches!(self.phase, Phase::Cueing { plays: true } | Phase::Playing | Phase::Ending(_));
        match (command, self.phase) {
            (PlaybackCommand::Play, Phase::Paused(_)) => self.start(now + LEAD),
            (PlaybackCommand::Play, Phase::Ended(_)) | (PlaybackCommand::Restart, _) => {
                self.begins = true;
                self.go_to(in_point, true, out)?;
            }
            (PlaybackCommand::Play, Phase::Cueing { .. }) => {
                self.phase = Phase::Cueing { plays: true };
            }
            (PlaybackCommand::Pause, Phase::Cueing { .. }) => {
                self.phase = Phase::Cueing { plays: false };
            }
            (PlaybackCommand::Pause, Phase::Playing | Phase::Ending(_)) => {
                self.go_to(self.position(now), false, out)?;
            }
            (PlaybackCommand::Seek(position), _) => self.go_to(position, plays, out)?,
            (PlaybackCommand::Play | PlaybackCommand::Pause | PlaybackCommand::Items(_), _) => {}
        }
        Ok(())
    }

    /// Goes to a position of the file. What was decoded of others is not seen or heard any more.
    fn go_to(&mut self, position: Micros, plays: bool, out: &DecodeOut) -> Result<(), Error> {
        out.revoke();
        self.phase = Phase::Cueing { plays };
        self.file.seek(position)
    }

    /// Plays on from what is decoded, which is seen at this time.
    fn start(&mut self, at: Micros) {
        self.file.start_at(at);
        self.rounds.clear();
        self.phase = Phase::Playing;
    }

    /// Decodes up to what is seen first, and goes on from there once that is done.
    fn cue(
        &mut self,
        plays: bool,
        now: Micros,
        out: &mut DecodeOut,
        start: Micros,
    ) -> Result<Step, Error> {
        match self.file.step(&mut Endless(out))? {
            Step::Ready if plays => self.start((now + LEAD).max(start)),
            Step::Ready => {
                self.file.start_at(now);
                if self.file.has_pictures() && self.file.step(&mut Endless(out))? == Step::Full {
                    self.file.wait();
                    return Ok(Step::Full);
                }
                self.phase = Phase::Paused(self.file.round_start().0);
            }
            Step::Ended => self.phase = Phase::Ending(now),
            step => return Ok(step),
        }
        Ok(Step::More)
    }

    /// Lets the file that is to take the place of this one do so once it can.
    fn replace<O: FnMut() -> Result<File, Error>, T: FnMut(FileNews)>(
        &mut self,
        now: Micros,
        out: &mut DecodeOut,
        controls: &mut Controls<O, T>,
    ) {
        let plays = matches!(self.phase, Phase::Playing | Phase::Ending(_));
        // What is played is decoded first.
        if plays && !matches!(self.phase, Phase::Ending(_)) && !out.is_full() {
            return;
        }
        let Some((mut next, stamp)) = self.next.take() else { return };
        next.wait();
        let cued = if plays { next.step(&mut Endless(out)) } else { Ok(Step::Ready) };
        match cued {
            Ok(Step::Ready) => {}
            Ok(Step::Ended) => {
                let error = Error::Empty { path: controls.spec.path.clone() };
                return controls.refuse(stamp, &error, now);
            }
            Ok(_) => {
                self.next = Some((next, stamp));
                return;
            }
            Err(error) => return controls.refuse(stamp, &error, now),
        }
        let until = self.file.handed_until();
        self.file = next;
        self.begins = true;
        controls.accept(stamp);
        self.phase = match self.phase {
            Phase::Playing | Phase::Ending(_) => {
                self.file.start_at(until.max(now + LEAD));
                Phase::Playing
            }
            Phase::Paused(_) => Phase::Cueing { plays: false },
            Phase::Ended(_) => Phase::Cueing { plays: true },
            phase @ Phase::Cueing { .. } => phase,
        };
    }

    /// Where in the file it is.
    fn position(&self, now: Micros) -> Micros {
        let (origin, _) = self.file.round_start();
        match self.phase {
            Phase::Paused(position) | Phase::Ended(position) => return position,
            Phase::Cueing { .. } => return origin,
            Phase::Playing | Phase::Ending(_) => {}
        }
        let Some((began, from)) = self.rounds.front() else { return origin };
        let ends = self.rounds.get(1).map_or_else(|| self.file.handed_until(), |next| next.0);
        *from + now.min(ends).since(*began)
    }

    /// Tells where it is.
    fn publish(&mut self, now: Micros, status: &Status) {
        let (origin, began) = self.file.round_start();
        if matches!(self.phase, Phase::Playing) && self.rounds.back() != Some(&(began, origin)) {
            self.rounds.push_back((began, origin));
        }
        while self.rounds.get(1).is_some_and(|(began, _)| *began <= now)
            || self.rounds.len() > ROUNDS_MAX
        {
            self.rounds.pop_front();
        }
        let state = match self.phase {
            Phase::Cueing { plays: true } | Phase::Playing | Phase::Ending(_) => {
                PlaybackState::Playing
            }
            Phase::Cueing { plays: false } | Phase::Paused(_) => PlaybackState::Paused,
            Phase::Ended(_) => PlaybackState::Ended,
        };
        status.set(state, self.position(now), self.file.duration());
    }
}

/// The way of what a file gives to its readers, but for its end: they hear of that when it is seen.
pub(super) struct Endless<'a>(pub(super) &'a mut DecodeOut);

impl DecodeSink for Endless<'_> {
    fn picture(&mut self, picture: PictureEvent) {
        if !matches!(picture, PictureEvent::Ended) {
            self.0.picture(picture);
        }
    }

    fn further_picture(&mut self, size: usize, picture: PictureEvent) {
        self.0.further_picture(size, picture);
    }

    fn audio(&mut self, block: &AudioBlock) {
        self.0.audio(block);
    }
}

#[cfg(test)]
mod tests;
