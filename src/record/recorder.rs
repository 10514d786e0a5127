//! Recorder: it begins and ends the files of a recording, and goes on after a full disk.

use std::io;

use super::disk::{Disk, Sink};
use super::flv::Flv;
use super::model::{Format, Input, Moment, RecordSpec};
use super::mp4::{LeftOut, Mp4, without_header};
use super::name::file_name;
use super::open::{Container, Open};
use super::times::{Times, distance};
use super::tracks::{Track, TrackMatch, Tracks};
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

/// How far data may be from the newest frame and keep its own time, milliseconds.
const DATA_MS_MAX: i32 = 10_000;

/// Audio without pictures after which a stream is taken for one that has none, milliseconds.
pub(super) const AUDIO_ALONE_MS: i32 = 1_000;

/// Names that are tried for one file before the folder counts as unusable.
const NAMES_MAX: u32 = 1_000;

/// Records one stream. After each call look at [`Recorder::take_news`]; call [`Recorder::tick`] a
/// few times a second.
#[derive(Debug)]
pub struct Recorder<D: Disk> {
    spec: RecordSpec,
    disk: D,
    /// Of the present publisher, or of the last one.
    tracks: Tracks,
    /// A publisher has come, and it is not known yet whether it goes on in the last one's file.
    is_new: bool,
    state: State<D::File>,
    /// Number of the next file.
    number: u32,
    times: Times,
    /// It could not go on, and no file has begun since.
    has_failed: bool,
    /// Time of the first audio since there has been no video.
    audio_since: Option<u32>,
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
    /// The disk is full, or the folder cannot be used: tried again at this time.
    Stopped(Micros),
    /// The format has no place for what is published, for this reason. Each keyframe is a try, so
    /// that a header that comes late, or another publisher, is recorded from there on.
    Unfit(String),
}

