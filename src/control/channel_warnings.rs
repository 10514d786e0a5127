//! Channel troubles, found in the figures: dropped frames, and stalls of the composer.

use std::collections::HashMap;

use crate::event::NodeEvent;
use crate::media::Micros;
use crate::stats::{ChannelFigures, ChannelSnapshot, DropReason, ENCODED_DROPPED};

/// Least time between two events about the frames that one channel dropped.
const EVERY: Micros = Micros::from_secs(1);

/// What was told of each channel so far.
#[derive(Debug, Default)]
pub(crate) struct ChannelWarnings {
    told: HashMap<String, ChannelFigures>,
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
    }

    /// What is new in these figures.
    pub(crate) fn look(&mut self, channels: &[ChannelSnapshot]) -> Vec<NodeEvent> {
        let mut news = Vec::new();
        for ChannelSnapshot { name, figures, .. } in channels {
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
            *told = *figures;
        }
        news
    }
}

/// Why frames were dropped between two readings: the metric's words and what they mean, with how
/// many it were if there is more than one reason.
fn reasons(before: &ChannelFigures, now: &ChannelFigures) -> String {
    let composed = DropReason::ALL.into_iter().zip(before.dropped.into_iter().zip(now.dropped));
    let mut counts: Vec<_> = composed
        .map(|(reason, (before, now))| (reason.label(), meaning(reason), now - before))
        .collect();
    let encoded = now.encoded_dropped - before.encoded_dropped;
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
    use crate::stats::ChannelStats;

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
