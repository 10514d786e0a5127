//! Encoder errors, by what the encoder's owner does next.

use std::fmt;

/// Why an encoder does not encode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// This machine cannot open that backend: try the next candidate.
    Unavailable(String),
    /// It is asked for something that it does not do: the user changes the named setting.
    Config(String),
    /// The encoder failed while it worked: drop it and open another.
    Device(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(text) | Self::Config(text) | Self::Device(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}
