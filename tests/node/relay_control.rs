//! Pulls and pushes that come and go while the node runs.

use serde_json::{Value, json};

use crate::api::ask;
use crate::config::{Config, demo};
use crate::destination::Destination;
use crate::node::Node;
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
    assert_eq!(ask(&edge, "GET /pulls/in", &Value::Null).0, 404);
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
    let log = node.program().err();
    let line = log.lines().find(|line| line.contains("pull pull_0 failed")).expect(&log);
    assert!(line.contains("WARN") && line.contains(&host), "{line}");
    let shown = ask(&node, "GET /pulls", &Value::Null).1.to_string();
    assert!(!log.contains(SECRET) && !shown.contains(SECRET), "the key is shown");
}
