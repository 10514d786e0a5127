//! Whatever a peer says to a server: events or an error, and bounded memory. The first byte says
//! how far the connection has got when the peer begins.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stream_manager_fuzz::media::{Kind, Micros};
use stream_manager_fuzz::rtmp::amf0::Value;
use stream_manager_fuzz::rtmp::limits::EVENTS_MAX;
use stream_manager_fuzz::rtmp::{
    PlayRefusal, PublishRefusal, Server, ServerEvent, ServerSpec, flv, type_id,
};
use stream_manager_fuzz::{OUTPUT_MAX, Record, Script, hello, message, with_pool};

struct Owner {
    server: Server,
    now: Micros,
    /// Whether requests are granted as they come.
    willing: bool,
}

impl Owner {
    fn feed(&mut self, bytes: &[u8]) -> Option<()> {
        let fed = with_pool(|pool| self.server.feed(bytes, self.now, pool));
        let mut events = 0;
        while let Some(event) = self.server.poll_event() {
            events += 1;
            match event {
                ServerEvent::Connect(connect) => {
                    assert!(!connect.app.is_empty());
                    self.server.accept_connect();
                }
                ServerEvent::Publish { name, .. } if self.willing => {
                    assert!(!name.expose().is_empty());
                    self.server.accept_publish();
                }
                ServerEvent::Play { .. } if self.willing => {
                    self.server.accept_play();
                }
                ServerEvent::Message { kind, body, .. } => {
                    assert!(!body.is_empty());
                    let _facts = flv::TagInfo::of(kind, &body);
                }
                _ => {}
            }
        }
        assert!(events <= 2 * EVENTS_MAX);
        assert!(self.server.output().len() <= OUTPUT_MAX);
        assert!(!(self.server.is_playing() && self.server.is_publishing()));
        fed.ok()
    }

    fn decide(&mut self, byte: u8) {
        let server = &mut self.server;
        match byte % 9 {
            0 => drop(server.accept_publish()),
            1 => drop(server.refuse_publish(PublishRefusal::Denied, "no")),
            2 => drop(server.accept_play()),
            3 => drop(server.refuse_play(PlayRefusal::Failed, "no")),
            4 => server.end_play(),
            5 => server.end_publish(PublishRefusal::Failed, "over"),
            6 => drop(server.request_reconnect(Some("rtmp://other/live"), "going")),
            7 => drop(server.write_message(Kind::Video, byte.into(), &[byte; 300])),
            _ => self.willing = !self.willing,
        }
    }
}

fn command(stream: u32, name: &str, values: &[Value]) -> Vec<u8> {
    let mut body = Vec::new();
    Value::from(name).encode(&mut body);
    Value::Number(1.0).encode(&mut body);
    values.iter().for_each(|value| value.encode(&mut body));
    message(type_id::COMMAND, stream, 0, &body)
}

fuzz_target!(|data: &[u8]| {
    let [mode, data @ ..] = data else { return };
    let server = Server::new(ServerSpec::default(), Micros(0), [7; 32]);
    let mut owner = Owner { server, now: Micros(0), willing: true };
    let connect = command(0, "connect", &[Value::object([("app", "live".into())])]);
    let publish = command(1, "publish", &[Value::Null, "show".into()]);
    let mut begun = || {
        let stages = [&hello()[..], &connect, &publish];
        let stages = &stages[..usize::from(mode & 3)];
        stages.iter().try_for_each(|bytes| owner.feed(bytes))
    };
    begun().expect("a proper beginning");
    // What programs said, byte for byte.
    if mode & 4 == 0 {
        let step = usize::from(mode >> 3).pow(2) + 1;
        let _end = data.chunks(step.max(16)).try_for_each(|piece| owner.feed(piece));
        return;
    }
    for record in Script(data) {
        let gone = match record {
            Record::Feed(bytes) => owner.feed(&bytes).is_none(),
            Record::Decide(byte) => {
                owner.decide(byte);
                false
            }
            Record::Pass(tenths) => {
                owner.now = owner.now + Micros::from_millis(u64::from(tenths) * 100);
                owner.server.tick(owner.now).is_err()
            }
            Record::Send(keep) => {
                let waiting = owner.server.output().len();
                owner.server.consume_output(waiting.saturating_sub(keep.into()));
                false
            }
        };
        if gone {
            return;
        }
    }
});
