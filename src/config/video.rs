//! Video settings that `[channel.video]` and `[[channel.rendition]]` share: sizes, rates, encoders
//! and their presets.

use super::fault::Faults;
use super::section::{Section, integer};
use crate::encode::{Keep, Priority, encoder_names, encoder_names_of};
use crate::media::{FrameRate, Size, VideoCodec};

/// Part of the bitrate that congested outputs may bring it to, if nothing else is said.
pub(super) const BITRATE_MIN_PART: u32 = 4;

/// Longest name of a GPU, bytes.
const DEVICE_BYTES_MAX: usize = 256;

/// The encoder whose GPU can be named.
const DEVICE_ENCODER: &str = "vaapi";

/// The tuning of encoders that give each picture back at once.
pub(super) const LOW_LATENCY_TUNE: &str = "zerolatency";

/// Frames that may wait for an encoder of [`Latency::Low`], unless the configuration says how many:
/// one that comes while another is encoded, and the next.
pub(super) const LOW_LATENCY_QUEUE_FRAMES: u32 = 2;

/// What the encoders and the delivery of a channel are set up for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Latency {
    /// Better pictures and fewer calls to the kernel, for a few frames of delay.
    #[default]
    Normal,
    /// Pictures leave the encoder in the interval they came in, few of them wait for it, none waits
    /// for others to be sent, and viewers start at the live edge.
    Low,
}

