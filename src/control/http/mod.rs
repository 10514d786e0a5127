//! The node's HTTP side: health, readiness, metrics, the dashboard, the API and what other tools
//! know. No secret is in any answer, but for a new stream key in the one that makes it.

mod api;
mod compat;
mod cors;
mod dashboard;
mod flv;
mod head;
mod lobby;
mod origin;
mod rate_limiter;
mod readiness;
mod router;
mod rules;
mod serve;
mod shared;
mod status;

pub use self::api::{Api, CLI_AGENT, ObsAccess};
pub use self::readiness::Readiness;
pub use self::rules::HttpRules;
pub use self::serve::{BindError, Port, bind, serve, serve_obs_websocket};
pub use self::shared::{HttpState, NodeInfo};

#[cfg(test)]
pub(in crate::control::http) mod tests;
