//! Messages of a stream as packets of a fragmented MP4.

use crate::ffi::mux::{Mux, MuxAudio, MuxCodec, MuxPacket, MuxVideo, Track};
use crate::media::{Kind, aac};
use crate::rtmp::flv::{Audio, AudioFormat, Part, Video, VideoFormat};

/// Writes one file.
#[derive(Debug)]
pub(super) struct Mp4 {
    mux: Mux,
    /// Newest decoding time of each track, milliseconds: pictures, sound.
    newest: [Option<i64>; 2],
    /// How long a packet of each track lasts, milliseconds, as seen so far.
    usual: [i64; 2],
}

/// What a file begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning<'a> {
    /// The message with the video codec's header.
    pub(super) video: Option<&'a [u8]>,
    /// The message with the audio codec's header.
    pub(super) audio: Option<&'a [u8]>,
    /// The first message of the file.
    pub(super) first: &'a [u8],
}

impl Mp4 {
    /// Begins a file.
    ///
    /// # Errors
    /// What to publish instead, if a codec cannot be in the file.
    pub(super) fn begin(with: Beginning<'_>) -> Result<Self, String> {
        let video = with.video.map(|header| video_track(header, with.first)).transpose()?;
        let audio = with.audio.map(audio_track).transpose()?;
        Ok(Self { mux: Mux::open(video, audio)?, newest: [None; 2], usual: [33, 21] })
    }

    /// Adds a message with its time in the file. What has no place in the file is left out.
    pub(super) fn write(&mut self, kind: Kind, ms: u32, body: &[u8]) {
        let (track, later, key, payload) = match kind {
            Kind::Video => match Video::parse(body) {
                Some(video) if video.part == Part::Frame && video.track.unwrap_or(0) == 0 => {
                    let later = i64::from(video.composition_ms).max(0);
                    (Track::Video, later, video.keyframe, body.get(video.payload_at..))
                }
                _ => return,
            },
            Kind::Audio => match Audio::parse(body) {
                Some(audio) if audio.part == Part::Frame && audio.track.unwrap_or(0) == 0 => {
                    (Track::Audio, 0, true, body.get(audio.payload_at..))
                }
                _ => return,
            },
            Kind::Data => return,
        };
        let Some(data) = payload.filter(|data| !data.is_empty() && self.mux.has(track)) else {
            return;
        };
        let slot = track as usize;
        let mut dts = i64::from(ms);
        if let Some(newest) = self.newest[slot] {
            dts = dts.max(newest + 1);
            self.usual[slot] = (dts - newest).min(USUAL_MS_MAX);
        }
        self.newest[slot] = Some(dts);
        let pts = (i64::from(ms) + later).max(dts);
        let packet = MuxPacket { data, dts, pts, duration: self.usual[slot], key };
        if let Err(error) = self.mux.write(track, &packet) {
            tracing::debug!("a packet does not go into the MP4: {error}");
        }
    }

    /// Moves what is complete to the end of `out`; with `flush`, that is everything.
    pub(super) fn take(&mut self, flush: bool, out: &mut Vec<u8>) {
        if flush {
            self.mux.flush();
        }
        self.mux.take_output(out);
    }

    /// The rest of the file.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        self.mux.finish();
        self.mux.take_output(out);
    }
}

/// Longest time that the last packet of a fragment is shown, milliseconds.
const USUAL_MS_MAX: i64 = 1_000;

fn video_track<'a>(header: &'a [u8], first: &'a [u8]) -> Result<MuxVideo<'a>, String> {
    let (Some(head), Some(key)) = (Video::parse(header), Video::parse(first)) else {
        return Err("the video's header is cut short".to_owned());
    };
    let codec = match head.format {
        VideoFormat::Avc => MuxCodec::H264,
        VideoFormat::Hevc => MuxCodec::Hevc,
        VideoFormat::Av1 => MuxCodec::Av1,
        other => return Err(unfit(&format!("{other:?}"))),
    };
    let (header, keyframe) = (header.get(head.payload_at..), first.get(key.payload_at..));
    Ok(MuxVideo {
        codec,
        header: header.unwrap_or_default(),
        keyframe: keyframe.unwrap_or_default(),
    })
}

fn audio_track(header: &[u8]) -> Result<MuxAudio<'_>, String> {
    let head = Audio::parse(header).ok_or("the sound's header is cut short")?;
    let header = header.get(head.payload_at..).unwrap_or_default();
    let (codec, rate, channels) = match head.format {
        AudioFormat::Aac => {
            let config = aac::Config::parse(header).ok_or("the AAC header cannot be read")?;
            (MuxCodec::Aac, config.rate, u32::from(config.channels.max(1)))
        }
        AudioFormat::Opus => {
            let channels = header.get(9).copied().ok_or("the Opus header is cut short")?;
            (MuxCodec::Opus, 48_000, u32::from(channels))
        }
        other => return Err(unfit(&format!("{other:?}"))),
    };
    Ok(MuxAudio { codec, header, rate, channels })
}

fn unfit(codec: &str) -> String {
    format!(
        "{codec} is not recorded as MP4; publish H.264, HEVC or AV1 with AAC or Opus, or \
             record FLV"
    )
}
