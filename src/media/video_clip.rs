//! Video clip: a media file, and which part of it is played how.

use std::path::PathBuf;

use super::Micros;

/// A file that a layer shows or an audio source plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoClip {
    /// The file.
    pub path: PathBuf,
    /// Whether it begins again at its end.
    pub looped: bool,
    /// Where in the file it begins: nothing before that is seen or heard.
    pub in_point: Micros,
    /// Where in the file it ends, if that is before the file's own end; after the in point.
    pub out_point: Option<Micros>,
}

impl From<PathBuf> for VideoClip {
    /// The whole file, over and over.
    fn from(path: PathBuf) -> Self {
        Self { path, looped: true, in_point: Micros(0), out_point: None }
    }
}
