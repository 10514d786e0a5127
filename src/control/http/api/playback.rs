//! Playback of the video files and playlists of a channel.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ask::Body;
use super::problem::Problem;
use crate::command::{
    Answer, Ask, ItemCommand, PlaybackCommand, PlaybackState, PlaybackView, PlaylistView,
};
use crate::control::http::shared::Shared;
use crate::control::state::Event;
use crate::control::time::Time;
use crate::media::{self, Micros};

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
    /// Its items, if it is a playlist: the file is the one of them that plays.
    playlist: Option<Playlist>,
}

impl Playback {
    fn of(view: PlaybackView, time: &Time) -> Self {
        let PlaybackView { layer, state, position, duration, playlist } = view;
        let word = PlaybackState::WORDS.iter().find(|(_, it)| *it == state);
        Self {
            layer,
            state: word.map_or("", |(word, _)| word),
            position_ms: position.millis(),
            duration_ms: duration.map(Micros::millis),
            playlist: playlist.map(|view| Playlist::of(&view, time)),
        }
    }
}

/// Which items a playlist plays.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Playlist {
    /// What is seen or heard now.
    now: Option<PlaylistEntry>,
    /// What follows.
    next: Option<PlaylistEntry>,
    /// All items, in the order of this round.
    items: Vec<PlaylistItem>,
}

impl Playlist {
    fn of(PlaylistView { now, next, items }: &PlaylistView, time: &Time) -> Self {
        let entry = |index, item, at: Option<Micros>| PlaylistEntry {
            index,
            item: PlaylistItem::of(item),
            at: at.map(|at| time.unix_ms(at)),
        };
        Self {
            now: now.as_ref().map(|(index, item, at)| entry(*index, item, Some(*at))),
            next: next.as_ref().map(|(index, item, at)| entry(*index, item, *at)),
            items: items.iter().map(PlaylistItem::of).collect(),
        }
    }
}

/// An item of a playlist, and when it is played.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlaylistEntry {
    /// Its place among the items, from 0, unless it was taken out.
    index: Option<usize>,
    #[serde(flatten)]
    item: PlaylistItem,
    /// When it began or begins, milliseconds since 1970, as far as that is known.
    at: Option<u64>,
}

/// An item of a playlist.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaylistItem {
    /// The file.
    file: String,
    /// Where in it playing begins.
    #[serde(default)]
    in_ms: u64,
    /// Where in it playing ends, after `in_ms`; its end, if there is nothing.
    out_ms: Option<u64>,
}

impl PlaylistItem {
    fn of(media::PlaylistItem { path, in_point, out_point }: &media::PlaylistItem) -> Self {
        let (file, out_ms) = (path.to_string_lossy().into_owned(), out_point.map(Micros::millis));
        Self { file, in_ms: in_point.millis(), out_ms }
    }

    fn checked(&self) -> Result<media::PlaylistItem, Problem> {
        let Self { file, in_ms, out_ms } = self;
        let hint = "name a file: {\"file\": \"clip.mp4\", \"in_ms\": 0, \"out_ms\": 5000}";
        if file.is_empty() || file.contains("://") || file.contains('\0') {
            return Err(Problem::invalid("`file` is no file's name", hint));
        }
        if out_ms.is_some_and(|out| out <= *in_ms) {
            return Err(Problem::invalid("`out_ms` is not after `in_ms`", hint));
        }
        let point = |ms: u64| Micros::from_millis(ms.min(POSITION_MS_MAX));
        let (path, in_point) = (file.into(), point(*in_ms));
        Ok(media::PlaylistItem { path, in_point, out_point: out_ms.map(point) })
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
        Answer::Playback(views) => {
            let time = &shared.api.time;
            Ok(Json(views.into_iter().map(|view| Playback::of(view, time)).collect()))
        }
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
            let playback = view.map(|view| Json(Playback::of(view, &shared.api.time)));
            playback.ok_or_else(|| Problem::not_found(&missing))
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
    /// Goes to the next item of a playlist.
    Next,
    /// Goes to the item of a playlist before this one.
    Previous,
    /// Goes to the item of a playlist at `index`.
    Skip,
    /// Puts `item` at `index` of a playlist, or at its end.
    Insert,
    /// Takes the item at `index` out of a playlist; if it plays, it goes on.
    Remove,
}

/// What a video file is to do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaybackOrder {
    /// `play`, `pause`, `restart` or `seek`; of a playlist `next`, `previous`, `skip`, `insert` or
    /// `remove` too.
    pub(super) action: Action,
    /// With `seek`: where in the file, brought between `start_ms` and `end_ms`.
    pub(super) position_ms: Option<u64>,
    /// With `skip`, `insert` and `remove`: the place of an item, from 0.
    index: Option<usize>,
    /// With `insert`: the item.
    item: Option<PlaylistItem>,
}

