//! Streams of other servers inside the programme: independent programs serve them by every protocol
//! that they speak, in every codec, die and come back, and lie.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::api::{ask, events_of};
use crate::config::{Config, HEIGHT, WIDTH};
use crate::node::{NOBODY, Node, STUDIO, is_root};
use crate::pairs::ffmpeg_publishes_picture;
use crate::program::Program;
use crate::recording::Picture;
use crate::wait::{SOON, beside_others, free_port, wait_until};
use crate::watcher::{Listener, Watcher, is_near};

/// `red` of ffmpeg in BT.601 of limited range, in BT.709.
const RED: [u8; 3] = [72, 96, 240];
/// `blue` likewise.
const BLUE: [u8; 3] = [32, 240, 118];

/// Fast encoders for a picture and a tone, in MPEG-TS unless others are named.
const H264_AAC: &str = "-c:v libx264 -preset ultrafast -tune zerolatency -g 15 -c:a aac";

/// ffmpeg sends red and a tone in real time.
fn sends(codecs: &str, format: &str, to: &str) -> Program {
    let arguments = format!(
        "-v error -re -f lavfi -i color=red:s=320x180:r=30 \
         -re -f lavfi -i sine=f=440:r=48000,volume=4 -pix_fmt yuv420p {codecs} -f {format}"
    );
    Program::start("ffmpeg", &arguments, &[to])
}

/// A node that shows and plays an address, over white.
fn node(url: &str, more: &str) -> Node {
    let keys = format!("url = {url:?}\n{more}");
    let config = Config::new().channel("demo").layer("color", "color = \"#ffffff\"");
    let layer = format!("{keys}\nslate = \"\"");
    Node::start(&config.layer("network", &layer).audio("network", &keys))
}

/// Waits until it is seen and heard.
fn wait_for_both(picture: &mut Watcher, audio: &Listener, what: &str) {
    picture.wait_until(what, |picture| is_near(picture.at(160, 90), RED, 14));
    wait_until(SOON, &format!("{what}: it is heard"), || audio.peak().filter(|&peak| peak > 0.05));
}

/// Serves it, stops, and serves it again: it is seen and heard, then the slate is, then it again.
fn comes_and_goes(what: &str, url: &str, serve: impl Fn() -> Program) {
    let node = node(url, "");
    let mut picture = Watcher::of(&node.url("live/demo"));
    let audio = Listener::of(&node.url("live/demo"));
    let slate = wait_until(SOON, "there is a picture", || picture.last()).middle();
    wait_until(SOON, "there is silence", || audio.peak().filter(|&peak| peak < 0.01));
    for round in 1..=2 {
        let server = serve();
        wait_for_both(&mut picture, &audio, what);
        server.signal("KILL");
        drop(server);
        picture.wait_for("the slate is back", slate);
        wait_until(SOON, "it is silent again", || audio.peak().filter(|&peak| peak < 0.01));
        wait_until(SOON, "both is told", || {
            let told = ["input_connected", "input_lost"].map(|kind| events_of(&node, kind));
            (told[0].len() >= round && told[1].len() >= round).then_some(())
        });
    }
    let connected = events_of(&node, "input_connected");
    assert!(
        connected[0]["reason"].as_str().unwrap().contains("h264 320x180, aac"),
        "{connected:?}"
    );
}

#[test]
fn a_stream_of_udp_is_seen_and_heard_until_it_stops_and_when_it_is_back() {
    let _turn = beside_others();
    let url = format!("udp://127.0.0.1:{}", free_port());
    let to = format!("{url}?pkt_size=1316");
    comes_and_goes("MPEG-TS over UDP", &url, || sends(H264_AAC, "mpegts", &to));
}

#[test]
fn a_stream_of_rtp_is_seen_and_heard_until_it_stops_and_when_it_is_back() {
    let _turn = beside_others();
    let url = format!("rtp://127.0.0.1:{}", free_port());
    comes_and_goes("MPEG-TS over RTP", &url, || sends(H264_AAC, "rtp_mpegts", &url));
}

