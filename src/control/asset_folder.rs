//! Asset folder: files that are uploaded for scenes to show, and thumbnails of them. All of it
//! waits for the disk; none of it belongs on a thread that must not.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Cursor, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use image::ImageFormat;
use tokio::sync::Mutex;

use super::channels::assets::video_fault;
use super::durable;
use crate::config::AssetsConfig;
use crate::media::caught;
use crate::scene::{check_font, preview};

/// Longest name of a file, bytes.
const NAME_BYTES_MAX: usize = 100;

/// Files that come in at once. Further ones are turned away.
const UPLOADS_MAX: usize = 4;

/// Longest side of a thumbnail, pixels.
const THUMBNAIL_SIDE: u32 = 192;

/// Thumbnails that are kept to be shown again.
const THUMBNAILS_MAX: usize = 256;

/// What a file is for a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AssetKind {
    Image,
    Font,
    Video,
}

impl AssetKind {
    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Font => "font",
            Self::Video => "video",
        }
    }
}

/// The ends of names that are taken, what such a file is, and its media type.
const KINDS: [(&str, AssetKind, &str); 13] = [
    ("png", AssetKind::Image, "image/png"),
    ("jpg", AssetKind::Image, "image/jpeg"),
    ("jpeg", AssetKind::Image, "image/jpeg"),
    ("webp", AssetKind::Image, "image/webp"),
    ("avif", AssetKind::Image, "image/avif"),
    ("gif", AssetKind::Image, "image/gif"),
    ("svg", AssetKind::Image, "image/svg+xml"),
    ("ttf", AssetKind::Font, "font/ttf"),
    ("otf", AssetKind::Font, "font/otf"),
    ("mp4", AssetKind::Video, "video/mp4"),
    ("mov", AssetKind::Video, "video/quicktime"),
    ("mkv", AssetKind::Video, "video/x-matroska"),
    ("webm", AssetKind::Video, "video/webm"),
];

/// Why something cannot be done with a file.
#[derive(Debug)]
pub(crate) enum AssetError {
    /// There is no folder.
    Off,
    /// It is wrong: what, and what would be right.
    Invalid(String),
    /// There is no such file.
    NotFound(String),
    /// It has more bytes than this.
    TooLarge(u64),
    /// There is no room for it.
    Full(String),
    /// Others are being taken in.
    Busy(String),
    /// The disk refuses.
    Disk(io::Error),
}

impl From<io::Error> for AssetError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// A file of the folder.
#[derive(Clone, Debug)]
pub(crate) struct Asset {
    pub(crate) name: String,
    /// What a scene calls it.
    pub(crate) path: PathBuf,
    pub(crate) kind: AssetKind,
    pub(crate) bytes: u64,
    /// When it was put there, milliseconds since 1970.
    pub(crate) changed_at: u64,
}

/// What thumbnails are known by: the name, and what changes with the file.
type Stamp = (String, u64, u64, i64, i64);

/// The folder.
#[derive(Debug)]
pub struct AssetFolder {
    folder: Option<PathBuf>,
    pub(crate) limits: AssetsConfig,
    /// Names that are being taken in.
    uploads: Mutex<BTreeSet<String>>,
    /// Whoever looks how much room is left, and takes it.
    changes: Mutex<()>,
    thumbnails: Mutex<HashMap<Stamp, Bytes>>,
}

/// A name that is being taken in, as long as this lives.
struct Upload<'a>(&'a AssetFolder, String);

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        self.0.uploads.blocking_lock().remove(&self.1);
    }
}

