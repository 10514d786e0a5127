//! The transcode stage: a plain thread that decodes a published stream once, and hands its
//! pictures, at the times that they have there, to the encoders of its renditions. Audio that these
//! may carry passes through.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::channel::RawAudio;
use super::decode::Retry;
use super::encode::EncodedRing;
use super::source::{RateProbe, SourceKeyframes};
use super::tee::{Drawn, Tee};
use crate::audio::AudioFramer;
use crate::command::{ChannelSwitch, Encoded, SubscriptionEvent};
use crate::decode::{DecodeSink, Live};
use crate::frame::{AudioBlock, BLOCK_SAMPLES, FrozenFrame, PictureEvent};
use crate::media::{
    CHANNELS, FrameId, FrameRate, Kind, Micros, Point, SAMPLE_RATE, Size, Stamp, Stamps,
    UnwrappedTime,
};
use crate::ring::{Bell, Receiver, Sender};
use crate::rtmp::flv::{Audio, AudioFormat, Part, Video};
use crate::runtime::{Clock, StopFlag};
use crate::scene::Damage;
use crate::stats::next_source;
use crate::stream::Message;

/// A picture that came so long ago is decoded and not encoded: what a stream was before somebody
/// asked for its renditions, and what a decoder has not had the time for.
const LATE_MAX: Micros = Micros::from_secs(1);

/// Messages that wait until the frame rate is known, at most. With more of them it is guessed.
const PENDING_MAX: usize = 512;

/// Pictures whose being keyframes is remembered while the decoder has them; more of them than it
/// ever holds. The oldest are forgotten.
const KEYS_MAX: usize = 64;

/// A source of which no picture could be decoded for so long is told of.
const BLIND_MS_MAX: i64 = 5_000;

/// How far audio may be from where it is expected before it is put there, samples: 40 ms.
const AUDIO_JUMP_MIN: u64 = SAMPLE_RATE as u64 / 25;

/// First of the waits between the tries to begin renditions that could not be.
const RETRY_MIN: Micros = Micros::from_secs(2);

/// How long an idle thread sleeps before it looks again, should a ring of the bell be missed.
const IDLE: Duration = Duration::from_millis(500);

/// What the renditions of a source are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceFacts {
    /// Size of its pictures.
    pub size: Size,
    /// How many of them come in a second, about.
    pub rate: FrameRate,
    /// Codec of its audio, if any has come.
    pub audio: Option<AudioFormat>,
    /// When its first picture came.
    pub start: Micros,
    /// Time of that picture in the stream, milliseconds modulo 2^32.
    pub base_ms: u32,
}

/// Where the audio of a source goes.
pub enum LadderAudio {
    /// Nowhere.
    None,
    /// To these streams, as it is.
    Passed(Vec<EncodedRing>),
    /// To an encoder.
    Encoded(Sender<RawAudio>),
}

/// Encoders that make the renditions of a source, at one size of its pictures. They end when this
/// is dropped.
pub struct Ladder {
    /// To the encoders and scalers.
    pub tee: Tee,
    /// Where audio goes.
    pub audio: LadderAudio,
    /// Stops its streams.
    pub switch: Arc<ChannelSwitch>,
    /// Which pictures are keyframes.
    pub keys: SourceKeyframes,
}

/// Who makes the renditions, and hears of them.
pub trait Renditions {
    /// Whether audio of this codec passes through.
    fn passes(&self, audio: AudioFormat) -> bool;

    /// Starts the encoders for a source like this.
    ///
    /// # Errors
    /// Why they cannot be started. That is tried again some time later.
    fn begin(&mut self, source: &SourceFacts) -> Result<Ladder, String>;

    /// They have been ended.
    fn ended(&mut self, why: &str);

    /// Nothing can be made of the source, or there are no encoders.
    fn failed(&mut self, why: &str);
}

/// A source that is decoded, and its renditions while there are pictures.
pub struct Transcode<R> {
    decoder: Live,
    renditions: R,
    source: Source,
    running: Option<Running>,
    decoded: Decoded,
    retry: Retry,
    retry_at: Micros,
}

