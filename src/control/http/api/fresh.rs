//! Answers that nobody keeps: what they say is true now, or secret.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};

/// These bytes, of this type.
pub(super) fn fresh(media_type: &'static str, bytes: impl Into<Body>) -> Response {
    let fields = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-store")];
    (fields, bytes.into()).into_response()
}
