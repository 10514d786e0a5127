//! Frames layers of a scene, whose pictures another program sends: `type = "frames"`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::fault::Faults;
use super::field::file_name;
use super::section::Section;

/// Longest path of a Unix socket, bytes.
const SOCKET_BYTES_MAX: usize = 107;

/// `socket` and `slate`.
pub(super) fn read(s: &mut Section<'_>, faults: &mut Faults<'_>) -> (Option<PathBuf>, String) {
    let is_there = s.needed(faults, "socket").is_some();
    let socket = is_there.then(|| s.parsed(faults, "socket", socket)).flatten();
    let socket = socket.map(|found| found.value);
    let slate = s.text(faults, "slate").map_or("", |found| found.value).to_owned();
    (socket, slate)
}

/// A path for a socket.
fn socket(text: &str) -> Result<PathBuf, String> {
    let path = file_name(text).map_err(|error| format!("{error}; name the path of a socket"))?;
    let is_absolute = Path::new(path).is_absolute();
    if !is_absolute || path.len() > SOCKET_BYTES_MAX || path.contains('\0') {
        return Err(format!(
            "a Unix socket has an absolute path of at most {SOCKET_BYTES_MAX} bytes, such as \
             \"/run/user/1000/overlay\""
        ));
    }
    Ok(path.into())
}

/// Adds the keys to the document of a layer; its type.
pub(super) fn put(socket: &Path, slate: &str, put: &mut impl FnMut(&str, Value)) -> &'static str {
    put("socket", json!(socket.to_string_lossy()));
    put("slate", json!(slate));
    "frames"
}
