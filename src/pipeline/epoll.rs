//! The kernel's list of sockets to look at together.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Sockets reported by one call; the others by the next.
const READY_MAX: usize = 256;

/// A set of sockets of which it can be asked, in one call, which have something to read.
#[derive(Debug)]
pub(super) struct Epoll(OwnedFd);

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no memory is involved.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, so this is its one owner.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// From now on the socket is reported as `token` for as long as it has something to read, has
    /// ended or is broken.
    pub(super) fn add(&self, socket: RawFd, token: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket, token)
    }

    /// Forgets the socket. A socket that is closed is forgotten by itself.
    pub(super) fn remove(&self, socket: RawFd) {
        // If it was not in the set, it need not leave.
        drop(self.control(libc::EPOLL_CTL_DEL, socket, 0));
    }

    /// Gives `take` the tokens of sockets that have something to read, without waiting.
    pub(super) fn ready(&self, mut take: impl FnMut(u32)) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; READY_MAX];
        let most = i32::try_from(events.len()).unwrap_or(1);
        // SAFETY: the kernel writes at most `most` events, and there is room for as many.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), most, 0) };
        for event in &events[..usize::try_from(count).unwrap_or(0)] {
            take(u32::try_from(event.u64).unwrap_or(u32::MAX));
        }
    }

    fn control(&self, what: i32, socket: RawFd, token: u32) -> io::Result<()> {
        let events = (libc::EPOLLIN | libc::EPOLLRDHUP).cast_unsigned();
        let mut event = libc::epoll_event { events, u64: token.into() };
        // SAFETY: the kernel only reads the event, which outlives the call. A descriptor that is
        // no socket, or no longer open, is an error.
        let done = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), what, socket, &raw mut event) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn ready(epoll: &Epoll) -> Vec<u32> {
        let mut tokens = Vec::new();
        epoll.ready(|token| tokens.push(token));
        tokens.sort_unstable();
        tokens
    }

    #[test]
    fn sockets_are_named_while_they_have_something_to_read_or_have_ended() {
        let epoll = Epoll::new().unwrap();
        let ((mut a, near_a), (b, near_b)) =
            (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        epoll.add(near_a.as_raw_fd(), 1).unwrap();
        epoll.add(near_b.as_raw_fd(), u32::MAX).unwrap();
        assert!(epoll.add(near_a.as_raw_fd(), 1).is_err(), "it is there already");
        assert!(ready(&epoll).is_empty());
        a.write_all(b"xy").unwrap();
        assert_eq!(ready(&epoll), [1]);
        (&near_a).read_exact(&mut [0]).unwrap();
        assert_eq!(ready(&epoll), [1], "one byte is left");
        drop(b);
        assert_eq!(ready(&epoll), [1, u32::MAX]);
        epoll.remove(near_a.as_raw_fd());
        epoll.remove(near_a.as_raw_fd());
        drop(near_b);
        assert!(ready(&epoll).is_empty());
    }
}
