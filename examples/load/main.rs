//! Measures what serving viewers costs (see `perf/README.md`):
//!
//! `load play` is any number of viewers of a node; `load send` is the least that sending the same
//! bytes can cost.
#![expect(clippy::print_stdout, reason = "a program that reports to a terminal")]
#![expect(clippy::disallowed_methods, reason = "it measures real time, outside the node")]

mod cpu;
mod play;
mod send;

use std::error::Error;

use clap::Parser;

/// Measures what serving viewers costs.
#[derive(Parser)]
enum Load {
    /// Play one stream many times and report what each viewer got.
    Play(play::Play),
    /// Send messages of given sizes at given times to viewers that only read.
    Send(send::Send),
    /// Be the viewers of `send`, which starts this itself.
    #[command(hide = true)]
    Drain(send::Drain),
}

fn main() -> Result<(), Box<dyn Error>> {
    match Load::parse() {
        Load::Play(play) => play::run(&play),
        Load::Send(send) => send::run(&send),
        Load::Drain(drain) => Ok(send::drain(&drain)?),
    }
}
