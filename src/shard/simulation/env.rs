//! Surroundings of a peer: the time, chance, and what it may decide.

use super::programme::Sources;
use super::rng::Rng;
use crate::frame::PacketPool;
use crate::media::Micros;

/// What peers share: the time, the names of streams, and where numbers come from.
pub(super) struct Env<'a> {
    pub(super) now: Micros,
    pub(super) rng: &'a mut Rng,
    pub(super) sources: &'a mut Sources,
    pub(super) pool: &'a PacketPool,
    /// Public names, of which the sources have the numbers.
    pub(super) names: &'a [&'static str],
    /// Whether nothing goes wrong any more.
    pub(super) is_calm: bool,
}

/// How a peer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    /// Say that nothing more will come.
    Leave,
    Reset,
}
