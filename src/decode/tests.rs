//! Files and streams made by the `ffmpeg` program, decoded and looked at.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::flv::Tags;
use crate::frame::FrozenFrame;
use crate::media::{CHANNELS, Kind, Micros, Size};

/// Grey pictures, each brighter than the one before: 16, 18, 20...
const STAIRS: &str = "nullsrc=s=64x48:r=25,format=yuv420p,geq=lum='16+2*N':cb=128:cr=128";

/// What came out of a decoder.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) pictures: Vec<(Micros, [u8; 3])>,
    pub(super) sizes: Vec<Size>,
    pub(super) blocks: Vec<AudioBlock>,
    pub(super) ended: usize,
    pub(super) keep: bool,
    pub(super) kept: Vec<FrozenFrame>,
    pub(super) further: Vec<FrozenFrame>,
}

impl DecodeSink for Seen {
    fn picture(&mut self, picture: PictureEvent) {
        match picture {
            PictureEvent::Picture { frame, at } => {
                let size = frame.geometry().size();
                let pixel = |plane: usize| {
                    let shape = frame.geometry().planes()[plane];
                    frame.plane(plane)[shape.rows / 2 * shape.stride + shape.width / 2]
                };
                self.pictures.push((at, [pixel(0), pixel(1), pixel(2)]));
                self.sizes.push(size);
                if self.keep {
                    self.kept.push(frame);
                }
            }
            PictureEvent::Ended => self.ended += 1,
            PictureEvent::Failed => panic!("a decoder does not say so itself"),
        }
    }

    fn further_picture(&mut self, _size: usize, picture: PictureEvent) {
        if let PictureEvent::Picture { frame, .. } = picture {
            self.further.push(frame);
        }
    }

    fn audio(&mut self, block: &AudioBlock) {
        self.blocks.push(block.clone());
    }
}

impl Seen {
    pub(super) fn lumas(&self) -> Vec<u8> {
        self.pictures.iter().map(|(_, pixel)| pixel[0]).collect()
    }

    pub(super) fn left(&self) -> Vec<f32> {
        let samples = |b: &AudioBlock| b.data[..b.samples * CHANNELS].to_vec();
        let all = self.blocks.iter().flat_map(samples).collect::<Vec<_>>();
        all.chunks(CHANNELS).map(|pair| pair[0]).collect()
    }

    /// The largest error between the end of a block and the begin of the next, microseconds.
    pub(super) fn seam(&self) -> u64 {
        let pairs = self.blocks.windows(2);
        let error = pairs.map(|w| (w[0].at.0 + micros(w[0].samples)).abs_diff(w[1].at.0));
        error.max().unwrap_or(u64::MAX)
    }
}

fn micros(samples: usize) -> u64 {
    samples as u64 * 1_000_000 / 48_000
}

/// Pitch by rising zero crossings, hertz, and the highest sample.
fn pitch(samples: &[f32]) -> (f64, f32) {
    let rising = samples.windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0).count();
    let seconds = f64::from(u32::try_from(samples.len()).unwrap()) / 48_000.0;
    let peak = samples.iter().fold(0.0_f32, |peak, value| peak.max(value.abs()));
    (f64::from(u32::try_from(rising).unwrap()) / seconds, peak)
}

pub(super) fn ffmpeg(
    dir: &tempfile::TempDir,
    name: &str,
    arguments: &str,
    filter: &str,
) -> PathBuf {
    let path = dir.path().join(name);
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "lavfi", "-i", filter]).args(arguments.split_whitespace());
    let done = command.arg("-y").arg(&path).output().expect("these tests need the ffmpeg program");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    path
}

pub(super) fn same() -> Scale {
    Box::new(|size| size)
}

fn spec(looped: bool) -> FileSpec {
    FileSpec { looped, ..FileSpec::new(same(), Micros::from_secs(50)) }
}

/// Steps until the end or until enough pictures were seen.
pub(super) fn play(file: &mut File, pictures: usize) -> Seen {
    let mut seen = Seen::default();
    for _ in 0..200_000 {
        if seen.pictures.len() >= pictures || file.step(&mut seen).unwrap() == Step::Ended {
            return seen;
        }
    }
    panic!("the file neither ended nor gave {pictures} pictures: {file:?}");
}

