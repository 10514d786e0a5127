//! Changes of a key that is there, and the whole store as a text: for backups, and on the way from
//! one store to another.

use serde::{Deserialize, Serialize};

use super::keys::{Keys, TRIES, alias_of, busy};
use super::keys_types::{KeyError, KeyView, Lifetime};
use super::records::{edit, hash_of, put};
use super::{Name, Precondition, Replacement};
use crate::keys::{AddressRange, Alias, KeyHash, KeyInfo, KeyLimits, Takeover, note, public_name};

/// What stands in the first line of a backup.
const FORMAT: &str = "stream-manager keys 1";

/// What is to change about a key. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyEdit {
    /// Whose it is.
    pub owner: Option<String>,
    /// A note for people.
    pub label: Option<String>,
    /// How long it is good for, from now on.
    pub lifetime: Option<Lifetime>,
    /// Where it may be used from; empty for anywhere.
    pub allowed_ips: Option<Vec<AddressRange>>,
    /// Whether a second publisher takes the first one's place.
    pub takeover: Option<Takeover>,
    /// Most bits per second of a publisher; `Some(None)` for any, here and below.
    pub bitrate_bps: Option<Option<u64>>,
    /// Most viewers of its stream.
    pub viewers: Option<Option<u32>>,
    /// Most pixels from left to right.
    pub max_width: Option<Option<u32>>,
    /// Most pixels from top to bottom.
    pub max_height: Option<Option<u32>>,
    /// Most frames per second.
    pub max_fps: Option<Option<u32>>,
}

/// One key in a backup: all that a store knows, and that is never the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBackup {
    /// The key's hash, 64 hexadecimal digits.
    pub hash: String,
    /// Names that stand for it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What a store keeps about it.
    pub record: KeyInfo,
}

/// What became of the keys of a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Keys that were not there.
    pub added: u64,
    /// Keys that were there with other settings, and have those of the backup now.
    pub replaced: u64,
    /// Keys that were there as they are in the backup.
    pub unchanged: u64,
    /// Keys that were there with other settings, and were left alone.
    pub kept: u64,
    /// Keys whose time is over: left out.
    pub expired: u64,
    /// Aliases that stand for other keys, and were left alone.
    pub aliases_kept: u64,
}

impl Restored {
    /// The sum of two.
    #[must_use]
    pub const fn and(self, more: Self) -> Self {
        Self {
            added: self.added + more.added,
            replaced: self.replaced + more.replaced,
            unchanged: self.unchanged + more.unchanged,
            kept: self.kept + more.kept,
            expired: self.expired + more.expired,
            aliases_kept: self.aliases_kept + more.aliases_kept,
        }
    }
}

impl std::fmt::Display for Restored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { added, replaced, unchanged, kept, expired, aliases_kept } = self;
        write!(
            f,
            "{added} keys were added, {replaced} replaced, {unchanged} were there; {kept} with \
             other settings and {aliases_kept} aliases of other keys were left alone, {expired} \
             expired keys left out"
        )
    }
}

/// A backup as text: a line that says what it is, then a line of JSON for each key.
///
/// # Errors
/// None in practice: what was read from JSON becomes JSON again.
pub fn to_lines(backups: &[KeyBackup]) -> Result<String, serde_json::Error> {
    let mut text = serde_json::json!({ "format": FORMAT }).to_string();
    text.push('\n');
    for backup in backups {
        text.push_str(&serde_json::to_string(backup)?);
        text.push('\n');
    }
    Ok(text)
}

/// Reads what [`to_lines`] writes.
///
/// # Errors
/// The number of the first line that is wrong, and what is wrong with it.
pub fn from_lines(text: &str) -> Result<Vec<KeyBackup>, String> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let first = lines.next().map_or("", |(_, line)| line);
    let first: serde_json::Value = serde_json::from_str(first).unwrap_or_default();
    if first["format"] != FORMAT {
        return Err(format!(
            "this is no backup of stream keys: its first line is not {{\"format\":\"{FORMAT}\"}}; \
             `keys export` makes one"
        ));
    }
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", at + 1))
        })
        .collect()
}

