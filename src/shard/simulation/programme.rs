//! Programmes: numbered pictures and audio, and the audit of what arrives of them.
//!
//! Every body says of which source it is, which of its pictures (or blocks of audio), and by which
//! sequence header it is to be decoded. From that alone follows whether a reader got what it should
//! have: nothing twice or out of order, nothing changed, and no picture that it cannot decode.

use std::collections::VecDeque;

use super::rng::Rng;
use super::wire::{Amf, body};
use crate::media::Micros;

const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const DATA: u8 = 18;

/// Marks a body as one of ours.
const MARK: u8 = 0xa5;

/// Time between two pictures.
const INTERVAL: Micros = Micros::from_millis(40);

/// Pictures that a source which was not asked for long makes at once.
const AT_ONCE: usize = 6;

/// Names of all sources so far, by the sources' numbers.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<usize>);

impl Sources {
    /// A new source of the stream of that name.
    pub(super) fn begin(&mut self, name: usize, rng: &mut Rng, now: Micros) -> Programme {
        self.0.push(name);
        Programme {
            source: u32::try_from(self.0.len() - 1).unwrap(),
            version: [0; 2],
            count: [0; 2],
            clock: rng.pick(&[0, 5_000, 0xff_f000, 0x7fff_f000, 0xffff_f000]),
            due: now,
            until_key: 0,
            group: 1 + rng.below(12),
            has_audio: !rng.once_in(5),
        }
    }

    fn name(&self, source: u32) -> Option<usize> {
        self.0.get(source as usize).copied()
    }
}

/// One source's pictures and audio.
#[derive(Debug)]
pub(super) struct Programme {
    pub(super) source: u32,
    /// Of its sequence headers, audio first; 0 before the first.
    version: [u16; 2],
    count: [u32; 2],
    clock: u32,
    due: Micros,
    until_key: usize,
    group: usize,
    has_audio: bool,
}

/// A message of a programme: type, time and body.
pub(super) type Made = (u8, u32, Vec<u8>);

impl Programme {
    /// What is due by `now`.
    pub(super) fn make(&mut self, rng: &mut Rng, now: Micros, made: &mut Vec<Made>) {
        let mut pictures = 0;
        while self.due <= now {
            if self.version == [0; 2] || self.until_key == 0 && rng.once_in(20) {
                self.headers(made);
            }
            let is_key = self.until_key == 0;
            self.until_key = if is_key { self.group } else { self.until_key } - 1;
            made.push((VIDEO, self.clock, self.frame(1, is_key)));
            if self.has_audio {
                made.push((AUDIO, self.clock.wrapping_add(3), self.frame(0, false)));
                made.push((AUDIO, self.clock.wrapping_add(23), self.frame(0, false)));
            }
            self.clock = self.clock.wrapping_add(40);
            if rng.once_in(500) {
                self.clock = rng.pick(&[0, 1 << 20, self.clock.wrapping_sub(300)]);
            }
            self.due = self.due + INTERVAL;
            pictures += 1;
            if pictures == AT_ONCE {
                self.due = now + INTERVAL;
            }
        }
    }

    fn headers(&mut self, made: &mut Vec<Made>) {
        let metadata = body(&[Amf::Text("onMetaData"), Amf::Object(&[("encoder", "sim")])]);
        made.push((DATA, 0, metadata));
        let source = self.source.to_be_bytes();
        self.version[1] += 1;
        let version = self.version[1].to_be_bytes();
        let video = [0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1];
        made.push((VIDEO, self.clock, [&video[..], &source, &version].concat()));
        if self.has_audio {
            self.version[0] += 1;
            let version = self.version[0].to_be_bytes();
            let audio = [0xaf, 0, 0x12, 0x10];
            made.push((AUDIO, self.clock, [&audio[..], &source, &version].concat()));
        }
    }

    fn frame(&mut self, track: usize, is_key: bool) -> Vec<u8> {
        self.count[track] += 1;
        let (count, version) = (self.count[track], self.version[track]);
        let mut frame = match (track, is_key) {
            (0, _) => vec![0xaf, 1],
            (_, true) => vec![0x17, 1, 0, 0, 0],
            (_, false) => vec![0x27, 1, 0, 0, 0],
        };
        frame.push(MARK);
        frame.extend(self.source.to_be_bytes());
        frame.extend(count.to_be_bytes());
        frame.extend(version.to_be_bytes());
        frame.extend(filler(self.source, count, track));
        frame
    }
}

