//! An encoder that is far too slow for its pictures, and a channel that keeps its frame rate:
//! viewers see smaller pictures, and all of them again when there is time.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{ask, done, events_of};
use crate::config::{Config, HEIGHT, WIDTH};
use crate::node::Node;
use crate::wait::{alone, wait_until};
use crate::wire::{Message, Wire};

/// Time for every step of the governor: it looks once a second and waits for up to 32.
const STEPS: Duration = Duration::from_secs(90);

/// Time of the stream in which the pictures have become smaller.
const LATEST_MS: u32 = 60_000;

/// Width and height in a sequence header of H.264, by an SPS reader of the test's own.
fn size_of(header: &Message) -> (u32, u32) {
    // FLV's five bytes, six of the record, two of the first length.
    let sps = &header.body[13..];
    let mut bits = Bits { bytes: &sps[4..], at: 0 };
    bits.golomb();
    if [100, 110, 122].contains(&sps[1]) {
        assert_eq!([bits.golomb(), bits.golomb(), bits.golomb()], [1, 0, 0], "4:2:0 of 8 bits");
        assert_eq!([bits.take(1), bits.take(1)], [0, 0], "no matrices");
    }
    bits.golomb();
    match bits.golomb() {
        0 => drop(bits.golomb()),
        order => assert_eq!(order, 2),
    }
    bits.golomb();
    bits.take(1);
    let (columns, rows) = (bits.golomb() + 1, bits.golomb() + 1);
    bits.take(2);
    let mut crop = [0; 4];
    if bits.take(1) == 1 {
        crop = [(); 4].map(|()| bits.golomb());
    }
    (columns * 16 - 2 * (crop[0] + crop[1]), rows * 16 - 2 * (crop[2] + crop[3]))
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> u32 {
        (0..count).fold(0, |value, _| {
            let bit = self.bytes[self.at / 8] >> (7 - self.at % 8) & 1;
            self.at += 1;
            value << 1 | u32::from(bit)
        })
    }

    fn golomb(&mut self) -> u32 {
        let zeros = (0..).take_while(|_| self.take(1) == 0).count();
        (1 << zeros) - 1 + self.take(zeros)
    }
}

#[test]
fn where_the_frame_rate_is_kept_viewers_get_smaller_pictures_and_all_of_them_back() {
    let _turn = alone();
    let cpu = thread::available_parallelism().unwrap().get() - 1;
    let whole = [0, 0, 1_280, 720];
    let mut config = Config::new().channel("demo").layer_at("test-card", whole, "");
    // Large figures that change in every picture.
    for row in 0..5 {
        config = config.layer_at("clock", [0, row * 144, 1_280, 144], "size = 140\nz = 1");
    }
    let config = config.more(&format!("[cores]\nencode = [{cpu}]\n"));
    let mut text = config.text().to_owned();
    for (old, new) in [
        ("preset = \"ultrafast\"", "preset = \"veryslow\"\nfastest_preset = \"veryslow\""),
        ("speed = \"fixed\"", "keep = \"fps\""),
        (&format!("width = {WIDTH}\n"), "width = 1280\n"),
        (&format!("height = {HEIGHT}\n"), "height = 720\n"),
    ] {
        assert!(text.contains(old), "{old} in {text}");
        text = text.replacen(old, new, 1);
    }
    let node = Node::start(&Config::of(&config, text));
    let mut viewer = Wire::play(node.rtmp_port(), "demo");
    let header = viewer.find("a header", Message::is_video_header);
    assert_eq!(size_of(&header), (1_280, 720));
    // How far it goes depends on the machine.
    let header = viewer.find("a smaller one", |it| it.is_video_header() || it.time > LATEST_MS);
    assert!(header.is_video_header(), "the pictures stay as large as they are");
    assert_eq!(size_of(&header), (960, 540));
    assert!(viewer.find("a picture", Message::is_picture).is_key());
    assert!(
        events_of(&node, "encoder_overloaded")
            .iter()
            .any(|event| { event.to_string().contains("its pictures have 960x540") })
    );
    // Nothing is easier than black.
    let (status, told) =
        ask(&node, "PUT /channels/demo/scenes/black", &json!({ "background": "#000000" }));
    assert!((200..300).contains(&status), "{told}");
    done(&node, "POST /channels/demo/scenes/black/activate", &json!({}));
    while size_of(&viewer.find("a larger one", Message::is_video_header)) != (1_280, 720) {}
    assert!(viewer.find("a picture", Message::is_picture).is_key());
    wait_until(STEPS, "the whole size and the whole rate are back", || {
        let speed = done(&node, "GET /channels/demo", &Value::Null)["speed"].clone();
        (speed["height"] == 720 && speed["fps_divisor"] == 1).then_some(())
    });
}
