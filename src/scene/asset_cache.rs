//! Asset cache: loaded sources, which other scenes, and the same one after an edit, show without
//! loading them again.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use super::error::Error;
use super::file_stamp::FileStamp;
use super::fonts::Fonts;
use super::model::{Source, Warm};
use super::needed_file::loaded_files;
use super::resolve::PlacedLayer;
use super::source::Painter;
use crate::media::{Rect, open_plain};
use crate::stats::AssetCacheFigures;

/// Most sources that are kept.
const ENTRIES_MAX: usize = 2_048;

/// Most files whose content is remembered.
const FILES_MAX: usize = 4_096;

/// Largest file that is shared by its content. Larger ones are no pictures and no fonts.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Sources as they were when they were loaded, the least used of which goes when there are too many
/// bytes. Two layers share one if they look the same: their files may have other names, but must
/// have the same content.
#[derive(Debug)]
pub struct AssetCache {
    #[expect(clippy::disallowed_types, reason = "threads that load scenes have no executor")]
    kept: std::sync::Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes_max: usize,
    entries: Vec<Entry>,
    contents: HashMap<PathBuf, (FileStamp, blake3::Hash)>,
    /// Those that the last scene was loaded with.
    fonts: Option<Fonts>,
    /// Number of the last use. An entry has that of its first one.
    uses: u64,
    figures: AssetCacheFigures,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    key: Key,
    painter: Painter,
    bytes: usize,
    used: u64,
}

/// All that the look of a source comes from.
#[derive(Debug, PartialEq)]
struct Key {
    /// Without what does not change its look.
    layer: PlacedLayer,
    canvas: Rect,
    /// Of its files.
    contents: Vec<blake3::Hash>,
}

impl AssetCache {
    /// Keeps so many bytes at most.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let cache = Self { kept: Default::default() };
        cache.set_bytes_max(bytes_max);
        cache
    }

    /// Keeps so many bytes at most from now on.
    pub fn set_bytes_max(&self, bytes_max: usize) {
        let mut kept = self.kept();
        kept.bytes_max = bytes_max;
        kept.make_room(0);
    }

    /// What it holds.
    #[must_use]
    pub fn figures(&self) -> AssetCacheFigures {
        let kept = self.kept();
        let bytes = kept.bytes();
        let (entries, bytes_max) = (kept.entries.len(), kept.bytes_max);
        AssetCacheFigures { entries, bytes, bytes_max, ..kept.figures }
    }

    /// The source of a layer, of which what lies in `canvas` can be seen: one that is kept, or what
    /// `load` gives; with its number, if it is kept now. All that have the same look the same.
    pub(super) fn painter(
        &self,
        layer: &PlacedLayer,
        canvas: Rect,
        load: impl FnOnce() -> Result<Painter, Error>,
    ) -> Result<(Painter, Option<u64>), Error> {
        let files = loaded_files(layer);
        let contents: Option<Vec<_>> = files.iter().map(|path| self.content(path)).collect();
        let Some(contents) = contents else { return Ok((load()?, None)) };
        let (stamps, contents): (Vec<_>, Vec<_>) = contents.into_iter().unzip();
        let key = Key { layer: look(layer), canvas, contents };
        if let Some((painter, number)) = self.kept().find(&key) {
            return Ok((painter, Some(number)));
        }
        let painter = load()?;
        // It may have been written while it was read.
        let is_now = |(path, stamp): (&PathBuf, &_)| FileStamp::of(path).as_ref() == Some(stamp);
        let is_sure = files.iter().zip(&stamps).all(is_now);
        let keep = || self.kept().keep(key, painter.as_loaded());
        let number = if is_sure { keep() } else { None };
        Ok((painter, number))
    }

    /// What the file holds that has this stamp; `None` if it cannot be told.
    fn content(&self, path: &Path) -> Option<(FileStamp, blake3::Hash)> {
        let stamp = FileStamp::of(path)?;
        let known = self.kept().contents.get(path).copied();
        if let Some(known) = known.filter(|(known, _)| *known == stamp) {
            return Some(known);
        }
        let mut hasher = blake3::Hasher::new();
        let file = open_plain(path).ok()?.take(FILE_BYTES_MAX);
        hasher.update_reader(file).ok()?;
        let found = (stamp, hasher.finalize());
        let mut kept = self.kept();
        if kept.contents.len() == FILES_MAX {
            kept.contents.clear();
        }
        kept.contents.insert(path.to_owned(), found);
        Some(found)
    }

    /// Fonts to load a scene with, if there are some that nobody uses now.
    pub(super) fn take_fonts(&self) -> Option<Fonts> {
        self.kept().fonts.take()
    }

    /// Keeps fonts for the next scene.
    pub(super) fn keep_fonts(&self, fonts: Fonts) {
        if fonts.is_built_in() {
            self.kept().fonts = Some(fonts);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.bytes).sum()
    }

    fn find(&mut self, key: &Key) -> Option<(Painter, u64)> {
        self.uses += 1;
        match self.entries.iter_mut().find(|entry| entry.key == *key) {
            Some(entry) => {
                entry.used = self.uses;
                self.figures.hits += 1;
                Some((entry.painter.as_loaded(), entry.number))
            }
            None => {
                self.figures.misses += 1;
                None
            }
        }
    }

    /// Keeps a source, unless it is too large; its number.
    fn keep(&mut self, key: Key, painter: Painter) -> Option<u64> {
        let bytes = painter.cache_bytes();
        // Two threads may have loaded the same.
        let is_known = self.entries.iter().any(|entry| entry.key == key);
        if bytes > self.bytes_max || self.bytes_max == 0 || is_known {
            return None;
        }
        self.make_room(bytes);
        self.uses += 1;
        let number = self.uses;
        self.entries.push(Entry { number, key, painter, bytes, used: number });
        Some(number)
    }

    /// Lets the least used go until there is room for one more of so many bytes.
    fn make_room(&mut self, bytes: usize) {
        let mut left = self.bytes() + bytes;
        while left > self.bytes_max || self.entries.len() >= ENTRIES_MAX {
            let places = self.entries.iter().enumerate();
            let Some((least, _)) = places.min_by_key(|(_, entry)| entry.used) else { return };
            left -= self.entries.swap_remove(least).bytes;
            self.figures.evictions += 1;
        }
    }
}

