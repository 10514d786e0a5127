//! Severity of an event: the level of its line in the log.

/// How much an event matters to whoever runs the node: the level of its line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// What viewers do.
    Debug,
    /// What else happens.
    Info,
    /// Trouble that ends by itself, or that the node goes on with.
    Warn,
    /// Something is lost until somebody acts.
    Error,
}

impl Severity {
    /// `debug`, `info`, `warn` or `error`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}
