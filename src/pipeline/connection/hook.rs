//! Stages that hooks decide about: the connection waits for control's answer, and for nothing if no
//! hook decides.

use std::rc::Rc;
use std::sync::Arc;

use super::{Connection, Role};
use crate::command::{FromShard, HookQuestion, HookTicket, Params, Refusal};
use crate::event::{About, Stage};
use crate::keys::{Decision, Denial, Grant, KeyHash};
use crate::media::Micros;
use crate::pipeline::shard::Shard;
use crate::rtmp::{PlayRefusal, PublishRefusal, Query};
use crate::stats::Attempt;

/// Why something is done that the peer no longer wants.
pub(super) const WITHDRAWN: &str = "withdrawn";

/// What a connection does once it may.
pub(super) enum Wish {
    /// Go on after `connect`.
    Connect,
    /// Play a stream by HTTP, which is to connect and to play in one.
    Web { name: String, params: Params },
    /// Publish under this name with this grant; without one if anybody may, or with a key that
    /// could not be checked.
    Publish { name: Box<str>, grant: Option<Arc<Grant>>, unchecked: Option<KeyHash> },
    /// Play this stream.
    Play { name: String },
}

impl Wish {
    const fn stage(&self) -> Stage {
        match self {
            Self::Connect | Self::Web { .. } => Stage::Connect,
            Self::Publish { .. } => Stage::Publish,
            Self::Play { .. } => Stage::Play,
        }
    }
}

/// A wish that waits for an answer.
pub(super) struct Waiting {
    wish: Wish,
    question: u32,
    until: Micros,
}

impl Waiting {
    pub(super) const fn stage(&self) -> Stage {
        self.wish.stage()
    }

    /// The key with which it is about to publish.
    pub(super) fn key(&self) -> Option<KeyHash> {
        match &self.wish {
            Wish::Publish { grant, unchecked, .. } => {
                grant.as_ref().map(|grant| grant.key).or(*unchecked)
            }
            Wish::Connect | Wish::Web { .. } | Wish::Play { .. } => None,
        }
    }
}

impl Connection {
    /// Does what the peer wants, or asks the hooks first if any decide about that.
    pub(super) fn after_hooks(self: &Rc<Self>, shard: &Rc<Shard>, wish: Wish, params: Params) {
        let (stage, now) = (wish.stage(), shard.clock.now());
        if !shard.spec().hooks.decide(stage) {
            return self.fulfil(shard, wish);
        }
        if let Wish::Publish { name, .. } = &wish {
            self.life.borrow_mut().set_path(name);
        }
        let Some(event) = self.life.borrow().asked(stage, now) else { return };
        let question = self.questions.get().wrapping_add(1);
        self.questions.set(question);
        let ticket = HookTicket { connection: self.number, question };
        let until = now + shard.spec().hooks.patience;
        *self.role.borrow_mut() = Role::AwaitsHook(Box::new(Waiting { wish, question, until }));
        let report = FromShard::HookQuestion(Box::new(HookQuestion { ticket, event, params }));
        if shard.reports.borrow_mut().push(report).is_err() {
            shard.stats.report_lost();
            self.on_silence(shard);
        }
    }

    /// The hooks' answer. One to a question that the peer has withdrawn is no answer any more.
    pub(super) fn on_hook(self: &Rc<Self>, shard: &Rc<Shard>, question: u32, refusal: &Refusal) {
        let awaited = matches!(&*self.role.borrow(), Role::AwaitsHook(w) if w.question == question);
        if !awaited {
            return;
        }
        let Some(wish) = self.take_wish() else { return };
        match refusal {
            None => self.fulfil(shard, wish),
            Some(refused) => {
                self.life.borrow_mut().set_actor(Arc::clone(&refused.by));
                self.disappoint(shard, &wish, &refused.text);
            }
        }
        self.pass_on();
    }

    /// Control has had its time.
    pub(super) fn sweep_hook(self: &Rc<Self>, shard: &Rc<Shard>, now: Micros) {
        let over = matches!(&*self.role.borrow(), Role::AwaitsHook(w) if now >= w.until);
        if over {
            self.on_silence(shard);
            self.pass_on();
            self.reader.wake();
        }
    }

