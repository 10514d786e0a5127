//! A live-streaming node.

pub mod frame;
pub mod media;
pub mod ring;
