//! Node-Media-Server's API (version 2.7): `/api/streams`, `/api/streams/APP/NAME`, `/api/server`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Json;
use serde_json::{Map, Value, json};

use super::entries::{Entry, aac_profile, avc_profile, clients, entries};
use super::machine;
use crate::command::{AudioView, VideoView};
use crate::control::http::shared::Shared;
use crate::control::metrics::process;
use crate::control::time::iso;

pub(super) async fn streams(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let mut apps = Map::new();
    for entry in entries(&shared).await {
        let (app, name) = entry.parts();
        let app = apps.entry(app).or_insert_with(|| json!({}));
        app[name] = both_sides(&shared, &entry);
    }
    Json(Value::Object(apps))
}

/// One stream; a name that nobody publishes is answered as well, as one that is not live.
/// What the publisher wrote behind its name is not shown: keys stand there.
pub(super) async fn stream(
    State(shared): State<Arc<Shared>>,
    Path((app, name)): Path<(String, String)>,
) -> Json<Value> {
    let wanted = format!("{app}/{name}");
    let entry = entries(&shared).await.into_iter().find(|entry| entry.stream.name == wanted);
    let live = entry.as_ref().filter(|entry| entry.is_live()).map(|entry| &entry.stream);
    let age_s = live.map_or(0.0, |it| shared.api.time.now().since(it.since).secs_f64().ceil());
    Json(json!({
        "isLive": live.is_some(),
        "viewers": entry.as_ref().map_or(0, |entry| entry.stream.viewers),
        "duration": whole(age_s),
        "bitrate": whole(live.map_or(0.0, |stream| stream.bitrate_bps / 1_000.0)),
        "startTime": live.map(|stream| iso(shared.api.time.unix_ms(stream.since))),
        "arguments": {},
    }))
}

fn both_sides(shared: &Shared, entry: &Entry) -> Value {
    let (app, name) = entry.parts();
    let stream = &entry.stream;
    let at = |since| iso(shared.api.time.unix_ms(since));
    let publisher = entry.is_live().then(|| {
        json!({
            "app": app,
            "stream": name,
            "clientId": stream.publisher.as_ref().map(|it| &it.id),
            "connectCreated": at(stream.since),
            "bytes": stream.bytes_in,
            "ip": stream.publisher.as_ref().map(|it| it.address.ip().to_string()),
            "audio": stream.audio.as_ref().map(audio),
            "video": stream.video.as_ref().map(video),
        })
    });
    let players = entry.clients.iter().filter(|client| client.state == "player");
    let subscribers = players.map(|client| {
        json!({
            "app": app,
            "stream": name,
            "clientId": client.id,
            "connectCreated": at(client.since),
            "bytes": client.bytes_out,
            "ip": client.address.ip().to_string(),
            "protocol": protocol(client.protocol),
        })
    });
    json!({ "publisher": publisher, "subscribers": subscribers.collect::<Vec<_>>() })
}

fn audio(audio: &AudioView) -> Value {
    json!({
        "codec": audio.codec,
        "profile": audio.aac_object_type.map_or("", aac_profile),
        "samplerate": audio.sample_rate,
        "channels": audio.channels,
    })
}

fn video(video: &VideoView) -> Value {
    let (profile, level) = video.avc.map_or(("", 0), |[it, _, level]| (avc_profile(it), level));
    json!({
        "codec": video.codec,
        "width": video.width,
        "height": video.height,
        "profile": profile,
        "level": f64::from(level) / 10.0,
        "fps": video.fps,
    })
}

/// Node-Media-Server's word for a protocol.
fn protocol(ours: &str) -> &str {
    match ours {
        "http-flv" => "http",
        "ws-flv" => "ws",
        "rtmps" => "rtmp",
        other => other,
    }
}

pub(super) async fn server(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let [os, cpu, mem] = machine::describe().await;
    let figures = shared.state.registry.snapshot();
    let node = &figures.node;
    let by_protocol = clients(&shared).await;
    let of = |name| by_protocol.iter().filter(|client| protocol(client.protocol) == name).count();
    let resident = process::memory().unwrap_or_default();
    let uptime_s = whole(figures.uptime_s);
    Json(json!({
        "os": os,
        "cpu": cpu,
        "mem": mem,
        "net": { "inbytes": node.bytes_in, "outbytes": node.bytes_out },
        "nodejs": { "uptime": uptime_s, "version": "", "mem": { "rss": resident } },
        "process": { "uptime": uptime_s, "mem": resident },
        "clients": {
            "accepted": node.accepted,
            "active": node.connections,
            "idle": node.connections.saturating_sub(node.viewers),
            "rtmp": of("rtmp"),
            "http": of("http"),
            "ws": of("ws"),
        },
        "version": shared.state.info.version,
    }))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates at 0")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
