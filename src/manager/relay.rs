//! Pulls, pushes and recordings: from the configuration to what the shards are given.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::channels::Shop;
use super::node::StopLine;
use super::outputs::Outputs;
use super::start_error::StartError;
use crate::command::OutputSpec;
use crate::config::{Config, PullMode, RecordConfig};
use crate::media::Micros;
use crate::pipeline::{self, PullSpec, RECORD_QUEUE, RecordShare, RecordTap, RelayParts};
use crate::record::{Folder, RecordSpec, Recorder};
use crate::ring::{Bell, channel};
use crate::runtime::{Clock, NICE_ENCODE, Worker};
use crate::stats::{LineStats, OutputEntry, PullEntry, RecordEntry, RecordStats};

/// How long a slow disk may hold up the node's end.
const FINISH_LIMIT: Micros = Micros::from_secs(2);

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
    pub(super) writers: Writers,
}

/// The threads that write recordings. They end after the shards, so that nothing is lost.
#[derive(Default)]
pub(super) struct Writers {
    pub(super) workers: Vec<Worker<()>>,
    pub(super) stop: Vec<StopLine>,
}

impl Writers {
    /// Lets them write what they have been given and complete their files. Call it after the shards
    /// have ended.
    pub(super) fn finish(&self, clock: Clock) {
        for (stopping, bell) in &self.stop {
            stopping.store(true, Ordering::Release);
            bell.ring();
        }
        let deadline = clock.now() + FINISH_LIMIT;
        while self.workers.iter().any(|worker| !worker.is_finished()) {
            if clock.now() >= deadline {
                tracing::warn!("a disk is too slow: the end of a recording is lost");
                return;
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
}

impl Relay {
    /// Starts the writers of recordings, and describes everything else.
    pub(super) fn build(
        shop: &Shop,
        config: &Config,
        outputs: &mut Outputs,
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
        for record in config.records.iter().filter(|record| record.enabled) {
            relay.add_record(shop, record)?;
        }
        Ok(relay)
    }

    fn add_record(&mut self, shop: &Shop, config: &RecordConfig) -> Result<(), StartError> {
        let stats = Arc::new(RecordStats::default());
        let bell = Bell::new();
        let (ring, messages) = channel(RECORD_QUEUE, Arc::clone(&bell));
        let stream: Arc<str> = Arc::from(config.stream.as_str());
        self.parts.records.push(RecordTap::new(stream, ring, Arc::clone(&stats)));
        self.record_entries.push(RecordEntry {
            name: config.name.clone(),
            stream: config.stream.clone(),
            stats: Arc::clone(&stats),
        });
        let stopping = Arc::new(AtomicBool::new(false));
        self.writers.stop.push((Arc::clone(&stopping), Arc::clone(&bell)));
        let spec = RecordSpec {
            name: config.name.clone(),
            format: config.format,
            split_s: config.split_s,
            split_bytes: u64::from(config.split_mb) << 20,
            free_bytes_min: u64::from(config.min_free_mb) << 20,
        };
        let recorder = Recorder::new(spec, Folder::new(&config.dir));
        let share = RecordShare { messages, bell, stopping, stats, clock: shop.clock };
        let events = Arc::clone(&shop.events);
        let run = move || {
            pipeline::record(recorder, share, |event| {
                tracing::info!("{event}");
                events.force_push(event);
            });
        };
        let worker = Worker::spawn("record", shop.encode_cpus.clone(), NICE_ENCODE, run);
        self.writers.workers.push(worker.map_err(StartError::Thread)?);
        Ok(())
    }
}
