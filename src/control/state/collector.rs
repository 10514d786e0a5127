//! State collector: reads the node's state and figures once a second for the API.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio::time::{MissedTickBehavior, interval};

use super::board::Board;
use super::composition;
use super::events::describe;
use super::figures::{Latency, named};
use super::hours::DroppedByHour;
use super::model::{
    Channel, Cores, Driver, Key, Node, Publisher, Shard, Snapshot, Stream, StreamAudio,
    StreamVideo, key_uses,
};
use super::recordings::Collected;
use super::relays;
use super::rendition::{Rendition, dropped_of};
use super::series::Series;
use super::speed::Speed;
use super::{fallbacks, input_rules, transcodes};
use crate::command::{Answer, Ask, ScenesView, StreamView};
use crate::control::ControlHandle;
use crate::control::keystore::Keys;
use crate::control::time::Time;
use crate::event::NodeEvent;
use crate::media::Micros;
use crate::stats::Snapshot as Figures;
use crate::stats::{
    ChannelEntry, ChannelSnapshot, ErrorKind, HistogramFigures, OtherReader, OutputSnapshot,
    PlacedItems, Registry, ShardLoad, TranscodeEntry, ViewerDrop,
};

/// How often everything is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// The keys are read again after so many looks even if nobody says that one has changed: a use is
/// written down without a word.
const LOOKS_PER_KEYS: u32 = 60;

/// Keys in the state, newest first. The API lists all.
pub const KEYS_SHOWN_MAX: usize = 500;

/// Streams in the state, by name. The API lists all.
pub const STREAMS_SHOWN_MAX: usize = 1_000;

/// What does not change while a node runs.
#[derive(Clone, Debug)]
pub struct NodeDescription {
    /// Its name.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// TCP port of RTMP.
    pub rtmp_port: u16,
    /// [`flv_base`]
    pub flv_base: String,
    /// Which CPU does what.
    pub cores: Cores,
    /// What runs the shards.
    pub driver: Driver,
    /// The rule by which things are placed at the shards.
    pub placement: String,
}

/// Keeps a [`Board`] up to date.
#[derive(Debug)]
pub struct StateCollector {
    board: Arc<Board>,
    handle: ControlHandle,
    registry: Arc<Registry>,
    keys: Option<Keys>,
    time: Time,
    facts: NodeDescription,
    shown_keys: BTreeMap<String, Key>,
    /// The latencies of each channel up to the last look.
    latencies: HashMap<String, HistogramFigures>,
    /// What each channel dropped.
    dropped: HashMap<String, DroppedByHour>,
    compositions: composition::Collected,
    recordings: Collected,
    relays: relays::Collected,
    series: Series,
}

impl StateCollector {
    /// Of the node behind `handle`. Its first look is at the begin of [`StateCollector::run`].
    #[must_use]
    pub fn new(
        handle: ControlHandle,
        registry: Arc<Registry>,
        keys: Option<Keys>,
        time: Time,
        facts: NodeDescription,
    ) -> Self {
        let figures = (&Figures::default(), &[][..]);
        let node = node_of(&facts, &time, figures);
        let board = Board::new(Snapshot { at: time.now_ms(), node, ..Snapshot::default() });
        Self {
            board: Arc::new(board),
            handle,
            registry,
            keys,
            time,
            series: Series::default(),
            facts,
            shown_keys: BTreeMap::new(),
            latencies: HashMap::new(),
            dropped: HashMap::new(),
            compositions: composition::Collected::default(),
            recordings: Collected::default(),
            relays: relays::Collected::default(),
        }
    }

    /// What it writes to.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Looks again and again, and passes on the `events` of the node, until these end.
    pub async fn run(mut self, mut events: mpsc::Receiver<NodeEvent>) {
        let mut changes = self.keys.as_ref().map(Keys::changes);
        let mut every = interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks_to_keys = 0;
        loop {
            tokio::select! {
                _ = every.tick() => {
                    if looks_to_keys == 0 {
                        self.read_keys().await;
                        looks_to_keys = LOOKS_PER_KEYS;
                    }
                    looks_to_keys -= 1;
                    self.look().await;
                }
                event = events.recv() => match event {
                    Some(event) => self.handle(&event).await,
                    None => return,
                },
                () = changed(&mut changes) => looks_to_keys = 0,
            }
        }
    }

    async fn handle(&mut self, event: &NodeEvent) {
        self.recordings.handle(event);
        self.series.handle(event, self.time.now_ms() as f64 / 1e3);
        self.relays.handle(event);
        self.board.event(describe(event, &self.time)).await;
    }