#[test]
fn decoders_move_between_threads() {
    const fn movable<T: Send>() {}
    movable::<Live>();
    movable::<File>();
    movable::<LiveSpec>();
    movable::<FileSpec>();
}

#[test]
fn a_file_gives_its_pictures_in_order_each_at_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let b_frames = "-c:v libx264 -bf 3 -b_strategy 0 -g 25 -qp 4 -t 2";
    for (name, codec) in
        [("a.mp4", b_frames), ("a.mkv", b_frames), ("a.flv", b_frames), ("a.ts", b_frames)]
    {
        let path = ffmpeg(&dir, name, codec, STAIRS);
        let mut file = File::open(&path, spec(false)).unwrap();
        assert!(file.has_pictures() && !file.has_audio());
        let seen = play(&mut file, usize::MAX);
        assert_eq!((seen.pictures.len(), seen.ended), (50, 1), "{name}");
        for (n, (at, pixel)) in (0..).zip(&seen.pictures) {
            assert!(at.0.abs_diff(50_000_000 + n * 40_000) < 1_500, "{name} {n}: {at:?}");
            assert!(u64::from(pixel[0]).abs_diff(16 + 2 * n) <= 2, "{name} {n}: {pixel:?}");
            assert!(pixel[1].abs_diff(128) <= 1 && pixel[2].abs_diff(128) <= 1);
        }
        assert_eq!(file.step(&mut Seen::default()).unwrap(), Step::Ended);
    }
}

/// Opaque red on the left, half of it in the middle, nothing on the right.
const RED_FADES: &str = "color=red:s=96x32:r=25:d=0.2,format=rgba,\
                         geq=r=255:g=0:b=0:a='255-127.5*floor(X/32)'";

#[test]
fn alpha_is_kept_below_the_colours_where_the_file_has_some_and_somebody_wants_it() {
    let dir = tempfile::tempdir().unwrap();
    for (name, codec) in [
        ("prores.mov", "-c:v prores_ks -profile:v 4444 -pix_fmt yuva444p10le"),
        ("rle.mov", "-c:v qtrle -pix_fmt argb"),
        ("png.mov", "-c:v png -pix_fmt rgba"),
        ("vp9.webm", "-c:v libvpx-vp9 -crf 4 -pix_fmt yuva420p -auto-alt-ref 0"),
        ("vp8.webm", "-c:v libvpx -b:v 4M -pix_fmt yuva420p -auto-alt-ref 0"),
    ] {
        let path = ffmpeg(&dir, name, codec, RED_FADES);
        let wanted = FileSpec { keeps_alpha: true, ..spec(false) };
        let mut seen = Seen { keep: true, ..Seen::default() };
        let mut file = File::open(&path, wanted).unwrap();
        while file.step(&mut seen).unwrap() != Step::Ended {}
        assert_eq!(seen.sizes[0], Size::new(96, 64).unwrap(), "{name}");
        let frame = &seen.kept[2];
        let at = |plane: usize, x: usize, y: usize| {
            frame.plane(plane)[y * frame.geometry().planes()[plane].stride + x]
        };
        for (x, alpha) in [(8, 255), (48, 127), (88, 0)] {
            let [luma, cb, cr] = [63, 102, 240].map(|sample| sample * alpha / 255);
            let (luma_got, alpha_got) = (at(0, x, 16), at(0, x, 48));
            let near = |a: u8, b: i32| i32::from(a).abs_diff(b) <= 6;
            assert!(near(luma_got, luma) && near(alpha_got, alpha), "{name} {x}");
            let chroma = [at(1, x / 2, 8), at(2, x / 2, 8), at(1, x / 2, 24), at(2, x / 2, 24)];
            let chroma_is_near = near(chroma[0], cb) && near(chroma[1], cr);
            assert!(chroma_is_near && near(chroma[2], alpha), "{name} {x}: {chroma:?}");
            assert_eq!(chroma[2], chroma[3]);
        }
        let plain = play(&mut File::open(&path, spec(false)).unwrap(), 1);
        assert_eq!(plain.sizes[0], Size::new(96, 32).unwrap(), "{name}: nobody wants it");
    }
    let opaque = ffmpeg(&dir, "opaque.mp4", "-c:v libx264 -t 0.2", STAIRS);
    let wanted = FileSpec { keeps_alpha: true, ..spec(false) };
    let seen = play(&mut File::open(&opaque, wanted).unwrap(), 1);
    assert_eq!(seen.sizes[0], Size::new(64, 48).unwrap());
}

