//! libx264 called directly, against libavcodec's way to it and against a decoder.

#![expect(clippy::cast_possible_wrap, reason = "few pictures")]

use super::encoder::X264;
use crate::encode::backend::fixture::{
    Collect, encode, encode_holding, frames, halves, noise, packets, paint, pictures, spec,
};
use crate::encode::backend::libav;
use crate::encode::{Error, VideoEncoder, VideoSpec};
use crate::frame::Frame;
use crate::media::{PixelFormat, Size, h264};

fn auto(preset: &str) -> VideoSpec {
    let fastest_preset = Some("superfast".to_owned());
    VideoSpec { preset: preset.to_owned(), fastest_preset, ..spec() }
}

fn open(spec: &VideoSpec) -> X264 {
    X264::open(spec, &packets()).unwrap()
}

/// Something moves over something that does not, and now and then all of it is another picture.
fn moving(frame: &mut Frame, n: usize) {
    let scene = n / 25 * 40;
    paint(frame, |x, y| {
        let inside = x.abs_diff(40 + n * 3) < 24 && y.abs_diff(90) < 40;
        let texture = (x * 7 + y * 13 + scene) % 160 + (x * y + scene) % 23;
        let luma = if inside { 235 - texture / 2 } else { 16 + texture };
        u8::try_from(luma).unwrap_or(u8::MAX)
    });
}

/// What each picture of a stream was made with, after tries of all kinds: by either encoder.
fn stream(encoder: &mut dyn VideoEncoder, spec: &VideoSpec) -> Vec<(Vec<u8>, i64, i64, bool)> {
    let pool = frames(spec);
    let mut out = Collect::default();
    let ticks = (0..30).chain(31..60).chain(90..100).chain(400..420);
    for (n, tick) in ticks.enumerate() {
        if n == 45 {
            encoder.set_bitrate(500_000).unwrap();
        }
        let mut frame = pool.take().unwrap();
        moving(&mut frame, n);
        encoder.encode(frame.freeze(), tick, n == 50, &mut out).unwrap();
    }
    encoder.flush(&mut out).unwrap();
    assert_eq!((out.0.len(), pool.in_use()), (89, 0));
    out.0.into_iter().map(|kept| (kept.bytes, kept.pts, kept.dts, kept.key)).collect()
}

/// All that an encoder was asked for: x264 says it in the first unit of a stream.
fn settings(packet: &[u8]) -> String {
    String::from_utf8_lossy(h264::units(packet).next().unwrap()).into_owned()
}

#[test]
fn the_same_settings_give_the_same_bytes_as_libavcodec() {
    // With several threads x264's buffer is not the same in any two runs of the same program.
    let base = |preset: &str| VideoSpec { preset: preset.to_owned(), threads: 1, ..spec() };
    let zero = "zerolatency".to_owned();
    let odd = Size::new(322, 182).unwrap();
    for spec in [
        base("ultrafast"),
        base("superfast"),
        base("veryfast"),
        VideoSpec { tune: zero.clone(), ..base("veryfast") },
        VideoSpec { tune: zero, format: PixelFormat::Nv12, ..base("faster") },
        VideoSpec { b_frames: 2, ..base("fast") },
        VideoSpec { profile: "main".to_owned(), size: odd, ..base("medium") },
        VideoSpec { profile: "baseline".to_owned(), ..base("medium") },
        VideoSpec { profile: String::new(), tune: "film".to_owned(), b_frames: 3, ..base("slow") },
        VideoSpec { tune: "animation".to_owned(), ..base("slower") },
    ] {
        let (mut ours, mut theirs) = (open(&spec), libav::open_x264(&spec, &packets()).unwrap());
        // From FFmpeg 7 on theirs says at its end what follows from its beginning.
        assert!(theirs.header().starts_with(ours.header()), "{spec:?}");
        assert_eq!(ours.delay_frames(), theirs.delay_frames(), "{spec:?}");
        let (ours, theirs) = (stream(&mut ours, &spec), stream(&mut *theirs, &spec));
        // The macroblock tree of B-pictures reads memory that x264 has not written: with
        // `MALLOC_PERTURB_` the same program makes other bytes. What is asked for is all the same.
        if spec.b_frames > 0 {
            assert_eq!(settings(&ours[0].0), settings(&theirs[0].0));
        }
        for (n, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            let times = [ours, theirs].map(|(_, pts, dts, key)| (pts, dts, key));
            assert_eq!(times[0], times[1], "packet {n} of {spec:?}");
            assert!(spec.b_frames > 0 || ours == theirs, "packet {n} of {spec:?}");
        }
    }
}

