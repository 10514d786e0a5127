//! OBS Studio on a virtual display, with a profile and a scene of its own: it publishes, shows a
//! refusal, and comes back by itself.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{events, events_of};
use crate::config::{Config, FPS, HEIGHT, WIDTH};
use crate::node::{Node, STUDIO};
use crate::program::Program;
use crate::recording::Recording;
use crate::tls::Certificate;
use crate::wait::{SOON, beside_others, free_port, wait_until};
use crate::watcher::is_near;

/// OBS's colours are `0xAABBGGRR`.
const OPAQUE_RED: u32 = 0xff00_00ff;
/// The same in BT.709 of limited range, which OBS publishes by default.
const RED: [u8; 3] = [63, 102, 240];

/// As long as a key, and none.
const WRONG: &str = "00000000000000000000000000000000000000000000000000000000deadbeef";

/// What OBS logs when it is connected, and when it streams.
const CONNECTED: &str = " successful\n";
const STREAMING: &str = "==== Streaming Start";

/// Where OBS's TLS library looks for the authorities it trusts; no setting leads it elsewhere.
const SYSTEM_CERTIFICATES: &str = "/etc/ssl/certs";

/// An X server without a screen.
struct Display {
    server: Program,
    number: String,
}

impl Display {
    fn new() -> Self {
        // It takes the first number that is free, and writes it to standard output.
        let mut server = Program::start("Xvfb", "-displayfd 1 -screen 0 640x480x24", &[]);
        let number = wait_until(SOON, "the display is there", || {
            assert!(server.runs(), "Xvfb has ended:\n{}", server.err());
            server.out_text().strip_suffix('\n').map(|number| format!(":{number}"))
        });
        Self { server, number }
    }
}

impl Drop for Display {
    /// Killed, it would leave its lock and its socket in /tmp.
    fn drop(&mut self) {
        if self.server.runs() {
            self.server.signal("TERM");
            wait_until(SOON, "Xvfb ends", || (!self.server.runs()).then_some(()));
        }
    }
}

/// OBS, which streams a red picture and a tone from its start on.
struct Obs {
    program: Program,
    _display: Display,
    _home: TempDir,
}

impl Obs {
    /// With what one enters as its custom server and stream key.
    fn start(server: &str, key: &str) -> Self {
        Self::launch(server, key, Command::new("obs"))
    }

    /// The same on a system that trusts the certificates in a folder and no others.
    fn start_trusting(folder: &Path, server: &str, key: &str) -> Self {
        let mut command = Command::new("unshare");
        let mounted = format!("mount --bind \"$0\" {SYSTEM_CERTIFICATES} && exec obs \"$@\"");
        command.args(["-rm", "sh", "-c", &mounted]).arg(folder);
        Self::launch(server, key, command)
    }

    fn launch(server: &str, key: &str, mut command: Command) -> Self {
        let (home, display) = (TempDir::new().unwrap(), Display::new());
        configure(home.path(), server, key);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", home.path()).env("XDG_RUNTIME_DIR", home.path());
        command.env("DISPLAY", &display.number).env("QT_QPA_PLATFORM", "xcb");
        command.env("LANG", "C.UTF-8").env("LIBGL_ALWAYS_SOFTWARE", "1");
        // At its start it asks the internet for a newer list of platforms; nobody answers here.
        command.env("https_proxy", "http://127.0.0.1:9");
        command.args("--multi --minimize-to-tray --disable-updater --startstreaming".split(' '));
        command.args("--profile test --collection test --scene Scene".split(' '));
        Self { program: Program::spawn("obs", command), _display: display, _home: home }
    }

    /// Waits until its log tells this for the `count`th time, and gives the log.
    fn wait_for(&mut self, what: &str, count: usize) -> String {
        wait_until(SOON, &format!("OBS logs {what:?}"), || {
            assert!(self.program.runs(), "OBS has ended:\n{}", self.program.err());
            let log = self.program.out_text();
            (log.matches(what).count() >= count).then_some(log)
        })
    }
}

/// Whether [`Obs::start_trusting`] works here; few containers permit it.
fn may_mount() -> bool {
    let mut trial = Command::new("unshare");
    trial.args(["-rm", "true"]).stderr(Stdio::null()).status().unwrap().success()
}

