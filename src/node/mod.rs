//! The Stream Manager: builds every stage from the configuration, joins them, runs them, and ends
//! them in order.

mod assets;
mod change;
mod channels;
mod desk;
mod facts;
mod front;
mod hooks;
mod keeper;
mod keydesk;
mod keys_bench;
mod keys_command;
mod keystore;
mod library;
mod limits;
mod listen;
mod live_channels;
mod node;
mod outputs;
mod place;
mod pulls;
mod recordings;
mod relay;
mod reload;
mod rules;
mod run;
mod scenes;
mod secure;
mod sources;
mod spec;
mod start_error;
mod surveys;
mod troubles;

pub(crate) use assets::faults as asset_faults;
pub use hooks::{Asked, Hooks, JournalError, Subscriber, Verdict};
pub use keys_bench::keys_bench;
pub use keys_command::{config_export, keys_command};
pub use library::{
    AddedKey, Encoder, Feed, Invalid, LiveNode, Pipeline, RtmpServer, StreamManager,
};
pub use listen::ListenError;
pub use node::Node;
pub use run::{Origin, run};
pub use start_error::StartError;
