//! Metrics of audio: levels and loudness of each source of a channel and of its bus.

use std::fmt;

use super::page::Page;
use crate::stats::{AudioLevels, Snapshot};

/// A series of levels: its name, its help, and which of them it has.
type Family = (&'static str, &'static str, fn(&AudioLevels) -> f32);

/// Writes what is told of it.
pub(super) fn write(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let families: [Family; 5] = [
        (
            "peak_dbfs",
            "Highest recent sample of a channel's audio, decibels below full scale",
            |of| of.peak_db[0].max(of.peak_db[1]),
        ),
        ("true_peak_dbtp", "Highest recent true peak (ITU-R BS.1770-4), decibels", |of| {
            of.true_peak_db
        }),
        ("momentary_lufs", "Loudness of the last 400 ms (EBU R128)", |of| of.momentary_lufs),
        ("short_term_lufs", "Loudness of the last 3 s (EBU R128)", |of| of.short_term_lufs),
        (
            "integrated_lufs",
            "Gated loudness since the start of the channel or the last reset (EBU R128)",
            |of| of.integrated_lufs,
        ),
    ];
    let channels =
        || snapshot.channels.iter().filter_map(|it| Some((&it.name, it.audio.as_ref()?)));
    for (name, help, value) in families {
        page.gauge(&format!("audio_{name}"), help, |family| {
            channels().try_for_each(|(channel, audio)| {
                family.sample(&[("channel", channel)], f64::from(value(&audio.bus)))
            })
        })?;
        page.gauge(&format!("audio_source_{name}"), help, |family| {
            channels().try_for_each(|(channel, audio)| {
                audio.sources.iter().try_for_each(|(source, levels)| {
                    let labels = [("channel", channel.as_str()), ("source", source.as_str())];
                    family.sample(&labels, f64::from(value(levels)))
                })
            })
        })?;
    }
    Ok(())
}
