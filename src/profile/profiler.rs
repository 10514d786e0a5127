//! Profiler: samples of what all threads are doing, counted by stack.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::names::Symbols;
use super::pprof::pprof;
use super::stack::{TIMED, own_code};
use super::timers::ThreadTimers;
use crate::media::Micros;

/// Between two looks at what was sampled: shorter than it takes 64 cores to fill the slots.
const DRAIN: Duration = Duration::from_millis(2);

/// Between two looks for threads that have come.
const NEW_THREADS: Micros = Micros::from_millis(100);

/// Stacks that are told apart. Those that come later are counted as one.
const STACKS_MAX: usize = 65_536;

/// Whether somebody takes a profile: signals are the process's, so there is one at a time.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Why there is no profile.
#[derive(Debug)]
pub(crate) enum ProfileError {
    /// Another one is being taken.
    Busy,
    /// The system refuses.
    System(io::Error),
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("another profile is being taken"),
            Self::System(error) => write!(f, "the system gives no samples: {error}"),
        }
    }
}

/// The right to take a profile. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Profiling(());

impl Profiling {
    /// # Errors
    /// If a profile is being taken, or the system gives no samples.
    pub(crate) fn begin() -> Result<Self, ProfileError> {
        if IS_TAKEN.swap(true, Ordering::Acquire) {
            return Err(ProfileError::Busy);
        }
        let taken = Self(());
        TIMED.open().map_err(ProfileError::System)?;
        Ok(taken)
    }

    /// Samples all threads but the calling one for `span`, or until `stop` says so, `hz` times in
    /// each second that a thread runs for. `now` tells the time.
    ///
    /// # Errors
    /// If the system does not list the process's threads.
    pub(crate) fn sample(
        self,
        span: Micros,
        hz: u32,
        now: impl Fn() -> Micros,
        stop: &AtomicBool,
    ) -> Result<Profile, ProfileError> {
        let (own, mut names) = (own_code(), HashMap::new());
        let mut stacks: HashMap<(i32, Vec<u64>), u64> = HashMap::new();
        let mut timers = ThreadTimers::new(hz);
        let end = now() + span;
        let (mut look, mut other) = (now(), 0);
        while now() < end && !stop.load(Ordering::Acquire) {
            if now() >= look {
                let new = timers.update().map_err(ProfileError::System)?;
                names.extend(new.into_iter().map(|thread| (thread, name_of(thread))));
                look = look + NEW_THREADS;
            }
            std::thread::park_timeout(DRAIN);
            TIMED.drain(|sample| {
                let stack = (sample.thread, sample.frames(&own));
                match stacks.len() < STACKS_MAX || stacks.contains_key(&stack) {
                    true => *stacks.entry(stack).or_default() += 1,
                    false => other += 1,
                }
            });
        }
        let left_out = timers.left_out;
        drop(timers);
        // A thread has its name a moment after it has come.
        for (thread, name) in &mut names {
            *name = name_of(*thread).or_else(|| name.take());
        }
        let missed = TIMED.close();
        Ok(Profile { stacks: fold(&stacks, &names), other, missed, left_out, rate: (span, hz) })
    }
}

impl Drop for Profiling {
    fn drop(&mut self) {
        IS_TAKEN.store(false, Ordering::Release);
    }
}

/// The name that a thread was given; `None` if it has ended.
fn name_of(thread: i32) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/self/task/{thread}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// The same stacks by names.
fn fold(
    stacks: &HashMap<(i32, Vec<u64>), u64>,
    names: &HashMap<i32, Option<String>>,
) -> BTreeMap<String, u64> {
    let (mut symbols, mut folded) = (Symbols::default(), BTreeMap::new());
    for ((thread, frames), count) in stacks {
        let mut line = plain(names.get(thread).and_then(Option::as_deref).unwrap_or("ended"));
        for name in symbols.of(frames).iter().rev() {
            line.push(';');
            line.push_str(&plain(name));
        }
        *folded.entry(line).or_default() += count;
    }
    folded
}

/// A name without what separates names in a folded stack.
fn plain(name: &str) -> String {
    name.replace([';', '\n'], ",")
}

