//! The measuring side of the program: publishers and viewers by the thousand that put a load on a
//! node, this one or another make, and the bare loop of `sendmsg` that nothing can beat. They are
//! part of the program so that everybody measures the same way.

mod admit;
mod common;
mod connect;
mod cpu;
mod demux;
mod enter;
mod glass;
mod idle;
mod join;
mod limit;
mod origins;
mod play;
mod player;
mod programme;
mod publish;
mod report;
mod request;
mod target;
mod tls;
mod watch;

pub use common::Failure;
use common::{Common, share, up_to};
pub(crate) use cpu::process_seconds;
pub(crate) use report::{Report, Times};

use clap::Subcommand;

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
    /// Say how old the pictures are that a player shows, from their frame numbers: the player's
    /// decoded pictures come in on standard input. `tools/glass.sh` runs it with some players.
    Glass(glass::Glass),
    /// Connect, play and leave as fast as the node allows; says how many times a second.
    Connect(connect::Connect),
}

/// Measures what this machine can do at best.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// A bare loop of sendmsg: what delivery to so many viewers costs without any server.
    Limit(limit::Limit),
}

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
        LoadCommand::Glass(glass) => glass::run(glass),
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
