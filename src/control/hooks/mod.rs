//! Hooks: webhooks, the program that embeds the node, and the journal are told of events, and some
//! are asked first. All of it is on the control plane; nothing here is waited for but by the
//! connection that is being decided about.

mod client;
mod desk;
mod journal;
mod payload;
mod program;
mod room;
mod sign;
mod subscriber;
mod verdict;
mod webhook;

pub(super) use desk::HookDesk;
pub use journal::JournalError;
pub use program::{Asked, Hooks, Verdict};
pub use subscriber::Subscriber;
