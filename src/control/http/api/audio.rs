//! Audio of a channel: settings of its sources and of its bus, and their levels.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::ask::Body;
use super::problem::Problem;
use crate::command::{Answer, Ask};
use crate::control::http::shared::Shared;
use crate::control::state::Event;
use crate::stats::{AudioFigures, AudioLevels, AudioStats};

/// Levels of a source, after its filters, gain and pan, or of the bus, after its limiter. -120 is
/// silence, or nothing that was measured yet.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Levels {
    /// Highest recent sample of the left and the right channel, dBFS; falls by 20 dB per second.
    peak_db: [f64; 2],
    /// Root of the mean square over about 300 ms of both, dBFS.
    rms_db: [f64; 2],
    /// The highest recent true peak of both channels, dBTP; falls by 20 dB per second.
    true_peak_dbtp: f64,
    /// Loudness of the last 400 ms, LUFS.
    momentary_lufs: f64,
    /// Loudness of the last 3 s, LUFS.
    short_term_lufs: f64,
    /// Gated loudness since the start, or since it was reset, LUFS.
    integrated_lufs: f64,
}

impl From<AudioLevels> for Levels {
    fn from(of: AudioLevels) -> Self {
        // A hundredth of a decibel is more than anybody sees.
        let short = |value: f32| (f64::from(value) * 100.0).round() / 100.0;
        Self {
            peak_db: of.peak_db.map(short),
            rms_db: of.rms_db.map(short),
            true_peak_dbtp: short(of.true_peak_db),
            momentary_lufs: short(of.momentary_lufs),
            short_term_lufs: short(of.short_term_lufs),
            integrated_lufs: short(of.integrated_lufs),
        }
    }
}

/// A source of a channel's mix, or its bus.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Strip {
    /// The keys of `[[channel.audio_source]]` in the configuration; of the bus `normalize_lufs`
    /// and `ceiling_dbtp` of `[channel.audio]`. Keys of what is off are not there.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    settings: Value,
    /// Its levels.
    levels: Levels,
}

/// Audio of a channel.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Audio {
    /// The sources that are mixed.
    sources: Vec<Strip>,
    /// What the sum of them goes through.
    bus: Strip,
}

/// The sources of a channel's mix and its bus, with their levels.
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}/audio", tag = "channels",
    params(("channel" = String, Path)),
    responses((status = 200, body = Audio), (status = 404, body = Problem))
)]
pub(super) async fn audio(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
) -> Result<Json<Audio>, Problem> {
    let stats = stats_of(&shared, &channel)?;
    match shared.api.handle.ask(Ask::Audio { channel }).await {
        Answer::Audio(view) => {
            let AudioFigures { sources, bus } = stats.read();
            let strip = |(settings, levels): (Value, AudioLevels)| Strip {
                settings,
                levels: levels.into(),
            };
            let levels = sources.into_iter().map(|(_, levels)| levels);
            let sources = view.sources.into_iter().zip(levels).map(strip).collect();
            Ok(Json(Audio { sources, bus: strip((view.bus, bus)) }))
        }
        other => Err(other.into()),
    }
}

