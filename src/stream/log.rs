//! Stream log: the ring of a stream's recent messages. It is the GOP cache: late viewers start in
//! it, and slow ones jump in it.

use std::collections::VecDeque;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::headers::{Headers, Noted};
use super::message::Message;
use super::repair::distance;
use super::tracks::Tracks;
use crate::media::{Kind, Micros};

/// Keyframes whose places are remembered.
const KEYS_MAX: usize = 64;

/// Headers and data in a row that are looked past for a time.
const LOOK_MESSAGES: usize = 8;

/// Messages that a new log has room for: ten seconds of 60 pictures and 47 blocks of audio a
/// second. One with more of them grows once or twice in its first seconds; room for all that are
/// allowed would take milliseconds to get from the kernel, during which no viewer is served.
const ROOM_AT_FIRST: usize = 1_100;

/// Numbers of messages are below this, which no stream reaches: above it they have other meanings
/// for readers.
const FIRST_MAX: u64 = 1 << 62;

/// How much of a stream is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimits {
    /// Messages older than the newest keyframe.
    pub messages: usize,
    /// Bytes of memory of all messages: what their packets hold, and their entries.
    pub bytes: usize,
    /// Milliseconds from the arrival of the oldest message to that of the newest. What came since
    /// the newest keyframe is kept for as long as `bytes` allows.
    pub millis: u32,
}

impl Default for LogLimits {
    /// Ten seconds, 32 MiB, 8192 messages.
    fn default() -> Self {
        Self { messages: 8_192, bytes: 32 << 20, millis: 10_000 }
    }
}

/// What [`StreamLog::push`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The message is in the log.
    Added,
    /// A header that readers already have: not in the log.
    Repeated,
}

/// Messages of a time that has passed, see [`StreamLog::recent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentRange {
    /// Their numbers; the first picture is a keyframe.
    pub messages: Range<u64>,
    /// Number of the first one that was asked for; those before it are needed to decode it.
    pub wanted: u64,
    /// When that one arrived.
    pub arrived: Micros,
}

/// A stream's recent messages, numbered from 0.
#[derive(Debug, Serialize, Deserialize)]
pub struct StreamLog {
    entries: VecDeque<Entry>,
    /// Number of the oldest entry.
    first: u64,
    /// Of the bodies.
    #[serde(skip)]
    bytes: usize,
    /// Of the entries and what they hold.
    #[serde(skip)]
    memory: usize,
    limits: LogLimits,
    gop_cache: bool,
    /// Those of the present source.
    headers: Headers,
    /// What the present source sends.
    tracks: Tracks,
    /// Number of the first message of the present source, or of the next one if it has left.
    source_from: u64,
    /// Numbers of keyframes that a reader with the present headers can start at, oldest first.
    keys: VecDeque<u64>,
    newest_time: u32,
    #[serde(with = "crate::media::instants")]
    newest_arrival: Micros,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    message: Message,
    #[serde(with = "crate::media::instants")]
    arrived: Micros,
}

impl Entry {
    fn memory(&self) -> usize {
        size_of::<Self>() + self.message.memory()
    }
}

impl StreamLog {
    /// An empty log; its ring is allocated now. `gop_cache` says whether late readers may start at
    /// a keyframe of the past.
    #[must_use]
    pub fn new(limits: LogLimits, gop_cache: bool) -> Self {
        Self {
            entries: VecDeque::with_capacity(limits.messages.clamp(1, ROOM_AT_FIRST) + 1),
            first: 0,
            bytes: 0,
            memory: 0,
            limits,
            gop_cache,
            headers: Headers::default(),
            tracks: Tracks::default(),
            source_from: 0,
            keys: VecDeque::with_capacity(KEYS_MAX + 1),
            newest_time: 0,
            newest_arrival: Micros(0),
        }
    }

    /// A log of the same stream without messages, whose newest time is that of this one.
    #[must_use]
    pub fn emptied(&self) -> Self {
        Self { newest_time: self.newest_time, ..Self::new(self.limits, self.gop_cache) }
    }

    /// Appends a message that arrived then, and lets the oldest go beyond the limits.
    pub fn push(&mut self, message: Message, arrived: Micros) -> Pushed {
        if message.is_header() {
            match self.headers.note(&message, self.end()) {
                Noted::Known => return Pushed::Repeated,
                // Pictures before the new header cannot be decoded with it.
                Noted::Kept(_) if self.tracks.is_header_of_start(&message) => self.keys.clear(),
                Noted::Kept(oldest) => self.keys.retain(|&key| key >= oldest),
                Noted::Left => {}
            }
        } else {
            self.newest_time = message.time();
        }
        if self.tracks.note(&message) {
            self.keys.clear(); // they are of a track that players without multitrack do not show
        }
        if self.tracks.starts_at(&message) {
            self.keys.push_back(self.end());
            if self.keys.len() > KEYS_MAX {
                self.keys.pop_front();
            }
        }
        // The clock does not go back; what other shards hand on may be a little older.
        self.newest_arrival = self.newest_arrival.max(arrived);
        let entry = Entry { message, arrived: self.newest_arrival };
        self.bytes += entry.message.body().len();
        self.memory += entry.memory();
        self.entries.push_back(entry);
        self.trim();
        Pushed::Added
    }

