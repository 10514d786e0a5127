//! CORS (Fetch standard): the pages of other servers that may play our streams.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Whose pages may read what we send. Programs that are not browsers are not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cors {
    /// Pages of the host that the request names, at any port.
    #[default]
    SameHost,
    /// All pages.
    Any,
    /// Pages of this origin, such as `https://example.org`.
    One(String),
    /// No pages.
    Nobody,
}

/// How streams may be asked for.
pub const METHODS: &str = "GET, HEAD, OPTIONS";

/// For how long a browser may remember what it was told when it asked before it asks: a day.
pub const PREFLIGHT_SECONDS: u32 = 86_400;

/// Longest origin in a configuration, bytes.
const ORIGIN_BYTES_MAX: usize = 300;

impl Cors {
    /// What an answer to a request says about pages of other servers:
    /// `Access-Control-Allow-Origin`, if the page it comes from may read it, and whether that may
    /// differ for another page (`Vary`).
    #[must_use]
    pub fn answer(&self, origin: Option<&str>, host: &str) -> (Option<String>, bool) {
        (origin.and_then(|origin| self.allowed(origin, host)), *self != Self::Any)
    }

    /// What `Access-Control-Allow-Origin` says to a page of `origin` whose request named `host`;
    /// `None` if the page may not read the answer.
    #[must_use]
    pub fn allowed(&self, origin: &str, host: &str) -> Option<String> {
        let is_allowed = match self {
            Self::Any => return Some("*".to_owned()),
            Self::Nobody => false,
            Self::One(one) => one.eq_ignore_ascii_case(origin),
            Self::SameHost => host_of(origin).is_some_and(|page| {
                page.eq_ignore_ascii_case(without_port(host)) && !page.is_empty()
            }),
        };
        is_allowed.then(|| origin.to_owned())
    }
}

impl FromStr for Cors {
    type Err = String;

    /// `same-host`, `*`, an origin, or nothing at all.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "same-host" => return Ok(Self::SameHost),
            "*" => return Ok(Self::Any),
            "" => return Ok(Self::Nobody),
            _ => {}
        }
        let good = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        let host = host_of(text).filter(|host| !host.is_empty());
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        if host.is_none() || !rest.chars().all(good) || text.len() > ORIGIN_BYTES_MAX {
            return Err("write \"same-host\", \"*\", \"\" (none), or one origin such as \
                        \"https://example.org\": scheme and host, without a path"
                .to_owned());
        }
        Ok(Self::One(text.to_owned()))
    }
}

/// The host of an origin; `None` if it is not one of a web page.
fn host_of(origin: &str) -> Option<&str> {
    let rest = ["http://", "https://"].into_iter().find_map(|scheme| {
        let (start, rest) = origin.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })?;
    Some(without_port(rest))
}

/// `host`, `host:1` and `[::1]:1` without the port.
fn without_port(authority: &str) -> &str {
    let end = authority.find(']').map_or(0, |end| end + 1);
    let port = authority[end..].find(':').map_or(authority.len(), |at| end + at);
    &authority[..port]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(cors: &str, origin: &str, host: &str) -> bool {
        cors.parse::<Cors>().unwrap().allowed(origin, host).is_some()
    }

    #[test]
    fn the_same_host_is_the_same_at_any_port_and_in_any_case() {
        for (origin, host) in [
            ("http://node:8080", "node:1935"),
            ("https://NODE", "node"),
            ("http://[::1]:8080", "[::1]:1935"),
            ("http://192.0.2.1", "192.0.2.1:1935"),
        ] {
            assert!(allowed("same-host", origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://node.evil", "node"),
            ("http://evil", "node"),
            ("null", "null"),
            ("file://node", "node"),
            ("http://", ""),
            ("http://:80", ":1935"),
            ("", ""),
        ] {
            assert!(!allowed("same-host", origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn all_one_and_none_are_what_they_say() {
        assert!(allowed("*", "null", ""));
        assert!(allowed("https://a.example", "https://A.example", "b"));
        assert!(!allowed("https://a.example", "http://a.example", "a.example"));
        assert!(!allowed("", "http://a", "a"));
        assert_eq!(Cors::Any.allowed("http://a", "b").as_deref(), Some("*"));
    }

    #[test]
    fn what_is_not_an_origin_is_refused() {
        for text in ["example.org", "https://", "https://a/b", "ftp://a", "same_host", "http://a b"]
        {
            assert!(text.parse::<Cors>().is_err(), "{text}");
        }
        assert!(format!("http://{}", "a".repeat(400)).parse::<Cors>().is_err());
    }
}
