//! The encoders against the real libavcodec: what goes in comes out of its decoders.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "made-up pictures and audio, and sizes that fit"
)]

use super::aac::Aac;
use super::x264::X264;
use crate::encode::backend::fixture::{
    Collect, decode, encode, frames, halves, noise, packets, paint, pictures, spec,
};
use crate::encode::{
    AudioEncoder, AudioPacket, AudioSink, AudioSpec, Error, VideoEncoder, VideoSpec,
};
use crate::ffi::sys;
use crate::frame::HEADROOM;
use crate::media::{AudioCodec, CHANNELS, FrameRate, PixelFormat, SAMPLE_RATE, Size, aac, h264};

#[derive(Default)]
struct AudioPackets(Vec<(Vec<u8>, i64)>);

impl AudioSink for AudioPackets {
    fn packet(&mut self, mut packet: AudioPacket) {
        self.0.push((packet.body.to_vec(), packet.first_sample));
        packet.body.prepend(&[0; HEADROOM]);
    }
}

#[test]
fn keyframes_come_exactly_when_they_should_whatever_the_picture_does() {
    let spec = spec();
    let mut encoder = X264::open(&spec, &packets()).unwrap();
    let out = encode(&mut encoder, &spec, 95, |frame, n| {
        // Another scene every seven pictures: each easy to draw anew, and hard to make of the last.
        let scene = n / 7;
        paint(frame, |x, y| match scene % 3 {
            0 => (x / 2 + 16) as u8,
            1 => (235 - y) as u8,
            _ => (16 + (x + 2 * y) % 200) as u8,
        });
        n == 40
    });
    let keys: Vec<_> = out.0.iter().filter(|kept| kept.key).map(|kept| kept.pts).collect();
    assert_eq!(keys, [0, 30, 40, 70]);
    for (n, kept) in out.0.iter().enumerate() {
        assert_eq!(kept.pts, n as i64);
        let types: Vec<_> = h264::units(&kept.bytes).map(|unit| unit[0] & 0x1f).collect();
        let covered: usize = h264::units(&kept.bytes).map(|unit| unit.len() + 4).sum();
        assert_eq!(covered, kept.bytes.len(), "lengths, not start codes");
        assert_eq!(types.contains(&h264::nal::IDR), kept.key);
    }
}

#[test]
fn pictures_are_decoded_with_their_size_colours_tags_and_times() {
    for format in [PixelFormat::I420, PixelFormat::Nv12] {
        let spec = VideoSpec { format, b_frames: 2, ..spec() };
        let mut encoder = X264::open(&spec, &packets()).unwrap();
        let out = encode(&mut encoder, &spec, 40, |frame, _| {
            halves(frame);
            false
        });
        let decoded = pictures(&encoder, &out);
        assert_eq!(decoded.len(), 40);
        for (n, picture) in decoded.iter().enumerate() {
            assert_eq!((picture.pts, picture.size), (n as i64, (320, 192)));
            let bt709 = (sys::AVCOL_SPC_BT709, sys::AVCOL_RANGE_MPEG);
            assert_eq!(picture.tags, bt709);
            let [y, u, v] = &picture.planes;
            let row = y.len() / 192 * 96;
            for (is, wanted) in [(y[row + 80], 60), (y[row + 240], 200), (u[10], 90), (v[10], 170)]
            {
                assert!(is.abs_diff(wanted) <= 3, "{format:?}: {is} instead of {wanted}");
            }
        }
    }
}

#[test]
fn ticks_that_were_left_out_stay_left_out() {
    let spec = spec();
    let pool = frames(&spec);
    let mut encoder = X264::open(&spec, &packets()).unwrap();
    let mut out = Collect::default();
    let ticks = [5, 6, 9, 10, 40, 41];
    for tick in ticks {
        let mut frame = pool.take().unwrap();
        halves(&mut frame);
        encoder.encode(frame.freeze(), tick, false, &mut out).unwrap();
    }
    encoder.flush(&mut out).unwrap();
    assert!(out.0.iter().map(|kept| kept.pts).eq(ticks));
    assert!(out.0.iter().all(|kept| kept.dts == kept.pts));
}

