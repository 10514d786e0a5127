//! In and out points, and seeking, in files made by the `ffmpeg` program.

use std::path::PathBuf;

use super::*;
use crate::decode::Scale;
use crate::decode::tests::{Seen, ffmpeg, play, same};
use crate::frame::FrozenFrame;
use crate::media::Size;

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

/// The longest time that nothing is heard of a 1 kHz sine, samples.
fn silence(samples: &[f32]) -> usize {
    samples.split(|value| value.abs() > 0.01).map(<[f32]>::len).max().unwrap_or(0)
}

#[test]
fn a_file_that_begins_again_is_silent_for_less_than_a_millisecond() {
    let dir = tempfile::tempdir().unwrap();
    let tone = "aevalsrc=0.3*sin(2*PI*1000*t):s=44100:d=0.7";
    for (name, codec) in
        [("a.wav", "-ar 48000"), ("b.wav", ""), ("a.flac", ""), ("a.mp3", "-c:a libmp3lame")]
    {
        let path = ffmpeg(&dir, name, codec, tone);
        let mut file = File::open(&path, spec(true, 0, None)).unwrap();
        let mut seen = Seen::default();
        while seen.blocks.len() < 120 {
            assert_ne!(file.step(&mut seen).unwrap(), Step::Ended, "{name}");
        }
        let samples = seen.left();
        let found = silence(&samples[2_000..]);
        assert!(samples.len() > 80_000 && found <= 48, "{name}: {found} of {}", samples.len());
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

/// Four quarters, black, red, green and white; as a file of phones it may say that it is to be
/// turned.
fn quarters(dir: &tempfile::TempDir, name: &str, display: Option<&str>) -> PathBuf {
    let boxes = "color=black:s=96x64:r=25:d=0.4,drawbox=48:0:48:32:red:fill,\
                 drawbox=0:32:48:32:green:fill,drawbox=48:32:48:32:white:fill";
    let path = ffmpeg(dir, name, "-c:v libx264 -qp 1 -pix_fmt yuv420p", boxes);
    let Some(display) = display else { return path };
    let turned = dir.path().join(format!("turned-{name}"));
    let mut command = std::process::Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(&path).args(["-c", "copy"]);
    command.args(["-metadata:s:v:0", &format!("rotate={display}"), "-y"]).arg(&turned);
    assert!(command.status().unwrap().success());
    turned
}

/// All pictures of a file, shown like this.
fn frames(path: &Path, orientation: Orientation, scale: Scale) -> Vec<FrozenFrame> {
    let spec = FileSpec { looped: false, orientation, ..FileSpec::new(scale, Micros(0)) };
    let mut seen = Seen { keep: true, ..Seen::default() };
    let mut file = File::open(path, spec).unwrap();
    while file.step(&mut seen).unwrap() != Step::Ended {}
    seen.kept
}

/// Where a sample of a picture of this size is once it is mirrored and turned.
fn moved(how: Orientation, (x, y): (usize, usize), (w, h): (usize, usize)) -> (usize, usize) {
    let x = if how.is_mirrored() { w - 1 - x } else { x };
    match how.quarters() {
        0 => (x, y),
        1 => (h - 1 - y, x),
        2 => (w - 1 - x, h - 1 - y),
        _ => (y, w - 1 - x),
    }
}

#[test]
fn a_turned_picture_has_the_samples_of_the_upright_one_at_its_size_and_at_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = quarters(&dir, "q.mp4", None);
    let mirrored = Orientation::flipped(true, false);
    let all = (0..4).flat_map(|n| [Orientation::turned(n), mirrored.then(Orientation::turned(n))]);
    for how in all.filter(|how| !how.is_upright()) {
        for to in [Size::new(96, 64).unwrap(), Size::new(70, 38).unwrap()] {
            let shown = how.size(to);
            let plain = frames(&path, Orientation::UPRIGHT, Box::new(move |_| to));
            let turned = frames(&path, how, Box::new(move |_| shown));
            assert_eq!(plain.len(), turned.len());
            for (plain, turned) in plain.iter().zip(&turned) {
                assert_eq!(turned.geometry().size(), shown);
                for index in 0..3 {
                    let (from, at) =
                        (plain.geometry().planes()[index], turned.geometry().planes()[index]);
                    for (x, y) in (0..from.rows).flat_map(|y| (0..from.width).map(move |x| (x, y)))
                    {
                        let (tx, ty) = moved(how, (x, y), (from.width, from.rows));
                        let wanted = plain.plane(index)[y * from.stride + x];
                        assert_eq!(
                            turned.plane(index)[ty * at.stride + tx],
                            wanted,
                            "{how:?} {x} {y}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_file_that_says_how_it_is_to_be_turned_is_shown_so() {
    let dir = tempfile::tempdir().unwrap();
    let luma = |frame: &FrozenFrame, x: usize, y: usize| {
        frame.plane(0)[y * frame.geometry().planes()[0].stride + x]
    };
    // Black, red, green and white, from the upper left on by rows. ffmpeg's option turns to the
    // left.
    let [black, red, green, white] = [16, 63, 95, 235];
    for (display, upper, lower) in [
        ("0", [black, red], [green, white]),
        ("90", [red, white], [black, green]),
        ("180", [white, green], [red, black]),
        ("270", [green, black], [white, red]),
    ] {
        for name in ["q.mp4", "q.mov"] {
            let path = quarters(&dir, name, Some(display));
            let frame = &frames(&path, Orientation::UPRIGHT, same())[0];
            let size = frame.geometry().size();
            let (w, h) = if ["0", "180"].contains(&display) { (96, 64) } else { (64, 96) };
            assert_eq!(size, Size::new(w, h).unwrap(), "{name} {display}");
            let (w, h) = (w as usize, h as usize);
            let got =
                [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(x, y)| luma(frame, x * w / 4, y * h / 4));
            let wanted = [upper[0], upper[1], lower[0], lower[1]];
            let near = got.iter().zip(wanted).all(|(got, wanted)| got.abs_diff(wanted) <= 6);
            assert!(near, "{name} {display}: {got:?} for {wanted:?}");
        }
    }
    // What a layer says comes after that.
    let path = quarters(&dir, "q.mp4", Some("90"));
    let frame = &frames(&path, Orientation::turned(1), same())[0];
    assert_eq!(frame.geometry().size(), Size::new(96, 64).unwrap());
    assert!(luma(frame, 24, 16) <= 20 && luma(frame, 72, 48) >= 230);
}

#[test]
fn alpha_is_kept_at_every_size_and_turned_with_its_picture() {
    let dir = tempfile::tempdir().unwrap();
    let fades = "color=red:s=96x32:r=25:d=0.2,format=rgba,geq=r=255:g=0:b=0:a='255*lt(X,48)'";
    let path = ffmpeg(&dir, "a.mov", "-c:v qtrle -pix_fmt argb", fades);
    let orientation = Orientation::turned(1);
    let (scale, further): (Scale, Scale) = (same(), same());
    let spec = FileSpec {
        looped: false,
        orientation,
        keeps_alpha: true,
        further: vec![further],
        ..FileSpec::new(scale, Micros(0))
    };
    let mut file = File::open(&path, spec).unwrap();
    let mut seen = Seen { keep: true, ..Seen::default() };
    while file.step(&mut seen).unwrap() != Step::Ended {}
    for frame in [&seen.kept[0], &seen.further[0]] {
        let geometry = frame.geometry();
        assert!(geometry.has_alpha() && geometry.shown() == Size::new(32, 96).unwrap());
        let alpha = |x: usize, y: usize| frame.plane(0)[(96 + y) * geometry.planes()[0].stride + x];
        assert_eq!([alpha(16, 8), alpha(16, 40), alpha(16, 56), alpha(16, 88)], [255, 255, 0, 0]);
    }
}
