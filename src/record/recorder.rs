//! When a recording's files begin and end, and what happens when the disk is full.

use std::io;

use super::disk::{Disk, Sink};
use super::flv::Flv;
use super::mp4::{Beginning, Mp4};
use super::name::file_name;
use super::open::{Container, Open};
use crate::event::NodeEvent;
use crate::media::{Kind, Micros};

/// How often what is in memory is written to the file.
const WRITE_EVERY: Micros = Micros::from_millis(250);

/// How often the file is brought to the disk itself, and the disk's room is looked at.
const SYNC_EVERY: Micros = Micros::from_secs(1);

/// How long a recording that could not go on waits for its next try; twice as long after each that
/// failed, up to [`RETRY_MAX`].
const RETRY: Micros = Micros::from_secs(5);

/// Longest wait between two tries.
const RETRY_MAX: Micros = Micros::from_secs(60);

/// Room that a new try needs in any case, bytes: or a full disk would get an empty file each time.
const RETRY_BYTES_MIN: u64 = 1 << 20;

/// How long a file stays open for a publisher that has left.
const GONE: Micros = Micros::from_secs(10);

/// Bytes in memory above which the file is written at once.
const PENDING_BYTES_MAX: usize = 1 << 20;

/// Longest file, milliseconds: the times of FLV tags have a sign. A longer one is split.
const FILE_MS_MAX: u32 = i32::MAX.unsigned_abs();

/// Step back that is another clock and not jitter, milliseconds.
const BACK_MS_MAX: i32 = 1_000;

/// Step ahead that is another clock and not a gap, milliseconds.
const AHEAD_MS_MAX: i32 = 60_000;

/// Sound without pictures after which a stream is taken for one that has none, milliseconds.
const SOUND_ALONE_MS: i32 = 1_000;

/// Names that are tried for one file before the folder counts as unusable.
const NAMES_MAX: u32 = 1_000;

/// Tracks beside the first of each kind whose headers are kept.
const FURTHER_TRACKS_MAX: usize = 5;

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// FLV.
    Flv,
    /// Fragmented MP4.
    Mp4,
}

impl Format {
    /// End of the files' names, and the word in the configuration.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Flv => "flv",
            Self::Mp4 => "mp4",
        }
    }
}

/// What is recorded, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSpec {
    /// Name in events; the files' names begin with what is harmless of it.
    pub name: String,
    /// How files are written.
    pub format: Format,
    /// A file that is this long ends at the next keyframe, seconds; 0 for never.
    pub split_s: u32,
    /// A file that is this large ends at the next keyframe, bytes; 0 for never.
    pub split_bytes: u64,
    /// With less room on the disk recording stops, bytes.
    pub free_bytes_min: u64,
}

/// Now, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// On the node's clock.
    pub now: Micros,
    /// Seconds since 1970, UTC.
    pub unix_s: u64,
}

/// One message of the stream.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What it carries.
    pub kind: Kind,
    /// Milliseconds modulo 2^32.
    pub time: u32,
    /// Whether a decoder can start here.
    pub is_key: bool,
    /// Of a sequence header or metadata, the track that it is for: 0, if there are not several.
    pub header: Option<u8>,
    /// Its body.
    pub body: &'a [u8],
}

/// Records one stream. After each call look at [`Recorder::take_news`]; call [`Recorder::tick`] a
/// few times a second.
#[derive(Debug)]
pub struct Recorder<D: Disk> {
    spec: RecordSpec,
    disk: D,
    /// Metadata, audio header, video header, as the stream sent them last.
    headers: [Option<Vec<u8>>; 3],
    /// The headers of further tracks, each with its track.
    further: Vec<(Kind, u8, Vec<u8>)>,
    state: State<D::File>,
    /// Number of the next file.
    number: u32,
    /// Time of the newest message that is not a header.
    newest: Option<u32>,
    /// Time of the first sound since there has been no video.
    sound_since: Option<u32>,
    /// When the publisher left.
    left: Option<Micros>,
    written_at: Micros,
    synced_at: Micros,
    retry: Micros,
    bytes: u64,
    news: Vec<NodeEvent>,
}

