//! Streams with their connections, and names of profiles, as other servers list them.

use crate::command::{Answer, Ask, ClientView, StreamView};
use crate::control::http::shared::Shared;

/// A stream with the connections that bring and take it.
pub(super) struct Entry {
    /// The stream.
    pub(super) stream: StreamView,
    /// The connections.
    pub(super) clients: Vec<ClientView>,
}

impl Entry {
    /// Application and name.
    pub(super) fn parts(&self) -> (&str, &str) {
        self.stream.name.split_once('/').unwrap_or((DEFAULT_APP, &self.stream.name))
    }

    /// Whether somebody feeds it now.
    pub(super) fn is_live(&self) -> bool {
        self.stream.source != "nobody"
    }
}

/// The application of streams that name none.
pub(super) const DEFAULT_APP: &str = "live";

/// All streams. What the shards do not answer is not there.
pub(super) async fn entries(shared: &Shared) -> Vec<Entry> {
    let Answer::Streams(streams) = shared.api.handle.ask(Ask::Streams).await else {
        return Vec::new();
    };
    let clients = clients(shared).await;
    let of = |name: &str| clients.iter().filter(|client| client.stream == name).cloned().collect();
    streams.into_iter().map(|stream| Entry { clients: of(&stream.name), stream }).collect()
}

/// All connections but previews.
pub(super) async fn clients(shared: &Shared) -> Vec<ClientView> {
    let mut clients = match shared.api.handle.ask(Ask::Clients { stream: None }).await {
        Answer::Clients(clients) => clients,
        _ => Vec::new(),
    };
    clients.retain(|client| client.state != "preview"); // the dashboard is no audience
    clients
}

/// The profile of H.264 by its `AVCProfileIndication`, as both servers name the usual ones.
pub(super) const fn avc_profile(indication: u8) -> &'static str {
    match indication {
        66 => "Baseline",
        77 => "Main",
        100 => "High",
        _ => "",
    }
}

/// The profile of AAC by its audio object type, likewise.
pub(super) const fn aac_profile(object_type: u8) -> &'static str {
    match object_type {
        1 => "Main",
        2 => "LC",
        3 => "SSR",
        4 => "LTP",
        5 => "SBR",
        _ => "",
    }
}
