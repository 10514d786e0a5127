//! Posts bodies to one webhook, over HTTP or HTTPS.

use std::fmt;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Builder;
use hyper::{Request, StatusCode, Uri};
use tokio::time::timeout;

use super::sign::signature;
use crate::config::{HookConfig, HookUrl, Secret};
use crate::control::http_client::{self, HttpClient};
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
        let request = |url: &Uri| self.request(url, event, &body);
        // Those that keep the method and the body.
        let followed = |status: StatusCode| matches!(status.as_u16(), 307 | 308);
        let url = self.url.expose().clone();
        let (_, answer) = self.http.send(url, request, &body, followed).await?;
        let status = answer.status().as_u16();
        Ok((status, http_client::body(answer, ANSWER_BYTES_MAX).await?))
    }

    fn request(&self, url: &Uri, event: &'static str, body: &[u8]) -> Builder {
        let now_s = self.clock.unix_secs();
        let request = Request::post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("X-Event", event)
            .header("X-Timestamp", now_s);
        if self.secret.expose().is_empty() {
            return request;
        }
        request.header("X-Signature-256", signature(self.secret.expose(), now_s, body))
    }
}
