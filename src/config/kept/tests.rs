//! Tests of the kept state: it stands above the file, and comes back from its own text.

use super::*;
use crate::media::{Micros, Size};
use crate::rtmp::Url;
use crate::scene::{Layer, Scene, Source, demo};

const FILE: &str = "[node]\nname = \"n\"\n[[channel]]\nname = \"a\"\n\
    [[channel.layer]]\nname = \"t\"\ntype = \"test-card\"\n\
    [[channel.output]]\nname = \"cdn\"\nurl = \"rtmp://h/app/s3cret\"\n\
    [[channel]]\nname = \"demo\"\n\
    [[push]]\nname = \"p\"\nstream = \"live/x\"\nurl = \"rtmp://h/app/s3cret\"\n";

fn file() -> Config {
    Config::parse(FILE, "file").unwrap()
}

fn output(name: &str) -> OutputConfig {
    OutputConfig::to(name, Url::parse("rtmp://me:pa%40ss@h/app/s3cret?q=1").unwrap())
}

fn added(name: &str) -> Becomes {
    Becomes::Output("a".to_owned(), output(name))
}

fn gone(name: &str) -> Becomes {
    Becomes::Gone(Part::Output("a".to_owned(), name.to_owned()))
}

fn scene(name: &str) -> NamedScene {
    let background = demo::scenes(Size::HD720)[0].1.background;
    let scene = Scene { background, layers: Vec::new(), transition: None };
    NamedScene { name: name.to_owned(), scene }
}

fn names(config: &Config) -> Vec<&str> {
    config.channels[0].outputs.iter().map(|output| output.name.as_str()).collect()
}

#[test]
fn changes_stand_above_the_file_and_come_back_from_their_text() {
    let file = file();
    let mut kept = Kept::default();
    let pull = Config::parse(
        "[[pull]]\nname=\"i\"\nstream=\"live/i\"\nurl=\"rtmp://h/a/b\"\n\
         [[record]]\nname=\"r\"\nstream=\"live/i\"\ndir=\"./r\"\n",
        "x",
    )
    .unwrap();
    let off = OutputConfig { enabled: false, ..file.channels[0].outputs[0].clone() };
    for change in [
        added("new"),
        Becomes::Output("a".to_owned(), off),
        Becomes::Gone(Part::Push("p".to_owned())),
        Becomes::Pull(pull.pulls[0].clone()),
        Becomes::Record(pull.records[0].clone()),
        Becomes::Scene("a".to_owned(), scene("break")),
        Becomes::OnAir("a".to_owned(), "break".to_owned()),
        Becomes::Transition("a".to_owned(), Transition::fade(Micros::from_millis(300))),
        Becomes::Log("debug".to_owned()),
    ] {
        assert!(kept.set(&change, &file));
    }
    assert!(!format!("{kept:?}").contains("s3cret"));
    let mut again = Kept::read(&kept.text()).unwrap();
    assert_eq!(again, kept);
    let (config, told) = again.over(&file);
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(names(&config), ["cdn", "new"]);
    let outputs = &config.channels[0].outputs;
    assert_eq!((&outputs[1], outputs[0].enabled), (&output("new"), false));
    assert_eq!(outputs[0].url, file.channels[0].outputs[0].url);
    assert!(config.pushes.is_empty());
    assert_eq!((&config.pulls, &config.records), (&pull.pulls, &pull.records));
    let channel = &config.channels[0];
    assert_eq!(channel.transition, Transition::fade(Micros::from_millis(300)));
    assert_eq!(
        channel.scenes.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        ["main", "break"]
    );
    assert_eq!((channel.active, &channel.scenes[0]), (1, &file.channels[0].scenes[0]));
    assert_eq!(channel.audio_sources, file.channels[0].audio_sources);
    assert_eq!(config.node.log, "debug");
    assert_eq!(config.channels[1], file.channels[1]);
    // What is in use can be written down, and read again.
    let written = Config::parse(&config.exported(), "export").unwrap();
    assert!(written.is_same(&config));
    assert!(!config.shown().contains("s3cret") && config.exported().contains("s3cret"));
}

#[test]
fn the_built_in_scenes_and_their_audio_stay_beside_a_new_one() {
    let file = file();
    let mut kept = Kept::default();
    assert!(kept.set(&Becomes::Scene("demo".to_owned(), scene("mine")), &file));
    let (config, _) = kept.over(&file);
    let (was, is) = (&file.channels[1], &config.channels[1]);
    assert_eq!(is.scenes[..was.scenes.len()], was.scenes[..]);
    assert_eq!(is.scenes.last(), Some(&scene("mine")));
    assert_eq!((&is.audio, is.active), (&was.audio, was.active));
}

