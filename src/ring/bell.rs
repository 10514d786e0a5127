//! The doorbell of a consumer: wakes it only when it said that it sleeps.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use crossbeam::utils::CachePadded;

use super::sync::{AtomicBool, Ordering, fence};

/// Wakes one consumer, an async task or a parked thread.
///
/// The consumer arms the bell, looks at its rings once more, and only then sleeps; the producer
/// pushes, and only then looks whether the bell is armed. The two `SeqCst` fences forbid the
/// outcome in which each misses the other.
#[derive(Debug)]
pub struct Bell {
    armed: CachePadded<AtomicBool>,
    waker: AtomicWaker,
}

impl Bell {
    /// A bell nobody listens to yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            armed: CachePadded::new(AtomicBool::new(false)),
            waker: AtomicWaker::new(),
        })
    }

    /// Wakes the consumer if it sleeps. Costs one fence and one load if it does not.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Ready as soon as `ready` says so; looks again after each ring.
    pub fn poll(&self, cx: &mut Context<'_>, mut ready: impl FnMut() -> bool) -> Poll<()> {
        if ready() {
            return Poll::Ready(());
        }
        self.waker.register(cx.waker());
        self.armed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if ready() {
            self.armed.store(false, Ordering::Relaxed);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Parks the calling thread until `ready`, a ring, or `limit` has passed, whichever is first.
    /// May return early; the caller looks at its rings in a loop.
    pub fn park(&self, limit: Duration, ready: impl FnMut() -> bool) {
        thread_local! {
            static THIS_THREAD: Waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        }
        THIS_THREAD.with(|waker| {
            if self.poll(&mut Context::from_waker(waker), ready).is_pending() {
                std::thread::park_timeout(limit);
            }
        });
    }
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::sync::atomic::AtomicUsize;

    #[test]
    fn no_order_of_steps_loses_a_ring() {
        loom::model(|| {
            let bell = loom::sync::Arc::new((AtomicBool::new(false), AtomicUsize::new(0)));
            let producer = loom::sync::Arc::clone(&bell);
            let handle = loom::thread::spawn(move || {
                producer.1.store(1, Ordering::Release);
                fence(Ordering::SeqCst);
                producer.0.load(Ordering::Relaxed) && producer.0.swap(false, Ordering::AcqRel)
            });
            bell.0.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            let seen = bell.1.load(Ordering::Acquire) == 1;
            let woken = handle.join().unwrap();
            assert!(seen || woken, "the consumer would sleep for ever");
        });
    }
}
