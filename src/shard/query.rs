//! Queries of control: a shard lists its streams and connections, ends some, or hands over messages
//! of a log, a few at a time, so that the data plane runs in between.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::io::PeerId;
use super::stream_id::StreamId;
use super::streams::{Stream, Streams};
use crate::command::{PublisherView, RecentMessages, Scope, ShardAnswer, ShardQuery};
use crate::media::Micros;
use crate::stream::RecentRange;

/// Messages of a log that are handed over before the data plane has its turn.
const RECENT_STEP: usize = 256;

/// A query that is being answered.
pub(super) struct Query {
    pub(super) scope: Scope,
    pub(super) answer: ShardAnswer,
    /// Connections that are still to be looked at.
    pub(super) peers: Vec<PeerId>,
    /// The publishers of streams, as far as they have been found.
    pub(super) publishers: HashMap<Arc<str>, PublisherView>,
    /// Of [`Scope::Recent`], the messages that are still to be handed over.
    pub(super) recent: Option<(StreamId, Range<u64>)>,
}

impl Query {
    pub(super) fn new(order: ShardQuery, mut peers: Vec<PeerId>) -> Self {
        if let Scope::Recent { .. } = order.scope {
            peers.clear(); // it is about none
        }
        Self {
            scope: order.scope,
            answer: ShardAnswer { number: order.number, ..ShardAnswer::default() },
            peers,
            publishers: HashMap::new(),
            recent: None,
        }
    }

    /// Finds the messages of [`Scope::Recent`] in the log of `stream`.
    fn begin_recent(&mut self, id: StreamId, stream: &Stream, (span, before): (Micros, Micros)) {
        let newest = stream.log.newest_arrival();
        let to = if before == Micros(0) { Micros(u64::MAX) } else { newest - before };
        let mut answer = RecentMessages::default();
        if let Some(range) = stream.log.recent(newest - before - span, to) {
            let RecentRange { messages, wanted, arrived } = range;
            let count = |numbers: u64| usize::try_from(numbers).unwrap_or(0);
            answer.headers = stream.log.headers_at(messages.start).cloned().collect();
            answer.messages.reserve_exact(count(messages.end - messages.start));
            (answer.lead, answer.arrived) = (count(wanted - messages.start), arrived);
            self.recent = Some((id, messages));
        }
        self.answer.recent = Some(Box::new(answer));
    }

    /// Hands over the next messages of [`Scope::Recent`], [`RECENT_STEP`] at most. `false` once
    /// there are no more.
    pub(super) fn step_recent(&mut self, streams: &Streams) -> bool {
        let Scope::Recent { stream: name, span, before } = &self.scope else { return false };
        if self.answer.recent.is_none() {
            let (wanted, id) = ((*span, *before), streams.local(name));
            let stream = id.and_then(|id| Some((id, streams.get(id)?)));
            let Some((id, stream)) = stream.filter(|(_, stream)| stream.is_owned()) else {
                return false;
            };
            self.begin_recent(id, stream, wanted);
        }
        let (Some((id, numbers)), Some(answer)) = (&mut self.recent, &mut self.answer.recent)
        else {
            return false;
        };
        let Some(stream) = streams.get(*id) else { return false };
        let step = numbers.by_ref().take(RECENT_STEP);
        // The oldest may have left the log since; what has been handed over has not.
        answer.messages.extend(step.filter_map(|number| stream.log.get(number)).cloned());
        !numbers.is_empty()
    }
}
