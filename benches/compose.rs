//! Benchmark of a tick: a full redraw, a usual tick, a tick where nothing changes; the
//! scaling of a ladder, and what drawing it costs instead; and the kernels.

#![expect(clippy::expect_used, reason = "a bench without its inputs is of no use")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stream_manager::internals::kernel::{
    self, ColorMatrix, Kernels, Key, Level, LumaWeights, Polyphase, Rows, RowsMut,
};
use stream_manager::internals::{
    Bell, BlendMode, Composed, Composer, Damage, Frame, FrozenFrame, Geometry, PictureEvent, Pool,
    PreparedScene, ResolvedScene, Scaler, Tick, channel, demo,
};
use stream_manager::media::{Micros, PixelFormat, Size};

fn size(w: u32, h: u32) -> Size {
    Size::new(w, h).expect("both are even")
}

fn pool(size: Size, slots: u32) -> Pool {
    Pool::new(Geometry::new(size, PixelFormat::I420), slots).expect("memory for a few frames")
}

/// Tick `n` of a programme at 60 frames per second.
fn tick(n: u64) -> Tick {
    let at = Micros(n * 1_000_000 / 60);
    Tick { n, at, programme: at, unix_ms: at.millis() }
}

fn demo_1080p(level: Level) -> Composer {
    let size = size(1_920, 1_080);
    Composer::new(&demo::scene(size), size, level).expect("the demo scene needs no files")
}

/// Makes whatever slot is taken next be drawn whole.
fn forget(pool: &Pool) {
    let mut frames: Vec<Frame> = std::iter::from_fn(|| pool.take()).collect();
    for frame in &mut frames {
        frame.set_content(0);
    }
}

fn ticks(c: &mut Criterion) {
    let canvas = size(1_920, 1_080);
    let mut group = c.benchmark_group("tick 1080p");
    for level in Level::here() {
        let (mut composer, pool) = (demo_1080p(level), pool(canvas, 3));
        let mut n = 0;
        group.bench_function(format!("demo, full redraw, {level:?}"), |b| {
            b.iter(|| {
                n += 1;
                forget(&pool);
                black_box(composer.compose(&tick(n), &pool))
            });
        });
    }
    for level in Level::here() {
        let (mut composer, pool) = (demo_1080p(level), pool(canvas, 4));
        // An encoder holds the frames before this one for a while.
        let mut held: [Option<FrozenFrame>; 2] = [None, None];
        let mut n = 0;
        group.bench_function(format!("demo, clock and spinner, {level:?}"), |b| {
            b.iter(|| {
                n += 1;
                held.swap(0, 1);
                held[1] = None;
                if let Composed::Fresh(frame) = composer.compose(&tick(n), &pool) {
                    held[1] = Some(frame);
                }
            });
        });
    }
    for level in Level::here() {
        group.bench_function(format!("demo, a new live picture, {level:?}"), |b| {
            let (mut composer, pool) = (demo_1080p(level), pool(canvas, 4));
            let live = self::pool(size(1_344, 756), 1);
            let picture = live.take().expect("the pool is free").freeze();
            let (mut sender, receiver) = channel(4, Bell::new());
            composer.input(demo::INPUT, receiver).expect("the demo scene has this layer");
            let mut n = 0;
            let mut next = || {
                n += 1;
                let event = PictureEvent::Picture { frame: picture.share(), at: tick(n).at };
                sender.push(event).expect("the ring is empty");
                composer.compose(&tick(n), &pool)
            };
            (0..60).for_each(|_| drop(next()));
            b.iter(|| black_box(next()));
        });
    }
    let mut still = demo::scene(canvas);
    still.layers.retain(|layer| !["clock", "spinner"].contains(&layer.name.as_str()));
    let still = PreparedScene::new(&ResolvedScene::alone(&still, canvas).expect("it is small"))
        .expect("the demo scene needs no files");
    let (mut composer, pool) = (Composer::with_scene(still, Level::best()), pool(canvas, 3));
    let mut n = 0;
    group.bench_function("demo without clock and spinner: nothing changes", |b| {
        b.iter(|| {
            n += 1;
            black_box(composer.compose(&tick(n), &pool))
        });
    });
    group.finish();
}

