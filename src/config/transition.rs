//! Transitions between scenes, `transition = { ... }`, in a configuration file and in documents.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::direction::{DIRECTIONS, direction_word};
use super::fault::Faults;
use super::field::{BLACK, color, color_text, decimal, needed_file};

use super::section::Section;
use crate::media::Micros;
use crate::scene::{Direction, Easing, Transition, TransitionKind, WipeShape};

/// How long a transition takes whose author says nothing, milliseconds.
const DURATION_MS: u64 = 500;

/// How wide the edge of a wipe is whose author says nothing.
const SOFTNESS: f32 = 0.03;

const KINDS: [&str; 7] = ["cut", "fade", "fade-color", "slide", "push", "wipe", "stinger"];

const SHAPES: [&str; 4] = ["linear", "clock", "circle", "luma"];

/// The transition under the key `transition`.
pub(super) fn read(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<Transition> {
    read_key(s, faults, "transition")
}

/// The transition under a key.
pub(super) fn read_key(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    key: &'static str,
) -> Option<Transition> {
    let own = s.table(faults, key, &format!("{key} = {{ type = \"fade\" }}"));
    own.and_then(|s| read_table(s, faults))
}

/// The document of a transition, with the keys of its table.
#[must_use]
pub fn transition_to_document(transition: &Transition) -> Value {
    let Transition { kind, duration, easing } = transition;
    let mut keys = json!({ "type": put_kind(kind).0 });
    if !matches!(kind, TransitionKind::Cut | TransitionKind::Stinger { .. }) {
        keys["duration_ms"] = json!(duration.millis());
        keys["easing"] = json!(easing.word());
    }
    for (key, value) in put_kind(kind).1 {
        keys[key] = value;
    }
    keys
}

fn put_kind(kind: &TransitionKind) -> (&'static str, Vec<(&'static str, Value)>) {
    match kind {
        TransitionKind::Cut => ("cut", Vec::new()),
        TransitionKind::Fade => ("fade", Vec::new()),
        TransitionKind::FadeColor(color) => {
            ("fade-color", vec![("color", json!(color_text(*color)))])
        }
        TransitionKind::Slide(direction) => {
            ("slide", vec![("direction", json!(direction_word(*direction)))])
        }
        TransitionKind::Push(direction) => {
            ("push", vec![("direction", json!(direction_word(*direction)))])
        }
        TransitionKind::Wipe { shape, softness } => {
            let (shape, more) = match shape {
                WipeShape::Linear(direction) => {
                    ("linear", Some(("direction", json!(direction_word(*direction)))))
                }
                WipeShape::Clock => ("clock", None),
                WipeShape::Circle => ("circle", None),
                WipeShape::Luma(path) => ("luma", Some(("path", json!(path.to_string_lossy())))),
            };
            let softness = ("softness", json!(decimal(*softness)));
            ("wipe", [("shape", json!(shape)), softness].into_iter().chain(more).collect())
        }
        TransitionKind::Stinger { path, cut } => {
            let path = ("path", json!(path.to_string_lossy()));
            ("stinger", vec![path, ("cut_ms", json!(cut.millis()))])
        }
    }
}

fn read_table(mut s: Section<'_>, faults: &mut Faults<'_>) -> Option<Transition> {
    let kinds = KINDS.map(|kind| (kind, kind));
    // Without a type nobody can say which of the other keys are right.
    s.needed(faults, "type")?;
    let kind = s.word(faults, "type", &kinds)?;
    s.call(&format!("of type \"{kind}\""));
    let longest = Transition::DURATION_MAX.millis();
    let (mut duration, mut easing) = (Micros(0), Easing::Linear);
    if !matches!(kind, "cut" | "stinger") {
        let ms = s.whole(faults, "duration_ms", 0..=longest).unwrap_or(DURATION_MS);
        duration = Micros::from_millis(ms);
        easing = s.word(faults, "easing", &Easing::WORDS).unwrap_or_default();
    }
    let kind = match kind {
        "cut" => Some(TransitionKind::Cut),
        "fade" => Some(TransitionKind::Fade),
        "fade-color" => {
            let color = s.parsed(faults, "color", color).map_or(BLACK, |found| found.value);
            Some(TransitionKind::FadeColor(color))
        }
        "slide" => Some(TransitionKind::Slide(direction(&mut s, faults))),
        "push" => Some(TransitionKind::Push(direction(&mut s, faults))),
        "wipe" => wipe(&mut s, faults),
        _ => {
            let path = needed_file(&mut s, faults);
            let cut = s.whole(faults, "cut_ms", 0..=longest).map(Micros::from_millis);
            if cut.is_none() && s.any("cut_ms").is_none() {
                faults.add(s.span(), "a stinger needs `cut_ms`".to_owned());
            }
            stinger(path, cut)
        }
    };
    s.finish(faults);
    Some(Transition { kind: kind?, duration, easing })
}

