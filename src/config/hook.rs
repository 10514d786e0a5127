//! Hooks and journal, `[[hook]]` and `[journal]`: who is told of events, and who is asked first.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use hyper::Uri;

use super::fault::{Faults, quoted};
use super::field::{needed_name, readable, unique};
use super::keys::Secret;
use super::section::Section;
use crate::event::NodeEvent;
use crate::media::Micros;

/// Most webhooks of one node.
const HOOKS_MAX: usize = 16;

/// Longest secret, bytes.
const SECRET_BYTES_MAX: usize = 4_096;

/// Most parameters of a query that one hook is shown.
const PARAMS_MAX: usize = 16;

/// What a hook that does not answer means for those that it decides about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHookFailure {
    /// They are refused.
    Closed,
    /// They may go on.
    Open,
}

/// Where a hook is posted to. It may hold a secret: only its server is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct HookUrl(Uri);

impl HookUrl {
    /// All of it. Must not reach a log, a metric or an error.
    #[must_use]
    pub const fn expose(&self) -> &Uri {
        &self.0
    }

    /// Whether it is one of HTTPS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}", self.0.scheme_str().unwrap_or_default())
    }
}

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `[[hook]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookConfig {
    /// Name in logs and metrics.
    pub name: String,
    /// Where to.
    pub url: HookUrl,
    /// Names of events, each one of [`NodeEvent::NAMES`]; not empty.
    pub events: Vec<String>,
    /// What bodies are signed with; empty for no signature.
    pub secret: Secret,
    /// How long one request may take.
    pub timeout: Micros,
    /// What no answer means to events that it decides about.
    pub on_failure: OnHookFailure,
    /// How often an event that it does not decide about is sent again.
    pub retries: u32,
    /// How many such events may wait.
    pub queue: usize,
    /// Parameters of a peer's query that it is shown.
    pub params: Vec<String>,
    /// Certificates trusted for `https://`; without it the system's.
    pub ca_file: Option<PathBuf>,
}

/// `[journal]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// The file; `None` for no journal.
    pub path: Option<PathBuf>,
    /// Size above which the file is put aside, bytes.
    pub max_bytes: u64,
    /// Files put aside that are kept.
    pub keep: u32,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { path: None, max_bytes: 64 << 20, keep: 5 }
    }
}

/// Reads `[[hook]]` and `[journal]`; a journal that is not written is `journal`.
pub(super) fn read_all(
    top: &mut Section<'_>,
    faults: &mut Faults<'_>,
    journal: JournalConfig,
) -> (Vec<HookConfig>, JournalConfig) {
    let hooks = read_hooks(top, faults);
    let table = top.table(faults, "journal", "[journal]");
    (hooks, table.map_or(journal, |s| read_journal(s, faults)))
}

/// Reads all `[[hook]]`; those that are not enabled are left out.
fn read_hooks(top: &mut Section<'_>, faults: &mut Faults<'_>) -> Vec<HookConfig> {
    let (mut hooks, mut names) = (Vec::new(), HashMap::new());
    for (index, mut s) in top.tables(faults, "hook", "[[hook]]").into_iter().enumerate() {
        if index == HOOKS_MAX {
            faults.add(s.span(), format!("a node has at most {HOOKS_MAX} hooks"));
            break;
        }
        let name = needed_name(&mut s, faults);
        if let Some(name) = &name {
            unique(faults, &mut names, "a hook with the name", name);
        }
        let enabled = s.flag(faults, "enabled", true);
        let hook = read_hook(&mut s, faults, name.map(|name| name.value));
        hooks.extend(hook.filter(|_| enabled));
        s.finish(faults);
    }
    hooks
}

fn read_hook(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    name: Option<String>,
) -> Option<HookConfig> {
    let found = s.needed(faults, "url").is_some();
    let url = s.parsed(faults, "url", url).filter(|_| found);
    let events = s.texts(faults, "events", event);
    if events.as_ref().is_none_or(Vec::is_empty) {
        let text = "[[hook]] needs `events`, such as [\"prePublish\", \"donePublish\"]";
        faults.add(&s.place("events"), text);
    }
    let words = [("closed", OnHookFailure::Closed), ("open", OnHookFailure::Open)];
    let timeout = s.whole(faults, "timeout_ms", 50..=30_000);
    let params = s.texts(faults, "params", param).unwrap_or_default();
    if params.len() > PARAMS_MAX {
        faults.add(&s.place("params"), format!("`params` has more than {PARAMS_MAX}"));
    }
    let hook = HookConfig {
        name: name?,
        url: url?.value,
        events: events?,
        secret: secret(s, faults),
        timeout: Micros::from_millis(timeout.unwrap_or(2_000_u32).into()),
        on_failure: s.word(faults, "on_failure", &words).unwrap_or(OnHookFailure::Closed),
        retries: s.whole(faults, "retries", 0..=20).unwrap_or(5),
        queue: s.whole(faults, "queue", 1..=100_000).map_or(1_000, |n: u32| n as usize),
        params,
        ca_file: ca_file(s, faults),
    };
    Some(hook)
}

/// Reads `[journal]`.
fn read_journal(mut s: Section<'_>, faults: &mut Faults<'_>) -> JournalConfig {
    let default = JournalConfig::default();
    let path = s.text(faults, "path").filter(|found| !found.value.is_empty());
    if let Some(found) = path.as_ref().filter(|found| found.value.contains('\0')) {
        faults.add(&found.span, "`path`: a file's name has no NUL");
    }
    let journal = JournalConfig {
        path: path.map(|found| PathBuf::from(found.value)),
        max_bytes: s
            .whole(faults, "max_bytes", 4_096..=1 << 40)
            .map_or(default.max_bytes, |bytes: i64| bytes.unsigned_abs()),
        keep: s.whole(faults, "keep", 0..=1_000).unwrap_or(default.keep),
    };
    s.finish(faults);
    journal
}