    /// A store that is away leaves what was known.
    async fn read_keys(&mut self) {
        let Some(keys) = &self.keys else { return };
        if let Ok(views) = keys.list().await {
            let newest = views.iter().rev().take(KEYS_SHOWN_MAX);
            self.shown_keys = newest.map(|view| (view.id(), Key::from(view))).collect();
        }
    }

    async fn look(&mut self) {
        let figures = self.registry.snapshot();
        let (mut channels, mut compositions) = (BTreeMap::new(), BTreeMap::new());
        for channel in &figures.channels {
            let ask = Ask::Scenes { channel: channel.name.clone() };
            let Answer::Scenes(scenes) = self.handle.ask(ask).await else { continue };
            let by_hour = self.dropped.entry(channel.name.clone()).or_default();
            let total = channel.figures.dropped_total();
            let dropped_by_hour = by_hour.look(total, self.time.now_ms()).to_vec();
            let composition = self.compositions.look(channel, &scenes.active, figures.asset_cache);
            compositions.insert(channel.name.clone(), composition);
            let latencies = &mut self.latencies;
            let shown = channel_of(channel, &figures.outputs, scenes, latencies, &self.time);
            channels.insert(channel.name.clone(), Channel { dropped_by_hour, ..shown });
        }
        self.compositions.retain(|name| channels.contains_key(name));
        self.latencies.retain(|name, _| channels.contains_key(name));
        self.dropped.retain(|name, _| figures.channels.iter().any(|it| it.name == *name));
        let streams = match self.handle.ask(Ask::Streams).await {
            Answer::Streams(streams) => streams,
            _ => Vec::new(),
        };
        let (channels_now, transcodes_now) = (self.registry.channels(), self.registry.transcodes());
        let encodes = channels_now.iter().flat_map(ChannelEntry::shown);
        for encode in encodes.chain(transcodes_now.iter().flat_map(TranscodeEntry::shown)) {
            let shown = streams.iter().filter(|view| encode.streams.contains(&view.name.as_str()));
            encode.stats.set_audience(shown.map(audience).sum());
        }
        self.series.look(&streams, self.registry.streams_max(), self.time.now());
        self.registry.set_streams(self.series.snapshot());
        let mut uses = key_uses(&streams, &self.time);
        let mut keys = self.shown_keys.clone();
        for (id, key) in &mut keys {
            key.live = Some(uses.remove(id).unwrap_or_default());
        }
        let transcodes = transcodes::show(&figures.transcodes, &streams, &self.time);
        let streams = streams.iter().take(STREAMS_SHOWN_MAX);
        let streams = streams
            .map(|view| (view.name.clone(), stream_of(view, &self.facts.flv_base, &self.time)));
        let (outputs, pushes) = self.relays.outputs(&figures.outputs, EVERY.as_secs_f64());
        let next = Snapshot {
            at: self.time.now_ms(),
            outputs,
            pulls: self.relays.pulls(&figures.pulls, EVERY.as_secs_f64()),
            pushes,
            recordings: self.recordings.show(&figures.records),
            channels,
            transcodes,
            fallbacks: fallbacks::show(&figures.fallbacks, &self.time),
            input_rules: input_rules::show(&figures.input_rules, &self.time),
            streams: streams.collect(),
            keys,
            compositions,
            node: node_of(&self.facts, &self.time, (&figures, &self.registry.placement.shards())),
        };
        self.board.update(next).await;
    }
}

/// Who reads a stream, outputs and previews aside.
fn audience(view: &StreamView) -> u64 {
    let others = OtherReader::ALL.into_iter().zip(view.other_readers);
    let counted =
        others.filter(|(kind, _)| matches!(kind, OtherReader::Input | OtherReader::Recording));
    view.viewers + counted.map(|(_, count)| count).sum::<u64>()
}

/// Waits for word that keys have changed; for ever if there are none.
async fn changed<T: Clone>(changes: &mut Option<broadcast::Receiver<T>>) {
    match changes {
        Some(news) => match news.recv().await {
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => *changes = None,
        },
        None => std::future::pending().await,
    }
}

/// Where streams are played over HTTP that listens on `place`, as far as the node knows its own
/// address.
#[must_use]
pub fn flv_base((place, is_secure): (SocketAddr, bool)) -> String {
    let scheme = if is_secure { "https" } else { "http" };
    match place.ip().is_unspecified() {
        true => format!("{scheme}://127.0.0.1:{}", place.port()),
        false => format!("{scheme}://{place}"),
    }
}

