//! RTMP and HTTP play: a connection waits for its stream and becomes a player, or is refused.

use std::sync::Arc;

use super::request::{Request, WITHDRAWN};
use super::{Connection, Role};
use crate::command::Params;
use crate::event::Stage;
use crate::keys::is_key_shaped;
use crate::media::{Kind, Micros};
use crate::rtmp::{PlayRefusal, Query, flv};
use crate::shard::admission::admit_viewer;
use crate::shard::outbound::ReaderKind;
use crate::shard::shared::Shared;
use crate::shard::spec::PublishPolicy;
use crate::shard::streams::Stream;
use crate::shard::substitute::codecs_of;
use crate::stats::Attempt;

/// How long a player waits for a stream that nobody publishes yet before it is refused: whoever
/// starts player and encoder together need not hit an order.
const STREAM_WAIT: Micros = Micros::from_secs(5);

/// Requests to play that are refused in a row before the connection is closed: each may cost a
/// question to a hook. One that asks for nothing more is closed by the idle limit.
const REFUSED_PLAYS_MAX: u32 = 16;

impl Connection {
    /// The peer wants to play; hooks may see these of its parameters.
    pub(super) fn ask_to_play(&mut self, shared: &mut Shared, name: String, params: Params) {
        let shown = shown_path(shared, &name);
        self.begin(shared, Stage::Play, &shown);
        self.after_hooks(shared, Request::Play { name }, params);
    }

    /// Whether a player says that it plays for somebody who runs the node. It takes a permit of a
    /// viewer all the same: anybody can say so.
    pub(super) fn note_preview(&mut self, query: &Query) {
        self.is_preview = query.get("preview").as_deref() == Some("1");
    }

    /// The peer may play: as soon as the stream is there.
    pub(super) fn await_stream(&mut self, shared: &mut Shared, name: &str) {
        let until = shared.cx.now + STREAM_WAIT;
        self.role = Role::AwaitsStream(Arc::from(name), until);
        shared.waiting_players.push(self.out.id);
        self.on_available(shared);
    }

    /// Whether it waits for a stream of this name.
    pub(in crate::shard) fn awaits_stream(&self, name: &str) -> bool {
        matches!(&self.role, Role::AwaitsStream(wanted, _) if **wanted == *name)
    }

    /// Starts to play if the stream is there.
    pub(in crate::shard) fn on_available(&mut self, shared: &mut Shared) {
        let Role::AwaitsStream(name, _) = &self.role else { return };
        let name = Arc::clone(name);
        if self.is_kept_from(shared, &name) {
            return self.want(shared, &name);
        }
        let Some(id) = shared.streams.find(&mut shared.cx, &name) else {
            return self.want(shared, &name);
        };
        let Some(stream) = shared.streams.get(id) else { return };
        if self.protocol.wants_picture() {
            return match admit_viewer(&shared.cx, stream) {
                Ok(_unused) => self.await_snapshot(shared, name),
                Err(text) => self.refuse_play(shared, PlayRefusal::Full, text),
            };
        }
        if let Some(twin) = shared.streams.substitute_of(&name) {
            if !stream.is_known() {
                return; // its headers come in a moment
            }
            if !self.can_take(stream) {
                return self.await_twin(shared, twin);
            }
        }
        let permit = match admit_viewer(&shared.cx, stream) {
            Ok(permit) => permit,
            Err(text) => return self.refuse_play(shared, PlayRefusal::Full, text),
        };
        if let Some(format) = self.missing_codec(stream) {
            let refusal = PlayRefusal::Codec(format);
            return self.refuse_play(shared, refusal, &refusal.to_string());
        }
        let hops = stream.hops.clone();
        self.stop_waiting(shared);
        self.protocol.set_path(hops);
        if !self.protocol.accept_play() {
            self.done(shared, Stage::Play, WITHDRAWN);
            return self.on_answered(shared);
        }
        shared.cx.stats.play_attempt(Attempt::Ok);
        self.pass_on();
        self.out.kind = if self.is_preview { ReaderKind::Preview } else { ReaderKind::Viewer };
        let framing = self.protocol.framing();
        shared.streams.add_viewer(&mut shared.cx, id, &mut self.out, framing);
        if self.is_relay()
            && let Some(stream) = shared.streams.get_mut(id)
        {
            stream.relays.push(self.out.id);
        }
        self.role = Role::Player(id);
        self.on_playback(shared);
        self.refused_plays = 0;
        self.permit = Some(permit);
        self.begun(shared, Stage::Play);
    }

