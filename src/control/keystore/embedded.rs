//! The key store in a file of the data directory: no other program is needed.

use std::fs::{OpenOptions, create_dir_all};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
    WriteTransaction,
};
use tokio::sync::broadcast;
use tokio::task::spawn_blocking;

use super::keys::random;
use super::{
    DevelopmentKey, KEYS_MAX, KeyStore, Kind, NOTICES_MAX, Name, Notice, Reply, StoreError, Swap,
    Was,
};
use crate::keys::{Alias, KeyHash, KeyInfo, KeyType, StreamKey};

/// Name of the file in the data directory.
pub const FILE_NAME: &str = "keys.redb";

/// Memory for pages of the file, bytes. Look-ups are rare and small.
const CACHE_BYTES: usize = 4 << 20;

/// Hash of the key to its information as JSON.
const KEYS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("keys");

/// Alias to the key's hash as hexadecimal text.
const ALIASES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("aliases");

/// An open store. Each change is on the disk before it is told, and whole: the process may be
/// killed at any time. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Embedded {
    file: Arc<StoreFile>,
    changes: broadcast::Sender<Notice>,
}

#[derive(Debug)]
struct StoreFile {
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
    let file = Arc::new(StoreFile { path, database });
    file.write(|transaction| {
        // Makes the tables, so that readers find them.
        transaction.open_table(KEYS)?;
        transaction.open_table(ALIASES)?;
        Ok(())
    })?;
    let (changes, _) = broadcast::channel(NOTICES_MAX);
    Ok(Embedded { file, changes })
}

impl Embedded {
    /// Makes a key to try things with, good for 24 hours from `now_unix` seconds on, and forgets
    /// those of earlier starts that have expired. Waits for the disk.
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
        let json = serde_json::to_vec(&info)
            .map_err(|error| StoreError::Record(key.hash().id(), error.to_string()))?;
        self.file.write(|transaction| {
            let mut keys = transaction.open_table(KEYS)?;
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

    /// Runs `work` where it may wait for the disk.
    fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&StoreFile) -> Result<T, StoreError> + Send + 'static,
    ) -> Reply<'_, T> {
        let file = Arc::clone(&self.file);
        Box::pin(async move {
            let path = file.path.clone();
            match spawn_blocking(move || work(&file)).await {
                Ok(result) => result,
                Err(error) => Err(StoreError::Broken(path, error.to_string())),
            }
        })
    }
}

impl KeyStore for Embedded {
    fn read(&self, name: Name) -> Reply<'_, Option<Vec<u8>>> {
        self.aside(move |file| file.record(&name))
    }

    fn scan(&self, kind: Kind, prefix: String) -> Reply<'_, Vec<(Name, Vec<u8>)>> {
        self.aside(move |file| match kind {
            Kind::Key => file.keys(&prefix),
            Kind::Alias => file.aliases(&prefix),
        })
    }

    fn swap(&self, changes: Vec<Swap>, notices: Vec<KeyHash>) -> Reply<'_, bool> {
        let told = self.changes.clone();
        self.aside(move |file| {
            let swapped = file.swap(&changes)?;
            if swapped {
                for hash in notices {
                    // Nobody listens while a command line works on the file.
                    drop(told.send(Notice::Changed(hash)));
                }
            }
            Ok(swapped)
        })
    }

    fn changes(&self) -> broadcast::Receiver<Notice> {
        self.changes.subscribe()
    }
}

impl StoreFile {
    fn record(&self, name: &Name) -> Result<Option<Vec<u8>>, StoreError> {
        let work = || {
            let transaction = self.database.begin_read()?;
            Ok(match name {
                Name::Key(hash) => {
                    let found = transaction.open_table(KEYS)?.get(hash.as_bytes())?;
                    found.map(|value| value.value().to_vec())
                }
                Name::Alias(alias) => {
                    let found = transaction.open_table(ALIASES)?.get(alias.expose())?;
                    found.map(|value| value.value().to_vec())
                }
            })
        };
        work().map_err(|error| store_error(&self.path, error))
    }

