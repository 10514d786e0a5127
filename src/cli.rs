//! The command line.

mod bench;
mod encoders;
mod keys;
mod keys_bench;
mod keys_command;
mod render;
mod schedule;
mod trace;
mod tune;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::config::{
    API_OPEN_TO_ALL, ChannelConfig, Config, Errors, Fault, OPEN_TO_ALL, SourceRendition,
};
use crate::control::channels::assets::faults as asset_faults;
use crate::encode::CHECK_COMMAND;
use crate::load::LoadCommand;

pub use bench::{BenchArgs, KeysBench};
pub use encoders::{EncodersArgs, encoders};
pub use keys::{KeysArgs, KeysCommand, NewKeyArgs, StoreArgs, TypeArg, Which};
pub use keys_bench::keys_bench;
pub use keys_command::{config_export, keys_command};
pub use render::{RenderArgs, RenderError, render};
pub use schedule::{ScheduleCheckArgs, ScheduleCommand, schedule_check};
pub use trace::{TraceCommand, trace};
pub use tune::{TuneArgs, tune};

/// Composes live pictures and audio, encodes them, serves RTMP and pushes to other servers.
#[derive(Debug, Parser)]
#[command(name = "stream-manager", version, about)]
pub struct Cli {
    /// What to do; `run` if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the node until SIGINT or SIGTERM.
    Run(RunArgs),
    /// Put a load on a node, this one or another make, and measure how it bears it.
    #[command(subcommand)]
    Load(LoadCommand),
    /// Measure what this machine can do at best.
    #[command(subcommand)]
    Bench(BenchArgs),
    /// Look at configurations without running anything.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at schedules of channels without running anything.
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Make, list and take back stream keys.
    Keys(Box<KeysArgs>),
    /// List the encoders of this machine: hardware, drivers, measured speed, and why others are not
    /// there.
    Encoders(EncodersArgs),
    /// Render a channel's scene and audio to a file, as fast as it goes: the same bytes on any
    /// machine.
    Render(RenderArgs),
    /// Look at traces of frames' ways through a node.
    #[command(subcommand)]
    Trace(TraceCommand),
    /// Look what of this machine makes a node slower or later, and what it costs, and print the
    /// commands that change it. Nothing is changed.
    Tune(TuneArgs),
    /// Check the GPUs. The program runs itself so, because a driver may crash or hang.
    #[command(name = CHECK_COMMAND, hide = true)]
    CheckHardware {
        /// The encoder.
        encoder: String,
    },
}

/// How to run.
#[derive(Args, Clone, Debug, Default)]
pub struct RunArgs {
    /// Configuration file; without one the demo channel runs.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where stream keys are kept.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// RTMP port.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub rtmp_port: Option<u16>,
    /// HTTP port.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub http_port: Option<u16>,
    /// Address RTMP listens on.
    #[arg(long, value_name = "ADDRESS")]
    pub bind: Option<IpAddr>,
    /// Let anybody who reaches the port publish, if the configuration says publish = "open".
    #[arg(long)]
    pub i_know: bool,
    /// Always refused: a file without its flag is told the flag.
    #[arg(hide = true, value_name = "FILE", value_parser = without_flag)]
    pub file: Option<Infallible>,
}

fn without_flag(file: &str) -> Result<Infallible, String> {
    Err(format!("a configuration file has a flag before it: --config {file}"))
}

/// Looking at configurations.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the configuration that runs without a file: every key, with its default.
    PrintDefault,
    /// Read a file and say what is wrong with it.
    Check {
        /// Look at the pictures, fonts and videos that the file names as well.
        #[arg(long)]
        assets: bool,
        /// The file.
        file: PathBuf,
    },
    /// Print what a running node has in use, with what was changed through its API: a file from
    /// which a node starts as this one is now. It holds secrets, such as the keys of destinations.
    Export(ExportArgs),
}

