//! The encode stage: plain threads that take frames and audio from their rings, encode them, and
//! hand finished RTMP messages to the stream's home shard.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use super::body_header::{VideoForm, put_audio_header, put_video_header};
use super::channel::{RawAudio, Timeline};
use super::in_encoder::InEncoder;
use super::metadata;
use super::origin::OriginStamps;
use super::pace::{self, CpuShare, Pace};
use super::smaller::Smaller;
use super::tee::{RawFrame, Share};
use crate::command::{ChannelSwitch, Encoded};
use crate::encode::{
    self, AudioEncoder, AudioPacket, AudioSink, AudioSpec, EncoderChange, EncoderSink, Error,
    FallbackEncoder, Picture, VideoEncoder, VideoPacket, VideoSink, VideoSpec,
};
use crate::frame::{PacketBuf, PacketPool};
use crate::media::{
    AudioCodec, CHANNELS, FrameId, Kind, Micros, Point, SAMPLE_RATE, Size, Stamp, Stamps,
};
use crate::ring::{Bell, Receiver, Sender};
use crate::rtmp::flv::Part;
use crate::runtime::{Clock, thread_id};
use crate::stats::{ChannelStats, DropReason, OriginClock};
use crate::stream::{Flags, Message};
use crate::trace::{WORKER_RECORDS, begin_recording};

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
    /// The track of the stream that video is; 0 has the form that all players know.
    pub track: u8,
    /// The figures.
    pub stats: Arc<ChannelStats>,
}

