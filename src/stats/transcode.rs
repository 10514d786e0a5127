//! Figures of transcodes: which renditions of which streams are made, and since when.

use std::sync::Arc;

use super::channel::ChannelStats;
use super::rendition::{RenditionEntry, RenditionSnapshot, ShownEncode};
use crate::media::Micros;

/// What a transcode does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TranscodeState {
    /// It is turned off.
    Stopped,
    /// Nobody reads its renditions.
    #[default]
    Idle,
    /// Somebody does, and there are no pictures to encode.
    Waiting,
    /// Its renditions are made.
    Live,
    /// Its renditions cannot be made.
    Failed,
}

impl TranscodeState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Stopped, Self::Idle, Self::Waiting, Self::Live, Self::Failed];

    /// The word for it in the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Live => "live",
            Self::Failed => "failed",
        }
    }
}

/// A transcode as it is now.
#[derive(Clone, Debug, Default)]
pub struct TranscodeEntry {
    /// Its name.
    pub name: String,
    /// The stream that it is made of.
    pub source: String,
    /// The streams of its renditions.
    pub streams: Vec<String>,
    /// What it does.
    pub state: TranscodeState,
    /// Why it failed last, while it has not been live since.
    pub reason: String,
    /// Since when its renditions are made.
    pub since: Option<Micros>,
    /// Pixels of the source, and its frames a second.
    pub size: (u32, u32),
    /// About how many frames a second the source has.
    pub fps: f64,
    /// Its renditions, while they are made.
    pub renditions: Vec<RenditionEntry>,
    /// Times that its encoders were started.
    pub starts: u64,
    /// Times that they could not be, or that nothing could be made of its source.
    pub failures: u64,
}

impl TranscodeEntry {
    /// Each of its encodes with the streams that show it.
    #[must_use]
    pub fn shown(&self) -> Vec<ShownEncode<'_>> {
        ShownEncode::all(None, &self.renditions)
    }

    /// The figures of each of its encodes, once.
    pub fn encodes(&self) -> impl Iterator<Item = &Arc<ChannelStats>> {
        self.renditions.iter().filter(|it| it.shares.is_none()).map(|it| &it.stats)
    }

    pub(super) fn read(&self) -> TranscodeSnapshot {
        TranscodeSnapshot {
            name: self.name.clone(),
            source: self.source.clone(),
            streams: self.streams.clone(),
            state: self.state,
            reason: self.reason.clone(),
            since: self.since,
            size: self.size,
            fps: self.fps,
            renditions: self.renditions.iter().map(RenditionEntry::read).collect(),
            starts: self.starts,
            failures: self.failures,
        }
    }
}

/// A transcode at one moment; see [`TranscodeEntry`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TranscodeSnapshot {
    /// Its name.
    pub name: String,
    /// The stream that it is made of.
    pub source: String,
    /// The streams of its renditions.
    pub streams: Vec<String>,
    /// What it does.
    pub state: TranscodeState,
    /// Why it failed last.
    pub reason: String,
    /// Since when its renditions are made.
    pub since: Option<Micros>,
    /// Pixels of the source.
    pub size: (u32, u32),
    /// About how many frames a second the source has.
    pub fps: f64,
    /// Its renditions, while they are made.
    pub renditions: Vec<RenditionSnapshot>,
    /// Times that its encoders were started.
    pub starts: u64,
    /// Times that they could not be, or that nothing could be made of its source.
    pub failures: u64,
}
