//! Audio sources of a channel, `[[channel.audio_source]]`.

use std::collections::HashMap;

use super::fault::{Faults, quoted};
use super::field::{needed_name, needed_stream, unique};
use super::network;
use super::section::Section;
use super::{audio_filters, playlist, video_clip as video};
use crate::audio::{DELAY_MS, GAIN_DB, INPUTS_MAX, InputSpec, Mapping, PAN, Source};

/// Hertz of a tone that names none.
const TONE_HZ: f32 = 440.0;

/// Words of a channel mapping.
pub(super) const MAPPINGS: [(&str, Mapping); 5] = [
    ("stereo", Mapping::Stereo),
    ("left", Mapping::Left),
    ("right", Mapping::Right),
    ("mono", Mapping::Mono),
    ("swap", Mapping::Swapped),
];

pub(super) fn read_all(tables: Vec<Section<'_>>, faults: &mut Faults<'_>) -> Vec<InputSpec> {
    let mut seen = HashMap::new();
    let mut inputs = Vec::new();
    let mut side_chains = Vec::new();
    for (index, mut s) in tables.into_iter().enumerate() {
        if index == INPUTS_MAX {
            faults.add(s.span(), format!("a channel has at most {INPUTS_MAX} audio sources"));
            break;
        }
        let name = needed_name(&mut s, faults);
        if let Some(name) = &name {
            unique(faults, &mut seen, "an audio source with the name", name);
        }
        let kinds = ["bed", "tone", "beep", "video", "playlist", "live", "network"]
            .map(|kind| (kind, kind));
        let kind = s.needed(faults, "type").and_then(|_| s.word(faults, "type", &kinds));
        // Without a type nobody can say which of the other keys are right.
        let Some(kind) = kind else { continue };
        s.call(&format!("of type \"{kind}\""));
        let source = source(kind, &mut s, faults);
        let gain_db = s.number(faults, "gain_db", GAIN_DB).unwrap_or(0.0);
        let mute = s.flag(faults, "mute", false);
        let solo = s.flag(faults, "solo", false);
        let pan = s.number(faults, "pan", PAN).unwrap_or(0.0);
        let mapping = s.word(faults, "mapping", &MAPPINGS).unwrap_or_default();
        let delay_ms = s.whole(faults, "delay_ms", DELAY_MS).unwrap_or(0);
        let (filters, by) = audio_filters::read(&mut s, faults);
        s.finish(faults);
        let own = name.as_ref().map(|name| name.value.clone());
        side_chains.extend(by.map(|by| (own, by)));
        if let (Some(name), Some(source)) = (name, source) {
            let name = name.value;
            inputs.push(InputSpec {
                name,
                source,
                gain_db,
                mute,
                solo,
                pan,
                mapping,
                delay_ms,
                filters,
            });
        }
    }
    for (own, by) in side_chains {
        // One with a fault of its own is told already.
        let is_known = seen.contains_key(&by.value);
        let name = quoted(&by.value);
        if own.as_ref() == Some(&by.value) {
            faults.add(&by.span, format!("`by`: {name} is the audio source itself"));
        } else if !is_known {
            let words = "of the channel; name another of its [[channel.audio_source]]";
            faults.add(&by.span, format!("`by`: {name} is no audio source {words}"));
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
        "playlist" => playlist::read(s, faults).map(Source::Playlist),
        "network" => network::read(s, faults).map(Source::Network),
        _ => needed_stream(s, faults).map(Source::Live),
    }
}
