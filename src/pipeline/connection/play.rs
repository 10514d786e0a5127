//! RTMP and HTTP play: a connection waits for its stream and becomes a player, or is refused.

use std::rc::Rc;

use super::hook::{WITHDRAWN, Wish};
use super::{Connection, Role};
use crate::command::Params;
use crate::event::Stage;
use crate::keys::is_key_shaped;
use crate::media::{Kind, Micros};
use crate::pipeline::hub::Hub;
use crate::pipeline::parts::PublishPolicy;
use crate::pipeline::reader::ReaderKind;
use crate::pipeline::shard::Shard;
use crate::rtmp::{PlayRefusal, Query, flv};
use crate::stats::Attempt;

/// How long a player waits for a stream that nobody publishes yet before it is refused: whoever
/// starts player and encoder together need not hit an order.
const STREAM_WAIT: Micros = Micros::from_secs(5);

/// Requests to play that are refused in a row before the connection is closed: each may cost a
/// question to a hook. One that asks for nothing more is closed by the idle limit.
const REFUSED_PLAYS_MAX: u32 = 16;

impl Connection {
    /// The peer wants to play; hooks may see these of its parameters.
    pub(super) fn wish_to_play(self: &Rc<Self>, shard: &Rc<Shard>, name: String, params: Params) {
        self.begin(shard, Stage::Play, &public(shard, &name));
        self.after_hooks(shard, Wish::Play { name }, params);
    }

    /// The peer may play: as soon as the stream is there.
    pub(super) fn await_stream(self: &Rc<Self>, shard: &Rc<Shard>, name: String) {
        let until = shard.clock.now() + STREAM_WAIT;
        *self.role.borrow_mut() = Role::AwaitsStream(name.into(), until);
        self.on_stream(shard);
    }

    /// Starts to play if the stream is there.
    pub(super) fn on_stream(self: &Rc<Self>, shard: &Rc<Shard>) {
        let Some(name) = self.awaited_stream() else { return };
        if self.is_kept_from(shard, &name) {
            return self.want(shard, &name);
        }
        let Some(hub) = shard.find(&name) else { return self.want(shard, &name) };
        let seat = match shard.seat(&hub) {
            Ok(seat) => seat,
            Err(text) => return self.refuse_play(shard, PlayRefusal::Full, text),
        };
        if let Some(format) = self.missing_codec(&hub) {
            let refusal = PlayRefusal::Codec(format);
            return self.refuse_play(shard, refusal, &refusal.to_string());
        }
        *self.role.borrow_mut() = Role::Pending;
        self.session.borrow_mut().set_path(hub.hops());
        if !self.session.borrow_mut().accept_play() {
            self.done(shard, Stage::Play, WITHDRAWN);
            return self.on_answered(shard);
        }
        shard.stats.play_attempt(Attempt::Ok);
        self.pass_on();
        self.reader.set_kind(match self.is_preview.get() {
            true => ReaderKind::Preview,
            false => ReaderKind::Viewer,
        });
        shard.add_reader(&hub, &self.reader, self.session.borrow().framing());
        *self.role.borrow_mut() = Role::Player(hub);
        self.on_playback(shard);
        self.refused_plays.set(0);
        self.seat.set(Some(seat));
        self.begun(shard, Stage::Play);
        self.pass_on();
        self.reader.wake();
    }

    /// The player is sent as much of its stream as it wants.
    pub(super) fn on_playback(&self, shard: &Shard) {
        let role = self.role.borrow();
        let Role::Player(hub) = &*role else { return };
        let playback = self.session.borrow().playback();
        let waits_for_key = self.reader.set_playback(&hub.log.borrow(), playback);
        if waits_for_key {
            shard.want_key(hub);
        }
    }

    /// The player goes on where new ones begin.
    pub(super) fn on_seek(&self, shard: &Shard) {
        if let Role::Player(hub) = &*self.role.borrow() {
            self.reader.restart(shard.spec().start);
            shard.want_key_for_start(hub);
        }
    }

    /// The stream it wants to play and that was not there when it asked.
    pub(in crate::pipeline) fn awaited_stream(&self) -> Option<Box<str>> {
        match &*self.role.borrow() {
            Role::AwaitsStream(name, _) => Some(name.clone()),
            _ => None,
        }
    }

    /// The stream's codec, if the player said at connect that it does not take it.
    fn missing_codec(&self, hub: &Hub) -> Option<flv::VideoFormat> {
        let log = hub.log.borrow();
        let video = flv::Video::parse(log.header_of(Kind::Video)?.body())?;
        let taken = self.session.borrow().takes_video(&video);
        (!taken).then_some(video.format)
    }

    pub(super) fn refuse_play(&self, shard: &Rc<Shard>, refusal: PlayRefusal, text: &str) {
        *self.role.borrow_mut() = Role::Pending;
        shard.stats.play_attempt(match refusal {
            PlayRefusal::StreamNotFound => Attempt::NotFound,
            PlayRefusal::Denied | PlayRefusal::Codec(_) => Attempt::Denied,
            PlayRefusal::Full => Attempt::Limit,
            PlayRefusal::Failed => Attempt::Error,
        });
        self.session.borrow_mut().refuse_play(refusal, text);
        self.done(shard, Stage::Play, text);
        self.pass_on();
        // Some are refused when their time is over, without having said anything: it is sent now.
        self.reader.wake();
        // An RTMP player may go on with another name (RTMP 1.0, 7.2.2.1). An HTTP response has said
        // all there is, and a node that is full has no room for those who only stay connected.
        self.refused_plays.set(self.refused_plays.get() + 1);
        let has_ended = self.session.borrow().is_web() || refusal == PlayRefusal::Full;
        if has_ended || self.refused_plays.get() >= REFUSED_PLAYS_MAX {
            self.close(shard, text);
        }
    }
}

/// Whether a player says that it plays for somebody who runs the node. It takes a viewer's seat all
/// the same: anybody can say so.
pub(super) fn says_preview(query: &Query) -> bool {
    query.get("preview").as_deref() == Some("1")
}

/// The path as events show it. Some ask to play what they publish with: the key.
fn public(shard: &Shard, path: &str) -> String {
    let hide = |part| if is_key_shaped(part) { "***" } else { part };
    match shard.spec().publish {
        PublishPolicy::Key if !shard.is_taken(path) => {
            path.split('/').map(hide).collect::<Vec<_>>().join("/")
        }
        PublishPolicy::Key | PublishPolicy::Open => path.to_owned(),
    }
}
