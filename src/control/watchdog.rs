//! Watchdog: finds loops whose turns take too long, and says what they were doing.
//!
//! A loop writes down when each of its turns begins and ends, and nothing else. All work is here,
//! on control's cores: a turn that goes on for long has its thread's stack sampled once, and when
//! it has ended, how long it ran and how long it waited for a CPU is told with it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::event::NodeEvent;
use crate::media::Micros;
use crate::profile::{StackSamples, Symbols};
use crate::ring::Bell;
use crate::runtime::{Clock, CounterFollower, StopFlag, Worker};
use crate::stats::{LoopEntry, Loops, OriginClock, StallCause, Turn};

/// Between two looks at all loops: half of the shortest limit.
const LOOK: Duration = Duration::from_millis(10);

/// Between two looks at the time of day.
const DAY_EVERY: Micros = Micros::from_secs(1);

/// Stalls of a loop that are told in a minute. Those beyond are counted.
const TOLD_MAX: usize = 5;

/// The time in which these are counted.
const TOLD_WITHIN: Micros = Micros::from_secs(60);

/// A turn that lasts for so long is told of before it ends, which it may never do.
const HUNG: Micros = Micros::from_secs(1);

/// Functions of a stack that are told, innermost first.
const FUNCTIONS_MAX: usize = 6;

/// How long a thread has run, and how long it could have run but had no CPU, since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTimes {
    pub(crate) ran: Micros,
    pub(crate) waited: Micros,
}

/// What the watchdog asks about threads, by their numbers in the kernel.
pub(crate) trait Threads {
    /// How long it has run and waited; `None` if the kernel does not say.
    fn times(&mut self, thread: i32) -> Option<CpuTimes>;
    /// Asks for its stack.
    fn ask(&mut self, thread: i32);
    /// Stacks that were asked for: addresses in functions, innermost first.
    fn answers(&mut self) -> Vec<(i32, Vec<u64>)>;
}

/// A turn that took too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stall {
    /// The thread's name.
    pub(crate) thread: String,
    /// How long it took, or has taken so far.
    pub(crate) length: Micros,
    /// Whether it goes on.
    pub(crate) goes_on: bool,
    /// For how much of that the thread ran, and for how much it had no CPU.
    pub(crate) times: CpuTimes,
    pub(crate) cause: StallCause,
    /// What it was doing on the way to the limit; empty if nobody saw it.
    pub(crate) stack: Vec<u64>,
    /// Stalls of this loop since the last one that was told.
    pub(crate) untold: u64,
}

/// What is known of a loop.
#[derive(Default)]
struct Seen {
    /// Turns that were too long so far.
    overlong: u64,
    turn: Option<Turn>,
    /// The thread's times when the turn had been seen twice.
    before: Option<CpuTimes>,
    /// Whether its thread has been asked for its stack.
    is_asked: bool,
    is_hung: bool,
    stack: Vec<u64>,
    told: VecDeque<Micros>,
    untold: u64,
}

/// Watches loops.
pub(crate) struct Watchdog<T> {
    threads: T,
    seen: HashMap<usize, Seen>,
}

impl<T: Threads> Watchdog<T> {
    pub(crate) fn new(threads: T) -> Self {
        Self { threads, seen: HashMap::new() }
    }

    /// Looks at all loops at `now`. Those stalls that are to be told.
    pub(crate) fn look(&mut self, loops: &[LoopEntry], now: Micros) -> Vec<Stall> {
        let id = |entry: &LoopEntry| Arc::as_ptr(&entry.activity).addr();
        self.seen.retain(|known, _| loops.iter().any(|entry| id(entry) == *known));
        for (thread, stack) in self.threads.answers() {
            let mut asked = self.seen.values_mut().filter(|seen| seen.is_asked);
            let of = asked.find(|seen| seen.turn.is_some_and(|turn| turn.thread == thread));
            if let Some(seen) = of {
                seen.stack = stack;
            }
        }
        let mut stalls = Vec::new();
        for entry in loops {
            let seen = self.seen.entry(id(entry)).or_default();
            stalls.extend(seen.look(entry, now, &mut self.threads));
        }
        stalls
    }
}

