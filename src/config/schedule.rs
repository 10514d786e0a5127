//! `[channel.schedule]`, and the file that it names: what a channel shows when.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::{Date, Time, Weekday};
use toml::de::DeTable;

use super::fault::{Errors, Faults, quoted};
use super::field::{name, needed_name, unique};
use super::scene::NamedScene;
use super::section::Section;
use super::text_file::read_text;
use super::transition;
use crate::schedule::{
    DURATION_MAX_MS, DURATION_MIN_MS, Days, ITEMS_MAX, Item, Rundown, SOFT_LIMIT_MAX_MS,
    SOFT_LIMIT_MS, Start, Weekdays, When, Zone,
};

/// The days as they are written, from Monday.
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// `[channel.schedule]`
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleConfig {
    /// The file with the rundown.
    pub file: PathBuf,
    /// What stood in it.
    pub rundown: Arc<Rundown>,
    /// Folder of the as-run log; by default `as-run` in the data directory.
    pub as_run_folder: Option<PathBuf>,
    /// Size from which its file is put aside, bytes, 4096 to 2^40.
    pub as_run_max_bytes: u64,
    /// Files put aside that are kept, 0 to 1000.
    pub as_run_keep: u32,
}

/// Reads `[channel.schedule]` of a channel with these scenes, and its file.
pub(super) fn read(
    mut s: Section<'_>,
    faults: &mut Faults<'_>,
    scenes: &[NamedScene],
) -> Option<ScheduleConfig> {
    let file = s.needed(faults, "file");
    let folder = s.parsed(faults, "as_run_folder", |text| match text {
        "" => Err("it is empty; name a folder, or leave it out".to_owned()),
        folder => Ok(PathBuf::from(folder)),
    });
    let max_bytes = s.whole(faults, "as_run_max_bytes", 4_096..=1_i64 << 40);
    let keep = s.whole(faults, "as_run_keep", 0..=1_000);
    s.finish(faults);
    let file = file?;
    let rundown = match read_schedule(Path::new(file.value)) {
        Ok(rundown) => rundown,
        Err(errors) => {
            for line in errors.to_string().lines() {
                let line = line.strip_prefix("error: ").unwrap_or(line);
                faults.add(&file.span, format!("`file`: {line}"));
            }
            return None;
        }
    };
    for text in no_scene_faults(&rundown, scenes.iter().map(|it| it.name.as_str())) {
        faults.add(&file.span, format!("`file`: {}: {text}", file.value));
    }
    Some(ScheduleConfig {
        file: file.value.into(),
        rundown: Arc::new(rundown),
        as_run_folder: folder.map(|found| found.value),
        as_run_max_bytes: max_bytes.map_or(10 << 20, i64::unsigned_abs),
        as_run_keep: keep.unwrap_or(10),
    })
}

/// What a rundown names that is none of these scenes.
pub fn no_scene_faults<'a>(
    rundown: &Rundown,
    scenes: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let scenes: Vec<_> = scenes.into_iter().collect();
    let known: Vec<_> = scenes.iter().map(|scene| quoted(scene)).collect();
    let missing = rundown.scenes().filter(|(_, scene)| !scenes.contains(scene));
    let texts = missing.map(|(item, scene)| {
        let whose = item.map_or_else(|| "`filler`".to_owned(), |it| format!("item {}", quoted(it)));
        let (scene, known) = (quoted(scene), known.join(", "));
        format!("{whose}: {scene} is no scene of the channel; it has {known}")
    });
    texts.collect()
}

/// Reads a file with a rundown: `time_zone`, `filler` and `[[item]]`.
///
/// # Errors
/// Everything that is wrong in it, or that it cannot be read.
pub fn read_schedule(path: &Path) -> Result<Rundown, Errors> {
    let origin = path.display().to_string();
    let text = read_text(path).map_err(|text| Errors::about(&origin, text))?;
    parse(&text, &origin)
}

/// The same of a text, which errors call `origin`.
fn parse(text: &str, origin: &str) -> Result<Rundown, Errors> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut faults = Faults::new(text);
    for error in errors {
        faults.add(&error.span().unwrap_or_default(), error.message().replace('\n', ", "));
    }
    faults.into_result(origin)?;
    let mut faults = Faults::new(text);
    let mut top = Section::new(root.get_ref(), "the schedule", 0..0);
    let zone = top.parsed(&mut faults, "time_zone", Zone::named);
    let filler = top.parsed(&mut faults, "filler", name).map(|found| found.value);
    let tables = top.tables(&mut faults, "item", "[[item]]");
    if tables.is_empty() && top.any("item").is_none() {
        faults.add(&(0..0), "a schedule needs items: write [[item]] with `name`, `scene` and `at`");
    }
    let mut items: Vec<Arc<Item>> = Vec::new();
    let mut seen = HashMap::new();
    let mut is_whole = true;
    for table in tables {
        if items.len() == ITEMS_MAX {
            faults.add(table.span(), format!("a schedule has at most {ITEMS_MAX} items"));
            break;
        }
        // What an item follows is not told if that is wrong itself.
        let before = items.last().filter(|_| is_whole).map(Arc::as_ref);
        let is_first = items.is_empty() && is_whole;
        let item = read_item(table, &mut faults, &mut seen, (is_first, before));
        is_whole = item.is_some();
        items.extend(item.map(Arc::new));
    }
    top.finish(&mut faults);
    faults.into_result(origin)?;
    Ok(Rundown { zone: zone.map(|found| found.value).unwrap_or_default(), filler, items })
}

