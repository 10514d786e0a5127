//! Rendition plan of a channel: which encodes there are, which streams show each, and where the
//! pictures of each size come from.

use std::sync::Arc;

use crate::config::{ChannelConfig, MAIN_RENDITION, MultitrackConfig, Render};
use crate::encode::{self, VideoSpec};
use crate::frame::{Error, Geometry, Pool};
use crate::media::Size;
use crate::pipeline::{POOL_EXTRA_FRAMES, SCALE_QUEUE};
use crate::stats::{ChannelEntry, ChannelFacts, ChannelStats, RenditionEntry};

/// Frames beyond its queue that an encoder may hold: one being encoded, and the one before it,
/// which it compares it with.
const ENCODER_FRAMES: u32 = 2;

/// Frames of another size than the canvas' beyond what its encoders hold: one being drawn, the last
/// one drawn, and one passing between them.
const SIZE_EXTRA_FRAMES: u32 = 3;

/// Figures of a channel's renditions that have counted before, by the renditions' names.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownStats(pub(crate) Vec<(String, Arc<ChannelStats>)>);

impl KnownStats {
    /// Those of the rendition of this name, unless an encode `has` them already: each has one
    /// writer.
    fn of(&self, name: &str, has: impl Fn(&Arc<ChannelStats>) -> bool) -> Arc<ChannelStats> {
        let known = self.0.iter().find(|(other, _)| other == name).map(|(_, stats)| stats);
        known.filter(|stats| !has(stats)).map(Arc::clone).unwrap_or_default()
    }
}

/// One encode, which several renditions of equal settings may share.
#[derive(Debug)]
pub(crate) struct Encode {
    /// Name of the first rendition that it is.
    pub(crate) name: String,
    pub(crate) spec: VideoSpec,
    /// Where its pictures come from.
    render: Render,
    /// It takes one frame of so many.
    pub(crate) divisor: u32,
    /// The fewest bits per second that congested outputs may bring it to.
    bitrate_min_bps: u32,
    pub(crate) stats: Arc<ChannelStats>,
}

/// A rendition: a stream that shows an encode.
#[derive(Debug)]
pub(crate) struct Rendition {
    name: String,
    pub(crate) stream: String,
    /// Its place among the encodes; that of track 0, if it carries several.
    pub(crate) encode: usize,
    /// Of one that carries several renditions as tracks, the names of all.
    tracks: Vec<String>,
    /// The places of those of tracks 1 and further.
    pub(crate) further: Vec<usize>,
}

/// All renditions of a channel, the first one first.
#[derive(Debug)]
pub(crate) struct RenditionPlan {
    canvas: Size,
    pub(crate) encodes: Vec<Encode>,
    pub(crate) renditions: Vec<Rendition>,
    /// Whether the first one is the channel itself, which ends with it.
    pub(crate) has_main: bool,
}

/// Another size than the canvas', and where its pictures are drawn.
pub(crate) struct FurtherSize {
    pub(crate) size: Size,
    pub(crate) render: Render,
    pub(crate) pool: Pool,
    /// Places of its encodes.
    pub(crate) encodes: Vec<usize>,
}

impl RenditionPlan {
    /// The renditions of a channel on a machine with `cores` encode cores.
    pub(crate) fn new(config: &ChannelConfig, cores: usize, known: &KnownStats) -> Self {
        let mut plan = Self::empty(config, true);
        let first = (config.video_spec(cores), 1, config.bitrate_min_bps);
        plan.add((MAIN_RENDITION, &config.stream), (first, Render::Scaled), known);
        plan.add_further(config, cores, known);
        plan.add_multitracks(config);
        plan
    }

    /// The further renditions alone: the first one is a stream that is there.
    pub(crate) fn of_source(config: &ChannelConfig, cores: usize, known: &KnownStats) -> Self {
        let mut plan = Self::empty(config, false);
        plan.add_further(config, cores, known);
        plan
    }

