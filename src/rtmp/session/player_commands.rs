//! Player commands (RTMP 1.0 sections 7.2.2.4 to 7.2.2.8): pause, seek, and which of
//! audio and video it wants.

use crate::rtmp::amf0::Value;
use crate::rtmp::message::Command;

use super::server::{Request, Role, Server, ServerEvent};
use super::status::info;

impl Server {
    /// Pauses, or goes on.
    pub(super) fn pause(&mut self, command: &Command, stream_id: u32) {
        let Some(playing) = self.plays(stream_id) else {
            return self.fail(command, "NetStream.Failed", "nothing is played that could pause");
        };
        self.reply(command, Value::Null);
        let pauses = command.args.first() != Some(&Value::Boolean(false));
        self.playback.paused = pauses;
        self.events.push_back(ServerEvent::Playback);
        if pauses {
            self.notify(playing, "NetStream.Pause.Notify", "Paused.");
        } else {
            self.notify(playing, "NetStream.Unpause.Notify", "Playing on, at the present.");
        }
    }

    /// A live stream has one place to be at: where new players begin.
    pub(super) fn seek(&mut self, command: &Command, stream_id: u32) {
        let Some(playing) = self.plays(stream_id) else {
            let text = "nothing is played that could be sought in";
            return self.fail(command, "NetStream.Seek.Failed", text);
        };
        self.reply(command, Value::Null);
        self.events.push_back(ServerEvent::Seek);
        self.notify(playing, SEEK_NOTIFY, "Playing the newest pictures: the stream is live.");
    }

    /// Takes audio or picture from now on, or no longer. Before `play` it counts for what will be
    /// played.
    pub(super) fn receive(&mut self, command: &Command, stream_id: u32) {
        self.reply(command, Value::Null);
        if !self.is_about_what_it_does(stream_id) {
            return;
        }
        let wanted = command.args.first() != Some(&Value::Boolean(false));
        match command.name.as_str() {
            "receiveAudio" => self.playback.audio = wanted,
            _ => self.playback.video = wanted,
        }
        let Some(playing) = self.plays(stream_id) else { return };
        self.events.push_back(ServerEvent::Playback);
        if wanted {
            self.notify(playing, SEEK_NOTIFY, "Playing from the present on.");
            self.notify(playing, "NetStream.Play.Start", "Started playing stream.");
        }
    }

    /// The message stream on which it plays, or has asked to, if a command on `stream_id` is about
    /// that.
    fn plays(&self, stream_id: u32) -> Option<u32> {
        match self.role {
            Role::Asked(Request::Play, playing) | Role::Active(Request::Play, playing) => {
                self.is_about_what_it_does(stream_id).then_some(playing)
            }
            _ => None,
        }
    }

    fn notify(&mut self, stream_id: u32, code: &str, description: &str) {
        let status = info(false, code, description);
        self.link.command(stream_id, "onStatus", 0.0, &[Value::Null, status]);
    }

    /// Answers a call that cannot be met, if an answer is wanted.
    fn fail(&mut self, command: &Command, code: &str, description: &str) {
        if command.transaction != 0.0 {
            let values = [Value::Null, info(true, code, description)];
            self.link.command(0, "_error", command.transaction, &values);
        }
    }
}

const SEEK_NOTIFY: &str = "NetStream.Seek.Notify";
