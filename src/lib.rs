//! A live-streaming node.

pub mod encode;
pub mod ffi;
pub mod frame;
pub mod media;
pub mod ring;
pub mod rtmp;
pub mod runtime;
pub mod stats;
pub mod stream;
