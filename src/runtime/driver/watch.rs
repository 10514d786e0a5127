//! Watch over a core: how whoever supervises it hears of its panics, and lets it go on.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::ring::Bell;
use crate::runtime::Exit;

/// What a core's driver and its supervisor tell each other.
#[derive(Debug)]
pub struct CoreWatch {
    exit: Exit,
    /// The panic after which the core waits.
    panic: ArcSwapOption<String>,
    bell: Arc<Bell>,
}

impl CoreWatch {
    /// Over a core that is woken by `bell`.
    #[must_use]
    pub fn new(bell: Arc<Bell>) -> Self {
        Self { exit: Exit::default(), panic: ArcSwapOption::empty(), bell }
    }

    /// How the core has ended for good, once it has.
    #[must_use]
    pub const fn exit(&self) -> &Exit {
        &self.exit
    }

    /// The text of the panic after which it was rebuilt, and waits; `None` while it runs.
    #[must_use]
    pub fn panic(&self) -> Option<Arc<String>> {
        self.panic.load_full()
    }

    /// Lets it go on, without the peers that it had.
    pub fn go_on(&self) {
        self.panic.store(None);
        self.bell.ring();
    }

    /// It was rebuilt after this panic, and waits from now on.
    pub fn wait(&self, text: String) {
        self.panic.store(Some(Arc::new(text)));
    }

    /// Whether it is to wait.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.panic.load().is_some()
    }
}
