//! Driver parts: its kind, and what it is given beside a core.

use std::fmt;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::media::Micros;
use crate::ring::Bell;
use crate::runtime::Clock;
use crate::stats::LoopActivity;

/// What runs a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverKind {
    /// A glommio executor, which needs `io_uring`.
    Glommio,
    /// A plain thread.
    Epoll,
}

impl DriverKind {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Glommio => "glommio",
            Self::Epoll => "epoll",
        }
    }
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a driver is given beside its core.
#[derive(Debug)]
pub struct DriverParts {
    /// Where peers connect, and whether they speak TLS there. Bound and listening. They are closed
    /// as soon as the driver is told to stop.
    pub listeners: Vec<(TcpListener, bool)>,
    /// Rung by everybody who leaves something in the core's rings.
    pub bell: Arc<Bell>,
    /// Set, and the bell rung, when the core is to end.
    pub stopping: Arc<AtomicBool>,
    /// The node's clock.
    pub clock: Clock,
    /// A peer whose kernel acknowledges nothing for this long is gone (`TCP_USER_TIMEOUT`).
    pub user_timeout: Micros,
    /// Where the driver says since when it works, and counts how long.
    pub activity: Arc<LoopActivity>,
}
