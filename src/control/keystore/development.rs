//! The development key: one per node, to try things with. Its file beside the store holds it, so
//! that every start of the node shows the same.

use std::path::{Path, PathBuf};

use super::embedded::{Embedded, GONE, KEYS, stored_at};
use super::keys::random;
use super::records::REMEMBERED_S;
use super::{DevelopmentKey, Notice, StoreError};
use crate::control::durable;
use crate::keys::{KeyHash, KeyInfo, KeyType, StreamKey};

/// Name of its file in the data directory.
const FILE_NAME: &str = "development-key";

/// By what the store knows the keys that the node made for itself.
const LABEL: &str = "made at the node's start";

/// Characters of a key that the node made.
const KEY_CHARS: usize = 64;

impl Embedded {
    /// The node's key to try things with, good for 24 hours from `now_unix` seconds on: the one of
    /// earlier starts, unless it was revoked or deleted. Others that starts have made are
    /// forgotten. Waits for the disk.
    ///
    /// # Errors
    /// If the store, its folder or the operating system's generator does not work.
    pub fn development_key(
        &self,
        stream: &str,
        now_unix: u64,
    ) -> Result<DevelopmentKey, StoreError> {
        let path = self.key_file();
        let before = match &path {
            Some(path) => read(path)?,
            None => None,
        };
        let known = match &before {
            Some(key) => self.info(&key.hash())?.filter(is_ours),
            None => None,
        };
        let (key, mut info) = match before.zip(known) {
            Some((key, info)) => (key, info),
            None => {
                let key = StreamKey::from_random(random()?);
                // If the node ends here, it has made a key that opens nothing, and makes another.
                if let Some(path) = &path {
                    write(path, &key)?;
                }
                (key, KeyInfo::new(KeyType::Development, stream, now_unix))
            }
        };
        LABEL.clone_into(&mut info.label);
        stream.clone_into(&mut info.stream);
        info.expires_at = KeyInfo::new(KeyType::Development, stream, now_unix).expires_at;
        let expires_at = info.expires_at.unwrap_or(u64::MAX);
        self.put_development(Some((key.hash(), &info)), now_unix)?;
        Ok(DevelopmentKey { key, stream: stream.to_owned(), expires_at })
    }

    /// Forgets what [`Embedded::development_key`] made. Waits for the disk.
    ///
    /// # Errors
    /// If the store or its folder does not work.
    pub fn no_development_key(&self, now_unix: u64) -> Result<(), StoreError> {
        self.put_development(None, now_unix)?;
        let Some(path) = self.key_file() else { return Ok(()) };
        durable::remove(&path).map_err(|cause| stored_at(&path, cause))
    }

    /// Makes `this` the one development key that the node made for itself, or leaves none of them;
    /// those that people made go once they have expired. Whoever publishes with one that goes is
    /// ended.
    fn put_development(
        &self,
        this: Option<(KeyHash, &KeyInfo)>,
        now_unix: u64,
    ) -> Result<(), StoreError> {
        let json = match &this {
            Some((hash, info)) => serde_json::to_vec(info)
                .map_err(|error| StoreError::Record(hash.id(), error.to_string()))?,
            None => Vec::new(),
        };
        let mut gone = Vec::new();
        self.file.write(|transaction| {
            let mut keys = transaction.open_table(KEYS)?;
            keys.retain(|hash, json| {
                let info = serde_json::from_slice::<KeyInfo>(json);
                let stays = !info.is_ok_and(|info| {
                    info.key_type == KeyType::Development
                        && (info.is_expired(now_unix) || info.label == LABEL && !info.revoked)
                });
                if !stays {
                    gone.push(KeyHash::from_bytes(*hash));
                }
                stays
            })?;
            // Whoever still shows one of them does not guess.
            let until = now_unix.saturating_add(REMEMBERED_S).to_string();
            let mut remembered = transaction.open_table(GONE)?;
            for hash in &gone {
                remembered.insert(hash.as_bytes(), until.as_bytes())?;
            }
            if let Some((hash, _)) = &this {
                keys.insert(hash.as_bytes(), json.as_slice())?;
            }
            Ok(())
        })?;
        let kept = this.map(|(hash, _)| hash);
        for hash in gone.into_iter().filter(|hash| Some(*hash) != kept) {
            // Nobody listens before the node runs.
            drop(self.changes.send(Notice::Changed(hash)));
        }
        Ok(())
    }

    /// None for a store in memory: its key ends with it.
    fn key_file(&self) -> Option<PathBuf> {
        self.path().map(|path| path.with_file_name(FILE_NAME))
    }
}

/// Whether it may go on being the node's own.
fn is_ours(info: &KeyInfo) -> bool {
    info.key_type == KeyType::Development && !info.revoked
}

/// The key of earlier starts, if the file holds one.
fn read(path: &Path) -> Result<Option<StreamKey>, StoreError> {
    let text = durable::read(path, KEY_CHARS as u64 + 1);
    let text = match text {
        Ok(text) => text.unwrap_or_default(),
        // It holds something else: another key is made.
        Err(error) if matches!(error.kind(), std::io::ErrorKind::InvalidData) => String::new(),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::FileTooLarge) => String::new(),
        Err(error) => return Err(stored_at(path, error)),
    };
    let text = text.trim();
    let is_key = text.len() == KEY_CHARS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok(is_key.then(|| StreamKey::imported(text)))
}

fn write(path: &Path, key: &StreamKey) -> Result<(), StoreError> {
    let line = format!("{}\n", key.expose());
    durable::replace(path, line.as_bytes()).map_err(|cause| stored_at(path, cause))
}
