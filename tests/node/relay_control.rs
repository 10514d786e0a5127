//! Pulls and pushes that come and go while the node runs.

use serde_json::{Value, json};

use crate::api::ask;
use crate::config::{Config, demo};
use crate::destination::Destination;
use crate::node::{Node, run_to_end};
use crate::wait::{SOON, beside_others, free_port, wait_until};
use crate::wire::{Message, Wire};

const SECRET: &str = "s3cret-of-it";

/// Waits until a pull or a push is in this state, and gives it.
fn in_state(node: &Node, path: &str, state: &str) -> Value {
    wait_until(SOON, &format!("{path} is {state}"), || {
        let (code, shown) = ask(node, &format!("GET {path}"), &Value::Null);
        (code == 200 && shown["state"] == state).then_some(shown)
    })
}

fn done(node: &Node, request: &str) {
    assert_eq!(ask(node, request, &Value::Null).0, 204, "{request}");
}

#[test]
fn a_pull_is_added_stopped_started_and_removed_while_the_node_runs() {
    let _turn = beside_others();
    let (origin, edge) = (Node::start(&demo()), Node::start(&Config::new()));
    let url = origin.url("live/demo");
    let body = json!({"name": "in", "stream": "live/copy", "url": url, "mode": "on-demand"});
    assert_eq!(ask(&edge, "POST /pulls", &body).0, 201);
    assert_eq!(ask(&edge, "POST /pulls", &body).0, 409, "its name is taken");
    in_state(&edge, "/pulls/in", "idle");
    let mut viewer = Wire::play(edge.rtmp_port(), "copy");
    viewer.find("the stream that is pulled", Message::is_key);
    in_state(&edge, "/pulls/in", "live");
    done(&edge, "POST /pulls/in/stop");
    in_state(&edge, "/pulls/in", "stopped");
    while viewer.next().is_some() {}
    done(&edge, "POST /pulls/in/start");
    let mut viewer = Wire::play(edge.rtmp_port(), "copy");
    viewer.find("the stream again", Message::is_key);
    done(&edge, "DELETE /pulls/in");
    while viewer.next().is_some() {}
    wait_until(SOON, "the pull is forgotten", || {
        (ask(&edge, "GET /pulls/in", &Value::Null).0 == 404).then_some(())
    });
    assert_eq!(ask(&edge, "POST /pulls/in/start", &Value::Null).0, 404);
    assert_eq!(ask(&edge, "POST /pulls", &body).0, 201, "its name is free");
}

#[test]
fn a_push_is_added_stopped_started_and_removed_while_the_node_runs() {
    let _turn = beside_others();
    let (node, destination) = (Node::start(&demo()), Destination::start());
    let body = json!({"name": "up", "stream": "live/demo", "url": destination.url()});
    assert_eq!(ask(&node, "POST /pushes", &body).0, 201);
    in_state(&node, "/pushes/up", "live");
    done(&node, "POST /pushes/up/stop");
    in_state(&node, "/pushes/up", "stopped");
    done(&node, "POST /pushes/up/start");
    in_state(&node, "/pushes/up", "live");
    done(&node, "DELETE /pushes/up");
    assert_eq!(ask(&node, "DELETE /pushes/up", &Value::Null).0, 404);
    assert!(destination.messages().iter().any(Message::is_key));
}

#[test]
fn what_fails_is_warned_of_with_its_host_and_shown_until_it_is_over() {
    let _turn = beside_others();
    let port = free_port();
    let url = format!("rtmp://127.0.0.1:{port}/live/{SECRET}");
    let config = Config::new().pull("live/copy", &url, "mode = \"always\"");
    let off = demo().push("live/demo", &url, "enabled = false");
    let (node, other) = (Node::start(&config), Node::start(&off));
    in_state(&other, "/pushes/push_0", "stopped");
    let host = format!("127.0.0.1:{port}");
    let error = wait_until(SOON, "the failure is shown", || {
        let (_, shown) = ask(&node, "GET /pulls/pull_0", &Value::Null);
        shown["error"].as_str().map(str::to_owned)
    });
    assert!(error.contains(&host), "{error}");
    let log = node.program().says("pull pull_0 failed");
    let line = log.lines().find(|line| line.contains("pull pull_0 failed")).expect(&log);
    assert!(line.contains("WARN") && line.contains(&host), "{line}");
    let shown = ask(&node, "GET /pulls", &Value::Null).1.to_string();
    assert!(!log.contains(SECRET) && !shown.contains(SECRET), "the key is shown");
}

