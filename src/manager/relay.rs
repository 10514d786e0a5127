//! Pulls, pushes and recordings: from the configuration to what the shards are given.

use std::sync::Arc;

use super::outputs::Outputs;
use super::recordings::Recordings;
use super::start_error::StartError;
use crate::command::OutputSpec;
use crate::config::{Config, PullMode};
use crate::pipeline::{PullSpec, RelayParts};
use crate::stats::{LineStats, OutputEntry, PullEntry, RecordEntry};

/// What a node relays, while it is being built.
#[derive(Default)]
pub(super) struct Relay {
    /// For the shard that pulls and records.
    pub(super) parts: RelayParts,
    /// For the shard that pushes.
    pub(super) outputs: Vec<OutputSpec>,
    pub(super) output_entries: Vec<OutputEntry>,
    pub(super) pull_entries: Vec<PullEntry>,
    pub(super) record_entries: Vec<RecordEntry>,
}

impl Relay {
    /// Starts the writers of recordings, and describes everything else.
    pub(super) fn build(
        config: &Config,
        outputs: &mut Outputs,
        recordings: &mut Recordings,
    ) -> Result<Self, StartError> {
        let mut relay = Self::default();
        for pull in config.pulls.iter().filter(|pull| pull.enabled) {
            let stats = Arc::new(LineStats::default());
            let stream: Arc<str> = Arc::from(pull.stream.as_str());
            let linger = (pull.mode == PullMode::OnDemand).then_some(pull.linger);
            relay.parts.pulled.push(Arc::clone(&stream));
            relay.pull_entries.push(PullEntry {
                name: pull.name.clone(),
                stream: pull.stream.clone(),
                stats: Arc::clone(&stats),
            });
            let (name, url) = (Arc::from(pull.name.as_str()), pull.url.clone());
            relay.parts.pulls.push(PullSpec { name, stream, url, linger, stats });
        }
        for push in config.pushes.iter().filter(|push| push.enabled) {
            let (spec, entry) = outputs.push(push);
            relay.outputs.push(spec);
            relay.output_entries.push(entry);
        }
        for record in &config.records {
            let (entry, feed) = recordings.open(record.clone()).map_err(StartError::Thread)?;
            relay.record_entries.push(entry);
            relay.parts.records.extend(feed);
        }
        Ok(relay)
    }
}
