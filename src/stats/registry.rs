//! Registry of all figures of the node, made at start and read by control.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::audio::{AudioFigures, AudioStats};
use super::cell::Gauge;
use super::channel::{ChannelFigures, ChannelStats};
use super::composition::{AssetCacheFigures, LayerFigures};
use super::cores::CoreStats;
use super::failover::FallbackEntry;
use super::hook::{DeliveryStats, HookEntry, HookSnapshot};
use super::input_rule::InputRuleEntry;
use super::latency_history::LatencyHistory;
use super::list::List;
use super::loops::Loops;
use super::origin::OriginClock;
use super::output::{OutputFigures, OutputStats};
use super::placement::PlacementStats;
use super::relay::{PullEntry, PullSnapshot, RecordEntry, RecordSnapshot};
use super::rendition::{ChannelFacts, RenditionEntry, RenditionSnapshot, ShownEncode};
use super::shard::{ShardFigures, ShardStats};
use super::streams::{StreamList, StreamSnapshot};
use super::transcode::{TranscodeEntry, TranscodeSnapshot};
use crate::media::Micros;

/// Everything there is to read.
#[derive(Debug, Default)]
pub struct Registry {
    /// One block per shard.
    pub shards: Vec<Arc<ShardStats>>,
    channels: List<ChannelEntry>,
    outputs: List<OutputEntry>,
    streams: StreamList,
    streams_max: Gauge,
    pulls: List<PullEntry>,
    records: List<RecordEntry>,
    transcodes: List<TranscodeEntry>,
    fallbacks: List<FallbackEntry>,
    input_rules: List<InputRuleEntry>,
    hooks: ArcSwap<Vec<HookEntry>>,
    /// The journal, if there is one.
    pub journal: Option<Arc<DeliveryStats>>,
    /// Threads that panicked.
    pub cores: Arc<CoreStats>,
    /// Loops that are watched.
    pub loops: Arc<Loops>,
    /// The time of day, which origin stamps are made of and compared with.
    pub origin: Arc<OriginClock>,
    /// Which shard has what.
    pub placement: PlacementStats,
    /// What latency was in the last minute.
    pub latency_history: LatencyHistory,
    uptime_s: Gauge,
    in_bps: Gauge,
    out_bps: Gauge,
    packets: ArcSwap<PacketPoolFigures>,
    asset_cache: ArcSwap<AssetCacheFigures>,
}

/// The packet pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketPoolFigures {
    /// Bytes of slots in use.
    pub used_bytes: u64,
    /// Bytes of all slabs.
    pub slab_bytes: u64,
    /// What these may be at most.
    pub bytes_max: u64,
    /// Slabs added since start.
    pub slabs_added: u64,
    /// Slabs removed since start.
    pub slabs_removed: u64,
    /// Packets since start that came from the heap because the pool had no fitting slot.
    pub heap_packets: u64,
}

/// A channel's figures, what it is called and what it is to make.
#[derive(Clone, Debug, Default)]
pub struct ChannelEntry {
    /// Name of the channel.
    pub name: String,
    /// The stream it makes, such as `live/demo`.
    pub stream: String,
    /// What it is to make.
    pub facts: Arc<ChannelFacts>,
    /// Its figures.
    pub stats: Arc<ChannelStats>,
    /// Its further renditions.
    pub renditions: Vec<RenditionEntry>,
    /// The levels of its audio, if it has any.
    pub audio: Option<Arc<AudioStats>>,
}

impl ChannelEntry {
    /// Each of its encodes with the streams that show it.
    #[must_use]
    pub fn shown(&self) -> Vec<ShownEncode<'_>> {
        let main = (&self.stream, &self.facts, &self.stats);
        ShownEncode::all(Some(main), &self.renditions)
    }

    /// The figures of each of its encodes, once.
    pub fn encodes(&self) -> impl Iterator<Item = &Arc<ChannelStats>> {
        self.shown().into_iter().map(|encode| encode.stats)
    }
}

