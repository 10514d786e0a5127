//! Reattachment of outputs, pulls, channels, subscriptions and recordings, which the node that
//! takes over names anew, to the state that a shard had of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::command::{ChannelSource, OutputSpec, PullSpec, RecordSink, SubscriptionEvent};
use crate::ring::Sender;
use crate::shard::core::ShardCore;
use crate::shard::output::Output;
use crate::shard::peers::{Peer, Peers};
use crate::shard::pull::Pull;
use crate::shard::spec::ShardParts;
use crate::shard::streams::{RecordSubscription, Streams, Subscription};

/// What a node that takes over gives a shard beside rings and limits.
pub(super) struct Attached {
    feeds: Vec<ChannelSource>,
    subscriptions: Vec<(Arc<str>, Sender<SubscriptionEvent>)>,
    records: Vec<RecordSink>,
    outputs: Vec<OutputSpec>,
    pulls: Vec<PullSpec>,
    /// Outputs and pulls that there are no more.
    gone: (Vec<usize>, Vec<usize>),
}

/// The numbers of outputs, and of pulls, by those that they had.
pub(super) struct Numbers {
    outputs: BTreeMap<usize, usize>,
    pulls: BTreeMap<usize, usize>,
}

/// An output or a pull, and what it is told.
trait Named {
    type Spec;
    fn spec(&mut self) -> &mut Self::Spec;
    fn number(spec: &mut Self::Spec) -> &mut usize;
    /// Whether it goes on where another one was.
    fn is_same(known: &Self::Spec, next: &Self::Spec) -> bool;
}

impl Named for Output {
    type Spec = OutputSpec;

    fn spec(&mut self) -> &mut OutputSpec {
        &mut self.spec
    }

    fn number(spec: &mut OutputSpec) -> &mut usize {
        &mut spec.id
    }

    fn is_same(known: &OutputSpec, next: &OutputSpec) -> bool {
        let names = |spec: &OutputSpec| (Arc::clone(&spec.channel), Arc::clone(&spec.name));
        names(known) == names(next) && known.stream == next.stream && known.url == next.url
    }
}

impl Named for Pull {
    type Spec = PullSpec;

    fn spec(&mut self) -> &mut PullSpec {
        &mut self.spec
    }

    fn number(spec: &mut PullSpec) -> &mut usize {
        &mut spec.id
    }

    fn is_same(known: &PullSpec, next: &PullSpec) -> bool {
        known.name == next.name && known.stream == next.stream && known.url == next.url
    }
}

impl Attached {
    /// Leaves `parts` without what is attached later.
    pub(super) fn taken_from(parts: &mut ShardParts) -> Self {
        Self {
            feeds: std::mem::take(&mut parts.feeds),
            subscriptions: std::mem::take(&mut parts.subscriptions),
            records: std::mem::take(&mut parts.records),
            outputs: std::mem::take(&mut parts.outputs),
            pulls: std::mem::take(&mut parts.pulls),
            gone: (Vec::new(), Vec::new()),
        }
    }

    /// Gives outputs and pulls that were read the specifications of now, and their numbers.
    pub(super) fn dialers(
        &mut self,
        outputs: BTreeMap<usize, Output>,
        pulls: BTreeMap<usize, Pull>,
    ) -> (BTreeMap<usize, Output>, BTreeMap<usize, Pull>, Numbers) {
        let (outputs, of_outputs) = renumbered(outputs, &mut self.outputs, &mut self.gone.0);
        let (pulls, of_pulls) = renumbered(pulls, &mut self.pulls, &mut self.gone.1);
        (outputs, pulls, Numbers { outputs: of_outputs, pulls: of_pulls })
    }
}

/// Those of `saved` by their numbers among `specs`, from which theirs are taken. Those that are not
/// among them get numbers that nobody else has, which are put into `gone`.
fn renumbered<D: Named>(
    saved: BTreeMap<usize, D>,
    specs: &mut Vec<D::Spec>,
    gone: &mut Vec<usize>,
) -> (BTreeMap<usize, D>, BTreeMap<usize, usize>) {
    let (mut dialers, mut numbers) = (BTreeMap::new(), BTreeMap::new());
    for (old, mut dialer) in saved {
        let known = dialer.spec();
        let number = match specs.iter().position(|next| D::is_same(known, next)) {
            Some(at) => {
                *known = specs.swap_remove(at);
                *D::number(known)
            }
            None => {
                let number = usize::MAX - gone.len();
                *D::number(known) = number;
                gone.push(number);
                number
            }
        };
        numbers.insert(old, number);
        dialers.insert(number, dialer);
    }
    (dialers, numbers)
}

impl Numbers {
    /// Renames the peers, and the sources of streams. The error says whose number is not known.
    pub(super) fn apply(
        &self,
        peers: &mut Peers,
        streams: &mut Streams,
    ) -> Result<(), &'static str> {
        for (_, peer) in peers.table.iter_mut() {
            match peer {
                Peer::Output(number) => {
                    *number = *self.outputs.get(number).ok_or("the connection of an output")?;
                }
                Peer::Pull(number) => {
                    *number = *self.pulls.get(number).ok_or("the connection of a pull")?;
                }
                Peer::Connection(_) | Peer::Closing | Peer::Busy => {}
            }
        }
        // A pull that is gone feeds nothing any more.
        streams.renumber_pulls(|old| self.pulls.get(&old).copied().unwrap_or(usize::MAX));
        Ok(())
    }
}

impl ShardCore {
    /// Attaches what is left, and ends what there is no more.
    pub(super) fn attach(&mut self, attached: Attached) {
        let Attached { feeds, subscriptions, records, outputs, pulls, gone } = attached;
        for number in gone.0 {
            self.with_output(number, Output::end);
        }
        for number in gone.1 {
            self.with_pull(number, Pull::stop);
        }
        for spec in outputs {
            self.outputs.insert(spec.id, Output::new(spec));
        }
        for spec in pulls {
            self.pulls.insert(spec.id, Pull::new(spec));
        }
        let shared = &mut self.shared;
        shared.streams.leave_channels(&mut shared.cx);
        for feed in feeds {
            // A publisher that has come meanwhile keeps its name.
            match shared.streams.is_taken(&feed.stream) {
                true => self.channels.add(shared, feed),
                false => self.channels.begin(shared, vec![feed]),
            }
        }
        let decoders =
            subscriptions.into_iter().map(|(name, ring)| (name, Subscription::Decoder(ring)));
        let recordings = records.into_iter().map(|feed| {
            (Arc::clone(&feed.stream), Subscription::Recording(RecordSubscription::new(feed)))
        });
        for (name, subscription) in decoders.chain(recordings) {
            shared.streams.add_subscription(&mut shared.cx, name, subscription);
        }
    }
}
