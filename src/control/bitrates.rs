//! Bitrates of encodes whose readers are outputs: they follow what the outputs' links take.

use std::collections::HashMap;

use crate::command::ChannelSwitch;
use crate::encode::{BitrateGovernor, LinkSample};
use crate::media::Micros;
use crate::stats::{ChannelEntry, OutputFigures, Registry, RunState, ShownEncode, TranscodeEntry};

/// The governors of the encodes, by the first stream of each.
#[derive(Debug, Default)]
pub(crate) struct Bitrates(HashMap<String, Governed>);

/// An encode's governor, and what it was made for.
#[derive(Debug)]
struct Governed {
    range_bps: (u32, u32),
    governor: BitrateGovernor,
}

impl Bitrates {
    /// Looks at the outputs of the channels and transcodes, and tells the encoders. A few times a
    /// second; `switch_of` gives where the encoder of a stream is told.
    pub(crate) fn look<'a>(
        &mut self,
        now: Micros,
        registry: &Registry,
        switch_of: impl Fn(&str) -> Option<&'a ChannelSwitch>,
    ) {
        let (channels, transcodes) = (registry.channels(), registry.transcodes());
        let encodes = channels.iter().flat_map(ChannelEntry::shown);
        let encodes = encodes.chain(transcodes.iter().flat_map(TranscodeEntry::shown));
        let encodes: Vec<_> = encodes.collect();
        self.0.retain(|stream, _| encodes.iter().any(|encode| encode.streams[0] == stream));
        for encode in &encodes {
            let outputs = registry.outputs_of(&encode.streams);
            let bps = self.look_at(now, encode, &outputs);
            if let (Some(bps), Some(switch)) = (bps, switch_of(encode.streams[0])) {
                switch.set_bitrate(bps);
            }
        }
    }

    /// What the encoder is to make, unless its bitrate is fixed.
    fn look_at(
        &mut self,
        now: Micros,
        encode: &ShownEncode<'_>,
        outputs: &[OutputFigures],
    ) -> Option<u32> {
        let bps = |bits: u64| u32::try_from(bits).unwrap_or(u32::MAX);
        let range_bps = (bps(encode.facts.bitrate_min_bps), bps(encode.facts.bitrate_bps));
        if range_bps.0 == range_bps.1 {
            return None;
        }
        let fresh = || Governed { range_bps, governor: BitrateGovernor::new(range_bps, now) };
        let governed = self.0.entry(encode.streams[0].to_owned()).or_insert_with(fresh);
        if governed.range_bps != range_bps {
            *governed = fresh();
        }
        let figures = encode.stats.read();
        let audio_bps = (figures.bitrate_bps - figures.video_bps).max(0.0);
        let live = outputs.iter().filter(|output| output.line.state == RunState::Live);
        let links: Vec<_> = live.map(link).collect();
        Some(governed.governor.look(now, &links, audio_bps, figures.audience > 0))
    }
}

