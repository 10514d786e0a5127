//! Peers that speak HTTP: they are players like the others, once their request is understood.

use super::Connection;
use super::request::Request;
use crate::command::SnapshotWidth;
use crate::event::Stage;
use crate::rtmp::{PlayRefusal, Query, stream_path};
use crate::shard::shared::Shared;
use crate::web::Event;

const ANSWERED: &str = "answered";

impl Connection {
    pub(super) fn on_request(&mut self, shared: &mut Shared, event: Event) {
        let path = match event {
            Event::Play { path } => path,
            Event::Over(reason) => return self.end_for(shared, reason),
        };
        match stream_path(&path) {
            Ok(name) => {
                let app = name.split('/').next().unwrap_or_default();
                self.introduce(String::new(), String::new());
                self.begin(shared, Stage::Connect, app);
                let query = Query::new(self.protocol.web_query());
                self.note_preview(&query);
                if self.protocol.wants_picture()
                    && let Err(text) = SnapshotWidth::of(query.get("width").as_deref())
                {
                    self.protocol.refuse_request(text);
                    self.done(shared, Stage::Connect, text);
                    return self.close(shared.cx.now, text);
                }
                let params = Self::params(&shared.cx, &query, None);
                let seen = params.clone();
                self.after_hooks(shared, Request::Web { name, params }, seen);
            }
            Err(text) => {
                self.protocol.refuse_play(PlayRefusal::StreamNotFound, text);
                self.close(shared.cx.now, text);
            }
        }
    }

    /// The stream is there, and the protocol wants no more of it: a client that only asked.
    pub(super) fn on_answered(&mut self, shared: &mut Shared) {
        if self.protocol.is_web() {
            self.done(shared, Stage::Play, ANSWERED);
            self.close(shared.cx.now, ANSWERED);
        }
    }
}
