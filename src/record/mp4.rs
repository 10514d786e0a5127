//! MP4 muxer: messages of a stream as frames of a fragmented MP4.

use super::boxes::{Boxes, Frame, TrackSpec, put_all, put_box};
use super::tracks::{Codec, Track, Tracks};
use crate::ffi::picture::{PictureCodec, picture_size};
use crate::media::{Kind, aac};
use crate::rtmp::flv::{Audio, AudioFormat, Part, Video, VideoFormat};

/// Writes one file.
#[derive(Debug)]
pub(super) struct Mp4 {
    boxes: Boxes,
    /// Kind and number of each track of the file, in its order.
    tracks: Vec<(Kind, u8)>,
}

/// What has no place in the file, in words.
pub(super) type LeftOut = Option<String>;

impl Mp4 {
    /// Begins a file of these tracks at the beginning of `out`. `first` is the body of its first
    /// message: of pictures, a keyframe. Also says which further tracks are left out.
    ///
    /// # Errors
    /// What to publish or to record instead, if a main track cannot be in the file.
    pub(super) fn begin(
        tracks: &Tracks,
        first: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(Self, LeftOut), String> {
        let (specs, tracks, left_out) = specs(tracks, first)?;
        Ok((Self { boxes: Boxes::begin(&specs, out), tracks }, left_out))
    }

    /// Adds a message with its time in the file; `out` gets what is complete. What has no place in
    /// the file is left out.
    pub(super) fn write(&mut self, kind: Kind, ms: u32, body: &[u8], out: &mut Vec<u8>) {
        let Self { boxes, tracks } = self;
        each_frame(kind, ms.into(), body, |track, frame| {
            if let Some(number) = tracks.iter().position(|known| *known == track) {
                boxes.add(number, frame, out);
            }
        });
    }

    /// Bytes that are in no fragment yet.
    pub(super) fn pending_bytes(&self) -> usize {
        self.boxes.pending_bytes()
    }

    /// Appends what there is to `out`, but for the newest frame of each track.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        self.boxes.flush(out);
    }

    /// The rest of the file.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        self.boxes.end(out);
    }

    /// Where the file says how long it is, and the bytes that say so.
    pub(super) fn length(&self) -> (u64, Vec<u8>) {
        self.boxes.length()
    }
}

/// The frames of a message, each with the kind and number of its track.
pub(super) fn each_frame<'a>(
    kind: Kind,
    dts: u64,
    body: &'a [u8],
    mut take: impl FnMut((Kind, u8), Frame<'a>),
) {
    let mut take = |id, frame: Frame<'a>| {
        if !frame.data.is_empty() {
            take((kind, id), frame);
        }
    };
    match kind {
        Kind::Video => {
            let Some(video) = Video::parse(body).filter(|it| it.part == Part::Frame) else {
                return;
            };
            for (id, later, data) in video.frames(body) {
                take(id, Frame { data, dts, later, is_key: video.keyframe });
            }
        }
        Kind::Audio => {
            let Some(audio) = Audio::parse(body).filter(|it| it.part == Part::Frame) else {
                return;
            };
            for track in audio.tracks(body) {
                take(track.id, Frame { data: track.body, dts, later: 0, is_key: true });
            }
        }
        Kind::Data => {}
    }
}

/// Tracks as a file describes them, kind and number of each, and which further ones are left out.
pub(super) type Described = (Vec<TrackSpec>, Vec<(Kind, u8)>, LeftOut);

/// Describes tracks whose first message, of pictures a keyframe, has the body `first`.
///
/// # Errors
/// What to publish or to record instead, if a main track cannot be in the file.
pub(super) fn specs(tracks: &Tracks, first: &[u8]) -> Result<Described, String> {
    let (mut specs, mut numbers, mut left_out) = (Vec::new(), Vec::new(), None);
    for track in tracks.playable() {
        match spec(track, first) {
            Ok(spec) => {
                specs.push(spec);
                numbers.push((track.kind, track.id));
            }
            Err(fault) if track.id == 0 => return Err(fault),
            Err(fault) => left_out = Some(format!("track {} is left out: {fault}", track.id)),
        }
    }
    Ok((specs, numbers, left_out))
}

fn spec(track: &Track, first: &[u8]) -> Result<TrackSpec, String> {
    let header = track.header.as_deref();
    let is_main = track.id == 0;
    match track.codec {
        Codec::Video(format) => {
            let keyframe = is_main.then_some(first);
            let (entry, size) = video_entry(format, header, keyframe)?;
            Ok(TrackSpec { entry, size: Some(size), is_main })
        }
        Codec::Audio(format) => {
            Ok(TrackSpec { entry: audio_entry(format, header)?, size: None, is_main })
        }
    }
}

