//! Waiting for what has to become true, and taking turns on a small machine.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Time for what takes a moment. Machines that run tests may be slow and busy.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Polls until `look` gives something, and fails the scenario after `limit`.
pub(crate) fn wait_until<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < limit, "still waiting after {limit:?} until {what}");
        thread::sleep(POLL);
    }
}

const POLL: Duration = Duration::from_millis(10);

/// A TCP port that nobody uses, below those that the system gives to outgoing connections.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 15_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two runs of the tests on one machine begin at different places.
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap();
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start + step % COUNT) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free TCP port");
}

/// How much of the machine a scenario needs.
#[derive(Clone, Copy)]
enum Needs {
    /// Its turn, whatever else happens.
    Share,
    /// Hardly any of it, and that nobody else takes much.
    Quiet,
    /// All of it.
    Whole,
}

/// Scenarios that run, by what they need.
static RUNNING: Mutex<[usize; 3]> = Mutex::new([0; 3]);
static ENDED: Condvar = Condvar::new();

/// A scenario's time on the machine, until it is dropped.
pub(crate) struct Turn(Needs);

impl Turn {
    fn take(needs: Needs) -> Self {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let has_to_wait = |[share, quiet, whole]: [usize; 3]| match needs {
            Needs::Share => quiet + whole > 0,
            Needs::Quiet => share + whole > 0,
            Needs::Whole => share + quiet + whole > 0,
        };
        while has_to_wait(*running) {
            running = ENDED.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        running[needs as usize] += 1;
        Self(needs)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner)[self.0 as usize] -= 1;
        ENDED.notify_all();
    }
}

/// For scenarios that do not mind others beside them.
pub(crate) fn beside_others() -> Turn {
    Turn::take(Needs::Share)
}

/// For scenarios that measure times and leave the machine idle: only others like them run meanwhile.
pub(crate) fn quietly() -> Turn {
    Turn::take(Needs::Quiet)
}

/// For scenarios that measure and take much of the machine: nothing else runs meanwhile.
pub(crate) fn alone() -> Turn {
    Turn::take(Needs::Whole)
}
