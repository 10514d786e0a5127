//! Network input: the URL that a layer or an audio source is fetched from, and how much of it may
//! be shown to whom.

use std::fmt;
use std::path::PathBuf;

use super::Micros;

/// Longest URL, bytes.
const URL_BYTES_MAX: usize = 2_048;

/// What the content of the secret file is put in place of.
const PLACEHOLDER: &str = "{secret}";

/// What stands for a part that is not shown.
const HIDDEN: &str = "***";

/// Parameters of a query that hold no secret, but say how a connection is made. Others are hidden.
const PLAIN_PARAMETERS: [&str; 12] = [
    "buffer_size",
    "fifo_size",
    "latency",
    "localaddr",
    "mode",
    "overrun_nonfatal",
    "pkt_size",
    "rcvlatency",
    "sources",
    "timeout",
    "transtype",
    "ttl",
];

/// A stream of another server: where it is, and how much of it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkInput {
    /// Its address.
    pub url: InputUrl,
    /// The file whose content stands for `{secret}` in the address.
    pub secret_file: Option<PathBuf>,
    /// Time from the arrival of something to its showing, at least; more while it comes unevenly.
    pub latency: Micros,
}

/// An address that libavformat opens, which may hold a stream key or a login: neither `Debug` nor
/// `Display` shows more than the scheme and the host.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct InputUrl(String);

impl InputUrl {
    /// The protocols that may be named.
    pub const SCHEMES: [&str; 10] =
        ["rtmp", "rtmps", "srt", "rtsp", "rtsps", "http", "https", "udp", "rtp", "tcp"];

    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, which does not repeat it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > URL_BYTES_MAX {
            return Err(format!("it is longer than {URL_BYTES_MAX} bytes; shorten it"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("it has spaces or control characters; write them as %20".to_owned());
        }
        let known = || format!("name one of {}", Self::SCHEMES.join(", "));
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("it has no protocol, as in \"srt://host:9000\"; {}", known()));
        };
        if !Self::SCHEMES.contains(&scheme) {
            return Err(format!("its protocol cannot be an input; {}", known()));
        }
        if rest.is_empty() || rest.starts_with('/') {
            return Err("it names no host, as in \"srt://host:9000\"".to_owned());
        }
        if text.contains(HIDDEN) {
            let advice = "a part of it is hidden; write it whole, or keep the secret in a file";
            return Err(format!("{advice} (`secret_file`) and {PLACEHOLDER} in its place"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The protocol, such as `srt`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.split_once("://").map_or("", |(scheme, _)| scheme)
    }

    /// Whether it holds the placeholder of a secret.
    #[must_use]
    pub fn needs_secret(&self) -> bool {
        self.0.contains(PLACEHOLDER)
    }

    /// As it was written. Must not reach a log, a metric, an event or an answer.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The same with the secret in its place, for libavformat alone.
    #[must_use]
    pub fn expose_with(&self, secret: &str) -> String {
        self.0.replace(PLACEHOLDER, secret)
    }

    /// For whoever may look at a scene: without a login, without the parameters of the query that
    /// may be secrets, and without the name of a stream of RTMP, which is usually a key. What a
    /// placeholder stands for is no secret, and such parts are shown.
    #[must_use]
    pub fn shown(&self) -> String {
        let hide =
            |text: &str| if text.contains(PLACEHOLDER) { text.to_owned() } else { HIDDEN.into() };
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", ""));
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(a, b)| (a, Some(b)));
        let (authority, path) = rest.split_once('/').map_or((rest, None), |(a, b)| (a, Some(b)));
        let mut text = format!("{scheme}://");
        match authority.rsplit_once('@') {
            Some((login, host)) if !login.is_empty() => {
                text.push_str(&hide(login));
                text.push('@');
                text.push_str(host);
            }
            _ => text.push_str(authority),
        }
        if let Some(path) = path {
            match path.rsplit_once('/') {
                Some((app, name)) if scheme.starts_with("rtmp") => {
                    text.push_str(&format!("/{app}/{}", hide(name)));
                }
                _ => text.push_str(&format!("/{path}")),
            }
        }
        if let Some(query) = query {
            let shown = |part: &str| match part.split_once('=') {
                Some((name, _)) if PLAIN_PARAMETERS.contains(&name) => part.to_owned(),
                Some((name, value)) => format!("{name}={}", hide(value)),
                None => hide(part),
            };
            text.push('?');
            text.push_str(&query.split('&').map(shown).collect::<Vec<_>>().join("&"));
        }
        text
    }
}

impl fmt::Display for InputUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", ""));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // The last @: passwords may contain others.
        let host = authority.rsplit('@').next().unwrap_or_default();
        write!(f, "{scheme}://{host}")
    }
}

impl fmt::Debug for InputUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InputUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_login_nor_a_query_nor_a_stream_key_is_shown() {
        for (url, host, shown) in [
            ("rtmp://h:1/app/sec-ret", "rtmp://h:1", "rtmp://h:1/app/***"),
            ("rtsp://me:sec-ret@cam/one", "rtsp://cam", "rtsp://***@cam/one"),
            ("http://u:s@c-ret@h/a.flv?t=sec-ret", "http://h", "http://***@h/a.flv?t=***"),
            (
                "srt://h:9?mode=caller&passphrase=sec-ret",
                "srt://h:9",
                "srt://h:9?mode=caller&passphrase=***",
            ),
            ("udp://@239.0.0.1:5000?sec-ret", "udp://239.0.0.1:5000", "udp://@239.0.0.1:5000?***"),
            ("rtsp://me:{secret}@cam/one", "rtsp://cam", "rtsp://me:{secret}@cam/one"),
            ("srt://h:9?streamid={secret}", "srt://h:9", "srt://h:9?streamid={secret}"),
            ("rtmp://h/app/{secret}", "rtmp://h", "rtmp://h/app/{secret}"),
        ] {
            let url = InputUrl::parse(url).unwrap();
            assert_eq!((url.to_string().as_str(), url.shown().as_str()), (host, shown));
            assert!(!format!("{url:?} {url} {}", url.shown()).contains("-ret"), "{url}");
        }
    }

    #[test]
    fn the_secret_stands_where_its_placeholder_was() {
        let url = InputUrl::parse("srt://h:9?streamid={secret}&latency=1").unwrap();
        assert!(url.needs_secret());
        assert_eq!(url.expose_with("k/1"), "srt://h:9?streamid=k/1&latency=1");
    }

    #[test]
    fn local_files_and_other_protocols_are_no_inputs() {
        for url in [
            "file:///etc/passwd",
            "/etc/passwd",
            "concat:a|b",
            "pipe:0",
            "data:text/plain,a",
            "subfile,,start,0,end,9,,:/etc/passwd",
            "crypto://h/a",
            "srt://",
            "http:///etc/passwd",
            "http://h/a b",
            "rtmp://h/app/***",
        ] {
            let fault = InputUrl::parse(url).unwrap_err();
            assert!(!fault.contains("passwd") && fault.len() > 20, "{fault}");
        }
        assert!(InputUrl::parse(&format!("http://h/{}", "a".repeat(3_000))).is_err());
    }
}
