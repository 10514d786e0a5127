//! File specification: which part of a file is played how.

use crate::decode::{QUEUE_PICTURES, Scale};
use crate::media::{Micros, Orientation, PixelFormat, Size};

/// How to play a file.
#[expect(clippy::struct_excessive_bools, reason = "each is a choice by itself")]
pub struct FileSpec {
    /// Size of its pictures on the canvas.
    pub scale: Scale,
    /// Further sizes that they are made at, each for a reader of its own that nobody waits for.
    pub further: Vec<Scale>,
    /// Format of the canvas.
    pub format: PixelFormat,
    /// When its first picture is due, on the node's clock.
    pub start: Micros,
    /// Whether it begins again at its end.
    pub looped: bool,
    /// Whether another file follows it without a gap: a little that its audio has beyond its
    /// pictures is not heard then.
    pub is_followed: bool,
    /// Where in the file it begins: nothing before that is seen or heard.
    pub in_point: Micros,
    /// Where in the file it ends, if that is before the file's own end.
    pub out_point: Option<Micros>,
    /// Whether its pictures are decoded.
    pub want_pictures: bool,
    /// Whether its audio is decoded.
    pub want_audio: bool,
    /// Threads its decoder may use, at least 1; one is enough for small pictures.
    pub threads: u32,
    /// Pictures that may wait for their reader.
    pub queue: u32,
    /// Whether pictures with alpha keep it: below their colours, which are multiplied by it, in
    /// frames twice as high. For an I420 canvas up to 4096 pixels high.
    pub keeps_alpha: bool,
    /// How its pictures are turned and mirrored, after what the file itself says of that.
    pub orientation: Orientation,
}

/// What comes after the part of a file that is played, without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    /// The same again.
    Itself,
    /// Another file: what a codec has filled up at the end is left out.
    AnotherFile,
    /// Its last picture stays.
    Nothing,
}

impl Follow {
    pub(super) const fn of(spec: &FileSpec) -> Self {
        match (spec.looped, spec.is_followed) {
            (true, _) => Self::Itself,
            (false, true) => Self::AnotherFile,
            (false, false) => Self::Nothing,
        }
    }
}

impl FileSpec {
    /// Looped, with pictures and audio, on one thread, for an I420 canvas.
    #[must_use]
    pub fn new(scale: Scale, start: Micros) -> Self {
        Self {
            scale,
            further: Vec::new(),
            format: PixelFormat::I420,
            start,
            looped: true,
            is_followed: false,
            in_point: Micros(0),
            out_point: None,
            want_pictures: true,
            want_audio: true,
            threads: 1,
            queue: QUEUE_PICTURES,
            keeps_alpha: false,
            orientation: Orientation::UPRIGHT,
        }
    }
}

impl std::fmt::Debug for FileSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { start, looped, want_audio, threads, .. } = self;
        write!(f, "FileSpec({start:?}, loop {looped}, audio {want_audio}, {threads} threads)")
    }
}

/// The size itself: for files that are shown as they are.
impl Default for FileSpec {
    fn default() -> Self {
        Self::new(Box::new(|size: Size| size), Micros(0))
    }
}
