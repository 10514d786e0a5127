//! Motion of a layer, as keys of its table and of its document.

use serde_json::{Map, Value, json};

use super::fault::Faults;
use super::length::{self, REACH};
use super::section::Section;
use super::transition::{read_key, transition_to_document};
use crate::media::Micros;
use crate::scene::{
    Animation, Easing, KEYFRAME_AT_MAX, KEYFRAMES_MAX, Keyframe, LayerMotion, Transition,
    TransitionKind, WipeShape,
};

/// How a keyframe is written.
const KEYFRAME: &str = "keyframe = [{ at_ms = 0, alpha = 0.0 }, { at_ms = 500, alpha = 1.0 }]";

/// What a layer says of its motion; its group may place it.
pub(super) fn read(s: &mut Section<'_>, faults: &mut Faults<'_>, arranged: bool) -> LayerMotion {
    let show = transition(s, faults, "show_transition");
    let hide = transition(s, faults, "hide_transition");
    let animation = s.table(faults, "animation", &format!("animation = {{ {KEYFRAME} }}"));
    LayerMotion { show, hide, animation: animation.map(|s| read_animation(s, faults, arranged)) }
}

/// How long the layers of a layout take to other places, and how.
pub(super) fn read_animate(s: &mut Section<'_>, faults: &mut Faults<'_>) -> (Micros, Easing) {
    let longest = Transition::DURATION_MAX.millis();
    let animate = s.whole(faults, "animate_ms", 0..=longest).unwrap_or(0);
    let easing = s.word(faults, "easing", &Easing::WORDS).unwrap_or_default();
    (Micros::from_millis(animate), easing)
}

fn transition(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    key: &'static str,
) -> Option<Transition> {
    let found = read_key(s, faults, key)?;
    let refused = match &found.kind {
        TransitionKind::FadeColor(_) => "a transition of type \"fade-color\"",
        TransitionKind::Stinger { .. } => "a stinger",
        TransitionKind::Wipe { shape: WipeShape::Luma(_), .. } => "a wipe of shape \"luma\"",
        _ => return Some(found),
    };
    let text = format!(
        "`{key}`: {refused} is for whole scenes; take \"cut\", \"fade\", \"slide\", \"push\" or a \
         \"wipe\" of another shape"
    );
    faults.add(&s.place(key), text);
    None
}

fn read_animation(mut s: Section<'_>, faults: &mut Faults<'_>, arranged: bool) -> Animation {
    let is_loop = s.flag(faults, "loop", false);
    let mut keyframes: Vec<Keyframe> = Vec::new();
    for (index, section) in s.tables(faults, "keyframe", KEYFRAME).into_iter().enumerate() {
        if index == KEYFRAMES_MAX {
            let text = format!("an animation has at most {KEYFRAMES_MAX} keyframes");
            faults.add(section.span(), text);
            break;
        }
        let span = section.span().clone();
        let Some(keyframe) = read_keyframe(section, faults, arranged) else { continue };
        if keyframes.last().is_some_and(|last| last.at >= keyframe.at) {
            faults.add(&span, "`at_ms` is not after that of the keyframe before".to_owned());
        }
        keyframes.push(keyframe);
    }
    if keyframes.is_empty() {
        faults.add(s.span(), format!("`animation` needs keyframes: write {KEYFRAME}"));
    }
    s.finish(faults);
    Animation { keyframes, is_loop }
}

