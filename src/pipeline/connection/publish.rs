//! RTMP publish admission: the key, the name and the limits of a publisher, and the reasons that
//! end it early.

use std::rc::Rc;
use std::sync::Arc;

use super::hook::{WITHDRAWN, Wish};
use super::place::PlaceWish;
use super::{Connection, Role};
use crate::command::Params;
use crate::event::{KeyHolder, Stage};
use crate::keys::{
    Alias, Decision, Denial, Grant, KeyHash, KeyLimits, Lookup, RateLimit, Takeover, is_guessable,
};
use crate::limits::{Asked, KeyAttempt};
use crate::media::{Kind, Micros};
use crate::pipeline::hub::Source;
use crate::pipeline::parts::PublishPolicy;
use crate::pipeline::shard::Shard;
use crate::rtmp::{PublishRefusal, Query, StreamName};
use crate::stats::{Attempt, Limit};

/// Without a message for this long, somebody else with a good key takes a publisher's place.
const SILENCE_MAX: Micros = Micros::from_secs(5);

/// With what a connection publishes, or asks to.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    /// Hash of what it showed.
    shown: Option<KeyHash>,
    /// What showing it costs, until it is known to be no guess.
    asked: Option<Asked>,
    /// The public name it asked for, if it gave a key beside it.
    named: Option<Box<str>>,
    /// What it asked for taken apart, in case nothing is known about the whole as a key: the public
    /// name, and the key behind it.
    parts: Option<(Box<str>, StreamName)>,
    /// The key it publishes with; set while it publishes.
    key: Option<KeyHash>,
    /// When that key ends.
    until: Option<Micros>,
    rate: Option<RateLimit>,
    /// The limits of its key, if they are about the picture.
    pub(super) picture: Option<KeyLimits>,
    /// The place that it waits for.
    pub(super) wish: Option<PlaceWish>,
    /// Whether another shard was asked to make way.
    pub(super) has_asked: bool,
    /// What hooks may see of its query.
    params: Params,
    last_message: Micros,
    /// When its key is looked up again.
    recheck_at: Micros,
}

impl Connection {
    pub(super) fn on_publish(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        app: &str,
        name: &StreamName,
        query: &Query,
    ) {
        let path = format!("{app}/{}", name.expose());
        let beside = query.get("key").map(|key| key.trim().to_owned());
        let is_open = shard.spec().publish == PublishPolicy::Open;
        let is_shown = is_open || beside.is_some() && may_be_shown(shard, name.expose());
        self.begin(shard, Stage::Publish, if is_shown { &path } else { app });
        if !shard.limits.may_publish(self.peer.get().ip(), shard.clock.now()) {
            shard.stats.limit_met(Limit::PublishRate);
            shard.stats.publish_attempt(Attempt::Limit);
            let text = "too many attempts to publish from this address; try again in a minute";
            return self.refuse_publish(shard, PublishRefusal::Denied, text);
        }
        if is_open {
            self.ticket.take();
            let (name, params) = (path.into(), Self::params(shard, query, None));
            let wish = Wish::Publish { name, grant: None, unchecked: None };
            return self.after_hooks(shard, wish, params);
        }
        let parts = if beside.is_none() { name_and_key(app, name.expose()) } else { None };
        let named = beside.as_ref().map(|_| path.into());
        let shown = beside.unwrap_or_else(|| name.expose().to_owned());
        let secret = parts.as_ref().map_or(shown.as_str(), |(_, key)| key.expose());
        let params = Self::params(shard, query, Some(secret));
        *self.ticket.borrow_mut() = Ticket { named, parts, params, ..Ticket::default() };
        self.show_key(shard, &shown);
    }

    /// Asks about a key that the peer shows.
    fn show_key(self: &Rc<Self>, shard: &Rc<Shard>, shown: &str) {
        let (hash, now) = (KeyHash::of(shown), shard.clock.now());
        let attempt = self.attempt(&hash, is_guessable(shown));
        let asked = shard.limits.guard().ask(&attempt, now);
        if let Asked::Wait(left) = asked {
            return self.refuse_guess(shard, left);
        }
        {
            let mut ticket = self.ticket.borrow_mut();
            (ticket.shown, ticket.asked) = (Some(hash), Some(asked));
        }
        *self.role.borrow_mut() = Role::AwaitsKey;
        let found = shard.keys.borrow_mut().lookup(&hash, now);
        match found {
            Lookup::Hit(decision) => self.on_decision(shard, &hash, &decision),
            Lookup::Miss { first } => {
                let alias = Alias::new(shown).ok().filter(|_| first);
                shard.ask_key(hash, alias, self.number, first);
            }
        }
    }

