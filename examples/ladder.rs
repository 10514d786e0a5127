//! A ladder of renditions from raw pictures: what scaling and encoding them costs, next to each of
//! the encodes alone. `ladder FILE` reads planar 4:2:0 pictures of 1920x1080 and prints milliseconds
//! of CPU per picture; reading them is not counted.
#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a measuring tool")]

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read};

use stream_manager::config::Config;
use stream_manager::internals::{
    Damage, FrozenFrame, Geometry, Level, PacketPool, PacketPoolSpec, Pool, Scaler, VideoEncoder,
    VideoPacket, VideoSink, VideoSpec, open_video,
};

/// 1080p, 720p, 480p and 360p at 30 frames a second, veryfast.
const LADDER: &str = r#"
[[channel]]
name = "ladder"
[channel.video]
width = 1920
height = 1080
bitrate = "6M"
speed = "fixed"
encoder = "libx264"
threads = 1
[[channel.rendition]]
name = "720p"
height = 720
bitrate = "3M"
[[channel.rendition]]
name = "480p"
height = 480
bitrate = "1500k"
[[channel.rendition]]
name = "360p"
height = 360
bitrate = "800k"
"#;

struct Discard;

impl VideoSink for Discard {
    fn packet(&mut self, packet: VideoPacket) {
        drop(packet);
    }
}

/// One rung: its scaler, unless it is of the canvas' size, and its encoder.
struct Rung {
    scaler: Option<(Scaler, Pool)>,
    encoder: Box<dyn VideoEncoder>,
}

impl Rung {
    fn new(canvas: &VideoSpec, spec: &VideoSpec) -> Result<Self, Box<dyn Error>> {
        let pool = Pool::new(Geometry::new(spec.size, spec.format), 4)?;
        let scaler = Scaler::new(canvas.size, spec.size, Level::best());
        let encoder = open_video(spec, &PacketPool::new(PacketPoolSpec::default())?)?;
        let is_scaled = spec.size != canvas.size;
        Ok(Self { scaler: is_scaled.then_some((scaler, pool)), encoder })
    }

    /// The canvas at this rung's size: all of it is new.
    fn scale(&mut self, canvas: &FrozenFrame) -> Option<FrozenFrame> {
        let Some((scaler, pool)) = &mut self.scaler else { return Some(canvas.share()) };
        scaler.change(&Damage::whole(canvas.geometry().size()));
        scaler.scale(canvas, pool)
    }
}

/// CPU seconds.
#[derive(Default)]
struct Costs {
    scaling: f64,
    encoding: f64,
    pictures: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: ladder FILE")?;
    let config = Config::parse(LADDER, "the ladder")?;
    let channel = &config.channels[0];
    let further = channel.renditions.iter().map(|it| channel.rendition_spec(it, 1));
    let specs: Vec<_> = [channel.video_spec(1)].into_iter().chain(further).collect();
    let all = run(&file, &specs)?;
    let ms = |seconds: f64| 1_000.0 * seconds / all.pictures as f64;
    let mut alone = 0.0;
    for spec in &specs {
        let costs = run(&file, std::slice::from_ref(spec))?;
        println!("{:<20} {:.3} ms encoded alone", spec.size.to_string(), ms(costs.encoding));
        alone += costs.encoding;
    }
    println!("pictures             {}", all.pictures);
    println!("scaling              {:.3} ms", ms(all.scaling));
    println!("ladder               {:.3} ms", ms(all.scaling + all.encoding));
    println!("encodes alone        {:.3} ms", ms(alone));
    println!("ladder / encodes     {:.3}", (all.scaling + all.encoding) / alone);
    Ok(())
}

/// Makes these rungs of all pictures of the file.
fn run(file: &str, specs: &[VideoSpec]) -> Result<Costs, Box<dyn Error>> {
    let config = Config::parse(LADDER, "the ladder")?;
    let canvas = config.channels[0].video_spec(1);
    let pool = Pool::new(Geometry::new(canvas.size, canvas.format), 4)?;
    let mut rungs = Vec::new();
    for spec in specs {
        rungs.push(Rung::new(&canvas, spec)?);
    }
    let mut file = BufReader::with_capacity(1 << 20, File::open(file)?);
    let mut costs = Costs::default();
    while let Some(picture) = read(&mut file, &pool)? {
        for rung in &mut rungs {
            let began = cpu();
            let frame = rung.scale(&picture).ok_or("all frames are in use")?;
            let scaled = cpu();
            rung.encoder.encode(frame, i64::try_from(costs.pictures)?, false, &mut Discard)?;
            costs.scaling += scaled - began;
            costs.encoding += cpu() - scaled;
        }
        costs.pictures += 1;
    }
    for rung in &mut rungs {
        let began = cpu();
        rung.encoder.flush(&mut Discard)?;
        costs.encoding += cpu() - began;
    }
    Ok(costs)
}

/// The next picture; `None` at the end of the file.
fn read(file: &mut impl Read, pool: &Pool) -> Result<Option<FrozenFrame>, Box<dyn Error>> {
    let mut frame = pool.take().ok_or("all frames are in use")?;
    for plane in frame.planes_mut() {
        for row in plane.data.chunks_mut(plane.stride) {
            match file.read_exact(&mut row[..plane.width]) {
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
                other => other?,
            }
        }
    }
    Ok(Some(frame.freeze()))
}

/// CPU seconds of the whole process: an encoder may have threads.
fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills `time`.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
