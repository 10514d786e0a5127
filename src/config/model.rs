//! Configuration model: everything that a node is told, checked.

use std::net::{IpAddr, Ipv4Addr};

use super::assets::AssetsConfig;
use super::channel::ChannelConfig;
use super::clips::ClipsConfig;
use super::hook::{HookConfig, JournalConfig};
use super::keys::{KeysConfig, Secret};
use super::limits::LimitsConfig;
use super::metrics::MetricsConfig;
use super::node::{
    DeliveryConfig, HttpConfig, KeepState, NodeConfig, OnCoreLoss, Publish, RtmpConfig, StartAt,
};
use super::obs_websocket::ObsWebSocketConfig;
use super::relay::{PullConfig, PushConfig, RecordConfig};
use super::stream::StreamConfig;
use super::tls::TlsConfig;
use super::transcode::TranscodeConfig;
use super::video::Latency;
use crate::event::LogFormat;
use crate::media::Micros;
use crate::runtime::PlanRequest;
use crate::stream::Merge;
use crate::web::Cors;

/// Everything a node is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[node]`
    pub node: NodeConfig,
    /// `[rtmp]`
    pub rtmp: RtmpConfig,
    /// `trusted_proxies` of `[rtmp]`: whose PROXY headers are believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// `[keys]`
    pub keys: KeysConfig,
    /// `[http]`
    pub http: HttpConfig,
    /// `[obs_websocket]`
    pub obs_websocket: ObsWebSocketConfig,
    /// `[tls]`
    pub tls: TlsConfig,
    /// `[cores]`
    pub cores: PlanRequest,
    /// `[limits]`
    pub limits: LimitsConfig,
    /// `[metrics]`
    pub metrics: MetricsConfig,
    /// `[assets]`
    pub assets: AssetsConfig,
    /// `[clips]`
    pub clips: ClipsConfig,
    /// `[delivery]`
    pub delivery: DeliveryConfig,
    /// `[[channel]]`, each with another name and another stream.
    pub channels: Vec<ChannelConfig>,
    /// `[[stream]]`, each with another name.
    pub streams: Vec<StreamConfig>,
    /// `[[transcode]]`, each with another name and another source.
    pub transcodes: Vec<TranscodeConfig>,
    /// `[[pull]]`, each with another name and another stream.
    pub pulls: Vec<PullConfig>,
    /// `[[push]]`, each with another name.
    pub pushes: Vec<PushConfig>,
    /// `[[record]]`, each with another name.
    pub records: Vec<RecordConfig>,
    /// `[[hook]]`, each with another name.
    pub hooks: Vec<HookConfig>,
    /// `[journal]`
    pub journal: JournalConfig,
    /// The text that it was read from: see [`Config::shown`]. Empty if it was not.
    pub(crate) written: Secret,
}

impl Config {
    /// The streams of channels with `latency = "low"`.
    pub(crate) fn low_latency_streams(&self) -> impl Iterator<Item = &str> {
        let channels = self.channels.iter().filter(|it| it.latency == Latency::Low);
        channels.flat_map(ChannelConfig::streams).map(|(_, stream)| stream)
    }

    /// A node without channels, all else by default.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            node: NodeConfig {
                name: "stream-manager".to_owned(),
                data_dir: None,
                log: "info".to_owned(),
                log_format: LogFormat::Text,
                state: KeepState::Keep,
                on_core_loss: OnCoreLoss::RestartCore,
            },
            rtmp: RtmpConfig {
                bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                port: 1_935,
                chunk_size: 60_000,
                gop_cache: true,
                ping: Micros::from_secs(30),
                ping_timeout: Micros::from_secs(60),
                handshake_timeout: Micros::from_secs(10),
                grace: Micros::from_secs(5),
                publish: Publish::Key,
                knowing: false,
                connections_max: 10_000,
            },
            trusted_proxies: Vec::new(),
            keys: KeysConfig::default(),
            http: HttpConfig {
                enabled: true,
                bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
                port: 8_080,
                auth: true,
                cors: Cors::Nobody,
                tokens: Vec::new(),
            },
            obs_websocket: ObsWebSocketConfig::default(),
            tls: TlsConfig::default(),
            cores: PlanRequest::default(),
            limits: LimitsConfig::default(),
            metrics: MetricsConfig::default(),
            assets: AssetsConfig::default(),
            clips: ClipsConfig::default(),
            delivery: DeliveryConfig {
                merge: Merge::Frame,
                start: StartAt::Keyframe,
                cors: Cors::SameHost,
                log_ms: 10_000,
                log_bytes: 32 << 20,
                lag_high_ms: 1_000,
                lag_low_ms: 250,
                viewer_pace_bps: 0,
                viewer_pace_percent: 0,
                fill_audio: Vec::new(),
            },
            channels: Vec::new(),
            streams: Vec::new(),
            transcodes: Vec::new(),
            pulls: Vec::new(),
            pushes: Vec::new(),
            records: Vec::new(),
            hooks: Vec::new(),
            journal: JournalConfig::default(),
            written: Secret::default(),
        }
    }

    /// The commented text that lists every key with its default: what a node without a file runs.
    #[must_use]
    pub const fn default_text() -> &'static str {
        include_str!("default.toml")
    }
}

impl Default for Config {
    /// One channel with the demo scene at `live/demo`.
    fn default() -> Self {
        let mut config = Self { written: Self::default_text().into(), ..Self::empty() };
        config.channels.push(ChannelConfig::demo());
        config
    }
}
