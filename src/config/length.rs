//! Length of a layer's side or offset, pixels or a part of what it lies in, in a configuration file
//! and in documents.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::fault::{Faults, quoted};
use super::section::Section;
use crate::scene::Length;

/// Farthest a layer's box may be from the canvas, and its largest side, pixels.
pub(super) const REACH: i32 = 16_384;

/// The largest part of what a layer lies in, thousandths of a percent.
const PERCENT_MAX: i32 = 1_000_000;

/// Pixels within `range`, or a part such as `"25%"` that has the same sign.
pub(super) fn read(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    key: &'static str,
    range: RangeInclusive<i32>,
) -> Option<Length> {
    if s.any(key)?.get_ref().as_str().is_none() {
        return s.whole(faults, key, range).map(Length::Pixels);
    }
    let least = if *range.start() > 0 { 1 } else { -PERCENT_MAX };
    let part = |text: &str| match Length::percent(text) {
        Some(Length::Percent(part)) if (least..=PERCENT_MAX).contains(&part) => {
            Ok(Length::Percent(part))
        }
        _ => Err(format!(
            "{} is neither pixels nor a part such as \"25%\", with at most three places and 1000 %",
            quoted(text)
        )),
    };
    s.parsed(faults, key, part).map(|found| found.value)
}

/// The value of a length in a document.
pub(super) fn to_value(length: Length) -> Value {
    match length {
        Length::Pixels(pixels) => json!(pixels),
        Length::Percent(_) => json!(length.to_string()),
    }
}
