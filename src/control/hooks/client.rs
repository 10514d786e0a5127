//! Posts bodies to one webhook, over HTTP or HTTPS.

use std::fmt;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, LOCATION, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::sign::signature;
use crate::config::{HookConfig, HookUrl, Secret};
use crate::runtime::Clock;
use crate::tls::Connector;

/// Largest answer, bytes. A larger one is a failure.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Redirections that are followed for one request. More are a failure.
const REDIRECTS_MAX: usize = 3;

/// Connections that are kept open without being used.
const IDLE_MAX: usize = 32;

/// How long.
const IDLE_LIMIT: Duration = Duration::from_secs(30);

const AGENT: &str = concat!("stream-manager/", env!("CARGO_PKG_VERSION"));

/// The way to one webhook.
pub(super) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: HookUrl,
    secret: Secret,
    limit: Duration,
    clock: Clock,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the hook at {}", self.url)
    }
}

impl Client {
    /// `trust` is who is trusted for HTTPS.
    pub(super) fn new(config: &HookConfig, trust: &Connector, clock: Clock) -> Self {
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
        let (url, secret) = (config.url.clone(), config.secret.clone());
        Self { pool, url, secret, limit: config.timeout.into(), clock }
    }

    /// Status and body of the answer to `event`, whose JSON is `body`.
    ///
    /// # Errors
    /// Why there is none within the limit; holds no secret.
    pub(super) async fn post(
        &self,
        event: &'static str,
        body: Bytes,
    ) -> Result<(u16, Bytes), String> {
        match timeout(self.limit, self.exchange(event, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("it did not answer within {} ms", self.limit.as_millis())),
        }
    }

    async fn exchange(&self, event: &'static str, body: Bytes) -> Result<(u16, Bytes), String> {
        let mut url = self.url.expose().clone();
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.send(&url, event, body.clone()).await?;
            if matches!(answer.status().as_u16(), 307 | 308) {
                let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
                if let Some(to) = to.and_then(|to| redirected(&url, to)) {
                    url = to;
                    continue;
                }
            }
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| format!("its answer cannot be read: {error}"))?;
            return Ok((status, body.to_bytes()));
        }
        Err(format!("it redirects more than {REDIRECTS_MAX} times"))
    }

    async fn send(
        &self,
        url: &Uri,
        event: &'static str,
        body: Bytes,
    ) -> Result<Response<Incoming>, String> {
        let now_s = self.clock.unix_secs();
        let mut request = Request::post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, AGENT)
            .header("X-Event", event)
            .header("X-Timestamp", now_s);
        if !self.secret.expose().is_empty() {
            let signed = signature(self.secret.expose(), now_s, &body);
            request = request.header("X-Signature-256", signed);
        }
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        self.pool.request(request).await.map_err(|error| cause(&error))
    }
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
