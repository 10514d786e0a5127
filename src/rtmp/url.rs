//! Addresses of other servers:
//! `rtmp[s]://[user:password@]host[:port]/app[/instance]/name[?query]`, or with a query of the
//! application before the name: `rtmp://host/app?query/name[?query]`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::limits::{QUERY_BYTES_MAX, URL_BYTES_MAX};
use super::name::{Query, StreamName, percent_decode};

/// A parsed address. Neither Display nor Debug shows the stream name, which is usually a key, nor
/// user and password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Url {
    secure: bool,
    host: String,
    port: u16,
    app: String,
    /// Query of the application, if the address or a redirection has one.
    app_query: Query,
    name: StreamName,
    login: Option<Login>,
}

/// Whom to be at a server that asks. Debug shows neither part.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    user: String,
    password: String,
}

impl Login {
    /// Wraps the two.
    #[must_use]
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into() }
    }

    /// The user name, decoded.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password, decoded. Must not reach a log, a metric, an error or a peer.
    #[must_use]
    pub fn expose_password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
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
        // The last @: passwords may contain others.
        let (login, authority) = match authority.rsplit_once('@') {
            Some((login, authority)) => (Some(login_of(login)?), authority),
            None => (None, authority),
        };
        let (host, port) = host_and_port(authority)?;
        let port = port.unwrap_or_else(|| default_port(secure));
        let (app, app_query, name) = app_and_name(path, query)
            .ok_or(UrlError::Invalid("it needs an application and a stream name after the host"))?;
        if app_query.len() > QUERY_BYTES_MAX {
            return Err(UrlError::Invalid("the query of its application is too long"));
        }
        let (app_query, name) = (Query::new(app_query), StreamName::new(name));
        Ok(Self { secure, host, port, app, app_query, name, login })
    }

    /// Where a server says that the stream goes instead. `tc_url` is all but the stream name:
    /// `rtmp://host/app`, or `//host/app` or `/app` beside this address. Name and login stay.
    ///
    /// # Errors
    /// If it is no address this node can connect to, or one where the key would travel in the
    /// clear although this one is encrypted.
    pub fn redirected(&self, tc_url: &str) -> Result<Self, UrlError> {
        let here = self.tc_url();
        let (scheme, rest) = here.split_once("://").unwrap_or(("rtmp", &here));
        let authority = rest.split('/').next().unwrap_or_default();
        let tc_url = match tc_url.trim() {
            beside if beside.starts_with("//") => format!("{scheme}:{beside}"),
            within if within.starts_with('/') => format!("{scheme}://{authority}{within}"),
            whole => whole.to_owned(),
        };
        if scheme == "rtmps" && tc_url.to_ascii_lowercase().starts_with("rtmp://") {
            return Err(UrlError::Unsupported("it leads from an encrypted server to a plain one"));
        }
        let (base, query) = tc_url.split_once('?').unwrap_or((&tc_url, ""));
        if query.len() > QUERY_BYTES_MAX {
            return Err(UrlError::Invalid("its query is too long"));
        }
        let there = Self::parse(&format!("{}/name", base.trim_end_matches('/')))?;
        let (name, login) = (self.name.clone(), self.login.clone());
        Ok(Self { app_query: Query::new(query), name, login, ..there })
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

    /// What went wrong there, with the host and nothing secret.
    #[must_use]
    pub fn about(&self, what: &str) -> String {
        format!("{}:{}: {what}", self.host, self.port)
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

    /// Query of the application; empty unless the address has one, or a server redirected to one.
    #[must_use]
    pub const fn app_query(&self) -> &Query {
        &self.app_query
    }

    /// User and password, if the address has them.
    #[must_use]
    pub const fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// The same address for that user.
    #[must_use]
    pub fn with_login(self, login: Option<Login>) -> Self {
        Self { login, ..self }
    }

    /// Stream name with its query.
    #[must_use]
    pub const fn name(&self) -> &StreamName {
        &self.name
    }

    /// The whole address, as [`Url::parse`] reads it. Must not reach a log, a metric, an error or
    /// an event: it is for the file that is to hold it.
    #[must_use]
    pub fn expose(&self) -> String {
        let base = self.tc_url();
        let (scheme, rest) = base.split_once("://").unwrap_or(("rtmp", &base));
        let login = self.login.as_ref().map_or_else(String::new, |login| {
            format!("{}:{}@", percent_encode(&login.user), percent_encode(&login.password))
        });
        let query = match self.app_query.expose() {
            "" => String::new(),
            query => format!("?{query}"),
        };
        format!("{scheme}://{login}{rest}{query}/{}", self.name.expose())
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

/// Application, its query, and the stream name with its own. Where only an application stands
/// before the question mark, the name follows behind the query of that; `None` if there is none.
fn app_and_name(path: &str, query: Option<&str>) -> Option<(String, String, String)> {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (last, app) = parts.split_last()?;
    if !app.is_empty() {
        let name = query.map_or_else(|| (*last).to_owned(), |query| format!("{last}?{query}"));
        return Some((app.join("/"), String::new(), name));
    }
    // The name may have a query of its own, in which slashes say nothing.
    let (before, own) = match query?.split_once('?') {
        Some((before, own)) => (before, Some(own)),
        None => (query?, None),
    };
    let (app_query, name) = before.trim_end_matches('/').rsplit_once('/')?;
    let name = own.map_or_else(|| name.to_owned(), |own| format!("{name}?{own}"));
    Some(((*last).to_owned(), app_query.to_owned(), name))
}

/// Letters that stand for themselves in a login.
const PLAIN: &str = "-._~";

/// A part of a login as an address has it.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        match c.is_ascii_alphanumeric() || PLAIN.contains(c) {
            true => encoded.push(c),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn login_of(text: &str) -> Result<Login, UrlError> {
    let Some((user, password)) = text.split_once(':').filter(|(user, _)| !user.is_empty()) else {
        return Err(UrlError::Invalid("before the @ it needs a user name, a colon and a password"));
    };
    let login = Login::new(percent_decode(user), percent_decode(password));
    if login.user.chars().chain(login.password.chars()).any(char::is_control) {
        return Err(UrlError::Invalid("its user name or password has control characters"));
    }
    Ok(login)
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), UrlError> {
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
    fn an_address_that_is_written_down_is_read_as_the_same() {
        for text in [
            "rtmp://a.example/live/key",
            "rtmps://[::1]:1935/app/inst/key?x=1/2&y=%20",
            "rtmp://us%20er:p%40ss%3A%2F%3F@a.example:19350/live/key",
            "rtmp://ümlaut:pass@a.example/live/key",
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(Url::parse(&url.expose()).as_ref(), Ok(&url), "{}", url.expose());
        }
    }

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
    fn the_application_may_have_a_query_before_the_name() {
        for (text, app_query, name) in [
            ("rtmp://h/app?tok=a/KEY", "tok=a", "KEY"),
            ("rtmp://h/app/?tok=a/KEY/", "tok=a", "KEY"),
            ("rtmp://h/app?vhost=a.b/KEY?x=1/2", "vhost=a.b", "KEY?x=1/2"),
            ("rtmp://h/app?tok=a/b==/KEY", "tok=a/b==", "KEY"),
            ("rtmp://h/app?/KEY", "", "KEY"),
            ("rtmp://h/app/KEY?tok=a/b", "", "KEY?tok=a/b"),
        ] {
            let url = Url::parse(text).unwrap();
            let got = (url.app(), url.app_query().expose(), url.name().expose());
            assert_eq!(got, ("app", app_query, name), "{text}");
            assert_eq!(url.to_string(), "rtmp://h/app/***", "{text}");
        }
        for text in ["rtmp://h/app?tok=a", "rtmp://h/app?tok=a/", "rtmp://h?tok=a/KEY"] {
            assert!(Url::parse(text).unwrap_err().to_string().contains("stream name"), "{text}");
        }
        let long = format!("rtmp://h/app?{}/KEY", "a".repeat(1_500));
        assert!(Url::parse(&long).is_err());
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
            ("rtmp://s3cret@h/live/k", "user name"),
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
    fn user_and_password_are_taken_off_the_address_and_never_show() {
        for (text, user, password) in [
            ("rtmp://bob:s3cret@h/live/key", "bob", "s3cret"),
            ("rtmp://bob:s3cret:x@h:1936/live/key", "bob", "s3cret:x"),
            ("rtmp://bob:s3cret@x@[::1]/live/key", "bob", "s3cret@x"),
            ("rtmp://b%40b:s3cret%2F%3a@h/live/key", "b@b", "s3cret/:"),
            ("rtmp://bob:@h/live/key", "bob", ""),
        ] {
            let url = Url::parse(text).unwrap();
            let login = url.login().unwrap();
            assert_eq!((login.user(), login.expose_password()), (user, password), "{text}");
            let shown = format!("{url} {url:?} {login:?} {}", url.tc_url());
            assert!(!shown.contains("s3cret") && !shown.contains("b@b"), "{shown}");
        }
        for text in ["rtmp://:s3cret@h/a/k", "rtmp://s3cret@h/a/k", "rtmp://u:s3cret%00@h/a/k"] {
            let error = Url::parse(text).unwrap_err();
            assert!(matches!(error, UrlError::Invalid(_)));
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        assert_eq!(Url::parse("rtmp://h/live/key?x=u:p@h").unwrap().login(), None);
    }

    #[test]
    fn a_redirection_leads_elsewhere_with_the_same_name_and_login() {
        let url = Url::parse("rtmp://bob:pw@h:1936/live/s3cret?key=k").unwrap();
        for (tc_url, tc_url_then, query) in [
            ("rtmp://other/app/inst", "rtmp://other/app/inst", ""),
            ("rtmp://other:19350/app/?token=t", "rtmp://other:19350/app", "token=t"),
            ("//other/app", "rtmp://other/app", ""),
            ("/app", "rtmp://h:1936/app", ""),
            (" rtmp://[::1]/app ", "rtmp://[::1]/app", ""),
        ] {
            let there = url.redirected(tc_url).unwrap();
            assert_eq!((there.tc_url().as_str(), there.app_query().expose()), (tc_url_then, query));
            assert_eq!((there.name(), there.login()), (url.name(), url.login()));
            assert!(!format!("{there:?}").contains("token"));
        }
        for tc_url in ["", "other", "rtmp://", "rtmp://other", "http://other/app", "/", "rtmp:///a"]
        {
            assert!(url.redirected(tc_url).is_err(), "{tc_url}");
        }
        assert!(url.redirected(&format!("/{}", "a".repeat(4_000))).is_err());
    }
}
