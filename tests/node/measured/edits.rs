//! Live edits: five hundred a second of texts, places and opacities, while the programme goes on.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::{ask, done};
use crate::config::Config;
use crate::machine::memory;
use crate::node::Node;
use crate::wait::{SOON, alone, wait_until};
use crate::watcher::{Watcher, is_near};

const RATE: u32 = 500;

/// Who edits at the same time: each waits for its answers.
const EDITORS: u32 = 100;

/// How long they do, unless `EDITS_SECONDS` says otherwise.
const SECONDS: u32 = 20;

/// Memory that a node may take more than after the first seconds, MiB.
const MORE_MIB: u64 = 24;

const RED: [u8; 3] = [63, 102, 240];

fn config() -> Config {
    let layers = "[[channel.scene]]\nname = \"studio\"\nbackground = \"#000000\"\n\
         [[channel.scene.layer]]\nname = \"card\"\ntype = \"test-card\"\n\
         [[channel.scene.layer]]\nname = \"sign\"\ntype = \"color\"\ncolor = \"#00ff00\"\n\
         x = 10\ny = 10\nwidth = 40\nheight = 40\n\
         [[channel.scene.layer]]\nname = \"title\"\ntype = \"text\"\ntext = \"0\"\n\
         x = 60\ny = 10\nwidth = 200\nheight = 40\n";
    Config::new().channel("demo").more("[channel.audio]\nenabled = false\n").more(layers)
}

/// The edit of this number.
fn edit(node: &Node, n: u32) -> u16 {
    let (layer, keys) = match n % 3 {
        0 => ("title", json!({ "text": n.to_string() })),
        1 => ("sign", json!({ "x": 10 + n % 20 })),
        _ => ("sign", json!({ "alpha": f64::from(n % 10) / 10.0 })),
    };
    ask(node, &format!("PATCH /channels/demo/scenes/studio/layers/{layer}"), &keys).0
}

/// Makes the edits of so many seconds, at the rate or as fast as they are answered.
fn edit_for(node: &Node, seconds: u32) {
    let (next, began, made) = (AtomicU32::new(0), Instant::now(), seconds * RATE);
    thread::scope(|scope| {
        for _ in 0..EDITORS {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= made {
                        return;
                    }
                    let due = began + Duration::from_secs(1) * n / RATE;
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    assert_eq!(edit(node, n), 200, "edit {n}");
                }
            });
        }
    });
    let rate = f64::from(made) / began.elapsed().as_secs_f64();
    println!("{made} edits, {rate:.0} a second");
}

/// Ticks that were not drawn or not taken.
fn skipped(node: &Node) -> Value {
    done(node, "GET /channels/demo/composition", &Value::Null)["skipped"].clone()
}

#[test]
fn five_hundred_edits_a_second_drop_no_picture_and_take_no_memory() {
    let _turn = alone();
    let seconds = std::env::var("EDITS_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let node = Node::start(&config());
    let mut viewer = Watcher::of(&node.url("live/demo"));
    edit_for(&node, 5);
    let (before, memory_before) = (skipped(&node), memory(&node));
    edit_for(&node, seconds);
    assert_eq!(skipped(&node), before, "no tick was skipped");
    let more = memory(&node).saturating_sub(memory_before);
    let composition = done(&node, "GET /channels/demo/composition", &Value::Null);
    println!("{more} MiB more, {composition}");
    assert!(more <= MORE_MIB, "{more} MiB more");
    let red = json!({ "color": "#ff0000", "alpha": 1.0, "x": 10 });
    done(&node, "PATCH /channels/demo/scenes/studio/layers/sign", &red);
    viewer.wait_until_at("the last is seen", (30, 30), |seen| is_near(seen, RED, 12));
    wait_until(SOON, "the last is kept", || {
        std::fs::read_to_string(node.file("data/state.toml"))
            .ok()?
            .contains("#ff0000")
            .then_some(())
    });
}