impl<D: Disk> Recorder<D> {
    /// A recording that waits for its stream.
    #[must_use]
    pub fn new(spec: RecordSpec, disk: D) -> Self {
        Self {
            spec,
            disk,
            tracks: Tracks::default(),
            is_new: true,
            state: State::Waits,
            number: 1,
            times: Times::default(),
            has_failed: false,
            audio_since: None,
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
        if let Some(track) = input.header {
            return self.header(track, input, moment);
        }
        if input.kind == Kind::Data {
            if !self.is_new {
                self.add(input, moment);
            }
            return;
        }
        // A clock that leaps is another one: what follows goes into another file.
        if self.times.pass(input.kind, input.time) {
            self.close("");
            self.audio_since = None;
        }
        let frame = Track::of_frame(input.kind, input.body);
        if let Some(frame) = &frame {
            self.tracks.see(frame);
        }
        if self.is_new && !self.succeeds(input) {
            return;
        }
        if let State::Writes(open) = &self.state
            && (open.is_over || open.is_full(input.time, &self.spec))
            && self.can_begin(input)
        {
            self.close("");
        }
        if matches!(self.state, State::Waits | State::Unfit(_)) && self.can_begin(input) {
            self.begin(input, moment);
        }
        if frame.is_none_or(|frame| self.has_place(&frame)) {
            self.add(input, moment);
        }
    }

    /// The publisher has left; it may come back, or another one.
    pub fn ended(&mut self, moment: Moment) {
        self.left = Some(moment.now);
        self.tracks = Tracks::default();
        self.is_new = true;
        self.audio_since = None;
        if matches!(self.state, State::Unfit(_)) {
            self.state = State::Waits;
        }
        self.save(moment, true);
    }

    /// Writes what is due, and tries again what failed.
    pub fn tick(&mut self, moment: Moment) {
        if self.left.is_some_and(|left| moment.now.since(left) >= GONE) {
            self.left = None;
            self.times = Times::default();
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
            State::Writes(_) | State::Stopped(_) | State::Waits | State::Unfit(_) => {}
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

    /// Bytes written to files since the last call.
    pub const fn take_bytes(&mut self) -> u64 {
        std::mem::replace(&mut self.bytes, 0)
    }

    /// So many messages have not come: the disk is too slow.
    pub fn lost(&mut self, messages: u64) {
        let place = self.disk.place();
        self.tell_incomplete(format!("{place}: too slow a disk, {messages} messages are missing"));
    }

    /// Whether a file is being written.
    #[must_use]
    pub const fn is_writing(&self) -> bool {
        matches!(self.state, State::Writes(_))
    }

    /// Whether it had to stop, and no file has begun since.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.has_failed
    }

    fn header(&mut self, id: u8, input: &Input<'_>, moment: Moment) {
        if input.kind == Kind::Data {
            let is_news = self.tracks.metadata() != Some(input.body);
            self.tracks.set_metadata(input.body);
            if is_news && !self.is_new && self.spec.format == Format::Flv {
                self.add(input, moment);
            }
            return;
        }
        let Some(track) = Track::of_header(input.kind, id, input.body) else { return };
        self.tracks.set(track.clone());
        let State::Writes(open) = &mut self.state else { return };
        if self.is_new {
            return;
        }
        let news = open.tracks.compare(&track);
        let is_main = id == 0 && track.is_playable();
        match (&open.container, news) {
            (_, TrackMatch::Known) => {}
            // Another codec in the middle of a file has a place in none.
            (_, TrackMatch::Other) if is_main => open.is_over = true,
            // A track that begins late has a place in an FLV, and none in an MP4.
            (Container::Flv(_), _) => {
                open.tracks.set(track);
                self.add(input, moment);
            }
            (Container::Mp4(_), _) if !track.is_playable() => {}
            (Container::Mp4(_), _) if is_main || input.kind == Kind::Audio => open.is_over = true,
            (Container::Mp4(_), _) => self.leave_out(&track),
        }
    }

    /// Whether it is known by now in which file a new publisher goes on: with the tracks of the
    /// last one in the last one's.
    fn succeeds(&mut self, input: &Input<'_>) -> bool {
        let State::Writes(open) = &self.state else {
            self.is_new = false;
            return true;
        };
        let fits = self.tracks.fit(&open.tracks);
        let is_audio_only = fits && !open.tracks.has(Kind::Video);
        if !is_audio_only && !self.can_begin(input) {
            return false;
        }
        self.is_new = false;
        if !fits {
            self.close("");
        }
        true
    }

    /// Whether the file, if there is one, has a place for a frame of this track. If not, it ends.
    fn has_place(&mut self, frame: &Track) -> bool {
        let State::Writes(open) = &mut self.state else { return false };
        match (open.tracks.compare_frame(frame), &open.container) {
            (TrackMatch::Known, _) => true,
            (TrackMatch::New, Container::Flv(_)) => {
                open.tracks.set(frame.clone());
                true
            }
            (TrackMatch::New, Container::Mp4(_)) if frame.id != 0 => {
                self.leave_out(frame);
                false
            }
            // Its header has come: the next keyframe begins a file with it.
            (TrackMatch::New, Container::Mp4(_)) if open.is_over => false,
            (TrackMatch::New, Container::Mp4(_)) => {
                self.close("");
                self.refuse(without_header(frame.codec));
                false
            }
            (TrackMatch::Other, _) => {
                self.close("");
                false
            }
        }
    }

    /// Says, once for each file, that a further track has no place in it.
    fn leave_out(&mut self, track: &Track) {
        let State::Writes(open) = &mut self.state else { return };
        if !std::mem::replace(&mut open.is_incomplete, true) {
            let reason =
                format!("track {} ({}) has no place in an MP4; record FLV", track.id, track.codec);
            self.tell_incomplete(reason);
        }
    }

    fn tell_incomplete(&mut self, reason: String) {
        let name = self.spec.name.clone();
        self.news.push(NodeEvent::RecordIncomplete { name, reason });
    }

    /// Whether a file can begin with this message: a keyframe, or any audio where there is nothing
    /// else.
    fn can_begin(&mut self, input: &Input<'_>) -> bool {
        if self.tracks.has(Kind::Video) {
            return input.kind == Kind::Video && input.is_key;
        }
        let since = *self.audio_since.get_or_insert(input.time);
        let alone = distance(since, input.time) >= AUDIO_ALONE_MS;
        if alone {
            // Kept near, because distances are known over half of the circle only.
            self.audio_since = Some(input.time.wrapping_sub(AUDIO_ALONE_MS.unsigned_abs()));
        }
        alone
    }

    fn begin(&mut self, first: &Input<'_>, moment: Moment) {
        let (container, pending, left_out) = match self.container(first) {
            Ok(begun) => begun,
            Err(reason) => return self.refuse(reason),
        };
        let (file, name) = match self.create(moment) {
            Ok(created) => created,
            Err(error) => return self.stop(self.fault(&error), moment),
        };
        let begun = NodeEvent::RecordStarted { name: self.spec.name.clone(), file: name.clone() };
        self.news.push(begun);
        self.state = State::Writes(Box::new(Open {
            file,
            name,
            container,
            tracks: self.tracks.clone(),
            pending,
            written: 0,
            base: self.times.base(first.kind, first.time),
            length: 0,
            is_over: false,
            is_incomplete: left_out.is_some(),
        }));
        self.has_failed = false;
        (self.written_at, self.synced_at) = (moment.now, moment.now);
        if let Some(reason) = left_out {
            self.tell_incomplete(reason);
        }
    }

    /// The beginning of a file of the present tracks, and what of them has no place in it.
    fn container(&self, first: &Input<'_>) -> Result<(Container, Vec<u8>, LeftOut), String> {
        let (tracks, mut pending) = (&self.tracks, Vec::new());
        let (container, left_out) = match self.spec.format {
            Format::Flv => {
                let kinds = [Kind::Audio, Kind::Video];
                let kinds: Vec<_> = kinds.into_iter().filter(|kind| tracks.has(*kind)).collect();
                let mut flv = Flv::begin(tracks.metadata(), &kinds, &mut pending);
                for (kind, header) in tracks.messages() {
                    flv.tag(kind, 0, header, &mut pending);
                }
                (Container::Flv(flv), None)
            }
            Format::Mp4 => {
                let (mp4, left_out) = Mp4::begin(tracks, first.body, &mut pending)?;
                (Container::Mp4(Box::new(mp4)), left_out)
            }
        };
        Ok((container, pending, left_out))
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

    /// What is wrong with the disk, in words that say where.
    fn fault(&self, error: &io::Error) -> String {
        format!("{}: {error}", self.disk.place())
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

    /// Adds a message to the file, if there is one and the message is not from before it.
    fn add(&mut self, input: &Input<'_>, moment: Moment) {
        let newest = self.times.newest();
        let State::Writes(open) = &mut self.state else { return };
        let newest = newest.unwrap_or(open.base);
        // Headers and data carry any time, often 0.
        let is_timed = match (input.kind, input.header) {
            (_, Some(_)) => false,
            (Kind::Data, None) => distance(newest, input.time).abs() <= DATA_MS_MAX,
            (Kind::Audio | Kind::Video, None) => true,
        };
        let time = if is_timed { input.time } else { newest };
        let Ok(ms) = u32::try_from(distance(open.base, time)) else { return };
        if open.is_over {
            return;
        }
        open.length = open.length.max(ms);
        let pending = &mut open.pending;
        match &mut open.container {
            Container::Flv(flv) => flv.tag(input.kind, ms, input.body, pending),
            Container::Mp4(mp4) => mp4.write(input.kind, ms, input.body, pending),
        }
        if open.waiting_bytes() >= PENDING_BYTES_MAX {
            open.gather();
            self.save(moment, false);
        }
    }

    /// Writes what is pending; with `sync` all of it, to the disk itself.
    fn save(&mut self, moment: Moment, sync: bool) {
        let State::Writes(open) = &mut self.state else { return };
        self.written_at = moment.now;
        let before = open.written;
        let mut saved = open.write(sync);
        self.bytes += open.written - before;
        if sync {
            self.synced_at = moment.now;
            saved = saved.and_then(|()| open.file.sync()).and_then(|()| self.check_room());
        }
        match saved {
            Ok(()) if sync => self.retry = RETRY,
            Ok(()) => {}
            Err(error) => self.stop(self.fault(&error), moment),
        }
    }

    /// The disk takes nothing now: what there is is kept, and it tries again later.
    fn stop(&mut self, reason: String, moment: Moment) {
        self.close(&reason);
        let retry_in = self.retry;
        self.tell_stopped(reason, Some(retry_in));
        self.state = State::Stopped(moment.now + retry_in);
        self.retry = (retry_in + retry_in).min(RETRY_MAX);
    }

    /// The file format has no place for what is published. It is told once for each reason.
    fn refuse(&mut self, reason: String) {
        if !matches!(&self.state, State::Unfit(told) if *told == reason) {
            self.tell_stopped(reason.clone(), None);
        }
        self.state = State::Unfit(reason);
    }

    fn tell_stopped(&mut self, reason: String, retry_in: Option<Micros>) {
        self.has_failed = true;
        let name = self.spec.name.clone();
        self.news.push(NodeEvent::RecordStopped { name, reason, retry_in });
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
            let name = &self.spec.name;
            tracing::warn!("recording {name}: {} has no proper end: {error}", open.name);
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
