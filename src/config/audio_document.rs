//! Documents of a channel's audio in JSON: the settings of its sources and of its bus that can be
//! changed while it runs, with the keys of the configuration.

use serde_json::{Map, Value};

use super::document::read_document;
use super::field::decimal;
use super::{audio_bus, audio_source, network, write};
use crate::audio::{BusSpec, InputSpec, Source};

/// Keys of an audio source that can be changed while it plays.
pub(super) const LIVE_KEYS: [&str; 10] = [
    "gain_db",
    "mute",
    "solo",
    "pan",
    "mapping",
    "delay_ms",
    "gate",
    "eq",
    "compressor",
    "ducking",
];

/// The document of a source, for people: secrets of addresses are hidden.
#[must_use]
pub fn audio_to_document(of: &InputSpec) -> Value {
    network::without_secrets(to_json(&write::audio(of)))
}

/// The document of the bus. A key of what is off is not there.
#[must_use]
pub fn audio_bus_to_document(of: BusSpec) -> Value {
    to_json(&audio_bus::write(of))
}

/// The sources of a channel after a JSON merge patch (RFC 7396) of that at `place`.
///
/// # Errors
/// Everything that is wrong with them, at most ten: each begins with the path of its field.
pub fn patched_audio(
    all: &[InputSpec],
    place: usize,
    patch: &Map<String, Value>,
) -> Result<Vec<InputSpec>, Vec<String>> {
    check_keys(patch, &LIVE_KEYS, "a source")?;
    // Where it comes from does not change, and a file or a secret may be out of reach just now.
    let plain = |of: &InputSpec| InputSpec { source: Source::Bed, ..of.clone() };
    let mut documents: Vec<_> = all.iter().map(|of| to_json(&write::audio(&plain(of)))).collect();
    if let Some(Value::Object(document)) = documents.get_mut(place) {
        merge(document, patch);
    }
    let whole = serde_json::json!({ "audio_source": documents });
    let mut read = read_document(&whole, "the audio", |top, faults| {
        let tables = top.tables(faults, "audio_source", "audio_source");
        audio_source::read_all(tables, faults)
    })?;
    for (read, was) in read.iter_mut().zip(all) {
        read.source = was.source.clone();
    }
    Ok(read)
}

/// The bus after a JSON merge patch of its document.
///
/// # Errors
/// Everything that is wrong with it.
pub fn patched_audio_bus(of: BusSpec, patch: &Map<String, Value>) -> Result<BusSpec, Vec<String>> {
    check_keys(patch, &audio_bus::KEYS, "the bus")?;
    let mut document = audio_bus_to_document(of);
    if let Value::Object(document) = &mut document {
        merge(document, patch);
    }
    read_document(&document, "the bus", audio_bus::read)
}

fn check_keys(patch: &Map<String, Value>, known: &[&str], of: &str) -> Result<(), Vec<String>> {
    let wrong = patch.keys().filter(|key| !known.contains(&key.as_str()));
    let wrong: Vec<_> = wrong
        .map(|key| {
            let key: String = key.chars().take(64).collect();
            format!("`{key}` of {of} cannot be changed while it runs; {} can", known.join(", "))
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// Applies a JSON merge patch (RFC 7396): `null` takes a key out, an object is merged in turn, and
/// all else replaces what was.
pub(crate) fn merge(into: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => drop(into.remove(key)),
            Value::Object(inner) => {
                let place = into.entry(key).or_insert_with(|| Value::Object(Map::new()));
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                if let Value::Object(place) = place {
                    merge(place, inner);
                }
            }
            value => drop(into.insert(key.clone(), value.clone())),
        }
    }
}

/// Numbers as people write them: those of single precision have few digits.
fn to_json(table: &toml::Table) -> Value {
    fn value(of: &toml::Value) -> Value {
        match of {
            #[expect(clippy::cast_possible_truncation, reason = "it was of single precision")]
            toml::Value::Float(number) => decimal(*number as f32).into(),
            toml::Value::Integer(number) => (*number).into(),
            toml::Value::Boolean(flag) => (*flag).into(),
            toml::Value::String(text) => text.clone().into(),
            toml::Value::Array(list) => list.iter().map(value).collect::<Vec<_>>().into(),
            toml::Value::Table(table) => to_json(table),
            toml::Value::Datetime(time) => time.to_string().into(),
        }
    }
    table.iter().map(|(key, of)| (key.clone(), value(of))).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sources() -> Vec<InputSpec> {
        vec![
            InputSpec::new("music", Source::Tone(440.0)),
            InputSpec::new("voice", Source::Live("live/v".to_owned())),
        ]
    }

    fn patched(patch: &Value) -> Result<Vec<InputSpec>, Vec<String>> {
        patched_audio(&sources(), 0, patch.as_object().unwrap())
    }

    #[test]
    fn a_patch_changes_the_keys_that_it_has_and_null_takes_a_filter_away() {
        let patch = json!({"gain_db": -6.5, "eq": {"low_db": 3}, "ducking": {"by": "voice"}});
        let read = patched(&patch).unwrap();
        assert!((read[0].gain_db + 6.5).abs() < 1e-6 && read[0].source == Source::Tone(440.0));
        assert!(read[0].filters.eq.is_some() && read[0].filters.ducking.is_some());
        assert_eq!(read[1], sources()[1]);
        assert_eq!(audio_to_document(&read[0])["gain_db"], json!(-6.5));
        let patch = json!({"eq": null, "ducking": {"amount_db": 3}});
        let again = patched_audio(&read, 0, patch.as_object().unwrap()).unwrap();
        assert!(again[0].filters.eq.is_none());
        let ducking = again[0].filters.ducking.as_ref().unwrap();
        assert_eq!((ducking.by.as_str(), ducking.amount_db.to_bits()), ("voice", 3_f32.to_bits()));
    }

    #[test]
    fn what_cannot_be_is_told_with_its_field() {
        for (patch, words) in [
            (json!({"gain_db": 25}), "audio_source[0].gain_db (audio source \"music\"): "),
            (json!({"pan": "left"}), "`pan`"),
            (json!({"ducking": {"by": "nobody"}}), "\"nobody\" is no audio source"),
            (json!({"path": "x.mp4"}), "`path` of a source cannot be changed while it runs"),
        ] {
            let told = patched(&patch).unwrap_err().join("; ");
            assert!(told.contains(words), "{patch}: {told}");
        }
    }

    #[test]
    fn the_bus_has_a_target_and_a_ceiling() {
        let patch = |of, patch: Value| patched_audio_bus(of, patch.as_object().unwrap());
        let usual = BusSpec::default();
        let loud = patch(usual, json!({"normalize_lufs": -14, "ceiling_dbtp": -2})).unwrap();
        assert_eq!(loud.normalize_lufs, Some(-14));
        assert_eq!(
            audio_bus_to_document(loud),
            json!({"normalize_lufs": -14, "ceiling_dbtp": -2.0})
        );
        assert_eq!(patch(loud, json!({"normalize_lufs": null})).unwrap().normalize_lufs, None);
        let told = patch(usual, json!({"normalize_lufs": -20})).unwrap_err().join("; ");
        assert!(told.contains("is not one of -23, -16 and -14"), "{told}");
        assert!(patch(usual, json!({"bitrate": 1})).is_err());
    }
}
