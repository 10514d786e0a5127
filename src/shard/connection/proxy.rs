//! PROXY protocol header that a trusted proxy puts before the connections that it passes on.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::web::proxy::{Parsed, read};

/// The first bytes from a trusted proxy, until its PROXY protocol header is complete.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ProxyHeader(Vec<u8>);

/// What comes behind a header that is complete.
pub(super) struct Proxied {
    /// Whom the header names, if anybody.
    pub(super) source: Option<SocketAddr>,
    /// The peer's own bytes.
    pub(super) bytes: Vec<u8>,
}

impl ProxyHeader {
    /// Takes what has come; `None` while the header is not complete.
    ///
    /// # Errors
    /// If it is broken.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Option<Proxied>, String> {
        self.0.extend_from_slice(bytes);
        let (source, used) = match read(&self.0) {
            Parsed::Incomplete => return Ok(None),
            Parsed::Invalid => return Err("the proxy's header is broken".to_owned()),
            Parsed::Absent => (None, 0),
            Parsed::Source(source, used) => (source, used),
        };
        let mut bytes = std::mem::take(&mut self.0);
        bytes.drain(..used);
        Ok(Some(Proxied { source, bytes }))
    }
}