/// An output's figures and where it goes.
#[derive(Clone, Debug)]
pub struct OutputEntry {
    channel: String,
    name: String,
    destination: String,
    stream: String,
    /// The rendition that it sends in the place of its stream.
    rendition: Option<String>,
    stats: Arc<OutputStats>,
}

impl OutputEntry {
    /// An output of `channel` to `url`. What could be a stream key in the URL is not kept.
    #[must_use]
    pub fn new(channel: &str, name: &str, url: &str, stats: Arc<OutputStats>) -> Self {
        let (channel, name) = (channel.to_owned(), name.to_owned());
        let destination = url_without_secrets(url);
        Self { channel, name, destination, stream: String::new(), rendition: None, stats }
    }

    /// The same, of this stream.
    #[must_use]
    pub fn of_stream(self, stream: &str) -> Self {
        Self { stream: stream.to_owned(), ..self }
    }
}

impl Registry {
    /// A registry of these figures.
    #[must_use]
    pub fn new(
        shards: Vec<Arc<ShardStats>>,
        channels: Vec<ChannelEntry>,
        outputs: Vec<OutputEntry>,
    ) -> Self {
        let (channels, outputs) = (List::new(channels), List::new(outputs));
        Self { shards, channels, outputs, ..Self::default() }
    }

    /// The channels now.
    #[must_use]
    pub fn channels(&self) -> Arc<Vec<ChannelEntry>> {
        self.channels.read()
    }

    /// One more channel, or another one in the place of that of its name.
    pub fn put_channel(&self, entry: &ChannelEntry) {
        self.channels.put(entry, |other| other.name == entry.name);
    }

    /// The channel of this name is gone.
    pub fn remove_channel(&self, name: &str) {
        self.channels.remove(|entry| entry.name == name);
    }

    /// The figures of the outputs and pushes that send one of these streams.
    #[must_use]
    pub fn outputs_of(&self, streams: &[&str]) -> Vec<OutputFigures> {
        let outputs = self.outputs.read();
        let is_of = |entry: &&OutputEntry| {
            streams.contains(&entry.rendition.as_deref().unwrap_or(&entry.stream))
        };
        outputs.iter().filter(is_of).map(|entry| entry.stats.read()).collect()
    }

    /// One more output.
    pub fn add_output(&self, entry: &OutputEntry) {
        self.outputs.add(entry);
    }

    /// An output has other figures.
    pub fn put_output(&self, entry: &OutputEntry) {
        let (channel, name) = (&entry.channel, &entry.name);
        self.outputs.put(entry, |other| other.channel == *channel && other.name == *name);
    }

    /// The output of this name of that channel sends its stream, or this rendition in its place.
    pub fn set_output_rendition(&self, channel: &str, name: &str, rendition: Option<&str>) {
        let is_it = |entry: &OutputEntry| entry.channel == channel && entry.name == name;
        let outputs = self.outputs.read();
        let known = outputs.iter().find(|entry| is_it(entry));
        if let Some(entry) = known.filter(|entry| entry.rendition.as_deref() != rendition) {
            let rendition = rendition.map(str::to_owned);
            self.outputs.put(&OutputEntry { rendition, ..entry.clone() }, is_it);
        }
    }

    /// The output of this name of that channel is gone.
    pub fn remove_output(&self, channel: &str, name: &str) {
        self.outputs.remove(|entry| entry.channel == channel && entry.name == name);
    }

    /// What is known about single streams, as control looked at them last.
    pub fn set_streams(&self, streams: StreamSnapshot) {
        self.streams.set(streams);
    }

    /// Streams that have series of their own, at most.
    #[must_use]
    pub fn streams_max(&self) -> usize {
        usize::try_from(self.streams_max.get_count()).unwrap_or(usize::MAX)
    }

    /// So many streams have series of their own from the next look on, at most.
    pub fn set_streams_max(&self, most: usize) {
        self.streams_max.set_count(most);
    }

