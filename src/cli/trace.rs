//! The command `trace`: what is in a file that the node's flight recorder has written.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::trace::summarize;

/// Bytes of a file at most: a node writes none that is larger.
const BYTES_MAX: u64 = 128 << 20;

/// What to do with a trace.
#[derive(Clone, Debug, Subcommand)]
pub enum TraceCommand {
    /// Show the frames that took longest, and where the time of each went.
    Summarize {
        /// A file of `POST /api/v1/trace`, or one that the node has kept.
        file: PathBuf,
    },
}

/// Does it, and answers what is to be shown.
///
/// # Errors
/// In words for people: the file cannot be read, or is no whole trace with frames in it.
pub fn trace(command: &TraceCommand) -> Result<String, String> {
    let TraceCommand::Summarize { file } = command;
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let bytes = read(file).map_err(|error| named(&error))?;
    summarize(&bytes).map_err(|error| named(&error))
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        let text = format!("it is larger than any trace, {} MiB", BYTES_MAX >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}
