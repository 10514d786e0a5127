//! Tests of the configuration file: values that it may hold, and the errors for all others.

use std::collections::HashMap;
use std::path::Path;

use super::text_file::FILE_BYTES_MAX;
use super::*;
use crate::audio;
use crate::media::{FrameRate, Size};
use crate::scene::{self, Length, Source};
use proptest::prelude::*;

fn faults(text: &str) -> Vec<Fault> {
    Config::parse(text, "node.toml").map(|_| ()).unwrap_err().faults
}

fn told(text: &str) -> String {
    Config::parse(text, "node.toml").map(|_| ()).unwrap_err().to_string()
}

#[test]
fn the_default_text_says_what_the_program_does_without_a_file() {
    let read = Config::parse(Config::default_text(), "default").unwrap();
    let mut wanted = Config::default();
    // Only a program that is not told has one all the same.
    wanted.node.data_dir = Some(wanted.node.data_dir().to_owned());
    assert_eq!(read, wanted);
}

#[test]
fn an_empty_file_is_a_server_without_channels() {
    assert_eq!(Config::parse("", "x").unwrap(), Config::empty());
}

#[test]
fn the_reference_configuration_is_what_the_system_is_specified_with() {
    let text = include_str!("../../examples/seed.toml");
    let config = Config::parse(text, "seed.toml").unwrap();
    let channel = &config.channels[0];
    assert_eq!(channel.size, Size::new(1920, 1080).unwrap());
    assert_eq!(channel.rate, FrameRate::new(60, 1).unwrap());
    let spec = channel.video_spec(2);
    assert_eq!((spec.bitrate_bps, spec.preset.as_str()), (6_000_000, "veryfast"));
    assert_eq!((spec.gop_frames, spec.threads, channel.queue_frames), (120, 2, 30));
    assert_eq!((config.rtmp.chunk_size, config.rtmp.port), (60_000, 1_935));
    assert!(config.rtmp.gop_cache);
    assert_eq!((config.rtmp.ping.millis(), config.rtmp.ping_timeout.millis()), (30_000, 60_000));
    assert_eq!(channel.outputs.len(), 1);
}

#[test]
fn an_encoder_is_named_or_the_best_that_works() {
    let encoder = |line: &str| {
        let text = format!("[[channel]]\nname = \"a\"\n[channel.video]\n{line}\n");
        Config::parse(&text, "x").map(|it| it.channels[0].video_spec(1).encoder)
    };
    assert_eq!(encoder("encoder = \"auto\"").unwrap(), None);
    assert_eq!(encoder("encoder = \"libx264\"").unwrap(), Some("libx264"));
    let text = encoder("encoder = \"nvidia\"").unwrap_err().to_string();
    assert!(text.contains("\"nvidia\" is not one of \"auto\", \"nvenc\""), "{text}");
}

