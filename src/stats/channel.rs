//! Counters of a channel's stages.

use std::sync::Arc;

use arc_swap::ArcSwap;
use crossbeam::utils::CachePadded;

use super::cell::{Counter, Gauge, SharedCounter};
use super::composition::{LayerCost, LayerFigures};
use super::fallback::{FALLBACKS_MAX, Fallback, FallbackStats};
use super::histogram::{Histogram, HistogramFigures};
use super::speed::{SpeedChange, SpeedFigures, SpeedStats};
use super::stage::{Stage, StageBlock, StageFigures};
use super::stream_latency::next_source;
use crate::media::{Micros, Size};
use crate::probes;

/// Why the composer let a frame go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The encoder is behind.
    QueueFull,
    /// All frames of the pool are in use.
    PoolEmpty,
    /// Its time had passed.
    Late,
}

impl DropReason {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 3] = [Self::QueueFull, Self::PoolEmpty, Self::Late];

    /// The value of the `reason` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::PoolEmpty => "pool_empty",
            Self::Late => "late",
        }
    }
}

/// The value of the `reason` label of finished messages that did not fit the ring to their shard.
pub const ENCODED_DROPPED: &str = "shard_full";

/// The figures of one channel: a block for each thread that works on it, so that they do not share
/// cache lines.
#[derive(Debug, Default)]
pub struct ChannelStats {
    compose: CachePadded<Compose>,
    /// Of the scene on the air, lowest first.
    layers: CachePadded<ArcSwap<Vec<Arc<LayerCost>>>>,
    scale: CachePadded<Histogram>,
    video: CachePadded<Video>,
    audio: CachePadded<Audio>,
    shard: CachePadded<Shard>,
    rare: CachePadded<Rare>,
    latency: Box<Latency>,
}

/// Durations of the stages on each thread's part of the way.
#[derive(Debug)]
struct Latency {
    /// The number of the channel as a source of frames.
    source: u16,
    compose: CachePadded<StageBlock<2>>,
    scale: CachePadded<StageBlock<1>>,
    encode: CachePadded<StageBlock<3>>,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            source: next_source(),
            compose: CachePadded::new(StageBlock::of([Stage::Tick, Stage::Compose])),
            scale: CachePadded::new(StageBlock::of([Stage::Scale])),
            encode: CachePadded::new(StageBlock::of([
                Stage::Queue,
                Stage::Lookahead,
                Stage::Encode,
            ])),
        }
    }
}

/// Written by the composer; of a rendition of another size, by its scaler.
#[derive(Debug, Default)]
struct Compose {
    composed: Counter,
    /// Also by the scaler of a rendition.
    dropped: [SharedCounter; DropReason::ALL.len()],
    audio_dropped: Counter,
    queue: Gauge,
    stalls: Counter,
    stalled_us: Counter,
    draw: Histogram,
    pixels: Counter,
    tick: Gauge,
}

/// Written by the video encoder's thread.
#[derive(Debug, Default)]
struct Video {
    frames: Counter,
    keyframes: Counter,
    bytes: Counter,
    encode: Histogram,
    target_bps: Gauge,
    speed: SpeedStats,
    fallback: FallbackStats,
}

/// Written by the audio encoder's thread.
#[derive(Debug, Default)]
struct Audio {
    frames: Counter,
    bytes: Counter,
}

/// Written by the shard that is the stream's home.
#[derive(Debug, Default)]
struct Shard {
    latency: Histogram,
}

/// Written by both encoders, or by control.
#[derive(Debug, Default)]
struct Rare {
    encoded_dropped: SharedCounter,
    fps: Gauge,
    bitrate_bps: Gauge,
    video_bps: Gauge,
    audience: Gauge,
}

impl ChannelStats {
    /// The number of the channel as a source of frames.
    #[must_use]
    pub fn source(&self) -> u16 {
        self.latency.source
    }

    /// How long a tick waited for the composer, or a frame was drawn. For the composer.
    pub fn composer_took(&self, stage: Stage, took: Micros) {
        self.latency.compose.observe(stage, took);
    }

    /// From when a frame was drawn to when it had a rendition's size. For the scaler's thread.
    pub fn scaler_took(&self, took: Micros) {
        self.latency.scale.observe(Stage::Scale, took);
    }

    /// How long a frame waited for the video encoder, or was in it. For its thread.
    pub fn encoder_took(&self, stage: Stage, took: Micros) {
        self.latency.encode.observe(stage, took);
    }

    /// Adds the stages on the compose core. For any thread.
    pub fn read_compose_into(&self, to: &mut StageFigures) {
        self.latency.compose.read_into(to);
    }

    /// Adds the stages of a scaler and a video encoder. For any thread.
    pub fn read_encode_into(&self, to: &mut StageFigures) {
        self.latency.scale.read_into(to);
        self.latency.encode.read_into(to);
    }

    /// A frame went to the encoder. For the composer.
    pub fn composed(&self) {
        self.compose.composed.add(1);
    }