/// Writes what OBS would ask for at its first start.
fn configure(home: &Path, server: &str, key: &str) {
    let root = home.join(".config/obs-studio");
    let profile = root.join("basic/profiles/test");
    let scenes = root.join("basic/scenes");
    fs::create_dir_all(&profile).unwrap();
    fs::create_dir_all(&scenes).unwrap();
    fs::write(root.join("global.ini"), "[General]\nFirstRun=true\n").unwrap();
    let basic = format!(
        "[General]\nName=test\n\
         [Video]\nBaseCX={WIDTH}\nBaseCY={HEIGHT}\nOutputCX={WIDTH}\nOutputCY={HEIGHT}\n\
         FPSCommon={FPS}\n\
         [Output]\nMode=Simple\nReconnect=true\nRetryDelay=1\n\
         [SimpleOutput]\nVBitrate=500\nStreamEncoder=x264\nUseAdvanced=true\n\
         x264Settings=keyint={FPS}\n"
    );
    fs::write(profile.join("basic.ini"), basic).unwrap();
    let service = json!({"type": "rtmp_custom", "settings": {"server": server, "key": key}});
    fs::write(profile.join("service.json"), service.to_string()).unwrap();
    let tone = home.join("tone.wav");
    let made = ["-f", "lavfi", "-i", "sine=f=440:r=48000:d=2,volume=4", tone.to_str().unwrap()];
    Program::start("ffmpeg", "-v error", &made).succeeds(SOON);
    let item = |name: &str, id: u32| json!({"name": name, "id": id, "visible": true});
    let scene = json!({
        "name": "test",
        "current_scene": "Scene",
        "current_program_scene": "Scene",
        "scene_order": [{"name": "Scene"}],
        "sources": [
            {"id": "scene", "name": "Scene", "settings": {"items": [
                item("Colour", 1), item("Tone", 2)
            ]}},
            {"id": "color_source", "versioned_id": "color_source_v3", "name": "Colour",
             "settings": {"color": OPAQUE_RED, "width": WIDTH, "height": HEIGHT}},
            {"id": "ffmpeg_source", "name": "Tone", "mixers": 1,
             "settings": {"is_local_file": true, "local_file": tone, "looping": true}}
        ]
    });
    fs::write(scenes.join("test.json"), scene.to_string()).unwrap();
}

/// That what OBS shows and sounds like is what is played at `url`.
fn assert_is_played(node: &Node, url: &str) {
    node.wait_for_streams(1);
    let recording = Recording::of(url, 3, node.file("played.flv"));
    recording.assert_audio_and_picture(1.5);
    for picture in recording.pictures() {
        assert!(is_near(picture.middle(), RED, 4), "{:?} at {}", picture.middle(), picture.pts);
    }
    let (_, audio) = recording.audio();
    let loud = audio.iter().filter(|&&sample| sample > 0.25).count();
    assert!(loud > audio.len() / 2, "{loud} of {} samples are loud", audio.len());
    fs::remove_file(node.file("played.flv")).unwrap();
}

#[test]
fn obs_publishes_with_the_key_as_a_parameter_and_as_a_part_of_the_path() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let key = node.key();
    for name in [format!("studio?key={key}"), format!("studio/{key}")] {
        let obs = Obs::start(&node.url("live"), &name);
        assert_is_played(&node, &node.url(STUDIO));
        drop(obs);
        wait_until(SOON, "OBS is gone", || {
            (node.metric("rtmp_active_streams", &[]) < 0.5).then_some(())
        });
    }
    assert!(!node.program().err().contains(&key), "the key is in the log");
}

#[test]
fn obs_shows_why_it_was_refused_and_the_key_is_told_nowhere() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let mut obs = Obs::start(&node.url("live"), &format!("studio?key={WRONG}"));
    let log = obs.wait_for("==== Streaming Stop", 1);
    assert!(!log.contains(STREAMING), "{log}");
    assert!(log.contains("NetStream.Publish.Denied (this stream key is not known here)"), "{log}");
    let refused = wait_until(SOON, "the refusal is told", || events_of(&node, "donePublish").pop());
    assert_eq!(refused["level"], "warn", "{refused}");
    assert!(refused["text"].as_str().unwrap().ends_with(": this stream key is not known here"));
    let told = Value::from(events(&node)).to_string();
    assert!(!told.contains(WRONG), "{told}");
    assert!(!node.program().err().contains(WRONG), "{}", node.program().err());
}

#[test]
fn obs_publishes_by_tls_to_a_host_whose_certificate_it_trusts() {
    let _turn = beside_others();
    let certificate = Certificate::new();
    let port = free_port();
    let node = Node::start(&Config::new().more(&certificate.table(port, "")));
    let name = format!("studio?key={}", node.key());
    // It compares names of hosts, and no addresses.
    let server = format!("rtmps://localhost:{port}/live");
    let mut stranger = Obs::start(&server, &name);
    stranger.wait_for("Cert verify failed: 8", 1);
    drop(stranger);
    if !may_mount() {
        println!("that OBS trusts a certificate is not tested: unshare -rm is not permitted here");
        return;
    }
    let trusted = TempDir::new().unwrap();
    fs::copy(certificate.file(), trusted.path().join("node.pem")).unwrap();
    let _obs = Obs::start_trusting(trusted.path(), &server, &name);
    assert_is_played(&node, &format!("rtmps://127.0.0.1:{port}/{STUDIO}"));
}

#[test]
fn obs_comes_back_by_itself_after_a_restart_of_the_node() {
    let _turn = beside_others();
    let config = Config::new();
    let node = Node::start(&config);
    let mut obs = Obs::start(&node.url("live"), &format!("studio?key={}", node.key()));
    obs.wait_for(CONNECTED, 1);
    let node = node.restarted(&config);
    obs.wait_for(CONNECTED, 2);
    assert_is_played(&node, &node.url(STUDIO));
    let node = node.killed_and_started(&config);
    obs.wait_for(CONNECTED, 3);
    assert_is_played(&node, &node.url(STUDIO));
}
