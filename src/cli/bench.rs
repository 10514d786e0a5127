//! Command line of `stream-manager bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::control::keystore::KEYS_MAX;
use crate::load::BenchCommand;

/// What can be measured without a node.
#[derive(Debug, Subcommand)]
pub enum BenchArgs {
    /// The machine alone.
    #[command(flatten)]
    Machine(BenchCommand),
    /// Make, look up, list and delete many keys in an empty key store.
    Keys(KeysBench),
}

/// Keys by the thousand.
#[derive(Args, Clone, Debug)]
pub struct KeysBench {
    /// Data directory for an embedded store, which has to be empty or not there yet.
    #[arg(long, value_name = "DIR", required_unless_present = "redis", conflicts_with = "redis")]
    pub store: Option<PathBuf>,
    /// Redis server, which must hold no keys: `redis://[user:password@]host[:port][/database]`.
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// How many keys.
    #[arg(long, default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..=KEYS_MAX as i64))]
    pub count: u32,
    /// Questions at a time, where many are asked at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub parallel: u32,
    /// Report as JSON.
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::{Cli, Command};

    use super::*;

    #[test]
    fn exactly_one_store_is_named() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        let line = "stream-manager bench keys --store a --count 7";
        let Some(Command::Bench(BenchArgs::Keys(keys))) = parse(line).unwrap().command else {
            panic!("not the benchmark of keys")
        };
        assert_eq!((keys.count, keys.parallel, keys.redis), (7, 64, None));
        assert!(parse("stream-manager bench keys --redis redis://h").is_ok());
        assert!(parse("stream-manager bench limit --count 7").is_ok());
        for bad in ["", " --store a --redis redis://h", " --store a --count 100001"] {
            assert!(parse(&format!("stream-manager bench keys{bad}")).is_err(), "{bad}");
        }
    }
}
