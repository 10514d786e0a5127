//! The choice of a backend, and the test double that stands in for one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::backend::probe::{Probe, ProbeLog};
use super::select::{Candidate, select};
use super::*;
use crate::frame::{Geometry, PacketPool, PacketPoolSpec, Pool};
use crate::media::{AudioCodec, FrameRate, PixelFormat, Size, VideoCodec, h264};

fn spec() -> VideoSpec {
    VideoSpec {
        codec: VideoCodec::H264,
        encoder: None,
        device: None,
        size: Size::new(320, 192).unwrap(),
        rate: FrameRate::new(30, 1).unwrap(),
        format: PixelFormat::I420,
        bitrate_bps: 800_000,
        preset: "veryfast".to_owned(),
        fastest_preset: None,
        tune: String::new(),
        profile: String::new(),
        gop_frames: 30,
        b_frames: 0,
        threads: 1,
        keep: Keep::default(),
    }
}

fn packets() -> PacketPool {
    PacketPool::new(PacketPoolSpec::default()).unwrap()
}

fn frames() -> Pool {
    Pool::new(Geometry::new(spec().size, PixelFormat::I420), 4).unwrap()
}

#[derive(Default)]
struct Collect(Vec<(Vec<u8>, i64, bool)>);

impl VideoSink for Collect {
    fn packet(&mut self, packet: VideoPacket) {
        self.0.push((packet.body.to_vec(), packet.pts, packet.key));
    }
}

fn absent(_: &VideoSpec, _: &PacketPool) -> Result<Box<dyn VideoEncoder>, Error> {
    Err(Error::Unavailable("no device".to_owned()))
}

fn double(_: &VideoSpec, pool: &PacketPool) -> Result<Box<dyn VideoEncoder>, Error> {
    Ok(Box::new(Probe::new(pool, &Arc::default(), 30)))
}

fn strict(_: &VideoSpec, _: &PacketPool) -> Result<Box<dyn VideoEncoder>, Error> {
    Err(Error::Config("preset = \"p9\"".to_owned()))
}

const fn candidate(name: &'static str, open: select::Open) -> Candidate {
    Candidate { name, codecs: &[VideoCodec::H264], is_for_speeds: false, check: None, open }
}

fn choose(candidates: &[Candidate]) -> Result<&'static str, Error> {
    select(candidates, &spec(), &packets()).map(|encoder| encoder.name())
}

#[test]
fn a_backend_that_is_not_there_is_passed_over() {
    let [gpu, probe] = [candidate("gpu", absent), candidate("probe", double)];
    assert_eq!(choose(&[gpu, probe]), Ok("probe"));
}

#[test]
fn if_no_backend_is_there_all_reasons_are_told() {
    let [gpu, other] = [candidate("gpu", absent), candidate("other", absent)];
    let error = choose(&[gpu, other]).unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)));
    let text = error.to_string();
    for part in ["h264", "gpu: no device", "other: no device"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_wrong_setting_is_told_to_the_user_instead_of_trying_another_backend() {
    let [strict, probe] = [candidate("strict", strict), candidate("probe", double)];
    assert!(matches!(choose(&[strict, probe]), Err(Error::Config(_))));
}

#[test]
fn a_backend_is_only_asked_for_what_it_can_make() {
    let none = Candidate { codecs: &[], ..candidate("none", double) };
    assert!(matches!(choose(&[none]), Err(Error::Unavailable(_))));
}

#[test]
fn a_backend_with_speeds_is_left_alone_where_the_speed_is_fixed() {
    let fast = Candidate { is_for_speeds: true, ..candidate("probe", double) };
    let all = [fast, candidate("none", absent)];
    assert!(matches!(choose(&all), Err(Error::Unavailable(_))));
    let auto = VideoSpec { fastest_preset: Some("superfast".to_owned()), ..spec() };
    assert!(select(&all, &auto, &packets()).is_ok());
}

#[cfg(feature = "x264")]
#[test]
fn a_speed_that_may_change_is_a_task_for_x264_itself() {
    let auto = VideoSpec { fastest_preset: Some("superfast".to_owned()), ..spec() };
    assert_eq!((first_choice(&auto), first_choice(&spec())), ("x264", "libx264"));
    assert_eq!(open_video(&auto, &packets()).unwrap().name(), "x264");
}

#[test]
fn this_machine_opens_libx264_and_aac() {
    assert_eq!(open_video(&spec(), &packets()).unwrap().name(), "libx264");
    let spec = AudioSpec { codec: AudioCodec::Aac, bitrate_bps: 128_000 };
    assert!(!open_audio(&spec, &packets()).unwrap().header().is_empty());
}

#[test]
fn the_probe_holds_one_picture_back_and_fails_when_told() {
    let log = Arc::<ProbeLog>::default();
    let mut probe = Probe::new(&packets(), &log, 2).failing_at(4);
    let pool = frames();
    let mut out = Collect::default();
    for n in 0..4 {
        assert_eq!(out.0.len(), usize::try_from(n).unwrap().saturating_sub(1));
        probe.encode(pool.take().unwrap().freeze(), n, n == 1, &mut out).unwrap();
        assert_eq!(pool.in_use(), 1);
    }
    let failed = probe.encode(pool.take().unwrap().freeze(), 4, false, &mut out);
    assert!(matches!(failed, Err(Error::Device(_))));
    probe.flush(&mut out).unwrap();
    assert_eq!(pool.in_use(), 0);
    let keys: Vec<_> = out.0.iter().map(|(_, pts, key)| (*pts, *key)).collect();
    assert_eq!(keys, [(0, true), (1, true), (2, true), (3, false)]);
    for (bytes, _, key) in &out.0 {
        let unit = h264::units(bytes).next().unwrap();
        assert_eq!((unit.len() + 4, unit[0] & 0x1f == h264::nal::IDR), (bytes.len(), *key));
    }
    let counts = [&log.frames, &log.forced, &log.packets].map(|n| n.load(Ordering::Relaxed));
    assert_eq!(counts, [5, 1, 4]);
}
