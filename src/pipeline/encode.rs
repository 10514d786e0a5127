//! The encode stage: plain threads that take frames and audio from their rings, encode them, and
//! hand finished RTMP messages to the stream's home shard.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use super::channel::{RawAudio, Timeline};
use super::metadata;
use super::pace::Pace;
use super::tee::RawFrame;
use crate::command::{ChannelSwitch, Encoded};
use crate::encode::{
    self, AudioEncoder, AudioPacket, AudioSink, AudioSpec, EncoderChange, EncoderSink, Error,
    FallbackEncoder, Picture, Sample, VideoEncoder, VideoPacket, VideoSink, VideoSpec,
};
use crate::frame::{PacketBuf, PacketPool};
use crate::media::{AudioCodec, CHANNELS, Kind, Micros, SAMPLE_RATE, VideoCodec};
use crate::ring::{Bell, Receiver, Sender};
use crate::rtmp::flv::{self, AudioFormat, AvcPacket, Part, VideoFormat};
use crate::runtime::Clock;
use crate::stats::ChannelStats;
use crate::stream::{Flags, Message};

/// Messages that may wait between an encoder and its shard: more than a second of either kind.
pub const ENCODED_QUEUE: usize = 256;

/// How long an idle encoder sleeps before it looks again, should a ring of the bell be missed.
const IDLE: Duration = Duration::from_millis(500);

/// Says of an encoder that it is open, or which one could not be opened, and why.
pub type Opened = Result<(), (String, Error)>;

/// An encoder's end of a ring to a shard, and the figures of whose stream it feeds.
pub struct EncodedRing {
    /// The ring.
    pub ring: Sender<Encoded>,
    /// The figures.
    pub stats: Arc<ChannelStats>,
}

/// Gives the message to all of them, by reference.
fn push_to_all(rings: &mut [EncodedRing], message: &Message, due: Micros) {
    for EncodedRing { ring, stats } in rings {
        if ring.push(Encoded { message: message.clone(), due }).is_err() {
            stats.encoded_dropped();
        }
    }
}

/// What an encoder's thread is given.
#[derive(Clone)]
pub struct EncodeShare {
    /// The grid of its pictures.
    pub timeline: Timeline,
    /// What all times of the channel are put behind: decode times may be before the first frame
    /// when there are B-pictures; RTMP times may not.
    pub shift: Micros,
    /// What video is made.
    pub video: VideoSpec,
    /// What audio is made.
    pub audio: Option<AudioSpec>,
    /// Where packets come from.
    pub packets: PacketPool,
    /// Out chunk size of the node, bytes.
    pub chunk_size: u32,
    /// Requests to the encoder.
    pub switch: Arc<ChannelSwitch>,
    /// Where an encoder says that it is open. Who started it says if it could not be opened.
    pub opened: SyncSender<Opened>,
    /// Told when another encoder encodes.
    pub changed: Arc<dyn Fn(&EncoderChange) + Send + Sync>,
    /// Figures.
    pub stats: Arc<ChannelStats>,
    /// The node's clock.
    pub clock: Clock,
}

impl EncodeShare {
    /// How an encoder that has just been opened is run.
    fn pace(&self, encoder: &mut dyn VideoEncoder) -> Result<Pace, Error> {
        Pace::new((&self.video, self.timeline), encoder, &self.stats, self.clock.now())
    }

    /// Nobody may wait for it, or have room for an encoder that is opened anew.
    fn tell_open(&self) {
        drop(self.opened.try_send(Ok(())));
    }

    fn message(&self, kind: Kind, at: Micros, flags: Flags, body: PacketBuf) -> Message {
        #[expect(clippy::cast_possible_truncation, reason = "RTMP time is modulo 2^32")]
        let time = at.millis() as u32;
        let time = time.wrapping_add(self.switch.base_ms());
        Message::new(kind, time, flags, body, self.chunk_size)
    }
}

