//! `[[channel]]`: one programme.

use std::collections::HashSet;
use std::ops::{Range, RangeInclusive};

use super::fault::{Faults, quoted};
use super::field::{BLACK, needed_name, stream_name};
use super::input_rule::{self, InputRuleConfig};
use super::multitrack::{self, MultitrackConfig};
use super::output::{self, OutputConfig};
use super::rendition::{self, Inherited, MAIN_RENDITION, Render, RenditionConfig};
use super::scene::{self as shown, NamedScene};
use super::schedule::{self, ScheduleConfig};
use super::section::{Found, Section};
use super::video::{self, FASTEST_PRESET, Latency};
use super::{audio_bus, audio_source, transition};
use crate::audio::{self, BusSpec, InputSpec};
use crate::encode::{AudioSpec, Keep, Priority, VideoSpec};
use crate::media::{AudioCodec, FrameRate, PixelFormat, Size, VideoCodec};
use crate::scene::{self, Layer, ResolvedScene, Scene, Transition};

/// One programme and where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelConfig {
    /// Name in logs, metrics and the API.
    pub name: String,
    /// Public stream name, `app/name`.
    pub stream: String,
    /// Whose encoders are taken time from first, where several channels have too little.
    pub priority: Priority,
    /// Size of the canvas.
    pub size: Size,
    /// The size that its scenes are laid out for, if that is another.
    pub canvas: Option<Size>,
    /// Frames per second.
    pub rate: FrameRate,
    /// Video codec.
    pub codec: VideoCodec,
    /// Name of the video encoder; `None` for the best that works on the machine.
    pub encoder: Option<&'static str>,
    /// The GPU of the encoder; `None` for the first that works.
    pub device: Option<String>,
    /// Video bits per second.
    pub bitrate_bps: u32,
    /// The fewest that congested outputs may bring it to.
    pub bitrate_min_bps: u32,
    /// Whether its streams are to be as early as can be.
    pub latency: Latency,
    /// Encoder preset; the best one, if its speed is not fixed.
    pub preset: String,
    /// The fastest preset that the encoder is taken to when it has too little time; `None` if its
    /// speed is fixed.
    pub fastest_preset: Option<String>,
    /// What is kept where even that is not enough.
    pub keep: Keep,
    /// Encoder tuning, or empty.
    pub tune: String,
    /// Profile, or empty.
    pub profile: String,
    /// Seconds between keyframes.
    pub keyframe_s: u32,
    /// Most B-pictures in a row.
    pub b_frames: u8,
    /// Whether its video says when and where it was made.
    pub origin_stamp: bool,
    /// Encoder threads; `None` takes one per encode core, at most 8.
    pub threads: Option<u8>,
    /// Most frames that may wait for the encoder.
    pub queue_frames: u32,
    /// Frames that exist in all; `None` takes as many as the queue needs.
    pub pool_frames: Option<u32>,
    /// Further encodes of the same pictures.
    pub renditions: Vec<RenditionConfig>,
    /// Streams that carry several of the renditions.
    pub multitracks: Vec<MultitrackConfig>,
    /// Audio, if there is any.
    pub audio: Option<AudioSpec>,
    /// What the sum of its audio sources goes through.
    pub audio_bus: BusSpec,
    /// What it can show; at least one, each with another name.
    pub scenes: Vec<NamedScene>,
    /// Place in `scenes` of the one that it begins with.
    pub active: usize,
    /// How another scene comes on the air, where neither that scene nor whoever asks for it says.
    pub transition: Transition,
    /// What is above whatever scene is on the air.
    pub overlays: Vec<Layer>,
    /// Its audio sources, which the mixer adds up.
    pub audio_sources: Vec<InputSpec>,
    /// What is shown while an input is faulty.
    pub input_rules: Vec<InputRuleConfig>,
    /// Destinations outside the node.
    pub outputs: Vec<OutputConfig>,
    /// Which scene it shows when, if that is planned.
    pub schedule: Option<ScheduleConfig>,
}

/// Most threads of an encoder that `auto` takes: beyond it the picture loses more than time gains.
const THREADS_AUTO_MAX: usize = 8;

/// Frames of a queue: at most four seconds at 30 fps.
const QUEUE_FRAMES_MAX: u32 = 120;

/// Frames of a pool.
const POOL_FRAMES: RangeInclusive<u32> = 4..=1_024;