#[test]
fn with_b_pictures_decode_times_rise_and_come_first() {
    let spec = VideoSpec { b_frames: 2, ..spec() };
    let mut encoder = X264::open(&spec, &packets()).unwrap();
    let out = encode(&mut encoder, &spec, 40, |frame, n| {
        noise(frame, n);
        false
    });
    assert_eq!(out.0.len(), 40);
    assert!(out.0.iter().any(|kept| kept.dts < kept.pts - 1), "no B-pictures were made");
    assert!(out.0.is_sorted_by(|a, b| a.dts < b.dts));
    assert!(out.0.iter().all(|kept| kept.dts <= kept.pts));
}

#[test]
fn the_rate_is_constant_whatever_the_picture() {
    for noisy in [true, false] {
        let spec = spec();
        let mut encoder = X264::open(&spec, &packets()).unwrap();
        let out = encode(&mut encoder, &spec, 120, |frame, n| {
            if noisy {
                noise(frame, n);
            } else {
                halves(frame);
            }
            false
        });
        let bps = out.bps(60);
        assert!((700_000..=900_000).contains(&bps), "noisy {noisy}: {bps} b/s");
    }
}

#[test]
fn the_rate_changes_when_told_in_both_directions() {
    let spec = spec();
    for wanted in [1_600_000, 400_000] {
        let pool = frames(&spec);
        let mut encoder = X264::open(&spec, &packets()).unwrap();
        let mut out = Collect::default();
        for n in 0..210_usize {
            if n == 60 {
                encoder.set_bitrate(wanted).unwrap();
            }
            let mut frame = pool.take().unwrap();
            noise(&mut frame, n);
            encoder.encode(frame.freeze(), n as i64, false, &mut out).unwrap();
        }
        encoder.flush(&mut out).unwrap();
        let ratio = out.bps(150) as f64 / f64::from(wanted);
        assert!((0.85..=1.15).contains(&ratio), "{ratio} of {wanted} b/s");
        assert!(matches!(encoder.set_bitrate(999), Err(Error::Config(_))));
        assert!(matches!(encoder.set_bitrate(u32::MAX), Err(Error::Config(_))));
    }
}

#[test]
fn packets_are_written_straight_into_our_slots() {
    let spec = spec();
    let pool = packets();
    let mut encoder = X264::open(&spec, &pool).unwrap();
    let out = encode(&mut encoder, &spec, 60, |frame, n| {
        noise(frame, n);
        false
    });
    assert_eq!((out.0.len(), encoder.copied(), pool.heap_packets()), (60, 0, 0));
}

#[test]
fn the_delay_is_what_is_promised() {
    let base = VideoSpec { size: Size::new(64, 64).unwrap(), gop_frames: 90, ..spec() };
    let mut specs = Vec::new();
    for (preset, threads, b_frames) in [
        ("ultrafast", 1, 0),
        ("superfast", 2, 1),
        ("veryfast", 1, 0),
        ("veryfast", 2, 0),
        ("veryfast", 3, 2),
        ("fast", 2, 3),
        ("medium", 1, 2),
        ("slower", 2, 0),
        ("slower", 2, 4),
        ("veryslow", 2, 2),
    ] {
        specs.push(VideoSpec { preset: preset.to_owned(), threads, b_frames, ..base.clone() });
    }
    specs.push(VideoSpec { tune: "zerolatency".to_owned(), threads: 2, ..base.clone() });
    specs.push(VideoSpec { tune: "film".to_owned(), ..base.clone() });
    specs.push(VideoSpec { profile: "baseline".to_owned(), b_frames: 2, ..base.clone() });
    specs.push(VideoSpec { gop_frames: 5, b_frames: 4, ..base.clone() });
    let slow = FrameRate::new(5, 1).unwrap();
    specs.push(VideoSpec { gop_frames: 8, rate: slow, ..base });
    for spec in specs {
        let pool = frames(&spec);
        let mut encoder = X264::open(&spec, &packets()).unwrap();
        let mut out = Collect::default();
        let mut given = 0;
        while out.0.is_empty() {
            let mut frame = pool.take().unwrap();
            halves(&mut frame);
            encoder.encode(frame.freeze(), given, false, &mut out).unwrap();
            given += 1;
        }
        assert_eq!(i64::from(encoder.delay_frames()), given - 1, "{spec:?}");
    }
}

