//! Failover of a stream: the messages of its source pass until that breaks, and those of a standby
//! fill the gap. What goes out is one stream, whose times rise.

use std::collections::VecDeque;

use super::message::Message;
use crate::frame::PacketPool;
use crate::media::{FailoverState, Kind, Micros};

/// How long before the standby is shown it is made ready, at most: it is composed and encoded a
/// moment earlier, so that its first keyframe is there in time.
const LEAD_MAX: Micros = Micros::from_millis(120);

/// What a standby sent so long ago is no start of what it shows now.
const STALE: Micros = Micros::from_millis(500);

/// Messages of a standby that are kept since its last keyframe. Of one whose keyframes are further
/// apart the next one is waited for.
const PENDING_MAX: usize = 1_024;

/// How far the times of a source that comes back may be ahead of the clock and be kept as they are,
/// milliseconds.
const AHEAD_MS_MAX: i32 = 100;

/// When a source counts as broken, and when as good again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailoverRules {
    /// So long after its last picture (or audio, where it has no pictures) the standby is shown.
    pub after: Micros,
    /// For so long it has to have been good before it is shown again, from a keyframe on.
    pub back_after: Micros,
    /// How long a source that has said that it is over, or that was lost where there is no standby,
    /// is waited for.
    pub grace: Micros,
}

/// Why the standby is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The source has lost its connection.
    Lost,
    /// It is connected and sends nothing.
    Silent,
    /// It sends audio and no pictures.
    NoPictures,
}

/// Something to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailoverNews {
    /// The standby is shown from now on.
    Broken(Break),
    /// The source is shown again, after so long.
    Back(Micros),
    /// The stream is over: because its source said so, or because it was lost and there is no
    /// standby.
    Over {
        /// Whether the source said so.
        has_goodbye: bool,
    },
}

/// One source and the standby, and what goes out of them.
#[derive(Debug)]
pub struct Failover {
    rules: FailoverRules,
    packets: PacketPool,
    phase: Phase,
    source: Side,
    standby: Side,
    /// What the standby has sent since its last keyframe, with the times when it came.
    pending: VecDeque<(Message, Micros)>,
    /// Newest times that went out, milliseconds: of audio, of pictures.
    newest: [Option<u32>; 2],
    /// Where these were when the other one took over: what is not later is left out.
    floor: [Option<u32>; 2],
    /// The time of the newest picture that went out, and when it came.
    anchor: Option<(u32, Micros)>,
    news: Vec<FailoverNews>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Idle,
    Source {
        /// When its last picture came.
        last: Micros,
        /// When its last audio came.
        last_audio: Option<Micros>,
        /// Since when it is without a connection.
        left: Option<Micros>,
        /// Whether what comes goes out: after a loss that waits for a keyframe.
        is_joined: bool,
    },
    Standby {
        since: Micros,
        /// When the source's last picture came.
        last: Micros,
        /// Since when the source is good again.
        good: Option<Micros>,
    },
    /// The source has said that it is over, then.
    Over(Micros),
}

/// Where the messages of one of the two go.
#[derive(Debug, Default)]
struct Side {
    /// Metadata and sequence headers.
    headers: Vec<Message>,
    /// What is added to its times, milliseconds modulo 2^32.
    shift: u32,
}

impl Side {
    fn keep(&mut self, header: &Message) {
        let of = |it: &Message| (it.kind(), it.track(), it.is_config());
        self.headers.retain(|other| of(other) != of(header));
        self.headers.push(header.clone());
    }

    fn has_pictures(&self) -> bool {
        self.headers.iter().any(|header| header.kind() == Kind::Video)
    }
}

impl Failover {
    /// Nothing has come yet. Messages that go out at other times than they came with are copied
    /// into memory of `packets`.
    #[must_use]
    pub fn new(rules: FailoverRules, packets: PacketPool) -> Self {
        Self {
            rules,
            packets,
            phase: Phase::Idle,
            source: Side::default(),
            standby: Side::default(),
            pending: VecDeque::new(),
            newest: [None; 2],
            floor: [None; 2],
            anchor: None,
            news: Vec::new(),
        }
    }

    /// What goes out now.
    #[must_use]
    pub const fn state(&self) -> FailoverState {
        match self.phase {
            Phase::Idle | Phase::Over(_) => FailoverState::Idle,
            Phase::Source { .. } => FailoverState::Source,
            Phase::Standby { good: Some(_), .. } => FailoverState::Returning,
            Phase::Standby { .. } => FailoverState::Standby,
        }
    }

    /// Takes what is to be told.
    pub fn take_news(&mut self) -> Vec<FailoverNews> {
        std::mem::take(&mut self.news)
    }

    /// Metadata and sequence headers of the source.
    #[must_use]
    pub fn source_headers(&self) -> &[Message] {
        &self.source.headers
    }