impl ChannelConfig {
    /// The channel of a node without a configuration.
    #[must_use]
    pub fn demo() -> Self {
        let size = Size::HD720;
        Self { scenes: shown::demo(size), ..Self::plain("demo", "live/demo", size) }
    }

    /// The scene that it begins with.
    #[must_use]
    pub fn scene(&self) -> &Scene {
        const NOTHING: &Scene = &Scene { background: BLACK, layers: Vec::new(), transition: None };
        self.scenes.get(self.active).map_or(NOTHING, |named| &named.scene)
    }

    /// One of its scenes with the others inside it and the overlays above it.
    ///
    /// # Errors
    /// As [`resolve`](crate::config::resolve); none of a configuration that was read.
    pub fn resolved(&self, scene: &Scene) -> Result<ResolvedScene, scene::Error> {
        self.resolved_onto(scene, self.size)
    }

    /// The same drawn at another size than that of the canvas.
    ///
    /// # Errors
    /// As [`resolve`](crate::config::resolve): also where a box is too small at that size.
    pub fn resolved_onto(&self, scene: &Scene, onto: Size) -> Result<ResolvedScene, scene::Error> {
        let canvas = self.canvas.unwrap_or(self.size);
        shown::resolve(scene, (canvas, onto), &self.scenes, &self.overlays)
    }

    /// A channel whose frames another program hands in; silent.
    #[must_use]
    pub fn plain(name: &str, stream: &str, size: Size) -> Self {
        Self {
            name: name.to_owned(),
            stream: stream.to_owned(),
            priority: Priority::default(),
            size,
            canvas: None,
            rate: FrameRate::FPS_30,
            codec: VideoCodec::H264,
            encoder: None,
            device: None,
            bitrate_bps: 2_500_000,
            bitrate_min_bps: 2_500_000 / video::BITRATE_MIN_PART,
            preset: "veryfast".to_owned(),
            latency: Latency::Normal,
            fastest_preset: Some(FASTEST_PRESET.to_owned()),
            keep: Keep::default(),
            tune: String::new(),
            profile: "high".to_owned(),
            keyframe_s: 2,
            b_frames: 0,
            origin_stamp: false,
            threads: None,
            queue_frames: 30,
            pool_frames: None,
            renditions: Vec::new(),
            multitracks: Vec::new(),
            audio: Some(AudioSpec { codec: AudioCodec::Aac, bitrate_bps: 128_000 }),
            audio_bus: BusSpec::default(),
            scenes: shown::empty(),
            active: 0,
            transition: Transition::CUT,
            overlays: Vec::new(),
            audio_sources: demo_audio(),
            input_rules: Vec::new(),
            outputs: Vec::new(),
            schedule: None,
        }
    }

    /// What the video encoder of its first rendition is asked for on a machine with `cores` encode
    /// cores.
    #[must_use]
    pub fn video_spec(&self, cores: usize) -> VideoSpec {
        let threads = u8::try_from(cores.clamp(1, THREADS_AUTO_MAX)).unwrap_or(1);
        VideoSpec {
            codec: self.codec,
            encoder: self.encoder,
            device: self.device.clone(),
            size: self.size,
            rate: self.rate,
            format: PixelFormat::I420,
            bitrate_bps: self.bitrate_bps,
            preset: self.preset.clone(),
            fastest_preset: self.fastest_preset.clone(),
            tune: self.tune.clone(),
            profile: self.profile.clone(),
            gop_frames: self.keyframe_ticks(),
            b_frames: self.b_frames,
            threads: self.threads.unwrap_or(threads),
            keep: self.keep,
        }
    }

    /// The same of one of its further renditions.
    #[must_use]
    pub fn rendition_spec(&self, rendition: &RenditionConfig, cores: usize) -> VideoSpec {
        let RenditionConfig { size, fps_divisor, codec, encoder, bitrate_bps, .. } = *rendition;
        let first = self.video_spec(cores);
        let (tunes, profiles) = video::words_of(codec);
        let known = |word: &str, known: &[&str]| known.contains(&word).then(|| word.to_owned());
        VideoSpec {
            codec,
            encoder,
            size,
            rate: self.rate.divided(fps_divisor).unwrap_or(self.rate),
            bitrate_bps,
            preset: rendition.preset.clone(),
            fastest_preset: rendition.fastest_preset.clone(),
            keep: rendition.keep,
            tune: known(&first.tune, tunes).unwrap_or_default(),
            profile: known(&first.profile, profiles).unwrap_or_default(),
            gop_frames: first.gop_frames / fps_divisor,
            b_frames: if codec == VideoCodec::Av1 { 0 } else { first.b_frames },
            threads: self.threads.unwrap_or_else(|| video::part_of(first.threads, size, self.size)),
            ..first
        }
    }

