//! Schedules of channels while they run: the clock is looked at, scenes are taken, and what was
//! shown is written down.

mod as_run;
mod list;

pub(crate) use list::{Loaded, Schedules, Taking};