impl Seen {
    fn look(
        &mut self,
        entry: &LoopEntry,
        now: Micros,
        threads: &mut impl Threads,
    ) -> Option<Stall> {
        let (overlong, took) = entry.activity.overlong();
        let is_over = overlong > std::mem::replace(&mut self.overlong, overlong);
        let stall = if is_over { self.stall(entry, (took, false), now, threads) } else { None };
        let turn = entry.activity.turn();
        if is_over || turn != self.turn {
            let (told, untold) = (std::mem::take(&mut self.told), self.untold);
            *self = Self { overlong, turn, told, untold, ..Self::default() };
            return stall;
        }
        let turn = turn?;
        if self.before.is_none() {
            self.before = threads.times(turn.thread);
        }
        let length = now.since(turn.since);
        // Half way to the limit: the next look may be too late.
        if length.0 >= entry.limit.0 / 2 && !self.is_asked {
            self.is_asked = true;
            threads.ask(turn.thread);
        }
        if length >= HUNG && !self.is_hung {
            self.is_hung = true;
            return self.stall(entry, (length, true), now, threads);
        }
        None
    }

    /// A turn of the loop took this long, or has so far. `None` if too many were told of late.
    fn stall(
        &mut self,
        entry: &LoopEntry,
        (length, goes_on): (Micros, bool),
        now: Micros,
        threads: &mut impl Threads,
    ) -> Option<Stall> {
        let after = self.turn.and_then(|turn| threads.times(turn.thread));
        let times = self.before.zip(after).map(|(before, after)| CpuTimes {
            ran: after.ran.since(before.ran).min(length),
            waited: after.waited.since(before.waited).min(length),
        });
        let cause = times.map_or(StallCause::Unseen, |times| cause(times, length));
        if !goes_on {
            entry.activity.stalled(cause);
        }
        self.told.retain(|at| now.since(*at) < TOLD_WITHIN);
        if self.told.len() >= TOLD_MAX {
            self.untold += 1;
            return None;
        }
        self.told.push_back(now);
        Some(Stall {
            thread: entry.name.clone(),
            length,
            goes_on,
            times: times.unwrap_or_default(),
            cause,
            stack: self.stack.clone(),
            untold: std::mem::take(&mut self.untold),
        })
    }
}

/// Why a turn took so long: by what its thread did for most of the time.
fn cause(times: CpuTimes, length: Micros) -> StallCause {
    let CpuTimes { ran, waited } = times;
    let blocked = length.since(ran + waited);
    if waited >= ran && waited >= blocked {
        StallCause::Wait
    } else if ran >= blocked {
        StallCause::Run
    } else {
        StallCause::Block
    }
}

/// The threads of this process.
struct OwnThreads(StackSamples);

impl Threads for OwnThreads {
    fn times(&mut self, thread: i32) -> Option<CpuTimes> {
        let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
        let mut numbers = text.split_ascii_whitespace().map(|it| it.parse::<u64>().ok());
        let mut micros = || Some(Micros(numbers.next()?? / 1_000));
        Some(CpuTimes { ran: micros()?, waited: micros()? })
    }

    fn ask(&mut self, thread: i32) {
        if let Err(error) = self.0.ask(thread) {
            tracing::debug!("a thread that is held up gives no stack: {error}");
        }
    }

    fn answers(&mut self) -> Vec<(i32, Vec<u64>)> {
        self.0.answers()
    }
}

/// The watchdog's thread. It ends when this is dropped.
pub(crate) struct WatchdogThread {
    stop: StopFlag,
    worker: Option<Worker<()>>,
}

impl WatchdogThread {
    /// Watches `loops` and the time of day on these CPUs. Its reports go to `tell`.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub(crate) fn start(
        (loops, origin): (Arc<Loops>, Arc<OriginClock>),
        cpus: Vec<usize>,
        clock: Clock,
        tell: impl Fn(NodeEvent) + Send + 'static,
    ) -> io::Result<Self> {
        let bell = Bell::new();
        let stop = StopFlag::new(Arc::clone(&bell));
        let theirs = stop.clone();
        let run = move || watch((&loops, &origin), clock, (&theirs, &bell), tell);
        Ok(Self { worker: Some(Worker::spawn("watchdog", cpus, 0, run)?), stop })
    }
}

impl Drop for WatchdogThread {
    fn drop(&mut self) {
        self.stop.stop();
        self.worker.take().map(Worker::join);
    }
}

fn watch(
    (loops, origin): (&Loops, &OriginClock),
    clock: Clock,
    (stop, bell): (&StopFlag, &Bell),
    tell: impl Fn(NodeEvent),
) {
    let mut watchdog = Watchdog::new(OwnThreads(StackSamples::default()));
    let mut counter = CounterFollower::start();
    let mut day_seen = Micros(0);
    while !stop.is_stopped() {
        bell.park(LOOK, || stop.is_stopped());
        clock.follow_counter(&mut counter);
        if clock.now().since(day_seen) >= DAY_EVERY {
            day_seen = clock.now();
            origin.set(clock.unix_at_start(), Clock::state());
        }
        let stalls = watchdog.look(&loops.read(), clock.now());
        if !stalls.is_empty() {
            let mut symbols = Symbols::default();
            stalls.into_iter().for_each(|stall| tell(event(stall, &mut symbols)));
        }
    }
}

