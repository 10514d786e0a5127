//! The measuring side of the program: publishers and viewers by the thousand that put a load on a
//! node, this one or another make, and the bare loop of `sendmsg` that nothing can beat. They are
//! part of the program so that everybody measures the same way.

mod admit;
mod connect;
mod cpu;
mod demux;
mod enter;
mod idle;
mod join;
mod limit;
mod play;
mod player;
mod programme;
mod publish;
mod report;
mod request;
mod target;
mod tls;
mod watch;

pub(crate) use report::{Report, Times};

use clap::builder::RangedI64ValueParser;
use clap::{Args, Subcommand};

/// Puts a load on a node and says how it bore it.
#[derive(Debug, Subcommand)]
pub enum LoadCommand {
    /// Publish made-up streams by RTMP or RTMPS at exact times (an open loop), each message stamped
    /// with its time.
    Publish(publish::Publish),
    /// Play a stream many times, by RTMP, FLV over HTTP or FLV in a `WebSocket`, with TLS or
    /// without; says rates, losses, latency (of stamped messages) and CPU, its own included.
    Play(play::Play),
    /// Join a stream again and again; says how long it takes to the first keyframe.
    Join(join::Join),
    /// Publish with one stream key after the other; says how long the node takes to accept each.
    Admit(admit::Admit),
    /// Follow the state as dashboards do, and throw it away; says how much came.
    Watch(watch::Watch),
    /// Connect and stay without doing anything; says what that costs the node.
    Idle(idle::Idle),
    /// Connect, play and leave as fast as the node allows; says how many times a second.
    Connect(connect::Connect),
}

/// Measures what this machine can do at best.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// A bare loop of sendmsg: what delivery to so many viewers costs without any server.
    Limit(limit::Limit),
}

/// What all of them are told.
#[derive(Args, Clone, Debug)]
struct Common {
    /// CPUs to run on, a thread each, such as `1` or `2,3`; anywhere if not given.
    #[arg(long, value_delimiter = ',', value_name = "CPUS")]
    cores: Vec<usize>,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    /// Process whose CPU time and memory are measured meanwhile: the server.
    #[arg(long)]
    pid: Option<u32>,
}

/// Reads how many of something there shall be.
fn up_to(most: u32) -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(most))
}

/// What went wrong, for people.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs one of the loads and gives its report.
///
/// # Errors
/// If the node cannot be reached, refuses, or the machine has not enough of something; in words.
pub fn load(command: &LoadCommand) -> Result<String, Failure> {
    match command {
        LoadCommand::Publish(publish) => publish::run(publish),
        LoadCommand::Play(play) => play::run(play),
        LoadCommand::Join(join) => join::run(join),
        LoadCommand::Admit(admit) => admit::run(admit),
        LoadCommand::Watch(watch) => watch::run(watch),
        LoadCommand::Idle(idle) => idle::run(idle),
        LoadCommand::Connect(connect) => connect::run(connect),
    }
}

/// Runs one of the benchmarks and gives its report.
///
/// # Errors
/// If the machine has not enough of something; in words.
pub fn bench(command: &BenchCommand) -> Result<String, Failure> {
    match command {
        BenchCommand::Limit(limit) => limit::run(limit),
    }
}

impl Common {
    /// The cores, or one place anywhere.
    fn places(&self) -> Vec<Vec<usize>> {
        if self.cores.is_empty() {
            return vec![Vec::new()];
        }
        self.cores.iter().map(|&core| vec![core]).collect()
    }
}

/// How many of `count` things place `index` of `places` takes.
const fn share(count: usize, index: usize, places: usize) -> usize {
    count / places + if index < count % places { 1 } else { 0 }
}