#[test]
fn a_gpu_is_named_for_vaapi_alone() {
    let device = |lines: &str| {
        let text = format!("[[channel]]\nname = \"a\"\n[channel.video]\n{lines}\n");
        Config::parse(&text, "x").map(|it| it.channels[0].video_spec(1).device)
    };
    assert_eq!(device("device = \"\"").unwrap(), None);
    for encoder in ["auto", "vaapi"] {
        let lines = format!("encoder = \"{encoder}\"\ndevice = \"pci-0000:00:02.0\"");
        assert_eq!(device(&lines).unwrap().as_deref(), Some("pci-0000:00:02.0"));
    }
    for (lines, word) in [
        ("encoder = \"x264\"\ndevice = \"i915\"", "not for \"x264\""),
        ("device = \"a\\nb\"", "one line of at most 256 bytes"),
    ] {
        let error = device(lines).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn low_latency_is_a_tuning_a_short_queue_and_no_b_pictures() {
    let read = |keys: &str| {
        let text = format!("[[channel]]\nname = \"a\"\n[channel.video]\n{keys}\n");
        Config::parse(&text, "x").map(|it| it.channels.into_iter().next().unwrap())
    };
    for (keys, tune, queue) in [
        ("", "", 30),
        ("latency = \"normal\"", "", 30),
        ("latency = \"low\"", "zerolatency", 2),
        ("latency = \"low\"\ntune = \"zerolatency\"\nqueue_frames = 4", "zerolatency", 4),
        ("latency = \"low\"\ncodec = \"av1\"", "zerolatency", 2),
    ] {
        let channel = read(keys).unwrap();
        assert_eq!((&*channel.video_spec(2).tune, channel.queue_frames), (tune, queue), "{keys}");
        assert_eq!(channel.video_spec(2).b_frames, 0);
    }
    for (keys, word) in [
        ("latency = \"low\"\ntune = \"film\"", "leave `tune` out"),
        ("latency = \"low\"\nb_frames = 2", "`b_frames` must be 0"),
        ("latency = \"lowest\"", "\"normal\", \"low\""),
    ] {
        let error = read(keys).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn the_speed_is_the_governors_down_to_superfast_unless_another_limit_is_named() {
    let fastest = |keys: &str| {
        let text = format!("[[channel]]\nname = \"a\"\n[channel.video]\n{keys}\n");
        Config::parse(&text, "x").map(|it| it.channels[0].video_spec(1).fastest_preset)
    };
    let auto = |preset: &str| Some(preset.to_owned());
    assert_eq!(fastest("").unwrap(), auto("superfast"));
    assert_eq!(fastest("preset = \"slow\"\nfastest_preset = \"fast\"").unwrap(), auto("fast"));
    assert_eq!(fastest("preset = \"ultrafast\"").unwrap(), auto("superfast"));
    assert_eq!(fastest("speed = \"fixed\"").unwrap(), None);
    for (keys, word) in [
        ("speed = \"fixed\"\nfastest_preset = \"fast\"", "speed = \"auto\""),
        ("fastest_preset = \"medium\"", "slower than `preset = \"veryfast\"`"),
        ("preset = \"ultrafast\"\nfastest_preset = \"fast\"", "cannot leave"),
        ("fastest_preset = \"ultrafast\"", "is not one of \"superfast\""),
        ("speed = \"maximum\"", "is not one of \"auto\", \"fixed\""),
    ] {
        let error = fastest(keys).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_bitrate_is_taken_as_encoders_write_it_wherever_there_is_one() {
    for (written, bits) in [("300000", 300_000), ("\"300k\"", 300_000), ("\"0.3 Mb/s\"", 300_000)] {
        let text = format!(
            "[delivery]\nviewer_pace_bps = {written}\n[limits]\negress_max_bps = {written}\n\
             [[channel]]\nname = \"a\"\nvideo.bitrate = {written}\naudio.bitrate = {written}\n"
        );
        let config = Config::parse(&text, "x").unwrap();
        let audio = config.channels[0].audio.unwrap().bitrate_bps;
        let video = config.channels[0].bitrate_bps;
        let (pace, all) = (config.delivery.viewer_pace_bps, config.limits.egress_max_bps);
        assert_eq!([u64::from(video), u64::from(audio), pace, all], [bits; 4], "{written}");
    }
}

#[test]
fn what_is_no_bitrate_is_told_with_the_way_out() {
    for (written, words) in [
        ("6000", "did you mean \"6000k\"?"),
        ("\"6 MB/s\"", "B counts bytes; write bits per second, such as 6M"),
        ("\"300M\"", "`bitrate` must be 50000 to 200000000, not 300M"),
        ("true", "6000000 or \"6M\""),
        ("-1", "must be 50000 to 200000000, not -1"),
    ] {
        let text = format!("[[channel]]\nname=\"a\"\nvideo.bitrate={written}\n");
        let first = faults(&text).remove(0);
        assert_eq!((first.line, first.column), (3, 15), "{text}{}", first.text);
        assert!(first.text.contains(words), "{written}: {}", first.text);
    }
}

#[test]
fn congested_outputs_may_bring_a_bitrate_to_a_quarter_unless_more_is_said() {
    let range = |keys: &str| {
        let text = format!("[[channel]]\nname = \"a\"\n[channel.video]\n{keys}\n");
        let config = Config::parse(&text, "x").map_err(|faults| faults.to_string())?;
        Ok::<_, String>((config.channels[0].bitrate_min_bps, config.channels[0].bitrate_bps))
    };
    assert_eq!(range("bitrate = \"6M\"").unwrap(), (1_500_000, 6_000_000));
    assert_eq!(range("bitrate = \"6M\"\nbitrate_min = \"6M\"").unwrap(), (6_000_000, 6_000_000));
    let told = range("bitrate = \"3M\"\nbitrate_min = \"4M\"").unwrap_err();
    assert!(told.contains(":5:15") && told.contains("must not be more than `bitrate`"), "{told}");
}

#[test]
fn each_codec_has_its_own_words_and_its_own_profile_unless_one_is_named() {
    let spec = |keys: &str| {
        let text = format!("[[channel]]\nname = \"a\"\n[channel.video]\n{keys}\n");
        Config::parse(&text, "x").map(|it| it.channels[0].video_spec(1))
    };
    let profile = |keys: &str| spec(keys).unwrap().profile;
    assert_eq!(profile("codec = \"h264\""), "high");
    assert_eq!((profile("codec = \"hevc\""), profile("codec = \"av1\"")), Default::default());
    assert_eq!(profile("codec = \"hevc\"\nprofile = \"main\""), "main");
    assert_eq!(spec("codec = \"hevc\"\ntune = \"grain\"").unwrap().tune, "grain");
    for keys in [
        "codec = \"hevc\"\nprofile = \"high\"",
        "codec = \"hevc\"\ntune = \"film\"",
        "codec = \"av1\"\ntune = \"grain\"",
        "codec = \"av1\"\nb_frames = 1",
        "codec = \"vp9\"",
        "codec = \"hevc\"\nencoder = \"libx264\"",
    ] {
        assert!(spec(keys).is_err(), "{keys}");
    }
}

#[test]
fn every_mistake_is_told_with_its_place_and_the_way_out() {
    for (text, line, column, words) in [
        ("[rtmp]\nprot = 1\n", 2, 1, &["unknown key `prot` in [rtmp]", "`port`"][..]),
        ("[rtmp]\nport = 0\n", 2, 8, &["`port` must be 1 to 65535, not 0"]),
        ("[rtmp]\nport = \"x\"\n", 2, 8, &["`port` in [rtmp] must be a whole number, not string"]),
        ("[rtmp]\n  gop_cache = 1\n", 2, 15, &["true or false"]),
        ("[rtmpp]\n", 1, 2, &["unknown table `rtmpp`", "did you mean `rtmp`?"]),
        ("[rmtp]\nport = 1\n", 1, 2, &["unknown table `rmtp`", "did you mean `rtmp`?"]),
        ("[[psuh]]\n", 1, 3, &["unknown table `psuh`", "did you mean `push`?"]),
        ("[rtmp]\npublish = \"open\"\n", 2, 11, &["anybody", "127.0.0.1"]),
        ("[rtmp]\nping = 60\n", 2, 8, &["`ping_timeout` (60) must be more than `ping` (60)"]),
        ("[delivery]\nlag_low_ms = 2000\n", 2, 14, &["(2000) must be less", "(1000)"]),
        ("[delivery]\nviewer_pace_percent = 50\n", 2, 23, &["110 to 10000, not 50"]),
        ("[limits]\negress_max_bps = -1\n", 2, 18, &["must be 0 to 1000000000000, not -1"]),
        ("[limits]\nbuffer_bytes_max = 1\n", 2, 20, &["1048576 to 25165824"]),
        ("[limits]\nidle_timeout = 0\n", 2, 16, &["must be 1 to 86400"]),
        ("[delivery]\nstart = \"now\"\n", 2, 9, &["\"keyframe\", \"live\""]),
        ("[delivery]\ncors = \"example.org\"\n", 2, 8, &["same-host", "https://example.org"]),
        ("[node]\nlog = \"a=b=c\"\n", 2, 7, &["error, warn, info, debug"]),
        ("[node]\nname = \"\"\n", 2, 8, &["1 to 64 letters"]),
        ("[node]\ndata_dir = \"\"\n", 2, 12, &["\"./data\""]),
        ("node = 1\n", 1, 8, &["a table: write [node], not integer"]),
        ("[channel]\nname = \"a\"\n", 1, 1, &["write [[channel]], not table"]),
        ("[cores]\nnet = [0, 1, 0]\n", 2, 14, &["CPU 0 is there twice"]),
        ("[cores]\nnet = []\n", 2, 7, &["\"auto\" or a list", "not an empty list"]),
        ("[cores]\nnet = [\"a\"]\n", 2, 8, &["a CPU is a whole number"]),
        ("[cores]\nnet_spin_us = 1000001\n", 2, 15, &["0 to 1000000"]),
        ("[cores]\ndriver = \"uring\"\n", 2, 10, &["\"auto\"", "\"epoll\""]),
        ("[[channel]]\n", 1, 1, &["[[channel]] needs `name`"]),
        ("[[channel]]\nname=\"a\"\nstream=\"../x\"\n", 3, 8, &["is not a stream name"]),
        ("[[channel]]\nname=\"a\"\nvideo.fps=\"0/1\"\n", 3, 11, &["`fps` must be 1 to 240"]),
        ("[[channel]]\nname=\"a\"\nvideo.width=321\n", 3, 13, &["must be even", "320 or 322"]),
        ("[[channel]]\nname=\"a\"\nvideo.fps=29.97\n", 3, 11, &["\"30000/1001\""]),
        ("[[channel]]\nname=\"a\"\nvideo.bitrat=1\n", 3, 7, &["did you mean `bitrate`?"]),
        ("[[channel]]\nname=\"a\"\nvideo.preset=\"quick\"\n", 3, 14, &["\"veryfast\""]),
        (
            "[[channel]]\nname=\"a\"\nvideo.preset=\"veryfst\"\n",
            3,
            14,
            &["did you mean \"veryfast\"?"],
        ),
        (
            "[[channel]]\nname=\"a\"\nvideo={profile=\"baseline\", b_frames=2}\n",
            3,
            37,
            &["`b_frames` must be 0"],
        ),
        (
            "[[channel]]\nname=\"a\"\nvideo.threads=\"all\"\n",
            3,
            15,
            &["\"auto\" or a whole number, 1 to 64, not string"],
        ),
        ("[[channel]]\nname=\"a\"\nvideo.pool_frames=3\n", 3, 19, &["must be 4 to 1024, not 3"]),
        ("[[channel]]\nname=\"a b\"\n", 2, 6, &["makes no stream name; give `stream`"]),
        ("[[channel]]\nname=\"a\\u0000\"\n", 2, 6, &["\"a\\0\" is not a name"]),
        ("[[channel]]\nname=\"a\"\nscene=\"dmo\"\n", 3, 7, &["did you mean \"demo\"?"]),
        (
            "[[channel]]\nname=\"a\"\nscene=\"demo\"\nbackground=\"#ffffff\"\n",
            4,
            12,
            &["`background` goes with [[channel.layer]]"],
        ),
        ("a = [\n", 1, 6, &["node.toml:1:6", "unclosed array"]),
    ] {
        let first = faults(text).remove(0);
        assert_eq!((first.line, first.column), (line, column), "{text}{}", first.text);
        for word in words {
            assert!(told(text).contains(word), "no {word:?} in {}", told(text));
        }
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text =
        "[[channel]]\nname = 1\nstrem = \"live/a\"\n[channel.video]\nfps = 0\n[rtmp]\nport = 0\n";
    let lines: Vec<_> = faults(text).iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [2, 3, 5, 7]);
    let broken = faults("[rtmp]\nport = = 1\n[http]\nport = ]\n");
    let lines: Vec<_> = broken.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [2, 4]);
    let many: String = (0..25).map(|n| format!("unheard_of_{n} = 1\n")).collect();
    assert!(told(&many).ends_with("node.toml: 15 more after these"), "{}", told(&many));
}

#[test]
fn names_that_must_differ_are_told_with_both_places() {
    let text = "[[channel]]\nname=\"a\"\n[[channel]]\nname=\"a\"\nstream=\"live/b\"\n";
    assert!(
        told(text).contains("node.toml:4:6: a channel with the name \"a\" is already at line 2")
    );
    let text = "[[channel]]\nname=\"a\"\n[[channel]]\nname=\"b\"\nstream=\"live/a\"\n";
    assert!(
        told(text).contains("node.toml:5:8: a channel with the stream \"live/a\" is already at")
    );
    assert!(told(text).contains("line 2"), "{}", told(text));
    for table in ["layer", "audio_source", "output"] {
        let one = format!("[[channel.{table}]]\nname=\"n\"\ntype=\"flash\"\n");
        let text = format!("[[channel]]\nname=\"a\"\n{one}{one}");
        assert!(told(&text).contains("the name \"n\" is already at line 4"), "{}", told(&text));
    }
}

#[test]
fn two_listeners_on_one_port_are_told_with_both_places() {
    let text = "[rtmp]\nport = 8080\n[http]\nport = 8080\n";
    let words = "node.toml:4:8: `port` 8080 of [http] is also that of [rtmp] at line 2";
    assert!(told(text).contains(words), "{}", told(text));
    let words = "node.toml:2:8: `port` 8080 of [rtmp] is also that of [http] by default";
    assert!(told("[rtmp]\nport = 8080\n").contains(words));
    let words = "node.toml:2:8: `port` 1935 of [http] is also that of [rtmp] by default";
    assert!(told("[http]\nport = 1935\n").contains(words));
    for fine in
        ["[http]\nport = 1935\nenabled = false\n", "[rtmp]\nport = 8080\nbind = \"127.0.0.2\"\n"]
    {
        assert!(Config::parse(fine, "x").is_ok(), "{fine}");
    }
}

#[test]
fn a_scene_is_either_the_built_in_one_or_a_list_of_layers() {
    let text = "[[channel]]\nname=\"a\"\nscene=\"demo\"\n[[channel.layer]]\n\
                name=\"l\"\ntype=\"flash\"\n";
    assert!(told(text).contains("node.toml:3:7: `scene` and the [[channel.layer]] at line 4"));
    let audio_sources =
        |text: &str| Config::parse(text, "x").unwrap().channels[0].audio_sources.len();
    assert_eq!(audio_sources("[[channel]]\nname=\"a\"\n"), 2);
    assert_eq!(audio_sources("[[channel]]\nname=\"a\"\nbackground=\"#000000\"\n"), 0);
}

#[test]
fn there_is_an_end_to_channels_layers_audio_sources_and_outputs() {
    let tables = |head: &str, count: usize, more: &str| -> String {
        (0..count).map(|n| format!("{head}\nname=\"n{n}\"\n{more}\n")).collect()
    };
    let channel = "[[channel]]\nname=\"a\"\n";
    for (head, most, more) in [
        ("[[channel]]", 16, ""),
        ("[[channel.layer]]", scene::LAYERS_MAX, "type=\"flash\""),
        ("[[channel.audio_source]]", audio::INPUTS_MAX, "type=\"bed\""),
        ("[[channel.output]]", 64, "url=\"rtmp://host/live/a\""),
    ] {
        let before = if head == "[[channel]]" { "" } else { channel };
        let fits = format!("{before}{}", tables(head, most, more));
        assert!(Config::parse(&fits, "x").is_ok(), "{head}");
        let text = format!("{before}{}", tables(head, most + 1, more));
        let lines: Vec<_> = text.lines().collect();
        let last = lines.iter().rposition(|line| *line == head).unwrap() + 1;
        let told = told(&text);
        assert!(told.contains(&format!("node.toml:{last}:1: ")), "{told}");
        assert!(told.contains(&format!("at most {most}")), "{told}");
    }
}

#[test]
fn a_missing_file_is_no_fault_of_the_text() {
    let head = "[[channel]]\nname=\"a\"\n[[channel.layer]]\nname=\"l\"\n";
    for (kind, key, path) in [
        ("image", "path", "/no/such.png"),
        ("video", "path", "/no/such.mp4"),
        ("clock", "font", "/no/such/font"),
        ("clock", "font", "such.TTF"),
    ] {
        let text = format!("{head}type=\"{kind}\"\n{key}=\"{path}\"\n");
        assert!(Config::parse(&text, "x").is_ok(), "{}", told(&text));
        let empty = format!("{head}type=\"{kind}\"\n{key}=\"\"\n");
        assert!(told(&empty).contains("empty; name a"), "{}", told(&empty));
    }
    let family = format!("{head}type=\"clock\"\nfont=\"Inter\"\n");
    assert!(Config::parse(&family, "x").is_ok());
}

#[test]
fn a_configuration_that_cannot_be_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.toml");
    let told = |path: &Path| Config::load(path).map(|_| ()).unwrap_err().to_string();
    assert!(told(&file).contains("node.toml: cannot be read: No such file"), "{}", told(&file));
    assert!(told(dir.path()).contains("cannot be read"), "{}", told(dir.path()));
    std::fs::write(&file, b"[node]\nname = \"\xff\"\n").unwrap();
    assert!(told(&file).contains("node.toml: line 2 is not UTF-8"), "{}", told(&file));
    std::fs::write(&file, vec![b'#'; FILE_BYTES_MAX + 1]).unwrap();
    assert!(told(&file).contains("larger than 1 MiB"), "{}", told(&file));
    std::fs::write(&file, vec![b'#'; FILE_BYTES_MAX]).unwrap();
    assert!(Config::load(&file).unwrap().is_same(&Config::empty()));
}

#[test]
fn an_option_of_another_type_is_told_with_the_type() {
    let text = "[[channel]]\nname=\"a\"\n[[channel.layer]]\nname=\"l\"\ntype=\"color\"\n\
                text=\"Hello\"\n[[channel.audio_source]]\nname=\"s\"\ntype=\"bed\"\nhz=440\n";
    let told = told(text);
    assert!(told.contains("unknown key `text` in [[channel.layer]] of type \"color\""), "{told}");
    assert!(
        told.contains("unknown key `hz` in [[channel.audio_source]] of type \"bed\""),
        "{told}"
    );
}

#[test]
fn numbers_may_be_written_in_every_way_of_toml() {
    let text = "[rtmp]\nchunk_size = 60_000\nport = 0x790\n[[channel]]\nname = \"a\"\n\
                [channel.video]\nfps = 0b11110\n[[channel.audio_source]]\nname = \"s\"\n\
                type = \"bed\"\ngain_db = -0.5e1\n";
    let config = Config::parse(text, "x").unwrap();
    assert_eq!((config.rtmp.chunk_size, config.rtmp.port), (60_000, 1_936));
    assert_eq!(config.channels[0].rate, FrameRate::FPS_30);
    assert!((config.channels[0].audio_sources[0].gain_db + 5.0).abs() < 1e-6);
}

#[test]
fn layers_and_audio_sources_become_a_scene_and_a_mix() {
    let text = r##"
        [[channel]]
        name = "show"
        background = "#102030"
        [[channel.layer]]
        name = "title"
        type = "text"
        text = "Hello"
        x = 10
        y = -4
        width = 300
        height = 40
        alpha = 0.5
        z = 3
        [[channel.audio_source]]
        name = "tone"
        type = "tone"
        hz = 1000
        gain_db = -6
    "##;
    let config = Config::parse(text, "x").unwrap();
    let channel = &config.channels[0];
    assert_eq!(channel.stream, "live/show");
    let layer = &channel.scene().layers[0];
    assert_eq!((layer.place.y, layer.alpha, layer.z), (Length::Pixels(-4), 128, 3));
    assert!(matches!(&layer.source, Source::Text { text, .. } if text == "Hello"));
    assert_eq!(channel.audio_sources[0].source, audio::Source::Tone(1_000.0));
    assert_eq!(channel.scene().background, scene::Color { r: 16, g: 32, b: 48, a: 255 });
}

fn scene_names(text: &str) -> (Vec<String>, usize) {
    let mut config = Config::parse(text, "x").unwrap();
    let channel = config.channels.remove(0);
    (channel.scenes.into_iter().map(|named| named.name).collect(), channel.active)
}

#[test]
fn a_channel_has_the_built_in_scenes_its_own_layers_or_named_scenes() {
    let channel = "[[channel]]\nname=\"a\"\n";
    let main = "[[channel.layer]]\nname=\"l\"\ntype=\"flash\"\n";
    let named = |name: &str| format!("[[channel.scene]]\nname=\"{name}\"\n{}", scene_layer());
    let (b, c) = (named("b"), named("c"));
    for (text, names, active) in [
        (channel.to_owned(), vec!["main", "starting", "live"], 0),
        (
            format!("{channel}active=\"live\"\nscene=\"demo\"\n"),
            vec!["main", "starting", "live"],
            2,
        ),
        (format!("{channel}{main}"), vec!["main"], 0),
        (format!("{channel}background=\"#112233\"\n{b}"), vec!["main", "b"], 0),
        (format!("{channel}active=\"c\"\n{main}{b}{c}"), vec!["main", "b", "c"], 2),
        (format!("{channel}{c}{b}"), vec!["c", "b"], 0),
    ] {
        let (found, at) = scene_names(&text);
        assert_eq!((found, at), (names.into_iter().map(str::to_owned).collect(), active), "{text}");
    }
    let config = Config::parse(&format!("{channel}active=\"b\"\n{main}{b}"), "x").unwrap();
    assert_eq!(config.channels[0].scene(), &config.channels[0].scenes[1].scene);
    assert!(
        config.channels[0].audio_sources.is_empty(),
        "the built-in audio_sources are the built-in scenes'"
    );
}

fn scene_layer() -> &'static str {
    "background=\"#102030\"\n[[channel.scene.layer]]\nname=\"l\"\ntype=\"clock\"\n"
}

#[test]
fn mistakes_in_scenes_are_told() {
    let channel = "[[channel]]\nname=\"a\"\n";
    let scene = "[[channel.scene]]\nname=\"b\"\n";
    let main = "[[channel.layer]]\nname=\"l\"\ntype=\"flash\"\n";
    let many: String = (0..33).map(|n| format!("[[channel.scene]]\nname=\"s{n}\"\n")).collect();
    for (text, expect) in [
        (
            format!("{channel}active=\"c\"\n{scene}"),
            "\"c\" is no scene of this channel; it has \"b\"",
        ),
        (
            format!("{channel}{scene}{scene}"),
            "6:6: a scene with the name \"b\" is already at line 4",
        ),
        (format!("{channel}{main}[[channel.scene]]\nname=\"main\"\n"), "name \"main\" is already"),
        (format!("{channel}[[channel.scene]]\n"), "[[channel.scene]] needs `name`"),
        (format!("{channel}{scene}[[channel.scene.layer]]\nname=\"q\"\n"), "needs `type`"),
        (format!("{channel}scene=[3]\n"), "write [[channel.scene]]"),
        (format!("{channel}{many}"), "a channel has at most 32 scenes"),
    ] {
        assert!(told(&text).contains(expect), "{expect}: {}", told(&text));
    }
}

#[test]
fn the_key_of_an_output_is_in_no_message() {
    let output = "[[channel]]\nname=\"a\"\n[[channel.output]]\nname=\"o\"\n";
    let secret = "rtmp://host/live/s3cret";
    for text in [
        format!("{output}url=\"http://host/live/s3cret\"\nenabled=3\n"),
        format!("{output}url=\"{secret}\"\nenabled=3\n"),
        format!("{output}url=\"{secret}\n"),
        format!("{output}url={secret}\n"),
        format!("{output}url=[\"{secret}\"]\n"),
        format!("{output}name=\"o\"\nurl=\"{secret}\"\nurl=\"{secret}\"\n"),
        format!("{output}url=\"{secret}\"\n\"{secret}\"=1\n"),
        // The right address in the wrong place.
        format!("[[channel]]\nname=\"a\"\nstream=\"{secret}\"\n"),
        "[[channel]]\nname=\"a\"\nstream=\"live/a?key=s3cret\"\n".to_owned(),
        format!("[[channel]]\nname=\"{secret}\"\n"),
        format!("[[channel]]\nname=\"a\"\nscene=\"{secret}\"\n"),
        format!("[[channel]]\nname=\"a\"\nbackground=\"{secret}\"\n"),
        format!("[[channel.layer]]\nname=\"a\"\ntype=\"video\"\npath=\"{secret}\"\n"),
        format!(
            "{output}url=\"{secret}\"\n[[channel.layer]]\nname=\"v\"\ntype=\"video\"\n\
                 path=\"{secret}\"\n"
        ),
        format!(
            "{output}url=\"{secret}\"\n[[channel.layer]]\nname=\"v\"\ntype=\"clock\"\n\
                 font=\"{secret}\"\n"
        ),
        format!("[node]\nlog=\"{secret}=\"\n[rtmp]\nbind=\"{secret}\"\n"),
    ] {
        assert!(!told(&text).contains("s3cret"), "{}", told(&text));
    }
    let good = format!("{output}url=\"{secret}\"\n");
    let config = Config::parse(&good, "x").unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
}

/// The lines below each heading, examples included, of a TOML text or of the documentation.
fn tables(text: &str) -> HashMap<&str, Vec<&str>> {
    let mut tables: HashMap<_, Vec<_>> = HashMap::new();
    let mut heading = "";
    for line in text.lines() {
        let bare = line.trim_start_matches(['#', ' ', '`']);
        if bare.starts_with('[') {
            heading = bare.split([' ', '`']).next().unwrap();
        }
        tables.entry(heading).or_default().push(bare);
    }
    tables
}

/// Tables of the node itself.
const TABLES: [&str; 10] = [
    "[node]",
    "[rtmp]",
    "[http]",
    "[obs_websocket]",
    "[cores]",
    "[delivery]",
    "[metrics]",
    "[assets]",
    "[clips]",
    "[journal]",
];

/// Keys that stand for tables, which are asked for by themselves.
const SUBTABLES: [&str; 10] = [
    "video",
    "audio",
    "schedule",
    "layer",
    "overlay",
    "audio_source",
    "input_rule",
    "output",
    "multitrack",
    "token",
];

/// Every table with every key that the program asks for, from what it says about a wrong one.
fn known_keys() -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let wrong = "an_unheard_of_key = 1\n";
    let mut ask = |heading: &'static str, text: String| {
        let told = told(&text);
        let line = told.lines().find(|line| line.contains("an_unheard_of_key")).unwrap();
        let (_, known) = line.split_once("it knows ").unwrap();
        found.extend(known.split(", ").map(|key| (heading, key.trim_matches('`').to_owned())));
    };
    for heading in TABLES {
        ask(heading, format!("{heading}\n{wrong}"));
    }
    let channel = "[[channel]]\nname=\"a\"\n";
    ask("[[channel]]", format!("{channel}{wrong}"));
    for heading in [
        "[channel.video]",
        "[channel.audio]",
        "[channel.schedule]",
        "[[channel.rendition]]",
        "[[channel.multitrack]]",
        "[[channel.scene]]",
        "[[channel.output]]",
        "[[channel.input_rule]]",
    ] {
        ask(heading, format!("{channel}{heading}\n{wrong}"));
    }
    let transcode = "[[transcode]]\nstream=\"a/b\"\n";
    ask("[[transcode]]", format!("{transcode}bridge=true\n{wrong}"));
    for heading in ["[transcode.audio]", "[[transcode.rendition]]"] {
        ask(heading, format!("{transcode}{heading}\n{wrong}"));
    }
    ask("[[stream]]", format!("[[stream]]\nname=\"a/b\"\n{wrong}"));
    for heading in ["[[push]]", "[[pull]]", "[[record]]", "[[hook]]", "[[http.token]]"] {
        ask(heading, format!("{heading}\n{wrong}"));
    }
    for kind in [
        "color",
        "gradient",
        "image",
        "text",
        "ticker",
        "clock",
        "countdown",
        "count-up",
        "spinner",
        "video",
        "playlist",
        "live",
        "network",
        "scene",
    ] {
        let heading = "[[channel.layer]]";
        ask(heading, format!("{channel}{heading}\ntype=\"{kind}\"\n{wrong}"));
    }
    for kind in ["bed", "tone", "beep", "video", "playlist", "live", "network"] {
        let heading = "[[channel.audio_source]]";
        ask(heading, format!("{channel}{heading}\ntype=\"{kind}\"\n{wrong}"));
    }
    let is_table = |heading: &str, key: &str| {
        SUBTABLES.contains(&key) || (key == "rendition" && heading != "[[channel.output]]")
    };
    found.retain(|(heading, key)| !is_table(heading, key));
    found
}

#[test]
fn the_default_text_and_the_documentation_name_every_key_under_its_table() {
    let keys = known_keys();
    assert!(keys.len() > 60, "only {} keys", keys.len());
    let texts = tables(Config::default_text());
    let docs = tables(include_str!("../../docs/configuration.md"));
    for (heading, key) in keys {
        assert!(texts.contains_key(heading), "default.toml lacks {heading}");
        assert!(docs.contains_key(heading), "configuration.md lacks {heading}");
        let named = texts[heading].iter().any(|line| line.starts_with(&format!("{key} = ")));
        assert!(named, "default.toml lacks `{key}` in {heading}");
        let named = docs[heading].iter().any(|line| line.starts_with(&format!("| `{key}` |")));
        assert!(named, "configuration.md lacks `{key}` in {heading}");
    }
}

#[test]
fn the_documentation_gives_the_defaults_of_the_default_text() {
    let docs = tables(include_str!("../../docs/configuration.md"));
    let mut heading = "";
    for line in Config::default_text().lines() {
        if line.starts_with('[') {
            heading = line.split(' ').next().unwrap();
        }
        let single = heading.starts_with('[') && !heading.starts_with("[[");
        let is_key = single && !line.starts_with('#');
        let Some((key, rest)) = line.split_once(" = ").filter(|_| is_key) else { continue };
        let value = rest.split(" #").next().unwrap().trim();
        let row = docs[heading].iter().find(|line| line.starts_with(&format!("| `{key}` |")));
        let row = row.unwrap_or_else(|| panic!("configuration.md lacks `{key}` in {heading}"));
        assert!(row.ends_with(&format!("| `{value}` |")), "default of `{key}`: {row}");
    }
}

#[test]
fn whatever_stands_at_a_key_is_understood_or_told_at_its_place() {
    let text = Config::default_text();
    let mut checked = 0;
    for (number, line) in text.lines().enumerate() {
        let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else {
            continue;
        };
        for value in [
            "\"\"",
            "\"x\"",
            "true",
            "-1",
            "0",
            "3",
            "0xff",
            "9223372036854775807",
            "1e400",
            "nan",
            "-inf",
            "[]",
            "[0]",
            "[[]]",
            "{}",
            "{ a = 1 }",
            "1979-05-27",
            "99999999999999999999",
        ] {
            let with = format!("{key} = {value}");
            let changed: Vec<_> = text
                .lines()
                .enumerate()
                .map(|(at, line)| if at == number { with.as_str() } else { line })
                .collect();
            if let Err(errors) = Config::parse(&changed.join("\n"), "x") {
                // A contradiction of two keys stands at one of them and names both.
                let named = format!("`{}`", key.trim());
                let here = |fault: &Fault| fault.line == number + 1 || fault.text.contains(&named);
                assert!(errors.faults.iter().any(here), "{with}: {errors}");
            }
            checked += 1;
        }
    }
    assert!(checked > 500, "{checked}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        drop(Config::parse(&text, "x"));
    }

    #[test]
    fn no_change_of_the_default_text_makes_it_panic(at in 0_usize..9_000, with in "\\PC{0,3}") {
        let mut text: Vec<char> = Config::default_text().chars().collect();
        let at = at % text.len();
        text.splice(at..(at + 5).min(text.len()), with.chars());
        drop(Config::parse(&text.into_iter().collect::<String>(), "x"));
    }

    #[test]
    fn no_pile_of_lines_makes_it_panic(picks in prop::collection::vec(0_usize..200, 0..60)) {
        let lines: Vec<_> = Config::default_text().lines().collect();
        let pick = |n: &usize| lines[n % lines.len()].trim_start_matches("# ");
        let text: Vec<_> = picks.iter().map(pick).collect();
        drop(Config::parse(&text.join("\n"), "x"));
    }
}

/// What is wrong with a layer, or nothing.
fn layer_fault(keys: &str) -> Option<String> {
    let text = format!("[[channel]]\nname = \"c\"\n[[channel.layer]]\nname = \"l\"\n{keys}\n");
    Config::parse(&text, "x").err().map(|error| error.to_string())
}

#[test]
fn pictures_that_move_are_turned_by_quarters_and_others_by_any_angle() {
    let video = "type = \"video\"\npath = \"a.mp4\"";
    for degrees in ["0", "90", "-90", "180", "270.0", "-360"] {
        let keys = format!("{video}\nrotation = {degrees}\nflip = \"both\"");
        assert_eq!(layer_fault(&keys), None, "{degrees}");
    }
    for other in [
        "live\"\nstream = \"live/a",
        "network\"\nurl = \"udp://127.0.0.1:9",
        "frames\"\nsocket = \"/run/a",
    ] {
        let keys = format!("type = \"{other}\"\nrotation = 90\nflip = \"horizontal\"");
        assert_eq!(layer_fault(&keys), None, "{other}");
    }
    let told = layer_fault(&format!("{video}\nrotation = 45")).unwrap();
    let wanted = "`rotation`: pictures that move are turned by 0, 90, 180 or 270 degrees";
    assert!(told.contains("x:7:") && told.contains(wanted), "{told}");
    assert_eq!(layer_fault("type = \"logo\"\nrotation = 45"), None);
    let told = layer_fault("type = \"spinner\"\nrotation = 90").unwrap();
    assert!(told.contains("unknown key `rotation`"), "{told}");
}

#[test]
fn a_part_of_a_video_has_its_end_behind_its_begin() {
    let fault = |keys: &str| layer_fault(&format!("type = \"video\"\npath = \"a.mp4\"\n{keys}"));
    for keys in ["", "loop = false\nat_end = \"hide\"", "start_ms = 5", "start_ms = 5\nend_ms = 6"]
    {
        assert_eq!(fault(keys), None, "{keys}");
    }
    for keys in ["start_ms = 5\nend_ms = 5", "start_ms = 9\nend_ms = 5"] {
        let told = fault(keys).unwrap();
        assert!(told.contains("`end_ms` is not after `start_ms`"), "{told}");
    }
    for keys in ["end_ms = 0", "start_ms = -1", "end_ms = 86400001", "at_end = \"loop\""] {
        let key = keys.split(' ').next().unwrap();
        let told = fault(keys).unwrap();
        assert!(told.contains(key), "{told}");
    }
}
