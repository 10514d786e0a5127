//! Atomics that threads of the node share beside rings: the doorbell of a consumer and the set of
//! a pool's free slots.
//!
//! A crate of its own with next to no dependencies, so that the very types that the node runs are
//! model-checked: `RUSTFLAGS="--cfg loom" cargo test --release -p stream-manager-sync`.

mod atomics;
mod doorbell;
mod free_slots;

pub use doorbell::Bell;
pub use free_slots::FreeSlots;
