//! Fault injection: panics in threads of a name, for tests of what becomes of them.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

static COUNT: AtomicUsize = AtomicUsize::new(0);

#[expect(clippy::disallowed_types, reason = "only in tests")]
static ARMED: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

/// The next thread of this name that passes a point of injection panics there.
pub(crate) fn arm(thread: &str) {
    ARMED.lock().unwrap_or_else(PoisonError::into_inner).push(thread.to_owned());
    COUNT.fetch_add(1, Ordering::Release);
}

/// A point of injection.
pub(crate) fn point() {
    if COUNT.load(Ordering::Acquire) == 0 {
        return;
    }
    let this = std::thread::current();
    let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(at) = armed.iter().position(|name| Some(name.as_str()) == this.name()) {
        armed.swap_remove(at);
        COUNT.fetch_sub(1, Ordering::Release);
        drop(armed);
        panic!("injected");
    }
}
