//! Task of an encoder on a GPU: what is encoded, and how its size is controlled.

use crate::encode::VideoSpec;
use crate::frame::PacketPool;

/// How the size of pictures is controlled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RateControl {
    /// A constant bitrate.
    Cbr,
    /// A variable one, of which the mean is the highest.
    Vbr,
    /// None: a constant quantiser.
    Cqp(u8),
}

impl RateControl {
    /// libavcodec's name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cbr => "CBR",
            Self::Vbr => "VBR",
            Self::Cqp(_) => "CQP",
        }
    }

    /// Whether a bitrate is kept.
    pub(super) const fn keeps_rate(self) -> bool {
        !matches!(self, Self::Cqp(_))
    }
}

/// What an instance is opened for.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) spec: &'a VideoSpec,
    pub(super) rate: RateControl,
    /// The level that the header says, if it must be a certain one.
    pub(super) level: Option<u8>,
    /// Where packets go.
    pub(super) pool: &'a PacketPool,
}
