//! Transcodes of a node: which streams have renditions, when these are made, and their encoders.

mod ladder;
mod list;
mod rule;

pub(crate) use ladder::Report;
pub(crate) use list::{Action, Transcodes};
