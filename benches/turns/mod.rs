//! Two encoders in turns: the same pictures, threads and settings, and what each takes for them.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot begin should say so and stop")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use stream_manager::internals::{
    Frame, FrozenFrame, Geometry, Keep, PacketPool, PacketPoolSpec, Pool, VideoEncoder,
    VideoPacket, VideoSink, VideoSpec, open_video,
};
use stream_manager::media::{FrameRate, PixelFormat, Size, VideoCodec};

/// Pictures of the programme; it is played forwards and backwards in turn.
const PICTURES: u32 = 30;

/// Pictures per run for each of the two, and runs, when benchmarks were asked for.
const FULL: (i64, usize) = (300, 3);

/// The same when this is only a test that it runs.
const SMOKE: (i64, usize) = (40, 1);

/// Pictures in one turn. What an encoder's threads still do after its turn counts for the other, but
/// that is less than two pictures, and the same for both.
const TURN: i64 = 20;

/// Counts what Rust allocates; libavcodec has an allocator of its own.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: hands everything to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Pictures per run, and runs: many if benchmarks were asked for.
pub fn length() -> (i64, usize) {
    if std::env::args().any(|word| word == "--bench") { FULL } else { SMOKE }
}

/// 1080p60 at 6 Mb/s with this tuning.
pub fn spec(tune: &str) -> VideoSpec {
    VideoSpec {
        codec: VideoCodec::H264,
        encoder: None,
        device: None,
        size: Size::new(1_920, 1_080).expect("both are even"),
        rate: FrameRate::new(60, 1).expect("a usual rate"),
        format: PixelFormat::I420,
        bitrate_bps: 6_000_000,
        preset: "veryfast".to_owned(),
        fastest_preset: None,
        tune: tune.to_owned(),
        profile: "high".to_owned(),
        gop_frames: 120,
        b_frames: 0,
        threads: 2,
        keep: Keep::default(),
    }
}

/// An encoder that is used as plainly as it can be.
pub trait Plain {
    /// Encodes the picture of tick `n`.
    fn encode(&mut self, n: i64);

    /// Bytes in all.
    fn end(self) -> u64;
}

