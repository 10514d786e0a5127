//! A GPU that encodes through VAAPI, fails and comes back: the program with the fake VA driver of
//! `ffi/fake`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::api::events_of;
use crate::config::{Config, FPS};
use crate::gpu::{assert_without_gap, channel, encoder_of, fakes};
use crate::node::{BINARY, Node};
use crate::program::Program;
use crate::recording::Recording;
use crate::wait::{SOON, alone, beside_others, wait_until};

/// A folder with a render node, which is on the bus at [`PCI`].
fn render_nodes() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("renderD250"), "").unwrap();
    let links = folder.path().join("by-path");
    fs::create_dir(&links).unwrap();
    symlink("../renderD250", links.join(format!("{PCI}-render"))).unwrap();
    folder
}

const PCI: &str = "pci-0000:03:00.0";

/// What a program needs to find the fake VA driver, with these faults, and no other GPU.
fn environment<'a>(dri: &'a TempDir, faults: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("LD_LIBRARY_PATH", fakes()),
        ("FAKE_CUDA", "none"),
        ("FAKE_VAAPI", faults),
        ("STREAM_MANAGER_DRI", dri.path().to_str().unwrap()),
    ]
}

/// A channel with an encoder and its GPU named.
fn named(device: &str) -> Config {
    let config = Config::new().channel("show").layer("test-card", "");
    let keys = format!("encoder = \"vaapi\"\ndevice = \"{device}\"\nfps =");
    Config::of(&config, config.text().replace("fps =", &keys))
}

/// Faults of the client that the driver has written down.
fn client_faults(log: &Path) -> Vec<String> {
    let text = fs::read_to_string(log).unwrap();
    text.lines().filter(|line| line.starts_with("fault")).map(str::to_owned).collect()
}

#[test]
fn an_ffmpeg_that_knows_nothing_of_it_encodes_through_the_fake_va_driver() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let (file, log) = (dir.path().join("a.mp4"), dir.path().join("log"));
    for (faults, option, wanted) in [
        ("", "CBR", "320x192 30/1 CBR, 800000 bits"),
        ("packed", "CBR", "320x192 30/1 CBR, 800000 bits"),
        ("no_derive", "VBR", "320x192 30/1 VBR, 800000 bits"),
        ("cqp_only", "CQP", "320x192 30/1 CQP, 0 bits"),
    ] {
        let mut command = Command::new("ffmpeg");
        command.args("-v error -y -vaapi_device /dev/null".split(' '));
        command.args("-f lavfi -i testsrc2=s=320x192:r=30 -frames:v 60".split(' '));
        command.args("-vf format=nv12,hwupload -c:v h264_vaapi -b:v 800k -maxrate 800k".split(' '));
        command.args(["-bf", "0", "-rc_mode", option, file.to_str().unwrap()]);
        command.env("LD_LIBRARY_PATH", fakes());
        command.env("LIBVA_DRIVER_NAME", "fake").env("LIBVA_DRIVERS_PATH", fakes());
        command.env("FAKE_VAAPI", format!("log={},{faults}", log.display()));
        Program::spawn("ffmpeg", command).succeeds(SOON);
        assert_eq!(Recording::at(file.clone()).video_packets().len(), 60);
        let strictly = "-v error -xerror -err_detect explode -i";
        let decoder =
            Program::start("ffmpeg", strictly, &[file.to_str().unwrap(), "-f", "null", "-"]);
        decoder.succeeds(SOON);
        let log_text = fs::read_to_string(&log).unwrap();
        fs::remove_file(&log).unwrap();
        let there = |text: &str| log_text.contains(text);
        assert!(there(wanted) && there("closed after 60 pictures"), "{log_text}");
        assert!(!there("fault"), "the fake finds fault with a client that works: {log_text}");
        let is_put = there("60 images put");
        assert_eq!(is_put, faults == "no_derive", "{log_text}");
    }
}

