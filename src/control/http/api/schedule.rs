//! Schedule of a channel: what it shows when, skipping, and live break-ins.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Json;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::actor::actor;
use super::ask::Body;
use super::problem::Problem;
use crate::command::{Answer, Ask, ScheduleCommand, ScheduleView, ScheduledView};
use crate::control::http::shared::Shared;

/// How a channel's schedule stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Schedule {
    /// Its file.
    file: String,
    /// Name of its time zone.
    time_zone: String,
    /// The time of day, milliseconds since 1970.
    at: u64,
    /// The scene that is to be on the air; nothing for whatever is there.
    scene: Option<String>,
    /// The item that runs, also below a break-in; nothing while none is planned.
    now: Option<ScheduledItem>,
    /// Since when nothing is planned, milliseconds since 1970.
    filler_since_at: Option<u64>,
    /// The break-in that is on the air.
    break_in: Option<BreakIn>,
    /// The next items of the week and day to come, at most 20.
    next: Vec<ScheduledItem>,
}

/// An item of a schedule. Times are milliseconds since 1970.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScheduledItem {
    /// Its name.
    item: String,
    /// Its scene.
    scene: String,
    /// `hard`, `soft`, or `follows` the item before it.
    start: &'static str,
    /// When it is to begin.
    planned_at: u64,
    /// When it begins, or began.
    began_at: u64,
    /// When it ends; nothing if that is not known.
    ends_at: Option<u64>,
}

/// A live break-in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BreakIn {
    /// Its scene.
    scene: String,
    /// When it began, milliseconds since 1970.
    since_at: u64,
}

impl From<ScheduledView> for ScheduledItem {
    fn from(view: ScheduledView) -> Self {
        let ScheduledView { item, scene, start, planned_at, at, ends_at } = view;
        Self { item, scene, start, planned_at, began_at: at, ends_at }
    }
}

impl From<ScheduleView> for Schedule {
    fn from(view: ScheduleView) -> Self {
        Self {
            file: view.file,
            time_zone: view.time_zone,
            at: view.at,
            scene: view.scene,
            now: view.now.map(ScheduledItem::from),
            filler_since_at: view.filler_since,
            break_in: view.break_in.map(|(scene, since_at)| BreakIn { scene, since_at }),
            next: view.next.into_iter().map(ScheduledItem::from).collect(),
        }
    }
}

type Answered = Result<Json<Schedule>, Problem>;

async fn ask(shared: &Shared, channel: String, command: ScheduleCommand) -> Answered {
    let ask = Ask::Schedule { channel, command, actor: actor() };
    match shared.api.handle.ask(ask).await {
        Answer::Schedule(view) => Ok(Json((*view).into())),
        other => Err(other.into()),
    }
}

/// What runs, what is next, and whether a break-in is on the air.
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}/schedule", tag = "channels",
    params(("channel" = String, Path)),
    responses((status = 200, body = Schedule), (status = 404, body = Problem))
)]
pub(super) async fn schedule(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
) -> Answered {
    ask(&shared, channel, ScheduleCommand::View).await
}

/// Reads the schedule's file again. One that is wrong changes nothing.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/schedule/reload", tag = "channels",
    params(("channel" = String, Path)),
    responses(
        (status = 200, body = Schedule), (status = 400, body = Problem),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn reload(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
) -> Answered {
    ask(&shared, channel, ScheduleCommand::Reload).await
}

/// Ends the item that runs: what follows it begins, or the filler is shown.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/schedule/skip", tag = "channels",
    params(("channel" = String, Path)),
    responses(
        (status = 200, body = Schedule), (status = 404, body = Problem),
        (status = 409, body = Problem),
    )
)]
pub(super) async fn skip(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
) -> Answered {
    ask(&shared, channel, ScheduleCommand::Skip).await
}

/// What breaks in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBreak {
    /// Name of the scene.
    scene: String,
    /// The keys of `transition` in the configuration; without them as the scene says, or its
    /// channel.
    #[schema(value_type = Option<Object>)]
    transition: Option<Value>,
}

/// Shows a scene above the schedule, which goes on below it.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/schedule/break", tag = "channels",
    params(("channel" = String, Path)),
    request_body = NewBreak,
    responses(
        (status = 200, body = Schedule), (status = 400, body = Problem),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn break_in(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
    Body(NewBreak { scene, transition }): Body<NewBreak>,
) -> Answered {
    ask(&shared, channel, ScheduleCommand::Break { scene, transition }).await
}

/// Ends the break-in: what the schedule says now is shown.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/schedule/return", tag = "channels",
    params(("channel" = String, Path)),
    responses(
        (status = 200, body = Schedule), (status = 404, body = Problem),
        (status = 409, body = Problem),
    )
)]
pub(super) async fn end_break(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
) -> Answered {
    ask(&shared, channel, ScheduleCommand::Return).await
}
