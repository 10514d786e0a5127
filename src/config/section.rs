//! One table of a document, read key by key: types and ranges are checked here, and keys that
//! nobody asked for are told at the end.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Faults;

/// A table while it is read.
pub(super) struct Section<'a> {
    table: &'a DeTable<'a>,
    /// Its name as it is written, such as `[channel.video]`.
    name: String,
    span: Range<usize>,
    asked: BTreeSet<&'static str>,
}

/// A value with its place.
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

impl<'a> Section<'a> {
    pub(super) fn new(table: &'a DeTable<'a>, name: &str, span: Range<usize>) -> Self {
        Self { table, name: name.to_owned(), span, asked: BTreeSet::new() }
    }

    pub(super) fn span(&self) -> &Range<usize> {
        &self.span
    }

    fn find(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.insert(key);
        self.table.get(key)
    }

    fn wrong(&self, faults: &mut Faults<'_>, value: &Spanned<DeValue<'_>>, key: &str, want: &str) {
        let got = value.get_ref().type_str();
        faults.add(&value.span(), format!("`{key}` in {} must be {want}, not {got}", self.name));
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
    ) -> Option<T> {
        let Found { value, span } = self.text(faults, key)?;
        convert(value).map_err(|text| faults.add(&span, format!("`{key}`: {text}"))).ok()
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        self.parsed(faults, key, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                format!("\"{text}\" is not one of {}", known.join(", "))
            })
        })
    }

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
        let Some(number) = value.get_ref().as_integer() else {
            self.wrong(faults, value, key, "a whole number");
            return None;
        };
        let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
        let fits = number.and_then(|number| T::try_from(number).ok());
        let fits = fits.filter(|number| range.contains(number));
        if fits.is_none() {
            let (low, high) = (range.start(), range.end());
            faults.add(&value.span(), format!("`{key}` must be {low} to {high}"));
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
            DeValue::Integer(number) => number.as_str().parse::<f32>().ok(),
            DeValue::Float(number) => number.as_str().parse::<f32>().ok(),
            _ => {
                self.wrong(faults, value, key, "a number");
                return None;
            }
        };
        let fits = number.filter(|number| range.contains(number));
        if fits.is_none() {
            let (low, high) = (range.start(), range.end());
            faults.add(&value.span(), format!("`{key}` must be {low} to {high}"));
        }
        fits
    }

    /// Either `"auto"` (or nothing) or a list of CPU numbers.
    pub(super) fn cpus(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
    ) -> Option<Vec<usize>> {
        let value = self.find(key)?;
        if value.get_ref().as_str() == Some("auto") {
            return None;
        }
        let numbers = value.get_ref().as_array().map(|list| {
            let number =
                |one: &Spanned<DeValue<'_>>| one.get_ref().as_integer()?.as_str().parse().ok();
            list.iter().map(number).collect::<Option<Vec<usize>>>()
        });
        let Some(Some(numbers)) =
            numbers.filter(|list| list.as_ref().is_none_or(|l| !l.is_empty()))
        else {
            self.wrong(faults, value, key, "\"auto\" or a list of CPU numbers such as [0, 1]");
            return None;
        };
        Some(numbers)
    }

    /// The value itself, for keys that take more than one type.
    pub(super) fn any(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.find(key)
    }

    /// A table of this one, empty if it is not there.
    pub(super) fn table(
        &mut self,
        faults: &mut Faults<'_>,
        key: &'static str,
        name: &str,
    ) -> Option<Self> {
        let value = self.find(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(faults, value, key, "a table");
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
                None => self.wrong(faults, one, key, "a table"),
            }
        }
        tables
    }

    /// Tells every key that nobody asked for, with the nearest one that exists.
    pub(super) fn finish(self, faults: &mut Faults<'_>) {
        for key in self.table.keys() {
            let text: &str = key.get_ref();
            if self.asked.contains(text) {
                continue;
            }
            let nearest = self.asked.iter().map(|known| (distance(known, text), known)).min();
            let hint = match nearest {
                Some((steps, known)) if steps <= 1 + text.len() / 3 => {
                    format!("; did you mean `{known}`?")
                }
                _ => format!("; it knows {}", list(&self.asked)),
            };
            faults.add(&key.span(), format!("unknown key `{text}` in {}{hint}", self.name));
        }
    }
}

fn list(known: &BTreeSet<&'static str>) -> String {
    known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

/// How many letters must change to make one word the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_a_few_letters_away() {
        assert_eq!(distance("bitrate", "bitrat"), 1);
        assert_eq!(distance("port", "prot"), 2);
        assert_eq!(distance("", "abc"), 3);
    }
}
