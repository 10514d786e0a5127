//! What tools for other servers ask for: nginx-rtmp's statistics as XML, and the streams and the
//! machine in the shape of Node-Media-Server.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::Shared;
use super::api::with_token_or_from_here;
use crate::command::{Answer, Ask, ClientView, StreamView};
use crate::control::metrics::process;
use crate::control::time::iso;

/// `/stat`, `/api/streams`, `/api/server`.
pub(super) fn routes(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    Router::new()
        .route("/stat", get(stat))
        .route("/api/streams", get(streams))
        .route("/api/server", get(server))
        .layer(from_fn_with_state(Arc::clone(shared), with_token_or_from_here))
}

/// Streams with the connections that bring and take them. What the desk does not answer is not
/// there.
async fn look(shared: &Shared) -> Vec<(StreamView, Vec<ClientView>)> {
    let Answer::Streams(streams) = shared.api.door.ask(Ask::Streams).await else {
        return Vec::new();
    };
    let clients = match shared.api.door.ask(Ask::Clients { stream: None }).await {
        Answer::Clients(clients) => clients,
        _ => Vec::new(),
    };
    let of = |name: &str| clients.iter().filter(|client| client.stream == name).cloned().collect();
    streams.into_iter().map(|stream| (of(&stream.name), stream)).map(|(a, b)| (b, a)).collect()
}

async fn stat(State(shared): State<Arc<Shared>>) -> Response {
    let streams = look(&shared).await;
    let kind = [(header::CONTENT_TYPE, "text/xml; charset=utf-8")];
    (kind, xml(&shared, &streams)).into_response()
}

/// The elements of nginx-rtmp-module's `rtmp_stat`, with its units: bits per second, milliseconds.
fn xml(shared: &Shared, streams: &[(StreamView, Vec<ClientView>)]) -> String {
    let figures = shared.state.registry.snapshot();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<rtmp>\n");
    let name = format!("stream-manager {}", shared.state.info.version);
    element(&mut out, "nginx_version", &name);
    element(&mut out, "nginx_rtmp_version", "1.1.4");
    element(&mut out, "pid", &std::process::id().to_string());
    element(&mut out, "uptime", &format!("{:.0}", figures.uptime_s));
    element(&mut out, "naccepted", &figures.node.accepted.to_string());
    element(&mut out, "bw_in", &format!("{:.0}", figures.in_bps));
    element(&mut out, "bytes_in", &figures.node.bytes_in.to_string());
    element(&mut out, "bw_out", &format!("{:.0}", figures.out_bps));
    element(&mut out, "bytes_out", &figures.node.bytes_out.to_string());
    out.push_str("<server>\n");
    let mut apps: BTreeMap<&str, Vec<&(StreamView, Vec<ClientView>)>> = BTreeMap::new();
    for entry in streams {
        let (app, _) = parts(&entry.0.name);
        apps.entry(app).or_default().push(entry);
    }
    for (app, streams) in apps {
        out.push_str("<application>\n");
        element(&mut out, "name", app);
        out.push_str("<live>\n");
        let count: usize = streams.iter().map(|(_, clients)| clients.len()).sum();
        for (stream, clients) in streams {
            stream_xml(&mut out, shared, stream, clients);
        }
        element(&mut out, "nclients", &count.to_string());
        out.push_str("</live>\n</application>\n");
    }
    out.push_str("</server>\n</rtmp>\n");
    out
}