/// The layer without what does not change its look.
fn look(layer: &PlacedLayer) -> PlacedLayer {
    let mut look = PlacedLayer { data: None, warm: Warm::default(), ..layer.clone() };
    match &mut look.source {
        // Its placeholder has the layer's name.
        Source::Video { .. } | Source::Playlist { .. } => return look,
        // What it holds is what counts.
        Source::Image(path) => path.clear(),
        _ => {}
    }
    look.name.clear();
    look
}

#[cfg(test)]
mod tests {
    use image::{Rgba, RgbaImage};

    use super::*;
    use crate::media::Size;
    use crate::scene::model::{Align, Color, Layer, Scene, TextBox, TextStyle};
    use crate::scene::{PreparedScene, ResolvedScene};

    const BUDGET: usize = 1 << 20;

    const PLACE: Rect = Rect { x: 32, y: 16, w: 96, h: 64 };

    /// Of one layer, loaded with the cache.
    fn load(name: &str, source: Source, cache: &AssetCache) -> PreparedScene {
        let layers = vec![Layer { place: PLACE.into(), ..Layer::new(name, source) }];
        let background = Color { r: 0, g: 0, b: 0, a: 255 };
        let scene = Scene { background, layers, transition: None };
        let scene = ResolvedScene::alone(&scene, Size::new(160, 96).unwrap()).unwrap();
        let (prepared, faults) = PreparedScene::with_cache(&scene, cache).unwrap();
        assert!(faults.is_empty(), "{faults:?}");
        prepared
    }

    fn text(text: &str) -> Source {
        let (font, size, weight, align) = (None, 24.0, 400, Align::Left);
        let style = TextStyle {
            font,
            fallback_fonts: Vec::new(),
            size,
            weight,
            color: Color { r: 255, g: 255, b: 255, a: 255 },
            align,
        };
        Source::Text { text: text.to_owned(), style, text_box: TextBox::default() }
    }

    fn uses(cache: &AssetCache) -> (u64, u64) {
        let AssetCacheFigures { hits, misses, .. } = cache.figures();
        (hits, misses)
    }

    #[test]
    fn what_looks_the_same_is_loaded_once_whatever_its_layer_is_called() {
        let cache = AssetCache::new(BUDGET);
        let numbers = ["title", "other"].map(|name| {
            let scene = load(name, text("Hello"), &cache);
            scene.layers.0[0].source
        });
        assert_eq!((numbers[0], uses(&cache)), (numbers[1], (1, 1)));
        let other = load("title", text("Hello!"), &cache).layers.0[0].source;
        assert!(other.is_some() && other != numbers[0]);
        let AssetCacheFigures { entries, bytes, bytes_max, evictions, .. } = cache.figures();
        assert_eq!((entries, bytes_max, evictions), (2, BUDGET, 0));
        assert!(bytes > 0);
    }

    #[test]
    fn a_picture_is_shared_by_what_its_file_holds_and_loaded_anew_when_that_changes() {
        let folder = tempfile::tempdir().unwrap();
        let cache = AssetCache::new(BUDGET);
        let paths = ["a.png", "b.png"].map(|name| folder.path().join(name));
        let red = RgbaImage::from_pixel(8, 8, Rgba([255, 0, 0, 255]));
        paths.iter().for_each(|path| red.save(path).unwrap());
        let number = |path: &PathBuf| load("logo", Source::Image(path.clone()), &cache);
        let number = |path: &PathBuf| number(path).layers.0[0].source;
        assert_eq!(number(&paths[0]), number(&paths[1]), "one content");
        assert_eq!(uses(&cache), (1, 1));
        RgbaImage::from_pixel(9, 9, Rgba([0, 0, 255, 255])).save(&paths[1]).unwrap();
        assert_ne!(number(&paths[0]), number(&paths[1]));
        assert_eq!(uses(&cache), (2, 2));
    }

    #[test]
    fn the_least_used_goes_when_the_budget_is_spent() {
        let one = {
            let cache = AssetCache::new(BUDGET);
            load("x", Source::Gradient(RED, BLUE), &cache);
            cache.figures().bytes
        };
        // Pictures of a box of another height take other bytes: these are all of one size.
        let gradient = |shade| Source::Gradient(Color { g: shade, ..RED }, BLUE);
        let cache = AssetCache::new(2 * one);
        for shade in [1, 2, 1, 3, 1] {
            load("x", gradient(shade), &cache);
            assert!(cache.figures().bytes <= 2 * one);
        }
        assert_eq!((uses(&cache), cache.figures().evictions), ((2, 3), 1), "the second went");
        load("x", gradient(2), &cache);
        assert_eq!(uses(&cache), (2, 4));
        let none = AssetCache::new(one - 1);
        assert_eq!(load("x", gradient(1), &none).layers.0[0].source, None, "too large to be kept");
        assert_eq!(none.figures().entries, 0);
        cache.set_bytes_max(one);
        assert_eq!((cache.figures().entries, cache.figures().evictions), (1, 3), "less is kept");
    }

    const RED: Color = Color { r: 255, g: 0, b: 0, a: 255 };
    const BLUE: Color = Color { r: 0, g: 0, b: 255, a: 255 };
}
