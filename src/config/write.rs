//! Configuration writer: parts of a configuration as the tables of a file that say the same.

use toml::{Table, Value};

use super::audio_filters;
use super::audio_source::MAPPINGS;
use super::document::{overlays_to_document, to_document};
use super::network;
use super::output::OutputConfig;
use super::relay::{PullConfig, PullMode, PushConfig, RecordConfig};
use super::scene::NamedScene;
use super::transition::transition_to_document;
use super::{playlist, video_clip};
use crate::audio::{InputSpec, Source};
use crate::command::{OnGap, OutputRules, SentCodecs, SentTracks};
use crate::media::Micros;
use crate::scene::{Layer, Transition};

impl OutputConfig {
    /// The document that [`OutputConfig::from_document`] reads as the same. It holds a secret.
    #[must_use]
    pub(crate) fn to_document(&self) -> serde_json::Value {
        serde_json::to_value(output(self)).unwrap_or_default()
    }
}

impl PushConfig {
    /// The document that [`PushConfig::from_document`] reads as the same. It holds a secret.
    #[must_use]
    pub(crate) fn to_document(&self) -> serde_json::Value {
        serde_json::to_value(push(self)).unwrap_or_default()
    }
}

impl PullConfig {
    /// The document that [`PullConfig::from_document`] reads as the same. It holds a secret.
    #[must_use]
    pub(crate) fn to_document(&self) -> serde_json::Value {
        serde_json::to_value(pull(self)).unwrap_or_default()
    }
}

impl RecordConfig {
    /// The document that [`RecordConfig::from_document`] reads as the same.
    #[must_use]
    pub fn to_document(&self) -> serde_json::Value {
        serde_json::to_value(record(self)).unwrap_or_default()
    }
}

/// A `[[channel.output]]`. Holds its address, which is a secret.
pub(super) fn output(of: &OutputConfig) -> Table {
    let OutputConfig { name, url, rules, enabled, preset, rendition } = of;
    let mut table = Table::new();
    put(&mut table, "name", name.as_str());
    put(&mut table, "url", url.expose());
    put_rules(&mut table, rules);
    put(&mut table, "enabled", *enabled);
    if let Some(platform) = preset {
        put(&mut table, "preset", platform.name);
    }
    if let Some(rendition) = rendition {
        put(&mut table, "rendition", &**rendition);
    }
    table
}

/// A `[[push]]`. Holds its address, which is a secret.
pub(super) fn push(of: &PushConfig) -> Table {
    let PushConfig { name, stream, url, rules, enabled } = of;
    let mut table = Table::new();
    put(&mut table, "name", name.as_str());
    put(&mut table, "stream", stream.as_str());
    put(&mut table, "url", url.expose());
    put_rules(&mut table, rules);
    put(&mut table, "enabled", *enabled);
    table
}

/// A `[[pull]]`. Holds its address, which is a secret.
pub(super) fn pull(of: &PullConfig) -> Table {
    let PullConfig { name, stream, url, mode, linger, enabled } = of;
    let mut table = Table::new();
    put(&mut table, "name", name.as_str());
    put(&mut table, "stream", stream.as_str());
    put(&mut table, "url", url.expose());
    put(
        &mut table,
        "mode",
        match mode {
            PullMode::Always => "always",
            PullMode::OnDemand => "on-demand",
        },
    );
    put(&mut table, "linger", number(linger.millis() / 1_000));
    put(&mut table, "enabled", *enabled);
    table
}

/// A `[[record]]`.
pub(super) fn record(of: &RecordConfig) -> Table {
    let RecordConfig { name, stream, dir, format, split_s, split_mb, min_free_mb, enabled } = of;
    let mut table = Table::new();
    put(&mut table, "name", name.as_str());
    put(&mut table, "stream", stream.as_str());
    put(&mut table, "dir", dir.to_string_lossy().into_owned());
    put(&mut table, "format", format.extension());
    put(&mut table, "split_s", i64::from(*split_s));
    put(&mut table, "split_mb", i64::from(*split_mb));
    put(&mut table, "min_free_mb", i64::from(*min_free_mb));
    put(&mut table, "enabled", *enabled);
    table
}

