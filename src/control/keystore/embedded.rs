//! The key store in a file of the data directory: no other program is needed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use redb::backends::InMemoryBackend;
use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
    WriteTransaction,
};
use tokio::sync::broadcast;
use tokio::task::spawn_blocking;

use super::health::{Health, State};
use super::{
    KEYS_MAX, KeyStore, Kind, NOTICES_MAX, Name, Notice, Precondition, Replacement, Reply,
    StoreError,
};
use crate::control::durable;
use crate::keys::{Alias, KeyHash, KeyInfo};

/// Name of the file in the data directory.
pub const FILE_NAME: &str = "keys.redb";

/// Memory for pages of the file, bytes. Look-ups are rare and small.
const CACHE_BYTES: usize = 4 << 20;

/// Hash of the key to its information as JSON.
pub(super) const KEYS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("keys");

/// Alias to the key's hash as hexadecimal text.
const ALIASES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("aliases");

/// Hash of what was a key or an alias once to when that may be forgotten, Unix time as text.
pub(super) const GONE: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("gone");

/// Deleted keys that are remembered. At the limit all are forgotten: who shows one then guesses.
const GONE_MAX: u64 = 10_000;

/// An open store. Each change is on the disk before it is told, and whole: the process may be
/// killed at any time. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Embedded {
    pub(super) file: Arc<StoreFile>,
    pub(super) changes: broadcast::Sender<Notice>,
}

#[derive(Debug)]
pub(super) struct StoreFile {
    path: PathBuf,
    /// There is no file: it is never closed, for that would lose it.
    in_memory: bool,
    /// The open file, and how often it was opened. It is opened anew after a fault: until then
    /// nothing more can be done with it.
    database: Lock<(u64, Option<Database>)>,
    /// How it does at present; changes are told in the log.
    health: Health,
}

/// Who works on the file waits for the disk anyway, on threads that may wait.
#[expect(clippy::disallowed_types, reason = "tokio's locks cannot be waited for at a node's start")]
type Lock<T> = std::sync::RwLock<T>;

/// Opens the store in `data_dir`, and makes directory and file if they are not there.
///
/// # Errors
/// [`StoreError::InUse`], [`StoreError::NotWritable`], [`StoreError::DiskFull`] or
/// [`StoreError::Damaged`], each with the path and the way out. A file that could not be made as a
/// whole is not there afterwards.
pub fn open(data_dir: &Path) -> Result<Embedded, StoreError> {
    durable::make_folder(data_dir).map_err(|cause| stored_at(data_dir, cause))?;
    let path = data_dir.join(FILE_NAME);
    if !path.exists() {
        make(&path)?;
    }
    let database = open_file(&path).map_err(|error| open_error(&path, error))?;
    let (database, health) = (Lock::new((1, Some(database))), Health::default());
    let file = Arc::new(StoreFile { path, in_memory: false, database, health });
    // A file of an earlier version may lack tables that readers look into.
    file.write(make_tables)?;
    let (changes, _) = broadcast::channel(NOTICES_MAX);
    Ok(Embedded { file, changes })
}

/// Opens a store in memory: what it holds ends with its last clone.
///
/// # Errors
/// [`StoreError::Broken`] if there is no memory for it.
pub fn in_memory() -> Result<Embedded, StoreError> {
    let path = PathBuf::from("in memory");
    let builder = Database::builder();
    let database = builder.create_with_backend(InMemoryBackend::new());
    let database = database.map_err(|error| open_error(&path, error))?;
    let (database, health) = (Lock::new((1, Some(database))), Health::default());
    let file = Arc::new(StoreFile { path, in_memory: true, database, health });
    file.write(make_tables)?;
    let (changes, _) = broadcast::channel(NOTICES_MAX);
    Ok(Embedded { file, changes })
}

