//! Commands of a peer to a server, what waits for the owner's decision, and the answers that need
//! none.

use crate::rtmp::Error;
use crate::rtmp::amf0::Value;
use crate::rtmp::message::Command;
use crate::rtmp::name::{Address, App};

use super::inbox::Item;
use super::playback::Playback;
use super::server::{Request, Role, Server, ServerEvent, State};
use super::status::{Connect, PlayRefusal, PublishRefusal, info, saturate, text_of};

impl Server {
    /// Acts on what has come up to the next event. While the owner decides, what must not wait goes
    /// ahead of what must.
    pub(super) fn go_on(&mut self) {
        while self.events.is_empty() && self.link.check().is_ok() {
            if !self.is_asking() {
                self.link.let_go();
            }
            match self.link.inbox.next().map(|item| self.waits(item)) {
                None => return,
                Some(true) => self.link.hold_next(),
                Some(false) => {
                    let item = self.link.inbox.take_next();
                    item.into_iter().for_each(|item| self.act_on(item));
                }
            }
        }
    }

    /// Whether the owner has yet to decide about something that others have to wait for.
    pub(super) const fn is_asking(&self) -> bool {
        self.is_between_requests() || matches!(self.role, Role::Asked(Request::Publish, _))
    }

    /// Whether no other request can be heard: the owner has yet to answer `connect`, or a request
    /// that the peer has withdrawn, and that answer must not be taken for one to what comes now.
    const fn is_between_requests(&self) -> bool {
        matches!(self.state, State::Asked { .. }) || matches!(self.role, Role::Withdrawn(_))
    }

    /// Whether the owner's decision comes first. Commands do not wait for one about publishing: the
    /// peer may withdraw its request.
    const fn waits(&self, item: &Item) -> bool {
        match item {
            Item::Answer(_) => false,
            Item::Command { .. } => self.is_between_requests(),
            Item::Media { .. } => self.is_asking(),
        }
    }

    fn act_on(&mut self, item: Item) {
        match item {
            Item::Answer(answer) => self.link.answer(answer),
            Item::Command { command, stream_id, .. } => {
                let before = self.link.output().len();
                self.command(command, stream_id);
                self.link.charge(before);
            }
            Item::Media { kind, time, body } if self.is_publishing() => {
                self.events.push_back(ServerEvent::Message { kind, time, body });
            }
            Item::Media { .. } => self.ignored += 1,
        }
    }

    fn command(&mut self, command: Command, stream_id: u32) {
        match self.state {
            _ if command.name == "connect" => self.connect(&command),
            State::Connected { .. } => self.run(command, stream_id),
            State::Refused => {}
            // Those that come after `connect` wait for its answer.
            State::Handshake { .. } | State::AwaitConnect { .. } | State::Asked { .. } => {
                self.link.fail(Error::Protocol("a command came before connect"));
            }
        }
    }

    fn connect(&mut self, command: &Command) {
        if !matches!(self.state, State::AwaitConnect { .. }) {
            if command.transaction != 0.0 {
                let status = info(true, CONNECT_REJECTED, "already connected");
                self.link.command(0, "_error", command.transaction, &[Value::Null, status]);
            }
            return;
        }
        let tc_url = text_of(&command.object, "tcUrl");
        match App::parse(text_of(&command.object, "app"), tc_url) {
            Ok(app) => {
                let connect = Connect::of(command, app.first_part(), tc_url);
                self.caps = connect.caps.clone();
                self.is_relay = connect.relaying.is_some();
                self.state = State::Asked { transaction: command.transaction, app };
                self.events.push_back(ServerEvent::Connect(Box::new(connect)));
            }
            Err(why) => {
                self.reject_connect(command.transaction, why);
                self.events.push_back(ServerEvent::Refused(why));
            }
        }
    }

    pub(super) fn reject_connect(&mut self, transaction: f64, description: &str) {
        let status = info(true, CONNECT_REJECTED, description);
        self.link.command(0, "_error", transaction, &[Value::Null, status]);
        self.state = State::Refused;
        self.idle_since = self.link.now();
    }

    /// A command of a connected peer.
    fn run(&mut self, command: Command, stream_id: u32) {
        match command.name.as_str() {
            "publish" => self.ask(Request::Publish, command, stream_id),
            "play" => self.ask(Request::Play, command, stream_id),
            "createStream" => {
                self.streams = self.streams.saturating_add(1);
                let result = [Value::Null, f64::from(self.streams).into()];
                self.link.command(0, "_result", command.transaction, &result);
            }
            // GStreamer names the stream here where others give its id.
            "deleteStream" => self.delete_stream(command.args.first().and_then(Value::as_number)),
            "closeStream" => {
                if self.is_about_what_it_does(stream_id) {
                    self.leave(None);
                }
            }
            "FCUnpublish" => {
                self.reply(&command, Value::Null);
                self.leave(Some(Request::Publish));
            }
            "close" => {
                self.leave(None);
                self.events.push_back(ServerEvent::PeerClosed);
            }
            "pause" | "pauseRaw" => self.pause(&command, stream_id),
            "seek" => self.seek(&command, stream_id),
            "receiveAudio" | "receiveVideo" => self.receive(&command, stream_id),
            "getStreamLength" => self.reply(&command, 0.0.into()),
            "_result" | "_error" | "onStatus" => {}
            // releaseStream, FCPublish, FCSubscribe, _checkbw...
            _ => self.reply(&command, Value::Null),
        }
    }

