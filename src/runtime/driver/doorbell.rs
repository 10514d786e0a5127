//! Doorbell: an eventfd by which other threads wake a driver that sleeps in the kernel.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use super::epoll::timespec;

/// The driver's side, and what its wakers write to.
#[derive(Debug)]
pub(super) struct Doorbell {
    event: Arc<EventFd>,
    waker: Waker,
}

#[derive(Debug)]
struct EventFd(File);

impl Wake for EventFd {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // It fails only when the counter is full: then the driver has been woken, often.
        drop((&self.0).write(&1_u64.to_ne_bytes()));
    }
}

impl Doorbell {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no memory is involved.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, so this is its one owner.
        let event = Arc::new(EventFd(File::from(unsafe { OwnedFd::from_raw_fd(fd) })));
        let waker = Waker::from(Arc::clone(&event));
        Ok(Self { event, waker })
    }

    /// Wakes the driver, from any thread.
    pub(super) const fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Waits for a ring alone, for at most `limit`. May return early.
    pub(super) fn wait(&self, limit: Duration) {
        let mut poll =
            libc::pollfd { fd: self.event.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let limit = timespec(limit);
        // SAFETY: the kernel reads and writes the one `pollfd` and reads the time; both outlive the
        // call, and there is no signal mask.
        unsafe { libc::ppoll(&raw mut poll, 1, &raw const limit, std::ptr::null()) };
        if poll.revents != 0 {
            // Nothing to read is as good as a ring that was read.
            drop((&self.event.0).read(&mut [0; 8]));
        }
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Clock;

    #[test]
    fn a_ring_ends_one_wait_and_its_lack_none() {
        let (bell, clock) = (Doorbell::new().unwrap(), Clock::start());
        bell.waker().wake_by_ref();
        bell.waker().wake_by_ref();
        bell.wait(Duration::from_secs(60));
        assert!(clock.now().millis() < 60_000);
        let begun = clock.now();
        bell.wait(Duration::from_micros(1_500));
        assert!(clock.now().since(begun).0 >= 1_500, "both rings were heard before");
    }
}
