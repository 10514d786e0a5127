//! Records of keys, and the changes that are made of them.

use super::{Name, Precondition, Replacement, StoreError};
use crate::keys::{Alias, KeyHash, KeyInfo};

/// Seconds for which a deleted key is remembered, and the record of one that has ended is kept, so
/// that whoever still shows it is told so and is not taken for somebody who guesses.
pub(super) const REMEMBERED_S: u64 = 30 * 24 * 60 * 60;

/// One record of a key, as it was read.
pub(super) struct Record {
    pub(super) hash: KeyHash,
    pub(super) info: KeyInfo,
    pub(super) bytes: Vec<u8>,
}

/// The changes that put a new key in the old one's place, in an order in which each step is audio.
pub(super) fn rotation(
    old: &Record,
    ending: KeyInfo,
    new: &KeyHash,
    info: &KeyInfo,
    aliases: &[Alias],
) -> Result<(Vec<Replacement>, Vec<KeyHash>), StoreError> {
    let mut changes = vec![put(*new, info)?];
    changes.extend(aliases.iter().map(|alias| Replacement {
        name: Name::Alias(alias.clone()),
        was: Precondition::Anything,
        becomes: Some(new.to_string().into_bytes()),
        expires_at: None,
    }));
    changes.push(edit(Record { hash: old.hash, info: ending, bytes: old.bytes.clone() })?);
    let notices = aliases.iter().map(hash_of).chain([old.hash, *new]).collect();
    Ok((changes, notices))
}

pub(super) fn record(hash: KeyHash, bytes: Vec<u8>) -> Result<Record, StoreError> {
    match serde_json::from_slice(&bytes) {
        Ok(info) => Ok(Record { hash, info, bytes }),
        Err(error) => Err(StoreError::Record(hash.id(), error.to_string())),
    }
}

pub(super) fn put(hash: KeyHash, info: &KeyInfo) -> Result<Replacement, StoreError> {
    let becomes = Some(to_json(&hash, info)?);
    Ok(Replacement {
        name: Name::Key(hash),
        was: Precondition::Absent,
        becomes,
        expires_at: kept_until(info),
    })
}

/// The change of a record that was read as `bytes` to what `info` says now.
pub(super) fn edit(record: Record) -> Result<Replacement, StoreError> {
    let Record { hash, info, bytes } = record;
    let becomes = Some(to_json(&hash, &info)?);
    Ok(Replacement {
        name: Name::Key(hash),
        was: Precondition::This(bytes),
        becomes,
        expires_at: kept_until(&info),
    })
}

/// Unix time, seconds, at which the store may forget a key.
fn kept_until(info: &KeyInfo) -> Option<u64> {
    info.expires_at.map(|end| end.saturating_add(REMEMBERED_S))
}

pub(super) const fn gone(name: Name) -> Replacement {
    Replacement { name, was: Precondition::Anything, becomes: None, expires_at: None }
}

fn to_json(hash: &KeyHash, info: &KeyInfo) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(info).map_err(|error| StoreError::Record(hash.id(), error.to_string()))
}

/// The name under which a shard remembers what an alias leads to.
pub(super) fn hash_of(alias: &Alias) -> KeyHash {
    KeyHash::of(alias.expose())
}
