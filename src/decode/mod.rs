//! Turns encoded things into timed pictures and audio: published streams ([`Live`]), streams of
//! other servers ([`NetworkSource`], [`NetworkDecoder`]), files ([`File`]), in the order of a
//! playlist ([`RunningOrder`]), and the frames of other programs ([`FrameClient`]).
//!
//! Both are plain state machines that a thread of the pipeline drives: no clock, no thread, no
//! waiting in here. Pictures come out scaled to the size they have on the canvas, BT.709 limited
//! range; audio comes out as 48 kHz stereo. Every time is on the node's clock.

mod alpha;
mod av;
mod convert;
mod decoded;
mod deinterlace;
mod demux;
mod direct;
mod error;
mod file;
mod frames;
mod jitter;
mod live;
mod network;
mod orient;
mod playlist;
mod playout;
mod resampler;
mod resize;
mod tag;
mod timeline;

#[cfg(test)]
mod tests;

pub use demux::GiveUp;
pub use error::Error;
pub use file::{File, FileSpec, Step};
#[cfg(test)]
pub(crate) use frames::testing as frames_testing;
pub use frames::{
    CLIENT_MESSAGE_BYTES_MAX, FRAMES_PER_SECOND_MAX, FrameClient, FrameView, FrameViewSpec,
    Handled, Hello, Reply,
};
pub use live::Live;
pub use network::{
    Backlog, NetworkDecoder, NetworkError, NetworkPacket, NetworkSource, NetworkStreams,
};
pub use playlist::{Entry, Refused, RunningOrder, list};
pub use playout::LiveSpec;
pub use tag::can_decode;

use crate::frame::{AudioBlock, PictureEvent};
use crate::media::Size;

/// Given the size a source's pictures are shown at (its pixels made square), the size they are to
/// have on the canvas.
pub type Scale = Box<dyn FnMut(Size) -> Size + Send>;

/// Given the size that pictures are made at, how many of them may wait for their reader.
pub type Queue = Box<dyn FnMut(Size) -> u32 + Send>;

/// Pictures of a pool beyond those that wait for their reader: one being converted, one shown and
/// one about to be in each of two scenes during a change, two inside an encoder that got them
/// undrawn, one kept for scenes to come, and one that somebody looks at in preview, with one to
/// spare.
pub const POOL_EXTRA_PICTURES: u32 = 10;

/// Pictures of a pool that a decoder may refer to, where pictures are decoded into it; further ones
/// are decoded into libavcodec's own memory, and copied.
pub const DIRECT_PICTURES: u32 = 8;

/// Pictures that may wait for their reader, unless a spec says otherwise.
pub const QUEUE_PICTURES: u32 = 16;

/// Where pictures and audio go. Neither call may wait; a reader without room loses what is new.
pub trait DecodeSink {
    /// The next picture, or the end of the source.
    fn picture(&mut self, picture: PictureEvent);

    /// The newest picture at a further size of the spec, by its place there.
    fn further_picture(&mut self, _size: usize, _picture: PictureEvent) {}

    /// The next block of audio.
    fn audio(&mut self, block: &AudioBlock);
}

/// What a decoder has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Pictures handed to the sink.
    pub pictures: u64,
    /// Blocks of audio handed to the sink.
    pub blocks: u64,
    /// Pictures decoded and dropped because every slot of the pool was in use.
    pub pool_empty: u64,
    /// Messages or packets that could not be decoded.
    pub damaged: u64,
    /// Times that source and clock had drifted so far apart that they were matched anew.
    pub resyncs: u64,
    /// Times that a file began again.
    pub loops: u64,
}