fn read_keyframe(mut s: Section<'_>, faults: &mut Faults<'_>, arranged: bool) -> Option<Keyframe> {
    let latest = KEYFRAME_AT_MAX.millis();
    let at = s.whole(faults, "at_ms", 0..=latest);
    if at.is_none() && s.any("at_ms").is_none() {
        faults.add(s.span(), "a keyframe needs `at_ms`".to_owned());
    }
    let mut keyframe = Keyframe::default();
    // What its group places has no position of its own: such keys are unknown.
    if !arranged {
        keyframe.x = length::read(&mut s, faults, "x", -REACH..=REACH);
        keyframe.y = length::read(&mut s, faults, "y", -REACH..=REACH);
        keyframe.w = length::read(&mut s, faults, "width", 2..=REACH);
        keyframe.h = length::read(&mut s, faults, "height", 2..=REACH);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
    let opacity = |alpha: f32| (alpha * 255.0).round() as u8;
    keyframe.alpha = s.number(faults, "alpha", 0.0..=1.0).map(opacity);
    keyframe.easing = s.word(faults, "easing", &Easing::WORDS).unwrap_or_default();
    s.finish(faults);
    Some(Keyframe { at: Micros::from_millis(at?), ..keyframe })
}

/// Adds the keys of a motion to the document of a layer.
pub(super) fn put(motion: &LayerMotion, document: &mut Map<String, Value>) {
    let LayerMotion { show, hide, animation } = motion;
    for (key, transition) in [("show_transition", show), ("hide_transition", hide)] {
        if let Some(transition) = transition {
            document.insert(key.to_owned(), transition_to_document(transition));
        }
    }
    if let Some(Animation { keyframes, is_loop }) = animation {
        let keyframes: Vec<_> = keyframes.iter().map(keyframe_document).collect();
        let animation = json!({ "loop": is_loop, "keyframe": keyframes });
        document.insert("animation".to_owned(), animation);
    }
}

fn keyframe_document(keyframe: &Keyframe) -> Value {
    let Keyframe { at, x, y, w, h, alpha, easing } = keyframe;
    let mut keys = json!({ "at_ms": at.millis(), "easing": easing.word() });
    for (key, value) in [("x", x), ("y", y), ("width", w), ("height", h)] {
        if let Some(value) = value {
            keys[key] = length::to_value(*value);
        }
    }
    if let Some(alpha) = alpha {
        // Three places are enough to come back to the same of 256 steps.
        keys["alpha"] = json!((f64::from(*alpha) / 255.0 * 1_000.0).round() / 1_000.0);
    }
    keys
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::config::from_document;
    use crate::media::Size;

    #[test]
    fn mistakes_are_told_with_the_path_of_their_key() {
        let keyframes = |list: Value| json!({ "animation": { "keyframe": list } });
        for (keys, said) in [
            (
                json!({ "show_transition": { "type": "stinger", "path": "a.mov", "cut_ms": 1 } }),
                "layer[0].show_transition (layer \"a\"): `show_transition`: a stinger is for whole",
            ),
            (
                json!({ "hide_transition": { "type": "fade-color" } }),
                "`hide_transition`: a transition of type \"fade-color\" is for whole scenes",
            ),
            (json!({ "hide_transition": { "type": "fad" } }), "hide_transition.type"),
            (keyframes(json!([])), "`animation` needs keyframes"),
            (keyframes(json!([{ "alpha": 1 }])), "a keyframe needs `at_ms`"),
            (keyframes(json!([{ "at_ms": 0, "alpha": 2 }])), "keyframe[0].alpha"),
            (keyframes(json!([{ "at_ms": 0, "speed": 2 }])), "unknown key `speed`"),
            (keyframes(json!([{ "at_ms": 5 }, { "at_ms": 5 }])), "is not after that of the"),
            (
                keyframes((1..=65).map(|ms| json!({ "at_ms": ms })).collect()),
                "at most 64 keyframes",
            ),
            (json!({ "animate_ms": 5 }), "unknown key `animate_ms`"),
        ] {
            let mut layer = json!({ "name": "a", "type": "flash" });
            layer.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
            let size = Size::new(160, 90).unwrap();
            let told = from_document(&json!({ "layer": [layer] }), size).unwrap_err();
            assert!(told.iter().any(|line| line.contains(said)), "{said}: {told:?}");
        }
        let inside = json!({ "name": "in", "type": "flash",
            "animation": { "keyframe": [{ "at_ms": 0, "x": 1 }] } });
        let group = json!({ "name": "g", "type": "group", "layout": "row", "layer": [inside] });
        let size = Size::new(160, 90).unwrap();
        let told = from_document(&json!({ "layer": [group] }), size).unwrap_err();
        assert!(told[0].contains("unknown key `x`"), "{told:?}");
    }
}
