//! Kept documents: what programs have pushed for the texts of scenes, on the disk over a restart.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::control::durable;

/// Name of the file in the data directory.
pub(crate) const FILE_NAME: &str = "documents.json";

/// Largest file that is read, bytes. A larger one is something else.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Documents by their names.
pub(crate) type Documents = BTreeMap<String, Value>;

/// Those that were kept in this folder; none if that is not known. One that cannot be read keeps
/// no node down.
pub(crate) fn read(folder: &Path) -> Documents {
    let path = folder.join(FILE_NAME);
    let text = durable::read(&path, FILE_BYTES_MAX).map_err(|error| error.to_string());
    let read = text.and_then(|text| match text {
        Some(text) => serde_json::from_str(&text).map_err(|error| error.to_string()),
        None => Ok(Documents::new()),
    });
    read.unwrap_or_else(|fault| {
        tracing::error!("{} cannot be used ({fault}): texts begin without it", path.display());
        Documents::new()
    })
}

/// The file that has these; `None` if there are none to keep.
pub(crate) fn text(documents: &Documents) -> Option<String> {
    (!documents.is_empty()).then(|| serde_json::json!(documents).to_string())
}
