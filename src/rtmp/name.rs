//! Stream names in publish and play: application, name and query, out of the many forms in which
//! clients write them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::limits::{NAME_BYTES_MAX, QUERY_BYTES_MAX};

/// A stream name as the peer gave it. It may be a key, so Debug does not show it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StreamName(String);

impl StreamName {
    /// Wraps a name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name itself. Must not reach a log, a metric or an error.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What stood behind the question mark. It may hold a key, so Debug does not show it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query(String);

impl Query {
    /// Wraps what stands behind a question mark.
    #[must_use]
    pub fn new(query: impl Into<String>) -> Self {
        Self(query.into())
    }

    /// Whether there was none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The whole text, not decoded. Must not reach a log, a metric or an error.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The decoded value of the first `key=value` pair with that key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<String> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(k, _)| *k == key).map(|(_, value)| percent_decode(value)).next()
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "" } else { "***" })
    }
}

/// A stream, normalised: no empty or climbing path parts, no control characters, decoded once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Application, such as `live` or `live/room`.
    pub app: String,
    /// Stream name, perhaps a key.
    pub name: StreamName,
    /// Query of the name and of the application, joined.
    pub query: Query,
}

/// What `connect` says about the application; the address is known only with the stream's name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct App {
    path: String,
    query: String,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.first_part())
    }
}

impl App {
    /// Errors are texts for the peer's user.
    pub(super) fn parse(app: &str, tc_url: &str) -> Result<Self, &'static str> {
        let (path, query) = split_query(unquoted(app));
        let query = if query.is_empty() { split_query(unquoted(tc_url)).1 } else { query };
        let path = clean_path(path)?;
        if path.is_empty() {
            return Err("the application name is missing: use rtmp://host/app/name");
        }
        if query.len() > QUERY_BYTES_MAX {
            return Err(QUERY_TOO_LONG);
        }
        Ok(Self { path, query: query.to_owned() })
    }

    /// The first part of the path: the only one that is never a stream name.
    pub(super) fn first_part(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// The address of a stream under this application. Errors are texts for the peer's user.
    pub(super) fn address(&self, name: &str) -> Result<Address, &'static str> {
        let (name, query) = split_query(name.trim());
        let name = name.trim_start_matches('/');
        let bare = ["mp4:", "flv:", "mp3:"].into_iter().find_map(|p| name.strip_prefix(p));
        let name = clean_path(bare.unwrap_or(name))?;
        let query = match (query, self.query.as_str()) {
            (own, app) if own.is_empty() || own == app => app.to_owned(),
            (own, "") => own.to_owned(),
            (own, app) => format!("{own}&{app}"),
        };
        if query.len() > QUERY_BYTES_MAX {
            return Err(QUERY_TOO_LONG);
        }
        // A single field "server" in the encoder: all of the path came as the application.
        let (app, name) = match (self.path.split_once('/'), name) {
            (Some((app, rest)), name) if name.is_empty() => (app.to_owned(), rest.to_owned()),
            (_, name) => (self.path.clone(), name),
        };
        if name.is_empty() {
            return Err("the stream name is missing: use rtmp://host/app/name");
        }
        Ok(Address { app, name: StreamName(name), query: Query(query) })
    }
}

/// The public name of a stream, `app/name`, from the path of a URL: decoded once and normalised as
/// RTMP names are.
///
/// # Errors
/// What is wrong with it, for the peer's user.
pub fn stream_path(path: &str) -> Result<String, &'static str> {
    let name = clean_path(path)?;
    if !name.contains('/') {
        return Err("a stream has an application and a name: /APP/NAME");
    }
    Ok(name)
}

const QUERY_TOO_LONG: &str = "the query string is too long";

/// `tcUrl` without what may be secret: scheme, host, port and the first part of the path. Empty if
/// it is not a URL.
pub(super) fn public_url(tc_url: &str) -> String {
    let Some((scheme, rest)) = unquoted(tc_url).split_once("://") else { return String::new() };
    let (rest, _) = split_query(rest);
    let mut parts = rest.split('/');
    let authority = parts.next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let app = parts.find(|part| !part.is_empty()).unwrap_or_default();
    let mut url = format!("{scheme}://{host}/{app}");
    url.retain(|c| !c.is_control());
    truncate(&mut url, NAME_BYTES_MAX);
    url
}

/// Cuts `text` to at most `bytes`, between characters.
pub(super) fn truncate(text: &mut String, bytes: usize) {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['"', '\''])
}

fn split_query(text: &str) -> (&str, &str) {
    text.split_once('?').unwrap_or((text, ""))
}

/// Decodes once, drops empty parts and blanks and line ends around the others, as they come with
/// what is pasted; refuses what could climb out of a folder or a log line.
fn clean_path(path: &str) -> Result<String, &'static str> {
    if path.len() > 3 * NAME_BYTES_MAX {
        return Err(NAME_TOO_LONG);
    }
    let decoded = percent_decode(path);
    let parts = decoded.split('/').map(str::trim).filter(|part| !part.is_empty());
    let parts: Vec<_> = parts.collect();
    let clean = parts.join("/");
    if clean.contains("..") || clean.contains('\\') || parts.contains(&".") {
        return Err("names with `..`, `.` or backslashes are not allowed");
    }
    if clean.chars().any(char::is_control) {
        return Err("names with control characters are not allowed");
    }
    if clean.len() > NAME_BYTES_MAX {
        return Err(NAME_TOO_LONG);
    }
    Ok(clean)
}

