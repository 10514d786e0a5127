//! Codec facts of a stream, read from its metadata and sequence headers.

use crate::command::{AudioView, VideoView};
use crate::media::{Kind, aac};
use crate::rtmp::amf0::{Decoder, Value};
use crate::rtmp::flv::{self, AudioFormat, VideoFormat};
use crate::stream::Message;

/// Where the `AVCDecoderConfigurationRecord` begins in a video message: behind the frame type,
/// the packet type and the composition time.
const AVC_RECORD_AT: usize = 5;

/// Both, as far as they are there. What is not announced is 0.
pub(crate) fn of_headers(headers: &[Message]) -> (Option<VideoView>, Option<AudioView>) {
    let header = |kind| headers.iter().find(|message| message.kind() == kind);
    let metadata = header(Kind::Data).and_then(|message| metadata(message.body()));
    let number = |key: &str| {
        let value = metadata.as_ref().and_then(|metadata| metadata.get(key));
        value.and_then(Value::as_number).filter(|number| number.is_finite() && *number > 0.0)
    };
    let video = header(Kind::Video).and_then(|message| flv::Video::parse(message.body()));
    let avc = header(Kind::Video).and_then(|message| {
        let record = message.body().get(AVC_RECORD_AT..)?.first_chunk::<4>()?;
        Some([record[1], record[2], record[3]])
    });
    let video = video.map(|video| VideoView {
        avc: avc.filter(|_| video.format == VideoFormat::Avc),
        codec: video_name(video.format),
        width: whole(number("width")),
        height: whole(number("height")),
        fps: number("framerate").or_else(|| number("videoframerate")).unwrap_or(0.0),
    });
    let audio = header(Kind::Audio).and_then(|message| {
        let audio = flv::Audio::parse(message.body())?;
        let config = match audio.format {
            AudioFormat::Aac => message.body().get(audio.payload_at..).and_then(aac::Config::parse),
            _ => None,
        };
        let channels = number("audiochannels").map(|channels| whole(Some(channels)));
        Some(AudioView {
            codec: audio_name(audio.format),
            sample_rate: config.map_or_else(|| whole(number("audiosamplerate")), |it| it.rate),
            aac_object_type: config.map(|it| it.object_type),
            channels: config.map(|it| u32::from(it.channels)).or(channels).unwrap_or(0),
        })
    });
    (video, audio)
}

/// The values of `onMetaData`.
fn metadata(body: &[u8]) -> Option<Value> {
    let mut decoder = Decoder::new(body);
    decoder.string()?;
    decoder.value().ok()?
}

fn video_name(format: VideoFormat) -> String {
    match format {
        VideoFormat::Avc => "H264".to_owned(),
        VideoFormat::Hevc => "HEVC".to_owned(),
        VideoFormat::Vvc => "VVC".to_owned(),
        VideoFormat::Av1 => "AV1".to_owned(),
        VideoFormat::Vp8 => "VP8".to_owned(),
        VideoFormat::Vp9 => "VP9".to_owned(),
        VideoFormat::Legacy(id) => format!("codec {id}"),
        VideoFormat::FourCc(fourcc) => four_cc(fourcc),
    }
}

fn audio_name(format: AudioFormat) -> String {
    match format {
        AudioFormat::Aac => "AAC".to_owned(),
        AudioFormat::Mp3 => "MP3".to_owned(),
        AudioFormat::Opus => "Opus".to_owned(),
        AudioFormat::Flac => "FLAC".to_owned(),
        AudioFormat::Ac3 => "AC-3".to_owned(),
        AudioFormat::Eac3 => "E-AC-3".to_owned(),
        AudioFormat::Legacy(id) => format!("codec {id}"),
        AudioFormat::FourCc(fourcc) => four_cc(fourcc),
    }
}

/// Four characters that a peer chose.
fn four_cc(fourcc: [u8; 4]) -> String {
    fourcc
        .iter()
        .map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' })
        .collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; positive")]
fn whole(number: Option<f64>) -> u32 {
    number.map_or(0, |number| number.round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PacketBuf;
    use crate::stream::Flags;

    fn header(kind: Kind, body: &[u8]) -> Message {
        Message::new(kind, 0, Flags::HEADER, PacketBuf::copy_of(body), 60_000)
    }

    #[test]
    fn codecs_come_from_headers_and_measures_from_metadata() {
        let members = [("width", 1_280.0), ("height", 720.0), ("framerate", 29.97)];
        let members = members.map(|(name, n)| (name.to_owned(), Value::Number(n)));
        let mut metadata = Vec::new();
        Value::String("onMetaData".to_owned()).encode(&mut metadata);
        Value::EcmaArray(members.into()).encode(&mut metadata);
        let headers = [
            header(Kind::Data, &metadata),
            header(Kind::Video, &[0x17, 0, 0, 0, 0, 1, 100, 0, 31, 0xff]),
            header(Kind::Audio, &[0xaf, 0, 0x12, 0x10]),
        ];
        let (video, audio) = of_headers(&headers);
        let (width, height, avc) = (1_280, 720, Some([100, 0, 31]));
        let expected = VideoView { codec: "H264".to_owned(), width, height, fps: 29.97, avc };
        assert_eq!(video, Some(expected));
        let expected = AudioView {
            codec: "AAC".to_owned(),
            sample_rate: 44_100,
            channels: 2,
            aac_object_type: Some(2),
        };
        assert_eq!(audio, Some(expected));
    }

    #[test]
    fn what_is_not_there_or_makes_no_sense_is_left_out() {
        assert_eq!(of_headers(&[]), (None, None));
        let headers = [header(Kind::Data, b"\x02\x00"), header(Kind::Video, &[0x90, 0x1b, b'h'])];
        assert_eq!(of_headers(&headers), (None, None));
        let (video, _) = of_headers(&[header(Kind::Video, &[0x17, 0, 0, 0, 0, 1])]);
        assert_eq!(video.map(|video| (video.width, video.fps)), Some((0, 0.0)));
    }
}
