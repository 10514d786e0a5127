//! obs-websocket messages: forms, codes, encodings and authentication, as its protocol document
//! (version 5, RPC version 1) says.

use axum::extract::ws::Message;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The RPC version that is spoken.
pub(super) const RPC_VERSION: u64 = 1;

/// Version of the protocol that is spoken, of which there is a part.
pub(super) const PROTOCOL_VERSION: &str = "5.5.0";

/// Version of OBS that has it: clients refuse older ones.
pub(super) const OBS_VERSION: &str = "30.2.0";

/// Message types, `op`.
pub(super) mod op {
    pub const HELLO: u64 = 0;
    pub const IDENTIFY: u64 = 1;
    pub const IDENTIFIED: u64 = 2;
    pub const REIDENTIFY: u64 = 3;
    pub const EVENT: u64 = 5;
    pub const REQUEST: u64 = 6;
    pub const REQUEST_RESPONSE: u64 = 7;
    pub const REQUEST_BATCH: u64 = 8;
    pub const REQUEST_BATCH_RESPONSE: u64 = 9;
}

/// Which events a session is sent, `EventSubscription`.
pub(super) mod intent {
    pub const GENERAL: u64 = 1 << 0;
    pub const SCENES: u64 = 1 << 2;
    pub const INPUTS: u64 = 1 << 3;
    pub const TRANSITIONS: u64 = 1 << 4;
    pub const OUTPUTS: u64 = 1 << 6;
    pub const SCENE_ITEMS: u64 = 1 << 7;
    pub const MEDIA_INPUTS: u64 = 1 << 8;
    pub const UI: u64 = 1 << 10;
    pub const INPUT_VOLUME_METERS: u64 = 1 << 16;
    /// Those of a session that does not say: all but those of high volume.
    pub const DEFAULT: u64 = (1 << 11) - 1;
}

/// Why a session is closed, `WebSocketCloseCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseCode {
    MessageDecodeError = 4002,
    MissingDataField = 4003,
    InvalidDataFieldType = 4004,
    UnknownOpCode = 4006,
    NotIdentified = 4007,
    AlreadyIdentified = 4008,
    AuthenticationFailed = 4009,
    UnsupportedRpcVersion = 4010,
    SessionInvalidated = 4011,
}

/// What came of a request, `RequestStatus`.
pub(super) mod status {
    pub const SUCCESS: u16 = 100;
    pub const UNKNOWN_REQUEST_TYPE: u16 = 204;
    pub const GENERIC_ERROR: u16 = 205;
    pub const NOT_READY: u16 = 207;
    pub const MISSING_REQUEST_FIELD: u16 = 300;
    pub const INVALID_REQUEST_FIELD: u16 = 400;
    pub const INVALID_REQUEST_FIELD_TYPE: u16 = 401;
    pub const REQUEST_FIELD_OUT_OF_RANGE: u16 = 402;
    pub const OUTPUT_RUNNING: u16 = 500;
    pub const OUTPUT_NOT_RUNNING: u16 = 501;
    pub const STUDIO_MODE_NOT_ACTIVE: u16 = 506;
    pub const RESOURCE_NOT_FOUND: u16 = 600;
    pub const INVALID_RESOURCE_STATE: u16 = 604;
}

/// How messages are written: each has a WebSocket subprotocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `obswebsocket.json`, in text messages; also without a subprotocol.
    Json,
    /// `obswebsocket.msgpack`, in binary messages.
    MessagePack,
}

