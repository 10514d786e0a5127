//! The load tools by each protocol: a stream is published, and played by viewers that measure it.

use std::process::Command;
use std::thread;

use serde_json::Value;

use crate::config::Config;
use crate::nginx::Nginx;
use crate::node::{BINARY, Node, run_to_end};
use crate::program::Program;
use crate::tls::Certificate;
use crate::wait::{SOON, beside_others, free_port, wait_until};

/// A publisher of the load tools, small and for a minute at most.
fn publishes(url: &str, more: &[&str]) -> Program {
    let mut command = Command::new(BINARY);
    command.args(["load", "publish", "--url", url, "--seconds", "60", "--bitrate", "300000"]);
    command.args(more);
    Program::spawn("load", command)
}

/// What five viewers of the load tools report.
fn played(url: &str, more: &[&str]) -> Value {
    let arguments = ["load", "play", "--url", url, "--count", "5", "--seconds", "2", "--json"];
    let ended = run_to_end(&[&arguments[..], more].concat());
    assert!(ended.status.success(), "{url}: {}", ended.err);
    serde_json::from_slice(&ended.out).unwrap()
}

/// All viewers get everything that is published at 30 pictures a second, and know when it was.
fn assert_served(url: &str, report: &Value) {
    let number = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("{name}: {report}"));
    assert!((number("at_full_rate") - 5.0).abs() < 0.5, "{url}: {report}");
    assert!(number("ended_early") < 0.5, "{url}: {report}");
    assert!((25.0..36.0).contains(&number("pictures_per_s_least")), "{url}: {report}");
    assert!(report["latency_us"]["samples"].as_f64().unwrap() > 5.0 * 2.0 * 60.0, "{report}");
    assert!(report["latency_us"]["p50"].as_f64().unwrap() < 1e6, "{url}: {report}");
    assert!(number("load_cpu_per_mbit_us") > 0.0, "{url}: {report}");
}

#[test]
fn a_stream_is_measured_by_every_protocol_that_it_is_served_in() {
    let _turn = beside_others();
    let certificate = Certificate::new();
    let port = free_port();
    let config = Config::new().publish_open().more(&certificate.table(port, ""));
    let node = Node::start(&config);
    let plain = node.rtmp_port();
    let ca_file = certificate.file().display().to_string();
    let _plain = publishes(&node.url("live/plain"), &[]);
    let secure = format!("rtmps://127.0.0.1:{port}/live/secure");
    let _secure = publishes(&secure, &["--ca-file", &ca_file]);
    node.wait_for_streams(2);
    let at =
        |scheme: &str, port: u16, name: &str| format!("{scheme}://127.0.0.1:{port}/live/{name}");
    let (trusting, careless) = (vec!["--ca-file", &ca_file], vec!["--insecure"]);
    let players = [
        (at("rtmp", plain, "plain"), vec![]),
        (at("rtmp", plain, "secure"), vec![]),
        (at("http", plain, "secure.flv"), vec![]),
        (at("ws", plain, "secure.flv"), vec![]),
        (at("rtmps", port, "plain"), trusting.clone()),
        (at("https", port, "plain.flv"), trusting),
        (at("wss", port, "plain.flv"), careless),
    ];
    thread::scope(|scope| {
        for (url, more) in &players {
            scope.spawn(move || assert_served(url, &played(url, more)));
        }
    });
    let url = at("wss", port, "plain.flv");
    for tool in [&["join", "--count", "3"][..], &["connect", "--parallel", "2", "--seconds", "1"]] {
        for url in [&url, &secure] {
            let ended = run_to_end(&[&["load"], tool, &["--url", url, "--insecure"]].concat());
            assert!(ended.status.success(), "{tool:?} {url}: {}", ended.err);
        }
    }
}

#[test]
fn viewers_that_are_refused_say_why() {
    let _turn = beside_others();
    let certificate = Certificate::new();
    let port = free_port();
    let node = Node::start(&Config::new().more(&certificate.table(port, "")));
    let told = |command: &str, url: &str| {
        let ended = run_to_end(&["load", command, "--url", url]);
        assert!(!ended.status.success(), "{url}");
        ended.err
    };
    let none = format!("http://127.0.0.1:{}/live/none.flv", node.rtmp_port());
    let why = told("play", &none);
    assert!(why.contains("404"), "{why}");
    let strange = told("play", &format!("wss://127.0.0.1:{port}/live/none.flv"));
    assert!(strange.contains("not trusted here"), "{strange}");
    let over_http = told("publish", &none);
    assert!(over_http.contains("publish by rtmp://"), "{over_http}");
}

#[test]
fn another_make_of_server_is_measured_in_the_same_way() {
    let _turn = beside_others();
    let nginx = Nginx::start(free_port());
    let url = nginx.url("load");
    let _publisher = publishes(&url, &[]);
    wait_until(SOON, "nginx has the stream", || nginx.log().contains("publish").then_some(()));
    assert_served(&url, &played(&url, &[]));
}
