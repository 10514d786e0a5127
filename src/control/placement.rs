//! Placement rule: which shard has which channel, output, push, pull and recording.
//!
//! A channel or a pull goes to the shard with the least load, the first of equals. What reads a
//! stream goes to the shard whose channel or pull feeds that stream, so that no message crosses
//! between shards, unless that shard would be crowded; then, and where nothing placed feeds the
//! stream, to the shard with the least load. [`rule`] says it for people.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::command::{PulledStream, ShardCommand};
use crate::control::balance;
use crate::media::Micros;
use crate::stats::PlacedItems;

/// Load of a channel or a pull, which brings a stream: all of its messages are handled there.
const FEED_LOAD: usize = 2;

/// Load of an output, a push or a recording, which reads one.
const READER_LOAD: usize = 1;

/// Load up to which a shard is never crowded: a hop between shards costs more than it spares.
const ROOMY_LOAD_MAX: usize = 8;

/// Above this many percent of the mean load, a shard is crowded.
const CROWDED_PERCENT: usize = 150;

/// How long the stream of a channel that was removed keeps its shard: what its encoders still hold
/// has to be out before another channel goes on with it, and only that shard can tell.
const ENDED_KEPT: Micros = Micros::from_secs(20);

/// How long what was moved stays where it is then: shards that are uneven by it alone do not pass
/// it to and fro.
const SETTLED_MIN: Micros = Micros::from_secs(600);

/// Streams that are remembered so at most; the oldest are forgotten.
const ENDED_MAX: usize = 64;

/// The rule in words.
pub(crate) fn rule() -> String {
    let factor = CROWDED_PERCENT as f64 / 100.0;
    format!(
        "a channel or a pull goes to the shard with the least load, the first of equals; an \
         output, a push or a recording to the shard whose channel or pull feeds its stream, unless \
         that would carry a load above {ROOMY_LOAD_MAX} and above {factor} times the mean, or \
         nothing placed feeds it: then to the shard with the least load; a channel or a pull is a \
         load of {FEED_LOAD}, anything else of {READER_LOAD}. While the node runs, {}",
        balance::rule()
    )
}

/// Something that a shard has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// The streams of a channel, one for each rendition, by the channel's name.
    Channel(Arc<str>),
    /// An output or a push, by its number.
    Output(usize),
    /// A pull, by its number.
    Pull(usize),
    /// A recording that runs, by its name.
    Recording(Arc<str>),
}

impl Item {
    /// Whether it brings a stream.
    const fn feeds(&self) -> bool {
        matches!(self, Self::Channel(_) | Self::Pull(_))
    }

    const fn load(&self) -> usize {
        if self.feeds() { FEED_LOAD } else { READER_LOAD }
    }
}

/// An item where it is.
#[derive(Clone, Debug)]
struct Placed {
    item: Item,
    /// As it is shown: `channel/name` of an output.
    name: String,
    is_push: bool,
    stream: Arc<str>,
    shard: usize,
    /// When it was moved there, if it was.
    moved: Option<Micros>,
}

/// What is where.
#[derive(Debug)]
pub(crate) struct Placement {
    shards: usize,
    placed: Vec<Placed>,
    /// Streams of channels that were removed a moment ago: when, and where.
    ended: VecDeque<(Micros, Arc<str>, usize)>,
}

impl Placement {
    /// Nothing yet, on so many shards.
    pub(crate) fn new(shards: usize) -> Self {
        Self { shards: shards.max(1), placed: Vec::new(), ended: VecDeque::new() }
    }

    /// The shard that a channel is to go to. One whose stream a shard has, or had a moment ago,
    /// goes there, and one that takes another's place stays there.
    pub(crate) fn choose_for_channel(&self, name: &str, stream: &str, now: Micros) -> usize {
        let feeds = |placed: &&Placed| placed.item.feeds() && *placed.stream == *stream;
        let fed = self.placed.iter().find(feeds).map(|placed| placed.shard);
        let ended = self.ended.iter().rev();
        let lately = |(at, name, _): &&(Micros, Arc<str>, usize)| {
            **name == *stream && now.since(*at) < ENDED_KEPT
        };
        let ended = ended.clone().find(lately).map(|(.., shard)| *shard);
        let own = || self.shard_of(&Item::Channel(Arc::from(name)));
        fed.or(ended).or_else(own).unwrap_or_else(|| self.least_loaded())
    }

