//! Library: what other programs call. A pipeline that takes their frames, an encoder, an RTMP
//! server and the manager that runs the three; or a whole node.

mod keys;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::plan::{ProcessAccess, Setup};
use super::running::Node;
use super::start::start;
use super::start_error::StartError;
use crate::command::{Answer, Ask};
use crate::config::{self, Config};
use crate::control::channels::build::{FrameInput, Frames};
use crate::control::controller::Controller;
use crate::control::event_queue::EventQueue;
use crate::control::hooks::{Hooks, Subscriber};
use crate::control::keystore::Keys;
use crate::event::NodeEvent;
use crate::frame::{Frame, Pool};
use crate::media::{FrameRate, Micros, PixelFormat, Size, VideoCodec};
use crate::pipeline::{RawFrame, Timeline};
use crate::ring::{Gate, Sender};
use crate::rtmp::Url;
use crate::runtime::{Clock, Worker};
use crate::stats::{ChannelStats, DropReason};
pub use keys::AddedKey;
use keys::KeyWork;

/// How raw frames travel from the program that draws them to the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Most frames that may wait for the encoder, 1 to 120. An encoder that stays behind is given
    /// as many as it takes, evenly; the others are dropped.
    pub queue_size: u32,
    /// Frames that exist in all, at most 1024; at least four more than `queue_size` are made.
    pub pool_size: u32,
    /// How the pixels lie.
    pub format: PixelFormat,
    /// Size of the frames.
    pub size: Size,
}

/// How frames are encoded, and under which name they go on the air.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoder {
    /// Size of the pictures; the same as the pipeline's.
    pub size: Size,
    /// Pictures per second, 1 to 240.
    pub fps: u32,
    /// Bits per second, constant, 50 000 to 200 000 000.
    pub bitrate_bps: u32,
    /// Codec.
    pub codec: VideoCodec,
    /// Speed preset by the encoder's own names, such as `veryfast`.
    pub preset: String,
    /// `rtmp://host[:port]/app/name`: the server here serves it as `app/name`; if the address is
    /// another machine's (or another port), it is pushed there as well.
    pub stream_url: String,
}

/// The RTMP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtmpServer {
    /// TCP port on all addresses.
    pub port: u16,
    /// Largest chunk it sends, bytes, 128 to 16 777 215.
    pub chunk_size: u32,
    /// Whether late viewers start at the newest keyframe instead of waiting for the next.
    pub gop_cache: bool,
    /// Seconds of silence after which a peer is pinged.
    pub ping: u32,
    /// Seconds of silence after which a peer is closed.
    pub ping_timeout: u32,
}

/// Runs a pipeline, an encoder and a server until it is stopped or dropped.
///
/// Build it, `start` it, feed it frames, and read its events: whatever goes wrong later (an output
/// that is lost, an encoder that fails) arrives there, and never as a panic.
#[derive(Debug)]
pub struct StreamManager {
    config: Config,
    pool_size: u32,
    node: Option<Node>,
    controller: Option<ControlThread>,
    /// Keys that were added before the start.
    key_work: Vec<KeyWork>,
    hooks: Hooks,
    process: ProcessAccess,
}

