//! Troubles of channels and transcodes, found in the figures: dropped frames, stalls of the
//! composer, and encoders with too little time.

use std::collections::HashMap;

use crate::event::{NodeEvent, TranscodeEvent, TranscodeNews};
use crate::media::Micros;
use crate::stats::{
    Changed, ChannelFacts, ChannelFigures, ChannelSnapshot, DropReason, ENCODED_DROPPED,
    RenditionSnapshot, SpeedFigures, SpeedReason, TranscodeSnapshot,
};

/// Least time between two events about the frames that one channel dropped.
const EVERY: Micros = Micros::from_secs(1);

/// What was told of each channel so far.
#[derive(Debug, Default)]
pub(crate) struct ChannelWarnings {
    told: HashMap<String, ChannelFigures>,
    /// The same of further renditions and those of transcodes, by what they are of and the
    /// rendition.
    told_of_renditions: HashMap<(String, String), ChannelFigures>,
    looked: Option<Micros>,
}

impl ChannelWarnings {
    /// Whether it is time to look again at `now`; if so, that counts as looking.
    pub(crate) fn is_due(&mut self, now: Micros) -> bool {
        let is_due = self.looked.is_none_or(|looked| now.since(looked) >= EVERY);
        if is_due {
            self.looked = Some(now);
        }
        is_due
    }

    /// The channel of this name is gone: another one of its name counts anew.
    pub(crate) fn forget(&mut self, channel: &str) {
        self.told.remove(channel);
        self.told_of_renditions.retain(|(of, _), _| of != channel);
    }

    /// What is new in these figures.
    pub(crate) fn look(&mut self, channels: &[ChannelSnapshot]) -> Vec<NodeEvent> {
        let mut news = Vec::new();
        for ChannelSnapshot { name, figures, facts, renditions, .. } in channels {
            let told = self.told.entry(name.clone()).or_default();
            if figures.stalls > told.stalls {
                let length = figures.stalled - told.stalled;
                news.push(NodeEvent::ChannelStalled { channel: name.clone(), length });
            }
            let frames = figures.dropped_total() - told.dropped_total();
            if frames > 0 {
                let reason = reasons(told, figures);
                news.push(NodeEvent::FramesDropped { channel: name.clone(), frames, reason });
            }
            news.extend(lowered(name, "", facts, [told, figures]));
            news.extend(paced(name, "", &told.speed, &figures.speed));
            *told = *figures;
            let own = renditions.iter().filter(|rendition| rendition.shares.is_none());
            own.for_each(|rendition| self.look_at_rendition(name, rendition, &mut news));
        }
        news
    }

    /// What is new in these figures of transcodes.
    pub(crate) fn look_at_transcodes(
        &mut self,
        transcodes: &[TranscodeSnapshot],
    ) -> Vec<NodeEvent> {
        let mut news = Vec::new();
        for TranscodeSnapshot { name, source, renditions, .. } in transcodes {
            // No channel has a name with a line break.
            let key = format!("transcode\n{name}");
            let mut own = Vec::new();
            for rendition in renditions.iter().filter(|rendition| rendition.shares.is_none()) {
                self.look_at_rendition(&key, rendition, &mut own);
            }
            news.extend(own.into_iter().filter_map(|event| of_transcode(name, source, event)));
        }
        news
    }

    /// What the composer was late for is told of the channel.
    fn look_at_rendition(
        &mut self,
        channel: &str,
        RenditionSnapshot { name, figures, facts, .. }: &RenditionSnapshot,
        news: &mut Vec<NodeEvent>,
    ) {
        let key = (channel.to_owned(), name.clone());
        let told = self.told_of_renditions.entry(key).or_default();
        let mut now = *figures;
        now.dropped[DropReason::Late as usize] = 0;
        if now.composed < told.composed {
            *told = ChannelFigures::default(); // another one of its name
        }
        let of = format!("rendition {name}: ");
        let frames = now.dropped_total().saturating_sub(told.dropped_total());
        if frames > 0 {
            let (channel, reason) = (channel.to_owned(), format!("{of}{}", reasons(told, &now)));
            news.push(NodeEvent::FramesDropped { channel, frames, reason });
        }
        news.extend(lowered(channel, &of, facts, [told, &now]));
        news.extend(paced(channel, &of, &told.speed, &now.speed));
        *told = now;
    }
}

