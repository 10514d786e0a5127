//! `[[stream]]`: a published stream with a fallback, which is shown while that is broken.

use std::collections::HashMap;
use std::path::PathBuf;

use super::channel::ChannelConfig;
use super::fault::{Faults, quoted};
use super::field::{BLACK, stream_name, unique};
use super::scene::NamedScene;
use super::section::{Found, Section};
use crate::audio::{self, InputSpec};
use crate::encode::AudioSpec;
use crate::media::{FrameRate, Micros, Size, VideoClip, VideoCodec};
use crate::scene::{AtEnd, Layer, Scene, Source};

/// Most streams with a fallback of one node: each has a thread, and an encoder that waits.
pub const PROTECTED_MAX: usize = 64;

/// [`StreamConfig::after`] and [`StreamConfig::back_after`] if nobody says otherwise.
const AFTER: Micros = Micros::from_millis(800);
const BACK_AFTER: Micros = Micros::from_millis(2_000);

/// [`StreamConfig::bitrate_bps`] if nobody says otherwise.
const BITRATE_BPS: u32 = 2_500_000;

/// Name of the layer, and of the audio source, of a fallback that is a file.
const LAYER: &str = "fallback";

/// `[[stream]]`
#[derive(Clone, Debug, PartialEq)]
pub struct StreamConfig {
    /// Public name, which is played and published to.
    pub name: String,
    /// Name of what is published, as it is.
    pub source: String,
    /// What is shown while that is broken.
    pub fallback: Fallback,
    /// So long after its last picture it counts as broken.
    pub after: Micros,
    /// For so long it has to have been good before it is shown again.
    pub back_after: Micros,
    /// Bits per second of the fallback's pictures, if it is composed.
    pub bitrate_bps: u32,
}

/// What is shown while a stream is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// A picture, and silence.
    Image(PathBuf),
    /// A video file with its audio, over and over.
    File(PathBuf),
    /// Another stream of the node, as it is.
    Stream(String),
    /// A scene of a channel of the node, with that channel's audio.
    Scene {
        /// Name of the channel.
        channel: String,
        /// Name of the scene.
        scene: String,
    },
}

/// What a published stream is like: a fallback that is composed is made like it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceFormat {
    /// Size of its pictures.
    pub size: Size,
    /// Pictures a second.
    pub rate: FrameRate,
    /// Codec of its pictures.
    pub codec: VideoCodec,
    /// Audio, if it has any.
    pub audio: Option<AudioSpec>,
}

impl StreamConfig {
    /// The channel that composes the fallback for a source like this, out of these channels; `None`
    /// if it is a stream, or of a scene that is no longer there.
    #[must_use]
    pub fn standby(
        &self,
        format: &SourceFormat,
        channels: &[ChannelConfig],
    ) -> Option<ChannelConfig> {
        let plain = ChannelConfig {
            rate: format.rate,
            codec: format.codec,
            bitrate_bps: self.bitrate_bps,
            // The first picture is there at once.
            tune: if format.codec == VideoCodec::H264 { "zerolatency" } else { "" }.to_owned(),
            profile: String::new(),
            audio: format.audio,
            audio_sources: Vec::new(),
            ..ChannelConfig::plain(&format!("fallback {}", self.name), &self.name, format.size)
        };
        let of_layer = |source| Scene {
            background: BLACK,
            layers: vec![Layer::new(LAYER, source)],
            transition: None,
        };
        let one = |scene| vec![NamedScene { name: LAYER.to_owned(), scene }];
        Some(match &self.fallback {
            Fallback::Stream(_) => return None,
            Fallback::Image(path) => {
                ChannelConfig { scenes: one(of_layer(Source::Image(path.clone()))), ..plain }
            }
            Fallback::File(path) => {
                let clip = VideoClip::from(path.clone());
                let audio = InputSpec::new(LAYER, audio::Source::Video(clip.clone()));
                let scene = of_layer(Source::Video { clip, at_end: AtEnd::Hold });
                ChannelConfig { scenes: one(scene), audio_sources: vec![audio], ..plain }
            }
            Fallback::Scene { channel, scene } => {
                let of = channels.iter().find(|it| it.name == *channel)?;
                let active = of.scenes.iter().position(|it| it.name == *scene)?;
                ChannelConfig {
                    canvas: Some(of.size),
                    scenes: of.scenes.clone(),
                    active,
                    overlays: of.overlays.clone(),
                    audio_sources: of.audio_sources.clone(),
                    audio_bus: of.audio_bus,
                    ..plain
                }
            }
        })
    }
}

