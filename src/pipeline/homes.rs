//! Streams that other shards feed: who feeds which, what is handed on to whom, and how a stream
//! moves when its publisher comes back elsewhere.
//!
//! The shard that a publisher is connected to is the home of its stream. It says `Up` when the
//! publisher comes, `Left` when it has gone and may come back, and `Down` at the end. A shard that
//! has readers subscribes and gets each message once; one that no longer has any lets go.

use std::rc::Rc;
use std::sync::Arc;

use super::connection::Mail;
use super::hub::{Hub, Source};
use super::mesh::{Have, MeshMessage};
use super::shard::Shard;
use crate::limits::Audience;
use crate::media::{Kind, Micros};
use crate::rtmp::{Hops, PublishRefusal};
use crate::stream::{Message, Prints};

/// How long a stream of another shard is kept without anybody who reads it here: viewers that
/// change streams, and players that connect twice, find it again.
const UNUSED_MAX: Micros = Micros::from_secs(5);

/// A shard that reads a stream of this one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscriber {
    shard: usize,
    /// Whether it has missed something: it gets no picture before the next keyframe.
    waits_for_key: bool,
}

impl Shard {
    /// Whether somebody on any shard feeds the stream of this name now.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        let hubs = self.hubs.borrow();
        hubs.get(name).is_some_and(|hub| hub.is_fed_here()) || self.mesh.borrow().is_fed(name)
    }

    /// This shard becomes the home of `hub`, whose times go on where another home left them.
    pub(super) fn come_home(&self, hub: &Hub) {
        if let Some(audience) = self.mesh.borrow().audience(&hub.name) {
            hub.set_audience(audience);
        }
        // The limit was that of the last publisher's key. Who comes now brings its own, or none.
        hub.audience().set_most(None);
        self.end_source(hub);
        let elsewhere = self.mesh.borrow_mut().take_over(&hub.name);
        let mut repair = hub.repair.borrow_mut();
        for at in [Some(hub.log.borrow().newest_time()), elsewhere].into_iter().flatten() {
            repair.resume(at);
        }
        if matches!(hub.source(), Source::Shard(_)) {
            hub.came_home.set(hub.log.borrow().end());
        }
        self.tell_up(hub);
    }

    fn tell_up(&self, hub: &Hub) {
        let word = MeshMessage::Up(Arc::clone(&hub.name), hub.audience(), hub.hops());
        self.mesh.borrow_mut().send_all(&word);
    }

    /// The publisher of `hub` has gone; its viewers wait for the grace time.
    pub(super) fn source_left(&self, hub: &Rc<Hub>) {
        hub.source_left(self.clock.now());
        hub.end_taps();
        let prints = self.relay.prints(hub);
        self.relay.left(&hub.name, &prints, self.clock.now());
        self.end_source(hub);
        let newest = hub.log.borrow().newest_time();
        let left = MeshMessage::Left(Arc::clone(&hub.name), newest, prints);
        self.mesh.borrow_mut().send_all(&left);
        self.tell_place(&hub.name, true);
    }

    /// Hands a message on to the shards that read the stream.
    pub(super) fn hand_on(&self, hub: &Hub, message: &Message, arrived: Micros) {
        let mut subscribers = hub.subscribers.borrow_mut();
        if subscribers.is_empty() {
            return;
        }
        let is_picture = message.kind() == Kind::Video && !message.is_header();
        let starts = hub.log.borrow().starts_at(message);
        for subscriber in subscribers.iter_mut() {
            if subscriber.waits_for_key && is_picture && !starts {
                continue;
            }
            let mut all = true;
            if subscriber.waits_for_key && starts {
                // A header may be among what was missed; one that is known says nothing.
                let log = hub.log.borrow();
                all = log.headers().all(|header| self.hop(subscriber, hub, header, arrived));
            }
            all &= self.hop(subscriber, hub, message, arrived);
            subscriber.waits_for_key = if all { subscriber.waits_for_key && !starts } else { true };
        }
    }

    fn hop(&self, to: &Subscriber, hub: &Hub, message: &Message, arrived: Micros) -> bool {
        let message = MeshMessage::Message(Arc::clone(&hub.name), message.clone(), arrived);
        let sent = self.mesh.borrow_mut().hand_on(to.shard, message);
        self.stats.hopped(sent);
        sent
    }

    /// Another shard has readers for a stream that is fed here. It gets what a late viewer would;
    /// or, if it has the stream up to when this shard became its home, what came since.
    pub(super) fn subscribe(&self, name: &str, from: usize, have: Have) {
        let Some(hub) = self.hubs.borrow().get(name).cloned() else { return };
        let is_home = !matches!(hub.source(), Source::Shard(_));
        if !is_home || hub.subscribers.borrow().iter().any(|other| other.shard == from) {
            return;
        }
        let mut subscriber = Subscriber { shard: from, waits_for_key: false };
        let (log, now) = (hub.log.borrow(), self.clock.now());
        let mut send = |message: &Message| {
            if !self.hop(&subscriber, &hub, message, now) {
                subscriber.waits_for_key = true;
            }
        };
        match have {
            Have::Nothing => log.catch_up().for_each(&mut send),
            Have::Before => {
                let since = hub.came_home.get().max(log.first())..log.end();
                since.filter_map(|number| log.get(number)).for_each(&mut send);
            }
        }
        hub.subscribers.borrow_mut().push(subscriber);
    }

    pub(super) fn unsubscribe(&self, name: &str, from: usize) {
        if let Some(hub) = self.hubs.borrow().get(name) {
            hub.subscribers.borrow_mut().retain(|other| other.shard != from);
        }
    }

    /// Lets go of the streams of other shards that nobody reads here.
    pub(super) fn let_go_unused(&self, now: Micros) {
        let is_unused = |hub: &Rc<Hub>| {
            let of_others = matches!(hub.source(), Source::Shard(_));
            if !of_others || hub.is_read() || self.is_pushed(&hub.name) {
                hub.unused_since.set(None);
                return false;
            }
            let since = hub.unused_since.get().unwrap_or(now);
            hub.unused_since.set(Some(since));
            now.since(since) >= UNUSED_MAX
        };
        let unused: Vec<_> =
            self.hubs.borrow().values().filter(|hub| is_unused(hub)).cloned().collect();
        for hub in unused {
            self.hubs.borrow_mut().remove(&hub.name);
            if let Source::Shard(home) = hub.source() {
                let word = MeshMessage::Unsubscribe(Arc::clone(&hub.name));
                self.mesh.borrow_mut().send(home, word);
            }
        }
    }

    /// Another shard feeds this stream from now on.
    pub(super) fn up_elsewhere(
        self: &Rc<Self>,
        name: &Arc<str>,
        home: usize,
        (audience, hops): (Arc<Audience>, Hops),
    ) {
        let hub = self.hubs.borrow().get(name).cloned();
        if let Some(hub) = hub {
            if hub.is_fed_here() {
                // Both let somebody in at the same instant: the shard with the lower number keeps
                // its own, and says so to those who heard the other one last.
                if self.spec().number < home {
                    return self.tell_up(&hub);
                }
                self.end_publisher_of(name);
            }
            if !matches!(hub.source(), Source::Shard(known) if known == home) {
                self.follow(&hub, home);
            }
            hub.set_audience(Arc::clone(&audience));
            self.set_hops(&hub, hops.clone());
        }
        self.mesh.borrow_mut().learn(Arc::clone(name), home, (audience, hops));
        if self.is_wanted(name) {
            self.find(name);
        }
        self.tell_waiting(name);
    }

    /// The stream goes on as one of another shard.
    fn follow(&self, hub: &Hub, home: usize) {
        hub.set_source(Source::Shard(home));
        self.end_source(hub);
        hub.subscribers.borrow_mut().clear();
        let word = MeshMessage::Subscribe(Arc::clone(&hub.name), Have::Before);
        self.mesh.borrow_mut().send(home, word);
    }

    fn end_publisher_of(self: &Rc<Self>, name: &str) {
        let all: Vec<_> = self.connections.borrow().values().cloned().collect();
        let ours = all.into_iter().find(|connection| connection.publishes_as(name));
        if let Some(ours) = ours {
            let text = "somebody else publishes under this name";
            ours.end_publisher(self, PublishRefusal::BadName, text);
        }
    }

    /// Its publisher has left another shard and may come back to any.
    pub(super) fn left_elsewhere(&self, name: &str, home: usize, (newest, was): (u32, &Prints)) {
        self.mesh.borrow_mut().left(name, home, newest);
        self.relay.left(name, was, self.clock.now());
        if let Some(hub) = self.local(name, home) {
            hub.end_taps();
            self.end_source(&hub);
        }
        self.tell_place(name, true);
    }

    /// It has ended for good on another shard.
    pub(super) fn down_elsewhere(&self, name: &str, home: usize) {
        self.mesh.borrow_mut().forget(name, home);
        if let Some(hub) = self.local(name, home) {
            hub.end_taps();
            self.end_stream(&hub);
        }
        self.tell_place(name, true);
    }

    /// The hub of a stream that shard `from` feeds.
    pub(super) fn local(&self, name: &str, from: usize) -> Option<Rc<Hub>> {
        let hub = Rc::clone(self.hubs.borrow().get(name)?);
        matches!(hub.source(), Source::Shard(home) if home == from).then_some(hub)
    }

    /// Somebody on another shard has a good key for a stream that is fed here, and asks for its
    /// place.
    pub(super) fn asked_to_make_way(self: &Rc<Self>, name: &Arc<str>, from: usize, takes: bool) {
        let hub = self.hubs.borrow().get(name).cloned();
        let is_fed = hub.as_ref().is_some_and(|hub| hub.is_fed_here());
        if is_fed && self.make_way(name, takes) {
            return; // all shards have heard that its publisher has left
        }
        let answer = if is_fed {
            MeshMessage::Stays(Arc::clone(name))
        } else {
            let newest = hub.map_or(0, |hub| hub.log.borrow().newest_time());
            MeshMessage::Left(Arc::clone(name), newest, Prints::default())
        };
        self.mesh.borrow_mut().send(from, answer);
    }

    /// Asks the home of a stream to make way for a publisher of this shard; false if there is no
    /// other home.
    pub(super) fn ask_for_place(&self, name: &str, takes: bool) -> bool {
        let home = self.mesh.borrow().home(name);
        let Some(home) = home else { return false };
        self.mesh.borrow_mut().send(home, MeshMessage::MakeWay(Arc::from(name), takes));
        true
    }

    /// Tells those who wait for the place of a publisher whether they have it.
    pub(super) fn tell_place(&self, name: &str, is_free: bool) {
        for connection in self.connections.borrow().values() {
            if connection.waits_for_place(name) {
                connection.mail(Mail::Place(is_free));
            }
        }
    }
}
