//! What is logged, changed while the node runs.

use std::fmt;

use arc_swap::ArcSwap;

/// Longest filter that is taken.
const FILTER_CHARS_MAX: usize = 256;

/// The filter of the program's log.
pub struct LogLevel {
    now: ArcSwap<String>,
    set: Box<Set>,
}

/// Changes the filter, or says why it cannot be.
type Set = dyn Fn(&str) -> Result<(), String> + Send + Sync;

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogLevel({})", self.now.load())
    }
}

impl LogLevel {
    /// A filter that is `now`; `set` changes it, or says why it cannot be.
    pub fn new(
        now: &str,
        set: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self { now: ArcSwap::from_pointee(now.to_owned()), set: Box::new(set) }
    }

    /// Of a program whose log cannot be changed.
    #[must_use]
    pub fn fixed() -> Self {
        Self::new("", |_| Err("the log of this program cannot be changed".to_owned()))
    }

    /// The filter now, such as `info` or `warn,stream_manager::pipeline=debug`.
    #[must_use]
    pub fn now(&self) -> String {
        self.now.load().to_string()
    }

    /// Changes it.
    ///
    /// # Errors
    /// If it is not a filter; says why.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        if filter.len() > FILTER_CHARS_MAX {
            return Err(format!("a filter has at most {FILTER_CHARS_MAX} characters"));
        }
        (self.set)(filter)?;
        self.now.store(filter.to_owned().into());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_refused_changes_nothing() {
        let log = LogLevel::new("info", |filter| match filter {
            "debug" => Ok(()),
            _ => Err("no".to_owned()),
        });
        assert_eq!(log.set("loud"), Err("no".to_owned()));
        assert!(log.set(&"x".repeat(300)).unwrap_err().contains("256"));
        assert_eq!(log.now(), "info");
        log.set("debug").unwrap();
        assert_eq!(log.now(), "debug");
        assert!(LogLevel::fixed().set("debug").is_err());
    }
}
