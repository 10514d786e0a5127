//! Summary of a trace: the frames that took longest, and where their time went.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use crate::media::protobuf::{Fields, Value};
use crate::stats::Stage;

/// Frames that are shown.
const FRAMES_MAX: usize = 10;

/// Letters of a bar for the longest stage of a frame.
const BAR_MAX: u64 = 40;

/// Why a file is not summarized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SummaryError {
    /// It is no trace, or a part of one.
    Broken,
    /// It is a trace of something else, or of no frames.
    NoFrames,
}

impl fmt::Display for SummaryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => {
                "this is no whole Perfetto trace; make one with POST /api/v1/trace, and copy all"
            }
            Self::NoFrames => {
                "there are no frames in this trace; make one while a channel or a publisher is live"
            }
        })
    }
}

impl std::error::Error for SummaryError {}

/// A frame on its lane, nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Frame {
    track: u64,
    name: String,
    begin: u64,
    end: u64,
    /// Names, and when each began and ended.
    stages: Vec<(String, u64, u64)>,
}

impl Frame {
    fn of_design(&self) -> u64 {
        let ahead = self.stages.iter().filter(|(name, ..)| name == Stage::Lookahead.label());
        ahead.map(|(_, begin, end)| end.saturating_sub(*begin)).sum()
    }

    /// All of its way without the encoder's delay by design.
    fn took(&self) -> u64 {
        self.end.saturating_sub(self.begin).saturating_sub(self.of_design())
    }
}

/// What is read of a trace: the names of its tracks, and the frames on them.
#[derive(Default)]
struct Reading {
    names: BTreeMap<u64, String>,
    /// What has begun on each track and not ended.
    open: BTreeMap<u64, Vec<(String, u64)>>,
    stages: BTreeMap<u64, Vec<(String, u64, u64)>>,
    frames: Vec<Frame>,
}

impl Reading {
    fn packet(&mut self, bytes: &[u8]) -> Result<(), SummaryError> {
        let mut at = 0;
        for (field, value) in whole(bytes)? {
            match field {
                8 => at = value.number(),
                11 => self.event(at, value.bytes())?,
                60 => {
                    let track = whole(value.bytes())?;
                    let name = track.iter().find(|(field, _)| *field == 2);
                    if let Some(name) = name {
                        self.names.insert(number(&track, 1), text(name.1));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn event(&mut self, at: u64, bytes: &[u8]) -> Result<(), SummaryError> {
        let fields = whole(bytes)?;
        let (kind, track) = (number(&fields, 9), number(&fields, 11));
        let open = self.open.entry(track).or_default();
        match kind {
            1 => {
                let name = fields.iter().find(|(field, _)| *field == 23);
                open.push((name.map_or_else(String::new, |name| text(name.1)), at));
            }
            2 => {
                let Some((name, begin)) = open.pop() else { return Ok(()) };
                match open.len() {
                    0 if name.starts_with("frame ") => {
                        let stages = self.stages.remove(&track).unwrap_or_default();
                        self.frames.push(Frame { track, name, begin, end: at, stages });
                    }
                    1 => self.stages.entry(track).or_default().push((name, begin, at)),
                    _ => {}
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The fields of a message, if it is whole.
fn whole(bytes: &[u8]) -> Result<Vec<(u64, Value<'_>)>, SummaryError> {
    let mut fields = Fields::of(bytes);
    let all = fields.by_ref().collect();
    if fields.is_broken() { Err(SummaryError::Broken) } else { Ok(all) }
}

fn number(fields: &[(u64, Value<'_>)], wanted: u64) -> u64 {
    fields.iter().find(|(field, _)| *field == wanted).map_or(0, |(_, value)| value.number())
}

fn text(value: Value<'_>) -> String {
    // A name could have anything in it that a terminal takes for a command.
    String::from_utf8_lossy(value.bytes()).replace(char::is_control, "?")
}

/// The frames of a trace that took longest without the encoder's delay by design, each with its
/// stages, for a terminal.
///
/// # Errors
/// If it is not a whole trace of this program with frames in it.
pub fn summarize(trace: &[u8]) -> Result<String, SummaryError> {
    let mut reading = Reading::default();
    for (field, value) in whole(trace)? {
        if field == 1 {
            reading.packet(value.bytes())?;
        }
    }
    let Reading { names, mut frames, .. } = reading;
    frames.sort_by_key(|frame| std::cmp::Reverse(frame.took()));
    if frames.is_empty() {
        return Err(SummaryError::NoFrames);
    }
    let mut out = String::new();
    let shown = frames.len().min(FRAMES_MAX);
    let head = format!("The {shown} of {} frames that took longest\n", frames.len());
    out.push_str(&head);
    for frame in frames.iter().take(FRAMES_MAX) {
        let name = names.get(&frame.track).map_or("", String::as_str);
        let stream = name.strip_suffix(" frames").unwrap_or(name);
        show(&mut out, frame, stream).unwrap_or_default();
    }
    Ok(out)
}

fn show(out: &mut String, frame: &Frame, stream: &str) -> fmt::Result {
    let (took, ahead) = (frame.took(), frame.of_design());
    write!(out, "\n{stream} {}: {} ms", frame.name, millis(took))?;
    if ahead > 0 {
        write!(out, ", and {} ms in the encoder by design", millis(ahead))?;
    }
    out.push('\n');
    let lengths = frame.stages.iter().map(|(_, begin, end)| end.saturating_sub(*begin));
    let longest = lengths.max().unwrap_or(0).max(1);
    let mut at = frame.begin;
    for (name, begin, end) in &frame.stages {
        if begin.saturating_sub(at) >= SHOWN_MIN {
            line(out, "(between)", begin - at, longest)?;
        }
        line(out, name, end.saturating_sub(*begin), longest)?;
        at = at.max(*end);
    }
    Ok(())
}

/// Time between two stages that is shown, nanoseconds: less is rounding.
const SHOWN_MIN: u64 = 100_000;

fn line(out: &mut String, name: &str, took: u64, longest: u64) -> fmt::Result {
    let length = took.saturating_mul(BAR_MAX).div_euclid(longest).min(2 * BAR_MAX);
    let bar = "#".repeat(usize::try_from(length).unwrap_or(0));
    writeln!(out, "  {name:<12} {:>10} ms  {bar}", millis(took))
}

/// Milliseconds with their thousandths.
fn millis(nanos: u64) -> String {
    format!("{}.{:03}", nanos / 1_000_000, nanos / 1_000 % 1_000)
}
