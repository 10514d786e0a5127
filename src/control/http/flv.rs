//! Streams are served on the RTMP port: players that ask here are told so.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::shared::Shared;
use crate::web::{METHODS, PREFLIGHT_SECONDS};

/// Sends a player of `/live/NAME.flv` to the same path on the RTMP port.
pub(super) async fn redirect(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if !uri.path().ends_with(".flv") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let (place, is_secure) = shared.state.info.flv;
    let authority = authority(host.unwrap_or_default(), place);
    let scheme = if is_secure { "https" } else { "http" };
    let path = uri.path_and_query().map_or_else(|| uri.path(), |path| path.as_str());
    let answer = Redirect::temporary(&format!("{scheme}://{authority}{path}"));
    for_pages(&shared, &headers, answer.into_response())
}

/// What a browser is told that asks before it asks.
pub(super) async fn preflight(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let seconds = PREFLIGHT_SECONDS.to_string();
    let answer = [
        (header::ALLOW, METHODS),
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (header::ACCESS_CONTROL_MAX_AGE, seconds.as_str()),
    ];
    for_pages(&shared, &headers, (StatusCode::NO_CONTENT, answer).into_response())
}

/// Adds what the RTMP port says to pages of other servers: a browser follows the redirection only
/// if both say so.
fn for_pages(shared: &Shared, headers: &HeaderMap, mut answer: Response) -> Response {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    let (allowed, varies) = shared.state.rules.load().flv_cors.answer(text(header::ORIGIN), host);
    if let Some(origin) = allowed.and_then(|origin| HeaderValue::from_str(&origin).ok()) {
        answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    if varies {
        answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Origin"));
    }
    answer
}

/// Where somebody who reached us as `host` reaches the RTMP port.
fn authority(host: &str, rtmp: SocketAddr) -> String {
    let end = host.find(']').map_or(0, |end| end + 1);
    let name = &host[..host[end..].find(':').map_or(host.len(), |at| end + at)];
    let known = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if !rtmp.ip().is_unspecified() || name.is_empty() || !name.chars().all(known) {
        return crate::control::banner::reachable(rtmp).to_string();
    }
    format!("{name}:{}", rtmp.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_stays_unless_rtmp_listens_elsewhere() {
        for (host, rtmp, expected) in [
            ("node:8080", "0.0.0.0:1935", "node:1935"),
            ("node", "[::]:1935", "node:1935"),
            ("[::1]:8080", "[::]:1936", "[::1]:1936"),
            ("node:8080", "192.0.2.7:1935", "192.0.2.7:1935"),
            ("", "0.0.0.0:1935", "127.0.0.1:1935"),
            ("evil/@x", "0.0.0.0:1935", "127.0.0.1:1935"),
        ] {
            assert_eq!(authority(host, rtmp.parse().unwrap()), expected, "{host}");
        }
    }
}
