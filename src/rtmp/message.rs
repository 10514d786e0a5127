//! RTMP messages: type ids, protocol control, user control and commands.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Error;
use super::amf0::{Decoder, Value};

/// Message type ids (RTMP 1.0 sections 5.4 and 7.1).
pub mod type_id {
    /// Set Chunk Size.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Abort Message.
    pub const ABORT: u8 = 2;
    /// Acknowledgement.
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// User Control Message.
    pub const USER_CONTROL: u8 = 4;
    /// Window Acknowledgement Size.
    pub const WINDOW_ACK: u8 = 5;
    /// Set Peer Bandwidth.
    pub const PEER_BANDWIDTH: u8 = 6;
    /// Audio.
    pub const AUDIO: u8 = 8;
    /// Video.
    pub const VIDEO: u8 = 9;
    /// Data, AMF0 behind one byte in practice.
    pub const DATA_AMF3: u8 = 15;
    /// Command, AMF0 behind one byte in practice.
    pub const COMMAND_AMF3: u8 = 17;
    /// Data.
    pub const DATA: u8 = 18;
    /// Command.
    pub const COMMAND: u8 = 20;
    /// Several messages in one.
    pub const AGGREGATE: u8 = 22;
}

/// User control events (section 7.1.7).
pub(super) mod event {
    pub(crate) const STREAM_BEGIN: u16 = 0;
    pub(crate) const STREAM_EOF: u16 = 1;
    pub(crate) const SET_BUFFER_LENGTH: u16 = 3;
    pub(crate) const PING: u16 = 6;
    pub(crate) const PONG: u16 = 7;
}

/// A protocol or user control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    SetChunkSize(u32),
    Abort(u32),
    /// Bytes the peer has received, modulo 2^32 (RTMP 1.0 section 5.4.3).
    Acknowledgement(u32),
    WindowAck(u32),
    PeerBandwidth(u32),
    Ping([u8; 4]),
    /// Buffer lengths, pongs, stream events and whatever private ones there are.
    OtherEvent,
}

impl Control {
    /// `None` if the type is not a control type.
    pub(super) fn parse(type_id: u8, body: &[u8]) -> Result<Option<Self>, Error> {
        let number = || {
            let bytes = body.first_chunk().ok_or(Error::Protocol("control message is too short"));
            bytes.map(|bytes| u32::from_be_bytes(*bytes))
        };
        let control = match type_id {
            type_id::SET_CHUNK_SIZE => Self::SetChunkSize(number()?),
            type_id::ABORT => Self::Abort(number()?),
            type_id::ACKNOWLEDGEMENT => Self::Acknowledgement(number()?),
            type_id::WINDOW_ACK => Self::WindowAck(number()?),
            type_id::PEER_BANDWIDTH => Self::PeerBandwidth(number()?),
            type_id::USER_CONTROL => Self::user_control(body)?,
            _ => return Ok(None),
        };
        Ok(Some(control))
    }

    fn user_control(body: &[u8]) -> Result<Self, Error> {
        let short = Error::Protocol("user control message is too short");
        let (event, data) = body.split_first_chunk().ok_or(short)?;
        if u16::from_be_bytes(*event) != event::PING {
            return Ok(Self::OtherEvent);
        }
        data.first_chunk().copied().map(Self::Ping).ok_or(short)
    }
}

/// A remote call or its answer. No `Debug`: the values may hold stream keys.
pub(super) struct Command {
    pub(super) name: String,
    /// 0 if no answer is wanted.
    pub(super) transaction: f64,
    /// The command object, often null.
    pub(super) object: Value,
    pub(super) args: Vec<Value>,
}

impl Command {
    /// Reads as much as is readable; `None` if not even the name is, which is no reason to close.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut values = Decoder::new(strip_amf3_byte(body));
        let name = values.string()?;
        let mut next = || values.value().ok().flatten();
        let transaction = next().as_ref().and_then(Value::as_number).unwrap_or(0.0);
        let object = next().unwrap_or(Value::Null);
        let args = std::iter::from_fn(next).collect();
        Some(Self { name, transaction, object, args })
    }

    /// The first argument, if it is a string.
    pub(super) fn text(&self) -> Option<&str> {
        self.args.first().and_then(Value::as_str)
    }

    /// The first object with a member of that name, wherever the peer put it.
    pub(super) fn object_with(&self, name: &str) -> Option<&Value> {
        std::iter::once(&self.object).chain(&self.args).find(|value| value.get(name).is_some())
    }

    /// Bytes of a command.
    pub(super) fn encode(name: &str, transaction: f64, values: &[Value]) -> Vec<u8> {
        let mut body = Vec::new();
        Value::from(name).encode(&mut body);
        Value::Number(transaction).encode(&mut body);
        values.iter().for_each(|value| value.encode(&mut body));
        body
    }
}

/// In a snapshot: as it comes from a peer, so that its limits hold for what is read back.
impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = Self::encode(&self.name, self.transaction, &[]);
        self.object.encode(&mut body);
        self.args.iter().for_each(|value| value.encode(&mut body));
        body.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = <&[u8]>::deserialize(deserializer)?;
        Self::parse(body).ok_or_else(|| D::Error::custom("a command that cannot be read"))
    }
}

/// Types 15 and 17 put a zero before the AMF0 values, and some peers do it in types 18 and 20 too;
/// there a string comes first, so a zero in front of one is never a value of its own.
pub(super) fn strip_amf3_byte(body: &[u8]) -> &[u8] {
    match body {
        [0, rest @ ..] if matches!(rest.first(), Some(0x02 | 0x0c)) => rest,
        _ => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bodies_of_every_length_are_read_or_refused() {
        for type_id in 1..=6 {
            for length in 0..=8_usize {
                let body = [0, 6, 0, 0, 0, 1, 0, 0];
                let result = Control::parse(type_id, &body[..length]);
                let least = if type_id == type_id::USER_CONTROL { 6 } else { 4 };
                assert_eq!(result.is_ok(), length >= least, "type {type_id}, {length} bytes");
            }
        }
    }

    #[test]
    fn unknown_user_control_events_are_passed_over() {
        for event in [1_u16, 2, 3, 7, 26, 31, 32, 0xffff] {
            let body = event.to_be_bytes();
            let parsed = Control::parse(type_id::USER_CONTROL, &body);
            assert_eq!(parsed, Ok(Some(Control::OtherEvent)));
        }
    }

    #[test]
    fn a_command_is_read_as_far_as_it_goes() {
        let mut body = Command::encode("connect", 1.0, &[Value::object([("app", "live".into())])]);
        body.push(0x11);
        let command = Command::parse(&body).unwrap();
        assert_eq!((command.name.as_str(), command.transaction), ("connect", 1.0));
        assert_eq!(command.object.get("APP").and_then(Value::as_str), Some("live"));
        assert!(command.args.is_empty());
        for at in 0..body.len() {
            let _cut = Command::parse(&body[..at]);
        }
        assert!(Command::parse(&[0x05]).is_none());
    }

    #[test]
    fn a_zero_before_the_name_is_the_amf3_wrapper() {
        let body = [&[0], &Command::encode("pause", 0.0, &[])[..]].concat();
        assert_eq!(Command::parse(&body).unwrap().name, "pause");
    }
}