    /// A channel runs at `shard` from now on, with these streams of its renditions, of which the
    /// first is its own.
    pub(crate) fn put_channel(
        &mut self,
        name: &str,
        streams: &[(String, Arc<str>)],
        shard: usize,
        now: Micros,
    ) {
        self.remove_channel(name, now);
        for (at, (rendition, stream)) in streams.iter().enumerate() {
            let shown = if at == 0 { name.to_owned() } else { format!("{name}/{rendition}") };
            let (item, stream) = (Item::Channel(Arc::from(name)), Arc::clone(stream));
            self.placed.push(Placed {
                item,
                name: shown,
                is_push: false,
                stream,
                shard,
                moved: None,
            });
        }
    }

    /// A channel is gone.
    pub(crate) fn remove_channel(&mut self, name: &str, now: Micros) {
        let item = Item::Channel(Arc::from(name));
        while let Some(Placed { stream, shard, .. }) = self.remove(&item) {
            self.ended.push_back((now, stream, shard));
        }
        while self.ended.len() > ENDED_MAX {
            self.ended.pop_front();
        }
    }

    /// A recording no longer runs. It is placed anew when it runs again.
    pub(crate) fn remove_recording(&mut self, name: &str) {
        self.remove(&Item::Recording(Arc::from(name)));
    }

    /// The shard that is to have what reads `stream`, or the decoder that does.
    fn choose_for_reader(&self, stream: &str) -> usize {
        let feeds = |placed: &&Placed| placed.item.feeds() && *placed.stream == *stream;
        let fed = self.placed.iter().find(feeds).map(|placed| placed.shard);
        fed.filter(|shard| !self.is_crowded(*shard)).unwrap_or_else(|| self.least_loaded())
    }

    /// The shard that is to hear a command about an item: the one that has it. What is new is
    /// placed, and what goes is forgotten.
    pub(crate) fn route(&mut self, command: &ShardCommand) -> usize {
        match command {
            ShardCommand::AddOutput(spec) => {
                let is_push = spec.channel.is_empty();
                let name = match is_push {
                    true => spec.name.to_string(),
                    false => format!("{}/{}", spec.channel, spec.name),
                };
                self.place(Item::Output(spec.id), name, is_push, &spec.stream)
            }
            ShardCommand::AddPull(spec) => {
                self.place(Item::Pull(spec.id), spec.name.to_string(), false, &spec.stream)
            }
            ShardCommand::Record(feed) => {
                let item = Item::Recording(Arc::clone(&feed.name));
                self.place(item, feed.name.to_string(), false, &feed.stream)
            }
            ShardCommand::SwitchOutput { output, .. }
            | ShardCommand::DelayOutput { output, .. } => self.known(&Item::Output(*output)),
            ShardCommand::SwitchPull { pull, .. } => self.known(&Item::Pull(*pull)),
            ShardCommand::RemoveOutput { output } => self.removed(&Item::Output(*output)),
            ShardCommand::RemovePull { pull } => self.removed(&Item::Pull(*pull)),
            ShardCommand::Subscription(stream, _) => self.choose_for_reader(stream),
            // These are about no item, or are for all shards.
            _ => 0,
        }
    }

    fn known(&self, item: &Item) -> usize {
        self.shard_of(item).unwrap_or(0)
    }

    fn removed(&mut self, item: &Item) -> usize {
        self.remove(item).map_or(0, |placed| placed.shard)
    }

    /// Places an item, unless it has its place.
    fn place(&mut self, item: Item, name: String, is_push: bool, stream: &Arc<str>) -> usize {
        if let Some(shard) = self.shard_of(&item) {
            return shard;
        }
        let shard = match item.feeds() {
            true => self.least_loaded(),
            false => self.choose_for_reader(stream),
        };
        let (stream, moved) = (Arc::clone(stream), None);
        self.placed.push(Placed { item, name, is_push, stream, shard, moved });
        shard
    }

    fn remove(&mut self, item: &Item) -> Option<Placed> {
        let at = self.placed.iter().position(|placed| placed.item == *item)?;
        Some(self.placed.remove(at))
    }

    /// What `shard` is to give away: the newest reader of a stream there that `is_on`, or else the
    /// newest pull. Nothing that was moved lately.
    pub(crate) fn movable(
        &self,
        shard: usize,
        now: Micros,
        is_on: impl Fn(&Item) -> bool,
    ) -> Option<Item> {
        let is_settled =
            |placed: &Placed| placed.moved.is_none_or(|moved| now.since(moved) >= SETTLED_MIN);
        let here =
            self.placed.iter().rev().filter(|placed| {
                placed.shard == shard && is_settled(placed) && is_on(&placed.item)
            });
        let (feeds, reads): (Vec<_>, Vec<_>) = here.partition(|placed| placed.item.feeds());
        reads.iter().chain(&feeds).next().map(|placed| placed.item.clone())
    }

