//! Metric series of streams: at most so many streams have their own, live ones first.

use std::collections::BTreeMap;

use crate::command::StreamView;
use crate::event::{ConnectionState, Event, NodeEvent, Phase, Stage};
use crate::media::Micros;
use crate::stats::{StreamFigures, StreamSnapshot};

/// A stream that has ended keeps its series for so long, so that an alert can see that it is gone.
const ENDED_KEPT: Micros = Micros::from_secs(60 * 60);

/// The word for a publisher that has gone without saying so, or was sent away.
const PUBLISHER_LOST: &str = "publisher_lost";

/// Reasons for which a publisher ends that are no error.
const GOOD_ENDS: [&str; 2] = ["ended", "the node stops"];

/// The series of single streams.
#[derive(Debug, Default)]
pub(super) struct Series {
    rows: BTreeMap<String, Row>,
    left_out: u64,
}

#[derive(Debug)]
struct Row {
    figures: StreamFigures,
    ended: Option<Micros>,
}

impl Series {
    /// Takes what there is at `now`, for at most so many streams.
    pub(super) fn look(&mut self, streams: &[StreamView], most: usize, now: Micros) {
        let live: BTreeMap<_, _> = streams
            .iter()
            .filter(|stream| stream.source != "nobody")
            .map(|stream| (stream.name.as_str(), stream))
            .collect();
        for (name, row) in &mut self.rows {
            if !live.contains_key(name.as_str()) {
                row.ended.get_or_insert(now);
                row.figures = StreamFigures {
                    name: name.clone(),
                    last_error: row.figures.last_error,
                    ..StreamFigures::default()
                };
            }
        }
        let kept = |row: &Row| row.ended.is_none_or(|ended| now.since(ended) < ENDED_KEPT);
        self.rows.retain(|_, row| kept(row));
        while self.rows.len() > most {
            if !self.forget_ended() {
                self.rows.pop_last();
            }
        }
        self.left_out = 0;
        for (name, view) in live {
            let has_room = |series: &mut Self| series.rows.len() < most || series.forget_ended();
            if !self.rows.contains_key(name) && !has_room(self) {
                self.left_out += 1;
                continue;
            }
            let old = self.rows.get(name).and_then(|row| row.figures.last_error);
            let row = Row { figures: figures(view, old), ended: None };
            self.rows.insert(name.to_owned(), row);
        }
    }

    /// Of those that have ended the oldest gives way; false if there is none.
    fn forget_ended(&mut self) -> bool {
        let ended = self.rows.iter().filter_map(|(name, row)| Some((row.ended?, name)));
        let Some(oldest) = ended.min().map(|(_, name)| name.clone()) else { return false };
        self.rows.remove(&oldest).is_some()
    }

    /// Something has happened, at `unix_s` seconds since 1970.
    pub(super) fn handle(&mut self, event: &NodeEvent, unix_s: f64) {
        let (stream, code) = match event {
            NodeEvent::StreamWarning { stream, code, .. } => (stream.as_str(), *code),
            NodeEvent::Connection(event) if is_loss(event) => (&*event.path, PUBLISHER_LOST),
            _ => return,
        };
        if let Some(row) = self.rows.get_mut(stream) {
            row.figures.last_error = Some((code, unix_s));
        }
    }

    /// What the metrics show.
    pub(super) fn snapshot(&self) -> StreamSnapshot {
        let streams = self.rows.values().map(|row| row.figures.clone()).collect();
        StreamSnapshot { streams, left_out: self.left_out }
    }
}

/// Whether a publisher has gone otherwise than by its own word.
fn is_loss(event: &Event) -> bool {
    event.kind.stage == Stage::Publish
        && event.kind.phase == Phase::Done
        && event.state == ConnectionState::Publisher
        && !GOOD_ENDS.contains(&&*event.reason)
}

