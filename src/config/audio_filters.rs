//! Filters of an audio source: `gate`, `eq`, `compressor` and `ducking`, tables of its own.

use toml::{Table, Value};

use super::fault::Faults;
use super::section::{Found, Section};
use crate::audio::{
    BAND_DB, CompressorSpec, DUCKING_DB, DuckingSpec, EqSpec, Filters, GateSpec, OUTPUT_GAIN_DB,
    RATIO, THRESHOLD_DB, TIME_MS,
};

/// The filters in a table, and whom its ducking names, which is to be another audio source.
pub(super) fn read(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
) -> (Filters, Option<Found<String>>) {
    let gate = s.table(faults, "gate", "gate = { open_db = -26 }").map(|s| gate(s, faults));
    let eq = s.table(faults, "eq", "eq = { low_db = 3 }").map(|s| eq(s, faults));
    let compressor = s.table(faults, "compressor", "compressor = { ratio = 4 }");
    let compressor = compressor.map(|s| compress(s, faults));
    let ducking = s.table(faults, "ducking", "ducking = { by = \"voice\" }");
    let (ducking, by) = ducking.and_then(|s| duck(s, faults)).unzip();
    (Filters { gate, eq, compressor, ducking }, by)
}

fn gate(mut s: Section<'_>, faults: &mut Faults<'_>) -> GateSpec {
    let usual = GateSpec::default();
    let spec = GateSpec {
        open_db: s.number(faults, "open_db", THRESHOLD_DB).unwrap_or(usual.open_db),
        close_db: s.number(faults, "close_db", THRESHOLD_DB).unwrap_or(usual.close_db),
        attack_ms: s.number(faults, "attack_ms", TIME_MS).unwrap_or(usual.attack_ms),
        hold_ms: s.number(faults, "hold_ms", TIME_MS).unwrap_or(usual.hold_ms),
        release_ms: s.number(faults, "release_ms", TIME_MS).unwrap_or(usual.release_ms),
    };
    if spec.close_db > spec.open_db {
        let (close, open) = (spec.close_db, spec.open_db);
        let text = format!("`close_db` {close} is above `open_db` {open}: it would never open");
        faults.add(&s.place("close_db"), text);
    }
    s.finish(faults);
    spec
}

fn eq(mut s: Section<'_>, faults: &mut Faults<'_>) -> EqSpec {
    let spec = EqSpec {
        low_db: s.number(faults, "low_db", BAND_DB).unwrap_or_default(),
        mid_db: s.number(faults, "mid_db", BAND_DB).unwrap_or_default(),
        high_db: s.number(faults, "high_db", BAND_DB).unwrap_or_default(),
    };
    s.finish(faults);
    spec
}

fn compress(mut s: Section<'_>, faults: &mut Faults<'_>) -> CompressorSpec {
    let usual = CompressorSpec::default();
    let output_gain_db = s.number(faults, "output_gain_db", OUTPUT_GAIN_DB);
    let spec = CompressorSpec {
        ratio: s.number(faults, "ratio", RATIO).unwrap_or(usual.ratio),
        threshold_db: s.number(faults, "threshold_db", THRESHOLD_DB).unwrap_or(usual.threshold_db),
        attack_ms: s.number(faults, "attack_ms", TIME_MS).unwrap_or(usual.attack_ms),
        release_ms: s.number(faults, "release_ms", TIME_MS).unwrap_or(usual.release_ms),
        output_gain_db: output_gain_db.unwrap_or(usual.output_gain_db),
    };
    s.finish(faults);
    spec
}

fn duck(mut s: Section<'_>, faults: &mut Faults<'_>) -> Option<(DuckingSpec, Found<String>)> {
    let by = s.needed(faults, "by");
    let usual = DuckingSpec::by(String::new());
    let spec = DuckingSpec {
        by: by.as_ref().map(|by| by.value.to_owned()).unwrap_or_default(),
        threshold_db: s.number(faults, "threshold_db", THRESHOLD_DB).unwrap_or(usual.threshold_db),
        amount_db: s.number(faults, "amount_db", DUCKING_DB).unwrap_or(usual.amount_db),
        attack_ms: s.number(faults, "attack_ms", TIME_MS).unwrap_or(usual.attack_ms),
        release_ms: s.number(faults, "release_ms", TIME_MS).unwrap_or(usual.release_ms),
    };
    s.finish(faults);
    by.map(|by| (spec, Found { value: by.value.to_owned(), span: by.span }))
}