impl AssetFolder {
    /// The folder that is named, or the one in the data directory, if there is one. It is made when
    /// the first file comes.
    #[must_use]
    pub fn new(limits: &AssetsConfig, data_dir: Option<&Path>) -> Self {
        let folder = limits.folder.clone().or_else(|| data_dir.map(|dir| dir.join("assets")));
        Self {
            folder,
            limits: limits.clone(),
            uploads: Mutex::default(),
            changes: Mutex::default(),
            thumbnails: Mutex::default(),
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> Result<&Path, AssetError> {
        self.folder.as_deref().ok_or(AssetError::Off)
    }

    /// All files, by name. What has another name than uploaded files have, and what is no plain
    /// file, is not among them.
    pub(crate) fn list(&self) -> Result<Vec<Asset>, AssetError> {
        let entries = match fs::read_dir(self.path()?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut assets = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let Ok((kind, _)) = known(&name) else { continue };
            // Of the entry itself, not of what a link leads to.
            if let Ok(about) = entry.metadata()
                && about.is_file()
            {
                assets.push(Self::asset(entry.path(), name, kind, &about));
            }
        }
        assets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(assets)
    }

    fn asset(path: PathBuf, name: String, kind: AssetKind, about: &Metadata) -> Asset {
        let changed = about.mtime() * 1_000 + about.mtime_nsec() / 1_000_000;
        let changed_at = u64::try_from(changed).unwrap_or(0);
        Asset { name, path, kind, bytes: about.len(), changed_at }
    }

    /// Takes in a file, whole or not at all: `next` gives its pieces, and an error if it ends
    /// early.
    pub(crate) fn store(
        &self,
        name: &str,
        mut next: impl FnMut() -> Result<Option<Bytes>, AssetError>,
    ) -> Result<(), AssetError> {
        let path = self.path()?.join(name);
        let (kind, _) = known(name)?;
        let _upload = self.begin(name)?;
        let most = self.limits.file_bytes_max;
        let mut change = None;
        let stored = durable::make_with(&path, |aside| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(durable::FILE_MODE)
                .open(aside)?;
            let mut bytes = 0;
            while let Some(piece) = next()? {
                bytes += piece.len() as u64;
                if bytes > most {
                    return Err(AssetError::TooLarge(most));
                }
                file.write_all(&piece)?;
            }
            let fault = caught(|| fault(aside, name, kind)).unwrap_or_else(Some);
            if let Some(fault) = fault {
                // A message of FFmpeg's names the file that it has read.
                let fault = fault.replace(&aside.display().to_string(), name);
                return Err(AssetError::Invalid(format!("{name} cannot be used: {fault}")));
            }
            file.sync_all()?;
            // Held until it has its name, so that nobody else takes the room that there was.
            change = Some(self.changes.blocking_lock());
            self.check_room(name, bytes)
        });
        drop(change);
        stored
    }

    fn begin(&self, name: &str) -> Result<Upload<'_>, AssetError> {
        let mut uploads = self.uploads.blocking_lock();
        if uploads.len() >= UPLOADS_MAX {
            return Err(AssetError::Busy("other files are coming in; try again".to_owned()));
        }
        if !uploads.insert(name.to_owned()) {
            return Err(AssetError::Busy(format!("{name} is just coming in; try again")));
        }
        Ok(Upload(self, name.to_owned()))
    }

    /// Whether a file of so many bytes has room in place of the one of that name.
    fn check_room(&self, name: &str, bytes: u64) -> Result<(), AssetError> {
        let others: Vec<_> = self.list()?.into_iter().filter(|it| it.name != name).collect();
        let used: u64 = others.iter().map(|it| it.bytes).sum();
        let AssetsConfig { total_bytes_max, files_max, .. } = self.limits;
        if used + bytes > total_bytes_max {
            return Err(AssetError::Full(format!(
                "the other files have {used} of {total_bytes_max} bytes (`total_bytes_max`), and \
                 this one has {bytes}"
            )));
        }
        if others.len() >= files_max {
            return Err(AssetError::Full(format!("there are {files_max} files (`files_max`)")));
        }
        Ok(())
    }

