//! The pictures of the reference programme, fed straight to libx264 at their own rate: what encoding
//! costs without a node around it. `encode_straight [SECONDS] [THREADS]` prints CPU per frame; the
//! drawing of the pictures is measured apart and taken off.
#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a measuring tool")]

use std::error::Error;
use std::time::Duration;

use stream_manager::config::Config;
use stream_manager::internals::{
    Clock, Composed, Composer, Geometry, Level, Pacer, PacketPool, PacketPoolSpec, Pool, Slot,
    Tick, VideoPacket, VideoSink, open_video,
};

struct Discard;

impl VideoSink for Discard {
    fn packet(&mut self, packet: VideoPacket) {
        drop(packet);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(20), |text| text.parse())?;
    let threads: usize = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let config = Config::parse(include_str!("seed.toml"), "seed.toml")?;
    let channel = &config.channels[0];
    let spec = channel.video_spec(threads);
    let mut composer = Composer::new(channel.scene(), spec.size, Level::best())?;
    let pool = Pool::new(Geometry::new(spec.size, spec.format), 4)?;
    let mut encoder = open_video(&spec, &PacketPool::new(PacketPoolSpec::default())?)?;
    let clock = Clock::start();
    let mut pacer = Pacer::new(spec.rate, clock.now());
    let (before, mut drawing, mut frames) = (cpu(libc::CLOCK_PROCESS_CPUTIME_ID), 0.0, 0_u64);
    let mut late = 0;
    loop {
        let (tick, missed) = match pacer.slot(clock.now()) {
            Slot::Wait(due) => {
                std::thread::park_timeout(Duration::from(due - clock.now()));
                continue;
            }
            Slot::Run { tick, missed } => (tick, missed),
        };
        late += missed;
        if tick >= seconds * 60 {
            break;
        }
        let at = spec.rate.due(tick);
        let now = Tick { n: tick, at, programme: at, unix_ms: clock.unix_millis() };
        let began = cpu(libc::CLOCK_THREAD_CPUTIME_ID);
        let composed = composer.compose(&now, &pool);
        drawing += cpu(libc::CLOCK_THREAD_CPUTIME_ID) - began;
        let (Composed::Fresh(frame) | Composed::Same(frame)) = composed else { continue };
        encoder.encode(frame, i64::try_from(tick)?, false, &mut Discard)?;
        frames += 1;
    }
    encoder.flush(&mut Discard)?;
    let all = cpu(libc::CLOCK_PROCESS_CPUTIME_ID) - before;
    let ms = |seconds: f64| 1_000.0 * seconds / frames as f64;
    println!("frames               {frames}, {late} ticks missed");
    println!("encoding             {:.3} ms of CPU per frame", ms(all - drawing));
    println!("drawing              {:.3} ms of CPU per frame", ms(drawing));
    Ok(())
}

/// CPU seconds by a clock of this thread or of the whole process.
fn cpu(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills `time`.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
