//! A publisher inside the programme.

use crate::config::Config;
use crate::modern::{PAIRS, publish_picture};
use crate::node::{Node, STUDIO};
use crate::pairs::ffmpeg_publishes_picture;
use crate::wait::{SOON, beside_others, wait_until};
use crate::watcher::{Listener, Watcher};

/// `red` of ffmpeg, in BT.709 of limited range; ffmpeg publishes small pictures in BT.601, whose
/// red is not far from it.
const RED: [u8; 3] = [72, 96, 240];

#[test]
fn a_publisher_appears_in_the_programme_and_leaves_it() {
    let _turn = beside_others();
    let live = format!("stream = \"{STUDIO}\"\nslate = \"\"");
    let config = Config::new().channel("demo").layer("live", &live);
    let config = config.audio("live", &format!("stream = \"{STUDIO}\""));
    let node = Node::start(&config);
    let mut picture = Watcher::of(&node.url("live/demo"));
    let audio = Listener::of(&node.url("live/demo"));
    let slate = wait_until(SOON, "there is a picture", || picture.last()).middle();
    wait_until(SOON, "there is silence", || audio.peak().filter(|&peak| peak < 0.01));

    for _ in 0..2 {
        let publisher = ffmpeg_publishes_picture("color=red:s=320x180:r=30", &node.publish_url());
        picture.wait_for("the publisher is seen", RED);
        wait_until(SOON, "the publisher is heard", || audio.peak().filter(|&peak| peak > 0.1));

        drop(publisher);
        picture.wait_for("the slate is back", slate);
        wait_until(SOON, "it is silent again", || audio.peak().filter(|&peak| peak < 0.01));
    }
}

#[test]
fn publishers_of_newer_codecs_appear_in_the_programme() {
    let _turn = beside_others();
    let live = format!("stream = \"{STUDIO}\"\nslate = \"\"");
    for (codecs, names) in PAIRS {
        let config = Config::new().channel("demo").layer("live", &live);
        let node = Node::start(&config.audio("live", &format!("stream = \"{STUDIO}\"")));
        let mut picture = Watcher::of(&node.url("live/demo"));
        let audio = Listener::of(&node.url("live/demo"));
        wait_until(SOON, "there is silence", || audio.peak().filter(|&peak| peak < 0.01));
        let _publisher = publish_picture("color=red:s=320x180:r=30", &node.publish_url(), codecs);
        picture.wait_for(&format!("{names:?} is seen"), RED);
        wait_until(SOON, &format!("{names:?} is heard"), || {
            audio.peak().filter(|&peak| peak > 0.05)
        });
    }
}

#[test]
fn viewers_of_the_published_stream_play_it_under_its_public_name() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let _publisher = ffmpeg_publishes_picture("color=red:s=320x180:r=30", &node.publish_url());
    node.wait_for_streams(1);
    Watcher::of(&node.url(STUDIO)).wait_for("the publisher is seen", RED);
}