/// Makes an empty store aside, and puts it in its place once it is whole and on the disk.
fn make(path: &Path) -> Result<(), StoreError> {
    let made = durable::make_with(path, |aside| -> Result<(), redb::Error> {
        // Made here, so that no one but its owner can ever read it.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(durable::FILE_MODE).open(aside)?;
        let database = open_file(aside)?;
        let transaction = database.begin_write()?;
        make_tables(&transaction)?;
        transaction.commit()?;
        drop(database);
        Ok(File::open(aside)?.sync_all()?)
    });
    made.map_err(|error| store_error(path, error))
}

fn open_file(path: &Path) -> Result<Database, redb::DatabaseError> {
    Database::builder().set_cache_size(CACHE_BYTES).create(path)
}

fn make_tables(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(KEYS)?;
    transaction.open_table(ALIASES)?;
    transaction.open_table(GONE)?;
    Ok(())
}

impl Embedded {
    /// Where the store is, if it is in a file.
    pub(super) fn path(&self) -> Option<&Path> {
        (!self.file.in_memory).then_some(&*self.file.path)
    }

    /// What is known about a key, if that can be read. Waits for the disk.
    pub(super) fn info(&self, hash: &KeyHash) -> Result<Option<KeyInfo>, StoreError> {
        let record = self.file.record(&Name::Key(*hash))?;
        Ok(record.and_then(|json| serde_json::from_slice(&json).ok()))
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

    fn swap(&self, changes: Vec<Replacement>, notices: Vec<KeyHash>) -> Reply<'_, bool> {
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

    fn trouble(&self) -> Option<&'static str> {
        self.file.health.trouble()
    }

    fn probe(&self) -> Reply<'_, ()> {
        match self.trouble() {
            None => Box::pin(std::future::ready(Ok(()))),
            // Whether it can be written again is seen by writing.
            Some(_) => self.aside(|file| file.write(make_probe)),
        }
    }
}

/// Writes as little as makes the disk show whether it takes something.
fn make_probe(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let mut gone = transaction.open_table(GONE)?;
    gone.insert(&[0; 32], &b"0"[..])?;
    Ok(())
}

