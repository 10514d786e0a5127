//! Bad files of every kind in one scene: each layer shows what can be shown of its file or darkens
//! alone, with its name and the reason, and the programme goes on.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::api::events_of;
use crate::config::Config;
use crate::machine::memory;
use crate::node::Node;
use crate::program::Program;
use crate::wait::{SOON, beside_others, wait_until};
use crate::watcher::{Listener, Watcher, is_near};

/// ffmpeg's red in BT.709 of limited range, not too exactly.
const RED: [u8; 3] = [63, 102, 240];

/// Boxes of the layers: so many pixels, and so many in a row.
const BOX: [usize; 2] = [40, 30];
const COLUMNS: usize = 8;

/// Most memory of the node, MiB: no picture of any file takes more, whatever its header says.
const MEMORY_MAX: u64 = 1_024;

/// What becomes of a layer.
enum Wanted {
    /// It is red.
    Shown,
    /// It is told that its file cannot be used, with this in the reason.
    Failed(&'static str),
}

use Wanted::{Failed, Shown};

/// Where files are made.
struct Dir(TempDir);

impl Dir {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A second of red pictures, with more inputs and options of ffmpeg.
    fn red(&self, name: &str, more: &str) -> PathBuf {
        self.red_of(name, "64x48", more)
    }

    fn red_of(&self, name: &str, size: &str, more: &str) -> PathBuf {
        let red = format!("-v error -f lavfi -i color=red:s={size}:r=25:d=1 {more} -y");
        let file = self.path(name);
        Program::start("ffmpeg", &red, &[file.to_str().unwrap()]).succeeds(SOON);
        file
    }

    /// The first so many hundredths of a file that is made like this.
    fn cut(&self, name: &str, hundredths: usize, more: &str) {
        let file = self.red(name, more);
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() * hundredths / 100]).unwrap();
    }

    /// A file that is made like this, with a tenth in its middle overwritten.
    fn damage(&self, name: &str, more: &str) {
        let file = self.red(name, more);
        let mut bytes = std::fs::read(&file).unwrap();
        let half = bytes.len() / 2;
        bytes[half..half + half / 5].fill(0x5a);
        std::fs::write(&file, bytes).unwrap();
    }

    /// The same file, whose bytes are changed.
    fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(self.path(name)).unwrap();
        change(&mut bytes);
        std::fs::write(self.path(name), bytes).unwrap();
    }
}

/// A video of red pictures with noise, so that it has some bytes.
const NOISE: &str = "-vf noise=alls=10:allf=t -c:v libx264 -pix_fmt yuv420p -g 5";

/// Red pictures with audio of this form.
fn with_audio(form: &str) -> String {
    format!("-f lavfi -i sine=500:d=1 {form} -c:v libx264 -pix_fmt yuv420p")
}

fn videos(dir: &Dir) -> Vec<(&'static str, Wanted)> {
    dir.cut("cut.mp4", 60, NOISE);
    dir.cut("cut.ts", 60, NOISE);
    dir.damage("damaged.mkv", NOISE);
    dir.damage("damaged.mp4", NOISE);
    std::fs::write(dir.path("nothing.mp4"), "").unwrap();
    dir.red("no-pictures.mkv", "-frames:v 0 -c:v libx264");
    dir.red("one-picture.mp4", "-frames:v 1 -c:v libx264 -pix_fmt yuv420p");
    dir.red("grows.ts", NOISE);
    let larger = std::fs::read(dir.red_of("larger.ts", "128x96", NOISE)).unwrap();
    dir.change("grows.ts", |bytes| bytes.extend(larger));
    dir.red("deep.mkv", "-c:v ffv1 -pix_fmt gbrp16le");
    dir.red("odd.mkv", "-vf format=gbrp,crop=33:17 -c:v ffv1 -pix_fmt yuv420p");
    dir.red("dot.mkv", "-vf format=gbrp,crop=1:1 -c:v ffv1 -pix_fmt bgr0");
    dir.red("huge.mjpeg", "-c:v mjpeg -pix_fmt yuvj420p -f mjpeg");
    dir.change("huge.mjpeg", |bytes| {
        // The frame header of each picture: its length, bits, height and width.
        for at in 0..bytes.len() - 9 {
            if bytes[at..].starts_with(&[0xff, 0xc0, 0, 17, 8]) {
                bytes[at + 5..at + 9].copy_from_slice(&[0x40, 0, 0x40, 0]);
            }
        }
    });
    let upright = dir.red("upright.mp4", "-c:v libx264 -pix_fmt yuv420p");
    let turned = dir.path("turned.mp4");
    let copy = format!("-v error -i {} -c copy -metadata:s:v:0 rotate=90", upright.display());
    Program::start("ffmpeg", &copy, &[turned.to_str().unwrap()]).succeeds(SOON);
    let uneven = "-vf setpts=N*N/25/TB/25 -fps_mode vfr -c:v libx264 -pix_fmt yuv420p";
    dir.red("uneven.mkv", uneven);
    dir.red("only-audio.wav", "-f lavfi -i sine=500:d=1 -map 1");
    dir.red("surround.mp4", &with_audio("-ac 6 -c:a aac"));
    dir.red("telephone.mkv", &with_audio("-ac 1 -ar 8000 -c:a pcm_s16le"));
    dir.red("studio.mkv", &with_audio("-ar 192000 -c:a flac"));
    vec![
        ("missing.mp4", Failed("No such file")),
        ("cut.mp4", Failed("Invalid data")),
        ("cut.ts", Shown),
        ("damaged.mkv", Shown),
        ("damaged.mp4", Shown),
        ("nothing.mp4", Failed("Invalid data")),
        ("no-pictures.mkv", Failed("cannot play")),
        ("one-picture.mp4", Shown),
        ("grows.ts", Shown),
        ("deep.mkv", Shown),
        ("odd.mkv", Shown),
        ("dot.mkv", Shown),
        ("huge.mjpeg", Failed("cannot play")),
        ("turned.mp4", Shown),
        ("uneven.mkv", Shown),
        ("only-audio.wav", Failed("no picture or audio")),
        ("surround.mp4", Shown),
        ("telephone.mkv", Shown),
        ("studio.mkv", Shown),
    ]
}

