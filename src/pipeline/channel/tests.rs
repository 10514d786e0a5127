//! A channel's ticks on a clock of the test's own.

use super::*;
use crate::frame::{Geometry, Pool};
use crate::media::{FrameRate, PixelFormat, Size};
use crate::pipeline::frame_tap::frame_tap;
use crate::pipeline::live::{CHANGES_MAX, SCENE_REPORTS_MAX};
use crate::pipeline::tee::{RawFrame, Share, Takes, TeeBranch};
use crate::ring::channel;
use crate::scene::kernel::Level;
use crate::scene::{Color, Scene};

/// When tick 0 is due.
const START: Micros = Micros::from_secs(100);

struct Bench {
    stage: ChannelStage,
    frames: Receiver<RawFrame>,
    audio: Receiver<RawAudio>,
    stats: Arc<ChannelStats>,
    share: Share,
}

/// A channel of 50 frames a second.
fn bench() -> Bench {
    let (size, rate) = (Size::new(64, 32).unwrap(), FrameRate::new(50, 1).unwrap());
    let black = Color { r: 0, g: 0, b: 0, a: 255 };
    let scene = Scene { background: black, layers: Vec::new(), transition: None };
    let (raw, frames) = channel(30, Bell::new());
    let (blocks, audio) = channel(AUDIO_QUEUE_BLOCKS, Bell::new());
    let (_changes, to_come) = channel(CHANGES_MAX, Bell::new());
    let (reports, _heard) = channel(SCENE_REPORTS_MAX, Bell::new());
    let stats = Arc::new(ChannelStats::default());
    let share = Share::default();
    let takes = Takes { divisor: 1, share: share.clone() };
    let stage = ChannelStage::new(Channel {
        pacer: Pacer::new(rate, START),
        timeline: Timeline { rate, start: START },
        picture: Some(Picture {
            composer: Composer::new(&scene, size, Level::Scalar).unwrap(),
            pool: Pool::new(Geometry::new(size, PixelFormat::I420), 40).unwrap(),
            tee: Tee::new(vec![TeeBranch::encoder(raw, takes, Arc::clone(&stats))]),
            natives: Vec::new(),
            // Later than any of these tests.
            keys: Keyframes::new(rate, u32::MAX, 1),
            line: SceneLine::new(to_come, reports),
            tap: frame_tap().0,
        }),
        audio: Some(Audio {
            mixer: Mixer::new(&[], crate::audio::BusSpec::default()),
            encoder: blocks,
        }),
        switch: Arc::default(),
        stats: Arc::clone(&stats),
        clock: Clock::start(),
    });
    Bench { stage, frames, audio, stats, share }
}

impl Bench {
    /// Runs every tick that is due so many milliseconds after the start, with encoders that keep
    /// up; gives the frames' numbers and whether they are keyframes, and those of first samples.
    fn run_to(&mut self, ms: u64) -> (Vec<(u64, bool)>, Vec<u64>) {
        let (mut frames, mut audio) = (Vec::new(), Vec::new());
        while self.run_one(ms) {
            frames.extend(self.take());
            audio.extend(std::iter::from_fn(|| self.audio.pop()).map(|raw| raw.first_sample));
        }
        (frames, audio)
    }

    /// Runs one tick, if one is due.
    fn run_one(&mut self, ms: u64) -> bool {
        let now = START + Micros::from_millis(ms);
        let mut pacer = self.stage.channel.pacer;
        let is_due = matches!(pacer.slot(now), Slot::Run { .. });
        if is_due {
            self.stage.run_at(now);
        }
        is_due
    }

    fn take(&mut self) -> Option<(u64, bool)> {
        self.frames.pop().map(|raw| (raw.tick, raw.is_key))
    }
}

#[test]
fn a_stall_is_left_out_by_picture_and_audio_at_once() {
    for stall_ms in [1_000, 3_000, 30_000] {
        let mut bench = bench();
        let (mut before, mut heard) = (Vec::new(), Vec::new());
        for ms in (0..=1_000).step_by(20) {
            let (frames, audio) = bench.run_to(ms);
            before.extend(frames);
            heard.extend(audio);
        }
        assert_eq!(before.last(), Some(&(50, false)));
        let (after, audio) = bench.run_to(1_000 + stall_ms);
        let first = 50 + (stall_ms - 250) / 20;
        assert!(after.iter().map(|(tick, _)| *tick).eq(first..=50 + stall_ms / 20));
        assert!(after.iter().map(|(_, is_key)| *is_key).eq((0..after.len()).map(|n| n == 0)));
        assert_eq!(audio[0], first * 960, "the audio goes on with the picture");
        assert!(audio.windows(2).all(|pair| pair[1] - pair[0] == 1_024), "and has one hole");
        assert!(heard.windows(2).all(|pair| pair[1] - pair[0] == 1_024));
        let figures = bench.stats.read();
        assert_eq!(figures.stalls, 1);
        let told = figures.stalled.millis();
        assert!((stall_ms - 20..=stall_ms).contains(&told), "{told} ms of {stall_ms}");
        assert_eq!((figures.dropped[2], figures.audio_dropped), (first - 51, 0));
    }
}