fn figures(view: &StreamView, last_error: Option<(&'static str, f64)>) -> StreamFigures {
    StreamFigures {
        name: view.name.clone(),
        live: true,
        in_bps: view.bitrate_bps,
        out_bps: view.out_bps,
        viewers: view.viewers,
        keyframe_interval_s: view.keyframe_interval.map(Micros::secs_f64),
        av_offset_s: view.av_offset_ms.map(|ms| ms / 1e3),
        last_error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::TrackPart;
    use crate::event::{ClientId, LifeCycle};

    fn view(name: &str, source: &'static str) -> StreamView {
        StreamView {
            name: name.to_owned(),
            source,
            publisher: None,
            since: Micros(0),
            viewers: 3,
            other_readers: [0; 4],
            bytes_in: 0,
            bytes_out: 0,
            bitrate_bps: 5e6,
            out_bps: 15e6,
            keyframe_interval: Some(Micros::from_secs(2)),
            av_offset_ms: Some(-250.0),
            video: None,
            audio: None,
            tracks: [TrackPart::default(); 2],
        }
    }

    fn names(series: &Series) -> Vec<(String, bool)> {
        let streams = series.snapshot().streams.into_iter();
        streams.map(|stream| (stream.name, stream.live)).collect()
    }

    #[test]
    fn a_stream_has_its_figures_while_it_is_live_and_is_known_to_be_gone_for_an_hour() {
        let mut series = Series::default();
        let at = Micros::from_secs;
        series.look(&[view("live/a", "publisher")], 2, at(1));
        let row = series.snapshot().streams.remove(0);
        assert!(row.live && row.viewers == 3);
        assert!((row.in_bps - 5e6).abs() < 1.0 && (row.out_bps - 15e6).abs() < 1.0);
        assert_eq!((row.keyframe_interval_s, row.av_offset_s), (Some(2.0), Some(-0.25)));
        series.look(&[view("live/a", "nobody")], 2, at(2));
        let row = series.snapshot().streams.remove(0);
        assert_eq!(row, StreamFigures { name: "live/a".to_owned(), ..StreamFigures::default() });
        series.look(&[], 2, at(3_601));
        assert_eq!(names(&series), [("live/a".to_owned(), false)]);
        series.look(&[], 2, at(3_602));
        assert!(names(&series).is_empty());
    }

    #[test]
    fn there_are_never_more_than_allowed_and_those_left_out_are_counted() {
        let mut series = Series::default();
        let at = Micros::from_secs;
        let all = ["live/a", "live/b", "live/c", "live/d"].map(|name| view(name, "publisher"));
        series.look(&all[1..3], 2, at(1));
        series.look(&all, 2, at(2));
        let live = |name: &str| (name.to_owned(), true);
        assert_eq!(names(&series), [live("live/b"), live("live/c")], "who has a series keeps it");
        assert_eq!(series.snapshot().left_out, 2);
        series.look(&all[2..], 2, at(3));
        assert_eq!(names(&series), [live("live/c"), live("live/d")], "the ended one made room");
        assert_eq!(series.snapshot().left_out, 0);
        series.look(&all[1..], 3, at(4));
        assert_eq!((names(&series).len(), series.snapshot().left_out), (3, 0), "more are allowed");
        series.look(&all[..2], 1, at(5));
        assert_eq!(names(&series), [live("live/b")], "fewer are, and those that ended go first");
        assert_eq!(series.snapshot().left_out, 1);
        let mut none = Series::default();
        none.look(&all, 0, at(1));
        assert_eq!((none.snapshot().streams.len(), none.snapshot().left_out), (0, 4));
    }

    #[test]
    fn the_last_error_stays_and_an_end_by_ones_own_word_is_none() {
        let mut series = Series::default();
        series.look(&[view("live/a", "publisher")], 2, Micros(0));
        let mut ended = |reason: &str| {
            let mut life = LifeCycle::new(ClientId::from_random([0; 8]), Micros(0), None);
            life.begin(Stage::Publish, "live/a", Micros(0));
            life.begun(Stage::Publish, Micros(0));
            let done = life.done(Stage::Publish, Micros(1), 0, reason).unwrap();
            series.handle(&NodeEvent::Connection(done), 7.0);
            series.snapshot().streams[0].last_error
        };
        assert_eq!(ended("ended"), None);
        assert_eq!(ended("the peer closed"), Some((PUBLISHER_LOST, 7.0)));
        let warning = NodeEvent::StreamWarning {
            stream: "live/a".to_owned(),
            code: "no_keyframe",
            text: String::new(),
        };
        series.handle(&warning, 9.0);
        series.look(&[view("live/a", "publisher")], 2, Micros(1));
        assert_eq!(series.snapshot().streams[0].last_error, Some(("no_keyframe", 9.0)));
        let elsewhere = NodeEvent::StreamWarning {
            stream: "live/x".to_owned(),
            code: "silence",
            text: String::new(),
        };
        series.handle(&elsewhere, 9.0);
        assert_eq!(series.snapshot().streams.len(), 1, "an event makes no series");
    }
}
