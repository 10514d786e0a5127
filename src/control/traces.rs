//! Traces of the node: what its threads have recorded of the last seconds, as files for Perfetto.
//! They are made when somebody asks, and kept by the node itself when frames are late or a loop
//! stalls. All of it takes time, and none of it belongs on a thread that must not.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::durable;
use crate::media::{Micros, Point, Stamp};
use crate::runtime::Clock;
use crate::stats::{ChannelEntry, Registry, WorstFrame};
use crate::trace::{TraceNames, gather, write_perfetto};

/// Seconds of a trace at most: about what rings hold.
pub(crate) const SECONDS_MAX: u32 = 10;

/// Seconds of a trace that the node keeps by itself.
const KEPT_SECONDS: u64 = 5;

/// Files that are kept. The oldest make room.
const FILES_MAX: usize = 10;

/// Bytes of them together.
const FILES_BYTES_MAX: u64 = 256 << 20;

/// How long after one that the node keeps by itself the next may be.
const PAUSE: Micros = Micros::from_secs(60);

/// Ticks of its stream that a frame may take without its encoder's delay by design.
const LATE_TICKS: f64 = 8.0;

/// Ticks in a second of a stream whose frame rate is not known.
const FPS: f64 = 25.0;

/// What is late so soon after the node's start is not traced: encoders and sources begin then.
const SETTLED_AFTER: Micros = Micros::from_secs(5);

/// End of the files' names.
const EXTENSION: &str = "pftrace";

/// Why there is no trace.
#[derive(Debug)]
pub(crate) enum TraceError {
    /// There is no folder for them.
    Off,
    /// Another one is being made.
    Busy,
    /// There is no such trace.
    NotFound(String),
    /// The disk refuses.
    Disk(io::Error),
}

impl From<io::Error> for TraceError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// A trace that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceFile {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// Milliseconds since 1970.
    pub(crate) made_at: u64,
}

/// What makes traces, and the folder of those that are kept.
#[derive(Debug)]
pub struct Traces {
    folder: Option<PathBuf>,
    node: String,
    registry: Arc<Registry>,
    clock: Clock,
    /// One is made at a time: each takes memory.
    turn: Semaphore,
}

impl Traces {
    /// Of the node of this name. Those that it keeps are in its data directory, if there is one, in
    /// a folder that is made when the first is.
    #[must_use]
    pub fn new(node: &str, data_dir: Option<&Path>, registry: Arc<Registry>, clock: Clock) -> Self {
        let (folder, node) = (data_dir.map(|dir| dir.join("traces")), node.to_owned());
        Self { folder, node, registry, clock, turn: Semaphore::new(1) }
    }

    /// What happened in the last `span`.
    pub(crate) fn make(&self, span: Micros) -> Result<Vec<u8>, TraceError> {
        let _turn = self.turn.try_acquire().map_err(|_| TraceError::Busy)?;
        let now = self.clock.stamp().nanos();
        let since = Stamp::from_nanos(now.saturating_sub(span.0.saturating_mul(1_000)));
        let gathered = gather(since, || self.clock.stamp());
        Ok(write_perfetto(&gathered, &self.names()))
    }

    fn names(&self) -> TraceNames {
        let mut streams = BTreeMap::new();
        for shard in &self.registry.shards {
            for entry in shard.latencies().read() {
                let of_others = if entry.stream.is_empty() { "other streams" } else { "" };
                streams.insert(entry.latency.source(), format!("{}{of_others}", entry.stream));
            }
        }
        for channel in self.registry.channels().iter() {
            for encode in channel.shown() {
                let first = encode.streams.first().copied().unwrap_or_default();
                streams.insert(encode.stats.source(), first.to_owned());
            }
            // Its frames are those of all its renditions.
            streams.insert(channel.stats.source(), format!("channel {}", channel.name));
        }
        TraceNames {
            node: self.node.clone(),
            process: std::process::id(),
            streams,
            monotonic_epoch: self.clock.monotonic_epoch(),
            clocks: Clock::monotonic_and_boottime(),
        }
    }

    /// Keeps a trace of the last seconds under the name of the time `unix_ms`, and lets the oldest
    /// go beyond the limits.
    pub(crate) fn keep(&self, unix_ms: u64) -> Result<PathBuf, TraceError> {
        let folder = self.folder.as_deref().ok_or(TraceError::Off)?;
        let bytes = self.make(Micros::from_secs(KEPT_SECONDS))?;
        let path = folder.join(format!("trace-{unix_ms}.{EXTENSION}"));
        durable::make_with(&path, |aside| {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create_new(true).mode(durable::FILE_MODE).open(aside)?;
            file.write_all(&bytes)?;
            file.sync_all()
        })?;
        self.make_room(FILES_MAX, FILES_BYTES_MAX)?;
        Ok(path)
    }

    /// Whether there is a folder.
    pub(crate) const fn are_kept(&self) -> bool {
        self.folder.is_some()
    }

