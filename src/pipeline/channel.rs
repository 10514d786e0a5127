//! The compose stage: on each tick of an absolute clock draws a frame, mixes the audio up to the
//! same instant, and hands both to the encoders. It waits for nothing but its clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::frame_tap::FrameTap;
use super::keyframes::Keyframes;
use super::live::SceneLine;
use super::native::NativeBranch;
use super::tee::{Drawn, Tee};
use crate::audio::{AudioFramer, Mixer};
use crate::command::ChannelSwitch;
use crate::frame::{AudioBlock, Pool};
use crate::media::{CHANNELS, FrameId, Micros, Point, SAMPLE_RATE, Stamp, Stamps};
use crate::ring::{Bell, Receiver, Sender};
use crate::runtime::{Clock, Pacer, Slot, thread_id};
use crate::scene::{Composed, Composer, Tick};
use crate::stats::{ChannelStats, LoopActivity, Stage};
use crate::trace::{
    CORE_RECORDS, RecordKind, begin_recording, record_count, record_stage, record_turn,
};

/// Audio on its way to the encoder.
#[derive(Debug)]
pub struct RawAudio {
    /// 1024 samples per channel.
    pub block: AudioBlock,
    /// Number of the first sample since the channel's start.
    pub first_sample: u64,
}

/// Blocks of audio that may wait for the audio encoder: over a second.
pub const AUDIO_QUEUE_BLOCKS: usize = 64;

/// From this length on, a time in which the composer was not run is a stall: programme and audio
/// leave it out together. Of a shorter one only pictures are left out.
const STALL_MIN: Micros = Micros::from_millis(500);

/// Ticks in a row that were not run and whose waiting is counted: a minute of 60 a second. Those
/// before them would take the composer's time.
const MISSED_COUNTED_MAX: u64 = 3_600;

/// Samples per channel mixed in one call.
const MIX_SAMPLES_MAX: usize = 2_048;

/// Frames beyond the queue that a pool holds: one being drawn, the last one drawn (submitted again
/// when nothing changes), one being encoded, the one before it, which the encoder compares it with,
/// one passing between them, and one that somebody looks at.
pub const POOL_EXTRA_FRAMES: u32 = 6;

/// The picture half of a channel.
pub struct Picture {
    /// Draws the scene.
    pub composer: Composer,
    /// Where it draws.
    pub pool: Pool,
    /// To the video encoders.
    pub tee: Tee,
    /// To those who draw the scene at other sizes.
    pub natives: Vec<NativeBranch>,
    /// Which pictures are keyframes.
    pub keys: Keyframes,
    /// From control: other scenes.
    pub line: SceneLine,
    /// To whoever looks at the programme.
    pub tap: FrameTap,
}

/// The audio half of a channel.
pub struct Audio {
    /// Mixes the inputs.
    pub mixer: Mixer,
    /// To the audio encoder.
    pub encoder: Sender<RawAudio>,
}

/// One programme for the compose core.
pub struct Channel {
    /// The grid and when it starts.
    pub pacer: Pacer,
    /// The grid's rate and start, for the audio.
    pub timeline: Timeline,
    /// `None` if another program hands in the frames.
    pub picture: Option<Picture>,
    /// `None` if the programme has no audio.
    pub audio: Option<Audio>,
    /// Stop flag and requests.
    pub switch: Arc<ChannelSwitch>,
    /// Figures.
    pub stats: Arc<ChannelStats>,
    /// The node's clock.
    pub clock: Clock,
}

/// The grid of a channel: its rate and when it starts on the node's clock.
#[derive(Clone, Copy, Debug)]
pub struct Timeline {
    /// Ticks per second.
    pub rate: crate::media::FrameRate,
    /// When tick 0 is due.
    pub start: Micros,
}

impl Timeline {
    /// When sample `n` is due.
    fn sample_at(&self, n: u64) -> Micros {
        self.start + Micros(n * 1_000_000 / u64::from(SAMPLE_RATE))
    }
}

/// Channels that the compose core has at once: those that run, and as many that have stopped and
/// wait to be taken away. Further ones wait in their ring.
pub const COMPOSED_MAX: usize = 32;

/// How long a core without channels sleeps before it looks again, should a ring of its bell be
/// missed.
const IDLE: Duration = Duration::from_millis(500);

/// The compose core: its channels, and its ends of the rings by which they come and go.
pub struct ComposeCore {
    stages: Vec<ChannelStage>,
    to_come: Receiver<ChannelStage>,
    gone: Sender<ChannelStage>,
    stopping: Arc<AtomicBool>,
    bell: Arc<Bell>,
    clock: Clock,
    activity: Arc<LoopActivity>,
}

