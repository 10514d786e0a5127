//! State of recordings: their figures and their last error.

use std::collections::{BTreeMap, HashMap};

use super::model::Recording;
use crate::event::NodeEvent;
use crate::stats::{RecordSnapshot, RunState};

/// What recordings said last.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// The file of each that writes one.
    files: HashMap<String, String>,
    /// Why each could not go on, or what its file lacks.
    faults: HashMap<String, String>,
}

impl Collected {
    pub(super) fn handle(&mut self, event: &NodeEvent) {
        match event {
            NodeEvent::RecordStarted { name, file } => {
                self.files.insert(name.clone(), file.clone());
                self.faults.remove(name);
            }
            NodeEvent::RecordFinished { name, .. } => {
                self.files.remove(name);
            }
            NodeEvent::RecordStopped { name, reason, .. }
            | NodeEvent::RecordIncomplete { name, reason } => {
                self.faults.insert(name.clone(), reason.clone());
            }
            _ => {}
        }
    }

    /// All recordings by name. What was collected of those that are gone is forgotten.
    pub(super) fn show(&mut self, records: &[RecordSnapshot]) -> BTreeMap<String, Recording> {
        let is_there = |name: &String| records.iter().any(|record| record.name == *name);
        self.files.retain(|name, _| is_there(name));
        self.faults.retain(|name, _| is_there(name));
        for record in records.iter().filter(|it| it.figures.state == RunState::Stopped) {
            self.files.remove(&record.name);
        }
        records.iter().map(|record| (record.name.clone(), self.recording(record))).collect()
    }

    fn recording(&self, record: &RecordSnapshot) -> Recording {
        let figures = &record.figures;
        Recording {
            name: record.name.clone(),
            stream: record.stream.clone(),
            dir: record.dir.clone(),
            format: record.format.to_owned(),
            state: figures.state,
            error: self.faults.get(&record.name).cloned(),
            file: self.files.get(&record.name).cloned(),
            files: figures.files,
            bytes: figures.bytes,
            dropped: figures.dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Micros;
    use crate::stats::RecordFigures;

    fn record(state: RunState) -> Vec<RecordSnapshot> {
        let figures = RecordFigures { state, ..RecordFigures::default() };
        vec![RecordSnapshot { name: "show".to_owned(), figures, ..RecordSnapshot::default() }]
    }

    #[test]
    fn a_failure_is_shown_until_it_is_live_again_also_while_it_is_idle_or_stopped() {
        let mut collected = Collected::default();
        let (name, reason) = ("show".to_owned(), "/full: no space left".to_owned());
        let retry_in = Some(Micros::from_secs(5));
        collected.handle(&NodeEvent::RecordStopped { name, reason, retry_in });
        for state in [RunState::Failed, RunState::Idle, RunState::Stopped] {
            let shown = collected.show(&record(state)).remove("show").unwrap();
            assert_eq!(shown.state, state);
            assert_eq!(shown.error.as_deref(), Some("/full: no space left"));
        }
        let (name, file) = ("show".to_owned(), "show-1.flv".to_owned());
        collected.handle(&NodeEvent::RecordStarted { name, file });
        let shown = collected.show(&record(RunState::Live)).remove("show").unwrap();
        assert_eq!((shown.state, shown.error), (RunState::Live, None));
        assert_eq!(shown.file.as_deref(), Some("show-1.flv"));
        let shown = collected.show(&record(RunState::Stopped)).remove("show").unwrap();
        assert_eq!((shown.state, shown.file), (RunState::Stopped, None));
    }

    #[test]
    fn what_a_file_lacks_is_shown_with_it() {
        let mut collected = Collected::default();
        let (name, reason) = ("show".to_owned(), "track 1 is left out".to_owned());
        collected.handle(&NodeEvent::RecordIncomplete { name, reason });
        let shown = collected.show(&record(RunState::Live)).remove("show").unwrap();
        assert_eq!(shown.error.as_deref(), Some("track 1 is left out"));
        assert!(collected.show(&[]).is_empty() && collected.faults.is_empty());
    }
}
