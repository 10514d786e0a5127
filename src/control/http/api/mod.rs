//! `/api/v1`: the node as JSON, and what can be changed while it runs. `openapi.json` is made from
//! the handlers themselves.

mod ask;
mod backup;
mod channels;
mod gate;
mod keys;
mod node;
mod openapi;
mod outputs;
mod problem;
mod streams;
mod ws;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post, put};

pub(super) use self::gate::{Peer, Turnstile, with_token_or_from_here};
use self::problem::Problem;
pub use self::ws::FOLLOWERS_MAX;
pub(super) use self::ws::{Followers, Stop};
use super::Shared;
use crate::command::{Answer, Ask};
use crate::control::Door;
use crate::control::auth::Tokens;
use crate::control::keystore::Keys;
use crate::control::log::LogLevel;
use crate::control::state::{Board, Event};
use crate::control::time::Time;
use crate::event::{NodeEvent, Operated};

/// What the API is made of.
#[derive(Debug)]
pub struct Api {
    /// Where the running node is asked.
    pub door: Door,
    /// The state, as it was looked at last.
    pub board: Arc<Board>,
    /// The stream keys; `None` if anybody may publish.
    pub keys: Option<Keys>,
    /// Who may ask.
    pub tokens: Tokens,
    /// The configuration in use, without secrets.
    pub config: String,
    /// What is logged.
    pub log: LogLevel,
    /// The node's time.
    pub time: Time,
    /// `rtmp://HOST:PORT/live`: where publishers are sent.
    pub publish_url: String,
    /// Where streams are played over HTTP.
    pub flv_base: String,
}

impl Api {
    /// Asks for something to be done.
    async fn done(&self, ask: Ask) -> Result<(), Problem> {
        match self.door.ask(ask).await {
            Answer::Done => Ok(()),
            other => Err(other.into()),
        }
    }

    /// Tells those who follow what was done through the API.
    async fn note(&self, name: &'static str, text: String, about: impl FnOnce(Event) -> Event) {
        match gate::actor() {
            Some(actor) => tracing::info!("{text} ({actor})"),
            None => tracing::info!("{text}"),
        }
        let (at, kind) = (self.time.now_ms(), name.to_owned());
        let actor = gate::actor();
        let event = about(Event { at, kind, text, actor, ..Event::default() });
        let Event { text, channel, output, stream, client, actor, .. } = event.clone();
        self.board.event(event).await;
        let operated = Operated { name, text, channel, output, stream, client, actor };
        // A node that stops tells nobody any more.
        drop(self.door.ask(Ask::Tell(NodeEvent::Operated(Box::new(operated)))).await);
    }
}

/// Every path of the API, and the WebSocket.
pub(super) fn routes(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let guarded = Router::new()
        .merge(of_node())
        .merge(of_channels())
        .merge(of_streams())
        .merge(of_keys())
        .method_not_allowed_fallback(async || Problem::method())
        .layer(from_fn_with_state(Arc::clone(shared), gate::with_token))
        .layer(DefaultBodyLimit::max(ask::BODY_BYTES_MAX));
    Router::new()
        .nest("/api/v1", guarded)
        .route("/api/v1/openapi.json", get(openapi::document))
        .route("/api/v1/{*path}", axum::routing::any(async || Problem::no_such_path()))
        .route("/ws", get(ws::follow))
}

fn of_node() -> Router<Arc<Shared>> {
    Router::new()
        .route("/node", get(node::node))
        .route("/state", get(node::state))
        .route("/events", get(node::events))
        .route("/config", get(node::config))
        .route("/log-level", get(node::log_level).put(node::set_log_level))
}

fn of_channels() -> Router<Arc<Shared>> {
    Router::new()
        .route("/channels", get(channels::channels))
        .route("/channels/{channel}", get(channels::channel))
        .route("/channels/{channel}/scenes", get(channels::scenes))
        .route("/channels/{channel}/scenes/{scene}", get(channels::scene).put(channels::put_scene))
        .route("/channels/{channel}/scenes/{scene}/activate", post(channels::activate))
        .route("/outputs", get(outputs::outputs))
        .route("/channels/{channel}/outputs", post(outputs::add))
        .route("/channels/{channel}/outputs/{output}", delete(outputs::remove))
        .route("/channels/{channel}/outputs/{output}/start", post(outputs::start))
        .route("/channels/{channel}/outputs/{output}/stop", post(outputs::stop))
}

fn of_streams() -> Router<Arc<Shared>> {
    Router::new()
        .route("/streams", get(streams::streams))
        .route("/streams/{app}/{name}", get(streams::stream))
        .route("/streams/{app}/{name}/publisher", delete(streams::kick_publisher))
        .route("/clients", get(streams::clients))
        .route("/clients/{id}", delete(streams::kick))
}

fn of_keys() -> Router<Arc<Shared>> {
    Router::new()
        .route("/keys", get(keys::keys).post(keys::create))
        .route("/keys/import", post(keys::import))
        .route("/keys/export", get(backup::export))
        .route("/keys/restore", backup::restoring())
        .route("/keys/{id}", get(keys::key).patch(keys::change).delete(keys::remove))
        .route("/keys/{id}/revoke", post(keys::revoke))
        .route("/keys/{id}/rotate", post(keys::rotate))
        .route("/keys/{id}/aliases/{alias}", put(keys::set_alias).delete(keys::remove_alias))
}

#[cfg(test)]
pub(super) mod tests;
