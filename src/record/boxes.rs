//! Fragmented MP4 (ISO/IEC 14496-12) box by box: what stands first, fragments, and the index at the
//! end. Written here because every time has to stay as it was published: muxers compute times anew.

/// Times are in milliseconds, as in RTMP: none is rounded.
pub(super) const TIMESCALE: u32 = 1_000;

/// How long the newest frame of a track waits for the next one, which says how long it lasts,
/// milliseconds. Then its track has paused, and it goes out without that knowledge.
const WAIT_MS_MAX: u64 = 1_000;

/// Longest time that the last frame before a pause is said to last, milliseconds.
const USUAL_MS_MAX: u64 = 1_000;

/// Keyframes in the index. Players find those beyond them by the fragments.
const INDEX_MAX: usize = 1 << 18;

/// A track as the file describes it.
#[derive(Debug)]
pub(super) struct TrackSpec {
    /// What a decoder is told: a whole sample entry.
    pub(super) entry: Vec<u8>,
    /// Width and height in pixels; `None` for audio.
    pub(super) size: Option<(u32, u32)>,
    /// Whether players show it unless they are told otherwise.
    pub(super) is_main: bool,
}

/// A frame of a track.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) data: &'a [u8],
    /// When it is decoded, milliseconds in the file; not before the one before.
    pub(super) dts: u64,
    /// How much later it is shown, milliseconds.
    pub(super) later: i32,
    pub(super) is_key: bool,
}

/// Writes one file.
#[derive(Debug)]
pub(super) struct Boxes {
    tracks: Vec<Track>,
    /// Number of the next fragment.
    sequence: u32,
    /// Bytes of the file so far.
    position: u64,
    /// Where the room for the file's length is.
    length_at: u64,
    index: Vec<Entry>,
    /// The track whose frames are in the index.
    indexed: usize,
    /// Newest decoding time of all tracks.
    newest: u64,
}

#[derive(Debug)]
struct Track {
    frames: Vec<Sample>,
    data: Vec<u8>,
    /// Decoding time of the newest frame there has been.
    newest: u64,
    /// How long a frame lasts, as seen last.
    usual: u64,
    /// End of the last frame that is in a fragment.
    end: u64,
}

/// A frame that is in no fragment yet.
#[derive(Clone, Copy, Debug)]
struct Sample {
    dts: u64,
    later: i32,
    bytes: u32,
    is_key: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    time: u64,
    fragment_at: u64,
    /// Number of the track's part in the fragment, and of the frame in it, from 1.
    part: u32,
    frame: u32,
}

/// Bytes of the box with the file's length, or of the room for it.
const LENGTH_BYTES: u32 = 20;

impl Boxes {
    /// Begins a file at the beginning of `out`, which is empty.
    pub(super) fn begin(tracks: &[TrackSpec], out: &mut Vec<u8>) -> Self {
        put_box(out, b"ftyp", |out| {
            out.extend_from_slice(b"iso5\0\0\x02\0iso5iso6mp41");
        });
        let mut length_at = 0;
        put_box(out, b"moov", |out| {
            put_mvhd(out, tracks.len(), 0);
            for (number, track) in (1..).zip(tracks) {
                put_trak(out, number, track, &Length::default(), |out| {
                    put_tables(out, &track.entry, &Tables::default());
                });
            }
            put_box(out, b"mvex", |out| {
                length_at = out.len() as u64;
                put_box(out, b"free", |out| out.resize(out.len() + LENGTH_BYTES as usize - 8, 0));
                for (number, _) in (1_u32..).zip(tracks) {
                    put_box(out, b"trex", |out| put_all(out, &[0, number, 1, 0, 0, 0]));
                }
            });
        });
        let new =
            |_: &TrackSpec| Track { frames: vec![], data: vec![], newest: 0, usual: 0, end: 0 };
        Self {
            tracks: tracks.iter().map(new).collect(),
            sequence: 1,
            position: out.len() as u64,
            length_at,
            index: Vec::new(),
            indexed: tracks.iter().position(|track| track.size.is_some()).unwrap_or(0),
            newest: 0,
        }
    }

