//! `stream-manager render`: a channel's scene and audio offline, to a file, as fast as it goes.

mod encoded;
mod raw;

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Args;

use crate::config::{ChannelConfig, Config, Errors};
use crate::control::channels::offline::{OfflineChannel, RenderSpec, Rendered};
use crate::ffi::av::LogRedirect;
use crate::load::process_seconds;
use crate::runtime::Clock;
use crate::scene::kernel::Level;
use crate::scene::{Scene, snapshot};

use encoded::EncodedFile;
use raw::RawFile;

/// Most frames of one run: a day at 60 per second.
const FRAMES_MAX: u64 = 60 * 60 * 60 * 24;

/// What to render, and where to.
#[derive(Args, Clone, Debug)]
pub struct RenderArgs {
    /// Configuration file; without one it is the demo channel.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The channel; the first one if nothing is said.
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
    /// One of its scenes; the one that it begins with if nothing is said.
    #[arg(long, value_name = "NAME")]
    pub scene: Option<String>,
    /// The scene that is shown before it, until --change-at: what comes after is the transition of
    /// --scene, or the channel's.
    #[arg(long, value_name = "NAME", requires = "change_at")]
    pub from: Option<String>,
    /// The number of the frame, from 0, at which --from gives way to --scene.
    #[arg(long, value_name = "N", requires = "from")]
    pub change_at: Option<u64>,
    /// How many frames.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=FRAMES_MAX))]
    pub frames: u64,
    /// Where to: *.y4m is every frame as it is (`-` the same, to standard output), *.mkv, *.mp4 and
    /// *.mov are encoded as the channel's are, *.png is the last frame. Without it frames are only
    /// rendered.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What clocks show at first: seconds since 1970-01-01 UTC.
    #[arg(long, value_name = "SECONDS", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(..=253_402_300_799))]
    pub clock: u64,
    /// Draw the whole picture anew at each frame, to measure what that costs.
    #[arg(long)]
    pub redraw: bool,
}

/// Why nothing was rendered, or not all.
#[derive(Debug)]
pub enum RenderError {
    /// The configuration cannot be used.
    Config(Errors),
    /// Something else, in words.
    Failed(String),
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(errors) => errors.fmt(f),
            Self::Failed(text) => text.fmt(f),
        }
    }
}

impl<T: Into<String>> From<T> for RenderError {
    fn from(text: T) -> Self {
        Self::Failed(text.into())
    }
}

/// Where rendered frames go.
enum Output {
    Nowhere,
    Raw(RawFile),
    Encoded(Box<EncodedFile>),
    /// The last frame.
    Image(PathBuf),
}

/// Renders; what was done and what it cost, for people. What cannot be shown is told by `warn`, and
/// has a placeholder.
///
/// # Errors
/// If there is no such channel or scene, or its frames cannot be written.
pub fn render(args: &RenderArgs, mut warn: impl FnMut(&str)) -> Result<String, RenderError> {
    let config = match &args.config {
        Some(file) => Config::load_as(file, true).map_err(RenderError::Config)?,
        None => Config::default(),
    };
    // What FFmpeg says of its encoders is of no use here; what it cannot do comes as errors.
    let _log = LogRedirect::begin();
    let (channel, (scene_name, scene)) = chosen(args, &config)?;
    let before = args.from.as_ref().map(|name| scene_of(channel, name)).transpose()?;
    let after = before.map(|(_, scene)| scene).zip(args.change_at);
    let mut output = Output::open(args, channel)?;
    let spec = RenderSpec {
        channel,
        scene,
        after,
        unix_ms: args.clock * 1_000,
        level: Level::best(),
        redraw: args.redraw,
        held_frames: output.held_frames(),
    };
    let (mut offline, faults) =
        OfflineChannel::open(spec).map_err(|error| RenderError::Failed(error.to_string()))?;
    faults.iter().for_each(|fault| warn(fault));
    let clock = Clock::start();
    let (began, cpu) = (clock.now(), cpu_seconds());
    let mut digest = String::new();
    for n in 1..=args.frames {
        let rendered = offline.next(|fault| warn(&fault)).ok_or("the encoder holds all frames")?;
        let is_last = n == args.frames;
        output.put(&rendered, is_last)?;
        if is_last {
            digest = rendered.digest();
        }
    }
    output.finish()?;
    let (took, cpu) = (clock.now().since(began), cpu_seconds() - cpu);
    let took = Duration::from(took).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let frames = args.frames as f64;
    Ok(format!(
        "{} frames of {} at {} fps: channel {}, scene {scene_name}\n\
         {took:.3} s, {:.1} frames per second, {:.4} ms of CPU per frame\n\
         sha256 of the last frame: {digest}\n",
        args.frames,
        channel.size,
        channel.rate,
        channel.name,
        frames / took.max(1e-9),
        1_000.0 * cpu / frames,
    ))
}

