//! Configurations of the scenarios: small pictures, quick presets, ports of their own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::wait::free_port;

/// Size of the scenarios' pictures.
pub(crate) const WIDTH: usize = 320;
pub(crate) const HEIGHT: usize = 180;
/// Their frames per second.
pub(crate) const FPS: u32 = 30;
/// Their bits per second.
pub(crate) const BITRATE: u32 = 600_000;

/// A node's configuration, built up by a scenario.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) rtmp: u16,
    pub(crate) http: u16,
    text: String,
}

impl Config {
    /// A node without any channel that takes publishers with a key.
    pub(crate) fn new() -> Self {
        let (rtmp, http) = (free_port(), free_port());
        let text = format!(
            "[rtmp]\nbind = \"127.0.0.1\"\nport = {rtmp}\npublish = \"key\"\n\n\
             [http]\nbind = \"127.0.0.1\"\nport = {http}\n"
        );
        Self { rtmp, http, text }
    }

    /// Anybody may publish.
    #[must_use]
    pub(crate) fn publish_open(mut self) -> Self {
        self.text = self.text.replacen("publish = \"key\"", "publish = \"open\"", 1);
        self
    }

    /// The same ports with another text.
    pub(crate) fn of(other: &Self, text: String) -> Self {
        Self { text, ..*other }
    }

    /// A text that names these ports, of RTMP and HTTP.
    pub(crate) const fn at([rtmp, http]: [u16; 2], text: String) -> Self {
        Self { rtmp, http, text }
    }

    /// A channel at `live/NAME`; the layers, audio sources and outputs that follow are its own. Its
    /// speed is fixed: beside others the machine may have time for half of its frames only.
    #[must_use]
    pub(crate) fn channel(mut self, name: &str) -> Self {
        write!(
            self.text,
            "\n[[channel]]\nname = \"{name}\"\nstream = \"live/{name}\"\n\
             [channel.video]\nwidth = {WIDTH}\nheight = {HEIGHT}\nfps = {FPS}\n\
             bitrate = {BITRATE}\npreset = \"ultrafast\"\n\
             speed = \"fixed\"\n"
        )
        .unwrap();
        self
    }

    /// A layer of the whole canvas.
    #[must_use]
    pub(crate) fn layer(self, kind: &str, more: &str) -> Self {
        self.layer_at(kind, [0, 0, WIDTH, HEIGHT], more)
    }

    /// A layer in the box `[x, y, width, height]`.
    #[must_use]
    pub(crate) fn layer_at(mut self, kind: &str, place: [usize; 4], more: &str) -> Self {
        let number = self.text.matches("[[channel.layer]]").count();
        let [x, y, width, height] = place;
        write!(
            self.text,
            "[[channel.layer]]\nname = \"{kind}-{number}\"\ntype = \"{kind}\"\n\
             x = {x}\ny = {y}\nwidth = {width}\nheight = {height}\n{more}\n"
        )
        .unwrap();
        self
    }

    /// A audio of the mixer.
    #[must_use]
    pub(crate) fn audio(mut self, kind: &str, more: &str) -> Self {
        write!(
            self.text,
            "[[channel.audio_source]]\nname = \"{kind}\"\ntype = \"{kind}\"\n{more}\n"
        )
        .unwrap();
        self
    }

    /// A line of `[delivery]`; once.
    #[must_use]
    pub(crate) fn delivery(mut self, line: &str) -> Self {
        write!(self.text, "\n[delivery]\n{line}\n").unwrap();
        self
    }

    /// An RTMP destination.
    #[must_use]
    pub(crate) fn output(mut self, name: &str, url: &str) -> Self {
        write!(self.text, "[[channel.output]]\nname = \"{name}\"\nurl = \"{url}\"\n").unwrap();
        self
    }

    /// Further tables.
    #[must_use]
    pub(crate) fn more(mut self, text: &str) -> Self {
        self.text.push('\n');
        self.text.push_str(text);
        self
    }

    /// A further line of `[rtmp]`.
    #[must_use]
    pub(crate) fn rtmp(mut self, line: &str) -> Self {
        self.text = self.text.replacen("[rtmp]\n", &format!("[rtmp]\n{line}\n"), 1);
        self
    }

    /// A recording of a stream, called `record_0` and so on.
    #[must_use]
    pub(crate) fn record(self, stream: &str, more: &str) -> Self {
        self.relay("record", stream, more)
    }

    /// A push of a stream, called `push_0` and so on.
    #[must_use]
    pub(crate) fn push(self, stream: &str, url: &str, more: &str) -> Self {
        self.relay("push", stream, &format!("url = \"{url}\"\n{more}"))
    }

    /// A pull to a stream, called `pull_0` and so on.
    #[must_use]
    pub(crate) fn pull(self, stream: &str, url: &str, more: &str) -> Self {
        self.relay("pull", stream, &format!("url = \"{url}\"\n{more}"))
    }

    fn relay(mut self, kind: &str, stream: &str, more: &str) -> Self {
        let number = self.text.matches(&format!("[[{kind}]]")).count();
        let name = format!("{kind}_{number}");
        write!(self.text, "\n[[{kind}]]\nname = \"{name}\"\nstream = \"{stream}\"\n{more}\n")
            .unwrap();
        self
    }

    /// The whole text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Writes it into `dir` and gives the file's path.
    pub(crate) fn write(&self, dir: &Path) -> PathBuf {
        let file = dir.join("node.toml");
        std::fs::write(&file, with_driver(self.text.clone())).unwrap();
        file
    }
}

/// The driver that every node is to have, if the environment names one: all scenarios hold for both.
fn with_driver(text: String) -> String {
    let Ok(driver) = std::env::var("TEST_DRIVER") else { return text };
    if text.contains("\ndriver = ") {
        return text;
    }
    let key = format!("[cores]\ndriver = {driver:?}\n");
    match text.contains("[cores]\n") {
        true => text.replacen("[cores]\n", &key, 1),
        false => text + &key,
    }
}

/// A channel `demo` with a moving picture and audio.
pub(crate) fn demo() -> Config {
    Config::new().channel("demo").layer("test-card", "").audio("tone", "hz = 440")
}
