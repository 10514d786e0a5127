//! Command line and output of `stream-manager keys`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};

use crate::config::{Config, Errors, KeyStoreKind, KeysConfig};
use crate::control::keystore::{KeyEdit, Lifetime, NewKey};
use crate::keys::{AddressRange, KeyLimits, KeyType, Takeover};
use crate::media::parse_bitrate;

/// Stream keys: who may publish.
#[derive(Args, Clone, Debug)]
pub struct KeysArgs {
    /// Where the keys are.
    #[command(flatten)]
    pub place: StoreArgs,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// Where the keys are: a node's data directory or Redis. A node that has its directory open is
/// asked over its API.
#[derive(Args, Clone, Debug, Default)]
pub struct StoreArgs {
    /// The node's configuration file: its data directory, `[keys]` and `[http]` are used.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The node's data directory, with the embedded key store.
    #[arg(long, value_name = "DIR", global = true, conflicts_with = "redis")]
    pub data_dir: Option<PathBuf>,
    /// The Redis server that nodes share: `redis://[user:password@]host[:port][/database]`.
    #[arg(long, value_name = "URL", global = true)]
    pub redis: Option<String>,
    /// A file with the URL of that Redis server: others can see a password on a command line.
    #[arg(long, value_name = "FILE", global = true, conflicts_with_all = ["redis", "data_dir"])]
    pub redis_url_file: Option<PathBuf>,
    /// Address of the running node's API, instead of the one of the configuration.
    #[arg(long, value_name = "HOST:PORT", global = true)]
    pub api: Option<String>,
}

/// What to do with keys.
#[derive(Clone, Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key. It is shown once.
    Create(NewKeyArgs),
    /// List all keys.
    List,
    /// Show one key.
    Show(Which),
    /// Make a new key in the place of one: same stream, rights and aliases. It is shown once.
    Rotate {
        /// The key.
        #[command(flatten)]
        which: Which,
        /// How long the old key stays good, such as 30m, 12h, 2d; 0 revokes it at once.
        #[arg(long, value_name = "TIME", value_parser = seconds, default_value = "1h")]
        grace: u64,
    },
    /// Take a key back: who publishes with it is ended within a second.
    Revoke(Which),
    /// Forget a key and its aliases.
    Delete(Which),
    /// Let a name stand for a key, or forget the name.
    Alias {
        /// The name.
        alias: String,
        /// Id of the key, or another alias of it.
        #[arg(required_unless_present = "remove")]
        key: Option<String>,
        /// Forget the name; its key stays.
        #[arg(long, conflicts_with = "key")]
        remove: bool,
    },
    /// Change what a key may do and what is noted about it; what is not named stays as it is. Who
    /// publishes with it goes on by the new rules within a second.
    Edit {
        /// The key.
        #[command(flatten)]
        which: Which,
        /// What to change.
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Write all keys to a file: hashes and settings, never a key. For a backup, or to move to
    /// another store.
    Export {
        /// The file; without it, or with -, standard output.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Add a key that was made elsewhere, or with --from all keys of an export.
    Import {
        /// The file that `keys export` wrote, or - for standard input.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["stream", "key"])]
        from: Option<PathBuf>,
        /// Keys and aliases that are there with other settings get those of the export.
        #[arg(long, requires = "from", conflicts_with = "stream")]
        replace: bool,
        /// Public name it publishes under, such as live/studio; a name alone means live/NAME.
        #[arg(long, value_name = "NAME", required_unless_present = "from")]
        stream: Option<String>,
        /// What it is for.
        #[command(flatten)]
        settings: KeySettings,
        /// Take it although it has fewer than 16 characters and can be guessed.
        #[arg(long)]
        weak: bool,
        /// The key; without it, or with -, it is read from standard input, where nobody sees it.
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
}

/// Which key.
#[derive(Args, Clone, Debug)]
pub struct Which {
    /// Id of the key (16 digits, as `keys list` shows it) or an alias.
    pub key: String,
}

/// What a new key is for.
#[derive(Args, Clone, Debug)]
pub struct NewKeyArgs {
    /// Public name it publishes under, such as live/studio; a name alone means live/NAME.
    #[arg(long, value_name = "NAME")]
    pub stream: String,
    /// All else.
    #[command(flatten)]
    pub settings: KeySettings,
}

/// What a new key may do, and what is noted about it.
#[derive(Args, Clone, Debug)]
pub struct KeySettings {
    /// Kind of key.
    #[arg(long = "type", value_enum, value_name = "TYPE", default_value = "regular")]
    pub key_type: TypeArg,
    /// Whose it is.
    #[arg(long, default_value = "")]
    pub owner: String,
    /// A note for people.
    #[arg(long, default_value = "")]
    pub label: String,
    /// How long it is good for, such as 12h, 30d, or never; by default as its type says.
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    pub expires: Option<Lifetime>,
    /// Address or network it may be used from; may be given more than once.
    #[arg(long, value_name = "CIDR", num_args = 1..)]
    pub allow: Vec<AddressRange>,
    /// A name that stands for it.
    #[arg(long, value_name = "NAME")]
    pub alias: Option<String>,
    /// Most bits per second of a stream, such as 6000000 or 6M.
    #[arg(long, value_name = "BPS", value_parser = parse_bitrate)]
    pub bitrate: Option<u64>,
    /// Most viewers at once.
    #[arg(long, value_name = "COUNT")]
    pub viewers: Option<u32>,
    /// Widest picture that a stream may announce, in pixels, such as 1920.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_width: Option<u32>,
    /// Highest picture that a stream may announce, in pixels, such as 1080.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_height: Option<u32>,
    /// Most frames per second that a stream may announce, such as 60.
    #[arg(long, value_name = "FPS", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_fps: Option<u32>,
    /// A second publisher takes the first one's place instead of being refused.
    #[arg(long)]
    pub takeover: bool,
}

/// What is to change about a key.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = true)]
pub struct ChangeArgs {
    /// Whose it is.
    #[arg(long)]
    pub owner: Option<String>,
    /// A note for people.
    #[arg(long)]
    pub label: Option<String>,
    /// How long it is good for from now on, such as 12h, 30d, or never.
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    pub expires: Option<Lifetime>,
    /// Addresses and networks it may be used from, in place of those before.
    #[arg(long, value_name = "CIDR", num_args = 1.., conflicts_with = "anywhere")]
    pub allow: Vec<AddressRange>,
    /// It may be used from anywhere.
    #[arg(long)]
    pub anywhere: bool,
    /// Whether a second publisher takes the first one's place.
    #[arg(long, value_name = "true|false")]
    pub takeover: Option<bool>,
    /// Most bits per second of a stream, such as 6000000 or 6M, or any.
    #[arg(long, value_name = "BPS", value_parser = most_bitrate)]
    pub bitrate: Option<Most<u64>>,
    /// Most viewers at once, or any.
    #[arg(long, value_name = "COUNT", value_parser = most::<u32>)]
    pub viewers: Option<Most<u32>>,
    /// Widest picture that a stream may announce, in pixels, or any.
    #[arg(long, value_name = "PIXELS", value_parser = most::<u32>)]
    pub max_width: Option<Most<u32>>,
    /// Highest picture that a stream may announce, in pixels, or any.
    #[arg(long, value_name = "PIXELS", value_parser = most::<u32>)]
    pub max_height: Option<Most<u32>>,
    /// Most frames per second that a stream may announce, or any.
    #[arg(long, value_name = "FPS", value_parser = most::<u32>)]
    pub max_fps: Option<Most<u32>>,
}

/// A limit, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most<T>(pub Option<T>);

impl ChangeArgs {
    /// As a store takes it.
    #[must_use]
    pub fn to_edit(&self) -> KeyEdit {
        let names_addresses = self.anywhere || !self.allow.is_empty();
        KeyEdit {
            owner: self.owner.clone(),
            label: self.label.clone(),
            lifetime: self.expires,
            allowed_ips: names_addresses.then(|| self.allow.clone()),
            takeover: self.takeover.map(|it| if it { Takeover::Take } else { Takeover::Refuse }),
            bitrate_bps: self.bitrate.map(|most| most.0),
            viewers: self.viewers.map(|most| most.0),
            max_width: self.max_width.map(|most| most.0),
            max_height: self.max_height.map(|most| most.0),
            max_fps: self.max_fps.map(|most| most.0),
        }
    }
}

/// `any`, or a number from 1.
fn most<T: FromStr + Default + PartialEq>(text: &str) -> Result<Most<T>, String> {
    if text == "any" {
        return Ok(Most(None));
    }
    let number = text.parse().ok().filter(|number| *number != T::default());
    number.map(|number| Most(Some(number))).ok_or_else(|| "write a number, or any".to_owned())
}

fn most_bitrate(text: &str) -> Result<Most<u64>, String> {
    if text == "any" {
        return Ok(Most(None));
    }
    match parse_bitrate(text)? {
        0 => Err("write a bitrate above 0, or any".to_owned()),
        bits => Ok(Most(Some(bits))),
    }
}

/// Kind of key, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TypeArg {
    /// Good for 30 days.
    Regular,
    /// Stands behind an alias, without end.
    Alias,
    /// Good for 24 hours from anywhere.
    Development,
}

impl NewKeyArgs {
    /// As a store takes it.
    #[must_use]
    pub fn to_new_key(&self) -> NewKey {
        self.settings.for_stream(&self.stream)
    }
}

impl KeySettings {
    /// A key for this stream, as a store takes it.
    #[must_use]
    pub fn for_stream(&self, stream: &str) -> NewKey {
        NewKey {
            stream: stream.to_owned(),
            key_type: match self.key_type {
                TypeArg::Regular => KeyType::Regular,
                TypeArg::Alias => KeyType::Alias,
                TypeArg::Development => KeyType::Development,
            },
            owner: self.owner.clone(),
            label: self.label.clone(),
            lifetime: self.expires.unwrap_or_default(),
            allowed_ips: self.allow.clone(),
            alias: self.alias.clone(),
            limits: KeyLimits {
                bitrate_bps: self.bitrate,
                viewers: self.viewers,
                max_width: self.max_width,
                max_height: self.max_height,
                max_fps: self.max_fps,
            },
            takeover: if self.takeover { Takeover::Take } else { Takeover::Refuse },
        }
    }
}

impl StoreArgs {
    /// The configuration that says where the keys are.
    ///
    /// # Errors
    /// Everything that is wrong in the file.
    pub fn resolve(&self) -> Result<Config, Errors> {
        let mut config = match &self.config {
            Some(file) => Config::load(file)?,
            None => Config::default(),
        };
        if let Some(dir) = &self.data_dir {
            config.node.data_dir = Some(dir.clone());
            config.keys.store = KeyStoreKind::Embedded;
        }
        let from_file = self.redis_url_file.as_deref().map(read_url).transpose()?;
        if let Some(url) = from_file.as_ref().or(self.redis.as_ref()) {
            let urls = vec![url.as_str().into()];
            config.keys =
                KeysConfig { store: KeyStoreKind::Redis, redis_urls: urls, ..config.keys };
        }
        Ok(config)
    }
}

/// The URL in a file, whose text is in no error.
fn read_url(file: &Path) -> Result<String, Errors> {
    let wrong = |text: String| Errors::about(&file.display().to_string(), text);
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let url = text.trim();
    if !url.starts_with("redis://") && !url.starts_with("rediss://") {
        return Err(wrong("holds no URL like redis://user:password@host:6379".to_owned()));
    }
    Ok(url.to_owned())
}

/// `never`, or a time.
fn lifetime(text: &str) -> Result<Lifetime, String> {
    match text {
        "never" => Ok(Lifetime::Endless),
        _ => match seconds(text)? {
            0 => Err("a key is good for some time; write one like 30d, or never".to_owned()),
            seconds => Ok(Lifetime::Seconds(seconds)),
        },
    }
}

/// `90s`, `30m`, `12h`, `30d`, `4w`, or seconds without a unit.
fn seconds(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => 0,
    };
    let number: Option<u64> = digits.parse().ok().filter(|_| factor > 0);
    let seconds = number.and_then(|number| number.checked_mul(factor));
    seconds
        .filter(|seconds| *seconds <= SECONDS_MAX)
        .ok_or_else(|| "write a time like 90s, 30m, 12h, 30d or 4w, at most 100 years".to_owned())
}

/// A hundred years.
const SECONDS_MAX: u64 = 100 * 366 * 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn parse(line: &str) -> Result<KeysArgs, String> {
        let words = ["stream-manager", "keys"].into_iter().chain(line.split(' '));
        match Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Some(Command::Keys(args)) => Ok(*args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_with_everything_is_understood() {
        let args = parse(
            "create --stream show --owner Ada --label cam --expires 30d --allow 192.0.2.0/24 ::1 \
             --alias studio --type alias --bitrate 6M --viewers 9 --max-width 1920 \
             --max-height 1080 --max-fps 60 --takeover --data-dir d",
        )
        .unwrap();
        assert_eq!(args.place.data_dir, Some(PathBuf::from("d")));
        let KeysCommand::Create(new) = args.command else { panic!("{:?}", args.command) };
        let new = new.to_new_key();
        assert_eq!((new.stream.as_str(), new.key_type), ("show", KeyType::Alias));
        assert_eq!(new.lifetime, Lifetime::Seconds(30 * 86_400));
        assert_eq!((new.allowed_ips.len(), new.alias.as_deref()), (2, Some("studio")));
        assert_eq!((new.limits.viewers, new.takeover), (Some(9), Takeover::Take));
        let KeyLimits { max_width, max_height, max_fps, .. } = new.limits;
        assert_eq!([max_width, max_height, max_fps], [Some(1_920), Some(1_080), Some(60)]);
    }

    #[test]
    fn every_command_is_understood_and_mistakes_are_not() {
        for line in [
            "list --json",
            "list --redis redis://h",
            "show 0123456789abcdef",
            "rotate studio --grace 12h",
            "revoke studio --api 127.0.0.1:8080",
            "delete studio",
            "alias studio 0123456789abcdef",
            "alias studio --remove",
            "import --stream live/a",
            "import --stream live/a key",
            "import --from -",
            "import --from keys.jsonl --replace",
            "export",
            "export keys.jsonl --redis redis://h",
            "edit studio --label cam --viewers any",
            "edit studio --anywhere",
            "import --stream live/a --weak -",
            "create --stream a --expires never",
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line));
        }
        for line in [
            "create",
            "create --stream a --expires soon",
            "create --stream a --expires 0",
            "create --stream a --allow here",
            "create --stream a --type other",
            "edit studio",
            "edit studio --viewers 0",
            "edit studio --anywhere --allow ::1",
            "import",
            "import --from f --stream a",
            "import --stream a --replace",
            "alias studio",
            "alias studio 0123456789abcdef --remove",
            "list --data-dir d --redis redis://h",
            "rotate studio --grace 99999999999999d",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn an_edit_changes_what_it_names_and_nothing_else() {
        let line = "edit studio --owner Ada --expires never --bitrate 6000k --viewers any \
                    --takeover false";
        let KeysCommand::Edit { change, .. } = parse(line).unwrap().command else { panic!() };
        let want = KeyEdit {
            owner: Some("Ada".to_owned()),
            lifetime: Some(Lifetime::Endless),
            bitrate_bps: Some(Some(6_000_000)),
            viewers: Some(None),
            takeover: Some(Takeover::Refuse),
            ..KeyEdit::default()
        };
        assert_eq!(change.to_edit(), want);
    }

    #[test]
    fn a_url_of_redis_is_read_from_a_file_and_never_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        let resolve = |text: &str| {
            std::fs::write(&file, text).unwrap();
            parse(&format!("list --redis-url-file {}", file.display())).unwrap().place.resolve()
        };
        let config = resolve("redis://:s3cret@redis.example:6380/1\n").unwrap();
        assert_eq!(config.keys.store, KeyStoreKind::Redis);
        assert_eq!(config.keys.redis_urls[0].expose(), "redis://:s3cret@redis.example:6380/1");
        let error = resolve("s3cret").unwrap_err().to_string();
        assert!(error.contains("redis://") && !error.contains("s3cret"), "{error}");
        std::fs::remove_file(&file).unwrap();
        let line = format!("list --redis-url-file {}", file.display());
        assert!(parse(&line).unwrap().place.resolve().is_err());
        assert!(parse("list --redis redis://h --redis-url-file f").is_err());
    }

    #[test]
    fn times_have_units() {
        for (text, want) in [("90", 90), ("90s", 90), ("2m", 120), ("1h", 3_600), ("1w", 604_800)] {
            assert_eq!(seconds(text), Ok(want));
        }
        for bad in ["", "d", "1y", "-1d", "1.5h", "1 d", "9d9"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
