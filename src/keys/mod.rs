//! Stream keys: what they are, what is kept of them, whom they let in, and the memory of recent
//! decisions that keeps look-ups off the data plane. Pure: no store, no clock, no randomness.

mod cache;
mod hex;
mod info;
mod key;
mod policy;

pub use cache::{DecisionCache, Lookup};
pub use info::{AddressRange, BadAddressRange, KeyInfo, KeyType};
pub use key::{KeyHash, StreamKey};
pub use policy::{Decision, Denial, decide};