/// Something in the three parts that cannot work.
#[derive(Debug)]
pub struct Invalid(String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

impl StreamManager {
    /// Checks the three parts against each other.
    ///
    /// # Errors
    /// [`Invalid`] says which value to change.
    pub fn new(pipeline: Pipeline, encoder: Encoder, server: RtmpServer) -> Result<Self, Invalid> {
        let invalid = |text: &str| Err(Invalid(text.to_owned()));
        if pipeline.size != encoder.size {
            return invalid("the pipeline and the encoder must have the same size");
        }
        if pipeline.format != PixelFormat::I420 {
            return invalid("this encoder takes I420 frames");
        }
        let Some(rate) = FrameRate::new(encoder.fps, 1) else {
            return invalid("fps must be 1 to 240");
        };
        let url = Url::parse(&encoder.stream_url)
            .map_err(|error| Invalid(format!("stream_url: {error}")))?;
        let mut config = Config::empty();
        config.rtmp.port = server.port;
        config.rtmp.chunk_size = server.chunk_size.clamp(128, 0xff_ffff);
        config.rtmp.gop_cache = server.gop_cache;
        config.rtmp.ping = Micros::from_secs(server.ping.into());
        config.rtmp.ping_timeout = Micros::from_secs(server.ping_timeout.into());
        config.http.enabled = false;
        config.rtmp.publish = config::Publish::Key;
        let stream = format!("{}/{}", url.app(), url.name().expose());
        let mut channel = config::ChannelConfig::plain("embedded", &stream, encoder.size);
        channel.rate = rate;
        channel.bitrate_bps = encoder.bitrate_bps.clamp(50_000, 200_000_000);
        channel.codec = encoder.codec;
        channel.preset = encoder.preset;
        channel.queue_frames = pipeline.queue_size.clamp(1, 120);
        channel.sound.clear(); // players want a track of sound; it is silent
        let ours = url.port() == server.port && is_loopback(url.host());
        if !ours {
            channel.outputs.push(config::OutputConfig::to("stream_url", url));
        }
        config.channels.push(channel);
        Ok(Self {
            config,
            pool_size: pipeline.pool_size,
            node: None,
            controller: None,
            key_work: Vec::new(),
            hooks: Hooks::new(),
            process: ProcessAccess::default(),
        })
    }

    /// Asks these hooks before anybody connects, publishes or plays. Call it before the start.
    pub fn set_hooks(&mut self, hooks: Hooks) {
        self.hooks = hooks;
    }

    /// Lets it change these things of the process while it runs. Call it before the start.
    pub const fn set_process_access(&mut self, process: ProcessAccess) {
        self.process = process;
    }

    /// Keeps stream keys in this folder, which one running manager can have; otherwise they are in
    /// memory, and nothing is written. Call it before the start.
    pub fn set_data_dir(&mut self, folder: impl Into<PathBuf>) {
        self.config.node.data_dir = Some(folder.into());
    }

    /// Hears every event from now on; `None` if it does not run.
    #[must_use]
    pub fn subscribe(&self) -> Option<Subscriber> {
        self.node.as_ref().map(Node::subscribe)
    }

    /// Starts the three parts and gives the way in for frames.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub fn start(&mut self) -> Result<EncoderInput, StartError> {
        let hooks = std::mem::take(&mut self.hooks);
        let frames = Frames::HandedIn(self.pool_size);
        let setup = Setup { frames, is_program: false, process: self.process, hooks };
        let mut node = start(&self.config, setup)?;
        let Some(FrameInput { pool, encoder, timeline }) = node.take_frame_input() else {
            unreachable!("a node that is handed frames has a way in for them");
        };
        if let Some(controller) = node.take_controller() {
            let thread = start_control(controller, node.keys().cloned(), &node.plan().control)?;
            for work in self.key_work.drain(..) {
                // There is room for all that may wait.
                drop(thread.key_work.try_send(work));
            }
            self.controller = Some(thread);
        }
        let clock = node.clock();
        // It has one channel, which takes these frames.
        let channels = node.registry().channels();
        let stats = channels.first().map(|channel| Arc::clone(&channel.stats)).unwrap_or_default();
        self.node = Some(node);
        let gate = Gate::for_capacity(encoder.capacity());
        Ok(EncoderInput { pool, encoder, timeline, clock, stats, next: 0, gate, dropped: 0 })
    }

    /// What has happened since the last call, oldest first. At most 1024 events wait; then older
    /// ones make room for newer ones.
    pub fn events(&self) -> impl Iterator<Item = NodeEvent> {
        let events = self.node.as_ref().map(|node| Arc::clone(node.events()));
        std::iter::from_fn(move || events.as_ref()?.pop())
    }

    /// Asks the running node about its streams, connections and outputs, or to change them, and
    /// waits for the answer: [`Answer::Unavailable`] if it does not run.
    #[must_use]
    pub fn ask(&self, ask: Ask) -> Answer {
        match &self.node {
            Some(node) => futures_lite::future::block_on(node.handle().ask_patiently(ask)),
            None => Answer::Unavailable("the node does not run".to_owned()),
        }
    }

    /// Ends everything in order: the encoder hands over what it holds, destinations are
    /// unpublished, viewers are told. Takes at most about two and a half seconds.
    pub fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop();
        }
        self.controller = None;
    }
}

