//! Streams from and to other servers that belong to no channel.

use serde_json::Value;

use crate::api::ask;
use crate::config::{Config, demo};
use crate::destination::Destination;
use crate::keyring::key_picture;
use crate::nginx::Nginx;
use crate::node::{Node, STUDIO};
use crate::pairs::ffmpeg_publishes;
use crate::pushing::{assert_complete, assert_undisturbed};
use crate::recording::Recording;
use crate::redis::Redis;
use crate::takeover::header;
use crate::wait::{SOON, beside_others, free_port, wait_until};
use crate::wire::{Message, VIDEO, Wire};

fn pull(origin: &Node, more: &str) -> Config {
    Config::new().pull("live/copy", &origin.url("live/demo"), more)
}

fn viewers(node: &Node) -> f64 {
    node.metric("rtmp_viewers", &[])
}

#[test]
fn a_stream_that_is_pulled_always_is_played_from_here() {
    let _turn = beside_others();
    let origin = Node::start(&demo());
    let edge = Node::start(&pull(&origin, "mode = \"always\""));
    edge.wait_for_streams(1);
    let file = edge.file("copy.flv");
    Recording::of(&edge.url("live/copy"), 3, file).assert_audio_and_picture(1.0);
    assert!(viewers(&origin) >= 1.0);
}

#[test]
fn a_stream_that_is_pulled_on_demand_comes_with_its_first_player_and_goes_after_the_last() {
    let _turn = beside_others();
    let origin = Node::start(&demo());
    let edge = Node::start(&pull(&origin, "mode = \"on-demand\"\nlinger = 1"));
    for round in 1..=2 {
        assert!(viewers(&origin) < 0.5, "nobody plays, nobody pulls");
        let file = edge.file(&format!("copy-{round}.flv"));
        Recording::of(&edge.url("live/copy"), 2, file).assert_audio_and_picture(1.0);
        wait_until(SOON, "the origin is left", || (viewers(&origin) < 0.5).then_some(()));
        wait_until(SOON, "the pull is idle", || {
            (edge.metric("pull_state", &["state=\"idle\""]) > 0.5).then_some(())
        });
    }
    edge.program().says("nobody reads its stream");
}

#[test]
fn a_player_over_http_brings_a_pull_too() {
    let _turn = beside_others();
    let origin = Node::start(&demo());
    let edge = Node::start(&pull(&origin, "mode = \"on-demand\""));
    let url = format!("http://127.0.0.1:{}/live/copy.flv", edge.rtmp_port());
    Recording::of(&url, 2, edge.file("copy.flv")).assert_audio_and_picture(1.0);
}

#[test]
fn a_pull_comes_back_after_its_server_was_away_and_disturbs_nobody_meanwhile() {
    let _turn = beside_others();
    let port = free_port();
    let url = format!("rtmp://127.0.0.1:{port}/live/show");
    let edge = Node::start(&demo().pull("live/copy", &url, "mode = \"always\""));
    wait_until(SOON, "the server is missed", || {
        (edge.metric("pull_failures_total", &[]) >= 1.0).then_some(())
    });
    let mut viewer = Wire::play(edge.rtmp_port(), "demo");
    assert_undisturbed(&edge, &mut viewer, 60);
    let nginx = Nginx::start(port);
    let _publisher = ffmpeg_publishes(&nginx.url("show"));
    let mut copy = wait_until(SOON, "the stream is pulled", || {
        let live = edge.metric("pull_state", &["state=\"live\""]) > 0.5;
        live.then(|| Wire::play(edge.rtmp_port(), "copy"))
    });
    copy.find("a picture", Message::is_key);
}

#[test]
fn a_pull_waits_for_a_name_that_is_taken_and_gives_it_to_a_publisher() {
    let _turn = beside_others();
    let origin = free_port();
    let url = format!("rtmp://127.0.0.1:{origin}/live/show");
    // The server is not there yet, so that the publisher is the first.
    let edge = Node::start(&Config::new().pull(STUDIO, &url, "mode = \"always\""));
    let (mut publisher, stream) = Wire::stream(edge.rtmp_port());
    let name = format!("studio?key={}", edge.key());
    assert_eq!(publisher.publish(stream, &name)[0], "NetStream.Publish.Start");
    edge.program().says("somebody publishes under its local name");
    let nginx = Nginx::start(origin);
    let _source = ffmpeg_publishes(&nginx.url("show"));
    drop(publisher);
    wait_until(SOON, "the name is free and the stream is pulled", || {
        (edge.metric("pull_state", &["state=\"live\""]) > 0.5).then_some(())
    });
    let mut viewer = Wire::play(edge.rtmp_port(), "studio");
    viewer.find("the stream that is pulled", Message::is_key);
    let (mut late, stream) = Wire::stream(edge.rtmp_port());
    assert_eq!(late.publish(stream, &name)[0], "NetStream.Publish.Start");
    late.send(VIDEO, stream, 0, &header(7)).unwrap();
    late.send(VIDEO, stream, 0, &key_picture(7)).unwrap();
    let mine = viewer.find("who has taken its place", |message| {
        assert!(message.status().is_none(), "the viewer stays: {:?}", message.status());
        message.is_key() && message.body.len() < 20
    });
    assert_eq!(mine.body, key_picture(7));
    edge.program().says("publishes under its local name now");
}

