//! The families of pulls and recordings.

use std::fmt;

use super::page::Page;
use crate::stats::{LineFigures, PullSnapshot, RecordFigures, RecordSnapshot, RunState, Snapshot};

/// Writes what is told of them.
pub(super) fn write(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    pulls(page, &snapshot.pulls)?;
    records(page, &snapshot.records)
}

fn pulls(page: &mut Page<'_>, pulls: &[PullSnapshot]) -> fmt::Result {
    type Counter = (&'static str, &'static str, fn(&LineFigures) -> u64);
    const COUNTERS: [Counter; 3] = [
        ("pull_connects_total", "Times a server gave the stream", |p| p.connects),
        ("pull_failures_total", "Tries and live connections that failed", |p| p.failures),
        ("pull_bytes_total", "Bytes from the server", |p| p.bytes),
    ];
    page.gauge("pull_state", "1 for the state a pull is in, 0 for the others", |family| {
        for pull in pulls {
            for state in RunState::ALL {
                let is = u64::from(pull.figures.state == state);
                let labels: [(&str, &str); 3] =
                    [("pull", &pull.name), ("stream", &pull.stream), ("state", state.label())];
                family.sample(&labels, is)?;
            }
        }
        Ok(())
    })?;
    for (name, help, read) in COUNTERS {
        page.counter(name, help, |family| {
            pulls.iter().try_for_each(|pull| {
                let labels: [(&str, &str); 2] = [("pull", &pull.name), ("stream", &pull.stream)];
                family.sample(&labels, read(&pull.figures))
            })
        })?;
    }
    Ok(())
}

fn records(page: &mut Page<'_>, records: &[RecordSnapshot]) -> fmt::Result {
    type Figure = (&'static str, &'static str, fn(&RecordFigures) -> u64);
    const GAUGES: [Figure; 2] = [
        ("record_writing", "1 while a file is being written", |r| {
            u64::from(r.state == RunState::Live)
        }),
        ("record_queued_bytes", "Bytes that wait for the disk", |r| r.queued_bytes),
    ];
    const COUNTERS: [Figure; 4] = [
        ("record_bytes_total", "Bytes written to files", |r| r.bytes),
        ("record_files_total", "Files begun", |r| r.files),
        ("record_stops_total", "Times it could not go on, as with a full disk", |r| r.stops),
        ("record_dropped_messages_total", "Messages left out: the disk is too slow", |r| r.dropped),
    ];
    page.gauge("record_state", "1 for the state a recording is in, 0 for the others", |family| {
        for record in records {
            for state in RunState::ALL {
                let is = u64::from(record.figures.state == state);
                let labels: [(&str, &str); 3] = [
                    ("record", &record.name),
                    ("stream", &record.stream),
                    ("state", state.label()),
                ];
                family.sample(&labels, is)?;
            }
        }
        Ok(())
    })?;
    for (kind, figures) in [(true, &GAUGES[..]), (false, &COUNTERS[..])] {
        for (name, help, read) in figures {
            let samples = |family: &mut super::page::Family<'_>| {
                records.iter().try_for_each(|record| {
                    let labels: [(&str, &str); 2] =
                        [("record", &record.name), ("stream", &record.stream)];
                    family.sample(&labels, read(&record.figures))
                })
            };
            match kind {
                true => page.gauge(name, help, samples)?,
                false => page.counter(name, help, samples)?,
            }
        }
    }
    Ok(())
}