fn images(dir: &Dir) -> Vec<(&'static str, Wanted)> {
    let noise = "-vf noise=alls=10 -frames:v 1";
    dir.cut("cut.png", 60, noise);
    dir.damage("damaged.png", noise);
    std::fs::write(dir.path("nothing.png"), "").unwrap();
    dir.red("deep.png", "-frames:v 1 -pix_fmt rgb48be");
    dir.red("odd.png", "-vf format=gbrp,crop=33:17 -frames:v 1");
    dir.red("dot.png", "-vf format=gbrp,crop=1:1 -frames:v 1");
    dir.red("huge.png", "-frames:v 1 -pix_fmt gray");
    dir.change("huge.png", |bytes| {
        // The first chunk: its length and name, width, height and five bytes, and their checksum.
        bytes[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
        let sum = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    });
    dir.red("plain.jpg", "-frames:v 1 -pix_fmt yuvj420p");
    dir.red("plain.avif", "-frames:v 1 -c:v libaom-av1 -still-picture 1 -pix_fmt yuv420p");
    dir.cut("cut.avif", 60, "-frames:v 1 -c:v libaom-av1 -still-picture 1 -pix_fmt yuv420p");
    vec![
        ("missing.png", Failed("No such file")),
        ("cut.png", Failed("cut.png")),
        ("damaged.png", Failed("damaged.png")),
        ("nothing.png", Failed("neither PNG nor")),
        ("deep.png", Shown),
        ("odd.png", Shown),
        ("dot.png", Shown),
        ("huge.png", Failed("16384x16384")),
        ("plain.jpg", Shown),
        ("plain.avif", Shown),
        ("cut.avif", Failed("cut.avif")),
    ]
}

/// The checksum of PNG.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    !sum
}

/// The layer of a file, by the file's name, in its box.
fn layer(number: usize, kind: &str, file: &Path) -> String {
    let [width, height] = BOX;
    let (x, y) = (number % COLUMNS * width, number / COLUMNS * height);
    format!(
        "[[channel.layer]]\nname = {:?}\ntype = \"{kind}\"\nx = {x}\ny = {y}\n\
         width = {width}\nheight = {height}\nfit = \"fill\"\npath = {file:?}\n",
        file.file_name().unwrap()
    )
}

#[test]
fn bad_files_darken_their_own_layers_and_the_programme_goes_on() {
    let _turn = beside_others();
    let dir = Dir(TempDir::new().unwrap());
    let mut cases: Vec<_> = videos(&dir).into_iter().map(|case| ("video", case)).collect();
    cases.extend(images(&dir).into_iter().map(|case| ("image", case)));
    let mut text = String::new();
    for (number, (kind, (name, _))) in cases.iter().enumerate() {
        text += &layer(number, kind, &dir.path(name));
    }
    // The last one, of another part than the layer shows, has a decoder of its own.
    let heard = ["surround.mp4", "telephone.mkv", "studio.mkv", "uneven.mkv"];
    for (number, (name, end)) in heard.iter().zip(["", "", "", "end_ms = 900"]).enumerate() {
        let path = dir.path(name);
        let source = "[[channel.audio_source]]\ntype = \"video\"";
        writeln!(text, "{source}\nname = \"audio-{number}\"\npath = {path:?}\n{end}").unwrap();
    }
    let base = Config::new().channel("demo").layer("color", "color = \"#ffffff\"");
    let node = Node::start(&base.more(&text));
    let mut viewer = Watcher::of(&node.url("live/demo"));
    let listener = Listener::of(&node.url("live/demo"));
    let middle = |number: usize| {
        let [width, height] = BOX;
        (number % COLUMNS * width + width / 2, number / COLUMNS * height + height / 2)
    };
    for (number, (_, (name, wanted))) in cases.iter().enumerate() {
        match wanted {
            Shown => viewer.wait_until_at(&format!("{name} is seen"), middle(number), |seen| {
                is_near(seen, RED, 24)
            }),
            Failed(reason) => {
                let told = wait_until(SOON, &format!("{name} is told"), || {
                    let events = events_of(&node, "asset_failed");
                    events.into_iter().find(|event| event["layer"] == *name)
                });
                let text = told["reason"].as_str().unwrap();
                assert!(text.contains(reason) && text.contains(name), "{name}: {text}");
            }
        }
    }
    let told = wait_until(SOON, "a file without audio is told", || {
        let events = events_of(&node, "asset_failed");
        events.into_iter().find(|event| event["layer"] == "audio-3")
    });
    assert!(told["reason"].as_str().unwrap().contains("no picture or audio"), "{told}");
    wait_until(SOON, "the others are heard", || listener.peak().filter(|peak| *peak > 0.05));
    let shown = cases.iter().filter(|(_, (_, wanted))| matches!(wanted, Shown));
    let shown: Vec<_> = shown.map(|(_, (name, _))| *name).collect();
    let failed = events_of(&node, "asset_failed");
    let layer = |event: &serde_json::Value| event["layer"].as_str().unwrap().to_owned();
    let wrong: Vec<_> = failed.iter().map(layer).filter(|it| shown.contains(&&**it)).collect();
    assert!(wrong.is_empty(), "they are shown, and told as failed: {wrong:?}");
    assert!(memory(&node) < MEMORY_MAX, "{} MiB", memory(&node));
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}
