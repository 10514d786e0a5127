//! Configuration errors, with their place in the file.

use std::fmt;
use std::ops::Range;

/// Faults that are told at once; what else is wrong shows when these are mended.
const FAULTS_MAX: usize = 10;

/// Faults that are remembered until they are sorted. A text with more is hardly a configuration.
const FOUND_MAX: usize = 1_000;

/// Characters of somebody's text that a message repeats.
const SHOWN_CHARS_MAX: usize = 120;

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
    /// How many more there are.
    pub further: usize,
}

impl Errors {
    /// One thing that is wrong with all of `origin`.
    #[must_use]
    pub fn about(origin: &str, text: impl Into<String>) -> Self {
        let fault = Fault { line: 0, column: 0, text: text.into() };
        Self { origin: origin.to_owned(), faults: vec![fault], further: 0 }
    }
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
        if self.further > 0 {
            write!(f, "\nerror: {origin}: {} more after these", self.further)?;
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
    unheard: usize,
    /// Whether the author sees the lines of the text.
    has_lines: bool,
}

impl<'a> Faults<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, found: Vec::new(), unheard: 0, has_lines: true }
    }

    /// For a text that was made of something else, so that its lines mean nothing.
    pub(super) fn of_document(text: &'a str) -> Self {
        Self { has_lines: false, ..Self::new(text) }
    }

    /// Where a byte is, as a message says it.
    pub(super) fn whereabouts(&self, byte: usize) -> String {
        if self.has_lines { format!("at line {}", self.line(byte)) } else { "there".to_owned() }
    }

    /// Something is wrong at `span`.
    pub(super) fn add(&mut self, span: &Range<usize>, text: impl Into<String>) {
        if self.found.len() < FOUND_MAX {
            self.found.push((span.start, text.into()));
        } else {
            self.unheard += 1;
        }
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, byte: usize) -> usize {
        self.place(byte).0
    }

    /// Line and column of a byte, both from 1.
    fn place(&self, byte: usize) -> (usize, usize) {
        let starts = self.text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= byte);
        starts.fold((1, 1), |(line, column), (_, c)| match c {
            '\n' => (line + 1, 1),
            _ => (line, column + 1),
        })
    }

    /// All that was found, in order, with the bytes where it was; at most ten.
    pub(super) fn into_texts(mut self) -> Vec<(usize, String)> {
        self.found.sort_by_key(|(byte, _)| *byte);
        self.found.truncate(FAULTS_MAX);
        self.found
    }

    /// All that was found, or nothing.
    pub(super) fn into_result(mut self, origin: &str) -> Result<(), Errors> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_by_key(|(byte, _)| *byte);
        let further = self.found.len().saturating_sub(FAULTS_MAX) + self.unheard;
        let found = std::mem::take(&mut self.found);
        let faults = found.into_iter().take(FAULTS_MAX).map(|(byte, text)| {
            let (line, column) = self.place(byte);
            Fault { line, column, text }
        });
        Err(Errors { origin: origin.to_owned(), faults: faults.collect(), further })
    }
}

/// Somebody's text as a message may repeat it: in quotes, not too long, without control characters
/// that a terminal obeys, and without what follows a host or a `?`, where stream keys stand.
pub(super) fn quoted(text: &str) -> String {
    let shown = match (text.split_once("://"), text.split_once('?')) {
        (Some((scheme, _)), _) => format!("{scheme}://***"),
        (None, Some((before, _))) => format!("{before}?***"),
        (None, None) => text.to_owned(),
    };
    let mut chars = shown.chars();
    let kept: String = chars.by_ref().take(SHOWN_CHARS_MAX).collect();
    let rest = if chars.next().is_some() { "..." } else { "" };
    format!("\"{}{rest}\"", kept.escape_debug().to_string().replace("\\'", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_repeats_neither_keys_nor_what_a_terminal_obeys() {
        assert_eq!(quoted("live/show's"), "\"live/show's\"");
        assert_eq!(quoted("rtmp://host/live/s3cret?x"), "\"rtmp://***\"");
        assert_eq!(quoted("live/show?key=s3cret"), "\"live/show?***\"");
        assert_eq!(quoted("a\u{1b}[31m\n"), "\"a\\u{1b}[31m\\n\"");
        assert_eq!(quoted(&"x".repeat(1_000)), format!("\"{}...\"", "x".repeat(120)));
    }

    #[test]
    fn columns_count_characters() {
        let faults = Faults::new("a\nüü = 1\r\nb");
        assert_eq!(faults.place(0), (1, 1));
        assert_eq!(faults.place(2), (2, 1));
        assert_eq!(faults.place(6), (2, 3));
        assert_eq!(faults.place(12), (3, 1));
        assert_eq!(faults.place(usize::MAX), (3, 2));
    }

    #[test]
    fn ten_faults_are_told_and_the_others_counted() {
        let text = "x\n".repeat(2_000);
        let mut faults = Faults::new(&text);
        for line in (0..1_500).rev() {
            faults.add(&(line * 2..line * 2), "wrong");
        }
        let errors = faults.into_result("f").unwrap_err();
        assert_eq!((errors.faults.len(), errors.further), (10, 1_490));
        assert!(errors.to_string().ends_with("error: f: 1490 more after these"));
    }
}
