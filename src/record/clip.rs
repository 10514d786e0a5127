//! Clip: messages that have come already, as an MP4 whose index is at its beginning (progressive),
//! so that every player and every site takes it. Every time and every frame is as it was published.

use std::io::{self, Write};

use super::boxes::{Frame, Length, Tables, TrackSpec, put_box, put_mvhd, put_tables, put_trak};
use super::model::Input;
use super::mp4::{each_frame, specs};
use super::times::distance;
use super::tracks::{Track, TrackMatch, Tracks};
use crate::media::Kind;

/// How long the last frame of a track lasts that has only one, milliseconds.
const ALONE_MS: u32 = 40;

/// Where the clip's length is in its file: behind `ftyp`, in the first box of `moov`.
const LENGTH_AT: usize = FTYP.len() + 8 + 8 + 16;

/// The file's type: plain MP4, as all sites take it.
const FTYP: &[u8; 28] = b"\0\0\0\x1cftypisom\0\0\x02\0isomiso2mp41";

/// Bytes of a clip's file that tell [`clip_length_ms`] how long it is.
pub const CLIP_HEAD_BYTES: usize = LENGTH_AT + 4;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// Milliseconds that players show.
    pub length_ms: u32,
    /// Its size.
    pub bytes: u64,
    /// Which further tracks have no place in the file, in words.
    pub left_out: Option<String>,
}

/// Why there is no clip.
#[derive(Debug)]
pub enum ClipFault {
    /// What is published has no place in an MP4; says what to do.
    Unfit(String),
    /// The file cannot be written.
    Disk(io::Error),
}

impl From<io::Error> for ClipFault {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// A frame in the order of the file.
#[derive(Clone, Copy, Debug)]
struct Placed<'a> {
    /// Number of its track in the file.
    track: usize,
    frame: Frame<'a>,
}

/// One track of the clip.
#[derive(Debug, Default)]
struct ClipTrack {
    /// Decoding time of each frame, milliseconds in the clip, and how much later it is shown.
    times: Vec<(u64, i32)>,
    keys: Vec<u32>,
    bytes: Vec<u32>,
    places: Vec<u32>,
}

/// Writes the clip of `inputs`: headers, then messages from a keyframe on. Players show it from
/// `wanted` on, a time of the stream; what is before that is there to be decoded.
///
/// # Errors
/// If what is published has no place in an MP4, or the file cannot be written.
pub fn write_clip(
    inputs: &[Input<'_>],
    wanted: u32,
    out: &mut impl Write,
) -> Result<Clip, ClipFault> {
    let (tracks, inputs) = tracks_of(inputs);
    let first = inputs.first().ok_or_else(no_keyframe)?;
    let (specs, numbers, left_out) = specs(&tracks, first.body).map_err(ClipFault::Unfit)?;
    let base = inputs.iter().map(|it| distance(first.time, it.time)).min().unwrap_or(0).min(0);
    let base = first.time.wrapping_add_signed(base);
    let frames = frames_of(&inputs, &numbers, base);
    let bytes: u64 = frames.iter().map(|it| it.frame.data.len() as u64).sum();
    let mut tracks: Vec<_> = specs.iter().map(|_| ClipTrack::default()).collect();
    for Placed { track, frame } in &frames {
        tracks[*track].add(frame);
    }
    let from = distance(base, wanted).max(0).unsigned_abs();
    let mut head = Vec::new();
    let length_ms = put_head(&mut head, &specs, &mut tracks, (from, None))?;
    // The places are known once the length of what tells them is.
    let data_at = head.len() + 8;
    head.clear();
    put_head(&mut head, &specs, &mut tracks, (from, Some((data_at, &frames))))?;
    let whole = u32::try_from(bytes + 8).map_err(|_| too_large())?;
    head.extend_from_slice(&whole.to_be_bytes());
    head.extend_from_slice(b"mdat");
    out.write_all(&head)?;
    for placed in &frames {
        out.write_all(placed.frame.data)?;
    }
    Ok(Clip { length_ms, bytes: data_at as u64 + bytes, left_out })
}

/// How long a clip is, milliseconds, whose file begins with these [`CLIP_HEAD_BYTES`]; `None` if
/// it is no clip.
#[must_use]
pub fn clip_length_ms(head: &[u8]) -> Option<u32> {
    let rest = head.strip_prefix(FTYP)?;
    rest.get(12..16).filter(|name| name == b"mvhd")?;
    Some(u32::from_be_bytes(*head.get(LENGTH_AT..)?.first_chunk()?))
}

fn no_keyframe() -> ClipFault {
    ClipFault::Unfit("there is no keyframe among the messages; try again after the next one".into())
}

fn too_large() -> ClipFault {
    ClipFault::Unfit("it would be larger than 4 GiB; ask for fewer seconds".to_owned())
}

/// The tracks of messages, and the frames that fit one description of them: the last ones, if a
/// track's header changes. None, if there are pictures and no keyframe.
fn tracks_of<'a>(inputs: &[Input<'a>]) -> (Tracks, Vec<Input<'a>>) {
    let (mut tracks, mut frames) = (Tracks::default(), Vec::with_capacity(inputs.len()));
    for input in inputs {
        let Some(id) = input.header else {
            if let Some(frame) = Track::of_frame(input.kind, input.body) {
                tracks.see(&frame);
                frames.push(*input);
            }
            continue;
        };
        let Some(track) = Track::of_header(input.kind, id, input.body) else { continue };
        if track.is_playable() && tracks.compare(&track) == TrackMatch::Other {
            frames.clear();
        }
        tracks.set(track);
    }
    if tracks.has(Kind::Video) {
        // Nothing before the first keyframe can be decoded.
        let key = frames.iter().position(|it| it.is_key && it.kind == Kind::Video);
        frames.drain(..key.unwrap_or(frames.len()));
    }
    (tracks, frames)
}

