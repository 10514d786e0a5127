//! Channel errors: why a channel cannot be built.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::{encode, frame, scene};

/// Why a channel cannot be built. What was started for it has been ended again.
#[derive(Debug)]
pub(crate) enum ChannelError {
    /// A scene of the channel of this name cannot be shown.
    Scene(String, scene::Error),
    /// The channel of this name shows another program's frames, which have no other size.
    Native(String),
    /// An encoder of the channel of this name cannot be opened.
    Encoder(String, encode::Error),
    /// An encoder of the channel of this name has not opened within this time.
    EncoderSilent(String, Duration),
    /// The memory cannot be had.
    Memory(frame::Error),
    /// The system has no thread for us.
    Thread(io::Error),
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scene(channel, error) => write!(f, "channel {channel}: {error}"),
            Self::Native(channel) => write!(
                f,
                "channel {channel}: it shows another program's frames, which cannot be drawn at \
                 another size: write `render = \"scaled\"` in its [[channel.rendition]]"
            ),
            Self::Encoder(channel, error) => write!(f, "channel {channel}: encoder: {error}"),
            Self::EncoderSilent(channel, limit) => {
                let seconds = limit.as_secs();
                write!(f, "channel {channel}: its encoder has not opened within {seconds} s")
            }
            Self::Memory(error) => write!(f, "{error}"),
            Self::Thread(error) => {
                write!(f, "cannot start a thread: {error}; raise `ulimit -u` or free memory")
            }
        }
    }
}

impl std::error::Error for ChannelError {}
