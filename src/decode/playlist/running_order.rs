//! Running order of a playlist: which file is played after which, in rounds, and how that is
//! changed while it plays.

use crate::media::{PLAYLIST_ITEMS_MAX, PlaylistItem};

/// A file in a running order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, which no other entry of the order has had.
    pub id: u64,
    /// The file, and what of it is played.
    pub item: PlaylistItem,
}

/// The order in which the files of a playlist are played.
///
/// Whoever plays them takes them ahead of their time, one by one, and says which has begun: what
/// was taken and has not begun is taken again after a change.
#[derive(Debug)]
pub struct RunningOrder {
    entries: Vec<Entry>,
    looped: bool,
    /// What shuffles each round, if it is shuffled.
    random: Option<Random>,
    /// The place of what follows the entry that plays.
    next: usize,
    /// The place of what is taken next.
    taken: usize,
    last_id: u64,
}

impl RunningOrder {
    /// The order of these files, at most [`PLAYLIST_ITEMS_MAX`], of which the first round begins.
    /// With a seed every round has an order of its own, which follows from it.
    #[must_use]
    pub fn new(items: Vec<PlaylistItem>, looped: bool, seed: Option<u64>) -> Self {
        let entries = (1..).zip(items).take(PLAYLIST_ITEMS_MAX);
        let entries: Vec<_> = entries.map(|(id, item)| Entry { id, item }).collect();
        let (last_id, random) = (entries.len() as u64, seed.map(Random));
        let mut order = Self { entries, looped, random, next: 0, taken: 0, last_id };
        order.shuffle();
        order
    }

    /// The entries of this round, in the order in which they are played.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Where an entry is in the round, if it is there still.
    #[must_use]
    pub fn place_of(&self, id: u64) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id == id)
    }

    /// The entry to be played after the one that was taken last; `None` once the order is over.
    pub fn take(&mut self) -> Option<Entry> {
        if self.taken >= self.entries.len() {
            if !self.looped {
                return None;
            }
            self.shuffle();
            (self.next, self.taken) = (0, 0);
        }
        let entry = self.entries.get(self.taken)?.clone();
        self.taken += 1;
        Some(entry)
    }

    /// What was taken last plays now.
    pub const fn begun(&mut self) {
        self.next = self.taken;
    }

    /// What was taken and has not begun is taken again.
    pub const fn untake(&mut self) {
        self.taken = self.next;
    }

    /// What is at this place is taken next. Whether there is something.
    pub fn go_to(&mut self, place: usize) -> bool {
        if place >= self.entries.len() {
            return false;
        }
        (self.next, self.taken) = (place, place);
        true
    }

    /// Goes back to the entry before the one with this number: to the last one from the first, if
    /// the order is looped.
    pub fn go_before(&mut self, id: u64) {
        let place = self.place_of(id).unwrap_or(self.next);
        let last = if self.looped { self.entries.len().saturating_sub(1) } else { 0 };
        self.go_to(place.checked_sub(1).unwrap_or(last));
    }

    /// Puts a file at this place, or at the end. One that is put where the next one is follows what
    /// plays. Where it is.
    ///
    /// # Errors
    /// In words, if there is no such place or no room.
    pub fn insert(&mut self, place: Option<usize>, item: PlaylistItem) -> Result<usize, String> {
        let count = self.entries.len();
        let place = place.unwrap_or(count);
        if place > count {
            return Err(format!("there are {count} items: the last place is {count}"));
        }
        if count == PLAYLIST_ITEMS_MAX {
            return Err(format!("a playlist has at most {PLAYLIST_ITEMS_MAX}; remove one first"));
        }
        self.last_id += 1;
        self.entries.insert(place, Entry { id: self.last_id, item });
        if place < self.next {
            self.next += 1;
        }
        self.untake();
        Ok(place)
    }

    /// Takes out what is at this place; what plays goes on.
    ///
    /// # Errors
    /// In words, if nothing is there, or it is the only one.
    pub fn remove(&mut self, place: usize) -> Result<(), String> {
        let count = self.entries.len();
        if place >= count {
            return Err(format!("there are {count} items, from 0 on"));
        }
        if count == 1 {
            return Err("it is the only item: insert another one first".to_owned());
        }
        self.entries.remove(place);
        if place < self.next {
            self.next -= 1;
        }
        self.untake();
        Ok(())
    }

    /// Gives the coming round an order, which does not begin with what the last one has ended with.
    fn shuffle(&mut self) {
        let Some(random) = &mut self.random else { return };
        let last = (self.taken > 0).then(|| self.entries.last().map(|entry| entry.id)).flatten();
        for at in (1..self.entries.len()).rev() {
            let other = random.below(at + 1);
            self.entries.swap(at, other);
        }
        let count = self.entries.len();
        if count > 1 && self.entries.first().map(|entry| entry.id) == last {
            self.entries.swap(0, count - 1);
        }
    }
}

