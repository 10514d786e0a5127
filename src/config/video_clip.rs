//! Video clips of layers and audio sources: `type = "video"`.

use serde_json::{Value, json};

use super::fault::Faults;
use super::field::needed_file;
use super::section::Section;
use crate::media::{Micros, VideoClip};

/// Latest in and out point, milliseconds: a day.
pub(super) const POINT_MS_MAX: u32 = 24 * 3_600 * 1_000;

/// `path`, `loop`, `start_ms` and `end_ms`.
pub(super) fn read(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<VideoClip> {
    let path = needed_file(s, faults);
    let looped = s.flag(faults, "loop", true);
    let start = s.whole(faults, "start_ms", 0..=POINT_MS_MAX).unwrap_or(0);
    let end = s.whole(faults, "end_ms", 1..=POINT_MS_MAX);
    if end.is_some_and(|end| end <= start) {
        let text = "`end_ms` is not after `start_ms`: nothing of the file is left".to_owned();
        faults.add(&s.place("end_ms"), text);
        return None;
    }
    let point = |ms: u32| Micros::from_millis(ms.into());
    Some(VideoClip { path: path?, looped, in_point: point(start), out_point: end.map(point) })
}

/// Adds the keys to a document.
pub(super) fn put(clip: &VideoClip, put: &mut impl FnMut(&str, Value)) -> &'static str {
    let VideoClip { path, looped, in_point, out_point } = clip;
    put("path", json!(path.to_string_lossy()));
    put("loop", json!(looped));
    put("start_ms", json!(in_point.millis()));
    if let Some(end) = out_point {
        put("end_ms", json!(end.millis()));
    }
    "video"
}
