//! Frames, keyframes and bits of a programme come at the rates that were asked for.

use crate::config::{BITRATE, FPS, demo};
use crate::node::Node;
use crate::recording::Recording;
use crate::wait::alone;

#[test]
fn frames_keyframes_and_bits_come_at_their_rates() {
    let _turn = alone();
    let node = Node::start(&demo());
    let recording = Recording::of(&node.url("live/demo"), 8, node.file("rates.flv"));
    let packets = recording.video_packets();

    let frame = 1.0 / f64::from(FPS);
    let gaps: Vec<_> = packets.windows(2).map(|pair| pair[1].pts - pair[0].pts).collect();
    let odd = gaps.iter().filter(|&&gap| (gap - frame).abs() > 0.0025).count();
    assert_eq!(odd, 0, "frames are not {frame} s apart: {gaps:?}");

    let keys: Vec<_> = packets.iter().filter(|packet| packet.is_key).map(|key| key.pts).collect();
    assert!(keys.len() >= 4, "keyframes at {keys:?}");
    let even = |pair: &[f64]| (pair[1] - pair[0] - 2.0).abs() < 0.005;
    assert!(keys.windows(2).all(even), "keyframes are not 2 s apart: {keys:?}");

    // From keyframe to keyframe: what a constant bitrate promises to a network.
    for pair in keys.windows(2) {
        let group = packets.iter().filter(|packet| (pair[0]..pair[1]).contains(&packet.pts));
        let rate = group.map(|packet| packet.size * 8.0).sum::<f64>() / 2.0;
        let wanted = f64::from(BITRATE);
        println!("{rate:.0} bit/s from {:.1} s on", pair[0]);
        assert!((0.85 * wanted..1.15 * wanted).contains(&rate), "{rate} bit/s");
    }
}
