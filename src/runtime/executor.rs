//! Executors: one glommio executor per pinned core, set up the way live media needs it.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use glommio::{
    ExecutorJoinHandle, Latency, LocalExecutorBuilder, Placement, PoolPlacement, Shares,
};

use super::preflight;
use super::pulse::{Pulse, shake_all};
use super::worker::{NICE_PINNED, set_nice};

/// How long a task may keep the core before others are looked at. glommio's own default of 100 ms
/// is also how long a wake from another thread would wait. Much shorter times are a danger: see
/// [`super::Pulse`].
const PREEMPT: Duration = Duration::from_millis(4);

/// How long an executor may take to begin; then it is left to itself.
const START_LIMIT: Duration = Duration::from_secs(5);

/// How often a new executor is looked at.
const GLANCE: Duration = Duration::from_millis(1);

/// How often an executor that should have begun or ended is shaken.
const SHAKE: Duration = Duration::from_millis(50);

/// Memory the ring registers for file I/O, which nobody does here; glommio's default is 10 MiB,
/// three times over.
const IO_MEMORY_BYTES: usize = 64 << 10;

/// Submission queue entries: polls armed between two passes of the reactor.
const RING_DEPTH: usize = 1_024;

/// Where an executor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinned {
    /// On this CPU and no other.
    Cpu(usize),
    /// The same, and it looks for work for this long, or not at all, before it sleeps.
    Spinning(usize, Duration),
    /// Wherever the kernel likes: for tests and machines without a choice.
    Anywhere,
}

/// A running executor.
#[derive(Debug)]
pub struct Executor {
    thread: ExecutorJoinHandle<()>,
    pulse: Arc<Pulse>,
}

impl Executor {
    /// Starts an executor named `name` and runs the future that `main` makes there.
    ///
    /// # Errors
    /// If the thread, its CPU or `io_uring` cannot be had.
    pub fn spawn<G, F>(name: &str, place: Pinned, main: G) -> io::Result<Self>
    where
        G: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        preflight::glommio().map_err(|failure| io::Error::other(failure.to_string()))?;
        let (placement, spin) = match place {
            Pinned::Cpu(cpu) => (Placement::Fixed(cpu), Duration::ZERO),
            Pinned::Spinning(cpu, spin) => (Placement::Fixed(cpu), spin),
            Pinned::Anywhere => (Placement::Unbound, Duration::ZERO),
        };
        let pulse = Arc::new(Pulse::default());
        let ours = Arc::clone(&pulse);
        let run = move || async move {
            ours.attach();
            set_nice(NICE_PINNED);
            let queue = glommio::executor().create_task_queue(
                Shares::default(),
                Latency::Matters(PREEMPT),
                "data",
            );
            match glommio::spawn_local_into(main(), queue) {
                Ok(task) => task.await,
                Err(error) => tracing::error!("the data plane's task queue is gone: {error}"),
            }
        };
        LocalExecutorBuilder::new(placement)
            .name(name)
            .preempt_timer(PREEMPT)
            .spin_before_park(spin)
            .io_memory(IO_MEMORY_BYTES)
            .ring_depth(RING_DEPTH)
            .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
            .spawn(run)
            .map(|thread| Self { thread, pulse }.begun())
            .map_err(|error| io::Error::other(error.to_string()))
    }

    /// Waits until its main future runs.
    fn begun(self) -> Self {
        let mut waited = Duration::ZERO;
        while !self.pulse.is_attached() && waited < START_LIMIT {
            std::thread::park_timeout(GLANCE);
            waited += GLANCE;
            if waited >= SHAKE {
                shake_all();
            }
        }
        self
    }

    /// Waits for the executor's main future to end.
    ///
    /// # Errors
    /// The text of what ended the executor otherwise.
    pub fn join(self) -> Result<(), String> {
        let Self { thread, pulse } = self;
        let joined = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let shaker = scope.spawn(|| {
                while !joined.load(Ordering::Acquire) {
                    std::thread::park_timeout(SHAKE);
                    pulse.shake();
                }
            });
            let result = thread.join().map_err(|error| error.to_string());
            joined.store(true, Ordering::Release);
            shaker.thread().unpark();
            result
        })
    }
}
