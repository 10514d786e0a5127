//! Glommio driver: the event loop as the one task of a glommio executor.
//!
//! glommio up to 0.9.0 (and `glommio-ng` up to 0.12.0) can park although a task is runnable: its
//! `run_task_queues` says "nothing to run" too when the preemption timer has fired before the first
//! task ran. Here that cannot be: the executor has one task, which is polled once and returns when
//! the core has ended, so the executor never parks; and its preemption timer does not fire within
//! the life of a process. The task sleeps in the kernel by itself, until a descriptor of its own
//! epoll set is ready.

use std::fs::{File, read_link};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use glommio::{LocalExecutor, LocalExecutorBuilder, Placement, PoolPlacement};

/// When the executor would interrupt its one task: never.
const PREEMPT_NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Memory the rings register for file I/O, which nobody does here; glommio's default is 10 MiB,
/// three times over.
const IO_MEMORY_BYTES: usize = 64 << 10;

/// Submission queue entries of each ring.
const RING_DEPTH: usize = 128;

/// An executor for one task.
pub(super) struct Executor {
    inner: LocalExecutor,
    left_over: Option<RawFd>,
}

impl Executor {
    /// An executor of this thread, which has its CPU already: glommio's own pinning reads `/sys`,
    /// which a container may not have.
    pub(super) fn new(name: &str) -> io::Result<Self> {
        // The number that the next descriptor gets: the executor begins with its eventfd.
        let next = File::open("/dev/null")?.as_raw_fd();
        let inner = LocalExecutorBuilder::new(Placement::Unbound)
            .name(name)
            .preempt_timer(PREEMPT_NEVER)
            .io_memory(IO_MEMORY_BYTES)
            .ring_depth(RING_DEPTH)
            .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
            .make()
            .map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { inner, left_over: is_blocking_eventfd(next).then_some(next) })
    }

    /// Runs `task`, which does all its waiting by itself.
    pub(super) fn run<T>(self, task: impl FnOnce() -> T) -> T {
        let Self { inner, left_over } = self;
        let result = inner.run(async { task() });
        drop(inner);
        if let Some(fd) = left_over {
            // SAFETY: glommio 0.9.0 never closes the eventfd of an executor that has run: each task
            // keeps a reference to it that is not given back when the task is freed. Nobody uses
            // its number again: only executors that park do, and none here does.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        result
    }
}

/// Whether this is an eventfd as glommio alone makes them; those of others do not block.
fn is_blocking_eventfd(fd: RawFd) -> bool {
    let link = read_link(format!("/proc/self/fd/{fd}"));
    // SAFETY: no memory is involved; a number that is no descriptor is an error.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    link.is_ok_and(|link| link.as_os_str() == "anon_inode:[eventfd]")
        && flags >= 0
        && flags & libc::O_NONBLOCK == 0
}
