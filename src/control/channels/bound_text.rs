//! Bound texts: the values that text layers show of files and of documents that are pushed or
//! fetched, and whether they have changed. A file is read on a thread that loads a scene, or looks
//! for changes.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::media::open_plain;
use crate::scene::{self, DataSource, FileStamp, HttpDocument, ResolvedScene};

/// Most bytes of a file or a document that texts are bound to. A larger one is refused.
pub(crate) const DATA_BYTES_MAX: usize = 64 << 10;

/// Most documents that are pushed to a node. A further one is refused.
pub(crate) const DATA_DOCUMENTS_MAX: usize = 256;

/// Most files whose last values are remembered while no scene on the air shows them.
const DATA_FILES_MAX: usize = 256;

/// Most bytes of a text that comes of a template. The rest is left out.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// What texts are bound to, with the last values that could be read.
#[derive(Debug, Default)]
#[expect(clippy::disallowed_types, reason = "threads that load scenes have no executor")]
pub(crate) struct BoundText(std::sync::Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    entries: HashMap<DataSource, Entry>,
    /// Changes so far.
    changes: u64,
}

#[derive(Debug, Default)]
struct Entry {
    values: Option<Value>,
    /// Why there are no newer ones.
    fault: Option<String>,
    /// Of the file when it was read.
    stamp: Option<FileStamp>,
    /// Number of its last change.
    change: u64,
}

/// How a text holds values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataFormat {
    /// As JSON.
    Json,
    /// As a table, whose first row has the names of its columns.
    Csv,
    /// As itself.
    Text,
}

impl Known {
    /// What has become of a file or a document. The last good values stay where there are none.
    fn settle(&mut self, source: &DataSource, found: Result<Value, String>) -> &mut Entry {
        let change = self.changes + 1;
        let entry = self.entries.entry(source.clone()).or_default();
        let (values, fault) = match found {
            Ok(values) => (Some(values), None),
            Err(cause) => (entry.values.clone(), Some(cause)),
        };
        if (&entry.values, &entry.fault) != (&values, &fault) {
            (entry.values, entry.fault, entry.change) = (values, fault, change);
            self.changes = change;
        }
        entry
    }

    /// Forgets files beyond [`DATA_FILES_MAX`] that are not among these.
    fn forget_files(&mut self, sources: &[DataSource]) {
        let is_other = |source: &DataSource| {
            matches!(source, DataSource::File(_)) && !sources.contains(source)
        };
        let others = self.entries.iter().filter(|(source, _)| is_other(source));
        let mut changes: Vec<_> = others.map(|(_, entry)| entry.change).collect();
        let Some(surplus) = changes.len().checked_sub(DATA_FILES_MAX + 1) else { return };
        changes.sort_unstable();
        let last = changes.get(surplus).copied().unwrap_or_default();
        self.entries.retain(|source, entry| !is_other(source) || entry.change > last);
    }
}

impl BoundText {
    /// A scene with the present values of its texts, and what is wrong with their files and
    /// servers: the last values that could be read stand there then. `None` if it has no such
    /// texts.
    pub(crate) fn bound(
        &self,
        scene: &ResolvedScene,
    ) -> Option<(ResolvedScene, Vec<scene::Error>)> {
        let sources = sources(scene);
        if sources.is_empty() {
            return None;
        }
        self.look(&sources);
        let mut bound = scene.clone();
        let mut faults = Vec::new();
        bound.bind(&mut |layer, source, template| {
            let known = self.known();
            let entry = known.entries.get(source);
            let layer = layer.to_owned();
            match (source, entry.and_then(|entry| entry.fault.clone())) {
                (DataSource::File(path), Some(cause)) => {
                    faults.push(scene::Error::File { layer, path: path.clone(), cause });
                }
                (DataSource::Http(document), Some(cause)) => {
                    let url = document.url.shown();
                    faults.push(scene::Error::Document { layer, url, cause });
                }
                _ => {}
            }
            let values = entry.and_then(|entry| entry.values.as_ref());
            filled(template, values.unwrap_or(&Value::Null))
        });
        Some((bound, faults))
    }

    /// Reads those of the files that have been written since they were read. May take as long as
    /// the files do. Of too many others, those that have not changed for longest are forgotten.
    pub(crate) fn look(&self, sources: &[DataSource]) {
        for source in sources {
            let DataSource::File(path) = source else { continue };
            let stamp = FileStamp::of(path);
            let is_known = self.known().entries.get(source).is_some_and(|entry| {
                entry.fault.is_none() && stamp.is_some() && entry.stamp == stamp
            });
            if is_known {
                continue;
            }
            let found = read(path);
            self.known().settle(source, found).stamp = stamp;
        }
        self.known().forget_files(sources);
    }

