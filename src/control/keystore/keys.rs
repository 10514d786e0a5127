//! Key store operations: making, finding, changing and deleting keys, on whichever store.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use tokio::sync::broadcast;

use super::keys_types::{Found, KeyError, KeyView, Lifetime, Made, NewKey, Usage};
use super::records::{REMEMBERED_S, Record, edit, gone, hash_of, put, record, rotation};
use super::{KeyStore, Kind, Name, Notice, Precondition, Replacement, StoreError};
use crate::keys::{Alias, KEY_CHARS_MIN, KeyHash, KeyInfo, Shown, StreamKey, note, public_name};

/// Seconds for which a key that was rotated stays good, if nobody says.
pub const GRACE_DEFAULT_S: u64 = 60 * 60;

/// Times a change is tried while others change the same key.
pub(super) const TRIES: u32 = 8;

/// Hexadecimal digits of a key's id.
const ID_DIGITS: usize = 16;

/// Hexadecimal digits of a whole hash.
const HASH_DIGITS: usize = 64;

/// The keys of a node: a handle to be cloned and used from any task of the control plane.
#[derive(Clone)]
pub struct Keys {
    pub(super) store: Arc<dyn KeyStore>,
    unix_secs: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({:?})", self.store)
    }
}

impl Keys {
    /// On `store`; `unix_secs` gives the time of day, seconds since 1970.
    #[must_use]
    pub fn new(
        store: Arc<dyn KeyStore>,
        unix_secs: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        Self { store, unix_secs: Arc::new(unix_secs) }
    }

    /// Makes a key.
    ///
    /// # Errors
    /// [`KeyError::Invalid`], [`KeyError::Conflict`] if the alias stands for another key, or the
    /// store's.
    pub async fn create(&self, new: NewKey) -> Result<Made, KeyError> {
        let key = StreamKey::from_random(random()?);
        let view = self.add(&key, new).await?;
        Ok(Made { key, view })
    }

    /// Adds a key that was made elsewhere; one that is short only if it `may_be_weak`. The text, if
    /// there is one, says why it is weak.
    ///
    /// # Errors
    /// As [`Keys::create`]; also if the same key is there already, or is too short.
    pub async fn import(
        &self,
        key: &StreamKey,
        new: NewKey,
        may_be_weak: bool,
    ) -> Result<(KeyView, Option<&'static str>), KeyError> {
        if key.expose().is_empty() || key.expose().chars().any(char::is_control) {
            return Err(KeyError::Invalid("a stream key is one line of text".to_owned()));
        }
        if key.is_short() && !may_be_weak {
            let text = format!(
                "this stream key has fewer than {KEY_CHARS_MIN} characters and can be guessed; \
                 take a longer one, or say that it may be weak (--weak, in the API \"weak\": true)"
            );
            return Err(KeyError::Invalid(text));
        }
        Ok((self.add(key, new).await?, key.weakness()))
    }

