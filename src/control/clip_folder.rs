//! Clip folder: the last seconds of streams as files, a folder for each stream. All of it waits for
//! the disk; none of it belongs on a thread that must not.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::durable;
use crate::command::RecentMessages;
use crate::config::ClipsConfig;
use crate::media::{Kind, Micros};
use crate::pipeline::record_input;
use crate::record::{CLIP_HEAD_BYTES, Clip, ClipFault, clip_length_ms, file_name, write_clip};

/// Clips that are made at once. Each holds the memory of what the log had then (`log_bytes`) until
/// it is written. Further ones are told to come again.
const AT_ONCE_MAX: usize = 4;

/// How long the next clip of a stream is refused after one was asked for.
const PAUSE: Micros = Micros::from_millis(500);

/// Names that are tried for one file before the folder counts as unusable.
const NAMES_MAX: u32 = 1_000;

/// Folders in each other that are looked into: a stream's name has fewer parts.
const DEPTH_MAX: usize = 32;

/// End of the files' names.
const EXTENSION: &str = "mp4";

/// Why something cannot be done with a clip.
#[derive(Debug)]
pub(crate) enum ClipError {
    /// There is no folder.
    Off,
    /// It is wrong: what, and what would be right.
    Invalid(String),
    /// There is no such clip.
    NotFound(String),
    /// What is published gives no clip now; says what to do.
    Unfit(String),
    /// Others are being made.
    Busy(String),
    /// The disk refuses.
    Disk(io::Error),
}

impl From<io::Error> for ClipError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<ClipFault> for ClipError {
    fn from(fault: ClipFault) -> Self {
        match fault {
            ClipFault::Unfit(text) => Self::Unfit(text),
            ClipFault::Disk(error) => Self::Disk(error),
        }
    }
}

/// A clip of a stream.
#[derive(Clone, Debug)]
pub(crate) struct ClipFile {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) length_ms: u32,
    /// Milliseconds since 1970.
    pub(crate) made_at: u64,
}

/// The folder.
#[derive(Debug)]
pub struct ClipFolder {
    folder: Option<PathBuf>,
    limits: ClipsConfig,
    turns: Arc<Semaphore>,
    /// When a clip of each stream was asked for last; those within [`PAUSE`].
    asked: Mutex<HashMap<String, Micros>>,
    /// Whoever names a file, or removes old ones.
    changes: Mutex<()>,
}

impl ClipFolder {
    /// The folder that is named, or the one in the data directory, if there is one. It is made when
    /// the first clip is.
    #[must_use]
    pub fn new(limits: &ClipsConfig, data_dir: Option<&Path>) -> Self {
        let folder = limits.folder.clone().or_else(|| data_dir.map(|dir| dir.join("clips")));
        Self {
            folder,
            limits: limits.clone(),
            turns: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            asked: Mutex::default(),
            changes: Mutex::default(),
        }
    }

    /// Leave to make a clip of `stream`, as long as it is held.
    pub(crate) async fn turn(
        &self,
        stream: &str,
        now: Micros,
    ) -> Result<OwnedSemaphorePermit, ClipError> {
        self.folder_of(stream)?;
        let busy = |_| ClipError::Busy("other clips are being made; try again".to_owned());
        let turn = Arc::clone(&self.turns).try_acquire_owned().map_err(busy)?;
        let mut asked = self.asked.lock().await;
        asked.retain(|_, at| now.since(*at) < PAUSE);
        if asked.contains_key(stream) {
            let text = format!("a clip of {stream} has just been made; try again");
            return Err(ClipError::Busy(text));
        }
        asked.insert(stream.to_owned(), now);
        Ok(turn)
    }

    /// Makes a clip of what a stream's log has handed over, at `unix_s` seconds since 1970.
    pub(crate) fn make(
        &self,
        stream: &str,
        recent: &RecentMessages,
        unix_s: u64,
    ) -> Result<(ClipFile, Clip), ClipError> {
        let inputs: Vec<_> =
            recent.headers.iter().chain(&recent.messages).map(record_input).collect();
        let wanted = recent.messages.iter().skip(recent.lead);
        let wanted = wanted.chain(recent.messages.last());
        let mut wanted = wanted.filter(|it| !it.is_header() && it.kind() != Kind::Data);
        let Some(wanted) = wanted.next() else {
            let text = "has sent no keyframe yet that is still there; try again after its next one";
            return Err(ClipError::Unfit(format!("{stream} {text}")));
        };
        let folder = self.folder_of(stream)?;
        let _change = self.changes.blocking_lock();
        let path = free_name(&folder, stream, unix_s)?;
        let mut clip = None;
        durable::make_with(&path, |aside| {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(durable::FILE_MODE)
                .open(aside)?;
            let mut file = BufWriter::new(file);
            clip = Some(write_clip(&inputs, wanted.time(), &mut file)?);
            Ok::<_, ClipError>(file.flush()?)
        })?;
        self.make_room(&path);
        let found = clip_file(path).zip(clip);
        found.ok_or_else(|| ClipError::NotFound("the clip was removed at once".to_owned()))
    }

