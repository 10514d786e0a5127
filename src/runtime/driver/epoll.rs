//! Epoll set: which of a driver's descriptors are ready, told once per change.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Descriptors reported by one call; the others by the next.
const EVENTS_MAX: usize = 1_024;

/// Something can be read.
pub(super) const READABLE: u32 = libc::EPOLLIN.cast_unsigned();

/// There is room to send.
pub(super) const WRITABLE: u32 = libc::EPOLLOUT.cast_unsigned();

/// Nothing more will come: the peer has shut down its side, or the connection has ended.
pub(super) const HANGUP: u32 = (libc::EPOLLRDHUP | libc::EPOLLHUP).cast_unsigned() | BROKEN;

/// The connection is broken.
pub(super) const BROKEN: u32 = libc::EPOLLERR.cast_unsigned();

/// Descriptors are registered once and reported at each change (edge-triggered). One that is closed
/// leaves by itself.
#[derive(Debug)]
pub(super) struct Epoll {
    fd: OwnedFd,
    /// Whether the kernel has only `epoll_wait`, which counts milliseconds.
    coarse: Cell<bool>,
}

/// What one call has reported.
pub(super) struct Events {
    list: Box<[libc::epoll_event]>,
    count: usize,
}

impl Events {
    pub(super) fn new() -> Self {
        let none = libc::epoll_event { events: 0, u64: 0 };
        Self { list: vec![none; EVENTS_MAX].into_boxed_slice(), count: 0 }
    }

    pub(super) const fn clear(&mut self) {
        self.count = 0;
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether more may wait than one call reports.
    pub(super) const fn is_full(&self) -> bool {
        self.count == EVENTS_MAX
    }

    /// Token and readiness number `at`.
    pub(super) fn get(&self, at: usize) -> Option<(u64, u32)> {
        self.list[..self.count].get(at).map(|event| (event.u64, event.events))
    }
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no memory is involved.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, so this is its one owner.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, coarse: Cell::new(false) })
    }

    /// From now on changes of `fd`, and what it is ready for already, are reported with `token`.
    pub(super) fn add(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        let edge = libc::EPOLLET.cast_unsigned();
        let events = READABLE | WRITABLE | libc::EPOLLRDHUP.cast_unsigned() | edge;
        let mut event = libc::epoll_event { events, u64: token };
        let (set, fd) = (self.fd.as_raw_fd(), fd.as_fd().as_raw_fd());
        // SAFETY: the kernel only reads the event, which outlives the call; both descriptors are
        // borrowed and so stay open.
        let done = unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits for a change, for at most `limit`. A signal ends the wait early, with no events.
    pub(super) fn wait(&self, events: &mut Events, limit: Duration) -> io::Result<()> {
        events.count = 0;
        let mut count = self.wait_once(events, limit);
        let refused = io::Error::last_os_error;
        if count < 0 && matches!(refused().raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) {
            // Linux before 5.11, or a sandbox that does not know the call.
            self.coarse.set(true);
            count = self.wait_once(events, limit);
        }
        if let Ok(count) = usize::try_from(count) {
            events.count = count;
            return Ok(());
        }
        let error = refused();
        if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
    }

    fn wait_once(&self, events: &mut Events, limit: Duration) -> i64 {
        let (fd, list) = (self.fd.as_raw_fd(), events.list.as_mut_ptr());
        let most = i32::try_from(events.list.len()).unwrap_or(1);
        if limit.is_zero() || self.coarse.get() {
            // Rounded up: waking before a deadline would mean waking twice.
            let millis = i32::try_from(limit.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX);
            // SAFETY: the kernel writes at most `most` events, and there is room for as many.
            return unsafe { libc::epoll_wait(fd, list, most, millis) }.into();
        }
        let limit = timespec(limit);
        let no_mask = std::ptr::null::<libc::sigset_t>();
        // SAFETY: as above; the kernel only reads the time, which outlives the call, and there is
        // no signal mask.
        unsafe {
            libc::syscall(libc::SYS_epoll_pwait2, fd, list, most, &raw const limit, no_mask, 0)
        }
    }
}

/// The same length of time as the kernel writes it.
pub(super) fn timespec(time: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn wait(epoll: &Epoll, limit: Duration) -> Vec<(u64, u32)> {
        let mut events = Events::new();
        epoll.wait(&mut events, limit).unwrap();
        (0..).map_while(|at| events.get(at)).collect()
    }

    #[test]
    fn a_descriptor_is_reported_once_per_change_and_leaves_when_it_is_closed() {
        let epoll = Epoll::new().unwrap();
        let (mut far, near) = UnixStream::pair().unwrap();
        epoll.add(&near, u64::MAX).unwrap();
        assert!(epoll.add(&near, 1).is_err(), "it is there already");
        assert_eq!(wait(&epoll, Duration::ZERO), [(u64::MAX, WRITABLE)]);
        assert_eq!(wait(&epoll, Duration::ZERO), []);
        far.write_all(b"xy").unwrap();
        assert_eq!(wait(&epoll, Duration::from_secs(9)), [(u64::MAX, READABLE | WRITABLE)]);
        (&near).read_exact(&mut [0]).unwrap();
        assert_eq!(wait(&epoll, Duration::ZERO), [], "one byte is left, and no news");
        drop(far);
        let [(_, ready)] = wait(&epoll, Duration::from_secs(9))[..] else { panic!() };
        assert_ne!(ready & HANGUP, 0);
        drop(near);
        assert_eq!(wait(&epoll, Duration::ZERO), []);
    }

    #[test]
    fn a_wait_takes_as_long_as_it_is_told_by_both_calls() {
        let (epoll, clock) = (Epoll::new().unwrap(), crate::runtime::Clock::start());
        for old_kernel in [false, true] {
            epoll.coarse.set(old_kernel);
            let begun = clock.now();
            assert_eq!(wait(&epoll, Duration::from_micros(2_500)), []);
            assert!(clock.now().since(begun).0 >= 2_500);
        }
    }
}
