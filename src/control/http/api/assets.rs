//! Assets: files that are uploaded for scenes to show.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::file_body::file_body;
use super::on_disk::on_disk;
use super::problem::Problem;
use crate::command::{Answer, Ask};
use crate::control::asset_folder::{AssetError, AssetFolder, names_file};
use crate::control::http::shared::Shared;

/// How long the next piece of a file may take.
const PIECE_WITHIN: Duration = Duration::from_secs(30);

/// Pieces of a file that wait for the disk.
const PIECES_WAITING: usize = 4;

/// What a browser may do with a file that is opened by itself: an SVG may hold programs.
const NO_SCRIPTS: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// All assets and how much room there is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Assets {
    /// Where they are.
    folder: String,
    /// What they take together.
    bytes: u64,
    /// What they may take together.
    total_bytes_max: u64,
    /// The largest that is taken.
    file_bytes_max: u64,
    /// How many there may be.
    files_max: usize,
    /// By name.
    assets: Vec<Asset>,
}

/// A file that scenes may show.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Asset {
    /// In these paths.
    name: String,
    /// What a layer of a scene calls it.
    path: String,
    /// `image`, `font` or `video`. Images have thumbnails.
    kind: &'static str,
    /// Its size.
    bytes: u64,
    /// When it was uploaded.
    changed_at: u64,
}

impl From<AssetError> for Problem {
    fn from(error: AssetError) -> Self {
        match error {
            AssetError::Off => Self::conflict_with(
                "this node has no folder for assets",
                "name one in the configuration: [assets] folder",
            ),
            AssetError::Invalid(text) => Self::invalid(&text, "correct it"),
            AssetError::NotFound(text) => Self::not_found(&text),
            AssetError::TooLarge(limit) => {
                Self::too_large(usize::try_from(limit).unwrap_or(usize::MAX))
            }
            AssetError::Full(text) => Self::full(&text),
            AssetError::Busy(text) => Self::unavailable(&text),
            AssetError::Disk(error) => Self::unavailable(&format!("the disk refuses: {error}")),
        }
    }
}

/// All assets.
#[utoipa::path(
    get, path = "/api/v1/assets", tag = "assets",
    responses((status = 200, body = Assets), (status = 409, body = Problem))
)]
pub(super) async fn assets(State(shared): State<Arc<Shared>>) -> Result<Json<Assets>, Problem> {
    let list = |folder: &AssetFolder| {
        Ok::<_, AssetError>((folder.path()?.display().to_string(), folder.list()?))
    };
    let (folder, found) = on_disk(&shared.api.assets, list).await?;
    let limits = &shared.api.assets.limits;
    let assets: Vec<_> = found
        .into_iter()
        .map(|asset| Asset {
            name: asset.name,
            path: asset.path.display().to_string(),
            kind: asset.kind.name(),
            bytes: asset.bytes,
            changed_at: asset.changed_at,
        })
        .collect();
    Ok(Json(Assets {
        folder,
        bytes: assets.iter().map(|asset| asset.bytes).sum(),
        total_bytes_max: limits.total_bytes_max,
        file_bytes_max: limits.file_bytes_max,
        files_max: limits.files_max,
        assets,
    }))
}

/// The file itself.
#[utoipa::path(
    get, path = "/api/v1/assets/{name}", tag = "assets",
    params(("name" = String, Path)),
    responses(
        (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 400, body = Problem), (status = 404, body = Problem),
    )
)]
pub(super) async fn asset(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let (file, about, media_type) =
        on_disk(&shared.api.assets, move |folder| folder.open(&name)).await?;
    let head = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_LENGTH, about.len().to_string()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, NO_SCRIPTS.to_owned()),
    ];
    Ok((head, file_body(file)).into_response())
}

/// A picture made small, at most 192 pixels wide and high.
#[utoipa::path(
    get, path = "/api/v1/assets/{name}/thumbnail", tag = "assets",
    params(("name" = String, Path)),
    responses(
        (status = 200, content_type = "image/png", body = Vec<u8>),
        (status = 400, body = Problem), (status = 404, body = Problem),
    )
)]
pub(super) async fn thumbnail(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let png = on_disk(&shared.api.assets, move |folder| folder.thumbnail(&name)).await?;
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}

