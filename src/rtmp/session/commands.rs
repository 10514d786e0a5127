//! What a peer of a server asks, and the answers that need no decision of the owner.

use crate::frame::PacketPool;
use crate::rtmp::amf0::Value;
use crate::rtmp::chunk::Message;
use crate::rtmp::limits::{EVENTS_MAX, HELD_BYTES_MAX, HELD_COMMANDS_MAX};
use crate::rtmp::message::{Command, type_id};
use crate::rtmp::name::{Address, App};
use crate::rtmp::{Error, media};

use super::server::{Held, Role, Server, ServerEvent, State, TOO_MANY_EVENTS, Wish};
use super::status::{Connect, PlayRefusal, PublishRefusal, info, text_of};

impl Server {
    pub(super) fn message(&mut self, message: Message, pool: &PacketPool) -> Result<(), Error> {
        if matches!(message.type_id, type_id::COMMAND | type_id::COMMAND_AMF3) {
            return self.command(&message);
        }
        if !self.is_publishing() {
            return Ok(());
        }
        let events = &mut self.events;
        media::each(message, pool, |kind, time, body| {
            events.push_back(ServerEvent::Message { kind, time, body });
            if events.len() > EVENTS_MAX { Err(TOO_MANY_EVENTS) } else { Ok(()) }
        })
    }

    fn command(&mut self, message: &Message) -> Result<(), Error> {
        let Some(command) = self.link.command_of(message)? else { return Ok(()) };
        let before = self.link.output().len();
        match self.state {
            _ if command.name == "connect" => self.connect(&command),
            State::Connected { .. } => self.run(&command, message.stream_id),
            State::Asked { .. } => {
                self.held.bytes += message.body.len();
                self.held.commands.push((command, message.stream_id));
                if self.held.bytes > HELD_BYTES_MAX || self.held.commands.len() > HELD_COMMANDS_MAX
                {
                    return Err(Error::Limit("too many commands before the answer to connect"));
                }
            }
            State::Refused => {}
            State::Handshake { .. } | State::AwaitConnect { .. } => {
                return Err(Error::Protocol("a command came before connect"));
            }
        }
        self.link.charge(before)
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
        self.held = Held::default();
    }

    /// A command of a connected peer.
    pub(super) fn run(&mut self, command: &Command, stream_id: u32) {
        match command.name.as_str() {
            "publish" => self.ask(Wish::Publish, command, stream_id),
            "play" => self.ask(Wish::Play, command, stream_id),
            "createStream" => {
                let result = [Value::Null, Value::Number(STREAM_ID)];
                self.link.command(0, "_result", command.transaction, &result);
            }
            // GStreamer names the stream here where others give its id: there is only one.
            "deleteStream" | "closeStream" => self.leave(None),
            "FCUnpublish" => {
                self.reply(command, Value::Null);
                self.leave(Some(Wish::Publish));
            }
            "close" => {
                self.leave(None);
                self.events.push_back(ServerEvent::PeerClosed);
            }
            "getStreamLength" => self.reply(command, 0.0.into()),
            "_result" | "_error" | "onStatus" => {}
            // releaseStream, FCPublish, FCSubscribe, _checkbw, pause, seek, receiveAudio...
            _ => self.reply(command, Value::Null),
        }
    }

    /// Answers a call, if an answer is wanted.
    fn reply(&mut self, command: &Command, value: Value) {
        if command.transaction != 0.0 {
            self.link.command(0, "_result", command.transaction, &[Value::Null, value]);
        }
    }

    fn ask(&mut self, wish: Wish, command: &Command, stream_id: u32) {
        let State::Connected { app } = &self.state else { return };
        let address = match self.role {
            Role::Idle => app.address(command.text().unwrap_or_default()),
            Role::Asked(..) | Role::Withdrawn(_) => Err("another request is being decided"),
            Role::Active(..) => Err("this connection already has a stream"),
        };
        match address {
            Ok(Address { app, name, query }) => {
                self.role = Role::Asked(wish, stream_id);
                self.events.push_back(match wish {
                    Wish::Publish => ServerEvent::Publish { app, name, query },
                    Wish::Play => ServerEvent::Play { app, name, query },
                });
            }
            Err(why) => {
                let code = match wish {
                    Wish::Publish => PublishRefusal::BadName.code(),
                    Wish::Play => PlayRefusal::StreamNotFound.code(),
                };
                self.error_status(stream_id, code, why);
                self.events.push_back(ServerEvent::Refused(why));
            }
        }
    }

    /// The peer ends what it does, or only if that is `what`.
    fn leave(&mut self, what: Option<Wish>) {
        let (Role::Asked(wish, _) | Role::Active(wish, _)) = self.role else { return };
        if what.is_some_and(|what| what != wish) {
            return;
        }
        match self.role {
            Role::Asked(..) => self.role = Role::Withdrawn(wish),
            Role::Active(Wish::Publish, stream_id) => {
                self.rest();
                let status = info(false, "NetStream.Unpublish.Success", "Stopped publishing.");
                self.link.command(stream_id, "onStatus", 0.0, &[Value::Null, status]);
            }
            _ => self.rest(),
        }
        self.events.push_back(match wish {
            Wish::Publish => ServerEvent::PublishEnd,
            Wish::Play => ServerEvent::PlayEnd,
        });
    }

    /// The owner has decided: the stream id of the request, if it still stands.
    pub(super) fn settle(&mut self, wish: Wish) -> Option<u32> {
        match self.role {
            Role::Asked(asked, stream_id) if asked == wish => {
                self.rest();
                Some(stream_id)
            }
            Role::Withdrawn(asked) if asked == wish => {
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

/// The stream id that `createStream` gives. One is enough: a connection has one role.
const STREAM_ID: f64 = 1.0;

const CONNECT_REJECTED: &str = "NetConnection.Connect.Rejected";