/// Bytes of a row that stays in the first-level cache: the arithmetic, not the memory.
const ROW: usize = 1_920;

/// Each kernel of each level, in bytes that it writes, beside a copy of as many.
fn kernels(c: &mut Criterion) {
    let mut group = c.benchmark_group("kernels, a row of 1920 bytes");
    group.throughput(Throughput::Bytes(ROW as u64));
    let (src, alpha) = (vec![60_u8; ROW], vec![100_u8; ROW]);
    let mut dst = vec![90_u8; ROW];
    group.bench_function("copy", |b| b.iter(|| kernel::copy(black_box(&mut dst), &src)));
    for level in Level::here() {
        let kernels = Kernels::at(level);
        group.bench_function(format!("blend, {level:?}"), |b| {
            b.iter(|| (kernels.blend)(black_box(&mut dst), &src, &alpha));
        });
        group.bench_function(format!("blend_faded, {level:?}"), |b| {
            b.iter(|| (kernels.blend_faded)(black_box(&mut dst), &src, &alpha, 200));
        });
        group.bench_function(format!("mix, {level:?}"), |b| {
            b.iter(|| (kernels.mix)(black_box(&mut dst), &src, 100));
        });
        group.bench_function(format!("fade, {level:?}"), |b| {
            b.iter(|| (kernels.fade)(black_box(&mut dst), &src, &alpha, 100));
        });
    }
    group.finish();
    rgb_kernels(c);
    input_kernels(c);
}

/// Kernels that go through RGB: two rows of pixels and the chroma that they share.
fn rgb_kernels(c: &mut Criterion) {
    let mut group = c.benchmark_group("kernels, two rows of 1920 pixels");
    group.throughput(Throughput::Bytes(3 * ROW as u64));
    let key = Key { chroma: [-0.3, -0.3], similarity: 0.2, smoothness: 0.1, spill: 0.1 };
    let (row, half) = (vec![60_u8; ROW], vec![50_u8; ROW / 2]);
    let src = Rows { luma: [&row; 2], chroma: [&half; 2], alpha: [&row; 2], coarse: &half };
    let mut planes = [ROW, ROW, ROW / 2, ROW / 2, ROW, ROW, ROW / 2].map(|len| vec![90_u8; len]);
    let [first, second, cb, cr, alpha @ ..] = planes.each_mut().map(Vec::as_mut_slice);
    let mut dst = RowsMut { luma: [first, second], chroma: [cb, cr], alpha: Some(alpha) };
    for level in Level::here() {
        let kernels = Kernels::at(level);
        group.bench_function(format!("blend_rgb, {level:?}"), |b| {
            let multiply = BlendMode::Multiply;
            b.iter(|| (kernels.blend_rgb)(multiply, black_box(&mut dst), &src, 200));
        });
        group.bench_function(format!("chroma_key, {level:?}"), |b| {
            b.iter(|| (kernels.chroma_key)(black_box(&mut dst), &key));
        });
    }
    group.finish();
}

/// What inputs are scaled and converted by: 1280 to 1920 samples, and BT.601.
fn input_kernels(c: &mut Criterion) {
    const FROM: usize = 1_280;
    let mut group = c.benchmark_group("kernels, an input's row of 1920 bytes");
    group.throughput(Throughput::Bytes(ROW as u64));
    let filter = Polyphase::bicubic(1_280, 1_920);
    let weights = [-1_200_i16, 9_000, 9_500, -916];
    let src = vec![60_u8; 4 * ROW];
    let between = vec![60_i16 << 6; FROM + filter.taps()];
    let (mut rows, mut dst) = (vec![0_i16; ROW], vec![90_u8; ROW]);
    let (mut cb, mut cr) = (vec![90_u8; ROW / 2], vec![100_u8; ROW / 2]);
    let weights_of = LumaWeights { red: 0.299, blue: 0.114 };
    let matrix = ColorMatrix::to_bt709(weights_of, false).expect("BT.601 is not BT.709");
    for level in Level::here() {
        let kernels = Kernels::at(level);
        group.bench_function(format!("filter_rows, {level:?}"), |b| {
            b.iter(|| (kernels.filter_rows)(black_box(&mut rows), &src, ROW, &weights));
        });
        group.bench_function(format!("filter_columns, {level:?}"), |b| {
            b.iter(|| (kernels.filter_columns)(black_box(&mut dst), &between, &filter));
        });
        group.bench_function(format!("convert_luma, {level:?}"), |b| {
            b.iter(|| (kernels.convert_luma)(black_box(&mut dst), &cb, &cr, &matrix));
        });
        group.bench_function(format!("convert_chroma, {level:?}"), |b| {
            b.iter(|| (kernels.convert_chroma)(black_box(&mut cb), black_box(&mut cr), &matrix));
        });
    }
    group.finish();
}

