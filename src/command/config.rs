//! Configuration of a node as control is told of it: its text, and what came of a reload.

use std::fmt;

/// A configuration as TOML. It may hold secrets, so Debug shows nothing.
#[derive(Clone)]
pub struct ConfigText(String);

impl ConfigText {
    /// The text.
    #[must_use]
    pub const fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl From<String> for ConfigText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for ConfigText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of configuration", self.0.len())
    }
}

/// What came of a reload. `Display` is one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadView {
    /// What was changed.
    pub done: Vec<String>,
    /// Tables and keys whose change takes a restart.
    pub restart: Vec<String>,
    /// What could not be changed, and why.
    pub failed: Vec<String>,
}

impl ReloadView {
    /// Whether all that the file says is in use.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.restart.is_empty() && self.failed.is_empty()
    }
}

impl fmt::Display for ReloadView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, restart, failed } = self;
        match done.is_empty() {
            true => f.write_str("the configuration was read again: nothing to change")?,
            false => write!(f, "the configuration was read again: {}", done.join("; "))?,
        }
        if !restart.is_empty() {
            write!(f, "; a restart is needed for {}", restart.join(", "))?;
        }
        if !failed.is_empty() {
            write!(f, "; {}", failed.join("; "))?;
        }
        Ok(())
    }
}