/// CPU time of this process, seconds; 0 where the system does not say.
fn cpu_seconds() -> f64 {
    process_seconds(std::process::id()).unwrap_or(0.0)
}

/// The channel and its scene that the arguments name.
fn chosen<'a>(
    args: &RenderArgs,
    config: &'a Config,
) -> Result<(&'a ChannelConfig, (&'a str, &'a Scene)), RenderError> {
    let names: Vec<_> = config.channels.iter().map(|channel| channel.name.as_str()).collect();
    let wanted =
        |channel: &&ChannelConfig| args.channel.as_ref().is_none_or(|name| *name == channel.name);
    let channel = config.channels.iter().find(wanted).ok_or_else(|| match &args.channel {
        Some(name) => format!("there is no channel \"{name}\"; there are: {}", names.join(", ")),
        None => "the configuration has no channel".to_owned(),
    })?;
    let Some(name) = &args.scene else {
        let active = channel.scenes.get(channel.active);
        return Ok((channel, (active.map_or("", |it| it.name.as_str()), channel.scene())));
    };
    Ok((channel, scene_of(channel, name)?))
}

fn scene_of<'a>(channel: &'a ChannelConfig, name: &str) -> Result<(&'a str, &'a Scene), String> {
    let scene = channel.scenes.iter().find(|scene| scene.name == name).ok_or_else(|| {
        let names: Vec<_> = channel.scenes.iter().map(|scene| scene.name.as_str()).collect();
        format!("channel {} has no scene \"{name}\"; it has: {}", channel.name, names.join(", "))
    })?;
    Ok((&scene.name, &scene.scene))
}

impl Output {
    fn open(args: &RenderArgs, channel: &ChannelConfig) -> Result<Self, String> {
        let Some(path) = &args.out else { return Ok(Self::Nowhere) };
        if path.as_os_str() == "-" {
            return RawFile::to_stdout(channel).map(Self::Raw);
        }
        match path.extension().and_then(OsStr::to_str) {
            Some("y4m") => RawFile::create(path, channel).map(Self::Raw),
            Some("png") => Ok(Self::Image(path.clone())),
            Some("mkv" | "mp4" | "mov") => {
                let cores = available_parallelism().map_or(1, usize::from);
                EncodedFile::create(path, channel, cores).map(Box::new).map(Self::Encoded)
            }
            _ => Err(format!(
                "{}: name a file that ends in .y4m, .png, .mkv, .mp4 or .mov, or \"-\"",
                path.display()
            )),
        }
    }

    /// Frames that it holds back.
    const fn held_frames(&self) -> u32 {
        match self {
            Self::Encoded(file) => file.held_frames(),
            Self::Nowhere | Self::Raw(_) | Self::Image(_) => 0,
        }
    }

    fn put(&mut self, rendered: &Rendered<'_>, is_last: bool) -> Result<(), String> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Raw(file) => file.put(&rendered.frame),
            Self::Encoded(file) => file.put(rendered),
            Self::Image(path) if is_last => {
                let failed = |error| format!("cannot write {}: {error}", path.display());
                snapshot(&rendered.frame).save(&*path).map_err(failed)
            }
            Self::Image(_) => Ok(()),
        }
    }

    fn finish(self) -> Result<(), String> {
        match self {
            Self::Nowhere | Self::Image(_) => Ok(()),
            Self::Raw(file) => file.finish(),
            Self::Encoded(file) => file.finish(),
        }
    }
}
