//! RTMP publish admission: the key, the name and the limits of a publisher, and the reasons that
//! end it early.

use std::sync::Arc;

use super::credentials::Credentials;
use super::request::{Request, WITHDRAWN};
use super::{Connection, Role};
use crate::command::ShardReport;
use crate::event::{KeyHolder, Stage};
use crate::keys::{
    Alias, Decision, Denial, Grant, KeyHash, Lookup, RateLimit, Takeover, is_guessable,
};
use crate::limits::{Asked, KeyAttempt};
use crate::media::{Kind, Micros};
use crate::rtmp::{PublishRefusal, Query, StreamName};
use crate::shard::shared::Shared;
use crate::shard::spec::PublishPolicy;
use crate::shard::streams::{Source, Stream, hop_of};
use crate::stats::{Attempt, Limit};

/// Without a message for this long, somebody else with a good key takes a publisher's place.
const SILENCE_MAX: Micros = Micros::from_secs(5);

/// How long control may take to say whether a key is good. It has deadlines of its own; without
/// this one, an answer that is lost would be waited for as long as the peer stays.
const ANSWER_LIMIT: Micros = Micros::from_secs(10);

impl Connection {
    pub(super) fn on_publish(
        &mut self,
        shared: &mut Shared,
        app: &str,
        name: &StreamName,
        query: &Query,
    ) {
        let path = format!("{app}/{}", name.expose());
        let beside = query.get("key").map(|key| key.trim().to_owned());
        let is_open = shared.cx.spec.publish == PublishPolicy::Open;
        let is_shown = is_open || beside.is_some() && may_be_shown(shared, name.expose());
        self.begin(shared, Stage::Publish, if is_shown { &path } else { app });
        if !shared.cx.limits.may_publish(self.address.ip(), shared.cx.now) {
            shared.cx.stats.limit_met(Limit::PublishRate);
            shared.cx.stats.publish_attempt(Attempt::Limit);
            let text = "too many attempts to publish from this address; try again in a minute";
            return self.refuse_publish(shared, PublishRefusal::Denied, text);
        }
        if is_open {
            self.credentials = Credentials::default();
            let params = Self::params(&shared.cx, query, None);
            let request = Request::Publish { name: path.into(), grant: None, unchecked: None };
            return self.after_hooks(shared, request, params);
        }
        let parts = if beside.is_none() { name_and_key(app, name.expose()) } else { None };
        let named = beside.as_ref().map(|_| path.into());
        let shown = beside.unwrap_or_else(|| name.expose().to_owned());
        let secret = parts.as_ref().map_or(shown.as_str(), |(_, key)| key.expose());
        let params = Self::params(&shared.cx, query, Some(secret));
        self.credentials = Credentials { named, parts, params, ..Credentials::default() };
        self.show_key(shared, &shown);
    }

    /// Asks about a key that the peer shows.
    fn show_key(&mut self, shared: &mut Shared, shown: &str) {
        let (hash, now) = (KeyHash::of(shown), shared.cx.now);
        let attempt = self.attempt(&hash, is_guessable(shown));
        let asked = shared.cx.limits.guard().ask(&attempt, now);
        if let Asked::Wait(left) = asked {
            return self.refuse_guess(shared, left);
        }
        (self.credentials.shown, self.credentials.asked) = (Some(hash), Some(asked));
        self.credentials.answer_by = now + ANSWER_LIMIT;
        self.role = Role::AwaitsKey;
        let found = shared.keys.cache.lookup(&hash, now);
        match found {
            Lookup::Hit(decision) => self.on_decision(shared, &hash, &decision),
            Lookup::Miss { first } => {
                let alias = Alias::new(shown).ok().filter(|_| first);
                shared.keys.ask(&mut shared.cx, hash, alias, (self.out.id, first));
            }
        }
    }

