//! The snapshot and its numbered changes. One task writes, many follow, and nobody waits for
//! anybody: who follows too slowly finds what it missed gone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;
use tokio::sync::{Mutex, watch};

use super::happened::Event;
use super::model::{Node, Snapshot};
use crate::control::auth::Access;

/// Changes that are kept for those who follow. Older ones are forgotten.
pub const CHANGES_MAX: usize = 4_096;

/// Bytes of these changes.
pub const CHANGES_BYTES_MAX: usize = 16 << 20;

/// Events that are kept for those who ask, of viewers and of all else each. Older ones of the same
/// sort are forgotten: viewers are many, and what they do must not push out the rest.
pub const EVENTS_MAX: usize = 1_000;

/// Messages that a follower is given at once, so that it notices soon when it is too slow.
const BATCH_MAX: usize = 64;

/// Numbers that each millisecond of a node's life has, so that those of a later run are higher
/// than all of an earlier one, and still exact in JavaScript.
const NUMBERS_PER_MS: u64 = 1_000;

/// The state of a node, and what changed last.
#[derive(Debug)]
pub struct Board {
    inner: Mutex<Inner>,
    news: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    snapshot: Arc<Snapshot>,
    /// Number of the newest message.
    seq: u64,
    changes: VecDeque<Numbered>,
    bytes: usize,
    /// Of viewers' connections.
    viewers: VecDeque<Event>,
    /// All others.
    events: VecDeque<Event>,
}

/// A message as those who follow get it.
#[derive(Clone, Debug)]
struct Numbered {
    seq: u64,
    text: Utf8Bytes,
    /// For those who may do less than everything, if it differs.
    others: Vec<(Access, Utf8Bytes)>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Message<'a, T: Serialize> {
    State { seq: u64, state: &'a T },
    Change { seq: u64, path: &'a str, value: Option<&'a T> },
    Event { seq: u64, event: &'a T },
}

/// What a follower is to be sent.
#[derive(Debug)]
pub enum Catchup {
    /// The whole state, after which it is at the number.
    State(Utf8Bytes, u64),
    /// The next changes, after which it is at the number; none if it has all.
    Changes(Vec<Utf8Bytes>, u64),
    /// What comes next is not there any more.
    Missed,
}

impl Board {
    /// Of a node with this snapshot.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        let seq = snapshot.node.started_at.saturating_mul(NUMBERS_PER_MS);
        let changes = VecDeque::new();
        let (viewers, events) = (VecDeque::new(), VecDeque::new());
        let snapshot = Arc::new(snapshot);
        Self {
            inner: Mutex::new(Inner { snapshot, seq, changes, bytes: 0, viewers, events }),
            news: watch::channel(seq).0,
        }
    }

    /// The state now.
    pub async fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.inner.lock().await.snapshot)
    }

    /// Takes a new state: what differs from the old one becomes a change.
    pub async fn update(&self, next: Snapshot) {
        let mut inner = self.inner.lock().await;
        let old = Arc::clone(&inner.snapshot);
        if old.node != next.node {
            inner.node_changed(&next.node);
        }
        inner.compare("channels", &old.channels, &next.channels);
        inner.compare("outputs", &old.outputs, &next.outputs);
        inner.compare("pulls", &old.pulls, &next.pulls);
        inner.compare("pushes", &old.pushes, &next.pushes);
        inner.compare("recordings", &old.recordings, &next.recordings);
        inner.compare("transcodes", &old.transcodes, &next.transcodes);
        inner.compare("fallbacks", &old.fallbacks, &next.fallbacks);
        inner.compare("streams", &old.streams, &next.streams);
        inner.compare("keys", &old.keys, &next.keys);
        inner.snapshot = Arc::new(next);
        self.news.send_replace(inner.seq);
    }

    /// Takes an event and gives it with its number.
    pub async fn event(&self, event: Event) -> Event {
        let mut inner = self.inner.lock().await;
        let event = Event { seq: inner.seq + 1, ..event };
        inner.say(|seq| Message::Event { seq, event: &event });
        let kept = match event.is_of_viewers() {
            true => &mut inner.viewers,
            false => &mut inner.events,
        };
        if kept.len() == EVENTS_MAX {
            kept.pop_front();
        }
        kept.push_back(event.clone());
        self.news.send_replace(inner.seq);
        event
    }

    /// The last `limit` events after number `since`, newest last.
    pub async fn events(&self, since: u64, limit: usize) -> Vec<Event> {
        let inner = self.inner.lock().await;
        let newest = |events: &VecDeque<Event>| {
            let first = events.partition_point(|event| event.seq <= since);
            let first = first.max(events.len().saturating_sub(limit));
            events.range(first..).cloned().collect::<Vec<_>>()
        };
        let mut all = newest(&inner.events);
        all.extend(newest(&inner.viewers));
        all.sort_by_key(|event| event.seq);
        all.split_off(all.len().saturating_sub(limit))
    }

    /// The events after number `since` that are not of viewers and that are wanted, newest last,
    /// and the number up to which there are no others.
    pub async fn wanted(&self, since: u64, is_it: impl Fn(&Event) -> bool) -> (Vec<Event>, u64) {
        let inner = self.inner.lock().await;
        let first = inner.events.partition_point(|event| event.seq <= since);
        let found = inner.events.range(first..).filter(|event| is_it(event));
        (found.cloned().collect(), inner.seq)
    }

    /// Where somebody begins who has seen everything up to `since`: with what came after that, or
    /// with the whole state if it is not all there any more.
    pub async fn resume(&self, since: Option<u64>, access: Access) -> Catchup {
        let inner = self.inner.lock().await;
        if let Some(since) = since.filter(|since| *since <= inner.seq)
            && let changes @ Catchup::Changes(..) = inner.after(since, access)
        {
            return changes;
        }
        let mut state = Snapshot::clone(&inner.snapshot);
        state.node.set_access(access);
        let message = Message::State { seq: inner.seq, state: &state };
        Catchup::State(text(&message), inner.seq)
    }

    /// What comes after message `at`.
    pub async fn after(&self, at: u64, access: Access) -> Catchup {
        self.inner.lock().await.after(at, access)
    }

    /// Tells the number of the newest message, each time it changes.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }
}

