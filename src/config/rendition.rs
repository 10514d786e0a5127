//! `[[channel.rendition]]`: the channel's pictures once more, in another encode.

use std::collections::HashMap;

use super::fault::{Faults, quoted};
use super::field::{needed_name, stream_name, unique};
use super::section::{Found, Section};
use super::video;
use crate::encode::Keep;
use crate::media::{FrameRate, Size, VideoCodec};
use crate::scene::Scaler;

/// Most renditions that a channel has beside its first one.
pub const RENDITIONS_MAX: usize = 7;

/// Every how many frames of the channel at most one is encoded.
pub const FPS_DIVISOR_MAX: u32 = 4;

/// Where the pictures of a rendition come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Render {
    /// The canvas, scaled.
    #[default]
    Scaled,
    /// The scene, drawn once more at the rendition's own size.
    Native,
}

/// Name of the rendition that `[channel.video]` is.
pub const MAIN_RENDITION: &str = "main";

/// One more encode of a channel's pictures. What it does not say is as in `[channel.video]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RenditionConfig {
    /// Name in logs, metrics and the API.
    pub name: String,
    /// Public stream name, `app/name`.
    pub stream: String,
    /// Size of its pictures: no larger than the canvas, unless it is drawn at its own size.
    pub size: Size,
    /// Where its pictures come from.
    pub render: Render,
    /// One frame of so many is encoded, 1 to [`FPS_DIVISOR_MAX`].
    pub fps_divisor: u32,
    /// Video codec.
    pub codec: VideoCodec,
    /// Name of the video encoder; `None` for the best that works on the machine.
    pub encoder: Option<&'static str>,
    /// Video bits per second.
    pub bitrate_bps: u32,
    /// The fewest that congested outputs may bring it to.
    pub bitrate_min_bps: u32,
    /// Encoder preset; the best one, if its speed is not fixed.
    pub preset: String,
    /// The fastest preset that the encoder is taken to when it has too little time; `None` if its
    /// speed is fixed.
    pub fastest_preset: Option<String>,
    /// What is kept where even that is not enough.
    pub keep: Keep,
}

/// What renditions have of their channel, unless they say otherwise.
pub(super) struct Inherited<'a> {
    /// As much as a rendition has, its name left empty.
    pub(super) first: RenditionConfig,
    pub(super) rate: FrameRate,
    /// The channel's stream, if that is right.
    pub(super) stream: Option<&'a str>,
}

/// What makes streams, and the places of their names.
pub(super) type Read<T> = (Vec<T>, Vec<Found<String>>);

pub(super) fn read_all(
    tables: Vec<Section<'_>>,
    faults: &mut Faults<'_>,
    inherited: &Inherited<'_>,
) -> Read<RenditionConfig> {
    let heading = ("a channel", "[[channel.rendition]]");
    let read = |s: &mut Section<'_>, faults: &mut Faults<'_>| {
        let words = [("scaled", Render::Scaled), ("native", Render::Native)];
        let render = s.word(faults, "render", &words).unwrap_or_default();
        let size = read_size(s, faults, (inherited.first.size, render));
        RenditionConfig { size, render, ..read(s, faults, inherited) }
    };
    let name = |found: RenditionConfig, name, stream| RenditionConfig { name, stream, ..found };
    each(tables, faults, (heading, inherited.stream), read, name)
}

/// Renditions of `(owner, table)`, whose own stream is given if that is right: each is `read`, and
/// then given its name and its stream. Gives the places of the streams as well.
pub(super) fn each<T>(
    tables: Vec<Section<'_>>,
    faults: &mut Faults<'_>,
    ((owner, table), of_stream): ((&str, &str), Option<&str>),
    mut read: impl FnMut(&mut Section<'_>, &mut Faults<'_>) -> T,
    named: impl Fn(T, String, String) -> T,
) -> Read<T> {
    let mut seen = HashMap::new();
    let (mut renditions, mut streams) = (Vec::new(), Vec::new());
    for (index, mut s) in tables.into_iter().enumerate() {
        if index == RENDITIONS_MAX {
            faults.add(s.span(), format!("{owner} has at most {RENDITIONS_MAX} {table}"));
            break;
        }
        let name = needed_name(&mut s, faults);
        if let Some(name) = &name {
            unique(faults, &mut seen, "a rendition with the name", name);
            if name.value == MAIN_RENDITION {
                let text = format!("\"{MAIN_RENDITION}\" is [channel.video]; choose another name");
                faults.add(&name.span, text);
            }
        }
        let stream = read_stream(&mut s, faults, name.as_ref(), of_stream);
        let read = read(&mut s, faults);
        s.finish(faults);
        if let (Some(name), Some(stream)) = (name, stream) {
            renditions.push(named(read, name.value, stream.value.clone()));
            streams.push(stream);
        }
    }
    (renditions, streams)
}

