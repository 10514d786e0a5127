//! The API described by itself: `OpenAPI` 3.1, made from the handlers.

use axum::response::Json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, SecurityRequirement};
use utoipa::{Modify, OpenApi};

use super::problem::Problem;
use super::{
    assets, audio, backup, channels, clips, composition, data, fallbacks, input_rules, keys,
    latency, node, outputs, playback, preview, profile, pulls, pushes, recordings, schedule,
    snapshots, streams, traces, transcodes,
};

/// Name of the one way to show who one is.
const BEARER: &str = "bearer";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Stream Manager",
        description = "A live-streaming node. Times end in `_at` (milliseconds since 1970) or \
                       `_ms`, rates in `_bps`. Refusals are `application/problem+json`. What \
                       changes is told at `/ws`: the state, then numbered changes and events.",
    ),
    paths(
        node::node, node::state, node::events, node::config, node::export,
        node::reload, node::log_level, node::set_log_level, profile::profile,
        latency::latency, traces::make_trace, traces::traces, traces::trace,
        channels::channels, channels::channel, channels::scenes, channels::scene,
        channels::screenshot,
        channels::put_scene, channels::remove_scene, channels::activate, channels::overlays,
        channels::put_overlays, channels::transition, channels::put_transition,
        channels::transaction, channels::patch_layer, channels::patch_overlay,
        preview::preview, preview::put_preview, preview::remove_preview, preview::take,
        preview::preview_picture, preview::programme_picture,
        schedule::schedule, schedule::reload, schedule::skip, schedule::break_in,
        schedule::end_break,
        audio::audio, audio::patch_source, audio::patch_bus, audio::reset_loudness,
        playback::playbacks, playback::playback, playback::control,
        composition::composition, data::all_data, data::data, data::put_data, data::remove_data,
        assets::assets, assets::asset, assets::thumbnail, assets::put_asset, assets::remove_asset,
        outputs::outputs, outputs::add, outputs::remove, outputs::start, outputs::stop,
        outputs::delay, outputs::dump,
        pulls::pulls, pulls::pull, pulls::add, pulls::remove, pulls::start, pulls::stop,
        pushes::pushes, pushes::push, pushes::add, pushes::remove, pushes::start, pushes::stop,
        pushes::delay, pushes::dump,
        recordings::recordings, recordings::recording, recordings::add, recordings::remove,
        recordings::start, recordings::stop,
        streams::streams, streams::stream, streams::kick_publisher, streams::clients, streams::kick,
        snapshots::stream_snapshot,
        clips::clips, clips::make_clip, clips::clip, clips::remove_clip,
        fallbacks::fallbacks,
        input_rules::inputs,
        transcodes::transcodes,
        keys::keys, keys::key, keys::create, keys::import, keys::revoke, keys::rotate,
        keys::change, keys::remove, keys::set_alias, keys::remove_alias, backup::export,
        backup::restore,
    ),
    components(schemas(Problem)),
    modifiers(&Bearer),
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let parts = document.components.get_or_insert_default();
        parts.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
        document.security = Some(vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
    }
}

/// The document.
pub(super) fn describe() -> Document {
    Description::openapi()
}

/// The document. Needs no token.
pub(super) async fn document() -> Json<Document> {
    Json(describe())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_every_path_and_how_to_get_in() {
        let text = Description::openapi().to_json().unwrap();
        for path in ["/api/v1/node", "/api/v1/keys/{id}/rotate", "/api/v1/streams/{app}/{name}"] {
            assert!(text.contains(path), "{path}");
        }
        assert!(text.contains("\"openapi\":\"3.1.0\"") && text.contains("\"bearer\""), "{text}");
    }
}
