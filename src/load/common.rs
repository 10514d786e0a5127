//! Arguments and errors that all loads share.

use clap::Args;
use clap::builder::RangedI64ValueParser;

/// What all of them are told.
#[derive(Args, Clone, Debug)]
pub(super) struct Common {
    /// CPUs to run on, a thread each, such as `1` or `2,3`; anywhere if not given.
    #[arg(long, value_delimiter = ',', value_name = "CPUS")]
    pub(super) cores: Vec<usize>,
    /// Report as JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Process whose CPU time and memory are measured meanwhile: the server.
    #[arg(long)]
    pub(super) pid: Option<u32>,
}

/// Reads how many of something there shall be.
pub(super) fn up_to(most: u32) -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(most))
}

/// What went wrong, for people.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Common {
    /// The cores, or one place anywhere.
    pub(super) fn places(&self) -> Vec<Vec<usize>> {
        if self.cores.is_empty() {
            return vec![Vec::new()];
        }
        self.cores.iter().map(|&core| vec![core]).collect()
    }
}

/// How many of `count` things place `index` of `places` takes.
pub(super) const fn share(count: usize, index: usize, places: usize) -> usize {
    count / places + if index < count % places { 1 } else { 0 }
}
