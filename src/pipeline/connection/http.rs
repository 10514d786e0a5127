//! Peers that speak HTTP: they are players like the others, once their request is understood.

use std::rc::Rc;

use super::Connection;
use super::hook::Wish;
use super::play::says_preview;
use crate::event::Stage;
use crate::pipeline::shard::Shard;
use crate::rtmp::{PlayRefusal, Query, stream_path};
use crate::web::Event;

impl Connection {
    pub(super) fn on_request(self: &Rc<Self>, shard: &Rc<Shard>, event: Event) {
        let path = match event {
            Event::Play { path } => path,
            Event::Over(reason) => return self.end_for(shard, reason),
        };
        match stream_path(&path) {
            Ok(name) => {
                let app = name.split('/').next().unwrap_or_default();
                self.introduce(String::new(), String::new());
                self.begin(shard, Stage::Connect, app);
                let query = Query::new(self.session.borrow().web_query());
                self.is_preview.set(says_preview(&query));
                let params = Self::params(shard, &query, None);
                let seen = params.clone();
                self.after_hooks(shard, Wish::Web { name, params }, seen);
            }
            Err(text) => {
                self.session.borrow_mut().refuse_play(PlayRefusal::StreamNotFound, text);
                self.close(shard, text);
            }
        }
    }

    /// The stream is there, and the session wants no more of it: a client that only asked.
    pub(super) fn on_answered(&self, shard: &Shard) {
        if self.session.borrow().is_web() {
            self.done(shard, Stage::Play, ANSWERED);
            self.pass_on();
            self.close(shard, ANSWERED);
        }
    }
}

const ANSWERED: &str = "answered";
