//! An RTMP server by hand, for what nginx-rtmp does not tell: every message in its order.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::amf::Amf;
use crate::wire::{Message, Wire};

/// Takes every publisher and keeps what it hears.
pub(crate) struct Destination {
    port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// What a publisher did.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    Connected,
    Message(Message),
    Closed,
}

impl Destination {
    pub(crate) fn start() -> Self {
        Self::answering(Vec::new())
    }

    /// One that announces these capabilities of Enhanced RTMP (`capsEx`).
    pub(crate) fn announcing(caps_ex: f64) -> Self {
        Self::answering(vec![("capsEx".to_owned(), Amf::Number(caps_ex))])
    }

    /// One that announces that it takes this codec alone (`fourCcList`).
    pub(crate) fn listing(codec: &str) -> Self {
        Self::answering(vec![("fourCcList".to_owned(), Amf::List(vec![Amf::text(codec)]))])
    }

    /// One whose answer to `connect` has these members as well.
    fn answering(members: Vec<(String, Amf)>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        // It ends with the process: there are few, and they only listen.
        thread::spawn(move || {
            for socket in listener.incoming() {
                kept.lock().unwrap().push(Heard::Connected);
                // A peer that goes in the middle of something is one that has closed.
                drop(serve(socket.unwrap(), &members, &kept));
                kept.lock().unwrap().push(Heard::Closed);
            }
        });
        Self { port, heard }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("rtmp://127.0.0.1:{}/app/secret-name", self.port)
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// The messages so far.
    pub(crate) fn messages(&self) -> Vec<Message> {
        let message =
            |heard| if let Heard::Message(message) = heard { Some(message) } else { None };
        self.heard().into_iter().filter_map(message).collect()
    }
}

fn serve(
    socket: TcpStream,
    more: &[(String, Amf)],
    heard: &Mutex<Vec<Heard>>,
) -> std::io::Result<()> {
    let mut wire = Wire::accept(socket)?;
    while let Some(message) = wire.next() {
        let values = message.values();
        let transaction = values.get(1).cloned().unwrap_or(Amf::Null);
        let result = Amf::text("_result");
        match message.command().as_str() {
            "connect" => {
                let info = Amf::object(&[
                    ("level", "status"),
                    ("code", "NetConnection.Connect.Success"),
                    ("description", "Connection succeeded."),
                ]);
                let Amf::Object(mut members) = info else { unreachable!() };
                members.extend(more.iter().cloned());
                let info = Amf::Object(members);
                wire.command(0, &[result, transaction, Amf::object(&[("fmsVer", "x")]), info]);
            }
            "createStream" => {
                wire.command(0, &[result, transaction, Amf::Null, Amf::Number(1.0)]);
            }
            "publish" => {
                let info = Amf::object(&[
                    ("level", "status"),
                    ("code", "NetStream.Publish.Start"),
                    ("description", "Go on."),
                ]);
                let values = [Amf::text("onStatus"), Amf::Number(0.0), Amf::Null, info];
                wire.command(message.stream, &values);
            }
            "releaseStream" | "FCPublish" => {
                wire.command(0, &[result, transaction, Amf::Null, Amf::Null]);
            }
            _ => {}
        }
        heard.lock().unwrap().push(Heard::Message(message));
    }
    Ok(())
}
