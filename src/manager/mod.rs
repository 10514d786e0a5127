//! The Stream Manager: builds every stage from the configuration, joins them, runs them, and ends
//! them in order.

mod channels;
mod desk;
mod keydesk;
mod keys_command;
mod keystore;
mod library;
mod listen;
mod node;
mod run;

pub use keys_command::keys_command;
pub use library::{AddedKey, Encoder, Feed, Invalid, Pipeline, RtmpServer, StreamManager};
pub use listen::ListenError;
pub use node::{Node, StartError};
pub use run::run;
