//! Airings: the items of a playlist that have been handed on, and which of them is on the air.

use std::collections::VecDeque;

use crate::decode::Entry;
use crate::media::Micros;

/// Items that are handed on ahead of their time and remembered. Shorter ones than a queue is deep
/// come together then.
const AIRINGS_MAX: usize = 64;

/// An item that was handed on.
#[derive(Clone, Debug)]
pub(super) struct Airing {
    pub(super) entry: Entry,
    /// When it begins, on the node's clock.
    pub(super) at: Micros,
    /// Where in the file that is.
    pub(super) from: Micros,
    /// When it is over, if that is known.
    pub(super) until: Option<Micros>,
    /// How long the file is, if it says so.
    pub(super) duration: Option<Micros>,
    pub(super) has_pictures: bool,
    /// Whether it is told as a beginning: it does not go on after a pause.
    pub(super) begins: bool,
}

impl Airing {
    /// When it is over, or should be.
    pub(super) fn expected_end(&self) -> Option<Micros> {
        let item = &self.entry.item;
        let end = item.out_point.into_iter().chain(self.duration).min();
        self.until.or_else(|| Some(self.at + end?.since(self.from)))
    }
}

/// The items that are on the air or will be, in their order.
#[derive(Debug, Default)]
pub(super) struct Airings {
    list: VecDeque<Airing>,
    /// Whether the first has begun.
    is_on: bool,
}

impl Airings {
    /// One more, which begins when the one before is over.
    pub(super) fn push(&mut self, airing: Airing) {
        if let Some(last) = self.list.back_mut() {
            last.until.get_or_insert(airing.at);
        }
        if self.list.len() == AIRINGS_MAX {
            self.list.remove(1);
        }
        self.list.push_back(airing);
    }

    /// The newest is over at this time.
    pub(super) fn end(&mut self, at: Micros) {
        if let Some(last) = self.list.back_mut() {
            last.until = Some(at);
        }
    }

    /// What was handed on ahead is not seen any more; what is on the air ends now.
    pub(super) fn cut(&mut self, now: Micros) {
        self.list.truncate(usize::from(self.is_on));
        if let Some(last) = self.list.back_mut() {
            last.until = Some(last.until.map_or(now, |until| until.min(now)));
        }
    }

    /// The next that has begun by now and was not given before.
    pub(super) fn begun(&mut self, now: Micros) -> Option<&Airing> {
        let next = self.list.get(usize::from(self.is_on))?;
        if next.at > now {
            return None;
        }
        if self.is_on {
            self.list.pop_front();
        }
        self.is_on = true;
        self.list.front()
    }

    /// What is on the air, or was last.
    pub(super) fn now(&self) -> Option<&Airing> {
        self.list.front().filter(|_| self.is_on)
    }

    /// What was handed on last.
    pub(super) fn newest(&self) -> Option<Entry> {
        self.list.back().map(|airing| airing.entry.clone())
    }

    /// What is handed on already and comes next.
    pub(super) fn coming(&self) -> Option<&Airing> {
        self.list.get(usize::from(self.is_on))
    }

    /// Where in the file on the air it is, of which so much has been handed on.
    pub(super) fn position(&self, now: Micros, handed: Option<Micros>) -> Micros {
        let Some(airing) = self.now() else { return Micros(0) };
        let until = airing.until.or(handed).unwrap_or(now);
        airing.from + now.min(until).since(airing.at)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn airing(id: u64, at: u64, from: u64) -> Airing {
        let item = PathBuf::from("a.mp4").into();
        Airing {
            entry: Entry { id, item },
            at: Micros(at),
            from: Micros(from),
            until: None,
            duration: Some(Micros(500)),
            has_pictures: true,
            begins: true,
        }
    }

    #[test]
    fn an_item_is_on_the_air_from_its_time_to_that_of_the_next() {
        let mut airings = Airings::default();
        airings.push(airing(1, 100, 40));
        assert!(airings.now().is_none() && airings.begun(Micros(99)).is_none());
        assert_eq!(airings.coming().map(|it| it.entry.id), Some(1));
        assert_eq!(airings.begun(Micros(100)).map(|it| it.entry.id), Some(1));
        assert_eq!(airings.now().unwrap().expected_end(), Some(Micros(560)));
        assert_eq!(airings.position(Micros(150), Some(Micros(130))), Micros(70));
        airings.push(airing(2, 300, 0));
        assert_eq!(airings.position(Micros(299), None), Micros(239));
        assert_eq!(airings.position(Micros(400), None), Micros(240), "it is over");
        assert_eq!(airings.begun(Micros(400)).map(|it| it.entry.id), Some(2));
        assert!(airings.begun(Micros(400)).is_none() && airings.coming().is_none());
        assert_eq!(airings.position(Micros(400), None), Micros(100));
    }

    #[test]
    fn what_is_cut_stays_where_it_was_and_what_was_to_come_is_forgotten() {
        let mut airings = Airings::default();
        airings.push(airing(1, 100, 0));
        airings.begun(Micros(100));
        airings.push(airing(2, 300, 0));
        airings.cut(Micros(200));
        assert!(airings.begun(Micros(900)).is_none());
        assert_eq!(airings.position(Micros(900), None), Micros(100));
        for id in 3..200 {
            airings.push(airing(id, 1_000 + id, 0));
        }
        assert_eq!(airings.now().unwrap().entry.id, 1);
        assert!(airings.list.len() <= AIRINGS_MAX);
    }
}
