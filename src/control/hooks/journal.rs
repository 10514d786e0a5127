//! The journal: every event as a line of JSON in a file, written by a thread of its own. A disk
//! that is full or slow costs lines, which are counted, and nothing else.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::mpsc;

use super::queue_share::QueueShare;
use crate::config::JournalConfig;
use crate::runtime::{NICE_ENCODE, Worker};
use crate::stats::{Delivery, DeliveryStats};

/// Lines that may wait for the disk. Further ones are dropped and counted.
const WAITING_MAX: usize = 8_192;

/// Lines that are written in one call.
const LINES_AT_ONCE: usize = 256;

/// Who may read it: its owner and group. It holds addresses of people.
const MODE: u32 = 0o640;

/// The journal cannot be written.
#[derive(Debug)]
pub struct JournalError(PathBuf, io::Error);

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(path, error) = self;
        write!(f, "the journal {path:?} cannot be written: {error}; name another path")
    }
}

impl std::error::Error for JournalError {}

/// How long the end of the journal waits for the disk.
const FINISH_LIMIT: Duration = Duration::from_secs(1);

/// The way to the journal's thread, which ends with it.
#[derive(Debug)]
pub(in crate::control) struct Journal {
    /// Both are there until it ends.
    lines: Option<mpsc::Sender<Bytes>>,
    writer: Option<Worker<()>>,
    stats: Arc<DeliveryStats>,
}

impl Journal {
    /// Opens the file and starts its thread; `None` if there is to be no journal.
    pub(in crate::control) fn open(config: &JournalConfig) -> Result<Option<Self>, JournalError> {
        let Some(path) = &config.path else { return Ok(None) };
        let stats = Arc::new(DeliveryStats::default());
        let mut writer = Writer::new(path, config, Arc::clone(&stats));
        let wrong = |error| JournalError(path.clone(), error);
        writer.open().map_err(wrong)?;
        let (lines, mut waiting) = mpsc::channel(WAITING_MAX);
        let run = move || {
            let mut lines = Vec::with_capacity(LINES_AT_ONCE);
            while waiting.blocking_recv_many(&mut lines, LINES_AT_ONCE) > 0 {
                writer.write(&lines);
                lines.clear();
            }
        };
        let writer = Worker::spawn("journal", Vec::new(), NICE_ENCODE, run).map_err(wrong)?;
        Ok(Some(Self { lines: Some(lines), writer: Some(writer), stats }))
    }

    pub(super) const fn stats(&self) -> &Arc<DeliveryStats> {
        &self.stats
    }

    /// Leaves a line of something that has few of them.
    pub(in crate::control) fn leave(&self, line: String) {
        self.write(line.into(), QueueShare::Whole);
    }

    /// Leaves a line, without its end, to be written.
    pub(super) fn write(&self, line: Bytes, share: QueueShare) {
        let Some(lines) = &self.lines else { return };
        if !share.is_in(lines) || lines.try_send(line).is_err() {
            self.stats.add(Delivery::Dropped, 1);
        }
    }

    /// No more lines come: the thread ends once it has written what it has.
    pub(super) fn close(&mut self) {
        self.lines = None;
    }

    /// Whether the thread has ended.
    pub(super) fn is_finished(&self) -> bool {
        self.writer.as_ref().is_none_or(Worker::is_finished)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
        if self.writer.take().is_some_and(|writer| !writer.join_within(FINISH_LIMIT)) {
            tracing::warn!("the disk of the journal is too slow: the last lines may be lost");
        }
    }
}

/// The file, and those that were put aside.
struct Writer {
    path: PathBuf,
    max_bytes: u64,
    keep: u32,
    file: Option<File>,
    size: u64,
    /// Whether the file ends in a part of a line.
    torn: bool,
    stats: Arc<DeliveryStats>,
    /// Lines lost since the disk took none; `None` while it does.
    lost: Option<u64>,
}

impl Writer {
    fn new(path: &Path, config: &JournalConfig, stats: Arc<DeliveryStats>) -> Self {
        Self {
            path: path.to_owned(),
            max_bytes: config.max_bytes,
            keep: config.keep,
            file: None,
            size: 0,
            torn: false,
            stats,
            lost: None,
        }
    }

    /// Writes lines, or loses them.
    fn write(&mut self, lines: &[Bytes]) {
        let mut rest = lines;
        while !rest.is_empty() {
            match self.write_some(rest) {
                Ok(count) => {
                    self.stats.add(Delivery::Sent, count as u64);
                    rest = &rest[count..];
                    if let Some(lost) = self.lost.take() {
                        tracing::warn!("the journal goes on; {lost} lines are lost");
                    }
                }
                Err(error) => {
                    if self.lost.is_none() {
                        tracing::error!("the journal cannot be written, lines are lost: {error}");
                    }
                    let lost = rest.len() as u64;
                    self.stats.add(Delivery::Lost, lost);
                    self.lost = Some(self.lost.unwrap_or(0) + lost);
                    // Whatever was wrong with it is looked at anew.
                    self.file = None;
                    return;
                }
            }
        }
    }

