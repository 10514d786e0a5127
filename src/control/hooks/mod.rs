//! Hooks: webhooks, the program that embeds the node, and the journal are told of events, and some
//! are asked first. All of it is on the control plane; nothing here is waited for but by the
//! connection that is being decided about.

mod client;
mod journal;
mod payload;
mod program;
mod queue_share;
mod service;
mod sign;
mod subscriber;
mod verdict;
mod webhook;

pub(in crate::control) use journal::Journal;
pub use journal::JournalError;
pub use program::{Asked, Hooks, Verdict};
pub(crate) use service::{HookService, HooksError};
pub use subscriber::Subscriber;
