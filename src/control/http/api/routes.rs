//! API routes: the handler of each path and method.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, delete, get, patch, post, put};

use super::ask::BODY_BYTES_MAX;
use super::gate::with_token;
use super::openapi::document;
use super::problem::Problem;
use super::query::known_only;
use super::ws::follow;
use super::{
    assets, audio, backup, channels, clips, composition, data, fallbacks, input_rules, keys,
    latency, node, outputs, playback, preview, profile, pulls, pushes, recordings, schedule,
    snapshots, streams, traces, transcodes,
};
use crate::control::http::shared::Shared;

/// Every path of the API, and the WebSocket.
pub(in crate::control::http) fn routes(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let guarded = all()
        .method_not_allowed_fallback(async || Problem::method())
        .layer(from_fn(known_only))
        .layer(from_fn_with_state(Arc::clone(shared), with_token))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    Router::new()
        .nest("/api/v1", guarded)
        .route("/api/v1/openapi.json", get(document))
        .route("/api", any(async || Problem::no_such_path()))
        .route("/api/", any(async || Problem::no_such_path()))
        .route("/api/{*path}", any(async || Problem::no_such_path()))
        .route("/ws", get(follow))
}

/// All paths below `/api/v1` that need a token.
fn all() -> Router<Arc<Shared>> {
    Router::new()
        .merge(of_node())
        .merge(of_channels())
        .merge(of_streams())
        .merge(of_relays())
        .merge(of_recordings())
        .merge(of_keys())
}

fn of_node() -> Router<Arc<Shared>> {
    Router::new()
        .route("/node", get(node::node))
        .route("/state", get(node::state))
        .route("/events", get(node::events))
        .route("/config", get(node::config))
        .route("/config/export", get(node::export))
        .route("/reload", post(node::reload))
        .route("/latency", get(latency::latency))
        .route("/profile", get(profile::profile))
        .route("/trace", post(traces::make_trace))
        .route("/traces", get(traces::traces))
        .route("/traces/{trace}", get(traces::trace))
        .route("/log-level", get(node::log_level).put(node::set_log_level))
}

fn of_channels() -> Router<Arc<Shared>> {
    Router::new()
        .route("/channels", get(channels::channels))
        .route("/channels/{channel}", get(channels::channel))
        .route("/channels/{channel}/scenes", get(channels::scenes))
        .route(
            "/channels/{channel}/scenes/{scene}",
            get(channels::scene).put(channels::put_scene).delete(channels::remove_scene),
        )
        .route("/channels/{channel}/scenes/{scene}/screenshot", get(channels::screenshot))
        .route("/channels/{channel}/scenes/{scene}/layers/{layer}", patch(channels::patch_layer))
        .route("/channels/{channel}/overlays/{layer}", patch(channels::patch_overlay))
        .route("/channels/{channel}/overlays", get(channels::overlays).put(channels::put_overlays))
        .route(
            "/channels/{channel}/transition",
            get(channels::transition).put(channels::put_transition),
        )
        .route("/channels/{channel}/audio", get(audio::audio))
        .route("/channels/{channel}/audio/sources/{source}", patch(audio::patch_source))
        .route("/channels/{channel}/audio/bus", patch(audio::patch_bus))
        .route("/channels/{channel}/audio/loudness/reset", post(audio::reset_loudness))
        .route("/channels/{channel}/playback", get(playback::playbacks))
        .route(
            "/channels/{channel}/playback/{layer}",
            get(playback::playback).post(playback::control),
        )
        .route("/channels/{channel}/composition", get(composition::composition))
        .route("/channels/{channel}/transaction", post(channels::transaction))
        .route("/channels/{channel}/scenes/{scene}/activate", post(channels::activate))
        .route(
            "/channels/{channel}/preview",
            get(preview::preview).put(preview::put_preview).delete(preview::remove_preview),
        )
        .route("/channels/{channel}/preview/picture", get(preview::preview_picture))
        .route("/channels/{channel}/programme/picture", get(preview::programme_picture))
        .route("/channels/{channel}/take", post(preview::take))
        .merge(of_schedules())
        .route("/assets", get(assets::assets))
        .route(
            "/assets/{name}",
            get(assets::asset).put(assets::put_asset).delete(assets::remove_asset),
        )
        .route("/assets/{name}/thumbnail", get(assets::thumbnail))
        .route("/data", get(data::all_data))
        .route("/data/{name}", get(data::data).put(data::put_data).delete(data::remove_data))
        .route("/outputs", get(outputs::outputs))
        .route("/channels/{channel}/outputs", post(outputs::add))
        .route("/channels/{channel}/outputs/{output}", delete(outputs::remove))
        .route("/channels/{channel}/outputs/{output}/start", post(outputs::start))
        .route("/channels/{channel}/outputs/{output}/stop", post(outputs::stop))
        .route("/channels/{channel}/outputs/{output}/delay", post(outputs::delay))
        .route("/channels/{channel}/outputs/{output}/dump", post(outputs::dump))
}

fn of_schedules() -> Router<Arc<Shared>> {
    Router::new()
        .route("/channels/{channel}/schedule", get(schedule::schedule))
        .route("/channels/{channel}/schedule/reload", post(schedule::reload))
        .route("/channels/{channel}/schedule/skip", post(schedule::skip))
        .route("/channels/{channel}/schedule/break", post(schedule::break_in))
        .route("/channels/{channel}/schedule/return", post(schedule::end_break))
}

fn of_streams() -> Router<Arc<Shared>> {
    Router::new()
        .route("/streams", get(streams::streams))
        .route("/streams/{app}/{name}", get(streams::stream))
        .route("/streams/{app}/{name}/publisher", delete(streams::kick_publisher))
        .route("/streams/{app}/{name}/snapshot.jpg", get(snapshots::stream_snapshot))
        .route("/streams/{app}/{name}/clips", get(clips::clips).post(clips::make_clip))
        .route("/streams/{app}/{name}/clips/{clip}", get(clips::clip).delete(clips::remove_clip))
        .route("/fallbacks", get(fallbacks::fallbacks))
        .route("/inputs", get(input_rules::inputs))
        .route("/transcodes", get(transcodes::transcodes))
        .route("/clients", get(streams::clients))
        .route("/clients/{id}", delete(streams::kick))
}

fn of_relays() -> Router<Arc<Shared>> {
    Router::new()
        .route("/pulls", get(pulls::pulls).post(pulls::add))
        .route("/pulls/{name}", get(pulls::pull).delete(pulls::remove))
        .route("/pulls/{name}/start", post(pulls::start))
        .route("/pulls/{name}/stop", post(pulls::stop))
        .route("/pushes", get(pushes::pushes).post(pushes::add))
        .route("/pushes/{name}", get(pushes::push).delete(pushes::remove))
        .route("/pushes/{name}/start", post(pushes::start))
        .route("/pushes/{name}/stop", post(pushes::stop))
        .route("/pushes/{name}/delay", post(pushes::delay))
        .route("/pushes/{name}/dump", post(pushes::dump))
}

fn of_recordings() -> Router<Arc<Shared>> {
    Router::new()
        .route("/recordings", get(recordings::recordings).post(recordings::add))
        .route("/recordings/{name}", get(recordings::recording).delete(recordings::remove))
        .route("/recordings/{name}/start", post(recordings::start))
        .route("/recordings/{name}/stop", post(recordings::stop))
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
