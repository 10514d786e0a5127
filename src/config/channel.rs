//! `[[channel]]`: one programme.

use std::collections::HashMap;

use super::fault::Faults;
use super::layer;
use super::read::{file, stream_name, unique};
use super::section::Section;
use crate::encode::{AudioSpec, VideoSpec};
use crate::media::{AudioCodec, FrameRate, PixelFormat, Size, VideoCodec};
use crate::rtmp::Url;
use crate::scene::{self, Scene};
use crate::sound::{self, InputSpec};

/// One programme and where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelConfig {
    /// Name in logs, metrics and the API.
    pub name: String,
    /// Public stream name, `app/name`.
    pub stream: String,
    /// Size of the canvas.
    pub size: Size,
    /// Frames per second.
    pub rate: FrameRate,
    /// Video codec.
    pub codec: VideoCodec,
    /// Video bits per second.
    pub bitrate_bps: u32,
    /// Encoder preset.
    pub preset: String,
    /// Encoder tuning, or empty.
    pub tune: String,
    /// Profile, or empty.
    pub profile: String,
    /// Seconds between keyframes.
    pub keyframe_s: u32,
    /// Most consecutive B-pictures.
    pub b_frames: u8,
    /// Encoder threads; `None` takes one per encode core, at most 8.
    pub threads: Option<u8>,
    /// Most frames that may wait for the encoder.
    pub queue_frames: u32,
    /// Frames that exist in all; `None` takes as many as the queue needs.
    pub pool_frames: Option<u32>,
    /// Sound, if there is any.
    pub audio: Option<AudioSpec>,
    /// What it shows.
    pub scene: Scene,
    /// What it sounds like.
    pub sound: Vec<InputSpec>,
    /// Destinations outside the node.
    pub outputs: Vec<OutputConfig>,
}

/// `[[channel.output]]`
#[derive(Clone, Debug, PartialEq)]
pub struct OutputConfig {
    /// Name in logs, metrics and the API.
    pub name: String,
    /// Where to; its last part is a secret and never shown.
    pub url: Url,
    /// Whether it is on.
    pub enabled: bool,
}

/// Most threads of an encoder that `auto` takes: beyond it the picture loses more than time gains.
const THREADS_AUTO_MAX: usize = 8;

/// Frames of a queue: at most four seconds at 30 fps.
const QUEUE_FRAMES_MAX: u32 = 120;

impl OutputConfig {
    /// An output that is on.
    #[must_use]
    pub fn to(name: &str, url: Url) -> Self {
        Self { name: name.to_owned(), url, enabled: true }
    }
}

impl ChannelConfig {
    /// The channel of a node without a configuration.
    #[must_use]
    pub fn demo() -> Self {
        let size = Size::HD720;
        Self { scene: scene::demo::scene(size), ..Self::plain("demo", "live/demo", size) }
    }

    /// A channel whose frames another program hands in; silent.
    #[must_use]
    pub fn plain(name: &str, stream: &str, size: Size) -> Self {
        Self {
            name: name.to_owned(),
            stream: stream.to_owned(),
            size,
            rate: FrameRate::FPS_30,
            codec: VideoCodec::H264,
            bitrate_bps: 2_500_000,
            preset: "veryfast".to_owned(),
            tune: String::new(),
            profile: "high".to_owned(),
            keyframe_s: 2,
            b_frames: 0,
            threads: None,
            queue_frames: 30,
            pool_frames: None,
            audio: Some(AudioSpec { codec: AudioCodec::Aac, bitrate_bps: 128_000 }),
            scene: Scene { background: layer::BLACK, layers: Vec::new() },
            sound: demo_sound(),
            outputs: Vec::new(),
        }
    }

    /// What the video encoder is asked for on a machine with `cores` encode cores.
    #[must_use]
    pub fn video_spec(&self, cores: usize) -> VideoSpec {
        let threads = u8::try_from(cores.clamp(1, THREADS_AUTO_MAX)).unwrap_or(1);
        let gop = (f64::from(self.keyframe_s) * self.rate.fps()).round();
        VideoSpec {
            codec: self.codec,
            size: self.size,
            rate: self.rate,
            format: PixelFormat::I420,
            bitrate_bps: self.bitrate_bps,
            preset: self.preset.clone(),
            tune: self.tune.clone(),
            profile: self.profile.clone(),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "at most 20 s of 240 frames"
            )]
            gop_frames: gop as u32,
            b_frames: self.b_frames,
            threads: self.threads.unwrap_or(threads),
        }
    }
}

