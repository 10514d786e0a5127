//! Clips: the last seconds of streams as files.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ask::Body;
use super::file_body::file_body;
use super::on_disk::on_disk;
use super::problem::Problem;
use crate::command::{Answer, Ask};
use crate::control::clip_folder::{ClipError, ClipFile};
use crate::control::http::shared::Shared;
use crate::control::state::Event;
use crate::media::Micros;

/// Seconds of a clip at most: no log is longer.
const SECONDS_MAX: u32 = 120;

/// Seconds of a clip if nothing is said.
const SECONDS: u32 = 30;

/// How much shorter than asked for a clip is, milliseconds, before the answer says why.
const SHORT_MS: u64 = 1_000;

/// What is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NewClip {
    /// How long, 1 to 120; 30 by default.
    seconds: u32,
    /// How long before now it ends, milliseconds, 0 to 120000; 0 by default.
    end_ms_ago: u32,
}

impl Default for NewClip {
    fn default() -> Self {
        Self { seconds: SECONDS, end_ms_ago: 0 }
    }
}

/// A clip of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StreamClip {
    /// In these paths.
    name: String,
    /// The stream.
    stream: String,
    /// Where the API gives the file.
    url: String,
    /// Where the file is on the node.
    path: String,
    /// Its size.
    bytes: u64,
    /// How long players show it.
    length_ms: u32,
    /// When it was made.
    made_at: u64,
    /// When its first frame that is shown came; told when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_at: Option<u64>,
    /// Why it is shorter than asked for, or what is left out; told when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl StreamClip {
    fn new(stream: &str, file: ClipFile) -> Self {
        let ClipFile { name, path, bytes, length_ms, made_at } = file;
        Self {
            url: format!("/api/v1/streams/{stream}/clips/{name}"),
            path: path.display().to_string(),
            stream: stream.to_owned(),
            start_at: None,
            note: None,
            name,
            bytes,
            length_ms,
            made_at,
        }
    }
}

impl From<ClipError> for Problem {
    fn from(error: ClipError) -> Self {
        match error {
            ClipError::Off => Self::conflict_with(
                "this node has no folder for clips",
                "name one in the configuration: [clips] folder, or [node] data_dir",
            ),
            ClipError::Invalid(text) => Self::invalid(&text, "write it as app/name"),
            ClipError::NotFound(text) => Self::not_found(&text),
            ClipError::Unfit(text) => Self::conflict_with(&text, "see docs/api.md, Clips"),
            ClipError::Busy(text) => Self::too_many(&text),
            ClipError::Disk(error) => Self::unavailable(&format!("the disk refuses: {error}")),
        }
    }
}

/// Makes an MP4 of the last seconds of a stream, out of what the node has kept of it for its
/// viewers.
#[utoipa::path(
    post, path = "/api/v1/streams/{app}/{name}/clips", tag = "streams",
    params(("app" = String, Path), ("name" = String, Path)), request_body = NewClip,
    responses(
        (status = 201, body = StreamClip), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 429, body = Problem), (status = 503, body = Problem),
    )
)]
pub(super) async fn make_clip(
    State(shared): State<Arc<Shared>>,
    Path((app, name)): Path<(String, String)>,
    Body(NewClip { seconds, end_ms_ago }): Body<NewClip>,
) -> Result<Response, Problem> {
    if !(1..=SECONDS_MAX).contains(&seconds) || end_ms_ago > SECONDS_MAX * 1_000 {
        let detail = format!("a clip has `seconds` from 1 to {SECONDS_MAX}, and `end_ms_ago` ");
        let detail = format!("{detail}from 0 to {}", SECONDS_MAX * 1_000);
        return Err(Problem::invalid(&detail, "a recording holds more than that"));
    }
    let (api, stream) = (&shared.api, format!("{app}/{name}"));
    let turn = api.clips.turn(&stream, api.time.now()).await?;
    let (span, before) =
        (Micros::from_secs(seconds.into()), Micros::from_millis(end_ms_ago.into()));
    let recent = match api.handle.ask(Ask::Recent { stream: stream.clone(), span, before }).await {
        Answer::Recent(recent) => recent,
        other => return Err(other.into()),
    };
    let start_at = api.time.unix_ms(recent.arrived);
    let (of, unix_s) = (stream.clone(), api.time.now_ms() / 1_000);
    let made = on_disk(&shared.api.clips, move |folder| {
        let made = folder.make(&of, &recent, unix_s);
        drop((recent, turn));
        made
    });
    let (file, clip) = made.await?;
    let is_short = u64::from(clip.length_ms) + SHORT_MS < span.millis();
    let short = is_short.then(|| {
        "the node holds no more of it: `log_seconds` and `log_bytes` in [delivery] say how much is \
         kept of each stream"
            .to_owned()
    });
    let text = format!("a clip of {stream} was made: {}", file.path.display());
    let about = Some(stream.clone());
    api.note("clip_made", text, |event| Event { stream: about, ..event }).await;
    let notes: Vec<_> = short.into_iter().chain(clip.left_out).collect();
    let note = Some(notes.join("; ")).filter(|note| !note.is_empty());
    let made = StreamClip { start_at: Some(start_at), note, ..StreamClip::new(&stream, file) };
    let place = [(header::LOCATION, made.url.clone())];
    Ok((StatusCode::CREATED, place, Json(made)).into_response())
}

/// The clips of a stream, oldest first.
#[utoipa::path(
    get, path = "/api/v1/streams/{app}/{name}/clips", tag = "streams",
    params(("app" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = [StreamClip]), (status = 409, body = Problem))
)]
pub(super) async fn clips(
    State(shared): State<Arc<Shared>>,
    Path((app, name)): Path<(String, String)>,
) -> Result<Json<Vec<StreamClip>>, Problem> {
    let stream = format!("{app}/{name}");
    let of = stream.clone();
    let found = on_disk(&shared.api.clips, move |folder| folder.list(&of)).await?;
    Ok(Json(found.into_iter().map(|file| StreamClip::new(&stream, file)).collect()))
}

/// The file of a clip.
#[utoipa::path(
    get, path = "/api/v1/streams/{app}/{name}/clips/{clip}", tag = "streams",
    params(("app" = String, Path), ("name" = String, Path), ("clip" = String, Path)),
    responses(
        (status = 200, content_type = "video/mp4", body = Vec<u8>), (status = 404, body = Problem),
    )
)]
pub(super) async fn clip(
    State(shared): State<Arc<Shared>>,
    Path((app, name, clip)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let stream = format!("{app}/{name}");
    let file = clip.clone();
    let (file, about) =
        on_disk(&shared.api.clips, move |folder| folder.open(&stream, &file)).await?;
    let head = [
        (header::CONTENT_TYPE, "video/mp4".to_owned()),
        (header::CONTENT_LENGTH, about.len().to_string()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"{clip}\"")),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((head, file_body(file)).into_response())
}

/// Takes a clip away.
#[utoipa::path(
    delete, path = "/api/v1/streams/{app}/{name}/clips/{clip}", tag = "streams",
    params(("app" = String, Path), ("name" = String, Path), ("clip" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn remove_clip(
    State(shared): State<Arc<Shared>>,
    Path((app, name, clip)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let stream = format!("{app}/{name}");
    let (of, file) = (stream.clone(), clip.clone());
    on_disk(&shared.api.clips, move |folder| folder.remove(&of, &file)).await?;
    let text = format!("clip {clip} of {stream} was removed");
    let about = Some(stream);
    shared.api.note("clip_removed", text, |event| Event { stream: about, ..event }).await;
    Ok(StatusCode::NO_CONTENT)
}
