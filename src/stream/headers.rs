//! Stream headers: metadata and the sequence headers of all tracks, for readers that come late.

use std::collections::VecDeque;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::message::Message;
use crate::media::Kind;

/// Metadata, audio and video, each of the track that all players show.
const MAIN_HEADERS: usize = 3;

/// Sequence headers and configurations of other tracks, and configurations of the main ones, that
/// are kept: 30 further tracks with both. Those of tracks beyond reach only who is there already.
const FURTHER_HEADERS_MAX: usize = 61;

/// Headers of one kind that are remembered. Where a source changes them more often, the keyframes
/// before the oldest of these cannot be started at.
const CHANGES_MAX: usize = 8;

// A reader keeps one bit for each.
const _: () = assert!(MAIN_HEADERS + FURTHER_HEADERS_MAX == 64);

/// The headers of one stream. Each has a slot: metadata, audio and video come first, then the
/// others as they came.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Headers(Vec<HeaderSlot>);

/// One header and what it was before.
#[derive(Debug, Serialize, Deserialize)]
struct HeaderSlot {
    id: HeaderId,
    /// At time 0, what a reader is sent first, each with the number under which it came. Those
    /// that messages in the log need.
    changes: VecDeque<(u64, Message)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct HeaderId {
    kind: Kind,
    track: u8,
    is_config: bool,
}

/// What became of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// Readers have it already.
    Known,
    /// There are too many: it is not kept.
    Left,
    /// Of messages before this number the header is not known any more.
    Kept(u64),
}

impl Default for Headers {
    fn default() -> Self {
        let main = [Kind::Data, Kind::Audio, Kind::Video].map(|kind| HeaderId {
            kind,
            track: 0,
            is_config: false,
        });
        Self(main.map(HeaderSlot::new).into())
    }
}

impl HeaderSlot {
    const fn new(id: HeaderId) -> Self {
        Self { id, changes: VecDeque::new() }
    }
}

impl Headers {
    /// Whether it does not contradict itself, as what is read from a snapshot may.
    pub(super) fn is_whole(&self) -> bool {
        (MAIN_HEADERS..=MAIN_HEADERS + FURTHER_HEADERS_MAX).contains(&self.0.len())
    }

    /// Notes a header that comes under `number`.
    pub(super) fn note(&mut self, header: &Message, number: u64) -> Noted {
        let id =
            HeaderId { kind: header.kind(), track: header.track(), is_config: header.is_config() };
        let known = self.0.iter().position(|slot| slot.id == id);
        let slot = match known {
            Some(slot) => slot,
            None if self.0.len() == MAIN_HEADERS + FURTHER_HEADERS_MAX => return Noted::Left,
            None => {
                self.0.push(HeaderSlot::new(id));
                self.0.len() - 1
            }
        };
        let changes = &mut self.0[slot].changes;
        if changes.back().is_some_and(|(_, known)| known.body() == header.body()) {
            return Noted::Known;
        }
        changes.push_back((number, header.at(0)));
        if changes.len() <= CHANGES_MAX {
            return Noted::Kept(0);
        }
        changes.pop_front();
        // Decoders do without the others.
        let is_needed = id.kind != Kind::Data && !id.is_config;
        Noted::Kept(changes.front().filter(|_| is_needed).map_or(0, |(number, _)| *number))
    }

    /// Forgets what no message from number `first` on needs.
    pub(super) fn trim(&mut self, first: u64) {
        for slot in &mut self.0 {
            while slot.changes.get(1).is_some_and(|(number, _)| *number < first) {
                slot.changes.pop_front();
            }
        }
    }

    /// The newest header of a kind's main track: its sequence header, or the metadata.
    pub(super) fn newest(&self, kind: Kind) -> Option<&Message> {
        let slot = self.0.iter().find(|slot| slot.id.kind == kind)?;
        slot.changes.back().map(|(_, header)| header)
    }

    /// The newest of each slot.
    pub(super) fn all(&self) -> impl Iterator<Item = &Message> {
        self.0.iter().filter_map(|slot| slot.changes.back()).map(|(_, header)| header)
    }

    /// Those that a reader needs whose next message is `number`.
    pub(super) fn at(&self, number: u64) -> impl Iterator<Item = &Message> {
        (0..self.0.len()).filter_map(move |slot| self.get(slot, number))
    }

    /// The header of a slot for a reader whose next message is `number`: the last one before it,
    /// or else the first one after it.
    pub(super) fn get(&self, slot: usize, number: u64) -> Option<&Message> {
        let changes = &self.0.get(slot)?.changes;
        let before = changes.iter().rev().find(|(came, _)| *came < number);
        before.or_else(|| changes.front()).map(|(_, header)| header)
    }

    /// The slots with a header whose number is in `range`, one bit each.
    pub(super) fn within(&self, range: &Range<u64>) -> u64 {
        self.bits(|slot| slot.changes.iter().any(|(came, _)| range.contains(came)))
    }

    /// The slots of a kind, one bit each.
    pub(super) fn of(&self, kind: Kind) -> u64 {
        self.bits(|slot| slot.id.kind == kind)
    }

    fn bits(&self, has: impl Fn(&HeaderSlot) -> bool) -> u64 {
        let bit = |(index, slot)| u64::from(has(slot)) << index;
        self.0.iter().enumerate().map(bit).fold(0, |all, bit| all | bit)
    }
}