/// What the threads were doing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    /// How often each stack was seen: the thread's name and those of its functions, outermost
    /// first, separated by semicolons.
    stacks: BTreeMap<String, u64>,
    /// Samples of stacks beyond the limit.
    other: u64,
    /// Samples that there was no room for.
    missed: u64,
    /// Threads that were not sampled.
    left_out: usize,
    /// How long it was asked to take, and how many samples of each second.
    rate: (Micros, u32),
}

impl Profile {
    /// As folded stacks, which `inferno-flamegraph`, `flamegraph.pl` and speedscope read: one stack
    /// and its count to a line.
    pub(crate) fn folded(&self) -> String {
        let mut text = String::new();
        for (stack, count) in self.counted() {
            text.push_str(stack);
            text.push(' ');
            text.push_str(&count.to_string());
            text.push('\n');
        }
        text
    }

    /// As pprof's protocol buffers, which `go tool pprof` reads.
    pub(crate) fn pprof(&self) -> Vec<u8> {
        pprof(self.counted(), self.rate)
    }

    /// All stacks, and at their end what was left out.
    fn counted(&self) -> impl Iterator<Item = (&str, u64)> {
        let rest = [
            ("[other stacks]", self.other),
            ("[samples without room]", self.missed),
            ("[threads beyond the limit]", self.left_out as u64),
        ];
        let rest = rest.into_iter().filter(|(_, count)| *count > 0);
        self.stacks.iter().map(|(stack, count)| (stack.as_str(), *count)).chain(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hint::black_box;
    use std::sync::Arc;

    use super::*;

    #[inline(never)]
    fn busy_with_something(until: &AtomicBool) -> u64 {
        let mut sum = 0_u64;
        while !until.load(Ordering::Relaxed) {
            sum = black_box(sum.wrapping_add(1));
        }
        sum
    }

    #[test]
    fn a_thread_that_computes_is_seen_and_one_that_waits_is_not() {
        let over = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&over);
        let busy = std::thread::Builder::new().name("busy".to_owned());
        let busy = busy.spawn(move || busy_with_something(&theirs)).unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let idle = std::thread::Builder::new().name("idle".to_owned());
        let idle = idle.spawn(move || wait.recv().is_err()).unwrap();

        let taken = Profiling::begin().unwrap();
        assert!(matches!(Profiling::begin(), Err(ProfileError::Busy)));
        // It ends by the number of looks: the clock is the node's.
        let looks = Cell::new(0);
        let now = || Micros(looks.replace(looks.get() + 1) * 1_000);
        let (second, stop) = (Micros::from_secs(1), AtomicBool::new(false));
        let profile = taken.sample(second, 100, now, &stop).unwrap();
        over.store(true, Ordering::Relaxed);
        busy.join().unwrap();
        drop(go);
        assert!(idle.join().unwrap());

        let text = profile.folded();
        let of_busy = |line: &&str| line.starts_with("busy;");
        let (seen, named): (Vec<_>, Vec<_>) = text
            .lines()
            .filter(of_busy)
            .map(|line| {
                let (stack, count) = line.rsplit_once(' ').unwrap();
                let count: u64 = count.parse().unwrap();
                (count, if stack.contains("busy_with_something") { count } else { 0 })
            })
            .unzip();
        let (seen, named): (u64, u64) = (seen.iter().sum(), named.iter().sum());
        assert!(seen > 0, "{text}");
        assert!(named * 2 > seen, "{named} of {seen} samples name the function:\n{text}");
        assert!(!text.contains("idle;"), "{text}");

        let taken = Profiling::begin().unwrap();
        let (hour, stop) = (Micros::from_secs(3_600), AtomicBool::new(true));
        let ended = taken.sample(hour, 100, now, &stop);
        assert!(ended.is_ok(), "one that is not wanted any more ends early");
    }

    #[test]
    fn what_was_left_out_stands_at_the_end() {
        let stacks = BTreeMap::from([("a;b".to_owned(), 3), ("a;b;c d".to_owned(), 1)]);
        let profile = Profile { stacks, other: 2, missed: 0, left_out: 0, rate: (Micros(0), 1) };
        assert_eq!(profile.folded(), "a;b 3\na;b;c d 1\n[other stacks] 2\n");
        assert_eq!(plain("[T; 4]"), "[T, 4]");
    }
}