#[derive(Debug)]
enum State<F> {
    /// A file begins at the next keyframe.
    Waits,
    Writes(Box<Open<F>>),
    /// The disk is full, or the folder cannot be used.
    Stopped(Micros),
}

impl<D: Disk> Recorder<D> {
    /// A recording that waits for its stream.
    #[must_use]
    pub const fn new(spec: RecordSpec, disk: D) -> Self {
        Self {
            spec,
            disk,
            headers: [const { None }; 3],
            further: Vec::new(),
            state: State::Waits,
            number: 1,
            newest: None,
            sound_since: None,
            left: None,
            written_at: Micros(0),
            synced_at: Micros(0),
            retry: RETRY,
            bytes: 0,
            news: Vec::new(),
        }
    }

    /// Takes a message.
    pub fn message(&mut self, input: &Input<'_>, moment: Moment) {
        self.left = None;
        match input.header {
            Some(0) => return self.header(input, moment),
            Some(track) => return self.further_header(track, input, moment),
            None => {}
        }
        self.look_for_seam(input.time);
        if input.kind == Kind::Data {
            return self.add(input, moment);
        }
        if let State::Writes(open) = &self.state
            && (open.is_over || self.is_full(open, input.time))
            && self.can_begin(input)
        {
            self.close("");
        }
        if matches!(self.state, State::Waits) && self.can_begin(input) {
            self.begin(input, moment);
        }
        self.add(input, moment);
    }

    /// The publisher has left; it may come back.
    pub fn ended(&mut self, moment: Moment) {
        self.left = Some(moment.now);
        self.save(moment, true);
    }

    /// Writes what is due, and tries again what failed.
    pub fn tick(&mut self, moment: Moment) {
        if self.left.is_some_and(|left| moment.now.since(left) >= GONE) {
            self.left = None;
            self.newest = None;
            self.further.clear();
            self.close("");
        }
        match &self.state {
            State::Writes(_) if moment.now.since(self.synced_at) >= SYNC_EVERY => {
                self.save(moment, true);
            }
            State::Writes(_) if moment.now.since(self.written_at) >= WRITE_EVERY => {
                self.save(moment, false);
            }
            State::Stopped(retry) if moment.now >= *retry => self.try_again(moment),
            State::Writes(_) | State::Stopped(_) | State::Waits => {}
        }
    }

    /// Ends the file: the recording is over.
    pub fn finish(&mut self) {
        self.close("");
    }

    /// What has happened since the last call.
    pub fn take_news(&mut self) -> Vec<NodeEvent> {
        std::mem::take(&mut self.news)
    }

    /// Bytes written to files so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a file is being written.
    #[must_use]
    pub const fn is_writing(&self) -> bool {
        matches!(self.state, State::Writes(_))
    }

