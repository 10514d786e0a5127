//! State of a program that sends frames, from its messages.

use std::os::fd::OwnedFd;

use super::error::FrameError;
use super::message::{self, Hello, Message};
use super::slots::Slots;
use crate::decode::decoded::Decoded;

/// A connected program. After an error it is of no more use: its connection ends.
#[derive(Debug, Default)]
pub struct FrameClient {
    slots: Option<Slots>,
}

/// What a message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// Its first: it is to be welcomed.
    Hello(Hello),
    /// A frame, which has been copied out of its slot.
    Frame {
        /// May be written again.
        slot: u32,
        /// When to show it, microseconds of `CLOCK_MONOTONIC`; 0 is at once.
        time_us: u64,
    },
}

impl FrameClient {
    /// Handles a message with the descriptors that came with it.
    ///
    /// # Errors
    /// If it is not what the protocol says, or the memory is not as the hello said.
    pub fn handle(
        &mut self,
        bytes: &[u8],
        descriptors: Vec<OwnedFd>,
    ) -> Result<Handled, FrameError> {
        let count = descriptors.len();
        match (message::read(bytes)?, &mut self.slots) {
            (Message::Hello(_), Some(_)) => Err(FrameError::Again),
            (Message::Hello(hello), None) => {
                let [memory] = <[OwnedFd; 1]>::try_from(descriptors)
                    .map_err(|_| FrameError::Descriptors(count))?;
                self.slots = Some(Slots::new(hello, memory)?);
                Ok(Handled::Hello(hello))
            }
            (Message::Frame(_), _) if count > 0 => Err(FrameError::Descriptors(count)),
            (Message::Frame(_), None) => Err(FrameError::Early),
            (Message::Frame(bytes), Some(slots)) => {
                let frame = message::frame(bytes, slots.hello())?;
                slots.read(frame.slot, frame.rows())?;
                Ok(Handled::Frame { slot: frame.slot, time_us: frame.time_us })
            }
        }
    }

    /// What it has said first.
    #[must_use]
    pub const fn hello(&self) -> Option<&Hello> {
        match &self.slots {
            Some(slots) => Some(slots.hello()),
            None => None,
        }
    }

    /// Whether it has sent a picture.
    #[must_use]
    pub fn has_picture(&self) -> bool {
        self.picture().is_some()
    }

    pub(super) fn picture(&self) -> Option<&Decoded> {
        self.slots.as_ref()?.picture()
    }
}