/// The rest of a body, which follows from its numbers.
fn filler(source: u32, count: u32, track: usize) -> impl ExactSizeIterator<Item = u8> {
    let word = (source ^ count.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
    let most = if track == 0 { 40 } else { 320 };
    (0..(word >> 16) % most).map(move |at| (at ^ count).to_be_bytes()[3])
}

/// What one reader has got of one stream.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// The sequence headers that it has, audio first: source and version.
    headers: [Option<(u32, u16)>; 2],
    /// Source, number and time of what came last.
    last: [Option<(u32, u32, u32)>; 2],
    /// The newest number of each source.
    seen: Vec<(u32, [u32; 2])>,
    name: Option<usize>,
    /// What came last, for a finding: its type and its numbers.
    recent: VecDeque<(u8, bool, u32, u32, u16)>,
    /// The newest keyframe: source and number.
    pub(super) newest_key: Option<(u32, u32)>,
    pub(super) pictures: u64,
}

impl Audit {
    /// The reader begins where new ones do: what it got before may come again.
    pub(super) fn begin_anew(&mut self) {
        self.seen.clear();
        self.last = [None; 2];
    }

    /// A message has come to a reader of one of `names`.
    pub(super) fn message(
        &mut self,
        sources: &Sources,
        names: &[usize],
        (type_id, time, body): (u8, u32, &[u8]),
    ) -> Result<(), String> {
        let (track, rest) = match (type_id, body) {
            (AUDIO, [0xaf, 0, 0x12, 0x10, rest @ ..]) => return self.header(0, rest),
            (VIDEO, [0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, rest @ ..]) => {
                return self.header(1, rest);
            }
            (AUDIO, [0xaf, 1, MARK, rest @ ..]) => (0, rest),
            (VIDEO, [0x17 | 0x27, 1, 0, 0, 0, MARK, rest @ ..]) => (1, rest),
            (DATA, _) => return Ok(()),
            _ => return Err(format!("a body of type {type_id} that nobody sent: {body:x?}")),
        };
        let Some((numbers, rest)) = rest.split_first_chunk::<10>() else {
            return Err(format!("a body that was cut: {body:x?}"));
        };
        let [s0, s1, s2, s3, c0, c1, c2, c3, v0, v1] = *numbers;
        let source = u32::from_be_bytes([s0, s1, s2, s3]);
        let count = u32::from_be_bytes([c0, c1, c2, c3]);
        let version = u16::from_be_bytes([v0, v1]);
        let text = |what: &str| format!("{what}: number {count} of source {source}");
        if !filler(source, count, track).eq(rest.iter().copied()) {
            return Err(text("a body was changed"));
        }
        let name = sources.name(source).ok_or_else(|| text("no such source"))?;
        if !names.contains(&name) || self.name.is_some_and(|known| known != name) {
            return Err(text(&format!("it is of stream {name}, and {names:?} was asked for")));
        }
        self.name = Some(name);
        if self.headers[track] != Some((source, version)) {
            let known = self.headers[track];
            let kind = ["audio", "video"][track];
            let recent = &self.recent;
            return Err(text(&format!(
                "{kind} needs header {version}, and {known:?} is there; came: {recent:?}"
            )));
        }
        let is_key = track == 1 && body[0] == 0x17;
        self.note((type_id, is_key, source, count, version));
        self.order(track, (source, count, time), is_key).map_err(|what| {
            let recent = &self.recent;
            text(&format!("{what}; came: {recent:?}"))
        })?;
        if is_key {
            self.newest_key = Some((source, count));
        }
        self.pictures += u64::from(track == 1);
        Ok(())
    }

    fn header(&mut self, track: usize, rest: &[u8]) -> Result<(), String> {
        let [s0, s1, s2, s3, v0, v1] = *rest else {
            return Err(format!("a header that was cut: {rest:x?}"));
        };
        let source = u32::from_be_bytes([s0, s1, s2, s3]);
        let version = u16::from_be_bytes([v0, v1]);
        self.headers[track] = Some((source, version));
        self.note((8 + u8::try_from(track).unwrap(), false, source, 0, version));
        Ok(())
    }

    fn note(&mut self, what: (u8, bool, u32, u32, u16)) {
        if self.recent.len() == 16 {
            self.recent.pop_front();
        }
        self.recent.push_back(what);
    }

    fn order(
        &mut self,
        track: usize,
        (source, count, time): (u32, u32, u32),
        is_key: bool,
    ) -> Result<(), &'static str> {
        let known = self.seen.iter_mut().find(|(known, _)| *known == source);
        let seen = match known {
            Some((_, seen)) => seen,
            None => {
                self.seen.push((source, [0; 2]));
                &mut self.seen.last_mut().unwrap().1
            }
        };
        if count <= seen[track] {
            return Err("it comes twice, or out of order");
        }
        seen[track] = count;
        let last = self.last[track].replace((source, count, time));
        let follows = last.is_some_and(|(s, c, _)| (s, c + 1) == (source, count));
        if track == 1 && !follows && !is_key {
            return Err("pictures begin without a keyframe");
        }
        let is_back = |then: u32| time.wrapping_sub(then).cast_signed() < 0;
        if last.is_some_and(|(s, _, then)| s == source && is_back(then)) {
            return Err("its time goes back");
        }
        Ok(())
    }
}