impl Encoding {
    /// The subprotocols, in the order of preference.
    pub(super) const PROTOCOLS: [&'static str; 2] = ["obswebsocket.json", "obswebsocket.msgpack"];

    /// That of the subprotocol that was agreed on.
    pub(super) fn of(protocol: Option<&str>) -> Self {
        match protocol {
            Some("obswebsocket.msgpack") => Self::MessagePack,
            _ => Self::Json,
        }
    }

    /// What a peer sent; `None` if it is neither ping nor close nor a message of this encoding.
    pub(super) fn decode(self, message: &Message) -> Option<Value> {
        match (self, message) {
            (Self::Json, Message::Text(text)) => serde_json::from_str(text).ok(),
            (Self::MessagePack, Message::Binary(bytes)) => rmp_serde::from_slice(bytes).ok(),
            _ => None,
        }
    }

    /// A message of this type with this content.
    pub(super) fn encode(self, op: u64, content: &Value) -> Message {
        let message = json!({ "op": op, "d": content });
        match self {
            Self::Json => Message::Text(message.to_string().into()),
            // Writing to memory what is JSON cannot fail.
            Self::MessagePack => {
                Message::Binary(rmp_serde::to_vec(&message).unwrap_or_default().into())
            }
        }
    }
}

/// A message of a peer.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    pub op: u64,
    pub d: Value,
}

/// `Identify`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identify {
    pub rpc_version: u64,
    #[serde(default)]
    pub authentication: Option<String>,
    #[serde(default)]
    pub event_subscriptions: Option<u64>,
}

/// `Reidentify`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reidentify {
    #[serde(default)]
    pub event_subscriptions: Option<u64>,
}

/// `Request`, also one of a batch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub request_type: String,
    #[serde(default)]
    pub request_id: Option<String>,
    #[serde(default)]
    pub request_data: Option<Value>,
}

/// `RequestBatch`. Its requests are answered one after the other, whatever it asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestBatch {
    pub request_id: String,
    #[serde(default)]
    pub halt_on_failure: bool,
    pub requests: Vec<Request>,
}

/// What a peer has to make of the password: `Hello` carries it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Challenge {
    challenge: String,
    salt: String,
}

impl Challenge {
    /// Of random bytes.
    pub(super) fn new(random: &[u8; 64]) -> Self {
        let (challenge, salt) = random.split_at(32);
        Self { challenge: BASE64.encode(challenge), salt: BASE64.encode(salt) }
    }

    /// Whether `answer` was made with this password. Takes the same time for every wrong one.
    pub(super) fn is_met(&self, password: &str, answer: &str) -> bool {
        let hash = |one: &str, other: &str| {
            BASE64.encode(Sha256::new().chain_update(one).chain_update(other).finalize())
        };
        let wanted = hash(&hash(password, &self.salt), &self.challenge);
        wanted.as_bytes().ct_eq(answer.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_checked_as_the_protocol_document_shows() {
        // Its section "Creating an authentication string".
        let challenge = Challenge {
            challenge: "+IxH4CnCiqpX1rM9scsNynZzbOe4KhDeYcTNS3PDaeY=".to_owned(),
            salt: "lM1GncleQOaCu9lT1yeUZhFYnqhsLLP1G5lAGo3ixaI=".to_owned(),
        };
        let answer = "1Ct943GAT+6YQUUX47Ia/ncufilbe6+oD6lY+5kaCu4=";
        assert!(challenge.is_met("supersecretpassword", answer));
        assert!(!challenge.is_met("supersecretpassword2", answer));
        assert!(!challenge.is_met("supersecretpassword", ""));
    }

    #[test]
    fn a_message_is_read_back_in_both_encodings_and_in_no_other() {
        let content = json!({"requestType": "GetStats", "n": [1, 2.5, null, true]});
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let message = encoding.encode(op::REQUEST, &content);
            let read = encoding.decode(&message).unwrap();
            assert_eq!(read, json!({"op": 6, "d": content}));
            let other = match encoding {
                Encoding::Json => Encoding::MessagePack,
                Encoding::MessagePack => Encoding::Json,
            };
            assert_eq!(other.decode(&message), None);
        }
        assert_eq!(Encoding::Json.decode(&Message::Text("{".into())), None);
        assert_eq!(Encoding::MessagePack.decode(&Message::Binary(vec![0xc1].into())), None);
    }
}
