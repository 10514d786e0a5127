//! Track table: which tracks a source sends, and of which of them readers wait for a keyframe.

use serde::{Deserialize, Serialize};

use super::message::Message;
use crate::media::Kind;

/// Of one source.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tracks {
    /// Kinds that have been in the stream: data, audio, video.
    carried: [bool; 3],
    /// Newest time of each kind.
    newest: [Option<u32>; 3],
    /// Tracks of which pictures have come, one bit each.
    pictures: u64,
    /// The track that readers start by: the one that players without multitrack show, unless there
    /// are pictures of others only.
    start: Option<u8>,
}

impl Tracks {
    /// The bit that stands for a track. Nobody sends 64 tracks; those beyond share the bits.
    pub(super) const fn bit(track: u8) -> u64 {
        1 << (track % 64)
    }

    /// Notes a message. Says whether readers start by another track from now on.
    pub(super) fn note(&mut self, message: &Message) -> bool {
        let kind = slot_of(message.kind());
        self.carried[kind] = true;
        if message.is_header() {
            return false;
        }
        self.newest[kind] = Some(message.time());
        if message.kind() != Kind::Video {
            return false;
        }
        self.pictures |= Self::bit(message.track());
        match self.start {
            Some(start) if start == 0 || message.track() != 0 => false,
            before => {
                self.start = Some(message.track());
                before.is_some()
            }
        }
    }

    /// Whether readers can start at this message.
    pub(super) fn starts_at(&self, message: &Message) -> bool {
        let is_start = self.start.is_none_or(|start| start == message.track());
        message.is_key() && (is_start || message.track() == 0)
    }

    /// Whether this is the sequence header of the track that readers start by.
    pub(super) fn is_header_of_start(&self, message: &Message) -> bool {
        let is_sequence_header = message.kind() == Kind::Video && !message.is_config();
        is_sequence_header && self.start == Some(message.track())
    }

    /// The track of a kind that readers start by; of pictures that may be another one than 0.
    pub(super) fn first(&self, kind: Kind) -> u8 {
        self.start.filter(|_| kind == Kind::Video).unwrap_or(0)
    }

    pub(super) const fn carries(&self, kind: Kind) -> bool {
        self.carried[slot_of(kind)]
    }

    pub(super) const fn newest_time(&self, kind: Kind) -> Option<u32> {
        self.newest[slot_of(kind)]
    }

    pub(super) const fn pictures(&self) -> u64 {
        self.pictures
    }
}

const fn slot_of(kind: Kind) -> usize {
    match kind {
        Kind::Data => 0,
        Kind::Audio => 1,
        Kind::Video => 2,
    }
}
