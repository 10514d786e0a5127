//! A fuzzer's bytes as the steps of a session. Every input is a script: bytes that come to an end
//! in the middle of a step end it there.

use super::message;
use crate::rtmp::amf0::Value;
use crate::rtmp::type_id;

/// One step.
#[derive(Debug)]
pub enum Record {
    /// Bytes from the peer, as they are or as a well-formed message.
    Feed(Vec<u8>),
    /// A decision of the owner; the byte says which.
    Decide(u8),
    /// So many tenths of a second pass.
    Pass(u8),
    /// The socket takes what waits, or all but so many bytes.
    Send(u8),
}

/// Reads steps one after the other.
#[derive(Debug)]
pub struct Script<'a>(pub &'a [u8]);

/// Commands whose names are worth knowing.
const NAMES: [&str; 20] = [
    "connect",
    "createStream",
    "releaseStream",
    "FCPublish",
    "FCUnpublish",
    "publish",
    "play",
    "deleteStream",
    "closeStream",
    "close",
    "pause",
    "getStreamLength",
    "_checkbw",
    "_result",
    "_error",
    "onStatus",
    "@setDataFrame",
    "onMetaData",
    "FCSubscribe",
    "onBWDone",
];

/// Codes that a client acts on.
const CODES: [&str; 8] = [
    "NetConnection.Connect.Success",
    "NetConnection.Connect.Rejected",
    "NetConnection.Connect.ReconnectRequest",
    "NetStream.Publish.Start",
    "NetStream.Publish.BadName",
    "NetStream.Play.Start",
    "NetStream.Play.UnpublishNotify",
    "NetStream.Failed",
];

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn bytes(&mut self, count: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn text(&mut self) -> String {
        let count = self.byte().into();
        String::from_utf8_lossy(self.bytes(count)).into_owned()
    }

    /// A command whose arguments a real peer might give.
    fn command(&mut self) -> Vec<u8> {
        let (kind, name, transaction) = (self.byte(), self.byte(), self.byte());
        let name = NAMES[usize::from(name) % NAMES.len()];
        let mut body = Vec::new();
        Value::from(name).encode(&mut body);
        Value::Number((transaction % 8).into()).encode(&mut body);
        let text = Value::String(self.text());
        let code = CODES[usize::from(self.byte()) % CODES.len()];
        let ex = Value::object([("code", 302.0.into()), ("redirect", text.clone())]);
        let status = Value::object([
            ("app", text.clone()),
            ("code", code.into()),
            ("level", if kind & 8 == 0 { "status" } else { "error" }.into()),
            ("description", text.clone()),
            ("tcUrl", text.clone()),
            ("fourCcList", Value::StrictArray(vec![text.clone(), "*".into()])),
            ("videoFourCcInfoMap", Value::object([("*", 7.0.into())])),
            ("capsEx", f64::from(kind).into()),
        ]);
        let arguments = match kind % 6 {
            0 => vec![status],
            1 => vec![Value::Null, status],
            2 => vec![Value::Null, text, "live".into()],
            3 => vec![Value::Null, Value::Number(kind.into())],
            4 => match status {
                Value::Object(mut members) => {
                    members.push(("ex".to_owned(), ex));
                    vec![Value::Null, Value::Object(members)]
                }
                _ => Vec::new(),
            },
            _ => vec![text],
        };
        arguments.iter().for_each(|value| value.encode(&mut body));
        body
    }
}

impl Iterator for Script<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if self.0.is_empty() {
            return None;
        }
        let step = self.byte();
        Some(match step & 7 {
            0 | 1 => {
                let count = usize::from(self.byte()) << (step >> 5);
                Record::Feed(self.bytes(count).to_vec())
            }
            2 | 3 => {
                let (kind, stream, time) = (self.byte() % 24, self.byte() & 3, self.byte());
                let count = usize::from(self.byte()) << (step >> 5);
                let body = self.bytes(count);
                Record::Feed(message(kind, stream.into(), u32::from(time) << 20, body))
            }
            4 => {
                let body = self.command();
                let kind = if step & 0x80 == 0 { type_id::COMMAND } else { type_id::DATA };
                Record::Feed(message(kind, (step >> 3 & 1).into(), 0, &body))
            }
            5 => Record::Decide(self.byte()),
            6 => Record::Pass(self.byte()),
            _ => Record::Send(self.byte()),
        })
    }
}