    /// A file to be read, with its length and its media type.
    pub(crate) fn open(&self, name: &str) -> Result<(File, Metadata, &'static str), AssetError> {
        let (_, media_type) = known(name)?;
        let none = || AssetError::NotFound(format!("there is no asset {name}"));
        let mut options = OpenOptions::new();
        // No link is followed, and nobody waited for who would write into a pipe.
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file =
            options.open(self.path()?.join(name)).map_err(|error| match error.raw_os_error() {
                Some(libc::ENOENT | libc::ELOOP | libc::ENXIO) => none(),
                _ => AssetError::Disk(error),
            })?;
        let about = file.metadata()?;
        if about.is_file() { Ok((file, about, media_type)) } else { Err(none()) }
    }

    /// Takes a file away.
    pub(crate) fn remove(&self, name: &str) -> Result<(), AssetError> {
        self.open(name)?;
        let path = self.path()?.join(name);
        fs::remove_file(&path)?;
        Ok(())
    }

    /// A picture made small, as a PNG.
    pub(crate) fn thumbnail(&self, name: &str) -> Result<Bytes, AssetError> {
        let (_, about, _) = self.open(name)?;
        if known(name)?.0 != AssetKind::Image {
            return Err(AssetError::NotFound(format!("{name} is no picture: it has no thumbnail")));
        }
        let stamp = (name.to_owned(), about.ino(), about.len(), about.mtime(), about.mtime_nsec());
        if let Some(known) = self.thumbnails.blocking_lock().get(&stamp) {
            return Ok(known.clone());
        }
        let path = self.path()?.join(name);
        let made = caught(|| preview(&path, THUMBNAIL_SIDE)).and_then(|made| made);
        let made = made.map_err(|fault| AssetError::Invalid(format!("{name}: {fault}")))?;
        let mut png = Cursor::new(Vec::new());
        let written = made.image.write_to(&mut png, ImageFormat::Png);
        written.map_err(|error| AssetError::Invalid(format!("{name}: {error}")))?;
        let png = Bytes::from(png.into_inner());
        let mut thumbnails = self.thumbnails.blocking_lock();
        thumbnails.retain(|(other, ..), _| other != name);
        if thumbnails.len() >= THUMBNAILS_MAX {
            thumbnails.clear();
        }
        thumbnails.insert(stamp, png.clone());
        Ok(png)
    }
}

/// What a file of this name is, and its media type.
fn known(name: &str) -> Result<(AssetKind, &'static str), AssetError> {
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    let begins = name.bytes().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if !begins || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
        return Err(AssetError::Invalid(format!(
            "an asset's name has 1 to {NAME_BYTES_MAX} letters (a to z, A to Z), digits, `-`, `_` \
             and `.`, and begins with a letter or a digit"
        )));
    }
    let end = name.rsplit_once('.').map_or("", |(_, end)| end).to_ascii_lowercase();
    let found = KINDS.iter().find(|(known, ..)| *known == end);
    found.map(|(_, kind, media_type)| (*kind, *media_type)).ok_or_else(|| {
        let ends = KINDS.map(|(end, ..)| end).join(", ");
        AssetError::Invalid(format!("an asset's name ends in one of {ends}"))
    })
}

/// What is wrong with a file that has come in as `name`.
fn fault(path: &Path, name: &str, kind: AssetKind) -> Option<String> {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end).to_ascii_lowercase();
    match kind {
        AssetKind::Image => match preview(path, THUMBNAIL_SIDE) {
            Ok(made) if made.format == end || (made.format, &*end) == ("jpg", "jpeg") => None,
            Ok(made) => Some(format!("it is a {0} picture; let its name end in .{0}", made.format)),
            Err(fault) => Some(fault),
        },
        AssetKind::Font => check_font(&path.display().to_string()).err(),
        AssetKind::Video => {
            let mut head = [0; 8];
            let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
            let is_matroska = head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]);
            let is_as_named = match &*end {
                "mkv" | "webm" => is_matroska,
                _ => head[4..] == *b"ftyp",
            };
            match read.is_ok() && is_as_named {
                true => video_fault(path),
                false => Some(format!("it is no .{end} file")),
            }
        }
    }
}