    /// The answer about the key: the public name it publishes under, or a refusal.
    pub(in crate::shard) fn on_decision(
        &mut self,
        shared: &mut Shared,
        hash: &KeyHash,
        decision: &Decision,
    ) {
        let Credentials { name_request, shown, .. } = &self.credentials;
        let awaited = name_request.is_none() && shown.as_ref() == Some(hash);
        if !awaited || !matches!(self.role, Role::AwaitsKey) {
            return; // it has changed its mind, or has been answered
        }
        self.role = Role::Pending;
        // Everybody who waited for this key hears the same answer; addresses are looked at here.
        let peer = self.address.ip();
        match decision.for_peer(peer, shared.cx.now) {
            Decision::Allow(grant) => {
                self.life.set_holder(holder(&grant));
                let Credentials { shown, asked, named, params, .. } =
                    std::mem::take(&mut self.credentials);
                let asked_name = named.as_deref().and_then(|path| path.split_once('/'));
                if let (Some(path), Some((_, name))) = (&named, asked_name)
                    && may_be_shown(shared, name)
                {
                    self.life.set_asked_for(path);
                }
                self.credentials.named = named;
                no_guess(shared, asked);
                if let Some(hash) = shown {
                    shared.cx.limits.guard().opened(&self.attempt(&hash, false));
                }
                let name = Arc::clone(&grant.stream);
                let request = Request::Publish { name, grant: Some(grant), unchecked: None };
                self.after_hooks(shared, request, params);
            }
            Decision::Deny(denial) => self.on_denial(shared, denial),
        }
    }

    /// Control has had its time: to the peer that is as if the store were away.
    pub(super) fn check_answer(&mut self, shared: &mut Shared) {
        if matches!(self.role, Role::AwaitsKey)
            && let Some(shown) = self.credentials.shown
            && shared.cx.now >= self.credentials.answer_by
        {
            self.on_decision(shared, &shown, &Decision::Deny(Denial::StoreAway));
        }
    }

    fn on_denial(&mut self, shared: &mut Shared, denial: Denial) {
        let parts = self.credentials.parts.take();
        if let (Denial::Unknown, Some((name, key))) = (&denial, parts) {
            // The whole was no guess at a key.
            no_guess(shared, self.credentials.asked.take());
            self.credentials.named = Some(name);
            return self.show_key(shared, key.expose());
        }
        let Credentials { shown, asked, named, params, .. } = std::mem::take(&mut self.credentials);
        let was_good = shown.is_some_and(|hash| shared.cx.limits.guard().is_known(hash.as_bytes()));
        match (denial, asked) {
            // Whether it was looked up must not be told.
            (Denial::Unknown, Some(Asked::Excused(left))) if !was_good => {
                return self.refuse_guess(shared, left);
            }
            (Denial::Unknown, _) if !was_good => {}
            _ => no_guess(shared, asked),
        }
        match denial {
            Denial::StoreAway if shared.cx.spec.keys.open_when_away => {
                if let Some(name) = named {
                    self.hold(shown);
                    tracing::warn!("the key store is away: the publisher of {name} is let in");
                    let name = Arc::from(name);
                    let request = Request::Publish { name, grant: None, unchecked: shown };
                    return self.after_hooks(shared, request, params);
                }
            }
            Denial::Revoked | Denial::Expired | Denial::Address | Denial::OpenAlias => {
                self.hold(shown);
                if let Some(hash) = shown {
                    shared.cx.report(ShardReport::KeyFailed { hash });
                }
            }
            Denial::Unknown
            | Denial::Deleted
            | Denial::StoreAway
            | Denial::Wait(_)
            | Denial::Other(_) => {}
        }
        shared.cx.stats.publish_attempt(Attempt::Denied);
        self.refuse_publish(shared, PublishRefusal::Denied, &denial.to_string());
    }

    /// It shows a key of which no more is known here than its hash.
    fn hold(&mut self, shown: Option<KeyHash>) {
        if let Some(hash) = shown {
            let holder = KeyHolder { key: hash.id(), ..KeyHolder::default() };
            self.life.set_holder(holder);
        }
    }

