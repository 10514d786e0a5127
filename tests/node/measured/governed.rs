//! Speed of the encoder beside a neighbour that takes most of its core: less sharp before late.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::api::done;
use crate::config::{Config, HEIGHT, WIDTH};
use crate::node::Node;
use crate::program::Program;
use crate::recording::Recording;
use crate::wait::{SOON, alone, wait_until};

/// Frames per second of the channel: so few that two cores have time to spare for its best speed.
const FPS: u32 = 15;

/// How long the neighbour burns.
const BURN: Duration = Duration::from_secs(20);

/// Within this time after it has gone everything is back.
const BACK: Duration = Duration::from_secs(60);

/// Size of the picture.
const SIZE: (usize, usize) = (1_920, 1_080);

/// How many seconds of the burning are compared with what was to be seen.
const COMPARED_S: u32 = 8;

/// Far below what any of the encoder's speeds makes of a test card at this bitrate, and far above
/// another picture.
const SSIM_MIN: f64 = 0.9;

/// Below the encoder's: its own time and the neighbour's are then shared fairly.
const NICE: u32 = 5;

/// Neighbours at most.
const NEIGHBOURS_MAX: usize = 32;

/// Tries at most: where the machine itself runs on a shared host, the core may be taken away
/// altogether for a while, and no speed helps against that.
const TRIES_MAX: usize = 3;

/// Counters of the node that only grow.
struct Counts {
    encoded: f64,
    dropped: f64,
    keyframes: f64,
    faster: f64,
}

impl Counts {
    fn of(node: &Node) -> Self {
        let total = |name: &str| node.metric(name, &[]);
        Self {
            encoded: total("encoder_frames_total"),
            dropped: total("encoder_dropped_frames"),
            keyframes: total("encoder_keyframes_total"),
            faster: node.metric("encoder_speed_changes_total", &["direction=\"faster\""]),
        }
    }
}

fn speed(node: &Node) -> Value {
    done(node, "GET /channels/demo", &Value::Null)["speed"].clone()
}

#[test]
fn beside_a_burning_neighbour_a_channel_is_less_sharp_before_it_loses_a_frame() {
    let _turn = alone();
    let cpu = thread::available_parallelism().unwrap().get() - 1;
    let config = Config::new().channel("demo").layer_at("test-card", [0, 0, 1_920, 1_080], "");
    let config = config.audio("tone", "hz = 440").more(&format!("[cores]\nencode = [{cpu}]\n"));
    let changes = BTreeMap::from([
        ("fps = 30".to_owned(), format!("fps = {FPS}")),
        ("preset = \"ultrafast\"".to_owned(), "preset = \"faster\"".to_owned()),
        ("speed = \"fixed\"".to_owned(), String::new()),
        ("bitrate = 600000".to_owned(), "bitrate = 6000000".to_owned()),
        (format!("width = {WIDTH}\n"), "width = 1920\n".to_owned()),
        (format!("height = {HEIGHT}\n"), "height = 1080\n".to_owned()),
    ]);
    let text = changes.iter().fold(config.text().to_owned(), |text, (old, new)| {
        assert!(text.contains(old.as_str()), "{old}");
        text.replacen(old.as_str(), new, 1)
    });
    let node = Node::start(&Config::of(&config, text));
    // Superfast, veryfast, faster.
    let best = || node.metric("encoder_speed_step", &[]) > 1.5;
    wait_until(BACK * 2, "the best speed is reached", || best().then_some(()));
    let is_kept = (1..=TRIES_MAX).any(|_| {
        let lost = lost_beside_neighbours(&node, cpu);
        wait_until(BACK, "the best speed is back", || best().then_some(()));
        lost < 0.5
    });
    assert!(is_kept, "frames were lost {TRIES_MAX} times in {TRIES_MAX}");
    assert!(node.metric("encoder_fps_divisor", &[]) < 1.5);
}

