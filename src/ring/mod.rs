//! Lock-free single-producer rings between cores, with a doorbell and watermarks.
//!
//! A [`Sender`] pushes and rings the consumer's [`Bell`]; one bell may serve many rings, because a
//! core drains all of its rings when it wakes. A full ring never blocks: `push` gives the value
//! back and the caller drops it by rule and counts it.

mod watermark;

pub use stream_manager_sync::Bell;
pub use watermark::Gate;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes a ring of `capacity` values whose consumer listens to `bell`.
#[must_use]
pub fn channel<T>(capacity: usize, bell: Arc<Bell>) -> (Sender<T>, Receiver<T>) {
    let (producer, consumer) = rtrb::RingBuffer::new(capacity);
    let revoked = Arc::new(AtomicU64::new(0));
    let sender = Sender { producer, bell, pushed: 0, revoked: Arc::clone(&revoked) };
    (sender, Receiver { consumer, taken: 0, revoked })
}

/// The writing end. Not `Clone`, and `push` takes `&mut self`: one producer is a type-level fact.
#[derive(Debug)]
pub struct Sender<T> {
    producer: rtrb::Producer<T>,
    bell: Arc<Bell>,
    /// Values since the beginning, and how many of them nobody is to read any more.
    pushed: u64,
    revoked: Arc<AtomicU64>,
}

impl<T> Sender<T> {
    /// Appends `value` and rings the consumer's bell.
    ///
    /// # Errors
    /// Gives `value` back if the ring is full (or its consumer gone: see [`Sender::is_closed`]).
    pub fn push(&mut self, value: T) -> Result<(), T> {
        self.producer.push(value).map_err(|rtrb::PushError::Full(value)| value)?;
        self.pushed += 1;
        self.bell.ring();
        Ok(())
    }

    /// Takes back everything that waits: a reader that asks drops it before what is pushed next.
    pub fn revoke(&self) {
        self.revoked.store(self.pushed, Ordering::Release);
    }

    /// Values waiting in the ring.
    #[must_use]
    pub fn len(&self) -> usize {
        self.producer.buffer().capacity() - self.producer.slots()
    }

    /// Whether nothing waits in the ring.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Most values the ring can hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.producer.buffer().capacity()
    }

    /// Whether the consumer is gone, so that nothing pushed will ever be read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.producer.is_abandoned()
    }

    /// The consumer's bell.
    #[must_use]
    pub const fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }
}

impl<T> Drop for Sender<T> {
    /// Wakes the consumer, so that it can see the ring is closed. (The producer itself is dropped
    /// after this; a consumer that wakes in between looks again on its next timeout.)
    fn drop(&mut self) {
        self.bell.ring();
    }
}

/// The reading end.
#[derive(Debug)]
pub struct Receiver<T> {
    consumer: rtrb::Consumer<T>,
    /// Values taken since the beginning.
    taken: u64,
    revoked: Arc<AtomicU64>,
}

impl<T> Receiver<T> {
    /// Takes the oldest value.
    pub fn pop(&mut self) -> Option<T> {
        let value = self.consumer.pop().ok()?;
        self.taken += 1;
        Some(value)
    }

    /// Drops what the sender has taken back. Whether there was anything.
    pub fn drop_revoked(&mut self) -> bool {
        let revoked = self.revoked.load(Ordering::Acquire);
        let is_stale = self.taken < revoked;
        while self.taken < revoked && self.pop().is_some() {}
        is_stale
    }

    /// Looks at the oldest value.
    #[must_use]
    pub fn peek(&self) -> Option<&T> {
        self.consumer.peek().ok()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.consumer.is_empty()
    }

    /// Values waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.consumer.slots()
    }

    /// Whether the sender is gone, so that no more will come than waits.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.consumer.is_abandoned()
    }

    /// Whether the sender is gone and everything it sent has been taken.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.consumer.is_abandoned() && self.consumer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_gives_the_value_back_and_keeps_the_order() {
        let (mut tx, mut rx) = channel(2, Bell::new());
        assert_eq!((tx.push(1), tx.push(2), tx.push(3)), (Ok(()), Ok(()), Err(3)));
        assert_eq!((rx.pop(), rx.pop(), rx.pop()), (Some(1), Some(2), None));
    }

    #[test]
    fn what_is_taken_back_is_not_read_and_what_comes_after_it_is() {
        let (mut tx, mut rx) = channel(4, Bell::new());
        assert!(!rx.drop_revoked());
        (0..3).for_each(|value| tx.push(value).unwrap());
        assert_eq!(rx.pop(), Some(0));
        tx.revoke();
        tx.push(3).unwrap();
        assert!(rx.drop_revoked() && !rx.drop_revoked());
        assert_eq!((rx.pop(), rx.pop()), (Some(3), None));
        tx.revoke();
        assert!(!rx.drop_revoked(), "nothing waits");
    }

    #[test]
    fn the_reader_sees_the_last_value_before_the_end() {
        let (mut tx, mut rx) = channel(2, Bell::new());
        tx.push(7).unwrap();
        drop(tx);
        assert!(!rx.is_finished());
        assert_eq!(rx.pop(), Some(7));
        assert!(rx.is_finished());
    }

    #[test]
    fn a_parked_thread_hears_every_push() {
        let bell = Bell::new();
        let (mut tx, mut rx) = channel(4, Arc::clone(&bell));
        let reader = std::thread::Builder::new()
            .spawn(move || {
                let mut sum = 0_u64;
                loop {
                    while let Some(value) = rx.pop() {
                        sum += value;
                    }
                    if rx.is_finished() {
                        return sum;
                    }
                    bell.park(std::time::Duration::from_secs(10), || {
                        !rx.is_empty() || rx.is_finished()
                    });
                }
            })
            .unwrap();
        let mut expected = 0;
        for value in 0..20_000_u64 {
            let mut again = value;
            while let Err(back) = tx.push(again) {
                again = back;
                std::thread::yield_now();
            }
            expected += value;
        }
        drop(tx);
        assert_eq!(reader.join().unwrap(), expected);
    }
}