impl Inner {
    fn after(&self, at: u64, access: Access) -> Catchup {
        if at == self.seq {
            return Catchup::Changes(Vec::new(), at);
        }
        // They are numbered without gaps.
        let oldest = self.changes.front().map_or(u64::MAX, |oldest| oldest.seq);
        let Some(skip) = (at + 1).checked_sub(oldest).and_then(|skip| usize::try_from(skip).ok())
        else {
            return Catchup::Missed;
        };
        let batch: Vec<_> = self.changes.iter().skip(skip).take(BATCH_MAX).collect();
        let last = batch.last().map_or(at, |last| last.seq);
        let texts = batch.into_iter().map(|message| message.for_access(access));
        Catchup::Changes(texts.collect(), last)
    }

    fn compare<T: Serialize + PartialEq>(
        &mut self,
        part: &str,
        old: &BTreeMap<String, T>,
        new: &BTreeMap<String, T>,
    ) {
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            let path = format!("{part}/{name}");
            self.say(|seq| -> Message<'_, T> { Message::Change { seq, path: &path, value: None } });
        }
        for (name, value) in new.iter().filter(|(name, value)| old.get(*name) != Some(*value)) {
            let path = format!("{part}/{name}");
            self.say(|seq| Message::Change { seq, path: &path, value: Some(value) });
        }
    }

    /// What a token may do is told to its holder alone.
    fn node_changed(&mut self, node: &Node) {
        let seq = self.seq + 1;
        let told = |access| {
            let mut node = node.clone();
            node.set_access(access);
            text(&Message::Change { seq, path: "node", value: Some(&node) })
        };
        let others = [Access::Read, Access::Operate].map(|access| (access, told(access)));
        self.keep(Numbered { seq, text: told(Access::Write), others: others.into() });
    }

    fn say<'a, T>(&mut self, message: impl FnOnce(u64) -> Message<'a, T>)
    where
        T: Serialize + 'a,
    {
        let seq = self.seq + 1;
        self.keep(Numbered { seq, text: text(&message(seq)), others: Vec::new() });
    }

    fn keep(&mut self, message: Numbered) {
        self.seq = message.seq;
        self.bytes += message.bytes();
        self.changes.push_back(message);
        while self.changes.len() > CHANGES_MAX || self.bytes > CHANGES_BYTES_MAX {
            let Some(oldest) = self.changes.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
    }
}

impl Numbered {
    fn bytes(&self) -> usize {
        self.text.len() + self.others.iter().map(|(_, text)| text.len()).sum::<usize>()
    }

    fn for_access(&self, access: Access) -> Utf8Bytes {
        let other = self.others.iter().find(|(of, _)| *of == access);
        other.map_or(&self.text, |(_, text)| text).clone()
    }
}

