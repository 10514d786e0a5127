//! `/api/v1`: the node as JSON, and what can be changed while it runs. `openapi.json` is made from
//! the handlers themselves.

mod actor;
mod ask;
mod assets;
mod audio;
mod backup;
mod channels;
mod clips;
mod composition;
mod context;
mod data;
mod fallbacks;
mod file_body;
mod followers;
mod fresh;
mod gate;
mod input_rules;
mod keys;
mod latency;
mod node;
mod obs;
mod on_disk;
mod openapi;
mod outputs;
mod playback;
mod preview;
mod problem;
mod profile;
mod pulls;
mod pushes;
mod query;
mod recordings;
mod routes;
mod schedule;
mod snapshots;
mod streams;
mod traces;
mod transcodes;
mod ws;

pub use self::actor::CLI_AGENT;
pub use self::context::Api;
pub(super) use self::followers::Followers;
pub(super) use self::gate::{Peer, with_token_or_from_here};
pub use self::obs::ObsAccess;
pub(super) use self::obs::routes as obs_routes;
pub(super) use self::routes::routes;
pub(super) use self::ws::Stop;

#[cfg(test)]
pub(super) mod tests;