/// Encodes video until `frames` ends. Runs on its own thread.
///
/// # Errors
/// If no encoder could be opened, or its device failed again and again.
pub fn video(
    share: &EncodeShare,
    mut frames: Receiver<RawFrame>,
    bell: &Bell,
    out: Vec<EncodedRing>,
) -> Result<(), Error> {
    let mut sink = VideoOut { share, out, times: VecDeque::new() };
    let mut encoder = FallbackEncoder::open(&share.video, &share.packets)?;
    sink.announce(encoder.encoder());
    share.tell_open();
    let mut pace = share.pace(encoder.encoder_mut())?;
    let mut bitrate = Bitrate::new(share);
    loop {
        #[cfg(test)]
        crate::runtime::fault::point();
        let Some(RawFrame { frame, tick, is_key, at, .. }) = frames.pop() else {
            if frames.is_finished() {
                return encoder.flush(&mut sink);
            }
            bell.park(IDLE, || !frames.is_empty() || frames.is_finished());
            continue;
        };
        if !pace.admits(tick) && !is_key {
            continue;
        }
        let began = share.clock.now();
        bitrate.follow(share, encoder.encoder_mut());
        let force_key = pace.take_other_rate() || is_key;
        let pts = i64::try_from(tick).unwrap_or(i64::MAX);
        sink.times.extend(at.map(|at| (pts, at)));
        let picture = Picture { frame, pts, force_key };
        if encoder.encode(&picture, began, &mut sink)? {
            pace = share.pace(encoder.encoder_mut())?;
            bitrate = Bitrate::new(share);
        }
        let now = share.clock.now();
        let took = now.since(began);
        share.stats.encode_seconds(took);
        let due_tick = at.map_or(tick, |at| share.timeline.rate.tick_at(at));
        let sample = Sample { now, took, waiting: frames.len() };
        pace.encoded(encoder.encoder_mut(), due_tick, sample)?;
    }
}

/// The bitrate of an encoder, which follows what control asks for.
#[derive(Debug)]
struct Bitrate {
    /// What was asked for last, bits per second.
    asked_bps: u32,
}

impl Bitrate {
    /// Of an encoder that has just been opened.
    fn new(share: &EncodeShare) -> Self {
        share.stats.target(share.video.bitrate_bps);
        Self { asked_bps: share.video.bitrate_bps }
    }

    /// An encoder that cannot change it goes on as it is.
    fn follow(&mut self, share: &EncodeShare, encoder: &mut dyn VideoEncoder) {
        let Some(wanted) = share.switch.bitrate() else { return };
        if !is_step(self.asked_bps, wanted, share.video.bitrate_bps) {
            return;
        }
        self.asked_bps = wanted;
        match encoder.set_bitrate(wanted) {
            Ok(()) => share.stats.target(wanted),
            Err(error) => tracing::debug!("the bitrate stays as it is: {error}"),
        }
    }
}

/// Least rise of a bitrate, in parts of it, but for the last one to all of it: some encoders are
/// opened anew for each.
const RISE_MIN: f64 = 0.08;

/// Whether an encoder that makes `now` is to make `wanted` of the `whole`, bits per second.
fn is_step(now: u32, wanted: u32, whole: u32) -> bool {
    wanted < now
        || f64::from(wanted) >= f64::from(now) * (1.0 + RISE_MIN)
        || wanted == whole && wanted > now
}

struct VideoOut<'a> {
    share: &'a EncodeShare,
    out: Vec<EncodedRing>,
    /// Times of the pictures that are in the encoder, by their places, of those that have times of
    /// their own. They come out in the order in which they went in: none of them is a B-picture.
    times: VecDeque<(i64, Micros)>,
}

impl VideoOut<'_> {
    /// The own time of the picture at this place, if it has one.
    fn own_time(&mut self, pts: i64) -> Option<Micros> {
        // The encoder may have dropped those before it.
        while self.times.front().is_some_and(|(place, _)| *place < pts) {
            self.times.pop_front();
        }
        let (_, at) = *self.times.front().filter(|(place, _)| *place == pts)?;
        self.times.pop_front();
        Some(at)
    }

    /// Sends what viewers need before the first picture.
    fn announce(&mut self, encoder: &dyn VideoEncoder) {
        let share = self.share;
        share.stats.encoder(encoder.name());
        let body = metadata::body(&share.video, share.audio.as_ref());
        let metadata = share.message(Kind::Data, Micros(0), Flags::HEADER, body);
        let codec = share.video.codec;
        let body = with_header(encoder.header(), |body| {
            put_video_header(body, codec, true, Part::SequenceHeader, 0);
        });
        let header = share.message(Kind::Video, Micros(0), Flags::HEADER, body);
        let due = share.clock.now();
        for message in [metadata, header] {
            push_to_all(&mut self.out, &message, due);
        }
    }
}

impl EncoderSink for VideoOut<'_> {
    fn changed(&mut self, change: &EncoderChange, encoder: &dyn VideoEncoder) {
        self.announce(encoder);
        self.share.stats.encoder_changed(change.from, change.to, change.reason.label());
        (self.share.changed)(change);
    }
}

