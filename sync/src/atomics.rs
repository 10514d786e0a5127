//! Atomic types: the standard ones, or loom's when every order of steps is tried.

#[cfg(not(loom))]
pub(crate) use {
    atomic_waker::AtomicWaker,
    std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence},
};

#[cfg(loom)]
pub(crate) use loom::{
    future::AtomicWaker,
    sync::atomic::{AtomicBool, AtomicU64, Ordering, fence},
};
