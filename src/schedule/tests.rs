//! Tests of schedules on a simulated clock: whole days pass in milliseconds.

use std::sync::Arc;

use jiff::civil::{Date, Time, Weekday, date};

use super::forecast::Warning;
use super::machine::Refusal;
use super::*;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn item(name: &str, when: When, minutes: u64) -> Item {
    Item {
        name: name.to_owned(),
        scene: format!("scene of {name}"),
        when,
        duration_ms: (minutes > 0).then_some(minutes * MINUTE),
        ends_with: None,
        filler: None,
        transition: None,
    }
}

/// Every day at this time.
fn daily(at: &str, start: Start) -> When {
    When::At { time: time(at), days: Days::Week(Weekdays::ALL), start }
}

fn hard(at: &str) -> When {
    daily(at, Start::Hard)
}

fn soft(at: &str, limit_minutes: u64) -> When {
    daily(at, Start::Soft { limit_ms: limit_minutes * MINUTE })
}

fn rundown(zone: &str, items: Vec<Item>) -> Arc<Rundown> {
    Arc::new(Rundown {
        zone: Zone::named(zone).unwrap(),
        filler: Some("filler".to_owned()),
        items: items.into_iter().map(Arc::new).collect(),
    })
}

/// When it is this local time in a zone.
fn at(zone: &str, day: Date, of_day: &str) -> u64 {
    Zone::named(zone).unwrap().instant(day.to_datetime(time(of_day))).unwrap()
}

/// A machine that runs, with a simulated clock and what it has told.
struct Run {
    machine: Machine,
    now: u64,
    told: Vec<Change>,
}

impl Run {
    fn new(rundown: &Arc<Rundown>, now: u64) -> Self {
        let mut told = Vec::new();
        let machine = Machine::new(Arc::clone(rundown), now, &mut told);
        Self { machine, now, told }
    }

    /// Lets time pass until then in steps of a second.
    fn until(&mut self, to: u64) {
        while self.now < to {
            self.now = (self.now + SECOND).min(to);
            self.machine.advance(self.now, &mut self.told);
        }
    }

    fn scene(&self) -> &str {
        self.machine.programme().map_or("", |programme| programme.scene)
    }

    /// What was told, in words: `+` for what began, `-` for what ended, and `!` for what is missed.
    fn words(&mut self) -> String {
        let zone = self.machine.rundown().zone.clone();
        let clock = |at| zone.local(at).time().strftime("%H:%M").to_string();
        let word = |change: Change| match change {
            Change::Started { item, airing, joined: true } => {
                format!("{} ~{}", clock(airing.began), item.name)
            }
            Change::Started { item, airing, .. } => {
                format!("{} +{}", clock(airing.began), item.name)
            }
            Change::Ended { item, at, ending, .. } => {
                format!("{} -{}({})", clock(at), item.name, ending.word())
            }
            Change::Missed { item, at, .. } => format!("{} !{}", clock(at), item.name),
            Change::Filler { scene, at } => {
                format!("{} {}", clock(at), scene.as_deref().unwrap_or("nothing"))
            }
        };
        let words: Vec<_> = std::mem::take(&mut self.told).into_iter().map(word).collect();
        words.join(", ")
    }
}

const DAY: Date = date(2026, 6, 15);

#[test]
fn items_start_at_their_times_follow_each_other_and_are_filled_up() {
    let items = vec![
        item("news", hard("08:00:00"), 15),
        item("weather", When::Next, 5),
        Item { filler: Some("slate".to_owned()), ..item("film", hard("09:00:00"), 90) },
    ];
    let rundown = rundown("UTC", items);
    let mut run = Run::new(&rundown, at("UTC", DAY, "07:59:30"));
    assert_eq!(
        (run.words().as_str(), run.scene()),
        ("07:59 slate", "slate"),
        "of yesterday's film"
    );
    run.until(at("UTC", DAY, "10:31:00"));
    assert_eq!(
        run.words(),
        "08:00 +news, 08:15 -news(over), 08:15 +weather, 08:20 -weather(over), 08:20 filler, \
         09:00 +film, 10:30 -film(over), 10:30 slate"
    );
    assert_eq!(run.scene(), "slate");
    assert_eq!(run.machine.next_at(), Some(at("UTC", date(2026, 6, 16), "08:00:00")));
}

