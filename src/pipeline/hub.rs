//! One stream on one shard: its log, its readers, its taps, and who feeds it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::batch::Batch;
use super::figures::Figures;
use super::homes::Subscriber;
use super::reader::{Reader, ReaderKind};
use super::record::RecordTap;
use super::undecodable::Undecodable;
use crate::command::{ChannelSwitch, TapEvent};
use crate::limits::Audience;
use crate::media::Micros;
use crate::ring::Sender;
use crate::rtmp::Hops;
use crate::stats::OtherReader;
use crate::stream::{
    DropPolicy, Due, Health, InBand, KEYFRAME_INTERVAL_MAX, LoopWatch, Merge, Merger, Message,
    StreamLog, TimestampRepair,
};

/// Time between two requests for a keyframe: each costs bits that all viewers pay for.
const KEY_PAUSE: Micros = Micros::from_secs(1);

/// Readers that are sent to in one go. A yield costs the executor calls to the kernel; a send takes
/// a few microseconds.
pub(super) const SENDS_AT_ONCE: usize = 16;

/// What came of sending to a few readers.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) bytes: u64,
    /// Readers that took something.
    pub(super) sends: u64,
    /// Readers whose sockets are full.
    pub(super) blocked: u64,
}

/// Who feeds a stream.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A channel of this node.
    Channel(Arc<ChannelSwitch>),
    /// A connection of this shard.
    Publisher,
    /// Another server, by a pull of this shard.
    Pull,
    /// Another shard, by its number.
    Shard(usize),
    /// Nobody since then: viewers stay for the grace time.
    Nobody(Micros),
}

/// One stream on one shard.
#[derive(Debug)]
pub(super) struct Hub {
    /// Public name, such as `live/demo`.
    pub(super) name: Arc<str>,
    /// The recent messages.
    pub(super) log: RefCell<StreamLog>,
    /// Keeps the times of successive publishers on one line.
    pub(super) repair: RefCell<TimestampRepair>,
    /// The headers that its source sends or leaves out.
    pub(super) in_band: RefCell<InBand>,
    pub(super) figures: Figures,
    /// Whether it can be played well, if it is fed here.
    pub(super) health: RefCell<Health>,
    /// What a scene that shows it here cannot decode.
    pub(super) undecodable: Undecodable,
    source: RefCell<Source>,
    readers: RefCell<Vec<Rc<Reader>>>,
    /// How many of them are audience, and how many previews.
    viewers: Cell<usize>,
    previews: Cell<usize>,
    taps: RefCell<Vec<Sender<TapEvent>>>,
    records: RefCell<Vec<Rc<RefCell<RecordTap>>>>,
    dirty: Cell<bool>,
    merger: RefCell<Merger>,
    /// Its viewers, whom all shards that have it count together.
    audience: RefCell<Arc<Audience>>,
    /// The pace that its viewers were told last, bits per second.
    pub(super) paced_bps: Cell<u64>,
    /// When a keyframe was asked for on behalf of readers.
    key_asked: Cell<Option<Micros>>,
    /// Shards that asked for this stream's messages.
    pub(super) subscribers: RefCell<Vec<Subscriber>>,
    /// The number in the log from which on this shard has been its home, if it was not at first.
    pub(super) came_home: Cell<u64>,
    /// Since when nobody reads it here, if another shard feeds it.
    pub(super) unused_since: Cell<Option<Micros>>,
    /// Through where it comes, this node last.
    hops: RefCell<Hops>,
    /// Whether its source gives what went out from here.
    pub(super) loops: RefCell<LoopWatch>,
    /// When its source left, until something comes from the next one.
    quiet_since: Cell<Option<Micros>>,
}

impl Hub {
    pub(super) fn new(name: Arc<str>, log: StreamLog, source: Source) -> Self {
        Self {
            name,
            log: RefCell::new(log),
            repair: RefCell::new(TimestampRepair::default()),
            in_band: RefCell::default(),
            figures: Figures::default(),
            health: RefCell::new(Health::new(KEYFRAME_INTERVAL_MAX, Micros(0))),
            undecodable: Undecodable::default(),
            source: RefCell::new(source),
            readers: RefCell::new(Vec::new()),
            viewers: Cell::new(0),
            previews: Cell::new(0),
            taps: RefCell::new(Vec::new()),
            records: RefCell::new(Vec::new()),
            dirty: Cell::new(false),
            merger: RefCell::default(),
            audience: RefCell::default(),
            paced_bps: Cell::new(0),
            key_asked: Cell::new(None),
            subscribers: RefCell::new(Vec::new()),
            came_home: Cell::new(0),
            unused_since: Cell::new(None),
            hops: RefCell::default(),
            loops: RefCell::default(),
            quiet_since: Cell::new(None),
        }
    }