    /// Adds a frame to a track. A keyframe of the pictures begins a fragment, so that players can
    /// start there: `out` gets the one before it.
    pub(super) fn add(&mut self, number: usize, frame: Frame<'_>, out: &mut Vec<u8>) {
        let Some(track) = self.tracks.get_mut(number) else { return };
        let dts = frame.dts.max(track.newest);
        if (1..=USUAL_MS_MAX).contains(&(dts - track.newest)) {
            track.usual = dts - track.newest;
        }
        track.newest = dts;
        if frame.is_key && number == self.indexed && !track.frames.is_empty() {
            self.fragment(Some((number, dts)), false, out);
        }
        let Some(track) = self.tracks.get_mut(number) else { return };
        let shown = i64::try_from(frame.dts).unwrap_or(i64::MAX) + i64::from(frame.later);
        let later = shown - i64::try_from(dts).unwrap_or(i64::MAX);
        track.frames.push(Sample {
            dts,
            later: i32::try_from(later).unwrap_or(0),
            bytes: u32::try_from(frame.data.len()).unwrap_or(u32::MAX),
            is_key: frame.is_key,
        });
        track.data.extend_from_slice(frame.data);
        self.newest = self.newest.max(dts);
    }

    /// Bytes of frames that are in no fragment yet.
    pub(super) fn pending_bytes(&self) -> usize {
        self.tracks.iter().map(|track| track.data.len()).sum()
    }

    /// Puts what there is into a fragment, without the newest frame of each track.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        self.fragment(None, false, out);
    }

    /// The rest of the file: all frames, and the index.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        self.fragment(None, true, out);
        let from = out.len();
        let track = u32::try_from(self.indexed + 1).unwrap_or(1);
        put_box(out, b"mfra", |out| {
            put_box(out, b"tfra", |out| {
                // Version 1: 64 bits of time and place; three numbers of 32 bits each behind them.
                let count = u32::try_from(self.index.len()).unwrap_or(0);
                put_all(out, &[1 << 24, track, 0x3f, count]);
                for entry in &self.index {
                    out.extend_from_slice(&entry.time.to_be_bytes());
                    out.extend_from_slice(&entry.fragment_at.to_be_bytes());
                    put_all(out, &[entry.part, 1, entry.frame]);
                }
            });
            let whole = u32::try_from(out.len() - from + 16).unwrap_or(0);
            put_box(out, b"mfro", |out| put_all(out, &[0, whole]));
        });
        self.position += (out.len() - from) as u64;
    }

    /// Where the file says how long it is, and the bytes that say so.
    pub(super) fn length(&self) -> (u64, Vec<u8>) {
        let length = self.tracks.iter().map(|track| track.end).max().unwrap_or(0);
        let mut bytes = Vec::new();
        put_box(&mut bytes, b"mehd", |out| {
            put_all(out, &[1 << 24]);
            out.extend_from_slice(&length.to_be_bytes());
        });
        (self.length_at, bytes)
    }

    /// One fragment of what is held. `next` is a track's next frame and its time; with `all` the
    /// newest frames go too.
    fn fragment(&mut self, next: Option<(usize, u64)>, all: bool, out: &mut Vec<u8>) {
        let parts: Vec<_> =
            (0..self.tracks.len()).filter_map(|number| self.part(number, next, all)).collect();
        if parts.is_empty() {
            return;
        }
        self.remember_keys(&parts);
        let from = out.len();
        let mut places = Vec::new();
        put_box(out, b"moof", |out| {
            put_box(out, b"mfhd", |out| put_all(out, &[0, self.sequence]));
            for part in &parts {
                places.push(put_traf(out, part, &self.tracks[part.number].frames));
            }
        });
        let mut data_at = out.len() - from + 8;
        for (part, place) in parts.iter().zip(places) {
            let told = u32::try_from(data_at).unwrap_or(0).to_be_bytes();
            out[place..place + 4].copy_from_slice(&told);
            data_at += part.bytes;
        }
        put_box(out, b"mdat", |out| {
            for part in &parts {
                let track = &mut self.tracks[part.number];
                track.frames.drain(..part.count);
                out.extend(track.data.drain(..part.bytes));
                track.end = part.until;
            }
        });
        self.sequence = self.sequence.wrapping_add(1);
        self.position += (out.len() - from) as u64;
    }

    /// What of a track goes into the next fragment.
    fn part(&self, number: usize, next: Option<(usize, u64)>, all: bool) -> Option<Part> {
        let track = self.tracks.get(number)?;
        let last = track.frames.last()?;
        let next = next.filter(|next| next.0 == number).map(|next| next.1);
        let waits = !all && next.is_none() && self.newest - last.dts < WAIT_MS_MAX;
        let count = track.frames.len() - usize::from(waits);
        let taken = track.frames.get(..count).filter(|taken| !taken.is_empty())?;
        let held = track.frames.get(count).map(|held| held.dts);
        let until = next.or(held).unwrap_or(last.dts + track.usual);
        Some(Part { number, count, until, bytes: taken.iter().map(|it| it.bytes as usize).sum() })
    }

    fn remember_keys(&mut self, parts: &[Part]) {
        let Some(at) = parts.iter().position(|part| part.number == self.indexed) else { return };
        let frames = self.tracks[self.indexed].frames.iter().take(parts[at].count);
        let is_audio = frames.clone().all(|frame| frame.is_key);
        // Of audio, where any frame can be started at, the first of each fragment is enough.
        let keys = (1..).zip(frames).filter(|(_, frame)| frame.is_key);
        for (number, frame) in keys.take(if is_audio { 1 } else { INDEX_MAX }) {
            if self.index.len() == INDEX_MAX {
                return;
            }
            self.index.push(Entry {
                time: frame.dts.saturating_add_signed(frame.later.into()),
                fragment_at: self.position,
                part: u32::try_from(at + 1).unwrap_or(1),
                frame: number,
            });
        }
    }
}