/// Video bits per second.
pub(super) fn bitrate(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<u32> {
    bits(s, faults, "bitrate")
}

/// The fewest bits per second that congested outputs may bring `bitrate_bps` to.
pub(super) fn bitrate_min(s: &mut Section<'_>, faults: &mut Faults<'_>, bitrate_bps: u32) -> u32 {
    let least = bits(s, faults, "bitrate_min");
    if least.is_some_and(|least| least > bitrate_bps) {
        let text = format!("`bitrate_min` must not be more than `bitrate`, {bitrate_bps}");
        faults.add(&s.place("bitrate_min"), text);
    }
    least.unwrap_or(bitrate_bps / BITRATE_MIN_PART)
}

fn bits(s: &mut Section<'_>, faults: &mut Faults<'_>, key: &'static str) -> Option<u32> {
    let bits = s.bitrate(faults, key, 50_000..=200_000_000);
    bits.and_then(|bits| u32::try_from(bits).ok())
}

/// The codec.
pub(super) fn codec(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<VideoCodec> {
    let codecs = [VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Av1];
    s.word(faults, "codec", &codecs.map(|codec| (codec.name(), codec)))
}

/// Name of an encoder of the codec, if the key is there; `None` in it for the best that works.
pub(super) fn encoder(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    codec: VideoCodec,
) -> Option<Option<&'static str>> {
    let encoders = encoder_names().map(|name| (name, Some(name)));
    let encoders: Vec<_> = [("auto", None)].into_iter().chain(encoders).collect();
    let encoder = s.word(faults, "encoder", &encoders)?;
    if let Some(name) = encoder.filter(|name| !makes(name, codec)) {
        let known: Vec<_> = encoder_names_of(codec).collect();
        let (codec, known) = (codec.name(), known.join(", "));
        let text = format!("`encoder = \"{name}\"` makes no {codec}: auto, {known} do");
        faults.add(&s.place("encoder"), text);
    }
    Some(encoder)
}

/// Whether the encoder of this name makes the codec.
pub(super) fn makes(encoder: &str, codec: VideoCodec) -> bool {
    encoder_names_of(codec).any(|maker| maker == encoder)
}

/// The GPU of the encoder, if one is named.
pub(super) fn device(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    encoder: Option<&str>,
) -> Option<String> {
    let found = s.text(faults, "device").filter(|found| !found.value.is_empty())?;
    let text = match encoder {
        Some(name) if name != DEVICE_ENCODER => format!(
            "`device` is for `encoder = \"{DEVICE_ENCODER}\"`, not for \"{name}\": leave it out"
        ),
        _ if found.value.len() > DEVICE_BYTES_MAX || found.value.chars().any(char::is_control) => {
            format!("`device` is one line of at most {DEVICE_BYTES_MAX} bytes")
        }
        _ => return Some(found.value.to_owned()),
    };
    faults.add(&found.span, text);
    None
}

/// How far the speed of the encoder may go, if it is not fixed: the fastest preset allowed. It is
/// `usual` unless the table says another; without that the speed is fixed unless the table says
/// otherwise.
pub(super) fn speed(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    preset: &str,
    usual: Option<&str>,
) -> Option<String> {
    let is_auto = s
        .word(faults, "speed", &[("auto", true), ("fixed", false)])
        .unwrap_or_else(|| usual.is_some());
    let words: Vec<_> = STEPPED.iter().map(|word| (*word, *word)).collect();
    let fastest = s.word(faults, "fastest_preset", &words);
    let place = |word: &str| PRESETS.iter().position(|known| *known == word);
    match fastest {
        Some(_) if !is_auto => {
            let text = "`fastest_preset` goes with `speed = \"auto\"`; leave out one of the two";
            faults.add(&s.place("fastest_preset"), text);
        }
        Some(_) if !STEPPED.contains(&preset) => {
            let text = format!(
                "a running encoder cannot leave `preset = \"{preset}\"`: leave out \
                 `fastest_preset`, or choose a preset from \"superfast\" to \"veryslow\""
            );
            faults.add(&s.place("fastest_preset"), text);
        }
        Some(fastest) if place(fastest) > place(preset) => {
            let text = format!("`fastest_preset` must not be slower than `preset = \"{preset}\"`");
            faults.add(&s.place("fastest_preset"), text);
        }
        _ => {}
    }
    let usual = usual.filter(|usual| place(usual) <= place(preset)).unwrap_or(FASTEST_PRESET);
    is_auto.then(|| fastest.unwrap_or(usual).to_owned())
}

/// What is kept where even the fastest preset is not enough, if the key is there.
pub(super) fn keep(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<Keep> {
    s.word(faults, "keep", &[("resolution", Keep::Resolution), ("fps", Keep::Fps)])
}

/// What the encoders and the delivery are set up for; a `tune` and B-pictures that contradict it
/// are faults.
pub(super) fn latency(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    tune: &str,
    b_frames: u8,
) -> Latency {
    let words = [("normal", Latency::Normal), ("low", Latency::Low)];
    let latency = s.word(faults, "latency", &words).unwrap_or_default();
    if latency == Latency::Low && !["", LOW_LATENCY_TUNE].contains(&tune) {
        let text =
            format!("`latency = \"low\"` is `tune = \"{LOW_LATENCY_TUNE}\"`: leave `tune` out");
        faults.add(&s.place("tune"), text);
    }
    if latency == Latency::Low && b_frames > 0 {
        let text =
            "`b_frames` must be 0 with `latency = \"low\"`: each delays the stream by a frame";
        faults.add(&s.place("b_frames"), text);
    }
    latency
}

/// Whose encoders make room first.
pub(super) fn priority(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Priority {
    let words = Priority::ALL.map(|priority| (priority.name(), priority));
    s.word(faults, "priority", &words).unwrap_or_default()
}

/// The fastest preset that an encoder is taken to unless another one is named.
pub(super) const FASTEST_PRESET: &str = "superfast";

/// Presets that a running encoder can leave and enter.
const STEPPED: &[&str] =
    &["superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"];

pub(super) const PRESETS: &[&str] = &[
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

/// The tunings and the profiles of a codec's encoders.
pub(super) const fn words_of(
    codec: VideoCodec,
) -> (&'static [&'static str], &'static [&'static str]) {
    match codec {
        VideoCodec::H264 => (
            &[
                "",
                "film",
                "animation",
                "grain",
                "stillimage",
                "psnr",
                "ssim",
                "fastdecode",
                "zerolatency",
            ],
            &["", "baseline", "main", "high"],
        ),
        VideoCodec::Hevc => (
            &["", "animation", "grain", "psnr", "ssim", "fastdecode", "zerolatency"],
            &["", "main"],
        ),
        VideoCodec::Av1 => (&["", "zerolatency"], &["", "main"]),
    }
}

/// A side of a picture: even, because every second line and column has colour.
pub(super) fn side(s: &mut Section<'_>, faults: &mut Faults<'_>, key: &'static str) -> Option<u32> {
    let side = s.whole(faults, key, Size::SIDE_MIN..=Size::SIDE_MAX)?;
    if side % 2 == 1 {
        let text = format!("`{key}` must be even, such as {} or {}", side - 1, side + 1);
        faults.add(&s.place(key), text);
        return None;
    }
    Some(side)
}

/// A whole number, or a fraction in quotes such as `"30000/1001"`.
pub(super) fn rate(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<FrameRate> {
    let value = s.any("fps")?;
    let parse = |text: &str| {
        let (num, den) = text.split_once('/').unwrap_or((text, "1"));
        Some((num.trim().parse().ok()?, den.trim().parse().ok()?))
    };
    let fraction = match value.get_ref().as_str() {
        Some(text) => parse(text),
        None => integer(value.get_ref()).and_then(|n| u32::try_from(n).ok()).map(|n| (n, 1)),
    };
    let rate = fraction.and_then(|(num, den)| FrameRate::new(num, den));
    if rate.is_none() {
        let most = FrameRate::FPS_MAX;
        let text = format!(
            "`fps` must be 1 to {most}, or a fraction in quotes such as \"30000/1001\" for 29.97"
        );
        faults.add(&value.span(), text);
    }
    rate
}

/// As much of the threads of a canvas' encoder as a picture of `size` is of the canvas, rounded up:
/// more would be dearer than they are of use.
pub(super) fn part_of(threads: u8, size: Size, canvas: Size) -> u8 {
    let area = |of: Size| u64::from(of.width()) * u64::from(of.height());
    let part = (u64::from(threads) * area(size)).div_ceil(area(canvas));
    u8::try_from(part).unwrap_or(threads)
}

/// The least number that both divide, of numbers above 0.
pub(super) const fn lcm(a: u32, b: u32) -> u32 {
    let (mut large, mut small) = (a, b);
    while small > 0 {
        (large, small) = (small, large % small);
    }
    a / large * b
}
