//! `[[transcode]]`: a stream that is published to the node once more, in other encodes.

use std::collections::HashMap;

use super::channel::{self, ChannelConfig};
use super::fault::{Faults, quoted};
use super::field::{name as name_of, stream_name, unique};
use super::rendition::{self, RenditionConfig};
use super::section::{Found, Section};
use super::video;
use crate::encode::AudioSpec;
use crate::media::{AudioCodec, FrameRate, Micros, Size, VideoCodec};
use crate::scene::Scaler;

/// Most transcodes that a node knows.
pub const TRANSCODES_MAX: usize = 64;

/// [`TranscodeConfig::linger`] if nobody says otherwise.
const LINGER: Micros = Micros::from_secs(10);

/// [`TranscodeConfig::keyframe_s`] if nobody says otherwise.
const KEYFRAME_S: u32 = 2;

/// Name of the rendition that `bridge` makes where there is none in H.264, and its bits per second.
const BRIDGE_RENDITION: &str = "bridge";
const BRIDGE_BPS: u32 = 4_000_000;

/// `[[transcode]]`
#[derive(Clone, Debug, PartialEq)]
pub struct TranscodeConfig {
    /// Name in logs, metrics and the API.
    pub name: String,
    /// The stream whose pictures are encoded.
    pub stream: String,
    /// What they are encoded to; at least one.
    pub renditions: Vec<SourceRendition>,
    /// Whether it waits for somebody who reads a rendition.
    pub on_demand: bool,
    /// How long it goes on after the last reader of its renditions.
    pub linger: Micros,
    /// Longest time between keyframes, seconds.
    pub keyframe_s: u32,
    /// What audio the renditions have; `None` for none.
    pub audio: Option<AudioSpec>,
    /// Whether viewers that cannot take the stream are given a rendition that they can.
    pub bridge: bool,
    /// Whether it is on.
    pub enabled: bool,
}

/// A rendition of a source whose size is known once it comes.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceRendition {
    encode: RenditionConfig,
    /// Its size at most.
    pub size: SizeWish,
}

/// A size that pictures of any shape are brought into, without making them larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeWish {
    /// Pixels; `None` for as many as the source has.
    pub width: Option<u32>,
    /// The same.
    pub height: Option<u32>,
}

impl SizeWish {
    /// The largest size of the source's shape that is within it: never larger than the source, and
    /// no side less than a [`Scaler::REDUCTION_MAX`]th.
    #[must_use]
    pub fn of(self, source: Size) -> Size {
        let (width, height) = (source.width(), source.height());
        let most =
            [self.width.unwrap_or(width).min(width), self.height.unwrap_or(height).min(height)];
        // The nearest even number.
        let shaped = |side: u32, of: u32, other: u32| {
            let exact = u64::from(side) * u64::from(other);
            let half = (exact + u64::from(of)) / (2 * u64::from(of));
            u32::try_from(2 * half).unwrap_or(other)
        };
        let is_wide =
            u64::from(most[0]) * u64::from(height) <= u64::from(most[1]) * u64::from(width);
        let (wanted_width, wanted_height) = match is_wide {
            true => (most[0], shaped(most[0], width, height)),
            false => (shaped(most[1], height, width), most[1]),
        };
        let side = |wanted: u32, full: u32| {
            let least = full.div_ceil(Scaler::REDUCTION_MAX).next_multiple_of(2);
            wanted.clamp(least.max(Size::SIDE_MIN).min(full), full)
        };
        Size::new(side(wanted_width, width), side(wanted_height, height)).unwrap_or(source)
    }
}

impl SourceRendition {
    /// Its name in logs, metrics and the API.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.encode.name
    }

    /// Its public stream name.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.encode.stream
    }

    /// Its video codec.
    #[must_use]
    pub const fn codec(&self) -> VideoCodec {
        self.encode.codec
    }

    /// What is made of pictures of this size.
    #[must_use]
    pub fn at(&self, source: Size) -> RenditionConfig {
        RenditionConfig { size: self.size.of(source), ..self.encode.clone() }
    }
}