    /// The source has left, or another one comes. Nothing that described its tracks is true of
    /// those of the next one, and nobody who comes later starts in its pictures.
    pub fn end_source(&mut self) {
        self.headers = Headers::default();
        self.tracks = Tracks::default();
        self.keys.clear();
        self.source_from = self.end();
    }

    /// It was read from a snapshot: counts what it holds. `false` if it contradicts itself.
    #[must_use]
    pub fn resume(&mut self) -> bool {
        self.bytes = self.entries.iter().map(|entry| entry.message.body().len()).sum();
        self.memory = self.entries.iter().map(Entry::memory).sum();
        let Some(end) = self.first.checked_add(self.entries.len() as u64) else { return false };
        let keys = self.keys.iter().is_sorted() && self.keys.len() <= KEYS_MAX;
        let is_there = |key: &u64| (self.first..end).contains(key);
        let keys = keys && self.keys.iter().all(is_there);
        end < FIRST_MAX && keys && self.source_from <= end && self.headers.is_whole()
    }

    fn trim(&mut self) {
        while self.entries.len() > 1 && self.has_too_much() {
            if let Some(oldest) = self.entries.pop_front() {
                self.bytes -= oldest.message.body().len();
                self.memory -= oldest.memory();
                self.first += 1;
            }
            while self.keys.front().is_some_and(|&key| key < self.first) {
                self.keys.pop_front();
            }
        }
        self.headers.trim(self.first);
    }

    fn has_too_much(&self) -> bool {
        if self.memory > self.limits.bytes {
            return true;
        }
        // Without its keyframe what follows is of no use to a late reader.
        let needed = self.gop_cache && self.newest_key() == Some(self.first);
        let is_over = self.entries.len() > self.limits.messages
            || self.lag(self.first) > Micros::from_millis(self.limits.millis.into());
        is_over && !needed
    }

