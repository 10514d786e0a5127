//! Encoded file: frames and audio by the encoders that the channel has on the air, at a fixed
//! speed.

use std::path::Path;

use crate::audio::AudioFramer;
use crate::config::ChannelConfig;
use crate::control::channels::offline::Rendered;
use crate::encode::{
    AudioEncoder, AudioPacket, AudioSink, VideoEncoder, VideoPacket, VideoSink, VideoSpec,
    open_audio, open_video,
};
use crate::ffi::muxer::{AudioTrack, Muxer, VideoTrack};
use crate::ffi::picture::PictureCodec;
use crate::frame::{PacketPool, PacketPoolSpec};
use crate::media::{AudioCodec, SAMPLE_RATE, VideoCodec};

/// A file with video and, if the channel has any, audio.
pub(super) struct EncodedFile {
    /// In error texts.
    name: String,
    video: Box<dyn VideoEncoder>,
    /// Ticks from one keyframe to the next.
    keyframe_ticks: u64,
    audio: Option<(Box<dyn AudioEncoder>, AudioFramer)>,
    muxer: Muxer,
}

impl EncodedFile {
    /// Opens the encoders and makes the file.
    pub(super) fn create(
        path: &Path,
        channel: &ChannelConfig,
        cores: usize,
    ) -> Result<Self, String> {
        let packets = PacketPool::new(PacketPoolSpec::default());
        let packets = packets.map_err(|error| format!("no memory for packets: {error}"))?;
        // A speed that follows the machine would give other bytes each time.
        let spec = VideoSpec { fastest_preset: None, ..channel.video_spec(cores) };
        let video = open_video(&spec, &packets).map_err(|error| error.to_string())?;
        let audio = channel.audio.as_ref().map(|spec| open_audio(spec, &packets)).transpose();
        let audio = audio.map_err(|error| error.to_string())?;
        let codec = match spec.codec {
            VideoCodec::H264 => PictureCodec::H264,
            VideoCodec::Hevc => PictureCodec::Hevc,
            VideoCodec::Av1 => PictureCodec::Av1,
        };
        let video_track = VideoTrack {
            codec,
            header: video.header(),
            sides: (spec.size.width(), spec.size.height()),
            rate: (spec.rate.num(), spec.rate.den()),
        };
        let is_opus = channel.audio.as_ref().is_some_and(|spec| spec.codec == AudioCodec::Opus);
        let audio_track = audio.as_ref().map(|audio| AudioTrack {
            is_opus,
            header: audio.header(),
            sample_rate: SAMPLE_RATE,
        });
        let muxer = Muxer::create(path, video_track, audio_track)?;
        let audio = audio.map(|encoder| (encoder, AudioFramer::new()));
        let keyframe_ticks = u64::from(channel.keyframe_ticks()).max(1);
        Ok(Self { name: path.display().to_string(), video, keyframe_ticks, audio, muxer })
    }

    /// Frames that the video encoder holds back.
    pub(super) const fn held_frames(&self) -> u32 {
        HELD_FRAMES_MAX
    }

    pub(super) fn put(&mut self, rendered: &Rendered<'_>) -> Result<(), String> {
        let pts = i64::try_from(rendered.tick).unwrap_or(i64::MAX);
        let is_key = rendered.tick.is_multiple_of(self.keyframe_ticks);
        let mut out = Packets(&mut self.muxer);
        let encoded = self.video.encode(rendered.frame.share(), pts, is_key, &mut out);
        let mut audio = Ok(());
        if let Some((encoder, framer)) = &mut self.audio {
            framer.push(rendered.samples, |first_sample, samples| {
                if audio.is_ok() {
                    audio = encoder.encode(samples, first_sample, &mut out);
                }
            });
        }
        encoded.and(audio).map_err(|error| self.failed(&error.to_string()))
    }

    /// Writes what the encoders hold, and the file's end.
    pub(super) fn finish(mut self) -> Result<(), String> {
        let mut out = Packets(&mut self.muxer);
        let flushed = self.video.flush(&mut out);
        let audio = self.audio.as_mut().map_or(Ok(()), |(encoder, _)| encoder.flush(&mut out));
        flushed.and(audio).map_err(|error| self.failed(&error.to_string()))?;
        self.muxer.finish().map_err(|error| format!("cannot write {}: {error}", self.name))
    }

    fn failed(&self, error: &str) -> String {
        format!("{}: {error}", self.name)
    }
}

/// Most frames that an encoder holds back: its look-ahead, its threads and its B-pictures.
const HELD_FRAMES_MAX: u32 = 96;

/// Packets on their way into the file.
struct Packets<'a>(&'a mut Muxer);

impl VideoSink for Packets<'_> {
    fn packet(&mut self, packet: VideoPacket) {
        self.0.video(&packet.body, (packet.pts, packet.dts), packet.key);
    }
}

impl AudioSink for Packets<'_> {
    fn packet(&mut self, packet: AudioPacket) {
        self.0.audio(&packet.body, packet.first_sample);
    }
}