#[test]
fn what_leads_back_to_the_file_is_forgotten() {
    let file = file();
    let mut kept = Kept::default();
    for change in [added("new"), gone("new"), gone("cdn")] {
        assert!(kept.set(&change, &file));
    }
    assert_eq!(kept.0.len(), 1, "that the file's output is gone has to be kept: {kept:?}");
    let back = Becomes::Output("a".to_owned(), file.channels[0].outputs[0].clone());
    assert!(kept.set(&back, &file));
    assert_eq!(kept, Kept::default());
    assert!(kept.set(&Becomes::Log(file.node.log.clone()), &file));
    assert_eq!(kept, Kept::default());
}

#[test]
fn what_does_not_fit_any_more_leaves_the_rest_in_place() {
    let file = file();
    let mut kept = Kept::default();
    assert!(kept.set(&added("new"), &file));
    assert!(kept.set(&Becomes::Scene("demo".to_owned(), scene("mine")), &file));
    assert!(kept.set(&Becomes::OnAir("demo".to_owned(), "mine".to_owned()), &file));
    kept.0.insert(Part::Scene("demo".to_owned(), "mine".to_owned()), None);
    let (config, told) = kept.over(&file);
    assert_eq!(names(&config), ["cdn", "new"]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("the scene on the air in channel demo: "), "{told:?}");
    let without = Config::parse("[[channel]]\nname = \"demo\"\n", "less").unwrap();
    let (config, told) = kept.over(&without);
    assert!(told[0].contains("channel a is gone"), "{told:?}");
    assert_eq!(config.channels.len(), 1);
    assert!(kept.0.keys().all(|part| part.channel().is_some_and(|name| name == "demo")));
}

#[test]
fn what_is_no_such_text_is_told_without_its_lines() {
    for text in ["[[change]]\nkind = \"s3cret\"\n", "[[change]]\n", "s3cret", "change = [1]"] {
        let told = Kept::read(text).unwrap_err();
        assert!(!told.contains("s3cret"), "{told}");
    }
    assert_eq!(Kept::read(""), Ok(Kept::default()));
}

#[test]
fn a_configuration_that_was_not_read_from_a_text_stays_as_it_is() {
    let mut config = Config::empty();
    config.channels.push(crate::config::ChannelConfig::plain("a", "live/a", Size::HD720));
    let mut kept = Kept::default();
    kept.set(&added("new"), &config);
    assert_eq!(kept.over(&config).0, config);
}

#[test]
fn overlays_stand_above_the_file_too() {
    let (mut kept, file) = (Kept::default(), file());
    let sign = Layer::new("sign", Source::TestCard);
    assert!(kept.set(&Becomes::Overlays("a".to_owned(), vec![sign.clone()]), &file));
    let mut kept = Kept::read(&kept.text()).unwrap();
    let (config, told) = kept.over(&file);
    assert_eq!((config.channels[0].overlays.as_slice(), told.len()), (&[sign][..], 0));
    assert!(kept.set(&Becomes::Overlays("a".to_owned(), Vec::new()), &file));
    assert!(kept.is_empty());
}

#[test]
fn settings_of_audio_stand_above_the_file_and_its_sources_stay_its_own() {
    let text = FILE.replacen(
        "[[channel.output]]",
        "[[channel.audio_source]]\nname = \"m\"\ntype = \"tone\"\nhz = 50\ngain_db = -3\n\
         [[channel.output]]",
        1,
    );
    let file = Config::parse(&text, "file").unwrap();
    let mut kept = Kept::default();
    let source = InputSpec {
        gain_db: -12.5,
        filters: crate::audio::Filters { eq: Some(Default::default()), ..Default::default() },
        ..file.channels[0].audio_sources[0].clone()
    };
    let bed = InputSpec { mute: true, ..file.channels[1].audio_sources[0].clone() };
    let bus = BusSpec { normalize_lufs: Some(-16), ceiling_dbtp: -2.0 };
    for change in [
        Becomes::AudioSource("a".to_owned(), Box::new(source.clone())),
        Becomes::AudioSource("demo".to_owned(), Box::new(bed.clone())),
        Becomes::AudioBus("demo".to_owned(), bus),
    ] {
        assert!(kept.set(&change, &file));
    }
    let mut kept = Kept::read(&kept.text()).unwrap();
    let (config, told) = kept.over(&file);
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(config.channels[0].audio_sources, std::slice::from_ref(&source));
    let demo = &config.channels[1];
    assert_eq!((&demo.audio_sources[0], demo.audio_bus), (&bed, bus));
    assert_eq!(demo.audio_sources[1], file.channels[1].audio_sources[1]);
    assert_eq!(demo.scenes, file.channels[1].scenes);
    let other = Config::parse(&text.replacen("hz = 50", "hz = 60", 1), "file").unwrap();
    let (config, _) = kept.over(&other);
    let now = &config.channels[0].audio_sources[0];
    assert_eq!(
        (&now.source, now.gain_db.to_bits()),
        (&crate::audio::Source::Tone(60.0), source.gain_db.to_bits())
    );
    let back = file.channels[0].audio_sources[0].clone();
    assert!(kept.set(&Becomes::AudioSource("a".to_owned(), Box::new(back)), &file));
    assert_eq!(kept.0.len(), 2);
}
