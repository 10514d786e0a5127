//! Fall-back: how far the pictures of a viewer are apart where a GPU is lost, its driver stops
//! answering, and it comes back.

use std::time::Instant;

use crate::config::Config;
use crate::gpu::{channel, node_with_gpu};
use crate::node::Node;
use crate::wait::alone;
use crate::wire::{Message, Wire};

/// Pictures per second of each channel, so that their GPUs are not lost at the same time; as many as
/// the fake driver has sessions.
const RATES: [u32; 8] = [60, 55, 50, 45, 40, 36, 33, 30];

/// The picture that a GPU is lost at. The viewers are there by then.
const LOST_AT: u32 = 360;

/// Rounds of one kill for each rate: thirteen make a hundred kills.
fn rounds() -> usize {
    std::env::var("FALLBACK_ROUNDS").map_or(1, |text| text.parse().unwrap())
}

/// A channel for each rate.
fn config() -> Config {
    let one = channel();
    let text = one.text().to_owned();
    let (head, table) = text.split_once("[[channel]]").unwrap();
    let table_of = |fps: &u32| {
        let table = table.replace("show\"", &format!("at{fps}\""));
        format!("[[channel]]{}", table.replace("fps = 30", &format!("fps = {fps}")))
    };
    let tables: String = RATES.iter().map(table_of).collect();
    Config::of(&one, format!("{head}{tables}"))
}

/// What a viewer saw around the change of its channel's encoder.
struct Seen {
    /// The widest steps between two pictures, in intervals of the channel's rate: by their times, and
    /// by when they came.
    widest: [f64; 2],
    /// Pictures that are not there.
    missing: u32,
}

fn watch(node: &Node, fps: u32) -> Seen {
    let mut viewer = Wire::play(node.rtmp_port(), &format!("at{fps}"));
    let first = viewer.find("a picture", Message::is_picture);
    let (mut last, mut came) = (first.time, Instant::now());
    let (mut headers, mut after, mut seen) = (0, 0, Seen { widest: [0.0; 2], missing: 0 });
    // The header that it begins with came before the first picture.
    while after < fps {
        let message = viewer.find("video", |it| it.is_picture() || it.is_video_header());
        if message.is_video_header() {
            headers += 1;
            continue;
        }
        let step = message.time - last;
        seen.missing += (step * fps + 500) / 1_000 - 1;
        let steps = [f64::from(step) / 1_000.0, came.elapsed().as_secs_f64()];
        for (widest, step) in seen.widest.iter_mut().zip(steps) {
            *widest = widest.max(step * f64::from(fps));
        }
        (last, came) = (message.time, Instant::now());
        after += u32::from(headers > 0);
    }
    assert_eq!(headers, 1, "one header for one change");
    seen
}

#[test]
fn a_lost_gpu_costs_a_viewer_no_picture() {
    let _turn = alone();
    let config = config();
    let mut steps: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..rounds() {
        let node = node_with_gpu(&config, &format!("lost={LOST_AT}"));
        let seen = std::thread::scope(|scope| {
            let node = &node;
            let viewers = RATES.map(|fps| scope.spawn(move || watch(node, fps)));
            viewers.map(|viewer| viewer.join().unwrap())
        });
        let lost = node.metric("encoder_fallback_total", &["reason=\"failed\""]);
        assert!(lost > RATES.len() as f64 - 0.5, "{lost} were lost");
        let missing: u32 = seen.iter().map(|seen| seen.missing).sum();
        let dropped = node.metric("encoder_dropped_frames", &[]);
        assert!(f64::from(missing) < dropped + 0.5, "{missing} missing, {dropped} dropped");
        println!("{missing} pictures missing, {dropped} that the node had no time for");
        for seen in seen {
            steps.iter_mut().zip(seen.widest).for_each(|(steps, step)| steps.push(step));
        }
    }
    for (what, steps) in ["times", "arrivals"].into_iter().zip(&mut steps) {
        steps.sort_by(f64::total_cmp);
        let (median, most) = (steps[steps.len() / 2], steps[steps.len() - 1]);
        println!("{what}: {} kills, intervals: median {median:.2}, most {most:.2}", steps.len());
    }
}
