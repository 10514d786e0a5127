//! As-run log of a channel: lines of JSON in a file, written by a thread of its own.

use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::config::{JournalConfig, ScheduleConfig};
use crate::control::hooks::Journal;
use crate::schedule::Zone;

/// Name of the folder in the data directory.
const FOLDER: &str = "as-run";

/// What is not as it is in the name of a file.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Where lines are left to be written. A full or slow disk costs lines and nothing else.
#[derive(Debug)]
pub(super) struct AsRun(Option<Journal>);

impl AsRun {
    /// Opens the file of a channel; without one, which the log tells, nothing is written.
    pub(super) fn open(channel: &str, config: &ScheduleConfig, data_dir: Option<&Path>) -> Self {
        let own = || data_dir.map(|folder| folder.join(FOLDER));
        let Some(folder) = config.as_run_folder.clone().or_else(own) else { return Self(None) };
        let name = utf8_percent_encode(channel, ESCAPED);
        let file = JournalConfig {
            path: Some(folder.join(format!("{name}.jsonl"))),
            max_bytes: config.as_run_max_bytes,
            keep: config.as_run_keep,
        };
        Self(Journal::open(&file).unwrap_or_else(|error| {
            tracing::error!("no as-run log of channel {channel}: {error}");
            None
        }))
    }

    /// Leaves a line to be written: what happened, when, and further keys.
    pub(super) fn write(&self, event: &str, at: u64, zone: &Zone, more: Value) {
        let Some(journal) = &self.0 else { return };
        let mut line = Map::new();
        line.insert("event".to_owned(), event.into());
        line.insert("at".to_owned(), at.into());
        line.insert("time".to_owned(), zone.iso(at).into());
        if let Value::Object(more) = more {
            line.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
        }
        journal.leave(Value::Object(line).to_string());
    }
}