    const fn empty(config: &ChannelConfig, has_main: bool) -> Self {
        Self { canvas: config.size, encodes: Vec::new(), renditions: Vec::new(), has_main }
    }

    fn add_further(&mut self, config: &ChannelConfig, cores: usize, known: &KnownStats) {
        for rendition in &config.renditions {
            let spec = config.rendition_spec(rendition, cores);
            let names = (rendition.name.as_str(), rendition.stream.as_str());
            let settings = (spec, rendition.fps_divisor, rendition.bitrate_min_bps);
            self.add(names, (settings, rendition.render), known);
        }
    }

    fn add(
        &mut self,
        (name, stream): (&str, &str),
        ((spec, divisor, bitrate_min_bps), render): ((VideoSpec, u32, u32), Render),
        known: &KnownStats,
    ) {
        let (name, stream) = (name.to_owned(), stream.to_owned());
        // At the canvas' size the canvas is what is drawn at its own size.
        let render = if spec.size == self.canvas { Render::Scaled } else { render };
        let is_equal = |it: &Encode| {
            (it.spec == spec && it.render == render)
                && (it.divisor, it.bitrate_min_bps) == (divisor, bitrate_min_bps)
        };
        let equal = self.encodes.iter().position(is_equal);
        let encode = equal.unwrap_or_else(|| {
            let has = |stats: &Arc<_>| self.encodes.iter().any(|it| Arc::ptr_eq(&it.stats, stats));
            let stats = known.of(&name, has);
            let name = name.clone();
            self.encodes.push(Encode { name, spec, render, divisor, bitrate_min_bps, stats });
            self.encodes.len() - 1
        });
        let (tracks, further) = Default::default();
        self.renditions.push(Rendition { name, stream, encode, tracks, further });
    }

    fn add_multitracks(&mut self, config: &ChannelConfig) {
        for MultitrackConfig { name, stream, renditions: tracks } in &config.multitracks {
            let place = |track: &String| self.renditions.iter().find(|it| it.name == *track);
            let mut places = tracks.iter().filter_map(place).map(|it| it.encode);
            let Some(encode) = places.next() else { continue };
            let further = places.collect();
            let (name, stream, tracks) = (name.clone(), stream.clone(), tracks.clone());
            self.renditions.push(Rendition { name, stream, encode, tracks, further });
        }
    }

    /// Figures of the first rendition.
    pub(crate) fn main_stats(&self) -> Arc<ChannelStats> {
        self.encodes.first().map(|encode| Arc::clone(&encode.stats)).unwrap_or_default()
    }

    /// Places of the encodes that take the canvas as it is.
    pub(crate) fn unscaled(&self) -> impl Iterator<Item = usize> {
        self.places((self.canvas, Render::Scaled))
    }

    fn places(&self, of: (Size, Render)) -> impl Iterator<Item = usize> {
        let encodes = self.encodes.iter().enumerate();
        encodes.filter(move |(_, it)| (it.spec.size, it.render) == of).map(|(at, _)| at)
    }

    /// Each other size once, and once more if it is both scaled and drawn.
    fn sizes(&self) -> Vec<(Size, Render)> {
        let mut sizes = Vec::new();
        for Encode { spec, render, .. } in &self.encodes {
            if spec.size != self.canvas && !sizes.contains(&(spec.size, *render)) {
                sizes.push((spec.size, *render));
            }
        }
        sizes
    }

    /// The sizes that the scene is drawn at besides the canvas'.
    pub(crate) fn natives(&self) -> Vec<Size> {
        let natives = self.sizes().into_iter().filter(|(_, render)| *render == Render::Native);
        natives.map(|(size, _)| size).collect()
    }

    /// Frames of the canvas' size that are needed, so that nobody who holds all that it may leaves
    /// another without, where `queue` may wait for an encoder.
    pub(crate) fn canvas_frames(&self, queue: u32) -> u32 {
        // The first encoder's are among those that the composer has.
        queue + POOL_EXTRA_FRAMES + self.held_frames(queue) - (queue + ENCODER_FRAMES)
    }

