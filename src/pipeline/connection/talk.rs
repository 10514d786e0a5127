//! Protocol of a connection: RTMP, or HTTP on the same port. Its first byte tells.

use std::sync::Arc;

use crate::frame::PacketPool;
use crate::media::Micros;
use crate::pipeline::shard::Shard;
use crate::rtmp::{self, Hops, PlayRefusal, Playback, PublishRefusal, Server, ServerEvent};
use crate::stats::Limit;
use crate::stream::Framing;
use crate::web;

/// The protocol's side of a connection: one set of calls, whatever the peer speaks.
pub(super) struct Talk {
    tongue: Tongue,
    /// Whether the peer has said anything.
    heard: bool,
}

enum Tongue {
    Rtmp(Box<Server>),
    Web(Box<web::Session>),
}

/// What a peer did.
pub(super) enum Heard {
    Rtmp(ServerEvent),
    Web(web::Event),
}

impl Talk {
    /// A peer that has not said anything: it speaks RTMP unless its first byte says otherwise.
    pub(super) fn new(server: Server) -> Self {
        Self { tongue: Tongue::Rtmp(Box::new(server)), heard: false }
    }

    /// The form in which it gets the messages of a stream.
    pub(super) fn framing(&self) -> Framing {
        match &self.tongue {
            Tongue::Rtmp(server) => Framing::Chunks(server.stream_id()),
            Tongue::Web(web) if web.is_web_socket() => Framing::WebSocketFlv,
            Tongue::Web(web) if web.is_chunked() => Framing::ChunkedFlv,
            Tongue::Web(_) => Framing::Flv,
        }
    }