/// What is lost while neighbours burn `cpu`: as many as it takes on this machine until the
/// encoder is faster.
fn lost_beside_neighbours(node: &Node, cpu: usize) -> f64 {
    let before = Counts::of(node);
    let arguments = format!("-c {cpu} nice -n {NICE} sh -c");
    let mut neighbours = Vec::new();
    while Counts::of(node).faster <= before.faster {
        assert!(neighbours.len() < NEIGHBOURS_MAX, "it has always enough time");
        // By a third at a time: it is to have too little time, and not much too little.
        for _ in 0..=neighbours.len() / 3 {
            neighbours.push(Program::start("taskset", &arguments, &["while :; do :; done"]));
        }
        let until = Counts::of(node).encoded + 75.0;
        wait_until(SOON, "it is faster, or 75 frames have passed", || {
            let now = Counts::of(node);
            (now.faster > before.faster || now.encoded >= until).then_some(())
        });
    }
    let first = Counts::of(node);
    let file = node.file("burnt.flv");
    let seen = Recording::begin(&node.url("live/demo"), COMPARED_S, &file);
    let frames = BURN.as_secs_f64() * f64::from(FPS);
    wait_until(BURN * 4, "the time has passed", || {
        let now = Counts::of(node);
        (now.encoded + now.dropped >= first.encoded + first.dropped + frames).then_some(())
    });
    let burnt = Counts::of(node);
    let (burning, under_load) = (neighbours.len(), speed(node));
    drop(neighbours);
    seen.succeeds(SOON);
    let similarity = similarity(&file, &node.file("card.ppm"));
    // A frame rate that is divided is a loss as well.
    let lost = burnt.dropped - first.dropped + node.metric("encoder_fps_divisor", &[]) - 1.0;
    println!("{burning} neighbours, {lost} lost, SSIM {similarity:.4}, under load {under_load:#}");
    assert!(similarity > SSIM_MIN, "SSIM {similarity}");
    let keyframes =
        (burnt.keyframes - first.keyframes) / (burnt.encoded - first.encoded) * f64::from(2 * FPS);
    assert!(lost > 0.5 || (0.9..1.1).contains(&keyframes), "{keyframes} every two seconds");
    lost
}

/// Mean structural similarity (SSIM) of what was played and the test card: bars, a ramp below them
/// and a mark that moves, as the documentation says they are, drawn here by ffmpeg.
fn similarity(played: &Path, card: &Path) -> f64 {
    let (width, height) = SIZE;
    let mut ppm = format!("P6\n{width} {height}\n255\n").into_bytes();
    let bars = [[1, 1, 1], [1, 1, 0], [0, 1, 1], [0, 1, 0], [1, 0, 1], [1, 0, 0], [0, 0, 1]];
    for y in 0..height {
        for x in 0..width {
            ppm.extend(match y * 6 / height {
                0..=3 => bars[x * 7 / width].map(|part| part * 191),
                4 => [u8::try_from(x * 255 / (width - 1)).unwrap(); 3],
                _ => [0; 3],
            });
        }
    }
    std::fs::write(card, ppm).unwrap();
    let (mark, top) = (width / 40, height * 5 / 6);
    let white = format!("color=white:s={mark}x{}:r={FPS}", height - top);
    let way = width - mark;
    let filter = format!(
        "[0:v]split[played][clock];\
         [1:v]scale=out_color_matrix=bt709:out_range=tv,format=yuv420p[card];\
         [clock][card]overlay=format=yuv420:shortest=1[still];\
         [still][2:v]overlay=x='2*floor({way}*mod(t,4)/8)':y={top}:format=yuv420:shortest=1[drawn];\
         [played][drawn]ssim=stats_file=-"
    );
    let (played, card) = (played.to_str().unwrap(), card.to_str().unwrap());
    let inputs = ["-i", played, "-loop", "1", "-i", card, "-f", "lavfi", "-i", &white];
    let last = [&inputs[..], &["-filter_complex", &filter, "-f", "null", "-"]].concat();
    let out = Program::start("ffmpeg", "-v error -copyts", &last).succeeds(SOON * 4);
    let rows = String::from_utf8(out).unwrap();
    let of_row = |row: &str| {
        let all = row.split_once("All:")?.1;
        all.split_whitespace().next()?.parse::<f64>().ok()
    };
    let all: Vec<_> = rows.lines().filter_map(of_row).collect();
    assert!(all.len() >= 60, "{rows}");
    all.iter().sum::<f64>() / all.len() as f64
}