    /// The answer about the key: the public name it publishes under, or a refusal.
    pub(super) fn on_decision(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        hash: &KeyHash,
        decision: &Decision,
    ) {
        let awaited = {
            let ticket = self.ticket.borrow();
            ticket.wish.is_none() && ticket.shown.as_ref() == Some(hash)
        };
        if !awaited || !matches!(*self.role.borrow(), Role::AwaitsKey) {
            return; // it has changed its mind, or has been answered
        }
        *self.role.borrow_mut() = Role::Pending;
        // Everybody who waited for this key hears the same answer; addresses are looked at here.
        let peer = self.peer.get().ip();
        match decision.for_peer(peer, shard.clock.now()) {
            Decision::Allow(grant) => {
                self.life.borrow_mut().set_holder(holder(&grant));
                let Ticket { shown, asked, named, params, .. } =
                    std::mem::take(&mut *self.ticket.borrow_mut());
                let asked_name = named.as_deref().and_then(|path| path.split_once('/'));
                if let (Some(path), Some((_, name))) = (&named, asked_name)
                    && may_be_shown(shard, name)
                {
                    self.life.borrow_mut().set_asked_for(path);
                }
                self.ticket.borrow_mut().named = named;
                no_guess(shard, asked);
                if let Some(hash) = shown {
                    shard.limits.guard().opened(&self.attempt(&hash, false));
                }
                let name = Box::from(&*grant.stream);
                let wish = Wish::Publish { name, grant: Some(grant), unchecked: None };
                self.after_hooks(shard, wish, params);
            }
            Decision::Deny(denial) => self.on_denial(shard, denial),
        }
        self.pass_on();
    }

    fn on_denial(self: &Rc<Self>, shard: &Rc<Shard>, denial: Denial) {
        let parts = self.ticket.borrow_mut().parts.take();
        if let (Denial::Unknown, Some((name, key))) = (&denial, parts) {
            // The whole was no guess at a key.
            no_guess(shard, self.ticket.borrow_mut().asked.take());
            self.ticket.borrow_mut().named = Some(name);
            return self.show_key(shard, key.expose());
        }
        let Ticket { shown, asked, named, params, .. } =
            std::mem::take(&mut *self.ticket.borrow_mut());
        let was_good = shown.is_some_and(|hash| shard.limits.guard().is_known(hash.as_bytes()));
        match (denial, asked) {
            // Whether it was looked up must not be told.
            (Denial::Unknown, Some(Asked::Excused(left))) if !was_good => {
                return self.refuse_guess(shard, left);
            }
            (Denial::Unknown, _) if !was_good => {}
            _ => no_guess(shard, asked),
        }
        match denial {
            Denial::StoreAway if shard.spec().keys.open_when_away => {
                if let Some(name) = named {
                    self.hold(shown);
                    tracing::warn!("the key store is away: the publisher of {name} is let in");
                    let wish = Wish::Publish { name, grant: None, unchecked: shown };
                    return self.after_hooks(shard, wish, params);
                }
            }
            Denial::Revoked | Denial::Expired | Denial::Address | Denial::OpenAlias => {
                self.hold(shown);
                if let Some(hash) = shown {
                    shard.report_key_failed(hash);
                }
            }
            Denial::Unknown
            | Denial::Deleted
            | Denial::StoreAway
            | Denial::Wait(_)
            | Denial::Other(_) => {}
        }
        shard.stats.publish_attempt(Attempt::Denied);
        self.refuse_publish(shard, PublishRefusal::Denied, &denial.to_string());
    }

    /// It shows a key of which no more is known here than its hash.
    fn hold(&self, shown: Option<KeyHash>) {
        if let Some(hash) = shown {
            let holder = KeyHolder { key: hash.id(), ..KeyHolder::default() };
            self.life.borrow_mut().set_holder(holder);
        }
    }

