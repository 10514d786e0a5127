//! Log cursor: a reader's position, the message it is in the middle of, and when it gives up
//! messages.

mod position;

use serde::{Deserialize, Serialize};

use self::position::{ReadPosition, Video};
use super::framing::{Framing, Opening, Wrap};
use super::log::StreamLog;
use super::message::Message;
use crate::media::{Kind, Micros};
use crate::probes;
use crate::rtmp::Playback;

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// At the newest keyframe in the log. If there is none, or the log is not a GOP cache, like
    /// [`Start::Live`].
    Keyframe,
    /// At once: audio from now on, video from the next keyframe.
    Live,
}

/// When a reader that is behind gives up messages. Lag is the time that its next message has been
/// there unsent, up to the arrival of the newest one. Timestamps do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropPolicy {
    /// Above this lag it jumps to a newer keyframe, milliseconds. Where there is none it drops
    /// video until one comes, if the lag has grown by this much since the reader was last at a
    /// keyframe (a reader that starts at one is behind without being slow).
    pub high_ms: u32,
    /// Video that was dropped comes back at a keyframe with at most this lag, milliseconds.
    pub low_ms: u32,
}

impl Default for DropPolicy {
    fn default() -> Self {
        Self { high_ms: 1_000, low_ms: 250 }
    }
}

/// What a reader has missed, since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drops {
    /// Times the picture broke off: jumps, overruns, and beginnings of skipped video. An output
    /// asks its encoder for a keyframe when this grows.
    pub gaps: u64,
    /// Messages jumped over to reach a newer keyframe.
    pub jumped: u64,
    /// Video messages left out while the reader waited for a keyframe, after its first.
    pub skipped: u64,
    /// Messages that the log let go of before the reader had sent them, and those from there to
    /// where it went on.
    pub overrun: u64,
}

/// One viewer's or output's place in a log.
///
/// To send: [`Cursor::settle`], [`Cursor::gather`], give the slices to the socket, and
/// [`Cursor::advance`] by what it took, all while the log does not change. Between two such rounds
/// the log may change freely. A message of which a part has been sent is always completed, from a
/// reference of the cursor's own.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cursor {
    start: Start,
    /// Whether it has a place in the log.
    reads: bool,
    position: ReadPosition,
    /// The message in the middle of which the reader is; the position is already past it.
    partial: Option<PartialMessage>,
    /// Smallest lag since the last start or jump.
    least_lag: Micros,
    lost: Drops,
    framing: Framing,
    /// What stands around the coming messages, for a reader that does not get the shared bytes;
    /// else empty.
    #[serde(skip)]
    wraps: Box<[Wrap]>,
    /// What comes before the first message, until it has been sent.
    opening: Option<Opening>,
    /// Whether it is to be sent nothing for now.
    paused: bool,
    /// How long after its arrival it is sent a message.
    delay: Micros,
}

#[derive(Debug, Serialize, Deserialize)]
struct PartialMessage {
    message: Message,
    /// What stands around it, if that is not the shared bytes.
    wrap: Option<Wrap>,
    /// Bytes of its wire form that have been sent.
    sent: usize,
}

impl Cursor {
    /// A reader that has not looked at its log yet.
    #[must_use]
    pub fn new(start: Start) -> Self {
        Self {
            start,
            reads: false,
            position: ReadPosition::NEW,
            partial: None,
            least_lag: LAG_UNKNOWN,
            lost: Drops::default(),
            framing: Framing::default(),
            wraps: Box::default(),
            opening: None,
            paused: false,
            delay: Micros(0),
        }
    }

    /// For a peer that gets messages in this form; by default that is [`Framing::Chunks`] with
    /// message stream id 1.
    #[must_use]
    pub fn framed(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self.wraps = vec![Wrap::BLANK; framing.messages()].into();
        self.opening = framing.opening(false, false);
        self
    }

    /// For a peer that does not take streams of several tracks: it gets the one that readers start
    /// by.
    #[must_use]
    pub const fn without_further_tracks(mut self) -> Self {
        self.position.wants.further_tracks = false;
        self
    }