#[test]
fn a_hard_start_cuts_in_and_a_soft_one_waits_for_the_end_or_its_limit() {
    let items = vec![
        item("show", hard("08:00:00"), 60),
        item("early", hard("08:30:00"), 40),
        item("polite", soft("09:00:00", 15), 60),
        item("patient", soft("09:30:00", 10), 10),
    ];
    let mut run = Run::new(&rundown("UTC", items), at("UTC", DAY, "07:59:59"));
    run.until(at("UTC", DAY, "12:00:00"));
    assert_eq!(
        run.words(),
        "07:59 filler, 08:00 +show, 08:30 -show(cut), 08:30 +early, 09:10 -early(over), \
         09:10 +polite, 09:40 -polite(cut), 09:40 +patient, 09:50 -patient(over), 09:50 filler"
    );
}

#[test]
fn what_waits_is_missed_when_something_hard_comes_first_and_an_open_item_gives_way() {
    let items = vec![
        item("open", hard("08:00:00"), 0),
        item("film", soft("08:10:00", 5), 60),
        item("waits", soft("09:00:00", 30), 10),
        item("after it", When::Next, 10),
        item("news", hard("09:05:00"), 10),
    ];
    let mut run = Run::new(&rundown("UTC", items), at("UTC", DAY, "07:59:59"));
    run.until(at("UTC", DAY, "09:20:00"));
    assert_eq!(
        run.words(),
        "07:59 filler, 08:00 +open, 08:10 -open(over), 08:10 +film, 09:05 -film(cut), \
         09:05 !waits, 09:05 +news, 09:15 -news(over), 09:15 filler"
    );
}

#[test]
fn soft_starts_wait_for_each_other_in_their_order() {
    let items = vec![
        item("film", hard("08:00:00"), 62),
        item("first", soft("09:00:00", 10), 5),
        item("second", soft("09:01:00", 10), 5),
    ];
    let mut run = Run::new(&rundown("UTC", items), at("UTC", DAY, "08:59:59"));
    run.until(at("UTC", DAY, "09:15:00"));
    assert_eq!(
        run.words(),
        "08:00 ~film, 09:02 -film(over), 09:02 +first, 09:07 -first(over), 09:07 +second, \
         09:12 -second(over), 09:12 filler"
    );
}

#[test]
fn a_layer_that_has_been_played_ends_its_item_which_goes_on_below_a_break_in() {
    let film = Item { ends_with: Some("clip".to_owned()), ..item("film", hard("08:00:00"), 90) };
    let items = vec![film, item("talk", When::Next, 10), item("news", hard("09:00:00"), 10)];
    let mut run = Run::new(&rundown("UTC", items), at("UTC", DAY, "08:10:00"));
    assert_eq!(run.scene(), "scene of film");
    run.machine.layer_ended("other", run.now, &mut run.told);
    assert_eq!(run.words(), "08:00 ~film");
    let break_in = BreakIn { scene: "live".to_owned(), transition: None, since: run.now };
    run.machine.begin_break(break_in, &mut run.told);
    assert_eq!(run.scene(), "live");
    run.machine.layer_ended("clip", run.now, &mut run.told);
    assert_eq!(run.words(), "", "nothing of it plays below a break-in");
    assert_eq!(run.machine.skip(run.now, &mut run.told), Err(Refusal::InBreak));
    run.until(at("UTC", DAY, "09:02:00"));
    assert_eq!(
        (run.words().as_str(), run.scene()),
        ("09:00 -film(cut), 09:00 !talk, 09:00 +news", "live")
    );
    assert_eq!(run.machine.end_break(run.now, &mut run.told).unwrap().scene, "live");
    assert_eq!(run.scene(), "scene of news", "what the schedule says now");
    assert_eq!(run.machine.end_break(run.now, &mut run.told), Err(Refusal::NoBreak));

    run.until(at("UTC", date(2026, 6, 16), "08:05:00"));
    run.words();
    run.machine.layer_ended("clip", run.now, &mut run.told);
    assert_eq!(run.words(), "08:05 -film(over), 08:05 +talk");
}