    /// One more pull.
    pub fn add_pull(&self, entry: &PullEntry) {
        self.pulls.add(entry);
    }

    /// A pull has other figures.
    pub fn put_pull(&self, entry: &PullEntry) {
        self.pulls.put(entry, |other| other.name == entry.name);
    }

    /// The pull of this name is gone.
    pub fn remove_pull(&self, name: &str) {
        self.pulls.remove(|entry| entry.name == name);
    }

    /// One more recording.
    pub fn add_record(&self, entry: &RecordEntry) {
        self.records.add(entry);
    }

    /// The recording of this name is gone.
    pub fn remove_record(&self, name: &str) {
        self.records.remove(|entry| entry.name == name);
    }

    /// The transcodes now.
    #[must_use]
    pub fn transcodes(&self) -> Arc<Vec<TranscodeEntry>> {
        self.transcodes.read()
    }

    /// One more transcode, or what has become of the one of its name.
    pub fn put_transcode(&self, entry: &TranscodeEntry) {
        self.transcodes.put(entry, |other| other.name == entry.name);
    }

    /// What has become of a stream with a fallback.
    pub fn put_fallback(&self, entry: &FallbackEntry) {
        self.fallbacks.put(entry, |other| other.stream == entry.stream);
    }

    /// What has become of an input that a rule watches.
    pub fn put_input_rule(&self, entry: &InputRuleEntry) {
        let is_it =
            |it: &InputRuleEntry| (&it.channel, &it.stream) == (&entry.channel, &entry.stream);
        self.input_rules.put(entry, is_it);
    }

    /// The rule of a channel about a stream is gone.
    pub fn remove_input_rule(&self, channel: &str, stream: &str) {
        self.input_rules.remove(|it| it.channel == channel && it.stream == stream);
    }

    /// The transcode of this name is gone.
    pub fn remove_transcode(&self, name: &str) {
        self.transcodes.remove(|entry| entry.name == name);
    }

    /// These are the webhooks from now on.
    pub fn set_hooks(&self, hooks: Vec<HookEntry>) {
        self.hooks.store(Arc::new(hooks));
    }

    /// Everything as it is now; rates as the meter measured them last.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut node = ShardFigures::default();
        let shards: Vec<_> = self.shards.iter().map(|shard| shard.read()).collect();
        shards.iter().for_each(|shard| node.merge(shard));
        let channels = self.channels.read();
        let channels = channels.iter().map(|entry| ChannelSnapshot {
            name: entry.name.clone(),
            stream: entry.stream.clone(),
            facts: Arc::clone(&entry.facts),
            figures: entry.stats.read(),
            layers: entry.stats.layers(),
            renditions: entry.renditions.iter().map(RenditionEntry::read).collect(),
            audio: entry.audio.as_ref().map(|audio| audio.read()),
        });
        let outputs = self.outputs.read();
        let outputs = outputs.iter().map(|entry| OutputSnapshot {
            channel: entry.channel.clone(),
            name: entry.name.clone(),
            destination: entry.destination.clone(),
            stream: entry.stream.clone(),
            rendition: entry.rendition.clone(),
            figures: entry.stats.read(),
        });
        Snapshot {
            uptime_s: self.uptime_s.get(),
            in_bps: self.in_bps.get(),
            out_bps: self.out_bps.get(),
            packets: **self.packets.load(),
            asset_cache: **self.asset_cache.load(),
            node,
            shards,
            channels: channels.collect(),
            outputs: outputs.collect(),
            streams: self.streams.read(),
            pulls: self.pulls.read().iter().map(PullEntry::read).collect(),
            records: self.records.read().iter().map(RecordEntry::read).collect(),
            fallbacks: self.fallbacks.read().to_vec(),
            input_rules: self.input_rules.read().to_vec(),
            transcodes: self.transcodes.read().iter().map(TranscodeEntry::read).collect(),
            hooks: self.hooks.load().iter().map(HookEntry::read).collect(),
            journal: self.journal.as_ref().map(|journal| journal.read()),
        }
    }

    /// What the packet pool holds now. For control, which asks it once a second.
    pub fn set_packets(&self, figures: PacketPoolFigures) {
        self.packets.store(Arc::new(figures));
    }

    /// What the cache of loaded pictures holds now. For control.
    pub fn set_asset_cache(&self, figures: AssetCacheFigures) {
        self.asset_cache.store(Arc::new(figures));
    }

    pub(super) fn set_rates(&self, now: Micros, in_bps: f64, out_bps: f64) {
        self.uptime_s.set(now.secs_f64());
        self.in_bps.set(in_bps);
        self.out_bps.set(out_bps);
    }
}