    /// Frames of the canvas' size that its encoders and scalers may hold.
    pub(crate) fn held_frames(&self, queue: u32) -> u32 {
        let encoders = u32::try_from(self.unscaled().count()).unwrap_or(0);
        let scaled = self.sizes().len() - self.natives().len();
        let scalers = u32::try_from(scaled).unwrap_or(0);
        let scaler = u32::try_from(SCALE_QUEUE).unwrap_or(0) + 1;
        encoders * (queue + ENCODER_FRAMES) + scalers * scaler
    }

    /// Where the pictures of each other size are drawn.
    ///
    /// # Errors
    /// If the memory cannot be had.
    pub(crate) fn pools(&self, queue: u32) -> Result<Vec<FurtherSize>, Error> {
        let sizes = self.sizes().into_iter().map(|(size, render)| {
            let encodes: Vec<_> = self.places((size, render)).collect();
            let count = u32::try_from(encodes.len()).unwrap_or(0);
            let frames = count * (queue + ENCODER_FRAMES) + SIZE_EXTRA_FRAMES;
            let format = self.encodes[encodes[0]].spec.format;
            let pool = Pool::new(Geometry::new(size, format), frames)?;
            Ok(FurtherSize { size, render, pool, encodes })
        });
        sizes.collect()
    }

    /// What control is told of the renditions.
    pub(crate) fn entries(&self) -> Vec<RenditionEntry> {
        let entries = self.renditions.iter().map(|rendition| {
            let Rendition { name, stream, encode, tracks, further } = rendition;
            let Encode { name: first, spec, bitrate_min_bps, stats, .. } = &self.encodes[*encode];
            let stats_of = |at: &usize| Arc::clone(&self.encodes[*at].stats);
            RenditionEntry {
                name: name.clone(),
                stream: stream.clone(),
                shares: (first != name).then(|| first.clone()),
                tracks: tracks.clone(),
                facts: Arc::new(facts(spec, *bitrate_min_bps)),
                stats: Arc::clone(stats),
                further: further.iter().map(stats_of).collect(),
            }
        });
        entries.collect()
    }

    /// What control is told of the channel.
    pub(crate) fn entry(&self, config: &ChannelConfig) -> ChannelEntry {
        let mut entries = self.entries();
        let main = entries.remove(0);
        ChannelEntry {
            name: config.name.clone(),
            stream: main.stream,
            facts: main.facts,
            stats: main.stats,
            renditions: entries,
            audio: None,
        }
    }
}