    /// An item is at `shard` from now on.
    pub(crate) fn relocate(&mut self, item: &Item, shard: usize, now: Micros) {
        for placed in self.placed.iter_mut().filter(|placed| placed.item == *item) {
            (placed.shard, placed.moved) = (shard, Some(now));
        }
    }

    /// The shard that has an item.
    pub(crate) fn shard_of(&self, item: &Item) -> Option<usize> {
        self.placed.iter().find(|placed| placed.item == *item).map(|placed| placed.shard)
    }

    /// The streams that are pulled, and where.
    pub(crate) fn pulled(&self) -> Arc<[PulledStream]> {
        let pulls = self.placed.iter().filter(|placed| matches!(placed.item, Item::Pull(_)));
        let pulled = |Placed { stream, shard, .. }: &Placed| PulledStream {
            name: Arc::clone(stream),
            shard: *shard,
        };
        pulls.map(pulled).collect()
    }

    fn load(&self, shard: usize) -> usize {
        let here = self.placed.iter().filter(|placed| placed.shard == shard);
        here.map(|placed| placed.item.load()).sum()
    }

    fn least_loaded(&self) -> usize {
        // The first of equals.
        (0..self.shards).min_by_key(|shard| self.load(*shard)).unwrap_or(0)
    }

    /// Whether a shard would carry too much with one more reader.
    fn is_crowded(&self, shard: usize) -> bool {
        let all: usize = self.placed.iter().map(|placed| placed.item.load()).sum();
        let (load, all) = (self.load(shard) + READER_LOAD, all + READER_LOAD);
        load > ROOMY_LOAD_MAX && load * self.shards * 100 > all * CROWDED_PERCENT
    }