impl TranscodeConfig {
    /// The channel that encodes a source with pictures of this size: its renditions are those of
    /// the transcode, and its first one is the source itself, which is not encoded.
    #[must_use]
    pub fn channel(&self, size: Size, rate: FrameRate, queue_frames: u32) -> ChannelConfig {
        ChannelConfig {
            rate,
            // Keyframes are made by the source's times; the encoder's own count stays behind.
            keyframe_s: 2 * self.keyframe_s,
            queue_frames,
            renditions: self.renditions.iter().map(|rendition| rendition.at(size)).collect(),
            audio: self.audio,
            audio_sources: Vec::new(),
            ..ChannelConfig::plain(&self.name, &self.stream, size)
        }
    }

    /// The rendition that viewers are given that cannot take the stream.
    #[must_use]
    pub fn twin(&self) -> Option<&SourceRendition> {
        let mut renditions = self.renditions.iter();
        renditions.find(|it| it.codec() == VideoCodec::H264).filter(|_| self.bridge)
    }
}

/// `streams` are those that channels make.
pub(super) fn read_all(
    top: &mut Section<'_>,
    faults: &mut Faults<'_>,
    streams: &mut HashMap<String, usize>,
) -> Vec<TranscodeConfig> {
    let mut found: Vec<(TranscodeConfig, Found<String>)> = Vec::new();
    let (mut names, mut sources) = (HashMap::new(), HashMap::new());
    for (index, s) in top.tables(faults, "transcode", "[[transcode]]").into_iter().enumerate() {
        if index == TRANSCODES_MAX {
            let text = format!("a node has at most {TRANSCODES_MAX} [[transcode]] tables");
            faults.add(s.span(), text);
            break;
        }
        let Some(read) = read(s, faults) else { continue };
        unique(faults, &mut names, "a transcode with the name", &read.name);
        unique(faults, &mut sources, "a transcode of the stream", &read.source);
        for stream in &read.made {
            unique(faults, streams, "a channel or a rendition with the stream", stream);
        }
        found.push((read.config, read.source));
    }
    let is_made = |stream: &str| {
        let all = found.iter().flat_map(|(config, _)| &config.renditions);
        all.into_iter().any(|rendition| rendition.stream() == stream)
    };
    for (config, source) in &found {
        if is_made(&config.stream) {
            let shown = quoted(&config.stream);
            let text = format!("{shown} is a rendition itself; transcode the stream it is made of");
            faults.add(&source.span, text);
        }
    }
    found.into_iter().map(|(config, _)| config).collect()
}

struct Read {
    config: TranscodeConfig,
    name: Found<String>,
    source: Found<String>,
    /// The streams that it makes.
    made: Vec<Found<String>>,
}

fn read(mut s: Section<'_>, faults: &mut Faults<'_>) -> Option<Read> {
    let source = s.needed(faults, "stream").and_then(|_| s.parsed(faults, "stream", stream_name));
    let name = match s.any("name") {
        Some(_) => s.parsed(faults, "name", name_of),
        None => source.clone(),
    };
    let on_demand = s.flag(faults, "on_demand", true);
    let linger = s.whole(faults, "linger", 1..=3_600);
    let linger = linger.map_or(LINGER, |seconds: u32| Micros::from_secs(seconds.into()));
    let keyframe_s = s.whole(faults, "keyframe_seconds", 1..=20).unwrap_or(KEYFRAME_S);
    let bridge = s.flag(faults, "bridge", false);
    let enabled = s.flag(faults, "enabled", true);
    let audio = match s.table(faults, "audio", "[transcode.audio]") {
        Some(audio) => channel::read_audio(audio, faults),
        None => Some(AudioSpec { codec: AudioCodec::Aac, bitrate_bps: 128_000 }),
    };
    let span = s.span().clone();
    let tables = s.tables(faults, "rendition", "[[transcode.rendition]]");
    let stream = source.as_ref().map(|found| found.value.as_str());
    let (mut renditions, mut made) = read_renditions(tables, faults, stream);
    s.finish(faults);
    let (name, source) = (name?, source?);
    let has_h264 = renditions.iter().any(|it| it.codec() == VideoCodec::H264);
    if bridge && !has_h264 {
        let stream = format!("{}_{BRIDGE_RENDITION}", source.value);
        made.push(Found { value: stream.clone(), span: source.span.clone() });
        renditions.push(bridge_rendition(stream));
    }
    if renditions.is_empty() {
        let text = "a [[transcode]] needs [[transcode.rendition]], or `bridge = true`";
        faults.add(&span, text.to_owned());
    }
    let config = TranscodeConfig {
        name: name.value.clone(),
        stream: source.value.clone(),
        renditions,
        on_demand,
        linger,
        keyframe_s,
        audio,
        bridge,
        enabled,
    };
    Some(Read { config, name, source, made })
}

