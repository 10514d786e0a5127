//! Streams, and the connections that bring and take them.

#![expect(unused_qualifications, reason = "in what utoipa makes of the parameters")]

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor::actor;
use super::ask::Asked;
use super::context::Api;
use super::problem::Problem;
use crate::command::{Answer, Ask, ClientView};
use crate::control::http::shared::Shared;
use crate::control::state::{Event, Stream, held, stream_of};
use crate::control::time::Time;

/// All streams, by name.
#[utoipa::path(
    get, path = "/api/v1/streams", tag = "streams",
    responses((status = 200, body = [Stream]), (status = 503, body = Problem))
)]
pub(super) async fn streams(
    State(shared): State<Arc<Shared>>,
) -> Result<Json<Vec<Stream>>, Problem> {
    all(&shared.api).await.map(Json)
}

/// One stream.
#[utoipa::path(
    get, path = "/api/v1/streams/{app}/{name}", tag = "streams",
    params(("app" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = Stream), (status = 404, body = Problem))
)]
pub(super) async fn stream(
    State(shared): State<Arc<Shared>>,
    Path((app, name)): Path<(String, String)>,
) -> Result<Json<Stream>, Problem> {
    let name = format!("{app}/{name}");
    let found = all(&shared.api).await?.into_iter().find(|stream| stream.name == name);
    found.map(Json).ok_or_else(|| Problem::not_found(&format!("there is no stream {name}")))
}

async fn all(api: &Api) -> Result<Vec<Stream>, Problem> {
    match api.handle.ask(Ask::Streams).await {
        Answer::Streams(views) => {
            Ok(views.iter().map(|view| stream_of(view, &api.flv_base, &api.time)).collect())
        }
        other => Err(other.into()),
    }
}

/// Ends whoever publishes a stream. Its key stays good.
#[utoipa::path(
    delete, path = "/api/v1/streams/{app}/{name}/publisher", tag = "streams",
    params(("app" = String, Path), ("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn kick_publisher(
    State(shared): State<Arc<Shared>>,
    Path((app, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let stream = format!("{app}/{name}");
    shared.api.done(Ask::KickPublisher { stream: stream.clone(), actor: actor() }).await?;
    let text = format!("the publisher of {stream} was ended");
    let about = |event| Event { stream: Some(stream), ..event };
    shared.api.note("publisher_kicked", text, about).await;
    Ok(StatusCode::NO_CONTENT)
}

/// A connection.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Client {
    /// Its 8 characters.
    id: String,
    /// Where it comes from.
    address: String,
    /// `pending`, `publisher`, `player`, or `preview` for a player in the dashboard.
    state: String,
    /// `rtmp`, `rtmps`, `http-flv`, `ws-flv` or `http-snapshot`.
    protocol: String,
    /// Its stream; nothing while pending.
    stream: Option<String>,
    /// When it connected, milliseconds since 1970.
    since_at: u64,
    /// Bytes it sent.
    bytes_in: u64,
    /// Bytes it was sent.
    bytes_out: u64,
    /// Messages left out for it.
    dropped: u64,
    /// Name and version of its program, as it gives them (`flashVer`); empty if it did not say.
    encoder: String,
    /// Id of the key it publishes with; nothing for others.
    key: Option<String>,
    /// Whose key it is.
    owner: Option<String>,
    /// The key's note for people.
    label: Option<String>,
}

impl Client {
    fn new(view: &ClientView, time: &Time) -> Self {
        let [key, owner, label] = held(view.holder.as_deref());
        Self {
            id: view.id.clone(),
            address: view.address.to_string(),
            state: view.state.to_owned(),
            protocol: view.protocol.to_owned(),
            stream: Some(view.stream.clone()).filter(|stream| !stream.is_empty()),
            since_at: time.unix_ms(view.since),
            bytes_in: view.bytes_in,
            bytes_out: view.bytes_out,
            dropped: view.dropped,
            encoder: view.agent.clone(),
            key,
            owner,
            label,
        }
    }
}

/// Which connections.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ClientsAsked {
    /// Only those of this stream, `app/name`.
    stream: Option<String>,
}

/// Connections, at most 1000.
#[utoipa::path(
    get, path = "/api/v1/clients", tag = "streams", params(ClientsAsked),
    responses((status = 200, body = [Client]), (status = 503, body = Problem))
)]
pub(super) async fn clients(
    State(shared): State<Arc<Shared>>,
    Asked(ClientsAsked { stream }): Asked<ClientsAsked>,
) -> Result<Json<Vec<Client>>, Problem> {
    match shared.api.handle.ask(Ask::Clients { stream }).await {
        Answer::Clients(views) => {
            Ok(Json(views.iter().map(|view| Client::new(view, &shared.api.time)).collect()))
        }
        other => Err(other.into()),
    }
}

/// Ends a connection.
#[utoipa::path(
    delete, path = "/api/v1/clients/{id}", tag = "streams", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn kick(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.api.done(Ask::Kick { client: id.clone(), actor: actor() }).await?;
    let text = format!("client {id} was ended");
    shared.api.note("client_kicked", text, |event| Event { client: Some(id), ..event }).await;
    Ok(StatusCode::NO_CONTENT)
}