    /// Ticks from one keyframe to the next in all renditions: the longest time up to
    /// `keyframe_s` after which each of them encodes a picture.
    #[must_use]
    pub fn keyframe_ticks(&self) -> u32 {
        let all = self.common_divisor();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most 20 s of 240 frames"
        )]
        let ticks = (f64::from(self.keyframe_s) * self.rate.fps()).round() as u32;
        (ticks / all * all).max(all)
    }

    /// Every so many ticks all renditions encode the same picture.
    #[must_use]
    pub fn common_divisor(&self) -> u32 {
        self.renditions.iter().fold(1, |all, rendition| video::lcm(all, rendition.fps_divisor))
    }

    /// The stream that a rendition, or several as tracks, make; `None` stands for the first.
    /// Nothing if there is none of that name.
    #[must_use]
    pub fn stream_of(&self, rendition: Option<&str>) -> Option<&str> {
        let name = rendition.unwrap_or(MAIN_RENDITION);
        self.streams().find(|(other, _)| *other == name).map(|(_, stream)| stream)
    }

    /// The names of all renditions and their streams, the first one first, and then those of
    /// streams that carry several.
    pub fn streams(&self) -> impl Iterator<Item = (&str, &str)> {
        let further = self.renditions.iter().map(|it| (it.name.as_str(), it.stream.as_str()));
        let tracks = self.multitracks.iter().map(|it| (it.name.as_str(), it.stream.as_str()));
        [(MAIN_RENDITION, self.stream.as_str())].into_iter().chain(further).chain(tracks)
    }

    /// Why the platform of an output would refuse what it sends.
    #[must_use]
    pub fn platform_refusals(&self, output: &OutputConfig) -> Vec<String> {
        let Some(platform) = output.preset else { return Vec::new() };
        let name = output.rendition.as_deref().unwrap_or(MAIN_RENDITION);
        let tracks = self.multitracks.iter().find(|it| it.name == name);
        let names = tracks.map_or_else(|| vec![name], |it| it.names().collect());
        let spec_of = |name| match self.renditions.iter().find(|rendition| rendition.name == name) {
            Some(rendition) => self.rendition_spec(rendition, 1),
            None => self.video_spec(1),
        };
        let refusals = names.into_iter().map(spec_of);
        let refusals = refusals.flat_map(|spec| platform.refusals(&spec, self.audio.as_ref()));
        let mut refusals: Vec<_> = refusals.collect();
        let mut told = HashSet::new();
        refusals.retain(|text| told.insert(text.clone()));
        refusals
    }

    /// What its renditions have of it.
    pub(super) fn inherited<'a>(&self, stream: Option<&'a str>) -> Inherited<'a> {
        let first = RenditionConfig {
            name: String::new(),
            stream: String::new(),
            size: self.size,
            render: Render::default(),
            fps_divisor: 1,
            codec: self.codec,
            encoder: self.encoder,
            bitrate_bps: self.bitrate_bps,
            bitrate_min_bps: self.bitrate_min_bps,
            preset: self.preset.clone(),
            fastest_preset: self.fastest_preset.clone(),
            keep: self.keep,
        };
        Inherited { first, rate: self.rate, stream }
    }

    /// That there is no rendition as an output wants, and which there are.
    pub(crate) fn no_rendition(&self, output: &OutputConfig) -> String {
        let known: Vec<_> = self.streams().map(|(name, _)| format!("\"{name}\"")).collect();
        let wanted = quoted(output.rendition.as_deref().unwrap_or_default());
        format!("`rendition`: there is no rendition {wanted}; there are {}", known.join(", "))
    }
}

/// The quiet bed, and whoever publishes to the demo's input.
fn demo_audio() -> Vec<InputSpec> {
    vec![
        InputSpec::new("bed", audio::Source::Bed),
        InputSpec::new("live", audio::Source::Live(scene::demo::STREAM.to_owned())),
    ]
}