    /// It was read from a snapshot, as a reader of `log`. `false` if it contradicts itself or the
    /// log.
    #[must_use]
    pub fn resume(&mut self, log: &StreamLog) -> bool {
        self.wraps = vec![Wrap::BLANK; self.framing.messages()].into();
        let partial_fits = self.partial.as_ref().is_none_or(|partial| {
            let fits = partial.wrap.as_ref().is_none_or(Wrap::is_whole);
            let has_wrap = partial.wrap.is_some() != self.framing.is_shared();
            fits && has_wrap && partial.sent < self.framing.wire_len(&partial.message)
        });
        let number = self.position.number;
        let place_fits = if self.reads { number <= log.end() } else { number == u64::MAX };
        partial_fits && place_fits && self.opening.is_none_or(|opening| opening.is_whole())
    }

    /// Whether nothing is in the middle of being sent.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.partial.is_none() && self.opening.is_none_or(|opening| opening.sent == 0)
    }

    /// The number of its next message, if it takes all messages from there on as they lie in the
    /// log, and is not in the middle of one.
    #[must_use]
    pub fn shared_place(&self) -> Option<u64> {
        let plain = self.partial.is_none()
            && self.position.headers == 0
            && self.position.video == Video::Flows
            && self.position.wants_all()
            && !self.paused
            && self.delay == Micros(0)
            && self.reads
            && self.framing.is_shared()
            && self.opening.is_none();
        plain.then_some(self.position.number)
    }

    /// A reader that was at its [`Cursor::shared_place`] is at message `place` now: if that is
    /// another one, it has been sent all that lay in the log when it got there.
    pub fn resume_at(&mut self, place: u64) {
        if self.position.number != place {
            self.position.number = place;
            self.least_lag = Micros(0);
        }
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_caught_up(&self, log: &StreamLog) -> bool {
        self.position.number == log.end() && self.position.headers == 0 && self.partial.is_none()
    }

    /// What was dropped for this reader so far.
    #[must_use]
    pub const fn drops(&self) -> Drops {
        Drops { skipped: self.position.skipped, ..self.lost }
    }

    /// How long its next message had been there when the newest one arrived, beyond its delay.
    #[must_use]
    pub fn lag(&self, log: &StreamLog) -> Micros {
        log.lag(self.position.number) - self.delay
    }

    /// Each message is sent so long after it arrived. With more than before nothing is sent until
    /// the next message is that old; with less, what is due at once is, up to the limit of lag.
    pub const fn set_delay(&mut self, delay: Micros) {
        self.delay = delay;
        self.position.until = u64::MAX;
    }

    /// It is `now`: what arrived less than the delay ago is not sent yet.
    pub fn hold_back(&mut self, log: &StreamLog, now: Micros) {
        if self.delay > Micros(0) {
            let is_early = now < self.delay;
            let due = log.first_since(now - self.delay + Micros(1));
            self.position.until = if is_early { log.first() } else { due };
        }
    }

    /// What waits for its delay is never sent: it goes on with the newest keyframe, once that is as
    /// old as the delay says. Says how many messages that leaves out.
    pub fn dump(&mut self, log: &StreamLog) -> u64 {
        if !self.reads || self.delay == Micros(0) {
            return 0;
        }
        let from = self.position.number;
        let to = log.newest_key().filter(|key| *key > from).unwrap_or_else(|| log.end());
        self.position.go_to(log, to);
        self.position.want_headers(log, &(from..to));
        self.least_lag = LAG_UNKNOWN;
        to - from
    }

    /// From here on it is sent this much of the stream. What it did not want does not count as
    /// lost. Says whether it waits for a keyframe because of that.
    pub fn set_playback(&mut self, log: &StreamLog, playback: Playback) -> bool {
        let Playback { paused, audio, video } = playback;
        let resumes = std::mem::replace(&mut self.paused, paused) && !paused;
        if resumes && self.reads {
            self.least_lag = LAG_UNKNOWN;
            if self.has_missed(log) {
                let lost = self.lost;
                self.resync(log, log.end());
                self.lost = lost;
            }
        }
        for (kind, before, now) in [
            (Kind::Audio, std::mem::replace(&mut self.position.wants.audio, audio), audio),
            (Kind::Video, std::mem::replace(&mut self.position.wants.video, video), video),
        ] {
            if now && !before && self.reads {
                self.position.want_headers_of(log, kind);
                if kind == Kind::Video && log.has_video() {
                    self.position.video = Video::UNTIL_KEY;
                }
            }
        }
        self.reads && video && log.has_video() && self.position.video != Video::Flows
    }

    /// Goes on as a new reader does, once the message that is being sent is complete.
    pub const fn restart(&mut self, start: Start) {
        self.start = start;
        self.reads = false;
        self.position.number = u64::MAX;
    }

    /// Whether a reader that has paused has better places to go on at than where it was.
    fn has_missed(&self, log: &StreamLog) -> bool {
        let is_newer = |key| key > self.position.number;
        self.position.number < log.first()
            || !log.has_video()
            || log.newest_key().is_some_and(is_newer)
    }

    /// Starts, or gives up messages if the reader is too far behind. The message that
    /// is in the middle of being sent is completed all the same.
    pub fn settle(&mut self, log: &StreamLog, policy: &DropPolicy) {
        if self.paused {
            return;
        }
        if self.position.number == log.end() {
            self.least_lag = Micros(0);
            return;
        }
        // Who has not even been sent what describes a source that has left has seen nothing of it.
        if !self.reads || self.position.headers != 0 && self.position.number < log.source_from() {
            self.begin(log);
        }
        if self.position.number < log.first() {
            let recent = log.newest_arrival().since(Micros::from_millis(policy.high_ms.into()));
            // What described the tracks of a source that has left is no longer known.
            let other = log.first_since(recent).max(log.source_from());
            let lost = self.resync(log, other);
            self.lost.overrun += lost;
            probes::reader_overrun(lost);
        }
        if let Video::Of(_, since @ Micros(1..)) = &mut self.position.video {
            *since = fresh_since(log, policy, self.delay);
        }
        self.position.pass(log);
        let (lag, high) = (self.lag(log), Micros::from_millis(policy.high_ms.into()));
        self.least_lag = self.least_lag.min(lag);
        if lag <= high {
            return;
        }
        if self.newest_key(log).is_some_and(|key| key > self.position.number) {
            let lost = self.resync(log, log.end());
            self.lost.jumped += lost;
            probes::reader_jumped(lost, lag);
        } else if self.takes_video() && lag.since(self.least_lag) > high {
            self.lost.gaps += u64::from(log.has_video());
            probes::reader_skipping(lag);
            self.position.video = Video::Of(0, fresh_since(log, policy, self.delay));
            self.position.pass(log);
        }
    }

    /// Gives the slices to be sent next to `sink`, in wire order, until it refuses one (by
    /// returning false) or the log ends; no message is begun once `max_bytes` have been given. With
    /// `max_bytes` 0 that is the rest of the message that is in the middle of being sent, and
    /// nothing else.
    pub fn gather<'a>(
        &'a mut self,
        log: &'a StreamLog,
        max_bytes: usize,
        sink: &mut impl FnMut(&'a [u8]) -> bool,
    ) {
        let ready = self.write_wraps(log);
        let max_bytes = if self.paused { 0 } else { max_bytes };
        let this: &'a Self = self;
        let mut bytes = 0;
        let mut count = |piece: &'a [u8]| {
            bytes += piece.len();
            sink(piece)
        };
        if let Some(opening) = &this.opening
            && (opening.sent > 0 || ready && max_bytes > 0)
            && !count(opening.rest())
        {
            return;
        }
        if let Some(partial) = &this.partial
            && !this.framing.pieces(
                &partial.message,
                partial.sent,
                partial.wrap.as_ref(),
                &mut count,
            )
        {
            return;
        }
        let (mut position, mut wraps) = (this.position, this.wraps.iter());
        let mut begun = bytes;
        while begun < max_bytes && this.reads {
            let Some(message) = position.next(log) else { return };
            let wrap = wraps.next();
            if wrap.is_none() && !this.framing.is_shared() {
                return;
            }
            if !this.framing.pieces(message, 0, wrap, &mut |piece| {
                begun += piece.len();
                sink(piece)
            }) {
                return;
            }
        }
    }

    /// The first `bytes` of what [`Cursor::gather`] gave have been sent.
    pub fn advance(&mut self, log: &StreamLog, mut bytes: usize) {
        if let Some(opening) = &mut self.opening {
            let now = opening.rest().len().min(bytes);
            opening.sent += u8::try_from(now).unwrap_or(0);
            bytes -= now;
            if opening.rest().is_empty() {
                self.opening = None;
            }
        }
        if let Some(partial) = &mut self.partial {
            let left = self.framing.wire_len(&partial.message) - partial.sent;
            if bytes < left {
                partial.sent += bytes;
                return;
            }
            bytes -= left;
            self.partial = None;
        }
        while bytes > 0 {
            let message = self.position.next(log);
            debug_assert!(message.is_some(), "more was sent than had been gathered");
            let Some(message) = message else { return };
            let len = self.framing.wire_len(message);
            if bytes < len {
                let wrap = (!self.framing.is_shared()).then(|| self.framing.wrap(message));
                self.partial = Some(PartialMessage { message: message.clone(), wrap, sent: bytes });
                return;
            }
            bytes -= len;
        }
    }

    /// The newest keyframe for it: with a delay one that it may be sent, or else the first that it
    /// will be.
    fn newest_key(&self, log: &StreamLog) -> Option<u64> {
        if self.delay > Micros(0) { log.key_for(self.position.until) } else { log.newest_key() }
    }

    /// Whether any pictures come to it now.
    const fn takes_video(&self) -> bool {
        !matches!(self.position.video, Video::Of(0, _))
    }

    /// Takes a place: at a keyframe that is there, or at the head, where audio begins at once and
    /// each track of pictures at its next keyframe.
    fn begin(&mut self, log: &StreamLog) {
        let in_the_past = self.start == Start::Keyframe && log.has_gop_cache();
        let key = self.newest_key(log).filter(|_| in_the_past);
        let to = key.unwrap_or_else(|| log.end());
        self.reads = true;
        self.position.headers = 0;
        self.position.go_to(log, to);
        self.position.want_headers(log, &(0..log.end()));
        self.least_lag = LAG_UNKNOWN;
    }

    /// Goes on at the newest keyframe, or at message `other` if there is none. Says how many
    /// messages that leaves out.
    fn resync(&mut self, log: &StreamLog, other: u64) -> u64 {
        let from = self.position.number;
        let key = self.newest_key(log).filter(|key| *key >= from);
        let to = key.unwrap_or(other);
        self.lost.gaps += 1;
        self.position.go_to(log, to);
        self.position.want_headers(log, &(from..to));
        self.least_lag = LAG_UNKNOWN;
        to - from
    }

    /// Writes what stands around the coming messages and before the first one, for a reader that
    /// does not get the shared bytes. Says whether there are such messages.
    fn write_wraps(&mut self, log: &StreamLog) -> bool {
        if self.framing.is_shared() || !self.reads {
            return false;
        }
        if self.opening.is_some_and(|opening| opening.sent == 0) {
            let [audio, video] = [Kind::Audio, Kind::Video].map(|kind| log.carries(kind));
            self.opening = self.framing.opening(audio, video);
        }
        let (mut position, mut ready) = (self.position, false);
        for wrap in &mut self.wraps {
            let Some(message) = position.next(log) else { return ready };
            *wrap = self.framing.wrap(message);
            ready = true;
        }
        ready
    }
}

/// Until a reader has been looked at for the first time since its start or jump.
const LAG_UNKNOWN: Micros = Micros(u64::MAX);

/// The arrival from which on a keyframe is new enough for a reader that lagged: never 0, which
/// stands for any.
fn fresh_since(log: &StreamLog, policy: &DropPolicy, delay: Micros) -> Micros {
    let age = Micros::from_millis(policy.low_ms.into()) + delay;
    Micros(log.newest_arrival().since(age).0.max(1))
}

#[cfg(test)]
mod tests;
