//! The scaler's thread: what the composer hands to it reaches the encoders of its size.

use super::*;
use crate::frame::{Frame, Geometry};
use crate::media::{PixelFormat, Size, Stamps};
use crate::pipeline::tee::{Share, Takes, TeeBranch};
use crate::ring::{Sender, channel};
use crate::scene::Damage;
use crate::scene::kernel::Level;
use crate::stats::DropReason;

fn canvas() -> Size {
    Size::new(128, 64).unwrap()
}

fn pool(size: Size, frames: u32) -> Pool {
    Pool::new(Geometry::new(size, PixelFormat::I420), frames).unwrap()
}

fn grey(pool: &Pool, value: u8) -> Frame {
    let mut frame = pool.take().unwrap();
    frame.planes_mut().into_iter().for_each(|plane| plane.data.fill(value));
    frame
}

struct Encoder {
    frames: Receiver<RawFrame>,
    stats: Arc<ChannelStats>,
}

impl Encoder {
    /// Numbers, whether they are keyframes, and what they show.
    fn take(&mut self) -> Vec<(u64, bool, u8)> {
        let all = std::iter::from_fn(|| self.frames.pop());
        all.map(|raw| (raw.tick, raw.is_key, raw.frame.plane(0)[0])).collect()
    }
}

fn encoder(divisor: u32, queue: usize) -> (TeeBranch, Encoder) {
    let (raw, frames) = channel(queue, Bell::new());
    let stats = Arc::new(ChannelStats::default());
    let takes = Takes { divisor, share: Share::default() };
    (TeeBranch::encoder(raw, takes, Arc::clone(&stats)), Encoder { frames, stats })
}

/// A scaler's way out, and its ring.
fn stage(encoders: Vec<TeeBranch>, frames: u32) -> (Sender<RawFrame>, impl FnOnce()) {
    let bell = Bell::new();
    let (raw, received) = channel(SCALE_QUEUE, Arc::clone(&bell));
    let (scaler, out) = scaler_to(encoders, frames);
    (raw, move || scale(received, &bell, scaler, out))
}

fn scaler_to(encoders: Vec<TeeBranch>, frames: u32) -> (Scaler, ScaleOut) {
    let to = Size::new(64, 32).unwrap();
    let (tee, pool) = (Tee::new(encoders), pool(to, frames));
    let out = ScaleOut { tee, pool, stats: Vec::new(), clock: Clock::start() };
    (Scaler::new(canvas(), to, Level::best()), out)
}

fn raw(frame: Frame, tick: u64, is_key: bool) -> RawFrame {
    RawFrame {
        frame: frame.freeze(),
        tick,
        is_key,
        at: None,
        changed: Damage::whole(canvas()),
        stamps: Stamps::default(),
    }
}

#[test]
fn each_encoder_of_the_size_gets_its_part_of_the_frames_and_ends_with_the_ring() {
    let ((all, mut all_end), (half, mut half_end)) = (encoder(1, 30), encoder(2, 30));
    let (mut ring, run) = stage(vec![all, half], 8);
    let canvases = pool(canvas(), 8);
    for (tick, value) in [(0, 20), (1, 30), (2, 40), (4, 50)] {
        assert!(ring.push(raw(grey(&canvases, value), tick, tick == 2)).is_ok());
    }
    drop(ring);
    run();
    assert_eq!(all_end.take(), [(0, false, 20), (1, false, 30), (2, true, 40), (4, false, 50)]);
    assert_eq!(half_end.take(), [(0, false, 20), (1, true, 40), (2, false, 50)]);
    assert!(all_end.frames.is_finished() && half_end.frames.is_finished());
    assert_eq!(canvases.in_use(), 0, "no frame of the canvas is held");
    assert_eq!((all_end.stats.read().composed, half_end.stats.read().composed), (4, 3));
}

#[test]
fn an_encoder_that_takes_nothing_leaves_the_others_of_its_size_all_frames() {
    let ((fast, mut fast_end), (slow, slow_end)) = (encoder(1, 30), encoder(1, 2));
    let (mut scaler, mut out) = scaler_to(vec![fast, slow], 4 + 2);
    let canvases = pool(canvas(), 1);
    for tick in 0..100 {
        scale_one(&raw(grey(&canvases, 77), tick, false), &mut scaler, &mut out);
        assert_eq!(fast_end.take(), [(tick, false, 77)]);
    }
    let slow = slow_end.stats.read();
    assert_eq!(slow.composed + slow.dropped[DropReason::QueueFull as usize], 100);
    assert!(slow.composed <= 2, "{slow:?}");
}

#[test]
fn what_finds_no_free_frame_is_counted_and_shown_with_the_next() {
    let (one, mut end) = encoder(1, 30);
    let (mut ring, run) = stage(vec![one], 2);
    let canvases = pool(canvas(), 8);
    for (tick, value) in [(0, 20), (1, 30), (2, 40)] {
        assert!(ring.push(raw(grey(&canvases, value), tick, tick == 2)).is_ok());
    }
    drop(ring);
    run();
    assert_eq!(end.stats.read().dropped[DropReason::PoolEmpty as usize], 1);
    assert_eq!(end.take(), [(0, false, 20), (1, false, 30)]);
}
