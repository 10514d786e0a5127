//! Stages that hooks decide about: the connection waits for control's answer, and for nothing if no
//! hook decides.

use std::sync::Arc;

use super::request::{Pending, Request, WITHDRAWN};
use super::{Connection, Role};
use crate::command::{HookQuestion, HookRequestId, Params, Refusal, ShardReport};
use crate::event::{About, Stage};
use crate::keys::{Decision, Denial};
use crate::rtmp::{PlayRefusal, PublishRefusal, Query};
use crate::shard::context::Context;
use crate::shard::shared::Shared;
use crate::stats::Attempt;

impl Connection {
    /// Does what the peer wants, or asks the hooks first if any decide about that.
    pub(super) fn after_hooks(&mut self, shared: &mut Shared, request: Request, params: Params) {
        let (stage, now) = (request.stage(), shared.cx.now);
        if !shared.cx.spec.hooks.decide(stage) {
            return self.fulfil(shared, request);
        }
        if let Request::Publish { name, .. } = &request {
            self.life.set_path(name);
        }
        if self.life.asked(stage, now).is_none() {
            return;
        }
        self.questions = self.questions.wrapping_add(1);
        let (question, until) = (self.questions, now + shared.cx.spec.hooks.answer_timeout);
        self.role = Role::AwaitsHook(Box::new(Pending { request, params, question, until }));
        if !self.ask_hooks(shared) {
            shared.cx.stats.report_lost();
            self.on_hook_silence(shared);
        }
    }

    /// Puts the question that it waits for, if it does; false if control cannot be told.
    pub(super) fn ask_hooks(&self, shared: &mut Shared) -> bool {
        let Role::AwaitsHook(pending) = &self.role else { return true };
        let Some(event) = self.life.asked(pending.stage(), shared.cx.now) else { return true };
        let ticket = HookRequestId { connection: self.out.id.raw(), question: pending.question };
        let params = pending.params.clone();
        let report = ShardReport::HookQuestion(Box::new(HookQuestion { ticket, event, params }));
        shared.cx.reports.push(report).is_ok()
    }

    /// The hooks' answer. One to a question that the peer has withdrawn is no answer any more.
    pub(in crate::shard) fn on_hook(
        &mut self,
        shared: &mut Shared,
        question: u32,
        refusal: &Refusal,
    ) {
        if !matches!(&self.role, Role::AwaitsHook(pending) if pending.question == question) {
            return;
        }
        let Some(request) = self.take_request() else { return };
        match refusal {
            None => self.fulfil(shared, request),
            Some(refused) => {
                self.life.set_actor(Arc::clone(&refused.by));
                self.refuse_request(shared, &request, &refused.text);
            }
        }
    }

    /// Control has had its time.
    pub(super) fn check_hook(&mut self, shared: &mut Shared) {
        let now = shared.cx.now;
        if matches!(&self.role, Role::AwaitsHook(pending) if now >= pending.until) {
            self.on_hook_silence(shared);
        }
    }

    /// What the store says about the key of somebody who waits to publish with it.
    pub(super) fn on_verdict_while_waiting(&mut self, shared: &mut Shared, decision: &Decision) {
        let decision = decision.for_peer(self.address.ip(), shared.cx.now);
        if let Decision::Deny(denial) = decision
            && denial != Denial::StoreAway
            && let Some(request) = self.take_request()
        {
            self.refuse_request(shared, &request, &denial.to_string());
        }
    }

    /// The peer has withdrawn its request: the protocol is told, so that it takes another.
    pub(super) fn withdraw(&mut self) {
        let is_publish = match &self.role {
            Role::AwaitsKey => true,
            Role::AwaitsHook(pending) => pending.stage() == Stage::Publish,
            Role::AwaitsStream(..) | Role::AwaitsSnapshot(_) => false,
            Role::Pending | Role::Publisher(_) | Role::Player(_) => return,
        };
        if is_publish {
            self.protocol.refuse_publish(PublishRefusal::Failed, WITHDRAWN);
        } else {
            self.protocol.refuse_play(PlayRefusal::Failed, WITHDRAWN);
        }
    }

    /// What hooks may see of a query: never what was shown as a key.
    pub(super) fn params(cx: &Context, query: &Query, shown: Option<&str>) -> Params {
        let seen = |name: &str| query.get(name).filter(|value| Some(value.as_str()) != shown);
        Params::of(&cx.spec.hooks.params, seen)
    }

    /// Says in events what the peer is.
    pub(super) fn introduce(&mut self, tc_url: String, agent: String) {
        let about = About { protocol: self.protocol_name(), tc_url, agent };
        self.life.set_about(about);
    }

    fn take_request(&mut self) -> Option<Request> {
        match std::mem::replace(&mut self.role, Role::Pending) {
            Role::AwaitsHook(pending) => Some(pending.request),
            role => {
                self.role = role;
                None
            }
        }
    }

    fn on_hook_silence(&mut self, shared: &mut Shared) {
        let Some(request) = self.take_request() else { return };
        if shared.cx.spec.hooks.open_when_silent {
            return self.fulfil(shared, request);
        }
        self.refuse_request(shared, &request, "no hook has answered in time; try again");
    }

    fn fulfil(&mut self, shared: &mut Shared, request: Request) {
        match request {
            Request::Connect => {
                self.protocol.accept_connect();
                self.begun(shared, Stage::Connect);
                // What the peer asked meanwhile.
                self.attend(shared);
            }
            Request::Web { name, params } => {
                self.begun(shared, Stage::Connect);
                self.ask_to_play(shared, name, params);
            }
            Request::Publish { name, grant, unchecked } => {
                self.start_publishing(shared, &name, grant.as_deref());
                if unchecked.is_some() {
                    // Asked about again as soon as the store is back.
                    self.set_key(unchecked);
                }
            }
            Request::Play { name } => self.await_stream(shared, &name),
        }
    }

    fn refuse_request(&mut self, shared: &mut Shared, request: &Request, text: &str) {
        match request {
            Request::Connect | Request::Web { .. } => {
                self.protocol.refuse_connect(text);
                self.done(shared, Stage::Connect, text);
                self.close(shared.cx.now, text);
            }
            Request::Publish { .. } => {
                shared.cx.stats.publish_attempt(Attempt::Denied);
                self.refuse_publish(shared, PublishRefusal::Denied, text);
            }
            Request::Play { .. } => self.refuse_play(shared, PlayRefusal::Denied, text),
        }
    }
}
