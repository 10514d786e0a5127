//! Backup of the stream keys: all of them as a text, and back, without the keys themselves.

#![expect(unused_qualifications, reason = "in what utoipa makes of the parameters")]

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Json};
use axum::routing::{MethodRouter, post};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ask::Asked;
use super::keys::store;
use super::problem::Problem;
use crate::control::http::shared::Shared;
use crate::control::keystore::{Restored, from_lines, to_lines};

/// Bytes of a backup that is sent in one request: some 100 000 keys.
const RESTORE_BYTES_MAX: usize = 64 << 20;

/// All keys with all that is known about them, as lines of JSON: hashes and settings, and never a
/// key.
#[utoipa::path(
    get, path = "/api/v1/keys/export", tag = "keys",
    responses(
        (status = 200, body = String, content_type = "application/x-ndjson"),
        (status = 403, body = Problem), (status = 503, body = Problem),
    )
)]
pub(super) async fn export(
    State(shared): State<Arc<Shared>>,
) -> Result<impl IntoResponse, Problem> {
    let backups = store(&shared.api)?.export().await?;
    let text = to_lines(&backups).map_err(|error| Problem::unavailable(&error.to_string()))?;
    tracing::info!("{} stream keys were exported", backups.len());
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], text))
}

/// Where a backup comes in: it is larger than other bodies.
pub(super) fn restoring() -> MethodRouter<Arc<Shared>> {
    post(restore).layer(DefaultBodyLimit::max(RESTORE_BYTES_MAX))
}

/// What is done with keys that are there.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Restoring {
    /// Whether keys and aliases that are there with other settings get those of the backup.
    replace: bool,
}

/// What became of the keys of a backup.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RestoreAnswer {
    /// Keys that were not there.
    added: u64,
    /// Keys that were there with other settings, and have those of the backup now.
    replaced: u64,
    /// Keys that were there as they are in the backup.
    unchanged: u64,
    /// Keys that were there with other settings, and were left alone.
    kept: u64,
    /// Keys whose time is over: left out.
    expired: u64,
    /// Aliases that stand for other keys, and were left alone.
    aliases_kept: u64,
}

/// Takes in what `/keys/export` gave, from this store or another one.
#[utoipa::path(
    post, path = "/api/v1/keys/restore", tag = "keys", params(Restoring),
    request_body(content = String, content_type = "text/plain"),
    responses(
        (status = 200, body = RestoreAnswer), (status = 400, body = Problem),
        (status = 413, body = Problem), (status = 503, body = Problem),
    )
)]
pub(super) async fn restore(
    State(shared): State<Arc<Shared>>,
    Asked(Restoring { replace }): Asked<Restoring>,
    request: Request,
) -> Result<Json<RestoreAnswer>, Problem> {
    use axum::extract::FromRequest;
    let bytes = Bytes::from_request(request, &()).await;
    let bytes = bytes.map_err(|_| Problem::too_large(RESTORE_BYTES_MAX))?;
    let hint = "send what /api/v1/keys/export or `keys export` gave";
    let text = str::from_utf8(&bytes).map_err(|_| Problem::invalid("it is no text", hint))?;
    let backups = from_lines(text).map_err(|fault| Problem::invalid(&fault, hint))?;
    let restored = store(&shared.api)?.restore(&backups, replace).await?;
    let text = format!("stream keys were taken in from a backup: {restored}");
    shared.api.note("keys_restored", text, |event| event).await;
    let Restored { added, replaced, unchanged, kept, expired, aliases_kept } = restored;
    Ok(Json(RestoreAnswer { added, replaced, unchanged, kept, expired, aliases_kept }))
}
