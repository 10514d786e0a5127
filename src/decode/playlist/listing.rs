//! Listing of a playlist: the files that it has now. Called where it may wait for the disk.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::m3u;
use crate::decode::Error;
use crate::media::{PLAYLIST_ITEMS_MAX, Playlist, PlaylistEntries, PlaylistItem, open_plain};

/// Largest M3U file, bytes; a larger one is refused.
const M3U_BYTES_MAX: u64 = 1 << 20;

/// Entries of a folder that are looked at; the rest is left out, which is told.
const FOLDER_ENTRIES_MAX: usize = 10_000;

/// Endings of files that are media: what else lies in a folder is no part of its playlist.
const ENDINGS: [&str; 31] = [
    "3gp", "aac", "ac3", "aif", "aiff", "avi", "flac", "flv", "m2ts", "m4a", "m4v", "mka", "mkv",
    "mov", "mp3", "mp4", "mpeg", "mpg", "mts", "mxf", "oga", "ogg", "ogv", "opus", "ts", "vob",
    "wav", "webm", "wma", "wmv", "y4m",
];

/// The files of a playlist.
#[derive(Debug, Default)]
pub struct Listing {
    /// Those that can be tried, at most [`PLAYLIST_ITEMS_MAX`].
    pub items: Vec<PlaylistItem>,
    /// What is named and is none of them.
    pub refused: Vec<Refused>,
}

/// Something that a playlist names and that is not played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it is named.
    pub place: String,
    /// Why, and what to do.
    pub reason: String,
}

/// Finds the files of a playlist: reads its M3U file or its folder.
///
/// # Errors
/// [`Error::Playlist`] if that cannot be read, or names no file.
pub fn list(playlist: &Playlist) -> Result<Listing, Error> {
    let listing = match &playlist.entries {
        PlaylistEntries::Items(items) => Listing { items: items.clone(), ..Listing::default() },
        PlaylistEntries::Folder(folder) => of_folder(folder)?,
        PlaylistEntries::M3u(file) => of_m3u(file)?,
    };
    if listing.items.is_empty() {
        let (path, cause) = match &playlist.entries {
            PlaylistEntries::Items(_) => ("its items".into(), "it has none; name some files"),
            PlaylistEntries::Folder(path) => {
                (path.clone(), "it has no media files; put some there")
            }
            PlaylistEntries::M3u(path) => (path.clone(), "it names no file; write some there"),
        };
        return Err(Error::Playlist { path, cause: cause.to_owned() });
    }
    Ok(listing)
}

fn wrong(path: &Path, cause: &dyn std::fmt::Display) -> Error {
    Error::Playlist { path: path.to_owned(), cause: cause.to_string() }
}

fn of_m3u(file: &Path) -> Result<Listing, Error> {
    let mut text = Vec::new();
    let opened = open_plain(file).map_err(|error| wrong(file, &error))?;
    let read = opened.take(M3U_BYTES_MAX + 1).read_to_end(&mut text);
    read.map_err(|error| wrong(file, &error))?;
    if text.len() as u64 > M3U_BYTES_MAX {
        let cause = format!("it has more than {M3U_BYTES_MAX} bytes; split it");
        return Err(wrong(file, &cause));
    }
    let found = m3u::parse(&text, file.parent().unwrap_or_else(|| Path::new("")));
    let refused = |line: usize| Refused {
        place: format!("{}, line {line}", file.display()),
        reason: "it is an address, and a playlist plays files: fetch it to this machine, or use a \
                 `network` layer"
            .to_owned(),
    };
    let mut refused: Vec<_> = found.addresses.into_iter().map(refused).collect();
    refused.extend(found.is_cut.then(|| too_many(file, PLAYLIST_ITEMS_MAX, "files")));
    Ok(Listing { items: found.items, refused })
}

fn of_folder(folder: &Path) -> Result<Listing, Error> {
    let mut refused = Vec::new();
    let mut paths: Vec<PathBuf> = Vec::new();
    let entries = fs::read_dir(folder).map_err(|error| wrong(folder, &error))?;
    for (index, entry) in entries.enumerate() {
        if index == FOLDER_ENTRIES_MAX {
            refused.push(too_many(folder, FOLDER_ENTRIES_MAX, "entries"));
            break;
        }
        let path = entry.map_err(|error| wrong(folder, &error))?.path();
        // A hidden file is one that is still being copied.
        let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes()[0] == b'.');
        if !is_hidden && is_media(&path) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.len() > PLAYLIST_ITEMS_MAX {
        paths.truncate(PLAYLIST_ITEMS_MAX);
        refused.push(too_many(folder, PLAYLIST_ITEMS_MAX, "media files"));
    }
    Ok(Listing { items: paths.into_iter().map(PlaylistItem::from).collect(), refused })
}

fn is_media(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

fn too_many(place: &Path, most: usize, what: &str) -> Refused {
    Refused {
        place: place.display().to_string(),
        reason: format!("it has more than {most} {what}; the rest is left out: split it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playlist(entries: PlaylistEntries) -> Playlist {
        Playlist { entries, looped: true, shuffle: false, seed: None }
    }

    fn names(listing: &Listing) -> Vec<String> {
        let name =
            |item: &PlaylistItem| item.path.file_name().unwrap().to_str().unwrap().to_owned();
        listing.items.iter().map(name).collect()
    }

    #[test]
    fn a_folder_is_its_media_files_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let folder = playlist(PlaylistEntries::Folder(dir.path().to_owned()));
        let told = list(&folder).unwrap_err().to_string();
        assert!(told.contains("it has no media files; put some there"), "{told}");
        for name in ["b.mp4", "a.MKV", "notes.txt", ".c.mp4", "d"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("e.mp4")).unwrap();
        assert_eq!(names(&list(&folder).unwrap()), ["a.MKV", "b.mp4"]);
        let missing = playlist(PlaylistEntries::Folder(dir.path().join("none")));
        assert!(list(&missing).unwrap_err().to_string().contains("none"));
    }

    #[test]
    fn what_is_too_much_for_a_playlist_is_left_out_or_refused_and_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.m3u");
        let m3u = playlist(PlaylistEntries::M3u(file.clone()));
        fs::write(&file, "http://secret@host/\n".to_owned() + &"b.mp4\n".repeat(1_001)).unwrap();
        let listing = list(&m3u).unwrap();
        assert_eq!((listing.items.len(), listing.refused.len()), (PLAYLIST_ITEMS_MAX, 2));
        assert!(listing.refused[0].place.ends_with("a.m3u, line 1"), "{:?}", listing.refused);
        assert!(!format!("{:?}", listing.refused).contains("secret"));
        assert!(listing.refused[1].reason.contains("1000"), "{:?}", listing.refused);
        fs::write(&file, vec![b'\n'; usize::try_from(M3U_BYTES_MAX).unwrap() + 1]).unwrap();
        assert!(list(&m3u).unwrap_err().to_string().contains("split it"));
        fs::write(&file, "#EXTM3U\n").unwrap();
        assert!(list(&m3u).unwrap_err().to_string().contains("it names no file"));
    }
}
