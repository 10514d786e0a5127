//! One stream on one shard: its log, its readers, its taps, and who feeds it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::decode::TapEvent;
use super::reader::Reader;
use super::record::RecordTap;
use crate::command::ChannelSwitch;
use crate::media::Micros;
use crate::ring::Sender;
use crate::stream::{Message, StreamLog, TimestampRepair};

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
    source: RefCell<Source>,
    readers: RefCell<Vec<Rc<Reader>>>,
    taps: RefCell<Vec<Sender<TapEvent>>>,
    records: RefCell<Vec<Rc<RefCell<RecordTap>>>>,
    dirty: Cell<bool>,
    /// Shards that asked for this stream's messages.
    pub(super) subscribers: RefCell<Vec<usize>>,
}

impl Hub {
    pub(super) fn new(name: Arc<str>, log: StreamLog, source: Source) -> Self {
        Self {
            name,
            log: RefCell::new(log),
            repair: RefCell::new(TimestampRepair::default()),
            source: RefCell::new(source),
            readers: RefCell::new(Vec::new()),
            taps: RefCell::new(Vec::new()),
            records: RefCell::new(Vec::new()),
            dirty: Cell::new(false),
            subscribers: RefCell::new(Vec::new()),
        }
    }

    pub(super) fn source(&self) -> Source {
        self.source.borrow().clone()
    }

    pub(super) fn set_source(&self, source: Source) {
        *self.source.borrow_mut() = source;
    }

    /// Whether somebody feeds it now.
    pub(super) fn is_live(&self) -> bool {
        !matches!(*self.source.borrow(), Source::Nobody(_))
    }

    /// Appends a message and says whether the pump has to be told.
    pub(super) fn push(&self, message: Message, arrived: Micros) -> bool {
        for tap in self.taps.borrow_mut().iter_mut() {
            // A decoder that is behind loses messages and starts again at a keyframe.
            drop(tap.push(TapEvent::Message(message.clone(), arrived)));
        }
        for record in self.records.borrow().iter() {
            record.borrow_mut().message(&message, &self.log.borrow());
        }
        self.log.borrow_mut().push(message);
        !self.dirty.replace(true)
    }

    pub(super) fn set_clean(&self) {
        self.dirty.set(false);
    }

    pub(super) fn add_tap(&self, tap: Sender<TapEvent>) {
        self.taps.borrow_mut().push(tap);
    }

    pub(super) fn add_record(&self, record: Rc<RefCell<RecordTap>>) {
        self.records.borrow_mut().push(record);
    }

    pub(super) fn take_taps(&self) -> Vec<Sender<TapEvent>> {
        self.taps.take()
    }

    /// Tells the taps that the publisher has left.
    pub(super) fn end_taps(&self) {
        for tap in self.taps.borrow_mut().iter_mut() {
            drop(tap.push(TapEvent::Ended));
        }
        for record in self.records.borrow().iter() {
            record.borrow_mut().ended();
        }
    }

    pub(super) fn add_reader(&self, reader: Rc<Reader>) {
        self.readers.borrow_mut().push(reader);
    }

    pub(super) fn remove_reader(&self, reader: &Rc<Reader>) {
        let mut readers = self.readers.borrow_mut();
        if let Some(at) = readers.iter().position(|other| Rc::ptr_eq(other, reader)) {
            readers.swap_remove(at);
        }
    }

    pub(super) fn reader(&self, index: usize) -> Option<Rc<Reader>> {
        self.readers.borrow().get(index).cloned()
    }

    pub(super) fn readers(&self) -> usize {
        self.readers.borrow().len()
    }
}
