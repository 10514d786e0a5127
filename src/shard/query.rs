//! Queries of control: a shard lists its streams and connections, or ends some, a few at a time, so
//! that the data plane runs in between.

use std::collections::HashMap;
use std::sync::Arc;

use super::io::PeerId;
use crate::command::{PublisherView, Scope, ShardAnswer, ShardQuery};

/// A query that is being answered.
pub(super) struct Query {
    pub(super) scope: Scope,
    pub(super) answer: ShardAnswer,
    /// Connections that are still to be looked at.
    pub(super) peers: Vec<PeerId>,
    /// The publishers of streams, as far as they have been found.
    pub(super) publishers: HashMap<Arc<str>, PublisherView>,
}

impl Query {
    pub(super) fn new(order: ShardQuery, peers: Vec<PeerId>) -> Self {
        Self {
            scope: order.scope,
            answer: ShardAnswer { number: order.number, ..ShardAnswer::default() },
            peers,
            publishers: HashMap::new(),
        }
    }
}