/// An output's connection as the governor wants to see it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds, and not less than 0"
)]
fn link(output: &OutputFigures) -> LinkSample {
    LinkSample {
        lag: Micros((output.lag_s * 1e6) as u64),
        unsent_bytes: output.unsent_bytes,
        acked_bytes: output.acked_bytes,
        jumps: output.jumps,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{ChannelFacts, LineFigures, OutputEntry, OutputStats, RenditionEntry};
    use std::sync::Arc;

    fn entry(range_bps: (u64, u64)) -> ChannelEntry {
        let (bitrate_min_bps, bitrate_bps) = range_bps;
        let facts = ChannelFacts { bitrate_min_bps, bitrate_bps, ..ChannelFacts::default() };
        let (name, stream) = ("demo".to_owned(), "live/demo".to_owned());
        let (stats, renditions) = (Arc::default(), Vec::new());
        ChannelEntry { name, stream, facts: Arc::new(facts), stats, renditions, audio: None }
    }

    fn congested(state: RunState) -> OutputFigures {
        let line = LineFigures { state, ..LineFigures::default() };
        OutputFigures { line, lag_s: 0.7, ..OutputFigures::default() }
    }

    /// What the second look has.
    fn after(entry: &ChannelEntry, outputs: &[OutputFigures]) -> Option<u32> {
        let mut bitrates = Bitrates::default();
        let looks = (10..12)
            .map(|second| bitrates.look_at(Micros::from_secs(second), &entry.shown()[0], outputs));
        looks.last().flatten()
    }

    #[test]
    fn a_live_output_that_is_congested_lowers_the_bitrate_of_its_channel() {
        let entry = entry((1_000_000, 4_000_000));
        assert!(after(&entry, &[congested(RunState::Live)]).unwrap() < 4_000_000);
        assert_eq!(after(&entry, &[]), Some(4_000_000), "no output");
        assert_eq!(after(&entry, &[congested(RunState::Failed)]), Some(4_000_000), "none is live");
    }

    #[test]
    fn a_congested_push_of_a_transcodes_rendition_lowers_that_rendition_alone() {
        let stats = [(); 2].map(|()| Arc::default());
        let rendition = |(name, stats): (&str, &Arc<_>)| RenditionEntry {
            stream: format!("live/{name}"),
            facts: entry((1_000_000, 4_000_000)).facts,
            stats: Arc::clone(stats),
            ..RenditionEntry::default()
        };
        let renditions = ["low", "high"].into_iter().zip(&stats).map(rendition).collect();
        let transcode = TranscodeEntry { renditions, ..TranscodeEntry::default() };
        let push = Arc::new(OutputStats::default());
        push.line.set_state(RunState::Live);
        push.lag(Micros::from_millis(700));
        let output = OutputEntry::new("", "push", "rtmp://a.example/b/c", push);
        let registry = Registry::new(Vec::new(), Vec::new(), vec![output.of_stream("live/low")]);
        registry.put_transcode(&transcode);
        let switches = [(); 2].map(|()| ChannelSwitch::default());
        let mut bitrates = Bitrates::default();
        for second in 10..12 {
            bitrates.look(Micros::from_secs(second), &registry, |stream| match stream {
                "live/low" => Some(&switches[0]),
                "live/high" => Some(&switches[1]),
                _ => None,
            });
        }
        assert!(switches[0].bitrate().unwrap() < 4_000_000);
        assert_eq!(switches[1].bitrate(), Some(4_000_000));
    }

    #[test]
    fn a_congested_output_of_several_tracks_lowers_each_of_them_to_its_own_least() {
        let facts = |range_bps| entry(range_bps).facts;
        let mut channel = entry((1_000_000, 4_000_000));
        let low = RenditionEntry {
            name: "low".to_owned(),
            stream: "live/low".to_owned(),
            facts: facts((250_000, 800_000)),
            ..RenditionEntry::default()
        };
        let tracks = RenditionEntry {
            name: "all".to_owned(),
            stream: "live/all".to_owned(),
            tracks: vec!["main".to_owned(), "low".to_owned()],
            facts: Arc::clone(&channel.facts),
            stats: Arc::clone(&channel.stats),
            further: vec![Arc::clone(&low.stats)],
            ..RenditionEntry::default()
        };
        let other = RenditionEntry {
            name: "other".to_owned(),
            stream: "live/other".to_owned(),
            facts: facts((250_000, 800_000)),
            ..RenditionEntry::default()
        };
        channel.renditions = vec![low, other, tracks];
        let link = Arc::new(OutputStats::default());
        link.line.set_state(RunState::Live);
        link.lag(Micros::from_millis(700));
        let output = OutputEntry::new("demo", "out", "rtmp://a.example/b/c", link);
        let registry = Registry::new(Vec::new(), vec![channel], vec![output.of_stream("live/all")]);
        let streams = ["live/demo", "live/low", "live/other"];
        let switches = [(); 3].map(|()| ChannelSwitch::default());
        let mut bitrates = Bitrates::default();
        for second in 10..100 {
            bitrates.look(Micros::from_secs(second), &registry, |stream| {
                switches.iter().zip(streams).find(|(_, name)| *name == stream).map(|(it, _)| it)
            });
        }
        let bps = switches.each_ref().map(ChannelSwitch::bitrate);
        assert_eq!(bps, [Some(1_000_000), Some(250_000), Some(800_000)]);
    }

    #[test]
    fn a_push_that_sends_a_rendition_in_place_of_its_stream_is_one_of_that_rendition() {
        let output = OutputEntry::new("", "push", "rtmp://a.example/b/c", Arc::default());
        let registry = Registry::new(Vec::new(), Vec::new(), vec![output.of_stream("live/cam")]);
        let sends = |stream: &str| registry.outputs_of(&[stream]).len();
        registry.set_output_rendition("", "push", Some("live/cam_bridge"));
        assert_eq!((sends("live/cam"), sends("live/cam_bridge")), (0, 1));
        registry.set_output_rendition("", "push", None);
        assert_eq!((sends("live/cam"), sends("live/cam_bridge")), (1, 0));
    }

    #[test]
    fn where_others_read_the_stream_too_it_stays() {
        let entry = entry((1_000_000, 4_000_000));
        entry.stats.set_audience(1);
        assert_eq!(after(&entry, &[congested(RunState::Live)]), Some(4_000_000));
    }

    #[test]
    fn a_fixed_bitrate_is_left_alone() {
        assert_eq!(after(&entry((4_000_000, 4_000_000)), &[congested(RunState::Live)]), None);
    }

    #[test]
    fn a_changed_configuration_counts_at_once() {
        let mut bitrates = Bitrates::default();
        let mut look =
            |entry: ChannelEntry| bitrates.look_at(Micros::from_secs(10), &entry.shown()[0], &[]);
        assert_eq!(look(entry((1_000_000, 4_000_000))), Some(4_000_000));
        assert_eq!(look(entry((1_000_000, 3_000_000))), Some(3_000_000));
    }
}
