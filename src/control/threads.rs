//! Threads of a node: its encoders, decoders and recordings, and what loads for them. One list,
//! which is watched while the node runs and ended with it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam::atomic::AtomicCell;

use crate::media::Micros;
use crate::runtime::{Clock, Exit, NICE_ENCODE, StopFlag, Worker};
use crate::stats::CoreRole;

/// Between two looks at threads that are about to end.
const LOOK: Duration = Duration::from_millis(1);

/// What a thread works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ThreadRole {
    /// What it does.
    pub(crate) role: CoreRole,
    /// The channel, the recording or the number of the shard; empty for the composer.
    pub(crate) of: String,
}

impl fmt::Display for ThreadRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, of } = self;
        match role {
            CoreRole::Compose => f.write_str("the compose core"),
            CoreRole::Shard => write!(f, "shard {of}"),
            CoreRole::Encoder => write!(f, "an encoder of channel {of}"),
            CoreRole::Decoder => write!(f, "a decoder of channel {of}"),
            CoreRole::Recording => write!(f, "the writer of recording {of}"),
            CoreRole::Loader => write!(f, "a thread that loads for channel {of}"),
        }
    }
}

impl ThreadRole {
    /// The channel whose encoder or decoder it is.
    pub(crate) fn channel(&self) -> Option<&str> {
        matches!(self.role, CoreRole::Encoder | CoreRole::Decoder).then_some(&*self.of)
    }
}

/// Name of a thread, and where it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadPlace<'a> {
    pub(crate) name: &'a str,
    /// The CPUs it may use; all if there are none.
    pub(crate) cpus: &'a [usize],
    pub(crate) nice: i32,
}

impl<'a> ThreadPlace<'a> {
    /// Below normal priority, as everything that only computes.
    pub(crate) const fn below(name: &'a str, cpus: &'a [usize]) -> Self {
        Self { name, cpus, nice: NICE_ENCODE }
    }
}

/// A thread of the list.
pub(crate) struct Thread {
    role: ThreadRole,
    stop: Option<StopFlag>,
    exit: Arc<Exit>,
    /// Taken when it is joined.
    worker: AtomicCell<Option<Worker<()>>>,
    /// Whether its panic has been told.
    is_told: AtomicBool,
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.role.fmt(f)
    }
}

impl Thread {
    /// Tells it to end, if it can be told. Others end when nobody takes, or gives, what they pass
    /// on.
    pub(crate) fn stop(&self) {
        self.stop.iter().for_each(StopFlag::stop);
    }

    /// Whether it has been told to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(StopFlag::is_stopped)
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.exit.is_over()
    }

    fn has_news(&self) -> bool {
        self.exit.panic().is_some() && !self.is_told.load(Ordering::Relaxed)
    }
}

/// A list of threads. Clones are the same list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Threads(Arc<ArcSwap<Vec<Arc<Thread>>>>);

impl Threads {
    /// Starts a thread and keeps it until it has ended; `stop` is how it can be told to.
    ///
    /// # Errors
    /// If the system has no thread for us.
    pub(crate) fn spawn(
        &self,
        role: ThreadRole,
        place: ThreadPlace<'_>,
        stop: Option<StopFlag>,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<Arc<Thread>> {
        let ThreadPlace { name, cpus, nice } = place;
        let worker = Worker::spawn(name, cpus.to_vec(), nice, run)?;
        let exit = Arc::clone(worker.exit());
        let worker = AtomicCell::new(Some(worker));
        let thread = Arc::new(Thread { role, stop, exit, worker, is_told: AtomicBool::new(false) });
        self.0.rcu(|known| {
            let kept = known.iter().filter(|thread| !thread.is_over() || thread.has_news());
            kept.chain([&thread]).cloned().collect::<Vec<_>>()
        });
        Ok(thread)
    }

    /// Those that have panicked since the last call, and its text.
    pub(crate) fn losses(&self) -> Vec<(ThreadRole, String)> {
        let threads = self.0.load();
        let lost = threads.iter().filter(|thread| thread.has_news());
        lost.map(|thread| {
            thread.is_told.store(true, Ordering::Relaxed);
            let text = thread.exit.panic().unwrap_or_default().to_owned();
            (thread.role.clone(), text)
        })
        .collect()
    }

    /// Tells all of them to end, and waits for that until `limit` has passed. Whether all have
    /// ended; the others are left to themselves.
    pub(crate) fn finish(&self, clock: Clock, limit: Micros) -> bool {
        let deadline = clock.now() + limit;
        let threads = self.0.load_full();
        threads.iter().for_each(|thread| thread.stop());
        while threads.iter().any(|thread| !thread.is_over()) && clock.now() < deadline {
            std::thread::park_timeout(LOOK);
        }
        for thread in threads.iter().filter(|thread| thread.is_over()) {
            // It is over but for the return to the kernel.
            if let Some(worker) = thread.worker.take() {
                worker.join();
            }
        }
        threads.iter().all(|thread| thread.is_over())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Bell;

    fn role(role: CoreRole, of: &str) -> ThreadRole {
        ThreadRole { role, of: of.to_owned() }
    }

    #[test]
    fn a_panic_is_told_once_with_the_role_of_its_thread() {
        let threads = Threads::default();
        let encoder = role(CoreRole::Encoder, "a");
        threads
            .spawn(encoder.clone(), ThreadPlace::below("t", &[]), None, || panic!("broken"))
            .unwrap();
        threads
            .spawn(role(CoreRole::Decoder, "a"), ThreadPlace::below("t", &[]), None, || ())
            .unwrap();
        assert!(threads.finish(Clock::start(), Micros::from_secs(60)));
        assert_eq!(threads.losses(), [(encoder, "broken".to_owned())]);
        assert!(threads.losses().is_empty());
    }

    #[test]
    fn those_that_can_be_told_to_end_are_and_the_others_are_waited_for() {
        let threads = Threads::default();
        let bell = Bell::new();
        let stop = StopFlag::new(Arc::clone(&bell));
        let theirs = stop.clone();
        let run = move || {
            while !theirs.is_stopped() {
                bell.park(Duration::from_secs(60), || theirs.is_stopped());
            }
        };
        let writer = threads.spawn(
            role(CoreRole::Recording, "r"),
            ThreadPlace::below("t", &[]),
            Some(stop),
            run,
        );
        assert!(!writer.as_ref().unwrap().is_over());
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let held = move || assert!(wait.recv().is_err());
        threads
            .spawn(role(CoreRole::Loader, "a"), ThreadPlace::below("t", &[]), None, held)
            .unwrap();
        let clock = Clock::start();
        assert!(!threads.finish(clock, Micros(0)), "one is held up");
        drop(go);
        assert!(threads.finish(clock, Micros::from_secs(60)));
        assert!(writer.unwrap().is_over());
    }
}