/// A ladder's sizes below 1080p: what a tick costs where all of the canvas is new, and where a title
/// of it is.
fn scaling(c: &mut Criterion) {
    let canvas = size(1_920, 1_080);
    let title = size(640, 64);
    let mut group = c.benchmark_group("scale 1080p");
    let mut frame = pool(canvas, 1).take().expect("the pool is free");
    for (n, byte) in frame.planes_mut().into_iter().flat_map(|plane| plane.data).enumerate() {
        *byte = (n * 31 / 7).to_le_bytes()[0];
    }
    let frame = frame.freeze();
    for level in Level::here() {
        for sizes in [vec![(1_280, 720)], vec![(854, 480)], vec![(640, 360)], LADDER.to_vec()] {
            for (what, damage) in [("all", Damage::whole(canvas)), ("title", Damage::whole(title))]
            {
                let mut scalers: Vec<_> = sizes
                    .iter()
                    .map(|(w, h)| (Scaler::new(canvas, size(*w, *h), level), pool(size(*w, *h), 3)))
                    .collect();
                group.bench_function(format!("{sizes:?}, {what}, {level:?}"), |b| {
                    b.iter(|| {
                        for (scaler, pool) in &mut scalers {
                            scaler.change(&damage);
                            black_box(scaler.scale(&frame, pool));
                        }
                    });
                });
            }
        }
    }
    group.finish();
}

/// Sizes of the usual ladder below 1080p.
const LADDER: [(u32, u32); 3] = [(1_280, 720), (854, 480), (640, 360)];

/// The demo at a further size, of which a tick of the canvas is drawn, scaled or drawn once more.
fn further_sizes(c: &mut Criterion) {
    let canvas = size(1_920, 1_080);
    let mut group = c.benchmark_group("demo 1080p and a further size, usual tick");
    let scene = demo::scene(canvas);
    let drawn = |onto: Size| {
        let resolved = ResolvedScene::onto(&scene, (canvas, onto), &[], &|_| None);
        let prepared = PreparedScene::new(&resolved.expect("it fits"));
        let composer = Composer::with_scene(prepared.expect("it needs no files"), Level::best());
        (composer, pool(onto, 3))
    };
    let (mut composer, frames) = drawn(canvas);
    let mut n = 0;
    group.bench_function("canvas alone", |b| {
        b.iter(|| {
            n += 1;
            black_box(composer.compose(&tick(n), &frames))
        });
    });
    for (w, h) in LADDER {
        let onto = size(w, h);
        let (mut composer, frames) = drawn(canvas);
        let (mut scaler, scaled) = (Scaler::new(canvas, onto, Level::best()), pool(onto, 3));
        let (mut n, mut seen) = (0, 0);
        group.bench_function(format!("scaled to {onto}"), |b| {
            b.iter(|| {
                n += 1;
                let composed = composer.compose(&tick(n), &frames);
                if let Composed::Fresh(frame) | Composed::Same(frame) = composed {
                    scaler.change(&composer.changed_since(seen));
                    seen = composer.mark();
                    black_box(scaler.scale(&frame, &scaled));
                }
            });
        });
        let ((mut composer, frames), mut native) = (drawn(canvas), drawn(onto));
        let mut n = 0;
        group.bench_function(format!("drawn at {onto}"), |b| {
            b.iter(|| {
                n += 1;
                black_box(composer.compose(&tick(n), &frames));
                black_box(native.0.compose(&tick(n), &native.1))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, ticks, kernels, scaling, further_sizes);
criterion_main!(benches);
