//! Inventory of encoders: which are here, on what hardware, how fast, and why others are not there.

use std::fmt;
use std::path::PathBuf;

use super::select::{Candidate, all, select};
use super::{Error, VideoEncoder, VideoPacket, VideoSink, VideoSpec};
use crate::frame::{Geometry, PacketPool, Pool};
use crate::media::Micros;

#[cfg(any(feature = "nvenc", feature = "vaapi"))]
use super::backend::check;
#[cfg(feature = "vaapi")]
use super::backend::libav::vaapi;
#[cfg(feature = "nvenc")]
use super::backend::nvenc;
use super::backend::pattern::draw;

/// The hidden command of the program that prints [`check_hardware`] of the encoder it is given.
pub const CHECK_COMMAND: &str = "check-encoder";

/// Pictures in the pool of a measurement: one that is drawn, and some that an encoder holds.
const POOL_SLOTS: u32 = 8;

/// One encoder of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryEntry {
    /// Its name in configurations.
    pub name: &'static str,
    /// What it makes.
    pub codecs: Vec<&'static str>,
    /// What the driver says of its hardware, in lines; empty for software.
    pub hardware: String,
    /// Why it cannot be used, or how fast it is.
    pub outcome: Result<Speed, String>,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// Pictures that were encoded.
    pub pictures: u32,
    /// How long that took.
    pub took: Micros,
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.secs_f64().max(f64::EPSILON);
        let per_second = f64::from(self.pictures) / seconds;
        let each = seconds * 1_000.0 / f64::from(self.pictures.max(1));
        write!(f, "{per_second:.0} pictures a second, {each:.2} ms each")
    }
}

/// Hardware is checked by running `program` with [`CHECK_COMMAND`]. Only the program itself may say
/// so: of another one that embeds the library nobody knows what it does when it is run once more.
pub fn check_with(program: PathBuf) {
    #[cfg(any(feature = "nvenc", feature = "vaapi"))]
    check::check_with(program, CHECK_COMMAND);
    #[cfg(not(any(feature = "nvenc", feature = "vaapi")))]
    drop(program);
}

/// What the hardware of this encoder can do here, asked in this very process: a driver may end it.
///
/// # Errors
/// Why there is none.
pub fn check_hardware(encoder: &str) -> Result<String, String> {
    match encoder {
        #[cfg(feature = "nvenc")]
        nvenc::NAME => nvenc::report(),
        #[cfg(feature = "vaapi")]
        vaapi::NAME => vaapi::report(),
        _ => Err(format!("this build checks no hardware for an encoder `{encoder}`")),
    }
}

/// Looks at every encoder, and has it encode `pictures` as `spec` says. `now` tells the time.
pub fn inventory(
    spec: &VideoSpec,
    packets: &PacketPool,
    pictures: u32,
    now: impl Fn() -> Micros,
) -> Vec<InventoryEntry> {
    let entry = |candidate: &Candidate| {
        let checked = candidate.check.map_or_else(|| Ok(String::new()), |check| check());
        let (hardware, outcome) = match checked {
            Err(reason) => (String::new(), Err(reason)),
            Ok(hardware) => {
                let spec = spec_of(candidate, spec);
                let measured = select(&[*candidate], &spec, packets)
                    .and_then(|encoder| measure(encoder, &spec, pictures, &now));
                (hardware, measured.map_err(|error| error.to_string()))
            }
        };
        let codecs = candidate.codecs.iter().map(|codec| codec.name()).collect();
        InventoryEntry { name: candidate.name, codecs, hardware, outcome }
    };
    all().iter().map(entry).collect()
}

/// `spec` for the first codec that the encoder makes.
fn spec_of(candidate: &Candidate, spec: &VideoSpec) -> VideoSpec {
    let encoder = Some(candidate.name);
    match candidate.codecs.first() {
        Some(codec) if *codec != spec.codec => {
            VideoSpec { encoder, codec: *codec, profile: String::new(), ..spec.clone() }
        }
        _ => VideoSpec { encoder, ..spec.clone() },
    }
}

/// Encodes pictures in which something moves, as fast as it goes.
fn measure(
    mut encoder: Box<dyn VideoEncoder>,
    spec: &VideoSpec,
    pictures: u32,
    now: &impl Fn() -> Micros,
) -> Result<Speed, Error> {
    struct Nowhere;
    impl VideoSink for Nowhere {
        fn packet(&mut self, _: VideoPacket) {}
    }
    let out_of_memory = |_| Error::Unavailable("no memory for pictures".to_owned());
    let pool =
        Pool::new(Geometry::new(spec.size, spec.format), POOL_SLOTS).map_err(out_of_memory)?;
    let mut took = Micros(0);
    for number in 0..pictures {
        let Some(mut frame) = pool.take() else {
            return Err(Error::Device("it keeps the pictures that it is given".to_owned()));
        };
        draw(&mut frame, number as usize);
        let began = now();
        encoder.encode(frame.freeze(), i64::from(number), false, &mut Nowhere)?;
        took = took + now().since(began);
    }
    let began = now();
    encoder.flush(&mut Nowhere)?;
    Ok(Speed { pictures, took: took + now().since(began) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PacketPoolSpec;
    use crate::media::{FrameRate, PixelFormat, Size, VideoCodec};
    use std::cell::Cell;

    #[test]
    fn each_encoder_is_listed_with_its_speed_or_with_why_it_cannot_be_used() {
        let spec = VideoSpec {
            codec: VideoCodec::H264,
            encoder: None,
            device: None,
            size: Size::new(320, 192).unwrap(),
            rate: FrameRate::FPS_30,
            format: PixelFormat::I420,
            bitrate_bps: 800_000,
            preset: "ultrafast".to_owned(),
            fastest_preset: None,
            tune: String::new(),
            profile: String::new(),
            gop_frames: 60,
            b_frames: 0,
            threads: 1,
            keep: crate::encode::Keep::default(),
        };
        let clock = Cell::new(0);
        let tick = || {
            clock.set(clock.get() + 1_000);
            Micros(clock.get())
        };
        let packets = PacketPool::new(PacketPoolSpec::default()).unwrap();
        let list = inventory(&spec, &packets, 10, tick);
        let names: Vec<_> = list.iter().map(|entry| entry.name).collect();
        assert!(names.into_iter().eq(crate::encode::encoder_names()));
        for entry in &list {
            match entry.name {
                // No test runs in the program that checks.
                "nvenc" | "vaapi" => {
                    assert!(entry.outcome.as_ref().unwrap_err().contains("checked by"));
                }
                name => {
                    let speed = entry.outcome.as_ref().unwrap();
                    assert_eq!((speed.pictures, speed.took), (10, Micros(11_000)), "{name}");
                    assert_eq!(speed.to_string(), "909 pictures a second, 1.10 ms each");
                }
            }
            let codecs = match entry.name {
                "nvenc" if cfg!(nvenc_av1) => &["h264", "hevc", "av1"][..],
                "nvenc" | "vaapi" => &["h264", "hevc"],
                "libx265" => &["hevc"],
                "libsvtav1" => &["av1"],
                _ => &["h264"],
            };
            assert_eq!(entry.codecs, codecs);
        }
    }
}