    /// The clips of a stream, oldest first.
    pub(crate) fn list(&self, stream: &str) -> Result<Vec<ClipFile>, ClipError> {
        let mut clips = files_in(&self.folder_of(stream)?)?;
        clips.sort_by(|a, b| (a.made_at, &a.name).cmp(&(b.made_at, &b.name)));
        Ok(clips)
    }

    /// A clip to be read, with its length.
    pub(crate) fn open(&self, stream: &str, name: &str) -> Result<(File, Metadata), ClipError> {
        let none = || ClipError::NotFound(format!("there is no clip {name} of {stream}"));
        if !is_name(name) {
            return Err(none());
        }
        let mut options = OpenOptions::new();
        // No link is followed, and nobody waited for who would write into a pipe.
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let opened = options.open(self.folder_of(stream)?.join(name));
        let file = opened.map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ENXIO) => none(),
            _ => ClipError::Disk(error),
        })?;
        let about = file.metadata()?;
        if about.is_file() { Ok((file, about)) } else { Err(none()) }
    }

    /// Takes a clip away.
    pub(crate) fn remove(&self, stream: &str, name: &str) -> Result<(), ClipError> {
        self.open(stream, name)?;
        Ok(fs::remove_file(self.folder_of(stream)?.join(name))?)
    }

    /// Where the clips of a stream are. No name leads out of the folder, or hides.
    fn folder_of(&self, stream: &str) -> Result<PathBuf, ClipError> {
        let folder = self.folder.as_deref().ok_or(ClipError::Off)?;
        let is_plain = |part: &str| !part.is_empty() && !part.starts_with('.');
        if !stream.split('/').all(is_plain) || stream.contains('\0') {
            return Err(ClipError::Invalid(format!("{stream:?} names no stream")));
        }
        Ok(folder.join(stream))
    }

    /// Removes the oldest clips beyond the limits, but for the newest one.
    fn make_room(&self, newest: &Path) {
        let mut clips = Vec::new();
        if let Some(folder) = &self.folder {
            collect(folder, DEPTH_MAX, &mut clips);
        }
        clips.sort_by(|a, b| (a.made_at, &a.path).cmp(&(b.made_at, &b.path)));
        let (mut count, mut bytes) = (clips.len(), clips.iter().map(|it| it.bytes).sum::<u64>());
        for clip in clips.iter().filter(|clip| clip.path != newest) {
            if count <= self.limits.files_max && bytes <= self.limits.total_bytes_max {
                return;
            }
            match fs::remove_file(&clip.path) {
                Ok(()) => (count, bytes) = (count - 1, bytes - clip.bytes),
                Err(error) => tracing::warn!("{}: not removed: {error}", clip.path.display()),
            }
        }
    }
}

/// A name in the folder that no file has.
fn free_name(folder: &Path, stream: &str, unix_s: u64) -> Result<PathBuf, ClipError> {
    let name = stream.rsplit('/').next().unwrap_or(stream);
    let mut names = (1..=NAMES_MAX).map(|n| folder.join(file_name(name, unix_s, n, EXTENSION)));
    let taken = || io::Error::from(io::ErrorKind::AlreadyExists);
    Ok(names.find(|path| !path.exists()).ok_or_else(taken)?)
}

fn is_name(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    let stem = name.strip_suffix(EXTENSION).and_then(|name| name.strip_suffix('.'));
    name.bytes().all(plain) && stem.is_some_and(|stem| !stem.is_empty() && !stem.starts_with('.'))
}

fn clip_file(path: PathBuf) -> Option<ClipFile> {
    let name = path.file_name()?.to_str().filter(|name| is_name(name))?.to_owned();
    // Of the entry itself, not of what a link leads to.
    let about = fs::symlink_metadata(&path).ok().filter(Metadata::is_file)?;
    let mut head = [0; CLIP_HEAD_BYTES];
    File::open(&path).and_then(|mut file| file.read_exact(&mut head)).ok()?;
    let made = about.mtime() * 1_000 + about.mtime_nsec() / 1_000_000;
    Some(ClipFile {
        name,
        bytes: about.len(),
        length_ms: clip_length_ms(&head)?,
        made_at: u64::try_from(made).unwrap_or(0),
        path,
    })
}

fn files_in(folder: &Path) -> Result<Vec<ClipFile>, ClipError> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().filter_map(|entry| clip_file(entry.path())).collect()),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(Vec::new()),
            _ => Err(error.into()),
        },
    }
}

