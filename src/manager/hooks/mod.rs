//! Who is told what happens on the node, and who is asked first: webhooks, the program that embeds
//! it, and the journal. All of it is on the control plane; nothing here is waited for but by the
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