    /// Bytes of memory of all messages in the log, see [`LogLimits::bytes`].
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.memory
    }

    /// Number of the oldest message in the log.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// Number that the next message will get.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Number of the first message of the present source, or of the next one if it has left.
    #[must_use]
    pub const fn source_from(&self) -> u64 {
        self.source_from
    }

    /// How long messages of the present source have been coming; `None` if none has come.
    #[must_use]
    pub fn source_age(&self) -> Option<Micros> {
        let first = self.source_from.max(self.first);
        (self.end() > self.source_from).then(|| self.lag(first))
    }

    /// Message `number`, if it is still there.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Message> {
        self.entry(number).map(|entry| &entry.message)
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Gives `take` the pieces of the shared wire form of all messages from number `from` on, until
    /// it answers `false`. Says whether all were taken; not so if some are no longer there.
    pub fn pieces_from<'a>(&'a self, from: u64, take: &mut impl FnMut(&'a [u8]) -> bool) -> bool {
        let Some(skip) = from.checked_sub(self.first).and_then(|skip| usize::try_from(skip).ok())
        else {
            return false;
        };
        self.entries.iter().skip(skip).all(|entry| entry.message.pieces(0, None, take))
    }

    /// The newest keyframe that can be started at.
    #[must_use]
    pub fn newest_key(&self) -> Option<u64> {
        self.keys.back().copied()
    }

    /// The newest keyframe before message `until` that can be started at; if all are later, the
    /// oldest of those.
    pub(super) fn key_for(&self, until: u64) -> Option<u64> {
        let before = self.keys.iter().rev().find(|key| **key < until);
        before.or_else(|| self.keys.front()).copied()
    }

    /// Whether a message that comes next could be started at.
    #[must_use]
    pub fn starts_at(&self, message: &Message) -> bool {
        self.tracks.starts_at(message)
    }

    /// Tracks of pictures, see [`Tracks::bit`].
    pub(super) const fn pictures(&self) -> u64 {
        self.tracks.pictures()
    }

    /// Whether late readers may start in the past.
    #[must_use]
    pub const fn has_gop_cache(&self) -> bool {
        self.gop_cache
    }

    /// Time of the newest message that is not a header, milliseconds modulo 2^32.
    #[must_use]
    pub const fn newest_time(&self) -> u32 {
        self.newest_time
    }

    /// When the newest message arrived.
    #[must_use]
    pub const fn newest_arrival(&self) -> Micros {
        self.newest_arrival
    }

    /// Mean rate of what is in the log, bits per second of its own time; of less than a second as
    /// if it were one.
    #[must_use]
    pub fn bitrate_bps(&self) -> f64 {
        self.bytes as f64 * 8_000.0 / f64::from(self.span_ms().max(1_000))
    }

    /// Milliseconds of its own time from the oldest message to the newest of that kind: two tracks
    /// may be far apart. Headers and data are passed over: many sources stamp them with 0.
    fn span_ms(&self) -> u32 {
        let is_media = |m: &&Message| m.kind() != Kind::Data && !m.is_header();
        let near = self.entries.iter().take(LOOK_MESSAGES).map(|entry| &entry.message);
        let Some(oldest) = near.clone().find(is_media) else { return 0 };
        let newest = self.tracks.newest_time(oldest.kind()).unwrap_or_else(|| oldest.time());
        u32::try_from(distance(oldest.time(), newest)).unwrap_or(0)
    }

    /// Whether pictures are part of the stream.
    #[must_use]
    pub const fn has_video(&self) -> bool {
        self.carries(Kind::Video)
    }

    /// The newest header of a kind: its sequence header, or the metadata.
    #[must_use]
    pub fn header_of(&self, kind: Kind) -> Option<&Message> {
        self.headers.newest(kind)
    }

    /// What tells the codec of a kind: its newest header, or the newest message if the codec has
    /// none, as AC-3.
    #[must_use]
    pub fn sample_of(&self, kind: Kind) -> Option<&Message> {
        let from = self.source_from.max(self.first);
        let mut messages = (from..self.end()).rev().filter_map(|number| self.get(number));
        self.header_of(kind).or_else(|| messages.find(|it| it.kind() == kind))
    }

    /// Whether the present source has sent messages of this kind.
    #[must_use]
    pub const fn carries(&self, kind: Kind) -> bool {
        self.tracks.carries(kind)
    }

    /// The track of a kind that players without multitrack are to be shown.
    pub(super) fn first_track(&self, kind: Kind) -> u8 {
        self.tracks.first(kind)
    }

    /// Whether the present source has sent headers of further tracks than the first of each kind.
    #[must_use]
    pub fn has_further_tracks(&self) -> bool {
        self.headers.all().any(|header| header.track() != self.first_track(header.kind()))
    }

    /// See [`Headers::get`].
    pub(super) fn header(&self, slot: usize, number: u64) -> Option<&Message> {
        self.headers.get(slot, number)
    }

    /// See [`Headers::within`].
    pub(super) fn headers_within(&self, range: &Range<u64>) -> u64 {
        self.headers.within(range)
    }

    /// See [`Headers::of`].
    pub(super) fn headers_of(&self, kind: Kind) -> u64 {
        self.headers.of(kind)
    }

    /// How long message `number` had been there when the newest one arrived: how far a reader lags
    /// whose next message it is. Timestamps say nothing about that: those of two tracks may be far
    /// apart, and a source may send seconds at once.
    #[must_use]
    pub fn lag(&self, number: u64) -> Micros {
        self.entry(number).map_or(Micros(0), |entry| self.newest_arrival.since(entry.arrived))
    }

    /// Number of the first message that arrived then or later.
    pub(super) fn first_since(&self, since: Micros) -> u64 {
        self.first + self.entries.partition_point(|entry| entry.arrived < since) as u64
    }

    /// Whether message `number` arrived then or later.
    pub(super) fn arrived_since(&self, number: u64, since: Micros) -> bool {
        self.entry(number).is_some_and(|entry| entry.arrived >= since)
    }

    /// Metadata and the headers of all tracks, as far as there are any.
    pub fn headers(&self) -> impl Iterator<Item = &Message> {
        self.headers.all()
    }

    /// Messages of the present source that arrived from `from` on and before `to`, from the last
    /// keyframe before them on, or else from the first one among them. `None` if pictures are part
    /// of the stream and there is no keyframe, or if nothing arrived then.
    #[must_use]
    pub fn recent(&self, from: Micros, to: Micros) -> Option<RecentRange> {
        let (first, last) = (self.source_from.max(self.first), self.first_since(to));
        let wanted = self.first_since(from).max(first);
        let start = if self.has_video() {
            let before = self.keys.iter().rev().find(|key| **key <= wanted);
            *before.or_else(|| self.keys.front())?
        } else {
            wanted
        };
        let wanted = wanted.max(start);
        let arrived = self.entry(wanted).filter(|_| wanted < last)?.arrived;
        Some(RecentRange { messages: start..last, wanted, arrived })
    }

    /// The headers that a reader needs whose next message is `number`.
    pub fn headers_at(&self, number: u64) -> impl Iterator<Item = &Message> {
        self.headers.at(number)
    }

    /// Everything a new reader would be sent now: the headers, and the messages from the newest
    /// keyframe on.
    pub fn catch_up(&self) -> impl Iterator<Item = &Message> {
        let from = self.newest_key().unwrap_or_else(|| self.end());
        let recent = (from..self.end()).filter_map(|number| self.get(number));
        self.headers.at(from).chain(recent)
    }
}

#[cfg(test)]
pub(super) mod tests;