/// What is wrong is told without the text, which may hold a secret.
fn url(text: &str) -> Result<HookUrl, String> {
    let wrong = || "it is not like \"https://example.org/hook\"".to_owned();
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let host = uri.host().unwrap_or_default();
    if !matches!(uri.scheme_str(), Some("http" | "https")) || host.is_empty() {
        return Err(wrong());
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("it holds a user; let the hook know us by `secret` instead".to_owned());
    }
    Ok(HookUrl(uri))
}

fn event(text: &str) -> Result<String, String> {
    match NodeEvent::NAMES.contains(&text) {
        true => Ok(text.to_owned()),
        false => {
            let names = NodeEvent::NAMES.join(", ");
            Err(format!("{} is not one of {names}", quoted(text)))
        }
    }
}

fn param(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match text {
        "key" => Err("the stream key is shown to nobody; name other parameters".to_owned()),
        "" => Err("a parameter has a name".to_owned()),
        text if text.chars().all(good) => Ok(text.to_owned()),
        text => Err(format!("{} has more than letters, digits, - _ and .", quoted(text))),
    }
}

/// `secret` or what is in `secret_file`.
fn secret(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Secret {
    let given = s.text(faults, "secret").filter(|found| !found.value.is_empty());
    let file = s.text(faults, "secret_file").filter(|found| !found.value.is_empty());
    if let (Some(_), Some(file)) = (&given, &file) {
        faults.add(&file.span, "`secret_file` goes with no `secret`; leave one of them out");
    }
    let read = file.and_then(|file| match read_secret(file.value) {
        Ok(text) => Some(text),
        Err(text) => {
            faults.add(&file.span, format!("`secret_file`: {text}"));
            None
        }
    });
    match (given, read) {
        (Some(given), _) => given.value.into(),
        (None, Some(read)) => read.as_str().into(),
        (None, None) => Secret::default(),
    }
}

fn read_secret(path: &str) -> Result<String, String> {
    let path: &Path = &readable(path)?;
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = text.trim();
    match text.len() {
        0 => Err("it is empty; write the secret into it".to_owned()),
        1..=SECRET_BYTES_MAX => Ok(text.to_owned()),
        _ => Err(format!("it holds more than {SECRET_BYTES_MAX} bytes")),
    }
}

fn ca_file(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<PathBuf> {
    let found = s.text(faults, "ca_file").filter(|found| !found.value.is_empty())?;
    match readable(found.value) {
        Ok(path) => Some(path),
        Err(text) => {
            faults.add(&found.span, format!("`ca_file`: {text}; name a PEM file that can be read"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const HOOK: &str = "[[hook]]\nname=\"a\"\nurl=\"http://h/x?s3cret\"\n";

    #[test]
    fn what_is_left_out_has_its_default() {
        let config = Config::parse(&format!("{HOOK}events=[\"prePlay\"]\n"), "x").unwrap();
        let hook = &config.hooks[0];
        assert_eq!((hook.timeout, hook.retries), (Micros::from_secs(2), 5));
        assert_eq!((hook.on_failure, hook.queue), (OnHookFailure::Closed, 1_000));
        assert!(hook.secret.expose().is_empty() && hook.params.is_empty());
        assert_eq!(config.journal, JournalConfig::default());
        assert!(!format!("{config:?}").contains("s3cret"));
        assert!(!config.shown().contains("s3cret"));
    }

    #[test]
    fn a_hook_that_is_not_enabled_is_none() {
        let text = format!("{HOOK}events=[\"prePlay\"]\nenabled=false\n");
        assert!(Config::parse(&text, "x").unwrap().hooks.is_empty());
    }

    #[test]
    fn a_secret_comes_from_the_file_that_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        fs::write(&file, "s3cret-of-file\n").unwrap();
        let text = format!("{HOOK}events=[\"prePlay\"]\nsecret_file={file:?}\n");
        let config = Config::parse(&text, "x").unwrap();
        assert_eq!(config.hooks[0].secret.expose(), "s3cret-of-file");
        assert!(!format!("{config:?}").contains("s3cret-of-file"));
    }

    #[test]
    fn every_mistake_is_told_with_the_way_out_and_without_secrets() {
        let with = |more: &str| format!("{HOOK}events=[\"prePlay\"]\n{more}\n");
        for (text, words) in [
            (HOOK.to_owned(), "needs `events`"),
            (format!("{HOOK}events=[]\n"), "needs `events`"),
            (format!("{HOOK}events=[\"onPublish\"]\n"), "is not one of preConnect, "),
            (with("on_failure=\"shut\""), "\"closed\", \"open\""),
            (with("timeout_ms=1"), "must be 50 to 30000"),
            (with("params=[\"key\"]"), "the stream key is shown to nobody"),
            (with("secret=\"a\"\nsecret_file=\"b\""), "leave one of them out"),
            (with("secret_file=\"/no/such\""), "`secret_file`: "),
            (format!("{}{HOOK}events=[\"prePlay\"]\n", with("")), "already at line 2"),
            ("[[hook]]\nname=\"a\"\nurl=\"ftp://s3cret\"\n".to_owned(), "https://example.org"),
            ("[[hook]]\nname=\"a\"\nurl=\"http://u:s3cret@h/\"\n".to_owned(), "holds a user"),
            ("[journal]\nmax_bytes=1\n".to_owned(), "must be 4096 to"),
        ] {
            let told = Config::parse(&text, "x").unwrap_err().to_string();
            assert!(told.contains(words), "{text}: {told}");
            assert!(!told.contains("s3cret"), "{told}");
        }
    }
}
