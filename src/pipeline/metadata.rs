//! `onMetaData` of a channel: what players show before the first picture.

use crate::encode::{AudioSpec, VideoSpec};
use crate::frame::PacketBuf;
use crate::media::{AudioCodec, CHANNELS, SAMPLE_RATE, VideoCodec};
use crate::rtmp::amf0::Value;
use crate::rtmp::flv::{AudioFormat, FourCc, VideoFormat};

/// The body of the data message: the name and an ECMA array, which FFmpeg needs to see the tracks.
pub(super) fn body(video: &VideoSpec, audio: Option<&AudioSpec>) -> PacketBuf {
    let mut members = vec![
        ("width", f64::from(video.size.width())),
        ("height", f64::from(video.size.height())),
        ("framerate", video.rate.fps()),
        ("videodatarate", f64::from(video.bitrate_bps) / 1_000.0),
        ("videocodecid", video_id(video.codec)),
    ];
    if let Some(audio) = audio {
        members.extend([
            ("audiodatarate", f64::from(audio.bitrate_bps) / 1_000.0),
            ("audiosamplerate", f64::from(SAMPLE_RATE)),
            ("audiosamplesize", 16.0),
            ("audiochannels", f64::from(u8::try_from(CHANNELS).unwrap_or(2))),
            ("audiocodecid", audio_id(audio.codec)),
        ]);
    }
    let mut members: Vec<_> =
        members.into_iter().map(|(name, n)| (name.to_owned(), Value::Number(n))).collect();
    members.push(("stereo".to_owned(), Value::Boolean(audio.is_some())));
    let encoder = concat!("Stream Manager ", env!("CARGO_PKG_VERSION"));
    members.push(("encoder".to_owned(), Value::String(encoder.to_owned())));
    let mut bytes = Vec::new();
    Value::String("onMetaData".to_owned()).encode(&mut bytes);
    Value::EcmaArray(members).encode(&mut bytes);
    PacketBuf::copy_of(&bytes)
}

/// The number of a codec: FLV's own, or that of its fourcc (Enhanced RTMP v1).
fn video_id(codec: VideoCodec) -> f64 {
    match codec {
        VideoCodec::H264 => 7.0,
        VideoCodec::Hevc => number_of(VideoFormat::Hevc.four_cc()),
        VideoCodec::Av1 => number_of(VideoFormat::Av1.four_cc()),
    }
}

/// The same for audio.
fn audio_id(codec: AudioCodec) -> f64 {
    match codec {
        AudioCodec::Aac => 10.0,
        AudioCodec::Opus => number_of(AudioFormat::Opus.four_cc()),
    }
}

fn number_of(four_cc: Option<FourCc>) -> f64 {
    u32::from_be_bytes(four_cc.unwrap_or_default()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{FrameRate, PixelFormat, Size};
    use crate::rtmp::amf0::Decoder;

    #[test]
    fn players_find_size_rate_and_both_tracks() {
        let video = VideoSpec {
            codec: VideoCodec::H264,
            encoder: None,
            device: None,
            size: Size::new(1280, 720).unwrap(),
            rate: FrameRate::new(30_000, 1_001).unwrap(),
            format: PixelFormat::I420,
            bitrate_bps: 2_500_000,
            preset: String::new(),
            fastest_preset: None,
            tune: String::new(),
            profile: String::new(),
            gop_frames: 60,
            b_frames: 0,
            threads: 1,
            keep: crate::encode::Keep::default(),
        };
        let audio = AudioSpec { codec: AudioCodec::Aac, bitrate_bps: 128_000 };
        let body = body(&video, Some(&audio));
        let mut decoder = Decoder::new(&body);
        assert_eq!(decoder.string().as_deref(), Some("onMetaData"));
        let value = decoder.value().unwrap().unwrap();
        assert!(matches!(value, Value::EcmaArray(_)));
        let number = |name| value.get(name).and_then(Value::as_number);
        assert_eq!((number("width"), number("videocodecid")), (Some(1280.0), Some(7.0)));
        assert_eq!((number("videodatarate"), number("audiocodecid")), (Some(2_500.0), Some(10.0)));
        assert!(body.ends_with(&[0, 0, 9]));
    }

    #[test]
    fn newer_codecs_are_named_by_their_fourcc() {
        let number = |id: f64| format!("{id}");
        assert_eq!(number(video_id(VideoCodec::Hevc)), 0x6876_6331.to_string());
        assert_eq!(number(video_id(VideoCodec::Av1)), 0x6176_3031.to_string());
        assert_eq!(number(audio_id(AudioCodec::Opus)), 0x4f70_7573.to_string());
    }
}
