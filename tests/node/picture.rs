//! Picture of a programme: what was asked for is what is seen.

use crate::config::{Config, HEIGHT, WIDTH, demo};
use crate::node::Node;
use crate::recording::Recording;
use crate::wait::beside_others;
use crate::watcher::is_near;

/// Red, green and blue of a few colours.
const COLOURS: [[u8; 3]; 4] = [[192, 32, 32], [32, 192, 32], [32, 32, 192], [255, 255, 255]];

/// A colour in BT.709 of limited range.
fn bt709(rgb: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = rgb.map(|part| f64::from(part) / 255.0);
    let y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let parts =
        [16.0 + 219.0 * y, 128.0 + 224.0 * (b - y) / 1.8556, 128.0 + 224.0 * (r - y) / 1.5748];
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "16 to 240")]
    parts.map(|part| part.round() as u8)
}

#[test]
fn colours_survive_composing_encoding_and_playing() {
    let _turn = beside_others();
    let (width, height) = (WIDTH / 2, HEIGHT / 2 / 2 * 2);
    let mut config = Config::new().channel("demo").layer("color", "color = \"#000000\"");
    for (number, [r, g, b]) in COLOURS.into_iter().enumerate() {
        let place = [number % 2 * width, number / 2 * height, width, height];
        config = config.layer_at("color", place, &format!("color = \"#{r:02x}{g:02x}{b:02x}\""));
    }
    let node = Node::start(&config);
    let recording = Recording::of(&node.url("live/demo"), 1, node.file("colours.flv"));
    let pictures = recording.pictures();
    let picture = pictures.last().expect("a picture");
    for (number, colour) in COLOURS.into_iter().enumerate() {
        let (left, top) = (number % 2 * width, number / 2 * height);
        for (x, y) in [(width / 2, height / 2), (8, 8), (width - 9, height - 9)] {
            let seen = picture.at(left + x, top + y);
            assert!(is_near(seen, bt709(colour), 5), "{colour:?} is {seen:?} at {x}, {y}");
        }
    }
}

#[test]
fn the_stream_says_what_it_is() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let recording = Recording::of(&node.url("live/demo"), 1, node.file("about.flv"));
    let (video, audio) = (recording.about("v"), recording.about("a"));
    for line in [
        "codec_name=h264",
        &format!("width={WIDTH}"),
        &format!("height={HEIGHT}"),
        "pix_fmt=yuv420p",
        "color_range=tv",
        "color_space=bt709",
        "color_transfer=bt709",
        "color_primaries=bt709",
    ] {
        assert!(video.lines().any(|found| found == line), "no {line} in\n{video}");
    }
    for line in ["codec_name=aac", "profile=LC", "sample_rate=48000", "channels=2"] {
        assert!(audio.lines().any(|found| found == line), "no {line} in\n{audio}");
    }
}