impl ComposeCore {
    /// A core with these channels. Others come over `to_come`, which rings `bell`. Those that have
    /// stopped go to `gone`, to be dropped where that may take time; dropping a channel's rings is
    /// what ends its encoders. `stopping`, with a ring of the bell, ends it. At `activity` it says
    /// since when it works.
    #[must_use]
    pub fn new(
        channels: Vec<ChannelStage>,
        (to_come, gone): (Receiver<ChannelStage>, Sender<ChannelStage>),
        (stopping, bell): (Arc<AtomicBool>, Arc<Bell>),
        (clock, activity): (Clock, Arc<LoopActivity>),
    ) -> Self {
        let mut stages = channels;
        stages.reserve(COMPOSED_MAX.saturating_sub(stages.len()));
        Self { stages, to_come, gone, stopping, bell, clock, activity }
    }

    /// Runs all channels until the core is to stop. Between ticks it blocks the thread, which is to
    /// be its own.
    pub fn run(mut self) {
        let turns = self.activity.run_by(thread_id());
        begin_recording(thread_id(), CORE_RECORDS);
        self.stages.iter_mut().for_each(|stage| stage.begin(self.clock.now()));
        while !self.stopping.load(Ordering::Acquire) {
            let begin = self.clock.now();
            turns.begin(begin);
            #[cfg(test)]
            crate::runtime::fault::point();
            let due = self.turn(begin);
            let end = self.clock.now();
            turns.end(end);
            record_turn(Stamp::of(end), end.since(begin));
            let wait = due.map_or(IDLE, |due| Duration::from(due - end));
            if !wait.is_zero() {
                let (stopping, to_come) = (&self.stopping, &self.to_come);
                let has_room = self.stages.len() < COMPOSED_MAX;
                self.bell.park(wait, || {
                    stopping.load(Ordering::Acquire) || (has_room && !to_come.is_empty())
                });
            }
        }
    }

    /// Lets channels come and go, and runs each tick that is due at `now`, one of each channel.
    /// When the next is due; `None` if there is no channel.
    fn turn(&mut self, now: Micros) -> Option<Micros> {
        while self.stages.len() < COMPOSED_MAX {
            let Some(mut stage) = self.to_come.pop() else { break };
            stage.begin(now);
            self.stages.push(stage);
        }
        let mut at = 0;
        while let Some(stage) = self.stages.get(at) {
            let can_go = stage.is_stopped() && self.gone.len() < self.gone.capacity();
            match can_go {
                true => drop(self.gone.push(self.stages.swap_remove(at))),
                false => at += 1,
            }
        }
        let running = self.stages.iter_mut().filter(|stage| !stage.is_stopped());
        running.filter_map(|stage| stage.run_at(now)).min()
    }
}

/// A channel that is ready for the compose core, or runs there.
pub struct ChannelStage {
    channel: Channel,
    picture: Option<Picture>,
    audio: Option<AudioStage>,
    /// Whether the next picture is the first after a stall or a pause.
    is_cut: bool,
    /// Whether its ticks are left out now.
    is_paused: bool,
}

impl ChannelStage {
    /// Makes everything that `channel` needs to run.
    #[must_use]
    pub fn new(mut channel: Channel) -> Self {
        let picture = channel.picture.take();
        let audio = channel.audio.take().map(AudioStage::new);
        Self { channel, picture, audio, is_cut: false, is_paused: false }
    }

    fn is_stopped(&self) -> bool {
        self.channel.switch.is_stopped()
    }

    /// The core has it from `now` on: what was due before belongs to nobody.
    fn begin(&mut self, now: Micros) {
        let tick = self.channel.pacer.begin(now);
        if let Some(audio) = &mut self.audio {
            audio.leave_out_to(self.channel.timeline.rate.samples_at(tick, SAMPLE_RATE));
        }
    }

    /// Runs the tick that is due at `now`, if one is; when the next will be, if it is not paused.
    fn run_at(&mut self, now: Micros) -> Option<Micros> {
        if self.channel.switch.is_paused() {
            self.is_paused = true;
            return None;
        }
        if std::mem::take(&mut self.is_paused) {
            self.begin(now);
            self.is_cut = true;
        }
        let (tick, missed) = match self.channel.pacer.slot(now) {
            Slot::Wait(due) => return Some(due),
            Slot::Run { tick, missed } => (tick, missed),
        };
        #[cfg(test)]
        crate::runtime::fault::point_in("tick");
        if missed > 0 {
            self.missed(tick, missed, now);
        }
        let channel = &mut self.channel;
        if let Some(picture) = &mut self.picture {
            let is_cut = std::mem::take(&mut self.is_cut);
            let is_key = picture.keys.is_due(tick, is_cut, || channel.switch.take_key_request());
            draw(channel, picture, (tick, is_key));
        }
        if let Some(audio) = &mut self.audio {
            let until = channel.timeline.rate.samples_at(tick + 1, SAMPLE_RATE);
            audio.mix_until(channel, until);
        }
        Some(now)
    }