/// What renditions have that does not say otherwise.
fn usual(of_stream: Option<&str>) -> rendition::Inherited<'_> {
    // No size is known yet, and no rate that a divisor could make too low.
    let plain = ChannelConfig {
        rate: FrameRate::new(FrameRate::FPS_MAX, 1).unwrap_or(FrameRate::FPS_30),
        ..ChannelConfig::plain("", "", Size::HD720)
    };
    plain.inherited(of_stream)
}

fn bridge_rendition(stream: String) -> SourceRendition {
    let encode = RenditionConfig {
        name: BRIDGE_RENDITION.to_owned(),
        stream,
        bitrate_bps: BRIDGE_BPS,
        bitrate_min_bps: BRIDGE_BPS / video::BITRATE_MIN_PART,
        ..usual(None).first
    };
    SourceRendition { encode, size: SizeWish::default() }
}

fn read_renditions(
    tables: Vec<Section<'_>>,
    faults: &mut Faults<'_>,
    of_stream: Option<&str>,
) -> (Vec<SourceRendition>, Vec<Found<String>>) {
    let inherited = usual(of_stream);
    let read = |s: &mut Section<'_>, faults: &mut Faults<'_>| SourceRendition {
        size: SizeWish {
            width: video::side(s, faults, "width"),
            height: video::side(s, faults, "height"),
        },
        encode: rendition::read(s, faults, &inherited),
    };
    let named = |found: SourceRendition, name, stream| SourceRendition {
        encode: RenditionConfig { name, stream, ..found.encode },
        ..found
    };
    let heading = ("a transcode", "[[transcode.rendition]]");
    rendition::each(tables, faults, (heading, of_stream), read, named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn read(text: &str) -> Result<Config, String> {
        Config::parse(text, "x").map_err(|faults| faults.to_string())
    }

    fn size(width: u32, height: u32) -> Size {
        Size::new(width, height).unwrap()
    }

    #[test]
    fn a_rendition_has_the_shape_of_its_source_and_is_never_larger() {
        let wish = |width, height| SizeWish { width, height };
        let hd = size(1_920, 1_080);
        assert_eq!(wish(None, None).of(hd), hd);
        assert_eq!(wish(None, Some(720)).of(hd), size(1_280, 720));
        assert_eq!(wish(None, Some(480)).of(hd), size(854, 480));
        assert_eq!(wish(Some(640), None).of(hd), size(640, 360));
        assert_eq!(wish(Some(1_280), Some(1_280)).of(hd), size(1_280, 720), "within both");
        assert_eq!(wish(None, Some(2_160)).of(hd), hd, "not larger");
        assert_eq!(wish(Some(4_096), Some(720)).of(hd), size(1_280, 720));
        assert_eq!(wish(None, Some(720)).of(size(1_080, 1_920)), size(406, 720), "upright");
        assert_eq!(wish(None, Some(100)).of(hd), size(276, 156), "a 7th of each side at least");
        assert_eq!(wish(None, Some(16)).of(size(16, 16)), size(16, 16));
        for (width, height) in [(16, 8_192), (8_192, 16), (18, 250), (852, 480)] {
            let source = size(width, height);
            for most in (16..=1_100).step_by(2) {
                let found = wish(None, Some(most)).of(source);
                assert!(Scaler::can_scale(source, found), "{source} to {found}");
            }
        }
    }

    #[test]
    fn a_transcode_needs_a_stream_and_renditions_and_the_rest_has_its_default() {
        let config = read(
            "[[transcode]]\nstream = \"live/cam\"\n[[transcode.rendition]]\nname = \"720p\"\n\
             height = 720\nbitrate = \"3M\"\n[[transcode.rendition]]\nname = \"low\"\n\
             stream = \"low/cam\"\nheight = 360\nfps_divisor = 2\ncodec = \"hevc\"\n",
        )
        .unwrap();
        let [transcode] = &config.transcodes[..] else { panic!() };
        assert_eq!((transcode.name.as_str(), transcode.stream.as_str()), ("live/cam", "live/cam"));
        assert!(transcode.on_demand && transcode.enabled && !transcode.bridge);
        assert_eq!((transcode.linger, transcode.keyframe_s), (LINGER, KEYFRAME_S));
        let streams: Vec<_> = transcode.renditions.iter().map(SourceRendition::stream).collect();
        assert_eq!(streams, ["live/cam_720p", "low/cam"]);
        assert_eq!(transcode.twin(), None);
        let rate = FrameRate::new(50, 1).unwrap();
        let channel = transcode.channel(size(1_920, 1_080), rate, 9);
        let specs: Vec<_> =
            channel.renditions.iter().map(|it| channel.rendition_spec(it, 2)).collect();
        assert_eq!((specs[0].size, specs[0].bitrate_bps), (size(1_280, 720), 3_000_000));
        assert_eq!((specs[1].size, specs[1].rate.fps()), (size(640, 360), 25.0));
        assert_eq!((specs[1].codec, specs[0].b_frames), (VideoCodec::Hevc, 0));
    }

    #[test]
    fn a_bridge_is_one_line_and_takes_the_first_rendition_in_h264() {
        let one = "[[transcode]]\nstream = \"live/cam\"\nbridge = true\n";
        let config = read(one).unwrap();
        let twin = config.transcodes[0].twin().unwrap();
        assert_eq!((twin.name(), twin.stream()), ("bridge", "live/cam_bridge"));
        assert_eq!(twin.at(size(640, 360)).size, size(640, 360));
        let rendition = |name: &str, codec: &str| {
            format!("[[transcode.rendition]]\nname = \"{name}\"\ncodec = \"{codec}\"\n")
        };
        let with = one.to_owned() + &rendition("a", "hevc") + &rendition("b", "h264");
        let config = read(&with).unwrap();
        assert_eq!(config.transcodes[0].twin().unwrap().name(), "b");
        assert_eq!(config.transcodes[0].renditions.len(), 2);
        let config = read(&(one.to_owned() + &rendition("a", "hevc"))).unwrap();
        assert_eq!(config.transcodes[0].renditions.len(), 2, "one for the bridge");
    }

    #[test]
    fn the_example_is_a_ladder_of_two_with_a_bridge() {
        let config = read(include_str!("../../examples/transcode.toml")).unwrap();
        let [transcode] = &config.transcodes[..] else { panic!() };
        let streams: Vec<_> = transcode.renditions.iter().map(SourceRendition::stream).collect();
        assert_eq!(streams, ["live/cam_720p", "live/cam_360p"]);
        assert_eq!(transcode.twin().unwrap().stream(), "live/cam_720p");
    }

    #[test]
    fn what_cannot_be_is_told_with_its_place() {
        let one = "[[transcode]]\nstream = \"live/cam\"\n";
        let rendition = "[[transcode.rendition]]\nname = \"a\"\n";
        for (text, said) in [
            ("[[transcode]]\n".to_owned() + rendition, "[[transcode]] needs `stream`"),
            (one.to_owned(), "needs [[transcode.rendition]], or `bridge = true`"),
            (format!("{one}{rendition}height = 721\n"), "`height` must be even"),
            (format!("{one}{rendition}{rendition}"), "a rendition with the name \"a\" is already"),
            (format!("{one}{rendition}stream = \"live/cam\"\n"), "is a rendition itself"),
            (format!("{one}linger = 0\n{rendition}"), "`linger` must be 1 to 3600"),
            (format!("{one}{rendition}{one}{rendition}"), "a transcode of the stream"),
            (format!("{one}audio = {{ codec = \"mp3\" }}\n{rendition}"), "\"mp3\" is not one of"),
            (format!("{one}{rendition}colour = 1\n"), "unknown key `colour`"),
            (
                format!("[[channel]]\nname = \"cam_a\"\n{one}{rendition}"),
                "a channel or a rendition with the stream \"live/cam_a\" is already",
            ),
        ] {
            let told = read(&text).unwrap_err();
            assert!(told.contains(said), "{text}: {told}");
        }
    }
}
