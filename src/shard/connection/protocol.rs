//! Protocol of a connection: RTMP, or HTTP on the same port. The first byte tells which.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::command::StreamSnapshot;
use crate::event::Stage;
use crate::frame::Budget;
use crate::media::Micros;
use crate::rtmp::{self, Hops, PlayRefusal, Playback, PublishRefusal, Server, ServerEvent};
use crate::shard::context::Context;
use crate::stats::Limit;
use crate::stream::Framing;
use crate::web;

/// The protocol's side of a connection: one set of calls, whatever the peer speaks.
#[derive(Serialize, Deserialize)]
pub(super) struct Protocol {
    session: Session,
    /// Whether the peer has sent anything.
    has_begun: bool,
}

#[derive(Serialize, Deserialize)]
enum Session {
    Rtmp(Box<Server>),
    Web(Box<web::Session>),
}

/// Something that a peer asked for or sent.
pub(super) enum ProtocolEvent {
    Rtmp(ServerEvent),
    Web(web::Event),
}

impl Protocol {
    /// A peer that has not said anything: it speaks RTMP unless its first byte says otherwise.
    pub(super) fn new(server: Server) -> Self {
        Self { session: Session::Rtmp(Box::new(server)), has_begun: false }
    }

    /// It was read from a snapshot: its unfinished messages come from this budget. `false` if it
    /// contradicts itself.
    #[must_use]
    pub(super) fn resume(&mut self, budget: &Arc<Budget>) -> bool {
        match &mut self.session {
            Session::Rtmp(server) => server.resume(budget),
            Session::Web(web) => web.is_whole(),
        }
    }

    /// The form in which it gets the messages of a stream.
    pub(super) fn framing(&self) -> Framing {
        match &self.session {
            Session::Rtmp(server) => Framing::Chunks(server.stream_id()),
            Session::Web(web) if web.is_web_socket() => Framing::WebSocketFlv,
            Session::Web(web) if web.is_chunked() => Framing::ChunkedFlv,
            Session::Web(_) => Framing::Flv,
        }
    }