const NAME_TOO_LONG: &str = "the name is too long: at most 256 bytes";

/// Decodes `%41`; what is not an escape stays as it is.
pub(super) fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            out.push(high << 4 | low);
            rest = &after[2..];
        } else {
            out.push(*first);
            rest = after;
        }
    }
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_url_names_the_same_stream() {
        assert_eq!(stream_path("/live//sh%6fw").unwrap(), "live/show");
        for bad in ["/", "", "/live", "/live/../etc", "/live/%2e%2e/x", "/live/a%0ab"] {
            assert!(stream_path(bad).is_err(), "{bad}");
        }
        assert!(stream_path(&format!("/live/{}", "x".repeat(1_000))).is_err());
    }

    fn address(app: &str, name: &str) -> (String, String, String) {
        let address = App::parse(app, "rtmp://h/live").unwrap().address(name).unwrap();
        let Address { app, name, query } = address;
        (app, name.expose().to_owned(), query.expose().to_owned())
    }

    fn refused(app: &str, name: &str) -> &'static str {
        App::parse(app, "").and_then(|app| app.address(name)).unwrap_err()
    }

    #[test]
    fn every_way_to_write_an_address_is_understood() {
        for (app, name, want) in [
            ("live", "show", ("live", "show", "")),
            ("live/", "show", ("live", "show", "")),
            ("/live", "/show", ("live", "show", "")),
            ("//live//", "//show/", ("live", "show", "")),
            ("\"live\"", "show", ("live", "show", "")),
            ("live/room", "show", ("live/room", "show", "")),
            ("live/show", "", ("live", "show", "")),
            ("live/a/show", "", ("live", "a/show", "")),
            ("live/show?key=k", "", ("live", "show", "key=k")),
            ("live?key=k", "show", ("live", "show", "key=k")),
            ("live?key=k", "show?key=k", ("live", "show", "key=k")),
            ("live?a=1", "show?key=k", ("live", "show", "key=k&a=1")),
            ("live", "show?url=a/../b", ("live", "show", "url=a/../b")),
            ("live", "mp4:show", ("live", "show", "")),
            ("live", "flv:show", ("live", "show", "")),
            ("live", "my%20show%2Fone", ("live", "my show/one", "")),
            ("live", "100%", ("live", "100%", "")),
            ("live", "x;$()<>\"", ("live", "x;$()<>\"", "")),
            (" live ", " show\r\n", ("live", "show", "")),
            ("live", "show / KEY \n", ("live", "show/KEY", "")),
            ("live", "show%0D%0A", ("live", "show", "")),
            ("live", "show?key=k\n", ("live", "show", "key=k")),
        ] {
            let got = address(app, name);
            assert_eq!((got.0.as_str(), got.1.as_str(), got.2.as_str()), want, "{app} {name}");
        }
    }

    #[test]
    fn the_query_of_tc_url_counts_where_the_application_has_none() {
        let app = App::parse("live", "rtmp://h/live?key=k").unwrap();
        assert_eq!(app.address("show").unwrap().query.get("key").as_deref(), Some("k"));
        let own = App::parse("live?key=own", "rtmp://h/live?key=k").unwrap();
        assert_eq!(own.address("show").unwrap().query.get("key").as_deref(), Some("own"));
    }

    #[test]
    fn names_that_climb_hide_or_go_on_forever_are_refused() {
        for name in ["..", "a/../b", "%2e%2e/etc", "a..b", "a\\b", "./a", "a\nb", "%00", "%1b[0m"] {
            assert!(!refused("live", name).is_empty(), "{name}");
            assert!(!refused(name, "show").is_empty(), "{name}");
        }
        for length in [257, 768, 769, 4_096, 70_000] {
            assert!(refused("live", &"a".repeat(length)).contains("too long"));
        }
        assert!(refused("live", &format!("a?{}", "q".repeat(70_000))).contains("too long"));
        assert_eq!(address("live", &"%41".repeat(256)).1, "A".repeat(256));
        for (app, name) in [("", "show"), ("/", "show"), ("live", ""), ("live", "/"), ("?a", "b")] {
            assert!(refused(app, name).contains("missing"), "{app} {name}");
        }
    }

    #[test]
    fn a_name_is_decoded_once() {
        assert_eq!(address("live", "%252e%252e").1, "%2e%2e");
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let address = App::parse("live", "").unwrap().address("s3cret?key=s3cret").unwrap();
        let text = format!("{address:?}");
        assert!(!text.contains("s3cret") && text.contains("live"), "{text}");
    }

    #[test]
    fn the_public_url_keeps_neither_password_nor_path_nor_query() {
        for (tc_url, want) in [
            ("rtmp://u:p@w@h:1935/live/s3cret?key=s3cret", "rtmp://h:1935/live"),
            ("\"rtmp://h/live\"", "rtmp://h/live"),
            ("rtmp://h?s3cret", "rtmp://h/"),
            ("s3cret", ""),
        ] {
            assert_eq!(public_url(tc_url), want);
        }
        assert!(public_url(&format!("rtmp://{}/a", "é".repeat(300))).len() <= NAME_BYTES_MAX);
    }

    #[test]
    fn query_values_are_decoded() {
        let address = App::parse("live", "").unwrap().address("a?x&key=a%3db&key=c").unwrap();
        assert_eq!(address.query.get("key").as_deref(), Some("a=b"));
        assert_eq!(address.query.get("x"), None);
        assert_eq!(address.query.get("ke"), None);
    }
}
