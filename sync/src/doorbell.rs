//! The doorbell of a consumer: wakes it only when it said that it sleeps.

use std::sync::Arc;
use std::task::{Context, Poll};

use crossbeam_utils::CachePadded;

use crate::atomics::{AtomicBool, AtomicWaker, Ordering, fence};

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
        #[cfg(not(loom))]
        self.waker.register(cx.waker());
        #[cfg(loom)]
        self.waker.register_by_ref(cx.waker());
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
    #[cfg(not(loom))]
    pub fn park(&self, limit: std::time::Duration, ready: impl FnMut() -> bool) {
        thread_local! {
            static THIS_THREAD: std::task::Waker =
                std::task::Waker::from(Arc::new(Unpark(std::thread::current())));
        }
        THIS_THREAD.with(|waker| {
            if self.poll(&mut Context::from_waker(waker), ready).is_pending() {
                std::thread::park_timeout(limit);
            }
        });
    }
}

#[cfg(not(loom))]
struct Unpark(std::thread::Thread);

#[cfg(not(loom))]
impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(all(test, loom))]
mod model {
    use std::future::poll_fn;

    use loom::sync::atomic::AtomicUsize;

    use super::*;

    /// A consumer that sleeps until so many values are there, and producers that place one each and
    /// ring. If any order of their steps lost a ring, the consumer would sleep for ever, and loom
    /// would say that nothing can run any more.
    fn consumer_hears(producers: usize, preemptions: Option<usize>) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = preemptions;
        model.check(move || {
            let bell = Bell::new();
            let values = loom::sync::Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..producers)
                .map(|_| {
                    let (bell, values) = (Arc::clone(&bell), loom::sync::Arc::clone(&values));
                    loom::thread::spawn(move || {
                        values.fetch_add(1, Ordering::Release);
                        bell.ring();
                    })
                })
                .collect();
            loom::future::block_on(poll_fn(|cx| {
                bell.poll(cx, || values.load(Ordering::Acquire) == producers)
            }));
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }

    #[test]
    fn no_order_of_steps_loses_a_ring() {
        consumer_hears(1, None);
    }

    #[test]
    fn nor_does_one_with_two_producers_at_one_bell() {
        consumer_hears(2, Some(2));
    }
}
