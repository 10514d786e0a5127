//! Memory that all connections of a node share, and who has how much of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

/// Bytes that a holder has without taking them from the budget: most messages fit, so that the
/// shared count is not touched for them.
const FREE_BYTES: usize = 16 << 10;

/// Part of the budget that those may have together who have not been let in: they can keep nobody
/// out who has.
const STRANGERS_PART: usize = 4;

/// So many bytes for everybody.
#[derive(Debug)]
pub struct Budget {
    max: AtomicUsize,
    held: AtomicUsize,
}

impl Budget {
    /// `max` bytes; 0 for any number.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self { max: AtomicUsize::new(most(max)), held: AtomicUsize::new(0) }
    }

    /// Lets another maximum hold for what is taken from now on.
    pub fn set(&self, max: usize) {
        self.max.store(most(max), Ordering::Relaxed);
    }

    /// How many bytes are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

const fn most(max: usize) -> usize {
    if max == 0 { usize::MAX } else { max }
}

/// What one holder has of a budget; it goes back when this is dropped. Without a budget there is no
/// limit.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Share {
    #[serde(skip)]
    budget: Option<Arc<Budget>>,
    #[serde(skip)]
    held: usize,
    is_let_in: bool,
}

impl Share {
    /// From now on, what is held comes from `budget`.
    pub fn join(&mut self, budget: Arc<Budget>) {
        let held = std::mem::take(&mut self.held);
        self.leave(held);
        self.budget = Some(budget);
    }

    /// The same for a holder that has `bytes` already: they count, also beyond the maximum.
    pub fn rejoin(&mut self, budget: &Arc<Budget>, bytes: usize) {
        let held = bytes.saturating_sub(FREE_BYTES);
        self.join(Arc::clone(budget));
        budget.held.fetch_add(held, Ordering::Relaxed);
        self.held = held;
    }

    /// Whether the holder has been let in, and may have what is kept from strangers.
    pub const fn let_in(&mut self, is_let_in: bool) {
        self.is_let_in = is_let_in;
    }

    /// Holds `bytes` in all from now on; false if there are not so many, and nothing has changed.
    #[must_use]
    pub fn hold(&mut self, bytes: usize) -> bool {
        let wanted = bytes.saturating_sub(FREE_BYTES);
        if wanted <= self.held {
            self.leave(self.held - wanted);
            self.held = wanted;
            return true;
        }
        if let Some(budget) = &self.budget {
            let max = budget.max.load(Ordering::Relaxed);
            let max = if self.is_let_in { max } else { max / STRANGERS_PART };
            let more = wanted - self.held;
            // Taken first and looked at then: of two who come at once only one gets the last bytes.
            let before = budget.held.fetch_add(more, Ordering::Relaxed);
            if before.saturating_add(more) > max {
                budget.held.fetch_sub(more, Ordering::Relaxed);
                return false;
            }
        }
        self.held = wanted;
        true
    }

    fn leave(&self, bytes: usize) {
        if let Some(budget) = self.budget.as_ref().filter(|_| bytes > 0) {
            budget.held.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.leave(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;

    fn share(budget: &Arc<Budget>, is_let_in: bool) -> Share {
        let mut share = Share::default();
        share.join(Arc::clone(budget));
        share.let_in(is_let_in);
        share
    }

    #[test]
    fn holders_share_the_budget_and_give_back_what_they_do_not_hold_any_more() {
        let budget = Arc::new(Budget::new(4 * MB));
        let (mut first, mut second) = (share(&budget, true), share(&budget, true));
        assert!(first.hold(3 * MB));
        assert!(!second.hold(2 * MB), "there is one left");
        assert!(first.hold(MB) && second.hold(2 * MB));
        drop(second);
        assert!(first.hold(4 * MB));
        drop(first);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn strangers_never_take_what_those_need_who_were_let_in() {
        let budget = Arc::new(Budget::new(8 * MB));
        let mut strangers: Vec<_> = (0..10).map(|_| share(&budget, false)).collect();
        let held = strangers.iter_mut().filter_map(|share| share.hold(MB).then_some(())).count();
        assert_eq!(held, 2);
        assert!(share(&budget, true).hold(5 * MB));
    }

    #[test]
    fn small_amounts_do_not_count_and_without_a_budget_nothing_does() {
        let budget = Arc::new(Budget::new(1));
        assert!(share(&budget, false).hold(FREE_BYTES));
        assert_eq!(budget.held(), 0);
        assert!(Share::default().hold(usize::MAX));
        assert!(share(&Arc::new(Budget::new(0)), false).hold(1 << 40));
    }

    #[test]
    fn holders_on_many_threads_never_pass_it_together() {
        let budget = Arc::new(Budget::new(4 * MB));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut share = share(&budget, true);
                    for n in 0..20_000 {
                        let _is_held = share.hold(n % (2 * MB));
                    }
                });
            }
        });
        assert_eq!(budget.held(), 0);
    }
}
