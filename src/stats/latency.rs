//! Latency of the node: what the threads on each stream's way have counted, put together.

use std::sync::Arc;

use super::channel::ChannelStats;
use super::latency_history::LatencyReading;
use super::origin::OriginFigures;
use super::publisher::PublisherFigures;
use super::registry::Registry;
use super::stage::StageFigures;
use super::stream_latency::WorstFrame;
use crate::media::Micros;

/// Name of the thread that composes, in [`LatencyReading::threads`].
const COMPOSE: &str = "compose";

/// Of those that encode and scale.
const ENCODE: &str = "encode";

impl Registry {
    /// What all threads have counted so far, by streams and by threads.
    #[must_use]
    pub fn read_latency(&self, now: Micros) -> LatencyReading {
        let mut reading = LatencyReading { at: now, ..LatencyReading::default() };
        for channel in self.channels().iter() {
            let mut composed = StageFigures::default();
            channel.stats.read_compose_into(&mut composed);
            reading.thread(COMPOSE, &composed);
            for encode in channel.shown() {
                reading.encode(encode.stats, &encode.streams, Some(&composed));
            }
        }
        for transcode in self.transcodes().iter() {
            for encode in transcode.shown() {
                reading.encode(encode.stats, &encode.streams, None);
            }
        }
        for (number, shard) in self.shards.iter().enumerate() {
            let mut all = StageFigures::default();
            for entry in shard.latencies().read() {
                let mut own = StageFigures::default();
                entry.latency.read_into(&mut own);
                all.add_all(&own);
                if own.each().next().is_some() {
                    reading.streams.entry(entry.stream.to_string()).or_default().add_all(&own);
                }
            }
            reading.thread(&format!("shard-{number}"), &all);
        }
        reading
    }

    /// The frames of a stream that took longest in the last minute, the longest first.
    #[must_use]
    pub fn worst_frames(&self, stream: &str, now: Micros) -> Vec<WorstFrame> {
        let entries = self.shards.iter().flat_map(|shard| shard.latencies().read());
        let own = entries.filter(|entry| *entry.stream == *stream);
        let mut worst: Vec<_> = own.flat_map(|entry| entry.latency.worst(now)).collect();
        worst.sort_by_key(|frame| std::cmp::Reverse(frame.took));
        worst
    }

    /// What the origin stamps of a stream say, if it brings some: of the shard that has had one
    /// last, should it have moved.
    #[must_use]
    pub fn origin_of(&self, stream: &str) -> Option<OriginFigures> {
        let entries = self.shards.iter().flat_map(|shard| shard.latencies().read());
        // Under no name are several streams together.
        let own = entries.filter(|entry| *entry.stream == *stream && !stream.is_empty());
        own.filter_map(|entry| entry.latency.origin()).max_by_key(|origin| origin.at)
    }

    /// What the publisher of a stream says of its frames, if it does: as [`Registry::origin_of`].
    #[must_use]
    pub fn publisher_of(&self, stream: &str) -> Option<PublisherFigures> {
        let entries = self.shards.iter().flat_map(|shard| shard.latencies().read());
        let own = entries.filter(|entry| *entry.stream == *stream && !stream.is_empty());
        own.filter_map(|entry| entry.latency.publisher()).max_by_key(|it| it.at)
    }

    /// The frames among those of all streams that took longest that have passed their last points
    /// after `since`, each with its stream.
    #[must_use]
    pub fn worst_since(&self, since: Micros, now: Micros) -> Vec<(Arc<str>, WorstFrame)> {
        let entries = self.shards.iter().flat_map(|shard| shard.latencies().read());
        let frames = entries.flat_map(|entry| {
            let worst = entry.latency.worst(now).into_iter();
            worst.map(move |frame| (Arc::clone(&entry.stream), frame))
        });
        frames.filter(|(_, frame)| frame.at > since).collect()
    }
}

impl LatencyReading {
    fn thread(&mut self, name: &str, figures: &StageFigures) {
        self.threads.entry(name.to_owned()).or_default().add_all(figures);
    }

    fn encode(
        &mut self,
        stats: &Arc<ChannelStats>,
        streams: &[&str],
        composed: Option<&StageFigures>,
    ) {
        let mut encoded = StageFigures::default();
        stats.read_encode_into(&mut encoded);
        self.thread(ENCODE, &encoded);
        for stream in streams {
            let all = self.streams.entry((*stream).to_owned()).or_default();
            all.add_all(&encoded);
            if let Some(composed) = composed {
                all.add_all(composed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::registry::ChannelEntry;
    use crate::stats::{RenditionEntry, ShardStats, Stage};

    #[test]
    fn a_stream_has_the_stages_of_all_threads_on_its_way() {
        let mut channel = ChannelEntry::named("demo");
        let low = RenditionEntry { stream: "live/low".to_owned(), ..RenditionEntry::default() };
        low.stats.encoder_took(Stage::Encode, Micros(7));
        low.stats.scaler_took(Micros(3));
        channel.stats.composer_took(Stage::Compose, Micros(5));
        channel.stats.encoder_took(Stage::Encode, Micros(11));
        channel.renditions.push(low);
        let shards = vec![Arc::new(ShardStats::default()), Arc::default()];
        let name: Arc<str> = "live/demo".into();
        let open = [0, 1].map(|shard| shards[shard].latencies().open(&name));
        open.iter().for_each(|it| it.observe(Stage::Send, Micros(2)));
        let registry = Registry::new(shards, vec![channel], Vec::new());
        let reading = registry.read_latency(Micros(9));
        let of = |figures: &StageFigures| {
            figures.each().map(|(stage, it)| (stage, it.count(), it.max().0)).collect::<Vec<_>>()
        };
        let (compose, encode) = ((Stage::Compose, 1, 5), (Stage::Encode, 1, 11));
        assert_eq!(of(&reading.streams["live/demo"]), [compose, encode, (Stage::Send, 2, 2)]);
        let low = [compose, (Stage::Scale, 1, 3), (Stage::Encode, 1, 7)];
        assert_eq!(of(&reading.streams["live/low"]), low);
        assert_eq!(of(&reading.threads["shard-1"]), [(Stage::Send, 1, 2)]);
        assert_eq!(of(&reading.threads["compose"]), [compose]);
        assert_eq!(of(&reading.threads["encode"]), [(Stage::Scale, 1, 3), (Stage::Encode, 2, 11)]);
    }
}
