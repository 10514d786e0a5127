//! Playback of the video files of a channel.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ask::Body;
use super::problem::Problem;
use crate::command::{Answer, Ask, PlaybackCommand, PlaybackState, PlaybackView};
use crate::control::http::shared::Shared;
use crate::control::state::Event;
use crate::media::Micros;

/// A video file that is shown or heard now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Playback {
    /// The layer that shows it, or the audio source that plays it.
    layer: String,
    /// `opening`, `playing`, `paused`, `ended` or `failed`.
    state: &'static str,
    /// Where in the file it is.
    position_ms: u64,
    /// How long the file is; nothing if it does not say so.
    duration_ms: Option<u64>,
}

impl From<PlaybackView> for Playback {
    fn from(PlaybackView { layer, state, position, duration }: PlaybackView) -> Self {
        let word = PlaybackState::WORDS.iter().find(|(_, it)| *it == state);
        let (position_ms, duration_ms) = (position.millis(), duration.map(Micros::millis));
        Self { layer, state: word.map_or("", |(word, _)| word), position_ms, duration_ms }
    }
}

/// All video files that a channel shows or plays now, by layer or audio source.
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}/playback", tag = "channels",
    params(("channel" = String, Path)),
    responses((status = 200, body = [Playback]), (status = 404, body = Problem))
)]
pub(super) async fn playbacks(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
) -> Result<Json<Vec<Playback>>, Problem> {
    match shared.api.handle.ask(Ask::Playback { channel }).await {
        Answer::Playback(views) => Ok(Json(views.into_iter().map(Playback::from).collect())),
        other => Err(other.into()),
    }
}

/// One of them.
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}/playback/{layer}", tag = "channels",
    params(("channel" = String, Path), ("layer" = String, Path)),
    responses((status = 200, body = Playback), (status = 404, body = Problem))
)]
pub(super) async fn playback(
    State(shared): State<Arc<Shared>>,
    Path((channel, layer)): Path<(String, String)>,
) -> Result<Json<Playback>, Problem> {
    let missing = format!("channel {channel} plays no video file in {layer}");
    match shared.api.handle.ask(Ask::Playback { channel }).await {
        Answer::Playback(views) => {
            let view = views.into_iter().find(|view| view.layer == layer);
            view.map(|view| Json(view.into())).ok_or_else(|| Problem::not_found(&missing))
        }
        other => Err(other.into()),
    }
}

/// What a video file is to do.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    /// Goes on after a pause; from `start_ms` once it has ended.
    Play,
    /// Stays at the picture that is shown, in silence.
    Pause,
    /// Plays from `start_ms`.
    Restart,
    /// Goes to `position_ms`, and goes on as before: playing or paused.
    Seek,
}

/// What a video file is to do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaybackOrder {
    /// `play`, `pause`, `restart` or `seek`.
    pub(super) action: Action,
    /// With `seek`: where in the file, brought between `start_ms` and `end_ms`.
    pub(super) position_ms: Option<u64>,
}

/// Latest position that may be named, milliseconds: a year.
const POSITION_MS_MAX: u64 = 366 * 24 * 3_600 * 1_000;

impl PlaybackOrder {
    fn command(&self) -> Result<PlaybackCommand, Problem> {
        Ok(match (self.action, self.position_ms) {
            (Action::Seek, Some(ms)) => {
                PlaybackCommand::Seek(Micros::from_millis(ms.min(POSITION_MS_MAX)))
            }
            (Action::Seek, None) => {
                let hint = "say where in the file: {\"action\": \"seek\", \"position_ms\": 5000}";
                return Err(Problem::invalid("`position_ms` is missing", hint));
            }
            (_, Some(_)) => {
                let hint = "leave it out, or use the action \"seek\"";
                return Err(Problem::invalid("`position_ms` goes with the action seek", hint));
            }
            (Action::Play, None) => PlaybackCommand::Play,
            (Action::Pause, None) => PlaybackCommand::Pause,
            (Action::Restart, None) => PlaybackCommand::Restart,
        })
    }
}

/// Plays a video file that is on the air, pauses it, restarts it or seeks in it: the picture that
/// is shown stays until the next one is decoded. A layer in a group is `group%2Flayer`.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/playback/{layer}", tag = "channels",
    params(("channel" = String, Path), ("layer" = String, Path)),
    request_body = PlaybackOrder,
    responses(
        (status = 204), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 503, body = Problem),
    )
)]
pub(super) async fn control(
    State(shared): State<Arc<Shared>>,
    Path((channel, layer)): Path<(String, String)>,
    Body(order): Body<PlaybackOrder>,
) -> Result<StatusCode, Problem> {
    let command = order.command()?;
    let what = match command {
        PlaybackCommand::Play => "was told to play".to_owned(),
        PlaybackCommand::Pause => "was paused".to_owned(),
        PlaybackCommand::Restart => "was restarted".to_owned(),
        PlaybackCommand::Seek(at) => format!("was sought to {} ms", at.millis()),
    };
    let (named, text) = (channel.clone(), format!("{layer} of channel {channel} {what}"));
    shared.api.done(Ask::ControlPlayback { channel, layer, command }).await?;
    let about = |event| Event { channel: Some(named), ..event };
    shared.api.note("playback_changed", text, about).await;
    Ok(StatusCode::NO_CONTENT)
}
