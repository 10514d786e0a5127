//! Profile: what the threads of a node are doing, told by the node itself.

use std::io::Read as _;

use serde_json::{Value, json};

use crate::api::{ask, token};
use crate::config::Config;
use crate::node::Node;
use crate::wait::{SOON, beside_others, wait_until};
use crate::web::Answer;

fn text_of(answer: Answer) -> String {
    std::io::read_to_string(answer.body).unwrap()
}

#[test]
fn a_node_says_what_its_threads_are_doing_without_privileges() {
    let _turn = beside_others();
    let node = Node::start(&Config::new().channel("demo"));
    let (status, wrong) = ask(&node, "GET /profile?seconds=61", &Value::Null);
    assert!(status == 400 && wrong["detail"].as_str().unwrap().contains("`seconds`"), "{wrong}");

    let more = format!("Authorization: Bearer {}\nConnection: close\n", token(&node));
    let profile = || Answer::to(node.http_port(), "GET", "/api/v1/profile?seconds=2&hz=200", &more);
    let (taken, refused) = std::thread::scope(|scope| {
        let [first, other] = [(); 2].map(|()| scope.spawn(profile));
        let answers = [first.join().unwrap(), other.join().unwrap()];
        let is_taken = |answer: &Answer| answer.status == 200;
        let [first, other] = answers;
        if is_taken(&first) { (first, other) } else { (other, first) }
    });
    assert_eq!((taken.status, refused.status), (200, 429), "one at a time");
    let refused: Value = serde_json::from_str(&text_of(refused)).unwrap();
    assert_eq!(refused["code"], json!("too_many"), "{refused}");

    check(&text_of(taken));

    let mut pprof =
        Answer::to(node.http_port(), "GET", "/api/v1/profile?seconds=1&format=pprof", &more);
    let (status, kind) = (pprof.status, pprof.field("content-type").map(str::to_owned));
    let mut profile_of_go = Vec::new();
    pprof.body.read_to_end(&mut profile_of_go).unwrap();
    assert_eq!((status, kind.as_deref()), (200, Some("application/octet-stream")));
    let has = |text: &str| profile_of_go.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(has("nanoseconds") && has("thread"));

    // So small a programme takes little time: a profile may hold no sample of it.
    wait_until(SOON, "a thread of the encoder", || {
        let text = text_of(profile());
        check(&text);
        text.lines().any(|line| line.starts_with("video-demo;")).then_some(())
    });
}

/// That these are folded stacks.
fn check(text: &str) {
    for line in text.lines() {
        let (stack, count) = line.rsplit_once(' ').unwrap();
        assert!(stack.contains(';') && count.parse::<u64>().unwrap() > 0, "{line}");
    }
}
