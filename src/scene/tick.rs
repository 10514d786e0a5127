//! Tick: the moment a frame is composed for.

use crate::media::Micros;

/// One tick of a programme's clock, with every time that a source may show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tick {
    /// Its number since the programme's start.
    pub n: u64,
    /// When it is due, on the node's clock: pictures of live sources are chosen by it.
    pub at: Micros,
    /// Time since the programme's start: movement follows it.
    pub programme: Micros,
    /// Milliseconds since 1970-01-01 UTC: clocks show it.
    pub unix_ms: u64,
}
