//! Posts bodies to one webhook, over HTTP or HTTPS.

use std::fmt;
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, LOCATION};
use hyper::{Request, Response, Uri};
use tokio::time::timeout;

use super::sign::signature;
use crate::config::{HookConfig, HookUrl, Secret};
use crate::control::http_client::{self, HttpClient, REDIRECTS_MAX, redirected};
use crate::runtime::Clock;
use crate::tls::Connector;

/// Largest answer, bytes. A larger one is a failure.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The way to one webhook.
pub(super) struct Client {
    http: HttpClient,
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
        let (url, secret) = (config.url.clone(), config.secret.clone());
        Self { http: HttpClient::new(trust), url, secret, limit: config.timeout.into(), clock }
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
            return Ok((status, http_client::body(answer, ANSWER_BYTES_MAX).await?));
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
            .header("X-Event", event)
            .header("X-Timestamp", now_s);
        if !self.secret.expose().is_empty() {
            let signed = signature(self.secret.expose(), now_s, &body);
            request = request.header("X-Signature-256", signed);
        }
        self.http.send(request, body).await
    }
}
