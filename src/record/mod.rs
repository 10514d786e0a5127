//! Recordings of streams as FLV and fragmented MP4, and clips of what has come already as MP4, with
//! every time as it was published; when a file begins and ends, and what happens when the disk is
//! full. No thread, no clock: messages and times in, bytes to a [`Disk`] and news out.

mod boxes;
mod clip;
#[cfg(test)]
mod clip_tests;
mod disk;
mod flv;
mod model;
mod mp4;
#[cfg(test)]
mod mp4_tests;
mod name;
mod open;
mod recorder;
#[cfg(test)]
mod recorder_tests;
mod times;
mod tracks;

pub use clip::{CLIP_HEAD_BYTES, Clip, ClipFault, clip_length_ms, write_clip};
pub use disk::{Disk, Folder};
pub use model::{Format, Input, Moment, RecordSpec};
pub use name::file_name;
pub use recorder::Recorder;
