//! Transcode events: renditions of a stream begin and end, or cannot be made.

use std::fmt;

use super::printable::Printable;
use super::severity::Severity;

/// Something happened to a transcode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscodeEvent {
    /// Its name.
    pub name: String,
    /// The stream whose renditions it makes.
    pub stream: String,
    /// What happened.
    pub what: TranscodeNews,
    /// What is made of what, or why it ended or failed.
    pub reason: String,
}

/// What happens to transcodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TranscodeNews {
    /// Its encoders have been started.
    Started,
    /// They have been ended.
    Ended,
    /// They could not be started, one of them has failed, or nothing can be made of the source.
    Failed,
    /// An encoder has too little time: it has dropped pictures, is at its fastest, or encodes fewer
    /// or smaller pictures.
    Overloaded,
    /// It has time again.
    Recovered,
    /// A bitrate has left the configured one, because pushes are congested, or is there again.
    BitrateChanged,
}

impl TranscodeEvent {
    pub(super) const fn severity(&self) -> Severity {
        match self.what {
            TranscodeNews::Started
            | TranscodeNews::Ended
            | TranscodeNews::Recovered
            | TranscodeNews::BitrateChanged => Severity::Info,
            TranscodeNews::Failed | TranscodeNews::Overloaded => Severity::Warn,
        }
    }

    pub(super) const fn event_name(&self) -> &'static str {
        match self.what {
            TranscodeNews::Started => "transcode_started",
            TranscodeNews::Ended => "transcode_ended",
            TranscodeNews::Failed => "transcode_failed",
            TranscodeNews::Overloaded => "transcode_overloaded",
            TranscodeNews::Recovered => "transcode_recovered",
            TranscodeNews::BitrateChanged => "transcode_bitrate_changed",
        }
    }
}

impl fmt::Display for TranscodeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            TranscodeNews::Started => "began",
            TranscodeNews::Ended => "ended",
            TranscodeNews::Failed => "failed",
            TranscodeNews::Overloaded => "has too little time",
            TranscodeNews::Recovered => "has time again",
            TranscodeNews::BitrateChanged => "changes its bitrate",
        };
        let (name, reason) = (Printable(&self.name), Printable(&self.reason));
        match self.name == self.stream {
            true => write!(f, "transcode {name} {what}: {reason}"),
            false => {
                write!(f, "transcode {name} of {} {what}: {reason}", Printable(&self.stream))
            }
        }
    }
}
