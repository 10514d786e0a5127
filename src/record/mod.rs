//! Recordings of streams: FLV by our own writer, fragmented MP4 by libavformat; when a file begins
//! and ends, and what happens when the disk is full. No thread, no clock: messages and times in,
//! bytes to a [`Disk`] and news out.

mod disk;
mod flv;
mod mp4;
#[cfg(test)]
mod mp4_tests;
mod name;
mod open;
mod recorder;
#[cfg(test)]
mod recorder_tests;

pub use disk::{Disk, Folder, Sink};
pub use recorder::{Format, Input, Moment, RecordSpec, Recorder};