fn video_entry(
    format: VideoFormat,
    header: Option<&[u8]>,
    keyframe: Option<&[u8]>,
) -> Result<(Vec<u8>, (u32, u32)), String> {
    let (codec, name, config) = match format {
        VideoFormat::Avc => (PictureCodec::H264, b"avc1", b"avcC"),
        VideoFormat::Hevc => (PictureCodec::Hevc, b"hvc1", b"hvcC"),
        VideoFormat::Av1 => (PictureCodec::Av1, b"av01", b"av1C"),
        other => return Err(unfit(&other)),
    };
    let header = header.ok_or_else(|| no_header(&format))?;
    let video = keyframe.and_then(|body| Some((Video::parse(body)?, body)));
    let frame = video.and_then(|(video, body)| Some(video.frames(body).next()?.2));
    let frame = frame.ok_or("an MP4 holds one track of pictures; record FLV")?;
    let (width, height) = picture_size(codec, header, frame)
        .ok_or("the size of the pictures could not be read from the first keyframe")?;
    let side = |side: u32| u16::try_from(side).map_err(|_| "the pictures are too large");
    let (across, down) = (u32::from(side(width)?), u32::from(side(height)?));
    let mut entry = Vec::new();
    put_box(&mut entry, name, |out| {
        put_all(out, &[0, 1, 0, 0, 0, 0, across << 16 | down, 72 << 16, 72 << 16, 0]);
        out.extend_from_slice(&[0, 1]); // one picture in each frame
        out.resize(out.len() + 32, 0);
        out.extend_from_slice(&[0, 24, 0xff, 0xff]);
        put_box(out, config, |out| out.extend_from_slice(header));
    });
    Ok((entry, (across, down)))
}

fn audio_entry(format: AudioFormat, header: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let need = || header.ok_or_else(|| no_header(&format));
    let mut entry = Vec::new();
    match format {
        AudioFormat::Aac => {
            let header = need()?;
            let config = aac::Config::parse(header).ok_or("the AAC header cannot be read")?;
            put_box(&mut entry, b"mp4a", |out| {
                put_audio(out, config.channels.max(1).into(), config.rate);
                put_esds(out, header);
            });
        }
        AudioFormat::Opus => {
            let short = "the Opus header is cut short";
            let head = need()?.strip_prefix(b"OpusHead").ok_or(short)?;
            let (fixed, table) = head.split_first_chunk::<11>().ok_or(short)?;
            let [_, channels, skip_a, skip_b, rate @ .., gain_a, gain_b, family] = *fixed;
            put_box(&mut entry, b"Opus", |out| {
                put_audio(out, channels.into(), 48_000);
                put_box(out, b"dOps", |out| {
                    // The same fields, the other way round.
                    out.extend_from_slice(&[0, channels, skip_b, skip_a]);
                    out.extend(rate.iter().rev());
                    out.extend_from_slice(&[gain_b, gain_a, family]);
                    out.extend_from_slice(if family == 0 { &[] } else { table });
                });
            });
        }
        other => return Err(unfit(&other)),
    }
    Ok(entry)
}

/// What every sample entry of audio begins with. A rate that has no place is in the codec's header.
fn put_audio(out: &mut Vec<u8>, channels: u32, rate: u32) {
    let rate = u16::try_from(rate).unwrap_or(0);
    put_all(out, &[0, 1, 0, 0, channels << 16 | 16, 0, u32::from(rate) << 16]);
}

/// The descriptors of ISO/IEC 14496-1 around an `AudioSpecificConfig`.
fn put_esds(out: &mut Vec<u8>, config: &[u8]) {
    let mut decoder = vec![0x40, 0x15]; // MPEG-4 audio, a stream of it
    decoder.resize(13, 0);
    put_descriptor(&mut decoder, 5, config);
    let mut stream = vec![0; 3];
    put_descriptor(&mut stream, 4, &decoder);
    put_descriptor(&mut stream, 6, &[2]);
    put_box(out, b"esds", |out| {
        put_all(out, &[0]);
        put_descriptor(out, 3, &stream);
    });
}

fn put_descriptor(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    let length = u32::try_from(body.len()).unwrap_or(0);
    let digit = |shift: u32| u8::try_from(length >> shift & 0x7f).unwrap_or(0);
    out.extend_from_slice(&[tag, digit(21) | 0x80, digit(14) | 0x80, digit(7) | 0x80, digit(0)]);
    out.extend_from_slice(body);
}

fn unfit(codec: &dyn std::fmt::Display) -> String {
    format!(
        "{codec} is not recorded as MP4; publish H.264, HEVC or AV1 with AAC or Opus, or record FLV"
    )
}

/// Why frames of a track that has had no header are not in the file.
pub(super) fn without_header(codec: Codec) -> String {
    if codec.needs_header_in_mp4() { no_header(&codec) } else { unfit(&codec) }
}

fn no_header(codec: &dyn std::fmt::Display) -> String {
    format!("the publisher has sent {codec} without its sequence header")
}