/// The quiet bed, and whoever publishes to the demo's input.
fn demo_sound() -> Vec<InputSpec> {
    let input =
        |name: &str, source| InputSpec { name: name.to_owned(), source, gain_db: 0.0, mute: false };
    vec![
        input("bed", sound::Source::Bed),
        input("live", sound::Source::Live(scene::demo::STREAM.to_owned())),
    ]
}

pub(super) fn read(mut s: Section<'_>, faults: &mut Faults<'_>) -> Option<ChannelConfig> {
    let name = s.needed(faults, "name").map(|found| found.value.to_owned());
    let default_stream = name.as_ref().map(|name| format!("live/{name}"));
    let stream = s.parsed(faults, "stream", stream_name).or(default_stream);
    let mut channel =
        ChannelConfig::plain(&name.unwrap_or_default(), &stream.unwrap_or_default(), Size::HD720);
    if let Some(video) = s.table(faults, "video", "[channel.video]") {
        read_video(video, faults, &mut channel);
    }
    if let Some(audio) = s.table(faults, "audio", "[channel.audio]") {
        channel.audio = read_audio(audio, faults);
    }
    let background = s.parsed(faults, "background", layer::color);
    let layers = s.tables(faults, "layer", "[[channel.layer]]");
    let named = s.word(faults, "scene", &[("demo", ())]);
    let demo = named.is_some() || (layers.is_empty() && background.is_none());
    if named.is_some() && !layers.is_empty() {
        let span = s.span().clone();
        faults.add(&span, "a channel has either `scene` or [[channel.layer]] tables, not both");
    }
    if demo {
        channel.scene = scene::demo::scene(channel.size);
    } else {
        channel.scene.background = background.unwrap_or(layer::BLACK);
        channel.scene.layers = layer::read_all(layers, faults, channel.size);
    }
    let sounds = s.tables(faults, "sound", "[[channel.sound]]");
    if !sounds.is_empty() || !demo {
        channel.sound = read_sounds(sounds, faults);
    }
    channel.outputs = read_outputs(s.tables(faults, "output", "[[channel.output]]"), faults);
    s.finish(faults);
    Some(channel)
}

fn read_video(mut s: Section<'_>, faults: &mut Faults<'_>, channel: &mut ChannelConfig) {
    let sides = Size::SIDE_MIN..=Size::SIDE_MAX;
    let width = s.whole(faults, "width", sides.clone()).unwrap_or(channel.size.width());
    let height = s.whole(faults, "height", sides).unwrap_or(channel.size.height());
    match Size::new(width, height) {
        Some(size) => channel.size = size,
        None => faults.add(&s.span().clone(), "`width` and `height` must be even"),
    }
    if let Some(rate) = read_rate(&mut s, faults) {
        channel.rate = rate;
    }
    let bitrate = s.whole(faults, "bitrate", 50_000..=200_000_000);
    channel.bitrate_bps = bitrate.unwrap_or(channel.bitrate_bps);
    let codec = s.word(faults, "codec", &[("h264", VideoCodec::H264)]);
    channel.codec = codec.unwrap_or(channel.codec);
    for (key, field, known) in [
        ("preset", &mut channel.preset, PRESETS),
        ("tune", &mut channel.tune, TUNES),
        ("profile", &mut channel.profile, PROFILES),
    ] {
        let words: Vec<_> = known.iter().map(|word| (*word, *word)).collect();
        if let Some(word) = s.word(faults, key, &words) {
            word.clone_into(field);
        }
    }
    let keyframe = s.whole(faults, "keyframe_seconds", 1..=20);
    channel.keyframe_s = keyframe.unwrap_or(channel.keyframe_s);
    channel.b_frames = s.whole(faults, "b_frames", 0..=4).unwrap_or(channel.b_frames);
    channel.threads = auto_or(&mut s, faults, "threads", 64).and_then(|n| u8::try_from(n).ok());
    let queue = s.whole(faults, "queue_frames", 1..=QUEUE_FRAMES_MAX);
    channel.queue_frames = queue.unwrap_or(channel.queue_frames);
    channel.pool_frames = auto_or(&mut s, faults, "pool_frames", 1_024);
    if channel.pool_frames.is_some_and(|pool| pool < 4) {
        faults.add(&s.span().clone(), "`pool_frames` must be at least 4, or \"auto\"");
    }
    s.finish(faults);
}