    fn attempt<'a>(&self, hash: &'a KeyHash, is_guessable: bool) -> KeyAttempt<'a> {
        KeyAttempt { peer: self.peer.get().ip(), key: hash.as_bytes(), is_guessable }
    }

    /// Too many wrong keys came from its address.
    fn refuse_guess(&self, shard: &Rc<Shard>, left: Micros) {
        shard.stats.limit_met(Limit::Banned);
        shard.stats.publish_attempt(Attempt::Denied);
        let denial = Denial::Wait(left.millis().div_ceil(1_000));
        self.refuse_publish(shard, PublishRefusal::Denied, &denial.to_string());
    }

    /// It publishes with this key.
    pub(super) fn set_key(&self, key: Option<KeyHash>) {
        self.ticket.borrow_mut().key = key;
    }

    pub(super) fn start_publishing(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        name: &str,
        grant: Option<&Grant>,
    ) {
        let path = self.relay_path();
        if path.with(shard.hop_of(name)).is_none() {
            return self.refuse_loop(shard);
        }
        let takes = grant.is_some_and(|grant| grant.takeover == Takeover::Take);
        if shard.is_taken(name) && !shard.make_way(name, takes) {
            if !self.ask_for_place(shard, name, grant, takes) {
                self.refuse_name(shard);
            }
            return;
        }
        let named = self.ticket.borrow_mut().named.take();
        let text = match named {
            Some(asked) if *asked != *name => {
                if !self.life.borrow().shows_asked_for() {
                    tracing::info!(
                        "the publisher of {name} asked for another name than its key's; it is not \
                         shown, because it could be a key"
                    );
                }
                format!("Publishing as {name}, which is the name of this key, not as {asked}.")
            }
            _ => format!("Publishing as {name}."),
        };
        if !self.session.borrow_mut().accept_publish(&text) {
            return self.done(shard, Stage::Publish, WITHDRAWN);
        }
        shard.stats.publish_attempt(Attempt::Ok);
        let now = shard.clock.now();
        let limits = grant.map(|grant| grant.limits).unwrap_or_default();
        let hub = shard.open_by(Arc::from(name), Source::Publisher, &path);
        hub.audience().set_most(limits.viewers);
        *self.role.borrow_mut() = Role::Publisher(hub);
        *self.ticket.borrow_mut() = Ticket {
            key: grant.map(|grant| grant.key),
            until: grant.and_then(|grant| grant.until),
            rate: limits.bitrate_bps.map(|bps| RateLimit::new(bps, now)),
            picture: Some(limits).filter(KeyLimits::limit_picture),
            last_message: now,
            recheck_at: now + shard.spec().keys.recheck,
            ..Ticket::default()
        };
        if let Some(grant) = grant {
            shard.report_key_used(grant.key);
        }
        self.life.borrow_mut().set_path(name);
        self.begun(shard, Stage::Publish);
    }

    pub(super) fn refuse_publish(&self, shard: &Rc<Shard>, refusal: PublishRefusal, text: &str) {
        self.session.borrow_mut().refuse_publish(refusal, text);
        self.done(shard, Stage::Publish, text);
        self.pass_on();
        self.close(shard, text);
    }

    /// Ends a publisher with a reason that its user sees; nothing if it does not publish.
    pub(in crate::pipeline) fn end_publisher(
        &self,
        shard: &Rc<Shard>,
        refusal: PublishRefusal,
        reason: &str,
    ) {
        if !matches!(*self.role.borrow(), Role::Publisher(_)) {
            return;
        }
        self.session.borrow_mut().end_publish(refusal, reason);
        *self.ticket.borrow_mut() = Ticket::default();
        self.leave_stream(shard, reason);
        self.pass_on();
        self.close(shard, reason);
    }

    /// The key it publishes with, or is about to.
    pub(in crate::pipeline) fn key(&self) -> Option<KeyHash> {
        match &*self.role.borrow() {
            Role::Publisher(_) => self.ticket.borrow().key,
            Role::AwaitsHook(waiting) => waiting.key(),
            _ => None,
        }
    }

    /// Whether it publishes under this name.
    pub(in crate::pipeline) fn publishes_as(&self, name: &str) -> bool {
        matches!(&*self.role.borrow(), Role::Publisher(hub) if *hub.name == *name)
    }

    /// Whether it has sent nothing for so long that somebody else may take its place.
    pub(in crate::pipeline) fn is_silent(&self, now: Micros) -> bool {
        now.since(self.ticket.borrow().last_message) >= SILENCE_MAX
    }

    /// What the store says about its key now.
    pub(in crate::pipeline) fn on_verdict(&self, shard: &Rc<Shard>, decision: &Decision) {
        if matches!(*self.role.borrow(), Role::AwaitsHook(_)) {
            return self.on_verdict_while_waiting(shard, decision);
        }
        let end = |text: &str| self.end_publisher(shard, PublishRefusal::Denied, text);
        match decision.for_peer(self.peer.get().ip(), shard.clock.now()) {
            Decision::Allow(grant) if self.publishes_as(&grant.stream) => self.renew(shard, &grant),
            Decision::Allow(_) => end("this stream key is for another stream"),
            // Live streams go on while the store is away.
            Decision::Deny(Denial::StoreAway) => {}
            Decision::Deny(denial) => end(&denial.to_string()),
        }
    }

    /// Its key is still good, perhaps by other rules than before: it goes on by those.
    fn renew(&self, shard: &Rc<Shard>, grant: &Grant) {
        let now = shard.clock.now();
        let limits = grant.limits;
        {
            let mut ticket = self.ticket.borrow_mut();
            ticket.until = grant.until;
            if ticket.rate.as_ref().map(RateLimit::limit_bps) != limits.bitrate_bps {
                ticket.rate = limits.bitrate_bps.map(|bps| RateLimit::new(bps, now));
            }
            ticket.picture = Some(limits).filter(KeyLimits::limit_picture);
        }
        self.life.borrow_mut().set_holder(holder(grant));
        let announced = match &*self.role.borrow() {
            Role::Publisher(hub) => {
                hub.audience().set_most(limits.viewers);
                let log = hub.log.borrow();
                log.headers().find(|message| message.kind() == Kind::Data).cloned()
            }
            _ => None,
        };
        if let Some(metadata) = announced {
            self.keeps_picture_within(shard, Kind::Data, metadata.body());
        }
    }

    /// Ends a publisher whose key has ended.
    pub(super) fn sweep_ticket(self: &Rc<Self>, shard: &Rc<Shard>, now: Micros) {
        self.sweep_place(shard, now);
        let due = self.key().filter(|_| now >= self.ticket.borrow().recheck_at);
        if let Some(key) = due {
            self.ticket.borrow_mut().recheck_at = now + shard.spec().keys.recheck;
            shard.recheck(key);
        }
        let over = self.ticket.borrow().until.is_some_and(|until| now >= until);
        if over {
            let text = Denial::Expired.to_string();
            self.end_publisher(shard, PublishRefusal::Denied, &text);
        }
    }

    /// Counts a message; false if the publisher is ended because it sends more than its key allows.
    pub(super) fn keeps_within(&self, shard: &Rc<Shard>, kind: Kind, body: &[u8]) -> bool {
        let now = shard.clock.now();
        let passed = {
            let mut ticket = self.ticket.borrow_mut();
            ticket.last_message = now;
            ticket.rate.as_mut().is_some_and(|rate| rate.is_passed_by(body.len(), now))
        };
        if passed {
            let text = "the stream has a higher bitrate than its key allows";
            shard.stats.limit_met(Limit::Bitrate);
            self.end_publisher(shard, PublishRefusal::Denied, text);
        }
        !passed && self.keeps_picture_within(shard, kind, body)
    }
}