/// The public name, by default made of the channel's.
fn read_stream(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    name: Option<&Found<String>>,
    of_channel: Option<&str>,
) -> Option<Found<String>> {
    if s.any("stream").is_some() {
        return s.parsed(faults, "stream", stream_name);
    }
    let Found { value, span } = name?.clone();
    match stream_name(&format!("{}_{value}", of_channel?)) {
        Ok(value) => Some(Found { value, span }),
        Err(_) => {
            let shown = quoted(&value);
            let text = format!("the name {shown} makes no stream name; give `stream` as well");
            faults.add(&span, format!("{text}, such as \"live/show_720p\""));
            None
        }
    }
}

/// All but its name, its stream and its size.
pub(super) fn read(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    inherited: &Inherited<'_>,
) -> RenditionConfig {
    let first = &inherited.first;
    let codec = video::codec(s, faults).unwrap_or(first.codec);
    let usual = first.encoder.filter(|name| video::makes(name, codec));
    let encoder = video::encoder(s, faults, codec).unwrap_or(usual);
    let bitrate_bps = video::bitrate(s, faults).unwrap_or(first.bitrate_bps);
    let presets: Vec<_> = video::PRESETS.iter().map(|word| (*word, *word)).collect();
    let preset = s.word(faults, "preset", &presets).unwrap_or(&first.preset).to_owned();
    RenditionConfig {
        fps_divisor: read_divisor(s, faults, inherited.rate),
        codec,
        encoder,
        bitrate_bps,
        bitrate_min_bps: video::bitrate_min(s, faults, bitrate_bps),
        fastest_preset: video::speed(s, faults, &preset, first.fastest_preset.as_deref()),
        keep: video::keep(s, faults).unwrap_or(first.keep),
        preset,
        ..first.clone()
    }
}

/// The size; of a side that is not there, what keeps the canvas' shape.
fn read_size(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    (canvas, render): (Size, Render),
) -> Size {
    let shaped = |side: u32, of: u32, other: u32| {
        // The nearest even number.
        let exact = u64::from(side) * u64::from(other);
        let half = (exact + u64::from(of)) / (2 * u64::from(of));
        u32::try_from(2 * half).unwrap_or(other).clamp(Size::SIDE_MIN, other)
    };
    let key = if s.any("width").is_some() { "width" } else { "height" };
    let (width, height) = (video::side(s, faults, "width"), video::side(s, faults, "height"));
    let (full_width, full_height) = (canvas.width(), canvas.height());
    let (width, height) = match (width, height) {
        (Some(width), Some(height)) => (width, height),
        (Some(width), None) => (width, shaped(width, full_width, full_height)),
        (None, Some(height)) => (shaped(height, full_height, full_width), height),
        (None, None) => return canvas,
    };
    let Some(size) = Size::new(width, height) else { return canvas };
    if render == Render::Scaled && !Scaler::can_scale(canvas, size) {
        let most = Scaler::REDUCTION_MAX;
        let text = format!(
            "a rendition is no larger than the canvas and no side of it is less than a {most}th of \
             the canvas': {size} is not between {}x{} and {canvas}",
            full_width.div_ceil(most).next_multiple_of(2),
            full_height.div_ceil(most).next_multiple_of(2),
        );
        faults.add(&s.place(key), text);
        return canvas;
    }
    size
}