#[test]
fn settings_that_do_not_exist_are_named_with_those_that_do() {
    let wrong = |change: fn(&mut VideoSpec)| {
        let mut spec = spec();
        change(&mut spec);
        X264::open(&spec, &packets()).map(|_| ()).unwrap_err()
    };
    for (error, word) in [
        (wrong(|s| s.preset = "quick".to_owned()), "veryfast"),
        (wrong(|s| s.tune = "sport".to_owned()), "zerolatency"),
        (wrong(|s| s.profile = "best".to_owned()), "baseline"),
        (wrong(|s| s.bitrate_bps = 10), "1000 to"),
    ] {
        assert!(matches!(&error, Error::Config(text) if text.contains(word)), "{error}");
    }
}

#[test]
fn a_picture_of_another_size_is_refused_and_given_back() {
    let spec = spec();
    let other = VideoSpec { size: Size::new(160, 96).unwrap(), ..spec.clone() };
    let pool = frames(&other);
    let mut encoder = X264::open(&spec, &packets()).unwrap();
    let frame = pool.take().unwrap().freeze();
    let error = encoder.encode(frame, 0, false, &mut Collect::default()).unwrap_err();
    assert!(matches!(&error, Error::Config(text) if text.contains("160x96")), "{error}");
    assert_eq!(pool.in_use(), 0);
}

const AUDIO: AudioSpec = AudioSpec { codec: AudioCodec::Aac, bitrate_bps: 128_000 };

/// `count` samples from `first_sample` on, in blocks of at most 1024, through an encoder.
fn encode_audio(
    first_sample: u64,
    count: u64,
    audio: impl Fn(u64) -> [f32; 2],
) -> (Aac, AudioPackets) {
    let pool = packets();
    let mut encoder = Aac::open(&AUDIO, &pool).unwrap();
    let mut out = AudioPackets::default();
    let end = first_sample + count;
    for first in (first_sample..end).step_by(1_024) {
        let block = first..end.min(first + 1_024);
        let samples: Vec<f32> = block.flat_map(&audio).collect();
        encoder.encode(&samples, first, &mut out).unwrap();
    }
    encoder.flush(&mut out).unwrap();
    assert_eq!(pool.heap_packets(), 0);
    (encoder, out)
}

/// What a decoder plays, by number of the sample, counted as the packets say.
fn decode_audio(encoder: &Aac, out: &AudioPackets) -> (i64, [Vec<f32>; 2]) {
    let mut heard = [Vec::new(), Vec::new()];
    for block in decode(sys::AV_CODEC_ID_AAC, encoder.header(), &out.0) {
        for (heard, samples) in heard.iter_mut().zip(block.samples) {
            heard.extend(samples);
        }
    }
    (out.0[0].1, heard)
}

/// Power of the tone `hz` in `samples`.
fn power(samples: &[f32], hz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let phase = std::f64::consts::TAU * hz * n as f64 / f64::from(SAMPLE_RATE);
        re += f64::from(*sample) * phase.cos();
        im += f64::from(*sample) * phase.sin();
    }
    (re * re + im * im) / samples.len() as f64
}

#[test]
fn each_ear_hears_its_own_tone() {
    let tone = |hz: f64, n: u64| {
        ((std::f64::consts::TAU * hz * n as f64 / f64::from(SAMPLE_RATE)).sin() * 0.4) as f32
    };
    let (encoder, out) = encode_audio(0, 48_000, |n| [tone(1_000.0, n), tone(3_000.0, n)]);
    let config = aac::Config::parse(encoder.header()).unwrap();
    assert_eq!((config.object_type, config.rate, config.channels), (2, SAMPLE_RATE, 2));
    let (_, [left, right]) = decode_audio(&encoder, &out);
    for (ear, own, other) in [(left, 1_000.0, 3_000.0), (right, 3_000.0, 1_000.0)] {
        let middle = &ear[4_096..44_096];
        assert!(power(middle, own) > 1_000.0 * power(middle, other), "{own} Hz");
        assert!((power(middle, own) / (0.4 * 0.4 / 4.0 * 40_000.0) - 1.0).abs() < 0.1);
    }
    let bytes: usize = out.0.iter().map(|packet| packet.0.len()).sum();
    let bps = bytes * 8 * SAMPLE_RATE as usize / (out.0.len() * aac::FRAME_SAMPLES);
    assert!((100_000..=160_000).contains(&bps), "{bps} b/s");
}