fn event(stall: Stall, symbols: &mut Symbols) -> NodeEvent {
    let Stall { thread, length, goes_on, times, cause, stack, untold } = stall;
    let functions = symbols.of(&stack);
    let functions: Vec<_> = functions.iter().take(FUNCTIONS_MAX).map(|name| short(name)).collect();
    let (ran, waited) = (times.ran.millis(), times.waited.millis());
    let mut reason = match cause {
        StallCause::Run => format!("it ran for {ran} ms"),
        StallCause::Wait => format!("it waited {waited} ms for a CPU and ran for {ran} ms"),
        StallCause::Block => format!("a call did not return, and it ran for {ran} ms"),
        StallCause::Unseen => "it had ended before anybody saw it".to_owned(),
    };
    if !functions.is_empty() {
        reason = format!("{reason}, in {}", functions.join(" < "));
    }
    if goes_on {
        reason.push_str("; it goes on");
    }
    if untold > 0 {
        reason = format!("{reason}; {untold} more in the meantime");
    }
    NodeEvent::LoopStalled { core: thread, length, reason }
}

/// A function's name with that of its type, without paths and type arguments: `EventLoop::round`.
fn short(name: &str) -> String {
    let (of, path) = match name.strip_prefix('<').map(|inner| (inner, closing(inner))) {
        Some((inner, end)) => (&inner[..end], inner.get(end + 1..).unwrap_or("")),
        None => ("", name),
    };
    // Of `<T as Trait>` the type says which code it is.
    let of = parts(of.split(" as ").next().unwrap_or(of));
    let parts: Vec<_> = of.into_iter().next_back().into_iter().chain(parts(path)).collect();
    let is_closure = parts.last().is_some_and(|part| part.starts_with('{'));
    parts[parts.len().saturating_sub(2 + usize::from(is_closure))..].join("::")
}

/// Where the bracket is closed that was opened before `text`.
fn closing(text: &str) -> usize {
    let mut depth = 0_usize;
    let is_it = |(at, letter): (usize, char)| {
        match letter {
            '<' => depth += 1,
            // Of an arrow.
            '>' if text[..at].ends_with('-') => {}
            '>' if depth == 0 => return Some(at),
            '>' => depth -= 1,
            _ => {}
        }
        None
    };
    text.char_indices().find_map(is_it).unwrap_or(text.len())
}

