//! M3U: the files that a playlist file names, line by line.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::media::{Micros, PLAYLIST_ITEMS_MAX, PlaylistItem};

/// Latest in and out point that is taken from a line, seconds: a day.
const POINT_SECONDS_MAX: f64 = 24.0 * 3_600.0;

/// What is before the path of a file that is written as an address.
const FILE_SCHEME: &[u8] = b"file://";

/// What the lines of an M3U file come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct M3u {
    pub(super) items: Vec<PlaylistItem>,
    /// Lines that name no file, from 1.
    pub(super) addresses: Vec<usize>,
    /// Whether there are more items than a playlist has.
    pub(super) is_cut: bool,
}

/// Reads an M3U file that lies in `folder`. Names of files are bytes, as the system has them; those
/// that are not absolute are looked for in the folder. `#EXTVLCOPT:start-time=` and `stop-time=`
/// are in and out points; all other lines with a `#` are skipped.
pub(super) fn parse(text: &[u8], folder: &Path) -> M3u {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let (mut found, mut points) = (M3u::default(), (None, None));
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.starts_with(b"#") {
            note_point(line, &mut points);
            continue;
        }
        if line.is_empty() {
            continue;
        }
        if found.items.len() == PLAYLIST_ITEMS_MAX {
            found.is_cut = true;
            break;
        }
        let (start, stop) = std::mem::take(&mut points);
        let in_point = start.unwrap_or_default();
        match path(line) {
            Some(path) => found.items.push(PlaylistItem {
                path: folder.join(OsStr::from_bytes(&path)),
                in_point,
                out_point: stop.filter(|stop| *stop > in_point),
            }),
            None => found.addresses.push(number + 1),
        }
    }
    found
}

/// Takes a point from a line of VLC's.
fn note_point(line: &[u8], (start, stop): &mut (Option<Micros>, Option<Micros>)) {
    let Some(option) = line.strip_prefix(b"#EXTVLCOPT:") else { return };
    let point = |key: &[u8]| {
        let value = str::from_utf8(option.strip_prefix(key)?).ok()?;
        let seconds: f64 = value.trim().parse().ok()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        let at = Micros((seconds.clamp(0.0, POINT_SECONDS_MAX) * 1e6) as u64);
        Some(at)
    };
    *start = point(b"start-time=").or(*start);
    *stop = point(b"stop-time=").or(*stop);
}

/// The path of a file that a line names; `None` if that is the address of something else.
fn path(line: &[u8]) -> Option<Vec<u8>> {
    if let Some(path) = line.strip_prefix(FILE_SCHEME) {
        let path = path.strip_prefix(b"localhost").unwrap_or(path);
        return path.starts_with(b"/").then(|| decoded(path));
    }
    let is_address = line.windows(3).any(|bytes| bytes == b"://");
    (!is_address).then(|| line.to_vec())
}

/// The bytes that an address stands for: `%20` is a space.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, others @ ..] = rest {
        let digits = others.get(..2).and_then(|two| str::from_utf8(two).ok());
        let byte = digits.filter(|_| *first == b'%');
        let byte = byte.and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &others[2..] } else { others };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_files_beside_it_with_points_and_addresses_are_told_by_their_lines() {
        let text = b"\xef\xbb\xbf#EXTM3U\r\n#EXTINF:12,A title, with commas\r\na b.mp4\r\n\r\n\
            #EXTVLCOPT:start-time=1.5\n#EXTVLCOPT:stop-time=3\n/abs/b.mkv\n\
            https://user:secret@host/c.mp4\nfile:///d%20e%2.mov\nfile://other/f\nsub/\xe9.mp3";
        let found = parse(text, Path::new("/media"));
        let item = |path: &[u8]| PlaylistItem::from(Path::new(OsStr::from_bytes(path)).to_owned());
        let points = PlaylistItem {
            in_point: Micros::from_millis(1_500),
            out_point: Some(Micros::from_secs(3)),
            ..item(b"/abs/b.mkv")
        };
        let [first, third] = [item(b"/media/a b.mp4"), item(b"/d e%2.mov")];
        let items = vec![first, points, third, item(b"/media/sub/\xe9.mp3")];
        assert_eq!(found, M3u { items, addresses: vec![8, 10], is_cut: false });
    }

    #[test]
    fn what_is_beyond_the_limit_is_left_out() {
        let text = "a.mp4\n".repeat(PLAYLIST_ITEMS_MAX);
        assert!(!parse(text.as_bytes(), Path::new("/")).is_cut);
        let found = parse(format!("{text}b.mp4\n").as_bytes(), Path::new("/"));
        assert!(found.is_cut && found.items.len() == PLAYLIST_ITEMS_MAX);
    }

    #[test]
    fn points_that_cannot_be_are_the_files_own() {
        let points = |lines: &str| {
            let item = parse(format!("{lines}\na.mp4").as_bytes(), Path::new("/")).items.remove(0);
            (item.in_point.millis(), item.out_point.map(Micros::millis))
        };
        let option = |text: &str| format!("#EXTVLCOPT:{text}\n");
        assert_eq!(points(&option("start-time=x")), (0, None));
        assert_eq!(points(&option("start-time=-4")), (0, None));
        assert_eq!(points(&(option("start-time=9") + &option("stop-time=2"))), (9_000, None));
        assert_eq!(points(&option("start-time=1e99")), (86_400_000, None));
        assert_eq!(points(&option("start-time=NaN")).1, None);
    }
}