#[test]
fn audio_is_numbered_so_that_it_stays_with_the_picture() {
    // Silence, and one burst that begins at a known sample, on a channel that began long ago.
    let (start, burst) = (480_000_u64, 480_000 + 20_000_u64);
    let (encoder, out) = encode_audio(start, 40_960, |n| {
        let loud = (burst..burst + 4_000).contains(&n);
        [if loud { (n as f32 * 0.3).sin() * 0.8 } else { 0.0 }; CHANNELS]
    });
    let numbers: Vec<_> = out.0.iter().map(|packet| packet.1).collect();
    assert_eq!(numbers[0], 480_000 - 1_024);
    assert!(numbers.windows(2).all(|pair| pair[1] - pair[0] == 1_024));
    let (first, [left, _]) = decode_audio(&encoder, &out);
    let heard = left.iter().position(|sample| sample.abs() > 0.4).unwrap() as i64 + first;
    assert!((heard - burst as i64).abs() < 64, "heard at {heard} instead of {burst}");
}

#[test]
fn a_short_block_ends_the_audio_and_an_empty_one_is_nothing() {
    let (encoder, out) = encode_audio(0, 1_024 * 3 + 100, |n| [(n as f32 * 0.1).sin() * 0.5; 2]);
    let (first, [left, _]) = decode_audio(&encoder, &out);
    assert!(first + left.len() as i64 >= 1_024 * 3 + 100, "the end is missing");
    let mut encoder = Aac::open(&AUDIO, &packets()).unwrap();
    let mut out = AudioPackets::default();
    encoder.encode(&[], 0, &mut out).unwrap();
    encoder.flush(&mut out).unwrap();
    assert!(out.0.is_empty());
}

#[test]
fn packets_of_audio_are_copied_at_most_once() {
    let (encoder, out) = encode_audio(0, 10_240, |_| [0.1; 2]);
    assert!([0, out.0.len() as u64].contains(&encoder.copied()), "{}", encoder.copied());
}

/// Bytes of the largest message that nginx-rtmp takes.
const NGINX_BYTES_MAX: usize = 1 << 20;

#[test]
fn no_packet_after_a_gap_is_larger_than_the_buffer_allows_and_the_rate_is_met_again() {
    for (bitrate_bps, gap) in
        [(6_000_000, 9), (6_000_000, 30), (6_000_000, 900), (24_000_000, 90), (24_000_000, 900)]
    {
        for noisy in [false, true] {
            let spec = VideoSpec { bitrate_bps, preset: "ultrafast".to_owned(), ..spec() };
            let pool = frames(&spec);
            let mut encoder = X264::open(&spec, &packets()).unwrap();
            let mut out = Collect::default();
            let ticks = (0..60).chain((0..90).map(|n| 60 + gap + n));
            for tick in ticks.clone() {
                let mut frame = pool.take().unwrap();
                match noisy {
                    true => noise(&mut frame, tick as usize),
                    false => halves(&mut frame),
                }
                let is_cut = tick == 60 + gap;
                encoder.encode(frame.freeze(), tick, is_cut, &mut out).unwrap();
            }
            encoder.flush(&mut out).unwrap();
            assert!(out.0.iter().map(|kept| kept.pts).eq(ticks), "real times, in order");
            assert!(out.0[60].key);
            let most = (bitrate_bps as usize / 8).min(NGINX_BYTES_MAX - 1_024);
            let largest = out.0.iter().map(|kept| kept.bytes.len()).max().unwrap();
            assert!(largest <= most, "{largest} bytes at {bitrate_bps} b/s after {gap}");
            let ratio = out.bps(90) as f64 / f64::from(bitrate_bps);
            assert!((0.9..=1.1).contains(&ratio), "{ratio} of {bitrate_bps} b/s a second later");
        }
    }
}

#[test]
fn a_rate_is_kept_over_pictures_that_come_more_rarely() {
    let spec = VideoSpec { bitrate_bps: 6_000_000, ..spec() };
    let pool = frames(&spec);
    let mut encoder = X264::open(&spec, &packets()).unwrap();
    let mut out = Collect::default();
    // Six pictures a second instead of thirty.
    for tick in (0..600).step_by(5) {
        let mut frame = pool.take().unwrap();
        halves(&mut frame);
        encoder.encode(frame.freeze(), tick, false, &mut out).unwrap();
    }
    encoder.flush(&mut out).unwrap();
    let ratio = out.bps(60) as f64 / 5.0 / f64::from(spec.bitrate_bps);
    assert!((0.9..=1.1).contains(&ratio), "{ratio}");
}
