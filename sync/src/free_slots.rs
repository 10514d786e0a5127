//! Free slots of a pool: a hierarchical bitmap that any thread takes from and gives back to without
//! a lock.

use std::ops::Range;

use crate::atomics::{AtomicU64, Ordering};

/// Bits of a word.
const BITS: usize = u64::BITS as usize;

/// A set of slot numbers.
///
/// The lowest number is taken first: slots in use stay together at one end, so that memory which
/// was never needed is never touched, and whole parts of the other end become free again.
///
/// Level 0 has a bit for each slot. A bit of a level above says that a word below may have one: who
/// makes a word non-zero sets its bit, and who makes it zero clears the bit and then looks at the
/// word again. Clearing acquires what setting released, so that whoever clears a bit which was set
/// before sees what it was set for.
#[derive(Debug)]
pub struct FreeSlots(Box<[Box<[AtomicU64]>]>);

impl FreeSlots {
    /// A set for the numbers below `capacity` that holds none of them.
    #[must_use]
    pub fn none(capacity: u32) -> Self {
        let mut levels = Vec::new();
        let mut words = (capacity as usize).div_ceil(BITS).max(1);
        loop {
            levels.push(zeros(words));
            if words == 1 {
                return Self(levels.into());
            }
            words = words.div_ceil(BITS);
        }
    }

    /// A set that holds all numbers below `capacity`.
    #[must_use]
    pub fn all(capacity: u32) -> Self {
        let free = Self::none(capacity);
        free.put_all(0..capacity);
        free
    }

    /// Takes the lowest number out of the set. While other threads give back, one that is being
    /// given back may be missed.
    #[must_use]
    pub fn take(&self) -> Option<u32> {
        let top = self.0.len() - 1;
        let (mut level, mut index) = (top, 0);
        loop {
            let word = &self.0[level][index];
            let bits = word.load(Ordering::Relaxed);
            if bits == 0 {
                if level == top {
                    return None;
                }
                // Whoever emptied it has not come to clear its bit yet.
                self.clear(level + 1, index);
                (level, index) = (top, 0);
                continue;
            }
            let number = index * BITS + bits.trailing_zeros() as usize;
            if level > 0 {
                (level, index) = (level - 1, number);
                continue;
            }
            let mask = bits & bits.wrapping_neg();
            let before = word.fetch_and(!mask, Ordering::Acquire);
            if before == mask && top > 0 {
                self.clear(1, index);
            }
            if before & mask != 0 {
                return u32::try_from(number).ok();
            }
            (level, index) = (top, 0); // another thread was faster
        }
    }

    /// Puts a number in that is not there. What the calling thread wrote before happens before
    /// whatever is done by the thread that takes it.
    ///
    /// # Panics
    /// If the number is not below the capacity.
    pub fn put(&self, slot: u32) {
        self.set(0, slot as usize);
    }

    /// Puts all numbers of a range in; none of them is there.
    ///
    /// # Panics
    /// If they are not below the capacity.
    pub fn put_all(&self, slots: Range<u32>) {
        for (index, mask) in words(slots) {
            if self.0[0][index].fetch_or(mask, Ordering::Release) == 0 && self.0.len() > 1 {
                self.set(1, index);
            }
        }
    }

    /// Takes all numbers of a range out of the set if every one of them is there, else none.
    #[must_use]
    pub fn take_all(&self, slots: Range<u32>) -> bool {
        for (index, mask) in words(slots.clone()) {
            let word = &self.0[0][index];
            let mut bits = word.load(Ordering::Relaxed);
            loop {
                if bits & mask != mask {
                    let first = u32::try_from(index * BITS).unwrap_or(u32::MAX).max(slots.start);
                    self.put_all(slots.start..first);
                    return false;
                }
                let rest = bits & !mask;
                match word.compare_exchange(bits, rest, Ordering::Acquire, Ordering::Relaxed) {
                    Ok(_) => break,
                    Err(now) => bits = now,
                }
            }
            if bits == mask && self.0.len() > 1 {
                self.clear(1, index);
            }
        }
        true
    }

    /// How many numbers of a range are in the set; while other threads take and give back, about.
    #[must_use]
    pub fn count(&self, slots: Range<u32>) -> u32 {
        let held = |(index, mask): (usize, u64)| self.0[0][index].load(Ordering::Relaxed) & mask;
        words(slots).map(held).map(u64::count_ones).sum()
    }

