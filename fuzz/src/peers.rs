//! Both ends of TLS connections in memory, with certificates made on the spot.

use std::sync::OnceLock;

use crate::tls::{Acceptor, Connector, Link};

#[path = "../../src/tls/link/harness.rs"]
mod harness;

/// What both ends are made from: reading certificates again for each would take most of the time.
fn ends() -> &'static (Acceptor, Connector) {
    static ENDS: OnceLock<(Acceptor, Connector)> = OnceLock::new();
    ENDS.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let authority = harness::Authority::new();
        let files = authority.issue(dir.path(), "node.example");
        let acceptor = Acceptor::load(files, &[]).expect("a certificate and its key");
        (acceptor, authority.connector(dir.path()))
    })
}

/// The client's side of a new connection.
pub fn client() -> Link {
    ends().1.link("node.example").expect("a client")
}

/// The server's side of a new connection.
pub fn server() -> Link {
    ends().0.link().expect("a server")
}