    /// What the store says about the key of somebody who waits to publish with it.
    pub(super) fn on_verdict_while_waiting(&self, shard: &Rc<Shard>, decision: &Decision) {
        let decision = decision.for_peer(self.peer.get().ip(), shard.clock.now());
        if let Decision::Deny(denial) = decision
            && denial != Denial::StoreAway
            && let Some(wish) = self.take_wish()
        {
            self.disappoint(shard, &wish, &denial.to_string());
        }
    }

    /// The peer has withdrawn its request: the session is told, so that it takes another.
    pub(super) fn withdraw(&self) {
        let is_publish = match &*self.role.borrow() {
            Role::AwaitsKey => true,
            Role::AwaitsHook(waiting) => waiting.stage() == Stage::Publish,
            Role::AwaitsStream(..) => false,
            Role::Pending | Role::Publisher(_) | Role::Player(_) => return,
        };
        let mut session = self.session.borrow_mut();
        if is_publish {
            session.refuse_publish(PublishRefusal::Failed, WITHDRAWN);
        } else {
            session.refuse_play(PlayRefusal::Failed, WITHDRAWN);
        }
    }

    /// Tells a peer whose request is not decided that it is over.
    pub(super) fn refuse_waiting(&self, stage: Stage, text: &str) {
        let mut session = self.session.borrow_mut();
        match stage {
            Stage::Connect => session.refuse_connect(text),
            Stage::Publish => drop(session.refuse_publish(PublishRefusal::Failed, text)),
            Stage::Play => session.refuse_play(PlayRefusal::Failed, text),
        }
    }

    /// What hooks may see of a query: never what was shown as a key.
    pub(super) fn params(shard: &Shard, query: &Query, shown: Option<&str>) -> Params {
        let seen = |name: &str| query.get(name).filter(|value| Some(value.as_str()) != shown);
        Params::of(&shard.spec().hooks.params, seen)
    }

    /// Says in events what the peer is.
    pub(super) fn introduce(&self, tc_url: String, agent: String) {
        let about = About { protocol: self.protocol(), tc_url, agent };
        self.life.borrow_mut().set_about(about);
    }

    fn take_wish(&self) -> Option<Wish> {
        match self.role.replace(Role::Pending) {
            Role::AwaitsHook(waiting) => Some(waiting.wish),
            role => {
                *self.role.borrow_mut() = role;
                None
            }
        }
    }

    fn on_silence(self: &Rc<Self>, shard: &Rc<Shard>) {
        let Some(wish) = self.take_wish() else { return };
        match shard.spec().hooks.open_when_silent {
            true => self.fulfil(shard, wish),
            false => self.disappoint(shard, &wish, "no hook has answered in time; try again"),
        }
    }

    fn fulfil(self: &Rc<Self>, shard: &Rc<Shard>, wish: Wish) {
        match wish {
            Wish::Connect => {
                self.session.borrow_mut().accept_connect();
                self.begun(shard, Stage::Connect);
                // What the peer asked meanwhile.
                self.attend(shard);
            }
            Wish::Web { name, params } => {
                self.begun(shard, Stage::Connect);
                self.wish_to_play(shard, name, params);
            }
            Wish::Publish { name, grant, unchecked } => {
                self.start_publishing(shard, &name, grant.as_deref());
                if unchecked.is_some() {
                    // Asked about again as soon as the store is back.
                    self.set_key(unchecked);
                }
            }
            Wish::Play { name } => self.await_stream(shard, name),
        }
    }

    fn disappoint(&self, shard: &Rc<Shard>, wish: &Wish, text: &str) {
        match wish {
            Wish::Connect | Wish::Web { .. } => {
                self.session.borrow_mut().refuse_connect(text);
                self.done(shard, Stage::Connect, text);
                self.pass_on();
                self.close(shard, text);
            }
            Wish::Publish { .. } => {
                shard.stats.publish_attempt(Attempt::Denied);
                self.refuse_publish(shard, PublishRefusal::Denied, text);
            }
            Wish::Play { .. } => self.refuse_play(shard, PlayRefusal::Denied, text),
        }
    }
}