/// Which node.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// The node's configuration file: its data directory and `[http]` are used.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The node's data directory, with the token of its API.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address of the node's API, instead of the one of the configuration.
    #[arg(long, value_name = "HOST:PORT")]
    pub api: Option<String>,
}

impl ExportArgs {
    /// The configuration that says where the node's API is.
    ///
    /// # Errors
    /// Everything that is wrong in the file.
    pub fn resolve(&self) -> Result<Config, Errors> {
        let config = match &self.config {
            Some(file) => Config::load_as(file, true)?,
            None => Config::default(),
        };
        let data_dir = self.data_dir.clone().or_else(|| config.node.data_dir.clone());
        let node = crate::config::NodeConfig { data_dir, ..config.node.clone() };
        Ok(Config { node, ..config })
    }
}

impl RunArgs {
    /// The configuration these arguments ask for: they stand above the file, and together they
    /// must be as audio as a file has to be.
    ///
    /// # Errors
    /// Everything that is wrong in the file, or what is wrong once the arguments stand above it.
    pub fn resolve(&self) -> Result<Config, Errors> {
        let mut config = match &self.config {
            Some(file) => Config::load_as(file, self.i_know)?,
            None => Config::default(),
        };
        config.rtmp.knowing = self.i_know;
        if let Some(dir) = &self.data_dir {
            config.node.data_dir = Some(dir.clone());
        }
        config.rtmp.port = self.rtmp_port.unwrap_or(config.rtmp.port);
        config.rtmp.bind = self.bind.unwrap_or(config.rtmp.bind);
        config.http.port = self.http_port.unwrap_or(config.http.port);
        let mut wrong = Vec::new();
        if config.rtmp.is_open_to_all() {
            wrong.push(OPEN_TO_ALL.to_owned());
        }
        if config.http.is_open_to_all() {
            wrong.push(API_OPEN_TO_ALL.to_owned());
        }
        if config.http.collides_with(&config.rtmp) {
            let port = config.http.port;
            wrong.push(format!("RTMP and HTTP would share port {port}; give one another port"));
        }
        if wrong.is_empty() {
            return Ok(config);
        }
        let origin = "the command line above the configuration".to_owned();
        let faults = wrong.into_iter().map(|text| Fault { line: 0, column: 0, text }).collect();
        Err(Errors { origin, faults, further: 0 })
    }
}

/// What `config check` prints about a good file; with `assets`, the files and fonts that it names
/// are good, too.
///
/// # Errors
/// Everything that is wrong in the file, or else with what it names.
pub fn check(file: &Path, assets: bool) -> Result<String, Errors> {
    let config = Config::load(file)?;
    if assets {
        let wrong = asset_faults(&config);
        if !wrong.is_empty() {
            let origin = file.display().to_string();
            let faults = wrong.into_iter().map(|text| Fault { line: 0, column: 0, text });
            return Err(Errors { origin, faults: faults.collect(), further: 0 });
        }
    }
    let mut lines = vec![format!("{}: ok", file.display())];
    lines.push(format!("  rtmp     {}", SocketAddr::new(config.rtmp.bind, config.rtmp.port)));
    if config.http.enabled {
        lines.push(format!("  http     {}", SocketAddr::new(config.http.bind, config.http.port)));
    }
    lines.push(format!("  data     {}", config.node.data_dir().display()));
    for channel in &config.channels {
        lines.extend(describe(channel));
    }
    lines.extend(describe_relay(&config));
    let odd = config.relays_to_itself();
    lines.extend(odd.into_iter().map(|text| format!("  warning  {text}")));
    Ok(lines.join("\n"))
}

