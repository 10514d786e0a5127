//! The command `tune`: what of this machine makes a node slower or later, and what changes it.

use clap::Args;

use crate::host::{KernelTree, Measured, findings, measure};

/// How to look.
#[derive(Args, Clone, Copy, Debug)]
pub struct TuneArgs {
    /// Only read what the kernel says, and measure nothing.
    #[arg(long)]
    pub quick: bool,
    /// Report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Looks at this machine, and answers what is to be shown. Nothing is changed.
///
/// # Errors
/// In words for people; there is no reason for one that is known.
pub fn tune(args: &TuneArgs) -> Result<String, String> {
    let tree = KernelTree::below("/");
    let measured = if args.quick { Measured::default() } else { measure(&tree) };
    let report = findings(&tree, measured);
    if args.json { report.json() } else { Ok(report.text()) }
}
