//! The families of single streams: as many series as `[metrics] streams_max` allows.

use std::fmt;

use super::page::{Family, Page};
use crate::stats::{StreamFigures, StreamSnapshot};

/// Writes what is told of them.
pub(super) fn write(page: &mut Page<'_>, snapshot: &StreamSnapshot) -> fmt::Result {
    let streams = &snapshot.streams;
    page.gauge(
        "stream_live",
        "1 while somebody feeds the stream; 0 for an hour after",
        |family| {
            streams.iter().try_for_each(|stream| {
                family.sample(&[("stream", &stream.name)], u64::from(stream.live))
            })
        },
    )?;
    page.gauge("stream_viewers", "Viewers of the stream", |family| {
        streams
            .iter()
            .try_for_each(|stream| family.sample(&[("stream", &stream.name)], stream.viewers))
    })?;
    type Measure = (&'static str, &'static str, fn(&StreamFigures) -> Option<f64>);
    const MEASURES: [Measure; 4] = [
        ("stream_in_bps", "Bits per second of the stream's messages", |s| Some(s.in_bps)),
        ("stream_out_bps", "Bits per second to the stream's readers", |s| Some(s.out_bps)),
        (
            "stream_keyframe_interval_seconds",
            "Time from keyframe to keyframe by the publisher's timestamps",
            |s| s.keyframe_interval_s,
        ),
        (
            "stream_av_offset_seconds",
            "How far pictures are ahead of the audio that comes with them, by their timestamps",
            |s| s.av_offset_s,
        ),
    ];
    for (name, help, read) in MEASURES {
        page.gauge(name, help, |family| {
            streams.iter().try_for_each(|stream| measured(family, &stream.name, read(stream)))
        })?;
    }
    let name = "stream_last_error_timestamp_seconds";
    page.gauge(name, "When something was wrong with the stream last, and what", |family| {
        streams.iter().try_for_each(|stream| match stream.last_error {
            Some((code, at)) => family.sample(&[("stream", &stream.name), ("code", code)], at),
            None => Ok(()),
        })
    })?;
    let name = "stream_series_left_out";
    page.gauge(name, "Live streams without series, because of [metrics] streams_max", |family| {
        family.sample(&[], snapshot.left_out)
    })
}

fn measured(family: &mut Family<'_>, stream: &str, value: Option<f64>) -> fmt::Result {
    value.map_or(Ok(()), |value| family.sample(&[("stream", stream)], value))
}
