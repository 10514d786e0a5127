//! The backend against the fake drivers: what they see of it, what comes out, and how it fails.

#![expect(clippy::cast_possible_wrap, reason = "numbers of pictures")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use tempfile::TempDir;

use super::codecs;
use super::driver::Driver;
use super::encoder::open_encoder;
use crate::encode::backend::fakes::{
    assert_halves, assert_keyframes, encode_halves, fakes, set_faults, still,
};
use crate::encode::backend::fixture::{
    Collect, decode, encode, frames, halves, noise, packets, spec,
};
use crate::encode::backend::watched::Watched;
use crate::encode::{Error, VideoEncoder, VideoSpec};
use crate::ffi::sys;
use crate::media::{PixelFormat, Size, VideoCodec, h264};

/// A driver for one test. Its faults are the process's, so that one test at a time has one.
struct Fake {
    driver: &'static Driver,
    folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Fake {
    /// Faults as `ffi/fake/faults.h` names them.
    fn with(faults: &str) -> Self {
        #[expect(clippy::disallowed_types, reason = "held for a test")]
        static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        set_faults("libnvidia-encode.so.1", &format!("log={},{faults}", log.display()));
        let driver = Driver::open(Some(fakes()));
        let driver = Box::leak(Box::new(driver.unwrap()));
        Self { driver, folder, _alone: alone }
    }

    fn open(&self, spec: &VideoSpec) -> Result<Watched, Error> {
        open_encoder(self.driver, spec, &packets())
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What the driver saw until its last session was closed, which it waits for.
    fn log(&self) -> Vec<String> {
        loop {
            let text = fs::read_to_string(self.log_path()).unwrap_or_default();
            if text.lines().any(|line| line.starts_with("closed")) {
                return text.lines().map(str::to_owned).collect();
            }
            std::thread::yield_now();
        }
    }

    /// The log, in which the driver must not find fault with its client.
    fn clean_log(&self) -> Vec<String> {
        let log = self.log();
        let faults: Vec<_> = log.iter().filter(|line| line.starts_with("fault")).collect();
        assert!(faults.is_empty(), "{faults:?}");
        log
    }
}

fn decoded(
    codec: VideoCodec,
    encoder: &Watched,
    out: &Collect,
) -> Vec<crate::encode::backend::fixture::Decoded> {
    let packets: Vec<_> = out.0.iter().map(|kept| (kept.bytes.clone(), kept.pts)).collect();
    let id = match codec {
        VideoCodec::H264 => sys::AV_CODEC_ID_H264,
        VideoCodec::Hevc => sys::AV_CODEC_ID_HEVC,
        VideoCodec::Av1 => sys::AV_CODEC_ID_AV1,
    };
    decode(id, encoder.header(), &packets)
}

fn hevc() -> VideoSpec {
    VideoSpec { codec: VideoCodec::Hevc, profile: "main".to_owned(), ..spec() }
}

/// Types of an HEVC access unit's NAL units, which have lengths and nothing between them.
fn hevc_types(bytes: &[u8]) -> Vec<u8> {
    assert_eq!(h264::units(bytes).map(|unit| unit.len() + 4).sum::<usize>(), bytes.len());
    h264::units(bytes).map(|unit| unit[0] >> 1).collect()
}

#[test]
fn pictures_of_both_formats_come_out_as_they_went_in() {
    let formats = [PixelFormat::I420, PixelFormat::Nv12];
    for (format, of) in formats.into_iter().flat_map(|it| [(it, spec()), (it, hevc())]) {
        let fake = Fake::with("");
        let spec = VideoSpec { format, ..of };
        let mut encoder = fake.open(&spec).unwrap();
        let out = encode(&mut encoder, &spec, 40, still);
        let pictures = decoded(spec.codec, &encoder, &out);
        drop(encoder);
        assert_halves(&pictures);
        fake.clean_log();
    }
}

#[test]
fn keyframes_come_when_they_are_asked_for_and_by_the_interval() {
    let fake = Fake::with("");
    let mut encoder = fake.open(&spec()).unwrap();
    let out = encode(&mut encoder, &spec(), 95, |frame, n| {
        noise(frame, n);
        n == 40
    });
    drop(encoder);
    assert_keyframes(&out);
    fake.clean_log();
}

#[test]
fn hevc_has_all_its_parameter_sets_in_the_header_alone_and_keyframes_as_h264_has() {
    /// VPS, SPS and PPS; an IDR picture that may have leading ones, or has none.
    const SETS: std::ops::RangeInclusive<u8> = 32..=34;
    const IDR: std::ops::RangeInclusive<u8> = 19..=20;
    let fake = Fake::with("");
    let mut encoder = fake.open(&hevc()).unwrap();
    let out = encode(&mut encoder, &hevc(), 95, |frame, n| {
        noise(frame, n);
        n == 40
    });
    let header = encoder.header().to_vec();
    assert_eq!(header[0], 1, "an HEVCDecoderConfigurationRecord");
    assert_eq!((header[1] & 0x1f, header[21] & 3, header[22]), (1, 3, 3), "Main, lengths of 4");
    assert_eq!(header[23] & 0x3f, 32, "the VPS comes first");
    let keys: Vec<_> = out.0.iter().filter(|kept| kept.key).map(|kept| kept.pts).collect();
    assert_eq!(keys, [0, 30, 40, 70]);
    for kept in &out.0 {
        let types = hevc_types(&kept.bytes);
        assert_eq!(types.iter().any(|kind| IDR.contains(kind)), kept.key, "{types:?}");
        assert!(!types.iter().any(|kind| SETS.contains(kind)), "{types:?}");
    }
    drop(encoder);
    let log = fake.clean_log();
    let set_up = log.iter().find(|line| line.starts_with("initialised")).unwrap();
    let wanted = "rate control 2, 800000 bits, buffer 800000, gop 30, interval 1, filler 1, hevc";
    assert!(set_up.ends_with(wanted), "{set_up}");
}

#[test]
fn the_bitrate_of_hevc_changes_without_a_keyframe_as_well() {
    let fake = Fake::with("");
    let spec = VideoSpec { gop_frames: 300, ..hevc() };
    let mut encoder = fake.open(&spec).unwrap();
    let pool = frames(&spec);
    let mut out = Collect::default();
    for n in 0..120 {
        if n == 60 {
            encoder.set_bitrate(2_400_000).unwrap();
        }
        let mut frame = pool.take().unwrap();
        noise(&mut frame, n);
        encoder.encode(frame.freeze(), n as i64, false, &mut out).unwrap();
    }
    drop(encoder);
    let log = fake.clean_log();
    let change = "rate 2400000 bits, buffer 2400000, reset 0, idr 0";
    assert!(log.iter().any(|line| line == change), "{log:?}");
    assert_eq!(out.0.iter().filter(|kept| kept.key).count(), 1);
}

#[test]
fn a_codec_that_the_gpu_or_this_build_does_not_make_and_a_profile_of_another_are_told_in_words() {
    let fake = Fake::with("no_hevc");
    let error = fake.open(&hevc()).err().unwrap();
    assert!(matches!(&error, Error::Unavailable(text) if text.contains("does not make hevc")));
    drop(fake);
    let fake = Fake::with("");
    let high = VideoSpec { profile: "high".to_owned(), ..hevc() };
    let error = fake.open(&high).err().unwrap();
    assert!(matches!(&error, Error::Config(text) if text.contains("NVENC knows main for hevc")));
    let av1 = VideoSpec { codec: VideoCodec::Av1, profile: String::new(), ..spec() };
    let error = fake.open(&av1).err().unwrap();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    if cfg!(nvenc_av1) {
        assert!(error.to_string().contains("does not make av1"), "{error}");
    } else {
        for part in ["needs version 12", "built with the header of 11.", "another encoder"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(!super::CODECS.contains(&VideoCodec::Av1));
    }
}

#[test]
fn packets_of_av1_begin_behind_the_temporal_delimiter() {
    let pool = packets();
    let packet = |bytes: &[u8]| codecs::packet(VideoCodec::Av1, &pool, bytes).to_vec();
    assert_eq!(packet(&[0x12, 0, 0x32, 1, 9]), [0x32, 1, 9]);
    assert_eq!(packet(&[0x32, 1, 9]), [0x32, 1, 9]);
}

#[test]
fn the_session_is_set_up_for_a_constant_rate_without_delay() {
    let fake = Fake::with("");
    let spec = VideoSpec { tune: "zerolatency".to_owned(), ..spec() };
    let encoder = fake.open(&spec).unwrap();
    assert_eq!((encoder.name(), encoder.delay_frames()), ("nvenc", 0));
    drop(encoder);
    let log = fake.clean_log();
    let wanted = "initialised P3 tuning 3 320x192 30/1 rate control 2, 800000 bits, buffer 800000, \
                  gop 30, interval 1, filler 1";
    assert!(log.iter().any(|line| line == wanted), "{log:?}");
}

#[test]
fn the_bitrate_changes_without_a_keyframe_and_without_a_new_header() {
    let fake = Fake::with("");
    let spec = VideoSpec { gop_frames: 300, ..spec() };
    let mut encoder = fake.open(&spec).unwrap();
    let header = encoder.header().to_vec();
    let pool = frames(&spec);
    let mut out = Collect::default();
    for n in 0..180 {
        if n == 60 {
            encoder.set_bitrate(2_400_000).unwrap();
        }
        let mut frame = pool.take().unwrap();
        noise(&mut frame, n);
        encoder.encode(frame.freeze(), n as i64, false, &mut out).unwrap();
    }
    encoder.flush(&mut out).unwrap();
    assert_eq!(encoder.header(), header);
    drop(encoder);
    let log = fake.clean_log();
    let change = "rate 2400000 bits, buffer 2400000, reset 0, idr 0";
    assert!(log.iter().any(|line| line == change), "{log:?}");
    let keys: Vec<_> = out.0.iter().filter(|kept| kept.key).map(|kept| kept.pts).collect();
    assert_eq!(keys, [0]);
    let rate = out.bps(120);
    assert!((2_160_000..2_640_000).contains(&rate), "{rate} b/s after the change");
}

#[test]
fn a_gpu_that_cannot_change_the_rate_says_so_before_it_is_asked() {
    let fake = Fake::with("fixed_rate");
    let mut encoder = fake.open(&spec()).unwrap();
    let error = encoder.set_bitrate(900_000).unwrap_err();
    assert!(matches!(&error, Error::Config(text) if text.contains("this GPU")), "{error:?}");
    drop(encoder);
    fake.clean_log();
}

#[test]
fn with_b_pictures_the_driver_holds_some_back_and_decode_times_rise() {
    let fake = Fake::with("");
    let spec = VideoSpec { b_frames: 2, ..spec() };
    let mut encoder = fake.open(&spec).unwrap();
    let out = encode(&mut encoder, &spec, 41, still);
    assert_eq!(decoded(spec.codec, &encoder, &out).len(), 41);
    drop(encoder);
    assert_eq!(out.0.len(), 41);
    assert!(out.0.is_sorted_by(|a, b| a.dts < b.dts));
    assert!(out.0.iter().all(|kept| kept.dts <= kept.pts));
    assert_eq!(out.0[0].dts, -1);
    fake.clean_log();
}

#[test]
fn ticks_that_were_left_out_stay_left_out() {
    let fake = Fake::with("");
    let spec = spec();
    let mut encoder = fake.open(&spec).unwrap();
    let pool = frames(&spec);
    let mut out = Collect::default();
    let ticks = [5, 6, 9, 10, 40, 41];
    for tick in ticks {
        let mut frame = pool.take().unwrap();
        halves(&mut frame);
        encoder.encode(frame.freeze(), tick, false, &mut out).unwrap();
    }
    drop(encoder);
    assert!(out.0.iter().map(|kept| kept.pts).eq(ticks));
    fake.clean_log();
}

#[test]
fn a_busy_driver_is_asked_again() {
    for fault in ["busy=3", "lock_busy=3"] {
        let fake = Fake::with(fault);
        let mut encoder = fake.open(&spec()).unwrap();
        assert_eq!(encode(&mut encoder, &spec(), 6, still).0.len(), 6, "{fault}");
        drop(encoder);
        fake.clean_log();
    }
}

#[test]
fn a_lost_gpu_is_an_error_of_the_device_that_says_what_to_look_for() {
    let fake = Fake::with("lost=3");
    let spec = spec();
    let mut encoder = fake.open(&spec).unwrap();
    let pool = frames(&spec);
    let mut out = Collect::default();
    let mut encode = |n| encode_halves(&mut encoder, &pool, n, &mut out);
    assert!((0..3).all(|n| encode(n).is_ok()));
    let error = encode(3).unwrap_err();
    assert!(matches!(error, Error::Device(_)), "{error:?}");
    assert!(error.to_string().contains("Xid"), "{error}");
    assert!(matches!(encode(4), Err(Error::Device(_))), "it stays failed");
    drop(encoder);
    assert_eq!((out.0.len(), pool.in_use()), (3, 0));
    fake.clean_log();
}

#[test]
fn a_driver_that_never_answers_costs_its_own_thread_and_no_other() {
    let fake = Fake::with("hang=2");
    let spec = spec();
    let mut encoder = fake.open(&spec).unwrap();
    let pool = frames(&spec);
    let mut out = Collect::default();
    let mut encode = |n| encode_halves(&mut encoder, &pool, n, &mut out);
    assert!((0..2).all(|n| encode(n).is_ok()));
    let error = encode(2).unwrap_err();
    assert!(matches!(error, Error::Device(_)), "{error:?}");
    assert!(error.to_string().contains("the driver has not answered within"), "{error}");
    drop(encoder);
    assert_eq!((out.0.len(), pool.in_use()), (2, 0), "the picture was given back");
    let log = fs::read_to_string(fake.log_path()).unwrap();
    assert!(log.ends_with("hangs\n"), "the session is left as it is: {log}");
}

#[test]
fn a_session_that_never_opens_is_waited_for_no_longer_than_the_limit() {
    let fake = Fake::with("hang_open");
    let error = fake.open(&spec()).err().unwrap();
    assert!(matches!(&error, Error::Unavailable(text) if text.contains("within 5 s")), "{error:?}");
}

#[test]
fn an_old_driver_is_told_with_both_numbers() {
    let _fake = Fake::with("");
    set_faults("libnvidia-encode.so.1", "driver=11.0");
    let error = Driver::open(Some(fakes())).err().unwrap();
    for part in ["11.0", "built for", "update the driver"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn without_a_driver_the_library_that_is_missing_is_named() {
    let error = Driver::open(Some(Path::new("/nowhere"))).err().unwrap();
    assert!(error.contains("no NVIDIA driver") && error.contains("libcuda.so.1"), "{error}");
}

#[test]
fn a_driver_without_a_session_left_is_not_asked_again_at_once() {
    let fake = Fake::with("sessions=0");
    let error = fake.open(&spec()).err().unwrap();
    assert!(matches!(&error, Error::Unavailable(text) if text.contains("end other encoders")));
    let error = fake.open(&spec()).err().unwrap();
    assert!(error.to_string().contains("asked again in"), "{error}");
    let log = fs::read_to_string(fake.log_path()).unwrap();
    assert_eq!(log.lines().filter(|line| *line == "open").count(), 1, "{log}");
}

#[test]
fn a_gpu_without_nvenc_and_a_size_beyond_it_are_told_in_words() {
    let fake = Fake::with("no_device");
    let error = fake.open(&spec()).err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, Error::Unavailable(_)) && text.contains("Fake GPU (0000:01:00.0)"));
    assert!(text.contains("does not encode video"), "{text}");
    drop(fake);
    let fake = Fake::with("");
    for (size, shown) in [((64, 48), "145x49 to 4096x4096, not 64x48"), ((5_000, 400), "5000x400")]
    {
        let spec = VideoSpec { size: Size::new(size.0, size.1).unwrap(), ..spec() };
        let error = fake.open(&spec).err().unwrap();
        assert!(matches!(&error, Error::Unavailable(text) if text.contains(shown)), "{error:?}");
    }
    fake.clean_log();
}

#[test]
fn a_picture_of_another_size_is_refused_and_the_encoder_goes_on() {
    let fake = Fake::with("");
    let mut encoder = fake.open(&spec()).unwrap();
    let other = VideoSpec { size: Size::new(640, 360).unwrap(), ..spec() };
    let mut out = Collect::default();
    let wrong = frames(&other).take().unwrap().freeze();
    assert!(matches!(encoder.encode(wrong, 0, false, &mut out), Err(Error::Config(_))));
    assert_eq!(encode(&mut encoder, &spec(), 3, still).0.len(), 3);
    drop(encoder);
    fake.clean_log();
}