/// VLC serves a file over RTSP, again and again.
fn serves_rtsp(file: &Path, url: &str) -> Program {
    let mut command = Command::new("vlc");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("HOME", "/tmp").env("LANG", "C.UTF-8").current_dir("/");
    command.args(["--intf=dummy", "--no-dbus", "--no-color", "--loop", "--sout-keep"]);
    command.arg(format!("--sout=#gather:rtp{{sdp={url}}}")).arg(file);
    Program::spawn("vlc", command)
}

#[test]
fn a_stream_of_rtsp_is_seen_and_heard_until_it_stops_and_when_it_is_back() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let file = dir.path().join("red.ts");
    let clip = format!(
        "-v error -f lavfi -i color=red:s=320x180:r=30 -f lavfi -i sine=f=440:r=48000,volume=4 \
         -t 20 {H264_AAC} -pix_fmt yuv420p -f mpegts"
    );
    Program::start("ffmpeg", &clip, &[file.to_str().unwrap()]).succeeds(SOON);
    let url = format!("rtsp://127.0.0.1:{}/cam", free_port());
    comes_and_goes("RTSP", &url, || serves_rtsp(&file, &url));
}

#[test]
fn a_stream_that_goes_on_in_another_size_rate_or_codec_is_seen_and_heard_as_it_is_then() {
    let _turn = beside_others();
    let url = format!("udp://127.0.0.1:{}", free_port());
    let node = node(&url, "");
    let mut picture = Watcher::of(&node.url("live/demo"));
    let audio = Listener::of(&node.url("live/demo"));
    let hevc =
        "-c:v libx265 -preset ultrafast -x265-params keyint=15:log-level=none -c:a libmp3lame";
    for (codecs, source, color, rate) in [
        (H264_AAC, "red:s=320x180:r=30", RED, 48_000),
        (H264_AAC, "blue:s=640x360:r=50", BLUE, 44_100),
        (H264_AAC, "red:s=128x300:r=12", RED, 48_000),
        (hevc, "blue:s=480x270:r=25", BLUE, 44_100),
        (hevc, "red:s=66x38:r=240", RED, 48_000),
    ] {
        let arguments = format!(
            "-v error -re -f lavfi -i color={source} -re -f lavfi \
             -i sine=f=440:r={rate},volume=4 -pix_fmt yuv420p {codecs} -f mpegts"
        );
        let sender = Program::start("ffmpeg", &arguments, &[&format!("{url}?pkt_size=1316")]);
        picture.wait_until(source, |seen| is_near(seen.at(160, 90), color, 14));
        wait_until(SOON, source, || audio.peak().filter(|&peak| peak > 0.05));
        sender.signal("KILL");
    }
}

#[test]
fn a_stream_of_srt_is_seen_and_heard_until_it_stops_and_when_it_is_back() {
    let _turn = beside_others();
    let address = format!("srt://127.0.0.1:{}", free_port());
    let to = format!("{address}?mode=listener");
    comes_and_goes("SRT", &address, || sends(H264_AAC, "mpegts", &to));
}

#[test]
fn a_stream_of_http_is_seen_and_heard_until_it_stops_and_when_it_is_back() {
    let _turn = beside_others();
    let url = format!("http://127.0.0.1:{}/a.flv", free_port());
    comes_and_goes("HTTP-FLV", &url, || sends(&format!("{H264_AAC} -listen 1"), "flv", &url));
}

#[test]
fn a_stream_of_another_rtmp_server_is_seen_and_heard_with_a_key_that_nobody_reads() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("key.secret");
    let origin = Node::start(&Config::new());
    let publisher = ffmpeg_publishes_picture("color=red:s=320x180:r=30", &origin.publish_url());
    origin.wait_for_streams(1);
    let (app, name) = STUDIO.split_once('/').unwrap();
    std::fs::write(&file, format!("{name}\n")).unwrap();
    let url = origin.url(&format!("{app}/{{secret}}"));
    let node = node(&url, &format!("secret_file = {file:?}"));
    let mut picture = Watcher::of(&node.url("live/demo"));
    let audio = Listener::of(&node.url("live/demo"));
    wait_for_both(&mut picture, &audio, "RTMP");
    drop(publisher);
    picture.wait_until("it is gone", |picture| !is_near(picture.at(160, 90), RED, 40));
    // A key that is wrong: neither it nor what the server says of it is told.
    std::fs::write(&file, "wr-ong-key\n").unwrap();
    wait_until(SOON, "the loss is told", || {
        (!events_of(&node, "input_lost").is_empty()).then_some(())
    });
    drop(picture);
    drop(audio);
    node.signal("TERM");
    let ended = node.ended(SOON);
    assert!(!ended.err.contains("wr-ong-key") && !ended.err.contains("{secret}"), "{}", ended.err);
}

