//! Encoders: one trait per medium, a table of backends, and what they are asked for.
//!
//! An encoder lives on one plain OS thread from opening to dropping, because the threads it starts
//! inherit that thread's CPUs and priority.

mod backend;
mod congestion;
mod error;
mod fallback;
mod governor;
mod inventory;
mod select;
mod shared_cpu;
mod spec;

pub use congestion::{BitrateGovernor, LinkSample};
pub use error::Error;
pub use fallback::{ChangeReason, EncoderChange, EncoderSink, FallbackEncoder, Picture};
pub use governor::{Change, Governor, Reason, Sample, Setting};
pub use inventory::{CHECK_COMMAND, check_hardware, check_with, inventory};
pub use select::{encoder_names, encoder_names_of, first_choice, open_audio, open_video};
pub use shared_cpu::{Neighbours, Priority, SharedCpu};
pub use spec::{AudioSpec, Keep, Speed, VideoSpec};

use crate::frame::{FrozenFrame, PacketBuf};

/// One encoded picture.
#[derive(Debug)]
pub struct VideoPacket {
    /// NAL units with 4-byte lengths, or the OBUs of a temporal unit without its delimiter, in a
    /// pooled packet with all its headroom.
    pub body: PacketBuf,
    /// Presentation time, ticks of the channel's grid.
    pub pts: i64,
    /// Decoding time, ticks; below zero at the start if there are B-pictures.
    pub dts: i64,
    /// Whether a decoder can start here.
    pub key: bool,
}

/// One encoded block of audio.
#[derive(Debug)]
pub struct AudioPacket {
    /// The raw frame, in a pooled packet with all its headroom.
    pub body: PacketBuf,
    /// Number of the first sample that a decoder gets out of it; below zero for what the encoder
    /// put before the beginning.
    pub first_sample: i64,
}

/// Takes encoded pictures.
pub trait VideoSink {
    /// One more packet, in decoding order.
    fn packet(&mut self, packet: VideoPacket);
}

/// Takes encoded audio.
pub trait AudioSink {
    /// One more packet, in order.
    fn packet(&mut self, packet: AudioPacket);
}

/// A video encoder. For whoever adds a backend: the pipeline relies on every sentence here.
pub trait VideoEncoder {
    /// The backend's name in logs and metrics.
    fn name(&self) -> &'static str;

    /// The codec's configuration record: `AVCDecoderConfigurationRecord`, `HEVCDecoder…` or
    /// `AV1CodecConfigurationRecord`. It does not change while the encoder lives: an encoder with
    /// other parameters is another encoder.
    fn header(&self) -> &[u8];

    /// Pictures that go in before the first comes out.
    fn delay_frames(&self) -> u32;

    /// Encodes the picture of tick `pts`; ticks rise, but may leave numbers out. With `force_key`
    /// this picture is an IDR. The frame is not copied and not written; its reference is given back
    /// as soon as the encoder can do without, on any thread.
    ///
    /// # Errors
    /// [`Error::Device`]: drop the encoder and open another. [`Error::Config`]: the frame is not of
    /// the size and format that the encoder was opened for.
    fn encode(
        &mut self,
        frame: FrozenFrame,
        pts: i64,
        force_key: bool,
        sink: &mut dyn VideoSink,
    ) -> Result<(), Error>;

    /// Emits what the encoder still holds; nothing may be encoded afterwards. No default: a backend
    /// that buffers must say so.
    ///
    /// # Errors
    /// [`Error::Device`]: what was held is lost.
    fn flush(&mut self, sink: &mut dyn VideoSink) -> Result<(), Error>;

    /// Whether a picture becomes an IDR because it is asked to. Where not, keyframes come every
    /// [`VideoSpec::gop_frames`] pictures, and `force_key` changes nothing. No default: a backend
    /// must say so.
    fn forces_keyframes(&self) -> bool;

    /// Changes the constant bitrate from the next picture on, or soon, with a keyframe that was not
    /// asked for. No default: a backend that cannot must refuse, not ignore it.
    ///
    /// # Errors
    /// [`Error::Config`] if this encoder cannot change it while it runs, or not to that.
    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<(), Error>;

    /// The speeds that [`VideoEncoder::set_speed`] can choose, fastest first; the last one is that
    /// it was opened with. Empty if it cannot be changed. No default: a backend must say so.
    fn speeds(&self) -> &[Speed];

    /// Encodes with this one of its [`VideoEncoder::speeds`] from the next picture on, which
    /// becomes no keyframe by it; the header stays as it is. No default, as for the bitrate.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such speed.
    fn set_speed(&mut self, step: usize) -> Result<(), Error>;
}

/// An audio encoder: 48 kHz stereo in.
pub trait AudioEncoder {
    /// The decoder's configuration: an `AudioSpecificConfig` for AAC, an identification header
    /// (RFC 7845 section 5.1) for Opus.
    fn header(&self) -> &[u8];

    /// Encodes interleaved stereo samples, at most 1024 per channel; a shorter block ends the
    /// audio. `first_sample` counts from the channel's start.
    ///
    /// # Errors
    /// [`Error::Device`]: drop the encoder and open another.
    fn encode(
        &mut self,
        samples: &[f32],
        first_sample: u64,
        sink: &mut dyn AudioSink,
    ) -> Result<(), Error>;

    /// Emits what the encoder still holds; nothing may be encoded afterwards.
    ///
    /// # Errors
    /// [`Error::Device`]: what was held is lost.
    fn flush(&mut self, sink: &mut dyn AudioSink) -> Result<(), Error>;
}

#[cfg(test)]
mod tests;
