//! Measurements of a host that take no rights and change nothing: about four seconds in all.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::park_timeout;
use std::time::Duration;

use serde::Serialize;

use super::kernel_tree::KernelTree;
use super::page_walk::{Pages, walk};
use crate::ring::Bell;
use crate::runtime::{Clock, NICE_ENCODE, Worker, allowed_cpus, check_io_uring};

/// Sleeps whose ends are measured.
const WAKES: usize = 300;

/// How long each is, nanoseconds.
const SLEEP: u64 = 2_000_000;

/// Reads of the clock that are measured together.
const READS: u64 = 100_000;

/// How long a thread looks whether its CPU is taken from it, nanoseconds.
const WATCH: u64 = 1_000_000_000;

/// A gap between two reads of the clock from which on somebody else had the CPU, nanoseconds.
const GAP_MIN: u64 = 10_000;

/// Times that two threads wake each other.
const HAND_OVERS: u64 = 2_000;

/// Longest that these two wait for each other, in all. A machine that takes longer is not measured.
const HAND_OVERS_MAX: Duration = Duration::from_secs(2);

/// Steps of a unit of work: below a millisecond.
const WORK_STEPS: u32 = 100_000;

/// Units that are measured.
const WORKS: usize = 31;

/// Time from one unit to the next where the CPU may go to sleep, nanoseconds.
const PAUSE: u64 = 8_000_000;

/// What was measured. What is `None` could not be measured here, or nobody asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// Reading the clock, picoseconds.
    pub clock_read_ps: Option<u64>,
    /// How late a thread wakes on a CPU where nothing of ours runs.
    pub wake: Option<Spread>,
    /// The same on a CPU on which a thread of an encoder's niceness works.
    pub wake_beside_work: Option<Spread>,
    /// From ringing a thread's bell to its answer, half of that: on two CPUs, nanoseconds.
    pub hand_over_ns: Option<u64>,
    /// The same on one CPU: what a switch from thread to thread takes.
    pub switch_ns: Option<u64>,
    /// Time that work takes after a pause of 8 ms, in percent of without one.
    pub after_pause_percent: Option<u64>,
    /// Time that work takes while the other CPU of the core works, in percent of alone.
    pub beside_sibling_percent: Option<u64>,
    /// What others took of a CPU on which one thread works.
    pub taken: Option<Taken>,
    /// What a hypervisor gave to others meanwhile, in thousandths of all CPUs.
    pub steal_permille: Option<u64>,
    /// Interrupts of devices a second meanwhile, by CPU.
    pub interrupts: Vec<(usize, u64)>,
    /// A look at memory of small pages in an order that no cache knows, picoseconds.
    pub small_pages_ps: Option<u64>,
    /// The same where huge pages were asked for.
    pub huge_pages_ps: Option<u64>,
    /// Whether `io_uring` can be used; if not, why.
    pub io_uring: Option<Result<(), String>>,
}

/// Some durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Median, nanoseconds.
    pub p50_ns: u64,
    /// 99 of 100 are shorter, nanoseconds.
    pub p99_ns: u64,
    /// The longest, nanoseconds.
    pub max_ns: u64,
}

impl Spread {
    /// Of these durations, nanoseconds, if there are any.
    fn of(mut all: Vec<u64>) -> Option<Self> {
        all.sort_unstable();
        let at = |percent: usize| all.get((all.len() * percent / 100).min(all.len() - 1)).copied();
        let max_ns = *all.last()?;
        Some(Self { p50_ns: at(50)?, p99_ns: at(99)?, max_ns })
    }
}

/// Time of a CPU that others had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// In thousandths.
    pub permille: u64,
    /// Times.
    pub times: u64,
    /// The longest, nanoseconds.
    pub longest_ns: u64,
}

