//! `[[pull]]`, `[[push]]` and `[[record]]`: streams from and to other servers, and into files.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::Value;

use super::document;
use super::fault::Faults;
use super::field::{needed_name, needed_stream, unique};
use super::section::Section;
use crate::command::{OnGap, OutputRules, SentCodecs, SentTracks};
use crate::media::Micros;
use crate::record::Format;
use crate::rtmp::Url;
use crate::stream::DropPolicy;

/// `[[pull]]`
#[derive(Clone, Debug, PartialEq)]
pub struct PullConfig {
    /// Name in logs, metrics and the API.
    pub name: String,
    /// The local stream that it feeds.
    pub stream: String,
    /// Where from; its last part is a secret and never shown.
    pub url: Url,
    /// Whether it waits for somebody who reads it.
    pub mode: PullMode,
    /// How long a pull on demand goes on after its last reader.
    pub linger: Micros,
    /// Whether it is on.
    pub enabled: bool,
}

/// When a stream is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullMode {
    /// While the node runs.
    Always,
    /// While somebody reads it.
    OnDemand,
}

impl PullMode {
    /// The word for it in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::OnDemand => "on-demand",
        }
    }
}

/// `[[push]]`
#[derive(Clone, Debug, PartialEq)]
pub struct PushConfig {
    /// Name in logs, metrics and the API.
    pub name: String,
    /// The stream that is pushed.
    pub stream: String,
    /// Where to; its last part is a secret and never shown.
    pub url: Url,
    /// When it drops, and when it gives up a connection.
    pub rules: OutputRules,
    /// Whether it is on.
    pub enabled: bool,
}

/// `[[record]]`
#[derive(Clone, Debug, PartialEq)]
pub struct RecordConfig {
    /// Name in logs, metrics, the API and the files' names.
    pub name: String,
    /// The stream that is recorded.
    pub stream: String,
    /// The folder of the files; made if it is not there.
    pub dir: PathBuf,
    /// How files are written.
    pub format: Format,
    /// A file that is this long ends at the next keyframe, seconds; 0 for never.
    pub split_s: u32,
    /// A file that is this large ends at the next keyframe, MiB; 0 for never.
    pub split_mb: u32,
    /// With less room on the disk recording stops, MiB.
    pub min_free_mb: u32,
    /// Whether it is on.
    pub enabled: bool,
}

/// Most tables of each kind.
const TABLES_MAX: usize = 64;

/// Recordings that a node has at most.
pub const RECORDS_MAX: usize = TABLES_MAX;

/// Pulls that a node has at most, and pushes.
pub const RELAYS_MAX: usize = TABLES_MAX;

/// Milliseconds that a destination may be behind at least before it loses anything: OBS begins to
/// leave out pictures at 700 (those nothing refers to) and 900 (all others).
const LAG_HIGH_MS_MIN: u32 = 700;

/// [`PullConfig::linger`] if nobody says otherwise.
const LINGER: Micros = Micros::from_secs(10);

/// [`RecordConfig::min_free_mb`] if nobody says otherwise.
const MIN_FREE_MB: u32 = 256;

/// What these tables hold.
pub(super) struct Relay {
    pub(super) pulls: Vec<PullConfig>,
    pub(super) pushes: Vec<PushConfig>,
    pub(super) records: Vec<RecordConfig>,
}

pub(super) fn read(top: &mut Section<'_>, faults: &mut Faults<'_>) -> Relay {
    let mut streams = HashMap::new();
    let pulls = each(top, faults, "pull", "[[pull]]", |s, faults, name| {
        pull(s, faults, name, &mut streams)
    });
    let pushes = each(top, faults, "push", "[[push]]", push);
    let records = each(top, faults, "record", "[[record]]", record);
    Relay { pulls, pushes, records }
}

/// `streams` are those that other pulls feed.
fn pull(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    name: Option<String>,
    streams: &mut HashMap<String, usize>,
) -> Option<PullConfig> {
    let found = s.needed(faults, "stream").map(|found| found.span);
    let stream = s.parsed(faults, "stream", super::field::stream_name);
    if let (Some(stream), Some(_)) = (&stream, found) {
        unique(faults, streams, "a pull to the stream", stream);
    }
    let url = needed_url(s, faults);
    let modes = [("always", PullMode::Always), ("on-demand", PullMode::OnDemand)];
    let mode = s.word(faults, "mode", &modes).unwrap_or(PullMode::OnDemand);
    let linger = s.whole(faults, "linger", 1..=3_600);
    let linger = linger.map_or(LINGER, |seconds: u32| Micros::from_secs(seconds.into()));
    let enabled = s.flag(faults, "enabled", true);
    Some(PullConfig { name: name?, stream: stream?.value, url: url?, mode, linger, enabled })
}

