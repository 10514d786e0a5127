//! Keyframe requests of the encode loop: the pictures that become keyframes.

use super::*;
use crate::media::{FrameRate, PixelFormat, Size, VideoCodec};

/// 30 frames a second, a keyframe every two seconds.
fn keyframes() -> Keyframes {
    Keyframes::new(&VideoSpec {
        codec: VideoCodec::H264,
        encoder: None,
        device: None,
        size: Size::new(64, 64).unwrap(),
        rate: FrameRate::FPS_30,
        format: PixelFormat::I420,
        bitrate_bps: 800_000,
        preset: "veryfast".to_owned(),
        fastest_preset: None,
        tune: String::new(),
        profile: String::new(),
        gop_frames: 60,
        b_frames: 0,
        threads: 1,
    })
}

const fn nobody() -> bool {
    false
}

#[test]
fn keyframes_come_by_the_time_also_where_ticks_are_left_out() {
    let mut keys = keyframes();
    let mut due = |ticks: &mut dyn Iterator<Item = u64>| -> Vec<u64> {
        ticks.filter(|tick| keys.is_due(*tick, false, nobody)).collect()
    };
    assert_eq!(due(&mut (1..=180)), [60, 120, 180]);
    assert_eq!(due(&mut (187..=400).step_by(7)), [243, 306, 369]);
}

#[test]
fn the_picture_after_a_stall_is_a_keyframe() {
    let mut keys = keyframes();
    assert!(!keys.is_due(10, false, nobody));
    assert!(keys.is_due(33, true, nobody));
    assert!(!keys.is_due(92, false, nobody));
    assert!(keys.is_due(93, false, nobody), "the interval begins anew");
}

#[test]
fn readers_get_the_keyframe_they_ask_for_once_a_second_at_most() {
    let mut keys = keyframes();
    assert!(keys.is_due(5, false, || true));
    assert!(!keys.is_due(6, false, || panic!("the request stays where it is")));
    assert!(keys.is_due(35, false, || true));
    assert!(keys.is_due(95, false, nobody));
}