#[test]
fn a_loop_goes_on_without_a_gap_in_pictures_or_audio() {
    let dir = tempfile::tempdir().unwrap();
    let codec = "-f lavfi -i sine=frequency=1000:sample_rate=48000 -c:v libx264 -g 50 -qp 4 \
                 -c:a aac -t 1";
    for name in ["l.mp4", "l.mkv", "l.flv", "l.ts"] {
        let path = ffmpeg(&dir, name, codec, STAIRS);
        let mut file = File::open(&path, spec(true)).unwrap();
        let seen = play(&mut file, 25 * 4);
        assert_eq!(file.counters().loops, 3, "{name}");
        for (n, luma) in seen.lumas().into_iter().enumerate() {
            assert!(usize::from(luma).abs_diff(16 + 2 * (n % 25)) <= 2, "{name} {n}: {luma}");
        }
        for pair in seen.pictures.windows(2) {
            // Where audio is a little longer than the pictures, the last one stands that long.
            let step = pair[1].0.0 - pair[0].0.0;
            assert!((38_500..=110_000).contains(&step), "{name}: {step}");
        }
        assert!(seen.seam() <= 1, "{name}: {}", seen.seam());
        let (hertz, _) = pitch(&seen.left());
        assert!((hertz - 1_000.0).abs() < 30.0, "{name}: {hertz}");
        // In step: what is heard last and what is seen last are near each other.
        let (last, block) = (seen.pictures[99].0, seen.blocks.last().unwrap());
        assert!(last.0.abs_diff(block.at.0) < 120_000, "{name}: {last:?} {:?}", block.at);
    }
}

#[test]
fn audio_of_one_channel_and_another_rate_keeps_pitch_level_and_length() {
    let dir = tempfile::tempdir().unwrap();
    let sine = "sine=frequency=440:sample_rate=44100,volume=4";
    let path = ffmpeg(&dir, "s.wav", "-ac 1 -t 2", sine);
    let mut file = File::open(&path, spec(false)).unwrap();
    assert!(!file.has_pictures());
    let seen = play(&mut file, usize::MAX);
    let samples = seen.left();
    assert!(samples.len().abs_diff(96_000) < 100, "{}", samples.len());
    let (hertz, peak) = pitch(&samples);
    assert!((hertz - 440.0).abs() < 1.0 && (peak - 0.5).abs() < 0.01, "{hertz} Hz, peak {peak}");
    assert_eq!(seen.blocks[0].at, Micros::from_secs(50));
    assert!(seen.seam() <= 1);
    assert!(seen.blocks.iter().rev().skip(1).all(|block| block.samples == 1_024));
}

#[test]
fn audio_of_any_rate_and_count_of_channels_keeps_pitch_and_length() {
    let dir = tempfile::tempdir().unwrap();
    let sine = "sine=frequency=440:sample_rate=48000,volume=4";
    for (name, form) in [
        ("mono.wav", "-ac 1 -ar 8000"),
        ("studio.flac", "-ac 2 -ar 192000"),
        ("surround.mp4", "-ac 6 -c:a aac -b:a 384k"),
        ("many.wav", "-ac 8"),
        ("odd.wav", "-ac 3 -ar 11025"),
    ] {
        let path = ffmpeg(&dir, name, &format!("{form} -t 2"), sine);
        let seen = play(&mut File::open(&path, spec(false)).unwrap(), usize::MAX);
        let samples = seen.left();
        assert!(samples.len().abs_diff(96_000) < 3_000, "{name}: {}", samples.len());
        let (hertz, peak) = pitch(&samples[4_800..90_000]);
        assert!((hertz - 440.0).abs() < 1.0, "{name}: {hertz}");
        assert!((0.1..0.6).contains(&peak), "{name}: {peak}");
        assert!(seen.seam() <= 1, "{name}");
    }
}