fn push(s: &mut Section<'_>, faults: &mut Faults<'_>, name: Option<String>) -> Option<PushConfig> {
    let stream = needed_stream(s, faults);
    let url = needed_url(s, faults);
    let rules = rules(s, faults);
    let enabled = s.flag(faults, "enabled", true);
    Some(PushConfig { name: name?, stream: stream?, url: url?, rules, enabled })
}

impl PullConfig {
    /// Reads a JSON document with the keys of `[[pull]]`.
    ///
    /// # Errors
    /// Everything that is wrong, at most ten: each names its key, and none a secret.
    pub fn from_document(document: &Value) -> Result<Self, Vec<String>> {
        document::read_table(document, "the pull", |s, faults, name| {
            pull(s, faults, name, &mut HashMap::new())
        })
    }
}

impl PushConfig {
    /// Reads a JSON document with the keys of `[[push]]`.
    ///
    /// # Errors
    /// Everything that is wrong, at most ten: each names its key, and none a secret.
    pub fn from_document(document: &Value) -> Result<Self, Vec<String>> {
        document::read_table(document, "the push", push)
    }
}

fn record(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    name: Option<String>,
) -> Option<RecordConfig> {
    let stream = needed_stream(s, faults);
    let dir = s.needed(faults, "dir").and_then(|_| s.parsed(faults, "dir", folder));
    let formats = [("flv", Format::Flv), ("mp4", Format::Mp4)];
    let format = s.word(faults, "format", &formats).unwrap_or(Format::Flv);
    let split_s = s.whole(faults, "split_s", 0..=604_800).unwrap_or(0);
    let split_mb = s.whole(faults, "split_mb", 0..=1_048_576).unwrap_or(0);
    let min_free_mb = s.whole(faults, "min_free_mb", 0..=1_048_576).unwrap_or(MIN_FREE_MB);
    let enabled = s.flag(faults, "enabled", true);
    let (name, stream, dir) = (name?, stream?, dir?.value);
    Some(RecordConfig { name, stream, dir, format, split_s, split_mb, min_free_mb, enabled })
}

impl RecordConfig {
    /// Reads a JSON document with the keys of `[[record]]`.
    ///
    /// # Errors
    /// Everything that is wrong, at most ten: each names its key.
    pub fn from_document(document: &Value) -> Result<Self, Vec<String>> {
        document::read_table(document, "the recording", record)
    }
}

/// The tables of one kind, no two with the same name.
fn each<T>(
    top: &mut Section<'_>,
    faults: &mut Faults<'_>,
    key: &'static str,
    heading: &str,
    mut read: impl FnMut(&mut Section<'_>, &mut Faults<'_>, Option<String>) -> Option<T>,
) -> Vec<T> {
    let (mut found, mut names) = (Vec::new(), HashMap::new());
    for (index, mut s) in top.tables(faults, key, heading).into_iter().enumerate() {
        if index == TABLES_MAX {
            faults.add(s.span(), format!("a node has at most {TABLES_MAX} {heading} tables"));
            break;
        }
        let name = needed_name(&mut s, faults);
        if let Some(name) = &name {
            unique(faults, &mut names, &format!("a {key} with the name"), name);
        }
        found.extend(read(&mut s, faults, name.map(|name| name.value)));
        s.finish(faults);
    }
    found
}

