//! Publisher polling: of a few publishers each message is read as it comes; of many, all sockets
//! are looked at together by the clock, because being woken for each message would be most of what
//! it costs.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use glommio::timer::Timer;

use super::epoll::Epoll;
use super::shard::Shard;
use crate::media::Micros;

/// How often the sockets are looked at while there is much to read: what a message waits at most.
const TICK: Duration = Duration::from_millis(2);

/// Reads per second from which the clock costs less than the wakes that it saves, and those below
/// which it no longer does.
const BUSY_READS: f64 = 2_000.0;
const CALM_READS: f64 = 1_000.0;

/// The publishers' sockets of one shard.
#[derive(Debug)]
pub(super) struct Watch {
    /// `None` if the kernel gives no more descriptors: then each socket goes on waking its task.
    epoll: Option<Epoll>,
    /// The tasks of publishers that wait, by the numbers of their connections.
    waiting: RefCell<HashMap<u32, Waker>>,
    busy: Cell<bool>,
    reads: Cell<u32>,
    judged: Cell<Micros>,
    clock: RefCell<Option<Waker>>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            epoll: Epoll::new().ok(),
            waiting: RefCell::default(),
            busy: Cell::new(false),
            reads: Cell::new(0),
            judged: Cell::new(Micros(0)),
            clock: RefCell::default(),
        }
    }

    /// Whether sockets are looked at by the clock.
    pub(super) const fn is_busy(&self) -> bool {
        self.busy.get()
    }

    /// A publisher's socket was read.
    pub(super) fn has_read(&self) {
        self.reads.set(self.reads.get() + 1);
    }

    /// The task is woken at the next tick at which the socket has something to read. `false` if
    /// that cannot be.
    pub(super) fn wait(&self, number: u32, socket: RawFd, task: &Waker) -> bool {
        let Some(epoll) = &self.epoll else { return false };
        let mut waiting = self.waiting.borrow_mut();
        if let Some(known) = waiting.get_mut(&number) {
            known.clone_from(task);
            return true;
        }
        let added = epoll.add(socket, number).is_ok();
        if added {
            waiting.insert(number, task.clone());
        }
        added
    }

    /// The socket wakes its task by itself again, or is closed.
    pub(super) fn forget(&self, number: u32, socket: RawFd) {
        if let (Some(epoll), Some(_)) = (&self.epoll, self.waiting.borrow_mut().remove(&number)) {
            epoll.remove(socket);
        }
    }

    /// Decides, a few times a second, what costs less.
    pub(super) fn judge(&self, now: Micros) {
        let seconds = now.since(self.judged.replace(now)).secs_f64();
        let rate = f64::from(self.reads.replace(0)) / seconds.max(f64::MIN_POSITIVE);
        let least = if self.busy.get() { CALM_READS } else { BUSY_READS };
        let busy = self.epoll.is_some() && rate >= least;
        if self.busy.replace(busy) == busy {
            return;
        }
        tracing::debug!("{rate:.0} reads of publishers a second: by the clock: {busy}");
        if busy && let Some(clock) = self.clock.borrow_mut().take() {
            clock.wake();
        }
        if !busy {
            self.waiting.borrow().values().for_each(Waker::wake_by_ref);
        }
    }

    fn wake_ready(&self) {
        let (Some(epoll), waiting) = (&self.epoll, self.waiting.borrow()) else { return };
        epoll.ready(|number| {
            if let Some(task) = waiting.get(&number) {
                task.wake_by_ref();
            }
        });
    }

    async fn until_busy(&self) {
        poll_fn(|cx| {
            if self.busy.get() {
                return Poll::Ready(());
            }
            *self.clock.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Looks at the sockets by the clock while that is cheaper, to the shard's end.
pub(super) async fn tick(shard: Rc<Shard>) {
    loop {
        shard.watch.until_busy().await;
        Timer::new(TICK).await;
        shard.watch.wake_ready();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(watch: &Watch, times: u32) {
        (0..times).for_each(|_| watch.has_read());
    }

    #[test]
    fn the_clock_runs_while_there_is_much_to_read() {
        let watch = Watch::new();
        let at = |millis: u64| Micros::from_millis(1_000 + millis);
        watch.judge(at(0));
        read(&watch, 150);
        watch.judge(at(100));
        assert!(!watch.is_busy(), "1500 a second");
        read(&watch, 210);
        watch.judge(at(200));
        assert!(watch.is_busy(), "2100 a second");
        read(&watch, 150);
        watch.judge(at(300));
        assert!(watch.is_busy(), "1500 a second");
        read(&watch, 90);
        watch.judge(at(400));
        assert!(!watch.is_busy(), "900 a second");
    }

    #[test]
    fn a_publisher_that_waits_is_woken_by_what_comes_and_when_the_clock_stops() {
        let (watch, woken) = (Watch::new(), Arc::new(Count::default()));
        let task = Waker::from(Arc::clone(&woken));
        let count = || woken.0.load(Ordering::Relaxed);
        let (mut far, near) = UnixStream::pair().unwrap();
        read(&watch, 1_000);
        watch.judge(Micros::from_millis(100));
        assert!(watch.wait(7, near.as_raw_fd(), &task));
        assert!(watch.wait(7, near.as_raw_fd(), &task), "again");
        watch.wake_ready();
        assert_eq!(count(), 0);
        far.write_all(b"x").unwrap();
        watch.wake_ready();
        assert_eq!(count(), 1);
        watch.judge(Micros::from_millis(200));
        assert_eq!((count(), watch.is_busy()), (2, false));
        watch.forget(7, near.as_raw_fd());
        watch.wake_ready();
        assert_eq!(count(), 2);
    }
}
