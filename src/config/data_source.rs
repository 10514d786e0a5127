//! Data source of a text, `file`, `data` or `url`: where the values in it come from.

use serde_json::{Map, Value, json};

use super::fault::Faults;
use super::field::{file_name, name};
use super::network::{self, Address};
use super::section::Section;
use crate::media::{InputUrl, Micros};
use crate::scene::{DataSource, HttpDocument};

/// The keys, of which a text has one.
const KEYS: [&str; 3] = ["file", "data", "url"];

/// Milliseconds from an answer to the next question, and how many there may be.
const POLL_MS: u32 = 5_000;
const POLL_MS_MIN: u32 = 250;
const POLL_MS_MAX: u32 = 3_600_000;

/// What a text is bound to, if it is.
pub(super) fn read(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<DataSource> {
    let named = KEYS.into_iter().filter(|key| s.any(key).is_some()).collect::<Vec<_>>();
    if let [first, second, ..] = named[..] {
        faults.add(&s.place(second), format!("there are both `{first}` and `{second}`: keep one"));
        // None of them is unknown.
        for key in KEYS.into_iter().chain(["secret_file", "poll_ms"]) {
            s.any(key);
        }
        return None;
    }
    match *named.first()? {
        "file" => {
            let file = s.parsed(faults, "file", |text| file_name(text).map(|path| path.into()));
            file.map(|found| DataSource::File(found.value))
        }
        "data" => s.parsed(faults, "data", name).map(|found| DataSource::Pushed(found.value)),
        _ => {
            let address = network::address(s, faults, http_url);
            let poll_ms = s.whole(faults, "poll_ms", POLL_MS_MIN..=POLL_MS_MAX);
            let Address { url, secret_file } = address?;
            let interval = Micros::from_millis(poll_ms.unwrap_or(POLL_MS).into());
            Some(DataSource::Http(HttpDocument { url, secret_file, interval }))
        }
    }
}

fn http_url(text: &str) -> Result<InputUrl, String> {
    let url = InputUrl::parse(text)?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err("a document is fetched over http or https".to_owned()),
    }
}

/// Adds the keys to a layer's.
pub(super) fn put(data: &DataSource, keys: &mut Map<String, Value>) {
    let mut put = |key: &str, value| drop(keys.insert(key.to_owned(), value));
    match data {
        DataSource::File(path) => put("file", json!(path.to_string_lossy())),
        DataSource::Pushed(name) => put("data", json!(name)),
        DataSource::Http(HttpDocument { url, secret_file, interval }) => {
            network::put_address(url, secret_file.as_deref(), &mut put);
            put("poll_ms", json!(interval.millis()));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn told(more: &str) -> String {
        let head = "[[channel]]\nname=\"a\"\n[[channel.layer]]\nname=\"l\"\ntype=\"text\"\n";
        Config::parse(&format!("{head}{more}\n"), "x")
            .map_or_else(|e| e.to_string(), |_| String::new())
    }

    #[test]
    fn a_text_is_bound_to_one_thing_and_a_document_is_fetched_over_http() {
        assert_eq!(told("url=\"https://h/a.json\"\npoll_ms=250"), "");
        assert_eq!(told("url=\"http://h/a?k={secret}\"\nsecret_file=\"a.secret\""), "");
        for (more, words) in [
            ("file=\"a\"\nurl=\"http://h/a\"\npoll_ms=500", "both `file` and `url`: keep one"),
            ("file=\"a\"\ndata=\"b\"", "both `file` and `data`: keep one"),
            ("url=\"srt://h:9\"", "fetched over http or https"),
            ("url=\"/etc/passwd\"", "it has no protocol"),
            ("url=\"http://h/a?k={secret}\"", "name the `secret_file`"),
            ("url=\"http://h/a?k={secret}\"\nsecret_file=\"/etc/passwd\"", "ends in .secret"),
            ("url=\"http://h/a\"\npoll_ms=10", "must be 250 to 3600000"),
            ("text=\"a\"\npoll_ms=1000", "poll_ms"),
        ] {
            let told = told(more);
            assert!(told.contains(words) && told.lines().count() < 6, "{more}: {told}");
        }
    }
}