    /// `frames` frames were not drawn or not taken. For the composer.
    pub fn dropped(&self, reason: DropReason, frames: u64) {
        probes::frames_dropped(self.source(), reason as usize, frames);
        self.compose.dropped[reason as usize].add(frames);
    }

    /// How long drawing a tick took, and the luma pixels that it drew. For the composer.
    pub fn drawn(&self, took: Micros, pixels: u64) {
        self.compose.draw.observe(took);
        self.compose.pixels.add(pixels);
    }

    /// The number of the tick that is drawn now. For the composer.
    pub fn set_tick(&self, tick: u64) {
        self.compose.tick.set_count(usize::try_from(tick).unwrap_or(usize::MAX));
    }

    /// The number of the newest tick that was drawn. For any thread.
    #[must_use]
    pub fn tick(&self) -> u64 {
        self.compose.tick.get_count()
    }

    /// A scene of these layers is on the air. For control.
    pub fn set_layers(&self, layers: Vec<Arc<LayerCost>>) {
        self.layers.store(Arc::new(layers));
    }

    /// What the layers of the scene on the air cost, lowest first. For any thread.
    #[must_use]
    pub fn layers(&self) -> Vec<LayerFigures> {
        self.layers.load().iter().map(|layer| layer.read()).collect()
    }

    /// The layers of the scene on the air, lowest first. For control.
    #[must_use]
    pub fn layer_costs(&self) -> Vec<Arc<LayerCost>> {
        self.layers.load().to_vec()
    }

    /// The composer was not run for so long. For the composer.
    pub fn stalled(&self, length: Micros) {
        self.compose.stalled_us.add(length.0);
        self.compose.stalls.add(1);
    }

    /// A block of audio was not taken. For the composer.
    pub fn audio_dropped(&self) {
        probes::audio_dropped(self.source());
        self.compose.audio_dropped.add(1);
    }

    /// Frames that wait for the encoder. For the composer.
    pub fn queue_length(&self, frames: usize) {
        self.compose.queue.set_count(frames);
    }

    /// How long the scaler took for a frame. For its thread.
    pub fn scale_seconds(&self, took: Micros) {
        self.scale.observe(took);
    }

    /// A packet of `bytes` came out of the video encoder. For its thread.
    pub fn encoded(&self, bytes: usize, key: bool) {
        probes::packet_encoded(self.source(), bytes, key);
        self.video.frames.add(1);
        self.video.keyframes.add(u64::from(key));
        self.video.bytes.add(bytes as u64);
    }

    /// How long the video encoder took for a frame. For its thread.
    pub fn encode_seconds(&self, took: Micros) {
        self.video.encode.observe(took);
    }

    /// The video encoder of this name was opened. For its thread.
    pub fn encoder(&self, name: &'static str) {
        self.video.fallback.opened(name);
    }

    /// One video encoder follows another. For their thread.
    pub fn encoder_changed(&self, from: &'static str, to: &'static str, reason: &'static str) {
        self.video.fallback.changed(from, to, reason);
    }

    /// A video encoder was opened whose speeds are like these presets, fastest first (none if its
    /// speed is fixed), and begins with the one at `step`. For its thread.
    pub fn speeds(&self, presets: Vec<&'static str>, step: usize) {
        self.video.speed.opened(presets, step);
    }

    /// The video encoder's pictures may have these sizes, the full one first; they begin with that
    /// at `size`, and with one of `divisor`. For its thread.
    pub fn sizes(&self, sizes: Vec<Size>, size: usize, divisor: u32) {
        self.video.speed.sized(sizes, size, divisor);
    }

    /// The video encoder's speed, frame rate or size was changed. For its thread.
    pub fn speed_changed(&self, change: SpeedChange) {
        self.video.speed.changed(change);
    }

    /// The video encoder makes so many bits per second from now on. For its thread.
    pub fn target(&self, bps: u32) {
        self.video.target_bps.set(bps.into());
    }

    /// A frame was encoded more than two intervals after it was due. For the encoder's thread.
    pub fn encoded_late(&self) {
        probes::frame_late(self.source());
        self.video.speed.late();
    }

    /// A packet of `bytes` came out of the audio encoder. For its thread.
    pub fn audio_encoded(&self, bytes: usize) {
        self.audio.frames.add(1);
        self.audio.bytes.add(bytes as u64);
    }

    /// A finished message did not fit the ring to its shard. For both encoders' threads.
    pub fn encoded_dropped(&self) {
        probes::message_dropped(self.source());
        self.rare.encoded_dropped.add(1);
    }

    /// Time from when a frame was due to when its message was in the stream's log, ready for every
    /// viewer. For the shard that is the stream's home.
    pub fn rtmp_seconds(&self, took: Micros) {
        self.shard.latency.observe(took);
    }

    /// So many read the stream, outputs and previews aside. For control.
    pub fn set_audience(&self, readers: u64) {
        self.rare.audience.set(readers as f64);
    }

