//! Playlists of layers and audio sources: `type = "playlist"`.

use serde_json::{Map, Value, json};

use super::fault::Faults;
use super::field::file_name;
use super::section::Section;
use super::video_clip::POINT_MS_MAX;
use crate::media::{Micros, PLAYLIST_ITEMS_MAX, Playlist, PlaylistEntries, PlaylistItem};

/// How an item is written.
const ITEM: &str = "items = [{ file = \"a.mp4\" }]";

/// `items`, `folder` or `m3u`, `loop`, `shuffle` and `seed`.
pub(super) fn read(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<Playlist> {
    let entries = entries(s, faults);
    let looped = s.flag(faults, "loop", true);
    let shuffle = s.flag(faults, "shuffle", false);
    let seed = s.whole(faults, "seed", 0..=u32::MAX);
    if seed.is_some() && !shuffle {
        faults.add(&s.place("seed"), "`seed` goes with `shuffle = true`; leave it out");
    }
    Some(Playlist { entries: entries?, looped, shuffle, seed })
}

/// Where the files come from: one of three.
fn entries(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<PlaylistEntries> {
    let named = ["items", "folder", "m3u"].map(|key| s.any(key).map(|_| key));
    let named: Vec<_> = named.into_iter().flatten().collect();
    let &[key] = named.as_slice() else {
        let text = "a playlist has its files from one of `items`, `folder` and `m3u`";
        let place = named.get(1).map_or_else(|| s.span().clone(), |key| s.place(key));
        faults.add(&place, text);
        return None;
    };
    if key == "items" {
        return items(s, faults).map(PlaylistEntries::Items);
    }
    let what = if key == "folder" { "folder" } else { "file" };
    let path = s.parsed(faults, key, |text| {
        file_name(text).map(Into::into).map_err(|error| format!("{error}; name a {what}"))
    });
    let path = path?.value;
    Some(match key {
        "folder" => PlaylistEntries::Folder(path),
        _ => PlaylistEntries::M3u(path),
    })
}

fn items(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<Vec<PlaylistItem>> {
    let mut items = Vec::new();
    let tables = s.tables(faults, "items", ITEM);
    if tables.is_empty() {
        faults.add(&s.place("items"), format!("`items` names no file: write {ITEM}"));
        return None;
    }
    let count = tables.len();
    for (index, mut item) in tables.into_iter().enumerate() {
        if index == PLAYLIST_ITEMS_MAX {
            let text = format!("a playlist has at most {PLAYLIST_ITEMS_MAX} items; name a folder");
            faults.add(item.span(), text);
            return None;
        }
        items.extend(read_item(&mut item, faults));
        item.finish(faults);
    }
    // One with a fault is told already.
    (items.len() == count).then_some(items)
}

/// `file`, `in_ms` and `out_ms`.
fn read_item(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<PlaylistItem> {
    s.needed(faults, "file");
    let path = s.parsed(faults, "file", |text| {
        file_name(text).map(Into::into).map_err(|error| format!("{error}; name a file"))
    });
    let start = s.whole(faults, "in_ms", 0..=POINT_MS_MAX).unwrap_or(0);
    let end = s.whole(faults, "out_ms", 1..=POINT_MS_MAX);
    if end.is_some_and(|end| end <= start) {
        faults.add(&s.place("out_ms"), "`out_ms` is not after `in_ms`: nothing is left");
        return None;
    }
    let point = |ms: u32| Micros::from_millis(ms.into());
    Some(PlaylistItem { path: path?.value, in_point: point(start), out_point: end.map(point) })
}

/// Adds the keys to a document.
pub(super) fn put(playlist: &Playlist, put: &mut impl FnMut(&str, Value)) -> &'static str {
    let Playlist { entries, looped, shuffle, seed } = playlist;
    match entries {
        PlaylistEntries::Items(items) => put("items", items.iter().map(item_document).collect()),
        PlaylistEntries::Folder(path) => put("folder", json!(path.to_string_lossy())),
        PlaylistEntries::M3u(path) => put("m3u", json!(path.to_string_lossy())),
    }
    put("loop", json!(looped));
    put("shuffle", json!(shuffle));
    if let Some(seed) = seed {
        put("seed", json!(seed));
    }
    "playlist"
}

fn item_document(PlaylistItem { path, in_point, out_point }: &PlaylistItem) -> Value {
    let mut item = Map::new();
    item.insert("file".to_owned(), json!(path.to_string_lossy()));
    item.insert("in_ms".to_owned(), json!(in_point.millis()));
    if let Some(end) = out_point {
        item.insert("out_ms".to_owned(), json!(end.millis()));
    }
    item.into()
}
