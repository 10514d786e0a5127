//! Shard: one core's peers, the logs of the streams they feed and read, and who may do what. Pure:
//! no descriptor, executor, clock or `async`. Drivers in `runtime` run it.

mod io;

pub use io::{Action, Closed, Core, Io, PeerId, TcpInfo};
