//! Counter of the CPU as a clock: where it runs at one rate whatever the CPU does (the time-stamp
//! counter of x86-64 with `constant_tsc` and `nonstop_tsc`), it is read in a third of the time that
//! the kernel's clock takes. One thread compares the two each second; all others read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// Between two comparisons once the rate is known, nanoseconds.
const COMPARE_EVERY: u64 = 1_000_000_000;

/// Between the first ones, which measure the rate, nanoseconds.
const MEASURE_OVER: u64 = 20_000_000;

/// Two measurements of the rate that differ by more than one part in so many: no clock.
const RATE_PARTS: u64 = 1_000;

/// Farther apart than this the two clocks are put together at once, nanoseconds: the machine was
/// paused. A smaller difference is made up for over the next second, so that time never goes back.
const STEP_MIN: u64 = 1_000_000;

/// Times that both clocks are read for one comparison: the quickest counts.
const READS: usize = 5;

/// Where the kernel says which clock it trusts.
const CLOCK_SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// Clocks of the kernel that are this counter.
const BY_COUNTER: [&str; 3] = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page"];

/// The counter and `CLOCK_MONOTONIC` at one moment, and the rate from there on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Anchor {
    ticks: u64,
    nanos: u64,
    /// Nanoseconds of a tick, in parts of 2^32.
    scale: u64,
}

impl Anchor {
    /// `CLOCK_MONOTONIC` when the counter is at `ticks`, nanoseconds.
    #[expect(clippy::cast_possible_truncation, reason = "u64 ns hold 584 years")]
    const fn nanos_at(&self, ticks: u64) -> u64 {
        // The counters of two cores may be a few ticks apart.
        let passed = ticks.saturating_sub(self.ticks);
        self.nanos + ((passed as u128 * self.scale as u128) >> 32) as u64
    }
}

/// The anchor that all threads read.
#[derive(Debug)]
struct SharedAnchor {
    /// Odd while it is written.
    version: AtomicU64,
    ticks: AtomicU64,
    nanos: AtomicU64,
    /// 0 while there is none.
    scale: AtomicU64,
}

static SHARED: SharedAnchor = SharedAnchor {
    version: AtomicU64::new(0),
    ticks: AtomicU64::new(0),
    nanos: AtomicU64::new(0),
    scale: AtomicU64::new(0),
};

/// Whether a [`CounterFollower`] writes it.
static IS_FOLLOWED: AtomicBool = AtomicBool::new(false);

impl SharedAnchor {
    /// `None` while it is written, or there is none: nobody waits for it.
    fn read(&self) -> Option<Anchor> {
        let version = self.version.load(Ordering::Acquire);
        let scale = self.scale.load(Ordering::Relaxed);
        let (ticks, nanos) =
            (self.ticks.load(Ordering::Relaxed), self.nanos.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        let is_whole = version & 1 == 0 && self.version.load(Ordering::Relaxed) == version;
        (is_whole && scale != 0).then_some(Anchor { ticks, nanos, scale })
    }

    /// For the one that follows.
    fn write(&self, anchor: Anchor) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.ticks.store(anchor.ticks, Ordering::Relaxed);
        self.nanos.store(anchor.nanos, Ordering::Relaxed);
        self.scale.store(anchor.scale, Ordering::Relaxed);
        self.version.store(version + 2, Ordering::Release);
    }
}

/// `CLOCK_MONOTONIC` by the counter, nanoseconds; `None` where the kernel is to be asked.
pub(super) fn counter_nanos() -> Option<u64> {
    Some(SHARED.read()?.nanos_at(ticks()))
}

