//! Figures of webhooks and of the journal.

use std::sync::Arc;

use super::cell::{Gauge, SharedCounter};

/// How a hook has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookDecision {
    /// The peer may go on.
    Allowed,
    /// It may not.
    Refused,
    /// There was no usable answer.
    Failed,
}

impl HookDecision {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 3] = [Self::Allowed, Self::Refused, Self::Failed];

    /// The value of the `decision` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What has become of an event or of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It has arrived.
    Sent,
    /// It was given up after all tries.
    Lost,
    /// It found no room in the queue.
    Dropped,
}

impl Delivery {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 3] = [Self::Sent, Self::Lost, Self::Dropped];

    /// The value of the `result` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Lost => "lost",
            Self::Dropped => "dropped",
        }
    }
}

/// The counters of one webhook.
#[derive(Debug, Default)]
pub struct HookStats {
    decisions: [SharedCounter; HookDecision::ALL.len()],
    events: DeliveryStats,
    retries: SharedCounter,
    waiting: Gauge,
}

impl HookStats {
    /// It has decided.
    pub fn decided(&self, decision: HookDecision) {
        self.decisions[decision as usize].add(1);
    }

    /// An event has been sent once more.
    pub fn retried(&self) {
        self.retries.add(1);
    }

    /// What becomes of its events.
    #[must_use]
    pub const fn events(&self) -> &DeliveryStats {
        &self.events
    }

    /// So many events wait.
    pub fn waiting(&self, events: usize) {
        self.waiting.set_count(events);
    }

    /// As it is now.
    #[must_use]
    pub fn read(&self) -> HookFigures {
        HookFigures {
            decisions: std::array::from_fn(|index| self.decisions[index].get()),
            events: self.events.read(),
            retries: self.retries.get(),
            waiting: self.waiting.get_count(),
        }
    }
}

/// What becomes of events that are sent, or of lines that are written.
#[derive(Debug, Default)]
pub struct DeliveryStats([SharedCounter; Delivery::ALL.len()]);

impl DeliveryStats {
    /// This has become of `count` of them.
    pub fn add(&self, delivery: Delivery, count: u64) {
        self.0[delivery as usize].add(count);
    }

    /// Counts in the order of [`Delivery::ALL`].
    #[must_use]
    pub fn read(&self) -> [u64; Delivery::ALL.len()] {
        std::array::from_fn(|index| self.0[index].get())
    }
}

/// A webhook at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookFigures {
    /// In the order of [`HookDecision::ALL`].
    pub decisions: [u64; HookDecision::ALL.len()],
    /// In the order of [`Delivery::ALL`].
    pub events: [u64; Delivery::ALL.len()],
    /// Events that were sent once more.
    pub retries: u64,
    /// Events that wait.
    pub waiting: u64,
}

/// A webhook's figures and what it is called.
#[derive(Clone, Debug)]
pub struct HookEntry {
    /// Its name.
    pub name: String,
    /// Its figures.
    pub stats: Arc<HookStats>,
}

/// A webhook at one moment, with its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookSnapshot {
    /// Its name.
    pub name: String,
    /// Its figures.
    pub figures: HookFigures,
}

impl HookEntry {
    /// As it is now.
    #[must_use]
    pub fn read(&self) -> HookSnapshot {
        HookSnapshot { name: self.name.clone(), figures: self.stats.read() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_has_its_own_place() {
        let stats = HookStats::default();
        HookDecision::ALL.into_iter().for_each(|decision| stats.decided(decision));
        stats.decided(HookDecision::Failed);
        stats.events().add(Delivery::Dropped, 5);
        stats.retried();
        stats.waiting(2);
        let figures = stats.read();
        assert_eq!((figures.decisions, figures.events), ([1, 1, 2], [0, 0, 5]));
        assert_eq!((figures.retries, figures.waiting), (1, 2));
    }
}