    /// Whether a standby is to be composed and encoded at `now`.
    #[must_use]
    pub fn wants_standby(&self, now: Micros) -> bool {
        match self.phase {
            Phase::Idle | Phase::Over(_) => false,
            Phase::Source { last, .. } => now >= last + self.rules.after - self.lead(),
            Phase::Standby { .. } => true,
        }
    }

    fn lead(&self) -> Micros {
        LEAD_MAX.min(Micros(self.rules.after.0 / 2))
    }

    /// When [`Self::tick`] is to be called, if nothing comes before.
    #[must_use]
    pub fn next_due(&self, now: Micros) -> Option<Micros> {
        let after = self.rules.after;
        let times = match self.phase {
            Phase::Idle => [None; 3],
            Phase::Source { last, left, .. } => {
                let over = left.map(|left| left + self.rules.grace);
                [Some(last + after - self.lead()), Some(last + after), over]
            }
            Phase::Standby { last, .. } => [Some(last + after), None, None],
            Phase::Over(at) => [Some(at + self.rules.grace), None, None],
        };
        times.into_iter().flatten().filter(|due| *due > now).min()
    }

    /// A message of the source, which came at `arrived`.
    pub fn source(&mut self, message: &Message, arrived: Micros, out: &mut Vec<Message>) {
        if message.is_header() {
            self.source.keep(message);
            if let Phase::Source { is_joined: true, .. } = self.phase {
                out.push(message.at(self.header_time(message)));
            }
            return;
        }
        let (kind, has_pictures) = (message.kind(), self.source.has_pictures());
        let is_watched = kind == Kind::Video || kind == Kind::Audio && !has_pictures;
        let starts = match kind {
            Kind::Video => message.is_key() && message.track() == 0,
            Kind::Audio => !has_pictures,
            Kind::Data => false,
        };
        match &mut self.phase {
            Phase::Source { last, last_audio, is_joined, .. } => {
                if is_watched && *is_joined {
                    *last = arrived;
                }
                if kind == Kind::Audio {
                    *last_audio = Some(arrived);
                }
                match *is_joined {
                    true => self.emit(message, self.source.shift, arrived, out),
                    false if starts => self.join(message, arrived, out),
                    false => {}
                }
            }
            Phase::Standby { since, last, good } if is_watched => {
                let is_late = arrived.since(*last) > self.rules.after;
                *last = arrived;
                let began = *good.filter(|_| !is_late).get_or_insert(arrived);
                *good = Some(began);
                let length = arrived.since(*since);
                if starts && arrived.since(began) >= self.rules.back_after {
                    self.news.push(FailoverNews::Back(length));
                    self.join(message, arrived, out);
                }
            }
            Phase::Idle | Phase::Over(_) if starts => self.join(message, arrived, out),
            Phase::Standby { .. } | Phase::Idle | Phase::Over(_) => {}
        }
    }

    /// The source has left: it has said that it is over (`has_goodbye`), or was lost.
    pub fn source_left(&mut self, has_goodbye: bool, now: Micros) {
        self.source.headers.clear();
        match &mut self.phase {
            Phase::Source { .. } | Phase::Standby { .. } if has_goodbye => {
                self.phase = Phase::Over(now);
            }
            Phase::Source { left, is_joined, .. } => {
                (*left, *is_joined) = (Some(left.unwrap_or(now)), false);
            }
            Phase::Standby { good, .. } => *good = None,
            Phase::Idle | Phase::Over(_) => {}
        }
    }

    /// A message of the standby.
    pub fn standby(&mut self, message: &Message, now: Micros, out: &mut Vec<Message>) {
        let is_shown = matches!(self.phase, Phase::Standby { .. });
        if message.is_header() {
            self.standby.keep(message);
            if is_shown {
                out.push(message.at(self.header_time(message)));
            }
            return;
        }
        if is_shown {
            return self.emit(message, self.standby.shift, now, out);
        }
        let starts = message.is_key() && message.track() == 0;
        if starts || self.pending.len() >= PENDING_MAX {
            self.pending.clear();
        }
        if starts || !self.pending.is_empty() {
            self.pending.push_back((message.clone(), now));
        }
        self.tick(now, out);
    }

    /// The standby is another one from now on, or there is none.
    pub fn forget_standby(&mut self) {
        self.standby.headers.clear();
        self.pending.clear();
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Micros, out: &mut Vec<Message>) {
        match self.phase {
            Phase::Source { last, .. } if now >= last + self.rules.after && self.is_ready(now) => {
                self.fail_over(now, out);
            }
            Phase::Source { left: Some(left), .. } if now >= left + self.rules.grace => {
                self.end(false);
            }
            Phase::Standby { since, last, good: Some(_) } if now > last + self.rules.after => {
                self.phase = Phase::Standby { since, last, good: None };
            }
            Phase::Over(at) if now >= at + self.rules.grace => self.end(true),
            _ => {}
        }
    }

