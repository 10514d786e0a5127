//! Fault injection: panics and stalls in threads of a name, for tests of what becomes of them.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::media::Micros;
use crate::runtime::Clock;

static COUNT: AtomicUsize = AtomicUsize::new(0);

#[expect(clippy::disallowed_types, reason = "only in tests")]
static ARMED: std::sync::Mutex<Vec<(String, Micros)>> = std::sync::Mutex::new(Vec::new());

/// The next thread of this name that passes a point of injection panics there.
pub(crate) fn arm(thread: &str) {
    put(thread, Micros(0));
}

/// The next thread of this name that passes a point of injection computes there for this long.
pub(crate) fn stall(thread: &str, time: Micros) {
    put(thread, time);
}

/// The next thread of this name that passes that place computes there for this long.
pub(crate) fn stall_in(thread: &str, place: &str, time: Micros) {
    put(&format!("{thread}/{place}"), time);
}

fn put(thread: &str, time: Micros) {
    ARMED.lock().unwrap_or_else(PoisonError::into_inner).push((thread.to_owned(), time));
    COUNT.fetch_add(1, Ordering::Release);
}

#[inline(never)]
fn compute_for(time: Micros) {
    let clock = Clock::start();
    while clock.now() < time {
        // Most samples are to find it here, and not in what tells the time.
        for _ in 0..10_000 {
            std::hint::spin_loop();
        }
    }
}

/// A point of injection.
pub(crate) fn point() {
    meet(|name| name.to_owned());
}

/// A point of injection in this place.
pub(crate) fn point_in(place: &str) {
    meet(|name| format!("{name}/{place}"));
}

fn meet(point: impl FnOnce(&str) -> String) {
    if COUNT.load(Ordering::Acquire) == 0 {
        return;
    }
    let this = point(std::thread::current().name().unwrap_or_default());
    let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(at) = armed.iter().position(|(name, _)| *name == this) {
        let (_, time) = armed.swap_remove(at);
        COUNT.fetch_sub(1, Ordering::Release);
        drop(armed);
        match time {
            Micros(0) => panic!("injected"),
            time => compute_for(time),
        }
    }
}