#[test]
fn viewers_miss_no_picture_when_the_device_is_lost_and_when_it_comes_back() {
    const SECONDS: u32 = 26;
    let _turn = alone();
    let (dri, dir) = (render_nodes(), TempDir::new().unwrap());
    let log = dir.path().join("log");
    // At ten seconds: the viewer is there by then, also on a busy machine.
    let faults = format!("lost=300,lost_sessions=1,log={}", log.display());
    let node = Node::start_with_env(&channel(), &environment(&dri, &faults));
    let file = node.file("show.flv");
    let viewer = Recording::begin(&node.url("live/show"), SECONDS, &file);
    let changes = |labels: &[&str]| node.metric("encoder_fallback_total", labels);
    let happens = |labels: &[&str]| {
        wait_until(SOON, "the encoder changes", || (changes(labels) > 0.5).then_some(()));
    };
    let plays = || (node.metric("rtmp_viewers", &[]) > 0.5).then_some(());
    wait_until(SOON, "the viewer plays", plays);
    assert!(changes(&[]) < 0.5, "the device was lost before the viewer came");
    assert_eq!(encoder_of(&node), "vaapi");
    happens(&["from=\"vaapi\"", "to=\"x264\"", "reason=\"failed\""]);
    happens(&["from=\"x264\"", "to=\"vaapi\"", "reason=\"recovered\""]);
    assert!((changes(&[]) - 2.0).abs() < 0.5, "and no other change");
    viewer.succeeds(Duration::from_secs(SECONDS.into()) + SOON);
    let packets = Recording::at(file.clone()).video_packets();
    assert!(packets.len() > usize::try_from((SECONDS - 1) * FPS).unwrap(), "{}", packets.len());
    assert_without_gap(&node, &packets);
    let headers = packets[1..].iter().filter(|packet| packet.has_header);
    assert!(headers.clone().all(|packet| packet.is_key));
    assert_eq!(headers.count(), 2, "one for each change");
    assert_eq!(encoder_of(&node), "vaapi");
    assert_eq!(Recording::at(file).pictures().len(), packets.len(), "all of them are decoded");
    let told = events_of(&node, "encoder_changed");
    let texts: Vec<_> = told.iter().map(|event| event["text"].as_str().unwrap()).collect();
    let change = "channel show is encoded by x264 instead of vaapi: the VA driver failed";
    assert!(texts[0].starts_with(change), "{texts:?}");
    assert_eq!(client_faults(&log), [""; 0], "in the node and in the process that checks");
}

#[test]
fn a_va_driver_that_crashes_when_it_is_checked_takes_nothing_with_it() {
    let _turn = beside_others();
    let dri = render_nodes();
    let node = Node::start_with_env(&channel(), &environment(&dri, "crash"));
    let file = node.file("show.flv");
    let packets = Recording::of(&node.url("live/show"), 2, file).video_packets();
    assert!(packets.len() > 30, "{}", packets.len());
    assert_eq!(encoder_of(&node), "x264");
    node.program().says("video is encoded by x264, as vaapi: its driver crashed (signal 6)");
}

#[test]
fn a_device_is_named_by_its_place_on_the_bus_and_told_before_anything_starts_if_it_is_not_there() {
    let _turn = beside_others();
    let dri = render_nodes();
    let node = Node::start_with_env(&named(PCI), &environment(&dri, ""));
    let packets = Recording::of(&node.url("live/show"), 2, node.file("show.flv")).video_packets();
    assert!(packets.len() > 30, "{}", packets.len());
    assert_eq!(encoder_of(&node), "vaapi");
    let dir = TempDir::new().unwrap();
    let mut command = Command::new(BINARY);
    command.args(["run", "--config"]).arg(named("pci-0000:09:00.0").write(dir.path()));
    command.arg("--data-dir").arg(dir.path().join("data")).envs(environment(&dri, ""));
    let ended = Program::spawn("stream-manager", command).ended(SOON);
    assert!(!ended.status.success());
    for words in ["channel show", "no device is called \"pci-0000:09:00.0\"", PCI] {
        assert!(ended.err.contains(words), "{words} is missing in: {}", ended.err);
    }
}

#[test]
fn devices_are_listed_with_their_drivers_and_how_they_keep_a_bitrate() {
    let _turn = beside_others();
    let dri = render_nodes();
    let list = |faults: &str| {
        let mut command = Command::new(BINARY);
        command.args(["encoders", "--size", "320x180", "--frames", "30"]);
        command.envs(environment(&dri, faults));
        String::from_utf8(Program::spawn("stream-manager", command).succeeds(SOON)).unwrap()
    };
    for (faults, wanted) in [
        ("", "renderD250 (pci-0000:03:00.0): Fake VA driver, h264: CBR"),
        ("overshoot=300", "renderD250 (pci-0000:03:00.0): Fake VA driver, h264: VBR"),
        ("no_device", "Fake VA driver encodes neither h264 nor hevc"),
    ] {
        let listed = list(faults);
        let is_there = listed.lines().find(|line| line.starts_with("vaapi")).unwrap();
        assert_eq!(is_there.contains("pictures a second"), faults != "no_device", "{listed}");
        assert!(listed.contains(wanted), "{wanted} is missing in: {listed}");
    }
}
