//! In and out points, and seeking, in files made by the `ffmpeg` program.

use std::path::PathBuf;

use super::*;
use crate::decode::tests::{Seen, ffmpeg, play, same};

/// Grey pictures, each brighter than the one before, 25 a second for 4 s, and a tone in step: its
/// loudness rises by one step every half second.
fn clip(dir: &tempfile::TempDir, name: &str, codec: &str) -> PathBuf {
    let stairs = "nullsrc=s=64x48:r=25,format=yuv420p,geq=lum='16+2*N':cb=128:cr=128";
    let tone = "aevalsrc=0.1*(1+floor(2*t))*sin(2*PI*1000*t)|0:s=48000:d=4";
    let arguments = format!("-f lavfi -i {tone} {codec} -t 4");
    ffmpeg(dir, name, &arguments, stairs)
}

/// Formats whose index is exact, whose index lacks something, and that have none.
const FORMATS: [(&str, &str); 4] = [
    ("c.mp4", "-c:v libx264 -bf 3 -g 50 -qp 4 -c:a aac -b:a 256k"),
    ("c.mkv", "-c:v libx264 -bf 2 -g 100 -qp 4 -c:a pcm_s16le"),
    ("c.ts", "-c:v libx264 -bf 3 -g 30 -qp 4 -c:a s302m -strict -2"),
    ("c.avi", "-c:v mjpeg -q:v 1 -pix_fmt yuvj420p -c:a pcm_s16le"),
];

fn spec(looped: bool, from: u64, to: Option<u64>) -> FileSpec {
    let out_point = to.map(Micros::from_millis);
    let in_point = Micros::from_millis(from);
    FileSpec { looped, in_point, out_point, ..FileSpec::new(same(), Micros::from_secs(50)) }
}

/// Numbers of the pictures, by their brightness.
fn numbers(seen: &Seen) -> Vec<u8> {
    seen.lumas().iter().map(|luma| (luma - 15) / 2).collect()
}

fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, value| peak.max(value.abs()))
}

#[test]
fn what_is_between_the_points_is_seen_and_heard_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    for (name, codec) in FORMATS {
        let path = clip(&dir, name, codec);
        let mut file = File::open(&path, spec(false, 1_400, Some(2_600))).unwrap();
        let seen = play(&mut file, usize::MAX);
        assert_eq!(numbers(&seen), (35..65).collect::<Vec<u8>>(), "{name}");
        for (n, (at, _)) in (0..).zip(&seen.pictures) {
            assert!(at.0.abs_diff(50_000_000 + n * 40_000) < 1_500, "{name} {n}: {at:?}");
        }
        let samples = seen.left();
        assert!(samples.len().abs_diff(57_600) <= 2, "{name}: {}", samples.len());
        assert_eq!(seen.blocks[0].at.0, 50_000_000, "{name}");
        assert!(seen.seam() <= 1, "{name}");
        // At 1.5 s of the file, 100 ms from the begin, the tone becomes louder: 0.3, then 0.4.
        let (before, after) = (peak(&samples[1_000..4_500]), peak(&samples[5_100..8_000]));
        assert!(
            (before - 0.3).abs() < 0.03 && (after - 0.4).abs() < 0.03,
            "{name} {before} {after}"
        );
    }
}

#[test]
fn a_part_of_a_file_loops_without_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    for (name, codec) in FORMATS {
        let path = clip(&dir, name, codec);
        let mut file = File::open(&path, spec(true, 2_000, Some(2_400))).unwrap();
        let seen = play(&mut file, 40);
        let round: Vec<u8> = (50..60).collect();
        assert_eq!(numbers(&seen), round.repeat(4), "{name}");
        for (n, (at, _)) in (0..).zip(&seen.pictures) {
            assert!(at.0.abs_diff(50_000_000 + n * 40_000) < 1_500, "{name} {n}: {at:?}");
        }
        assert!(seen.seam() <= 1, "{name}: {}", seen.seam());
        assert!(peak(&seen.left()[2_400..40_000]) < 0.53, "{name}: what comes later is louder");
    }
}

#[test]
fn a_seek_comes_to_the_picture_that_stands_there_and_to_its_audio() {
    let dir = tempfile::tempdir().unwrap();
    for (name, codec) in FORMATS {
        let path = clip(&dir, name, codec);
        let mut file = File::open(&path, spec(false, 0, None)).unwrap();
        play(&mut file, 5);
        for (to, first) in [(3_010, 75), (400, 10), (1_960, 49), (0, 0)] {
            file.seek(Micros::from_millis(to)).unwrap();
            let mut seen = Seen::default();
            while file.step(&mut seen).unwrap() != Step::Ready {}
            assert!(seen.pictures.is_empty() && seen.blocks.is_empty(), "{name} {to}");
            assert_eq!(file.step(&mut seen).unwrap(), Step::Ready);
            file.start_at(Micros::from_secs(90));
            let seen = play(&mut file, 5);
            assert_eq!(numbers(&seen), (first..first + 5).collect::<Vec<u8>>(), "{name} {to}");
            assert_eq!(seen.pictures[0].0, Micros::from_secs(90), "{name} {to}");
            let second = 90_000_000 + (u64::from(first) + 1) * 40_000 - to * 1_000;
            assert!(seen.pictures[1].0.0.abs_diff(second) < 1_500, "{name} {to}");
            assert!(seen.blocks[0].at.0.abs_diff(90_000_000) < 1_500, "{name} {to}");
        }
        file.seek(Micros::from_secs(60)).unwrap();
        assert_eq!(play(&mut file, usize::MAX).ended, 1, "{name}: there is nothing at its end");
        file.seek(Micros::from_millis(3_800)).unwrap();
        file.start_at(Micros::from_secs(99));
        assert_eq!(numbers(&play(&mut file, usize::MAX)), [95, 96, 97, 98, 99], "{name}");
    }
}

#[test]
fn a_file_without_pictures_has_points_too() {
    let dir = tempfile::tempdir().unwrap();
    let tone = "aevalsrc=0.1*(1+floor(2*t))*sin(2*PI*1000*t):s=44100:d=4";
    for (name, codec) in [("a.mp3", "-c:a libmp3lame"), ("a.flac", ""), ("a.wav", "-ar 8000 -ac 1")]
    {
        let path = ffmpeg(&dir, name, codec, tone);
        let mut file = File::open(&path, spec(false, 1_000, Some(1_500))).unwrap();
        let seen = play(&mut file, usize::MAX);
        let samples = seen.left();
        assert!(samples.len().abs_diff(24_000) <= 100, "{name}: {}", samples.len());
        let peak = peak(&samples[500..23_000]);
        assert!((peak - 0.3).abs() < 0.04, "{name}: {peak}");
        file.seek(Micros::from_millis(1_200)).unwrap();
        file.start_at(Micros::from_secs(7));
        let seen = play(&mut file, usize::MAX);
        assert!(seen.left().len().abs_diff(14_400) <= 100, "{name}: {}", seen.left().len());
        assert!(seen.blocks[0].at.0.abs_diff(7_000_000) < 1_500, "{name}");
    }
}

#[test]
fn an_in_point_behind_the_end_is_told_with_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = clip(&dir, FORMATS[0].0, FORMATS[0].1);
    for looped in [true, false] {
        let mut file = File::open(&path, spec(looped, 9_000, None)).unwrap();
        let error = loop {
            if let Err(error) = file.step(&mut Seen::default()) {
                break error.to_string();
            }
        };
        assert!(error.contains("c.mp4: it ends before `start_ms`"), "{error}");
    }
}
