//! Drivers: the threads that run a shard's core on real sockets. Both kinds are one event loop on
//! one thread; they differ in what that thread belongs to.

mod doorbell;
mod epoll;
mod event_loop;
mod glommio;
mod pacing;
mod parts;
mod send_ring;
mod socket;
mod sockets;
#[cfg(test)]
mod tests;
mod thread;
mod turns;
mod watch;

pub use self::parts::{DriverKind, DriverParts};
pub use self::thread::Driver;
pub use self::watch::CoreWatch;
