//! TLS, for the data plane and for HTTP alike: certificates and keys from files, their renewal
//! while the node runs, whom to trust, and a connection's encryption without a socket.

mod client;
mod error;
mod files;
mod link;
mod pool;
mod records;
mod server;
mod suites;

pub use client::Connector;
pub use error::{Error, Failure};
pub use files::CertificateFiles;
#[cfg(test)]
pub(crate) use link::harness;
pub use link::{Link, SEALED_BYTES_MAX};
pub use server::{Acceptor, Look, Watcher};
