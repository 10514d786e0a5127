//! Network inputs of layers and audio sources: `type = "network"`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::fault::Faults;
use super::field::file_name;
use super::section::Section;
use crate::media::{InputUrl, Micros, NetworkInput};

/// Milliseconds from the arrival of something to its showing, and how many there may be.
const LATENCY_MS: u32 = 200;
const LATENCY_MS_MAX: u32 = 10_000;

/// How the name of a secret file ends: who may write a scene cannot have any other file sent away.
const SECRET_EXTENSION: &str = "secret";

/// `url`, `secret_file` and `latency_ms`.
pub(super) fn read(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<NetworkInput> {
    let address = address(s, faults, InputUrl::parse);
    let latency = s.whole(faults, "latency_ms", 20..=LATENCY_MS_MAX).unwrap_or(LATENCY_MS);
    let Address { url, secret_file } = address?;
    Some(NetworkInput { url, secret_file, latency: Micros::from_millis(latency.into()) })
}

/// An address, and where the secret in it is.
pub(super) struct Address {
    pub(super) url: InputUrl,
    pub(super) secret_file: Option<PathBuf>,
}

/// `url`, which `parse` reads, and `secret_file`.
pub(super) fn address(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    parse: impl FnOnce(&str) -> Result<InputUrl, String>,
) -> Option<Address> {
    let is_there = s.needed(faults, "url").is_some();
    let url = is_there.then(|| s.parsed(faults, "url", parse)).flatten();
    let file = s.parsed(faults, "secret_file", secret_file);
    let url = url?;
    if url.value.needs_secret() && file.is_none() {
        faults.add(&url.span, "`url` has {secret} in it; name the `secret_file` that holds it");
        return None;
    }
    if let Some(file) = file.as_ref().filter(|_| !url.value.needs_secret()) {
        faults.add(&file.span, "`secret_file` needs {secret} in `url`, where its content goes");
        return None;
    }
    Some(Address { url: url.value, secret_file: file.map(|found| found.value) })
}

fn secret_file(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(file_name(text).map_err(|error| format!("{error}; name a file"))?);
    if path.extension().is_none_or(|extension| extension != SECRET_EXTENSION) {
        return Err(format!("a secret file has a name that ends in .{SECRET_EXTENSION}"));
    }
    Ok(path.to_owned())
}

/// Adds the keys to a document. It holds the address as it was written.
pub(super) fn put(input: &NetworkInput, put: &mut impl FnMut(&str, Value)) -> &'static str {
    let NetworkInput { url, secret_file, latency } = input;
    put_address(url, secret_file.as_deref(), put);
    put("latency_ms", json!(latency.millis()));
    "network"
}

/// The same of an address alone.
pub(super) fn put_address(
    url: &InputUrl,
    secret_file: Option<&Path>,
    put: &mut impl FnMut(&str, Value),
) {
    put("url", json!(url.expose()));
    if let Some(file) = secret_file {
        put("secret_file", json!(file.to_string_lossy()));
    }
}

/// The same document for people: what may be a secret of the addresses in it is hidden.
#[must_use]
pub fn without_secrets(mut document: Value) -> Value {
    hide(&mut document);
    document
}

fn hide(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(hide),
        Value::Object(keys) => {
            if let Some(Value::String(url)) = keys.get_mut("url")
                && let Ok(known) = InputUrl::parse(url)
            {
                *url = known.shown();
            }
            keys.values_mut().for_each(hide);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, from_document, to_document};
    use crate::media::Size;

    fn told(more: &str) -> String {
        let head = "[[channel]]\nname=\"a\"\n[[channel.layer]]\nname=\"l\"\ntype=\"network\"\n";
        Config::parse(&format!("{head}{more}\n"), "x")
            .map_or_else(|e| e.to_string(), |_| String::new())
    }

    #[test]
    fn an_input_needs_an_address_and_a_secret_needs_both_its_file_and_its_place() {
        assert_eq!(told("url=\"srt://h:9?streamid={secret}\"\nsecret_file=\"a.secret\""), "");
        for (more, words) in [
            ("", "needs `url`"),
            ("url=\"file:///etc/passwd\"", "cannot be an input; name one of rtmp"),
            ("url=\"srt://h:9?streamid={secret}\"", "name the `secret_file`"),
            ("url=\"srt://h:9\"\nsecret_file=\"a.secret\"", "needs {secret} in `url`"),
            ("url=\"srt://h:9?x={secret}\"\nsecret_file=\"/etc/passwd\"", "ends in .secret"),
            ("url=\"srt://h:9?x={secret}\"\nsecret_file=\"/tls/key.pem\"", "ends in .secret"),
            ("url=\"srt://h:9\"\nlatency_ms=1", "must be 20 to 10000"),
        ] {
            assert!(told(more).contains(words), "{more}: {}", told(more));
        }
    }

    #[test]
    fn a_document_for_people_has_no_secrets_and_is_not_taken_back_without_them() {
        let url = "rtsp://me:sec-ret@cam/one?k=sec-ret";
        let layer = json!({ "name": "a", "type": "network", "url": url });
        let inside = json!({ "name": "g", "type": "group", "layer": [layer] });
        let size = Size::new(64, 36).unwrap();
        let scene = from_document(&json!({ "layer": [inside] }), size).unwrap();
        assert!(!format!("{scene:?}").contains("sec-ret"));
        let shown = without_secrets(to_document(&scene));
        assert!(!shown.to_string().contains("sec-ret"), "{shown}");
        let told = from_document(&shown, size).unwrap_err().join("\n");
        assert!(told.contains("write it whole"), "{told}");
    }
}