#[test]
fn an_item_that_is_skipped_makes_room_for_what_follows_it() {
    let items = vec![item("a", hard("08:00:00"), 30), item("b", When::Next, 30)];
    let mut run = Run::new(&rundown("UTC", items), at("UTC", DAY, "08:10:00"));
    run.words();
    run.machine.skip(run.now, &mut run.told).unwrap();
    assert_eq!(run.words(), "08:10 -a(skipped), 08:10 +b");
    run.until(at("UTC", DAY, "08:41:00"));
    assert_eq!(run.words(), "08:40 -b(over), 08:40 filler");
    assert_eq!(run.machine.skip(run.now, &mut run.told), Err(Refusal::NothingRuns));
}

#[test]
fn days_and_dates_are_kept() {
    let weekend = Weekdays::NONE.with(Weekday::Saturday).with(Weekday::Sunday);
    let on = |days| When::At { time: time("20:00:00"), days, start: Start::Hard };
    let items = vec![
        item("weekend", on(Days::Week(weekend)), 60),
        item("gala", on(Days::Date(date(2026, 6, 17))), 60),
    ];
    let rundown = rundown("Asia/Tokyo", items);
    let run = Run::new(&rundown, at("Asia/Tokyo", DAY, "00:00:00"));
    let zone = &rundown.zone;
    let found = run.machine.upcoming(9);
    let found: Vec<_> =
        found.iter().map(|(item, it)| format!("{} {}", item.name, zone.words(it.began))).collect();
    assert_eq!(
        found,
        [
            "gala Wed 2026-06-17 20:00:00 JST",
            "weekend Sat 2026-06-20 20:00:00 JST",
            "weekend Sun 2026-06-21 20:00:00 JST",
        ]
    );
}

const BERLIN: &str = "Europe/Berlin";

#[test]
fn a_time_that_does_not_exist_is_the_moment_when_clocks_are_put_forward() {
    let zone = Zone::named(BERLIN).unwrap();
    let day = date(2026, 3, 29);
    for missing in ["02:00:00", "02:30:00", "02:59:59", "03:00:00"] {
        let words = zone.words(at(BERLIN, day, missing));
        assert_eq!(words, "Sun 2026-03-29 03:00:00 CEST", "{missing}");
    }
    assert_eq!(zone.words(at(BERLIN, day, "01:59:59")), "Sun 2026-03-29 01:59:59 CET");
    let items = vec![
        item("night", hard("00:00:00"), 0),
        item("lost", hard("02:30:00"), 30),
        item("morning", hard("03:00:00"), 60),
    ];
    let rundown = rundown(BERLIN, items);
    let forecast = Forecast::of(&rundown, at(BERLIN, day, "00:00:00"), at(BERLIN, day, "05:00:00"));
    let lasts: Vec<_> =
        forecast.rows.iter().map(|row| row.ends.map(|it| (it - row.at) / HOUR)).collect();
    assert_eq!(lasts, [Some(2), Some(1), None], "two hours pass until three o'clock");
    let at = at(BERLIN, day, "03:00:00");
    assert_eq!(forecast.warnings, [Warning::Missed { item: "lost".to_owned(), at }]);
}

#[test]
fn a_time_that_there_is_twice_is_the_first_of_both() {
    let zone = Zone::named(BERLIN).unwrap();
    let day = date(2026, 10, 25);
    assert_eq!(zone.words(at(BERLIN, day, "02:30:00")), "Sun 2026-10-25 02:30:00 CEST");
    let items = vec![item("once", hard("02:30:00"), 30), item("later", hard("03:00:00"), 30)];
    let rundown = rundown(BERLIN, items);
    let [from, to] = ["00:00:00", "06:00:00"].map(|of_day| at(BERLIN, day, of_day));
    assert_eq!(to - from, 7 * HOUR);
    let mut run = Run::new(&rundown, from);
    run.until(to);
    assert_eq!(
        run.words(),
        "00:00 filler, 02:30 +once, 02:00 -once(over), 02:00 filler, 03:00 +later, \
         03:30 -later(over), 03:30 filler"
    );
}

