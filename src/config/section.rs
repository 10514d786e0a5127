//! Table reader, key by key: types and ranges are checked here, and keys that nobody asked for are
//! told at the end.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Faults, quoted};
use crate::media::parse_bitrate;

/// A table while it is read. Values out of range or of the wrong type are told and then read as if
/// they were not there, so that one mistake is told once and the others are still found.
pub(super) struct Section<'a> {
    table: &'a DeTable<'a>,
    /// Its name as it is written, such as `[channel.video]`.
    name: String,
    span: Range<usize>,
    asked: BTreeSet<&'static str>,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

impl<'a> Section<'a> {
    pub(super) fn new(table: &'a DeTable<'a>, name: &str, span: Range<usize>) -> Self {
        Self { table, name: name.to_owned(), span, asked: BTreeSet::new() }
    }

    /// Where it begins.
    pub(super) const fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// Where the value of `key` is, or where the table begins.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        self.table.get(key).map_or_else(|| self.span.clone(), Spanned::span)
    }

    /// Says more about what it is, for the messages that follow.
    pub(super) fn call(&mut self, more: &str) {
        self.name = format!("{} {more}", self.name);
    }

    /// A string, if the key is there.
    pub(super) fn text(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
    ) -> Option<Found<&'a str>> {
        let value = self.find(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong(faults, value, key, "a text in quotes");
            return None;
        };
        Some(Found { value: text, span: value.span() })
    }

    /// A string that must be there.
    pub(super) fn needed(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
    ) -> Option<Found<&'a str>> {
        if self.find(key).is_none() {
            faults.add(&self.span, format!("{} needs `{key}`", self.name));
        }
        self.text(faults, key)
    }

    /// A string turned into something else; `convert` says what is allowed if it fails.
    pub(super) fn parsed<T>(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
        convert: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Found<T>> {
        let Found { value, span } = self.text(faults, key)?;
        match convert(value) {
            Ok(value) => Some(Found { value, span }),
            Err(text) => {
                faults.add(&span, format!("`{key}`: {text}"));
                None
            }
        }
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let choose = |text: &str| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                let hint = nearest(text, words.iter().map(|(word, _)| *word));
                let hint = hint.map(|word| format!("; did you mean \"{word}\"?"));
                let (text, known) = (quoted(text), known.join(", "));
                format!("{text} is not one of {known}{}", hint.unwrap_or_default())
            })
        };
        self.parsed(faults, key, choose).map(|found| found.value)
    }

    /// `true` or `false`.
    pub(super) fn flag(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
        default: bool,
    ) -> bool {
        let Some(value) = self.find(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong(faults, value, key, "true or false");
            default
        })
    }

    /// A whole number within `range`, if the key is there.
    pub(super) fn whole<T>(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
        range: RangeInclusive<T>,
    ) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + Display + Copy,
    {
        let value = self.find(key)?;
        if value.get_ref().as_integer().is_none() {
            self.wrong(faults, value, key, "a whole number");
            return None;
        }
        let number = integer(value.get_ref()).and_then(|number| T::try_from(number).ok());
        within(faults, value, key, number, &range)
    }

    /// Bits per second within `range`, if the key is there: a whole number, or a text with a unit
    /// such as `"6M"`.
    pub(super) fn bitrate(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = self.find(key)?;
        let bits = match value.get_ref() {
            DeValue::String(text) => match parse_bitrate(text) {
                Ok(bits) => Some(bits),
                Err(fault) => {
                    faults.add(&value.span(), format!("`{key}`: {}: {fault}", quoted(text)));
                    return None;
                }
            },
            DeValue::Integer(_) => integer(value.get_ref()).and_then(|n| u64::try_from(n).ok()),
            _ => {
                self.wrong(faults, value, key, "bits per second, such as 6000000 or \"6M\"");
                return None;
            }
        };
        let fits = bits.filter(|bits| range.contains(bits));
        if fits.is_none() {
            // Encoders count in kilobits, and show the number alone.
            let meant = bits.filter(|bits| bits < range.start());
            let meant = meant.filter(|bits| range.contains(&bits.saturating_mul(1_000)));
            let hint = meant.map(|bits| format!(" bits per second; did you mean \"{bits}k\"?"));
            outside(faults, value, key, &range, hint.as_deref().unwrap_or_default());
        }
        fits
    }

    /// A number within `range`, if the key is there.
    pub(super) fn number(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
        range: RangeInclusive<f32>,
    ) -> Option<f32> {
        let value = self.find(key)?;
        let number = match value.get_ref() {
            #[expect(clippy::cast_precision_loss, reason = "far outside any range by then")]
            DeValue::Integer(_) => integer(value.get_ref()).map(|number| number as f32),
            DeValue::Float(number) => number.as_str().parse::<f32>().ok(),
            _ => {
                self.wrong(faults, value, key, "a number");
                return None;
            }
        };
        within(faults, value, key, number, &range)
    }

    /// A whole number within `range`; nothing for `"auto"` or if the key is not there.
    pub(super) fn auto_or(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let value = self.find(key)?;
        if value.get_ref().as_str() == Some("auto") {
            return None;
        }
        if value.get_ref().as_integer().is_none() {
            let want = format!("\"auto\" or a whole number, {} to {}", range.start(), range.end());
            self.wrong(faults, value, key, &want);
            return None;
        }
        self.whole(faults, key, range)
    }

    /// A list of CPU numbers; nothing for `"auto"` or if the key is not there.
    pub(super) fn cpus(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
    ) -> Option<Vec<usize>> {
        let value = self.find(key)?;
        if value.get_ref().as_str() == Some("auto") {
            return None;
        }
        let list = value.get_ref().as_array().filter(|list| !list.is_empty());
        let Some(list) = list else {
            let got = if value.get_ref().is_array() { "an empty list" } else { "anything else" };
            let want = "\"auto\" or a list of CPU numbers such as [0, 1]";
            let text = format!("`{key}` in {} must be {want}, not {got}", self.name);
            faults.add(&value.span(), text);
            return None;
        };
        let mut numbers = Vec::new();
        for one in list {
            let number = integer(one.get_ref()).and_then(|number| usize::try_from(number).ok());
            match number {
                Some(number) if numbers.contains(&number) => {
                    faults.add(&one.span(), format!("`{key}`: CPU {number} is there twice"));
                }
                Some(number) => numbers.push(number),
                None => {
                    let text =
                        format!("`{key}`: a CPU is a whole number from 0, such as in [0, 1]");
                    faults.add(&one.span(), text);
                }
            }
        }
        Some(numbers)
    }

    /// A list of texts, each turned into something else; `convert` says what is allowed.
    pub(super) fn texts<T>(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
        convert: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = self.find(key)?;
        let Some(list) = value.get_ref().as_array() else {
            self.wrong(faults, value, key, "a list of texts in quotes, such as [\"...\"]");
            return None;
        };
        let mut found = Vec::new();
        for one in list {
            let Some(text) = one.get_ref().as_str() else {
                self.wrong(faults, one, key, "a list of texts in quotes");
                continue;
            };
            match convert(text) {
                Ok(value) => found.push(value),
                Err(text) => faults.add(&one.span(), format!("`{key}`: {text}")),
            }
        }
        Some(found)
    }

    /// The value itself, for keys that take more than one type.
    pub(super) fn any(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.find(key)
    }

    /// A table of this one, if it is there.
    pub(super) fn table(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
        name: &str,
    ) -> Option<Self> {
        let value = self.find(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(faults, value, key, &format!("a table: write {name}"));
            return None;
        };
        Some(Section::new(table, name, value.span()))
    }

    /// The tables of a list `[[...]]`.
    pub(super) fn tables(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
        name: &str,
    ) -> Vec<Self> {
        let Some(value) = self.find(key) else { return Vec::new() };
        let Some(list) = value.get_ref().as_array() else {
            self.wrong(faults, value, key, &format!("a list of tables: write {name}"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for one in list {
            match one.get_ref().as_table() {
                Some(table) => tables.push(Section::new(table, name, one.span())),
                None => self.wrong(faults, one, key, &format!("a list of tables: write {name}")),
            }
        }
        tables
    }

    /// Where the first entry of a list is, if there is one.
    pub(super) fn first(&self, key: &str) -> Option<Range<usize>> {
        self.table.get(key)?.get_ref().as_array()?.first().map(Spanned::span)
    }

    /// Tells every key that nobody asked for, with the nearest one that exists.
    pub(super) fn finish(self, faults: &mut Faults<'_>) {
        for (key, value) in self.table {
            let text: &str = key.get_ref();
            if self.asked.contains(text) {
                continue;
            }
            let hint = match nearest(text, self.asked.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("it knows {}", list(&self.asked)),
            };
            let (shown, name) = (quoted(text), &self.name);
            let (shown, kind) = (shown.trim_matches('"'), kind_of(value.get_ref()));
            faults.add(&key.span(), format!("unknown {kind} `{shown}` in {name}; {hint}"));
        }
    }

    fn find(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.insert(key);
        self.table.get(key)
    }

    fn wrong(&self, faults: &mut Faults<'_>, value: &Spanned<DeValue<'_>>, key: &str, want: &str) {
        let got = value.get_ref().type_str();
        faults.add(&value.span(), format!("`{key}` in {} must be {want}, not {got}", self.name));
    }
}

/// The word for what stands under a name in a file: `[rtmp]` is a table to whoever writes it.
fn kind_of(value: &DeValue<'_>) -> &'static str {
    let is_table = |one: &Spanned<DeValue<'_>>| one.get_ref().is_table();
    match value {
        DeValue::Table(_) => "table",
        DeValue::Array(list) if list.first().is_some_and(is_table) => "table",
        _ => "key",
    }
}

/// A whole number in any of the ways TOML writes it.
pub(super) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// The number, if there is one in this range.
fn within<T: Display + PartialOrd>(
    faults: &mut Faults<'_>,
    value: &Spanned<DeValue<'_>>,
    key: &str,
    number: Option<T>,
    range: &RangeInclusive<T>,
) -> Option<T> {
    let fits = number.filter(|number| range.contains(number));
    if fits.is_none() {
        outside(faults, value, key, range, "");
    }
    fits
}

fn outside<T: Display>(
    faults: &mut Faults<'_>,
    value: &Spanned<DeValue<'_>>,
    key: &str,
    range: &RangeInclusive<T>,
    hint: &str,
) {
    let got = match value.get_ref() {
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::String(text) => text.to_string(),
        other => other.type_str().to_owned(),
    };
    let got = quoted(&got);
    let (low, high, got) = (range.start(), range.end(), got.trim_matches('"'));
    faults.add(&value.span(), format!("`{key}` must be {low} to {high}, not {got}{hint}"));
}

fn list(known: &BTreeSet<&'static str>) -> String {
    known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

/// Letters of a word that may be a known one misspelt; longer ones are something else.
const WORD_CHARS_MAX: usize = 40;

/// The known word that `text` is probably meant to be.
fn nearest(text: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let letters = text.chars().take(WORD_CHARS_MAX + 1).count();
    if letters > WORD_CHARS_MAX {
        return None;
    }
    // One letter of three may be wrong, and never all of them.
    let most = (1 + letters / 3).min(letters.saturating_sub(1));
    let known = known.filter(|word| !word.is_empty());
    let near = known.map(|word| (distance(word, text), word)).min()?;
    (near.0 <= most).then_some(near.1)
}

/// How many letters must change, come, go, or change places with the next one to make one word the
/// other (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let [a, b] = [a, b].map(|word| word.chars().collect::<Vec<_>>());
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_a_few_letters_away() {
        assert_eq!(distance("bitrate", "bitrat"), 1);
        assert_eq!(distance("port", "prot"), 1, "two letters that changed places");
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        let known = || ["bitrate", "fps", "x", "y"].into_iter();
        assert_eq!(nearest("bitrat", known()), Some("bitrate"));
        assert_eq!(nearest("fsp", known()), Some("fps"));
        assert_eq!(nearest("rmtp", ["http", "rtmp"].into_iter()), Some("rtmp"));
        assert_eq!(nearest("", known()), None);
        assert_eq!(nearest("q", known()), None);
        assert_eq!(nearest(&"bitrate".repeat(100), known()), None);
    }
}
