//! Recordings of streams as FLV and fragmented MP4, with every time as it was published; when a
//! file begins and ends, and what happens when the disk is full. No thread, no clock: messages and
//! times in, bytes to a [`Disk`] and news out.

mod boxes;
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

pub use disk::{Disk, Folder};
pub use model::{Format, Input, Moment, RecordSpec};
pub use recorder::Recorder;