/// Latest position that may be named, milliseconds: a year.
const POSITION_MS_MAX: u64 = 366 * 24 * 3_600 * 1_000;

impl PlaybackOrder {
    /// One that says nothing more.
    pub(super) const fn plain(action: Action) -> Self {
        Self { action, position_ms: None, index: None, item: None }
    }

    /// What is to be done with a playlist's items; `None` if that is something else.
    fn item_command(&self) -> Result<Option<ItemCommand>, Problem> {
        let (takes_index, takes_item) = match self.action {
            Action::Skip | Action::Remove => (true, false),
            Action::Insert => (true, true),
            _ => (false, false),
        };
        if (self.index.is_some() && !takes_index) || (self.item.is_some() && !takes_item) {
            let text = "`index` goes with skip, insert and remove, and `item` with insert";
            return Err(Problem::invalid(text, "leave it out, or use such an action"));
        }
        let index = || {
            let hint = "say which item: {\"action\": \"skip\", \"index\": 2}";
            self.index.ok_or_else(|| Problem::invalid("`index` is missing", hint))
        };
        Ok(Some(match self.action {
            Action::Next => ItemCommand::Next,
            Action::Previous => ItemCommand::Previous,
            Action::Skip => ItemCommand::Skip(index()?),
            Action::Remove => ItemCommand::Remove(index()?),
            Action::Insert => {
                let hint = "say what: {\"action\": \"insert\", \"item\": {\"file\": \"clip.mp4\"}}";
                let missing = || Problem::invalid("`item` is missing", hint);
                let item = self.item.as_ref().ok_or_else(missing)?.checked()?;
                ItemCommand::Insert { place: self.index, item }
            }
            Action::Play | Action::Pause | Action::Restart | Action::Seek => return Ok(None),
        }))
    }

    fn command(&self) -> Result<PlaybackCommand, Problem> {
        let items = self.item_command()?;
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
            (_, None) => items.map_or(PlaybackCommand::Restart, PlaybackCommand::Items),
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
    let what = match &command {
        PlaybackCommand::Play => "was told to play".to_owned(),
        PlaybackCommand::Pause => "was paused".to_owned(),
        PlaybackCommand::Restart => "was restarted".to_owned(),
        PlaybackCommand::Seek(at) => format!("was sought to {} ms", at.millis()),
        PlaybackCommand::Items(items) => match items {
            ItemCommand::Next => "was told to go to the next item".to_owned(),
            ItemCommand::Previous => "was told to go to the item before".to_owned(),
            ItemCommand::Skip(place) => format!("was told to go to item {place}"),
            ItemCommand::Insert { item, .. } => format!("was given {}", item.path.display()),
            ItemCommand::Remove(place) => format!("lost item {place}"),
        },
    };
    let (named, text) = (channel.clone(), format!("{layer} of channel {channel} {what}"));
    shared.api.done(Ask::ControlPlayback { channel, layer, command }).await?;
    let about = |event| Event { channel: Some(named), ..event };
    shared.api.note("playback_changed", text, about).await;
    Ok(StatusCode::NO_CONTENT)
}