/// The node at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Seconds since the node's start, at the last measurement.
    pub uptime_s: f64,
    /// Bits per second from peers, as measured last.
    pub in_bps: f64,
    /// Bits per second to peers, as measured last.
    pub out_bps: f64,
    /// The packet pool, as it was within the last second.
    pub packets: PacketPoolFigures,
    /// The cache of loaded pictures.
    pub asset_cache: AssetCacheFigures,
    /// All shards together.
    pub node: ShardFigures,
    /// Each shard.
    pub shards: Vec<ShardFigures>,
    /// The channels.
    pub channels: Vec<ChannelSnapshot>,
    /// Their outputs.
    pub outputs: Vec<OutputSnapshot>,
    /// Single streams, of as many as have series.
    pub streams: StreamSnapshot,
    /// Streams pulled from other servers.
    pub pulls: Vec<PullSnapshot>,
    /// Recordings.
    pub records: Vec<RecordSnapshot>,
    /// Streams with a fallback.
    pub fallbacks: Vec<FallbackEntry>,
    /// Inputs that rules of channels watch.
    pub input_rules: Vec<InputRuleEntry>,
    /// Transcodes.
    pub transcodes: Vec<TranscodeSnapshot>,
    /// Webhooks.
    pub hooks: Vec<HookSnapshot>,
    /// Lines of the journal, in the order of [`super::Delivery::ALL`].
    pub journal: Option<[u64; 3]>,
}

/// A channel at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelSnapshot {
    /// Name of the channel.
    pub name: String,
    /// The stream it makes, such as `live/demo`.
    pub stream: String,
    /// What it is to make.
    pub facts: Arc<ChannelFacts>,
    /// Its figures.
    pub figures: ChannelFigures,
    /// What the layers on the air cost, lowest first.
    pub layers: Vec<LayerFigures>,
    /// Its further renditions.
    pub renditions: Vec<RenditionSnapshot>,
    /// The levels of its audio.
    pub audio: Option<AudioFigures>,
}

/// An output at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputSnapshot {
    /// The channel it sends.
    pub channel: String,
    /// Name of the output.
    pub name: String,
    /// Where it goes, without anything that could be a secret.
    pub destination: String,
    /// The stream that it sends.
    pub stream: String,
    /// The rendition that it sends in the place of that stream, which its destination cannot take.
    pub rendition: Option<String>,
    /// Its figures.
    pub figures: OutputFigures,
}

/// What stands for the parts of a URL that may be secret.
const HIDDEN: &str = "***";

/// Scheme, host and, of RTMP, application of `url`: what follows is or may be a secret.
#[must_use]
pub fn url_without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return HIDDEN.to_owned() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit('@').next().unwrap_or_default();
    match path.split_once('/') {
        Some((app, _)) if scheme.starts_with("rtmp") => {
            format!("{scheme}://{host}/{app}/{HIDDEN}")
        }
        _ => format!("{scheme}://{host}/{HIDDEN}"),
    }
}