/// A track's share of a fragment.
#[derive(Clone, Copy, Debug)]
struct Part {
    number: usize,
    /// Frames, and their bytes.
    count: usize,
    bytes: usize,
    /// When the last of them ends.
    until: u64,
}

/// Flags of a frame that needs no other, and of one that does.
const FRAME_FLAGS: [u32; 2] = [0x0200_0000, 0x0101_0000];

/// Writes a track's share, and gives the place for the offset of its data.
fn put_traf(out: &mut Vec<u8>, part: &Part, frames: &[Sample]) -> usize {
    let frames = &frames[..part.count];
    let mut place = 0;
    put_box(out, b"traf", |out| {
        let id = u32::try_from(part.number + 1).unwrap_or(1);
        // Offsets count from the fragment's beginning.
        put_box(out, b"tfhd", |out| put_all(out, &[0x02_0000, id]));
        put_box(out, b"tfdt", |out| {
            put_all(out, &[1 << 24]);
            let begin = frames.first().map_or(0, |frame| frame.dts);
            out.extend_from_slice(&begin.to_be_bytes());
        });
        put_box(out, b"trun", |out| {
            // Version 1, because frames may be shown before they are decoded, for all we know. Each
            // with its duration, size, flags and composition time.
            put_all(out, &[1 << 24 | 0xf01, u32::try_from(frames.len()).unwrap_or(0)]);
            place = out.len();
            put_all(out, &[0]);
            let ends = frames.iter().skip(1).map(|frame| frame.dts).chain([part.until]);
            for (frame, end) in frames.iter().zip(ends) {
                let length = u32::try_from(end.saturating_sub(frame.dts)).unwrap_or(u32::MAX);
                let flags = FRAME_FLAGS[usize::from(!frame.is_key)];
                put_all(out, &[length, frame.bytes, flags, frame.later.cast_unsigned()]);
            }
        });
    });
    place
}

/// How long a track is and when it is shown, as the file says at its beginning; nothing where
/// fragments say it.
#[derive(Debug, Default)]
pub(super) struct Length {
    /// Milliseconds of all frames.
    pub(super) media_ms: u32,
    /// Milliseconds that players show.
    pub(super) shown_ms: u32,
    /// What they show (`elst`): how long, and from which time of the track; -1 is nothing.
    pub(super) edits: Vec<(u32, i32)>,
}

/// The tables of a track's frames (ISO/IEC 14496-12 section 8.6 and 8.7), each as the numbers that
/// follow the count of its entries; empty where fragments hold them.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Of `stts`: frames in a row, and how long each lasts.
    pub(super) lengths: Vec<[u32; 2]>,
    /// Of `ctts`: frames in a row, and how much later than decoded each is shown.
    pub(super) later: Vec<[u32; 2]>,
    /// Of `stss`: numbers of the keyframes, from 1; `None` if each is one.
    pub(super) keys: Option<Vec<u32>>,
    /// Of `stsz`: bytes of each frame.
    pub(super) bytes: Vec<u32>,
    /// Of `stco`: where in the file each is.
    pub(super) places: Vec<u32>,
}

/// The movie's header.
pub(super) fn put_mvhd(out: &mut Vec<u8>, tracks: usize, shown_ms: u32) {
    put_box(out, b"mvhd", |out| {
        put_all(out, &[0, 0, 0, TIMESCALE, shown_ms, 0x0001_0000, 0x0100_0000, 0, 0]);
        put_all(out, &MATRIX);
        put_all(out, &[0; 6]);
        put_all(out, &[u32::try_from(tracks + 1).unwrap_or(u32::MAX)]);
    });
}

