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

use super::development::LABEL;
use super::{KEYS_MAX, KeyStore, Kind, NOTICES_MAX, Name, Notice, Reply, StoreError, Swap, Was};
use crate::keys::{Alias, KeyHash, KeyInfo, KeyType};

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
    create_dir_all(data_dir).map_err(|cause| stored_at(data_dir, cause))?;
    let path = data_dir.join(FILE_NAME);
    // Made here, so that no one but its owner can ever read it.
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(&path).map_err(|cause| stored_at(&path, cause))?;
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
    /// Where the store is.
    pub(super) fn path(&self) -> &Path {
        &self.file.path
    }

    /// What is known about a key, if that can be read. Waits for the disk.
    pub(super) fn info(&self, hash: &KeyHash) -> Result<Option<KeyInfo>, StoreError> {
        let record = self.file.record(&Name::Key(*hash))?;
        Ok(record.and_then(|json| serde_json::from_slice(&json).ok()))
    }

    /// Makes `this` the one development key that the node made for itself, or leaves none of them;
    /// those that people made go once they have expired. Whoever publishes with one that goes is
    /// ended.
    pub(super) fn put_development(
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

/// What a failure at a file of the store's folder means.
pub(super) fn stored_at(path: &Path, cause: io::Error) -> StoreError {
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
        redb::Error::Io(cause) => stored_at(path, cause),
        redb::Error::Corrupted(cause) => StoreError::Damaged(path.to_owned(), cause),
        other => StoreError::Broken(path.to_owned(), other.to_string()),
    }
}

#[cfg(test)]
mod tests;