fn stream_xml(out: &mut String, shared: &Shared, stream: &StreamView, clients: &[ClientView]) {
    let now = shared.api.time.now();
    let bits = format!("{:.0}", stream.bitrate_bps);
    out.push_str("<stream>\n");
    element(out, "name", parts(&stream.name).1);
    element(out, "time", &now.since(stream.since).millis().to_string());
    element(out, "bw_in", &bits);
    element(out, "bytes_in", &stream.bytes_in.to_string());
    element(out, "bw_out", &format!("{:.0}", stream.bitrate_bps * stream.viewers as f64));
    element(out, "bytes_out", &stream.bytes_out.to_string());
    element(out, "bw_audio", "0");
    // Sound and pictures are counted together.
    element(out, "bw_video", &bits);
    for client in clients {
        out.push_str("<client>\n");
        element(out, "id", &client.id);
        element(out, "address", &client.address.ip().to_string());
        element(out, "time", &now.since(client.since).millis().to_string());
        element(out, "dropped", &client.dropped.to_string());
        out.push_str(if client.state == "publisher" { "<publishing/>\n" } else { "" });
        out.push_str("<active/>\n</client>\n");
    }
    out.push_str("<meta>");
    if let Some(video) = &stream.video {
        out.push_str("<video>");
        element(out, "width", &video.width.to_string());
        element(out, "height", &video.height.to_string());
        element(out, "frame_rate", &format!("{:.0}", video.fps));
        element(out, "codec", &video.codec);
        out.push_str("</video>");
    }
    if let Some(audio) = &stream.audio {
        out.push_str("<audio>");
        element(out, "codec", &audio.codec);
        element(out, "channels", &audio.channels.to_string());
        element(out, "sample_rate", &audio.sample_rate.to_string());
        out.push_str("</audio>");
    }
    out.push_str("</meta>\n");
    element(out, "nclients", &clients.len().to_string());
    if stream.source != "nobody" {
        out.push_str("<publishing/>\n<active/>\n");
    }
    out.push_str("</stream>\n");
}

fn element(out: &mut String, name: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    out.push_str(&format!("<{name}>{text}</{name}>\n"));
}

async fn streams(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let mut apps = serde_json::Map::new();
    for (stream, clients) in look(&shared).await {
        let (app, name) = parts(&stream.name);
        let app = apps.entry(app).or_insert_with(|| json!({}));
        app[name] = nms_stream(&shared, &stream, &clients);
    }
    Json(Value::Object(apps))
}

fn nms_stream(shared: &Shared, stream: &StreamView, clients: &[ClientView]) -> Value {
    let (app, name) = parts(&stream.name);
    let at = |since| iso(shared.api.time.unix_ms(since));
    let publisher = (stream.source != "nobody").then(|| {
        json!({
            "app": app,
            "stream": name,
            "clientId": stream.publisher.as_ref().map(|it| &it.id),
            "connectCreated": at(stream.since),
            "bytes": stream.bytes_in,
            "ip": stream.publisher.as_ref().map(|it| it.address.ip().to_string()),
            "audio": stream.audio.as_ref().map(|audio| json!({
                "codec": audio.codec, "profile": "", "samplerate": audio.sample_rate,
                "channels": audio.channels,
            })),
            "video": stream.video.as_ref().map(|video| json!({
                "codec": video.codec, "width": video.width, "height": video.height,
                "profile": "", "level": 0, "fps": video.fps,
            })),
        })
    });
    let subscribers = clients.iter().filter(|client| client.state == "player").map(|client| {
        json!({
            "app": app,
            "stream": name,
            "clientId": client.id,
            "connectCreated": at(client.since),
            "bytes": client.bytes_out,
            "ip": client.address.ip().to_string(),
            "protocol": client.protocol,
        })
    });
    json!({ "publisher": publisher, "subscribers": subscribers.collect::<Vec<_>>() })
}

async fn server(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let figures = shared.state.registry.snapshot();
    let node = &figures.node;
    let memory = process::memory().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Json(json!({
        "os": { "arch": std::env::consts::ARCH, "platform": std::env::consts::OS },
        "cpu": { "num": cores },
        "net": { "inbytes": node.bytes_in, "outbytes": node.bytes_out },
        "process": { "uptime": figures.uptime_s.round(), "mem": memory },
        "clients": {
            "accepted": node.accepted, "active": node.connections,
            "idle": node.connections.saturating_sub(node.viewers), "rtmp": node.connections,
        },
        "version": shared.state.info.version,
    }))
}

/// Application and name.
fn parts(stream: &str) -> (&str, &str) {
    stream.split_once('/').unwrap_or(("live", stream))
}