#[test]
fn colours_are_brought_to_bt709_limited_range_from_whatever_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let red = |size: &str| format!("color=c=red:s={size}:r=25");
    let cases = [
        ("sd601.mp4", "-c:v libx264 -pix_fmt yuv420p -t 0.2", red("640x480")),
        ("full.avi", "-c:v mjpeg -q:v 2 -pix_fmt yuvj420p -t 0.2", red("640x480")),
        ("rgb.mkv", "-c:v ffv1 -pix_fmt bgr0 -t 0.2", red("640x480")),
        (
            "hd709.mp4",
            "-vf scale=out_color_matrix=bt709 -c:v libx264 -pix_fmt yuv420p -colorspace bt709 \
             -t 0.2",
            red("1280x720"),
        ),
        ("deep.mkv", "-c:v ffv1 -pix_fmt yuv444p10le -t 0.2", red("640x480")),
    ];
    for (name, codec, filter) in cases {
        let path = ffmpeg(&dir, name, codec, &filter);
        let seen = play(&mut File::open(&path, spec(false)).unwrap(), usize::MAX);
        let (_, pixel) = seen.pictures[0];
        // Pure red in BT.709 limited range.
        let near = pixel.iter().zip([63, 102, 240]).all(|(have, want)| have.abs_diff(want) <= 3);
        assert!(near, "{name}: {pixel:?}");
    }
}

#[test]
fn a_dark_grey_of_full_range_becomes_the_same_grey_in_limited_range() {
    let dir = tempfile::tempdir().unwrap();
    let codec = "-c:v mjpeg -q:v 2 -pix_fmt yuvj420p -t 0.2";
    let path = ffmpeg(&dir, "grey.avi", codec, "color=c=0x404040:s=640x480:r=25");
    let seen = play(&mut File::open(&path, spec(false)).unwrap(), usize::MAX);
    let [luma, cb, cr] = seen.pictures[0].1;
    // 64 of 255, between 16 and 235.
    assert!(luma.abs_diff(71) <= 2 && cb.abs_diff(128) <= 1 && cr.abs_diff(128) <= 1, "{luma}");
}

#[test]
fn audio_that_is_shorter_than_the_pictures_is_silent_until_the_next_round() {
    let dir = tempfile::tempdir().unwrap();
    let codec = "-f lavfi -i sine=frequency=1000:sample_rate=48000:duration=0.6 \
                 -c:v libx264 -g 50 -c:a aac -t 1";
    let path = ffmpeg(&dir, "short.mp4", codec, STAIRS);
    let seen = play(&mut File::open(&path, spec(true)).unwrap(), 75);
    assert!(seen.seam() <= 1, "{}", seen.seam());
    let samples = seen.left();
    let peak =
        |from: usize| samples[from..from + 4_800].iter().fold(0.0_f32, |p, v| p.max(v.abs()));
    for round in [0, 48_000] {
        assert!(peak(round + 9_600) > 0.05 && peak(round + 38_400) < 1e-3, "{round}");
    }
}

#[test]
fn pictures_have_the_size_asked_for_and_their_pixels_are_made_square() {
    let dir = tempfile::tempdir().unwrap();
    let path = ffmpeg(&dir, "w.mp4", "-vf setsar=4/3 -c:v libx264 -t 0.2", "color=c=white:s=90x50");
    let (tell, told) = std::sync::mpsc::channel();
    let scale: Scale = Box::new(move |size| {
        tell.send(size).unwrap();
        Size::new(200, 120).unwrap()
    });
    let spec = FileSpec { looped: false, ..FileSpec::new(scale, Micros(0)) };
    let seen = play(&mut File::open(&path, spec).unwrap(), usize::MAX);
    assert_eq!(told.iter().collect::<Vec<_>>(), [Size::new(120, 50).unwrap()]);
    assert!(seen.sizes.iter().all(|size| *size == Size::new(200, 120).unwrap()));
    assert!(seen.pictures[0].1[0] >= 233, "white: {:?}", seen.pictures[0]);
}

#[test]
fn a_picture_waits_for_a_free_frame_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = ffmpeg(&dir, "p.mp4", "-c:v libx264 -qp 4 -t 2", STAIRS);
    let spec = FileSpec { queue: 2, ..spec(false) };
    let mut file = File::open(&path, spec).unwrap();
    let mut seen = Seen { keep: true, ..Seen::default() };
    let mut full = 0;
    loop {
        match file.step(&mut seen).unwrap() {
            Step::More => {}
            Step::Full => {
                assert_eq!(file.step(&mut seen).unwrap(), Step::Full, "it keeps waiting");
                full += 1;
                seen.kept.clear();
            }
            Step::Ready => panic!("nobody has it wait"),
            Step::Ended => break,
        }
    }
    assert_eq!((seen.pictures.len(), full), (50, 4));
}