    /// What each shard has, by its number.
    pub(crate) fn items(&self) -> Vec<PlacedItems> {
        let mut all = vec![PlacedItems::default(); self.shards];
        for Placed { item, name, is_push, shard, .. } in &self.placed {
            let Some(here) = all.get_mut(*shard) else { continue };
            let list = match item {
                Item::Channel(_) => &mut here.channels,
                Item::Output(_) if *is_push => &mut here.pushes,
                Item::Output(_) => &mut here.outputs,
                Item::Pull(_) => &mut here.pulls,
                Item::Recording(_) => &mut here.recordings,
            };
            list.push(name.clone());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(stream: &str) -> Vec<(String, Arc<str>)> {
        vec![("main".to_owned(), Arc::from(stream))]
    }

    fn channel(placement: &mut Placement, name: &str) -> usize {
        let stream = format!("live/{name}");
        let shard = placement.choose_for_channel(name, &stream, Micros(0));
        placement.put_channel(name, &streams(&stream), shard, Micros(0));
        shard
    }

    fn output(placement: &mut Placement, id: usize, stream: &str) -> usize {
        placement.place(Item::Output(id), id.to_string(), false, &Arc::from(stream))
    }

    fn pull(placement: &mut Placement, id: usize, stream: &str) -> usize {
        placement.place(Item::Pull(id), id.to_string(), false, &Arc::from(stream))
    }

    #[test]
    fn channels_and_pulls_go_to_the_shard_with_the_least_load_and_the_first_of_equals() {
        for (shards, wanted) in [(1, [0, 0, 0, 0, 0]), (2, [0, 1, 0, 1, 0]), (3, [0, 1, 2, 0, 1])] {
            let mut placement = Placement::new(shards);
            let mut found: Vec<_> =
                ["a", "b"].iter().map(|name| channel(&mut placement, name)).collect();
            found.extend((0..3).map(|id| pull(&mut placement, id, &format!("in/{id}"))));
            assert_eq!(found, wanted, "{shards} shards");
        }
    }

    #[test]
    fn what_reads_a_stream_goes_to_the_shard_that_feeds_it_until_that_is_crowded() {
        let mut placement = Placement::new(2);
        assert_eq!((channel(&mut placement, "a"), channel(&mut placement, "b")), (0, 1));
        let found: Vec<_> = (0..9).map(|id| output(&mut placement, id, "live/b")).collect();
        // With the channel it carries 8 after the sixth; then 1.5 times the mean is the limit.
        assert_eq!(found, [1, 1, 1, 1, 1, 1, 0, 1, 0]);
        let recording = Item::Recording(Arc::from("r"));
        let stream = Arc::from("live/a");
        assert_eq!(placement.place(recording, "r".to_owned(), false, &stream), 0);
    }

    #[test]
    fn what_reads_a_stream_that_nothing_placed_feeds_goes_to_the_least_load() {
        let mut placement = Placement::new(2);
        channel(&mut placement, "a");
        let found: Vec<_> = (0..4).map(|id| output(&mut placement, id, "live/else")).collect();
        assert_eq!(found, [1, 1, 0, 1]);
    }

    #[test]
    fn an_item_keeps_its_shard_until_it_is_removed() {
        let mut placement = Placement::new(2);
        let spread: Vec<_> =
            (0..2).map(|id| pull(&mut placement, id, &format!("in/{id}"))).collect();
        assert_eq!(spread, [0, 1]);
        let on = ShardCommand::SwitchPull { pull: 1, on: false };
        assert_eq!(placement.route(&on), 1);
        assert_eq!(placement.pulled()[1], PulledStream { name: Arc::from("in/1"), shard: 1 });
        assert_eq!(placement.route(&ShardCommand::RemovePull { pull: 1 }), 1);
        assert_eq!((placement.shard_of(&Item::Pull(1)), placement.pulled().len()), (None, 1));
    }

    #[test]
    fn a_channel_goes_on_where_its_stream_was_and_one_that_is_replaced_stays() {
        let mut placement = Placement::new(3);
        let found: Vec<_> =
            ["a", "b", "c"].iter().map(|name| channel(&mut placement, name)).collect();
        assert_eq!(found, [0, 1, 2]);
        let now = Micros::from_secs(5);
        let choose = |placement: &Placement, name, stream, now| {
            placement.choose_for_channel(name, stream, now)
        };
        assert_eq!(choose(&placement, "b", "live/b", now), 1, "it is replaced");
        assert_eq!(choose(&placement, "b", "live/other", now), 1, "with another stream");
        placement.remove_channel("a", now);
        placement.remove_channel("c", now);
        assert_eq!(choose(&placement, "new", "live/c", now), 2, "its encoders may still send");
        assert_eq!(choose(&placement, "new", "live/c", now + ENDED_KEPT), 0, "that is long ago");
        for number in 0..2 * ENDED_MAX {
            placement.put_channel("n", &streams(&format!("live/{number}")), 0, now);
        }
        assert!(placement.ended.len() <= ENDED_MAX);
    }

    #[test]
    fn a_shard_gives_away_its_newest_reader_then_its_newest_pull_and_nothing_twice() {
        let mut placement = Placement::new(1);
        channel(&mut placement, "a");
        for id in 0..2 {
            pull(&mut placement, id, &format!("in/{id}"));
            output(&mut placement, id, "live/a");
        }
        placement.shards = 2;
        let is_on = |item: &Item| matches!(item, Item::Output(_) | Item::Pull(_));
        let now = Micros::from_secs(1);
        let off = placement.movable(0, now, |item| *item == Item::Output(0));
        assert_eq!(off, Some(Item::Output(0)), "one that is off spares nothing");
        let order = [Item::Output(1), Item::Output(0), Item::Pull(1), Item::Pull(0)];
        for item in &order {
            assert_eq!(placement.movable(0, now, is_on).as_ref(), Some(item));
            placement.relocate(item, 1, now);
        }
        assert_eq!((placement.movable(0, now, is_on), placement.pulled()[1].shard), (None, 1));
        assert_eq!(placement.movable(1, now, is_on), None, "they came a moment ago");
        let later = now + SETTLED_MIN;
        assert_eq!(placement.movable(1, later, is_on).as_ref(), Some(&order[0]));
    }

    #[test]
    fn what_is_where_is_listed_by_shard_and_kind() {
        let mut placement = Placement::new(2);
        channel(&mut placement, "a");
        pull(&mut placement, 0, "in/0");
        placement.place(Item::Output(0), "a/cdn".to_owned(), false, &Arc::from("live/a"));
        placement.place(Item::Output(1), "far".to_owned(), true, &Arc::from("in/0"));
        let items = placement.items();
        assert_eq!((&items[0].channels[0][..], &items[0].outputs[0][..]), ("a", "a/cdn"));
        assert_eq!((&items[1].pulls[0][..], &items[1].pushes[0][..]), ("0", "far"));
        assert!(rule().contains("above 8 and above 1.5 times the mean"), "{}", rule());
    }
}