/// A channel, with the places of what must differ from the others.
pub(super) struct Read {
    pub(super) channel: ChannelConfig,
    pub(super) name: Found<String>,
    /// Those of all its renditions.
    pub(super) streams: Vec<Found<String>>,
}

/// Nothing if what makes it a channel is wrong; all of it is looked at all the same.
pub(super) fn read(mut s: Section<'_>, faults: &mut Faults<'_>) -> Option<Read> {
    let name = needed_name(&mut s, faults);
    let stream = read_stream(&mut s, faults, name.as_ref());
    let priority = video::priority(&mut s, faults);
    let mut channel = ChannelConfig { priority, ..ChannelConfig::plain("", "", Size::HD720) };
    if let Some(video) = s.table(faults, "video", "[channel.video]") {
        read_video(video, faults, &mut channel);
    }
    if let Some(mut audio) = s.table(faults, "audio", "[channel.audio]") {
        channel.audio_bus = audio_bus::read(&mut audio, faults);
        channel.audio = read_audio(audio, faults);
    }
    let renditions = s.tables(faults, "rendition", "[[channel.rendition]]");
    let stream_name = stream.as_ref().map(|found| found.value.as_str());
    let inherited = channel.inherited(stream_name);
    let (renditions, further) = rendition::read_all(renditions, faults, &inherited);
    channel.renditions = renditions;
    let multitracks = s.tables(faults, "multitrack", "[[channel.multitrack]]");
    let (multitracks, of_tracks) =
        multitrack::read_all(multitracks, faults, &channel.renditions, stream_name);
    channel.multitracks = multitracks;
    channel.transition = transition::read(&mut s, faults).unwrap_or(Transition::CUT);
    let scenes = shown::read_all(&mut s, faults, channel.size);
    (channel.scenes, channel.active) = (scenes.list, scenes.active);
    channel.overlays = scenes.overlays;
    check_natives(&channel, faults, &s.place("rendition"));
    let audio = s.tables(faults, "audio_source", "[[channel.audio_source]]");
    if !audio.is_empty() || !scenes.demo {
        channel.audio_sources = audio_source::read_all(audio, faults);
    }
    let rules = s.tables(faults, "input_rule", "[[channel.input_rule]]");
    channel.input_rules = input_rule::read_all(rules, faults, &channel.scenes);
    let outputs = s.tables(faults, "output", "[[channel.output]]");
    channel.outputs = output::read_all(outputs, faults, |output, s, faults| {
        check_output(output, s, faults, &channel);
    });
    if let Some(table) = s.table(faults, "schedule", "[channel.schedule]") {
        channel.schedule = schedule::read(table, faults, &channel.scenes);
    }
    s.finish(faults);
    let (name, stream) = (name?, stream?);
    channel.name.clone_from(&name.value);
    channel.stream.clone_from(&stream.value);
    let streams = [stream].into_iter().chain(further).chain(of_tracks).collect();
    Some(Read { channel, name, streams })
}

/// Every scene can be drawn at the size of each rendition that has its own.
fn check_natives(channel: &ChannelConfig, faults: &mut Faults<'_>, place: &Range<usize>) {
    for rendition in channel.renditions.iter().filter(|it| it.render == Render::Native) {
        let drawn = |named: &NamedScene| channel.resolved_onto(&named.scene, rendition.size);
        if let Some(error) = channel.scenes.iter().find_map(|named| drawn(named).err()) {
            let name = &rendition.name;
            faults.add(place, format!("rendition {name} at {}: {error}", rendition.size));
        }
    }
}

/// An output sends what there is, and what its platform takes.
fn check_output(
    output: &OutputConfig,
    s: &Section<'_>,
    faults: &mut Faults<'_>,
    channel: &ChannelConfig,
) {
    if channel.stream_of(output.rendition.as_deref()).is_none() {
        faults.add(&s.place("rendition"), channel.no_rendition(output));
    }
    for refusal in channel.platform_refusals(output) {
        let text = format!("{refusal}; change it, or leave out `preset`");
        faults.add(&s.place("preset"), text);
    }
}