#[test]
fn with_several_threads_too_the_settings_are_those_of_libavcodec() {
    for tune in ["", "zerolatency"] {
        let spec = VideoSpec { preset: "faster".to_owned(), tune: tune.to_owned(), ..spec() };
        assert_eq!(spec.threads, 2);
        let (mut ours, mut theirs) = (open(&spec), libav::open_x264(&spec, &packets()).unwrap());
        assert!(theirs.header().starts_with(ours.header()));
        assert_eq!(ours.delay_frames(), theirs.delay_frames());
        let [ours, theirs] = [&mut ours as &mut dyn VideoEncoder, &mut *theirs].map(|encoder| {
            let out = encode(encoder, &spec, 3, |frame, n| {
                moving(frame, n);
                false
            });
            settings(&out.0[0].bytes)
        });
        assert!(ours.contains("x264 - core") && ours.contains("subme=4"), "{ours}");
        assert_eq!(ours, theirs);
    }
}

#[test]
fn speed_steps_make_no_keyframe_and_no_other_header_and_the_stream_stays_whole() {
    for threads in [1, 2] {
        for tune in ["", "zerolatency"] {
            let spec = VideoSpec { threads, tune: tune.to_owned(), ..auto("medium") };
            let mut encoder = open(&spec);
            let header = encoder.header().to_vec();
            let steps = encoder.speeds().len();
            assert_eq!(steps, 5);
            let pool = frames(&spec);
            let mut out = Collect::default();
            for n in 0..120 {
                encoder.set_speed(n * 7 % 11 % steps).unwrap();
                let mut frame = pool.take().unwrap();
                moving(&mut frame, n);
                encoder.encode(frame.freeze(), n as i64, false, &mut out).unwrap();
            }
            encoder.flush(&mut out).unwrap();
            assert_eq!(encoder.header(), header);
            let keys: Vec<_> = out.0.iter().filter(|kept| kept.key).map(|kept| kept.pts).collect();
            assert_eq!(keys, [0, 30, 60, 90]);
            let has_sets = |kept: &[u8]| {
                let sets = [h264::nal::SPS, h264::nal::PPS];
                h264::units(kept).any(|unit| sets.contains(&(unit[0] & 0x1f)))
            };
            assert!(!out.0.iter().any(|kept| has_sets(&kept.bytes)));
            let decoded = pictures(&encoder, &out);
            assert_eq!(decoded.len(), 120);
            // What is decoded is what was drawn: no reference was missing.
            for picture in &decoded {
                let mut wanted = pool.take().unwrap();
                moving(&mut wanted, usize::try_from(picture.pts).unwrap());
                let wanted = wanted.freeze();
                let stride = picture.planes[0].len() / 192;
                let off = (0..192 * 320).map(|at| {
                    let (x, y) = (at % 320, at / 320);
                    let drawn = wanted.plane(0)[y * wanted.geometry().planes()[0].stride + x];
                    u64::from(picture.planes[0][y * stride + x].abs_diff(drawn)).pow(2)
                });
                let mean = off.sum::<u64>() / (192 * 320);
                assert!(mean < 400, "picture {}: mean square error {mean}", picture.pts);
            }
        }
    }
}

#[test]
fn what_is_known_not_to_have_moved_looks_the_same() {
    let fixed = VideoSpec { tune: "zerolatency".to_owned(), threads: 1, ..spec() };
    let told = VideoSpec { fastest_preset: Some("veryfast".to_owned()), ..fixed.clone() };
    let drawn = |n: usize, x: usize, y: usize| {
        let inside = x.abs_diff(n * 2 + 16) < 16 && y.abs_diff(90) < 16;
        16 + if inside { 200 } else { (x * 7 + y * 13) % 160 + (x * y) % 23 }
    };
    let [plain, told] = [(fixed, 0), (told, 1)].map(|(spec, held)| {
        let mut encoder = open(&spec);
        let out = encode_holding(held, &mut encoder, &spec, 90, |frame, n| {
            paint(frame, |x, y| u8::try_from(drawn(n, x, y)).unwrap_or(u8::MAX));
            false
        });
        let last = pictures(&encoder, &out).pop().unwrap();
        let stride = last.planes[0].len() / 192;
        let off = (0..192).flat_map(|y| (0..320).map(move |x| (x, y))).map(|(x, y)| {
            usize::from(last.planes[0][y * stride + x]).abs_diff(drawn(89, x, y)).pow(2)
        });
        let off = off.sum::<usize>() / (192 * 320);
        let sizes: Vec<_> = out.0.iter().map(|kept| kept.bytes.len()).collect();
        (sizes, off)
    });
    assert_ne!(plain.0, told.0, "x264 makes use of it");
    assert!(told.1 <= plain.1 + 2, "mean square errors {} and {}", told.1, plain.1);
}

/// Sizes of the pictures after the first, all encoded at this speed.
fn sizes(step: usize) -> Vec<usize> {
    let spec = VideoSpec { tune: "zerolatency".to_owned(), threads: 1, ..auto("medium") };
    let mut encoder = open(&spec);
    encoder.set_speed(step).unwrap();
    let out = encode_holding(1, &mut encoder, &spec, 20, |frame, n| {
        moving(frame, n);
        false
    });
    out.0.iter().map(|kept| kept.bytes.len()).collect()
}