    /// The player is sent as much of its stream as it wants.
    pub(super) fn on_playback(&mut self, shared: &mut Shared) {
        let Role::Player(id) = self.role else { return };
        let Some(stream) = shared.streams.get(id) else { return };
        if self.out.set_playback(&stream.log, self.protocol.playback()) {
            shared.streams.want_key_at(shared.cx.now, id);
        }
    }

    /// The player goes on where new ones begin.
    pub(super) fn on_seek(&mut self, shared: &mut Shared) {
        if let Role::Player(id) = self.role {
            let Some(stream) = shared.streams.get(id) else { return };
            self.out.restart(shared.cx.spec.start_of(&stream.name));
            shared.streams.want_key_for_start(&shared.cx, id);
        }
    }

    /// Whether the player has said that it takes the codecs of the stream, or every player does.
    fn can_take(&self, stream: &Stream) -> bool {
        let (video, audio) = codecs_of(stream);
        self.protocol.names(video.as_ref(), audio.as_ref())
    }

    /// The player is given another stream in the place of the one that it asked for.
    fn await_twin(&mut self, shared: &mut Shared, twin: Arc<str>) {
        let Role::AwaitsStream(name, _) = &mut self.role else { return };
        *name = twin;
        self.on_available(shared);
    }

    /// The stream's codec, if the player said at connect that it does not take it.
    fn missing_codec(&self, stream: &Stream) -> Option<flv::VideoFormat> {
        let video = flv::Video::parse(stream.log.header_of(Kind::Video)?.body())?;
        let taken = self.protocol.takes_video(&video);
        (!taken).then_some(video.format)
    }

    pub(super) fn stop_waiting(&mut self, shared: &mut Shared) {
        shared.waiting_players.retain(|peer| *peer != self.out.id);
        self.role = Role::Pending;
    }

    pub(super) fn refuse_play(&mut self, shared: &mut Shared, refusal: PlayRefusal, text: &str) {
        self.stop_waiting(shared);
        shared.cx.stats.play_attempt(match refusal {
            PlayRefusal::StreamNotFound => Attempt::NotFound,
            PlayRefusal::Denied | PlayRefusal::Codec(_) => Attempt::Denied,
            PlayRefusal::Full => Attempt::Limit,
            PlayRefusal::Failed => Attempt::Error,
        });
        self.protocol.refuse_play(refusal, text);
        self.done(shared, Stage::Play, text);
        // An RTMP player may go on with another name (RTMP 1.0, 7.2.2.1). An HTTP response has said
        // all there is, and a node that is full has no room for those who only stay connected.
        self.refused_plays += 1;
        let has_ended = self.protocol.is_web() || refusal == PlayRefusal::Full;
        if has_ended || self.refused_plays >= REFUSED_PLAYS_MAX {
            self.close(shared.cx.now, text);
        }
    }
}

/// The path as events show it. Some ask to play what they publish with: the key.
fn shown_path(shared: &Shared, path: &str) -> String {
    let hide = |part| if is_key_shaped(part) { "***" } else { part };
    match shared.cx.spec.publish {
        PublishPolicy::Key if !shared.streams.is_taken(path) => {
            path.split('/').map(hide).collect::<Vec<_>>().join("/")
        }
        PublishPolicy::Key | PublishPolicy::Open => path.to_owned(),
    }
}
