//! Start errors of a node, and the exit code of each.

use std::fmt;

use crate::config::OPEN_TO_ALL;
use crate::control::channels::error::ChannelError;
use crate::control::hooks::{HooksError, JournalError};
use crate::control::keystore::StoreError;
use crate::node::listen::ListenError;
use crate::runtime::{Failure, PlanError};
use crate::scene;

/// Why a node could not start. Everything that was already started has been ended again.
#[derive(Debug)]
pub enum StartError {
    /// The machine lacks something: exit code 78.
    Machine(Failure),
    /// Anybody could publish: exit code 2.
    OpenToAll,
    /// The configuration asks for what is not there: exit code 2.
    Cores(PlanError),
    /// A scene of the channel of this name cannot be shown: exit code 2.
    Scene(String, scene::Error),
    /// The channel of this name shows another program's frames, which have no other size: exit code
    /// 2.
    Native(String),
    /// An encoder of the channel of this name cannot be opened: exit code 2.
    Encoder(String, crate::encode::Error),
    /// An encoder of the channel of this name has not opened within this time: exit code 2.
    EncoderSilent(String, std::time::Duration),
    /// The RTMP port cannot be had.
    Listen(ListenError),
    /// The data directory cannot be used.
    Store(StoreError),
    /// The certificate cannot be used: exit code 2.
    Tls(crate::tls::Error),
    /// The journal cannot be written.
    Journal(JournalError),
    /// The memory cannot be had.
    Memory(crate::frame::Error),
    /// The system has no thread for us.
    Thread(std::io::Error),
}

impl StartError {
    /// The process's exit code.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Machine(_) => 78,
            Self::OpenToAll
            | Self::Cores(_)
            | Self::Scene(..)
            | Self::Native(_)
            | Self::Encoder(..)
            | Self::EncoderSilent(..)
            | Self::Tls(_) => 2,
            Self::Listen(_)
            | Self::Store(_)
            | Self::Journal(_)
            | Self::Memory(_)
            | Self::Thread(_) => 1,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(error) => write!(f, "{error}"),
            Self::OpenToAll => f.write_str(OPEN_TO_ALL),
            Self::Cores(error) => write!(f, "{error}"),
            Self::Scene(channel, error) => write!(f, "channel {channel}: {error}"),
            Self::Native(channel) => ChannelError::Native(channel.clone()).fmt(f),
            Self::Encoder(channel, error) => write!(f, "channel {channel}: encoder: {error}"),
            Self::EncoderSilent(channel, limit) => {
                let seconds = limit.as_secs();
                write!(f, "channel {channel}: its encoder has not opened within {seconds} s")
            }
            Self::Listen(error) => write!(f, "{error}"),
            Self::Store(error) => write!(f, "{error}"),
            Self::Tls(error) => write!(f, "{error}"),
            Self::Journal(error) => write!(f, "{error}"),
            Self::Memory(error) => write!(f, "{error}"),
            Self::Thread(error) => {
                write!(f, "cannot start a thread: {error}; raise `ulimit -u` or free memory")
            }
        }
    }
}

impl std::error::Error for StartError {}

impl From<ChannelError> for StartError {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::Scene(channel, error) => Self::Scene(channel, error),
            ChannelError::Native(channel) => Self::Native(channel),
            ChannelError::Encoder(channel, error) => Self::Encoder(channel, error),
            ChannelError::EncoderSilent(channel, limit) => Self::EncoderSilent(channel, limit),
            ChannelError::Memory(error) => Self::Memory(error),
            ChannelError::Thread(error) => Self::Thread(error),
        }
    }
}

impl From<HooksError> for StartError {
    fn from(error: HooksError) -> Self {
        match error {
            HooksError::Journal(error) => Self::Journal(error),
            HooksError::Tls(error) => Self::Tls(error),
        }
    }
}