/// The error says what is wrong without repeating the address, which holds a key.
pub(super) fn needed_url(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<Url> {
    let parse = |text: &str| Url::parse(text).map_err(|error| error.to_string());
    s.needed(faults, "url")?;
    s.parsed(faults, "url", parse).map(|found| found.value)
}

/// What `[[push]]` and `[[channel.output]]` say about what a destination can take, and how fast.
pub(super) fn rules(s: &mut Section<'_>, faults: &mut Faults<'_>) -> OutputRules {
    let high_ms = s.whole(faults, "lag_high_ms", LAG_HIGH_MS_MIN..=60_000);
    let low_ms = s.whole(faults, "lag_low_ms", 0..=60_000);
    let stall = s.whole(faults, "stall_timeout", 1..=10);
    let usual = DropPolicy::default();
    let drop = (high_ms.is_some() || low_ms.is_some()).then(|| DropPolicy {
        high_ms: high_ms.unwrap_or(usual.high_ms),
        low_ms: low_ms.unwrap_or(usual.low_ms),
    });
    if let Some(DropPolicy { high_ms, low_ms }) = drop.filter(|drop| drop.low_ms >= drop.high_ms) {
        let text = format!("`lag_low_ms` ({low_ms}) must be less than `lag_high_ms` ({high_ms})");
        faults.add(&s.place("lag_low_ms"), text);
    }
    let stall_timeout =
        stall.map_or(OutputRules::STALL_TIMEOUT, |seconds: u32| Micros::from_secs(seconds.into()));
    let words = [("auto", SentTracks::Auto), ("all", SentTracks::All)];
    let tracks = s.word(faults, "tracks", &words).unwrap_or_default();
    let words = [("auto", SentCodecs::Auto), ("all", SentCodecs::All)];
    let codecs = s.word(faults, "codecs", &words).unwrap_or_default();
    let words = [("hold", OnGap::Hold), ("end", OnGap::End)];
    let on_gap = s.word(faults, "on_gap", &words).unwrap_or_default();
    let delay = s.whole(faults, "delay_s", 0..=OutputRules::DELAY_S_MAX).unwrap_or(0);
    let delay = Micros::from_secs(delay.into());
    OutputRules { drop, stall_timeout, tracks, codecs, on_gap, delay }
}

fn folder(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("it is empty; write a folder such as \"./recordings\"".to_owned()),
        _ if text.contains('\0') => Err("a folder's name has no NUL".to_owned()),
        _ => Ok(PathBuf::from(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_is_left_out_has_its_default() {
        let text = "[[pull]]\nname=\"a\"\nstream=\"live/a\"\nurl=\"rtmp://h/a/b\"\n\
                    [[push]]\nname=\"a\"\nstream=\"live/a\"\nurl=\"rtmp://h/a/b\"\n\
                    [[record]]\nname=\"a\"\nstream=\"live/a\"\ndir=\"d\"\n";
        let config = Config::parse(text, "x").unwrap();
        assert_eq!((config.pulls[0].mode, config.pulls[0].linger), (PullMode::OnDemand, LINGER));
        assert_eq!(config.pushes[0].rules, OutputRules::default());
        let record = &config.records[0];
        assert_eq!((record.format, record.min_free_mb), (Format::Flv, MIN_FREE_MB));
        assert_eq!((record.split_s, record.split_mb), (0, 0));
    }

    #[test]
    fn one_of_two_lags_leaves_the_other_as_it_usually_is() {
        let text = "[[push]]\nname=\"a\"\nstream=\"live/a\"\nurl=\"rtmp://h/a/b\"\n\
                    lag_high_ms=700\nstall_timeout=2\n";
        let rules = Config::parse(text, "x").unwrap().pushes[0].rules;
        assert_eq!(rules.drop, Some(DropPolicy { high_ms: 700, low_ms: 250 }));
        assert_eq!(rules.stall_timeout, Micros::from_secs(2));
    }

    #[test]
    fn every_mistake_is_told_with_its_place_and_the_way_out() {
        let output = "[[channel]]\nname=\"a\"\noutput=[{name=\"b\", url=\"rtmp://h/a/b\", ";
        let record = "[[record]]\nname=\"a\"\nstream=\"a/b\"\n";
        for (text, line, words) in [
            ("[[pull]]\nname=\"a\"\n".to_owned(), 1, "[[pull]] needs `stream`"),
            ("pull=[{name=\"a\", stream=\"x\"}]".to_owned(), 1, "is not a stream name"),
            (format!("{output}lag_high_ms=100}}]"), 3, "must be 700 to 60000, not 100"),
            (format!("{output}lag_low_ms=1000}}]"), 3, "(1000) must be less than"),
            (format!("{record}dir=\".\"\nformat=\"mkv\"\n"), 5, "\"flv\", \"mp4\""),
            (format!("{record}dir=\"\"\n"), 4, "\"./recordings\""),
            (format!("{record}dir=\"d\"\n{record}dir=\"d\"\n"), 6, "already at line 2"),
        ] {
            let errors = Config::parse(&text, "x").unwrap_err();
            let told = errors.faults.iter().any(|f| f.line == line && f.text.contains(words));
            assert!(told, "{text}: {errors}");
        }
        let secret = "[[pull]]\nname=\"a\"\nstream=\"a/b\"\nurl=\"rtmp://h/s3cret\"\n";
        assert!(!Config::parse(secret, "x").unwrap_err().to_string().contains("s3cret"));
    }
}