/// What is said of an encode of a channel, said of one of a transcode.
fn of_transcode(name: &str, stream: &str, event: NodeEvent) -> Option<NodeEvent> {
    let (what, reason) = match event {
        NodeEvent::FramesDropped { frames, reason, .. } => {
            (TranscodeNews::Overloaded, format!("{frames} frames were dropped: {reason}"))
        }
        NodeEvent::EncoderOverloaded { reason, .. } => (TranscodeNews::Overloaded, reason),
        NodeEvent::EncoderRecovered { reason, .. } => (TranscodeNews::Recovered, reason),
        NodeEvent::BitrateChanged { reason, .. } => (TranscodeNews::BitrateChanged, reason),
        _ => return None,
    };
    let (name, stream) = (name.to_owned(), stream.to_owned());
    Some(NodeEvent::Transcode(Box::new(TranscodeEvent { name, stream, what, reason })))
}

/// That a bitrate has left the configured one between two readings, or is there again.
fn lowered(
    channel: &str,
    of: &str,
    facts: &ChannelFacts,
    figures: [&ChannelFigures; 2],
) -> Option<NodeEvent> {
    let is_lowered = |it: &ChannelFigures| (1..facts.bitrate_bps).contains(&it.target_bps);
    let [before, now] = figures;
    let [bps, whole] = [now.target_bps, facts.bitrate_bps].map(|bps| bps as f64);
    let reason = format!("{of}{:.1} of {:.1} Mb/s", bps / 1e6, whole / 1e6);
    let told = NodeEvent::BitrateChanged { channel: channel.to_owned(), reason };
    (is_lowered(before) != is_lowered(now)).then_some(told)
}

/// What is worth telling about an encoder's speed between two readings: that it has come to its
/// fastest or has left it, and each change of its frame rate and its size. The governor sees to it
/// that this is rare.
fn paced(
    channel: &str,
    of: &str,
    before: &SpeedFigures,
    now: &SpeedFigures,
) -> impl Iterator<Item = NodeEvent> {
    let changes = (now.faster + now.slower).saturating_sub(before.faster + before.slower);
    let kept: Vec<_> = now.changes.into_iter().flatten().collect();
    let new = usize::try_from(changes).unwrap_or(usize::MAX).min(kept.len());
    let mut step = kept.len().checked_sub(new + 1).map_or(before.step, |at| kept[at].0.step.into());
    let (channel, of) = (channel.to_owned(), of.to_owned());
    let last = kept.len() - new;
    kept.into_iter().skip(last).filter_map(move |(change, preset, size)| {
        let from = std::mem::replace(&mut step, change.step.into());
        let is_better = change.reason == SpeedReason::Headroom;
        let is_at_floor = change.step == 0;
        let mut reason = match (change.changed, change.divisor) {
            (Changed::Size, _) => format!("its pictures have {}", size?),
            (Changed::Rate, 1) => "all pictures are encoded".to_owned(),
            (Changed::Rate, divisor) => format!("one picture of {divisor} is encoded"),
            (Changed::Speed, _) if is_at_floor => format!("it is at its fastest, {preset}"),
            // On its way up from where it began, it has not been too slow.
            (Changed::Speed, _) if from == 0 && is_better && before.faster > 0 => {
                format!("it is at {preset}")
            }
            (Changed::Speed, _) => return None,
        };
        if change.reason == SpeedReason::Priority {
            reason.push_str(", for a channel of higher priority");
        }
        let (channel, reason) = (channel.clone(), format!("{of}{reason}"));
        Some(match is_better {
            true => NodeEvent::EncoderRecovered { channel, reason },
            false => NodeEvent::EncoderOverloaded { channel, reason },
        })
    })
}

/// Why frames were dropped between two readings: the metric's words and what they mean, with how
/// many it were if there is more than one reason.
fn reasons(before: &ChannelFigures, now: &ChannelFigures) -> String {
    let composed = DropReason::ALL.into_iter().zip(before.dropped.into_iter().zip(now.dropped));
    let mut counts: Vec<_> = composed
        .map(|(reason, (before, now))| {
            (reason.label(), meaning(reason), now.saturating_sub(before))
        })
        .collect();
    let encoded = now.encoded_dropped.saturating_sub(before.encoded_dropped);
    counts.push((ENCODED_DROPPED, "the core that sends them was behind", encoded));
    counts.retain(|(.., count)| *count > 0);
    let words = |(label, meaning, count): &(&str, &str, u64)| match counts.len() {
        1 => format!("{label} ({meaning})"),
        _ => format!("{count} {label} ({meaning})"),
    };
    counts.iter().map(words).collect::<Vec<_>>().join(", ")
}

