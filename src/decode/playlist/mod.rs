//! Playlists: the files that they name, and the order in which those are played.

mod listing;
mod m3u;
mod running_order;

pub use listing::{Refused, list};
pub use running_order::{Entry, RunningOrder};
