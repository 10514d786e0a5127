//! Posts bodies to one webhook, over HTTP or HTTPS.

use std::fmt;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
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
        let now_s = self.clock.unix_secs();
        let mut request = Request::post(self.url.expose().clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, AGENT)
            .header("X-Event", event)
            .header("X-Timestamp", now_s);
        if !self.secret.expose().is_empty() {
            let signed = signature(self.secret.expose(), now_s, &body);
            request = request.header("X-Signature-256", signed);
        }
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let answer = self.pool.request(request).await.map_err(|error| cause(&error))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| format!("its answer cannot be read: {error}"))?;
        Ok((status, body.to_bytes()))
    }
}

/// The innermost reason: the outer ones say only that something failed.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    format!("it cannot be reached: {inner}")
}
