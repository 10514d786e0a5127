//! Publishers' own metrics: how long frames took inside OBS and to here, and how many it left out.

use super::cell::Counter;
use super::stage::Stage;
use super::word_slot::WordSlot;
use crate::media::{Micros, PublisherMetrics};

/// What a publisher says of its frames, added up since its stream began here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublisherFigures {
    /// When it said something last.
    pub at: Micros,
    /// Frames that it has drawn.
    pub rendered: u64,
    /// Those that it drew too late.
    pub lagged: u64,
    /// Those that it dropped because of its network.
    pub dropped: u64,
    /// Those of all its tracks that it put out.
    pub output: u64,
    /// Those that its encoder was given.
    pub encoder_input: u64,
    /// Those that its encoder was too slow for.
    pub encoder_skipped: u64,
    /// Those that its encoder has made.
    pub encoder_output: u64,
    /// Keyframes that would have come before they were encoded, by the clocks: no `uplink` was
    /// counted.
    pub ahead: u64,
}

/// Its shard writes.
#[derive(Debug, Default)]
pub(super) struct PublisherSlot {
    newest: WordSlot<8>,
    ahead: Counter,
}

impl PublisherSlot {
    /// Metrics that came at `now`, `unix_us` by the time of day. How long the frame was in each
    /// stage that they tell of.
    pub(super) fn note(
        &self,
        metrics: &PublisherMetrics,
        now: Micros,
        unix_us: u64,
    ) -> [(Stage, Option<Micros>); 3] {
        let (session, encoder) =
            (metrics.session.unwrap_or_default(), metrics.encoder.unwrap_or_default());
        let new = [
            session.rendered,
            session.lagged,
            session.dropped,
            session.output,
            encoder.input,
            encoder.skipped,
            encoder.output,
        ];
        let mut words = [now.0; 8];
        for (at, (word, new)) in (1..).zip(words[1..].iter_mut().zip(new)) {
            *word = self.newest.word(at).wrapping_add(new.into());
        }
        self.newest.write(words);
        let between = |from: Option<u64>, to: Option<u64>| to?.checked_sub(from?).map(Micros);
        let sent = metrics.encoded_us.or(metrics.interleaved_us);
        let uplink = between(sent, Some(unix_us));
        if sent.is_some() && uplink.is_none() {
            self.ahead.add(1);
        }
        [
            (Stage::PublisherCapture, between(metrics.composed_us, metrics.requested_us)),
            (Stage::PublisherEncode, between(metrics.requested_us, metrics.encoded_us)),
            (Stage::PublisherUplink, uplink),
        ]
    }

    pub(super) fn read(&self) -> Option<PublisherFigures> {
        let [at, rendered, lagged, dropped, output, input, skipped, encoded] =
            self.newest.read()?;
        Some(PublisherFigures {
            at: Micros(at),
            rendered,
            lagged,
            dropped,
            output,
            encoder_input: input,
            encoder_skipped: skipped,
            encoder_output: encoded,
            ahead: self.ahead.get(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{EncoderFrames, SessionFrames};

    #[test]
    fn frames_add_up_and_each_part_of_the_way_is_told_apart() {
        let slot = PublisherSlot::default();
        assert_eq!(slot.read(), None);
        let metrics = PublisherMetrics {
            composed_us: Some(1_000),
            requested_us: Some(1_300),
            encoded_us: Some(2_000),
            interleaved_us: Some(2_500),
            session: Some(SessionFrames { rendered: 60, lagged: 2, dropped: 1, output: 57 }),
            encoder: Some(EncoderFrames { input: 58, skipped: 3, output: 55 }),
        };
        let took = slot.note(&metrics, Micros(9), 7_000).map(|(_, took)| took.map(|it| it.0));
        assert_eq!(took, [Some(300), Some(700), Some(5_000)]);
        let without = PublisherMetrics { requested_us: None, encoded_us: None, ..metrics };
        let took = slot.note(&without, Micros(10), 7_000).map(|(_, took)| took.map(|it| it.0));
        assert_eq!(took, [None, None, Some(4_500)], "from when it was put in order");
        let took = slot.note(&metrics, Micros(11), 1_999)[2].1;
        assert_eq!(took, None, "the clocks are apart");
        let figures = slot.read().unwrap();
        let wanted = PublisherFigures {
            at: Micros(11),
            rendered: 180,
            lagged: 6,
            dropped: 3,
            output: 171,
            encoder_input: 174,
            encoder_skipped: 9,
            encoder_output: 165,
            ahead: 1,
        };
        assert_eq!(figures, wanted);
    }
}