/// Changes settings of an audio source by a JSON merge patch (RFC 7396) of its keys `gain_db`,
/// `mute`, `solo`, `pan`, `mapping`, `delay_ms`, `gate`, `eq`, `compressor` and `ducking`: from the
/// next block on, without a click. With `fade_ms` its gain moves there in so many milliseconds, at
/// most 60000.
#[utoipa::path(
    patch, path = "/api/v1/channels/{channel}/audio/sources/{source}", tag = "channels",
    params(("channel" = String, Path), ("source" = String, Path)),
    request_body = Object,
    responses(
        (status = 204), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(super) async fn patch_source(
    State(shared): State<Arc<Shared>>,
    Path((channel, source)): Path<(String, String)>,
    Body(mut patch): Body<Map<String, Value>>,
) -> Result<StatusCode, Problem> {
    let fade_ms = match patch.remove("fade_ms") {
        None | Some(Value::Null) => 0,
        Some(value) => value.as_u64().and_then(|ms| u32::try_from(ms).ok()).ok_or_else(|| {
            let hint = "say in how many milliseconds the gain moves: {\"fade_ms\": 2000}";
            Problem::invalid("`fade_ms` has to be a whole number, 0 or more", hint)
        })?,
    };
    let text = format!("audio source {source} of channel {channel}: {}", words(&patch, fade_ms));
    change(&shared, channel, (Some(source), patch, fade_ms), text).await
}

/// Changes the bus of a channel's mix by a JSON merge patch (RFC 7396) of its keys:
/// `normalize_lufs` (-23, -16, -14, or `null` for off) and `ceiling_dbtp`.
#[utoipa::path(
    patch, path = "/api/v1/channels/{channel}/audio/bus", tag = "channels",
    params(("channel" = String, Path)),
    request_body = Object,
    responses(
        (status = 204), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(super) async fn patch_bus(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
    Body(patch): Body<Map<String, Value>>,
) -> Result<StatusCode, Problem> {
    let text = format!("audio bus of channel {channel}: {}", words(&patch, 0));
    change(&shared, channel, (None, patch, 0), text).await
}

/// Measures the integrated loudness of all sources and of the bus anew.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/audio/loudness/reset", tag = "channels",
    params(("channel" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn reset_loudness(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
) -> Result<StatusCode, Problem> {
    stats_of(&shared, &channel)?.reset_integrated();
    Ok(StatusCode::NO_CONTENT)
}

async fn change(
    shared: &Shared,
    channel: String,
    (source, patch, fade_ms): (Option<String>, Map<String, Value>, u32),
    text: String,
) -> Result<StatusCode, Problem> {
    let named = channel.clone();
    shared.api.done(Ask::PatchAudio { channel, source, patch, fade_ms }).await?;
    let about = |event| Event { channel: Some(named), ..event };
    shared.api.note("audio_changed", text, about).await;
    Ok(StatusCode::NO_CONTENT)
}

/// What an event says of a change that has been made.
fn words(patch: &Map<String, Value>, fade_ms: u32) -> String {
    let keys: Vec<_> = patch.iter().map(|(key, value)| format!("{key} is {value} now")).collect();
    let words = if keys.is_empty() { "nothing changed".to_owned() } else { keys.join(", ") };
    if fade_ms > 0 { format!("{words}, after a fade of {fade_ms} ms") } else { words }
}

/// What the mixer of a channel measures.
fn stats_of(shared: &Shared, channel: &str) -> Result<Arc<AudioStats>, Problem> {
    let channels = shared.state.registry.channels();
    let found = channels.iter().find(|entry| entry.name == channel);
    found
        .and_then(|entry| entry.audio.clone())
        .ok_or_else(|| Problem::not_found(&format!("there is no channel {channel} with audio")))
}

/// The message with the levels of a channel that followers are sent; `None` if it has no audio.
pub(super) fn levels_message(shared: &Shared, channel: &str) -> Option<String> {
    let AudioFigures { sources, bus } = stats_of(shared, channel).ok()?.read();
    let levels = |of: AudioLevels| json!(Levels::from(of));
    let sources: Map<_, _> = sources.into_iter().map(|(name, of)| (name, levels(of))).collect();
    let message = json!({
        "type": "audio_levels", "channel": channel, "sources": sources, "bus": levels(bus),
    });
    Some(message.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_what_was_changed() {
        let patch = json!({"gain_db": -6, "eq": null});
        let told = words(patch.as_object().unwrap(), 500);
        assert_eq!(told, "eq is null now, gain_db is -6 now, after a fade of 500 ms");
        assert_eq!(words(&Map::new(), 0), "nothing changed");
    }

    #[test]
    fn levels_are_told_to_a_hundredth_of_a_decibel() {
        let levels = AudioLevels { momentary_lufs: -23.004_6, ..AudioLevels::SILENCE };
        let told = json!(Levels::from(levels));
        assert_eq!(told["momentary_lufs"], json!(-23.0));
        assert_eq!(told["peak_db"], json!([-120.0, -120.0]));
    }
}
