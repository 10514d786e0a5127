//! Further renditions of a channel, as the API shows them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::speed::Speed;
use crate::control::time::Time;
use crate::stats::{ChannelFigures, DropReason, RenditionSnapshot};

/// A further rendition of a channel: its pictures in another encode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Rendition {
    /// Its name.
    pub name: String,
    /// The stream it makes.
    pub stream: String,
    /// The rendition with the same settings whose encode it shows, `main` being the channel's
    /// first; nothing if it is encoded for itself.
    pub shares: Option<String>,
    /// The names of the renditions that it carries as tracks of Enhanced RTMP, that of track 0
    /// first; empty if it is one rendition. What follows is about track 0.
    pub tracks: Vec<String>,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames per second that are wanted.
    pub fps_target: f64,
    /// Frames per second, mean of the last seconds.
    pub fps: f64,
    /// Bits per second of video, mean of the last seconds.
    pub video_bps: f64,
    /// Video bits per second that the encoder is to make now: fewer than `configured_bps` while
    /// outputs, which alone read the stream, are congested.
    pub target_bps: u64,
    /// Video bits per second of the configuration.
    pub configured_bps: u64,
    /// Video codec.
    pub codec: String,
    /// The video encoder that encodes now.
    pub encoder: String,
    /// Its preset: the best one that `speed` may come to.
    pub preset: String,
    /// How fast it encodes now.
    pub speed: Speed,
    /// Frames encoded since start.
    pub frames: u64,
    /// Frames nobody got to see, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Frames that wait for the encoder.
    pub queue: u64,
}

impl Rendition {
    /// What these figures of it say.
    #[must_use]
    pub(super) fn of(snapshot: &RenditionSnapshot, time: &Time) -> Self {
        let RenditionSnapshot { name, stream, shares, tracks, facts, figures } = snapshot;
        Self {
            name: name.clone(),
            stream: stream.clone(),
            shares: shares.clone(),
            tracks: tracks.clone(),
            width: facts.width,
            height: facts.height,
            fps_target: facts.fps,
            fps: figures.fps,
            video_bps: figures.video_bps,
            target_bps: facts.target_now(figures),
            configured_bps: facts.bitrate_bps,
            codec: facts.codec.clone(),
            encoder: facts.encoder_now(figures),
            preset: facts.preset.clone(),
            speed: Speed::of(facts, &figures.speed, time),
            frames: figures.frames,
            dropped: dropped_of(figures),
            queue: figures.queue,
        }
    }
}

/// Frames that nobody got to see, by reason.
pub(super) fn dropped_of(figures: &ChannelFigures) -> BTreeMap<String, u64> {
    let labels = DropReason::ALL.map(DropReason::label).into_iter().chain(["encoded"]);
    let counts = figures.dropped.into_iter().chain([figures.encoded_dropped]);
    labels.map(str::to_owned).zip(counts).collect()
}
