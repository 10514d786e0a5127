//! Stream keys: what they are, what is kept of them, whom they let in, and the memory of recent
//! decisions that keeps look-ups off the data plane. Pure: no store, no clock, no randomness.

mod address;
mod cache;
mod hex;
mod info;
mod key;
mod name;
mod picture;
mod policy;
mod rate;
mod record;

pub use address::{AddressRange, BadAddressRange};
pub use cache::{CacheSpec, DecisionCache, Lookup};
pub use info::{KeyInfo, KeyLimits, KeyType, Takeover, plain_limits};
pub use key::{KEY_CHARS_MIN, KeyHash, StreamKey, is_guessable};
pub use name::{Alias, NameError, is_key_shaped, note, public_name};
pub use picture::Announced;
pub use policy::{Decision, Denial, Grant, Moment, Shown, decide};
pub use rate::RateLimit;