    /// Writes as many lines as fit into this file, at least one, and says how many.
    fn write_some(&mut self, lines: &[Bytes]) -> io::Result<usize> {
        if self.file.is_none() || self.is_moved() {
            self.open()?;
        }
        let first = lines.first().map_or(0, Bytes::len) as u64 + 1;
        if self.size > 0 && self.size + first > self.max_bytes {
            self.put_aside()?;
            self.open()?;
        }
        let mut text = Vec::new();
        if self.torn {
            text.push(b'\n');
        }
        let mut count = 0;
        for line in lines {
            let after = self.size + (text.len() + line.len() + 1) as u64;
            if count > 0 && after > self.max_bytes {
                break;
            }
            text.extend_from_slice(line);
            text.push(b'\n');
            count += 1;
        }
        let Some(file) = &mut self.file else { return Err(ErrorKind::NotFound.into()) };
        match file.write_all(&text) {
            Ok(()) => {
                (self.size, self.torn) = (self.size + text.len() as u64, false);
                Ok(count)
            }
            Err(error) => {
                // No half of a line stays, if that can be helped.
                self.torn = file.set_len(self.size).is_err();
                Err(error)
            }
        }
    }

    /// Opens the file to write at its end.
    fn open(&mut self) -> io::Result<()> {
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(MODE).open(&self.path)?;
        self.size = file.metadata()?.len();
        self.torn = self.size > 0 && !ends_whole(&self.path);
        self.file = Some(file);
        Ok(())
    }

    /// Whether somebody else has moved or removed the file.
    fn is_moved(&self) -> bool {
        let Some(file) = &self.file else { return true };
        match (file.metadata(), fs::metadata(&self.path)) {
            (Ok(ours), Ok(theirs)) => (ours.dev(), ours.ino()) != (theirs.dev(), theirs.ino()),
            _ => true,
        }
    }

    /// Makes share: the file becomes `path.1`, that one `path.2`, and the oldest goes.
    fn put_aside(&mut self) -> io::Result<()> {
        self.file = None;
        if self.keep == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.keep).rev() {
            match fs::rename(self.aside(number), self.aside(number + 1)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.aside(1))
    }

    fn aside(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

/// Whether the file ends with the end of a line.
fn ends_whole(path: &Path) -> bool {
    let last = || -> io::Result<u8> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        Ok(byte[0])
    };
    last().is_ok_and(|byte| byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(path: &Path, max_bytes: u64, keep: u32) -> Writer {
        let config = JournalConfig { path: None, max_bytes, keep };
        Writer::new(path, &config, Arc::default())
    }

    fn lines(text: &str) -> Vec<Bytes> {
        text.split(' ').map(|line| Bytes::copy_from_slice(line.as_bytes())).collect()
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_file_that_is_full_is_put_aside_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/journal");
        let mut writer = writer(&path, 10, 2);
        writer.write(&lines("aaaa bbbb cccc dddd eeee ffff gggg-that-is-longer-than-a-file hh"));
        assert_eq!(read(&path), "hh\n");
        assert_eq!(read(&dir.path().join("sub/journal.1")), "gggg-that-is-longer-than-a-file\n");
        assert_eq!(read(&dir.path().join("sub/journal.2")), "eeee\nffff\n");
        assert!(!dir.path().join("sub/journal.3").exists());
        assert_eq!(writer.stats.read(), [8, 0, 0]);
    }

    #[test]
    fn without_files_to_keep_the_one_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        writer(&path, 10, 0).write(&lines("aaaa bbbb cccc"));
        assert_eq!(read(&path), "cccc\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn it_goes_on_where_it_was_also_behind_half_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        fs::write(&path, "aaaa\nbb").unwrap();
        writer(&path, 100, 1).write(&lines("cccc"));
        assert_eq!(read(&path), "aaaa\nbb\ncccc\n");
    }

    #[test]
    fn a_full_disk_costs_lines_which_are_counted() {
        let mut writer = writer(Path::new("/dev/full"), 100, 1);
        writer.write(&lines("a b"));
        writer.write(&lines("c"));
        assert_eq!(writer.stats.read(), [0, 3, 0]);
        assert_eq!(writer.lost, Some(3));
        let dir = tempfile::tempdir().unwrap();
        writer.path = dir.path().join("journal");
        writer.write(&lines("d"));
        assert_eq!((read(&writer.path).as_str(), writer.lost), ("d\n", None));
    }

    #[test]
    fn a_file_that_is_taken_away_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut writer = writer(&path, 100, 1);
        writer.write(&lines("a"));
        fs::rename(&path, dir.path().join("taken")).unwrap();
        writer.write(&lines("b"));
        assert_eq!(
            (read(&path).as_str(), read(&dir.path().join("taken")).as_str()),
            ("b\n", "a\n")
        );
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told_at_the_start() {
        let config = JournalConfig { path: Some("/proc/no/such".into()), ..Default::default() };
        let told = Journal::open(&config).unwrap_err().to_string();
        assert!(told.contains("/proc/no/such") && told.contains("name another path"), "{told}");
        assert!(Journal::open(&JournalConfig::default()).unwrap().is_none());
    }

    #[test]
    fn what_was_left_is_written_before_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let config = JournalConfig { path: Some(path.clone()), ..Default::default() };
        let journal = Journal::open(&config).unwrap().unwrap();
        let count = 1_000;
        (0..count).for_each(|_| journal.write(Bytes::from_static(b"{}"), QueueShare::Whole));
        drop(journal);
        assert_eq!(read(&path).lines().count(), count);
    }
}
