//! What is wrong in a configuration, and where.

use std::fmt;
use std::ops::Range;

/// Faults that are told at once; what else is wrong shows when these are mended.
const FAULTS_MAX: usize = 10;

/// One thing that is wrong: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line, from 1; 0 if the whole file is meant.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what to do. Holds no secret.
    pub text: String,
}

/// Everything that is wrong in one file. Displays like a compiler's messages, one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    /// The file, as it was named.
    pub origin: String,
    /// At most ten, in the order of the file.
    pub faults: Vec<Fault>,
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = &self.origin;
        for (index, Fault { line, column, text }) in self.faults.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            if *line == 0 {
                write!(f, "error: {origin}: {text}")?;
            } else {
                write!(f, "error: {origin}:{line}:{column}: {text}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Collects faults while a document is read.
#[derive(Debug)]
pub(super) struct Faults<'a> {
    text: &'a str,
    found: Vec<(usize, String)>,
}

impl<'a> Faults<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, found: Vec::new() }
    }

    /// Something is wrong at `span`.
    pub(super) fn add(&mut self, span: &Range<usize>, text: impl Into<String>) {
        self.found.push((span.start, text.into()));
    }

    /// Line and column of a byte.
    pub(super) fn place(&self, byte: usize) -> (usize, usize) {
        let byte = self.text.floor_char_boundary(byte);
        let before = &self.text[..byte];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// All that was found, or nothing.
    pub(super) fn into_result(mut self, origin: &str) -> Result<(), Errors> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_by_key(|(byte, _)| *byte);
        let found = std::mem::take(&mut self.found);
        let faults = found.into_iter().take(FAULTS_MAX).map(|(byte, text)| {
            let (line, column) = self.place(byte);
            Fault { line, column, text }
        });
        Err(Errors { origin: origin.to_owned(), faults: faults.collect() })
    }
}
