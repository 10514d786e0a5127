//! Configuration: from a TOML text to specifications that have been checked. Whatever is wrong is
//! told with file, line and the fix, before anything starts; inside, invalid values do not exist.

mod assets;
mod audio_bus;
mod audio_document;
mod audio_filters;
mod audio_source;
mod change;
mod channel;
mod clips;
mod data_source;
mod direction;
mod document;
mod fault;
mod field;
mod frames;
mod hook;
mod input_rule;
mod itself;
mod kept;
mod keys;
mod layer;
mod layer_motion;
mod layer_style;
mod length;
mod limits;
mod load;
mod metrics;
mod model;
mod multitrack;
mod network;
mod node;
mod obs_websocket;
mod output;
mod platform;
mod playlist;
mod read;
mod relay;
mod rendition;
mod scene;
mod schedule;
mod section;
mod shown;
mod stream;
#[cfg(test)]
mod tests;
mod text_file;
mod tls;
mod token;
mod transcode;
mod transition;
mod video;
mod video_clip;
mod write;

pub use assets::AssetsConfig;
pub(crate) use audio_document::merge;
pub use audio_document::{
    audio_bus_to_document, audio_to_document, patched_audio, patched_audio_bus,
};
pub use change::{Difference, Part as ChangedPart, Step};
pub use channel::ChannelConfig;
pub use clips::ClipsConfig;
pub use document::{
    DOCUMENT_BYTES_MAX, from_document, overlays_from_document, overlays_to_document, to_document,
    transition_from_document,
};
pub use fault::{Errors, Fault};
pub(crate) use field::name as checked_name;
pub use hook::{HookConfig, HookUrl, JournalConfig, OnHookFailure};
pub use input_rule::{INPUT_RULES_MAX, InputRuleConfig};
pub use kept::{Becomes, KEPT_MAX, Kept, Part};
pub use keys::{KeyStoreKind, KeysConfig, OnStoreFailure, RedisArrangement, Secret};
pub use limits::LimitsConfig;
pub use metrics::MetricsConfig;
pub use model::Config;
pub use multitrack::MultitrackConfig;
pub use network::without_secrets;
pub(crate) use node::{API_OPEN_TO_ALL, OPEN_TO_ALL};
pub use node::{
    DeliveryConfig, HttpConfig, KeepState, NodeConfig, OnCoreLoss, Publish, Role, RtmpConfig,
    StartAt, TokenConfig,
};
pub use obs_websocket::ObsWebSocketConfig;
pub use output::{OUTPUTS_MAX, OutputConfig};
pub use relay::{PullConfig, PullMode, PushConfig, RECORDS_MAX, RELAYS_MAX, RecordConfig};
pub use rendition::{FPS_DIVISOR_MAX, MAIN_RENDITION, RENDITIONS_MAX, Render, RenditionConfig};
pub use scene::{NamedScene, SCENES_MAX, resolve, warm_fault};
pub use schedule::{ScheduleConfig, no_scene_faults, read_schedule};
pub use stream::{Fallback, PROTECTED_MAX, SourceFormat, StreamConfig};
pub use tls::TlsConfig;
pub use transcode::{SizeWish, SourceRendition, TRANSCODES_MAX, TranscodeConfig};
pub use transition::transition_to_document;
pub use video::Latency;
