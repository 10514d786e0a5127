//! Connections that a trusted proxy passes on, from the header that it puts before them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Connection;
use crate::shard::shared::Shared;
use crate::web::proxy::{Parsed, read};

/// The first bytes from a trusted proxy, until its PROXY protocol header is complete.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ProxyHeader(Vec<u8>);

impl Connection {
    /// The peer's own bytes among those that have come, encrypted ones if it speaks TLS; `None`
    /// while the header of a proxy is not complete.
    ///
    /// # Errors
    /// If the header is broken, or the peer that it names has met a limit.
    pub(in crate::shard) fn after_proxy_header<'a>(
        &mut self,
        shared: &Shared,
        bytes: &'a [u8],
    ) -> Result<Option<Cow<'a, [u8]>>, String> {
        let Some(ProxyHeader(so_far)) = &mut self.proxy_header else {
            return Ok(Some(Cow::Borrowed(bytes)));
        };
        so_far.extend_from_slice(bytes);
        match read(so_far) {
            Parsed::Incomplete => Ok(None),
            Parsed::Invalid => Err("the proxy's header is broken".to_owned()),
            said @ (Parsed::Absent | Parsed::Source(..)) => {
                let mut bytes = std::mem::take(so_far);
                if let Parsed::Source(source, used) = said {
                    bytes.drain(..used);
                    if let Some(source) = source {
                        let ip = source.ip();
                        self.address = source;
                        self.life.set_peer(source);
                        self.admitted.name(&shared.cx, ip).map_err(|limit| {
                            shared.cx.stats.connection_refused(limit);
                            format!("{ip} has met a limit: {}", limit.label())
                        })?;
                    }
                }
                self.proxy_header = None;
                Ok(Some(Cow::Owned(bytes)))
            }
        }
    }
}