    /// So many ticks before `tick` were not run in time.
    fn missed(&mut self, tick: u64, missed: u64, now: Micros) {
        let channel = &self.channel;
        if let Some(picture) = &self.picture {
            picture.tee.missed(tick - missed..tick);
        }
        // Left out, they have waited all the same.
        for missed in tick - missed.min(MISSED_COUNTED_MAX)..tick {
            channel.stats.composer_took(Stage::Tick, now.since(channel.pacer.due(missed)));
        }
        let length = now.since(channel.pacer.due(tick - missed));
        if length < STALL_MIN {
            return;
        }
        channel.stats.stalled(length);
        match self.picture {
            Some(_) => self.is_cut = true,
            None => channel.switch.request_key(),
        }
        if let Some(audio) = &mut self.audio {
            audio.leave_out_to(channel.timeline.rate.samples_at(tick, SAMPLE_RATE));
        }
    }
}

/// Draws the picture of `tick`, if anybody takes it, and lets others draw it at other sizes.
fn draw(channel: &Channel, picture: &mut Picture, (tick, is_key): (u64, bool)) {
    let Picture { composer, pool, tee, natives, line, tap, .. } = picture;
    let is_taken = tee.admits(tick, is_key);
    if !is_taken && natives.is_empty() {
        return;
    }
    let at = channel.pacer.due(tick);
    let mut stamps = begin_frame(channel, tick, at);
    let programme = at - channel.timeline.start;
    let now = Tick { n: tick, at, programme, unix_ms: channel.clock.unix_millis() };
    if is_taken {
        line.before(composer, natives, &now);
    }
    natives.iter_mut().for_each(|native| native.push(&now, is_key, &stamps));
    if !is_taken {
        return;
    }
    channel.stats.set_tick(tick);
    let began = channel.clock.now();
    #[cfg(test)]
    crate::runtime::fault::point_in("draw");
    let composed = composer.compose(&now, pool);
    end_frame(channel, &mut stamps, tee.waiting());
    channel.stats.drawn(channel.clock.now().since(began), composer.drawn());
    let is_seen = match composed {
        Composed::Fresh(frame) | Composed::Same(frame) => {
            tap.offer(&frame);
            let drawn = Drawn::new(tick, composer.mark()).stamped(stamps, channel.clock.stamp());
            tee.push(&frame, drawn, |mark| composer.changed_since(mark))
        }
        Composed::NoFrame => {
            tee.no_frame();
            false
        }
    };
    line.after(composer, tick, is_seen);
}

/// The composer begins with the frame of a tick that was due at `at`.
fn begin_frame(channel: &Channel, tick: u64, at: Micros) -> Stamps {
    let (due, now) = (Stamp::of(at), channel.clock.stamp());
    let mut stamps = Stamps::due(FrameId::new(channel.stats.source(), tick), due);
    stamps.set(Point::Started, now);
    // Natives draw it from now on.
    stamps.set(Point::Composed, now);
    channel.stats.composer_took(Stage::Tick, now.since(due));
    record_stage(Stage::Tick, stamps.frame, now, now.since(due));
    stamps
}

/// It is drawn; so many frames wait for the encoder that has most.
fn end_frame(channel: &Channel, stamps: &mut Stamps, waiting: usize) {
    let now = channel.clock.stamp();
    let took = now.since(stamps.at(Point::Started));
    stamps.set(Point::Composed, now);
    channel.stats.composer_took(Stage::Compose, took);
    record_stage(Stage::Compose, stamps.frame, now, took);
    record_count(RecordKind::QueueLength, stamps.frame.source(), now, waiting as u64);
}

struct AudioStage {
    audio: Audio,
    framer: AudioFramer,
    mixed: u64,
    buffer: Box<[f32; MIX_SAMPLES_MAX * CHANNELS]>,
}

impl AudioStage {
    fn new(audio: Audio) -> Self {
        let buffer = Box::new([0.0; MIX_SAMPLES_MAX * CHANNELS]);
        Self { audio, framer: AudioFramer::new(), mixed: 0, buffer }
    }

    /// Goes on at this sample: nobody can hear what lies before it in time.
    fn leave_out_to(&mut self, sample: u64) {
        if sample > self.mixed {
            self.framer.restart_at(sample);
            self.mixed = sample;
        }
    }

    /// Mixes up to sample `until` and hands on every full block.
    fn mix_until(&mut self, channel: &Channel, until: u64) {
        while self.mixed < until {
            let samples = usize::try_from(until - self.mixed).unwrap_or(usize::MAX);
            let samples = samples.min(MIX_SAMPLES_MAX);
            let out = &mut self.buffer[..samples * CHANNELS];
            let at = channel.timeline.sample_at(self.mixed);
            self.audio.mixer.mix(self.mixed, at, out);
            self.mixed += samples as u64;
            let encoder = &mut self.audio.encoder;
            self.framer.push(out, |first_sample, data| {
                let mut block = AudioBlock {
                    at: channel.timeline.sample_at(first_sample),
                    samples: data.len() / CHANNELS,
                    data: [0.0; crate::frame::BLOCK_SAMPLES * CHANNELS],
                };
                block.data[..data.len()].copy_from_slice(data);
                if encoder.push(RawAudio { block, first_sample }).is_err() {
                    channel.stats.audio_dropped();
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
