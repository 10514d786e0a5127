//! Transitions of the channel by the names that OBS has for them.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::context::Context;
use super::refusal::{Fields, Refusal};
use super::scenes::uuid;
use crate::control::http::api::ask::Body;
use crate::control::http::api::channels;

type Answered = Result<Value, Refusal>;

/// `type` of the configuration, name and kind in OBS.
const TRANSITIONS: [(&str, &str, &str); 7] = [
    ("cut", "Cut", "cut_transition"),
    ("fade", "Fade", "fade_transition"),
    ("fade-color", "Fade to Color", "fade_to_color_transition"),
    ("slide", "Slide", "slide_transition"),
    ("push", "Push", "swipe_transition"),
    ("wipe", "Wipe", "wipe_transition"),
    ("stinger", "Stinger", "obs_stinger_transition"),
];

/// Duration of a transition that has none, such as one after a cut, milliseconds: that of OBS.
const DURATION_MS: u64 = 300;

/// Durations, milliseconds, as OBS has them.
const DURATIONS_MS: std::ops::RangeInclusive<f64> = 50.0..=20_000.0;

/// What a transition of the configuration is called.
pub(super) fn name_of(transition: &Value) -> (&'static str, &'static str) {
    let word = transition["type"].as_str().unwrap_or("cut");
    let found = TRANSITIONS.iter().find(|(it, ..)| *it == word).unwrap_or(&TRANSITIONS[0]);
    (found.1, found.2)
}

/// Whether nobody can say how long it takes.
fn is_fixed(name: &str) -> bool {
    ["Cut", "Stinger"].contains(&name)
}

pub(super) fn duration_ms(transition: &Value) -> Option<u64> {
    transition["duration_ms"].as_u64()
}

pub(super) fn kinds() -> Value {
    let kinds = TRANSITIONS.map(|(.., kind)| kind);
    json!({ "transitionKinds": kinds })
}

/// Those that need nothing else, and the one that is in use.
pub(super) async fn list(context: &Context) -> Answered {
    let (current, kind) = name_of(&context.scenes().await?.transition);
    let of = |name: &str| uuid(&context.channel, "transition", name);
    let listed = TRANSITIONS.iter().filter(|(_, name, _)| *name != "Stinger" || *name == current);
    let listed: Vec<_> = listed
        .map(|(_, name, kind)| {
            json!({
                "transitionName": name,
                "transitionUuid": of(name),
                "transitionKind": kind,
                "transitionFixed": is_fixed(name),
                "transitionConfigurable": false,
            })
        })
        .collect();
    Ok(json!({
        "currentSceneTransitionName": current,
        "currentSceneTransitionUuid": of(current),
        "currentSceneTransitionKind": kind,
        "transitions": listed,
    }))
}

pub(super) async fn current(context: &Context) -> Answered {
    let transition = context.scenes().await?.transition;
    let (name, kind) = name_of(&transition);
    Ok(json!({
        "transitionName": name,
        "transitionUuid": uuid(&context.channel, "transition", name),
        "transitionKind": kind,
        "transitionFixed": is_fixed(name),
        "transitionDuration": duration_ms(&transition).filter(|_| !is_fixed(name)),
        "transitionConfigurable": false,
        "transitionSettings": null,
    }))
}

pub(super) async fn set(context: &Context, fields: Fields<'_>) -> Answered {
    let name = fields.text("transitionName")?;
    let before = context.scenes().await?.transition;
    if name_of(&before).0 == name {
        return Ok(Value::Null);
    }
    // A stinger is a file, which the protocol does not name.
    let known = TRANSITIONS.iter().filter(|(_, it, _)| *it != "Stinger");
    let found = known.copied().find(|(_, it, _)| *it == name);
    let (word, ..) = found.ok_or_else(|| Refusal::not_found("transition", name))?;
    let mut document = json!({ "type": word });
    if word != "cut" {
        document["duration_ms"] = duration_ms(&before).unwrap_or(DURATION_MS).into();
    }
    put(context, document).await
}

/// A cut takes no time, whatever it is told.
pub(super) async fn set_duration(context: &Context, fields: Fields<'_>) -> Answered {
    let duration = fields.number("transitionDuration", DURATIONS_MS)?;
    let mut document = context.scenes().await?.transition;
    if is_fixed(name_of(&document).0) {
        return Ok(Value::Null);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in the range")]
    let duration = duration as u64;
    document["duration_ms"] = duration.into();
    put(context, document).await
}

async fn put(context: &Context, document: Value) -> Answered {
    let path = Path(context.channel.to_string());
    channels::put_transition(State(Arc::clone(&context.shared)), path, Body(document)).await?;
    Ok(Value::Null)
}