impl Keys {
    /// Changes what a key may do and what is noted about it. Who publishes with it goes on by the
    /// new rules within a second.
    ///
    /// # Errors
    /// As [`Keys::get`]; [`KeyError::Invalid`] if something cannot be.
    pub async fn edit(&self, id: &str, change: &KeyEdit) -> Result<KeyView, KeyError> {
        for _ in 0..TRIES {
            let mut record = self.find(id).await?;
            apply(&mut record.info, change, self.now())?;
            let (hash, info) = (record.hash, record.info.clone());
            if self.store.swap(vec![edit(record)?], vec![hash]).await? {
                let aliases = self.aliases().await?.remove(&hash).unwrap_or_default();
                return Ok(KeyView { hash, info, aliases });
            }
        }
        Err(busy(id))
    }

    /// All keys with all that is known about them, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn export(&self) -> Result<Vec<KeyBackup>, KeyError> {
        let backup = |KeyView { hash, info, aliases }: KeyView| KeyBackup {
            hash: hash.to_string(),
            aliases: aliases.iter().map(|alias| alias.expose().to_owned()).collect(),
            record: info,
        };
        Ok(self.list().await?.into_iter().map(backup).collect())
    }

    /// Takes in keys of a backup. Those that are there with other settings are left alone, unless
    /// they are to be replaced; so are aliases that stand for other keys.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] if one cannot be, before anything is changed; or the store's.
    pub async fn restore(
        &self,
        backups: &[KeyBackup],
        replace: bool,
    ) -> Result<Restored, KeyError> {
        let checked: Result<Vec<_>, KeyError> = backups.iter().map(check).collect();
        let mut all = Restored::default();
        for (hash, aliases, info) in checked? {
            if info.is_expired(self.now()) {
                all.expired += 1;
                continue;
            }
            all = all.and(self.restore_key(hash, &info, replace).await?);
            for alias in aliases {
                if !self.restore_alias(&alias, &hash, replace).await? {
                    all.aliases_kept += 1;
                }
            }
        }
        Ok(all)
    }

    async fn restore_key(
        &self,
        hash: KeyHash,
        info: &KeyInfo,
        replace: bool,
    ) -> Result<Restored, KeyError> {
        let none = Restored::default();
        for _ in 0..TRIES {
            let (change, done) = match self.read(hash).await? {
                None => (put(hash, info)?, Restored { added: 1, ..none }),
                Some(there) if without_use(&there.info) == without_use(info) => {
                    return Ok(Restored { unchanged: 1, ..none });
                }
                Some(_) if !replace => return Ok(Restored { kept: 1, ..none }),
                Some(mut there) => {
                    there.info = info.clone();
                    (edit(there)?, Restored { replaced: 1, ..none })
                }
            };
            if self.store.swap(vec![change], vec![hash]).await? {
                return Ok(done);
            }
        }
        Err(busy(&hash.id()))
    }

    /// False if the name stands for another key, and is to go on to.
    async fn restore_alias(
        &self,
        alias: &Alias,
        hash: &KeyHash,
        replace: bool,
    ) -> Result<bool, KeyError> {
        let name = Name::Alias(alias.clone());
        let there = self.store.read(name.clone()).await?;
        let target = match &there {
            Some(bytes) => self.target(bytes).await?,
            None => None,
        };
        match target {
            Some((target, _)) if target == *hash => return Ok(true),
            Some(_) if !replace => return Ok(false),
            _ => {}
        }
        let was = there.map_or(Precondition::Absent, Precondition::This);
        let becomes = Some(hash.to_string().into_bytes());
        let change = Replacement { name, was, becomes, expires_at: None };
        match self.store.swap(vec![change], vec![hash_of(alias)]).await? {
            true => Ok(true),
            false => Err(busy(alias.expose())),
        }
    }
}

