//! A lock-free stack of slot numbers: the slot given back last is taken first, so that its memory
//! is still warm and memory never needed is never touched.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const END: u32 = u32::MAX;

/// Treiber stack over indices. The head carries a counter beside the index, so that a head that was
/// popped and pushed back in between (ABA) does not compare equal.
#[derive(Debug)]
pub(super) struct FreeList {
    head: AtomicU64,
    next: Box<[AtomicU32]>,
}

impl FreeList {
    /// A list with every slot of `0..count` free, slot 0 on top.
    pub(super) fn full(count: u32) -> Self {
        let next = (1..=count).map(|n| AtomicU32::new(if n == count { END } else { n })).collect();
        let top = if count == 0 { END } else { 0 };
        Self { head: AtomicU64::new(u64::from(top)), next }
    }

    pub(super) fn pop(&self) -> Option<u32> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let (count, top) = parts(head);
            let next = self.next.get(top as usize)?.load(Ordering::Relaxed);
            let new = join(count.wrapping_add(1), next);
            match self.head.compare_exchange_weak(head, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(top),
                Err(now) => head = now,
            }
        }
    }

    /// Free slots, counted while nobody else takes or gives back any.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let (_, mut top) = parts(self.head.load(Ordering::Acquire));
        let mut count = 0;
        while let Some(next) = self.next.get(top as usize) {
            top = next.load(Ordering::Relaxed);
            count += 1;
        }
        count
    }

    pub(super) fn push(&self, slot: u32) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let (count, top) = parts(head);
            self.next[slot as usize].store(top, Ordering::Relaxed);
            let new = join(count.wrapping_add(1), slot);
            match self.head.compare_exchange_weak(head, new, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of a word")]
const fn parts(head: u64) -> (u32, u32) {
    ((head >> 32) as u32, head as u32)
}

const fn join(count: u32, top: u32) -> u64 {
    (count as u64) << 32 | top as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn last_in_is_first_out_and_an_empty_list_says_so() {
        let list = FreeList::full(2);
        assert_eq!((list.pop(), list.pop(), list.pop()), (Some(0), Some(1), None));
        list.push(0);
        list.push(1);
        assert_eq!((list.pop(), list.pop()), (Some(1), Some(0)));
    }

    #[test]
    fn no_slot_is_ever_held_twice() {
        let list = Arc::new(FreeList::full(4));
        let held: Arc<Vec<_>> = Arc::new((0..4).map(|_| AtomicU32::new(0)).collect());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (list, held) = (Arc::clone(&list), Arc::clone(&held));
                scope.spawn(move || {
                    for _ in 0..50_000 {
                        let Some(slot) = list.pop() else { continue };
                        assert_eq!(held[slot as usize].fetch_add(1, Ordering::SeqCst), 0);
                        held[slot as usize].fetch_sub(1, Ordering::SeqCst);
                        list.push(slot);
                    }
                });
            }
        });
        assert_eq!((0..4).filter_map(|_| list.pop()).count(), 4);
    }
}