    pub(super) fn source(&self) -> Source {
        self.source.borrow().clone()
    }

    pub(super) fn set_source(&self, source: Source) {
        *self.source.borrow_mut() = source;
    }

    pub(super) fn hops(&self) -> Hops {
        self.hops.borrow().clone()
    }

    /// Says whether it came another way before.
    pub(super) fn set_hops(&self, hops: Hops) -> bool {
        let is_new = *self.hops.borrow() != hops;
        self.hops.replace(hops);
        is_new
    }

    /// Its source has left. It has been quiet for longer if that source brought nothing.
    pub(super) fn source_left(&self, now: Micros) {
        let since = self.quiet_since.get().unwrap_or(now);
        self.quiet_since.set(Some(since));
        self.set_source(Source::Nobody(since));
    }

    /// Whether the last source that brought something left so long ago.
    pub(super) fn is_quiet_for(&self, long: Micros, now: Micros) -> bool {
        self.quiet_since.get().is_some_and(|since| now.since(since) >= long)
    }

    /// Whether somebody feeds it now.
    pub(super) fn is_live(&self) -> bool {
        !matches!(*self.source.borrow(), Source::Nobody(_))
    }

    /// Whether somebody on this shard feeds it now.
    pub(super) fn is_fed_here(&self) -> bool {
        self.is_live() && !matches!(*self.source.borrow(), Source::Shard(_))
    }

    /// Whether anybody on this shard reads it.
    pub(super) fn is_read(&self) -> bool {
        self.readers() > 0 || !self.taps.borrow().is_empty() || !self.records.borrow().is_empty()
    }

    /// Appends a message and says when the readers are to be sent it.
    pub(super) fn push(&self, message: Message, arrived: Micros, merge: Merge) -> Due {
        let mut taps = self.taps.borrow_mut();
        if !taps.is_empty() {
            self.undecodable.look(message.kind(), message.body());
        }
        for tap in taps.iter_mut() {
            // A decoder that is behind loses messages and starts again at a keyframe.
            drop(tap.push(TapEvent::Message(message.clone(), arrived)));
        }
        for record in self.records.borrow().iter() {
            record.borrow_mut().message(&message, &self.log.borrow());
        }
        if !message.is_header() {
            self.quiet_since.set(None);
        }
        let due = self.merger.borrow_mut().arrived(merge, message.kind(), arrived);
        self.figures.add_in(message.kind(), message.time(), message.body().len());
        self.log.borrow_mut().push(message, arrived);
        due
    }

    /// Says whether the pump has to be told that there is something to send.
    pub(super) fn set_dirty(&self) -> bool {
        !self.dirty.replace(true)
    }

    pub(super) const fn is_dirty(&self) -> bool {
        self.dirty.get()
    }

    /// When what waits for other messages is to go out all the same.
    pub(super) fn due(&self) -> Option<Micros> {
        self.merger.borrow().due()
    }

    /// Whether something has waited long enough.
    pub(super) fn take_due(&self, now: Micros) -> bool {
        self.merger.borrow_mut().take_due(now)
    }

    /// Whether it is time to ask the encoder for a keyframe again; if so, that counts as asking.
    pub(super) fn may_ask_for_key(&self, now: Micros) -> bool {
        let may = self.key_asked.get().is_none_or(|asked| now.since(asked) >= KEY_PAUSE);
        if may {
            self.key_asked.set(Some(now));
        }
        may
    }

    pub(super) fn set_clean(&self) {
        self.dirty.set(false);
    }

    pub(super) fn add_tap(&self, tap: Sender<TapEvent>) {
        self.taps.borrow_mut().push(tap);
    }

    /// Lets go of taps whose decoders have ended.
    pub(super) fn drop_closed_taps(&self) {
        self.taps.borrow_mut().retain(|tap| !tap.is_closed());
    }