    /// Answers a call, if an answer is wanted.
    pub(super) fn reply(&mut self, command: &Command, value: Value) {
        if command.transaction != 0.0 {
            self.link.command(0, "_result", command.transaction, &[Value::Null, value]);
        }
    }

    /// Takes a request that can be met, and refuses any other: by itself if the peer does something
    /// already, which goes on.
    fn ask(&mut self, request: Request, command: Command, stream_id: u32) {
        let State::Connected { app } = &self.state else { return };
        let address = app.address(command.text().unwrap_or_default());
        let why = match (&address, self.role) {
            (_, Role::Withdrawn(_)) => return,
            // A player that plays something else on its message stream, or the same anew.
            (Ok(_), Role::Asked(Request::Play, id) | Role::Active(Request::Play, id))
                if request == Request::Play && id == stream_id =>
            {
                self.leave(Some(Request::Play));
                let item = Item::Command { command, stream_id, bytes: 0 };
                return self.link.inbox.put_back(item);
            }
            (Ok(_), Role::Asked(doing, _) | Role::Active(doing, _)) => busy(doing),
            (Ok(_), Role::Idle) => "",
            (Err(why), _) => *why,
        };
        match address {
            Ok(Address { app, name, query }) if self.role == Role::Idle => {
                self.role = Role::Asked(request, stream_id);
                self.playback.paused = false;
                self.events.push_back(match request {
                    Request::Publish => ServerEvent::Publish { app, name, query },
                    Request::Play => ServerEvent::Play { app, name, query },
                });
            }
            _ => {
                self.refuse(request, stream_id, why);
                // A player may go on with another name.
                if self.role == Role::Idle && request == Request::Publish {
                    self.events.push_back(ServerEvent::Refused(why));
                }
            }
        }
    }

    fn refuse(&mut self, request: Request, stream_id: u32, why: &str) {
        let code = match (request, self.role) {
            (Request::Publish, _) => PublishRefusal::BadName.code(),
            (Request::Play, Role::Idle) => PlayRefusal::StreamNotFound.code(),
            (Request::Play, _) => PlayRefusal::Failed.code(),
        };
        self.error_status(stream_id, code, why);
    }

    fn delete_stream(&mut self, number: Option<f64>) {
        if number.is_none_or(|number| self.is_about_what_it_does(saturate(number))) {
            self.leave(None);
            self.playback = Playback::default();
        }
    }

    /// Whether a command that names this message stream is about what the peer does. Some name
    /// another one than they use: that matters only where both were made for them.
    pub(super) fn is_about_what_it_does(&self, stream_id: u32) -> bool {
        let (Role::Asked(_, used) | Role::Active(_, used)) = self.role else { return true };
        let made = 1..=self.streams;
        used == stream_id || !(made.contains(&used) && made.contains(&stream_id))
    }

    /// The peer ends what it does, or only if that is `what`.
    fn leave(&mut self, what: Option<Request>) {
        let (Role::Asked(request, _) | Role::Active(request, _)) = self.role else { return };
        if what.is_some_and(|what| what != request) {
            return;
        }
        match self.role {
            Role::Asked(..) => self.role = Role::Withdrawn(request),
            Role::Active(Request::Publish, stream_id) => {
                self.rest();
                let status = info(false, "NetStream.Unpublish.Success", "Stopped publishing.");
                self.link.command(stream_id, "onStatus", 0.0, &[Value::Null, status]);
            }
            _ => self.rest(),
        }
        self.events.push_back(match request {
            Request::Publish => ServerEvent::PublishEnd,
            Request::Play => ServerEvent::PlayEnd,
        });
    }

    /// The owner has decided: the stream id of the request, if it still stands.
    pub(super) fn settle(&mut self, request: Request) -> Option<u32> {
        match self.role {
            Role::Asked(asked, stream_id) if asked == request => {
                self.rest();
                Some(stream_id)
            }
            Role::Withdrawn(asked) if asked == request => {
                self.rest();
                None
            }
            _ => None,
        }
    }

    pub(super) fn rest(&mut self) {
        self.role = Role::Idle;
        self.idle_since = self.link.now();
    }

    pub(super) fn error_status(&mut self, stream_id: u32, code: &str, description: &str) {
        let status = info(true, code, description);
        self.link.command(stream_id, "onStatus", 0.0, &[Value::Null, status]);
    }
}

/// Why a request is refused beside what the peer does.
const fn busy(doing: Request) -> &'static str {
    match doing {
        Request::Publish => "this connection publishes already: connect again for another stream",
        Request::Play => "this connection plays already: connect again for another stream",
    }
}

const CONNECT_REJECTED: &str = "NetConnection.Connect.Rejected";