/// Gives the message to all of them, by reference.
fn push_to_all(rings: &mut [EncodedRing], message: &Message, due: Micros, stamps: &Stamps) {
    for EncodedRing { ring, stats, .. } in rings {
        if ring.push(Encoded { message: message.clone(), due, stamps: *stamps }).is_err() {
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
    /// Its part of the CPUs.
    pub cpu: CpuShare,
    /// Where the video encoder says how many frames it leaves out.
    pub share: Share,
    /// Requests to the encoder.
    pub switch: Arc<ChannelSwitch>,
    /// Where an encoder says that it is open. Who started it says if it could not be opened.
    pub opened: SyncSender<Opened>,
    /// Told when another encoder encodes.
    pub changed: Arc<dyn Fn(&EncoderChange) + Send + Sync>,
    /// Figures.
    pub stats: Arc<ChannelStats>,
    /// What video is stamped by with where it comes from, if it is.
    pub origin: Option<Arc<OriginClock>>,
    /// The node's clock.
    pub clock: Clock,
}

impl EncodeShare {
    /// How the video encoder is run.
    fn pace(&self) -> Pace {
        let part = (self.cpu.clone(), self.share.clone());
        Pace::new((&self.video, self.timeline), &self.stats, part)
    }

    /// Nobody may wait for it, or have room for an encoder that is opened anew.
    fn tell_open(&self) {
        drop(self.opened.try_send(Ok(())));
    }

    /// Stamps of audio that was due then and comes out of its encoder now.
    fn audio_stamps(&self, due: Micros, first_sample: u64) -> Stamps {
        let block = first_sample / crate::frame::BLOCK_SAMPLES as u64;
        let (frame, now) = (FrameId::new(self.stats.source(), block), self.clock.stamp());
        let mut stamps = Stamps::due(frame, Stamp::of(due));
        [Point::Started, Point::Encoded].into_iter().for_each(|point| stamps.set(point, now));
        stamps
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
    begin_recording(thread_id(), WORKER_RECORDS);
    let mut worker = VideoWorker::open(share, out)?;
    share.tell_open();
    loop {
        #[cfg(test)]
        crate::runtime::fault::point();
        let Some(raw) = frames.pop() else {
            if frames.is_finished() {
                return worker.encoder.flush(&mut worker.sink);
            }
            bell.park(IDLE, || !frames.is_empty() || frames.is_finished());
            continue;
        };
        worker.take(&raw, &frames)?;
    }
}

/// A video encoder at work.
struct VideoWorker<'a> {
    share: &'a EncodeShare,
    encoder: FallbackEncoder,
    pace: Pace,
    /// Those that pictures may have.
    sizes: Vec<Size>,
    smaller: Smaller,
    /// Whether the next picture has to be a keyframe.
    owes_key: bool,
    bitrate: Bitrate,
    sink: VideoOut<'a>,
}

impl<'a> VideoWorker<'a> {
    fn open(share: &'a EncodeShare, mut out: Vec<EncodedRing>) -> Result<Self, Error> {
        out.sort_by_key(|ring| ring.track);
        let encoder = FallbackEncoder::open(&share.video, &share.packets)?;
        let mut worker = Self {
            pace: share.pace(),
            sizes: share.video.sizes(),
            smaller: Smaller::new(&share.video)?,
            owes_key: false,
            bitrate: Bitrate::new(share),
            sink: VideoOut {
                share,
                inside: InEncoder::new(share.clock, Arc::clone(&share.stats)),
                origin: share.origin.clone().map(|it| OriginStamps::new(it, share.video.codec)),
                out,
                times: VecDeque::new(),
                size: share.video.size,
            },
            encoder,
            share,
        };
        worker.sink.announce(worker.encoder.encoder());
        worker.opened()?;
        Ok(worker)
    }

    /// Another encoder was opened.
    fn opened(&mut self) -> Result<(), Error> {
        self.bitrate = Bitrate::new(self.share);
        self.pace.opened(&self.share.video, self.encoder.encoder_mut(), self.share.clock.now())
    }

    /// Encodes a frame, unless it is left out. Others wait in the ring.
    fn take(&mut self, raw: &RawFrame, frames: &Receiver<RawFrame>) -> Result<(), Error> {
        let share = self.share;
        self.pace.taken();
        #[cfg(test)]
        crate::runtime::fault::point_in("take");
        let taken = share.clock.stamp();
        self.smaller.change(&raw.changed);
        self.owes_key |= raw.is_key;
        if !self.pace.admits(raw.tick) && !self.owes_key {
            return Ok(());
        }
        if let Some(size) = self.pace.take_other_size() {
            self.resize(size)?;
        }
        let began = share.clock.now();
        let Some(frame) = self.smaller.picture(raw) else {
            share.stats.dropped(DropReason::PoolEmpty, 1);
            return Ok(());
        };
        self.bitrate.follow(share, self.encoder.encoder_mut());
        let force_key = self.pace.take_other_rate() || self.owes_key;
        self.owes_key = false;
        let pts = i64::try_from(raw.tick).unwrap_or(i64::MAX);
        self.sink.times.extend(raw.at.map(|at| (pts, at)));
        self.sink.inside.put(pts, raw.stamps, taken);
        let picture = Picture { frame, pts, force_key };
        #[cfg(test)]
        crate::runtime::fault::point_in("encode");
        if self.encoder.encode(&picture, began, &mut self.sink)? {
            self.opened()?;
        }
        let now = share.clock.now();
        let took = now.since(began);
        share.stats.encode_seconds(took);
        let tick = raw.at.map_or(raw.tick, |at| share.timeline.rate.tick_at(at));
        let waiting = frames.len();
        self.pace.encoded(&mut self.encoder, pace::Encoded { tick, now, took, waiting })
    }

    /// Encodes pictures of the size at this place from now on. Viewers get another header.
    fn resize(&mut self, at: usize) -> Result<(), Error> {
        let size = self.sizes.get(at).copied().unwrap_or(self.share.video.size);
        let now = self.share.clock.now();
        if let Err(error) = self.encoder.resize(size, now, &mut self.sink) {
            tracing::warn!("pictures of {size} are not encoded: {error}");
            self.pace.cannot_resize(now);
            return Ok(());
        }
        self.smaller.choose(at);
        self.owes_key = true;
        self.sink.size = size;
        self.sink.announce(self.encoder.encoder());
        self.bitrate = Bitrate::new(self.share);
        self.pace.resized(self.encoder.encoder_mut())
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
    inside: InEncoder,
    origin: Option<OriginStamps>,
    /// By their tracks.
    out: Vec<EncodedRing>,
    /// Times of the pictures that are in the encoder, by their places, of those that have times of
    /// their own. They come out in the order in which they went in: none of them is a B-picture.
    times: VecDeque<(i64, Micros)>,
    /// Of the pictures.
    size: Size,
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
        let video = VideoSpec { size: self.size, ..share.video.clone() };
        let body = metadata::body(&video, share.audio.as_ref());
        let due = share.clock.now();
        self.send_data(body, Flags::HEADER, Micros(0), due);
        let body = PacketBuf::copy_of(encoder.header());
        let form = VideoForm { key: true, part: Part::SequenceHeader, offset_ms: 0 };
        self.send(body, form, Micros(0), (due, Stamps::default()));
    }

    /// Sends data to all streams, which is about track 0.
    fn send_data(&mut self, body: PacketBuf, flags: Flags, at: Micros, due: Micros) {
        let message = self.share.message(Kind::Data, at, flags, body);
        let first = self.out.partition_point(|ring| ring.track == 0);
        push_to_all(&mut self.out[..first], &message, due, &Stamps::default());
    }

    /// Sends a body of video to all streams, at this time of theirs: those of which it is the same
    /// track get the very same message, and those of another track a copy with its header.
    fn send(
        &mut self,
        body: PacketBuf,
        form: VideoForm,
        at: Micros,
        (due, stamps): (Micros, Stamps),
    ) {
        let (share, mut body) = (self.share, Some(body));
        let mut left = self.out.as_mut_slice();
        while let Some(track) = left.first().map(|ring| ring.track) {
            let count = left.partition_point(|ring| ring.track == track);
            let (rings, rest) = left.split_at_mut(count);
            left = rest;
            let own = match &body {
                Some(whole) if !left.is_empty() => Some(copy_of(whole, &share.packets)),
                _ => body.take(),
            };
            let Some(mut own) = own else { return };
            put_video_header(&mut own, share.video.codec, track, form);
            let flags = match form {
                VideoForm { part: Part::SequenceHeader, .. } => Flags::header_of(track),
                VideoForm { key: true, .. } => Flags::key_of(track),
                _ => Flags::frame_of(track),
            };
            push_to_all(rings, &share.message(Kind::Video, at, flags, own), due, &stamps);
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
        let stamps = self.inside.take(pts);
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
        let due = share.timeline.start + at;
        let origin = self.origin.as_mut().and_then(|it| it.put(&mut body, (pts, due), key));
        if let Some(said) = origin {
            let mut data = share.packets.take(said.len());
            data.extend(&said);
            self.send_data(data, Flags::default(), decoded, due);
        }
        share.stats.encoded(body.len(), key);
        let form = VideoForm { key, part: Part::Frame, offset_ms };
        self.send(body, form, decoded, (due, stamps));
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
        push_to_all(&mut self.out, &message, self.share.clock.now(), &Stamps::default());
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
        let due = share.timeline.start + at;
        push_to_all(&mut self.out, &message, due, &share.audio_stamps(due, first_sample));
    }
}

/// A small body outside the pool: sequence headers, once per encoder.
fn with_header(header: &[u8], put: impl FnOnce(&mut PacketBuf)) -> PacketBuf {
    let mut body = PacketBuf::copy_of(header);
    put(&mut body);
    body
}

/// A packet of the same bytes, with room for a header of its own.
fn copy_of(body: &PacketBuf, packets: &PacketPool) -> PacketBuf {
    let mut copy = packets.take(body.len());
    copy.extend(body);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Keep;
    use crate::frame::{Geometry, PacketPoolSpec, Pool};
    use crate::media::{FrameRate, NodeId, OriginStamp, PixelFormat, VideoCodec};
    use crate::ring::channel;
    use crate::rtmp::{flv, read_origin};
    use crate::scene::Damage;

    #[test]
    fn a_bitrate_falls_at_once_and_rises_in_steps_that_are_worth_it() {
        let is_step = |now, wanted| is_step(now, wanted, 6_000_000);
        assert!(is_step(4_000_000, 3_999_000), "every fall");
        assert!(!is_step(4_000_000, 4_000_000) && !is_step(4_000_000, 4_300_000));
        assert!(is_step(4_000_000, 4_320_000));
        assert!(is_step(5_900_000, 6_000_000), "to the end");
    }

    fn share(keep: Keep) -> EncodeShare {
        let video = VideoSpec {
            codec: VideoCodec::H264,
            encoder: None,
            device: None,
            size: Size::new(128, 64).unwrap(),
            rate: FrameRate::FPS_30,
            format: PixelFormat::I420,
            bitrate_bps: 400_000,
            preset: "superfast".to_owned(),
            fastest_preset: Some("superfast".to_owned()),
            tune: String::new(),
            profile: String::new(),
            gop_frames: 600,
            b_frames: 0,
            threads: 1,
            keep,
        };
        EncodeShare {
            timeline: Timeline { rate: video.rate, start: Micros(0) },
            shift: Micros(0),
            video,
            audio: None,
            packets: PacketPool::new(PacketPoolSpec::default()).unwrap(),
            chunk_size: 4_096,
            cpu: CpuShare::default(),
            share: Share::default(),
            switch: Arc::default(),
            opened: std::sync::mpsc::sync_channel(1).0,
            changed: Arc::new(|_| {}),
            stats: Arc::default(),
            origin: None,
            clock: Clock::start(),
        }
    }

    #[test]
    fn each_track_has_a_header_of_its_own_before_the_same_bytes() {
        let share = share(Keep::Fps);
        let (streams, mut ends): (Vec<_>, Vec<_>) = [2, 0, 2]
            .map(|track| {
                let (ring, end) = channel(ENCODED_QUEUE, Bell::new());
                (EncodedRing { ring, track, stats: Arc::clone(&share.stats) }, end)
            })
            .into_iter()
            .unzip();
        let pool = Pool::new(Geometry::new(share.video.size, PixelFormat::I420), 2).unwrap();
        let (_ring, frames) = channel(1, Bell::new());
        let mut worker = VideoWorker::open(&share, streams).unwrap();
        for tick in 0..3 {
            let mut frame = pool.take().unwrap();
            frame.planes_mut().into_iter().for_each(|plane| plane.data.fill(90));
            let (frame, changed) = (frame.freeze(), Damage::whole(share.video.size));
            let raw = RawFrame {
                frame,
                tick,
                is_key: tick == 0,
                changed,
                at: None,
                stamps: Stamps::default(),
            };
            worker.take(&raw, &frames).unwrap();
        }
        worker.encoder.flush(&mut worker.sink).unwrap();
        let [third, first, again] = [0, 1, 2].map(|at| {
            let all = std::iter::from_fn(|| ends[at].pop().map(|it| it.message));
            all.filter(|message| message.kind() == Kind::Video).collect::<Vec<_>>()
        });
        assert_eq!(first.len(), 4, "a header and three pictures");
        for ((plain, track), same) in first.iter().zip(&third).zip(&again) {
            assert_eq!((plain.track(), track.track()), (0, 2));
            assert_eq!((plain.time(), plain.is_key()), (track.time(), track.is_key()));
            assert_eq!(plain.is_header(), track.is_header());
            assert_eq!(track.body().as_ptr(), same.body().as_ptr(), "one copy for each track");
            let [plain, track] = [plain, track].map(|it| flv::Video::parse(it.body()).unwrap());
            assert_eq!((plain.enhanced, track.track, track.enhanced), (false, Some(2), true));
        }
        // Coded frames without a composition time follow the number of the track at once.
        assert_eq!(third[0].body()[..7], *b"\x96\x00avc1\x02");
        assert_eq!(third[1].body()[..7], *b"\x96\x03avc1\x02");
        assert_eq!(third[2].body()[..7], *b"\xa6\x03avc1\x02");
        assert_eq!(third[1].body()[7..], first[1].body()[5..]);
    }

    #[test]
    fn keyframes_and_a_message_each_second_say_where_pictures_come_from() {
        let clock = Arc::new(OriginClock::new(NodeId::new(1, 2)));
        clock.set(1_780_000_000_000_000, None);
        let mut share = EncodeShare { origin: Some(clock), ..share(Keep::Fps) };
        share.timeline.start = Micros::from_secs(5);
        let (ring, mut end) = channel(ENCODED_QUEUE, Bell::new());
        let out = vec![EncodedRing { ring, track: 0, stats: Arc::clone(&share.stats) }];
        let pool = Pool::new(Geometry::new(share.video.size, PixelFormat::I420), 2).unwrap();
        let (_ring, frames) = channel(1, Bell::new());
        let mut worker = VideoWorker::open(&share, out).unwrap();
        for tick in 0..75 {
            let mut frame = pool.take().unwrap();
            frame.planes_mut().into_iter().for_each(|plane| plane.data.fill(90));
            let (frame, changed) = (frame.freeze(), Damage::whole(share.video.size));
            let is_key = tick % 50 == 0;
            let stamps = Stamps::default();
            worker
                .take(&RawFrame { frame, tick, is_key, changed, at: None, stamps }, &frames)
                .unwrap();
        }
        worker.encoder.flush(&mut worker.sink).unwrap();
        let all: Vec<_> = std::iter::from_fn(|| end.pop().map(|it| it.message)).collect();
        let stamp = |frame: u64| {
            let unix_us = 1_780_000_005_000_000 + frame * 1_000_000 / 30;
            Some(OriginStamp { unix_us, node: NodeId::new(1, 2), frame })
        };
        let pictures = all.iter().filter(|it| it.kind() == Kind::Video && !it.is_header());
        for (frame, picture) in (0..).zip(pictures) {
            let video = flv::Video::parse(picture.body()).unwrap();
            let units = &picture.body()[video.payload_at..];
            let found = OriginStamp::in_picture(VideoCodec::H264, units);
            assert_eq!(found, stamp(frame).filter(|_| frame % 50 == 0), "{frame}");
        }
        let said = |it: &Message| Some((it.time(), read_origin(it.body())?));
        let said: Vec<_> = all.iter().filter_map(said).collect();
        let wanted = [0, 30, 60].map(|frame| (u32::try_from(frame * 100 / 3).unwrap(), frame));
        assert_eq!(said, wanted.map(|(time, frame)| (time, stamp(frame).unwrap())));
    }

    #[test]
    fn another_size_begins_with_a_new_header_and_a_keyframe_for_all_streams_and_leaves_no_gap() {
        let share = share(Keep::Fps);
        let (streams, mut ends): (Vec<_>, Vec<_>) = (0..2)
            .map(|_| {
                let (ring, end) = channel(ENCODED_QUEUE, Bell::new());
                (EncodedRing { ring, track: 0, stats: Arc::clone(&share.stats) }, end)
            })
            .unzip();
        let canvas = share.video.size;
        let pool = Pool::new(Geometry::new(canvas, PixelFormat::I420), 2).unwrap();
        let (_ring, frames) = channel(1, Bell::new());
        let mut worker = VideoWorker::open(&share, streams).unwrap();
        for tick in 0..30 {
            match tick {
                10 => worker.resize(2).unwrap(),
                20 => worker.resize(0).unwrap(),
                _ => {}
            }
            let mut frame = pool.take().unwrap();
            frame.planes_mut().into_iter().for_each(|plane| plane.data.fill(90));
            let (frame, changed) = (frame.freeze(), Damage::whole(canvas));
            let raw = RawFrame {
                frame,
                tick,
                is_key: tick == 0,
                changed,
                at: None,
                stamps: Stamps::default(),
            };
            worker.take(&raw, &frames).unwrap();
        }
        worker.encoder.flush(&mut worker.sink).unwrap();
        let [first, second] = [0, 1].map(|at| {
            let all = std::iter::from_fn(|| ends[at].pop().map(|it| it.message));
            all.collect::<Vec<_>>()
        });
        assert!(first.iter().zip(&second).all(|it| it.0.body().as_ptr() == it.1.body().as_ptr()));
        let video = || first.iter().filter(|message| message.kind() == Kind::Video);
        let headers: Vec<_> = video().filter(|message| message.is_header()).collect();
        assert_eq!(headers.len(), 3);
        assert_ne!(headers[0].body(), headers[1].body());
        assert_eq!(headers[0].body(), headers[2].body());
        let pictures: Vec<_> = video().filter(|message| !message.is_header()).collect();
        let keys = pictures.iter().enumerate().filter(|(_, message)| message.is_key());
        assert_eq!(keys.map(|(at, _)| at).collect::<Vec<_>>(), [0, 10, 20]);
        let times: Vec<_> = pictures.iter().map(|message| message.time()).collect();
        assert!(times.windows(2).all(|pair| (33..=34).contains(&(pair[1] - pair[0]))), "{times:?}");
        let about = first.iter().filter(|message| message.kind() == Kind::Data);
        let width = |message: &Message| {
            let at = message.body().windows(5).position(|it| it == b"width").unwrap() + 6;
            f64::from_be_bytes(message.body()[at..at + 8].try_into().unwrap())
        };
        assert_eq!(about.map(width).collect::<Vec<_>>(), [128.0, 64.0, 128.0]);
    }
}
