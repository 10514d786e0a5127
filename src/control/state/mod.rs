//! The state of the whole node in one place: a snapshot that a periodic query and events keep up
//! to date, and its changes, numbered, for whoever follows them.

mod board;
mod collector;
mod composition;
mod events;
mod fallbacks;
mod figures;
mod happened;
mod hours;
mod input_rules;
mod model;
mod recordings;
mod relays;
mod rendition;
mod series;
mod speed;
mod transcodes;

pub use board::{Board, Catchup, EVENTS_MAX};
pub use collector::{NodeDescription, StateCollector, flv_base, stream_of};
pub use composition::Composition;
pub use fallbacks::Fallback;
pub use figures::{Latency, named};
pub use happened::Event;
pub use input_rules::InputRule;
pub use model::{
    Channel, Cores, Driver, Key, KeyUse, Node, Recording, Snapshot, Stream, held, key_uses,
};
pub use relays::{Output, Pull, Push};
pub use transcodes::Transcode;