#[cfg(target_arch = "x86_64")]
fn ticks() -> u64 {
    // SAFETY: every x86-64 has the instruction; where it is not allowed, no anchor is ever written.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
const fn ticks() -> u64 {
    0
}

/// Whether the counter runs at one rate, by what the CPU and the kernel say.
#[cfg(target_arch = "x86_64")]
fn is_constant() -> bool {
    const ADVANCED_POWER: u32 = 0x8000_0007;
    const INVARIANT: u32 = 1 << 8;
    let has_leaf = core::arch::x86_64::__cpuid(0x8000_0000).eax >= ADVANCED_POWER;
    let leaf = core::arch::x86_64::__cpuid(ADVANCED_POWER);
    let trusted = std::fs::read_to_string(CLOCK_SOURCE);
    let is_trusted = trusted.map_or(true, |name| BY_COUNTER.contains(&name.trim()));
    has_leaf && leaf.edx & INVARIANT != 0 && is_trusted
}

#[cfg(not(target_arch = "x86_64"))]
fn is_constant() -> bool {
    let _only_x86 = (CLOCK_SOURCE, BY_COUNTER);
    false
}

/// Both clocks at one moment.
fn compare(monotonic_nanos: impl Fn() -> u64) -> (u64, u64) {
    let read = |_| {
        let (before, nanos, after) = (ticks(), monotonic_nanos(), ticks());
        (after.wrapping_sub(before), before.wrapping_add(after.wrapping_sub(before) / 2), nanos)
    };
    let best = (0..READS).map(read).min_by_key(|(took, ..)| *took);
    best.map_or((0, 0), |(_, ticks, nanos)| (ticks, nanos))
}

/// How the counter's rate is found and followed.
#[derive(Debug, Default)]
struct Discipline {
    last: Option<(u64, u64)>,
    /// The rate that was measured last, see [`Anchor::scale`].
    rate: Option<u64>,
    anchor: Option<Anchor>,
    /// Whether the counter has turned out to be no clock.
    is_unfit: bool,
}

impl Discipline {
    /// When the clocks are to be compared next, if they are now at `nanos`.
    fn is_due(&self, nanos: u64) -> bool {
        let pause = if self.anchor.is_some() { COMPARE_EVERY } else { MEASURE_OVER };
        !self.is_unfit && self.last.is_none_or(|(_, last)| nanos.saturating_sub(last) >= pause)
    }

    /// The clocks are at this now. From here on the anchor is another one, or none.
    fn compared(&mut self, ticks: u64, nanos: u64) -> Option<Anchor> {
        let (last_ticks, last_nanos) = self.last.replace((ticks, nanos))?;
        let rate = rate(ticks.wrapping_sub(last_ticks), nanos.saturating_sub(last_nanos));
        let known = self.rate;
        if rate == 0 || known.is_some_and(|known| is_other(known, rate)) {
            // One that has been a clock measures a pause of the machine, and is measured anew.
            self.is_unfit = self.anchor.is_none();
            (self.rate, self.anchor) = (None, None);
            return None;
        }
        self.rate = Some(rate);
        known?;
        let anchor = match self.anchor {
            None => Anchor { ticks, nanos, scale: rate },
            Some(before) => before.corrected(ticks, nanos, rate),
        };
        self.anchor = Some(anchor);
        self.anchor
    }
}

impl Anchor {
    /// The anchor from here on, where the counter's rate over the last second was `rate`.
    fn corrected(&self, ticks: u64, nanos: u64, rate: u64) -> Self {
        let told = self.nanos_at(ticks);
        if told.abs_diff(nanos) > STEP_MIN {
            return Self { ticks, nanos, scale: rate };
        }
        // One second by the clock takes this much more or less of the time that is told.
        let second = i128::from(COMPARE_EVERY) + i128::from(nanos) - i128::from(told);
        let scale = i128::from(rate) * second / i128::from(COMPARE_EVERY);
        Self { ticks, nanos: told, scale: u64::try_from(scale).unwrap_or(rate) }
    }
}

/// Nanoseconds of a tick, in parts of 2^32; 0 if that cannot be.
fn rate(ticks: u64, nanos: u64) -> u64 {
    let rate = (u128::from(nanos) << 32).checked_div(u128::from(ticks)).unwrap_or(0);
    u64::try_from(rate).unwrap_or(0)
}

const fn is_other(known: u64, rate: u64) -> bool {
    known.abs_diff(rate) > known / RATE_PARTS
}

/// Keeps the counter's time that of the kernel's clock, for all threads of the process. It ends
/// when this is dropped; from then on the kernel is asked.
#[derive(Debug)]
pub struct CounterFollower {
    discipline: Discipline,
    is_constant: bool,
    /// Whether this is the one that writes the anchor.
    is_writer: bool,
}

impl CounterFollower {
    /// Follows, if the counter can be a clock.
    #[must_use]
    pub fn start() -> Self {
        Self { discipline: Discipline::default(), is_constant: is_constant(), is_writer: false }
    }

    /// Compares the clocks if that is due at `monotonic_nanos`: to be called a few times a second.
    pub fn look(&mut self, monotonic_nanos: impl Fn() -> u64) {
        if !self.is_constant || !self.discipline.is_due(monotonic_nanos()) {
            return;
        }
        // Several nodes of one process share the counter; one of them follows it.
        self.is_writer = self.is_writer || !IS_FOLLOWED.swap(true, Ordering::AcqRel);
        if self.is_writer {
            let (ticks, nanos) = compare(monotonic_nanos);
            let anchor = self.discipline.compared(ticks, nanos);
            SHARED.write(anchor.unwrap_or(Anchor { ticks: 0, nanos: 0, scale: 0 }));
        }
    }
}

impl Drop for CounterFollower {
    fn drop(&mut self) {
        if self.is_writer {
            SHARED.write(Anchor { ticks: 0, nanos: 0, scale: 0 });
            IS_FOLLOWED.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A counter of 2.5 GHz that is off by so many parts in a million.
    fn ticks_at(nanos: u64, ppm: i64) -> u64 {
        let exact = i128::from(nanos) * i128::from(2_500_000 * (1_000_000 + ppm));
        u64::try_from(exact / 1_000_000_000_000).unwrap()
    }

    /// The discipline after its first comparisons, the last of them at this time.
    fn measured() -> (Discipline, u64) {
        let mut discipline = Discipline::default();
        let times = [SECOND, SECOND + MEASURE_OVER, SECOND + 2 * MEASURE_OVER];
        let anchors = times.map(|at| {
            assert!(discipline.is_due(at));
            discipline.compared(ticks_at(at, 0), at)
        });
        assert_eq!((anchors[0], anchors[1], anchors[2].is_some()), (None, None, true));
        (discipline, times[2])
    }

    #[test]
    fn time_by_the_counter_is_that_of_the_clock_within_a_part_in_a_million() {
        let (discipline, at) = measured();
        let anchor = discipline.anchor.unwrap();
        for later in [0, 1_000, SECOND / 2, SECOND] {
            let told = anchor.nanos_at(ticks_at(at + later, 0));
            assert!(told.abs_diff(at + later) <= 1 + later / 1_000_000, "{later}: {told}");
        }
    }

    #[test]
    fn a_difference_is_made_up_for_and_time_never_goes_back() {
        let (mut discipline, start) = measured();
        let mut told_before = 0;
        // The clock is slowed down by 60 parts in a million from here on, as NTP does.
        let ticks = |at: u64| ticks_at(start, 0) + ticks_at(at - start, 60);
        for second in 1..=20 {
            let at = start + second * SECOND;
            let before = discipline.anchor.unwrap();
            assert!(before.nanos_at(ticks(at)) >= told_before);
            told_before = before.nanos_at(ticks(at));
            let after = discipline.compared(ticks(at), at).unwrap();
            assert!(after.nanos_at(ticks(at)) >= told_before);
        }
        assert!(told_before.abs_diff(start + 20 * SECOND) < 1_000, "{told_before}");
    }

    #[test]
    fn after_a_pause_of_the_machine_the_clocks_are_put_together_again() {
        let (mut discipline, start) = measured();
        let ticks = |at: u64| ticks_at(at - 3 * SECOND, 0);
        let paused = start + 4 * SECOND;
        assert_eq!(discipline.compared(ticks(paused), paused), None, "the kernel is asked");
        let mut at = paused;
        let anchor = (0..3).find_map(|_| {
            at += MEASURE_OVER;
            discipline.compared(ticks(at), at)
        });
        assert_eq!(anchor.map(|it| it.nanos_at(ticks(at))), Some(at));
    }

    #[test]
    fn a_counter_that_changes_its_rate_is_no_clock() {
        let mut discipline = Discipline::default();
        let mut ticks = 0;
        for step in 1..=4_u64 {
            ticks += step * 10_000_000;
            assert_eq!(discipline.compared(ticks, step * MEASURE_OVER), None);
        }
        assert!(!discipline.is_due(u64::MAX), "it is looked at no more");
        let mut still = Discipline::default();
        for step in 1..=4 {
            assert_eq!(still.compared(0, step * MEASURE_OVER), None, "it stands still");
        }
    }
}
