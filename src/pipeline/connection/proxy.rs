//! Connections that a trusted proxy passes on, from the header that it puts before them.

use std::borrow::Cow;

use super::Connection;
use crate::pipeline::shard::Shard;
use crate::web::proxy::{Said, read};

/// The first bytes from a trusted proxy, until its header is complete.
#[derive(Debug, Default)]
pub(super) struct Preface(Vec<u8>);

impl Connection {
    /// The peer's own bytes among those that have come, sealed ones if it speaks TLS; `None` while
    /// a proxy still speaks.
    pub(super) fn after_preface<'a>(
        &self,
        shard: &Shard,
        bytes: &'a [u8],
    ) -> Result<Option<Cow<'a, [u8]>>, String> {
        let mut slot = self.preface.borrow_mut();
        let Some(Preface(so_far)) = slot.as_mut() else { return Ok(Some(Cow::Borrowed(bytes))) };
        so_far.extend_from_slice(bytes);
        match read(so_far) {
            Said::Partly => Ok(None),
            Said::Broken => Err("the proxy's header is broken".to_owned()),
            said @ (Said::Nothing | Said::Source(..)) => {
                let mut bytes = std::mem::take(so_far);
                if let Said::Source(source, used) = said {
                    bytes.drain(..used);
                    if let Some(source) = source {
                        self.peer.set(source);
                        self.life.borrow_mut().set_peer(source);
                        self.count_as(shard, source.ip())?;
                    }
                }
                *slot = None;
                Ok(Some(Cow::Owned(bytes)))
            }
        }
    }
}
