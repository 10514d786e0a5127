//! Admission of peers: a shard asks the node's limits when a peer connects or becomes a viewer, and
//! turns away those who meet one.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::context::Context;
use super::streams::Stream;
use crate::limits::{ConnectionPermit, NodeLimits, ViewerPermit};
use crate::stats::Limit;

/// That a connection is counted by the node's limits, until this is dropped.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Admitted {
    #[serde(skip)]
    counted: Option<(Arc<NodeLimits>, ConnectionPermit)>,
    /// Whether it is counted as one of its address.
    is_named: bool,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some((limits, place)) = self.counted.take() {
            limits.leave(place);
        }
    }
}

impl Admitted {
    /// Lets the peer at `ip` connect. A trusted proxy may as long as the node takes any: whom it
    /// speaks for is looked at when it says so.
    ///
    /// # Errors
    /// The limit that keeps it out.
    pub(super) fn new(cx: &Context, ip: IpAddr) -> Result<Self, Limit> {
        let is_named = !trusts(cx, ip);
        let place = match is_named {
            false => cx.limits.connect_proxy(),
            true => cx.limits.connect(ip, cx.now),
        };
        place.map(|place| Self { counted: Some((Arc::clone(&cx.limits), place)), is_named })
    }

    /// It was read from a snapshot: the peer at `ip` is counted again, whatever the limits are now.
    pub(super) fn resume(&mut self, cx: &Context, ip: IpAddr) {
        let place = cx.limits.readmit(self.is_named.then_some(ip));
        self.counted = Some((Arc::clone(&cx.limits), place));
    }

    /// The proxy that connected speaks for the peer at `ip`: that one is counted from here on.
    ///
    /// # Errors
    /// The limit that keeps it out.
    pub(super) fn name(&mut self, cx: &Context, ip: IpAddr) -> Result<(), Limit> {
        let Some((limits, place)) = self.counted.as_mut() else { return Ok(()) };
        limits.name(place, ip, cx.now)?;
        self.is_named = true;
        Ok(())
    }
}

/// Whether a proxy at this address is believed when it says who its peer is.
pub(super) fn trusts(cx: &Context, proxy: IpAddr) -> bool {
    cx.spec.keys.trusted_proxies.iter().any(|range| range.contains(proxy))
}

/// Takes one more viewer of `stream`, who is promised its part of what may go out of the node.
///
/// # Errors
/// Why it is not taken; that is counted.
pub(super) fn admit_viewer(cx: &Context, stream: &Stream) -> Result<ViewerPermit, &'static str> {
    let Some(permit) = stream.audience.enter() else {
        cx.stats.limit_met(Limit::Viewers);
        return Err("this stream has as many viewers as its key allows");
    };
    if !cx.limits.egress().admits(stream.log.bitrate_bps(), &cx.stats) {
        cx.stats.limit_met(Limit::Egress);
        return Err("this server sends as much as it may; try again later");
    }
    Ok(permit)
}
