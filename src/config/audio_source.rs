//! Audio sources of a channel, `[[channel.audio_source]]`.

use std::collections::HashMap;

use super::fault::Faults;
use super::field::{needed_name, needed_stream, unique};
use super::network;
use super::section::Section;
use super::video_clip as video;
use crate::audio::{INPUTS_MAX, InputSpec, Source};

/// Hertz of a tone that names none.
const TONE_HZ: f32 = 440.0;

pub(super) fn read_all(tables: Vec<Section<'_>>, faults: &mut Faults<'_>) -> Vec<InputSpec> {
    let mut seen = HashMap::new();
    let mut inputs = Vec::new();
    for (index, mut s) in tables.into_iter().enumerate() {
        if index == INPUTS_MAX {
            faults.add(s.span(), format!("a channel has at most {INPUTS_MAX} audio sources"));
            break;
        }
        let name = needed_name(&mut s, faults);
        if let Some(name) = &name {
            unique(faults, &mut seen, "an audio source with the name", name);
        }
        let kinds = ["bed", "tone", "beep", "video", "live", "network"].map(|kind| (kind, kind));
        let kind = s.needed(faults, "type").and_then(|_| s.word(faults, "type", &kinds));
        // Without a type nobody can say which of the other keys are right.
        let Some(kind) = kind else { continue };
        s.call(&format!("of type \"{kind}\""));
        let source = source(kind, &mut s, faults);
        let gain_db = s.number(faults, "gain_db", -90.0..=24.0).unwrap_or(0.0);
        let mute = s.flag(faults, "mute", false);
        s.finish(faults);
        if let (Some(name), Some(source)) = (name, source) {
            inputs.push(InputSpec { name: name.value, source, gain_db, mute });
        }
    }
    inputs
}

fn source(kind: &str, s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<Source> {
    match kind {
        "bed" => Some(Source::Bed),
        "beep" => Some(Source::Beep),
        "tone" => {
            let hz = s.number(faults, "hz", 20.0..=20_000.0).unwrap_or(TONE_HZ);
            Some(Source::Tone(hz))
        }
        "video" => video::read(s, faults).map(Source::Video),
        "network" => network::read(s, faults).map(Source::Network),
        _ => needed_stream(s, faults).map(Source::Live),
    }
}