#[cfg(test)]
impl ChannelEntry {
    /// A channel without figures.
    pub(super) fn named(name: &str) -> Self {
        let (name, stream) = (name.to_owned(), format!("live/{name}"));
        let (facts, stats, renditions) = (Arc::default(), Arc::default(), Vec::new());
        Self { name, stream, facts, stats, renditions, audio: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_keeps_no_secret() {
        for (url, shown) in [
            ("rtmp://a.example/live2/sec-ret", "rtmp://a.example/live2/***"),
            ("rtmps://me:pass@b.example:443/app/in/sec?key=ret", "rtmps://b.example:443/app/***"),
            ("rtmp://c.example/sec-ret", "rtmp://c.example/***"),
            ("rtmp://c.example?key=secret/x", "rtmp://c.example/***"),
            ("rtmp://me:p@ss@d.example/a/b", "rtmp://d.example/a/***"),
            ("sec-ret", "***"),
            ("https://e.example/sec-ret/hook", "https://e.example/***"),
        ] {
            let entry = OutputEntry::new("demo", "one", url, Arc::default());
            assert_eq!(entry.destination, shown);
        }
    }

    #[test]
    fn outputs_come_and_go() {
        let registry = Registry::default();
        let names = || {
            registry.snapshot().outputs.into_iter().map(|output| output.name).collect::<Vec<_>>()
        };
        for name in ["one", "two"] {
            let url = "rtmp://a.example/b/c";
            registry.add_output(&OutputEntry::new("demo", name, url, Arc::default()));
        }
        registry.remove_output("other", "two");
        assert_eq!(names(), ["one", "two"]);
        registry.remove_output("demo", "one");
        assert_eq!(names(), ["two"]);
    }

    #[test]
    fn channels_come_and_go_and_one_takes_the_place_of_its_name() {
        let registry = Registry::default();
        let names = || {
            let all = registry.channels();
            all.iter().map(|it| (it.name.clone(), it.facts.width)).collect::<Vec<_>>()
        };
        let of = |name: &str, width| (name.to_owned(), width);
        for name in ["one", "two"] {
            registry.put_channel(&ChannelEntry::named(name));
        }
        let facts = Arc::new(ChannelFacts { width: 640, ..ChannelFacts::default() });
        registry.put_channel(&ChannelEntry { facts, ..ChannelEntry::named("one") });
        assert_eq!(names(), [of("one", 640), of("two", 0)]);
        registry.remove_channel("one");
        assert_eq!(names(), [of("two", 0)]);
    }

    #[test]
    fn an_encode_that_two_streams_show_is_listed_once_with_both() {
        let mut entry = ChannelEntry::named("demo");
        let rendition = |name: &str, stats: &Arc<ChannelStats>| RenditionEntry {
            name: name.to_owned(),
            stream: format!("live/{name}"),
            stats: Arc::clone(stats),
            ..RenditionEntry::default()
        };
        let own = Arc::default();
        let further = vec![Arc::clone(&own)];
        let tracks = RenditionEntry { further, ..rendition("tracks", &entry.stats) };
        entry.renditions = vec![rendition("own", &own), rendition("same", &entry.stats), tracks];
        let shown: Vec<_> = entry.shown().into_iter().map(|it| it.streams).collect();
        let main = vec!["live/demo", "live/same", "live/tracks"];
        assert_eq!(shown, [main, vec!["live/own", "live/tracks"]]);
    }

    #[test]
    fn a_snapshot_adds_up_the_shards_and_lists_the_rest() {
        let shards = vec![Arc::new(ShardStats::default()), Arc::default()];
        shards[0].bytes_in(1);
        shards[1].bytes_in(2);
        let channel = ChannelEntry::named("demo");
        channel.stats.composed();
        let output = OutputEntry::new("demo", "one", "rtmp://a.example/b/c", Arc::default());
        let snapshot = Registry::new(shards, vec![channel], vec![output]).snapshot();
        assert_eq!(snapshot.node.bytes_in, 3);
        assert_eq!(snapshot.channels[0].figures.composed, 1);
        assert_eq!(snapshot.outputs[0].name, "one");
    }
}