const fn meaning(reason: DropReason) -> &'static str {
    match reason {
        DropReason::QueueFull => "the encoder was behind",
        DropReason::PoolEmpty => "all frames were in use",
        DropReason::Late => "the composer was not run in time",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::stats::{Changed, ChannelStats, SpeedChange};

    fn snapshot(name: &str, stats: &ChannelStats) -> ChannelSnapshot {
        let stream = format!("live/{name}");
        let (name, figures) = (name.to_owned(), stats.read());
        ChannelSnapshot { name, stream, figures, ..ChannelSnapshot::default() }
    }

    fn dropped(channel: &str, frames: u64, reason: &str) -> NodeEvent {
        NodeEvent::FramesDropped { channel: channel.to_owned(), frames, reason: reason.to_owned() }
    }

    #[test]
    fn what_each_channel_dropped_is_told_once_with_count_and_reason() {
        let (a, b) = (ChannelStats::default(), ChannelStats::default());
        let look =
            |troubles: &mut ChannelWarnings| troubles.look(&[snapshot("a", &a), snapshot("b", &b)]);
        let mut troubles = ChannelWarnings::default();
        assert!(look(&mut troubles).is_empty());
        a.dropped(DropReason::QueueFull, 3);
        let behind = "queue_full (the encoder was behind)";
        assert_eq!(look(&mut troubles), [dropped("a", 3, behind)]);
        assert!(look(&mut troubles).is_empty(), "nothing new");
        a.dropped(DropReason::QueueFull, 1);
        b.dropped(DropReason::Late, 5);
        b.encoded_dropped();
        let both = "5 late (the composer was not run in time), \
                    1 shard_full (the core that sends them was behind)";
        assert_eq!(look(&mut troubles), [dropped("a", 1, behind), dropped("b", 6, both)]);
    }

    #[test]
    fn what_a_rendition_dropped_is_told_with_its_name_but_not_what_its_channel_tells() {
        let (main, low) = (ChannelStats::default(), ChannelStats::default());
        let look = |troubles: &mut ChannelWarnings, low: &ChannelStats| {
            let name = "low".to_owned();
            let figures = low.read();
            let renditions = vec![RenditionSnapshot { name, figures, ..Default::default() }];
            troubles.look(&[ChannelSnapshot { renditions, ..snapshot("a", &main) }])
        };
        let mut troubles = ChannelWarnings::default();
        low.composed();
        low.dropped(DropReason::Late, 5);
        assert!(look(&mut troubles, &low).is_empty());
        low.dropped(DropReason::QueueFull, 2);
        let behind = "rendition low: queue_full (the encoder was behind)";
        assert_eq!(look(&mut troubles, &low), [dropped("a", 2, behind)]);
        assert!(look(&mut troubles, &low).is_empty(), "nothing new");
        let other = ChannelStats::default();
        other.dropped(DropReason::QueueFull, 1);
        assert_eq!(look(&mut troubles, &other), [dropped("a", 1, behind)]);
    }

    #[test]
    fn what_the_encoders_of_a_transcode_drop_is_told_of_the_transcode() {
        let stats = ChannelStats::default();
        let look = |troubles: &mut ChannelWarnings| {
            let rendition = RenditionSnapshot {
                name: "low".to_owned(),
                figures: stats.read(),
                ..RenditionSnapshot::default()
            };
            let transcode = TranscodeSnapshot {
                name: "cam".to_owned(),
                source: "live/cam".to_owned(),
                renditions: vec![rendition],
                ..TranscodeSnapshot::default()
            };
            troubles.look_at_transcodes(&[transcode])
        };
        let mut troubles = ChannelWarnings::default();
        assert!(look(&mut troubles).is_empty());
        stats.dropped(DropReason::QueueFull, 3);
        let told = look(&mut troubles);
        assert_eq!(told.len(), 1);
        assert_eq!(
            format!("{}: {}", told[0].name(), told[0]),
            "transcode_overloaded: transcode cam of live/cam has too little time: 3 frames were \
             dropped: rendition low: queue_full (the encoder was behind)"
        );
        assert!(look(&mut troubles).is_empty(), "nothing new");
    }

    #[test]
    fn it_is_told_when_an_encoder_comes_to_its_fastest_and_leaves_it_and_of_its_frame_rate() {
        let stats = ChannelStats::default();
        stats.speeds(vec!["superfast", "veryfast", "faster"], 0);
        let mut troubles = ChannelWarnings::default();
        let mut look = |changes: &[(u8, u8, SpeedReason)]| -> Vec<_> {
            for (step, divisor, reason) in changes.iter().copied() {
                let is_of_rate = divisor != u8::try_from(stats.read().speed.divisor).unwrap();
                let changed = if is_of_rate { Changed::Rate } else { Changed::Speed };
                let at = Micros::from_secs(stats.read().speed.faster + stats.read().speed.slower);
                stats.speed_changed(SpeedChange { at, step, divisor, size: 0, changed, reason });
            }
            let told = troubles.look(&[snapshot("a", &stats)]);
            told.iter()
                .map(|it| format!("{} {}", it.name(), it.to_string().split_once(": ").unwrap().1))
                .collect()
        };
        let (up, down) = (SpeedReason::Headroom, SpeedReason::Queue);
        assert!(look(&[(1, 1, up), (2, 1, up)]).is_empty(), "it only begins");
        assert!(look(&[(1, 1, down)]).is_empty(), "it has speeds left");
        let told = look(&[(0, 1, down), (0, 2, down), (0, 3, down)]);
        assert_eq!(
            told,
            [
                "encoder_overloaded it is at its fastest, superfast",
                "encoder_overloaded one picture of 2 is encoded",
                "encoder_overloaded one picture of 3 is encoded",
            ]
        );
        assert_eq!(look(&[(0, 2, up)]), ["encoder_recovered one picture of 2 is encoded"]);
        let told = look(&[(0, 1, up), (1, 1, up), (2, 1, up)]);
        assert_eq!(
            told,
            ["encoder_recovered all pictures are encoded", "encoder_recovered it is at veryfast",]
        );
        assert!(look(&[]).is_empty());
    }

    #[test]
    fn a_lowered_bitrate_is_told_when_it_begins_and_when_it_is_over() {
        let stats = ChannelStats::default();
        let facts = Arc::new(ChannelFacts { bitrate_bps: 4_000_000, ..ChannelFacts::default() });
        let mut troubles = ChannelWarnings::default();
        let mut look = |bps| {
            stats.target(bps);
            let facts = Arc::clone(&facts);
            let told = troubles.look(&[ChannelSnapshot { facts, ..snapshot("a", &stats) }]);
            told.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(look(4_000_000).is_empty());
        let told = look(2_800_000);
        assert!(told.len() == 1 && told[0].ends_with("2.8 of 4.0 Mb/s"), "{told:?}");
        assert!(look(2_000_000).is_empty(), "how far is in the API");
        assert_eq!(
            look(4_000_000),
            ["the bitrate of channel a follows its outputs: 4.0 of 4.0 Mb/s"]
        );
    }

    #[test]
    fn a_stall_is_told_with_its_length() {
        let stats = ChannelStats::default();
        let mut troubles = ChannelWarnings::default();
        stats.stalled(Micros::from_millis(3_000));
        let told = troubles.look(&[snapshot("a", &stats)]);
        let length = Micros::from_millis(3_000);
        assert_eq!(told, [NodeEvent::ChannelStalled { channel: "a".to_owned(), length }]);
        stats.stalled(Micros::from_millis(700));
        let told = troubles.look(&[snapshot("a", &stats)]);
        assert!(told[0].to_string().contains("0.7 s"), "{told:?}");
    }

    #[test]
    fn a_channel_under_the_name_of_one_that_is_gone_counts_anew() {
        let (old, new) = (ChannelStats::default(), ChannelStats::default());
        let mut troubles = ChannelWarnings::default();
        old.dropped(DropReason::Late, 9);
        troubles.look(&[snapshot("a", &old)]);
        troubles.forget("a");
        new.dropped(DropReason::Late, 2);
        let told = troubles.look(&[snapshot("a", &new)]);
        assert_eq!(told, [dropped("a", 2, "late (the composer was not run in time)")]);
    }

    #[test]
    fn it_looks_once_a_second_at_most() {
        let mut troubles = ChannelWarnings::default();
        let due = [0, 200, 990, 1_000, 1_200, 1_999, 2_100]
            .map(|ms| troubles.is_due(Micros::from_millis(ms)));
        assert_eq!(due, [true, false, false, true, false, false, true]);
    }
}
