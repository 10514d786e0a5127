//! Traces: the way of each frame through the node's threads, as a file for Perfetto.

use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::{ask, done, events_of, token};
use crate::config::Config;
use crate::node::{Node, run_to_end};
use crate::wait::{SOON, beside_others, wait_until};
use crate::web::Answer;

/// The file at this path of the API.
pub(crate) fn file(node: &Node, method: &str, path: &str) -> Vec<u8> {
    let more = format!("Authorization: Bearer {}\nConnection: close\n", token(node));
    let mut answer = Answer::to(node.http_port(), method, &format!("/api/v1{path}"), &more);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("content-type"), Some("application/octet-stream"));
    let mut bytes = Vec::new();
    answer.body.read_to_end(&mut bytes).unwrap();
    bytes
}

/// What the program says of a trace.
fn summary(node: &Node, trace: &[u8]) -> String {
    let path = node.file("summarized.pftrace");
    std::fs::write(&path, trace).unwrap();
    let ended = run_to_end(&["trace", "summarize", path.to_str().unwrap()]);
    assert!(ended.status.success(), "{}", ended.err);
    String::from_utf8(ended.out).unwrap()
}

#[test]
fn a_trace_of_the_last_seconds_has_the_threads_and_the_frames_of_a_channel() {
    let _turn = beside_others();
    let node = Node::start(&Config::new().channel("demo"));
    let (status, wrong) = ask(&node, "POST /trace", &json!({ "seconds": 11 }));
    assert!(status == 400 && wrong["detail"].as_str().unwrap().contains("`seconds`"), "{wrong}");
    let trace = wait_until(SOON, "frames on their way", || {
        let trace = file(&node, "POST", "/trace");
        let has = |text: &str| trace.windows(text.len()).any(|part| part == text.as_bytes());
        let whole = ["channel demo", "compose", "video-demo", "shard-0", "append"];
        whole.into_iter().all(has).then_some(trace)
    });
    let text = summary(&node, &trace);
    assert!(text.contains("channel demo frame ") && text.contains("  encode "), "{text}");

    let cut = node.file("cut.pftrace");
    std::fs::write(&cut, &trace[..trace.len() - 1]).unwrap();
    let ended = run_to_end(&["trace", "summarize", cut.to_str().unwrap()]);
    assert!(!ended.status.success() && ended.err.contains("copy all"), "{}", ended.err);
}

#[test]
fn a_node_that_was_held_up_keeps_a_trace_and_tells_of_it() {
    let _turn = beside_others();
    let node = Node::start(&Config::new().channel("demo"));
    assert_eq!(done(&node, "GET /traces", &Value::Null), json!([]));
    // It has to be held up in the middle of something.
    let kept = wait_until(2 * SOON, "a trace", || {
        node.signal("STOP");
        let stopped = Instant::now();
        let is_long = || (stopped.elapsed() >= Duration::from_millis(400)).then_some(());
        wait_until(SOON, "time has passed", is_long);
        node.signal("CONT");
        events_of(&node, "trace_kept").pop()
    });
    assert_eq!(kept["level"], "info", "{kept}");
    let traces = done(&node, "GET /traces", &Value::Null);
    let name = traces[0]["name"].as_str().unwrap();
    assert!(kept["text"].as_str().unwrap().contains(name), "{kept} {traces}");
    let trace = file(&node, "GET", &format!("/traces/{name}"));
    assert_eq!(trace.len() as u64, traces[0]["bytes"].as_u64().unwrap());
    assert!(summary(&node, &trace).contains(" ms"));
    let (status, _) = ask(&node, "GET /traces/none.pftrace", &Value::Null);
    assert_eq!(status, 404);
}
