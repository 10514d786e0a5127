//! Layer events, as lines for people.

use std::fmt;

use super::NodeEvent;
use super::printable::Printable;

impl NodeEvent {
    /// What there is to say of a layer; nothing of anything else.
    pub(super) fn fmt_of_layer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AssetFailed { channel, layer, reason, retry_in } => {
                let (layer, reason) = (Printable(layer), Printable(reason));
                let seconds = retry_in.secs_f64();
                write!(
                    f,
                    "channel {channel} goes on without what {layer} shows or plays and tries again \
                     in {seconds:.0} s: {reason}"
                )
            }
            Self::AssetRestored { channel, layer } => {
                write!(f, "channel {channel} shows or plays {} again", Printable(layer))
            }
            Self::PlaybackStarted { channel, layer } => {
                write!(f, "channel {channel} begins to play {}", Printable(layer))
            }
            Self::PlaybackEnded { channel, layer } => {
                write!(f, "channel {channel} has played {} to its end", Printable(layer))
            }
            Self::InputConnected { channel, layer, what } => {
                write!(f, "channel {channel} shows {what} in {}", Printable(layer))
            }
            Self::InputLost { channel, layer, reason } => {
                let (layer, reason) = (Printable(layer), Printable(reason));
                write!(f, "channel {channel} goes on without the input of {layer}: {reason}")
            }
            _ => Ok(()),
        }
    }
}