/// `streams` are those that channels and transcodes make.
pub(super) fn read_all(
    top: &mut Section<'_>,
    faults: &mut Faults<'_>,
    streams: &mut HashMap<String, usize>,
    channels: &[ChannelConfig],
) -> Vec<StreamConfig> {
    let (mut found, mut names) = (Vec::new(), HashMap::new());
    for s in top.tables(faults, "stream", "[[stream]]") {
        if found.len() == PROTECTED_MAX {
            let text = format!("a node has at most {PROTECTED_MAX} [[stream]] tables");
            faults.add(s.span(), text);
            break;
        }
        let Some((config, name)) = read(s, faults, channels) else { continue };
        unique(faults, &mut names, "a [[stream]] with the name", &name);
        let source = Found { value: config.source.clone(), span: name.span.clone() };
        for stream in [&name, &source] {
            unique(faults, streams, "a channel or a rendition with the stream", stream);
        }
        found.push(config);
    }
    found
}

fn read(
    mut s: Section<'_>,
    faults: &mut Faults<'_>,
    channels: &[ChannelConfig],
) -> Option<(StreamConfig, Found<String>)> {
    let name = s.needed(faults, "name").and_then(|_| s.parsed(faults, "name", stream_name));
    let ms = |n: Option<u32>, usual| n.map_or(usual, |n| Micros::from_millis(n.into()));
    let after = ms(s.whole(faults, "after_ms", 200..=60_000), AFTER);
    let back_after = ms(s.whole(faults, "back_after_ms", 0..=600_000), BACK_AFTER);
    let bitrate = s.bitrate(faults, "bitrate", 10_000..=400_000_000);
    let table = s.table(faults, "fallback", "`fallback` of [[stream]]");
    if table.is_none() {
        let text = "a [[stream]] needs a `fallback`, such as `{ image = \"slate.png\" }`";
        faults.add(s.span(), text.to_owned());
    }
    let fallback = table.and_then(|table| read_fallback(table, faults, channels));
    s.finish(faults);
    let (name, fallback) = (name?, fallback?);
    if matches!(&fallback, Fallback::Stream(stream) if *stream == name.value) {
        let text = "`fallback` is the stream itself; write another one";
        faults.add(&name.span, text.to_owned());
    }
    let config = StreamConfig {
        name: name.value.clone(),
        source: format!("{}_source", name.value),
        fallback,
        after,
        back_after,
        bitrate_bps: bitrate.and_then(|bps| u32::try_from(bps).ok()).unwrap_or(BITRATE_BPS),
    };
    Some((config, name))
}

