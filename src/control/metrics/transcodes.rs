//! Metrics of transcodes: their families.

use std::fmt;

use super::page::Page;
use crate::stats::{ChannelFigures, Snapshot, TranscodeSnapshot, TranscodeState};

/// Writes what is told of them.
pub(super) fn write(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    type Counter = (&'static str, &'static str, fn(&TranscodeSnapshot) -> u64);
    const COUNTERS: [Counter; 2] = [
        ("transcode_starts_total", "Times that encoders were started", |it| it.starts),
        ("transcode_failures_total", "Times that nothing could be made", |it| it.failures),
    ];
    type Figure = (&'static str, &'static str, fn(&ChannelFigures) -> u64);
    const FIGURES: [Figure; 3] = [
        ("transcode_frames_total", "Pictures encoded", |it| it.frames),
        ("transcode_late_frames_total", "Pictures encoded two frame intervals late", |it| {
            it.speed.late
        }),
        ("transcode_dropped_frames_total", "Pictures nobody got to see", |it| it.dropped_total()),
    ];
    let transcodes = &snapshot.transcodes;
    page.gauge(
        "transcode_state",
        "1 for the state a transcode is in, 0 for the others",
        |family| {
            for it in transcodes {
                for state in TranscodeState::ALL {
                    let labels: [(&str, &str); 3] =
                        [("transcode", &it.name), ("stream", &it.source), ("state", state.label())];
                    family.sample(&labels, u64::from(it.state == state))?;
                }
            }
            Ok(())
        },
    )?;
    for (name, help, read) in COUNTERS {
        page.counter(name, help, |family| {
            transcodes.iter().try_for_each(|it| {
                let labels: [(&str, &str); 2] = [("transcode", &it.name), ("stream", &it.source)];
                family.sample(&labels, read(it))
            })
        })?;
    }
    for (name, help, read) in FIGURES {
        page.counter(name, help, |family| {
            let of = |it: &TranscodeSnapshot| it.name.clone();
            let all =
                transcodes.iter().flat_map(|it| it.renditions.iter().map(move |one| (of(it), one)));
            for (transcode, one) in all.filter(|(_, one)| one.shares.is_none()) {
                let labels: [(&str, &str); 2] =
                    [("transcode", &transcode), ("rendition", &one.name)];
                family.sample(&labels, read(&one.figures))?;
            }
            Ok(())
        })?;
    }
    Ok(())
}
