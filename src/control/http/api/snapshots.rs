//! Snapshots of streams for those who run the node: the same pictures that viewers are given.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::problem::Problem;
use crate::command::{SnapshotFault, SnapshotWidth};
use crate::control::http::shared::Shared;

/// How wide.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    width: Option<String>,
}

/// The newest keyframe of a stream as a JPEG. It is decoded when somebody asks, at most once a
/// second, and is the same until the stream's next keyframe: then its `ETag` is another one.
#[utoipa::path(
    get, path = "/api/v1/streams/{app}/{name}/snapshot.jpg", tag = "streams",
    params(
        ("app" = String, Path), ("name" = String, Path),
        ("width" = Option<u32>, Query, minimum = 1, maximum = 1_280,
            description = "How wide at most, rounded up to a multiple of 160; 640 by default."),
    ),
    responses(
        (status = 200, content_type = "image/jpeg", body = Vec<u8>),
        (status = 304, description = "It is the one that `If-None-Match` names."),
        (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(super) async fn stream_snapshot(
    State(shared): State<Arc<Shared>>,
    Path((app, name)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let width = SnapshotWidth::of(wanted.width.as_deref());
    let width = width.map_err(|text| Problem::invalid(text, "leave it out for 640"))?;
    let snapshot = shared.api.snapshots.of(&format!("{app}/{name}"), width).await;
    let snapshot = snapshot.map_err(|fault| match fault {
        SnapshotFault::Missing(text) => Problem::not_found(&text),
        SnapshotFault::Busy(text) => Problem::unavailable(&text),
    })?;
    let etag = snapshot.etag.to_string();
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|tag| tag.trim() == etag));
    let fields = [(header::ETAG, etag), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, fields).into_response());
    }
    let kind = [(header::CONTENT_TYPE, "image/jpeg")];
    Ok((fields, kind, snapshot.jpeg.to_vec()).into_response())
}