/// Measures this machine, on the first of the CPUs that the process may use. `tree` is its own.
#[must_use]
pub fn measure(tree: &KernelTree) -> Measured {
    let clock = Clock::start();
    let cpus = allowed_cpus();
    let Some(&cpu) = cpus.first() else { return Measured::default() };
    let (stolen, interrupts) = (tree.stolen(), tree.interrupts());
    let siblings = tree.siblings(cpu);
    let sibling = cpus.iter().copied().find(|other| siblings.contains(other));
    let other = cpus.iter().copied().rfind(|&other| other != cpu && !siblings.contains(&other));
    let mut measured = Measured {
        clock_read_ps: on(cpu, move || clock_read(clock)),
        wake: on(cpu, move || wakes(clock)).flatten(),
        wake_beside_work: beside_work(cpu, NICE_ENCODE, move || on(cpu, move || wakes(clock)))
            .flatten()
            .flatten(),
        hand_over_ns: other.and_then(|other| hand_over([cpu, other], clock)),
        switch_ns: hand_over([cpu, cpu], clock),
        after_pause_percent: on(cpu, move || after_pause(clock)),
        taken: on(cpu, move || taken(clock)),
        small_pages_ps: on(cpu, move || walk(Pages::Small, clock)).flatten(),
        huge_pages_ps: on(cpu, move || walk(Pages::Huge, clock)).flatten(),
        io_uring: Some(check_io_uring().map_err(|failure| failure.to_string())),
        ..Measured::default()
    };
    if let Some(sibling) = sibling {
        let alone = on(cpu, move || fastest(clock));
        let beside = beside_work(sibling, 0, move || on(cpu, move || fastest(clock))).flatten();
        measured.beside_sibling_percent =
            alone.zip(beside).and_then(|(alone, beside)| (beside * 100).checked_div(alone));
    }
    measured.steal_permille =
        tree.stolen().zip(stolen).and_then(|(now, it)| now.permille_since(it));
    measured.interrupts = per_second(&interrupts, &tree.interrupts(), clock.nanos());
    measured
}

/// Runs it on a thread of its own on this CPU. `None` if the machine has no thread for us.
fn on<T: Send + 'static>(cpu: usize, run: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    Worker::spawn("tune", vec![cpu], 0, run).ok()?.join()
}

/// Runs it while a thread of that niceness works on this CPU.
fn beside_work<T>(cpu: usize, nice: i32, run: impl FnOnce() -> T) -> Option<T> {
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    let busy = Worker::spawn("tune-work", vec![cpu], nice, move || {
        while !told.load(Ordering::Relaxed) {
            work();
        }
    });
    let busy = busy.ok()?;
    let result = run();
    over.store(true, Ordering::Relaxed);
    busy.join();
    Some(result)
}

fn clock_read(clock: Clock) -> u64 {
    let began = clock.nanos();
    (0..READS).for_each(|_| _ = black_box(clock.nanos()));
    clock.nanos().saturating_sub(began) * 1_000 / READS
}

/// Sleeps until then.
fn sleep_until(clock: Clock, due: u64) -> u64 {
    loop {
        let now = clock.nanos();
        if now >= due {
            return now;
        }
        park_timeout(Duration::from_nanos(due - now));
    }
}

/// How late sleeps end.
fn wakes(clock: Clock) -> Option<Spread> {
    let late = (0..WAKES).map(|_| {
        let due = clock.nanos() + SLEEP;
        sleep_until(clock, due) - due
    });
    Spread::of(late.collect())
}

/// Work that keeps a core's multipliers busy.
fn work() {
    let mut states = [1_u64, 3, 5, 7, 11, 13, 17, 19];
    for _ in 0..WORK_STEPS / 8 {
        for state in &mut states {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        }
    }
    black_box(states);
}

/// What a unit of work takes, nanoseconds.
fn timed(clock: Clock) -> u64 {
    let began = clock.nanos();
    work();
    clock.nanos().saturating_sub(began)
}

fn fastest(clock: Clock) -> u64 {
    (0..WORKS).map(|_| timed(clock)).min().unwrap_or(0)
}

/// What work takes after a pause, in percent of the same without one.
fn after_pause(clock: Clock) -> u64 {
    let steady = fastest(clock).max(1);
    let mut paused: Vec<_> = (0..WORKS)
        .map(|_| {
            sleep_until(clock, clock.nanos() + PAUSE);
            timed(clock)
        })
        .collect();
    paused.sort_unstable();
    paused[WORKS / 2] * 100 / steady
}

