//! Files of the scene on the air, and whether they have changed since it was loaded.

use std::path::PathBuf;

use crate::media::Micros;
use crate::scene::FileStamp;

/// How often they are looked at. A change counts once two looks have found the same: whoever writes
/// a file has finished then.
const LOOK_EVERY: Micros = Micros::from_millis(500);

/// Files as they were at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FileStamps {
    paths: Vec<PathBuf>,
    /// Nothing if they have not been looked at.
    stamps: Option<Vec<Option<FileStamp>>>,
}

impl FileStamps {
    /// Files that have not been looked at.
    pub(super) const fn unread(paths: Vec<PathBuf>) -> Self {
        Self { paths, stamps: None }
    }

    /// The files as they are now. May wait for a disk, or for a server that does not answer.
    pub(super) fn read(paths: Vec<PathBuf>) -> Self {
        let stamps = Some(paths.iter().map(|path| FileStamp::of(path)).collect());
        Self { paths, stamps }
    }
}

/// The files of the scene on the air.
#[derive(Debug, Default)]
pub(super) struct AssetFiles {
    /// As they were before the scene was loaded.
    loaded: FileStamps,
    /// As the last look has found them.
    seen: FileStamps,
    /// When they are looked at next.
    next: Micros,
    /// A thread looks at them now.
    looks: bool,
    /// Tells what a thread says about this scene from what it says about an earlier one.
    round: u64,
}

impl AssetFiles {
    /// From now on a scene is on the air whose files were like this before it was loaded; where
    /// they have not been looked at, as the first look finds them.
    pub(super) fn settle(&mut self, loaded: FileStamps, now: Micros) {
        self.seen.clone_from(&loaded);
        (self.loaded, self.looks, self.next) = (loaded, false, now + LOOK_EVERY);
        self.round += 1;
    }

    /// If it is time to look at them, or at others that the scene has besides: at which, and the
    /// round, for [`AssetFiles::looked`].
    pub(super) fn due(&mut self, now: Micros, has_others: bool) -> Option<(u64, Vec<PathBuf>)> {
        if (self.loaded.paths.is_empty() && !has_others) || self.looks || now < self.next {
            return None;
        }
        self.looks = true;
        Some((self.round, self.loaded.paths.clone()))
    }

    /// No thread could look at them.
    pub(super) fn put_off(&mut self, now: Micros) {
        (self.looks, self.next) = (false, now + LOOK_EVERY);
    }

    /// What a thread has found. Whether the scene is to be loaded anew; said once for a change.
    pub(super) fn looked(&mut self, round: u64, found: FileStamps, now: Micros) -> bool {
        if round != self.round {
            return false;
        }
        self.put_off(now);
        let has_changed = found == self.seen && found != self.loaded;
        if has_changed || self.loaded.stamps.is_none() {
            self.loaded.clone_from(&found);
        }
        self.seen = found;
        has_changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_when_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logo.png");
        let read = || FileStamps::read(vec![path.clone()]);
        let (mut files, at) = (AssetFiles::default(), Micros::from_secs);
        std::fs::write(&path, "one").unwrap();
        files.settle(read(), at(0));
        assert_eq!(files.due(Micros(0), false), None);
        let (round, paths) = files.due(at(1), false).unwrap();
        assert_eq!((paths, files.due(at(1), false)), (vec![path.clone()], None));
        assert!(!files.looked(round, read(), at(1)), "nothing has changed");

        std::fs::write(&path, "two, half").unwrap();
        assert!(!files.looked(round, read(), at(2)), "somebody may be writing");
        std::fs::write(&path, "two, and whole").unwrap();
        assert!(!files.looked(round, read(), at(3)), "somebody was");
        assert!(files.looked(round, read(), at(4)));
        assert!(!files.looked(round, read(), at(5)), "it is said once");

        std::fs::remove_file(&path).unwrap();
        assert!(!files.looked(round, read(), at(6)) && files.looked(round, read(), at(7)));
        files.settle(FileStamps::default(), at(8));
        assert_eq!(files.due(at(100), false), None, "a scene without files");
        assert_eq!(files.due(at(100), true), Some((2, Vec::new())), "with others");
        assert!(!files.looked(round, read(), at(9)), "what is said of another scene");

        files.settle(FileStamps::unread(vec![path.clone()]), at(10));
        let (round, _) = files.due(at(11), false).unwrap();
        assert!(!files.looked(round, read(), at(11)) && !files.looked(round, read(), at(12)));
        std::fs::write(&path, "three").unwrap();
        assert!(!files.looked(round, read(), at(13)) && files.looked(round, read(), at(14)));
    }
}
