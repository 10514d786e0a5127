//! Waiting for what has to become true, and taking turns on a small machine.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
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

static MACHINE: RwLock<()> = RwLock::new(());

/// For scenarios that do not mind others beside them.
pub(crate) fn beside_others() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// For scenarios that measure: nothing else runs meanwhile.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}