/// Plain data always has a JSON form; if it had not, the message would be empty.
fn text<T: Serialize>(message: &T) -> Utf8Bytes {
    serde_json::to_string(message).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::state::Stream;
    use serde_json::Value;

    fn snapshot(streams: &[(&str, u64)]) -> Snapshot {
        let streams = streams.iter().map(|&(name, viewers)| {
            (name.to_owned(), Stream { name: name.to_owned(), viewers, ..Stream::default() })
        });
        Snapshot { streams: streams.collect(), ..Snapshot::default() }
    }

    fn values(catchup: &Catchup) -> Vec<Value> {
        let texts = match catchup {
            Catchup::State(text, _) => std::slice::from_ref(text),
            Catchup::Changes(texts, _) => texts,
            Catchup::Missed => panic!("missed"),
        };
        texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    async fn all_after(board: &Board, since: u64) -> Vec<Value> {
        values(&board.resume(Some(since), Access::Write).await)
    }

    #[tokio::test]
    async fn what_differs_is_told_and_numbered() {
        let board = Board::new(snapshot(&[("live/a", 1), ("live/b", 1)]));
        board.update(snapshot(&[("live/a", 1), ("live/c", 2)])).await;
        let changes = all_after(&board, 0).await;
        assert_eq!(changes.len(), 2);
        assert_eq!(changes[0]["path"], "streams/live/b");
        assert_eq!((&changes[0]["value"], &changes[0]["seq"]), (&Value::Null, &1.into()));
        assert_eq!(changes[1]["path"], "streams/live/c");
        assert_eq!(changes[1]["value"]["viewers"], 2);
        assert_eq!(changes[1]["type"], "change");
        assert_eq!(board.snapshot().await.streams.len(), 2);
    }

    #[tokio::test]
    async fn who_is_up_to_date_goes_on_and_others_begin_with_the_state() {
        let board = Board::new(snapshot(&[("live/a", 1)]));
        board.update(snapshot(&[("live/a", 2)])).await;
        assert!(all_after(&board, 1).await.is_empty());
        for since in [None, Some(2), Some(u64::MAX)] {
            let state = values(&board.resume(since, Access::Write).await).remove(0);
            assert_eq!((&state["type"], &state["seq"]), (&"state".into(), &1.into()));
            assert_eq!(state["state"]["streams"]["live/a"]["viewers"], 2);
        }
    }

    #[tokio::test]
    async fn a_later_run_counts_on_so_that_old_numbers_are_not_taken_for_its_own() {
        let node = Node { started_at: 2_000, ..Node::default() };
        let board = Board::new(Snapshot { node, ..Snapshot::default() });
        assert!(matches!(board.resume(Some(1_999_999), Access::Read).await, Catchup::State(..)));
    }

    #[tokio::test]
    async fn the_ring_is_bounded_and_who_is_too_slow_has_missed_something() {
        let board = Board::new(snapshot(&[]));
        for viewers in 1..=CHANGES_MAX as u64 + 10 {
            board.update(snapshot(&[("live/a", viewers)])).await;
        }
        assert!(matches!(board.after(9, Access::Write).await, Catchup::Missed));
        assert!(matches!(board.resume(Some(9), Access::Write).await, Catchup::State(..)));
        let Catchup::Changes(texts, at) = board.after(10, Access::Write).await else { panic!() };
        assert_eq!((texts.len(), at), (BATCH_MAX, 10 + BATCH_MAX as u64));

        let long = "x".repeat(1 << 20);
        for _ in 0..20 {
            board.event(Event { text: long.clone(), ..Event::default() }).await;
        }
        assert!(board.inner.lock().await.bytes <= CHANGES_BYTES_MAX);
    }

    #[tokio::test]
    async fn events_have_the_numbers_of_their_messages_and_old_ones_go() {
        let board = Board::new(snapshot(&[]));
        for _ in 0..EVENTS_MAX + 5 {
            board.event(Event { kind: "started".to_owned(), ..Event::default() }).await;
        }
        let told = all_after(&board, 0).await;
        assert_eq!((&told[1]["seq"], &told[1]["event"]["seq"]), (&2.into(), &2.into()));
        let all = board.events(0, usize::MAX).await;
        assert_eq!((all.len(), all[0].seq), (EVENTS_MAX, 6));
        let seqs = |events: Vec<Event>| events.iter().map(|event| event.seq).collect::<Vec<_>>();
        assert_eq!(seqs(board.events(1_003, 10).await), [1_004, 1_005]);
        assert_eq!(seqs(board.events(0, 2).await), [1_004, 1_005]);
        assert!(board.events(u64::MAX, 2).await.is_empty());
    }

    #[tokio::test]
    async fn what_viewers_do_never_pushes_out_what_else_happens() {
        let board = Board::new(snapshot(&[]));
        let failed = Event { kind: "output_failed".to_owned(), ..Event::default() };
        board.event(failed).await;
        for _ in 0..2 * EVENTS_MAX {
            for kind in ["preConnect", "prePlay", "donePlay"] {
                let state = Some("player".to_owned());
                board.event(Event { kind: kind.to_owned(), state, ..Event::default() }).await;
            }
        }
        let all = board.events(0, usize::MAX).await;
        assert_eq!((all.len(), all[0].kind.as_str()), (EVENTS_MAX + 1, "output_failed"));
        assert!(all.is_sorted_by_key(|event| event.seq));
        let newest = board.events(0, 3).await;
        assert!(newest.len() == 3 && newest.iter().all(Event::is_of_viewers));
    }

    #[tokio::test]
    async fn what_a_token_may_do_is_told_to_its_holder_alone() {
        let board = Board::new(Snapshot::default());
        let node = Node { viewers: 1, ..Node::default() };
        board.update(Snapshot { node, ..Snapshot::default() }).await;
        for (access, can_write, role) in [
            (Access::Write, true, "admin"),
            (Access::Operate, true, "operator"),
            (Access::Read, false, "read-only"),
        ] {
            let change = values(&board.resume(Some(0), access).await).remove(0);
            let state = values(&board.resume(None, access).await).remove(0);
            for node in [&change["value"], &state["state"]["node"]] {
                assert_eq!((&node["can_write"], &node["role"]), (&can_write.into(), &role.into()));
            }
        }
    }
}
