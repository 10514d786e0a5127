//! Plan of a node: what runs where, and what it may change of its process. Nothing is taken yet.

use super::start_error::StartError;
use crate::config::Config;
use crate::control::channels::build::Frames;
use crate::control::hooks::Hooks;
use crate::runtime::{Clock, CorePlan, RaisedLimits, allowed_cpus, preflight};

/// What a node is, beyond its configuration.
pub(super) struct Setup {
    /// Where the pictures of its channels come from.
    pub(super) frames: Frames,
    /// Whether it is a program of its own: it keeps what is changed, and has a data directory
    /// whether one is named or not.
    pub(super) is_program: bool,
    /// What it may change of its process.
    pub(super) process: ProcessAccess,
    /// Who is asked before somebody connects, publishes or plays.
    pub(super) hooks: Hooks,
}

/// What a node may change of the process that it runs in, for as long as it runs. By default
/// nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessAccess {
    /// Raise the soft limits of open files and locked memory to the hard ones.
    pub raise_limits: bool,
    /// Send FFmpeg's log to `tracing`, by its process-wide callback.
    pub ffmpeg_log: bool,
}

/// What runs where, once nothing speaks against starting at all.
pub(super) struct Plan {
    pub(super) cores: CorePlan,
    pub(super) clock: Clock,
    /// Given back when the node has ended.
    pub(super) process: ProcessChanges,
}

impl Plan {
    pub(super) fn new(config: &Config, setup: &Setup) -> Result<Self, StartError> {
        if config.rtmp.is_open_to_all() {
            return Err(StartError::OpenToAll);
        }
        let process = ProcessChanges::make(setup.process);
        let driver = preflight(config.cores.driver).map_err(StartError::Machine)?;
        tracing::info!("shard driver {driver}");
        config.relays_to_itself().iter().for_each(|text| tracing::warn!("{text}"));
        let cores = CorePlan::new(&config.cores, &allowed_cpus(), driver);
        let cores = cores.map_err(StartError::Cores)?;
        let crowded = cores.spun_away();
        if !crowded.is_empty() {
            tracing::warn!(
                "[cores] net_spin_us: shards spin on the CPUs {crowded:?}, which other roles of \
                 this node use too; give those CPUs to net alone"
            );
        }
        Ok(Self { cores, clock: Clock::start(), process })
    }
}

/// What was changed of the process. Dropping it gives that back.
#[derive(Debug)]
pub(super) struct ProcessChanges {
    _limits: Option<RaisedLimits>,
    _log: Option<crate::ffi::av::LogRedirect>,
}

impl ProcessChanges {
    fn make(access: ProcessAccess) -> Self {
        Self {
            _limits: access.raise_limits.then(RaisedLimits::raise),
            _log: access.ffmpeg_log.then(crate::ffi::av::LogRedirect::begin),
        }
    }
}
