//! The Stream Manager: builds every stage from the configuration, joins them, runs them, and ends
//! them in order.

mod channels;
mod desk;
mod library;
mod listen;
mod node;
mod relay;
mod run;

pub use library::{Encoder, Feed, Invalid, Pipeline, RtmpServer, StreamManager};
pub use listen::ListenError;
pub use node::{Node, StartError};
pub use run::run;
