//! Renditions of channels and transcodes: what each is to make, and its figures.

use std::sync::Arc;

use super::channel::{ChannelFigures, ChannelStats};

/// What a channel is to make.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelFacts {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames per second that are wanted.
    pub fps: f64,
    /// Video bits per second that are wanted.
    pub bitrate_bps: u64,
    /// The fewest that congested outputs may bring it to.
    pub bitrate_min_bps: u64,
    /// Video codec.
    pub codec: String,
    /// Video encoder.
    pub encoder: String,
    /// Its preset.
    pub preset: String,
    /// Whether it always encodes as fast as its preset says.
    pub is_speed_fixed: bool,
}

impl ChannelFacts {
    /// Name of the video encoder that encodes, or is to, before one was opened.
    #[must_use]
    pub fn encoder_now(&self, figures: &ChannelFigures) -> String {
        match figures.encoder {
            "" => self.encoder.clone(),
            name => name.to_owned(),
        }
    }

    /// Video bits per second that the encoder makes, or is to, before one was opened.
    #[must_use]
    pub const fn target_now(&self, figures: &ChannelFigures) -> u64 {
        match figures.target_bps {
            0 => self.bitrate_bps,
            target => target,
        }
    }
}

/// A further rendition of a channel.
#[derive(Clone, Debug, Default)]
pub struct RenditionEntry {
    /// Name of the rendition.
    pub name: String,
    /// The stream it makes, such as `live/demo_720p`.
    pub stream: String,
    /// The rendition whose encode it shows, if it has none of its own.
    pub shares: Option<String>,
    /// The names of the renditions that it carries as tracks, if it carries several.
    pub tracks: Vec<String>,
    /// What it is to make; of track 0.
    pub facts: Arc<ChannelFacts>,
    /// Its figures; those of track 0.
    pub stats: Arc<ChannelStats>,
    /// Those of tracks 1 and further.
    pub further: Vec<Arc<ChannelStats>>,
}

/// A further rendition of a channel at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RenditionSnapshot {
    /// Name of the rendition.
    pub name: String,
    /// The stream it makes.
    pub stream: String,
    /// The rendition whose encode it shows, if it has none of its own.
    pub shares: Option<String>,
    /// The names of the renditions that it carries as tracks, if it carries several.
    pub tracks: Vec<String>,
    /// What it is to make.
    pub facts: Arc<ChannelFacts>,
    /// Its figures.
    pub figures: ChannelFigures,
}

impl RenditionEntry {
    pub(super) fn read(&self) -> RenditionSnapshot {
        RenditionSnapshot {
            name: self.name.clone(),
            stream: self.stream.clone(),
            shares: self.shares.clone(),
            tracks: self.tracks.clone(),
            facts: Arc::clone(&self.facts),
            figures: self.stats.read(),
        }
    }
}

/// An encode of a channel or a transcode, and the streams that show it.
#[derive(Debug)]
pub struct ShownEncode<'a> {
    /// What it is to make.
    pub facts: &'a ChannelFacts,
    /// Its figures.
    pub stats: &'a Arc<ChannelStats>,
    /// The streams; that of the rendition that it is comes first.
    pub streams: Vec<&'a str>,
}

impl<'a> ShownEncode<'a> {
    /// Those of a channel's first rendition, if there is one, and of these further ones.
    pub(super) fn all(
        main: Option<(&'a String, &'a Arc<ChannelFacts>, &'a Arc<ChannelStats>)>,
        renditions: &'a [RenditionEntry],
    ) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let further = renditions.iter().map(|it| (&it.stream, &it.facts, &it.stats));
        for (stream, facts, stats) in main.into_iter().chain(further) {
            match all.iter_mut().find(|encode| Arc::ptr_eq(encode.stats, stats)) {
                Some(encode) => encode.streams.push(stream),
                None => all.push(Self { facts, stats, streams: vec![stream] }),
            }
        }
        for RenditionEntry { stream, further, .. } in renditions {
            let is_track = |it: &&mut Self| further.iter().any(|of| Arc::ptr_eq(of, it.stats));
            all.iter_mut().filter(is_track).for_each(|encode| encode.streams.push(stream));
        }
        all
    }
}
