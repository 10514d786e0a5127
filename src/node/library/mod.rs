//! Library: what other programs call. A pipeline that takes their frames, an encoder, an RTMP
//! server and the manager that runs the three; or a whole node.

mod control_thread;
mod encoder_input;
mod keys;
mod live_node;
mod manager;
mod parts;

pub use encoder_input::EncoderInput;
pub use keys::AddedKey;
pub use live_node::LiveNode;
pub use manager::StreamManager;
pub use parts::{Encoder, Invalid, Pipeline, RtmpServer};
