//! Repeated trouble in the log: a line that says the same as one of the last seconds is counted
//! instead of written, and the count stands behind the next one.

use std::collections::HashMap;
use std::fmt::{self, Debug, Write as _};
use std::hash::{DefaultHasher, Hash, Hasher};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::media::Micros;

/// For how long the same line is not written again.
const QUIET: Micros = Micros::from_secs(10);

/// Different lines that are remembered. Beyond that, all are forgotten: a line may then be written
/// sooner than it had to be.
const LINES_MAX: usize = 256;

/// What to do with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Write it; so many like it were not written before.
    Write(u64),
    /// Count it.
    Count,
}

/// The lines of the last seconds by the hash of what they say: when each was written, and how
/// often it was not.
#[derive(Debug, Default)]
struct Recent(HashMap<u64, (Micros, u64)>);

impl Recent {
    fn decide(&mut self, line: u64, now: Micros) -> Verdict {
        if let Some((written, left_out)) = self.0.get_mut(&line) {
            if now.since(*written) < QUIET {
                *left_out += 1;
                return Verdict::Count;
            }
            *written = now;
            return Verdict::Write(std::mem::take(left_out));
        }
        if self.0.len() == LINES_MAX {
            self.0.clear();
        }
        self.0.insert(line, (now, 0));
        Verdict::Write(0)
    }
}

/// The log is written by any thread that has trouble to tell, at most a few lines a second.
#[expect(clippy::disallowed_types, reason = "the log's own lock, like the one of standard error")]
type Locked<T> = std::sync::Mutex<T>;

/// A format of lines in which repeated warnings and errors are written once.
pub(super) struct Once<F, N> {
    format: F,
    now: N,
    recent: Locked<Recent>,
}

impl<F, N: Fn() -> Micros> Once<F, N> {
    /// Around `format`, with a clock.
    pub(super) fn new(format: F, now: N) -> Self {
        Self { format, now, recent: Locked::default() }
    }

    fn decide(&self, event: &Event<'_>) -> Verdict {
        if *event.metadata().level() > Level::WARN {
            return Verdict::Write(0);
        }
        let mut recent = self.recent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        recent.decide(hash_of(event), (self.now)())
    }
}

impl<S, N, F, C> FormatEvent<S, N> for Once<F, C>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
    C: Fn() -> Micros,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self.decide(event) {
            Verdict::Count => Ok(()),
            Verdict::Write(0) => self.format.format_event(ctx, writer, event),
            Verdict::Write(times) => {
                let mut line = String::new();
                self.format.format_event(ctx, Writer::new(&mut line), event)?;
                with_count(&mut writer, line.trim_end(), times)
            }
        }
    }
}

/// Behind a line of text, or as one more field of a line of JSON.
fn with_count(writer: &mut Writer<'_>, line: &str, times: u64) -> fmt::Result {
    match line.strip_suffix('}').filter(|_| line.starts_with('{')) {
        Some(object) => writeln!(writer, "{object},\"repeated\":{times}}}"),
        None => writeln!(writer, "{line} ({times} more like it since the last such line)"),
    }
}

fn hash_of(event: &Event<'_>) -> u64 {
    struct Fields(DefaultHasher);
    impl Visit for Fields {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            field.name().hash(&mut self.0);
            let mut text = Hashed(&mut self.0);
            // Hashing cannot fail.
            if write!(text, "{value:?}").is_err() {
                field.index().hash(&mut self.0);
            }
        }
    }
    let mut fields = Fields(DefaultHasher::new());
    event.metadata().target().hash(&mut fields.0);
    event.record(&mut fields);
    fields.0.finish()
}

/// Text that is hashed as it is written.
struct Hashed<'a>(&'a mut DefaultHasher);

impl fmt::Write for Hashed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_line_is_written_once_in_ten_seconds_with_the_count_of_those_left_out() {
        let mut recent = Recent::default();
        let at = Micros::from_millis;
        assert_eq!(recent.decide(1, at(0)), Verdict::Write(0));
        for ms in [100, 5_000, 9_999] {
            assert_eq!(recent.decide(1, at(ms)), Verdict::Count);
        }
        assert_eq!(recent.decide(2, at(9_999)), Verdict::Write(0), "another line");
        assert_eq!(recent.decide(1, at(10_000)), Verdict::Write(3));
        assert_eq!(recent.decide(1, at(30_000)), Verdict::Write(0));
    }

    #[test]
    fn the_memory_of_lines_is_bounded() {
        let mut recent = Recent::default();
        for line in 0..10_000 {
            assert_eq!(recent.decide(line, Micros(0)), Verdict::Write(0));
            assert!(recent.0.len() <= LINES_MAX);
        }
    }
}