fn apply(info: &mut KeyInfo, change: &KeyEdit, now: u64) -> Result<(), KeyError> {
    let checked = |text: &String| note(text).map_err(|error| KeyError::Invalid(error.to_string()));
    if let Some(owner) = &change.owner {
        info.owner = checked(owner)?;
    }
    if let Some(label) = &change.label {
        info.label = checked(label)?;
    }
    if let Some(lifetime) = change.lifetime {
        let of = |seconds: u64| now.saturating_add(seconds);
        info.expires_at = match lifetime {
            Lifetime::OfType => info.key_type.lifetime_s().map(of),
            Lifetime::Seconds(seconds) => Some(of(seconds)),
            Lifetime::Endless => None,
        };
    }
    if let Some(allowed) = &change.allowed_ips {
        info.allowed_ips.clone_from(allowed);
    }
    info.takeover = change.takeover.unwrap_or(info.takeover);
    let old = info.limits;
    info.limits = KeyLimits {
        bitrate_bps: change.bitrate_bps.unwrap_or(old.bitrate_bps),
        viewers: change.viewers.unwrap_or(old.viewers),
        max_width: change.max_width.unwrap_or(old.max_width),
        max_height: change.max_height.unwrap_or(old.max_height),
        max_fps: change.max_fps.unwrap_or(old.max_fps),
    };
    Ok(())
}

/// What a store would refuse of a key that it made itself is refused of one in a backup.
fn check(backup: &KeyBackup) -> Result<(KeyHash, Vec<Alias>, KeyInfo), KeyError> {
    let wrong = |text: &dyn std::fmt::Display| {
        let shown: String = backup.hash.chars().take(16).collect();
        KeyError::Invalid(format!("the key {shown} of the backup: {text}"))
    };
    let hash = KeyHash::from_hex(&backup.hash);
    let hash = hash.ok_or_else(|| wrong(&"its `hash` is not 64 hexadecimal digits"))?;
    let mut info = backup.record.clone();
    info.stream = public_name(&info.stream).map_err(|error| wrong(&error))?;
    info.owner = note(&info.owner).map_err(|error| wrong(&error))?;
    info.label = note(&info.label).map_err(|error| wrong(&error))?;
    let aliases: Result<_, _> = backup.aliases.iter().map(|alias| alias_of(alias)).collect();
    Ok((hash, aliases?, info))
}

