//! Frames of another program: its messages, the memory that it shares, and its pictures at the
//! sizes that they have on the canvas. `docs/frames.md` is the protocol.

mod client;
mod error;
mod limits;
mod message;
mod slots;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod view;

pub use client::{FrameClient, Handled};
pub use limits::{CLIENT_MESSAGE_BYTES_MAX, FRAMES_PER_SECOND_MAX};
pub use message::{Hello, Reply};
pub use view::{FrameView, FrameViewSpec};