/// Whether a text in a scene names the file at `asset`.
pub(crate) fn names_file(text: &str, asset: &Path) -> bool {
    Path::new(text).file_name() == asset.file_name()
        && match (fs::canonicalize(text), fs::canonicalize(asset)) {
            (Ok(text), Ok(asset)) => text == asset,
            _ => Path::new(text) == asset,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> AssetsConfig {
        AssetsConfig { file_bytes_max: 4_096, total_bytes_max: 6_000, files_max: 3, folder: None }
    }

    fn folder() -> (tempfile::TempDir, AssetFolder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = AssetFolder::new(&limits(), Some(dir.path()));
        (dir, folder)
    }

    fn png(side: u32) -> Vec<u8> {
        let mut png = Cursor::new(Vec::new());
        image::RgbaImage::new(side, side).write_to(&mut png, ImageFormat::Png).unwrap();
        png.into_inner()
    }

    fn store(folder: &AssetFolder, name: &str, bytes: &[u8]) -> Result<(), AssetError> {
        let mut pieces = bytes.chunks(100).map(Bytes::copy_from_slice);
        folder.store(name, || Ok(pieces.next()))
    }

    fn names(folder: &AssetFolder) -> Vec<String> {
        folder.list().unwrap().into_iter().map(|it| it.name).collect()
    }

    fn on_disk(folder: &AssetFolder) -> usize {
        fs::read_dir(folder.path().unwrap()).map_or(0, Iterator::count)
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let (_dir, folder) = folder();
        assert!(names(&folder).is_empty(), "the folder need not be there");
        store(&folder, "logo.png", &png(8)).unwrap();
        let mut pieces = [Ok(Some(Bytes::from_static(b"half"))), Err(AssetError::Off)].into_iter();
        assert!(folder.store("logo.png", || pieces.next().unwrap()).is_err());
        let (mut file, about, media_type) = folder.open("logo.png").unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!((bytes, about.len(), media_type), (png(8), png(8).len() as u64, "image/png"));
        assert_eq!((names(&folder), on_disk(&folder)), (vec!["logo.png".to_owned()], 1));
        folder.remove("logo.png").unwrap();
        assert!(matches!(folder.open("logo.png"), Err(AssetError::NotFound(_))));
    }

    #[test]
    fn names_that_lead_elsewhere_or_are_hidden_are_refused() {
        let (_dir, folder) = folder();
        let long = format!("{}.png", "a".repeat(100));
        for name in [
            "",
            ".png",
            ".a.png",
            "../a.png",
            "a/b.png",
            "a\\b.png",
            "-a.png",
            "a b.png",
            "a\0.png",
            "a.exe",
            "a",
            "\u{e4}.png",
            &*long,
        ] {
            assert!(matches!(store(&folder, name, &png(8)), Err(AssetError::Invalid(_))), "{name}");
            assert!(matches!(folder.open(name), Err(AssetError::Invalid(_))), "{name}");
        }
        assert_eq!(on_disk(&folder), 0);
    }

    #[test]
    fn links_are_neither_listed_nor_followed() {
        let (dir, folder) = folder();
        store(&folder, "a.png", &png(8)).unwrap();
        let secret = dir.path().join("secret.png");
        fs::write(&secret, png(8)).unwrap();
        std::os::unix::fs::symlink(&secret, folder.path().unwrap().join("b.png")).unwrap();
        assert_eq!(names(&folder), ["a.png"]);
        assert!(matches!(folder.open("b.png"), Err(AssetError::NotFound(_))));
        assert!(matches!(folder.thumbnail("b.png"), Err(AssetError::NotFound(_))));
        assert!(folder.remove("b.png").is_err() && secret.exists());
        // An upload takes the link's place and leaves alone what it leads to.
        store(&folder, "b.png", &png(9)).unwrap();
        assert_eq!((names(&folder).len(), fs::read(&secret).unwrap()), (2, png(8)));
    }

    #[test]
    fn what_cannot_be_shown_is_refused_with_the_cause() {
        let (_dir, folder) = folder();
        let whole = png(64);
        let svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='4' height='4'/>";
        let mut bomb = png(8);
        bomb[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
        for (name, bytes, cause) in [
            ("cut.png", &whole[..whole.len() / 2], ""),
            ("a.jpg", &whole, "let its name end in .png"),
            ("a.png", &svg[..], "let its name end in .svg"),
            ("a.ttf", &whole, "not a TrueType"),
            ("a.mp4", &whole, "no .mp4 file"),
            ("a.webm", &whole, "no .webm file"),
            ("empty.png", &[], ""),
            ("bomb.png", &bomb, ""),
        ] {
            let refused = store(&folder, name, bytes);
            let Err(AssetError::Invalid(told)) = refused else { panic!("{name}: {refused:?}") };
            assert!(told.starts_with(name) && told.contains(cause), "{told}");
        }
        assert_eq!(on_disk(&folder), 0);
        store(&folder, "a.svg", svg).unwrap();
        store(&folder, "a.PNG", &whole).unwrap();
    }

    #[test]
    fn there_is_room_for_so_many_bytes_and_files_and_one_may_take_anothers_place() {
        let (_dir, folder) = folder();
        let noise = |seed: u32| {
            let mut random = seed;
            let mut png = Cursor::new(Vec::new());
            let image = image::RgbImage::from_fn(32, 32, |_, _| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let [_, r, g, b] = random.to_be_bytes();
                image::Rgb([r, g, b])
            });
            image.write_to(&mut png, ImageFormat::Png).unwrap();
            png.into_inner()
        };
        assert!((3_001..4_096).contains(&noise(1).len()));
        store(&folder, "a.png", &noise(1)).unwrap();
        let Err(AssetError::Full(told)) = store(&folder, "b.png", &noise(2)) else { panic!() };
        assert!(told.contains("of 6000 bytes"), "{told}");
        store(&folder, "a.png", &noise(3)).unwrap();
        assert!(matches!(store(&folder, "c.png", &[0; 4_097]), Err(AssetError::TooLarge(4_096))));
        store(&folder, "b.png", &png(8)).unwrap();
        store(&folder, "c.png", &png(8)).unwrap();
        let Err(AssetError::Full(told)) = store(&folder, "d.png", &png(8)) else { panic!() };
        assert!(told.contains("files_max"), "{told}");
        assert_eq!(on_disk(&folder), 3);
    }

    #[test]
    fn so_many_come_in_at_once_and_each_name_once() {
        let (_dir, folder) = folder();
        let first = folder.begin("0.png").unwrap();
        assert!(matches!(folder.begin("0.png"), Err(AssetError::Busy(_))));
        let others: Vec<_> =
            (1..UPLOADS_MAX).map(|n| folder.begin(&format!("{n}.png")).unwrap()).collect();
        assert!(matches!(folder.begin("9.png"), Err(AssetError::Busy(_))));
        drop((first, others));
        assert!(folder.begin("0.png").is_ok());
    }

    #[test]
    fn a_thumbnail_is_small_and_follows_its_file() {
        let (_dir, folder) = folder();
        let side =
            |name: &str| image::load_from_memory(&folder.thumbnail(name).unwrap()).unwrap().width();
        store(&folder, "a.png", &png(300)).unwrap();
        assert_eq!((side("a.png"), side("a.png")), (THUMBNAIL_SIDE, THUMBNAIL_SIDE));
        store(&folder, "a.png", &png(20)).unwrap();
        assert_eq!(side("a.png"), 20, "what is small stays");
        assert_eq!(folder.thumbnails.blocking_lock().len(), 1);
    }

    #[test]
    fn without_a_folder_it_is_off() {
        let folder = AssetFolder::new(&limits(), None);
        assert!(matches!(folder.list(), Err(AssetError::Off)));
        assert!(matches!(store(&folder, "a.png", &png(8)), Err(AssetError::Off)));
    }
}