/// The parts of a path, without type arguments.
fn parts(path: &str) -> Vec<String> {
    let (mut plain, mut rest) = (String::new(), path);
    while let Some((before, after)) = rest.split_once('<') {
        plain.push_str(before);
        rest = after.get(closing(after) + 1..).unwrap_or("");
    }
    plain.push_str(rest);
    plain.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{LoopActivity, LoopRun};

    /// Threads whose times a test says.
    #[derive(Default)]
    struct Fake {
        times: CpuTimes,
        asked: Vec<i32>,
    }

    impl Threads for &mut Fake {
        fn times(&mut self, _: i32) -> Option<CpuTimes> {
            Some(self.times)
        }

        fn ask(&mut self, thread: i32) {
            self.asked.push(thread);
        }

        fn answers(&mut self) -> Vec<(i32, Vec<u64>)> {
            self.asked.drain(..).map(|thread| (thread, vec![11, 12])).collect()
        }
    }

    const LIMIT: Micros = Micros::from_millis(20);

    fn watched() -> (Loops, Arc<LoopActivity>, LoopRun) {
        let loops = Loops::default();
        let activity = Arc::<LoopActivity>::default();
        loops.put("shard-0", LIMIT, Arc::clone(&activity));
        let run = activity.run_by(7);
        (loops, activity, run)
    }

    fn ms(ms: u64) -> Micros {
        Micros::from_millis(ms)
    }

    /// Looks each 5 ms from `from` to `to`, in which the thread runs or waits.
    fn look(
        dog: &mut Watchdog<&mut Fake>,
        loops: &Loops,
        (from, to): (u64, u64),
        runs: bool,
    ) -> Vec<Stall> {
        let mut stalls = Vec::new();
        for at in (from..to).step_by(5) {
            stalls.extend(dog.look(&loops.read(), ms(at)));
            let times = &mut dog.threads.times;
            let time = if runs { &mut times.ran } else { &mut times.waited };
            *time = *time + ms(5);
        }
        stalls
    }

    #[test]
    fn a_turn_that_takes_too_long_is_told_once_with_what_it_was_doing() {
        for (runs, cause) in [(true, StallCause::Run), (false, StallCause::Wait)] {
            let ((loops, activity, run), mut fake) = (watched(), Fake::default());
            let mut dog = Watchdog::new(&mut fake);
            run.begin(ms(0));
            assert_eq!(look(&mut dog, &loops, (0, 30), runs), []);
            run.end(ms(30));
            let stalls = look(&mut dog, &loops, (30, 60), runs);
            assert_eq!(stalls.len(), 1, "{stalls:?}");
            let stall = &stalls[0];
            assert_eq!((&*stall.thread, stall.length, stall.goes_on), ("shard-0", ms(30), false));
            assert_eq!((stall.cause, &*stall.stack), (cause, &[11, 12][..]));
            assert_eq!(activity.read().stalls[cause as usize], 1);
        }
    }

    #[test]
    fn a_stall_that_nobody_saw_is_told_all_the_same() {
        let ((loops, activity, run), mut fake) = (watched(), Fake::default());
        let mut dog = Watchdog::new(&mut fake);
        assert_eq!(dog.look(&loops.read(), ms(0)), []);
        run.begin(ms(1));
        run.end(ms(31));
        run.begin(ms(31));
        let stalls = dog.look(&loops.read(), ms(32));
        assert_eq!((stalls[0].length, stalls[0].cause), (ms(30), StallCause::Unseen));
        assert_eq!(dog.look(&loops.read(), ms(33)), [], "once");
        assert_eq!(activity.read().stalls, [0, 0, 0, 1]);
    }

    #[test]
    fn short_turns_are_not_told_however_many_there_are() {
        let ((loops, _, run), mut fake) = (watched(), Fake::default());
        let mut dog = Watchdog::new(&mut fake);
        for at in 0..100 {
            run.begin(ms(at * 15));
            assert_eq!(look(&mut dog, &loops, (at * 15, at * 15 + 15), true), []);
            run.end(ms(at * 15 + 14));
        }
    }

    #[test]
    fn a_thread_in_a_call_that_does_not_return_is_told_before_it_ends() {
        let ((loops, activity, run), mut fake) = (watched(), Fake::default());
        let mut dog = Watchdog::new(&mut fake);
        run.begin(ms(0));
        let mut stalls = Vec::new();
        for at in (0..3_000).step_by(5) {
            stalls.extend(dog.look(&loops.read(), ms(at)));
        }
        assert_eq!(stalls.len(), 1);
        assert!(stalls[0].goes_on && stalls[0].cause == StallCause::Block, "{stalls:?}");
        assert_eq!(activity.read().stalls, [0; 4], "it is counted when it has ended");
        run.end(ms(3_000));
        let ended = dog.look(&loops.read(), ms(3_000));
        assert_eq!((ended[0].length, ended[0].goes_on), (ms(3_000), false));
    }

    #[test]
    fn of_many_stalls_a_few_are_told_and_all_are_counted() {
        let ((loops, activity, run), mut fake) = (watched(), Fake::default());
        let mut dog = Watchdog::new(&mut fake);
        let mut told = Vec::new();
        for at in (0..65_000).step_by(1_000) {
            run.begin(ms(at));
            told.extend(look(&mut dog, &loops, (at, at + 30), true));
            run.end(ms(at + 30));
            told.extend(dog.look(&loops.read(), ms(at + 30)));
        }
        assert_eq!(activity.read().stalls.iter().sum::<u64>(), 65);
        assert_eq!(told.len(), 2 * TOLD_MAX);
        assert_eq!(told[TOLD_MAX].untold, 55, "those of the first minute that were not told");
    }

    #[test]
    fn names_are_short_enough_to_be_read() {
        for (long, wanted) in [
            (
                "<stream_manager::runtime::driver::event_loop::EventLoop<C>>::round",
                "EventLoop::round",
            ),
            ("stream_manager::runtime::event_loop::EventLoop<C>::round", "EventLoop::round"),
            (
                "<a::Composer as b::Draw<fn() -> u8>>::draw::{closure#0}",
                "Composer::draw::{closure#0}",
            ),
            ("a::b::copy::<core::option::Option<u8>>", "b::copy"),
            ("[libx264.so.164]", "[libx264.so.164]"),
            ("memcpy", "memcpy"),
            ("<", ""),
        ] {
            assert_eq!(short(long), wanted, "{long}");
        }
    }
}
