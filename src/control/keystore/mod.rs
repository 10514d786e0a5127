//! Key store: where stream keys are kept, and all operations on them. Never called from the data
//! plane.
//!
//! A [`KeyStore`] is a small map with compare-and-swap and a notice of each change; there is one in
//! a file and one in Redis. [`Keys`] is everything about keys, once, on top of either.

mod change;
mod development;
pub mod embedded;
mod error;
mod health;
mod keys;
mod keys_types;
mod records;
pub mod redis;
pub mod show;

#[cfg(test)]
mod tests;

use std::fmt;
use std::pin::Pin;

use tokio::sync::broadcast;

use crate::keys::{Alias, KeyHash, StreamKey};

pub use change::{KeyBackup, KeyEdit, Restored, from_lines, to_lines};
pub use error::StoreError;
pub use keys::Keys;
pub use keys_types::{KeyError, KeyView, Lifetime, Made, NewKey, Usage};

/// Keys a store holds at most. Further ones are refused with the way out.
pub const KEYS_MAX: u64 = 100_000;

/// Notices that may wait for a slow listener; one that misses some is told so.
const NOTICES_MAX: usize = 1_024;

/// What a store's call gives, later.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A place that keeps what is known about keys, by their hashes. Never the keys themselves.
pub trait KeyStore: fmt::Debug + Send + Sync {
    /// The record of this name.
    fn read(&self, name: Name) -> Reply<'_, Option<Vec<u8>>>;

    /// All records of a kind whose name begins with `prefix`, in no order.
    fn scan(&self, kind: Kind, prefix: String) -> Reply<'_, Vec<(Name, Vec<u8>)>>;

    /// Makes all the changes, or none and says false if one of the records is not what it was
    /// thought to be; then tells everybody about `notices`. A Redis Cluster makes them one after
    /// the other, so that it matters that each prefix of them is audio.
    fn swap(&self, changes: Vec<Replacement>, notices: Vec<KeyHash>) -> Reply<'_, bool>;

    /// Why it does not do what it should at present, in words without secrets; `None` if it does.
    fn trouble(&self) -> Option<&'static str>;

    /// Finds out whether it works again, or still.
    fn probe(&self) -> Reply<'_, ()>;

    /// What others and we change from now on. Needs a tokio runtime.
    fn changes(&self) -> broadcast::Receiver<Notice>;
}

/// What kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `stream:key:<hash>`: the key's information as JSON.
    Key,
    /// `stream:alias:<alias>`: the hash of the key it stands for, as 64 hexadecimal digits.
    Alias,
}

/// Name of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// Of a key.
    Key(KeyHash),
    /// Of an alias.
    Alias(Alias),
    /// That there was a key or an alias with this hash, and that it was deleted.
    Gone(KeyHash),
}

/// What a record has to be for a change to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Not there.
    Absent,
    /// This.
    This(Vec<u8>),
    /// This, and not what it becomes either: for what must not be done twice, such as counting.
    Only(Vec<u8>),
    /// Anything, or not there.
    Anything,
}

/// One change of one record. A record that is already what it becomes is as good as changed,
/// because an answer may have been lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// Which.
    pub name: Name,
    /// What it has to be before.
    pub was: Precondition,
    /// What it is afterwards: `None` for not there.
    pub becomes: Option<Vec<u8>>,
    /// Unix time, seconds, at which the store may forget it; `None` for what it was, or never.
    pub expires_at: Option<u64>,
}

/// What a store tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The key with this hash has changed, or the alias whose name has this hash.
    Changed(KeyHash),
    /// Any key may have changed: notices were lost, or the store was away.
    Unsure,
}

/// The node's own key, to try things with: good for 24 hours after each start, from anywhere.
#[derive(Clone, Debug)]
pub struct DevelopmentKey {
    /// The key, to be shown to whoever starts the node.
    pub key: StreamKey,
    /// Public name it publishes under.
    pub stream: String,
    /// Unix time, seconds, from which on it is no good.
    pub expires_at: u64,
}