    /// Lets go of recordings that have been stopped.
    pub(super) fn drop_closed_records(&self) {
        self.records.borrow_mut().retain(|record| !record.borrow().is_closed());
    }

    pub(super) fn has_record(&self, record: &Rc<RefCell<RecordTap>>) -> bool {
        self.records.borrow().iter().any(|known| Rc::ptr_eq(known, record))
    }

    pub(super) fn add_record(&self, record: Rc<RefCell<RecordTap>>) {
        self.records.borrow_mut().push(record);
    }

    pub(super) fn take_taps(&self) -> Vec<Sender<TapEvent>> {
        self.taps.take()
    }

    /// Its source has left, or another one comes: nobody who comes later gets what described its
    /// tracks, or starts in its pictures.
    pub(super) fn end_source(&self) {
        self.log.borrow_mut().end_source();
        self.in_band.take();
    }

    /// Tells the taps that the publisher has left.
    pub(super) fn end_taps(&self) {
        self.undecodable.reset();
        for tap in self.taps.borrow_mut().iter_mut() {
            drop(tap.push(TapEvent::Ended));
        }
        for record in self.records.borrow().iter() {
            record.borrow_mut().ended();
        }
    }

    pub(super) fn add_reader(&self, reader: Rc<Reader>) {
        if let Some(count) = self.count_of(reader.kind()) {
            count.set(count.get() + 1);
        }
        self.readers.borrow_mut().push(reader);
    }

    pub(super) fn remove_reader(&self, reader: &Rc<Reader>) {
        let mut readers = self.readers.borrow_mut();
        if let Some(at) = readers.iter().position(|other| Rc::ptr_eq(other, reader)) {
            readers.swap_remove(at);
            if let Some(count) = self.count_of(reader.kind()) {
                count.set(count.get().saturating_sub(1));
            }
        }
    }

    const fn count_of(&self, kind: ReaderKind) -> Option<&Cell<usize>> {
        match kind {
            ReaderKind::Viewer => Some(&self.viewers),
            ReaderKind::Preview => Some(&self.previews),
            ReaderKind::Output => None,
        }
    }

    /// Its audience on this shard.
    pub(super) const fn viewers(&self) -> usize {
        self.viewers.get()
    }

    /// Who else reads it on this shard, in the order of [`OtherReader::ALL`].
    pub(super) fn other_readers(&self) -> [usize; OtherReader::ALL.len()] {
        let previews = self.previews.get();
        let outputs = self.readers().saturating_sub(self.viewers.get() + previews);
        [outputs, previews, self.taps.borrow().len(), self.records.borrow().len()]
    }

    pub(super) fn reader(&self, index: usize) -> Option<Rc<Reader>> {
        self.readers.borrow().get(index).cloned()
    }

    /// Sends what is new to a few readers, from number `from` on. `None` if there are none.
    pub(super) fn send_some(&self, from: usize, policy: &DropPolicy, now: Micros) -> Option<Round> {
        let (log, readers) = (self.log.borrow(), self.readers.borrow());
        let readers = readers.get(from..).filter(|readers| !readers.is_empty())?;
        let (mut batch, mut round) = (Batch::new(&log, policy), Round::default());
        for reader in readers.iter().take(SENDS_AT_ONCE) {
            let bytes = reader.pump(&mut batch, now);
            round.bytes += bytes;
            round.sends += u64::from(bytes > 0);
            round.blocked += u64::from(reader.is_blocked());
        }
        self.figures.add_out(round.bytes);
        Some(round)
    }

    /// Its viewers on all shards, and how many its publisher's key allows.
    pub(super) fn audience(&self) -> Arc<Audience> {
        Arc::clone(&self.audience.borrow())
    }

    /// Another shard has been its home, or is: viewers are counted where that one counts them.
    pub(super) fn set_audience(&self, audience: Arc<Audience>) {
        *self.audience.borrow_mut() = audience;
    }

    /// What its readers need, bits per second, by the mean rate of the stream.
    pub(super) fn needed_bps(&self) -> f64 {
        match self.readers() {
            0 => 0.0,
            readers => self.log.borrow().bitrate_bps() * readers as f64,
        }
    }

    pub(super) fn readers(&self) -> usize {
        self.readers.borrow().len()
    }
}
