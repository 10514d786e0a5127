//! Terminal output, as a person sees it who starts the node by hand.

use crate::config::demo;
use crate::node::{Node, run_to_end};
use crate::wait::{SOON, beside_others, wait_until};
use crate::wire::{Message, Wire};

#[test]
fn the_start_shows_where_everything_is() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let key = node.key();
    let out = node.program().out_text();
    let server = format!("rtmp://127.0.0.1:{}/live", node.rtmp_port());
    for part in [
        format!("{server}/demo\n"),
        format!("{server} "),
        format!("studio?key={key}\n"),
        "ffmpeg -re".to_owned(),
        "/metrics\n".to_owned(),
    ] {
        assert!(out.contains(&part), "no {part:?} in:\n{out}");
    }
    assert!(!out.contains('\x1b') && !out.contains('\r'), "a pipe is not a terminal: {out:?}");
    wait_until(SOON, "a line tells how the node does", || {
        node.program().out_text().lines().any(|line| line.starts_with("demo ")).then_some(())
    });
}

#[test]
fn health_readiness_and_figures_are_served() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    assert_eq!(node.http("/healthz").0, 200);
    assert_eq!(node.http("/readyz").0, 200);
    assert_eq!(node.http("/nothing").0, 404);
    wait_until(SOON, "frames are counted", || {
        (node.metric("encoder_frames_total", &["channel=\"demo\""]) >= 10.0).then_some(())
    });
    let mut viewer = Wire::play(node.rtmp_port(), "demo");
    viewer.find("a picture", Message::is_picture);
    let viewers = |count: f64| (node.metric("rtmp_viewers", &[]) - count).abs() < 0.5;
    wait_until(SOON, "the viewer is counted", || viewers(1.0).then_some(()));
    assert!(node.metric("rtmp_play_attempts_total", &["status=\"ok\""]) >= 1.0);
    assert!(node.metric("rtmp_bandwidth_bytes", &["out"]) >= 1000.0);
    drop(viewer);
    wait_until(SOON, "the viewer is gone", || viewers(0.0).then_some(()));
}

#[test]
fn the_default_configuration_passes_its_own_check() {
    let printed = run_to_end(&["config", "print-default"]);
    assert_eq!(printed.status.code(), Some(0), "{}", printed.err);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("default.toml");
    std::fs::write(&file, &printed.out).unwrap();
    let checked = run_to_end(&["config", "check", file.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{}", checked.err);
}

#[test]
fn without_a_configuration_the_demo_goes_on_the_air() {
    let _turn = beside_others();
    let node = Node::start_by_default();
    wait_until(SOON, "frames are counted", || {
        (node.metric("encoder_frames_total", &["channel=\"demo\""]) >= 10.0).then_some(())
    });
}
