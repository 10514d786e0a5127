//! Generational slot table: constant-time access by keys that are never used twice.

use serde::{Deserialize, Serialize};

/// A key of a [`Table`]: a place, and how often that place has been taken.
pub(super) trait Key: Copy + Eq {
    fn new(index: u32, turn: u32) -> Self;
    fn index(self) -> usize;
    fn turn(self) -> u32;
}

/// Values by key. Places are used again; keys are not.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub(super) struct Table<K, T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    #[serde(skip)]
    len: usize,
    #[serde(skip)]
    key: std::marker::PhantomData<K>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Slot<T> {
    turn: u32,
    value: Option<T>,
}

impl<K, T> Default for Table<K, T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), len: 0, key: std::marker::PhantomData }
    }
}

impl<K: Key, T> Table<K, T> {
    /// Adds what `make` makes for its key.
    pub(super) fn insert_with(&mut self, make: impl FnOnce(K) -> T) -> K {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { turn: 0, value: None });
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let slot = &mut self.slots[index as usize];
        slot.turn = slot.turn.wrapping_add(1);
        let key = K::new(index, slot.turn);
        slot.value = Some(make(key));
        self.len += 1;
        key
    }

    pub(super) fn get(&self, key: K) -> Option<&T> {
        let slot = self.slots.get(key.index()).filter(|slot| slot.turn == key.turn())?;
        slot.value.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index()).filter(|slot| slot.turn == key.turn())?;
        slot.value.as_mut()
    }

    pub(super) fn remove(&mut self, key: K) -> Option<T> {
        let slot = self.slots.get_mut(key.index()).filter(|slot| slot.turn == key.turn())?;
        let value = slot.value.take()?;
        self.len -= 1;
        self.free.push(u32::try_from(key.index()).unwrap_or(u32::MAX));
        Some(value)
    }

    /// It was read from a snapshot: counts what it holds. `false` if it contradicts itself.
    #[must_use]
    pub(super) fn resume(&mut self) -> bool {
        let mut is_free: Vec<_> = self.slots.iter().map(|slot| slot.value.is_none()).collect();
        self.len = is_free.iter().filter(|is_free| !**is_free).count();
        let takes = |index: &u32| is_free.get_mut(*index as usize).is_some_and(std::mem::take);
        self.free.iter().all(takes) && self.len + self.free.len() == self.slots.len()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut T)> {
        self.slots.iter_mut().enumerate().filter_map(|(index, slot)| {
            let key = K::new(u32::try_from(index).ok()?, slot.turn);
            Some((key, slot.value.as_mut()?))
        })
    }

    /// Values in the table.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Places, taken or not: keys have an index below this.
    pub(super) const fn places(&self) -> usize {
        self.slots.len()
    }

    /// The key at a place, if it is taken.
    pub(super) fn key_at(&self, index: usize) -> Option<K> {
        let slot = self.slots.get(index)?;
        slot.value.as_ref()?;
        Some(K::new(u32::try_from(index).ok()?, slot.turn))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let key = K::new(u32::try_from(index).ok()?, slot.turn);
            Some((key, slot.value.as_ref()?))
        })
    }

    pub(super) fn keys(&self) -> Vec<K> {
        self.iter().map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::PeerId;

    #[test]
    fn a_key_of_what_is_gone_finds_nothing_although_its_place_is_taken_again() {
        let mut table: Table<PeerId, &str> = Table::default();
        let first = table.insert_with(|_| "first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert_with(|_| "second");
        assert_eq!(first.index(), second.index());
        assert_eq!((table.get(first), table.get(second)), (None, Some(&"second")));
        assert_eq!((table.remove(first), table.len()), (None, 1));
        assert_eq!(table.keys(), [second]);
    }
}
