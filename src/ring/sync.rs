//! The atomics of the rings: the standard ones, or loom's when the order of steps is model-checked.

#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicBool, Ordering, fence};
#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicBool, Ordering, fence};
