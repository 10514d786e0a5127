//! Input rules: another scene is shown while the input of one is faulty.

use serde_json::Value;

use crate::api::{ask, done, events_of};
use crate::config::Config;
use crate::node::Node;
use crate::program::Program;
use crate::wait::{SOON, beside_others, wait_until};

/// Publishes a moving test picture, or one that stands still.
fn publish(node: &Node, moves: bool) -> Program {
    let url = node.url("live/cam");
    let picture = if moves { "testsrc=s=320x180:r=25" } else { "color=c=blue:s=320x180:r=25" };
    let last = ["-i", picture, "-f", "lavfi", "-i", "anullsrc=r=48000"];
    let coded = "-c:v libx264 -preset ultrafast -g 25 -bf 0 -c:a aac -f flv".split(' ');
    let last: Vec<_> = last.into_iter().chain(coded).chain([&*url]).collect();
    Program::start("ffmpeg", "-v error -re -f lavfi", &last)
}

/// What is wrong with the input, once the scene with this name is on the air.
fn fault_once_shown(node: &Node, scene: &str) -> Value {
    wait_until(SOON, &format!("{scene} is on the air"), || {
        let scenes = done(node, "GET /channels/show/scenes", &Value::Null);
        (scenes["active"] == scene).then_some(())
    });
    wait_until(SOON, "the rule says so", || {
        let rule = done(node, "GET /inputs", &Value::Null)[0].clone();
        let is_replaced = rule["replaced"] == "main";
        (is_replaced == (scene == "slate")).then(|| rule["fault"].clone())
    })
}

#[test]
fn another_scene_is_shown_while_an_input_is_lost_stalled_or_frozen() {
    let _turn = beside_others();
    let scenes = "[[channel.input_rule]]\nstream = \"live/cam\"\nscene = \"slate\"\n\
        after_ms = 500\nback_after_ms = 300\nfrozen_s = 3\n\
        [[channel.scene]]\nname = \"main\"\n\
        [[channel.scene.layer]]\nname = \"cam\"\ntype = \"live\"\nstream = \"live/cam\"\n\
        [[channel.scene]]\nname = \"slate\"\nbackground = \"#ff0000\"\n";
    let config = Config::new().publish_open().channel("show").more(scenes);
    let node = Node::start(&config);
    assert_eq!(fault_once_shown(&node, "slate"), "lost");
    let mut publisher = publish(&node, true);
    assert_eq!(fault_once_shown(&node, "main"), Value::Null);

    publisher.signal("STOP");
    assert_eq!(fault_once_shown(&node, "slate"), "stalled");
    publisher.signal("CONT");
    assert_eq!(fault_once_shown(&node, "main"), Value::Null);

    publisher.signal("KILL");
    assert_eq!(fault_once_shown(&node, "slate"), "lost");
    publisher = publish(&node, false);
    assert_eq!(fault_once_shown(&node, "main"), Value::Null, "it is there again");
    assert_eq!(fault_once_shown(&node, "slate"), "frozen");
    publisher.signal("KILL");
    drop(publisher);
    let _publisher = publish(&node, true);
    assert_eq!(fault_once_shown(&node, "main"), Value::Null);

    let codes: Vec<_> =
        events_of(&node, "input_faulty").iter().map(|it| it["code"].clone()).collect();
    assert_eq!(codes, ["lost", "stalled", "lost", "frozen"]);
    assert_eq!(events_of(&node, "input_healthy").len(), 4, "two events for each fault");
    let text = events_of(&node, "input_faulty").pop().unwrap()["text"].as_str().unwrap().to_owned();
    assert!(text.contains("its publisher sends, the picture does not change"), "{text}");
    assert_eq!(events_of(&node, "input_rule_failed").len(), 0);

    // Another rule comes with a reload, and the channel goes on.
    let again = Config::of(&config, config.text().replace("frozen_s = 3", "frozen_s = 9"));
    again.write(node.file("").as_path());
    assert_eq!(ask(&node, "POST /reload", &Value::Null).0, 200);
    wait_until(SOON, "the new rule begins anew", || {
        (done(&node, "GET /inputs", &Value::Null)[0]["faults"] == 0).then_some(())
    });
    assert_eq!(events_of(&node, "channel_stopped").len(), 0);
}