fn stinger(path: Option<PathBuf>, cut: Option<Micros>) -> Option<TransitionKind> {
    Some(TransitionKind::Stinger { path: path?, cut: cut? })
}

fn wipe(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<TransitionKind> {
    let shapes = SHAPES.map(|shape| (shape, shape));
    let shape = s.word(faults, "shape", &shapes).unwrap_or("linear");
    let softness = s.number(faults, "softness", 0.0..=1.0).unwrap_or(SOFTNESS);
    let shape = match shape {
        "clock" => WipeShape::Clock,
        "circle" => WipeShape::Circle,
        "luma" => WipeShape::Luma(needed_file(s, faults)?),
        _ => WipeShape::Linear(direction(s, faults)),
    };
    Some(TransitionKind::Wipe { shape, softness })
}

fn direction(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Direction {
    s.word(faults, "direction", &DIRECTIONS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::transition_from_document;

    /// The whole of it, as it is read without a key that has a default.
    const ALL: [&str; 9] = [
        r#"{"type": "cut"}"#,
        r#"{"type": "fade", "duration_ms": 500, "easing": "linear"}"#,
        r##"{"type": "fade-color", "duration_ms": 1, "easing": "ease-in", "color": "#ff8000"}"##,
        r#"{"type": "slide", "duration_ms": 0, "easing": "ease-out", "direction": "up"}"#,
        r#"{"type": "push", "duration_ms": 10000, "easing": "ease-in-out", "direction": "left"}"#,
        r#"{"type": "wipe", "duration_ms": 2, "easing": "linear", "shape": "linear",
            "softness": 0.25, "direction": "down"}"#,
        r#"{"type": "wipe", "duration_ms": 2, "easing": "linear", "shape": "clock",
            "softness": 0.0}"#,
        r#"{"type": "wipe", "duration_ms": 2, "easing": "linear", "shape": "luma",
            "softness": 0.03, "path": "ink.png"}"#,
        r#"{"type": "stinger", "path": "swoosh.mov", "cut_ms": 700}"#,
    ];

    #[test]
    fn every_kind_is_read_and_written_with_the_same_words() {
        for text in ALL {
            let document: Value = serde_json::from_str(text).unwrap();
            let transition = transition_from_document(&document).unwrap();
            assert_eq!(transition_to_document(&transition), document);
            let again = transition_from_document(&transition_to_document(&transition));
            assert_eq!(again, Ok(transition));
        }
        let short = transition_from_document(&json!({"type": "wipe"})).unwrap();
        let whole = transition_to_document(&short);
        let keys = json!({"type": "wipe", "shape": "linear", "direction": "left",
            "duration_ms": 500, "easing": "linear", "softness": 0.03});
        assert_eq!(whole, keys);
    }

    #[test]
    fn mistakes_are_told_with_the_path_of_their_key() {
        for (document, said) in [
            (json!({}), "needs `type`"),
            (json!({"type": "fad"}), "transition.type: `type`: \"fad\" is not one of"),
            (json!({"type": "fade", "duration_ms": 10_001}), "`duration_ms` must be 0 to 10000"),
            (json!({"type": "fade", "color": "#ffffff"}), "unknown key `color`"),
            (json!({"type": "cut", "duration_ms": 5}), "unknown key `duration_ms`"),
            (json!({"type": "wipe", "shape": "star"}), "transition.shape: `shape`: \"star\""),
            (json!({"type": "wipe", "shape": "luma"}), "needs `path`"),
            (json!({"type": "wipe", "softness": 2}), "`softness` must be 0 to 1"),
            (json!({"type": "stinger", "path": "a.mov"}), "needs `cut_ms`"),
            (json!({"type": "stinger", "cut_ms": 5}), "needs `path`"),
            (json!("fade"), "must be a table"),
        ] {
            let told = transition_from_document(&document).unwrap_err();
            assert!(told.iter().any(|line| line.contains(said)), "{said}: {told:?}");
        }
    }
}