/// What is known of the present publisher.
#[derive(Default)]
struct Source {
    times: UnwrappedTime,
    rate: RateProbe,
    /// What came before the rate was known.
    pending: Vec<(Message, Micros)>,
    is_measured: bool,
    /// When those pictures are shown that are keyframes, milliseconds.
    keys: VecDeque<i64>,
    audio: Option<AudioFormat>,
    audio_header: Option<Message>,
    /// Time of the first picture since one could be decoded, and whether that was told.
    blind_since: Option<i64>,
    is_blind_told: bool,
}

struct Running {
    ladder: Ladder,
    size: Size,
    /// Time of its first picture, and of its newest.
    first: Micros,
    newest: Option<Micros>,
    /// Its number as a source of frames.
    number: u16,
    audio_sender: AudioSender,
}

/// What the decoder has given out.
#[derive(Default)]
struct Decoded {
    pictures: Vec<(FrozenFrame, Micros)>,
    audio: Vec<AudioBlock>,
}

impl DecodeSink for Decoded {
    fn picture(&mut self, picture: PictureEvent) {
        if let PictureEvent::Picture { frame, at } = picture {
            self.pictures.push((frame, at));
        }
    }

    fn audio(&mut self, block: &AudioBlock) {
        self.audio.push(block.clone());
    }
}

/// Transcodes until `stop`, or until the subscription is gone. Runs on its own thread.
pub fn transcode<R: Renditions>(
    mut stage: Transcode<R>,
    mut subscription: Receiver<SubscriptionEvent>,
    bell: &Bell,
    stop: &StopFlag,
    clock: Clock,
) {
    while !stop.is_stopped() {
        #[cfg(test)]
        crate::runtime::fault::point();
        match subscription.pop() {
            Some(SubscriptionEvent::Message(message, arrived)) => {
                stage.message(message, arrived, clock.now());
            }
            Some(SubscriptionEvent::Ended { .. }) => stage.source_left(clock.now()),
            None if subscription.is_finished() => break,
            None => bell.park(IDLE, || {
                stop.is_stopped() || !subscription.is_empty() || subscription.is_finished()
            }),
        }
    }
    stage.leave();
}

impl<R: Renditions> Transcode<R> {
    /// Of a source that `decoder` decodes.
    #[must_use]
    pub fn new(decoder: Live, renditions: R) -> Self {
        Self {
            decoder,
            renditions,
            source: Source::default(),
            running: None,
            decoded: Decoded::default(),
            retry: Retry::from(RETRY_MIN),
            retry_at: Micros(0),
        }
    }

    /// Takes a message of the source.
    fn message(&mut self, message: Message, arrived: Micros, now: Micros) {
        if self.source.is_measured {
            return self.take(&message, arrived, now);
        }
        let is_frame = message.kind() == Kind::Video && !message.is_header();
        if is_frame && message.track() == 0 {
            // The wrap is of no matter here: it lasts a second.
            self.source.rate.picture(i64::from(message.time()), arrived);
        }
        self.source.pending.push((message, arrived));
        let is_full = self.source.pending.len() >= PENDING_MAX;
        if is_full || self.source.rate.rate(now).is_some() {
            self.source.is_measured = true;
            for (message, arrived) in std::mem::take(&mut self.source.pending) {
                self.take(&message, arrived, now);
            }
        }
    }

    fn take(&mut self, message: &Message, arrived: Micros, now: Micros) {
        match message.kind() {
            Kind::Video => self.video(message, arrived, now),
            Kind::Audio => self.audio(message, arrived),
            Kind::Data => {}
        }
    }

    /// The publisher has left; another one may come.
    fn source_left(&mut self, now: Micros) {
        self.decoder.ended(&mut self.decoded);
        self.show(now, now);
        self.end("its source has left");
        self.source = Source::default();
        self.retry.reset();
    }

    /// Nobody wants it any more: its streams end.
    fn leave(&mut self) {
        if let Some(running) = &self.running {
            running.ladder.switch.leave();
        }
        self.end("it is not wanted any more");
    }

    fn end(&mut self, why: &str) {
        let Some(running) = self.running.take() else { return };
        running.ladder.switch.stop();
        drop(running);
        self.renditions.ended(why);
    }