#[test]
fn a_short_stall_costs_pictures_only() {
    let mut bench = bench();
    for ms in (0..=1_000).step_by(20) {
        bench.run_to(ms);
    }
    let (after, audio) = bench.run_to(1_300);
    assert_eq!(after.first(), Some(&(52, false)), "the last quarter of a second is caught up");
    assert!(audio.windows(2).all(|pair| pair[1] - pair[0] == 1_024));
    let next = bench.run_to(1_400).1;
    assert_eq!(next[0] - audio.last().unwrap(), 1_024);
    assert_eq!(bench.stats.read().stalls, 0);
}

#[test]
fn a_cut_whose_picture_found_no_room_is_the_next_one() {
    let mut bench = bench();
    // Nobody takes frames: there is no room when the stall is over.
    for ms in (0..1_000).step_by(20) {
        bench.run_one(ms);
    }
    assert!(bench.run_one(4_000));
    while bench.take().is_some_and(|(tick, is_key)| tick < 100 && (tick == 0 || !is_key)) {}
    assert!(bench.frames.is_empty());
    while bench.run_one(4_000) {}
    let after: Vec<_> = std::iter::from_fn(|| bench.take()).collect();
    assert!(after[0].1 && after.len() > 1, "{after:?}");
    assert!(after[1..].iter().all(|(_, is_key)| !is_key), "{after:?}");
}

/// A compose core with its other ends.
struct Core {
    core: ComposeCore,
    add: Sender<ChannelStage>,
    gone: Receiver<ChannelStage>,
}

fn core(channels: Vec<ChannelStage>, gone_max: usize) -> Core {
    let (add, to_come) = channel(4, Bell::new());
    let (gone, taken) = channel(gone_max, Bell::new());
    let stop = (Arc::default(), Bell::new());
    let core = ComposeCore::new(channels, (to_come, gone), stop, (Clock::start(), Arc::default()));
    Core { core, add, gone: taken }
}

impl Core {
    /// Turns at every millisecond from one time after the start up to another.
    fn run(&mut self, ms: std::ops::Range<u64>) {
        for ms in ms {
            let now = START + Micros::from_millis(ms);
            while self.core.turn(now).is_some_and(|due| due <= now) {}
        }
    }
}

fn ticks(frames: &mut Receiver<RawFrame>) -> Vec<u64> {
    std::iter::from_fn(|| frames.pop()).map(|raw| raw.tick).collect()
}

#[test]
fn channels_come_and_go_and_the_ticks_of_the_others_go_on() {
    let (mut first, mut second) = (bench(), bench());
    let mut core = core(vec![first.stage], 4);
    core.run(0..100);
    assert_eq!(ticks(&mut first.frames), [0, 1, 2, 3, 4]);
    assert!(core.add.push(second.stage).is_ok());
    core.run(100..200);
    assert_eq!(ticks(&mut first.frames), [5, 6, 7, 8, 9]);
    assert_eq!(ticks(&mut second.frames), [5, 6, 7, 8, 9], "nothing from before it came");
    let first_sample = second.audio.pop().map(|raw| raw.first_sample);
    assert_eq!(first_sample, Some(5 * 960), "its audio begins with its pictures");
    assert_eq!(second.stats.read().dropped_total(), 0, "and nothing of it was missed");

    core.core.stages[0].channel.switch.stop();
    core.run(200..300);
    assert!(ticks(&mut first.frames).is_empty());
    assert_eq!(ticks(&mut second.frames), [10, 11, 12, 13, 14]);
    assert!(!first.frames.is_finished(), "the core itself drops nothing");
    drop(core.gone.pop().expect("it has gone to where it may be dropped"));
    assert!(first.frames.is_finished());
    assert!(core.gone.is_empty());

    core.core.stages[0].channel.switch.stop();
    assert_eq!(core.core.turn(START + Micros::from_millis(300)), None, "no channel is left");
}

#[test]
fn a_channel_that_nobody_takes_away_waits_and_does_not_run() {
    let (mut first, mut second) = (bench(), bench());
    let switches = [&first, &second].map(|it| Arc::clone(&it.stage.channel.switch));
    let mut core = core(vec![first.stage, second.stage], 1);
    switches.iter().for_each(|switch| switch.stop());
    core.run(0..100);
    assert!(ticks(&mut first.frames).is_empty() && ticks(&mut second.frames).is_empty());
    assert_eq!((core.core.stages.len(), core.gone.len()), (1, 1));
    drop(core.gone.pop());
    core.run(100..101);
    assert_eq!((core.core.stages.len(), core.gone.len()), (0, 1));
}

#[test]
fn ticks_that_its_only_encoder_leaves_out_are_not_drawn_and_keyframes_are() {
    let mut bench = bench();
    bench.run_to(59);
    bench.share.set(2);
    bench.stage.channel.switch.request_key();
    let (frames, audio) = bench.run_to(199);
    // Tick 3 is the keyframe that was asked for.
    assert_eq!(frames, [(3, true), (4, false), (6, false), (8, false)]);
    assert!(!audio.is_empty(), "the sound goes on");
    assert_eq!(bench.stats.read().dropped_total(), 0, "nobody lost them");
    let composer = |bench: &Bench| bench.stage.picture.as_ref().unwrap().composer.mark();
    let mark = composer(&bench);
    bench.run_to(219);
    assert_eq!(composer(&bench), mark, "tick 10 is drawn at 200 ms");
}
