//! Output rules: how an output is treated, beyond where it goes.

use serde::{Deserialize, Serialize};

use crate::media::Micros;
use crate::stream::DropPolicy;

/// When an output gives up messages, and when it gives up its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRules {
    /// When it drops; `None` means like every other reader of the node.
    pub drop: Option<DropPolicy>,
    /// Without any progress for this long the connection is closed and made anew.
    pub stall_timeout: Micros,
}

impl OutputRules {
    /// [`OutputRules::stall_timeout`] if nobody says otherwise.
    pub const STALL_TIMEOUT: Micros = Micros::from_secs(8);
}

impl Default for OutputRules {
    fn default() -> Self {
        Self { drop: None, stall_timeout: Self::STALL_TIMEOUT }
    }
}