/// Writes the tables that [`read`] reads as the same.
pub(super) fn write(of: &Filters, table: &mut Table) {
    let Filters { gate, eq, compressor, ducking } = of;
    if let Some(GateSpec { open_db, close_db, attack_ms, hold_ms, release_ms }) = *gate {
        let keys = [
            ("open_db", open_db),
            ("close_db", close_db),
            ("attack_ms", attack_ms),
            ("hold_ms", hold_ms),
            ("release_ms", release_ms),
        ];
        put(table, "gate", numbers(&keys));
    }
    if let Some(EqSpec { low_db, mid_db, high_db }) = *eq {
        put(table, "eq", numbers(&[("low_db", low_db), ("mid_db", mid_db), ("high_db", high_db)]));
    }
    if let Some(spec) = *compressor {
        let CompressorSpec { ratio, threshold_db, attack_ms, release_ms, output_gain_db } = spec;
        let keys = [
            ("ratio", ratio),
            ("threshold_db", threshold_db),
            ("attack_ms", attack_ms),
            ("release_ms", release_ms),
            ("output_gain_db", output_gain_db),
        ];
        put(table, "compressor", numbers(&keys));
    }
    if let Some(DuckingSpec { by, threshold_db, amount_db, attack_ms, release_ms }) = ducking {
        let mut keys = numbers(&[
            ("threshold_db", *threshold_db),
            ("amount_db", *amount_db),
            ("attack_ms", *attack_ms),
            ("release_ms", *release_ms),
        ]);
        put(&mut keys, "by", by.as_str());
        put(table, "ducking", keys);
    }
}

fn numbers(keys: &[(&str, f32)]) -> Table {
    let mut table = Table::new();
    keys.iter().for_each(|(key, value)| put(&mut table, key, f64::from(*value)));
    table
}

fn put(table: &mut Table, key: &str, value: impl Into<Value>) {
    table.insert(key.to_owned(), value.into());
}

#[cfg(test)]
mod tests {
    use crate::audio::{GateSpec, Mapping};
    use crate::config::Config;

    fn told(more: &str) -> String {
        Config::parse(&text(more), "node.toml").unwrap_err().to_string()
    }

    fn text(more: &str) -> String {
        let source = "[[channel.audio_source]]\nname = \"music\"\ntype = \"bed\"\n";
        let voice = "[[channel.audio_source]]\nname = \"voice\"\ntype = \"tone\"\n";
        format!("[[channel]]\nname = \"c\"\n{source}{more}\n{voice}")
    }

    #[test]
    fn what_a_strip_is_told_is_read_with_the_usual_values_of_the_rest() {
        let more = "solo = true\npan = -0.5\nmapping = \"swap\"\ndelay_ms = -500\n\
            gate = { open_db = -20 }\neq = {}\nducking = { by = \"voice\", amount_db = 12 }";
        let config = Config::parse(&text(more), "x").unwrap();
        let music = &config.channels[0].audio_sources[0];
        assert!(music.solo && music.mapping == Mapping::Swapped && music.delay_ms == -500);
        let gate = GateSpec { open_db: -20.0, ..GateSpec::default() };
        assert_eq!(music.filters.gate, Some(gate));
        assert!(music.filters.eq.is_some() && music.filters.compressor.is_none());
        let ducking = music.filters.ducking.as_ref().unwrap();
        assert_eq!((ducking.by.as_str(), ducking.amount_db.to_bits()), ("voice", 12_f32.to_bits()));
    }

    #[test]
    fn what_a_strip_cannot_be_told_is_told_at_its_place() {
        for (more, words) in [
            ("pan = 1.5", "node.toml:6:7: `pan`"),
            ("delay_ms = 2001", "node.toml:6:12: `delay_ms`"),
            ("mapping = \"5.1\"", "\"5.1\" is not one of \"stereo\""),
            ("gate = { open_db = -40 }", "`close_db` -32 is above `open_db` -40"),
            ("eq = { low_db = 21 }", "`low_db`"),
            ("eq = { lo_db = 2 }", "did you mean `low_db`?"),
            ("compressor = { ratio = 0 }", "`ratio`"),
            ("ducking = { amount_db = 3 }", "needs `by`"),
            ("ducking = { by = \"vocie\" }", "`by`: \"vocie\" is no audio source"),
            ("ducking = { by = \"music\" }", "`by`: \"music\" is the audio source itself"),
        ] {
            assert!(told(more).contains(words), "{more}: {}", told(more));
        }
    }
}
