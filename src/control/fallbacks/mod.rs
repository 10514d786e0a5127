//! Streams with a fallback: the threads that pass them on, and the channels that fill their gaps.

mod format;
mod link;
mod list;

pub(crate) use link::Report;
pub(crate) use list::{Action, Fallbacks};