fn read_divisor(s: &mut Section<'_>, faults: &mut Faults<'_>, rate: FrameRate) -> u32 {
    let divisor = s.whole(faults, "fps_divisor", 1..=FPS_DIVISOR_MAX).unwrap_or(1);
    if rate.divided(divisor).is_none() {
        let text = format!("`fps_divisor` leaves less than one frame a second of {rate}");
        faults.add(&s.place("fps_divisor"), text);
        return 1;
    }
    divisor
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// A channel of 1920x1080 at 50 frames a second with these renditions.
    fn read(renditions: &str) -> Result<Config, String> {
        let text = format!(
            "[[channel]]\nname = \"a\"\n[channel.video]\nwidth = 1920\nheight = 1080\nfps = 50\n\
             preset = \"faster\"\nbitrate = \"6M\"\ntune = \"film\"\n{renditions}"
        );
        Config::parse(&text, "x").map_err(|faults| faults.to_string())
    }

    #[test]
    fn a_rendition_is_as_the_channel_where_it_does_not_say_otherwise() {
        let config = read(
            "[[channel.rendition]]\nname = \"same\"\n\
             [[channel.rendition]]\nname = \"480p\"\nheight = 480\nbitrate = \"1M\"\n\
             fps_divisor = 2\n\
             preset = \"superfast\"\nspeed = \"fixed\"\nstream = \"low/b\"\n\
             [[channel.rendition]]\nname = \"hevc\"\nwidth = 640\ncodec = \"hevc\"\n",
        )
        .unwrap();
        let channel = &config.channels[0];
        let [same, low, hevc] = &channel.renditions[..] else { panic!() };
        assert_eq!((same.stream.as_str(), same.size), ("live/a_same", channel.size));
        assert_eq!(channel.rendition_spec(same, 2), channel.video_spec(2), "the same encode");
        assert_eq!((low.stream.as_str(), low.size), ("low/b", Size::new(854, 480).unwrap()));
        let threads = |rendition| channel.rendition_spec(rendition, 8).threads;
        assert_eq!((threads(same), threads(low)), (8, 2), "as many as its pixels are worth");
        let spec = channel.rendition_spec(low, 2);
        assert_eq!(
            (spec.rate.fps(), spec.gop_frames),
            (25.0, 50),
            "a keyframe every 2 s as in all"
        );
        assert_eq!((spec.preset.as_str(), spec.fastest_preset), ("superfast", None));
        assert_eq!((spec.tune.as_str(), spec.profile.as_str()), ("film", "high"));
        let spec = channel.rendition_spec(hevc, 2);
        assert_eq!((spec.size, spec.bitrate_bps), (Size::new(640, 360).unwrap(), 6_000_000));
        assert_eq!((spec.tune.as_str(), spec.profile.as_str()), ("", ""), "it knows no film");
    }

    #[test]
    fn a_rendition_that_is_drawn_may_have_any_shape() {
        let one = "[[channel.rendition]]\nname = \"b\"\nwidth = 1080\nheight = 1920\n";
        let config = read(&format!("{one}render = \"native\"\n")).unwrap();
        let rendition = &config.channels[0].renditions[0];
        assert_eq!(rendition.render, Render::Native);
        assert_eq!(rendition.size, Size::new(1_080, 1_920).unwrap());
        assert!(read(one).unwrap_err().contains("1080x1920 is not between"), "it is scaled");
        let text = read(&format!("{one}render = \"drawn\"\n")).unwrap_err();
        assert!(text.contains("\"scaled\", \"native\""), "{text}");
    }

    #[test]
    fn what_cannot_be_is_told_with_its_place_and_the_limit() {
        let one = "[[channel.rendition]]\nname = \"b\"\n";
        for (more, said) in [
            ("width = 641", "x:12:9: `width` must be even, such as 640 or 642"),
            ("height = 8", "`height` must be 16 to 8192"),
            ("width = 1922", "1922x1080 is not between 276x156 and 1920x1080"),
            ("width = 270", "is not between 276x156"),
            ("height = 140", "no side of it is less than a 7th"),
            ("fps_divisor = 0", "must be 1 to 4"),
            ("fps_divisor = 5", "must be 1 to 4"),
            ("bitrate = 1", "`bitrate`"),
            ("codec = \"vp9\"", "\"vp9\" is not one of"),
            ("codec = \"hevc\"\nencoder = \"libx264\"", "makes no hevc: auto, "),
            ("encoder = \"magic\"", "\"magic\" is not one of"),
            ("preset = \"hasty\"", "\"hasty\" is not one of"),
            ("fastest_preset = \"slow\"", "must not be slower than `preset = \"faster\"`"),
            ("speed = \"some\"", "\"some\" is not one of"),
            ("keep = \"colour\"", "\"colour\" is not one of"),
            ("stream = \"x\"", "not a stream name"),
            ("stream = \"live/a\"", "a channel with the stream \"live/a\" is already"),
            ("profile = \"main\"", "unknown key `profile`"),
        ] {
            let text = read(&format!("{one}{more}\n")).unwrap_err();
            assert!(text.contains(said), "{more}: {text}");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
        for (all, said) in [
            ("[[channel.rendition]]\n".to_owned(), "needs `name`"),
            (one.repeat(2), "a rendition with the name \"b\" is already"),
            (one.replace("\"b\"", "\"main\""), "\"main\" is [channel.video]"),
            (one.replace("\"b\"", "\"7 20\""), "makes no stream name; give `stream`"),
            (
                format!(
                    "{one}[[channel.output]]\nname=\"o\"\nurl=\"rtmp://h/a/k\"\nrendition=\"c\""
                ),
                "there is no rendition \"c\"; there are \"main\", \"b\"",
            ),
        ] {
            let text = read(&all).unwrap_err();
            assert!(text.contains(said), "{text}");
        }
        let many = (0..=RENDITIONS_MAX).map(|n| format!("[[channel.rendition]]\nname=\"{n}\"\n"));
        assert!(read(&many.collect::<String>()).unwrap_err().contains("at most 7"));
        let slow = "[[channel]]\nname=\"a\"\nvideo={fps=1}\n[[channel.rendition]]\nname=\"b\"\n\
            fps_divisor=2\n";
        let text = Config::parse(slow, "x").unwrap_err().to_string();
        assert!(text.contains("less than one frame a second"), "{text}");
    }

    #[test]
    fn a_platform_is_asked_about_the_rendition_that_its_output_sends() {
        let with = |rendition: &str| {
            read(&format!(
                "keyframe_seconds = 2\n[[channel.rendition]]\nname = \"low\"\nheight = 720\n\
                 bitrate = \"9M\"\n[[channel.output]]\nname = \"o\"\nurl = \"rtmp://h/a/k\"\n\
                 preset = \"twitch\"\nrendition = \"{rendition}\"\n"
            ))
        };
        assert!(with("main").is_ok());
        assert!(with("low").unwrap_err().contains("up to 6000 kb/s"));
    }
}