    /// `rtmp`, `http-flv` or `ws-flv`.
    pub(super) fn protocol(&self) -> &'static str {
        match &self.tongue {
            Tongue::Rtmp(_) => "rtmp",
            Tongue::Web(web) if web.is_web_socket() => "ws-flv",
            Tongue::Web(_) => "http-flv",
        }
    }

    pub(super) const fn is_web(&self) -> bool {
        matches!(self.tongue, Tongue::Web(_))
    }

    pub(super) fn feed(
        &mut self,
        shard: &Shard,
        bytes: &[u8],
        now: Micros,
    ) -> Result<(), rtmp::Error> {
        let packets: &PacketPool = &shard.packets;
        if let (false, Some(&first)) = (self.heard, bytes.first()) {
            self.heard = true;
            if web::begins_request(first) {
                let spec = shard.spec();
                let by = now + spec.handshake_timeout;
                let session = web::Session::new(Arc::clone(&spec.cors), by, spec.pings());
                self.tongue = Tongue::Web(Box::new(session));
            }
        }
        match &mut self.tongue {
            Tongue::Rtmp(server) => server.feed(bytes, now, packets),
            Tongue::Web(web) => {
                web.feed(bytes);
                Ok(())
            }
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<Heard> {
        match &mut self.tongue {
            Tongue::Rtmp(server) => server.poll_event().map(Heard::Rtmp),
            Tongue::Web(web) => web.poll_event().map(Heard::Web),
        }
    }

    /// Looks at deadlines: which one has passed, and what to say about it.
    pub(super) fn tick(&mut self, now: Micros) -> Result<(), (Limit, String)> {
        match &mut self.tongue {
            Tongue::Rtmp(server) => server.tick(now).map_err(|error| {
                let limit = match error {
                    rtmp::Error::Idle => Limit::Idle,
                    rtmp::Error::Silent => Limit::Silence,
                    _ => Limit::Handshake,
                };
                (limit, error.to_string())
            }),
            Tongue::Web(web) => web.tick(now).map_err(|overdue| {
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
        match &mut self.tongue {
            Tongue::Rtmp(server) => server.hold_back(now),
            Tongue::Web(web) => web.hold_back(now),
        }
    }

    pub(super) fn output(&self) -> &[u8] {
        match &self.tongue {
            Tongue::Rtmp(server) => server.output(),
            Tongue::Web(web) => web.output(),
        }
    }

    /// Whether the peer is not in the middle of a message.
    pub(super) const fn is_between_messages(&self) -> bool {
        match &self.tongue {
            Tongue::Rtmp(server) => server.is_between_messages(),
            Tongue::Web(_) => true,
        }
    }

    pub(super) fn consume_output(&mut self, count: usize) {
        match &mut self.tongue {
            Tongue::Rtmp(server) => server.consume_output(count),
            Tongue::Web(web) => web.consume_output(count),
        }
    }

    pub(super) fn accept_connect(&mut self) {
        if let Tongue::Rtmp(server) = &mut self.tongue {
            server.accept_connect();
        }
    }

    pub(super) fn refuse_connect(&mut self, text: &str) {
        match &mut self.tongue {
            Tongue::Rtmp(server) => server.refuse_connect(text),
            Tongue::Web(web) => web.forbid_play(text),
        }
    }

    /// The query of an HTTP request that is not decided. May hold a secret.
    pub(super) fn web_query(&self) -> &str {
        match &self.tongue {
            Tongue::Rtmp(_) => "",
            Tongue::Web(web) => web.query(),
        }
    }

    /// What the peer wants to be sent of its stream.
    pub(super) fn playback(&self) -> Playback {
        match &self.tongue {
            Tongue::Rtmp(server) => server.playback(),
            Tongue::Web(_) => Playback::default(),
        }
    }

    pub(super) fn accept_publish(&mut self, text: &str) -> bool {
        match &mut self.tongue {
            Tongue::Rtmp(server) => server.accept_publish_with(text),
            Tongue::Web(_) => false,
        }
    }

    pub(super) fn refuse_publish(&mut self, refusal: PublishRefusal, text: &str) -> bool {
        match &mut self.tongue {
            Tongue::Rtmp(server) => server.refuse_publish(refusal, text),
            Tongue::Web(_) => false,
        }
    }

    pub(super) fn end_publish(&mut self, refusal: PublishRefusal, text: &str) {
        if let Tongue::Rtmp(server) = &mut self.tongue {
            server.end_publish(refusal, text);
        }
    }

    /// What an RTMP peer said at connect that it can do; of an HTTP peer nothing is known.
    pub(super) fn takes_video(&self, video: &rtmp::flv::Video) -> bool {
        match &self.tongue {
            Tongue::Rtmp(server) => server.capabilities().takes_video(video),
            Tongue::Web(_) => true,
        }
    }

    /// Asks the peer to connect again, if it is one that understands that.
    pub(super) fn request_reconnect(&mut self, tc_url: Option<&str>, reason: &str) -> bool {
        match &mut self.tongue {
            Tongue::Rtmp(server) => server.request_reconnect(tc_url, reason),
            Tongue::Web(_) => false,
        }
    }

    /// Through where the stream has come that is about to be played.
    pub(super) fn set_path(&mut self, path: Hops) {
        if let Tongue::Rtmp(server) = &mut self.tongue {
            server.set_path(path);
        }
    }

    /// Whether the stream is to follow.
    pub(super) fn accept_play(&mut self) -> bool {
        match &mut self.tongue {
            Tongue::Rtmp(server) => server.accept_play(),
            Tongue::Web(web) => web.accept_play(),
        }
    }

    pub(super) fn refuse_play(&mut self, refusal: PlayRefusal, text: &str) {
        match &mut self.tongue {
            Tongue::Rtmp(server) => {
                server.refuse_play(refusal, text);
            }
            Tongue::Web(web) if refusal == PlayRefusal::Full => web.refuse_full(text),
            Tongue::Web(web) if refusal == PlayRefusal::Denied => web.forbid_play(text),
            Tongue::Web(web) => web.refuse_play(text),
        }
    }

    /// Says that what it plays has ended.
    pub(super) fn end_play(&mut self) {
        match &mut self.tongue {
            Tongue::Rtmp(server) => server.end_play(),
            Tongue::Web(web) => web.end_play(),
        }
    }
}
