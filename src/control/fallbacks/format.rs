//! Format of a published stream as its fallback is to have it.

use crate::config::SourceFormat;
use crate::control::stream_facts;
use crate::encode::AudioSpec;
use crate::media::{AudioCodec, FrameRate, Size, VideoCodec};
use crate::stream::Message;

/// Bits per second of a fallback's audio.
const AUDIO_BPS: u32 = 128_000;

/// Frames a second by which what the metadata announces may be beside what was measured.
const RATE_TOLERANCE: f64 = 2.0;

/// What a stream with this metadata and these sequence headers is like, of which `measured`
/// pictures a second come; `None` if it has no pictures. One whose metadata names no size counts as
/// 1280x720; a codec that the node has no encoders for is replaced by H.264 or AAC.
pub(super) fn of_source(headers: &[Message], measured: FrameRate) -> Option<SourceFormat> {
    let (video, audio) = stream_facts::of_headers(headers);
    let video = video?;
    let even = |side: u32| side - side % 2;
    let size = Size::new(even(video.width), even(video.height)).unwrap_or(Size::HD720);
    let codec = match video.codec.as_str() {
        "HEVC" => VideoCodec::Hevc,
        "AV1" => VideoCodec::Av1,
        _ => VideoCodec::H264,
    };
    let audio = audio.map(|audio| AudioSpec {
        codec: if audio.codec == "Opus" { AudioCodec::Opus } else { AudioCodec::Aac },
        bitrate_bps: AUDIO_BPS,
    });
    Some(SourceFormat { size, rate: announced(video.fps, measured), codec, audio })
}

/// The rate that metadata announces, if that is near the measured one.
fn announced(fps: f64, measured: FrameRate) -> FrameRate {
    if (fps - measured.fps()).abs() > RATE_TOLERANCE {
        return measured;
    }
    let whole = fps.round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a frame rate")]
    let number = whole as u32;
    let is_ntsc = (fps * 1.001 - whole).abs() < 0.005 && (fps - whole).abs() > 0.005;
    let rate = match is_ntsc {
        true => FrameRate::new(number * 1_000, 1_001),
        false => FrameRate::new(number, 1),
    };
    rate.unwrap_or(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_rate_counts_if_it_is_near_what_comes() {
        let rate = |number, per| FrameRate::new(number, per).unwrap();
        assert_eq!(announced(29.97, rate(30, 1)), rate(30_000, 1_001));
        assert_eq!(announced(30.0, rate(30, 1)), rate(30, 1));
        assert_eq!(announced(25.0, rate(26, 1)), rate(25, 1));
        assert_eq!(announced(60.0, rate(30, 1)), rate(30, 1), "another rate than it says");
        assert_eq!(announced(0.0, rate(50, 1)), rate(50, 1));
    }
}
