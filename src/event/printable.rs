//! Peers' texts in one line of a log.

use std::fmt;

/// A peer's text, without the control characters that could forge a line of a log.
pub(super) struct Printable<'a>(pub(super) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.split(char::is_control).try_for_each(|part| f.write_str(part))
    }
}
