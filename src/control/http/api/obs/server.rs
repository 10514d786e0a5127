//! obs-websocket server: who may connect, and the sessions there are.

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tokio::sync::{Semaphore, broadcast};

use super::context::{Context, ObsAccess, SESSIONS_MAX};
use super::protocol::Encoding;
use super::session::Session;
use crate::control::http::api::Stop;
use crate::control::http::shared::Shared;

/// Bytes of a message from a program.
const MESSAGE_BYTES_MAX: usize = 256 << 10;

/// Bytes that wait for a program, at most.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// Events of other sessions that may wait for one.
const CUSTOM_EVENTS_MAX: usize = 64;

/// The one path there is.
pub(in crate::control::http) fn routes(shared: Arc<Shared>, access: ObsAccess) -> Router {
    let context = Context {
        shared,
        channel: access.channel.into(),
        password: access.password,
        custom: broadcast::channel(CUSTOM_EVENTS_MAX).0,
        places: Arc::new(Semaphore::new(SESSIONS_MAX)),
    };
    Router::new().route("/", any(open)).with_state(context)
}

async fn open(
    State(context): State<Context>,
    stop: Option<Extension<Stop>>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        let text = "this port speaks obs-websocket: connect with a program that controls OBS\n";
        let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        return (StatusCode::UPGRADE_REQUIRED, plain, text).into_response();
    };
    let upgrade = upgrade
        .protocols(Encoding::PROTOCOLS)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_write_buffer_size(WAITING_BYTES_MAX);
    let stop = stop.map(|Extension(Stop(stop))| stop);
    upgrade.on_upgrade(move |socket| async move {
        Session::new(context, socket).run(stop).await;
    })
}
