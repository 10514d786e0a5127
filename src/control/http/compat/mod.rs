//! Statistics in the shape of other servers: nginx-rtmp's as XML, and the streams and the machine
//! as Node-Media-Server shows them.

mod machine;
mod nginx;
mod nms;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;

use super::Shared;
use super::api::with_token_or_from_here;
use crate::command::{Answer, Ask, ClientView, StreamView};

/// `/stat`, `/api/streams`, `/api/server`.
pub(super) fn routes(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    Router::new()
        .route("/stat", get(nginx::stat))
        .route("/api/streams", get(nms::streams))
        .route("/api/streams/{app}/{name}", get(nms::stream))
        .route("/api/server", get(nms::server))
        .layer(from_fn_with_state(Arc::clone(shared), with_token_or_from_here))
}

/// A stream with the connections that bring and take it.
struct Entry {
    stream: StreamView,
    clients: Vec<ClientView>,
}

impl Entry {
    /// Application and name.
    fn parts(&self) -> (&str, &str) {
        self.stream.name.split_once('/').unwrap_or((DEFAULT_APP, &self.stream.name))
    }

    /// Whether somebody feeds it now.
    fn is_live(&self) -> bool {
        self.stream.source != "nobody"
    }
}

/// The application of streams that name none.
const DEFAULT_APP: &str = "live";

/// All streams. What the shards do not answer is not there.
async fn entries(shared: &Shared) -> Vec<Entry> {
    let Answer::Streams(streams) = shared.api.handle.ask(Ask::Streams).await else {
        return Vec::new();
    };
    let clients = clients(shared).await;
    let of = |name: &str| clients.iter().filter(|client| client.stream == name).cloned().collect();
    streams.into_iter().map(|stream| Entry { clients: of(&stream.name), stream }).collect()
}

async fn clients(shared: &Shared) -> Vec<ClientView> {
    let mut clients = match shared.api.handle.ask(Ask::Clients { stream: None }).await {
        Answer::Clients(clients) => clients,
        _ => Vec::new(),
    };
    clients.retain(|client| client.state != "preview"); // the dashboard is no audience
    clients
}

/// The profile of H.264 by its `AVCProfileIndication`, as both servers name the usual ones.
const fn avc_profile(indication: u8) -> &'static str {
    match indication {
        66 => "Baseline",
        77 => "Main",
        100 => "High",
        _ => "",
    }
}

/// The profile of AAC by its audio object type, likewise.
const fn aac_profile(object_type: u8) -> &'static str {
    match object_type {
        1 => "Main",
        2 => "LC",
        3 => "SSR",
        4 => "LTP",
        5 => "SBR",
        _ => "",
    }
}