impl StoreFile {
    fn record(&self, name: &Name) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|database| {
            let transaction = database.begin_read()?;
            Ok(match name {
                Name::Key(hash) => {
                    let found = transaction.open_table(KEYS)?.get(hash.as_bytes())?;
                    found.map(|value| value.value().to_vec())
                }
                Name::Alias(alias) => {
                    let found = transaction.open_table(ALIASES)?.get(alias.expose())?;
                    found.map(|value| value.value().to_vec())
                }
                Name::Gone(hash) => {
                    let found = transaction.open_table(GONE)?.get(hash.as_bytes())?;
                    found.map(|value| value.value().to_vec())
                }
            })
        })
    }

    fn keys(&self, prefix: &str) -> Result<Vec<(Name, Vec<u8>)>, StoreError> {
        self.read(|database| {
            let mut found = Vec::new();
            for entry in database.begin_read()?.open_table(KEYS)?.iter()? {
                let (hash, json) = entry?;
                let hash = KeyHash::from_bytes(*hash.value());
                if hash.to_string().starts_with(prefix) {
                    found.push((Name::Key(hash), json.value().to_vec()));
                }
            }
            Ok(found)
        })
    }

    fn aliases(&self, prefix: &str) -> Result<Vec<(Name, Vec<u8>)>, StoreError> {
        self.read(|database| {
            let mut found = Vec::new();
            for entry in database.begin_read()?.open_table(ALIASES)?.iter()? {
                let (alias, hash) = entry?;
                let alias = Alias::new(alias.value()).ok();
                if let Some(alias) = alias.filter(|alias| alias.expose().starts_with(prefix)) {
                    found.push((Name::Alias(alias), hash.value().to_vec()));
                }
            }
            Ok(found)
        })
    }

    fn swap(&self, changes: &[Replacement]) -> Result<bool, StoreError> {
        let done = self.write(|transaction| {
            let mut keys = transaction.open_table(KEYS)?;
            let mut aliases = transaction.open_table(ALIASES)?;
            let mut gone = transaction.open_table(GONE)?;
            if gone.len()? > GONE_MAX {
                gone.retain(|_, _| false)?;
            }
            for Replacement { name, was, becomes, .. } in changes {
                let before = match name {
                    Name::Key(hash) => keys.get(hash.as_bytes())?.map(|v| v.value().to_vec()),
                    Name::Alias(alias) => aliases.get(alias.expose())?.map(|v| v.value().to_vec()),
                    Name::Gone(hash) => gone.get(hash.as_bytes())?.map(|v| v.value().to_vec()),
                };
                let fits = match was {
                    Precondition::Anything => true,
                    Precondition::Absent => before.is_none(),
                    Precondition::This(bytes) | Precondition::Only(bytes) => {
                        before.as_ref() == Some(bytes)
                    }
                };
                let done = before == *becomes && !matches!(was, Precondition::Only(_));
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
                    (Name::Gone(hash), Some(bytes)) => {
                        gone.insert(hash.as_bytes(), bytes.as_slice())?;
                    }
                    (Name::Gone(hash), None) => drop(gone.remove(hash.as_bytes())?),
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
    pub(super) fn write<R: Outcome>(
        &self,
        mut change: impl FnMut(&WriteTransaction) -> Result<R, redb::Error>,
    ) -> Result<R, StoreError> {
        let result = self.on_file(|database| {
            let transaction = database.begin_write()?;
            let result = change(&transaction)?;
            if result.is_kept() {
                transaction.commit()?;
            } else {
                transaction.abort()?;
            }
            Ok(result)
        });
        if result.is_ok() {
            self.say(None);
        }
        result
    }

    fn read<T>(&self, look: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        self.on_file(look)
    }

    /// Does `work`. What has failed because of the file is done once more on the file as it is
    /// found when it is opened anew.
    fn on_file<T>(
        &self,
        mut work: impl FnMut(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let result = match self.attempt(&mut work) {
            Err((number, error)) if is_fault(&error) => {
                self.close(number);
                self.attempt(&mut work)
            }
            settled => settled,
        };
        result.map_err(|(number, error)| {
            if is_fault(&error) {
                self.close(number);
            }
            let error = store_error(&self.path, error);
            self.say(Some(&error));
            error
        })
    }

    /// Does `work` on the open file. An error comes with the number of the opening.
    fn attempt<T>(
        &self,
        work: &mut impl FnMut(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, (u64, redb::Error)> {
        {
            let open = self.database.read().unwrap_or_else(PoisonError::into_inner);
            if let (number, Some(database)) = &*open {
                return work(database).map_err(|error| (*number, error));
            }
        }
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if slot.1.is_none() {
            let database = open_file(&self.path).map_err(|error| (slot.0, error.into()))?;
            *slot = (slot.0 + 1, Some(database));
        }
        let (number, Some(database)) = &*slot else {
            return Err((slot.0, redb::Error::DatabaseClosed));
        };
        work(database).map_err(|error| (*number, error))
    }

    /// Closes the file, unless it was opened anew since that opening.
    fn close(&self, number: u64) {
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if slot.0 == number && !self.in_memory {
            slot.1 = None;
        }
    }

    /// What is wrong now, or that nothing is; each change is told in the log.
    fn say(&self, error: Option<&StoreError>) {
        let now = match error {
            None => State::Works,
            Some(StoreError::DiskFull(_)) => State::DiskFull,
            Some(_) => State::Broken,
        };
        if self.health.is_still(now) {
            return;
        }
        match error {
            Some(error) => tracing::warn!("{error}; the node tries again by itself"),
            None => tracing::info!("the key store {} works again", self.path.display()),
        }
    }
}

/// Whether the file has to be opened anew before anything else can be done with it.
const fn is_fault(error: &redb::Error) -> bool {
    use redb::Error::{Backend, Corrupted, DatabaseClosed, Io, LockPoisoned, PreviousIo};
    matches!(
        error,
        Io(_) | Backend(_) | PreviousIo | DatabaseClosed | Corrupted(_) | LockPoisoned(_)
    )
}

/// What came of a transaction's changes.
enum Done {
    Swapped,
    Differs,
    TooMany,
}

/// Whether a transaction is to be committed.
pub(super) trait Outcome {
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