    /// Takes a document of this name, or forgets it.
    ///
    /// # Errors
    /// If there are too many, or it is too large.
    pub(crate) fn push(&self, name: &str, document: Option<Value>) -> Result<(), String> {
        let source = DataSource::Pushed(name.to_owned());
        let length = document.as_ref().map_or(0, |document| document.to_string().len());
        if length > DATA_BYTES_MAX {
            return Err(format!("the document is larger than {DATA_BYTES_MAX} bytes"));
        }
        let mut known = self.known();
        let is_pushed = |it: &&DataSource| matches!(it, DataSource::Pushed(_));
        let pushed = known.entries.keys().filter(is_pushed).count();
        let Some(values) = document else {
            known.entries.remove(&source);
            return Ok(());
        };
        if pushed >= DATA_DOCUMENTS_MAX && !known.entries.contains_key(&source) {
            return Err(format!("a node has at most {DATA_DOCUMENTS_MAX} documents: delete one"));
        }
        known.changes += 1;
        let change = known.changes;
        let entry = Entry { values: Some(values), change, ..Entry::default() };
        known.entries.insert(source, entry);
        Ok(())
    }

    /// The documents that were pushed, by their names, or one of them.
    pub(crate) fn pushed(&self, name: Option<&str>) -> BTreeMap<String, Value> {
        let known = self.known();
        let pushed = known.entries.iter().filter_map(|(source, entry)| match source {
            DataSource::Pushed(of) if name.is_none_or(|name| of == name) => {
                Some((of.clone(), entry.values.clone()?))
            }
            _ => None,
        });
        pushed.collect()
    }

    /// What a server has of a document, or why that is not known.
    pub(crate) fn fetched(&self, document: &HttpDocument, found: Result<Value, String>) {
        self.known().settle(&DataSource::Http(document.clone()), found);
    }

    /// Nobody fetches that document any more.
    pub(crate) fn forget(&self, document: &HttpDocument) {
        self.known().entries.remove(&DataSource::Http(document.clone()));
    }

    /// A number that is another one when one of these has changed, come or gone.
    pub(crate) fn version_of(&self, sources: &[DataSource]) -> u64 {
        let known = self.known();
        let changes = sources.iter().map(|it| known.entries.get(it).map_or(0, |it| it.change));
        changes.fold(0, |version, change| version.wrapping_mul(1_000_003).wrapping_add(change))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the texts of a scene are bound to, each once.
pub(crate) fn sources(scene: &ResolvedScene) -> Vec<DataSource> {
    let mut sources: Vec<DataSource> = Vec::new();
    for source in scene.layers().into_iter().filter_map(|layer| layer.data.as_ref()) {
        if !sources.contains(source) {
            sources.push(source.clone());
        }
    }
    sources
}

fn read(path: &Path) -> Result<Value, String> {
    let mut text = String::new();
    let file = open_plain(path).map_err(|error| error.to_string())?;
    let length = file.take(DATA_BYTES_MAX as u64 + 1).read_to_string(&mut text);
    if length.map_err(|error| error.to_string())? > DATA_BYTES_MAX {
        return Err(format!("it is larger than {DATA_BYTES_MAX} bytes"));
    }
    DataFormat::of_name(path).values(&text)
}

impl DataFormat {
    /// Of a file with this name.
    pub(crate) fn of_name(path: &Path) -> Self {
        let is = |ending: &str| path.extension().is_some_and(|it| it.eq_ignore_ascii_case(ending));
        match (is("json"), is("csv")) {
            (true, _) => Self::Json,
            (_, true) => Self::Csv,
            _ => Self::Text,
        }
    }

    /// The values in a text.
    ///
    /// # Errors
    /// If it is not of this format.
    pub(crate) fn values(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Json => serde_json::from_str(text).map_err(|error| error.to_string()),
            Self::Csv => table(text),
            Self::Text => Ok(Value::String(text.trim_end().to_owned())),
        }
    }
}

/// The rows of a CSV file after the first, which has the names of their values.
fn table(text: &str) -> Result<Value, String> {
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let rows = reader.deserialize::<BTreeMap<String, String>>();
    let rows = rows.map(|row| row.map(|row| json!(row)).map_err(|error| error.to_string()));
    rows.collect::<Result<Value, String>>()
}

/// A template with values in the place of their names, such as `{score.home}`; a name that there is
/// not is nothing. `{{` and `}}` are braces. Without a template it is the whole value.
fn filled(template: &str, values: &Value) -> String {
    if template.is_empty() {
        return cut(shown(values));
    }
    let (mut text, mut rest) = (String::new(), template);
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        rest = match (from.strip_prefix("{{"), from.strip_prefix("}}"), from.find('}')) {
            (Some(after), ..) => {
                text.push('{');
                after
            }
            (None, Some(after), _) => {
                text.push('}');
                after
            }
            (None, None, Some(end)) if from.starts_with('{') => {
                text.push_str(&shown(value_of(values, from[1..end].trim())));
                &from[end + 1..]
            }
            // A brace without another is one.
            (None, None, _) => {
                text.push_str(&from[..1]);
                &from[1..]
            }
        };
    }
    text.push_str(rest);
    cut(text)
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}