impl Drop for StreamManager {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A whole node inside another program: it composes the scenes of its configuration, and is asked
/// and changed while it runs. Without HTTP; the control plane has a thread of its own.
#[derive(Debug)]
pub struct LiveNode {
    node: Option<Node>,
    controller: Option<ControlThread>,
    handle: crate::control::ControlHandle,
    events: EventQueue,
}

impl LiveNode {
    /// Starts everything that `config` describes but `[http]`. What is changed later ends with it,
    /// whatever `state` says: the program knows what it has changed. Stream keys are kept in
    /// `data_dir` if the configuration names one, and in memory otherwise.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running, and no port is bound.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_with(config, Hooks::new())
    }

    /// The same with hooks, which are asked before anybody connects, publishes or plays.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running, and no port is bound.
    pub fn start_with(config: &Config, hooks: Hooks) -> Result<Self, StartError> {
        Self::start_in(config, hooks, ProcessAccess::default())
    }

    /// The same for a node that may change something of its process while it runs.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running, and no port is bound.
    pub fn start_in(
        config: &Config,
        hooks: Hooks,
        process: ProcessAccess,
    ) -> Result<Self, StartError> {
        let setup = Setup { frames: Frames::Composed, is_program: false, process, hooks };
        let mut node = start(config, setup)?;
        let store = node.keys().cloned();
        let cpus = node.plan().control.clone();
        let controller = node.take_controller();
        let controller = controller.map(|it| start_control(it, store, &cpus)).transpose()?;
        let (handle, events) = (node.handle(), Arc::clone(node.events()));
        Ok(Self { node: Some(node), controller, handle, events })
    }

    /// The node, to look at.
    #[must_use]
    pub const fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Hears every event from now on; `None` if it has been stopped.
    #[must_use]
    pub fn subscribe(&self) -> Option<Subscriber> {
        self.node.as_ref().map(Node::subscribe)
    }

    /// Asks about streams, connections, scenes and outputs, or changes them: the same that the API
    /// offers. Waits for the answer.
    #[must_use]
    pub fn ask(&self, ask: Ask) -> Answer {
        futures_lite::future::block_on(self.handle.ask_patiently(ask))
    }

    /// What has happened since the last call, oldest first. At most 1024 events wait; then older
    /// ones make room for newer ones.
    pub fn events(&self) -> impl Iterator<Item = NodeEvent> + '_ {
        std::iter::from_fn(|| self.events.pop())
    }

    /// Ends everything in order, as [`StreamManager::stop`] does.
    pub fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop();
        }
        self.controller = None;
    }
}