    /// All keys, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self) -> Result<Vec<KeyView>, KeyError> {
        let (views, faults) = self.list_with_faults().await?;
        faults.iter().for_each(|error| tracing::warn!("{error}"));
        Ok(views)
    }

    /// All keys, oldest first, and what is wrong with the records that are none: one bad record
    /// must not hide the others.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_with_faults(&self) -> Result<(Vec<KeyView>, Vec<StoreError>), KeyError> {
        let mut aliases = self.aliases().await?;
        let (mut views, mut faults) = (Vec::new(), Vec::new());
        for (name, bytes) in self.store.scan(Kind::Key, String::new()).await? {
            let Name::Key(hash) = name else { continue };
            match record(hash, bytes) {
                Ok(Record { hash, info, .. }) => {
                    let aliases = aliases.remove(&hash).unwrap_or_default();
                    views.push(KeyView { hash, info, aliases });
                }
                Err(error) => faults.push(error),
            }
        }
        views.sort_by_key(|view| (view.info.created_at, view.id()));
        Ok((views, faults))
    }

    /// One key by its id (16 digits), its whole hash (64) or an alias.
    ///
    /// # Errors
    /// [`KeyError::NotFound`], [`KeyError::Conflict`] if two keys have this id, or the store's.
    pub async fn get(&self, id: &str) -> Result<KeyView, KeyError> {
        let Record { hash, info, .. } = self.find(id).await?;
        let aliases = self.aliases().await?.remove(&hash).unwrap_or_default();
        Ok(KeyView { hash, info, aliases })
    }

    /// Makes a new key in the place of an old one: same stream, rights and aliases, and a new
    /// lifetime. The old one stays good for `grace_s` seconds; 0 revokes it.
    ///
    /// # Errors
    /// As [`Keys::get`]; [`KeyError::Invalid`] if it is revoked.
    pub async fn rotate(&self, id: &str, grace_s: Option<u64>) -> Result<Made, KeyError> {
        for _ in 0..TRIES {
            let old = self.find(id).await?;
            if old.info.revoked {
                let text = format!("the key {} is revoked; create a new one", old.hash.id());
                return Err(KeyError::Invalid(text));
            }
            let aliases = self.aliases().await?.remove(&old.hash).unwrap_or_default();
            let key = StreamKey::from_random(random()?);
            let info = self.successor(&old.info);
            let ending = self.ending(&old.info, grace_s.unwrap_or(GRACE_DEFAULT_S));
            let (changes, notices) = rotation(&old, ending, &key.hash(), &info, &aliases)?;
            if self.store.swap(changes, notices).await? {
                return Ok(Made { view: KeyView { hash: key.hash(), info, aliases }, key });
            }
            self.forget(&key.hash()).await;
        }
        Err(busy(id))
    }

    /// Takes a key back: who publishes with it is ended within a second.
    ///
    /// # Errors
    /// As [`Keys::get`].
    pub async fn revoke(&self, id: &str) -> Result<KeyView, KeyError> {
        for _ in 0..TRIES {
            let mut record = self.find(id).await?;
            record.info.revoked = true;
            let (hash, info) = (record.hash, record.info.clone());
            if self.store.swap(vec![edit(record)?], vec![hash]).await? {
                let aliases = self.aliases().await?.remove(&hash).unwrap_or_default();
                return Ok(KeyView { hash, info, aliases });
            }
        }
        Err(busy(id))
    }

    /// Forgets a key and its aliases; who publishes with it is ended within a second.
    ///
    /// # Errors
    /// As [`Keys::get`].
    pub async fn delete(&self, id: &str) -> Result<(), KeyError> {
        let (hash, _) = self.find_record(id).await?;
        let aliases = self.aliases().await?.remove(&hash).unwrap_or_default();
        // The key before its aliases: an alias without a key opens nothing.
        let mut changes = vec![self.remembered(hash), gone(Name::Key(hash))];
        changes.extend(aliases.iter().map(|alias| self.remembered(hash_of(alias))));
        changes.extend(aliases.iter().cloned().map(|alias| gone(Name::Alias(alias))));
        let notices = [hash].into_iter().chain(aliases.iter().map(hash_of)).collect();
        self.store.swap(changes, notices).await?;
        Ok(())
    }

    /// Lets an alias stand for a key; it may have stood for another one.
    ///
    /// # Errors
    /// As [`Keys::get`]; [`KeyError::Invalid`] if it cannot be an alias.
    pub async fn set_alias(&self, id: &str, alias: &str) -> Result<KeyView, KeyError> {
        let alias = alias_of(alias)?;
        let record = self.find(id).await?;
        let change = Replacement {
            name: Name::Alias(alias.clone()),
            was: Precondition::Anything,
            becomes: Some(record.hash.to_string().into_bytes()),
            expires_at: None,
        };
        self.store.swap(vec![change], vec![hash_of(&alias)]).await?;
        self.get(&record.hash.to_string()).await
    }

    /// Forgets an alias; its key stays.
    ///
    /// # Errors
    /// [`KeyError::NotFound`] or the store's.
    pub async fn remove_alias(&self, alias: &str) -> Result<(), KeyError> {
        let alias = alias_of(alias)?;
        let name = Name::Alias(alias.clone());
        if self.store.read(name.clone()).await?.is_none() {
            return Err(KeyError::NotFound(format!("there is no alias {}", alias.expose())));
        }
        let changes = vec![self.remembered(hash_of(&alias)), gone(name)];
        self.store.swap(changes, vec![hash_of(&alias)]).await?;
        Ok(())
    }

    /// Whether there was a key or an alias with this hash that was deleted lately.
    ///
    /// # Errors
    /// The store's.
    pub async fn was_deleted(&self, hash: &KeyHash) -> Result<bool, StoreError> {
        Ok(self.store.read(Name::Gone(*hash)).await?.is_some())
    }

    /// What a peer's key leads to, given its hash; or, if it may be one, its alias.
    ///
    /// # Errors
    /// The store's.
    pub async fn look_up(
        &self,
        hash: &KeyHash,
        alias: Option<&Alias>,
    ) -> Result<Option<Found>, StoreError> {
        if let Some(Record { hash, info, .. }) = self.read(*hash).await? {
            return Ok(Some(Found { key: hash, info, shown: Shown::Key }));
        }
        let Some(alias) = alias else { return Ok(None) };
        let Some(bytes) = self.store.read(Name::Alias(alias.clone())).await? else {
            return Ok(None);
        };
        let Some((hash, bytes)) = self.target(&bytes).await? else { return Ok(None) };
        let Record { hash, info, .. } = record(hash, bytes)?;
        Ok(Some(Found { key: hash, info, shown: Shown::Alias }))
    }

    /// Writes down how a key was used. Nobody is told; a key that is gone stays gone.
    ///
    /// # Errors
    /// The store's.
    pub async fn used(&self, hash: &KeyHash, usage: Usage) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let Some(mut record) = self.read(*hash).await? else { return Ok(()) };
            let info = &mut record.info;
            info.last_used_at = info.last_used_at.max(usage.last_used_at);
            info.failed_attempts = info.failed_attempts.saturating_add(usage.failed);
            let was = Precondition::Only(record.bytes.clone());
            if self.store.swap(vec![Replacement { was, ..edit(record)? }], Vec::new()).await? {
                break;
            }
        }
        Ok(())
    }

    /// What changes from now on. Needs a tokio runtime.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Notice> {
        self.store.changes()
    }

    /// Why keys cannot be checked or changed at present; `None` if they can.
    #[must_use]
    pub fn trouble(&self) -> Option<&'static str> {
        self.store.trouble()
    }

    /// Finds out whether the store works again, or still; it says in the log what has changed.
    pub async fn probe(&self) {
        if let Err(error) = self.store.probe().await {
            tracing::debug!("the key store does not work: {error}");
        }
    }

    /// The time of day, seconds since 1970.
    #[must_use]
    pub fn now(&self) -> u64 {
        (self.unix_secs)()
    }

    /// The change that remembers that there was a key or an alias with this hash.
    fn remembered(&self, hash: KeyHash) -> Replacement {
        let until = self.now().saturating_add(REMEMBERED_S);
        let becomes = Some(until.to_string().into_bytes());
        Replacement {
            name: Name::Gone(hash),
            was: Precondition::Anything,
            becomes,
            expires_at: Some(until),
        }
    }

    async fn add(&self, key: &StreamKey, new: NewKey) -> Result<KeyView, KeyError> {
        let alias = new.alias.as_deref().map(alias_of).transpose()?;
        let info = self.info_of(new)?;
        let hash = key.hash();
        let mut changes = vec![put(hash, &info)?];
        let mut notices = vec![hash];
        if let Some(alias) = &alias {
            changes.push(self.free_alias(alias, &hash).await?);
            notices.push(hash_of(alias));
        }
        if self.store.read(Name::Key(hash)).await?.is_some() {
            return Err(KeyError::Conflict(format!("this key is there already, as {}", hash.id())));
        }
        if !self.store.swap(changes, notices).await? {
            if alias.is_some() {
                self.forget(&hash).await;
            }
            let text = "somebody else has just taken the same alias or key; look at the list";
            return Err(KeyError::Conflict(text.to_owned()));
        }
        Ok(KeyView { hash, info, aliases: alias.into_iter().collect() })
    }

    fn info_of(&self, new: NewKey) -> Result<KeyInfo, KeyError> {
        let invalid = |error: crate::keys::NameError| KeyError::Invalid(error.to_string());
        let stream = public_name(&new.stream).map_err(invalid)?;
        let mut info = KeyInfo::new(new.key_type, &stream, self.now());
        info.owner = note(&new.owner).map_err(invalid)?;
        info.label = note(&new.label).map_err(invalid)?;
        info.expires_at = match new.lifetime {
            Lifetime::OfType => info.expires_at,
            Lifetime::Seconds(seconds) => Some(info.created_at.saturating_add(seconds)),
            Lifetime::Endless => None,
        };
        info.allowed_ips = new.allowed_ips;
        info.limits = new.limits;
        info.takeover = new.takeover;
        Ok(info)
    }

    /// A key with the same rights and a lifetime of the same length from now on.
    fn successor(&self, old: &KeyInfo) -> KeyInfo {
        let now = self.now();
        let lifetime = old.expires_at.map(|end| end.saturating_sub(old.created_at));
        let expires_at = lifetime.map(|seconds| now.saturating_add(seconds));
        let (last_used_at, failed_attempts) = (None, 0);
        KeyInfo { created_at: now, expires_at, last_used_at, failed_attempts, ..old.clone() }
    }

    /// A key that has been rotated: good for a grace of so many seconds, or not any more.
    fn ending(&self, old: &KeyInfo, grace_s: u64) -> KeyInfo {
        let until = self.now().saturating_add(grace_s);
        let expires_at = Some(old.expires_at.map_or(until, |end| end.min(until)));
        match grace_s {
            0 => KeyInfo { revoked: true, ..old.clone() },
            _ => KeyInfo { expires_at, ..old.clone() },
        }
    }

    /// The change that gives a new alias to `hash`, unless it stands for another key.
    async fn free_alias(&self, alias: &Alias, hash: &KeyHash) -> Result<Replacement, KeyError> {
        let name = Name::Alias(alias.clone());
        let was = match self.store.read(name.clone()).await? {
            None => Precondition::Absent,
            Some(bytes) if self.target(&bytes).await?.is_none() => Precondition::This(bytes),
            Some(_) => {
                let text = format!(
                    "the alias {} stands for another key; choose another one, or move it with \
                     `keys alias`",
                    alias.expose()
                );
                return Err(KeyError::Conflict(text));
            }
        };
        let becomes = Some(hash.to_string().into_bytes());
        Ok(Replacement { name, was, becomes, expires_at: None })
    }

    /// Takes back a key of which half was made.
    async fn forget(&self, hash: &KeyHash) {
        let removed = self.store.swap(vec![gone(Name::Key(*hash))], vec![*hash]).await;
        if let Err(error) = removed {
            tracing::warn!("the unused key {} could not be removed: {error}", hash.id());
        }
    }

    pub(super) async fn find(&self, id: &str) -> Result<Record, KeyError> {
        let (hash, bytes) = self.find_record(id).await?;
        Ok(record(hash, bytes)?)
    }

    /// The record of a key, which may be one that cannot be read.
    async fn find_record(&self, id: &str) -> Result<(KeyHash, Vec<u8>), KeyError> {
        let is_hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = if is_hex { id.to_ascii_lowercase() } else { id.to_owned() };
        let unknown =
            || KeyError::NotFound("there is no such key; `keys list` shows all".to_owned());
        if is_hex && id.len() == HASH_DIGITS {
            let hash = KeyHash::from_hex(&id).ok_or_else(unknown)?;
            let bytes = self.store.read(Name::Key(hash)).await?.ok_or_else(unknown)?;
            return Ok((hash, bytes));
        }
        if is_hex && id.len() == ID_DIGITS {
            let mut found = self.store.scan(Kind::Key, id.clone()).await?.into_iter();
            return match (found.next(), found.next()) {
                (Some((Name::Key(hash), bytes)), None) => Ok((hash, bytes)),
                (Some(_), Some(_)) => {
                    let text = format!("two keys begin with {id}; give the whole hash");
                    Err(KeyError::Conflict(text))
                }
                _ => Err(unknown()),
            };
        }
        let alias = Alias::new(&id).map_err(|_| unknown())?;
        let bytes = self.store.read(Name::Alias(alias)).await?.ok_or_else(unknown)?;
        self.target(&bytes).await?.ok_or_else(unknown)
    }

    /// The key that an alias' record names: by its hash, or plainly, as older systems did.
    pub(super) async fn target(
        &self,
        bytes: &[u8],
    ) -> Result<Option<(KeyHash, Vec<u8>)>, StoreError> {
        let Ok(text) = str::from_utf8(bytes) else { return Ok(None) };
        let plain = KeyHash::of(text.trim());
        for hash in KeyHash::from_hex(text.trim()).into_iter().chain([plain]) {
            if let Some(bytes) = self.store.read(Name::Key(hash)).await? {
                return Ok(Some((hash, bytes)));
            }
        }
        Ok(None)
    }

    pub(super) async fn read(&self, hash: KeyHash) -> Result<Option<Record>, StoreError> {
        let bytes = self.store.read(Name::Key(hash)).await?;
        bytes.map(|bytes| record(hash, bytes)).transpose()
    }

    /// All aliases by the key they stand for.
    pub(super) async fn aliases(&self) -> Result<HashMap<KeyHash, Vec<Alias>>, StoreError> {
        let mut by_key: HashMap<KeyHash, Vec<Alias>> = HashMap::new();
        for (name, bytes) in self.store.scan(Kind::Alias, String::new()).await? {
            let Name::Alias(alias) = name else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let plain = || KeyHash::of(text.trim());
            let hash = KeyHash::from_hex(text.trim()).unwrap_or_else(plain);
            by_key.entry(hash).or_default().push(alias);
        }
        by_key.values_mut().for_each(|aliases| aliases.sort());
        Ok(by_key)
    }
}

pub(super) fn alias_of(text: &str) -> Result<Alias, KeyError> {
    Alias::new(text).map_err(|error| KeyError::Invalid(error.to_string()))
}

pub(super) fn busy(id: &str) -> KeyError {
    KeyError::Conflict(format!("others keep changing the key {id}; try again"))
}

/// 32 bytes of the operating system's generator.
pub(super) fn random() -> Result<[u8; 32], StoreError> {
    let mut bytes = [0; 32];
    let mut source = File::open("/dev/urandom").map_err(StoreError::NoRandomness)?;
    source.read_exact(&mut bytes).map_err(StoreError::NoRandomness)?;
    Ok(bytes)
}
