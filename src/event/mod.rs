//! Events of a node, for people and programs: the life of each connection, and news of outputs,
//! recordings and encoders. Pure: times are arguments.

mod about;
mod fallback;
mod fault_text;
mod input;
mod layer;
mod life;
mod log_filter;
mod names;
mod node;
mod operated;
mod playlist;
mod printable;
mod severity;
mod transcode;

pub use about::{About, KeyHolder};
pub use fallback::{FallbackEvent, FallbackNews};
pub use input::{InputEvent, InputEventKind};
pub use life::{ClientId, ConnectionState, Event, EventKind, LifeCycle, Phase, Stage};
pub use log_filter::{LogFormat, check_log_filter};
pub use node::NodeEvent;
pub use operated::Operated;
pub use playlist::{PlaylistEvent, PlaylistItemNews};
pub use severity::Severity;
pub use transcode::{TranscodeEvent, TranscodeNews};
