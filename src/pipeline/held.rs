//! Streams whose newest messages wait for others, and the one task of a shard that lets them go
//! when nothing else has.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use futures_lite::FutureExt;
use glommio::timer::Timer;

use super::hub::Hub;
use super::shard::Shard;
use crate::media::Micros;

/// The streams of one shard of which something waits.
#[derive(Debug, Default)]
pub(super) struct Held {
    hubs: RefCell<Vec<Rc<Hub>>>,
    /// What the task sleeps until.
    until: Cell<Option<Micros>>,
    waker: RefCell<Option<Waker>>,
}

impl Held {
    /// The newest messages of `hub` wait until `due`, unless a later one takes them along.
    pub(super) fn add(&self, hub: &Rc<Hub>, due: Micros) {
        let mut hubs = self.hubs.borrow_mut();
        if !hubs.iter().any(|held| Rc::ptr_eq(held, hub)) {
            hubs.push(Rc::clone(hub));
        }
        if self.until.get().is_none_or(|until| due < until)
            && let Some(task) = self.waker.borrow_mut().take()
        {
            task.wake();
        }
    }

    /// The earliest time at which something is due; streams that wait no more are forgotten.
    fn earliest(&self) -> Option<Micros> {
        let mut hubs = self.hubs.borrow_mut();
        hubs.retain(|hub| hub.due().is_some());
        let earliest = hubs.iter().filter_map(|hub| hub.due()).min();
        self.until.set(earliest);
        earliest
    }

    /// Ends when something is due earlier than what the task sleeps until.
    async fn changed(&self) {
        let mut has_slept = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut has_slept, true) {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Lets go what has waited long enough, to the shard's end.
pub(super) async fn release(shard: Rc<Shard>) {
    loop {
        let now = shard.clock.now();
        let due: Vec<_> = {
            let hubs = shard.held.hubs.borrow();
            hubs.iter().filter(|hub| hub.take_due(now)).cloned().collect()
        };
        for hub in &due {
            shard.set_dirty(hub);
        }
        match shard.held.earliest() {
            None => shard.held.changed().await,
            Some(at) => {
                let timer = async {
                    Timer::new(at.since(now).into()).await;
                };
                timer.or(shard.held.changed()).await;
            }
        }
    }
}