fn describe(channel: &ChannelConfig) -> Vec<String> {
    let ChannelConfig { name, stream, size, rate, codec, preset, .. } = channel;
    let (layers, audio) = (channel.scene().layers.len(), channel.audio_sources.len());
    let mut lines = vec![
        format!("  channel  {name}: {stream}, {layers} layers, {audio} audio sources"),
        format!(
            "    video  {size} at {rate} fps, {} {preset}, {} bit/s",
            codec.name(),
            channel.bitrate_bps
        ),
    ];
    if let Some(audio) = &channel.audio {
        let codec = audio.codec.name();
        lines.push(format!("    audio  {codec}, {} bit/s", audio.bitrate_bps));
    }
    for output in &channel.outputs {
        let off = if output.enabled { "" } else { " (off)" };
        lines.push(format!("    output {}: {}{off}", output.name, output.url));
    }
    lines
}

/// Transcodes, pulls, pushes and recordings, one line each.
fn describe_relay(config: &Config) -> Vec<String> {
    let off = |enabled: bool| if enabled { "" } else { " (off)" };
    let transcodes = config.transcodes.iter().map(|it| {
        let names: Vec<_> = it.renditions.iter().map(SourceRendition::stream).collect();
        format!("  transcode {} to {}{}", it.stream, names.join(", "), off(it.enabled))
    });
    let pulls = config.pulls.iter().map(|pull| {
        format!("  pull     {}: {} from {}{}", pull.name, pull.stream, pull.url, off(pull.enabled))
    });
    let pushes = config.pushes.iter().map(|push| {
        format!("  push     {}: {} to {}{}", push.name, push.stream, push.url, off(push.enabled))
    });
    let records = config.records.iter().map(|record| {
        let (name, stream, dir) = (&record.name, &record.stream, record.dir.display());
        let format = record.format.extension();
        format!("  record   {name}: {stream} into {dir} as {format}{}", off(record.enabled))
    });
    transcodes.chain(pulls).chain(pushes).chain(records).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// A file with this text, and the arguments that name it.
    fn written(text: &str) -> (tempfile::TempDir, RunArgs) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("node.toml");
        std::fs::write(&file, text).unwrap();
        (dir, RunArgs { config: Some(file), ..RunArgs::default() })
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_way_to_start_is_understood() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("stream-manager").unwrap().command.is_none());
        let line = "stream-manager run --config a.toml --data-dir d --rtmp-port 1936 \
                    --http-port 8081 --bind ::1";
        let Some(Command::Run(args)) = parse(line).unwrap().command else { panic!("not run") };
        assert_eq!(args.config.as_deref(), Some(Path::new("a.toml")));
        assert_eq!((args.rtmp_port, args.http_port), (Some(1_936), Some(8_081)));
        let printed = parse("stream-manager config print-default").unwrap().command;
        assert!(matches!(printed, Some(Command::Config(ConfigCommand::PrintDefault))));
        let line = "stream-manager config export --data-dir d --api 127.0.0.1:8080";
        let Some(Command::Config(ConfigCommand::Export(args))) = parse(line).unwrap().command
        else {
            panic!("not export")
        };
        assert_eq!(args.resolve().unwrap().node.data_dir(), Path::new("d"));
        let checked = parse("stream-manager config check a.toml").unwrap().command;
        assert!(matches!(checked, Some(Command::Config(ConfigCommand::Check { .. }))));
        let bare = parse("stream-manager run a.toml").unwrap_err().to_string();
        assert!(bare.contains("--config a.toml"), "{bare}");
        for wrong in ["run --rtmp-port 0", "run --http-port 70000", "run --bind here", "check"] {
            assert!(parse(&format!("stream-manager {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn arguments_stand_above_the_file() {
        let args = RunArgs { rtmp_port: Some(1936), ..RunArgs::default() };
        let config = args.resolve().unwrap();
        assert_eq!((config.rtmp.port, config.http.port), (1_936, 8_080));

        let (_dir, mut args) = written("[rtmp]\nport = 1\n[node]\ndata_dir = \"a\"\n");
        args.data_dir = Some("b".into());
        let config = args.resolve().unwrap();
        assert_eq!((config.rtmp.port, config.node.data_dir()), (1, Path::new("b")));
    }

    #[test]
    fn an_address_argument_does_not_open_a_node_to_everybody() {
        let open = "[rtmp]\nbind = \"127.0.0.1\"\npublish = \"open\"\n";
        let (_dir, mut args) = written(open);
        assert!(args.resolve().is_ok());
        args.bind = Some("0.0.0.0".parse().unwrap());
        let told = args.resolve().map(|_| ()).unwrap_err().to_string();
        assert!(told.contains("anybody") && told.contains("127.0.0.1"), "{told}");
        assert!(told.contains("--i-know"), "{told}");
    }

    #[test]
    fn who_knows_may_open_a_node_to_everybody() {
        let (_dir, mut args) = written("[rtmp]\npublish = \"open\"\n");
        let told = args.resolve().map(|_| ()).unwrap_err().to_string();
        assert!(told.contains("node.toml:2:11") && told.contains("--i-know"), "{told}");
        assert!(check(args.config.as_ref().unwrap(), false).is_err(), "a file does not know");
        args.i_know = true;
        assert_eq!(args.resolve().unwrap().rtmp.publish, crate::config::Publish::Open);
        let line = "stream-manager run --i-know --config a.toml";
        assert!(Cli::try_parse_from(line.split(' ')).is_ok());
    }

    #[test]
    fn port_arguments_do_not_collide() {
        let args = RunArgs { http_port: Some(1_935), ..RunArgs::default() };
        let told = args.resolve().map(|_| ()).unwrap_err().to_string();
        assert!(told.contains("port 1935"), "{told}");
    }

    #[test]
    fn a_good_file_is_summed_up_without_its_secrets() {
        let (_dir, args) = written(
            "[rtmp]\nbind = \"::1\"\n[[channel]]\nname = \"a\"\n[[channel.output]]\n\
             name = \"o\"\nurl = \"rtmp://host/live/s3cret\"\nenabled = false\n",
        );
        let text = check(&args.config.unwrap(), false).unwrap();
        for word in
            [": ok\n", "[::1]:1935", "a: live/a", "1280x720 at 30 fps", "host/live", "(off)"]
        {
            assert!(text.contains(word), "no {word:?} in {text}");
        }
        assert!(!text.contains("s3cret"), "{text}");
    }

    #[test]
    fn assets_are_looked_at_when_that_is_asked_for() {
        let layers: String =
            ["type = \"image\"", "type = \"video\"", "type = \"text\"\ntext = \"a\""]
                .iter()
                .enumerate()
                .map(|(number, kind)| {
                    let file = match number {
                        2 => "font = \"/no/such.ttf\"".to_owned(),
                        number => format!("path = \"/no/such-{number}\""),
                    };
                    format!("[[channel.layer]]\nname = \"l{number}\"\n{kind}\n{file}\n")
                })
                .collect();
        let audio =
            "[[channel.audio_source]]\nname = \"s\"\ntype = \"video\"\npath = \"/no/audio\"\n";
        let (_dir, args) = written(&format!("[[channel]]\nname = \"a\"\n{layers}{audio}"));
        let file = args.config.unwrap();
        assert!(check(&file, false).is_ok(), "the text is good");
        let told = check(&file, true).unwrap_err();
        assert_eq!(told.faults.len(), 4, "{told}");
        for name in ["/no/such-0", "/no/such-1", "/no/such.ttf", "/no/audio"] {
            assert!(told.to_string().contains(name), "no {name} in {told}");
        }
    }

    #[test]
    fn a_relay_to_the_node_itself_is_named() {
        let (_dir, args) = written(
            "[[pull]]\nname = \"loop\"\nstream = \"live/a\"\nurl = \"rtmp://localhost/live/a\"\n",
        );
        let text = check(&args.config.unwrap(), false).unwrap();
        assert!(text.contains("warning  pull loop takes live/a from"), "{text}");
    }
}