#[test]
fn a_file_that_is_only_heard_has_no_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let codec = "-f lavfi -i sine=frequency=1000:sample_rate=48000 -c:v libx264 -c:a aac -t 1";
    let path = ffmpeg(&dir, "heard.mp4", codec, STAIRS);
    let mut file = File::open(&path, FileSpec { want_pictures: false, ..spec(false) }).unwrap();
    assert!(file.has_audio() && !file.has_pictures());
    let seen = play(&mut file, usize::MAX);
    assert!(seen.pictures.is_empty() && seen.left().len() > 40_000);
    let silent = FileSpec { want_pictures: false, want_audio: false, ..spec(false) };
    assert!(matches!(File::open(&path, silent), Err(Error::Empty { .. })));
}

#[test]
fn a_file_that_cannot_be_played_says_why_and_which() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("notes.mp4");
    std::fs::write(&text, "not a video at all").unwrap();
    let missing = dir.path().join("missing.mp4");
    for (path, why) in [
        (missing.as_path(), "No such file"),
        (text.as_path(), "Invalid data"),
        (dir.path(), "directory"),
        (Path::new("bad\0name"), "No such file"),
    ] {
        let message = File::open(path, spec(true)).unwrap_err().to_string();
        assert!(message.contains(why), "{message}");
        assert!(message.contains(&path.display().to_string()), "{message}");
    }
}

#[test]
fn a_damaged_file_is_played_as_far_as_it_goes_and_looped() {
    let dir = tempfile::tempdir().unwrap();
    let path = ffmpeg(&dir, "d.ts", "-c:v libx264 -g 5 -qp 4 -t 2", STAIRS);
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes.truncate(half);
    bytes[half / 2..half / 2 + 3_000].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let mut file = File::open(&path, spec(true)).unwrap();
    play(&mut file, 100);
    assert!(file.counters().loops > 1);
}

/// The tags of an FLV file: kind, time, body.
fn tags(path: &Path) -> Vec<(Kind, u32, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap();
    let kind = |type_id| match type_id {
        8 => Kind::Audio,
        9 => Kind::Video,
        _ => Kind::Data,
    };
    let tags = Tags::new(&bytes[9 + 4..]);
    tags.map(|tag| (kind(tag.type_id), tag.time, tag.body.to_vec())).collect()
}

fn stream(dir: &tempfile::TempDir, seconds: u32, codec: &str) -> Vec<(Kind, u32, Vec<u8>)> {
    let arguments = format!(
        "-f lavfi -i sine=frequency=500:sample_rate=44100 -c:v libx264 -g 10 -qp 4 {codec} \
         -c:a aac -ac 2 -t {seconds}"
    );
    tags(&ffmpeg(dir, "live.flv", &arguments, STAIRS))
}

const ARRIVAL: u64 = 70_000_000;

/// Hands in a message that has just come, and decodes it.
#[expect(clippy::too_many_arguments, reason = "what a message is, when it came, where to")]
fn message(
    live: &mut Live,
    kind: Kind,
    time_ms: u32,
    body: &[u8],
    arrived: Micros,
    out: &mut Seen,
) -> Result<(), Error> {
    let time = live.arrived(kind, time_ms, body, arrived);
    live.decode(kind, time, body, out)
}

/// Hands in every tag at the time it would come.
fn feed(live: &mut Live, tags: &[(Kind, u32, Vec<u8>)], seen: &mut Seen) {
    for (kind, time, body) in tags {
        let arrived = Micros(ARRIVAL + u64::from(*time) * 1_000);
        message(live, *kind, time.wrapping_add(4_000_000_000), body, arrived, seen).unwrap();
    }
}