/// Lets our encoder and the one that `open` gives take turns, and prints what each took.
pub fn compare<P: Plain>(
    spec: &VideoSpec,
    pictures: &[FrozenFrame],
    (count, runs): (i64, usize),
    open: impl Fn() -> P,
) {
    let tune = if spec.tune.is_empty() { "no tune" } else { &spec.tune };
    println!(
        "\n{} at {} fps, {}, {tune}, {} kb/s, {} threads, {count} pictures x {runs}",
        spec.size,
        spec.rate.fps(),
        spec.preset,
        spec.bitrate_bps / 1_000,
        spec.threads
    );
    println!("run    ours ms  plain ms   ratio   ours fps  plain fps");
    let pool = PacketPool::new(PacketPoolSpec::default()).expect("address space for packets");
    let mut ratios = Vec::new();
    for run in 0..runs {
        let mut ours = Ours::open(spec, pictures, &pool);
        let mut plain = open();
        let [mut our_cost, mut plain_cost] = [Cost::default(); 2];
        for (turn, first) in (0..count).step_by(usize::try_from(TURN).unwrap_or(1)).enumerate() {
            let ticks = first..first + TURN;
            // Whoever goes first finds other caches and clocks.
            if turn % 2 == 0 {
                our_cost.measure(ticks.clone(), |n| ours.encode(n));
                plain_cost.measure(ticks, |n| plain.encode(n));
            } else {
                plain_cost.measure(ticks.clone(), |n| plain.encode(n));
                our_cost.measure(ticks, |n| ours.encode(n));
            }
        }
        let bytes = ours.end() as f64 / plain.end() as f64;
        assert!((0.98..1.02).contains(&bytes), "not the same work: {bytes} of the bytes");
        assert_eq!(our_cost.allocations, 0, "the wrapper allocated from Rust");
        let ratio = our_cost.cpu_s / plain_cost.cpu_s;
        ratios.push(ratio);
        println!(
            "{run:>3} {:>10.3} {:>9.3} {ratio:>7.4} {:>10.1} {:>10.1}",
            our_cost.cpu_ms(),
            plain_cost.cpu_ms(),
            our_cost.fps(),
            plain_cost.fps()
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.4}; no allocation from Rust", ratios[ratios.len() / 2]);
}

/// Moving shapes over a texture: something like a game, neither flat nor noise.
pub fn programme(spec: &VideoSpec) -> Vec<FrozenFrame> {
    let geometry = Geometry::new(spec.size, spec.format);
    let pool = Pool::new(geometry, PICTURES).expect("memory for the programme");
    (0..PICTURES as usize)
        .map(|n| {
            let mut frame = pool.take().expect("a slot for each picture");
            draw(&mut frame, n);
            frame.freeze()
        })
        .collect()
}

fn draw(frame: &mut Frame, n: usize) {
    for (index, plane) in frame.planes_mut().into_iter().enumerate() {
        for (row, line) in plane.data.chunks_mut(plane.stride).enumerate() {
            for (column, pixel) in line.iter_mut().enumerate() {
                let (x, y) = (column + 5 * n, row + 2 * n);
                let block = (x / 64 + y / 48) * 37 % 120;
                let grain = (((x * 2_654_435_761) ^ (y * 40_503)) >> 7) % 24;
                let value = if index == 0 { 40 + block + grain } else { 96 + block / 2 };
                *pixel = u8::try_from(value).unwrap_or(235);
            }
        }
    }
}

/// Which picture is shown at tick `n`: there and back again.
pub fn at(n: i64) -> usize {
    let last = i64::from(PICTURES) - 1;
    let place = n % (2 * last);
    usize::try_from(place.min(2 * last - place)).unwrap_or(0)
}

#[derive(Default)]
struct Count(u64);

impl VideoSink for Count {
    fn packet(&mut self, packet: VideoPacket) {
        self.0 += packet.body.len() as u64;
    }
}

/// The encoder as the node uses it.
struct Ours<'a> {
    pictures: &'a [FrozenFrame],
    encoder: Box<dyn VideoEncoder>,
    sink: Count,
}

impl<'a> Ours<'a> {
    fn open(spec: &VideoSpec, pictures: &'a [FrozenFrame], pool: &PacketPool) -> Self {
        let encoder = open_video(spec, pool).expect("libx264");
        Self { pictures, encoder, sink: Count::default() }
    }

    fn encode(&mut self, n: i64) {
        let frame = self.pictures[at(n)].share();
        self.encoder.encode(frame, n, false, &mut self.sink).expect("libx264 encodes");
    }

    /// Bytes in all.
    fn end(mut self) -> u64 {
        self.encoder.flush(&mut self.sink).expect("libx264 ends");
        self.sink.0
    }
}

/// What all turns of one of the two took.
#[derive(Clone, Copy, Default)]
struct Cost {
    pictures: i64,
    /// Of all threads.
    cpu_s: f64,
    wall_s: f64,
    allocations: u64,
}

impl Cost {
    fn measure(&mut self, ticks: std::ops::Range<i64>, mut encode: impl FnMut(i64)) {
        self.pictures += ticks.end - ticks.start;
        let (cpu, wall, allocations) = meter();
        ticks.for_each(&mut encode);
        let after = meter();
        self.cpu_s += after.0 - cpu;
        self.wall_s += after.1 - wall;
        self.allocations += after.2 - allocations;
    }

    fn cpu_ms(&self) -> f64 {
        self.cpu_s * 1e3 / self.pictures as f64
    }

    fn fps(&self) -> f64 {
        self.pictures as f64 / self.wall_s
    }
}

/// Seconds of CPU time, seconds on the wall, and allocations so far.
pub fn meter() -> (f64, f64, u64) {
    let clock = |id| {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: writes the time into the struct.
        unsafe { libc::clock_gettime(id, &raw mut now) };
        now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
    };
    let (cpu, wall) = (clock(libc::CLOCK_PROCESS_CPUTIME_ID), clock(libc::CLOCK_MONOTONIC));
    (cpu, wall, ALLOCATIONS.load(Ordering::Relaxed))
}