#[test]
fn a_key_that_takes_over_takes_the_name_of_a_pull_and_the_operator_ends_one() {
    let _turn = beside_others();
    let (origin, redis) = (Node::start(&demo()), Redis::start());
    let edge = Node::start(&pull(&origin, "mode = \"always\"").more(&redis.table()));
    let is_live = || edge.metric("pull_state", &["state=\"live\""]) > 0.5;
    wait_until(SOON, "the stream is pulled", || is_live().then_some(()));
    let (_, key) = redis.create("--stream live/copy --takeover");
    let (mut publisher, stream) = Wire::stream(edge.rtmp_port());
    assert_eq!(publisher.publish(stream, &key)[0], "NetStream.Publish.Start");
    wait_until(SOON, "the pull has left", || (!is_live()).then_some(()));
    drop(publisher);
    wait_until(SOON, "the stream is pulled again", || is_live().then_some(()));
    let kick = "DELETE /streams/live/copy/publisher";
    assert_eq!(ask(&edge, kick, &Value::Null).0, 204);
    wait_until(SOON, "it stays away for a while", || {
        let log = edge.program().err();
        let line = log.lines().find(|line| line.contains("ended by the operator"))?;
        assert!(line.contains("tries again in 15.0 s") && line.contains("(token:admin)"), "{line}");
        (!is_live()).then_some(())
    });
}

#[test]
fn any_stream_is_pushed_and_the_destination_is_left_with_it() {
    let _turn = beside_others();
    let destination = Destination::start();
    let node = Node::start(&Config::new().push(STUDIO, &destination.url(), ""));
    for round in 1..=2 {
        let publisher = ffmpeg_publishes(&node.publish_url());
        wait_until(SOON, "it is pushed", || {
            (node.metric("output_connects_total", &["output=\"push_0\""]) >= f64::from(round))
                .then_some(())
        });
        let before = destination.messages().len();
        wait_until(SOON, "pictures come", || {
            destination.messages()[before..].iter().any(Message::is_picture).then_some(())
        });
        drop(publisher);
        wait_until(SOON, "the output rests", || {
            (node.metric("output_state", &["output=\"push_0\"", "state=\"idle\""]) > 0.5)
                .then_some(())
        });
    }
    assert!(node.metric("output_failures_total", &[]) < 0.5, "an end is no failure");
}

#[test]
fn a_destination_that_stops_reading_is_found_out_and_another_one_does_not_notice() {
    let _turn = beside_others();
    let nginx = Nginx::start(free_port());
    let good = Destination::start();
    let config = demo().push("live/demo", &nginx.url("show"), "stall_timeout = 2").push(
        "live/demo",
        &good.url(),
        "",
    );
    let node = Node::start(&config);
    let stopped = ["output=\"push_0\""];
    let connects = || node.metric("output_connects_total", &stopped);
    wait_until(SOON, "both are pushed to", || {
        (connects() >= 1.0 && good.messages().iter().any(Message::is_picture)).then_some(())
    });
    nginx.signal("STOP");
    wait_until(SOON, "the stall is found out", || {
        (node.metric("output_stalls_total", &stopped) >= 1.0).then_some(())
    });
    nginx.signal("CONT");
    wait_until(SOON, "it is connected again", || (connects() >= 2.0).then_some(()));
    assert!(node.metric("output_reconnects_total", &stopped) >= 1.0);
    node.program().says("stalled: the destination's machine took nothing");
    let messages = good.messages();
    let times: Vec<_> = messages.iter().filter(|m| m.is_picture()).map(|m| m.time).collect();
    assert_complete(&node, &times);
    assert!(node.metric("output_connects_total", &["output=\"push_1\""]) < 1.5);
}