#[test]
fn an_error_stays_until_it_is_live_again_and_its_state_has_one_word_everywhere() {
    let _turn = beside_others();
    let later = Config::new().publish_open();
    let url = format!("rtmp://127.0.0.1:{}/live/{SECRET}", later.rtmp);
    let node = Node::start(&demo().output("cdn", &url).push("live/demo", &url, "enabled = false"));
    let output = || {
        let (_, outputs) = ask(&node, "GET /outputs", &Value::Null);
        outputs[0].clone()
    };
    let has_metric = |state: &str| {
        let labels = ["output=\"cdn\"".to_owned(), format!("state=\"{state}\"")];
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        node.metric("output_state", &labels) > 0.5
    };
    let failed = wait_until(SOON, "the output has failed", || {
        let shown = output();
        let is_told = shown["state"] == "failed" && shown["error"].is_string();
        (is_told && has_metric("failed")).then_some(shown)
    });
    let error = failed["error"].as_str().unwrap().to_owned();
    assert!(error.contains(&format!("127.0.0.1:{}", later.rtmp)), "{error}");
    node.program().says("output cdn of channel demo failed and tries again");
    let (_, push) = ask(&node, "GET /pushes/push_0", &Value::Null);
    assert_eq!(push["error"], Value::Null, "the error is another one's");

    done(&node, "POST /channels/demo/outputs/cdn/stop");
    let stopped = wait_until(SOON, "the output has stopped", || {
        let shown = output();
        (shown["state"] == "stopped").then_some(shown)
    });
    assert!(stopped["error"].is_string(), "it is forgotten before it is over: {stopped}");

    let _destination = Node::start(&later);
    done(&node, "POST /channels/demo/outputs/cdn/start");
    wait_until(SOON, "the output is live", || {
        let shown = output();
        let is_over = shown["state"] == "live" && shown["error"].is_null();
        (is_over && has_metric("live")).then_some(())
    });
    let (_, events) = ask(&node, "GET /events", &Value::Null);
    let event = |kind: &str| {
        let mut all = events.as_array().unwrap().iter();
        all.find(|event| event["kind"] == kind).cloned().expect(kind)
    };
    for kind in ["output_failed", "output_connected"] {
        let event = event(kind);
        assert_eq!((&event["channel"], &event["output"]), (&json!("demo"), &json!("cdn")));
    }
}

/// The keys that a table knows, as the message about an unknown one lists them.
fn known_keys(detail: &str) -> Vec<&str> {
    let (_, list) = detail.split_once("it knows ").expect(detail);
    list.split(", ").map(|key| key.trim_matches('`')).collect()
}

#[test]
fn the_api_takes_what_the_file_takes_and_says_the_same_about_mistakes() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let document = ask(&node, "GET /openapi.json", &Value::Null).1;
    let url = "rtmp://127.0.0.1:1/live/x";
    let channel = "[[channel]]\nname = \"c\"\n";
    for (path, schema, table, rest, wrong) in [
        (
            "/channels/demo/outputs",
            "NewOutput",
            format!("{channel}[[channel.output]]\n"),
            json!({"name": "a", "url": url}),
            json!({"stall_timeout": 99}),
        ),
        (
            "/pushes",
            "NewPush",
            "[[push]]\n".to_owned(),
            json!({"name": "a", "url": url, "stream": "live/a"}),
            json!({"lag_high_ms": 1}),
        ),
        (
            "/pulls",
            "NewPull",
            "[[pull]]\n".to_owned(),
            json!({"name": "a", "url": url, "stream": "live/a"}),
            json!({"mode": "on demand"}),
        ),
        (
            "/recordings",
            "NewRecording",
            "[[record]]\n".to_owned(),
            json!({"name": "a", "dir": "x", "stream": "live/a"}),
            json!({"format": "mkv"}),
        ),
    ] {
        let mut unknown = rest.clone();
        unknown["this_key_there_is_not_anywhere"] = json!(1);
        let (code, problem) = ask(&node, &format!("POST {path}"), &unknown);
        assert_eq!(code, 400, "{problem}");
        let described = document["components"]["schemas"][schema]["properties"].as_object();
        let mut described: Vec<_> = described.unwrap().keys().map(String::as_str).collect();
        described.sort_unstable();
        assert_eq!(known_keys(problem["detail"].as_str().unwrap()), described, "{path}");

        let mut bad = rest.clone();
        for (key, value) in wrong.as_object().unwrap() {
            bad[key] = value.clone();
        }
        let (code, problem) = ask(&node, &format!("POST {path}"), &bad);
        assert_eq!(code, 400, "{problem}");
        let keys = bad.as_object().unwrap();
        let lines: String = keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let file = node.file("wrong.toml");
        std::fs::write(&file, format!("{table}{lines}")).unwrap();
        let checked = run_to_end(&["config", "check", file.to_str().unwrap()]);
        let detail = problem["detail"].as_str().unwrap();
        assert!(checked.err.trim_end().ends_with(detail), "{detail}\n{}", checked.err);
    }
    let all = json!({
        "name": "slow", "url": url, "lag_high_ms": 900, "lag_low_ms": 100, "stall_timeout": 3,
        "enabled": false,
    });
    assert_eq!(ask(&node, "POST /channels/demo/outputs", &all).0, 201);
    let export = ask(&node, "GET /config/export", &Value::Null).1.to_string();
    for line in ["lag_high_ms = 900", "lag_low_ms = 100", "stall_timeout = 3", "enabled = false"] {
        assert!(export.contains(line), "{line}: {export}");
    }
}
