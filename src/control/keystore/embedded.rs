//! The key store in a file of the data directory: no other program is needed.

use std::fs::{File, OpenOptions, create_dir_all};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

use super::{DevelopmentKey, KEYS_MAX, KeyStore, StoreError};
use crate::keys::{KeyHash, KeyInfo, KeyType, StreamKey};

/// Name of the file in the data directory.
pub const FILE_NAME: &str = "keys.redb";

/// Memory for pages of the file, bytes. Look-ups are rare and small.
const CACHE_BYTES: usize = 4 << 20;

/// Hash of the key to its information as JSON.
const KEYS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("keys");

/// An open store. Each change is on the disk when its call returns, and whole: the process may be
/// killed at any time.
#[derive(Debug)]
pub struct Embedded {
    path: PathBuf,
    database: Database,
}

/// Opens the store in `data_dir`, and makes directory and file if they are not there.
///
/// # Errors
/// [`StoreError::InUse`], [`StoreError::NotWritable`], [`StoreError::DiskFull`] or
/// [`StoreError::Damaged`], each with the path and the way out.
pub fn open(data_dir: &Path) -> Result<Embedded, StoreError> {
    create_dir_all(data_dir).map_err(|cause| io_error(data_dir, cause))?;
    let path = data_dir.join(FILE_NAME);
    // Made here, so that no one but its owner can ever read it.
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(&path).map_err(|cause| io_error(&path, cause))?;
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create(&path)
        .map_err(|error| open_error(&path, error))?;
    let store = Embedded { path, database };
    store.write(|_| Ok(()))?; // makes the table, so that readers find one
    Ok(store)
}

impl Embedded {
    /// Makes a key to try things with, good for 24 hours from `now_unix` seconds on, and forgets
    /// those of earlier starts that have expired.
    ///
    /// # Errors
    /// If the store or the operating system's generator does not work.
    pub fn fresh_development_key(
        &self,
        stream: &str,
        now_unix: u64,
    ) -> Result<DevelopmentKey, StoreError> {
        let key = StreamKey::from_random(random()?);
        let mut info = KeyInfo::new(KeyType::Development, stream, now_unix);
        "made at the node's start".clone_into(&mut info.label);
        let expires_at = info.expires_at.unwrap_or(u64::MAX);
        let json = self.to_json(&info)?;
        self.write(|keys| {
            keys.retain(|_, json| {
                let info = serde_json::from_slice::<KeyInfo>(json);
                !info.is_ok_and(|info| {
                    info.key_type == KeyType::Development && info.is_expired(now_unix)
                })
            })?;
            keys.insert(key.hash().as_bytes(), json.as_slice())?;
            Ok(())
        })?;
        Ok(DevelopmentKey { key, stream: stream.to_owned(), expires_at })
    }

    /// Changes the table in one transaction, which is on the disk when this returns.
    fn write<R>(
        &self,
        change: impl FnOnce(&mut redb::Table<'_, &[u8; 32], &[u8]>) -> Result<R, redb::Error>,
    ) -> Result<R, StoreError> {
        let work = || {
            let transaction = self.database.begin_write()?;
            let result = change(&mut transaction.open_table(KEYS)?)?;
            transaction.commit()?;
            Ok(result)
        };
        work().map_err(|error| store_error(&self.path, error))
    }

    fn read<R>(
        &self,
        look: impl FnOnce(&redb::ReadOnlyTable<&[u8; 32], &[u8]>) -> Result<R, redb::Error>,
    ) -> Result<R, StoreError> {
        let work = || look(&self.database.begin_read()?.open_table(KEYS)?);
        work().map_err(|error| store_error(&self.path, error))
    }

    fn to_json(&self, info: &KeyInfo) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(info).map_err(|error| self.damaged(&error))
    }

    fn damaged(&self, error: &serde_json::Error) -> StoreError {
        StoreError::Damaged(self.path.clone(), error.to_string())
    }
}

impl KeyStore for Embedded {
    fn create(&self, info: &KeyInfo) -> Result<StreamKey, StoreError> {
        let key = StreamKey::from_random(random()?);
        self.put(&key.hash(), info)?;
        Ok(key)
    }

    fn get(&self, hash: &KeyHash) -> Result<Option<KeyInfo>, StoreError> {
        let json = self.read(|keys| Ok(keys.get(hash.as_bytes())?.map(|v| v.value().to_vec())))?;
        let info = json.map(|json| serde_json::from_slice(&json)).transpose();
        info.map_err(|error| self.damaged(&error))
    }

    fn list(&self) -> Result<Vec<(KeyHash, KeyInfo)>, StoreError> {
        let all = self.read(|keys| {
            let entries = keys.iter()?.map(|entry| {
                let (hash, json) = entry?;
                let info = serde_json::from_slice(json.value());
                Ok((KeyHash::from_bytes(*hash.value()), info))
            });
            entries.collect::<Result<Vec<_>, redb::Error>>()
        })?;
        let all = all.into_iter().map(|(hash, info)| Ok((hash, info?)));
        all.collect::<Result<_, _>>().map_err(|error| self.damaged(&error))
    }

    fn put(&self, hash: &KeyHash, info: &KeyInfo) -> Result<(), StoreError> {
        let json = self.to_json(info)?;
        let fits = self.write(|keys| {
            let fits = keys.len()? < KEYS_MAX || keys.get(hash.as_bytes())?.is_some();
            if fits {
                keys.insert(hash.as_bytes(), json.as_slice())?;
            }
            Ok(fits)
        })?;
        if fits { Ok(()) } else { Err(StoreError::TooManyKeys(KEYS_MAX)) }
    }

    fn remove(&self, hash: &KeyHash) -> Result<bool, StoreError> {
        self.write(|keys| Ok(keys.remove(hash.as_bytes())?.is_some()))
    }
}

/// 32 bytes of the operating system's generator.
fn random() -> Result<[u8; 32], StoreError> {
    let mut bytes = [0; 32];
    let mut source = File::open("/dev/urandom").map_err(StoreError::NoRandomness)?;
    source.read_exact(&mut bytes).map_err(StoreError::NoRandomness)?;
    Ok(bytes)
}

fn io_error(path: &Path, cause: io::Error) -> StoreError {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StoreError::DiskFull(path.to_owned())
        }
        _ => StoreError::NotWritable(path.to_owned(), cause),
    }
}

fn open_error(path: &Path, error: redb::DatabaseError) -> StoreError {
    match error.into() {
        // A file that is no database of ours is told so by its first bytes.
        redb::Error::Io(cause) if cause.kind() == io::ErrorKind::InvalidData => {
            StoreError::Damaged(path.to_owned(), cause.to_string())
        }
        redb::Error::UpgradeRequired(version) => {
            let cause = format!("it has the older file format {version}");
            StoreError::Damaged(path.to_owned(), cause)
        }
        error => store_error(path, error),
    }
}

fn store_error(path: &Path, error: redb::Error) -> StoreError {
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            StoreError::InUse(path.to_owned())
        }
        redb::Error::Io(cause) => io_error(path, cause),
        redb::Error::Corrupted(cause) => StoreError::Damaged(path.to_owned(), cause),
        other => StoreError::Broken(path.to_owned(), other.to_string()),
    }
}

#[cfg(test)]
mod tests;