/// What others take of the CPU of a thread that works all the time.
fn taken(clock: Clock) -> Taken {
    let (began, mut taken, mut lost) = (clock.nanos(), Taken::default(), 0);
    let mut last = began;
    while last < began + WATCH {
        let now = clock.nanos();
        let gap = now - last;
        if gap >= GAP_MIN {
            lost += gap;
            taken.times += 1;
            taken.longest_ns = taken.longest_ns.max(gap);
        }
        last = now;
    }
    taken.permille = lost * 1_000 / (last - began);
    taken
}

/// Half of what it takes two threads, on these CPUs, to wake each other, nanoseconds.
fn hand_over(cpus: [usize; 2], clock: Clock) -> Option<u64> {
    // Even: the first's turn.
    let turn = Arc::new(AtomicU64::new(0));
    let bells = [Bell::new(), Bell::new()];
    let over = Arc::new(AtomicBool::new(false));
    let play = |own: usize| {
        let (turn, bells, over) = (Arc::clone(&turn), bells.clone(), Arc::clone(&over));
        move || {
            let until =
                clock.nanos() + u64::try_from(HAND_OVERS_MAX.as_nanos()).unwrap_or(u64::MAX);
            let (began, mut at) = (clock.nanos(), own as u64);
            while at < 2 * HAND_OVERS {
                let is_ours = || turn.load(Ordering::Acquire) == at;
                while !is_ours() {
                    if over.load(Ordering::Relaxed) || clock.nanos() > until {
                        over.store(true, Ordering::Relaxed);
                        return None;
                    }
                    bells[own].park(HAND_OVERS_MAX, is_ours);
                }
                turn.store(at + 1, Ordering::Release);
                bells[1 - own].ring();
                at += 2;
            }
            Some((clock.nanos() - began) / (2 * HAND_OVERS))
        }
    };
    let other = Worker::spawn("tune-other", vec![cpus[1]], 0, play(1)).ok()?;
    let took = on(cpus[0], play(0)).flatten();
    other.join();
    took
}

/// Interrupts a second by CPU, from two looks that lie so many nanoseconds apart.
fn per_second(before: &[(usize, u64)], now: &[(usize, u64)], nanos: u64) -> Vec<(usize, u64)> {
    let rate = |count: u64| {
        let rate = u128::from(count) * 1_000_000_000 / u128::from(nanos.max(1));
        u64::try_from(rate).unwrap_or(u64::MAX)
    };
    let of = |(&(cpu, before), &(_, now)): (&(usize, u64), &(usize, u64))| {
        (cpu, rate(now.saturating_sub(before)))
    };
    before.iter().zip(now).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_names_the_median_the_tail_and_the_longest() {
        assert_eq!(Spread::of(Vec::new()), None);
        let spread = Spread::of((1..=1_000).rev().collect()).unwrap();
        assert_eq!((spread.p50_ns, spread.p99_ns, spread.max_ns), (501, 991, 1_000));
        assert_eq!(Spread::of(vec![7]).unwrap().p99_ns, 7);
    }

    #[test]
    fn interrupts_are_told_by_the_second() {
        let rates = per_second(&[(0, 10), (1, 5)], &[(0, 30), (1, 5)], 2_000_000_000);
        assert_eq!(rates, [(0, 10), (1, 0)]);
    }

    #[test]
    fn this_machine_is_measured() {
        let measured = measure(&KernelTree::below("/"));
        let wake = measured.wake.unwrap();
        assert!(wake.p50_ns > 0 && wake.max_ns >= wake.p99_ns, "{measured:?}");
        assert!(measured.clock_read_ps.unwrap() > 0 && measured.switch_ns.unwrap() > 0);
        assert!(measured.small_pages_ps.unwrap() > 0 && measured.huge_pages_ps.unwrap() > 0);
        assert!(measured.after_pause_percent.unwrap() > 10, "{measured:?}");
        assert!(measured.taken.is_some() && measured.io_uring.is_some());
    }
}