#[test]
fn a_stream_is_shown_one_latency_after_it_came_and_audio_with_it() {
    let dir = tempfile::tempdir().unwrap();
    for codec in ["-bf 2 -b_strategy 0", "-profile:v baseline"] {
        let mut live = Live::new(LiveSpec::new(same()));
        let mut seen = Seen::default();
        feed(&mut live, &stream(&dir, 3, codec), &mut seen);
        live.ended(&mut seen);
        assert_eq!((seen.pictures.len(), seen.ended), (75, 1), "{codec}");
        let first = seen.pictures[0].0.0;
        // Reordered pictures are shown later than they are decoded.
        assert!((200_000..=290_000).contains(&(first - ARRIVAL)), "{}", first - ARRIVAL);
        for (n, (at, pixel)) in (0..).zip(&seen.pictures) {
            assert!(at.0.abs_diff(first + n * 40_000) < 4_000, "{codec} {n}: {at:?}");
            assert!(u64::from(pixel[0]).abs_diff(16 + 2 * n) <= 2, "{codec} {n}: {pixel:?}");
        }
        assert!(seen.seam() <= 1);
        let start = seen.blocks[0].at.0;
        assert!((150_000..=290_000).contains(&(start - ARRIVAL)), "{}", start - ARRIVAL);
        // The encoder's own beginning and end are no pure sine.
        let (hertz, peak) = pitch(&seen.left()[4_800..130_000]);
        assert!((hertz - 500.0).abs() < 1.0 && peak > 0.08, "{hertz} Hz, peak {peak}");
        let counters = live.counters();
        assert_eq!((counters.damaged, counters.resyncs, counters.pool_empty), (0, 0, 0));
    }
}

#[test]
fn baseline_pictures_come_out_with_the_message_that_carried_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut live = Live::new(LiveSpec::new(same()));
    for (kind, time, body) in stream(&dir, 1, "-profile:v baseline") {
        let mut seen = Seen::default();
        message(&mut live, kind, time, &body, Micros(ARRIVAL), &mut seen).unwrap();
        let carries = kind == Kind::Video && body[1] == 1;
        assert_eq!(seen.pictures.len(), usize::from(carries));
    }
}

#[test]
fn a_late_joiner_waits_for_a_keyframe() {
    let dir = tempfile::tempdir().unwrap();
    let tags = stream(&dir, 1, "-bf 0");
    let header = |tag: &&(Kind, u32, Vec<u8>)| tag.2.get(1) == Some(&0);
    let mut live = Live::new(LiveSpec::new(same()));
    let mut seen = Seen::default();
    let headers: Vec<_> = tags.iter().filter(header).cloned().collect();
    feed(&mut live, &headers, &mut seen);
    let rest: Vec<_> = tags.iter().filter(|tag| tag.1 >= 120).cloned().collect();
    feed(&mut live, &rest, &mut seen);
    live.ended(&mut seen);
    // A keyframe is every tenth picture: the first seen is number 10.
    assert!(seen.lumas()[0].abs_diff(36) <= 2, "{:?}", seen.lumas());
    assert_eq!(seen.pictures.len(), 15);
}

#[test]
fn damage_is_counted_and_the_next_keyframe_heals_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut tags = stream(&dir, 2, "-bf 0");
    let mut broken = 0;
    for (kind, time, body) in &mut tags {
        if body[1] == 1 && (400..600).contains(time) {
            let from = if *kind == Kind::Video { 5 } else { 2 };
            body[from..].fill(0xff);
            broken += 1;
        }
    }
    assert!(broken > 5);
    let mut live = Live::new(LiveSpec::new(same()));
    let mut seen = Seen::default();
    feed(&mut live, &tags, &mut seen);
    live.ended(&mut seen);
    assert!(live.counters().damaged > 0);
    assert!(seen.pictures.len() >= 10 + 30, "{}", seen.pictures.len());
    assert!(seen.lumas().last().unwrap().abs_diff(16 + 98) <= 2);
}

#[test]
fn no_message_whatever_is_in_it_breaks_anything() {
    let dir = tempfile::tempdir().unwrap();
    let tags = stream(&dir, 1, "-bf 2");
    let mut live = Live::new(LiveSpec::new(same()));
    let mut seen = Seen::default();
    let mut random = 1_u32;
    let mut next = move || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random >> 8
    };
    let mut below = |limit: usize| next() as usize % limit;
    for round in 0..30 {
        for (kind, time, body) in &tags {
            let mut body = body.clone();
            for _ in 0..below(4) {
                let at = below(body.len());
                body[at] ^= 1 << below(8);
            }
            body.truncate(body.len() - below(3) * below(body.len()) / 4);
            let stretch = [0, 1, 2][below(3)];
            let time = time.wrapping_mul(stretch).wrapping_add(round << 27);
            let arrived = Micros(ARRIVAL + below(1 << 24) as u64);
            drop(message(&mut live, *kind, time, &body, arrived, &mut seen));
            drop(message(&mut live, *kind, time, &body[..below(3)], arrived, &mut seen));
        }
        live.ended(&mut seen);
    }
    // It still works.
    let mut seen = Seen::default();
    feed(&mut live, &tags, &mut seen);
    live.ended(&mut seen);
    assert_eq!((seen.pictures.len(), seen.ended), (25, 1));
}

