//! `[node]`, `[rtmp]`, `[http]` and `[delivery]`: the tables about the node itself.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::event::LogFormat;
use crate::media::Micros;
use crate::stream::Merge;
use crate::web::Cors;

/// `[node]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// What the banner and the status page call it.
    pub name: String,
    /// Where keys are kept; made if it is not there. If none is named, the program takes `./data`;
    /// a node inside another program writes nothing, and keeps keys in memory.
    pub data_dir: Option<PathBuf>,
    /// Log filter, such as `info` or `stream_manager=debug`.
    pub log: String,
    /// How its lines are written.
    pub log_format: LogFormat,
    /// Whether what is changed while it runs survives its end.
    pub state: KeepState,
    /// What becomes of the node when one of its threads has panicked.
    pub on_core_loss: OnCoreLoss,
}

/// The data directory of a program that names none.
const DATA_DIR: &str = "./data";

impl NodeConfig {
    /// The data directory that is named, or the program's own.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.data_dir.as_deref().unwrap_or_else(|| Path::new(DATA_DIR))
    }
}

/// What becomes of changes made while the node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepState {
    /// They are kept in the data directory and stand above the file at the next start.
    Keep,
    /// They end with the node: only the file counts.
    FileOnly,
}

/// What becomes of a node that has lost a core: a thread that panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCoreLoss {
    /// What can be started again is; what cannot, or panics again and again, ends the process.
    RestartCore,
    /// The process ends, for its service manager to start it again.
    Exit,
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
    /// Whether the operator knows what it means that anybody may publish from elsewhere: said on
    /// the command line, never in a file.
    pub knowing: bool,
    /// Connections at once.
    pub connections_max: usize,
}

/// `[http]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Whether it listens at all.
    pub enabled: bool,
    /// Address it listens on.
    pub bind: IpAddr,
    /// Port it listens on.
    pub port: u16,
    /// Whether the API needs a token.
    pub auth: bool,
    /// Web pages from elsewhere that may use the API, as written.
    pub cors: Cors,
    /// `[[http.token]]`, each with another name, beside the two that each node has.
    pub tokens: Vec<TokenConfig>,
}

/// `[[http.token]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenConfig {
    /// Name in events and logs.
    pub name: String,
    /// What whoever shows it may do.
    pub role: Role,
    /// The file that holds it; made at the start if it is not there.
    pub file: PathBuf,
}

/// What whoever shows a token of the API may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// All but stream keys and the node itself.
    Operator,
    /// Look.
    ReadOnly,
}

/// Where viewers start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At the newest keyframe that is there.
    Keyframe,
    /// At the live edge.
    Live,
}

/// `[delivery]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryConfig {
    /// Which messages wait for others, to go out in one call.
    pub merge: Merge,
    /// Where viewers start.
    pub start: StartAt,
    /// Which web pages may play over HTTP.
    pub cors: Cors,
    /// Milliseconds of each stream that are kept.
    pub log_ms: u32,
    /// Bytes of memory of each stream that are kept.
    pub log_bytes: usize,
    /// Lag above which a reader jumps to a keyframe, milliseconds.
    pub lag_high_ms: u32,
    /// Lag below which it takes all pictures again, milliseconds.
    pub lag_low_ms: u32,
    /// Bits per second at which a viewer is sent at most; 0 for any.
    pub viewer_pace_bps: u64,
    /// The same in percent of its stream's mean rate; 0 for any.
    pub viewer_pace_percent: u32,
    /// Published and pulled streams that are given silence while they have no audio: names, or
    /// `app/*`, or `*`.
    pub fill_audio: Vec<String>,
}

/// What is wrong where `publish = "open"` meets an address that others reach.
pub(crate) const OPEN_TO_ALL: &str = "`publish = \"open\"` lets anybody publish, so `bind` must be \
     a loopback address such as \"127.0.0.1\"; or say `publish = \"key\"`; or, where nobody else \
     reaches the port, start with `run --i-know`";

/// The same about `[http]`.
pub(crate) const API_OPEN_TO_ALL: &str = "without `auth` anybody may change everything, so `bind` \
     must be a loopback address such as \"127.0.0.1\"; or say `auth = true`";

impl RtmpConfig {
    /// Whether anybody who reaches this machine could publish, and the operator has not said that
    /// this is meant. No node runs like that.
    #[must_use]
    pub const fn is_open_to_all(&self) -> bool {
        matches!(self.publish, Publish::Open) && !self.bind.is_loopback() && !self.knowing
    }
}

impl HttpConfig {
    /// Whether both would listen on the same port of the same address.
    #[must_use]
    pub fn collides_with(&self, rtmp: &RtmpConfig) -> bool {
        let everywhere = self.bind.is_unspecified() || rtmp.bind.is_unspecified();
        self.enabled && self.port == rtmp.port && (everywhere || self.bind == rtmp.bind)
    }

    /// Whether others than this machine could change everything without a token.
    #[must_use]
    pub const fn is_open_to_all(&self) -> bool {
        self.enabled && !self.auth && !self.bind.is_loopback()
    }
}
