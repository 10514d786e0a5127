//! Loops of the node's threads: since when each has been in its present turn, and how long its
//! turns take.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use crossbeam::utils::CachePadded;

use super::cell::{Counter, SharedCounter};
use super::list::List;
use crate::media::Micros;

/// Why a turn took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallCause {
    /// Its thread computed.
    Run,
    /// Its thread could run, and had no CPU.
    Wait,
    /// Its thread was in a call that did not return.
    Block,
    /// It had ended before the watchdog came to look.
    Unseen,
}

impl StallCause {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 4] = [Self::Run, Self::Wait, Self::Block, Self::Unseen];

    /// The value of the `cause` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Wait => "wait",
            Self::Block => "block",
            Self::Unseen => "unseen",
        }
    }
}

/// What one loop is doing. Written by its thread with plain stores; read by the watchdog.
#[derive(Debug, Default)]
pub struct LoopActivity(CachePadded<Turns>);

#[derive(Debug, Default)]
struct Turns {
    /// The thread's number in the kernel; 0 if none runs the loop.
    thread: AtomicI32,
    /// One more than the microsecond at which the present turn began; 0 between two of them.
    since: AtomicU64,
    /// A turn that takes so long is a stall.
    limit_us: AtomicU64,
    /// How many there were, and how long the last one took.
    overlong: Counter,
    overlong_us: AtomicU64,
    longest_us: AtomicU64,
    worked_us: Counter,
    stalls: [SharedCounter; StallCause::ALL.len()],
}

/// A turn that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The thread's number in the kernel.
    pub thread: i32,
    /// When it began.
    pub since: Micros,
}

impl LoopActivity {
    /// The loop is run by this thread, by its number in the kernel, until the answer is dropped.
    pub fn run_by(self: &Arc<Self>, thread: i32) -> LoopRun {
        self.0.thread.store(thread, Ordering::Relaxed);
        LoopRun(Arc::clone(self))
    }

    /// The turn that has not ended, if there is one. For any thread.
    #[must_use]
    pub fn turn(&self) -> Option<Turn> {
        let since = self.0.since.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Turn { thread: self.0.thread.load(Ordering::Relaxed), since: Micros(since) })
    }

    /// How many turns have reached the limit, and how long the last of them took. For any thread.
    #[must_use]
    pub fn overlong(&self) -> (u64, Micros) {
        let count = self.0.overlong.get();
        (count, Micros(self.0.overlong_us.load(Ordering::Relaxed)))
    }

    /// How long all turns took together that have ended. For any thread.
    #[must_use]
    pub fn worked(&self) -> Micros {
        Micros(self.0.worked_us.get())
    }

    /// A turn has ended that took this long. For the thread of the loop.
    pub fn has_worked(&self, took: Micros) {
        let turns = &self.0;
        turns.worked_us.add(took.0);
        if took.0 > turns.longest_us.load(Ordering::Relaxed) {
            turns.longest_us.store(took.0, Ordering::Relaxed);
        }
        if (1..=took.0).contains(&turns.limit_us.load(Ordering::Relaxed)) {
            turns.overlong_us.store(took.0, Ordering::Relaxed);
            turns.overlong.add(1);
        }
    }

    /// One more turn took too long.
    pub fn stalled(&self, cause: StallCause) {
        self.0.stalls[cause as usize].add(1);
    }

    /// The longest turn, and how many took too long, in the order of [`StallCause::ALL`]. For any
    /// thread.
    #[must_use]
    pub fn read(&self) -> LoopFigures {
        LoopFigures {
            longest: Micros(self.0.longest_us.load(Ordering::Relaxed)),
            stalls: std::array::from_fn(|at| self.0.stalls[at].get()),
        }
    }
}

/// A loop that runs. For its thread.
#[derive(Debug)]
pub struct LoopRun(Arc<LoopActivity>);

impl LoopRun {
    /// A turn begins.
    pub fn begin(&self, now: Micros) {
        self.0.0.since.store(now.0 + 1, Ordering::Relaxed);
    }

    /// The turn has ended: the loop waits for something to do, or begins the next one.
    pub fn end(&self, now: Micros) {
        let turns = &self.0.0;
        let took = (now.0 + 1).saturating_sub(turns.since.load(Ordering::Relaxed));
        self.0.has_worked(Micros(took));
        turns.since.store(0, Ordering::Release);
    }
}

impl Drop for LoopRun {
    fn drop(&mut self) {
        self.0.0.since.store(0, Ordering::Relaxed);
        self.0.0.thread.store(0, Ordering::Relaxed);
    }
}

/// What a loop had counted at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoopFigures {
    /// The longest turn.
    pub longest: Micros,
    /// Turns that took too long, in the order of [`StallCause::ALL`].
    pub stalls: [u64; StallCause::ALL.len()],
}

/// A loop that is watched.
#[derive(Clone, Debug)]
pub struct LoopEntry {
    /// Its thread's name.
    pub name: String,
    /// A turn that takes so long is a stall.
    pub limit: Micros,
    /// What it is doing.
    pub activity: Arc<LoopActivity>,
}

/// The loops of a node.
#[derive(Debug, Default)]
pub struct Loops(List<LoopEntry>);

impl Loops {
    /// A loop of threads with this name, whose turns should take less than `limit`: a further one,
    /// or in the place of the one before it.
    pub fn put(&self, name: &str, limit: Micros, activity: Arc<LoopActivity>) {
        activity.0.limit_us.store(limit.0, Ordering::Relaxed);
        let entry = LoopEntry { name: name.to_owned(), limit, activity };
        self.0.put(&entry, |other| other.name == name);
    }

    /// Those that there are.
    #[must_use]
    pub fn read(&self) -> Arc<Vec<LoopEntry>> {
        self.0.read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_seen_until_it_ends_and_the_longest_is_kept() {
        let loops = Loops::default();
        let activity = Arc::<LoopActivity>::default();
        loops.put("shard-0", Micros(20), Arc::clone(&activity));
        assert_eq!(activity.turn(), None);
        let run = activity.run_by(7);
        run.begin(Micros(0));
        assert_eq!(activity.turn(), Some(Turn { thread: 7, since: Micros(0) }));
        run.end(Micros(30));
        assert_eq!(activity.turn(), None);
        run.begin(Micros(40));
        run.end(Micros(45));
        assert_eq!((activity.overlong(), activity.read().longest), ((1, Micros(30)), Micros(30)));
        run.begin(Micros(50));
        drop(run);
        assert_eq!(activity.turn(), None, "its thread has ended in the middle of it");
        assert_eq!(activity.worked(), Micros(35));
        loops.put("shard-0", Micros(20), Arc::default());
        assert_eq!(loops.read().len(), 1, "in its place");
        assert_eq!(loops.read()[0].activity.read().longest, Micros(0));
    }
}
