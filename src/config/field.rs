//! Field readers that several tables share: names, streams, files, and names that must differ.

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::IpAddr;
use std::path::PathBuf;

use super::fault::{Faults, quoted};
use super::section::{Found, Section};
use crate::scene::Color;

pub(super) const BLACK: Color = Color { r: 0, g: 0, b: 0, a: 255 };

/// Longest name of a node, channel, layer, audio or output, characters.
const NAME_CHARS_MAX: usize = 64;

/// Longest public stream name, bytes.
const STREAM_BYTES_MAX: usize = 256;

/// A name for logs, metrics and the API: any letters, but neither empty nor very long.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let long = text.chars().nth(NAME_CHARS_MAX).is_some();
    if text.trim().is_empty() || long || text.chars().any(char::is_control) {
        let shown = quoted(text);
        return Err(format!("{shown} is not a name: 1 to {NAME_CHARS_MAX} letters on one line"));
    }
    Ok(text.to_owned())
}

/// The address that a port listens on.
pub(super) fn bind(s: &mut Section<'_>, faults: &mut Faults<'_>, default: IpAddr) -> IpAddr {
    let parse = |text: &str| {
        text.parse()
            .map_err(|_| format!("{} is not an IP address such as \"0.0.0.0\"", quoted(text)))
    };
    s.parsed(faults, "bind", parse).map_or(default, |found| found.value)
}

/// A file that holds a secret.
pub(super) fn private_file(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("it is empty; name a file that only the node's user can read".to_owned()),
        _ if text.contains('\0') => Err("a file's name has no NUL".to_owned()),
        _ => Ok(PathBuf::from(text)),
    }
}

/// A folder that has a usual place.
pub(super) fn folder(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<PathBuf> {
    let found = s.parsed(faults, "folder", |text| match text {
        "" => Err("it is empty; name a folder, or leave it out".to_owned()),
        folder => Ok(PathBuf::from(folder)),
    });
    found.map(|found| found.value)
}

/// A name that must be there.
pub(super) fn needed_name(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<Found<String>> {
    s.needed(faults, "name")?;
    s.parsed(faults, "name", name)
}

/// A public stream name: `app/name`, at most 256 bytes, of letters, digits, `-`, `_`, `.` and `/`.
pub(super) fn stream_name(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let parts: Vec<_> = text.split('/').collect();
    let shaped = parts.len() >= 2 && parts.iter().all(|part| !part.is_empty());
    let fits = text.len() <= STREAM_BYTES_MAX && text.chars().all(good);
    if shaped && fits && !text.contains("..") {
        return Ok(text.to_owned());
    }
    let shown = quoted(text);
    Err(format!(
        "{shown} is not a stream name such as \"live/show\": an application, a slash and a name, \
         of letters, digits, - _ and ."
    ))
}

/// A public stream name that must be there.
pub(super) fn needed_stream(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<String> {
    s.needed(faults, "stream")?;
    s.parsed(faults, "stream", stream_name).map(|found| found.value)
}

/// A file that must be there and can be read.
pub(super) fn needed_file(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<PathBuf> {
    let found = s.needed(faults, "path")?;
    match file_name(found.value) {
        Ok(path) => Some(path.into()),
        Err(text) => {
            faults.add(&found.span, format!("`path`: {text}; name a file"));
            None
        }
    }
}

/// A text that can be the name of a file, whether or not there is one.
pub(super) fn file_name(text: &str) -> Result<&str, String> {
    match text {
        "" => Err("it is empty".to_owned()),
        text if text.contains("://") => Err(format!("{} is an address", quoted(text))),
        text => Ok(text),
    }
}

/// The path of a file that can be read, or what is wrong with it.
pub(super) fn readable(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let wrong = |error| format!("{}: {error}", quoted(text));
    // Only a plain file is opened: to open a pipe would wait for whoever writes into it.
    if !fs::metadata(&path).map_err(wrong)?.is_file() {
        return Err(format!("{} is not a file", quoted(text)));
    }
    File::open(&path).map_err(wrong)?;
    Ok(path)
}

/// Names that must differ: tells the second one where the first is.
pub(super) fn unique(
    faults: &mut Faults<'_>,
    seen: &mut HashMap<String, usize>,
    what: &str,
    name: &Found<String>,
) {
    let Some(first) = seen.get(&name.value) else {
        seen.insert(name.value.clone(), name.span.start);
        return;
    };
    let (place, shown) = (faults.whereabouts(*first), quoted(&name.value));
    faults.add(&name.span, format!("{what} {shown} is already {place}; choose another"));
}

/// `#rrggbb` or `#rrggbbaa`.
pub(super) fn color(text: &str) -> Result<Color, String> {
    let wrong = || {
        let shown = quoted(text);
        format!("{shown} is not a colour such as \"#1a2b3c\" or, with alpha, \"#1a2b3c80\"")
    };
    let digits = text.strip_prefix('#').ok_or_else(wrong)?;
    if !matches!(digits.len(), 6 | 8) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let part = |at: usize| {
        digits.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok()).unwrap_or(255)
    };
    Ok(Color { r: part(0), g: part(2), b: part(4), a: part(6) })
}

/// A colour as [`color`] reads it.
pub(super) fn color_text(Color { r, g, b, a }: Color) -> String {
    match a {
        255 => format!("#{r:02x}{g:02x}{b:02x}"),
        a => format!("#{r:02x}{g:02x}{b:02x}{a:02x}"),
    }
}

/// A number that is read as the same, by way of its text: 36.4, not 36.400001525878906.
pub(super) fn decimal(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| number.into())
}
