//! Other work on the same machine: the encoder gets too little of it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::config::{Config, HEIGHT, WIDTH};
use crate::machine::{keep_busy, memory};
use crate::nginx::Nginx;
use crate::node::Node;
use crate::program::Program;
use crate::wait::{SOON, alone, free_port, wait_until};
use crate::wire::{AUDIO, Message, USER_CONTROL, VIDEO, Wire};

/// How long the neighbour burns: longer than a peer may be silent.
const BURN: Duration = Duration::from_secs(45);

/// User control events.
const PING: u8 = 6;
const PONG: u8 = 7;

/// What a viewer was sent.
#[derive(Default)]
struct Seen {
    pictures: Vec<u32>,
    bytes: usize,
    pings: u32,
}

/// Reads everything and answers pings until `over`.
fn watch(viewer: &mut Wire, over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !over.load(Ordering::Relaxed) {
        let Message { kind, time, body, .. } = viewer.next().expect("the viewer is not closed");
        match kind {
            USER_CONTROL if body[..2] == [0, PING] => {
                seen.pings += 1;
                viewer.send(USER_CONTROL, 0, 0, &[&[0, PONG], &body[2..]].concat()).unwrap();
            }
            AUDIO => seen.bytes += body.len(),
            VIDEO => {
                seen.bytes += body.len();
                seen.pictures.push(time);
            }
            _ => {}
        }
    }
    seen
}

/// Three seconds that are hard to encode.
fn make_noise(file: &Path) {
    let picture = "testsrc2=s=640x360:r=30,noise=alls=60:allf=t,format=yuv420p";
    let coded = "-t 3 -c:v libx264 -preset ultrafast -crf 28";
    let coded: Vec<_> = coded.split_whitespace().collect();
    let file = file.display().to_string();
    let last = [&["-f", "lavfi", "-i", picture][..], &coded[..], &[&file]].concat();
    Program::start("ffmpeg", "-v error -y", &last).succeeds(SOON);
}

#[test]
fn a_burning_neighbour_costs_frames_evenly_and_nothing_else() {
    let _turn = alone();
    let nginx = Nginx::start(free_port());
    let config = Config::new().rtmp("ping = 2\nping_timeout = 20").channel("demo");
    let dir = TempDir::new().unwrap();
    let noise = dir.path().join("noise.mp4");
    make_noise(&noise);
    let config = config.layer("video", &format!("path = {noise:?}")).audio("tone", "hz = 440");
    let config = config.output("cdn", &nginx.url("show"));
    let text = config.text().replacen("preset = \"ultrafast\"", "preset = \"medium\"", 1);
    let text = text.replacen("bitrate = 600000", "bitrate = 6000000", 1);
    let text = text.replacen(&format!("width = {WIDTH}\n"), "width = 960\n", 1);
    let text = text.replacen(&format!("height = {HEIGHT}\n"), "height = 540\n", 1);
    let node = Node::start(&Config::of(&config, text));
    wait_until(SOON, "the programme is pushed", || {
        nginx.log().contains("publish: name='show'").then_some(())
    });
    let mut viewer = Wire::play(node.rtmp_port(), "demo");
    // From then on the log of the stream is full.
    viewer.find("a picture after 12 s", |message| message.is_picture() && message.time > 12_000);
    let encoded = || node.metric("encoder_bytes_total", &[]);
    let dropped = || node.metric("encoder_dropped_frames", &[]);
    let over = AtomicBool::new(false);
    let (memory_before, dropped_before, encoded_before) = (memory(&node), dropped(), encoded());
    let seen = thread::scope(|scope| {
        let seen = scope.spawn(|| watch(&mut viewer, &over));
        keep_busy(BURN);
        over.store(true, Ordering::Relaxed);
        seen.join().unwrap()
    });
    let encoded_bytes = encoded() - encoded_before;
    let lost = dropped() - dropped_before;
    let gaps: Vec<_> = seen.pictures.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let widest = gaps.iter().max().unwrap();
    println!(
        "{} pictures, {lost} dropped, widest gap {widest} ms, {} of {encoded_bytes} bytes, \
         {} pings, {memory_before} to {} MiB",
        seen.pictures.len(),
        seen.bytes,
        seen.pings,
        memory(&node)
    );
    assert!(lost > 110.0, "the encoder was not late: {lost} frames dropped");
    assert!(seen.bytes as f64 > encoded_bytes * 0.9, "{} of {encoded_bytes}", seen.bytes);
    assert!(*widest < 2_000, "not evenly: a gap of {widest} ms");
    assert!(seen.pings >= 18, "{} pings", seen.pings);
    let drops =
        [node.metric("rtmp_viewer_drops_total", &[]), node.metric("output_drops_total", &[])];
    assert!(drops.iter().all(|drops| *drops < 0.5), "{drops:?}");
    assert_eq!(nginx.log().matches("publish: name='show'").count(), 1, "{}", nginx.log());
    assert!(node.metric("output_failures_total", &[]) < 0.5);
    wait_until(SOON, "memory comes back", || (memory(&node) <= memory_before + 16).then_some(()));
}