    /// Sets the bit `number` of a level, and above it what says that its word has one.
    fn set(&self, level: usize, mut number: usize) {
        for words in &self.0[level..] {
            let before = words[number / BITS].fetch_or(bit(number), Ordering::Release);
            if before != 0 {
                return;
            }
            number /= BITS;
        }
    }

    /// Clears the bit of a level that says that word `number` below has one, unless it has, and
    /// above it what says that its own word has one.
    fn clear(&self, level: usize, mut number: usize) {
        for level in level..self.0.len() {
            let before = self.0[level][number / BITS].fetch_and(!bit(number), Ordering::Acquire);
            if self.0[level - 1][number].load(Ordering::Relaxed) != 0 {
                return self.set(level, number);
            }
            if before & !bit(number) != 0 {
                return;
            }
            number /= BITS;
        }
    }
}

const fn bit(number: usize) -> u64 {
    1 << (number % BITS)
}

/// The words that a range of numbers lies in, and its bits in each.
fn words(slots: Range<u32>) -> impl Iterator<Item = (usize, u64)> {
    let (start, end) = (slots.start as usize, slots.end as usize);
    (start / BITS..end.div_ceil(BITS)).filter(move |_| start < end).map(move |index| {
        let (from, to) = (start.max(index * BITS), end.min((index + 1) * BITS));
        (index, (u64::MAX >> (BITS - (to - from))) << (from % BITS))
    })
}

/// Zeroed words. A large number of them takes no memory until it is used.
#[cfg(not(loom))]
fn zeros(words: usize) -> Box<[AtomicU64]> {
    let plain = Box::into_raw(vec![0_u64; words].into_boxed_slice());
    // SAFETY: an atomic has the size of the plain word and, checked below, its alignment, and any
    // bits are valid; the allocation has no other owner.
    unsafe { Box::from_raw(plain as *mut [AtomicU64]) }
}

#[cfg(not(loom))]
const _: () = assert!(align_of::<AtomicU64>() == align_of::<u64>());