    /// `rtmp`, `http-flv`, `ws-flv` or `http-snapshot`.
    pub(super) fn name(&self) -> &'static str {
        match &self.session {
            Session::Rtmp(_) => "rtmp",
            Session::Web(web) if web.is_web_socket() => "ws-flv",
            Session::Web(web) if web.wants_picture() => "http-snapshot",
            Session::Web(_) => "http-flv",
        }
    }

    pub(super) const fn is_web(&self) -> bool {
        matches!(self.session, Session::Web(_))
    }

    pub(super) fn feed(&mut self, cx: &Context, bytes: &[u8]) -> Result<(), rtmp::Error> {
        let now = cx.now;
        if let (false, Some(&first)) = (self.has_begun, bytes.first()) {
            self.has_begun = true;
            if web::begins_request(first) {
                let by = now + cx.spec.handshake_timeout;
                let cors = Arc::clone(&cx.spec.cors);
                let session = web::Session::new(cors, by, cx.spec.pings());
                self.session = Session::Web(Box::new(session));
            }
        }
        match &mut self.session {
            Session::Rtmp(server) => server.feed(bytes, now, &cx.packets),
            Session::Web(web) => {
                web.feed(bytes);
                Ok(())
            }
        }
    }

    /// Whether the peer is to be read.
    pub(super) const fn wants_input(&self) -> bool {
        match &self.session {
            Session::Rtmp(server) => server.wants_input(),
            Session::Web(_) => true,
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<ProtocolEvent> {
        match &mut self.session {
            Session::Rtmp(server) => server.poll_event().map(ProtocolEvent::Rtmp),
            Session::Web(web) => web.poll_event().map(ProtocolEvent::Web),
        }
    }

    /// Looks at deadlines: which one has passed, and what to say about it.
    pub(super) fn tick(&mut self, now: Micros) -> Result<(), (Limit, String)> {
        match &mut self.session {
            Session::Rtmp(server) => server.tick(now).map_err(|error| {
                let limit = match error {
                    rtmp::Error::Idle => Limit::Idle,
                    rtmp::Error::Silent => Limit::Silence,
                    _ => Limit::Handshake,
                };
                (limit, error.to_string())
            }),
            Session::Web(web) => web.tick(now).map_err(|overdue| {
                let limit = match overdue {
                    web::Overdue::Request => Limit::Handshake,
                    web::Overdue::Silence => Limit::Silence,
                };
                (limit, overdue.text().to_owned())
            }),
        }
    }

    /// What was said before still waits to be sent at `now`.
    pub(super) fn hold_back(&mut self, now: Micros) {
        match &mut self.session {
            Session::Rtmp(server) => server.hold_back(now),
            Session::Web(web) => web.hold_back(now),
        }
    }

    pub(super) fn output(&self) -> &[u8] {
        match &self.session {
            Session::Rtmp(server) => server.output(),
            Session::Web(web) => web.output(),
        }
    }

    /// Whether the peer is not in the middle of a message.
    pub(super) const fn is_between_messages(&self) -> bool {
        match &self.session {
            Session::Rtmp(server) => server.is_between_messages(),
            Session::Web(_) => true,
        }
    }

    pub(super) fn consume_output(&mut self, count: usize) {
        match &mut self.session {
            Session::Rtmp(server) => server.consume_output(count),
            Session::Web(web) => web.consume_output(count),
        }
    }

    /// Tells a peer whose request is not decided that it is over.
    pub(super) fn refuse(&mut self, stage: Stage, text: &str) {
        match stage {
            Stage::Connect => self.refuse_connect(text),
            Stage::Publish => drop(self.refuse_publish(PublishRefusal::Failed, text)),
            Stage::Play => self.refuse_play(PlayRefusal::Failed, text),
        }
    }

    pub(super) fn accept_connect(&mut self) {
        if let Session::Rtmp(server) = &mut self.session {
            server.accept_connect();
        }
    }

    pub(super) fn refuse_connect(&mut self, text: &str) {
        match &mut self.session {
            Session::Rtmp(server) => server.refuse_connect(text),
            Session::Web(web) => web.forbid_play(text),
        }
    }

    /// Whether the peer asks for one picture of a stream.
    pub(super) const fn wants_picture(&self) -> bool {
        match &self.session {
            Session::Rtmp(_) => false,
            Session::Web(web) => web.wants_picture(),
        }
    }

    /// Gives the peer the picture that it wants.
    pub(super) fn give_picture(&mut self, snapshot: &StreamSnapshot) {
        if let Session::Web(web) = &mut self.session {
            web.give_picture(&snapshot.etag, &snapshot.jpeg);
        }
    }

    /// Tells an HTTP peer what is wrong with its request.
    pub(super) fn refuse_request(&mut self, text: &str) {
        if let Session::Web(web) = &mut self.session {
            web.refuse_request(text);
        }
    }

    /// The query of an HTTP request that is not decided. May hold a secret.
    pub(super) fn web_query(&self) -> &str {
        match &self.session {
            Session::Rtmp(_) => "",
            Session::Web(web) => web.query(),
        }
    }

    /// What the peer wants to be sent of its stream.
    pub(super) fn playback(&self) -> Playback {
        match &self.session {
            Session::Rtmp(server) => server.playback(),
            Session::Web(_) => Playback::default(),
        }
    }

    pub(super) fn accept_publish(&mut self, text: &str) -> bool {
        match &mut self.session {
            Session::Rtmp(server) => server.accept_publish_with(text),
            Session::Web(_) => false,
        }
    }

    pub(super) fn refuse_publish(&mut self, refusal: PublishRefusal, text: &str) -> bool {
        match &mut self.session {
            Session::Rtmp(server) => server.refuse_publish(refusal, text),
            Session::Web(_) => false,
        }
    }

    pub(super) fn end_publish(&mut self, refusal: PublishRefusal, text: &str) {
        if let Session::Rtmp(server) = &mut self.session {
            server.end_publish(refusal, text);
        }
    }

    /// What an RTMP peer said at connect that it can do; of an HTTP peer nothing is known.
    pub(super) fn takes_video(&self, video: &rtmp::flv::Video) -> bool {
        match &self.session {
            Session::Rtmp(server) => server.capabilities().takes_video(video),
            Session::Web(_) => true,
        }
    }

    /// Whether the peer has said that it takes such a stream, or every player does: at connect, or
    /// over HTTP by `codecs` of its query.
    pub(super) fn names(
        &self,
        video: Option<&rtmp::flv::Video>,
        audio: Option<&rtmp::flv::Audio>,
    ) -> bool {
        let listed;
        let capabilities = match &self.session {
            Session::Rtmp(server) => server.capabilities(),
            Session::Web(_) => {
                let codecs = rtmp::Query::new(self.web_query()).get("codecs");
                listed = rtmp::Capabilities::of_list(codecs.as_deref().unwrap_or_default());
                &listed
            }
        };
        video.is_none_or(|video| capabilities.names_video(video))
            && audio.is_none_or(|audio| capabilities.names_audio(audio))
    }

    /// Asks the peer to connect again, if it is one that understands that.
    pub(super) fn request_reconnect(&mut self, tc_url: Option<&str>, reason: &str) -> bool {
        match &mut self.session {
            Session::Rtmp(server) => server.request_reconnect(tc_url, reason),
            Session::Web(_) => false,
        }
    }

    /// Through where the stream has come that is about to be played.
    pub(super) fn set_path(&mut self, path: Hops) {
        if let Session::Rtmp(server) = &mut self.session {
            server.set_path(path);
        }
    }

    /// Whether the stream is to follow.
    pub(super) fn accept_play(&mut self) -> bool {
        match &mut self.session {
            Session::Rtmp(server) => server.accept_play(),
            Session::Web(web) => web.accept_play(),
        }
    }

    pub(super) fn refuse_play(&mut self, refusal: PlayRefusal, text: &str) {
        match &mut self.session {
            Session::Rtmp(server) => {
                server.refuse_play(refusal, text);
            }
            Session::Web(web) if refusal == PlayRefusal::Full => web.refuse_full(text),
            Session::Web(web) if refusal == PlayRefusal::Denied => web.forbid_play(text),
            Session::Web(web) => web.refuse_play(text),
        }
    }

    /// Says that what it plays has ended.
    pub(super) fn end_play(&mut self) {
        match &mut self.session {
            Session::Rtmp(server) => server.end_play(),
            Session::Web(web) => web.end_play(),
        }
    }
}
