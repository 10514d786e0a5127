//! A machine that does not run the node for a while: paused, moved to another host, or overloaded.

use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::api::events_of;
use crate::config::{BITRATE, Config};
use crate::hook_server::{HookServer, fine};
use crate::hooks::journal;
use crate::machine::stall;
use crate::nginx::Nginx;
use crate::node::Node;
use crate::wait::{SOON, alone, free_port, wait_until};
use crate::wire::{AUDIO, Message, Wire};

/// Bytes of the largest message that nginx-rtmp takes by its default.
const NGINX_BYTES_MAX: usize = 1 << 20;

/// Two messages of one kind that are further apart than this have a hole between them.
const HOLE_MS: u32 = 200;

/// A channel of so many bits per second that is pushed to nginx.
fn channel(config: Config, nginx: &Nginx, name: &str, bitrate: u32) -> Config {
    let config = config.channel(name).layer("test-card", "").audio("tone", "hz = 440");
    let config = config.output("cdn", &nginx.url(name));
    let text = config.text().replacen(
        &format!("bitrate = {BITRATE}\n"),
        &format!("bitrate = {bitrate}\n"),
        1,
    );
    Config::of(&config, text)
}

/// Plays until three seconds after the next hole in the pictures, and gives all messages.
fn over_the_hole(viewer: &mut Wire) -> Vec<Message> {
    let (mut messages, mut last, mut after) = (Vec::new(), None, None);
    loop {
        let message = viewer.next().expect("the viewer goes on");
        if message.is_picture() {
            let gap = last.map_or(0, |last| message.time.wrapping_sub(last));
            if gap > HOLE_MS {
                after.get_or_insert(message.time);
            }
            last = Some(message.time);
        }
        let is_over = after.is_some_and(|after| message.time > after + 3_000);
        messages.push(message);
        if is_over {
            return messages;
        }
    }
}

/// The places of messages that come behind a hole.
fn holes(messages: &[&Message]) -> Vec<usize> {
    let is_hole = |pair: &[&Message]| pair[1].time > pair[0].time + HOLE_MS;
    let places = messages.windows(2).enumerate().filter(|(_, pair)| is_hole(pair));
    places.map(|(place, _)| place + 1).collect()
}

/// One clean jump of about `length`, no message that others would refuse, and the rate again.
fn assert_one_jump(messages: &[Message], length: Duration, bitrate: u32) {
    let largest = messages.iter().map(|message| message.body.len()).max().unwrap();
    let allowed = (bitrate as usize / 8).min(NGINX_BYTES_MAX);
    assert!(largest < allowed, "a message of {largest} bytes at {bitrate} b/s");
    let pictures: Vec<_> = messages.iter().filter(|message| message.is_picture()).collect();
    let audio: Vec<_> =
        messages.iter().filter(|m| m.kind == AUDIO && !m.is_audio_header()).collect();
    for kind in [&pictures, &audio] {
        assert!(kind.windows(2).all(|pair| pair[0].time < pair[1].time), "times that rise");
        let [place] = holes(kind)[..] else {
            let times: Vec<_> = kind.iter().map(|m| (m.time, m.is_key())).collect();
            panic!("not one hole: {times:?}")
        };
        let hole = kind[place].time - kind[place - 1].time;
        let told = u32::try_from(length.as_millis()).unwrap();
        assert!((told - 350..told + 2_000).contains(&hole), "a hole of {hole} ms");
    }
    let first = holes(&pictures)[0];
    assert!(pictures[first].is_key(), "the picture goes on with a keyframe");
    let again = pictures[first].time;
    let heard = audio[holes(&audio)[0]].time;
    assert!(again.abs_diff(heard) < 100, "picture at {again}, audio at {heard}");
    let window = again + 2_000..again + 3_000;
    let bytes: usize =
        pictures.iter().filter(|m| window.contains(&m.time)).map(|m| m.body.len()).sum();
    let ratio = bytes as f64 * 8.0 / f64::from(bitrate);
    assert!((0.9..=1.1).contains(&ratio), "{ratio} of {bitrate} b/s two seconds later");
}

