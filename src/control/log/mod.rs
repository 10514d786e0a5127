//! The program's log: lines on standard error, as text or JSON, with a filter that can be changed
//! while the node runs.

mod repeat;

use std::fmt;
use std::io::IsTerminal;

use arc_swap::ArcSwap;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Format, JsonFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use self::repeat::Once;
use crate::event::{LogFormat, check_log_filter};
use crate::media::Micros;

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
        check_log_filter(filter)?;
        (self.set)(filter)?;
        self.now.store(filter.to_owned().into());
        Ok(())
    }
}

/// Starts the log of this process on standard error, with colours only on a terminal. `now` is
/// the node's clock, by which repeated lines are left out.
///
/// # Errors
/// If `filter` is not a filter, or this process has a log already; says why.
pub fn start_log(
    filter: &str,
    format: LogFormat,
    now: impl Fn() -> Micros + Send + Sync + 'static,
) -> Result<LogLevel, String> {
    check_log_filter(filter)?;
    let (layer, handle) = reload::Layer::new(parse(filter)?);
    let colours = std::io::stderr().is_terminal();
    let lines = lines(format, colours, now, std::io::stderr);
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(layer));
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_taken| "this process has a log already".to_owned())?;
    Ok(LogLevel::new(filter, move |filter| {
        handle.reload(parse(filter)?).map_err(|error| error.to_string())
    }))
}

fn parse(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(filter).map_err(|error| error.to_string())
}

/// The layer that writes.
fn lines<W>(
    format: LogFormat,
    colours: bool,
    now: impl Fn() -> Micros + Send + Sync + 'static,
    writer: W,
) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(writer);
    match format {
        LogFormat::Text => {
            layer.event_format(Once::new(Format::default().with_ansi(colours), now)).boxed()
        }
        LogFormat::Json => {
            let format = Format::default().json().flatten_event(true);
            layer.fmt_fields(JsonFields::new()).event_format(Once::new(format, now)).boxed()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_filter_that_is_refused_changes_nothing() {
        let log = LogLevel::new("info", |filter| match filter {
            "debug" => Ok(()),
            _ => Err("no".to_owned()),
        });
        assert_eq!(log.set("warn"), Err("no".to_owned()));
        assert!(log.set("inof").unwrap_err().contains("did you mean `info`?"));
        assert_eq!(log.now(), "info");
        log.set("debug").unwrap();
        assert_eq!(log.now(), "debug");
        assert!(LogLevel::fixed().set("debug").is_err());
    }

    /// Lines that are kept for the test.
    #[derive(Clone, Default)]
    struct Kept(Arc<crossbeam::queue::SegQueue<u8>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            bytes.iter().for_each(|byte| self.0.push(*byte));
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, colours: bool, tell: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = lines(format, colours, || Micros(0), move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), tell);
        String::from_utf8(std::iter::from_fn(|| kept.0.pop()).collect()).unwrap()
    }

    #[test]
    fn a_line_holds_no_colour_codes_unless_it_is_for_a_terminal() {
        let told = written(LogFormat::Text, false, || tracing::warn!("careful"));
        assert!(told.contains("WARN") && told.ends_with("careful\n"), "{told:?}");
        assert!(!told.contains('\u{1b}'), "{told:?}");
        let told = written(LogFormat::Text, true, || tracing::warn!("careful"));
        assert!(told.contains('\u{1b}'), "{told:?}");
    }

    #[test]
    fn lines_of_json_are_one_object_each() {
        let told = written(LogFormat::Json, false, || {
            tracing::warn!("a \"quoted\" word");
            tracing::info!("more");
        });
        let lines: Vec<serde_json::Value> =
            told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            (&lines[0]["level"], &lines[0]["message"]),
            (&"WARN".into(), &"a \"quoted\" word".into())
        );
        assert!(lines[1]["timestamp"].is_string() && lines[1]["target"].is_string());
    }

    #[test]
    fn repeated_trouble_is_one_line_and_what_is_no_trouble_is_not_counted() {
        let told = written(LogFormat::Text, false, || {
            for _ in 0..10 {
                tracing::warn!("the disk is full");
                tracing::info!("hello");
            }
            tracing::warn!("the disk is slow");
        });
        assert_eq!(told.matches("the disk is full").count(), 1, "{told}");
        assert_eq!(told.matches("hello").count(), 10);
        assert_eq!(told.matches("the disk is slow").count(), 1);
    }
}
