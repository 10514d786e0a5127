//! Measuring of one thread's CPU time, and epoll without a wrapper in between.

use std::os::fd::RawFd;

/// CPU time of the calling thread, microseconds: user and system.
pub fn cpu_us() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// Voluntary context switches of the calling thread.
pub fn sleeps() -> i64 {
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) };
    usage.ru_nvcsw
}

/// Keeps the calling thread on one CPU.
pub fn pin(cpu: usize) {
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

/// An epoll set with `fds`, edge-triggered.
pub fn epoll(fds: &[RawFd]) -> RawFd {
    let set = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    for &fd in fds {
        let events = (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET) as u32;
        let mut event = libc::epoll_event { events, u64: fd as u64 };
        assert_eq!(unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_ADD, fd, &mut event) }, 0);
    }
    set
}

/// Waits for the set; forever if `millis` is -1. How many descriptors are ready.
pub fn wait(set: RawFd, millis: i32) -> i32 {
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
    unsafe { libc::epoll_wait(set, events.as_mut_ptr(), 64, millis) }
}

/// One `recv` that does not block.
pub fn receive(fd: RawFd, to: &mut [u8]) -> isize {
    unsafe { libc::recv(fd, to.as_mut_ptr().cast(), to.len(), libc::MSG_DONTWAIT) }
}

/// One `send` that does not block.
pub fn send(fd: RawFd, from: &[u8]) -> isize {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    unsafe { libc::send(fd, from.as_ptr().cast(), from.len(), flags) }
}