#[cfg(loom)]
fn zeros(words: usize) -> Box<[AtomicU64]> {
    (0..words).map(|_| AtomicU64::new(0)).collect()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use proptest::prelude::*;

    use super::*;

    fn take_every(free: &FreeSlots) -> Vec<u32> {
        std::iter::from_fn(|| free.take()).collect()
    }

    #[test]
    fn the_lowest_is_taken_first_and_an_empty_set_says_so() {
        for capacity in [0, 1, 63, 64, 65, 4_096, 4_097, 300_000] {
            let free = FreeSlots::all(capacity);
            assert_eq!(free.count(0..capacity), capacity);
            assert!(take_every(&free).into_iter().eq(0..capacity), "{capacity}");
            assert_eq!((free.take(), free.count(0..capacity)), (None, 0));
        }
        let free = FreeSlots::none(10_000);
        [9_999, 70, 5_000].into_iter().for_each(|slot| free.put(slot));
        assert_eq!(take_every(&free), [70, 5_000, 9_999]);
    }

    #[test]
    fn a_range_is_taken_whole_or_not_at_all() {
        let free = FreeSlots::all(1_000);
        assert!(free.take_all(100..300));
        assert!(!free.take_all(0..101) && !free.take_all(299..400) && !free.take_all(50..350));
        assert_eq!(free.count(0..1_000), 800, "what was not whole is as it was");
        free.put_all(100..300);
        assert!(free.take_all(0..1_000));
        assert_eq!(free.take(), None);
    }

    proptest! {
        #[test]
        fn it_does_what_a_set_of_numbers_does(
            steps in prop::collection::vec((0..4_u8, 0..5_000_u32, 0..300_u32), 1..200),
        ) {
            let free = FreeSlots::none(5_000);
            let mut model = std::collections::BTreeSet::new();
            for (step, from, len) in steps {
                let range = from..(from + len).min(5_000);
                match step {
                    0 => prop_assert_eq!(free.take(), model.pop_first()),
                    1 => if model.insert(from) { free.put(from) },
                    2 => {
                        let is_whole = range.clone().all(|slot| model.contains(&slot));
                        prop_assert_eq!(free.take_all(range.clone()), is_whole);
                        if is_whole { model.retain(|slot| !range.contains(slot)); }
                    }
                    _ => if range.clone().all(|slot| !model.contains(&slot)) {
                        free.put_all(range.clone());
                        model.extend(range.clone());
                    }
                }
                prop_assert_eq!(free.count(range.clone()) as usize, model.range(range).count());
            }
            prop_assert!(take_every(&free).into_iter().eq(model));
        }
    }

    #[test]
    fn no_slot_is_ever_held_twice_and_none_is_lost() {
        const SLOTS: u32 = 130;
        let free = FreeSlots::all(SLOTS);
        let held: Vec<_> = (0..SLOTS).map(|_| AtomicU32::new(0)).collect();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (free, held) = (&free, &held);
                scope.spawn(move || {
                    let mut mine = Vec::new();
                    for turn in 0..20_000_usize {
                        if let Some(slot) = free.take() {
                            assert_eq!(held[slot as usize].fetch_add(1, SeqCst), 0);
                            mine.push(slot);
                        }
                        if mine.len() > (turn / 64) % 40 {
                            let slot = mine.swap_remove(turn % mine.len());
                            held[slot as usize].fetch_sub(1, SeqCst);
                            free.put(slot);
                        }
                        if thread == 0 && turn % 16 == 0 && free.take_all(120..SLOTS) {
                            assert!(held[120..].iter().all(|n| n.load(SeqCst) == 0));
                            free.put_all(120..SLOTS);
                        }
                    }
                    for slot in mine {
                        held[slot as usize].fetch_sub(1, SeqCst);
                        free.put(slot);
                    }
                });
            }
        });
        assert!(take_every(&free).into_iter().eq(0..SLOTS));
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// Slots 0 and 64 lie in two words, so that there are two levels.
    const CAPACITY: u32 = 65;

    /// A pool: what its slots hold is not atomic, so loom says if two threads had one at a time, or
    /// if one does not see what the other wrote before it gave the slot back.
    struct Pool(FreeSlots, [UnsafeCell<u32>; 2]);

    impl Pool {
        fn new(slots: &[u32]) -> Arc<Self> {
            let free = FreeSlots::none(CAPACITY);
            slots.iter().for_each(|&slot| free.put(slot));
            Arc::new(Self(free, [UnsafeCell::new(0), UnsafeCell::new(0)]))
        }

        fn write(&self, slot: u32) {
            self.1[usize::from(slot == 64)].with_mut(|value| {
                // SAFETY: the slot was taken; loom says if another thread has it too.
                unsafe { *value += 1 }
            });
        }

        /// Takes, writes and gives back.
        fn use_one(&self) -> bool {
            let Some(slot) = self.0.take() else { return false };
            self.write(slot);
            self.0.put(slot);
            true
        }

        /// Everything is there in the end, whatever happened.
        fn assert_holds(&self, slots: &[u32]) {
            let left: Vec<_> = std::iter::from_fn(|| self.0.take()).collect();
            assert_eq!(left, slots, "a slot is lost");
        }
    }

    // SAFETY: who may touch a slot is decided by the set, which is what is tested.
    unsafe impl Send for Pool {}
    // SAFETY: as above.
    unsafe impl Sync for Pool {}

    #[test]
    fn no_slot_is_held_twice_or_lost_by_two_threads() {
        loom::model(|| {
            let pool = Pool::new(&[64]);
            let other = Arc::clone(&pool);
            let thread = thread::spawn(move || other.use_one());
            pool.use_one();
            thread.join().unwrap();
            pool.assert_holds(&[64]);
        });
    }

    #[test]
    fn a_slot_that_comes_back_while_its_word_is_emptied_is_found_again() {
        loom::model(|| {
            let pool = Pool::new(&[0]);
            let held = pool.0.take().unwrap();
            pool.0.put(64);
            let other = Arc::clone(&pool);
            // Gives a slot of the first word back, while this thread empties the second.
            let thread = thread::spawn(move || other.0.put(held));
            let more = pool.0.take().into_iter().chain(pool.0.take()).collect::<Vec<_>>();
            thread.join().unwrap();
            more.into_iter().for_each(|slot| pool.0.put(slot));
            pool.assert_holds(&[0, 64]);
        });
    }

    #[test]
    fn a_range_is_taken_whole_while_its_slots_are_used() {
        loom::model(|| {
            let pool = Pool::new(&[64]);
            let other = Arc::clone(&pool);
            let thread = thread::spawn(move || other.use_one());
            if pool.0.take_all(64..65) {
                pool.write(64);
                pool.0.put_all(64..65);
            }
            thread.join().unwrap();
            pool.assert_holds(&[64]);
        });
    }
}
