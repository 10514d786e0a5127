//! A stream on one core: the ring of its recent messages, the cursors that read it, when a slow
//! reader jumps, and the repair of its timestamps. Pure: no socket, no clock.

mod cursor;
mod echo;
mod failover;
mod framing;
mod headers;
mod health;
mod in_band;
mod input_health;
mod log;
mod merge;
mod message;
mod repair;
mod silence;
mod tracks;

pub use cursor::{Cursor, DropPolicy, Drops, Start};
pub use echo::{LoopWatch, Prints};
pub use failover::{Break, Failover, FailoverNews, FailoverRules};
pub use framing::Framing;
pub use health::{Health, KEYFRAME_INTERVAL_MAX};
pub use in_band::{InBand, Inspection};
pub use input_health::{InputFault, InputHealth, InputNews, InputRules, THUMBNAIL, Thumbnail};
pub use log::{LogLimits, RecentRange, StreamLog};
pub use merge::{Due, MERGE_MS_MAX, Merge, Merger};
pub use message::{Flags, Message};
pub use repair::TimestampRepair;
pub use silence::{SILENCE_FRAME, SILENCE_HEADER, Silence};