/// Whether the name that somebody asks to publish under may stand in events and in the log. People
/// paste keys where names belong; so this is asked only of a name that came with a key: beside it
/// (`name?key=KEY`), or in front of it once that key was found good (`name/KEY`).
///
/// Shown is a name that does not have the form of a key: one of fewer than 20 characters, or of few
/// different ones. Hidden is what looks like a key, whatever it is; what was shown here as a key or
/// an alias lately, also if refused; and what is known as a good key. A name without a key is
/// itself tried as a key and always hidden; events have the application in its place, and the name
/// of the key once that is known. Where anybody may publish, all names show: there are no keys.
fn may_be_shown(shard: &Shard, name: &str) -> bool {
    let is_known = |part: &str| {
        let hash = KeyHash::of(part);
        shard.limits.guard().is_known(hash.as_bytes()) || shard.keys.borrow().has(&hash)
    };
    is_guessable(name) && !is_known(name) && !name.split('/').any(is_known)
}

fn holder(grant: &Grant) -> KeyHolder {
    KeyHolder {
        key: grant.key.id(),
        owner: Arc::clone(&grant.owner),
        label: Arc::clone(&grant.label),
    }
}

/// What was shown does not count as a wrong key.
fn no_guess(shard: &Shard, asked: Option<Asked>) {
    if let Some(Asked::Counted(charge)) = asked {
        shard.limits.guard().refund(charge);
    }
}

/// The public name and the key in `name/KEY`, which some write in place of `name?key=KEY`.
fn name_and_key(app: &str, path: &str) -> Option<(Box<str>, StreamName)> {
    let (name, key) = path.rsplit_once('/')?;
    Some((format!("{app}/{name}").into(), StreamName::new(key)))
}
