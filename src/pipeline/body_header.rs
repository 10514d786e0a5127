//! Headers of RTMP bodies: what stands in front of encoded pictures and audio.

use crate::frame::PacketBuf;
use crate::media::{AudioCodec, VideoCodec};
use crate::rtmp::flv::{self, AudioFormat, AvcPacket, Part, VideoFormat};

/// What RTMP says of a body of video.
#[derive(Clone, Copy)]
pub(super) struct VideoForm {
    pub(super) key: bool,
    pub(super) part: Part,
    /// From decoding to presentation, milliseconds.
    pub(super) offset_ms: i32,
}

/// Puts in front of `body` what RTMP says of video of this codec, in a track of its stream.
pub(super) fn put_video_header(
    body: &mut PacketBuf,
    codec: VideoCodec,
    track: u8,
    form: VideoForm,
) {
    let VideoForm { key, part, offset_ms } = form;
    let format = match codec {
        VideoCodec::H264 if track == 0 => {
            let packet = match part {
                Part::SequenceHeader => AvcPacket::SequenceHeader,
                _ => AvcPacket::Nalus,
            };
            return body.prepend(&flv::avc_header(key, packet, offset_ms));
        }
        VideoCodec::H264 => VideoFormat::Avc,
        VideoCodec::Hevc => VideoFormat::Hevc,
        VideoCodec::Av1 => VideoFormat::Av1,
    };
    match track {
        0 => body.prepend(&flv::enhanced_video_header(format, key, part, offset_ms)),
        _ => body.prepend(&flv::track_video_header(format, track, key, part, offset_ms)),
    }
}

/// The same for audio.
pub(super) fn put_audio_header(body: &mut PacketBuf, codec: AudioCodec, is_header: bool) {
    match codec {
        AudioCodec::Aac => body.prepend(&flv::aac_header(is_header)),
        AudioCodec::Opus => {
            body.prepend(&flv::enhanced_audio_header(AudioFormat::Opus, is_header));
        }
    }
}
