//! The ring of a stream's recent messages. It is the GOP cache: late viewers start in it, and slow
//! ones jump in it.

use std::collections::VecDeque;
use std::ops::Range;

use super::message::Message;
use super::repair::distance;
use crate::media::Kind;

/// Keyframes whose places are remembered.
const KEYS_MAX: usize = 64;

/// Headers and data in a row that are looked past for a time.
const LOOK_MESSAGES: u64 = 8;

/// Headers of one kind that are remembered. Where a source changes them more often, the keyframes
/// before the oldest of these cannot be started at.
const HEADERS_MAX: usize = 8;

/// Metadata, audio and video, each of the track that all players show.
const MAIN_HEADERS: usize = 3;

/// Tracks beside those whose headers are kept for late readers.
const FURTHER_TRACKS_MAX: usize = 5;

/// Headers that a log keeps at most, of one kind and track each.
pub(super) const HEADERS: usize = MAIN_HEADERS + FURTHER_TRACKS_MAX;

/// Messages that a new log has room for: ten seconds of 60 pictures and 47 blocks of sound a
/// second. One with more of them grows once or twice in its first seconds; room for all that are
/// allowed would take milliseconds to get from the kernel, during which no viewer is served.
const ROOM_AT_FIRST: usize = 1_100;

/// How much of a stream is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Messages.
    pub messages: usize,
    /// Bytes of all messages.
    pub bytes: usize,
    /// Milliseconds from the oldest message to the newest.
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