/// All clips below a folder. What cannot be read has none.
fn collect(folder: &Path, depth: usize, clips: &mut Vec<ClipFile>) {
    clips.extend(files_in(folder).unwrap_or_default());
    let Some(depth) = depth.checked_sub(1) else { return };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), depth, clips);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::frame::PacketBuf;
    use crate::stream::{Flags, Message};

    const STREAM: &str = "live/show";

    /// A second of audio, as MP4 takes it.
    fn recent() -> RecentMessages {
        let message = |time, flags, body: &[u8]| {
            Message::new(Kind::Audio, time, flags, PacketBuf::copy_of(body), 1_000)
        };
        let frames = (0..50).map(|n| message(n * 20, Flags::default(), &[0xaf, 1, 2, 3]));
        RecentMessages {
            headers: vec![message(0, Flags::HEADER, &[0xaf, 0, 0x11, 0x90])],
            messages: frames.collect(),
            lead: 25,
            arrived: Micros(0),
        }
    }

    fn folder(dir: &Path, files_max: usize) -> ClipFolder {
        let limits = ClipsConfig { files_max, ..ClipsConfig::default() };
        ClipFolder::new(&limits, Some(dir))
    }

    #[test]
    fn clips_are_listed_read_and_removed_and_the_oldest_make_room() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(dir.path(), 3);
        let (mut names, mut bytes) = (Vec::new(), 0);
        for (stream, unix_s) in [(STREAM, 0), (STREAM, 0), ("live/room/b", 9), (STREAM, 10)] {
            let (file, clip) = folder.make(stream, &recent(), unix_s).unwrap();
            assert_eq!((file.length_ms, clip.length_ms), (500, 500));
            assert_eq!((file.bytes, file.path.is_file()), (clip.bytes, true));
            // The file system counts in ticks of the kernel, which several may share.
            let made = SystemTime::UNIX_EPOCH + Duration::from_secs(names.len() as u64);
            File::options().write(true).open(&file.path).unwrap().set_modified(made).unwrap();
            names.push(file.name);
            bytes = clip.bytes;
        }
        assert_eq!(names[..2], ["show-19700101-000000-1.mp4", "show-19700101-000000-2.mp4"]);
        let listed = |stream| {
            let names = folder.list(stream).unwrap().into_iter().map(|clip| clip.name);
            names.collect::<Vec<_>>()
        };
        assert_eq!(listed(STREAM), ["show-19700101-000000-2.mp4", "show-19700101-000010-1.mp4"]);
        assert_eq!(listed("live/room/b").len(), 1);
        assert!(listed("live").is_empty() && listed("live/nobody").is_empty());
        assert_eq!(folder.open(STREAM, &names[3]).unwrap().1.len(), bytes);
        folder.remove(STREAM, &names[3]).unwrap();
        let again = folder.remove(STREAM, &names[3]);
        assert!(matches!(again, Err(ClipError::NotFound(text)) if text.contains(STREAM)));
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(dir.path(), 3);
        fs::write(dir.path().join("secret.mp4"), "s").unwrap();
        folder.make(STREAM, &recent(), 0).unwrap();
        for stream in ["..", "../live", "live/..", "live//show", "/etc", "", "live/.show", "a\0b"] {
            assert!(matches!(folder.list(stream), Err(ClipError::Invalid(_))), "{stream}");
        }
        for name in ["../../../secret.mp4", ".mp4", "..mp4", "show", "", "a/b.mp4", "nothing.mp4"] {
            assert!(matches!(folder.open(STREAM, name), Err(ClipError::NotFound(_))), "{name}");
        }
        let none = ClipFolder::new(&ClipsConfig::default(), None);
        assert!(matches!(none.list(STREAM), Err(ClipError::Off)));
    }

    #[tokio::test]
    async fn clips_at_once_and_of_one_stream_are_limited() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(dir.path(), 3);
        let now = Micros::from_secs(1);
        let first = folder.turn(STREAM, now).await.unwrap();
        assert!(matches!(folder.turn(STREAM, now).await, Err(ClipError::Busy(_))), "too soon");
        let later = now + PAUSE;
        let mut held = vec![first, folder.turn(STREAM, later).await.unwrap()];
        for n in 2..AT_ONCE_MAX {
            held.push(folder.turn(&format!("live/{n}"), later).await.unwrap());
        }
        assert!(matches!(folder.turn("live/last", later).await, Err(ClipError::Busy(_))));
        held.pop();
        assert!(folder.turn("live/last", later).await.is_ok());
    }

    #[test]
    fn a_stream_without_a_keyframe_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let made = folder(dir.path(), 3).make(STREAM, &RecentMessages::default(), 0);
        assert!(matches!(made, Err(ClipError::Unfit(text)) if text.contains("keyframe")));
        assert!(!dir.path().join("clips").exists());
    }
}
