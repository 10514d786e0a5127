//! Configuration: from a TOML text to specifications that have been checked. Whatever is wrong is
//! told with file, line and the fix, before anything starts; inside, invalid values do not exist.

mod channel;
mod fault;
mod layer;
mod read;
mod section;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

pub use channel::{ChannelConfig, OutputConfig};
pub use fault::{Errors, Fault};

use crate::media::Micros;
use crate::runtime::PlanRequest;

/// Everything a node is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[node]`
    pub node: NodeConfig,
    /// `[rtmp]`
    pub rtmp: RtmpConfig,
    /// `[http]`
    pub http: HttpConfig,
    /// `[cores]`
    pub cores: PlanRequest,
    /// `[delivery]`
    pub delivery: DeliveryConfig,
    /// `[[channel]]`, each with another name and another stream.
    pub channels: Vec<ChannelConfig>,
}

/// `[node]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// What the banner and the status page call it.
    pub name: String,
    /// Where keys are kept; made if it is not there.
    pub data_dir: PathBuf,
    /// Log filter, such as `info` or `stream_manager=debug`.
    pub log: String,
}

/// Who may publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publish {
    /// Whoever has a stream key.
    Key,
    /// Anybody: only on a loopback address.
    Open,
}

/// `[rtmp]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtmpConfig {
    /// Address it listens on.
    pub bind: IpAddr,
    /// Port it listens on.
    pub port: u16,
    /// Largest chunk it sends, bytes.
    pub chunk_size: u32,
    /// Whether late viewers start at the newest keyframe.
    pub gop_cache: bool,
    /// Silence after which a peer is pinged.
    pub ping: Micros,
    /// Silence after which a peer is closed.
    pub ping_timeout: Micros,
    /// Time for handshake and `connect`.
    pub handshake_timeout: Micros,
    /// How long viewers wait for a publisher that left.
    pub grace: Micros,
    /// Who may publish.
    pub publish: Publish,
    /// Connections at once.
    pub connections_max: usize,
}

/// `[http]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Whether it listens at all.
    pub enabled: bool,
    /// Address it listens on.
    pub bind: IpAddr,
    /// Port it listens on.
    pub port: u16,
}

/// `[delivery]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryConfig {
    /// Milliseconds of each stream that are kept.
    pub log_ms: u32,
    /// Bytes of each stream that are kept.
    pub log_bytes: usize,
    /// Lag above which a reader jumps to a keyframe, milliseconds.
    pub lag_high_ms: u32,
    /// Lag below which it takes all pictures again, milliseconds.
    pub lag_low_ms: u32,
}

impl Config {
    /// A node without channels, all else by default.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            node: NodeConfig {
                name: "stream-manager".to_owned(),
                data_dir: PathBuf::from("./data"),
                log: "info".to_owned(),
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
                connections_max: 10_000,
            },
            http: HttpConfig { enabled: true, bind: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 8_080 },
            cores: PlanRequest::default(),
            delivery: DeliveryConfig {
                log_ms: 10_000,
                log_bytes: 32 << 20,
                lag_high_ms: 1_000,
                lag_low_ms: 250,
            },
            channels: Vec::new(),
        }
    }

    /// The commented text that lists every key with its default: what a node without a file runs.
    #[must_use]
    pub const fn default_text() -> &'static str {
        include_str!("default.toml")
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong in it, or that it cannot be read.
    pub fn load(path: &Path) -> Result<Self, Errors> {
        let origin = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, &origin),
            Err(error) => {
                let text = format!("cannot be read: {error}; name a file that exists");
                let faults = vec![Fault { line: 0, column: 0, text }];
                Err(Errors { origin, faults })
            }
        }
    }

    /// Reads a text; `origin` is what errors call it.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Errors> {
        read::document(text, origin)
    }
}

impl Default for Config {
    /// One channel with the demo scene at `live/demo`.
    fn default() -> Self {
        let mut config = Self::empty();
        config.channels.push(ChannelConfig::demo());
        config
    }
}