fn facts(spec: &VideoSpec, bitrate_min_bps: u32) -> ChannelFacts {
    ChannelFacts {
        width: spec.size.width(),
        height: spec.size.height(),
        fps: spec.rate.fps(),
        bitrate_bps: spec.bitrate_bps.into(),
        bitrate_min_bps: bitrate_min_bps.into(),
        codec: spec.codec.name().to_owned(),
        encoder: encode::first_choice(spec).to_owned(),
        preset: spec.preset.clone(),
        is_speed_fixed: spec.fastest_preset.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn plan(renditions: &str, known: &KnownStats) -> RenditionPlan {
        let text = format!(
            "[[channel]]\nname = \"a\"\n[channel.video]\nwidth = 640\nheight = 360\n{renditions}"
        );
        let config = Config::parse(&text, "x").unwrap();
        RenditionPlan::new(&config.channels[0], 2, known)
    }

    const LADDER: &str = "[[channel.rendition]]\nname = \"copy\"\n\
        [[channel.rendition]]\nname = \"low\"\nheight = 180\nbitrate = \"300k\"\n\
        [[channel.rendition]]\nname = \"slow\"\nheight = 180\nbitrate = \"300k\"\nfps_divisor = 2\n\
        [[channel.rendition]]\nname = \"less\"\nbitrate = \"500k\"\n\
        [[channel.rendition]]\nname = \"low_copy\"\nwidth = 320\nbitrate = \"300k\"\n";

    #[test]
    fn equal_encodes_are_one_and_each_size_is_scaled_once() {
        let plan = plan(LADDER, &KnownStats::default());
        let encodes: Vec<_> = plan.encodes.iter().map(|encode| encode.name.as_str()).collect();
        assert_eq!(encodes, ["main", "low", "slow", "less"]);
        let shown: Vec<_> = plan.renditions.iter().map(|it| it.encode).collect();
        assert_eq!(shown, [0, 0, 1, 2, 3, 1]);
        assert_eq!(plan.unscaled().collect::<Vec<_>>(), [0, 3]);
        let pools = plan.pools(30).unwrap();
        assert_eq!(pools.iter().map(|it| it.encodes.clone()).collect::<Vec<_>>(), [[1, 2]]);
        assert_eq!((pools[0].pool.slots(), plan.canvas_frames(30)), (2 * 32 + 3, 36 + 32 + 9));
    }

    #[test]
    fn a_size_that_is_drawn_shares_nothing_with_the_same_size_that_is_scaled() {
        let native = "[[channel.rendition]]\nname = \"own\"\nheight = 180\nbitrate = \"300k\"\n\
            render = \"native\"\n[[channel.rendition]]\nname = \"own_copy\"\nheight = 180\n\
            bitrate = \"300k\"\nrender = \"native\"\n\
            [[channel.rendition]]\nname = \"full\"\nrender = \"native\"\n";
        let plain = "[[channel.rendition]]\nname = \"low\"\nheight = 180\nbitrate = \"300k\"\n";
        let plan = plan(&format!("{native}{plain}"), &KnownStats::default());
        let encodes: Vec<_> = plan.renditions.iter().map(|it| it.encode).collect();
        assert_eq!(encodes, [0, 1, 1, 0, 2], "the canvas is drawn at its own size");
        let sizes: Vec<_> = plan.pools(5).unwrap().iter().map(|it| it.render).collect();
        assert_eq!(sizes, [Render::Native, Render::Scaled]);
        assert_eq!(plan.natives().len(), 1);
    }

    #[test]
    fn a_stream_of_tracks_has_the_encodes_of_its_renditions_and_none_of_its_own() {
        let tracks = "[[channel.multitrack]]\nname = \"all\"\n\
            renditions = [\"low\", \"copy\", \"slow\"]\n";
        let plan = plan(&format!("{LADDER}{tracks}"), &KnownStats::default());
        assert_eq!(plan.encodes.len(), 4);
        let all = plan.renditions.last().unwrap();
        assert_eq!((all.encode, &all.further[..]), (1, &[0, 2][..]));
        let entries = plan.entries();
        let entry = entries.last().unwrap();
        assert_eq!((entry.shares.as_deref(), entry.facts.height), (Some("low"), 180));
        assert_eq!(entry.tracks, ["low", "copy", "slow"]);
        assert!(Arc::ptr_eq(&entry.further[1], &plan.encodes[2].stats));
    }

    #[test]
    fn a_rendition_counts_on_and_never_in_the_figures_of_another_encode() {
        let before = plan(LADDER, &KnownStats::default());
        let entry = |plan: &RenditionPlan, name: &str| {
            let at = plan.renditions.iter().find(|it| it.name == name).unwrap().encode;
            Arc::clone(&plan.encodes[at].stats)
        };
        let names = ["main", "copy", "low", "slow", "less", "low_copy"];
        let known = names.map(|name| (name.to_owned(), entry(&before, name)));
        // The copy is an encode of its own now.
        let other = LADDER.replacen("name = \"copy\"", "name = \"copy\"\nbitrate = \"2M\"", 1);
        let after = plan(&other, &KnownStats(known.to_vec()));
        for name in ["main", "low", "slow", "less", "low_copy"] {
            assert!(Arc::ptr_eq(&entry(&before, name), &entry(&after, name)), "{name}");
        }
        assert!(!Arc::ptr_eq(&entry(&before, "copy"), &entry(&after, "copy")));
    }
}