/// The public name, by default made of the channel's.
fn read_stream(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    name: Option<&Found<String>>,
) -> Option<Found<String>> {
    if s.any("stream").is_some() {
        return s.parsed(faults, "stream", stream_name);
    }
    let Found { value, span } = name?.clone();
    match stream_name(&format!("live/{value}")) {
        Ok(value) => Some(Found { value, span }),
        Err(_) => {
            let shown = quoted(&value);
            let text = format!("the name {shown} makes no stream name; give `stream` as well");
            faults.add(&span, format!("{text}, such as \"live/show\""));
            None
        }
    }
}

fn read_video(mut s: Section<'_>, faults: &mut Faults<'_>, channel: &mut ChannelConfig) {
    let (width, height) = (channel.size.width(), channel.size.height());
    let width = video::side(&mut s, faults, "width").unwrap_or(width);
    let height = video::side(&mut s, faults, "height").unwrap_or(height);
    channel.size = Size::new(width, height).unwrap_or(channel.size);
    channel.rate = video::rate(&mut s, faults).unwrap_or(channel.rate);
    channel.bitrate_bps = video::bitrate(&mut s, faults).unwrap_or(channel.bitrate_bps);
    channel.bitrate_min_bps = video::bitrate_min(&mut s, faults, channel.bitrate_bps);
    channel.codec = video::codec(&mut s, faults).unwrap_or(channel.codec);
    let (tunes, profiles) = video::words_of(channel.codec);
    if !profiles.contains(&channel.profile.as_str()) {
        channel.profile.clear();
    }
    channel.encoder = video::encoder(&mut s, faults, channel.codec).unwrap_or(channel.encoder);
    channel.device =
        video::device(&mut s, faults, channel.encoder).or_else(|| channel.device.take());
    for (key, field, known) in [
        ("preset", &mut channel.preset, video::PRESETS),
        ("tune", &mut channel.tune, tunes),
        ("profile", &mut channel.profile, profiles),
    ] {
        let words: Vec<_> = known.iter().map(|word| (*word, *word)).collect();
        if let Some(word) = s.word(faults, key, &words) {
            word.clone_into(field);
        }
    }
    channel.fastest_preset = video::speed(&mut s, faults, &channel.preset, Some(FASTEST_PRESET));
    channel.keep = video::keep(&mut s, faults).unwrap_or_default();
    channel.keyframe_s = s.whole(faults, "keyframe_seconds", 1..=20).unwrap_or(channel.keyframe_s);
    channel.b_frames = s.whole(faults, "b_frames", 0..=4).unwrap_or(channel.b_frames);
    if channel.b_frames > 0 && channel.profile == "baseline" {
        let text = "`b_frames` must be 0 with `profile = \"baseline\"`, which has no B-pictures";
        faults.add(&s.place("b_frames"), text);
    }
    if channel.b_frames > 0 && channel.codec == VideoCodec::Av1 {
        let text = "`b_frames` must be 0 with `codec = \"av1\"`, which is encoded in order";
        faults.add(&s.place("b_frames"), text);
    }
    channel.latency = video::latency(&mut s, faults, &channel.tune, channel.b_frames);
    if channel.latency == Latency::Low {
        video::LOW_LATENCY_TUNE.clone_into(&mut channel.tune);
        channel.queue_frames = video::LOW_LATENCY_QUEUE_FRAMES;
    }
    channel.origin_stamp = s.flag(faults, "origin_stamp", false);
    channel.threads = s.auto_or(faults, "threads", 1..=64).and_then(|n| u8::try_from(n).ok());
    let queue = s.whole(faults, "queue_frames", 1..=QUEUE_FRAMES_MAX);
    channel.queue_frames = queue.unwrap_or(channel.queue_frames);
    channel.pool_frames = s.auto_or(faults, "pool_frames", POOL_FRAMES);
    s.finish(faults);
}

pub(super) fn read_audio(mut s: Section<'_>, faults: &mut Faults<'_>) -> Option<AudioSpec> {
    let enabled = s.flag(faults, "enabled", true);
    let codecs = [AudioCodec::Aac, AudioCodec::Opus].map(|codec| (codec.name(), codec));
    let codec = s.word(faults, "codec", &codecs).unwrap_or(AudioCodec::Aac);
    let bitrate = s.bitrate(faults, "bitrate", 32_000..=512_000);
    let bitrate_bps = bitrate.and_then(|bits| u32::try_from(bits).ok()).unwrap_or(128_000);
    s.finish(faults);
    enabled.then_some(AudioSpec { codec, bitrate_bps })
}