    fn video(&mut self, message: &Message, arrived: Micros, now: Micros) {
        let body = message.body();
        let Some(video) = Video::parse(body).filter(|_| message.track() == 0) else { return };
        let is_frame = video.part == Part::Frame;
        let time = is_frame.then(|| self.source.times.unwrap(message.time()));
        if let Some(time) = time {
            if video.keyframe {
                self.source.keys.push_back(time + i64::from(video.composition_ms));
                if self.source.keys.len() > KEYS_MAX {
                    self.source.keys.pop_front();
                }
            }
            self.look_whether_blind(time);
        }
        if let Err(error) = self.decoder.decode(Kind::Video, time, body, &mut self.decoded) {
            self.renditions.failed(&error.to_string());
        }
        self.show(arrived, now);
    }

    /// Tells of a source that brings pictures, none of which can be decoded.
    fn look_whether_blind(&mut self, time: i64) {
        let since = *self.source.blind_since.get_or_insert(time);
        if time - since >= BLIND_MS_MAX && !std::mem::replace(&mut self.source.is_blind_told, true)
        {
            self.renditions.failed(
                "none of its pictures can be decoded: they are damaged, larger than 4096x2304, or \
                 come without their header",
            );
        }
    }

    /// Hands on what the decoder has given out.
    fn show(&mut self, arrived: Micros, now: Micros) {
        for (frame, at) in std::mem::take(&mut self.decoded.pictures) {
            self.source.blind_since = None;
            let is_key = self.source.take_key(at);
            if now.since(arrived) <= LATE_MAX {
                self.picture(&frame, (at, is_key), (arrived, now));
            }
        }
    }

    fn picture(
        &mut self,
        frame: &FrozenFrame,
        (at, is_key): (Micros, bool),
        (arrived, now): (Micros, Micros),
    ) {
        let size = frame.geometry().size();
        let passes = self.source.audio.map(|audio| self.renditions.passes(audio));
        if let Some(why) = self.running.as_ref().and_then(|it| it.misfit(size, passes)) {
            self.end(&why);
        }
        if self.running.is_none() && !self.begin(size, at, now) {
            return;
        }
        let Some(running) = &mut self.running else { return };
        let Ladder { tee, switch, keys, .. } = &mut running.ladder;
        if running.newest.is_some_and(|newest| at <= newest) {
            return; // a decoder that begins anew may give a picture again
        }
        running.newest = Some(at);
        let (tick, is_key) = keys.next(at, is_key, || switch.take_key_request());
        if tee.admits(tick, is_key) {
            let at = Some(at - running.first);
            let frame_id = FrameId::new(running.number, tick);
            // It is drawn as soon as it comes; what that takes is the decoder's.
            let mut stamps = Stamps::due(frame_id, Stamp::of(arrived));
            stamps.set(Point::Started, Stamp::of(arrived));
            let decoded = Stamp::of(now);
            stamps.set(Point::Composed, decoded);
            let drawn = Drawn::new(tick, tick + 1).at(at).stamped(stamps, decoded);
            tee.push(frame, drawn, |_| Damage::whole(size));
        } else if tee.is_over() {
            self.end("all its encoders have failed");
            self.retry_at = now + self.retry.wait();
        }
    }

    /// Starts the encoders, unless that has failed a moment ago. Whether they run.
    fn begin(&mut self, size: Size, at: Micros, now: Micros) -> bool {
        if now < self.retry_at {
            return false;
        }
        #[expect(clippy::cast_possible_truncation, reason = "RTMP time is modulo 2^32")]
        let base_ms = at.millis() as u32;
        let rate = self.source.rate.rate(now).unwrap_or(FrameRate::FPS_30);
        let audio = self.source.audio;
        let facts = SourceFacts { size, rate, audio, start: now, base_ms };
        let ladder = match self.renditions.begin(&facts) {
            Ok(ladder) => ladder,
            Err(why) => {
                self.retry_at = now + self.retry.wait();
                self.renditions.failed(&why);
                return false;
            }
        };
        let first = Micros::from_millis(at.millis());
        let audio_sender = AudioSender::default();
        let (newest, number) = (None, next_source());
        let mut running = Running { ladder, size, first, newest, number, audio_sender };
        if let Some(header) = &self.source.audio_header {
            running.pass(header, now);
        }
        self.running = Some(running);
        true
    }

