//! Rules of the HTTP port that a reload of the configuration changes.

use std::sync::Arc;

use crate::keys::AddressRange;
use crate::web::Cors;

/// What the HTTP port goes by until the next reload.
#[derive(Clone, Debug)]
pub struct HttpRules {
    /// Proxies whose word about who asks is taken.
    pub proxies: Arc<[AddressRange]>,
    /// Which web pages from elsewhere may play streams.
    pub flv_cors: Cors,
}