#[test]
fn each_speed_is_another_one_and_the_last_is_that_it_was_opened_with() {
    let mut all: Vec<_> = (0..5).map(sizes).collect();
    let spec = VideoSpec { tune: "zerolatency".to_owned(), threads: 1, ..auto("medium") };
    let opened = encode_holding(1, &mut open(&spec), &spec, 20, |frame, n| {
        moving(frame, n);
        false
    });
    let opened: Vec<_> = opened.0.iter().map(|kept| kept.bytes.len()).collect();
    assert_eq!(all[4], opened);
    all.dedup();
    assert_eq!(all.len(), 5);
}

#[test]
fn speeds_go_from_the_fastest_allowed_to_the_preset_and_there_is_no_other() {
    let names = |preset: &str, fastest: &str| {
        let fastest_preset = Some(fastest.to_owned());
        let encoder = X264::open(&VideoSpec { fastest_preset, ..auto(preset) }, &packets());
        encoder.map(|encoder| encoder.speeds().iter().map(|it| it.preset).collect::<Vec<_>>())
    };
    assert_eq!(names("faster", "superfast").unwrap(), ["superfast", "veryfast", "faster"]);
    assert_eq!(names("slow", "fast").unwrap(), ["fast", "medium", "slow"]);
    assert_eq!(names("veryfast", "veryfast").unwrap(), ["veryfast"]);
    for preset in ["ultrafast", "placebo"] {
        assert!(names(preset, "superfast").unwrap().is_empty(), "it cannot be left");
    }
    let error = names("veryfast", "medium").map(drop).unwrap_err();
    assert!(matches!(&error, Error::Config(text) if text.contains("superfast up to")), "{error}");
    let mut encoder = open(&auto("veryfast"));
    assert!(matches!(encoder.set_speed(2), Err(Error::Config(_))));
    assert!(open(&spec()).speeds().is_empty(), "its speed is fixed");
}

#[test]
fn packets_are_copied_once_into_our_slots_with_all_their_headroom() {
    let (spec, pool) = (auto("veryfast"), packets());
    let mut encoder = X264::open(&spec, &pool).unwrap();
    let out = encode_holding(1, &mut encoder, &spec, 60, |frame, n| {
        noise(frame, n);
        false
    });
    assert_eq!((out.0.len(), pool.heap_packets()), (60, 0));
    let slots = pool.usage();
    assert_eq!(slots.used_bytes, 0);
}

#[test]
fn the_rate_is_constant_and_changes_when_told_also_while_the_speed_changes() {
    let spec = auto("faster");
    for wanted in [1_600_000, 400_000] {
        let pool = frames(&spec);
        let mut encoder = open(&spec);
        let mut out = Collect::default();
        for n in 0..210_usize {
            if n == 60 {
                encoder.set_bitrate(wanted).unwrap();
            }
            encoder.set_speed(n / 5 % 3).unwrap();
            let mut frame = pool.take().unwrap();
            noise(&mut frame, n);
            encoder.encode(frame.freeze(), n as i64, false, &mut out).unwrap();
        }
        encoder.flush(&mut out).unwrap();
        let ratio = out.bps(150) as f64 / f64::from(wanted);
        assert!((0.85..=1.15).contains(&ratio), "{ratio} of {wanted} b/s");
        assert!(matches!(encoder.set_bitrate(999), Err(Error::Config(_))));
    }
}

#[test]
fn settings_that_do_not_exist_are_named_with_those_that_do() {
    for (spec, word) in [
        (VideoSpec { preset: "quick".to_owned(), ..spec() }, "veryfast"),
        (VideoSpec { tune: "sport".to_owned(), ..spec() }, "zerolatency"),
        (VideoSpec { profile: "best".to_owned(), ..spec() }, "baseline"),
        (VideoSpec { bitrate_bps: 10, ..spec() }, "1000 to"),
    ] {
        let error = X264::open(&spec, &packets()).map(|_| ()).unwrap_err();
        assert!(matches!(&error, Error::Config(text) if text.contains(word)), "{error}");
    }
}

#[test]
fn a_picture_of_another_size_is_refused_and_given_back() {
    let other = VideoSpec { size: Size::new(160, 96).unwrap(), ..spec() };
    let pool = frames(&other);
    let mut encoder = open(&spec());
    let mut frame = pool.take().unwrap();
    halves(&mut frame);
    let error = encoder.encode(frame.freeze(), 0, false, &mut Collect::default()).unwrap_err();
    assert!(matches!(&error, Error::Config(text) if text.contains("160x96")), "{error}");
    assert_eq!(pool.in_use(), 0);
}
