//! obs-websocket protocol 5: one channel of the node as an OBS, for the programs that control OBS.
//! Requests become those of the API; what they do not name does not exist here.

mod context;
mod events;
mod inputs;
mod outputs;
mod programme;
mod protocol;
mod refusal;
mod requests;
mod scenes;
mod server;
mod session;
mod transitions;
mod volumes;

pub use self::context::ObsAccess;
pub(in crate::control::http) use self::server::routes;