    /// Whether the standby can be shown.
    fn is_ready(&self, now: Micros) -> bool {
        self.pending.back().is_some_and(|(_, came)| now.since(*came) <= STALE)
    }

    fn end(&mut self, has_goodbye: bool) {
        self.phase = Phase::Idle;
        (self.newest, self.floor, self.anchor) = ([None; 2], [None; 2], None);
        self.news.push(FailoverNews::Over { has_goodbye });
    }

    /// The source goes out from `first` on.
    fn join(&mut self, first: &Message, now: Micros, out: &mut Vec<Message>) {
        let last_audio = (first.kind() == Kind::Audio).then_some(now);
        self.source.shift = self.step(now).map_or(0, |(soonest, by_clock)| {
            let time = first.time();
            let ahead = time.wrapping_sub(by_clock).cast_signed();
            // Its own times are kept where that can be: those are not copied.
            let is_fit = !is_before(time, soonest) && ahead <= AHEAD_MS_MAX;
            if is_fit { 0 } else { by_clock.wrapping_sub(time) }
        });
        self.floor = self.newest;
        let at = first.time().wrapping_add(self.source.shift);
        out.extend(self.source.headers.iter().map(|header| header.at(at)));
        self.phase = Phase::Source { last: now, last_audio, left: None, is_joined: true };
        self.emit(first, self.source.shift, now, out);
        self.pending.clear();
    }

    /// The standby goes out, from its last keyframe on. What is older than now is shown at once: it
    /// stands in the gap.
    fn fail_over(&mut self, now: Micros, out: &mut Vec<Message>) {
        let Phase::Source { last, last_audio, left, .. } = self.phase else { return };
        let Some((newest, _)) = self.pending.back() else { return };
        let (soonest, by_clock) = self.step(now).unwrap_or_default();
        self.standby.shift = by_clock.wrapping_sub(newest.time());
        self.floor = self.newest;
        let of = |message: &Message| message.time().wrapping_add(self.standby.shift);
        let first = self.pending.front().map_or(soonest, |(message, _)| of(message));
        let mut next = if is_before(first, soonest) { soonest } else { first };
        out.extend(self.standby.headers.iter().map(|header| header.at(next)));
        for (message, came) in std::mem::take(&mut self.pending) {
            let time = message.time().wrapping_add(self.standby.shift);
            let time = if is_before(time, next) { next } else { time };
            if message.kind() == Kind::Video {
                next = time.wrapping_add(1);
            } else if time != message.time().wrapping_add(self.standby.shift) {
                continue; // audio of the time before
            }
            self.emit_at(&message, time, came, out);
        }
        let recent = Micros(self.rules.after.0 / 2);
        let is_heard = last_audio.is_some_and(|at| now.since(at) < recent);
        self.news.push(FailoverNews::Broken(match left {
            Some(_) => Break::Lost,
            None if is_heard && self.source.has_pictures() => Break::NoPictures,
            None => Break::Silent,
        }));
        self.phase = Phase::Standby { since: now, last, good: None };
    }

    /// The soonest time at which another line may go on, and where it is by the clock.
    fn step(&self, now: Micros) -> Option<(u32, u32)> {
        let later = |a: u32, b: u32| if is_before(a, b) { b } else { a };
        let newest = self.newest.into_iter().flatten().reduce(later)?;
        let soonest = newest.wrapping_add(1);
        let by_clock = self.anchor.map_or(soonest, |(time, came)| {
            #[expect(clippy::cast_possible_truncation, reason = "RTMP time is modulo 2^32")]
            let passed = now.since(came).millis() as u32;
            time.wrapping_add(passed)
        });
        Some((soonest, later(soonest, by_clock)))
    }

    /// When a header goes out that comes among messages.
    fn header_time(&self, header: &Message) -> u32 {
        let newest = self.newest.into_iter().flatten();
        newest.reduce(|a, b| if is_before(a, b) { b } else { a }).unwrap_or_else(|| header.time())
    }

    fn emit(&mut self, message: &Message, shift: u32, came: Micros, out: &mut Vec<Message>) {
        self.emit_at(message, message.time().wrapping_add(shift), came, out);
    }

    fn emit_at(&mut self, message: &Message, time: u32, came: Micros, out: &mut Vec<Message>) {
        let at = match message.kind() {
            Kind::Audio => Some(0),
            Kind::Video => Some(1),
            Kind::Data => None,
        };
        if let Some(at) = at {
            if self.floor[at].is_some_and(|floor| !is_before(floor, time)) {
                return;
            }
            self.floor[at] = None;
            self.newest[at] = Some(time);
            let has_pictures = self.newest[1].is_some();
            if message.kind() == Kind::Video || !has_pictures {
                self.anchor = Some((time, came));
            }
        }
        out.push(match time == message.time() {
            true => message.clone(),
            false => message.at_time(time, &self.packets),
        });
    }
}

/// Whether `a` is before `b`, modulo 2^32.
const fn is_before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}

#[cfg(test)]
mod tests;