impl VideoSink for VideoOut<'_> {
    fn packet(&mut self, packet: VideoPacket) {
        let VideoPacket { mut body, pts, dts, key } = packet;
        let own = self.own_time(pts);
        let share = self.share;
        let rate = share.timeline.rate;
        let at = own.unwrap_or_else(|| rate.due(u64::try_from(pts).unwrap_or(0)));
        let shown = at + share.shift;
        let decoded = match own {
            Some(_) => shown,
            None if dts >= 0 => rate.due(dts.unsigned_abs()) + share.shift,
            None => share.shift - rate.due(dts.unsigned_abs()),
        };
        let offset_ms = i32::try_from(shown.millis() - decoded.millis()).unwrap_or(0);
        put_video_header(&mut body, share.video.codec, key, Part::Frame, offset_ms);
        share.stats.encoded(body.len(), key);
        let flags = if key { Flags::KEY } else { Flags::default() };
        let message = share.message(Kind::Video, decoded, flags, body);
        push_to_all(&mut self.out, &message, share.timeline.start + at);
    }
}

/// Encodes audio until `audio` ends. Runs on its own thread.
///
/// # Errors
/// If the encoder could not be opened or failed.
pub fn audio(
    share: &EncodeShare,
    spec: AudioSpec,
    mut audio: Receiver<RawAudio>,
    bell: &Bell,
    out: Vec<EncodedRing>,
) -> Result<(), Error> {
    let mut encoder = encode::open_audio(&spec, &share.packets)?;
    let mut sink = AudioOut { share, out, codec: spec.codec };
    sink.announce(&*encoder);
    share.tell_open();
    loop {
        #[cfg(test)]
        crate::runtime::fault::point();
        let Some(RawAudio { block, first_sample }) = audio.pop() else {
            if audio.is_finished() {
                return encoder.flush(&mut sink);
            }
            bell.park(IDLE, || !audio.is_empty() || audio.is_finished());
            continue;
        };
        encoder.encode(&block.data[..block.samples * CHANNELS], first_sample, &mut sink)?;
    }
}

struct AudioOut<'a> {
    share: &'a EncodeShare,
    out: Vec<EncodedRing>,
    codec: AudioCodec,
}

impl AudioOut<'_> {
    fn announce(&mut self, encoder: &dyn AudioEncoder) {
        let body = with_header(encoder.header(), |body| put_audio_header(body, self.codec, true));
        let message = self.share.message(Kind::Audio, Micros(0), Flags::HEADER, body);
        push_to_all(&mut self.out, &message, self.share.clock.now());
    }
}

impl AudioSink for AudioOut<'_> {
    fn packet(&mut self, packet: AudioPacket) {
        let AudioPacket { mut body, first_sample } = packet;
        let share = self.share;
        // What the encoder puts before the first sample is not part of the programme.
        let Ok(first_sample) = u64::try_from(first_sample) else { return };
        put_audio_header(&mut body, self.codec, false);
        share.stats.audio_encoded(body.len());
        let at = Micros(first_sample * 1_000_000 / u64::from(SAMPLE_RATE));
        let message = share.message(Kind::Audio, at + share.shift, Flags::default(), body);
        push_to_all(&mut self.out, &message, share.timeline.start + at);
    }
}

/// A small body outside the pool: sequence headers, once per encoder.
fn with_header(header: &[u8], put: impl FnOnce(&mut PacketBuf)) -> PacketBuf {
    let mut body = PacketBuf::copy_of(header);
    put(&mut body);
    body
}

/// Puts in front of `body` what RTMP says of video of this codec.
fn put_video_header(
    body: &mut PacketBuf,
    codec: VideoCodec,
    key: bool,
    part: Part,
    offset_ms: i32,
) {
    let format = match codec {
        VideoCodec::H264 if part == Part::SequenceHeader => {
            return body.prepend(&flv::avc_header(key, AvcPacket::SequenceHeader, 0));
        }
        VideoCodec::H264 => {
            return body.prepend(&flv::avc_header(key, AvcPacket::Nalus, offset_ms));
        }
        VideoCodec::Hevc => VideoFormat::Hevc,
        VideoCodec::Av1 => VideoFormat::Av1,
    };
    body.prepend(&flv::enhanced_video_header(format, key, part, offset_ms));
}

/// The same for audio.
fn put_audio_header(body: &mut PacketBuf, codec: AudioCodec, is_header: bool) {
    match codec {
        AudioCodec::Aac => body.prepend(&flv::aac_header(is_header)),
        AudioCodec::Opus => {
            body.prepend(&flv::enhanced_audio_header(AudioFormat::Opus, is_header));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitrate_falls_at_once_and_rises_in_steps_that_are_worth_it() {
        let is_step = |now, wanted| is_step(now, wanted, 6_000_000);
        assert!(is_step(4_000_000, 3_999_000), "every fall");
        assert!(!is_step(4_000_000, 4_000_000) && !is_step(4_000_000, 4_300_000));
        assert!(is_step(4_000_000, 4_320_000));
        assert!(is_step(5_900_000, 6_000_000), "to the end");
    }
}