    /// Whether it had to stop and waits for its next try.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped(_))
    }

    fn header(&mut self, input: &Input<'_>, moment: Moment) {
        let slot = &mut self.headers[slot_of(input.kind)];
        if slot.as_deref() == Some(input.body) {
            return;
        }
        let is_new = slot.is_none();
        *slot = Some(input.body.to_vec());
        let State::Writes(open) = &mut self.state else { return };
        match (&mut open.container, input.kind) {
            (Container::Mp4(_), Kind::Data) => {}
            (Container::Flv(_), Kind::Data) => self.add(input, moment),
            // A track that begins late has a place in an FLV and none in an MP4; another codec in
            // the middle of a file has one in neither.
            (Container::Flv(_), Kind::Audio | Kind::Video) if is_new => self.add(input, moment),
            _ => open.is_over = true,
        }
    }

    /// Further tracks come and go within an FLV. An MP4 has none of them.
    fn further_header(&mut self, track: u8, input: &Input<'_>, moment: Moment) {
        let known = self.further.iter().position(|at| (at.0, at.1) == (input.kind, track));
        let at = match known {
            Some(at) if self.further[at].2 == input.body => return,
            Some(at) => at,
            None if self.further.len() == FURTHER_TRACKS_MAX => return,
            None => {
                self.further.push((input.kind, track, Vec::new()));
                self.further.len() - 1
            }
        };
        self.further[at].2 = input.body.to_vec();
        self.add(input, moment);
    }

    /// A clock that leaps is another one: what follows goes into another file.
    fn look_for_seam(&mut self, time: u32) {
        let Some(newest) = self.newest else {
            self.newest = Some(time);
            return;
        };
        let step = distance(newest, time);
        if !(-BACK_MS_MAX..=AHEAD_MS_MAX).contains(&step) {
            self.close("");
            self.sound_since = None;
        }
        if !(-BACK_MS_MAX..=0).contains(&step) {
            self.newest = Some(time);
        }
    }

    /// Whether a message of this time belongs into another file, if one can begin with it.
    fn is_full(&self, open: &Open<D::File>, time: u32) -> bool {
        let RecordSpec { split_s, split_bytes, .. } = self.spec;
        let bytes = open.written + open.pending.len() as u64;
        let length = open.length.max(time.wrapping_sub(open.base));
        (split_s > 0 && length >= split_s.saturating_mul(1_000))
            || (split_bytes > 0 && bytes >= split_bytes)
            || length >= FILE_MS_MAX - AHEAD_MS_MAX.unsigned_abs()
    }

    /// Whether a file can begin with this message: a keyframe, or any sound where there is nothing
    /// else.
    fn can_begin(&mut self, input: &Input<'_>) -> bool {
        if self.headers[slot_of(Kind::Video)].is_some() {
            return input.kind == Kind::Video && input.is_key;
        }
        // A picture without a header: an old codec, which has none.
        if input.kind == Kind::Video {
            return input.is_key;
        }
        let since = *self.sound_since.get_or_insert(input.time);
        let alone = distance(since, input.time) >= SOUND_ALONE_MS;
        if alone {
            // Kept near, because distances are known over half of the circle only.
            self.sound_since = Some(input.time.wrapping_sub(SOUND_ALONE_MS.unsigned_abs()));
        }
        alone
    }

    fn begin(&mut self, first: &Input<'_>, moment: Moment) {
        let begun = self.open(first, moment);
        match begun {
            Ok(open) => {
                let (name, file) = (self.spec.name.clone(), open.name.clone());
                self.news.push(NodeEvent::RecordStarted { name, file });
                self.state = State::Writes(Box::new(open));
                (self.written_at, self.synced_at) = (moment.now, moment.now);
                self.add_headers(first.time);
            }
            Err(reason) => self.stop(reason, moment),
        }
    }

    fn open(&mut self, first: &Input<'_>, moment: Moment) -> Result<Open<D::File>, String> {
        let mut pending = Vec::new();
        let [metadata, audio, video] = &self.headers;
        let container = match self.spec.format {
            Format::Flv => {
                let known = [Kind::Audio, Kind::Video];
                let known: Vec<_> = known
                    .into_iter()
                    .filter(|kind| self.headers[slot_of(*kind)].is_some())
                    .collect();
                Container::Flv(Flv::begin(metadata.as_deref(), &known, &mut pending))
            }
            Format::Mp4 => {
                let (video, audio) = (video.as_deref(), audio.as_deref());
                let mut mp4 = Mp4::begin(Beginning { video, audio, first: first.body })?;
                mp4.take(false, &mut pending);
                Container::Mp4(Box::new(mp4))
            }
        };
        let (file, name) = self.create(moment).map_err(|error| error.to_string())?;
        let base = first.time;
        Ok(Open { file, name, container, pending, written: 0, base, length: 0, is_over: false })
    }

    /// A file with a name that nothing has yet.
    fn create(&mut self, moment: Moment) -> io::Result<(D::File, String)> {
        self.check_room()?;
        for _ in 0..NAMES_MAX {
            let extension = self.spec.format.extension();
            let name = file_name(&self.spec.name, moment.unix_s, self.number, extension);
            self.number = self.number.wrapping_add(1);
            match self.disk.create(&name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(file) => return Ok((file, name)),
            }
        }
        Err(io::Error::other("every name is taken: empty the folder"))
    }

    fn check_room(&mut self) -> io::Result<()> {
        let (free, least) = (self.disk.free_bytes()?, self.spec.free_bytes_min);
        if free >= least {
            return Ok(());
        }
        let (free, least) = (free >> 20, least >> 20);
        Err(io::Error::other(format!(
            "{free} MiB are free on the disk, and {least} are to stay so"
        )))
    }

    fn add_headers(&mut self, time: u32) {
        let State::Writes(open) = &mut self.state else { return };
        let Container::Flv(flv) = &mut open.container else { return };
        let ms = time.wrapping_sub(open.base);
        let main = [Kind::Audio, Kind::Video].map(|kind| (kind, &self.headers[slot_of(kind)]));
        let main = main.into_iter().filter_map(|(kind, header)| Some((kind, header.as_ref()?)));
        for (kind, header) in main.chain(self.further.iter().map(|at| (at.0, &at.2))) {
            flv.tag(kind, ms, header, &mut open.pending);
        }
    }

    /// Adds a message to the file, if there is one and the message is not from before it.
    fn add(&mut self, input: &Input<'_>, moment: Moment) {
        let newest = self.newest;
        let State::Writes(open) = &mut self.state else { return };
        // Headers and data carry any time, often 0.
        let timed = input.kind != Kind::Data && input.header.is_none();
        let time = if timed { input.time } else { newest.unwrap_or(open.base) };
        if distance(open.base, time) < 0 || open.is_over {
            return;
        }
        let ms = time.wrapping_sub(open.base);
        open.length = open.length.max(ms);
        match &mut open.container {
            Container::Flv(flv) => flv.tag(input.kind, ms, input.body, &mut open.pending),
            Container::Mp4(mp4) => {
                mp4.write(input.kind, ms, input.body);
                mp4.take(false, &mut open.pending);
            }
        }
        if open.pending.len() >= PENDING_BYTES_MAX {
            self.save(moment, false);
        }
    }

    /// Writes what is pending; with `sync` all of it, to the disk itself.
    fn save(&mut self, moment: Moment, sync: bool) {
        let State::Writes(open) = &mut self.state else { return };
        self.written_at = moment.now;
        let before = open.written;
        let mut saved = open.write(sync);
        if sync {
            self.synced_at = moment.now;
            saved = saved.and_then(|()| open.file.sync());
        }
        self.bytes += open.written - before;
        if sync {
            saved = saved.and_then(|()| self.check_room());
        }
        match saved {
            Ok(()) if sync => self.retry = RETRY,
            Ok(()) => {}
            Err(error) => self.stop(error.to_string(), moment),
        }
    }

    /// The recording cannot go on now: what there is is kept, and it tries again later.
    fn stop(&mut self, reason: String, moment: Moment) {
        self.close(&reason);
        let (name, retry_in) = (self.spec.name.clone(), self.retry);
        self.news.push(NodeEvent::RecordStopped { name, reason, retry_in });
        self.state = State::Stopped(moment.now + retry_in);
        self.retry = (retry_in + retry_in).min(RETRY_MAX);
    }

    fn try_again(&mut self, moment: Moment) {
        // A little more than is needed, or it would stop and start at every breath.
        let least = self.spec.free_bytes_min;
        let least = (least + least / 16).max(RETRY_BYTES_MIN);
        // A disk that does not say is tried: what is wrong with it is told then.
        let roomy = self.disk.free_bytes().map_or(true, |free| free >= least);
        self.state = if roomy { State::Waits } else { State::Stopped(moment.now + RETRY) };
    }

    /// Ends the file, if there is one; `trouble` is why, if something is wrong.
    fn close(&mut self, trouble: &str) {
        let State::Writes(mut open) = std::mem::replace(&mut self.state, State::Waits) else {
            return;
        };
        let before = open.written;
        if let Err(error) = open.end(trouble.is_empty()) {
            tracing::warn!(
                "recording {}: {} has no proper end: {error}",
                self.spec.name,
                open.name
            );
        }
        self.bytes += open.written - before;
        self.news.push(NodeEvent::RecordFinished {
            name: self.spec.name.clone(),
            file: open.name,
            length: Micros::from_millis(open.length.into()),
            bytes: open.written,
        });
    }
}

const fn slot_of(kind: Kind) -> usize {
    match kind {
        Kind::Data => 0,
        Kind::Audio => 1,
        Kind::Video => 2,
    }
}

/// `later - earlier` on the circle of 32-bit times.
const fn distance(earlier: u32, later: u32) -> i32 {
    later.wrapping_sub(earlier).cast_signed()
}
