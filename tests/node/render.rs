//! Offline rendering by `stream-manager render`: its files, as other programs read them.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::program::{Ended, Program};
use crate::wait::{SOON, beside_others};

/// A programme of 30 fps with a video and its audio, a text that moves nothing, and a clock.
fn config(dir: &Path) -> String {
    let video = dir.join("clip.mp4");
    let made = "-v error -f lavfi -i testsrc2=s=160x90:r=25:d=2 -f lavfi -i sine=440:d=2 -c:v \
                libx264 -c:a aac";
    Program::start("ffmpeg", made, &["-y", video.to_str().unwrap()]).succeeds(SOON);
    let text = format!(
        "[[channel]]\nname = \"show\"\nstream = \"live/show\"\n\
         background = \"#204060\"\n\
         [channel.video]\nwidth = 320\nheight = 180\nfps = 30\n\
         [[channel.layer]]\nname = \"clip\"\ntype = \"video\"\npath = {video:?}\nwidth = 160\n\
         height = 90\n\
         [[channel.layer]]\nname = \"time\"\ntype = \"clock\"\nx = 160\ny = 90\nwidth = 160\n\
         height = 40\nz = 1\n\
         [[channel.audio_source]]\nname = \"clip\"\ntype = \"video\"\npath = {video:?}\n\
         [[channel.scene]]\nname = \"red\"\nbackground = \"#ff0000\"\n\
         [[channel.scene.layer]]\nname = \"gone\"\ntype = \"image\"\npath = {gone:?}\nwidth = 64\n\
         height = 64\n",
        gone = dir.join("gone.png"),
    );
    let file = dir.join("show.toml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

fn render(config: &str, arguments: &str, out: &Path) -> Ended {
    let program = env!("CARGO_BIN_EXE_stream-manager");
    let arguments = format!("render {arguments} --config");
    let last = [config, "--out", out.to_str().unwrap()];
    Program::start(program, &arguments, &last).ended(SOON)
}

/// What ffprobe says of each entry of a file, one line each.
fn probe(file: &Path, entries: &str) -> Vec<String> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-count_packets", "-of", "csv=p=0", "-show_entries", entries]);
    let ended = Program::spawn("ffprobe", {
        command.arg(file);
        command
    })
    .ended(SOON);
    assert!(ended.status.success(), "{}", ended.err);
    String::from_utf8(ended.out).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_same_configuration_gives_the_same_frames_each_time() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let config = config(dir.path());
    let [first, second] = ["a.y4m", "b.y4m"].map(|name| dir.path().join(name));
    let ended = render(&config, "--frames 75 --clock 86399", &first);
    assert!(ended.status.success(), "{}", ended.err);
    assert!(ended.err.contains("75 frames of 320x180 at 30 fps: channel show"), "{}", ended.err);
    render(&config, "--frames 75 --clock 86399 --redraw", &second);
    let bytes = std::fs::read(&first).unwrap();
    assert!(bytes == std::fs::read(&second).unwrap(), "damage tracking changes nothing");
    assert_eq!(probe(&first, "stream=width,height,r_frame_rate,nb_read_packets").len(), 1);
    let frames = probe(&first, "stream=nb_read_packets");
    assert_eq!(frames, ["75"]);
    // The clip of 25 fps shows another picture in five of six frames, the clock in each.
    let frame = 320 * 180 * 3 / 2 + "FRAME\n".len();
    let frames: Vec<_> = bytes[bytes.len() - 75 * frame..].chunks(frame).collect();
    let corner = |frame: &[u8]| {
        frame[6..].chunks(320).take(90).flat_map(|row| row[..160].to_vec()).collect::<Vec<_>>()
    };
    let changes = frames.windows(2).filter(|pair| corner(pair[0]) != corner(pair[1])).count();
    assert!((60..=64).contains(&changes), "{changes} of 74");
}

#[test]
fn an_encoded_file_has_every_frame_and_its_audio_in_step() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let config = config(dir.path());
    for name in ["show.mkv", "show.mp4"] {
        let file = dir.path().join(name);
        let ended = render(&config, "--frames 90", &file);
        assert!(ended.status.success(), "{}", ended.err);
        let streams = probe(&file, "stream=codec_name,avg_frame_rate,nb_read_packets");
        assert_eq!(streams[0], "h264,30/1,90", "{name}");
        assert!(streams[1].starts_with("aac"), "{streams:?}");
        for start in probe(&file, "stream=start_time") {
            assert!(start.parse::<f64>().unwrap().abs() < 0.05, "{name} begins at {start}");
        }
        let lengths = probe(&file, "format=duration");
        assert!((lengths[0].parse::<f64>().unwrap() - 3.0).abs() < 0.07, "{lengths:?}");
    }
}

#[test]
fn a_scene_is_shown_as_an_image_with_a_placeholder_for_what_is_missing() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let config = config(dir.path());
    let file = dir.path().join("red.png");
    let ended = render(&config, "--scene red", &file);
    assert!(ended.status.success(), "{}", ended.err);
    assert!(ended.err.contains("warning: ") && ended.err.contains("\"gone\""), "{}", ended.err);
    let image = image::open(&file).unwrap().to_rgb8();
    assert_eq!(image.dimensions(), (320, 180));
    let [r, g, b] = image.get_pixel(300, 100).0;
    assert!(r > 250 && g < 5 && b < 5, "{r} {g} {b}");
    assert_ne!(image.get_pixel(32, 32).0, [r, g, b], "a placeholder");
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let config = config(dir.path());
    for (arguments, out, told) in [
        ("--scene blue", "a.png", "it has: main, red"),
        ("--channel other", "a.png", "there are: show"),
        ("", "a.avi", ".y4m, .png, .mkv, .mp4 or .mov"),
        ("", "no/folder/a.y4m", "cannot write"),
        ("", "no/folder/a.mkv", "cannot write"),
        ("", "no/folder/a.png", "cannot write"),
    ] {
        let ended = render(&config, arguments, &dir.path().join(out));
        assert!(!ended.status.success() && ended.err.contains(told), "{}", ended.err);
    }
}
