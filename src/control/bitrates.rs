//! Bitrates of encodes whose readers are outputs: they follow what the outputs' links take.

use std::collections::HashMap;

use super::channels::list::Known;
use crate::encode::{BitrateGovernor, LinkSample};
use crate::media::Micros;
use crate::stats::{OutputFigures, Registry, RunState, ShownEncode};

/// The governors of the encodes, by channel and place of their first rendition.
#[derive(Debug, Default)]
pub(crate) struct Bitrates(HashMap<(String, usize), Governed>);

/// An encode's governor, and what it was made for.
#[derive(Debug)]
struct Governed {
    range_bps: (u32, u32),
    governor: BitrateGovernor,
}

impl Bitrates {
    /// Looks at the outputs of the channels, and tells the encoders. A few times a second.
    pub(crate) fn look(&mut self, now: Micros, channels: &[Known], registry: &Registry) {
        self.0.retain(|(name, _), _| channels.iter().any(|known| known.name == *name));
        for channel in registry.channels().iter() {
            let known = channels.iter().find(|known| known.name == channel.name);
            for encode in channel.shown() {
                let outputs = registry.outputs_of(&encode.streams);
                let bps = self.look_at(now, &channel.name, &encode, &outputs);
                let switch = known.and_then(|known| known.switches.get(encode.place));
                if let (Some(bps), Some(switch)) = (bps, switch) {
                    switch.set_bitrate(bps);
                }
            }
        }
    }

    /// What the encoder is to make, unless its bitrate is fixed.
    fn look_at(
        &mut self,
        now: Micros,
        channel: &str,
        encode: &ShownEncode<'_>,
        outputs: &[OutputFigures],
    ) -> Option<u32> {
        let bps = |bits: u64| u32::try_from(bits).unwrap_or(u32::MAX);
        let range_bps = (bps(encode.facts.bitrate_min_bps), bps(encode.facts.bitrate_bps));
        if range_bps.0 == range_bps.1 {
            return None;
        }
        let fresh = || Governed { range_bps, governor: BitrateGovernor::new(range_bps, now) };
        let governed = self.0.entry((channel.to_owned(), encode.place)).or_insert_with(fresh);
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
    use crate::stats::{ChannelEntry, ChannelFacts, LineFigures};
    use std::sync::Arc;

    fn entry(range_bps: (u64, u64)) -> ChannelEntry {
        let (bitrate_min_bps, bitrate_bps) = range_bps;
        let facts = ChannelFacts { bitrate_min_bps, bitrate_bps, ..ChannelFacts::default() };
        let (name, stream) = ("demo".to_owned(), "live/demo".to_owned());
        let (stats, renditions) = (Arc::default(), Vec::new());
        ChannelEntry { name, stream, facts: Arc::new(facts), stats, renditions }
    }

    fn congested(state: RunState) -> OutputFigures {
        let line = LineFigures { state, ..LineFigures::default() };
        OutputFigures { line, lag_s: 0.7, ..OutputFigures::default() }
    }

    /// What the second look has.
    fn after(entry: &ChannelEntry, outputs: &[OutputFigures]) -> Option<u32> {
        let mut bitrates = Bitrates::default();
        let looks = (10..12).map(|second| {
            bitrates.look_at(Micros::from_secs(second), "demo", &entry.shown().next()?, outputs)
        });
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
        let mut look = |entry: ChannelEntry| {
            bitrates.look_at(Micros::from_secs(10), "demo", &entry.shown().next()?, &[])
        };
        assert_eq!(look(entry((1_000_000, 4_000_000))), Some(4_000_000));
        assert_eq!(look(entry((1_000_000, 3_000_000))), Some(3_000_000));
    }
}