fn read_fallback(
    mut s: Section<'_>,
    faults: &mut Faults<'_>,
    channels: &[ChannelConfig],
) -> Option<Fallback> {
    let path = |text: &str| match text {
        "" => Err("it is empty; write the path of a file".to_owned()),
        _ => Ok(PathBuf::from(text)),
    };
    let scene = |text: &str| {
        let (channel, scene) = text.split_once('/').ok_or_else(|| {
            format!("{} is no \"channel/scene\", such as \"studio/back soon\"", quoted(text))
        })?;
        let Some(of) = channels.iter().find(|it| it.name == channel) else {
            return Err(format!("there is no channel {}", quoted(channel)));
        };
        if !of.scenes.iter().any(|it| it.name == scene) {
            let known: Vec<_> = of.scenes.iter().map(|it| quoted(&it.name)).collect();
            let known = known.join(", ");
            return Err(format!("there is no scene {}; there are {known}", quoted(scene)));
        }
        Ok(Fallback::Scene { channel: channel.to_owned(), scene: scene.to_owned() })
    };
    let place = s.span().clone();
    let kinds = [
        s.parsed(faults, "image", path).map(|it| Fallback::Image(it.value)),
        s.parsed(faults, "file", path).map(|it| Fallback::File(it.value)),
        s.parsed(faults, "stream", stream_name).map(|it| Fallback::Stream(it.value)),
        s.parsed(faults, "scene", scene).map(|it| it.value),
    ];
    let given = ["image", "file", "stream", "scene"].map(|key| s.any(key).is_some());
    s.finish(faults);
    if given.into_iter().filter(|is_given| *is_given).count() != 1 {
        let text = "`fallback` is one of `image`, `file`, `stream` and `scene`";
        faults.add(&place, text.to_owned());
        return None;
    }
    kinds.into_iter().flatten().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::media::AudioCodec;

    fn read(text: &str) -> Result<Config, String> {
        Config::parse(text, "x").map_err(|faults| faults.to_string())
    }

    const FORMAT: SourceFormat = SourceFormat {
        size: Size::HD720,
        rate: FrameRate::FPS_30,
        codec: VideoCodec::H264,
        audio: Some(AudioSpec { codec: AudioCodec::Aac, bitrate_bps: 128_000 }),
    };

    #[test]
    fn a_fallback_is_one_line_and_the_rest_has_its_default() {
        let text = "[[stream]]\nname = \"live/cam\"\nfallback = { image = \"slate.png\" }\n";
        let config = read(text).unwrap();
        let [stream] = &config.streams[..] else { panic!() };
        assert_eq!((stream.name.as_str(), stream.source.as_str()), ("live/cam", "live/cam_source"));
        assert_eq!((stream.after, stream.back_after), (AFTER, BACK_AFTER));
        assert_eq!(stream.fallback, Fallback::Image(PathBuf::from("slate.png")));
        let channel = stream.standby(&FORMAT, &[]).unwrap();
        assert_eq!((channel.size, channel.rate), (Size::HD720, FrameRate::FPS_30));
        assert!(channel.audio_sources.is_empty() && channel.audio.is_some(), "silence");
        assert!(channel.resolved(channel.scene()).is_ok());
    }

    #[test]
    fn a_file_is_looped_with_its_audio_and_a_stream_is_not_composed() {
        let of = |fallback: &str| {
            let text = format!("[[stream]]\nname = \"a/b\"\nfallback = {{ {fallback} }}\n");
            read(&text).unwrap().streams.remove(0)
        };
        let channel = of("file = \"loop.mp4\"").standby(&FORMAT, &[]).unwrap();
        let [InputSpec { source: audio::Source::Video(clip), .. }] = &channel.audio_sources[..]
        else {
            panic!();
        };
        assert!(clip.looped);
        assert_eq!(of("stream = \"a/c\"").standby(&FORMAT, &[]), None);
    }

    #[test]
    fn a_scene_of_a_channel_is_drawn_at_the_size_of_the_source() {
        let text = "[[channel]]\nname = \"studio\"\n[[channel.scene]]\nname = \"brb\"\n\
                    [[channel.scene.layer]]\nname = \"a\"\ntype = \"test-card\"\n\
                    [[stream]]\nname = \"a/b\"\nfallback = { scene = \"studio/brb\" }\n";
        let config = read(text).unwrap();
        let format = SourceFormat { size: Size::new(320, 240).unwrap(), ..FORMAT };
        let channel = config.streams[0].standby(&format, &config.channels).unwrap();
        assert_eq!(channel.canvas, Some(Size::HD720));
        let scene = channel.resolved(channel.scene()).unwrap();
        assert_eq!(scene.size(), format.size);
        assert_eq!(config.streams[0].standby(&format, &[]), None, "its channel is gone");
    }

    #[test]
    fn mistakes_are_told_with_what_to_do() {
        let one = "[[stream]]\nname = \"a/b\"\n";
        for (text, told) in [
            ("[[stream]]\nfallback = { image = \"x\" }\n".to_owned(), "needs `name`"),
            (one.to_owned(), "needs a `fallback`"),
            (format!("{one}fallback = {{}}\n"), "is one of `image`, `file`, `stream` and `scene`"),
            (
                format!("{one}fallback = {{ image = \"x\", file = \"y\" }}\n"),
                "is one of `image`, `file`, `stream` and `scene`",
            ),
            (format!("{one}fallback = {{ stream = \"a/b\" }}\n"), "the stream itself"),
            (format!("{one}fallback = {{ scene = \"x\" }}\n"), "no \"channel/scene\""),
            (format!("{one}fallback = {{ scene = \"x/y\" }}\n"), "there is no channel \"x\""),
            (format!("{one}fallback = {{ image = \"\" }}\n"), "it is empty"),
            (format!("{one}fallback = {{ image = \"x\" }}\nafter_ms = 100\n"), "after_ms"),
            (
                format!("{one}fallback = {{ image = \"x\" }}\n").repeat(2),
                "a [[stream]] with the name",
            ),
            (
                format!(
                    "[[channel]]\nname = \"c\"\nstream = \"a/b\"\n{one}fallback = {{ image = \
                     \"x\" }}\n"
                ),
                "a channel or a rendition with the stream",
            ),
        ] {
            let faults = read(&text).unwrap_err();
            assert!(faults.contains(told), "{text}: {faults}");
        }
    }
}