    fn audio(&mut self, message: &Message, arrived: Micros) {
        let body = message.body();
        let Some(audio) = Audio::parse(body).filter(|_| message.track() == 0) else { return };
        self.source.audio = Some(audio.format);
        if audio.is_sequence_header() {
            self.source.audio_header = Some(message.clone());
        }
        let time = (audio.part == Part::Frame).then(|| self.source.times.unwrap(message.time()));
        let Some(running) = &mut self.running else { return };
        match &mut running.ladder.audio {
            LadderAudio::None => {}
            LadderAudio::Passed(_) if self.renditions.passes(audio.format) => {
                let first = i64::try_from(running.first.millis()).unwrap_or(i64::MAX);
                if time.is_none_or(|time| time >= first) {
                    running.pass(message, arrived);
                }
            }
            // With the next picture there are other encoders.
            LadderAudio::Passed(_) => {}
            LadderAudio::Encoded(encoder) => {
                // The header may have come before these encoders.
                let header = self.source.audio_header.as_ref().map(|it| (None, it.body()));
                for (time, body) in header.into_iter().chain([(time, body)]) {
                    let decoded = &mut self.decoded;
                    if let Err(error) = self.decoder.decode(Kind::Audio, time, body, decoded) {
                        self.renditions.failed(&error.to_string());
                    }
                }
                for block in self.decoded.audio.drain(..) {
                    running.audio_sender.push(&block, running.first, encoder);
                }
            }
        }
    }
}

impl Source {
    /// Whether the picture that is shown `at` is a keyframe; those before it are forgotten.
    fn take_key(&mut self, at: Micros) -> bool {
        let at = i64::try_from(at.millis()).unwrap_or(i64::MAX);
        while self.keys.front().is_some_and(|key| *key < at) {
            self.keys.pop_front();
        }
        let is_key = self.keys.front() == Some(&at);
        if is_key {
            self.keys.pop_front();
        }
        is_key
    }
}

impl Running {
    /// Why other encoders are needed for pictures of this size, and audio that `passes` or does
    /// not; `None` while none has come.
    fn misfit(&self, size: Size, passes: Option<bool>) -> Option<String> {
        if size != self.size {
            return Some(format!("its source changes from {} to {size}", self.size));
        }
        let is_other = match self.ladder.audio {
            LadderAudio::None => false,
            LadderAudio::Passed(_) => passes == Some(false),
            LadderAudio::Encoded(_) => passes == Some(true),
        };
        is_other.then(|| "its source changes the codec of its audio".to_owned())
    }

    /// Hands a message of audio on as it is.
    fn pass(&mut self, message: &Message, arrived: Micros) {
        let LadderAudio::Passed(rings) = &mut self.ladder.audio else { return };
        for EncodedRing { ring, stats, .. } in rings {
            let stamps = Stamps::default();
            if ring.push(Encoded { message: message.clone(), due: arrived, stamps }).is_err() {
                stats.encoded_dropped();
            } else if !message.is_header() {
                stats.audio_encoded(message.body().len());
            }
        }
    }
}

/// Decoded audio on its way to the encoder, in frames as that takes them.
#[derive(Default)]
struct AudioSender {
    framer: AudioFramer,
    /// Number of the sample that comes next, from the first picture on.
    next: Option<u64>,
}

impl AudioSender {
    /// Takes a block, of a stream whose first picture is shown at `first`.
    fn push(&mut self, block: &AudioBlock, first: Micros, encoder: &mut Sender<RawAudio>) {
        if block.at < first {
            return;
        }
        let at = (block.at - first).0 * u64::from(SAMPLE_RATE) / 1_000_000;
        let is_near = |next: &u64| at.abs_diff(*next) <= AUDIO_JUMP_MIN;
        let next = match self.next.filter(is_near) {
            Some(next) => next,
            None if self.next.is_some_and(|next| at < next) => return,
            None => {
                self.framer.restart_at(at);
                at
            }
        };
        self.next = Some(next + block.samples as u64);
        self.framer.push(&block.data[..block.samples * CHANNELS], |first_sample, data| {
            let at = Micros(first_sample * 1_000_000 / u64::from(SAMPLE_RATE));
            let samples = data.len() / CHANNELS;
            let mut block = AudioBlock { at, samples, data: [0.0; BLOCK_SAMPLES * CHANNELS] };
            block.data[..data.len()].copy_from_slice(data);
            // An encoder that is behind loses it, as it would pictures.
            drop(encoder.push(RawAudio { block, first_sample }));
        });
    }
}

#[cfg(test)]
mod tests;