fn frames_of<'a>(inputs: &[Input<'a>], tracks: &[(Kind, u8)], base: u32) -> Vec<Placed<'a>> {
    let mut frames = Vec::with_capacity(inputs.len());
    for input in inputs {
        let dts = u64::from(distance(base, input.time).max(0).unsigned_abs());
        each_frame(input.kind, dts, input.body, |track, frame| {
            if let Some(track) = tracks.iter().position(|known| *known == track) {
                frames.push(Placed { track, frame });
            }
        });
    }
    frames
}

/// Everything before the frames' bytes, if it is told where those begin, and how long the clip is.
fn put_head(
    out: &mut Vec<u8>,
    specs: &[TrackSpec],
    tracks: &mut [ClipTrack],
    (from, data): (u32, Option<(usize, &[Placed<'_>])>),
) -> Result<u32, ClipFault> {
    let mut place = data.map_or(0, |(at, _)| at);
    for track in &mut *tracks {
        track.places.clear();
        track.places.resize(track.bytes.len(), 0);
    }
    let mut next = vec![0; tracks.len()];
    for Placed { track, frame } in data.map_or(&[][..], |(_, frames)| frames) {
        let number = &mut next[*track];
        tracks[*track].places[*number] = u32::try_from(place).map_err(|_| too_large())?;
        *number += 1;
        place += frame.data.len();
    }
    // Nothing is shown before the first picture is.
    let shown = |track: &ClipTrack| track.times.first().map(|(dts, later)| at(*dts, *later));
    let pictures = specs.iter().position(|spec| spec.size.is_some());
    let from = pictures.and_then(|number| shown(&tracks[number])).map_or(from, |it| it.max(from));
    let lengths: Vec<_> = tracks.iter().map(|track| track.length(from)).collect();
    let length_ms = lengths.iter().map(|length| length.shown_ms).max().unwrap_or(0);
    let filled = tracks.iter().filter(|track| !track.bytes.is_empty()).count();
    out.extend_from_slice(FTYP);
    put_box(out, b"moov", |out| {
        put_mvhd(out, filled, length_ms);
        let parts = specs.iter().zip(&*tracks).zip(&lengths);
        let parts = parts.filter(|((_, track), _)| !track.bytes.is_empty());
        for (number, ((spec, track), length)) in (1..).zip(parts) {
            let tables = track.tables(spec.size.is_some());
            put_trak(out, number, spec, length, |out| put_tables(out, &spec.entry, &tables));
        }
    });
    Ok(length_ms)
}

/// When a frame is shown, milliseconds in the clip.
fn at(dts: u64, later: i32) -> u32 {
    u32::try_from(dts.saturating_add_signed(later.into())).unwrap_or(u32::MAX)
}

impl ClipTrack {
    fn add(&mut self, frame: &Frame<'_>) {
        let shown = i64::try_from(frame.dts).unwrap_or(i64::MAX) + i64::from(frame.later);
        let newest = self.times.last().map_or(0, |(dts, _)| *dts);
        let dts = frame.dts.max(newest);
        let later = shown - i64::try_from(dts).unwrap_or(i64::MAX);
        self.times.push((dts, i32::try_from(later).unwrap_or(0)));
        self.bytes.push(u32::try_from(frame.data.len()).unwrap_or(u32::MAX));
        if frame.is_key {
            self.keys.push(u32::try_from(self.times.len()).unwrap_or(u32::MAX));
        }
    }

    /// From each frame to the next one, milliseconds; the last lasts as long as the one before.
    fn steps(&self) -> impl Iterator<Item = u32> {
        let step = |two: &[(u64, i32)]| u32::try_from(two[1].0 - two[0].0).unwrap_or(u32::MAX);
        let last = self.times.len().checked_sub(2).map_or(ALONE_MS, |at| step(&self.times[at..]));
        self.times.windows(2).map(step).chain((!self.times.is_empty()).then_some(last))
    }

    /// How long it is, if players show it from `from` on.
    fn length(&self, from: u32) -> Length {
        let first = self.times.first().map_or(0, |(dts, _)| at(*dts, 0));
        let media_ms = self.steps().fold(0_u32, u32::saturating_add);
        let last = self.times.iter().map(|(dts, later)| at(*dts, *later)).max().unwrap_or(0);
        let end = last.saturating_add(self.steps().last().unwrap_or(0));
        let begin = from.max(first);
        let (wait, shown) = (begin - from, end.saturating_sub(begin));
        let mut edits = Vec::new();
        if wait > 0 {
            edits.push((wait, -1));
        }
        edits.push((shown, i32::try_from(begin - first).unwrap_or(i32::MAX)));
        Length { media_ms, shown_ms: wait.saturating_add(shown), edits }
    }

    fn tables(&self, has_pictures: bool) -> Tables {
        let later = self.times.iter().map(|(_, later)| later.cast_unsigned());
        let is_shown_as_decoded = self.times.iter().all(|(_, later)| *later == 0);
        Tables {
            lengths: in_rows(self.steps()),
            later: if is_shown_as_decoded { Vec::new() } else { in_rows(later) },
            keys: has_pictures.then(|| self.keys.clone()),
            bytes: self.bytes.clone(),
            places: self.places.clone(),
        }
    }
}

/// How often each number comes in a row.
fn in_rows(numbers: impl Iterator<Item = u32>) -> Vec<[u32; 2]> {
    let mut rows: Vec<[u32; 2]> = Vec::new();
    for number in numbers {
        match rows.last_mut() {
            Some([count, same]) if *same == number => *count += 1,
            _ => rows.push([1, number]),
        }
    }
    rows
}
