//! VAAPI against the fake driver: what the driver sees of it, what comes out, and how it fails.

#![expect(clippy::cast_possible_wrap, reason = "numbers of pictures")]

use std::fs;
use std::path::PathBuf;
use std::sync::{MutexGuard, PoisonError};

use tempfile::TempDir;

use super::encoder::open_encoder;
use super::instance::loses_pictures;
use super::node::{Node, nodes_in};
use super::report::report_of;
use crate::encode::backend::fakes::{
    assert_halves, assert_keyframes, encode_halves, fakes, set_faults, still,
};
use crate::encode::backend::fixture::{
    Collect, encode, frames, noise, packets, pictures, pictures_of, spec,
};
use crate::encode::backend::pattern::draw;
use crate::encode::backend::watched::Watched;
use crate::encode::{Error, VideoEncoder, VideoSpec};
use crate::ffi::sys;
use crate::ffi::va::Libva;
use crate::media::{PixelFormat, Size, VideoCodec, h264};

/// Looks at the log of a driver until it says what is waited for.
const LOOKS_MAX: u32 = 200_000;

/// A driver for one test, with a render node. Its faults are the process's, so that one test at a
/// time has one.
struct Fake {
    libva: &'static Libva,
    folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Fake {
    /// Faults as `ffi/fake/faults.h` names them.
    fn with(faults: &str) -> Self {
        #[expect(clippy::disallowed_types, reason = "held for a test")]
        static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let libva = Box::leak(Box::new(Libva::open(Some(fakes())).unwrap()));
        let fake = Self { libva, folder: tempfile::tempdir().unwrap(), _alone: alone };
        fs::write(fake.folder.path().join("renderD250"), "").unwrap();
        fake.set_faults(faults);
        fake
    }

    fn set_faults(&self, faults: &str) {
        set_faults("fake_drv_video.so", &format!("log={},{faults}", self.log_path().display()));
    }

    fn nodes(&self) -> Vec<Node> {
        nodes_in(self.folder.path(), None).unwrap()
    }

    fn open(&self, spec: &VideoSpec) -> Result<Watched, Error> {
        open_encoder(self.libva, self.nodes(), spec, &packets())
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What the driver has seen so far.
    fn log_so_far(&self) -> Vec<String> {
        let text = fs::read_to_string(self.log_path()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What the driver saw until its display was closed, which it waits for. It must not find fault
    /// with its client.
    fn clean_log(&self) -> Vec<String> {
        for _ in 0..LOOKS_MAX {
            let log = self.log_so_far();
            let faults: Vec<_> = log.iter().filter(|line| line.starts_with("fault")).collect();
            assert!(faults.is_empty(), "{faults:?}");
            if loses_pictures() || log.iter().any(|line| line.starts_with("terminated")) {
                return log;
            }
            std::thread::yield_now();
        }
        panic!("the display is still open: {:?}", self.log_so_far());
    }
}

/// VAAPI, and nothing else will do.
fn named() -> VideoSpec {
    VideoSpec { encoder: Some(super::NAME), ..spec() }
}

/// What the driver was asked for by each encoder, in their order.
fn tasks(log: &[String]) -> Vec<&str> {
    log.iter().map(String::as_str).filter(|line| line.starts_with("320x192")).collect()
}

#[test]
fn pictures_of_both_formats_come_out_as_they_went_in_mapped_or_put() {
    for (format, faults) in [
        (PixelFormat::I420, ""),
        (PixelFormat::Nv12, ""),
        (PixelFormat::I420, "no_derive"),
        (PixelFormat::Nv12, "no_derive"),
        (PixelFormat::I420, "packed"),
    ] {
        let fake = Fake::with(faults);
        let spec = VideoSpec { format, ..spec() };
        let mut encoder = fake.open(&spec).unwrap();
        let out = encode(&mut encoder, &spec, 40, still);
        let decoded = pictures(&encoder, &out);
        drop(encoder);
        assert_halves(&decoded);
        let log = fake.clean_log();
        // 30 that were measured, 40, and one for the header where libavcodec does not write it.
        let pictures = if faults == "packed" { 70 } else { 71 };
        let encoded = log.iter().filter(|line| line.starts_with("picture")).count();
        assert_eq!(encoded, pictures, "{log:?}");
        if loses_pictures() {
            continue;
        }
        let end = log.iter().find(|line| line.starts_with("terminated")).unwrap();
        let is_put = end.ends_with(&format!("{pictures} images put"));
        assert_eq!(is_put, faults == "no_derive", "{end}");
    }
}

#[test]
fn keyframes_come_when_they_are_asked_for_and_by_the_interval() {
    for faults in ["", "packed"] {
        check_keyframes(&Fake::with(faults));
    }
}

fn check_keyframes(fake: &Fake) {
    let mut encoder = fake.open(&spec()).unwrap();
    assert_eq!((encoder.name(), encoder.delay_frames()), ("vaapi", 0));
    let out = encode(&mut encoder, &spec(), 95, |frame, n| {
        noise(frame, n);
        n == 40
    });
    drop(encoder);
    assert_keyframes(&out);
    fake.clean_log();
}

#[test]
fn hevc_comes_out_as_it_went_in_and_changes_its_bitrate() {
    let fake = Fake::with("");
    let spec = VideoSpec { codec: VideoCodec::Hevc, profile: "main".to_owned(), ..spec() };
    let mut encoder = fake.open(&spec).unwrap();
    let out = encode(&mut encoder, &spec, 40, |frame, n| still(frame, n) || n == 20);
    let decoded = pictures_of(sys::AV_CODEC_ID_HEVC, &encoder, &out);
    drop(encoder);
    assert_eq!(decoded.len(), 40);
    for (n, picture) in decoded.iter().enumerate() {
        assert_eq!((picture.pts, picture.size), (n as i64, (320, 192)));
        assert_eq!(picture.tags, (sys::AVCOL_SPC_BT709, sys::AVCOL_RANGE_MPEG));
        let row = picture.planes[0].len() / 192 * 96;
        for (is, wanted) in [(80, 60), (240, 200)] {
            assert!(picture.planes[0][row + is].abs_diff(wanted) <= 4);
        }
    }
    let keys: Vec<_> = out.0.iter().filter(|kept| kept.key).map(|kept| kept.pts).collect();
    assert_eq!(keys, [0, 20]);
    for kept in &out.0 {
        let types: Vec<_> = h264::units(&kept.bytes).map(|unit| unit[0] >> 1 & 0x3f).collect();
        assert!(types.iter().all(|kind| *kind < 32 || *kind > 35), "{types:?}");
    }
    fake.clean_log();
    drop(fake);
    check_another_bitrate(&Fake::with(""), &spec, 400_000);
}

#[test]
fn ticks_that_were_left_out_stay_left_out() {
    let fake = Fake::with("");
    let spec = spec();
    let mut encoder = fake.open(&spec).unwrap();
    let (pool, mut out) = (frames(&spec), Collect::default());
    let ticks = [5, 6, 9, 10, 40, 41];
    for tick in ticks {
        encode_halves(&mut encoder, &pool, tick, &mut out).unwrap();
    }
    drop(encoder);
    assert!(out.0.iter().map(|kept| kept.pts).eq(ticks));
    fake.clean_log();
}

#[test]
fn a_constant_rate_is_measured_once_for_each_device() {
    let fake = Fake::with("");
    for _ in 0..2 {
        drop(fake.open(&spec()).unwrap());
    }
    let log = fake.clean_log();
    let wanted = "320x192 30/1 CBR, 800000 bits, buffer 800000, quantiser 0";
    // The trials alone encode here: 30 pictures once, and one for the header of each.
    assert_eq!(tasks(&log), [wanted; 3]);
    let closed = |line: &str| log.iter().filter(|it| *it == line).count();
    assert_eq!(closed("closed after 30 pictures"), 1);
    assert_eq!(closed("closed after 1 pictures"), 2);
}

#[test]
fn a_constant_rate_that_overshoots_is_passed_over_for_a_variable_one() {
    let fake = Fake::with("overshoot=300");
    let mut encoder = fake.open(&spec()).unwrap();
    let out = encode(&mut encoder, &spec(), 90, |frame, n| {
        draw(frame, n);
        false
    });
    drop(encoder);
    let log = fake.clean_log();
    let kinds: Vec<_> = tasks(&log).iter().map(|task| &task[13..16]).collect();
    assert_eq!(kinds, ["CBR", "VBR", "VBR", "VBR"], "two trials, the header, the encoder");
    let rate = out.bps(30);
    assert!((640_000..960_000).contains(&rate), "{rate} b/s");
}

#[test]
fn without_any_rate_control_a_device_is_used_only_where_it_is_named() {
    let fake = Fake::with("cqp_only");
    let error = fake.open(&spec()).err().unwrap();
    assert!(matches!(&error, Error::Unavailable(text) if text.contains("keeps no bitrate")));
    let spec = named();
    let mut encoder = fake.open(&spec).unwrap();
    let out = encode(&mut encoder, &spec, 60, |frame, n| {
        draw(frame, n);
        false
    });
    assert!(out.bps(0) <= 800_000, "the quantiser was chosen for the bitrate: {}", out.bps(0));
    let error = encoder.set_bitrate(400_000).unwrap_err();
    assert!(matches!(&error, Error::Config(text) if text.contains("constant quantiser")));
    drop(encoder);
    assert!(tasks(&fake.clean_log()).iter().all(|task| task.contains("CQP")));
}

#[test]
fn the_low_power_encoder_is_taken_where_only_that_is_there() {
    let fake = Fake::with("low_power");
    let mut encoder = fake.open(&spec()).unwrap();
    assert_eq!(encode(&mut encoder, &spec(), 3, still).0.len(), 3);
    drop(encoder);
    assert!(tasks(&fake.clean_log()).iter().all(|task| task.ends_with("low power")));
}

#[test]
fn another_bitrate_comes_with_a_second_encoder_at_its_first_keyframe() {
    for faults in ["", "packed"] {
        check_another_bitrate(&Fake::with(faults), &spec(), 2_400_000);
    }
}

fn check_another_bitrate(fake: &Fake, spec: &VideoSpec, bitrate_bps: u32) {
    let spec = VideoSpec { gop_frames: 10_000, ..spec.clone() };
    let mut encoder = fake.open(&spec).unwrap();
    if loses_pictures() {
        let refused = encoder.set_bitrate(bitrate_bps).unwrap_err().to_string();
        assert!(refused.contains("7.1"), "{refused}");
        return;
    }
    let header = encoder.header().to_vec();
    let (pool, mut out, mut n) = (frames(&spec), Collect::default(), 0);
    let mut encode_more = |encoder: &mut Watched, out: &mut Collect| {
        let mut frame = pool.take().unwrap();
        draw(&mut frame, n);
        encoder.encode(frame.freeze(), n as i64, false, out).unwrap();
        n += 1;
    };
    (0..60).for_each(|_| encode_more(&mut encoder, &mut out));
    encoder.set_bitrate(bitrate_bps).unwrap();
    let keys = |out: &Collect| out.0.iter().filter(|kept| kept.key).count();
    // The other one is opened meanwhile.
    while keys(&out) < 2 {
        assert!(out.0.len() < 5_000, "it does not take over");
        encode_more(&mut encoder, &mut out);
        std::thread::yield_now();
    }
    let from = out.0.len() - 1;
    (0..90).for_each(|_| encode_more(&mut encoder, &mut out));
    encoder.flush(&mut out).unwrap();
    assert_eq!(encoder.header(), header);
    let codec = match spec.codec {
        VideoCodec::Hevc => sys::AV_CODEC_ID_HEVC,
        _ => sys::AV_CODEC_ID_H264,
    };
    let decoded = pictures_of(codec, &encoder, &out);
    drop(encoder);
    assert_eq!((decoded.len(), keys(&out)), (out.0.len(), 2));
    assert!(out.0.iter().zip(0..).all(|(kept, n)| (kept.pts, kept.dts) == (n, n)));
    let rate = out.bps(from + 30) * 100 / bitrate_bps as usize;
    assert!((80..120).contains(&rate), "{rate} % of the bitrate after the change");
    let log = fake.clean_log();
    let wanted = format!("CBR, {bitrate_bps} bits");
    assert!(tasks(&log).last().unwrap().contains(&wanted), "{log:?}");
}

#[test]
fn a_second_encoder_that_does_not_open_leaves_the_first_as_it_is() {
    // Two contexts: that which encodes, and that which the header is of.
    if loses_pictures() {
        return;
    }
    let fake = Fake::with("sessions=2");
    let spec = VideoSpec { gop_frames: 10_000, ..spec() };
    let mut encoder = fake.open(&spec).unwrap();
    let (pool, mut out) = (frames(&spec), Collect::default());
    encode_halves(&mut encoder, &pool, 0, &mut out).unwrap();
    encoder.set_bitrate(2_400_000).unwrap();
    let is_refused = || fake.log_so_far().iter().any(|line| line == "refused");
    while !is_refused() {
        std::thread::yield_now();
    }
    for pts in 1..30 {
        encode_halves(&mut encoder, &pool, pts, &mut out).unwrap();
    }
    assert_eq!(out.0.iter().filter(|kept| kept.key).count(), 1);
    drop(encoder);
    fake.clean_log();
}

#[test]
fn a_lost_device_is_an_error_that_says_where_to_look() {
    let fake = Fake::with("lost=33");
    let spec = spec();
    let mut encoder = fake.open(&spec).unwrap();
    let (pool, mut out) = (frames(&spec), Collect::default());
    let mut encode = |n| encode_halves(&mut encoder, &pool, n, &mut out);
    assert!((0..33).all(|n| encode(n).is_ok()));
    let error = encode(33).unwrap_err();
    assert!(matches!(&error, Error::Device(text) if text.contains("kernel's log")), "{error:?}");
    assert!(matches!(encode(34), Err(Error::Device(_))), "it stays failed");
    drop(encoder);
    assert_eq!((out.0.len(), pool.in_use()), (33, 0));
    fake.clean_log();
}

#[test]
fn pictures_that_come_late_are_waited_for() {
    let fake = Fake::with("late=20");
    let mut encoder = fake.open(&spec()).unwrap();
    assert_eq!(encode(&mut encoder, &spec(), 5, still).0.len(), 5);
    drop(encoder);
    fake.clean_log();
}

#[test]
fn a_picture_that_never_comes_costs_its_own_thread_and_no_other() {
    let fake = Fake::with("hang=32");
    let spec = spec();
    let mut encoder = fake.open(&spec).unwrap();
    let (pool, mut out) = (frames(&spec), Collect::default());
    let mut encode = |n| encode_halves(&mut encoder, &pool, n, &mut out);
    assert!((0..32).all(|n| encode(n).is_ok()));
    let error = encode(32).unwrap_err();
    assert!(matches!(error, Error::Device(_)), "{error:?}");
    assert!(error.to_string().contains("the driver has not answered within"), "{error}");
    drop(encoder);
    assert_eq!(out.0.len(), 32);
    assert_eq!(fake.log_so_far().last().unwrap(), "hangs", "it is left as it is");
}

#[test]
fn a_device_is_named_by_what_its_driver_calls_itself() {
    let fake = Fake::with("");
    let spec = |name: &str| VideoSpec { device: Some(name.to_owned()), ..named() };
    assert!(fake.open(&spec("fake va")).is_ok());
    let error = fake.open(&spec("iHD")).err().unwrap().to_string();
    assert!(error.contains("renderD250: it is not \"iHD\" but Fake VA driver"), "{error}");
    fake.clean_log();
}

#[test]
fn each_device_is_reported_with_what_it_encodes_and_how() {
    for (faults, wanted) in [
        ("", Ok("renderD250: Fake VA driver, h264: CBR, hevc: CBR")),
        (
            "no_hevc,low_power,overshoot=300",
            Ok("renderD250: Fake VA driver, h264: VBR (low power)"),
        ),
        ("no_device", Err("renderD250: Fake VA driver encodes neither h264 nor hevc")),
    ] {
        let fake = Fake::with(faults);
        let report = report_of(fake.libva, &fake.nodes());
        assert_eq!(report.as_deref().map_err(String::as_str), wanted, "{faults}");
        fake.clean_log();
    }
}

#[test]
fn what_vaapi_does_not_do_is_refused_with_what_to_change() {
    let fake = Fake::with("");
    let open = |spec: &VideoSpec| fake.open(spec).err().unwrap();
    let film = VideoSpec { tune: "film".to_owned(), ..spec() };
    assert!(matches!(open(&film), Error::Unavailable(text) if text.contains("zerolatency")));
    let b_frames = VideoSpec { b_frames: 2, ..spec() };
    assert!(matches!(open(&b_frames), Error::Unavailable(text) if text.contains("b_frames")));
    fake.set_faults("no_hevc");
    let hevc = VideoSpec { codec: VideoCodec::Hevc, profile: String::new(), ..spec() };
    assert!(matches!(open(&hevc), Error::Unavailable(text) if text.contains("no hevc")));
    let preset = VideoSpec { preset: "quick".to_owned(), ..spec() };
    assert!(matches!(open(&preset), Error::Config(text) if text.contains("veryfast")));
    let large = VideoSpec { size: Size::new(5_000, 400).unwrap(), ..spec() };
    assert!(matches!(open(&large), Error::Unavailable(text) if text.contains("5000x400")));
    fake.clean_log();
}

#[test]
fn a_picture_of_another_size_is_refused_and_the_encoder_goes_on() {
    let fake = Fake::with("");
    let mut encoder = fake.open(&spec()).unwrap();
    let other = VideoSpec { size: Size::new(640, 360).unwrap(), ..spec() };
    let wrong = frames(&other).take().unwrap().freeze();
    let refused = encoder.encode(wrong, 0, false, &mut Collect::default());
    assert!(matches!(refused, Err(Error::Config(_))));
    assert_eq!(encode(&mut encoder, &spec(), 3, still).0.len(), 3);
    drop(encoder);
    fake.clean_log();
}