fn read_item(
    mut s: Section<'_>,
    faults: &mut Faults<'_>,
    seen: &mut HashMap<String, usize>,
    (is_first, before): (bool, Option<&Item>),
) -> Option<Item> {
    let own = needed_name(&mut s, faults);
    if let Some(own) = &own {
        unique(faults, seen, "an item with the name", own);
        s.call(&own.value);
    }
    s.needed(faults, "scene");
    let scene = s.parsed(faults, "scene", name);
    let range = (DURATION_MIN_MS, DURATION_MAX_MS);
    let duration = s.parsed(faults, "duration", |text| length(text, range));
    let ends_with = s.text(faults, "ends_with").map(|found| found.value.to_owned());
    let filler = s.parsed(faults, "filler", name).map(|found| found.value);
    let transition = transition::read(&mut s, faults);
    let when = read_when(&mut s, faults);
    if when == Some(When::Next) {
        let has_end = |it: &Item| it.duration_ms.is_some() || it.ends_with.is_some();
        if is_first {
            faults.add(s.span(), "the first item needs `at`, as there is none before it");
        } else if let Some(before) = before.filter(|it| !has_end(it)) {
            let before = quoted(&before.name);
            let text = format!(
                "this item never starts: {before} before it has no `duration` and no `ends_with`; \
                 give it one of them, or this one `at`"
            );
            faults.add(s.span(), text);
        }
    }
    s.finish(faults);
    Some(Item {
        name: own?.value,
        scene: scene?.value,
        when: when?,
        duration_ms: duration.map(|found| found.value),
        ends_with,
        filler,
        transition,
    })
}