/// What was counted about a key is no setting of it.
fn without_use(info: &KeyInfo) -> KeyInfo {
    KeyInfo { last_used_at: None, failed_attempts: 0, ..info.clone() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::control::keystore::{NewKey, embedded};

    const NOW: u64 = 1_700_000_000;

    fn keys() -> (tempfile::TempDir, Keys) {
        let dir = tempfile::tempdir().unwrap();
        let store = embedded::open(dir.path()).unwrap();
        (dir, Keys::new(Arc::new(store), || NOW))
    }

    fn studio() -> NewKey {
        NewKey {
            alias: Some("studio".to_owned()),
            limits: KeyLimits { viewers: Some(7), ..KeyLimits::default() },
            ..NewKey::for_stream("live/a")
        }
    }

    #[tokio::test]
    async fn an_edit_changes_what_it_names_and_tells_who_listens() {
        let (_dir, keys) = keys();
        let made = keys.create(studio()).await.unwrap().view;
        let mut changes = keys.changes();
        let change = KeyEdit {
            label: Some("Camera 2".to_owned()),
            lifetime: Some(Lifetime::Endless),
            bitrate_bps: Some(Some(6_000_000)),
            viewers: Some(None),
            ..KeyEdit::default()
        };
        let edited = keys.edit("studio", &change).await.unwrap();
        assert_eq!(edited, keys.get(&made.id()).await.unwrap());
        assert_eq!((edited.info.label.as_str(), edited.info.expires_at), ("Camera 2", None));
        let limits = edited.info.limits;
        assert_eq!((limits.bitrate_bps, limits.viewers), (Some(6_000_000), None));
        assert_eq!((edited.info.stream, edited.aliases.len()), (made.info.stream, 1));
        changes.try_recv().unwrap();
        let bad = KeyEdit { owner: Some("two\nlines".to_owned()), ..KeyEdit::default() };
        assert!(matches!(keys.edit("studio", &bad).await, Err(KeyError::Invalid(_))));
        assert!(matches!(keys.edit("nobody", &change).await, Err(KeyError::NotFound(_))));
    }

    #[tokio::test]
    async fn a_store_comes_back_from_its_backup_and_no_key_is_in_that() {
        let (_dir, old) = keys();
        let made = old.create(studio()).await.unwrap();
        let plain = old.create(NewKey::for_stream("live/b")).await.unwrap();
        old.revoke(&plain.view.id()).await.unwrap();
        let text = to_lines(&old.export().await.unwrap()).unwrap();
        assert!(!text.contains(made.key.expose()) && !text.contains(plain.key.expose()));

        let (_dir, new) = keys();
        let backups = from_lines(&text).unwrap();
        let restored = new.restore(&backups, false).await.unwrap();
        assert_eq!(restored, Restored { added: 2, ..Restored::default() });
        assert_eq!(new.list().await.unwrap(), old.list().await.unwrap());
        let found = new.look_up(&made.key.hash(), None).await.unwrap().unwrap();
        assert_eq!(found.info.stream, "live/a");
        let again = new.restore(&backups, true).await.unwrap();
        assert_eq!(again, Restored { unchanged: 2, ..Restored::default() });
    }

    #[tokio::test]
    async fn what_was_changed_since_a_backup_stays_unless_it_is_to_be_replaced() {
        let (_dir, keys) = keys();
        let made = keys.create(studio()).await.unwrap();
        let backups = keys.export().await.unwrap();
        keys.revoke("studio").await.unwrap();
        let other = keys.create(NewKey::for_stream("live/b")).await.unwrap();
        keys.set_alias(&other.view.id(), "studio").await.unwrap();
        let kept = keys.restore(&backups, false).await.unwrap();
        assert_eq!(kept, Restored { kept: 1, aliases_kept: 1, ..Restored::default() });
        assert!(keys.get(&made.view.id()).await.unwrap().info.revoked, "still revoked");
        let replaced = keys.restore(&backups, true).await.unwrap();
        assert_eq!(replaced, Restored { replaced: 1, ..Restored::default() });
        assert_eq!(keys.get("studio").await.unwrap(), made.view);
    }

    #[tokio::test]
    async fn a_backup_that_cannot_be_changes_nothing_and_expired_keys_are_left_out() {
        let (_dir, keys) = keys();
        let good = KeyBackup {
            hash: KeyHash::of("k").to_string(),
            aliases: Vec::new(),
            record: KeyInfo::new(crate::keys::KeyType::Regular, "live/a", NOW),
        };
        for bad in [
            KeyBackup { hash: "12".to_owned(), ..good.clone() },
            KeyBackup { aliases: vec!["a b".to_owned()], ..good.clone() },
            KeyBackup {
                record: KeyInfo { stream: "../x".to_owned(), ..good.record.clone() },
                ..good.clone()
            },
        ] {
            let result = keys.restore(&[good.clone(), bad], false).await;
            assert!(matches!(result, Err(KeyError::Invalid(_))), "{result:?}");
        }
        assert!(keys.list().await.unwrap().is_empty());
        let mut old = good;
        old.record.expires_at = Some(NOW);
        let restored = keys.restore(&[old], false).await.unwrap();
        assert_eq!(restored, Restored { expired: 1, ..Restored::default() });
        for bad in ["", "{}", "{\"format\":\"x\"}\n", "key"] {
            assert!(from_lines(bad).unwrap_err().contains("no backup"), "{bad}");
        }
        let damaged = format!("{{\"format\":\"{FORMAT}\"}}\n\n{{\"hash\":1}}\n");
        assert!(from_lines(&damaged).unwrap_err().starts_with("line 3: "));
    }
}
