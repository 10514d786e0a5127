//! Forecast: what a rundown comes to if nobody breaks in, skips, or ends an item early.

use std::fmt;
use std::sync::Arc;

use super::machine::{Airing, Change, Ending, LOOK_MS, Machine};
use super::rundown::{Item, Rundown};

/// What is shown for a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// An item.
    Item(Arc<Item>),
    /// A scene because nothing is planned; `None` for what was there last.
    Filler(Option<String>),
}

/// A stretch of time in which one thing is shown. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// When it begins.
    pub at: u64,
    /// When it was to begin.
    pub planned: u64,
    /// When it ends; `None` if that is after the time that was looked at, or not known.
    pub ends: Option<u64>,
    /// What is shown.
    pub shown: Shown,
}

/// Something that the author of a rundown may not have meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// An item ends before it is over.
    Cut {
        /// It.
        item: String,
        /// When it ends, milliseconds since 1970.
        at: u64,
        /// Milliseconds that are not shown.
        short_ms: u64,
    },
    /// An item is not shown at all.
    Missed {
        /// It.
        item: String,
        /// When it was to begin, milliseconds since 1970.
        at: u64,
    },
    /// Nothing is planned, and there is no filler.
    Gap {
        /// When that begins, milliseconds since 1970.
        at: u64,
        /// When it ends; `None` if that is after the time that was looked at.
        ends: Option<u64>,
    },
}

/// What is shown in a stretch of time, and what is odd about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forecast {
    /// What is shown, without gaps.
    pub rows: Vec<Row>,
    /// What is odd.
    pub warnings: Vec<Warning>,
}

impl Forecast {
    /// From `from` until `to`, milliseconds since 1970.
    #[must_use]
    pub fn of(rundown: &Arc<Rundown>, from: u64, to: u64) -> Self {
        let mut told = Vec::new();
        let mut machine = Machine::new(Arc::clone(rundown), from, &mut told);
        machine.run_ahead(to, usize::MAX, &mut told);
        let mut forecast = Self::default();
        for change in told {
            forecast.add(change, from);
        }
        if let (Some(row), Some((_, airing))) = (forecast.rows.last_mut(), machine.running()) {
            row.ends = airing.ends;
        }
        forecast.find_gaps();
        forecast
    }

    fn add(&mut self, change: Change, from: u64) {
        match change {
            Change::Started { item, airing, .. } => {
                let Airing { planned, began, .. } = airing;
                let at = began.max(from);
                self.push(Row { at, planned, ends: None, shown: Shown::Item(item) });
            }
            Change::Filler { scene, at } => {
                let shown = Shown::Filler(scene);
                self.push(Row { at, planned: at, ends: None, shown });
            }
            Change::Ended { item, airing, at, ending } => {
                if ending == Ending::Cut
                    && let Some(ends) = airing.ends.filter(|ends| *ends > at)
                {
                    let (item, short_ms) = (item.name.clone(), ends - at);
                    self.warnings.push(Warning::Cut { item, at, short_ms });
                }
            }
            Change::Missed { item, planned: at, .. } => {
                self.warnings.push(Warning::Missed { item: item.name.clone(), at });
            }
        }
    }

    fn push(&mut self, row: Row) {
        if let Some(before) = self.rows.last_mut() {
            before.ends = Some(row.at);
        }
        self.rows.push(row);
    }

    fn find_gaps(&mut self) {
        let is_gap = |row: &&Row| row.shown == Shown::Filler(None);
        let gaps = self.rows.iter().filter(is_gap);
        let gaps: Vec<_> = gaps.map(|row| Warning::Gap { at: row.at, ends: row.ends }).collect();
        self.warnings.extend(gaps);
        self.warnings.sort_by_key(Warning::at);
    }
}

impl Warning {
    /// When it is, milliseconds since 1970.
    #[must_use]
    pub const fn at(&self) -> u64 {
        match self {
            Self::Cut { at, .. } | Self::Missed { at, .. } | Self::Gap { at, .. } => *at,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { item, short_ms, .. } => {
                let seconds = short_ms.div_ceil(1_000);
                write!(f, "{item} is cut {seconds} s before its end")
            }
            Self::Missed { item, .. } => {
                write!(f, "{item} is not shown: something else starts first")
            }
            Self::Gap { .. } => {
                f.write_str("nothing is planned and there is no filler: the last scene stays")
            }
        }
    }
}

impl Machine {
    /// The next items of the week and day to come, at most `most`, and when each runs.
    #[must_use]
    pub fn upcoming(&self, most: usize) -> Vec<(Arc<Item>, Airing)> {
        let mut ahead = self.clone();
        let mut told = Vec::new();
        ahead.run_ahead(self.now() + LOOK_MS, most, &mut told);
        let started = told.into_iter().filter_map(|change| match change {
            Change::Started { item, airing, .. } => Some((item, airing)),
            _ => None,
        });
        started.take(most).collect()
    }

    /// Lets time pass until `to`, or until so many items have begun.
    fn run_ahead(&mut self, to: u64, most: usize, told: &mut Vec<Change>) {
        let mut begun = 0;
        while let Some(at) = self.next_at().filter(|at| *at < to) {
            let seen = told.len();
            self.run_to(at, told);
            let is_start = |change: &&Change| matches!(change, Change::Started { .. });
            begun += told[seen..].iter().filter(is_start).count();
            if begun >= most {
                break;
            }
        }
    }
}
