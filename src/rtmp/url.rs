//! Addresses of other servers: `rtmp[s]://host[:port]/app[/instance]/name[?query]`.

use std::fmt;

use super::limits::URL_BYTES_MAX;
use super::name::StreamName;

/// A parsed address. Neither Display nor Debug shows the stream name, which is usually a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    secure: bool,
    host: String,
    port: u16,
    app: String,
    name: StreamName,
}

/// Why an address cannot be used; the text says what to write instead and never repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// It is not an RTMP address: correct it.
    Invalid(&'static str),
    /// It is one, but of a form that is not spoken: use another.
    Unsupported(&'static str),
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(what) => write!(f, "not an RTMP address: {what}"),
            Self::Unsupported(what) => write!(f, "unsupported RTMP address: {what}"),
        }
    }
}

impl std::error::Error for UrlError {}

/// Port of addresses that name none.
const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 1_935 }
}

impl Url {
    /// Reads an address.
    ///
    /// # Errors
    /// With what is wrong, if it is not an address this node can connect to.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.len() > URL_BYTES_MAX {
            return Err(UrlError::Invalid("it is longer than 2048 bytes"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(UrlError::Invalid("it contains spaces or control characters"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(UrlError::Invalid("it has no scheme: write rtmp://host/app/name"));
        };
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "rtmp" => false,
            "rtmps" => true,
            _ => return Err(UrlError::Invalid("its scheme is neither rtmp:// nor rtmps://")),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = host_and_port(authority)?;
        let port = port.unwrap_or(default_port(secure));
        let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
        let Some((last, app)) = parts.split_last().filter(|(_, app)| !app.is_empty()) else {
            return Err(UrlError::Invalid(
                "it needs an application and a stream name after the host",
            ));
        };
        let name = match query {
            Some(query) => format!("{last}?{query}"),
            None => (*last).to_owned(),
        };
        Ok(Self { secure, host, port, app: app.join("/"), name: StreamName::new(name) })
    }

    /// Whether it is to be spoken to by TLS: `rtmps://`.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Host name or address, without the brackets of IPv6.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Application, with the instance if there is one.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.app
    }

    /// Stream name with its query.
    #[must_use]
    pub const fn name(&self) -> &StreamName {
        &self.name
    }

    /// What `connect` calls `tcUrl`: everything before the stream name.
    #[must_use]
    pub fn tc_url(&self) -> String {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        let port = match self.port {
            port if port == default_port(self.secure) => String::new(),
            other => format!(":{other}"),
        };
        let scheme = if self.secure { "rtmps" } else { "rtmp" };
        format!("{scheme}://{open}{}{close}{port}/{}", self.host, self.app)
    }
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), UrlError> {
    if authority.contains('@') {
        return Err(UrlError::Unsupported("user name and password are not sent to RTMP servers"));
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let Some((host, port)) = rest.split_once(']') else {
                return Err(UrlError::Invalid("its IPv6 address has no closing bracket"));
            };
            if !host.contains(':')
                || !host.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c))
            {
                return Err(UrlError::Invalid("what is in brackets is not an IPv6 address"));
            }
            match port.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if port.is_empty() => (host, None),
                None => return Err(UrlError::Invalid("only a port may follow the host")),
            }
        }
        None if authority.matches(':').count() > 1 => {
            return Err(UrlError::Invalid("an IPv6 address goes in brackets"));
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(UrlError::Invalid("it has no host"));
    }
    let port = match port {
        None => None,
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err(UrlError::Invalid("its port is not a number from 1 to 65535")),
        },
    };
    Ok((host.to_owned(), port))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/***", self.tc_url())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_address() {
        for (text, host, port, app, name) in [
            ("rtmp://a.example/live/key", "a.example", 1_935, "live", "key"),
            (" RTMP://a.example:19350/live/key ", "a.example", 19_350, "live", "key"),
            ("rtmp://a.example/app/inst/key?x=1/2", "a.example", 1_935, "app/inst", "key?x=1/2"),
            ("rtmp://[::1]/live//key/", "::1", 1_935, "live", "key"),
            ("rtmp://[::1]:1/live/key", "::1", 1, "live", "key"),
            ("rtmps://a.example/live/key", "a.example", 443, "live", "key"),
            ("RTMPS://a.example:1935/live/key", "a.example", 1_935, "live", "key"),
        ] {
            let url = Url::parse(text).unwrap();
            let got = (url.host(), url.port(), url.app(), url.name().expose());
            assert_eq!(got, (host, port, app, name), "{text}");
            assert_eq!(url.is_secure(), text.to_lowercase().starts_with("rtmps"));
        }
    }

    #[test]
    fn tc_url_is_everything_before_the_name() {
        let url = |text| Url::parse(text).unwrap().tc_url();
        assert_eq!(url("rtmp://h/app/inst/key"), "rtmp://h/app/inst");
        assert_eq!(url("rtmp://[::1]:1936/app/key"), "rtmp://[::1]:1936/app");
        assert_eq!(url("rtmps://h:443/app/key"), "rtmps://h/app");
        assert_eq!(url("rtmps://h:1935/app/key"), "rtmps://h:1935/app");
    }

    #[test]
    fn the_name_never_shows() {
        let url = Url::parse("rtmp://h/live/s3cret?key=s3cret").unwrap();
        assert_eq!(url.to_string(), "rtmp://h/live/***");
        assert_eq!(format!("{url:?}"), "rtmp://h/live/***");
    }

    #[test]
    fn errors_say_what_is_wrong_and_do_not_repeat_the_address() {
        for (text, word) in [
            ("live/s3cret", "scheme"),
            ("http://h/live/s3cret", "scheme"),
            ("rtmp:///live/s3cret", "host"),
            ("rtmp://h:0/live/s3cret", "port"),
            ("rtmp://h:x/live/s3cret", "port"),
            ("rtmp://::1/live/s3cret", "bracket"),
            ("rtmp://[::1/live/s3cret", "bracket"),
            ("rtmp://[h]/live/s3cret", "IPv6"),
            ("rtmp://[::1]x/live/s3cret", "port"),
            ("rtmp://h/s3cret", "application"),
            ("rtmp://h", "application"),
            ("rtmp://h/live/s3 cret", "spaces"),
            ("", "scheme"),
        ] {
            let error = Url::parse(text).unwrap_err();
            assert!(matches!(error, UrlError::Invalid(_)), "{text}");
            let shown = error.to_string();
            assert!(shown.contains(word) && !shown.contains("s3cret"), "{text}: {shown}");
        }
        assert!(Url::parse(&format!("rtmp://h/live/{}", "a".repeat(2_048))).is_err());
    }

    #[test]
    fn passwords_are_recognised_but_not_supported() {
        for text in ["rtmps://u@h/live/key", "rtmp://u:p@h/live/key"] {
            assert!(matches!(Url::parse(text), Err(UrlError::Unsupported(_))), "{text}");
        }
    }
}