#[test]
fn every_codec_that_is_decoded_here_is_seen_or_heard() {
    let _turn = beside_others();
    for (codecs, names) in [
        (
            "-c:v libx265 -preset ultrafast -x265-params keyint=15:log-level=none -c:a libopus",
            "hevc 320x180, opus",
        ),
        (
            "-c:v libx264 -preset ultrafast -tune zerolatency -g 15 -c:a libmp3lame",
            "h264 320x180, mp3",
        ),
        ("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 15 -c:a libopus", "vp9 320x180, opus"),
        ("-c:v libsvtav1 -preset 12 -g 15 -c:a libopus", "av1 320x180, opus"),
        ("-c:v mpeg2video -g 15 -c:a mp2", "mpeg2video 320x180, mp2"),
        (
            "-c:v libx264 -preset ultrafast -tune zerolatency -g 15 -ar 8000 -ac 1 -c:a pcm_mulaw",
            "h264 320x180, pcm_mulaw",
        ),
    ] {
        let is_of_ts = !["vp9", "av1", "mulaw"].iter().any(|codec| codecs.contains(codec));
        let format = if is_of_ts { "mpegts" } else { "matroska" };
        let url = format!("tcp://127.0.0.1:{}", free_port());
        let node = node(&url, "");
        let mut picture = Watcher::of(&node.url("live/demo"));
        let audio = Listener::of(&node.url("live/demo"));
        let _server = sends(codecs, format, &format!("{url}?listen=1"));
        wait_for_both(&mut picture, &audio, names);
        let told = events_of(&node, "input_connected");
        assert!(told[0]["reason"].as_str().unwrap().contains(names), "{told:?}");
    }
}

/// Pixels of the newest picture that differ much from those above and below, which are alike.
fn teeth(picture: &Picture) -> usize {
    let luma = |x, y| picture.at(x, y)[0];
    let is_tooth = |x: usize, y: usize| {
        let (above, here, below) = (luma(x, y - 1), luma(x, y), luma(x, y + 1));
        here.abs_diff(above).min(here.abs_diff(below)) > 60 && above.abs_diff(below) < 30
    };
    (1..HEIGHT - 1).map(|y| (0..WIDTH).filter(|x| is_tooth(*x, y)).count()).sum()
}

#[test]
fn a_stream_of_two_fields_is_seen_without_its_comb() {
    let _turn = beside_others();
    let url = format!("udp://127.0.0.1:{}", free_port());
    let config = Config::new().channel("demo").layer("network", &format!("url = {url:?}"));
    let node = Node::start(&config.more("[channel.audio]\nenabled = false\n"));
    // A bar that moves 8 pixels from one field to the next.
    let bar = "-v error -re -f lavfi -i color=white:s=64x120:r=50[bar];\
               color=black:s=320x180:r=50[ground];\
               [ground][bar]overlay=x='mod(n*8,320)':y=30,tinterlace=interleave_top,format=yuv420p \
               -c:v mpeg2video -flags +ildct+ilme -top 1 -q:v 3 -g 12 -f mpegts";
    let _sender = Program::start("ffmpeg", bar, &[&format!("{url}?pkt_size=1316")]);
    let mut picture = Watcher::of(&node.url("live/demo"));
    let (mut seen, mut combs) = (0, 0);
    picture.wait_until("pictures of the bar are seen", |picture| {
        let is_bar = (0..WIDTH).any(|x| picture.at(x, 90)[0] > 200);
        seen += usize::from(is_bar);
        combs += if is_bar { teeth(picture) } else { 0 };
        seen >= 20
    });
    assert!(combs < 20 * seen, "{combs} teeth in {seen} pictures");
}