/// A `SplitMix64` generator: the same numbers after the same seed.
#[derive(Clone, Copy, Debug)]
struct Random(u64);

impl Random {
    /// A number below this one, which is not zero.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % end as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn item(name: &str) -> PlaylistItem {
        PathBuf::from(name).into()
    }

    fn order(names: &[&str], looped: bool, seed: Option<u64>) -> RunningOrder {
        RunningOrder::new(names.iter().map(|name| item(name)).collect(), looped, seed)
    }

    /// Plays so many entries: each is taken while the one before it plays.
    fn play(order: &mut RunningOrder, count: usize) -> String {
        let played = (0..count).map_while(|_| {
            let entry = order.take()?;
            order.begun();
            Some(entry.item.path.to_str().unwrap().to_owned())
        });
        played.collect::<Vec<_>>().concat()
    }

    #[test]
    fn it_is_played_once_or_round_after_round() {
        assert_eq!(play(&mut order(&["a", "b", "c"], false, None), 9), "abc");
        assert_eq!(play(&mut order(&["a", "b", "c"], true, None), 7), "abcabca");
        assert_eq!(play(&mut order(&["a"], true, None), 3), "aaa");
        assert_eq!(play(&mut order(&[], true, None), 3), "");
    }

    #[test]
    fn each_shuffled_round_has_every_entry_once_and_none_is_played_twice_in_a_row() {
        let names = ["a", "b", "c", "d", "e"];
        let played = play(&mut order(&names, true, Some(7)), 500);
        assert_eq!(played, play(&mut order(&names, true, Some(7)), 500), "the seed decides");
        assert_ne!(played, play(&mut order(&names, true, Some(8)), 500));
        let rounds: Vec<_> = played.as_bytes().chunks(5).collect();
        for round in &rounds {
            let mut sorted = round.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, b"abcde");
        }
        assert!(rounds.iter().filter(|round| *round != &rounds[0]).count() > 50);
        assert!(played.as_bytes().windows(2).all(|two| two[0] != two[1]), "{played}");
    }

    #[test]
    fn an_entry_put_at_the_next_place_comes_next_though_another_was_taken_already() {
        let mut order = order(&["a", "b", "c"], false, None);
        play(&mut order, 1);
        assert_eq!(order.take().unwrap().item, item("b"));
        assert_eq!(order.insert(Some(1), item("x")), Ok(1));
        assert_eq!(order.insert(None, item("y")), Ok(4));
        assert_eq!(order.insert(Some(0), item("z")), Ok(0));
        assert_eq!(play(&mut order, 9), "xbcy");
        assert!(order.insert(Some(7), item("w")).unwrap_err().contains("the last place is 6"));
    }

    #[test]
    fn what_is_taken_out_is_not_played_any_more_and_what_plays_goes_on() {
        let mut order = order(&["a", "b", "c", "d"], true, None);
        play(&mut order, 2);
        assert_eq!(order.take().unwrap().item, item("c"));
        order.remove(1).unwrap();
        assert_eq!(order.take().unwrap().item, item("c"), "it plays b, which is gone");
        order.remove(1).unwrap();
        assert_eq!(play(&mut order, 3), "dad");
        assert!(order.remove(2).is_err());
        order.remove(0).unwrap();
        assert!(order.remove(0).unwrap_err().contains("only item"));
        assert_eq!(play(&mut order, 2), "dd");
    }

    #[test]
    fn it_goes_to_any_place_and_back_to_the_one_before() {
        let mut order = order(&["a", "b", "c"], true, None);
        play(&mut order, 1);
        order.go_before(1);
        assert_eq!(play(&mut order, 1), "c", "the one before the first is the last");
        order.go_before(3);
        assert_eq!(play(&mut order, 1), "b");
        assert!(order.go_to(0) && !order.go_to(3));
        assert_eq!(play(&mut order, 4), "abca");
        let mut once = self::order(&["a", "b"], false, None);
        play(&mut once, 1);
        once.go_before(1);
        assert_eq!(play(&mut once, 9), "ab");
    }

    #[test]
    fn there_is_no_room_for_more_than_the_limit() {
        let mut order = order(&["a"; PLAYLIST_ITEMS_MAX], false, None);
        assert!(order.insert(None, item("x")).unwrap_err().contains("at most 1000"));
    }
}