#[test]
fn a_stall_is_one_clean_jump_that_no_destination_minds() {
    let _turn = alone();
    let nginx = Nginx::start(free_port());
    let hook = HookServer::start(|_| fine());
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("journal");
    let told = hook.table("told", &["frames_dropped", "channel_stalled"], "");
    let rates = [("usual", 6_000_000), ("high", 24_000_000)];
    let config = rates
        .iter()
        .fold(Config::new(), |config, (name, rate)| channel(config, &nginx, name, *rate));
    let node = Node::start(&config.more(&format!("[journal]\npath = {path:?}\n{told}")));
    for (name, _) in rates {
        wait_until(SOON, "the programme is pushed", || {
            nginx.log().contains(&format!("publish: name='{name}'")).then_some(())
        });
    }
    let mut viewers = rates.map(|(name, _)| Wire::play(node.rtmp_port(), name));
    for viewer in &mut viewers {
        viewer.find("a picture", Message::is_picture);
    }
    stall(&node, Duration::from_millis(300));
    for length in [1_000, 3_000].map(Duration::from_millis) {
        // Viewers that all read as fast as they are sent.
        thread::scope(|scope| {
            let seen = viewers.each_mut().map(|viewer| scope.spawn(|| over_the_hole(viewer)));
            stall(&node, length);
            for (seen, (_, rate)) in seen.into_iter().zip(rates) {
                assert_one_jump(&seen.join().unwrap(), length, rate);
            }
        });
    }
    for (name, _) in rates {
        let published = nginx.log().matches(&format!("publish: name='{name}'")).count();
        assert_eq!(published, 1, "{name} came again:\n{}", nginx.log());
        let lengths: Vec<_> = wait_until(SOON, "the stalls are told", || {
            let of_channel = |event: &Value| event["channel"] == name;
            let stalls = events_of(&node, "channel_stalled").into_iter().filter(of_channel);
            let lengths: Vec<_> = stalls.map(|e| e["duration_ms"].as_u64().unwrap()).collect();
            (lengths.len() == 2).then_some(lengths)
        });
        assert!(lengths[0] >= 900 && lengths[1] >= 2_900, "{lengths:?}");
        assert_dropped_is_told(&node, &hook, &journal(&path), name);
    }
    assert!(node.metric("output_failures_total", &[]) < 0.5);
}

/// Frames that were dropped are told of everywhere, with how many, why, and by which channel.
fn assert_dropped_is_told(node: &Node, hook: &HookServer, journal: &[Value], channel: &str) {
    let dropped = events_of(node, "frames_dropped");
    let of_channel: Vec<_> = dropped.iter().filter(|e| e["channel"] == channel).collect();
    let all: u64 = of_channel.iter().map(|event| event["frames"].as_u64().unwrap()).sum();
    let counted = node.metric("encoder_dropped_frames", &[&format!("channel=\"{channel}\"")]);
    assert!(counted >= 60.0 && all as f64 <= counted, "{all} of {counted}");
    assert!(of_channel.iter().any(|e| e["reason"].as_str().unwrap().contains("late")));
    // Once a second at most. One may come late, if the node was stopped while it was told.
    let times: Vec<_> = of_channel.iter().map(|event| event["at"].as_u64().unwrap()).collect();
    let seconds = (times.last().unwrap() - times[0]) / 1_000;
    assert!(times.len() as u64 <= seconds + 2, "too often: {times:?}");
    let line = journal.iter().find(|line| {
        line["event"] == "frames_dropped" && line["channel"] == channel && line["frames"] != 0
    });
    assert!(line.is_some_and(|line| line["reason"].is_string()), "{journal:?}");
    wait_until(SOON, "the hook hears of it", || {
        let heard = |event: &str| {
            hook.posts().iter().any(|post| post.event() == event && post.text("channel") == channel)
        };
        (heard("frames_dropped") && heard("channel_stalled")).then_some(())
    });
    let log = format!("{}{}", node.program().out_text(), node.program().err());
    for words in [format!("channel {channel} dropped"), format!("channel {channel} stalled for")] {
        let line = log.lines().find(|line| line.contains(&words));
        assert!(line.is_some_and(|line| line.contains("WARN")), "{words}: {line:?}");
    }
}