/// Serves the files of a folder.
fn serves_files(dir: &Path, port: u16) -> Program {
    let arguments = format!("-m http.server --bind 127.0.0.1 {port} --directory");
    Program::start("python3", &arguments, &[dir.to_str().unwrap()])
}

#[test]
fn a_playlist_shows_what_its_server_has_and_never_a_file_of_this_machine() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let red = dir.path().join("red.ts");
    let clip = format!(
        "-v error -f lavfi -i color=red:s=320x180:r=30 -f lavfi -i sine=f=440:r=48000,volume=4 \
         -t 20 {H264_AAC} -pix_fmt yuv420p -f mpegts"
    );
    Program::start("ffmpeg", &clip, &[red.to_str().unwrap()]).succeeds(SOON);
    let playlist = |segment: &str| {
        format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:20\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:20,\n{segment}\n\
             #EXT-X-ENDLIST\n"
        )
    };
    std::fs::write(dir.path().join("good.m3u8"), playlist("red.ts")).unwrap();
    let local = format!("file://{}", red.display());
    std::fs::write(dir.path().join("bad.m3u8"), playlist(&local)).unwrap();
    std::fs::write(dir.path().join("passwd.m3u8"), playlist("file:///etc/passwd")).unwrap();
    let port = free_port();
    let _server = serves_files(dir.path(), port);
    for name in ["bad", "passwd"] {
        let node = node(&format!("http://127.0.0.1:{port}/{name}.m3u8"), "");
        let mut picture = Watcher::of(&node.url("live/demo"));
        wait_until(SOON, "it is refused", || {
            (!events_of(&node, "input_lost").is_empty()).then_some(())
        });
        picture
            .wait_until("the programme goes on", |picture| !is_near(picture.at(160, 90), RED, 40));
        assert!(events_of(&node, "input_connected").is_empty(), "{name} was opened");
        drop(picture);
        node.signal("TERM");
        let ended = node.ended(SOON);
        assert!(!ended.err.contains("root:"), "{}", ended.err);
    }
    let node = node(&format!("http://127.0.0.1:{port}/good.m3u8"), "");
    let mut picture = Watcher::of(&node.url("live/demo"));
    let audio = Listener::of(&node.url("live/demo"));
    wait_for_both(&mut picture, &audio, "HLS");
}

#[test]
fn a_scene_over_the_api_shows_an_input_and_gives_no_secret_away() {
    let _turn = beside_others();
    let url = format!("udp://127.0.0.1:{}?localaddr=127.0.0.1&key=sec-ret", free_port());
    let node = Node::start(&Config::new().channel("demo").layer("color", "color = \"#ffffff\""));
    let mut picture = Watcher::of(&node.url("live/demo"));
    let _sender = sends(H264_AAC, "mpegts", url.split('?').next().unwrap());
    let layer = serde_json::json!({ "name": "in", "type": "network", "url": url });
    let scene = serde_json::json!({ "background": "#ffffff", "layer": [layer] });
    let (status, answer) = ask(&node, "PUT /channels/demo/scenes/main", &scene);
    assert!((200..300).contains(&status), "{status} {answer}");
    picture.wait_for("it is seen", RED);
    let (_, shown) = ask(&node, "GET /channels/demo/scenes/main", &serde_json::Value::Null);
    let shown = shown.to_string();
    assert!(shown.contains("key=***") && !shown.contains("sec-ret"), "{shown}");
    for bad in
        ["file:///etc/passwd", "concat:/etc/passwd|/etc/group", "srt://h:9?streamid={secret}"]
    {
        let layer = serde_json::json!({ "name": "in", "type": "network", "url": bad });
        let scene = serde_json::json!({ "layer": [layer] });
        let (status, answer) = ask(&node, "PUT /channels/demo/scenes/main", &scene);
        assert!(status == 400 || status == 422, "{status} {answer}");
        assert!(!answer.to_string().contains("passwd"), "{answer}");
    }
}