#[test]
fn whole_days_have_all_their_items_also_those_that_are_longer_or_shorter() {
    let hours: Vec<_> = (0..24)
        .map(|hour| item(&format!("at {hour}"), hard(&format!("{hour:02}:00:00")), 60))
        .collect();
    let rundown = rundown(BERLIN, hours);
    for (day, items) in [(DAY, 24), (date(2026, 3, 29), 23), (date(2026, 10, 25), 24)] {
        let from = at(BERLIN, day, "00:00:00");
        let to = at(BERLIN, day.tomorrow().unwrap(), "00:00:00");
        let mut run = Run::new(&rundown, from - SECOND);
        run.told.clear();
        run.until(to - 1);
        let started = run.told.iter().filter(|it| matches!(it, Change::Started { .. })).count();
        assert_eq!(started, items, "{day}");
    }
}

#[test]
fn a_clock_that_is_set_leads_to_what_is_planned_at_its_new_time() {
    let items = vec![item("a", hard("08:00:00"), 30), item("b", hard("09:00:00"), 30)];
    let mut run = Run::new(&rundown("UTC", items), at("UTC", DAY, "08:10:00"));
    run.words();
    let set = |run: &mut Run, of_day: &str| {
        run.now = at("UTC", DAY, of_day);
        run.machine.advance(run.now, &mut run.told);
        run.words()
    };
    assert_eq!(set(&mut run, "08:09:58"), "", "little is waited out");
    assert_eq!(set(&mut run, "08:05:00"), "", "the same item");
    assert_eq!(run.machine.running().unwrap().1.began, at("UTC", DAY, "08:00:00"));
    assert_eq!(set(&mut run, "09:20:00"), "09:20 -a(replaced), 09:00 ~b");
    assert_eq!(set(&mut run, "08:45:00"), "08:45 -b(replaced), 08:45 filler");
    assert_eq!(set(&mut run, "08:50:00"), "", "still the filler");
}

#[test]
fn another_rundown_changes_what_it_says_otherwise_and_nothing_else() {
    let items = || vec![item("a", hard("08:00:00"), 30), item("b", When::Next, 30)];
    let mut run = Run::new(&rundown("UTC", items()), at("UTC", DAY, "08:10:00"));
    run.words();
    let mut other = items();
    other.push(item("c", hard("12:00:00"), 30));
    run.machine.replace(rundown("UTC", other), run.now, &mut run.told);
    assert_eq!(run.words(), "");
    assert_eq!(run.machine.upcoming(2)[1].0.name, "c");
    let shorter = vec![item("a", hard("08:00:00"), 5), item("b", When::Next, 30)];
    run.machine.replace(rundown("UTC", shorter), run.now, &mut run.told);
    assert_eq!(run.words(), "08:10 -a(replaced), 08:05 ~b");
}

#[test]
fn a_forecast_tells_gaps_and_what_is_cut_or_late() {
    let items = vec![
        item("film", hard("20:00:00"), 90),
        item("news", hard("21:00:00"), 15),
        item("talk", soft("21:10:00", 10), 30),
    ];
    let mut plain = Rundown::clone(&rundown("UTC", items));
    plain.filler = None;
    let from = at("UTC", DAY, "20:30:00");
    let forecast = Forecast::of(&Arc::new(plain), from, from + 24 * HOUR);
    let rows: Vec<_> = forecast.rows.iter().map(|row| (row.at - from) / MINUTE).collect();
    assert_eq!(rows, [0, 30, 45, 75, 23 * 60 + 30]);
    assert_eq!(forecast.rows[2].at - forecast.rows[2].planned, 5 * MINUTE);
    let told: Vec<_> = forecast.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told[0], "film is cut 1800 s before its end");
    assert!(told[1].starts_with("nothing is planned"), "{told:?}");
    assert_eq!(told.len(), 2);
}
