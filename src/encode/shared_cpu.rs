//! Shared CPU of a node's encoders: those of lower priority make room for those of higher priority,
//! first of all, and take it back last.
//!
//! Each encoder's governor says once per picture what it needs, by its priority, and hears what
//! those of other priorities need. Nobody is registered: what was said counts for two seconds, so
//! that an encoder which has ended is forgotten.

use crate::media::{LatestTime, Micros};

/// Whose encoders make room where several channels have too little time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Before all others.
    Low,
    /// Before those of high priority.
    #[default]
    Normal,
    /// Last.
    High,
}

impl Priority {
    /// All of them, lowest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// The word for it in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// How long it counts what an encoder has said: longer than from one of its pictures to the next,
/// at the lowest frame rate.
const FRESH: Micros = Micros::from_secs(2);

/// What an encoder says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// It has too little time.
    pub is_pressed: bool,
    /// It could do with less.
    pub can_yield: bool,
    /// It will take more soon, if nobody else does.
    pub is_climbing: bool,
}

/// What an encoder hears of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// When one of higher priority has had too little time, the last time.
    pub asked: Option<Micros>,
    /// One of higher priority will take more soon.
    pub is_climbing: bool,
    /// One of lower priority could do with less.
    pub can_yield: bool,
}

impl Neighbours {
    /// Whether it is not the time to take more: for `hold` after somebody has asked for less, and
    /// while one of higher priority climbs.
    #[must_use]
    pub fn holds(&self, now: Micros, hold: Micros) -> bool {
        self.is_climbing || self.asked.is_some_and(|asked| now.since(asked) < hold)
    }
}

/// What the encoders of a node say, by priority. Any thread may speak and listen; nobody waits.
#[derive(Debug, Default)]
pub struct SharedCpu([Level; Priority::ALL.len()]);

/// When something was last said by one of a priority.
#[derive(Debug, Default)]
struct Level {
    pressed: LatestTime,
    can_yield: LatestTime,
    climbing: LatestTime,
}

impl SharedCpu {
    /// One of this priority says what it needs.
    pub fn report(&self, priority: Priority, need: Need, now: Micros) {
        let Some(Level { pressed, can_yield, climbing }) = self.0.get(priority as usize) else {
            return;
        };
        let all =
            [(pressed, need.is_pressed), (can_yield, need.can_yield), (climbing, need.is_climbing)];
        all.into_iter().filter(|(_, is_so)| *is_so).for_each(|(said, _)| said.note(now));
    }

    /// What one of this priority hears.
    pub fn neighbours(&self, priority: Priority, now: Micros) -> Neighbours {
        let at = priority as usize;
        let (lower, higher) = (self.0.iter().take(at), self.0.iter().skip(at + 1));
        Neighbours {
            asked: higher.clone().filter_map(|level| recent(&level.pressed, now)).max(),
            is_climbing: higher.clone().any(|level| recent(&level.climbing, now).is_some()),
            can_yield: lower.clone().any(|level| recent(&level.can_yield, now).is_some()),
        }
    }
}

/// When it was said last, if that still counts.
fn recent(said: &LatestTime, now: Micros) -> Option<Micros> {
    said.get().filter(|at| now.since(*at) < FRESH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hears_of_pressure_above_it_and_of_what_those_below_it_could_give() {
        let cpu = SharedCpu::default();
        let neighbours_of = |priority, ms| cpu.neighbours(priority, Micros::from_millis(ms));
        let all = Need { is_pressed: true, can_yield: true, is_climbing: true };
        cpu.report(Priority::Normal, all, Micros::from_millis(10));
        let low = Neighbours {
            asked: Some(Micros::from_millis(10)),
            is_climbing: true,
            can_yield: false,
        };
        assert_eq!(neighbours_of(Priority::Low, 20), low);
        assert_eq!(neighbours_of(Priority::Normal, 20), Neighbours::default(), "not of equals");
        let high = Neighbours { can_yield: true, ..Neighbours::default() };
        assert_eq!(neighbours_of(Priority::High, 20), high);
        assert_eq!(neighbours_of(Priority::Low, 2_010), Neighbours::default(), "it has ended");
        assert!(low.holds(Micros::from_secs(100), Micros::from_secs(2)));
        let asked = Neighbours { is_climbing: false, ..low };
        assert!(asked.holds(Micros::from_millis(2_000), Micros::from_secs(2)));
        assert!(!asked.holds(Micros::from_millis(2_010), Micros::from_secs(2)));
    }
}
