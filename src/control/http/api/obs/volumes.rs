//! Volumes and mutes of inputs: the audio sources of the channel, by their names.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::context::Context;
use super::protocol::status;
use super::refusal::{Fields, Refusal};
use super::scenes::uuid;
use crate::audio::GAIN_DB;
use crate::command::{Answer, Ask};
use crate::control::http::api::ask::Body;
use crate::control::http::api::audio;
use crate::stats::{AudioFigures, SILENCE_DB};

type Answered = Result<Value, Refusal>;

/// Range of a volume as a factor, as OBS has it.
const MULS: std::ops::RangeInclusive<f64> = 0.0..=20.0;

/// The same in decibels.
const DECIBELS: std::ops::RangeInclusive<f64> = -100.0..=26.0;

/// How loud an audio source is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Volume {
    /// The type of the source.
    pub kind: String,
    pub is_muted: bool,
    pub gain_db: f64,
}

impl Volume {
    fn of(document: &Value) -> Option<(String, Self)> {
        let kind = document["type"].as_str()?.to_owned();
        let is_muted = document["mute"].as_bool()?;
        let volume = Self { kind, is_muted, gain_db: document["gain_db"].as_f64()? };
        Some((document["name"].as_str()?.to_owned(), volume))
    }

    /// As OBS tells it: nothing at all is -100 dB.
    pub(super) fn fields(&self) -> Value {
        let is_silent = self.gain_db <= f64::from(*GAIN_DB.start());
        let db = if is_silent { *DECIBELS.start() } else { self.gain_db };
        json!({ "inputVolumeMul": if is_silent { 0.0 } else { mul(db) }, "inputVolumeDb": db })
    }
}

fn mul(db: f64) -> f64 {
    10.0_f64.powf(db / 20.0)
}

/// The audio sources of the channel; none if it has no audio.
pub(super) async fn all(context: &Context) -> Result<BTreeMap<String, Volume>, Refusal> {
    let channel = context.channel.to_string();
    match context.shared.api.handle.ask(Ask::Audio { channel }).await {
        Answer::Audio(view) => Ok(view.sources.iter().filter_map(Volume::of).collect()),
        Answer::NotFound(_) => Ok(BTreeMap::new()),
        other => Err(other.into()),
    }
}

/// The audio source that a request names by `inputName` or `inputUuid`.
async fn input_of(context: &Context, fields: Fields<'_>) -> Result<(String, Volume), Refusal> {
    let is_named = fields.get("inputName").is_some() || fields.get("inputUuid").is_none();
    let wanted = fields.text(if is_named { "inputName" } else { "inputUuid" })?;
    let is_it = |name: &str| match is_named {
        true => name == wanted,
        false => uuid(&context.channel, "input", name) == wanted,
    };
    if let Some(found) = all(context).await?.into_iter().find(|(name, _)| is_it(name)) {
        return Ok(found);
    }
    match context.everything().await?.iter().any(|layer| is_it(&layer.path)) {
        true => {
            let comment = format!("there is no audio source `{wanted}`: the input has no audio");
            Err(Refusal::new(status::INVALID_RESOURCE_STATE, comment))
        }
        false => Err(Refusal::not_found("input", wanted)),
    }
}

pub(super) async fn mute(context: &Context, fields: Fields<'_>) -> Answered {
    let (_, volume) = input_of(context, fields).await?;
    Ok(json!({ "inputMuted": volume.is_muted }))
}

pub(super) async fn set_mute(context: &Context, fields: Fields<'_>) -> Answered {
    let is_muted = fields.flag("inputMuted")?;
    let (name, _) = input_of(context, fields).await?;
    change(context, name, ("mute", is_muted.into())).await?;
    Ok(Value::Null)
}

pub(super) async fn toggle_mute(context: &Context, fields: Fields<'_>) -> Answered {
    let (name, volume) = input_of(context, fields).await?;
    change(context, name, ("mute", (!volume.is_muted).into())).await?;
    Ok(json!({ "inputMuted": !volume.is_muted }))
}

pub(super) async fn volume(context: &Context, fields: Fields<'_>) -> Answered {
    let (_, volume) = input_of(context, fields).await?;
    Ok(volume.fields())
}

pub(super) async fn set_volume(context: &Context, fields: Fields<'_>) -> Answered {
    let has = |key| fields.get(key).is_some();
    let db = match (has("inputVolumeMul"), has("inputVolumeDb")) {
        (true, false) => 20.0 * fields.number("inputVolumeMul", MULS)?.log10(),
        (false, true) => fields.number("inputVolumeDb", DECIBELS)?,
        (true, true) => {
            let comment = "name one of `inputVolumeMul` and `inputVolumeDb`";
            return Err(Refusal::new(status::INVALID_REQUEST_FIELD, comment));
        }
        (false, false) => {
            let comment = "the field `inputVolumeMul` or `inputVolumeDb` is missing";
            return Err(Refusal::new(status::MISSING_REQUEST_FIELD, comment));
        }
    };
    let (name, _) = input_of(context, fields).await?;
    // A factor of 0 is as low as a gain goes.
    let db = db.clamp((*GAIN_DB.start()).into(), (*GAIN_DB.end()).into());
    change(context, name, ("gain_db", db.into())).await?;
    Ok(Value::Null)
}

async fn change(
    context: &Context,
    name: String,
    (key, value): (&str, Value),
) -> Result<(), Refusal> {
    let path = Path((context.channel.to_string(), name));
    let patch = Map::from_iter([(key.to_owned(), value)]);
    audio::patch_source(State(Arc::clone(&context.shared)), path, Body(patch)).await?;
    Ok(())
}

/// What `InputVolumeMeters` tells: of each side the magnitude, the peak, and the peak once more,
/// since levels are those after the gain.
pub(super) fn meters(context: &Context) -> Option<Value> {
    let channels = context.shared.state.registry.channels();
    let entry = channels.iter().find(|entry| entry.name == *context.channel)?;
    let AudioFigures { sources, .. } = entry.audio.as_ref()?.read();
    let factor = |db: f32| if db <= SILENCE_DB { 0.0 } else { mul(db.into()) };
    let inputs = sources.iter().map(|(name, levels)| {
        let side = |n: usize| {
            let peak = factor(levels.peak_db[n]);
            [factor(levels.rms_db[n]), peak, peak]
        };
        json!({
            "inputName": name, "inputUuid": uuid(&context.channel, "input", name),
            "inputLevelsMul": [side(0), side(1)],
        })
    });
    Some(json!({ "inputs": inputs.collect::<Vec<_>>() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_told_as_obs_does() {
        let document =
            |gain_db| json!({"name": "a", "type": "bed", "mute": false, "gain_db": gain_db});
        let fields = |gain_db: f64| Volume::of(&document(gain_db)).unwrap().1.fields();
        assert_eq!(fields(0.0), json!({"inputVolumeMul": 1.0, "inputVolumeDb": 0.0}));
        let mul = fields(-20.0)["inputVolumeMul"].as_f64().unwrap();
        assert!((mul - 0.1).abs() < 1e-9);
        assert_eq!(fields(-90.0), json!({"inputVolumeMul": 0.0, "inputVolumeDb": -100.0}));
    }
}
