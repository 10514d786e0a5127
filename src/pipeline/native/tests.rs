//! Native renditions beside a canvas, tick by tick.

use super::*;
use crate::frame::Geometry;
use crate::media::{Micros, PixelFormat, Size, Stamps};
use crate::pipeline::live::{CHANGES_MAX, SCENE_REPORTS_MAX, SceneChange, SceneLine, StartAt};
use crate::pipeline::tee::{RawFrame, Share, Takes, TeeBranch};
use crate::ring::channel;
use crate::scene::kernel::Level;
use crate::scene::{Color, Layer, PreparedScene, ResolvedScene, Scene, Source};

const CANVAS: (u32, u32) = (64, 32);
const NATIVE: (u32, u32) = (32, 64);

fn grey(value: u8) -> Scene {
    let color = Color { r: value, g: value, b: value, a: 255 };
    let layers = vec![Layer::new("all", Source::Color(color))];
    Scene { background: color, layers, transition: None }
}

fn prepared(value: u8, sides: (u32, u32)) -> PreparedScene {
    let size = |(width, height)| Size::new(width, height).unwrap();
    let sizes = (size(CANVAS), size(sides));
    let scene = grey(value);
    PreparedScene::new(&ResolvedScene::onto(&scene, sizes, &[], &|_| None).unwrap()).unwrap()
}

fn pool((width, height): (u32, u32)) -> Pool {
    Pool::new(Geometry::new(Size::new(width, height).unwrap(), PixelFormat::I420), 20).unwrap()
}

fn tick(n: u64) -> Tick {
    let at = Micros::from_millis(n * 20);
    Tick { n, at, programme: at, unix_ms: 0 }
}

struct Bench {
    branch: NativeBranch,
    ticks: Receiver<NativeTick>,
    stage: NativeStage,
    frames: Receiver<RawFrame>,
    retired: Receiver<Retired>,
    stats: Arc<ChannelStats>,
}

fn bench() -> Bench {
    let (ring, ticks) = channel(NATIVE_QUEUE, Bell::new());
    let (raw, frames) = channel(30, Bell::new());
    let (retire, retired) = channel(NATIVE_RETIRED_QUEUE, Bell::new());
    let stats = Arc::new(ChannelStats::default());
    let takes = Takes { divisor: 1, share: Share::default() };
    let stage = NativeStage {
        composer: Composer::with_scene(prepared(0, NATIVE), Level::Scalar),
        pool: pool(NATIVE),
        tee: Tee::new(vec![TeeBranch::encoder(raw, takes, Arc::clone(&stats))]),
        retired: retire,
        stats: vec![Arc::clone(&stats)],
        clock: Clock::start(),
    };
    Bench { branch: NativeBranch::new(ring), ticks, stage, frames, retired, stats }
}

/// The luma in the middle of a frame, and in its corner.
fn lumas(frame: &crate::frame::FrozenFrame) -> (u8, u8) {
    let plane = frame.geometry().planes()[0];
    let luma = frame.plane(0);
    (luma[plane.rows / 2 * plane.stride + plane.width / 2], luma[0])
}

impl Bench {
    /// Draws what waits; number, whether it is a keyframe, and luma of each frame.
    fn drawn(&mut self) -> Vec<(u64, bool, u8)> {
        while let Some(order) = self.ticks.pop() {
            self.stage.run(order);
        }
        let frames = std::iter::from_fn(|| self.frames.pop());
        frames.map(|raw| (raw.tick, raw.is_key, lumas(&raw.frame).0)).collect()
    }
}

#[test]
fn a_change_is_seen_at_the_same_tick_as_on_the_canvas() {
    let Bench { branch, ticks, stage, frames, mut retired, .. } = bench();
    let (mut frames, mut natives) = (frames, [branch]);
    let mut composer = Composer::with_scene(prepared(0, CANVAS), Level::Scalar);
    let (mut changes, to_come) = channel(CHANGES_MAX, Bell::new());
    let (reports, _heard) = channel(SCENE_REPORTS_MAX, Bell::new());
    let (mut line, canvas) = (SceneLine::new(to_come, reports), pool(CANVAS));
    let mut shown = Vec::new();
    for n in 0..6 {
        if n == 3 {
            let cut = |sides| Change::cut(prepared(255, sides));
            let mut natives = NativeChanges::default();
            natives[0] = Some(Box::new(cut(NATIVE)));
            let (change, at) = (cut(CANVAS), StartAt::Now);
            changes.push(SceneChange { ticket: 1, change, natives, at }).unwrap();
        }
        line.before(&mut composer, &mut natives, &tick(n));
        natives[0].push(&tick(n), n == 0, &Stamps::default());
        let (Composed::Fresh(frame) | Composed::Same(frame)) = composer.compose(&tick(n), &canvas)
        else {
            panic!("no frame");
        };
        shown.push((n, lumas(&frame).0));
        line.after(&mut composer, n, true);
    }
    drop(natives);
    draw_native(ticks, &Bell::new(), stage);
    let drawn: Vec<_> = std::iter::from_fn(|| frames.pop()).collect();
    let lumas: Vec<_> = drawn.iter().map(|raw| (raw.tick, lumas(&raw.frame))).collect();
    assert_eq!(lumas.iter().map(|(n, luma)| (*n, luma.0)).collect::<Vec<_>>(), shown);
    assert_eq!((shown[2].1, shown[3].1), (16, 235));
    assert!(lumas.iter().all(|(_, luma)| luma.1 == 16), "beside the canvas it is black");
    assert!(drawn[0].is_key && !drawn[1].is_key);
    assert!(retired.pop().is_some(), "control drops what is no longer shown");
}

#[test]
fn one_that_is_behind_leaves_ticks_out_and_keeps_keyframes_and_changes() {
    let mut bench = bench();
    let full = NATIVE_QUEUE as u64;
    (0..full).for_each(|n| bench.branch.push(&tick(n), false, &Stamps::default()));
    bench.branch.change(Some(Box::new(Change::cut(prepared(255, NATIVE)))));
    bench.branch.push(&tick(full), true, &Stamps::default());
    assert!(bench.branch.is_changing(), "there was no room for it");
    assert_eq!(bench.drawn().len(), NATIVE_QUEUE);
    bench.branch.push(&tick(full + 1), false, &Stamps::default());
    assert!(!bench.branch.is_changing());
    assert_eq!(bench.drawn(), [(full + 1, true, 235)]);
    let Bench { mut branch, ticks, stage, stats, .. } = bench;
    branch.push(&tick(full + 2), false, &Stamps::default());
    branch.push(&tick(full + 5), false, &Stamps::default());
    drop(branch);
    draw_native(ticks, &Bell::new(), stage);
    assert_eq!(stats.read().dropped_total(), 2, "what was not run counts as dropped");
}
