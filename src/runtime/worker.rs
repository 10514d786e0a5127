//! Worker threads: plain OS threads for what blocks, such as the composer, encoders and decoders.

use std::io;
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::scheduling::{pin, set_nice};
use crate::media::caught;

/// A named thread with its set of CPUs and its priority, both inherited by threads it starts
/// itself (x264's workers).
#[derive(Debug)]
pub struct Worker<T> {
    thread: JoinHandle<Option<T>>,
    exit: Arc<Exit>,
}

/// How a thread has ended, for whoever watches it.
#[derive(Debug, Default)]
pub struct Exit(OnceLock<Result<(), String>>);

impl Exit {
    /// The thread has ended so: well, or by a panic with this text. Only the first word counts.
    pub fn set(&self, how: Result<(), String>) {
        drop(self.0.set(how));
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.get().is_some()
    }

    /// The text of the panic that has ended it.
    #[must_use]
    pub fn panic(&self) -> Option<&str> {
        self.0.get()?.as_ref().err().map(String::as_str)
    }
}

/// Between two looks at a thread that is about to end.
const LOOK: Duration = Duration::from_millis(1);

impl<T: Send + 'static> Worker<T> {
    /// Starts `run` on a new thread that may use `cpus` (all if empty) at niceness `nice`.
    ///
    /// # Errors
    /// If the system has no thread for us.
    pub fn spawn(
        name: &str,
        cpus: Vec<usize>,
        nice: i32,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Self> {
        let exit = Arc::new(Exit::default());
        let told = Arc::clone(&exit);
        let start = move || {
            pin(&cpus);
            set_nice(nice);
            let result = caught(run);
            let (value, how) = match result {
                Ok(value) => (Some(value), Ok(())),
                Err(text) => (None, Err(text)),
            };
            told.set(how);
            value
        };
        let thread = Builder::new().name(name.to_owned()).spawn(start)?;
        Ok(Self { thread, exit })
    }

    /// How it has ended, once it has.
    #[must_use]
    pub const fn exit(&self) -> &Arc<Exit> {
        &self.exit
    }

    /// Whether the thread has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end. `None` if the thread panicked.
    pub fn join(self) -> Option<T> {
        self.thread.join().ok().flatten()
    }

    /// Waits for the end for about `limit`, and says whether it has come. A thread that takes
    /// longer is left to itself.
    #[must_use]
    pub fn join_within(self, limit: Duration) -> bool {
        let mut waited = Duration::ZERO;
        while !self.thread.is_finished() {
            if waited >= limit {
                return false;
            }
            std::thread::park_timeout(LOOK);
            waited += LOOK;
        }
        drop(self.thread.join());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::NICE_ENCODE;

    #[test]
    fn a_panic_is_told_with_its_text_to_whoever_watches() {
        let worker = Worker::spawn("test", Vec::new(), 0, || -> u32 { panic!("broken {}", 7) });
        let worker = worker.unwrap();
        let exit = Arc::clone(worker.exit());
        assert_eq!(worker.join(), None);
        assert_eq!(exit.panic(), Some("broken 7"));
        let worker = Worker::spawn("test", Vec::new(), 0, || 3).unwrap();
        let exit = Arc::clone(worker.exit());
        assert_eq!(worker.join(), Some(3));
        assert!(exit.is_over() && exit.panic().is_none());
    }

    #[test]
    fn a_thread_that_does_not_end_in_time_is_left_to_itself() {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let worker = Worker::spawn("test", Vec::new(), 0, move || wait.recv().is_err()).unwrap();
        assert!(!worker.join_within(Duration::ZERO));
        drop(go);
        let worker = Worker::spawn("test", Vec::new(), 0, || ()).unwrap();
        assert!(worker.join_within(Duration::from_secs(60)));
    }

    #[test]
    fn a_worker_runs_on_its_cpus_and_below_the_usual_priority() {
        let cpu = crate::runtime::allowed_cpus()[0];
        let worker = Worker::spawn("test", vec![cpu], NICE_ENCODE, || {
            // SAFETY: no memory is involved.
            (crate::runtime::allowed_cpus(), unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) })
        });
        let (cpus, nice) = worker.unwrap().join().unwrap();
        assert_eq!(cpus, [cpu]);
        assert!(nice >= NICE_ENCODE);
    }
}