const PRESETS: &[&str] = &[
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
];
const TUNES: &[&str] =
    &["", "film", "animation", "grain", "stillimage", "psnr", "ssim", "fastdecode", "zerolatency"];
const PROFILES: &[&str] = &["", "baseline", "main", "high"];

/// `"auto"` (or nothing), or a number from 1.
fn auto_or(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    key: &'static str,
    most: u32,
) -> Option<u32> {
    let automatic = s.any(key)?.get_ref().as_str() == Some("auto");
    if automatic { None } else { s.whole(faults, key, 1..=most) }
}

/// A whole number, or a fraction in quotes such as `"30000/1001"`.
fn read_rate(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<FrameRate> {
    let value = s.any("fps")?;
    let text = match value.get_ref() {
        toml::de::DeValue::Integer(number) => number.as_str().to_owned(),
        toml::de::DeValue::String(text) => text.to_string(),
        _ => String::new(),
    };
    let (num, den) = text.split_once('/').unwrap_or((&text, "1"));
    let rate = num.trim().parse().ok().zip(den.trim().parse().ok());
    let rate = rate.and_then(|(num, den)| FrameRate::new(num, den));
    if rate.is_none() {
        let text = "`fps` must be 1 to 240, or a fraction in quotes such as \"30000/1001\"";
        faults.add(&value.span(), text);
    }
    rate
}

fn read_audio(mut s: Section<'_>, faults: &mut Faults<'_>) -> Option<AudioSpec> {
    let enabled = s.flag(faults, "enabled", true);
    let codec = s.word(faults, "codec", &[("aac", AudioCodec::Aac)]).unwrap_or(AudioCodec::Aac);
    let bitrate_bps = s.whole(faults, "bitrate", 32_000..=512_000).unwrap_or(128_000);
    s.finish(faults);
    enabled.then_some(AudioSpec { codec, bitrate_bps })
}

fn read_sounds(tables: Vec<Section<'_>>, faults: &mut Faults<'_>) -> Vec<InputSpec> {
    let mut seen = HashMap::new();
    let mut inputs = Vec::new();
    for mut s in tables {
        let span = s.span().clone();
        let name = s.needed(faults, "name").map(|found| found.value.to_owned());
        let kinds = ["bed", "tone", "beep", "video", "live"].map(|kind| (kind, kind));
        let Some(kind) = s.needed(faults, "type").and_then(|_| s.word(faults, "type", &kinds))
        else {
            continue;
        };
        let source = match kind {
            "bed" => Some(sound::Source::Bed),
            "beep" => Some(sound::Source::Beep),
            "tone" => {
                let hz = s.number(faults, "hz", 20.0..=20_000.0).unwrap_or(440.0);
                Some(sound::Source::Tone(hz))
            }
            "video" => s
                .needed(faults, "path")
                .and_then(|found| file(&found, faults))
                .map(sound::Source::Video),
            _ => s
                .needed(faults, "stream")
                .and_then(|_| s.parsed(faults, "stream", stream_name))
                .map(sound::Source::Live),
        };
        let gain_db = s.number(faults, "gain_db", -90.0..=24.0).unwrap_or(0.0);
        let mute = s.flag(faults, "mute", false);
        s.finish(faults);
        let (Some(name), Some(source)) = (name, source) else { continue };
        unique(faults, &mut seen, "a sound with the name", &name, span.start);
        inputs.push(InputSpec { name, source, gain_db, mute });
        if inputs.len() > sound::INPUTS_MAX {
            faults.add(&span, format!("a channel has at most {} sounds", sound::INPUTS_MAX));
            break;
        }
    }
    inputs
}

fn read_outputs(tables: Vec<Section<'_>>, faults: &mut Faults<'_>) -> Vec<OutputConfig> {
    let mut seen = HashMap::new();
    let mut outputs = Vec::new();
    for mut s in tables {
        let span = s.span().clone();
        let name = s.needed(faults, "name").map(|found| found.value.to_owned());
        let url = s.needed(faults, "url").and_then(|found| {
            // The error says what is wrong without repeating the address, which holds a key.
            Url::parse(found.value)
                .map_err(|error| faults.add(&found.span, format!("`url`: {error}")))
                .ok()
        });
        let enabled = s.flag(faults, "enabled", true);
        s.finish(faults);
        let (Some(name), Some(url)) = (name, url) else { continue };
        unique(faults, &mut seen, "an output with the name", &name, span.start);
        outputs.push(OutputConfig { name, url, enabled });
    }
    outputs
}