/// The value at a path of keys and places with points between them. A key of a list is one of its
/// first row.
fn value_of<'a>(values: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(values, |value, key| {
        let found = match value {
            Value::Array(rows) => match key.parse::<usize>() {
                Ok(place) => rows.get(place),
                Err(_) => rows.first().and_then(|row| row.get(key)),
            },
            value => value.get(key),
        };
        found.unwrap_or(&Value::Null)
    })
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn a_template_shows_values_by_their_paths() {
        let values = json!({
            "home": "Reds", "score": { "home": 2, "away": 0 }, "live": true,
            "scorers": [{ "name": "Ada" }, { "name": "Bob" }], "none": null,
        });
        for (template, text) in [
            ("{home} {score.home}:{score.away}", "Reds 2:0"),
            ("{ live } {scorers.1.name} {scorers.name}", "true Bob Ada"),
            ("[{none}{gone}{home.deep}{scorers.9.name}]", "[]"),
            ("{{home}} { } }{", "{home}  }{"),
            ("no braces", "no braces"),
        ] {
            assert_eq!(filled(template, &values), text, "{template}");
        }
        assert_eq!(filled("", &json!("all of it")), "all of it");
        assert_eq!(filled("{a}", &json!({ "a": "é".repeat(20_000) })).len(), TEXT_BYTES_MAX);
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_and_its_last_good_values_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("score.json");
        let source = [DataSource::File(path.clone())];
        let data = BoundText::default();
        let now = |data: &BoundText| {
            data.look(&source);
            let known = data.known();
            let entry = &known.entries[&source[0]];
            (entry.values.clone(), entry.fault.clone(), entry.change)
        };
        let missing = now(&data);
        assert!(missing.0.is_none() && missing.1.unwrap().contains("No such file"));
        std::fs::write(&path, "{\"home\": 1}").unwrap();
        assert_eq!(now(&data), (Some(json!({ "home": 1 })), None, 2));
        assert_eq!(now(&data).2, 2, "nothing has changed");
        std::fs::write(&path, "{\"home\": ").unwrap();
        let broken = now(&data);
        assert_eq!((broken.0, broken.2), (Some(json!({ "home": 1 })), 3));
        assert!(broken.1.unwrap().contains("EOF"));
        std::fs::write(&path, " ".repeat(70_000)).unwrap();
        assert!(now(&data).1.unwrap().contains("larger than 65536 bytes"));
        std::fs::write(&path, "{\"home\": 20}").unwrap();
        assert_eq!(now(&data), (Some(json!({ "home": 20 })), None, 5));
        assert_eq!(data.version_of(&source), 5);
    }

    #[test]
    fn a_table_and_plain_lines_are_read_too() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            read(&path).unwrap()
        };
        let table = write("a.CSV", "name, goals\n\"Ada, \"\"A\"\"\",3\n\nBob,1\n");
        assert_eq!(filled("{name} {goals} {1.name}", &table), "Ada, \"A\" 3 Bob");
        assert_eq!(write("a.txt", "two\nlines\n"), json!("two\nlines"));
    }

    #[test]
    fn files_that_no_scene_shows_are_forgotten_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let data = BoundText::default();
        let file = |n: usize| {
            let path = folder.path().join(n.to_string());
            std::fs::write(&path, "seen").unwrap();
            [DataSource::File(path)]
        };
        let mut shown = file(0).to_vec();
        for n in 1..DATA_FILES_MAX + 40 {
            shown.truncate(1);
            shown.extend(file(n));
            data.look(&shown);
        }
        assert_eq!(data.known().entries.len(), DATA_FILES_MAX + 2);
        assert!(shown.iter().all(|source| data.version_of(std::slice::from_ref(source)) > 0));
        assert_eq!(data.version_of(&file(1)), 0);
    }

    #[test]
    fn documents_are_bounded_in_size_and_number() {
        let data = BoundText::default();
        let large = json!("x".repeat(70_000));
        assert!(data.push("a", Some(large)).unwrap_err().contains("larger"));
        for n in 0..DATA_DOCUMENTS_MAX {
            data.push(&n.to_string(), Some(json!(n))).unwrap();
        }
        assert!(data.push("one more", Some(json!(1))).unwrap_err().contains("at most 256"));
        data.push("3", Some(json!(4))).unwrap();
        let third = [DataSource::Pushed("3".to_owned())];
        assert_eq!(data.version_of(&third), 257);
        data.push("3", None).unwrap();
        assert_eq!(data.version_of(&third), 0);
        data.push("one more", Some(json!(1))).unwrap();
    }
}
