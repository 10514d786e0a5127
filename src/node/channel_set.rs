//! Pulls, pushes and recordings: from the configuration to what the shards are given.

use std::sync::Arc;

use super::outputs::Outputs;
use super::pulls::Pulls;
use super::recordings::Recordings;
use super::start_error::StartError;
use crate::command::{OutputSpec, PullSpec, RecordFeed};
use crate::config::Config;
use crate::stats::{OutputEntry, PullEntry, RecordEntry};

/// What a shard pulls from other servers, and what it hands to recordings.
#[derive(Default)]
pub(super) struct RelayParts {
    pub(super) pulls: Vec<PullSpec>,
    /// Streams that are pulled, on whatever shard somebody asks for them or publishes them.
    pub(super) pulled: Vec<Arc<str>>,
    pub(super) records: Vec<RecordFeed>,
}

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
        pulls: &mut Pulls,
        recordings: &mut Recordings,
    ) -> Result<Self, StartError> {
        let mut relay = Self::default();
        for pull in &config.pulls {
            let (spec, entry) = pulls.open(pull);
            relay.parts.pulls.push(spec);
            relay.pull_entries.push(entry);
        }
        relay.parts.pulled = pulls.streams().to_vec();
        for push in &config.pushes {
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
