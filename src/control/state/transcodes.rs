//! State of transcodes: what is made of which stream, since when, and for how many.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::rendition::Rendition;
use crate::command::StreamView;
use crate::control::time::Time;
use crate::stats::TranscodeSnapshot;

/// A stream in further encodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Transcode {
    /// Its name.
    pub name: String,
    /// The stream that it encodes.
    pub source: String,
    /// The streams that it makes.
    pub streams: Vec<String>,
    /// `stopped`, `idle` (nobody reads), `waiting` (for pictures), `live` or `failed`.
    pub state: String,
    /// What went wrong last, until it is live again.
    pub error: Option<String>,
    /// Since when it is live, milliseconds since 1970.
    pub since_at: Option<u64>,
    /// Who reads its streams: viewers, outputs, recordings, scenes.
    pub readers: u64,
    /// Pixels of the source, while it is live.
    pub width: u32,
    /// Pixels of the source, while it is live.
    pub height: u32,
    /// Frames a second of the source, about, while it is live.
    pub fps: f64,
    /// Its renditions, while it is live.
    pub renditions: Vec<Rendition>,
    /// Times that its encoders were started.
    pub starts: u64,
    /// Times that they could not be, or that nothing could be made of its source.
    pub failures: u64,
}

/// All transcodes by name, where these streams are read.
pub(super) fn show(
    transcodes: &[TranscodeSnapshot],
    streams: &[StreamView],
    time: &Time,
) -> BTreeMap<String, Transcode> {
    let readers = |names: &[String]| {
        let of = streams.iter().filter(|view| names.iter().any(|name| *view.name == **name));
        of.map(|view| view.viewers + view.other_readers.iter().sum::<u64>()).sum()
    };
    let shown = transcodes.iter().map(|it| {
        let (width, height) = it.since.map_or((0, 0), |_| it.size);
        let transcode = Transcode {
            name: it.name.clone(),
            source: it.source.clone(),
            streams: it.streams.clone(),
            state: it.state.label().to_owned(),
            error: (!it.reason.is_empty()).then(|| it.reason.clone()),
            since_at: it.since.map(|since| time.unix_ms(since)),
            readers: readers(&it.streams),
            width,
            height,
            fps: it.since.map_or(0.0, |_| it.fps),
            renditions: it.renditions.iter().map(|one| Rendition::of(one, time)).collect(),
            starts: it.starts,
            failures: it.failures,
        };
        (it.name.clone(), transcode)
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Micros;
    use crate::stats::TranscodeState;

    #[test]
    fn one_that_rests_has_no_size_and_one_that_is_live_tells_since_when() {
        let time = Time::new(1_000, || Micros::from_millis(9_000));
        let live = TranscodeSnapshot {
            name: "a".to_owned(),
            state: TranscodeState::Live,
            since: Some(Micros::from_millis(7)),
            size: (640, 360),
            fps: 30.0,
            ..TranscodeSnapshot::default()
        };
        let idle = TranscodeSnapshot {
            name: "b".to_owned(),
            state: TranscodeState::Idle,
            since: None,
            reason: "broken".to_owned(),
            ..live.clone()
        };
        let shown = show(&[live, idle], &[], &time);
        let (live, idle) = (&shown["a"], &shown["b"]);
        assert_eq!((live.state.as_str(), live.since_at, live.width), ("live", Some(1_007), 640));
        assert_eq!((idle.state.as_str(), idle.since_at, idle.width), ("idle", None, 0));
        assert_eq!((live.error.as_deref(), idle.error.as_deref()), (None, Some("broken")));
    }
}
