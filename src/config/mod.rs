//! Configuration: from a TOML text to specifications that have been checked. Whatever is wrong is
//! told with file, line and the fix, before anything starts; inside, invalid values do not exist.

mod change;
mod channel;
mod document;
mod fault;
mod hook;
mod itself;
mod kept;
mod keys;
mod layer;
mod limits;
mod metrics;
mod node;
mod read;
mod relay;
mod scene;
mod section;
mod shown;
mod sound;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod write;

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

pub use change::{Difference, Part as ChangedPart, Step};
pub use channel::{ChannelConfig, OUTPUTS_MAX, OutputConfig};
pub use document::{DOCUMENT_BYTES_MAX, from_document, to_document};
pub use fault::{Errors, Fault};
pub use hook::{HookConfig, HookUrl, JournalConfig, OnHookFailure};
pub use kept::{Becomes, KEPT_MAX, Kept, Part};
pub use keys::{KeyStoreKind, KeysConfig, OnStoreFailure, RedisArrangement, Secret};
pub use limits::LimitsConfig;
pub use metrics::MetricsConfig;
pub(crate) use node::{API_OPEN_TO_ALL, OPEN_TO_ALL};
pub use node::{
    DeliveryConfig, HttpConfig, KeepState, NodeConfig, OnCoreLoss, Publish, Role, RtmpConfig,
    StartAt, TokenConfig,
};
pub(crate) use read::name as checked_name;
pub use scene::{NamedScene, SCENES_MAX};
pub use tls::TlsConfig;

pub use relay::{PullConfig, PullMode, PushConfig, RECORDS_MAX, RELAYS_MAX, RecordConfig};

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
    /// `[tls]`
    pub tls: TlsConfig,
    /// `[cores]`
    pub cores: PlanRequest,
    /// `[limits]`
    pub limits: LimitsConfig,
    /// `[metrics]`
    pub metrics: MetricsConfig,
    /// `[delivery]`
    pub delivery: DeliveryConfig,
    /// `[[channel]]`, each with another name and another stream.
    pub channels: Vec<ChannelConfig>,
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

/// Largest configuration file, bytes. A larger one is something else: it is refused unread.
const FILE_BYTES_MAX: usize = 1 << 20;

impl Config {
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
            tls: TlsConfig::default(),
            cores: PlanRequest::default(),
            limits: LimitsConfig::default(),
            metrics: MetricsConfig::default(),
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
            },
            channels: Vec::new(),
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

    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong in it, or that it cannot be read.
    pub fn load(path: &Path) -> Result<Self, Errors> {
        Self::load_as(path, false)
    }

    /// The same for an operator who may be `knowing`: who means it if anybody may publish.
    ///
    /// # Errors
    /// Everything that is wrong in it, or that it cannot be read.
    pub fn load_as(path: &Path, knowing: bool) -> Result<Self, Errors> {
        let origin = path.display().to_string();
        match read_text(path) {
            Ok(text) => parse_as(&text, &origin, knowing),
            Err(text) => Err(Errors::about(&origin, text)),
        }
    }

    /// Reads a text of at most 1 MiB; `origin` is what errors call it. Files that it names are
    /// looked for, and relative paths start at the working directory.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Errors> {
        parse_as(text, origin, false)
    }
}

fn parse_as(text: &str, origin: &str, knowing: bool) -> Result<Config, Errors> {
    if text.len() > FILE_BYTES_MAX {
        return Err(Errors::about(origin, TOO_LARGE));
    }
    let mut defaults = Config::empty();
    defaults.rtmp.knowing = knowing;
    read::document(text, origin, defaults)
}

impl Default for Config {
    /// One channel with the demo scene at `live/demo`.
    fn default() -> Self {
        let mut config = Self { written: Self::default_text().into(), ..Self::empty() };
        config.channels.push(ChannelConfig::demo());
        config
    }
}

const TOO_LARGE: &str = "is larger than 1 MiB, so it is no configuration; name another file";

/// The text of a file, or what is wrong with it.
fn read_text(path: &Path) -> Result<String, String> {
    let unreadable = |error| format!("cannot be read: {error}; name a file that can be");
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One byte beyond the limit is enough to know, whatever stands behind the name.
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(TOO_LARGE.to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = error.as_bytes().iter().take(good);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8 text; save the file as UTF-8")
    })
}
