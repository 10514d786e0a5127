//! HTTP client: connections to a server that are used again, over HTTP or HTTPS.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{LOCATION, USER_AGENT};
use hyper::http::request::Builder;
use hyper::{Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::tls::Connector;

/// Redirections that are followed for one request. More are a failure.
const REDIRECTS_MAX: usize = 3;

/// Connections that are kept open without being used.
const IDLE_MAX: usize = 32;

/// How long.
const IDLE_LIMIT: Duration = Duration::from_secs(30);

const AGENT: &str = concat!("stream-manager/", env!("CARGO_PKG_VERSION"));

/// The client.
pub(crate) struct HttpClient(Pool<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl HttpClient {
    /// `trust` is who is trusted for HTTPS.
    pub(crate) fn new(trust: &Connector) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(trust.config())
            .https_or_http()
            .enable_http1()
            .build();
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        Self(pool)
    }

    /// The answer to what `request` makes for an address, whose body is still to be read, and the
    /// address that has given it. Redirections with a status that is `followed` are, on the same
    /// host and never out of HTTPS; others are answers.
    ///
    /// # Errors
    /// Why there is none; holds no part of the request.
    pub(crate) async fn send(
        &self,
        mut url: Uri,
        request: impl Fn(&Uri) -> Builder,
        body: &Bytes,
        followed: impl Fn(StatusCode) -> bool,
    ) -> Result<(Uri, Response<Incoming>), String> {
        for _ in 0..=REDIRECTS_MAX {
            let request = request(&url).header(USER_AGENT, AGENT).body(Full::new(body.clone()));
            let request = request.map_err(|error| error.to_string())?;
            let answer = self.0.request(request).await.map_err(|error| cause(&error))?;
            let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            match to.filter(|_| followed(answer.status())).and_then(|to| redirected(&url, to)) {
                Some(to) => url = to,
                None => return Ok((url, answer)),
            }
        }
        Err(format!("it redirects more than {REDIRECTS_MAX} times"))
    }
}

/// All of an answer's body.
///
/// # Errors
/// If it ends early, or has more than `bytes_max` bytes.
pub(crate) async fn body(answer: Response<Incoming>, bytes_max: usize) -> Result<Bytes, String> {
    let body = Limited::new(answer.into_body(), bytes_max).collect().await;
    let body = body.map_err(|error| format!("its answer cannot be read: {error}"))?;
    Ok(body.to_bytes())
}

/// Where a redirection leads that keeps the method and the body, if it stays on the host and does
/// not leave HTTPS: what we send is for nobody else.
fn redirected(from: &Uri, to: &str) -> Option<Uri> {
    let whole = match to.starts_with('/') && !to.starts_with("//") {
        true => format!("{}://{}{to}", from.scheme_str()?, from.authority()?),
        false => to.to_owned(),
    };
    let to: Uri = whole.split('#').next()?.parse().ok()?;
    let is_http = matches!(to.scheme_str(), Some("http" | "https"));
    let is_safe = from.scheme_str() != Some("https") || to.scheme_str() == Some("https");
    let has_user = to.authority()?.as_str().contains('@');
    let is_same = to.host()?.eq_ignore_ascii_case(from.host()?);
    (is_http && is_safe && is_same && !has_user).then_some(to)
}

/// The innermost reason: the outer ones say only that something failed.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    format!("it cannot be reached: {inner}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections_are_followed_on_the_same_host_and_never_out_of_https() {
        let leads = |from: &'static str, to: &str| {
            redirected(&Uri::from_static(from), to).map(|to| to.to_string())
        };
        let from = "http://hook.example:81/a?t=1";
        for (to, wanted) in [
            ("/b?t=2", "http://hook.example:81/b?t=2"),
            ("http://hook.example:81/b", "http://hook.example:81/b"),
            ("https://HOOK.example/b#part", "https://HOOK.example/b"),
        ] {
            assert_eq!(leads(from, to).as_deref(), Some(wanted));
        }
        for to in [
            "http://other.example/b",
            "//other.example/b",
            "http://hook.example@other.example/",
            "http://me:pw@hook.example/",
            "ftp://hook.example/b",
            "b",
            "",
        ] {
            assert_eq!(leads(from, to), None, "{to}");
        }
        assert_eq!(leads("https://hook.example/a", "http://hook.example/b"), None);
        assert!(leads("https://hook.example/a", "https://hook.example/b").is_some());
    }
}