/// A `[[channel.scene]]`.
pub(super) fn scene(of: &NamedScene) -> Table {
    let NamedScene { name, scene } = of;
    // A document has no null, which is all that TOML lacks.
    let mut table: Table = serde_json::from_value(to_document(scene)).unwrap_or_default();
    put(&mut table, "name", name.as_str());
    table
}

/// The `[[channel.overlay]]` of a channel.
pub(super) fn overlays(of: &[Layer]) -> Table {
    serde_json::from_value(overlays_to_document(of)).unwrap_or_default()
}

/// The `transition` of a channel.
pub(super) fn transition(of: &Transition) -> Table {
    serde_json::from_value(transition_to_document(of)).unwrap_or_default()
}

/// A `[[channel.audio_source]]`.
pub(super) fn audio(of: &InputSpec) -> Table {
    let InputSpec { name, source, gain_db, mute, solo, pan, mapping, delay_ms, filters } = of;
    let mut table = Table::new();
    put(&mut table, "name", name.as_str());
    let kind = match source {
        Source::Bed => "bed",
        Source::Beep => "beep",
        Source::Tone(hz) => {
            put(&mut table, "hz", f64::from(*hz));
            "tone"
        }
        Source::Video(clip) => video_clip::put(clip, &mut |key, value| {
            put(&mut table, key, Value::try_from(value).unwrap_or_else(|_| Value::from("")));
        }),
        Source::Playlist(list) => playlist::put(list, &mut |key, value| {
            put(&mut table, key, Value::try_from(value).unwrap_or_else(|_| Value::from("")));
        }),
        Source::Live(stream) => {
            put(&mut table, "stream", stream.as_str());
            "live"
        }
        Source::Network(input) => network::put(input, &mut |key, value| {
            // A document has no null, which is all that TOML lacks.
            put(&mut table, key, Value::try_from(value).unwrap_or_else(|_| Value::from("")));
        }),
    };
    put(&mut table, "type", kind);
    put(&mut table, "gain_db", f64::from(*gain_db));
    put(&mut table, "mute", *mute);
    put(&mut table, "solo", *solo);
    put(&mut table, "pan", f64::from(*pan));
    let word =
        MAPPINGS.iter().find(|(_, known)| known == mapping).map_or("stereo", |(word, _)| word);
    put(&mut table, "mapping", word);
    put(&mut table, "delay_ms", i64::from(*delay_ms));
    audio_filters::write(filters, &mut table);
    table
}

fn put_rules(table: &mut Table, rules: &OutputRules) {
    let OutputRules { drop, stall_timeout, tracks, codecs, on_gap, delay } = rules;
    if let Some(drop) = drop {
        put(table, "lag_high_ms", i64::from(drop.high_ms));
        put(table, "lag_low_ms", i64::from(drop.low_ms));
    }
    put(table, "stall_timeout", number(stall_timeout.millis() / 1_000));
    if *tracks == SentTracks::All {
        put(table, "tracks", "all".to_owned());
    }
    if *codecs == SentCodecs::All {
        put(table, "codecs", "all".to_owned());
    }
    if *on_gap == OnGap::End {
        put(table, "on_gap", "end".to_owned());
    }
    if *delay > Micros(0) {
        put(table, "delay_s", number(delay.millis() / 1_000));
    }
}