    fn attempt<'a>(&self, hash: &'a KeyHash, is_guessable: bool) -> KeyAttempt<'a> {
        KeyAttempt { peer: self.address.ip(), key: hash.as_bytes(), is_guessable }
    }

    /// Too many wrong keys came from its address.
    fn refuse_guess(&mut self, shared: &mut Shared, left: Micros) {
        shared.cx.stats.limit_met(Limit::Banned);
        shared.cx.stats.publish_attempt(Attempt::Denied);
        let denial = Denial::Wait(left.millis().div_ceil(1_000));
        self.refuse_publish(shared, PublishRefusal::Denied, &denial.to_string());
    }

    /// It publishes with this key.
    pub(super) fn set_key(&mut self, key: Option<KeyHash>) {
        self.credentials.key = key;
    }

    pub(super) fn start_publishing(
        &mut self,
        shared: &mut Shared,
        name: &Arc<str>,
        grant: Option<&Grant>,
    ) {
        let spec = Arc::clone(&shared.cx.spec);
        // What is published to a stream with a fallback is a stream of its own.
        let (public, name) = (spec.public_of(name), spec.source_of(name));
        let path = self.relay_path();
        if path.with(hop_of(&shared.cx, name)).is_none() {
            return self.refuse_loop(shared);
        }
        let takes = grant.is_some_and(|grant| grant.takeover == Takeover::Take);
        if shared.streams.is_taken(name) {
            if !self.ask_for_name(shared, name, grant, takes) {
                self.refuse_name(shared);
            }
            return;
        }
        let named = self.credentials.named.take();
        let text = match named {
            Some(asked) if *asked != **public => {
                if !self.life.shows_asked_for() {
                    tracing::info!(
                        "the publisher of {public} asked for another name than its key's; it is \
                         not shown, because it could be a key"
                    );
                }
                format!("Publishing as {public}, which is the name of this key, not as {asked}.")
            }
            _ => format!("Publishing as {public}."),
        };
        if !self.protocol.accept_publish(&text) {
            return self.done(shared, Stage::Publish, WITHDRAWN);
        }
        shared.cx.stats.publish_attempt(Attempt::Ok);
        let now = shared.cx.now;
        let limits = grant.map(|grant| grant.limits).unwrap_or_default();
        let source = Source::Publisher(self.out.id);
        let id = shared.streams.open(&mut shared.cx, Arc::clone(name), source, &path);
        if let Some(stream) = shared.streams.get(id) {
            stream.audience.set_most(limits.viewers);
        }
        if public != name {
            shared.streams.set_most_of(public, limits.viewers);
        }
        self.role = Role::Publisher(id);
        self.credentials = Credentials {
            key: grant.map(|grant| grant.key),
            until: grant.and_then(|grant| grant.until),
            rate: limits.bitrate_bps.map(|bps| RateLimit::new(bps, now)),
            limits,
            last_message: now,
            recheck_at: now + shared.cx.spec.keys.recheck,
            ..Credentials::default()
        };
        if let Some(grant) = grant {
            shared.cx.report(ShardReport::KeyUsed { hash: grant.key });
        }
        self.life.set_path(public);
        self.begun(shared, Stage::Publish);
    }

    pub(super) fn refuse_publish(
        &mut self,
        shared: &mut Shared,
        refusal: PublishRefusal,
        text: &str,
    ) {
        self.protocol.refuse_publish(refusal, text);
        self.done(shared, Stage::Publish, text);
        self.close(shared.cx.now, text);
    }

    /// Ends a publisher with a reason that its user sees; nothing if it does not publish.
    pub(in crate::shard) fn end_publisher(
        &mut self,
        shared: &mut Shared,
        refusal: PublishRefusal,
        reason: &str,
    ) {
        if !matches!(self.role, Role::Publisher(_)) {
            return;
        }
        self.protocol.end_publish(refusal, reason);
        self.credentials = Credentials::default();
        self.say_goodbye(shared);
        self.leave_stream(shared, reason);
        self.close(shared.cx.now, reason);
    }

    /// The key it publishes with, or is about to.
    pub(in crate::shard) fn key(&self) -> Option<KeyHash> {
        match &self.role {
            Role::Publisher(_) => self.credentials.key,
            Role::AwaitsHook(waiting) => waiting.key(),
            _ => None,
        }
    }

    /// Whether it publishes under this name.
    pub(in crate::shard) fn publishes_as(&self, shared: &Shared, name: &str) -> bool {
        let Role::Publisher(stream) = self.role else { return false };
        let published = |stream: &Stream| **shared.cx.spec.public_of(&stream.name) == *name;
        shared.streams.get(stream).is_some_and(published)
    }

    /// Whether it has sent nothing for so long that somebody else may take its place.
    pub(in crate::shard) fn is_silent(&self, now: Micros) -> bool {
        now.since(self.credentials.last_message) >= SILENCE_MAX
    }

    /// What the store says about its key now.
    pub(in crate::shard) fn on_verdict(&mut self, shared: &mut Shared, decision: &Decision) {
        if matches!(self.role, Role::AwaitsHook(_)) {
            return self.on_verdict_while_waiting(shared, decision);
        }
        match decision.for_peer(self.address.ip(), shared.cx.now) {
            Decision::Allow(grant) if self.publishes_as(shared, &grant.stream) => {
                self.renew(shared, &grant);
            }
            Decision::Allow(_) => {
                let text = "this stream key is for another stream";
                self.end_publisher(shared, PublishRefusal::Denied, text);
            }
            // Live streams go on while the store is away.
            Decision::Deny(Denial::StoreAway) => {}
            Decision::Deny(denial) => {
                self.end_publisher(shared, PublishRefusal::Denied, &denial.to_string());
            }
        }
    }

    /// Its key is still good, perhaps by other rules than before: it goes on by those.
    fn renew(&mut self, shared: &mut Shared, grant: &Grant) {
        let now = shared.cx.now;
        let limits = grant.limits;
        let credentials = &mut self.credentials;
        credentials.until = grant.until;
        if credentials.rate.as_ref().map(RateLimit::limit_bps) != limits.bitrate_bps {
            credentials.rate = limits.bitrate_bps.map(|bps| RateLimit::new(bps, now));
        }
        credentials.limits = limits;
        self.life.set_holder(holder(grant));
        let Role::Publisher(id) = self.role else { return };
        let Some(stream) = shared.streams.get(id) else { return };
        stream.audience.set_most(limits.viewers);
        let announced = stream.log.headers().find(|message| message.kind() == Kind::Data).cloned();
        if let Some(metadata) = announced {
            self.keeps_picture_within(shared, Kind::Data, metadata.body());
        }
    }

    /// Ends a publisher whose key has ended, and asks about the others' now and then.
    pub(super) fn check_key(&mut self, shared: &mut Shared) {
        let now = shared.cx.now;
        if let Some(key) = self.key().filter(|_| now >= self.credentials.recheck_at) {
            self.credentials.recheck_at = now + shared.cx.spec.keys.recheck;
            shared.keys.recheck(&mut shared.cx, key);
        }
        if self.credentials.until.is_some_and(|until| now >= until) {
            let text = Denial::Expired.to_string();
            self.end_publisher(shared, PublishRefusal::Denied, &text);
        }
    }

    /// Counts a message; false if the publisher is ended because it sends more than its key allows.
    pub(super) fn keeps_within(&mut self, shared: &mut Shared, kind: Kind, body: &[u8]) -> bool {
        let now = shared.cx.now;
        self.credentials.last_message = now;
        let rate = self.credentials.rate.as_mut();
        let passed = rate.is_some_and(|rate| rate.is_passed_by(body.len(), now));
        if passed {
            let text = "the stream has a higher bitrate than its key allows";
            shared.cx.stats.limit_met(Limit::Bitrate);
            self.end_publisher(shared, PublishRefusal::Denied, text);
        }
        !passed && self.keeps_picture_within(shared, kind, body)
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
fn may_be_shown(shared: &Shared, name: &str) -> bool {
    let is_known = |part: &str| {
        let hash = KeyHash::of(part);
        shared.cx.limits.guard().is_known(hash.as_bytes()) || shared.keys.cache.has(&hash)
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
fn no_guess(shared: &Shared, asked: Option<Asked>) {
    if let Some(Asked::Counted(charge)) = asked {
        shared.cx.limits.guard().refund(charge);
    }
}

/// The public name and the key in `name/KEY`, which some write in place of `name?key=KEY`.
fn name_and_key(app: &str, path: &str) -> Option<(Box<str>, StreamName)> {
    let (name, key) = path.rsplit_once('/')?;
    Some((format!("{app}/{name}").into(), StreamName::new(key)))
}
