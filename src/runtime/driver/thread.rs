//! Driver thread: makes a core on a thread of its own, runs it, and tells how it ends.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::event_loop::{Equipment, EventLoop};
use super::glommio;
use super::parts::{DriverKind, DriverParts};
use super::watch::CoreWatch;
use crate::media::{caught, panic_text};
use crate::runtime::Pinned;
use crate::runtime::scheduling::{NICE_PINNED, pin, set_nice};
use crate::shard::Core;

/// A running core.
#[derive(Debug)]
pub struct Driver {
    thread: JoinHandle<Result<(), String>>,
    watch: Arc<CoreWatch>,
}

impl Driver {
    /// Starts a thread named `name` that makes a core there and runs it.
    ///
    /// # Errors
    /// If the thread, its descriptors or its executor cannot be had. Nothing is left running then.
    pub fn spawn<C: Core + 'static>(
        kind: DriverKind,
        name: &str,
        place: Pinned,
        parts: DriverParts,
        make_core: impl FnOnce() -> C + Send + 'static,
    ) -> io::Result<Self> {
        let (cpus, spin) = match place {
            Pinned::Cpu(cpu) => (vec![cpu], Duration::ZERO),
            Pinned::Spinning(cpu, spin) => (vec![cpu], spin),
            Pinned::Anywhere => (Vec::new(), Duration::ZERO),
        };
        let (started, start) = sync_channel(1);
        let owned_name = name.to_owned();
        let watch = Arc::new(CoreWatch::new(Arc::clone(&parts.bell)));
        let watched = Arc::clone(&watch);
        let main = move || {
            pin(&cpus);
            set_nice(NICE_PINNED);
            let executor = match kind {
                DriverKind::Glommio => glommio::Executor::new(&owned_name).map(Some),
                DriverKind::Epoll => Ok(None),
            };
            // Here and not where the driver is started from: the end of an `io_uring` interrupts
            // calls of the thread that has made it, and that one belongs to somebody else.
            let made = executor.and_then(|made| Ok((made, Equipment::new(kind, parts, spin)?)));
            let (executor, with) = match made {
                Ok(made) => made,
                Err(error) => {
                    // The other end waits for this and nothing else.
                    started.send(Err(error)).unwrap_or_default();
                    return Ok(());
                }
            };
            started.send(Ok(())).unwrap_or_default();
            let run = || {
                let ended = caught(|| EventLoop::new(make_core(), with).run(&watched));
                ended.flatten()
            };
            let ended = match executor {
                Some(executor) => executor.run(run),
                None => run(),
            };
            watched.exit().set(ended.clone());
            ended
        };
        let thread = Builder::new().name(name.to_owned()).spawn(main)?;
        let told = start.recv();
        let driver = Self { thread, watch };
        if matches!(told, Ok(Ok(()))) {
            return Ok(driver);
        }
        // glommio gives an error or panics, by what the kernel refuses.
        let failed = match (driver.join(), told) {
            (_, Ok(Err(error))) => error.to_string(),
            (ended, _) => ended.err().unwrap_or_default(),
        };
        Err(io::Error::other(format!("the {kind} driver does not start: {failed}")))
    }

    /// Where its panics are told, and its end.
    #[must_use]
    pub const fn watch(&self) -> &Arc<CoreWatch> {
        &self.watch
    }

    /// Whether the core has ended, for whatever reason.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the core's end. By then its sockets are closed.
    ///
    /// # Errors
    /// What ended it, if nobody told it to stop: the text of a panic.
    pub fn join(self) -> Result<(), String> {
        self.thread.join().unwrap_or_else(|panic| Err(panic_text(&*panic)))
    }
}
