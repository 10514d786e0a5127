//! The command line.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Errors};

/// Composes live pictures and sound, encodes them, serves RTMP and pushes to other servers.
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
    /// Look at configurations without running anything.
    #[command(subcommand)]
    Config(ConfigCommand),
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
}

/// Looking at configurations.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the configuration that runs without a file: every key, with its default.
    PrintDefault,
    /// Read a file and say what is wrong with it.
    Check {
        /// The file.
        file: PathBuf,
    },
}

impl RunArgs {
    /// The configuration these arguments ask for.
    ///
    /// # Errors
    /// Everything that is wrong in the file.
    pub fn resolve(&self) -> Result<Config, Errors> {
        let mut config = match &self.config {
            Some(file) => Config::load(file)?,
            None => Config::default(),
        };
        if let Some(dir) = &self.data_dir {
            config.node.data_dir.clone_from(dir);
        }
        config.rtmp.port = self.rtmp_port.unwrap_or(config.rtmp.port);
        config.rtmp.bind = self.bind.unwrap_or(config.rtmp.bind);
        config.http.port = self.http_port.unwrap_or(config.http.port);
        Ok(config)
    }
}

/// What `config check` prints about a good file.
///
/// # Errors
/// Everything that is wrong in the file.
pub fn check(file: &Path) -> Result<String, Errors> {
    let config = Config::load(file)?;
    let mut lines = vec![format!("{}: ok", file.display())];
    lines.push(format!("  rtmp     {}:{}", config.rtmp.bind, config.rtmp.port));
    if config.http.enabled {
        lines.push(format!("  http     {}:{}", config.http.bind, config.http.port));
    }
    for channel in &config.channels {
        let (name, stream, size, rate) =
            (&channel.name, &channel.stream, channel.size, channel.rate);
        let bps = channel.bitrate_bps;
        lines.push(format!("  channel  {name}: {stream}, {size} at {rate} fps, {bps} b/s"));
        for output in &channel.outputs {
            lines.push(format!("  output   {}: {}", output.name, output.url));
        }
    }
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_stand_above_the_file() {
        let args = RunArgs { rtmp_port: Some(1936), ..RunArgs::default() };
        let config = args.resolve().unwrap();
        assert_eq!((config.rtmp.port, config.http.port), (1_936, 8_080));
    }
}
