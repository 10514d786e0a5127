//! Traces over the API: what the node's threads have recorded, as files for Perfetto.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Json, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ask::Body;
use super::file_body::file_body;
use super::on_disk::on_disk;
use super::problem::Problem;
use crate::control::http::shared::Shared;
use crate::control::traces::{SECONDS_MAX, TraceError, TraceFile};
use crate::media::Micros;

/// Type of the files.
const MEDIA_TYPE: &str = "application/octet-stream";

/// What is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NewTrace {
    /// How many of the last seconds, 1 to 10; 5 by default.
    seconds: u32,
}

impl Default for NewTrace {
    fn default() -> Self {
        Self { seconds: 5 }
    }
}

/// A trace that the node has kept by itself.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeptTrace {
    /// In these paths.
    name: String,
    /// Where the API gives the file.
    url: String,
    /// Its size.
    bytes: u64,
    /// When it was made, milliseconds since 1970.
    made_at: u64,
}

impl From<TraceFile> for KeptTrace {
    fn from(TraceFile { name, bytes, made_at }: TraceFile) -> Self {
        Self { url: format!("/api/v1/traces/{name}"), name, bytes, made_at }
    }
}

impl From<TraceError> for Problem {
    fn from(error: TraceError) -> Self {
        match error {
            TraceError::Off => Self::conflict_with(
                "this node keeps no traces by itself",
                "name a folder for what it keeps in the configuration: [node] data_dir",
            ),
            TraceError::Busy => Self::too_many("another trace is being made; try again"),
            TraceError::NotFound(text) => Self::not_found(&text),
            TraceError::Disk(error) => Self::unavailable(&format!("the disk refuses: {error}")),
        }
    }
}

/// Makes a trace of the last seconds: what each thread has worked at, and where each frame was, as
/// <https://ui.perfetto.dev> and `stream-manager trace summarize` read it. Nothing waits for it.
#[utoipa::path(
    post, path = "/api/v1/trace", tag = "node", request_body = NewTrace,
    responses(
        (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 400, body = Problem), (status = 429, body = Problem),
    )
)]
pub(super) async fn make_trace(
    State(shared): State<Arc<Shared>>,
    Body(NewTrace { seconds }): Body<NewTrace>,
) -> Result<Response, Problem> {
    if !(1..=SECONDS_MAX).contains(&seconds) {
        let detail = format!("a trace has `seconds` from 1 to {SECONDS_MAX}");
        return Err(Problem::invalid(&detail, "threads remember no more than that"));
    }
    let span = Micros::from_secs(seconds.into());
    let trace = on_disk(&shared.api.traces, move |traces| traces.make(span)).await?;
    let name = format!("trace-{}.pftrace", shared.api.time.now_ms());
    Ok((head(&name), trace).into_response())
}

fn head(name: &str) -> [(HeaderName, String); 4] {
    [
        (header::CONTENT_TYPE, MEDIA_TYPE.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ]
}

/// The traces that the node has kept by itself because frames were late or a loop stalled, oldest
/// first.
#[utoipa::path(
    get, path = "/api/v1/traces", tag = "node",
    responses((status = 200, body = [KeptTrace]), (status = 409, body = Problem))
)]
pub(super) async fn traces(
    State(shared): State<Arc<Shared>>,
) -> Result<Json<Vec<KeptTrace>>, Problem> {
    let kept = on_disk(&shared.api.traces, |traces| traces.list()).await?;
    Ok(Json(kept.into_iter().map(KeptTrace::from).collect()))
}

/// The file of a trace that was kept.
#[utoipa::path(
    get, path = "/api/v1/traces/{trace}", tag = "node", params(("trace" = String, Path)),
    responses(
        (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 404, body = Problem), (status = 409, body = Problem),
    )
)]
pub(super) async fn trace(
    State(shared): State<Arc<Shared>>,
    Path(trace): Path<String>,
) -> Result<Response, Problem> {
    let name = trace.clone();
    let (file, about) = on_disk(&shared.api.traces, move |traces| traces.open(&name)).await?;
    let length = [(header::CONTENT_LENGTH, about.len().to_string())];
    Ok((head(&trace), length, file_body(file)).into_response())
}