/// A stream's recent messages, numbered from 0.
#[derive(Debug)]
pub struct StreamLog {
    entries: VecDeque<Message>,
    /// Number of the oldest entry.
    first: u64,
    bytes: usize,
    limits: LogLimits,
    gop_cache: bool,
    /// Metadata, audio headers, video headers, then those of `further` tracks, all at time 0, what
    /// a reader is sent first, each with the number under which it came. Of each those that
    /// messages in the log need.
    headers: [VecDeque<(u64, Message)>; HEADERS],
    /// Further tracks that have had a header.
    further: Vec<(Kind, u8)>,
    /// Kinds that have been in the stream, in the same order.
    carried: [bool; MAIN_HEADERS],
    /// Numbers of keyframes that a reader with the present headers can start at, oldest first.
    keys: VecDeque<u64>,
    newest_time: u32,
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
            limits,
            gop_cache,
            headers: Default::default(),
            further: Vec::new(),
            carried: [false; MAIN_HEADERS],
            keys: VecDeque::with_capacity(KEYS_MAX + 1),
            newest_time: 0,
        }
    }

    /// Appends a message and lets the oldest go beyond the limits.
    pub fn push(&mut self, message: Message) -> Pushed {
        if !message.is_header() {
            self.newest_time = message.time();
        } else if let Some(place) = self.header_place(&message) {
            let known = self.headers[place].back();
            if known.is_some_and(|(_, known)| known.body() == message.body()) {
                return Pushed::Repeated;
            }
            if place == place_of(Kind::Video) {
                self.keys.clear(); // pictures before the new header cannot be decoded with it
            }
            self.add_header(place, message.at_start());
        }
        self.carried[place_of(message.kind())] = true;
        if message.is_key() {
            self.keys.push_back(self.end());
            if self.keys.len() > KEYS_MAX {
                self.keys.pop_front();
            }
        }
        self.bytes += message.body().len();
        self.entries.push_back(message);
        self.trim();
        Pushed::Added
    }

    /// Where such headers are kept; `None` if there are too many tracks.
    fn header_place(&mut self, header: &Message) -> Option<usize> {
        let track = match header.header_track()? {
            0 => return Some(place_of(header.kind())),
            track => (header.kind(), track),
        };
        let known = self.further.iter().position(|known| *known == track);
        let index = known.or_else(|| {
            let has_room = self.further.len() < FURTHER_TRACKS_MAX;
            has_room.then(|| self.further.push(track))?;
            Some(self.further.len() - 1)
        })?;
        Some(MAIN_HEADERS + index)
    }

    fn add_header(&mut self, place: usize, header: Message) {
        let end = self.end();
        let headers = &mut self.headers[place];
        headers.push_back((end, header));
        if headers.len() > HEADERS_MAX {
            headers.pop_front();
            let oldest = headers.front().map_or(0, |(number, _)| *number);
            self.keys.retain(|&key| key > oldest);
        }
    }

    fn trim(&mut self) {
        while self.entries.len() > 1 {
            let over = self.entries.len() > self.limits.messages
                || self.bytes > self.limits.bytes
                || self.lag(self.first) > self.limits.millis;
            if !over {
                break;
            }
            if let Some(oldest) = self.entries.pop_front() {
                self.bytes -= oldest.body().len();
                self.first += 1;
            }
        }
        while self.keys.front().is_some_and(|&key| key < self.first) {
            self.keys.pop_front();
        }
        for headers in &mut self.headers {
            while headers.get(1).is_some_and(|(number, _)| *number < self.first) {
                headers.pop_front();
            }
        }
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

    /// Message `number`, if it is still there.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Message> {
        self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Gives `take` the pieces of the shared wire form of all messages from number `from` on, until
    /// it answers `false`. Says whether all were taken; not so if some are no longer there.
    pub fn pieces_from<'a>(&'a self, from: u64, take: &mut impl FnMut(&'a [u8]) -> bool) -> bool {
        let Some(skip) = from.checked_sub(self.first).and_then(|skip| usize::try_from(skip).ok())
        else {
            return false;
        };
        self.entries.iter().skip(skip).all(|message| message.pieces(0, None, take))
    }

    /// The newest keyframe that can be started at.
    #[must_use]
    pub fn newest_key(&self) -> Option<u64> {
        self.keys.back().copied()
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

    /// Mean rate of what is in the log, bits per second of its own time; of less than a second as
    /// if it were one.
    #[must_use]
    pub fn bitrate_bps(&self) -> f64 {
        let millis = self.lag(self.first).max(1_000);
        self.bytes as f64 * 8_000.0 / f64::from(millis)
    }

    /// Whether pictures are part of the stream.
    #[must_use]
    pub fn has_video(&self) -> bool {
        !self.headers[2].is_empty()
    }

    /// The newest header of a kind: its sequence header, or the metadata.
    #[must_use]
    pub fn header_of(&self, kind: Kind) -> Option<&Message> {
        self.headers[place_of(kind)].back().map(|(_, header)| header)
    }

    /// Whether messages of this kind have been in the stream.
    #[must_use]
    pub const fn carries(&self, kind: Kind) -> bool {
        self.carried[place_of(kind)]
    }

    /// The header (metadata, audio, video, further tracks by `place`) for a reader whose next
    /// message is `number`: the last one before it, or else the first one after it.
    pub(super) fn header(&self, place: usize, number: u64) -> Option<&Message> {
        let headers = self.headers.get(place)?;
        let before = headers.iter().rev().find(|(came, _)| *came < number);
        before.or_else(|| headers.front()).map(|(_, header)| header)
    }

    /// Whether a header of `place` came with a number in `range`.
    pub(super) fn has_header_in(&self, place: usize, range: &Range<u64>) -> bool {
        self.headers.get(place).is_some_and(|all| all.iter().any(|(came, _)| range.contains(came)))
    }

    /// Milliseconds from message `number` to the newest one. Headers and data are passed over:
    /// many sources stamp them with 0.
    #[must_use]
    pub fn lag(&self, number: u64) -> u32 {
        let near = (number..number.saturating_add(LOOK_MESSAGES)).map_while(|n| self.get(n));
        let mut media = near.filter(|m| m.kind() != Kind::Data && !m.is_header());
        let then = media.next().map_or(self.newest_time, Message::time);
        u32::try_from(distance(then, self.newest_time)).unwrap_or(0)
    }

    /// Metadata and sequence headers, as far as there are any.
    pub fn headers(&self) -> impl Iterator<Item = &Message> {
        self.headers.iter().filter_map(VecDeque::back).map(|(_, header)| header)
    }

    /// Everything a new reader would be sent now: the headers, and the messages from the newest
    /// keyframe on.
    pub fn catch_up(&self) -> impl Iterator<Item = &Message> {
        let from = self.newest_key().unwrap_or_else(|| self.end());
        let recent = (from..self.end()).filter_map(|number| self.get(number));
        (0..self.headers.len()).filter_map(move |place| self.header(place, from)).chain(recent)
    }
}

const fn place_of(kind: Kind) -> usize {
    match kind {
        Kind::Data => 0,
        Kind::Audio => 1,
        Kind::Video => 2,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::frame::PacketBuf;
    use crate::stream::message::Flags;

    pub(in crate::stream) const CHUNK: u32 = 1_000;

    pub(in crate::stream) fn message(kind: Kind, time: u32, flags: Flags, body: &[u8]) -> Message {
        Message::new(kind, time, flags, PacketBuf::copy_of(body), CHUNK)
    }

    /// A log with both headers and `seconds` of 25 pictures and 50 sounds, a keyframe a second.
    pub(in crate::stream) fn filled(log: &mut StreamLog, seconds: u32) {
        log.push(message(Kind::Data, 0, Flags::HEADER, b"onMetaData"));
        log.push(message(Kind::Audio, 0, Flags::HEADER, b"asc"));
        log.push(message(Kind::Video, 0, Flags::HEADER, b"avcc"));
        extend(log, 0, seconds);
    }

    pub(in crate::stream) fn extend(log: &mut StreamLog, from_s: u32, seconds: u32) {
        for time in (from_s * 1_000..(from_s + seconds) * 1_000).step_by(20) {
            if time % 40 == 0 {
                let flags = if time % 1_000 == 0 { Flags::KEY } else { Flags::default() };
                log.push(message(Kind::Video, time, flags, &[1; 50]));
            }
            log.push(message(Kind::Audio, time, Flags::default(), &[2; 10]));
        }
    }

    #[test]
    fn the_oldest_go_by_age_by_bytes_and_by_number() {
        let mut log = StreamLog::new(LogLimits { millis: 2_000, ..LogLimits::default() }, true);
        filled(&mut log, 5);
        assert!(log.get(log.first()).unwrap().time() >= 2_900);
        let mut log = StreamLog::new(LogLimits { bytes: 500, ..LogLimits::default() }, true);
        filled(&mut log, 5);
        assert!(log.bytes <= 500 && log.end() > 300);
        let mut log = StreamLog::new(LogLimits { messages: 7, ..LogLimits::default() }, true);
        filled(&mut log, 5);
        assert_eq!(log.end() - log.first(), 7);
    }

    #[test]
    fn a_header_that_repeats_is_not_sent_again_and_a_new_one_starts_a_new_cache() {
        let mut log = StreamLog::new(LogLimits::default(), true);
        filled(&mut log, 2);
        let repeated = message(Kind::Video, 2_000, Flags::HEADER, b"avcc");
        assert_eq!(log.push(repeated), Pushed::Repeated);
        assert!(log.newest_key().is_some());
        let changed = message(Kind::Video, 2_000, Flags::HEADER, b"other");
        assert_eq!(log.push(changed), Pushed::Added);
        assert_eq!(log.newest_key(), None);
    }

    #[test]
    fn headers_of_further_tracks_are_kept_beside_those_of_the_main_one() {
        let mut log = StreamLog::new(LogLimits::default(), true);
        filled(&mut log, 2);
        let mut push = |track, body: &[u8]| {
            log.push(message(Kind::Video, 2_000, Flags::header_of(track), body))
        };
        for track in 1..=6 {
            assert_eq!(push(track, &[track]), Pushed::Added);
        }
        assert_eq!(push(1, &[1]), Pushed::Repeated);
        assert_eq!(push(2, b"new"), Pushed::Added);
        assert!(log.newest_key().is_some(), "the main track goes on");
        let bodies: Vec<_> = log.headers().map(Message::body).collect();
        let main: [&[u8]; 3] = [b"onMetaData", b"asc", b"avcc"];
        let further: [&[u8]; 5] = [&[1], b"new", &[3], &[4], &[5]];
        assert_eq!(bodies, [&main[..], &further[..]].concat());
    }

    #[test]
    fn the_rate_is_that_of_the_streams_own_time_however_fast_it_came() {
        let mut log = StreamLog::new(LogLimits::default(), true);
        assert!(log.bitrate_bps().abs() < f64::EPSILON);
        log.push(message(Kind::Video, 5_000, Flags::KEY, &[1; 1_000]));
        assert!((log.bitrate_bps() - 8_000.0).abs() < 1.0, "{}", log.bitrate_bps());
        let mut log = StreamLog::new(LogLimits::default(), true);
        filled(&mut log, 5);
        // 25 pictures of 50 bytes and 50 sounds of 10 each second.
        assert!((log.bitrate_bps() / 14_000.0 - 1.0).abs() < 0.02, "{}", log.bitrate_bps());
    }

    #[test]
    fn catching_up_begins_with_headers_and_a_keyframe() {
        let mut log = StreamLog::new(LogLimits::default(), true);
        filled(&mut log, 3);
        let sent: Vec<_> = log.catch_up().collect();
        assert!(sent[..3].iter().all(|m| m.is_header() && m.time() == 0));
        assert!(sent[3].is_key() && sent[3].time() == 2_000);
    }
}