/// A track, which `tables` describes.
pub(super) fn put_trak(
    out: &mut Vec<u8>,
    number: u32,
    track: &TrackSpec,
    length: &Length,
    tables: impl FnOnce(&mut Vec<u8>),
) {
    let (width, height) = track.size.unwrap_or((0, 0));
    let (handler, name): (&[u8; 4], &[u8]) = match track.size {
        Some(_) => (b"vide", b"VideoHandler\0"),
        None => (b"soun", b"AudioHandler\0"),
    };
    put_box(out, b"trak", |out| {
        put_box(out, b"tkhd", |out| {
            let flags = if track.is_main { 3 } else { 2 };
            // Players choose one of the audio tracks.
            let group = u32::from(track.size.is_none());
            let volume = if track.size.is_none() { 0x0100_0000 } else { 0 };
            put_all(out, &[flags, 0, 0, number, 0, length.shown_ms, 0, 0, group, volume]);
            put_all(out, &MATRIX);
            put_all(out, &[width << 16, height << 16]);
        });
        put_edits(out, &length.edits);
        put_box(out, b"mdia", |out| {
            put_box(out, b"mdhd", |out| {
                put_all(out, &[0, 0, 0, TIMESCALE, length.media_ms, 0x55c4_0000]); // no language
            });
            put_box(out, b"hdlr", |out| {
                put_all(out, &[0, 0, u32::from_be_bytes(*handler), 0, 0, 0]);
                out.extend_from_slice(name);
            });
            put_box(out, b"minf", |out| {
                match track.size {
                    Some(_) => put_box(out, b"vmhd", |out| put_all(out, &[1, 0, 0])),
                    None => put_box(out, b"smhd", |out| put_all(out, &[0, 0])),
                }
                put_box(out, b"dinf", |out| {
                    put_box(out, b"dref", |out| {
                        put_all(out, &[0, 1]);
                        put_box(out, b"url ", |out| put_all(out, &[1])); // in this file
                    });
                });
                tables(out);
            });
        });
    });
}

fn put_edits(out: &mut Vec<u8>, edits: &[(u32, i32)]) {
    if edits.is_empty() {
        return;
    }
    put_box(out, b"edts", |out| {
        put_box(out, b"elst", |out| {
            put_all(out, &[0, count_of(edits)]);
            for (length, from) in edits {
                put_all(out, &[*length, from.cast_unsigned(), 0x0001_0000]);
            }
        });
    });
}

/// The tables of a track, with what a decoder is told. Each frame is a chunk of its own.
pub(super) fn put_tables(out: &mut Vec<u8>, entry: &[u8], tables: &Tables) {
    let Tables { lengths, later, keys, bytes, places } = tables;
    put_box(out, b"stbl", |out| {
        put_box(out, b"stsd", |out| {
            put_all(out, &[0, 1]);
            out.extend_from_slice(entry);
        });
        put_table(out, b"stts", &[0, count_of(lengths)], lengths.as_flattened());
        if !later.is_empty() {
            // Version 1: frames may be shown before they are decoded, for all we know.
            put_table(out, b"ctts", &[1 << 24, count_of(later)], later.as_flattened());
        }
        if let Some(keys) = keys {
            put_table(out, b"stss", &[0, count_of(keys)], keys);
        }
        let chunks: &[u32] = if places.is_empty() { &[] } else { &[1, 1, 1] };
        put_table(out, b"stsc", &[0, count_of(chunks) / 3], chunks);
        put_table(out, b"stsz", &[0, 0, count_of(bytes)], bytes);
        put_table(out, b"stco", &[0, count_of(places)], places);
    });
}

fn put_table(out: &mut Vec<u8>, name: &[u8; 4], head: &[u32], numbers: &[u32]) {
    put_box(out, name, |out| {
        put_all(out, head);
        put_all(out, numbers);
    });
}

fn count_of<T>(entries: &[T]) -> u32 {
    u32::try_from(entries.len()).unwrap_or(u32::MAX)
}

/// A picture that is neither turned nor stretched.
const MATRIX: [u32; 9] = [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000];

/// Appends a box around what `content` appends.
pub(super) fn put_box(out: &mut Vec<u8>, name: &[u8; 4], content: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(name);
    content(out);
    let size = u32::try_from(out.len() - at).unwrap_or(u32::MAX);
    out[at..at + 4].copy_from_slice(&size.to_be_bytes());
}

/// Appends numbers of 32 bits.
pub(super) fn put_all(out: &mut Vec<u8>, numbers: &[u32]) {
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
}