/// What the API shows of a stream; `base` is [`flv_base`].
#[must_use]
pub fn stream_of(view: &StreamView, base: &str, time: &Time) -> Stream {
    Stream {
        name: view.name.clone(),
        source: view.source.to_owned(),
        publisher: view.publisher.as_ref().map(Publisher::from),
        since_at: time.unix_ms(view.since),
        viewers: view.viewers,
        other_readers: named(OtherReader::ALL.map(OtherReader::label), view.other_readers),
        bytes_in: view.bytes_in,
        bytes_out: view.bytes_out,
        bitrate_bps: view.bitrate_bps,
        keyframe_interval_ms: view.keyframe_interval.map(Micros::millis),
        av_offset_ms: view.av_offset_ms.map(f64::round),
        video: view.video.as_ref().map(|video| StreamVideo {
            codec: video.codec.clone(),
            width: video.width,
            height: video.height,
            fps: video.fps,
        }),
        audio: view.audio.as_ref().map(|audio| StreamAudio {
            codec: audio.codec.clone(),
            sample_rate: audio.sample_rate,
            channels: audio.channels,
        }),
        flv_url: format!("{base}/{}.flv", view.name),
    }
}

fn node_of(
    facts: &NodeDescription,
    time: &Time,
    (figures, shards): (&Figures, &[ShardLoad]),
) -> Node {
    Node {
        name: facts.name.clone(),
        version: facts.version.clone(),
        started_at: time.started_at(),
        uptime_ms: time.now().millis(),
        rtmp_port: facts.rtmp_port,
        flv_url_base: facts.flv_base.clone(),
        cores: facts.cores.clone(),
        driver: facts.driver.clone(),
        placement: facts.placement.clone(),
        shards: shards.iter().zip(&facts.cores.net).enumerate().map(shard_of).collect(),
        connections: figures.node.connections,
        viewers: figures.node.viewers,
        other_readers: named(OtherReader::ALL.map(OtherReader::label), figures.node.other_readers),
        in_bps: figures.in_bps,
        out_bps: figures.out_bps,
        errors: named(ErrorKind::ALL.map(ErrorKind::label), figures.node.errors),
        drops: named(ViewerDrop::ALL.map(ViewerDrop::label), figures.node.drops),
        can_write: false,
        role: String::new(),
    }
}

fn shard_of((number, (load, cpu)): (usize, (&ShardLoad, &usize))) -> Shard {
    let PlacedItems { channels, outputs, pushes, pulls, recordings } = load.items.clone();
    // Thousandths: what is less is noise, and would be told to everybody who follows the state.
    let busy = (load.busy * 1e3).round() / 1e3;
    Shard { number, cpu: *cpu, busy, channels, outputs, pushes, pulls, recordings }
}