    fn keys(&self, prefix: &str) -> Result<Vec<(Name, Vec<u8>)>, StoreError> {
        let work = || {
            let mut found = Vec::new();
            for entry in self.database.begin_read()?.open_table(KEYS)?.iter()? {
                let (hash, json) = entry?;
                let hash = KeyHash::from_bytes(*hash.value());
                if hash.to_string().starts_with(prefix) {
                    found.push((Name::Key(hash), json.value().to_vec()));
                }
            }
            Ok(found)
        };
        work().map_err(|error| store_error(&self.path, error))
    }

    fn aliases(&self, prefix: &str) -> Result<Vec<(Name, Vec<u8>)>, StoreError> {
        let work = || {
            let mut found = Vec::new();
            for entry in self.database.begin_read()?.open_table(ALIASES)?.iter()? {
                let (alias, hash) = entry?;
                let alias = Alias::new(alias.value()).ok();
                if let Some(alias) = alias.filter(|alias| alias.expose().starts_with(prefix)) {
                    found.push((Name::Alias(alias), hash.value().to_vec()));
                }
            }
            Ok(found)
        };
        work().map_err(|error| store_error(&self.path, error))
    }

    fn swap(&self, changes: &[Swap]) -> Result<bool, StoreError> {
        let done = self.write(|transaction| {
            let mut keys = transaction.open_table(KEYS)?;
            let mut aliases = transaction.open_table(ALIASES)?;
            for Swap { name, was, becomes, .. } in changes {
                let before = match name {
                    Name::Key(hash) => keys.get(hash.as_bytes())?.map(|v| v.value().to_vec()),
                    Name::Alias(alias) => aliases.get(alias.expose())?.map(|v| v.value().to_vec()),
                };
                let fits = match was {
                    Was::Anything => true,
                    Was::Absent => before.is_none(),
                    Was::This(bytes) | Was::Only(bytes) => before.as_ref() == Some(bytes),
                };
                let done = before == *becomes && !matches!(was, Was::Only(_));
                if !fits && !done {
                    return Ok(Done::Differs);
                }
                match (name, becomes) {
                    (Name::Key(hash), Some(bytes)) => {
                        keys.insert(hash.as_bytes(), bytes.as_slice())?;
                    }
                    (Name::Key(hash), None) => drop(keys.remove(hash.as_bytes())?),
                    (Name::Alias(alias), Some(bytes)) => {
                        aliases.insert(alias.expose(), bytes.as_slice())?;
                    }
                    (Name::Alias(alias), None) => drop(aliases.remove(alias.expose())?),
                }
            }
            let full = keys.len()? > KEYS_MAX || aliases.len()? > KEYS_MAX;
            Ok(if full { Done::TooMany } else { Done::Swapped })
        })?;
        match done {
            Done::Swapped => Ok(true),
            Done::Differs => Ok(false),
            Done::TooMany => Err(StoreError::TooManyKeys(KEYS_MAX)),
        }
    }

    /// Changes the tables in one transaction, which is on the disk when this returns.
    fn write<R: Outcome>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<R, redb::Error>,
    ) -> Result<R, StoreError> {
        let work = || {
            let transaction = self.database.begin_write()?;
            let result = change(&transaction)?;
            if result.is_kept() {
                transaction.commit()?;
            } else {
                transaction.abort()?;
            }
            Ok(result)
        };
        work().map_err(|error| store_error(&self.path, error))
    }
}

/// What came of a transaction's changes.
enum Done {
    Swapped,
    Differs,
    TooMany,
}

/// Whether a transaction is to be committed.
trait Outcome {
    fn is_kept(&self) -> bool;
}

impl Outcome for () {
    fn is_kept(&self) -> bool {
        true
    }
}

impl Outcome for Done {
    fn is_kept(&self) -> bool {
        matches!(self, Self::Swapped)
    }
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
