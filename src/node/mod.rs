//! The node: plans, reserves, binds and starts every part of it from the configuration, joins them,
//! and ends them in the reverse order.

mod channel_set;
mod front;
mod late;
mod library;
mod listen;
mod plan;
mod program;
mod running;
mod spawn;
mod start;
mod start_error;
#[cfg(test)]
mod tests;
mod tls;

pub use library::{
    AddedKey, Encoder, EncoderInput, Invalid, LiveNode, Pipeline, RtmpServer, StreamManager,
};
pub use listen::ListenError;
pub use plan::ProcessAccess;
pub use program::{Origin, run};
pub use running::Node;
pub use start_error::StartError;