    /// Those that are kept, oldest first.
    pub(crate) fn list(&self) -> Result<Vec<TraceFile>, TraceError> {
        let folder = self.folder.as_deref().ok_or(TraceError::Off)?;
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files: Vec<_> =
            entries.flatten().filter_map(|entry| trace_file(&entry.path())).collect();
        files.sort_by(|a, b| (a.made_at, &a.name).cmp(&(b.made_at, &b.name)));
        Ok(files)
    }

    /// One to be read.
    pub(crate) fn open(&self, name: &str) -> Result<(File, Metadata), TraceError> {
        let folder = self.folder.as_deref().ok_or(TraceError::Off)?;
        let none = || TraceError::NotFound(format!("there is no trace {name}"));
        if !is_name(name) {
            return Err(none());
        }
        let mut options = OpenOptions::new();
        // No link is followed, and nobody waited for who would write into a pipe.
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(folder.join(name)).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ENXIO) => none(),
            _ => TraceError::Disk(error),
        })?;
        let about = file.metadata()?;
        if about.is_file() { Ok((file, about)) } else { Err(none()) }
    }

    /// Removes the oldest, but for the newest one.
    fn make_room(&self, files_max: usize, bytes_max: u64) -> Result<(), TraceError> {
        let folder = self.folder.as_deref().ok_or(TraceError::Off)?;
        let files = self.list()?;
        let (mut count, mut bytes) = (files.len(), files.iter().map(|it| it.bytes).sum::<u64>());
        for file in files.iter().take(files.len().saturating_sub(1)) {
            if count <= files_max && bytes <= bytes_max {
                break;
            }
            fs::remove_file(folder.join(&file.name))?;
            (count, bytes) = (count - 1, bytes - file.bytes);
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'-';
    let stem = name.strip_suffix(EXTENSION).and_then(|name| name.strip_suffix('.'));
    stem.is_some_and(|stem| !stem.is_empty() && stem.bytes().all(plain))
}

fn trace_file(path: &Path) -> Option<TraceFile> {
    let name = path.file_name()?.to_str().filter(|name| is_name(name))?.to_owned();
    // Of the entry itself, not of what a link leads to.
    let about = fs::symlink_metadata(path).ok().filter(Metadata::is_file)?;
    let made = about.mtime() * 1_000 + about.mtime_nsec() / 1_000_000;
    Some(TraceFile { name, bytes: about.len(), made_at: u64::try_from(made).unwrap_or(0) })
}

/// Finds what a trace is to be kept of.
#[derive(Debug, Default)]
pub(crate) struct TraceTrigger {
    /// Turns of all loops that took too long, at the last look.
    stalls: u64,
    looked: Micros,
    kept: Option<Micros>,
}

impl TraceTrigger {
    /// Looks at `now`, a few times in a trace's length: why a trace is to be kept, if one is.
    pub(crate) fn look(&mut self, registry: &Registry, now: Micros) -> Option<String> {
        let loops = registry.loops.read();
        let stalls = loops.iter().map(|entry| entry.activity.overlong().0).sum();
        let has_stalled = stalls > std::mem::replace(&mut self.stalls, stalls);
        let since = std::mem::replace(&mut self.looked, now);
        if now < SETTLED_AFTER || self.kept.is_some_and(|kept| now.since(kept) < PAUSE) {
            return None;
        }
        let late = || late_frame(registry, (since, now));
        let reason = has_stalled.then(|| "a loop has stalled".to_owned()).or_else(late)?;
        self.kept = Some(now);
        Some(reason)
    }
}

/// What there is to say of a frame that was late and has passed its last point between these times.
fn late_frame(registry: &Registry, (since, now): (Micros, Micros)) -> Option<String> {
    let worst = registry.worst_since(since, now).into_iter();
    let mut late = worst.filter_map(|(stream, frame)| {
        let took = own_time(&frame);
        (took.secs_f64() * fps_of(registry, &stream) > LATE_TICKS).then(|| {
            let (number, ms) = (frame.stamps.frame.number(), took.millis());
            format!("frame {number} of {stream} took {ms} ms")
        })
    });
    late.next()
}

/// How long a frame took, without what a publisher took to send it.
fn own_time(frame: &WorstFrame) -> Micros {
    let read = frame.stamps.between(Point::Due, Point::Encoded);
    let read = read.filter(|_| frame.stamps.is_published()).unwrap_or_default();
    frame.took.since(read)
}

/// Frames of a stream in a second.
fn fps_of(registry: &Registry, stream: &str) -> f64 {
    let channels = registry.channels();
    let mut encodes = channels.iter().flat_map(ChannelEntry::shown);
    let of_stream = encodes.find(|encode| encode.streams.contains(&stream));
    of_stream.map(|encode| encode.facts.fps).filter(|fps| *fps > 0.0).unwrap_or(FPS)
}

#[cfg(test)]
mod tests;