/// `at`, `days` or `date`, `start` and `soft_limit`. Nothing if what makes it a time is wrong.
fn read_when(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<When> {
    let has_time = s.any("at").is_some();
    let time = s.parsed(faults, "at", time_of_day);
    let days = s.texts(faults, "days", |text| {
        let found = DAYS.iter().find(|(word, _)| *word == text);
        found.map(|(_, day)| *day).ok_or_else(|| {
            let known: Vec<_> = DAYS.iter().map(|(word, _)| quoted(word)).collect();
            format!("{} is not one of {}", quoted(text), known.join(", "))
        })
    });
    let date = s.parsed(faults, "date", |text| {
        let wrong = |_| format!("{} is no date such as \"2026-12-24\"", quoted(text));
        text.parse::<Date>().map_err(wrong)
    });
    let is_soft = s.word(faults, "start", &[("hard", false), ("soft", true)]);
    let limit = s.parsed(faults, "soft_limit", |text| length(text, (0, SOFT_LIMIT_MAX_MS)));
    if !has_time {
        for key in ["days", "date", "start", "soft_limit"] {
            if s.any(key).is_some() {
                let text = format!("`{key}` goes with `at`: give that as well, or leave it out");
                faults.add(&s.place(key), text);
            }
        }
        return Some(When::Next);
    }
    if let (Some(_), Some(date)) = (&days, &date) {
        faults.add(&date.span, "`date` goes with no `days`; leave one of them out");
    }
    if days.as_ref().is_some_and(Vec::is_empty) {
        faults.add(&s.place("days"), "`days` is empty; leave it out for every day");
    }
    if let Some(limit) = limit.as_ref().filter(|_| is_soft != Some(true)) {
        faults.add(&limit.span, "`soft_limit` goes with `start = \"soft\"`; leave it out");
    }
    let days = match (date, days) {
        (Some(date), _) => Days::Date(date.value),
        (None, None) => Days::Week(Weekdays::ALL),
        (None, Some(days)) => Days::Week(days.into_iter().fold(Weekdays::NONE, Weekdays::with)),
    };
    let limit_ms = limit.map_or(SOFT_LIMIT_MS, |found| found.value);
    let start = if is_soft == Some(true) { Start::Soft { limit_ms } } else { Start::Hard };
    Some(When::At { time: time?.value, days, start })
}

fn time_of_day(text: &str) -> Result<Time, String> {
    let wrong = || format!("{} is no time of day such as \"19:30:00\"", quoted(text));
    let parts: Vec<_> = text.split(':').collect();
    let is_plain = parts.len() >= 2 && parts.iter().all(|part| part.len() == 2);
    let time = text.parse::<Time>().map_err(|_| wrong())?;
    if is_plain { Ok(time) } else { Err(wrong()) }
}

/// `H:MM:SS` as milliseconds within a range.
fn length(text: &str, (least, most): (u64, u64)) -> Result<u64, String> {
    let words = |ms: u64| {
        let seconds = ms / 1_000;
        format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    };
    let parts: Vec<_> = text.split(':').collect();
    let digits =
        |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let numbers: Vec<u64> =
        parts.iter().filter(|part| digits(part)).filter_map(|part| part.parse().ok()).collect();
    let ms = match numbers[..] {
        [hours, minutes, seconds] if parts.len() == 3 && minutes < 60 && seconds < 60 => {
            Some(((hours * 60 + minutes) * 60 + seconds) * 1_000)
        }
        _ => None,
    };
    ms.filter(|ms| (least..=most).contains(ms)).ok_or_else(|| {
        let (text, least, most) = (quoted(text), words(least), words(most));
        format!("{text} is no length such as \"00:15:00\", {least} to {most}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWS: &str = "[[item]]\nname = \"news\"\nscene = \"studio\"\n";

    fn told(text: &str) -> String {
        parse(text, "day.toml").unwrap_err().to_string()
    }

    #[test]
    fn a_rundown_is_read_with_its_defaults() {
        let text = format!(
            "time_zone = \"Europe/Berlin\"\nfiller = \"slate\"\n{NEWS}at = \"19:30\"\n\
             days = [\"mon\", \"fri\"]\nstart = \"soft\"\nduration = \"00:15:00\"\n\
             transition = {{ type = \"fade\" }}\n\
             [[item]]\nname = \"film\"\nscene = \"film\"\nends_with = \"clip\"\nfiller = \"b\"\n"
        );
        let rundown = parse(&text, "x").unwrap();
        assert_eq!(
            (rundown.zone.name(), rundown.filler.as_deref()),
            ("Europe/Berlin", Some("slate"))
        );
        let [news, film] = &rundown.items[..] else { panic!("{rundown:?}") };
        let days = Days::Week(Weekdays::NONE.with(Weekday::Monday).with(Weekday::Friday));
        let start = Start::Soft { limit_ms: SOFT_LIMIT_MS };
        let time = "19:30:00".parse().unwrap();
        assert_eq!(news.when, When::At { time, days, start });
        assert_eq!((news.duration_ms, film.duration_ms), (Some(900_000), None));
        assert!(news.transition.is_some() && film.when == When::Next);
        assert_eq!(rundown.scenes().count(), 4);
        let scenes = ["studio", "film", "slate"];
        let faults = no_scene_faults(&rundown, scenes);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("item \"film\": \"b\" is no scene"), "{faults:?}");
    }

    #[test]
    fn mistakes_are_told_with_their_place_and_the_way_out() {
        let with = |more: &str| format!("{NEWS}{more}\n");
        let at = |more: &str| with(&format!("at = \"10:00:00\"\n{more}"));
        for (text, said) in [
            (String::new(), "a schedule needs items"),
            (with(""), "day.toml:1:1: the first item needs `at`"),
            (with("at = \"25:00:00\""), "day.toml:4:6: `at`: \"25:00:00\" is no time of day"),
            (with("start = \"soft\""), "`start` goes with `at`"),
            (at("start = \"softly\""), "did you mean \"soft\"?"),
            (at("soft_limit = \"00:01:00\""), "goes with `start = \"soft\"`"),
            (at("days = []"), "`days` is empty"),
            (at("days = [\"monday\"]"), "\"monday\" is not one of \"mon\""),
            (at("date = \"2026-02-30\""), "is no date such as"),
            (at("date = \"2026-02-03\"\ndays = [\"mon\"]"), "leave one of them out"),
            (at("duration = \"15\""), "is no length such as \"00:15:00\", 00:00:01 to 168:00:00"),
            (at("duration = \"00:00:00\""), "is no length"),
            (at("lenght = 1"), "unknown key `lenght`"),
            (at("transition = { type = \"fad\" }"), "did you mean \"fade\"?"),
            (at("[[item]]\nname = \"b\"\nscene = \"b\""), "this item never starts: \"news\""),
            (at(&at("")), "an item with the name \"news\" is already at line 2"),
            (format!("time_zone = \"Berlin\"\n{}", at("")), "is no time zone"),
            ("[[item]\n".to_owned(), "day.toml:1"),
        ] {
            let told = told(&text);
            assert!(told.contains(said), "{text}: {told}");
        }
        let many = format!("{}[[item]]\nname = \"b", at("duration = \"00:00:01\""));
        let items: Vec<_> = (0..ITEMS_MAX)
            .map(|n| format!("{many}{n}\"\nscene = \"b\"\nduration = \"00:00:01\"\n"))
            .map(|text| text[text.rfind("[[item]]").unwrap()..].to_owned())
            .collect();
        let text = at("duration = \"00:00:01\"") + &items.concat();
        assert!(told(&text).contains("at most 1000 items"));
    }
}
