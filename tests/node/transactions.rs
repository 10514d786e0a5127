//! Transactions: several edits of a channel that a viewer sees from one frame on.

use serde_json::{Value, json};

use crate::api::{ask, done, events_of};
use crate::config::{Config, FPS};
use crate::node::Node;
use crate::recording::{Picture, Recording};
use crate::wait::{SOON, beside_others, wait_until};
use crate::watcher::is_near;

/// Colours in BT.709 of limited range.
const BLACK: [u8; 3] = [16, 128, 128];
const WHITE: [u8; 3] = [235, 128, 128];
const RED: [u8; 3] = [63, 102, 240];

/// A pixel that the overlay covers, and one that it does not.
const INSIDE: (usize, usize) = (30, 30);
const MIDDLE: (usize, usize) = (160, 90);

/// Frames from one transaction to the next.
const APART: u64 = 60;

fn config() -> Config {
    let scene = |name: &str, color: &str| {
        format!("[[channel.scene]]\nname = \"{name}\"\nbackground = \"{color}\"\n")
    };
    let sign = "[[channel.overlay]]\nname = \"sign\"\ntype = \"color\"\ncolor = \"#ff0000\"\n\
                x = 10\ny = 10\nwidth = 40\nheight = 40\nvisible = false\n";
    let more = scene("black", "#000000") + &scene("white", "#ffffff") + sign;
    Config::new().channel("demo").more("[channel.audio]\nenabled = false\n").more(&more)
}

const TRANSACTION: &str = "POST /channels/demo/transaction";

#[test]
fn a_transaction_shows_all_of_it_at_the_frame_that_it_names() {
    let _turn = beside_others();
    let node = Node::start(&config());
    let file = node.file("seen.flv");
    let viewer = Recording::begin(&node.url("live/demo"), 10, &file);
    wait_until(SOON, "somebody watches", || {
        let viewers = done(&node, "GET /streams/live/demo", &Value::Null)["viewers"].as_u64();
        (viewers == Some(1)).then_some(())
    });
    let show = |at: &Value, scene: &str, is_visible: bool| {
        let body = json!({
            "at": at, "active": scene, "overlay_layers": { "sign": { "visible": is_visible } },
        });
        done(&node, TRANSACTION, &body)["frame"].as_u64().unwrap()
    };
    let first = show(&json!("now"), "white", true);
    let second = show(&json!({ "frame": first + APART }), "black", false);
    let third = show(&json!({ "frame": first + 2 * APART }), "white", true);
    assert_eq!((second, third), (first + APART, first + 2 * APART));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let soon = u64::try_from(now.as_millis()).unwrap() + 400;
    let fourth = show(&json!({ "unix_ms": soon }), "black", false);
    assert!(fourth > third + 4, "{fourth} {third}");
    assert_eq!(events_of(&node, "transaction_done").len(), 4);

    viewer.succeeds(SOON);
    let pictures = Recording::at(file).pictures();
    let is = |picture: &Picture, (x, y), colour| is_near(picture.at(x, y), colour, 24);
    let is_white = |picture: &Picture| {
        let (white, black) = (is(picture, MIDDLE, WHITE), is(picture, MIDDLE, BLACK));
        let overlay = is(picture, INSIDE, RED);
        assert!(white != black && white == overlay, "{} s: not all of it", picture.pts);
        white
    };
    let shown: Vec<_> = pictures.iter().map(|picture| (picture.pts, is_white(picture))).collect();
    let changes = shown.windows(2).filter(|pair| pair[0].1 != pair[1].1).map(|pair| pair[1].0);
    let changes: Vec<_> = changes.collect();
    assert_eq!(changes.len(), 4, "{changes:?}");
    for pair in changes[..3].windows(2) {
        let frames = (pair[1] - pair[0]) * f64::from(FPS);
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let apart = APART as f64;
        assert!((frames - apart).abs() < 0.5, "{frames} frames");
    }
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}

#[test]
fn a_transaction_that_cannot_be_is_refused_with_the_places_and_changes_nothing() {
    let _turn = beside_others();
    let config = config();
    let node = Node::start(&config);
    let wrong = json!({
        "active": "white",
        "scenes": { "black": { "layer": [{ "name": "photo", "type": "image", "path": "" }] } },
    });
    let (status, problem) = ask(&node, TRANSACTION, &wrong);
    let told = problem.to_string();
    assert_eq!(status, 400, "{told}");
    assert!(told.contains("scenes.black.layer[0].path"), "{told}");
    let old = json!({ "versions": { "overlays": 5 }, "active": "white" });
    assert_eq!(ask(&node, TRANSACTION, &old).0, 409);
    let far = json!({ "at": { "frame": 1_000_000 }, "active": "white" });
    let (status, problem) = ask(&node, TRANSACTION, &far);
    assert!(status == 400 && problem.to_string().contains("frames ahead"), "{problem}");
    let scenes = done(&node, "GET /channels/demo/scenes", &Value::Null);
    assert_eq!(scenes["active"], "black");

    let good = json!({
        "versions": { "scenes": { "black": 1, "white": 1 }, "overlays": 1 },
        "scenes": { "black": null, "third": { "background": "#808080" } },
        "active": "third",
    });
    assert!(done(&node, TRANSACTION, &good)["frame"].is_u64());
    let unseen = json!({ "scenes": { "white": { "background": "#fefefe" } } });
    assert!(done(&node, TRANSACTION, &unseen)["frame"].is_null());
    let node = node.killed_and_started(&config);
    let scenes = done(&node, "GET /channels/demo/scenes", &Value::Null);
    assert_eq!(scenes, json!({ "active": "third", "scenes": ["white", "third"] }));
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}