#[test]
fn an_empty_pool_drops_pictures_and_counts_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut live = Live::new(LiveSpec { queue: Box::new(|_| 4), ..LiveSpec::new(same()) });
    let mut seen = Seen { keep: true, ..Seen::default() };
    feed(&mut live, &stream(&dir, 1, "-bf 0"), &mut seen);
    live.ended(&mut seen);
    assert_eq!((seen.pictures.len(), live.counters().pool_empty), (14, 11));
}

#[test]
fn another_publisher_with_another_size_follows_and_the_clock_starts_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut live = Live::new(LiveSpec::new(same()));
    let mut seen = Seen::default();
    feed(&mut live, &stream(&dir, 1, "-bf 0"), &mut seen);
    live.ended(&mut seen);
    let second = stream(&dir, 1, "-bf 0 -vf scale=128:96");
    for (kind, time, body) in &second {
        let arrived = Micros(2 * ARRIVAL + u64::from(*time) * 1_000);
        message(&mut live, *kind, *time, body, arrived, &mut seen).unwrap();
    }
    assert!(seen.pictures[25].0.0.abs_diff(2 * ARRIVAL + 200_000) < 50_000);
    assert_eq!(seen.sizes[24..26], [Size::new(64, 48).unwrap(), Size::new(128, 96).unwrap()]);
    assert_eq!(live.counters().resyncs, 0);
}

#[test]
fn another_codec_is_reported_once_and_ignored() {
    let mut live = Live::new(LiveSpec::new(same()));
    let mut seen = Seen::default();
    let mut hand_in = |kind, body: &[u8]| message(&mut live, kind, 0, body, Micros(0), &mut seen);
    let error = hand_in(Kind::Video, b"\x90vvc1abcdef").unwrap_err();
    let told = "a live input does not decode VVC; publish H.264, HEVC, AV1 or VP9";
    assert_eq!(error.to_string(), told);
    assert!(hand_in(Kind::Video, b"\x91vvc1abcdef").is_ok());
    assert!(hand_in(Kind::Audio, &[0xb6, 1, 2]).is_err());
    assert!(hand_in(Kind::Audio, &[0xb6, 1, 2]).is_ok());
    assert!(hand_in(Kind::Data, &[2, 0, 10]).is_ok());
    assert!(matches!(hand_in(Kind::Audio, &[0xaf, 0, 0]), Err(Error::Decoder(_)) | Ok(())));
}

#[test]
fn the_audio_of_a_slow_publisher_is_stretched_without_a_break() {
    let dir = tempfile::tempdir().unwrap();
    let sine = "sine=frequency=500:sample_rate=48000";
    let tags = tags(&ffmpeg(&dir, "slow.flv", "-c:a aac -ac 2 -t 60", sine));
    let mut live = Live::new(LiveSpec::new(same()));
    let mut seen = Seen::default();
    let mut arrived = 0;
    for (kind, time, body) in &tags {
        // Its clock is 0.2 % slow.
        arrived = ARRIVAL + u64::from(*time) * 1_002;
        message(&mut live, *kind, *time, body, Micros(arrived), &mut seen).unwrap();
    }
    assert!(seen.seam() <= 1, "{}", seen.seam());
    assert_eq!(live.counters().resyncs, 0);
    let last = seen.blocks.last().unwrap();
    let behind = (arrived + 200_000).abs_diff(last.at.0 + micros(last.samples));
    assert!(behind < 70_000, "{behind} us of the 120 000 it would be off");
    let (hertz, _) = pitch(&seen.left()[48_000..]);
    assert!((498.0..500.0).contains(&hertz), "{hertz} Hz");
}
