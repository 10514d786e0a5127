//! Transitions: what a viewer sees while one scene gives way to another.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::api::{ask, done, events_of};
use crate::config::Config;
use crate::node::Node;
use crate::recording::Picture;
use crate::wait::{SOON, beside_others};
use crate::watcher::{Watcher, is_near};

/// Colours in BT.709 of limited range.
const BLACK: [u8; 3] = [16, 128, 128];
const WHITE: [u8; 3] = [235, 128, 128];
const RED: [u8; 3] = [63, 102, 240];

/// Places at the left and at the right edge of the picture.
const LEFT: (usize, usize) = (20, 90);
const RIGHT: (usize, usize) = (300, 90);

/// Two scenes; `white` comes by this transition unless who asks says otherwise.
fn config(transition: &str) -> Config {
    let scene = |name: &str, color: &str, more: &str| {
        format!("[[channel.scene]]\nname = \"{name}\"\nbackground = \"{color}\"\n{more}\n")
    };
    let scenes = scene("black", "#000000", "") + &scene("white", "#ffffff", transition);
    Config::new().channel("demo").more("[channel.audio]\nenabled = false\n").more(&scenes)
}

fn wait_for(viewer: &mut Watcher, what: &str, left: [u8; 3], right: [u8; 3]) {
    let is = |picture: &Picture, (x, y), colour| is_near(picture.at(x, y), colour, 12);
    viewer.wait_until(what, |seen| is(seen, LEFT, left) && is(seen, RIGHT, right));
}

/// A video of four seconds: red on the left, transparent on the right.
fn make_stinger(path: &Path) {
    let picture = "color=red:s=320x180:r=25:d=4,format=rgba,\
                   geq=r=255:g=0:b=0:a='255*lt(X,160)'";
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", picture, "-c:v", "qtrle", "-pix_fmt", "argb"]);
    assert!(ffmpeg.arg(path).status().unwrap().success());
}

#[test]
fn a_viewer_sees_the_edge_of_a_wipe_and_a_stinger_over_both_scenes() {
    let _turn = beside_others();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("stinger.mov");
    make_stinger(&file);
    let own = format!(
        "transition = {{ type = \"stinger\", path = \"{}\", cut_ms = 2000 }}",
        file.display()
    );
    let node = Node::start(&config(&own));
    let mut viewer = Watcher::of(&node.url("live/demo"));
    wait_for(&mut viewer, "the first scene is there", BLACK, BLACK);

    done(&node, "POST /channels/demo/scenes/white/activate", &json!({}));
    wait_for(&mut viewer, "the stinger is over the old scene", RED, BLACK);
    wait_for(&mut viewer, "it is over the new one", RED, WHITE);
    wait_for(&mut viewer, "it has ended", WHITE, WHITE);

    let wipe = json!({ "transition": {
        "type": "wipe", "direction": "right", "duration_ms": 4_000, "easing": "ease-in-out",
    } });
    done(&node, "POST /channels/demo/scenes/black/activate", &wipe);
    wait_for(&mut viewer, "the edge is in the middle", BLACK, WHITE);
    wait_for(&mut viewer, "the wipe has ended", BLACK, BLACK);
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}

#[test]
fn a_transition_that_cannot_be_is_refused_where_it_is_asked_for_and_a_cut_where_it_is_usual() {
    let _turn = beside_others();
    let config = config("");
    let node = Node::start(&config);
    let mut viewer = Watcher::of(&node.url("live/demo"));
    wait_for(&mut viewer, "the first scene is there", BLACK, BLACK);
    for (transition, said) in [
        (json!({ "type": "stinger", "path": "gone.mov", "cut_ms": 9 }), "gone.mov"),
        (json!({ "type": "wipe", "shape": "luma", "path": "gone.png" }), "gone.png"),
        (json!({ "type": "wipe", "shape": "star" }), "transition.shape"),
        (json!({ "type": "fade", "duration_ms": 10_001 }), "transition.duration_ms"),
    ] {
        let body = json!({ "transition": transition });
        let (status, problem) = ask(&node, "POST /channels/demo/scenes/white/activate", &body);
        assert_eq!(status, 400, "{problem}");
        assert!(problem.to_string().contains(said), "{problem}");
    }
    assert!(events_of(&node, "scene_changed").is_empty());
    let usual = json!({ "type": "wipe", "shape": "luma", "path": "gone.png",
        "duration_ms": 9_000, "easing": "linear", "softness": 0.5 });
    done(&node, "PUT /channels/demo/transition", &usual);
    assert_eq!(events_of(&node, "transition_replaced").len(), 1);
    done(&node, "POST /channels/demo/scenes/white/activate", &json!({}));
    wait_for(&mut viewer, "the other scene is there", WHITE, WHITE);
    let node = node.killed_and_started(&config);
    assert_eq!(done(&node, "GET /channels/demo/transition", &Value::Null), usual);
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}