impl Drop for LiveNode {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How long the node's end waits for the control plane to tell what is left.
const CONTROL_LIMIT: Duration = Duration::from_millis(1_500);

/// How long the control plane's end waits for what it has asked of the system.
const LOOKUP_LIMIT: Duration = Duration::from_millis(200);

/// The control plane on a thread of its own; it ends when this is dropped.
#[derive(Debug)]
struct ControlThread {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    worker: Option<Worker<()>>,
    key_work: tokio::sync::mpsc::Sender<KeyWork>,
}

impl Drop for ControlThread {
    fn drop(&mut self) {
        self.stop.take();
        if self.worker.take().is_some_and(|worker| !worker.join_within(CONTROL_LIMIT)) {
            tracing::warn!("a hook holds up the control plane: it is left behind");
        }
    }
}

fn start_control(
    controller: Controller,
    store: Option<Keys>,
    cpus: &[usize],
) -> Result<ControlThread, StartError> {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (key_work, waiting) = tokio::sync::mpsc::channel(keys::WORK_MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(StartError::Thread)?;
    let worker = Worker::spawn("control", cpus.to_vec(), 0, move || {
        runtime.block_on(async {
            tokio::select! {
                () = controller.run(stopped) => {}
                () = keys::work(store, waiting) => {}
            }
        });
        // Look-ups of names may take longer than anybody waits for.
        runtime.shutdown_timeout(LOOKUP_LIMIT);
    })
    .map_err(StartError::Thread)?;
    Ok(ControlThread { stop: Some(stop), worker: Some(worker), key_work })
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The way in for frames: one program thread takes empty frames, draws, and pushes them.
#[derive(Debug)]
pub struct EncoderInput {
    pool: Pool,
    encoder: Sender<RawFrame>,
    timeline: Timeline,
    clock: Clock,
    stats: Arc<ChannelStats>,
    next: u64,
    gate: Gate,
    dropped: u64,
}

impl EncoderInput {
    /// Sleeps until the next frame is due on the encoder's clock. A program with a clock of its own
    /// needs not call this.
    pub fn wait_for_tick(&self) {
        let due = self.timeline.start + self.timeline.rate.due(self.next);
        loop {
            let now = self.clock.now();
            if now >= due {
                return;
            }
            std::thread::park_timeout(Duration::from(due - now));
        }
    }

    /// An empty frame to draw into, or `None` while all are in use.
    #[must_use]
    pub fn take(&mut self) -> Option<Frame> {
        let frame = self.pool.take();
        if frame.is_none() {
            self.skip();
        }
        frame
    }

    /// Hands a frame to the encoder as the picture of now. It is dropped, and counted, if the
    /// encoder is behind.
    pub fn push(&mut self, frame: Frame) {
        let elapsed = self.clock.now().since(self.timeline.start);
        let tick = self.next.max(self.timeline.rate.tick_at(elapsed));
        self.next = tick + 1;
        self.stats.queue_length(self.encoder.len());
        let admitted = self.gate.admits(self.encoder.len());
        if !admitted
            || self.encoder.push(RawFrame { frame: frame.freeze(), tick, is_cut: false }).is_err()
        {
            self.dropped += 1;
            self.stats.dropped(DropReason::QueueFull, 1);
        } else {
            self.stats.composed();
        }
    }

    /// Frames that were dropped since the start.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn skip(&mut self) {
        self.dropped += 1;
        self.stats.dropped(DropReason::PoolEmpty, 1);
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> (Pipeline, Encoder, RtmpServer) {
        let size = Size::new(320, 180).unwrap();
        (
            Pipeline { queue_size: 8, pool_size: 12, format: PixelFormat::I420, size },
            Encoder {
                size,
                fps: 30,
                bitrate_bps: 500_000,
                codec: VideoCodec::H264,
                preset: "ultrafast".to_owned(),
                stream_url: "rtmp://127.0.0.1:1935/live/embed".to_owned(),
            },
            RtmpServer {
                port: 1935,
                chunk_size: 60_000,
                gop_cache: true,
                ping: 30,
                ping_timeout: 60,
            },
        )
    }

    #[test]
    fn parts_that_do_not_fit_say_what_to_change() {
        let (pipeline, encoder, server) = parts();
        let wrong = |change: fn(&mut Pipeline, &mut Encoder)| {
            let (mut pipeline, mut encoder) = (pipeline, encoder.clone());
            change(&mut pipeline, &mut encoder);
            StreamManager::new(pipeline, encoder, server).unwrap_err().to_string()
        };
        assert!(wrong(|p, _| p.size = Size::new(640, 360).unwrap()).contains("same size"));
        assert!(wrong(|_, e| e.fps = 0).contains("fps"));
        assert!(wrong(|_, e| e.stream_url = "http://x".to_owned()).contains("stream_url"));
        assert!(StreamManager::new(pipeline, encoder, server).is_ok());
    }

    #[test]
    fn a_stream_url_elsewhere_is_pushed_to_and_our_own_is_not() {
        let (pipeline, mut encoder, server) = parts();
        let ours = StreamManager::new(pipeline, encoder.clone(), server).unwrap();
        assert!(ours.config.channels[0].outputs.is_empty());
        encoder.stream_url = "rtmp://192.0.2.1/live/embed".to_owned();
        let theirs = StreamManager::new(pipeline, encoder, server).unwrap();
        assert_eq!(theirs.config.channels[0].outputs.len(), 1);
        assert_eq!(theirs.config.channels[0].stream, "live/embed");
    }

    #[test]
    fn keys_are_taken_before_the_start_and_bad_ones_are_not() {
        let (pipeline, encoder, server) = parts();
        let mut manager = StreamManager::new(pipeline, encoder, server).unwrap();
        let added = manager.add_stream_key("stream-key-123").unwrap();
        assert!(added.warning.is_some() && added.stream == format!("live/{}", added.id));
        assert!(!format!("{manager:?}").contains("stream-key-123"));
        let named = manager.add_stream_key_for(&"0123456789abcdef".repeat(4), "show").unwrap();
        assert_eq!((named.stream.as_str(), named.warning), ("live/show", None));
        assert!(manager.add_stream_key("").is_err());
        assert!(manager.add_stream_key_for("key", "no name").is_err());
    }
}
