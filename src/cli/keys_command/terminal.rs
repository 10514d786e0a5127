//! Terminal output of the commands: results, errors and notes.

use std::io::{self, Write};

/// Prints what was asked for.
pub(super) fn print(text: &str) {
    let mut out = io::stdout();
    // A closed pipe is the reader's wish.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Says why nothing was done.
#[expect(clippy::print_stderr, reason = "this is what the terminal shows")]
pub(super) fn complain(text: &str) {
    eprintln!("error: {text}");
}

/// Says what its user should know, and nothing stops.
#[expect(clippy::print_stderr, reason = "this is what the terminal shows")]
pub(super) fn complain_softly(text: &str) {
    eprintln!("note: {text}");
}