/// Takes in a file, or another in its place, which scenes on the air then show. It is checked by
/// reading it, and is there whole or not at all.
#[utoipa::path(
    put, path = "/api/v1/assets/{name}", tag = "assets",
    params(("name" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 204), (status = 400, body = Problem), (status = 409, body = Problem),
        (status = 413, body = Problem), (status = 503, body = Problem),
        (status = 507, body = Problem),
    )
)]
pub(super) async fn put_asset(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let limit = shared.api.assets.limits.file_bytes_max;
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(AssetError::TooLarge(limit).into());
    }
    let (pieces, mut taken) = mpsc::channel::<Option<Bytes>>(PIECES_WAITING);
    let send = async move {
        let mut body = request.into_body();
        loop {
            let piece = match timeout(PIECE_WITHIN, body.frame()).await {
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => Some(data),
                    Err(_) => continue,
                },
                Ok(None) => None,
                // The file is not whole.
                Ok(Some(Err(_))) | Err(_) => return,
            };
            let is_last = piece.is_none();
            // Nobody takes it if it is refused, and it is refused once.
            if pieces.send(piece).await.is_err() || is_last {
                return;
            }
        }
    };
    let own = name.clone();
    let store = on_disk(&shared.api.assets, move |folder| {
        folder.store(&own, || match taken.blocking_recv() {
            Some(piece) => Ok(piece),
            None => Err(AssetError::Invalid("the body did not come whole".to_owned())),
        })
    });
    let ((), stored) = tokio::join!(send, store);
    stored?;
    let text = format!("asset {name} was uploaded");
    shared.api.note("asset_uploaded", text, |event| event).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a file away that no scene shows.
#[utoipa::path(
    delete, path = "/api/v1/assets/{name}", tag = "assets",
    params(("name" = String, Path)),
    responses(
        (status = 204), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem),
    )
)]
pub(super) async fn remove_asset(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let texts = texts_of_scenes(&shared).await;
    let own = name.clone();
    let users = on_disk(&shared.api.assets, move |folder| {
        folder.open(&own)?;
        let path = folder.path()?.join(&own);
        let mut users: Vec<_> = texts
            .into_iter()
            .filter(|(_, text)| names_file(text, &path))
            .map(|(user, _)| user)
            .collect();
        users.dedup();
        if users.is_empty() {
            folder.remove(&own)?;
        }
        Ok::<_, AssetError>(users)
    });
    let users = users.await?;
    if !users.is_empty() {
        return Err(Problem::conflict_with(
            &format!("{name} is shown by {}", users.join(", ")),
            "take it out of them first",
        ));
    }
    let text = format!("asset {name} was removed");
    shared.api.note("asset_removed", text, |event| event).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Every text in a scene, the overlays and the transition of every channel, with where it is.
async fn texts_of_scenes(shared: &Shared) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    let channels: Vec<_> = shared.api.board.snapshot().await.channels.keys().cloned().collect();
    for channel in channels {
        let ask = |ask| shared.api.handle.ask(ask);
        if let Answer::Scenes(view) = ask(Ask::Scenes { channel: channel.clone() }).await {
            collect(&format!("the transition of channel {channel}"), &view.transition, &mut texts);
            for scene in view.names {
                let user = format!("scene {scene} of channel {channel}");
                let wanted = Ask::Scene { channel: channel.clone(), scene };
                if let Answer::Scene(view) = ask(wanted).await {
                    collect(&user, &view.document, &mut texts);
                }
            }
        }
        let user = format!("the overlays of channel {channel}");
        if let Answer::Overlays(view) = ask(Ask::Overlays { channel }).await {
            collect(&user, &view.document, &mut texts);
        }
    }
    texts
}

fn collect(user: &str, value: &Value, texts: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => texts.push((user.to_owned(), text.clone())),
        Value::Array(list) => list.iter().for_each(|value| collect(user, value, texts)),
        Value::Object(fields) => fields.values().for_each(|value| collect(user, value, texts)),
        _ => {}
    }
}