fn put(table: &mut Table, key: &str, value: impl Into<Value>) {
    table.insert(key.to_owned(), value.into());
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// What stands in a file comes back from the tables that are made of it.
    #[test]
    fn every_part_is_read_as_it_was_written() {
        let text = "[[channel]]\nname = \"c\"\nbackground = \"#102030\"\n\
            transition = { type = \"push\", direction = \"up\" }\n\
            rendition = [{ name = \"low\", height = 360 }]\n\
            [[channel.layer]]\nname = \"t\"\ntype = \"text\"\ntext = \"a \\\"b\\\"\"\nalpha = 0.5\n\
            [[channel.scene]]\nname = \"two\"\n\
            transition = { type = \"wipe\", shape = \"circle\" }\n\
            [[channel.scene.layer]]\nname=\"x\"\ntype=\"clock\"\n\
            [[channel.scene.layer]]\nname=\"g\"\ntype=\"group\"\nwidth=\"50%\"\nanchor=\"right\"\n\
            [[channel.scene.layer.layer]]\nname=\"y\"\ntype=\"scene\"\nscene=\"main\"\n\
            [[channel.scene.layer]]\nname=\"v\"\ntype=\"video\"\npath=\"v.mp4\"\nat_end=\"hide\"\n\
            loop=false\nstart_ms=7\nend_ms=900\n\
            [[channel.overlay]]\nname=\"l\"\ntype=\"logo\"\nvisible=false\n\
            [[channel.audio_source]]\nname = \"a\"\ntype = \"tone\"\nhz = 50.5\ngain_db = -3.5\n\
            [[channel.audio_source]]\nname=\"b\"\ntype=\"live\"\nstream=\"live/b\"\nmute = true\n\
            [[channel.audio_source]]\nname=\"n\"\ntype=\"network\"\nurl=\"srt://h:9?m={secret}\"\n\
            secret_file = \"k.secret\"\nlatency_ms = 400\n\
            [[channel.audio_source]]\nname = \"d\"\ntype = \"bed\"\n\
            [[channel.audio_source]]\nname=\"v\"\ntype=\"video\"\npath=\"v.mp4\"\nloop=false\n\
            start_ms=5\nend_ms=6\n\
            [[channel.audio_source]]\nname = \"e\"\ntype = \"beep\"\nsolo = true\npan = -0.5\n\
            mapping = \"mono\"\ndelay_ms = -40\neq = { low_db = 3, high_db = -2.5 }\n\
            gate = { hold_ms = 20 }\ncompressor = { ratio = 4 }\n\
            ducking = { by = \"b\", amount_db = 12.5 }\n\
            [[channel.output]]\nname=\"o\"\nurl=\"rtmps://u:p%40@h:1/a/k?x=1\"\nlag_high_ms=900\n\
            lag_low_ms=1\nstall_timeout=3\ntracks=\"all\"\ncodecs=\"all\"\non_gap=\"end\"\n\
            enabled=false\ndelay_s=7\n\
            preset=\"kick\"\nrendition=\"low\"\n\
            [[channel.output]]\nname=\"p\"\nurl=\"rtmp://h/a/k\"\n\
            [[push]]\nname=\"o\"\nstream=\"live/a\"\nurl=\"rtmp://h/a/k\"\n\
            [[pull]]\nname=\"i\"\nstream=\"live/i\"\nurl=\"rtmp://h/a/k\"\nmode=\"always\"\nlinger=9\n\
            [[pull]]\nname=\"j\"\nstream=\"live/j\"\nurl=\"rtmp://h/a/k\"\nenabled=false\n\
            [[record]]\nname=\"r\"\nstream=\"live/a\"\ndir=\"./r\"\nformat=\"mp4\"\nsplit_s=5\n\
            split_mb=6\nmin_free_mb=7\nenabled=false\n";
        let was = Config::parse(text, "was").unwrap();
        let mut channel = Table::new();
        put(&mut channel, "name", "c");
        let low = "name = \"low\"\nheight = 360".parse().unwrap();
        put(&mut channel, "rendition", Value::Array(vec![Value::Table(low)]));
        let list =
            |tables: Vec<Table>| Value::Array(tables.into_iter().map(Value::Table).collect());
        let of = &was.channels[0];
        put(&mut channel, "scene", list(of.scenes.iter().map(scene).collect()));
        channel.extend(overlays(&of.overlays));
        put(&mut channel, "transition", transition(&of.transition));
        put(&mut channel, "audio_source", list(of.audio_sources.iter().map(audio).collect()));
        put(&mut channel, "output", list(of.outputs.iter().map(output).collect()));
        let mut all = Table::new();
        put(&mut all, "channel", list(vec![channel]));
        put(&mut all, "push", list(was.pushes.iter().map(push).collect()));
        put(&mut all, "pull", list(was.pulls.iter().map(pull).collect()));
        put(&mut all, "record", list(was.records.iter().map(record).collect()));
        let again = Config::parse(&all.to_string(), "again").unwrap();
        assert_eq!(again.channels, was.channels);
        assert_eq!((again.pushes, again.pulls), (was.pushes, was.pulls));
        assert_eq!(again.records, was.records);
        let document = was.records[0].to_document();
        assert_eq!(RecordConfig::from_document(&document).as_ref(), Ok(&was.records[0]));
    }
}
