//! Streams are served on the RTMP port: players that ask here are told so.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::Shared;

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
    Redirect::temporary(&format!("{scheme}://{authority}{path}")).into_response()
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