/// What is shown of a channel but for its hours.
fn channel_of(
    channel: &ChannelSnapshot,
    outputs: &[OutputSnapshot],
    scenes: ScenesView,
    latencies: &mut HashMap<String, HistogramFigures>,
    time: &Time,
) -> Channel {
    let ChannelSnapshot { name, stream, facts, figures, renditions, .. } = channel;
    let outputs = outputs.iter().filter(|output| output.channel == *name);
    let outputs = outputs.map(|output| output.name.clone()).collect();
    let before = latencies.insert(name.clone(), figures.latency);
    let latency = before.map_or_else(|| figures.latency, |it| figures.latency.since(&it));
    Channel {
        name: name.clone(),
        stream: stream.clone(),
        width: facts.width,
        height: facts.height,
        fps_target: facts.fps,
        fps: figures.fps,
        bitrate_bps: figures.bitrate_bps,
        video_bps: figures.video_bps,
        target_bps: facts.target_now(figures),
        configured_bps: facts.bitrate_bps,
        codec: facts.codec.clone(),
        encoder: facts.encoder_now(figures),
        preset: facts.preset.clone(),
        speed: Speed::of(facts, &figures.speed, time),
        frames: figures.frames,
        dropped: dropped_of(figures),
        dropped_by_hour: Vec::new(),
        queue: figures.queue,
        latency_ms: Latency::of(&latency),
        scene: scenes.active,
        scenes: scenes.names,
        outputs,
        renditions: renditions.iter().map(|it| Rendition::of(it, time)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{PublisherView, TrackPart};
    use crate::control::control_channel;
    use crate::stats::{
        ChannelEntry, ChannelFacts, DropReason, OutputEntry, OutputStats, RenditionEntry, RunState,
        ShardStats,
    };

    fn facts() -> NodeDescription {
        NodeDescription {
            name: "studio".into(),
            version: "1.2.3".into(),
            rtmp_port: 1_935,
            flv_base: flv_base(("0.0.0.0:1935".parse().unwrap(), false)),
            cores: Cores { net: vec![3], ..Cores::default() },
            driver: Driver { kind: "epoll".into(), reason: "it is configured".into() },
            placement: "by turns".into(),
        }
    }

    fn view() -> StreamView {
        StreamView {
            name: "live/a".into(),
            source: "publisher",
            publisher: Some(PublisherView {
                id: "ABCDEFGH".into(),
                address: "192.0.2.1:9".parse().unwrap(),
                agent: "obs/1".into(),
                holder: None,
            }),
            since: Micros::from_secs(1),
            viewers: 2,
            other_readers: [0, 1, 0, 0],
            bytes_in: 3,
            bytes_out: 4,
            bitrate_bps: 5.0,
            out_bps: 0.0,
            keyframe_interval: None,
            av_offset_ms: None,
            video: None,
            audio: None,
            tracks: [TrackPart::default(); 2],
        }
    }

    #[tokio::test]
    async fn everything_that_is_there_is_written_down() {
        let (handle, mut questions) = control_channel();
        tokio::spawn(async move {
            while let Some((ask, reply)) = questions.recv().await {
                let scenes = ScenesView {
                    active: "a".into(),
                    names: vec!["a".into(), "b".into()],
                    transition: serde_json::Value::Null,
                };
                let answer = match ask {
                    Ask::Scenes { .. } => Answer::Scenes(scenes),
                    Ask::Streams => Answer::Streams(vec![view()]),
                    other => panic!("{other:?}"),
                };
                reply.send(answer).unwrap();
            }
        });
        let channel = ChannelEntry {
            name: "demo".into(),
            stream: "live/demo".into(),
            facts: Arc::new(ChannelFacts { width: 1_280, ..ChannelFacts::default() }),
            renditions: vec![RenditionEntry {
                name: "low".into(),
                stream: "live/demo_low".into(),
                facts: Arc::new(ChannelFacts { width: 640, ..ChannelFacts::default() }),
                ..RenditionEntry::default()
            }],
            ..ChannelEntry::default()
        };
        channel.renditions[0].stats.encoded(7, true);
        channel.stats.dropped(DropReason::Late, 2);
        let stats = Arc::new(OutputStats::default());
        stats.line.failed();
        let output = OutputEntry::new("demo", "cdn", "rtmp://a.example/b/sec-ret", stats);
        let time = Time::new(5_000, || Micros::from_secs(9));
        let shards = vec![Arc::new(ShardStats::default())];
        let registry = Arc::new(Registry::new(shards, vec![channel], vec![output]));
        registry.set_streams_max(10);
        let items = PlacedItems { channels: vec!["demo".into()], ..PlacedItems::default() };
        registry.placement.set(vec![ShardLoad { busy: 0.123_456, items }]);
        let mut collector = StateCollector::new(handle, Arc::clone(&registry), None, time, facts());
        let failed = NodeEvent::OutputFailed {
            channel: "demo".into(),
            name: "cdn".into(),
            reason: "no connection".into(),
            retry_in: Micros::from_secs(1),
        };
        collector.handle(&failed).await;
        collector.look().await;
        let state = collector.board().snapshot().await;
        assert_eq!((state.at, state.node.started_at, state.node.uptime_ms), (14_000, 5_000, 9_000));
        let shard = &state.node.shards[0];
        assert_eq!((shard.number, shard.cpu, &shard.channels[0][..]), (0, 3, "demo"));
        assert!((shard.busy - 0.123).abs() < 1e-9);
        assert_eq!((&state.node.driver.kind[..], &state.node.placement[..]), ("epoll", "by turns"));
        assert_eq!(state.node.flv_url_base, "http://127.0.0.1:1935");
        let demo = &state.channels["demo"];
        assert_eq!((demo.scenes.join(" "), demo.outputs.join(" ")), ("a b".into(), "cdn".into()));
        assert_eq!(demo.width, 1_280);
        let low = &demo.renditions[0];
        assert_eq!((low.stream.as_str(), low.frames, low.width), ("live/demo_low", 1, 640));
        assert_eq!((demo.dropped_by_hour.len(), demo.dropped_by_hour.last()), (24, Some(&2)));
        assert_eq!(state.streams["live/a"].since_at, 6_000);
        assert_eq!(state.streams["live/a"].flv_url, "http://127.0.0.1:1935/live/a.flv");
        let output = &state.outputs["demo/cdn"];
        assert_eq!((output.state, output.failures), (RunState::Failed, 1));
        assert_eq!(output.error.as_deref(), Some("no connection"));
        assert!(!serde_json::to_string(&*state).unwrap().contains("sec-ret"));
        registry.remove_channel("demo");
        collector.look().await;
        assert!(collector.board().snapshot().await.channels.is_empty(), "it is gone");
    }
}