    /// What the meter measured last: encoded frames per second, and bits per second of video and of
    /// audio.
    pub(super) fn set_rates(&self, fps: f64, video_bps: f64, audio_bps: f64) {
        self.rare.fps.set(fps);
        self.rare.bitrate_bps.set(video_bps + audio_bps);
        self.rare.video_bps.set(video_bps);
    }

    /// All figures, for any thread.
    #[must_use]
    pub fn read(&self) -> ChannelFigures {
        ChannelFigures {
            composed: self.compose.composed.get(),
            dropped: std::array::from_fn(|index| self.compose.dropped[index].get()),
            audio_dropped: self.compose.audio_dropped.get(),
            queue: self.compose.queue.get_count(),
            stalls: self.compose.stalls.get(),
            stalled: Micros(self.compose.stalled_us.get()),
            draw: self.compose.draw.read(),
            pixels: self.compose.pixels.get(),
            scale: self.scale.read(),
            frames: self.video.frames.get(),
            keyframes: self.video.keyframes.get(),
            video_bytes: self.video.bytes.get(),
            encode: self.video.encode.read(),
            target_bps: self.video.target_bps.get_count(),
            speed: self.video.speed.read(),
            encoder: self.video.fallback.name(),
            fallbacks: self.video.fallback.read(),
            audio_frames: self.audio.frames.get(),
            audio_bytes: self.audio.bytes.get(),
            encoded_dropped: self.rare.encoded_dropped.get(),
            latency: self.shard.latency.read(),
            fps: self.rare.fps.get(),
            bitrate_bps: self.rare.bitrate_bps.get(),
            video_bps: self.rare.video_bps.get(),
            audience: self.rare.audience.get_count(),
        }
    }
}

/// What a channel had counted at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChannelFigures {
    /// Frames that went to the encoder.
    pub composed: u64,
    /// Frames that did not, by [`DropReason::ALL`].
    pub dropped: [u64; DropReason::ALL.len()],
    /// Blocks of audio that the audio encoder did not take.
    pub audio_dropped: u64,
    /// Frames that wait for the encoder.
    pub queue: u64,
    /// Times the composer was not run for so long that the programme leaves it out.
    pub stalls: u64,
    /// How long those were together.
    pub stalled: Micros,
    /// Time on the compose core per tick that was drawn, all layers and what lies between them.
    pub draw: HistogramFigures,
    /// Luma pixels drawn.
    pub pixels: u64,
    /// Time in the scaler per frame, of a rendition of another size than the canvas.
    pub scale: HistogramFigures,
    /// Video packets encoded.
    pub frames: u64,
    /// Keyframes among them.
    pub keyframes: u64,
    /// Bytes of video encoded.
    pub video_bytes: u64,
    /// Time in the video encoder per frame.
    pub encode: HistogramFigures,
    /// Bits per second that the video encoder is to make now; 0 before one was opened.
    pub target_bps: u64,
    /// The video encoder's speed.
    pub speed: SpeedFigures,
    /// Name of the video encoder; empty before one was opened.
    pub encoder: &'static str,
    /// How often one followed another.
    pub fallbacks: [Option<Fallback>; FALLBACKS_MAX],
    /// Audio packets encoded.
    pub audio_frames: u64,
    /// Bytes of audio encoded.
    pub audio_bytes: u64,
    /// Finished messages that did not fit the ring to their shard.
    pub encoded_dropped: u64,
    /// Time from when a frame was due to its message being ready for every viewer.
    pub latency: HistogramFigures,
    /// Encoded frames per second, as measured last.
    pub fps: f64,
    /// Bits per second of video and audio, as measured last.
    pub bitrate_bps: f64,
    /// Bits per second of video alone, as measured last.
    pub video_bps: f64,
    /// Who reads the stream, outputs and previews aside, as control looked last.
    pub audience: u64,
}

impl ChannelFigures {
    /// Frames and messages that nobody got to see.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum::<u64>() + self.encoded_dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_counter() {
        let stats = ChannelStats::default();
        for (index, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason:?}");
            stats.dropped(reason, index as u64 + 1);
        }
        stats.encoded_dropped();
        assert_eq!(stats.read().dropped, [1, 2, 3]);
        assert_eq!(stats.read().dropped_total(), 7);
    }

    #[test]
    fn encoded_packets_are_counted_by_kind() {
        let stats = ChannelStats::default();
        stats.encoded(1_000, true);
        stats.encoded(100, false);
        stats.audio_encoded(50);
        stats.encode_seconds(Micros::from_millis(4));
        stats.rtmp_seconds(Micros::from_millis(20));
        let figures = stats.read();
        assert_eq!((figures.frames, figures.keyframes, figures.video_bytes), (2, 1, 1_100));
        assert_eq!((figures.audio_frames, figures.audio_bytes), (1, 50));
        assert_eq!((figures.encode.count(), figures.latency.count()), (1, 1));
    }
}
