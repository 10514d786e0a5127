//! Stream manager: runs a pipeline, an encoder and an RTMP server inside another program.

use std::path::PathBuf;
use std::sync::Arc;

use super::control_thread::{ControlThread, start_control};
use super::encoder_input::EncoderInput;
use super::keys::{AddedKey, KeyWork, WORK_MAX};
use super::parts::{Encoder, Invalid, Pipeline, RtmpServer};
use crate::command::{Answer, Ask};
use crate::config::{self, Config};
use crate::control::channels::build::Frames;
use crate::control::hooks::{Hooks, Subscriber};
use crate::event::NodeEvent;
use crate::keys::KeyHash;
use crate::media::{FrameRate, Micros, PixelFormat};
use crate::node::plan::{ProcessAccess, Setup};
use crate::node::running::Node;
use crate::node::start::start;
use crate::node::start_error::StartError;
use crate::rtmp::Url;

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
        channel.audio_sources.clear(); // players want a track of audio; it is silent
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
        let Some(input) = node.take_frame_input() else {
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
        Ok(EncoderInput::new(input, clock, stats))
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

    /// Lets whoever has `key` publish, for 30 days, under a public name made from its hash. It is
    /// known a moment after the manager has started, or after this call if it has.
    ///
    /// # Errors
    /// [`Invalid`] if it is no key, or too many wait.
    pub fn add_stream_key(&mut self, key: &str) -> Result<AddedKey, Invalid> {
        let name = format!("live/{}", KeyHash::of(key).id());
        self.add_stream_key_for(key, &name)
    }

    /// The same under a public name of your choice, such as `live/studio`.
    ///
    /// # Errors
    /// As [`StreamManager::add_stream_key`]; also if the name cannot be one.
    pub fn add_stream_key_for(&mut self, key: &str, stream: &str) -> Result<AddedKey, Invalid> {
        let (work, added) = KeyWork::add(key, stream)?;
        if let Some(warning) = added.warning {
            tracing::warn!("the stream key {} can be guessed: {warning}", added.id);
        }
        self.hand_over(work)?;
        Ok(added)
    }

    /// Takes a key back: who publishes with it is ended within a second.
    ///
    /// # Errors
    /// [`Invalid`] if too many wait.
    pub fn revoke_stream_key(&mut self, key: &str) -> Result<(), Invalid> {
        self.hand_over(KeyWork::Revoke(KeyHash::of(key)))
    }

    /// Ends everything in order: the encoder hands over what it holds, destinations are
    /// unpublished, viewers are told. Takes at most about two and a half seconds.
    pub fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop();
        }
        self.controller = None;
    }

    fn hand_over(&mut self, work: KeyWork) -> Result<(), Invalid> {
        let full = || Invalid(format!("{WORK_MAX} stream keys wait already; try again"));
        match &self.controller {
            Some(controller) => controller.key_work.try_send(work).map_err(|_| full()),
            None if self.key_work.len() >= WORK_MAX => Err(full()),
            None => {
                self.key_work.push(work);
                Ok(())
            }
        }
    }
}

impl Drop for StreamManager {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Size, VideoCodec};

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
