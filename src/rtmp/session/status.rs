//! Status codes of requests, as clients show them to their users.

use std::fmt;

use crate::rtmp::amf0::Value;
use crate::rtmp::flv::VideoFormat;
use crate::rtmp::limits::TEXT_BYTES_MAX;
use crate::rtmp::message::Command;
use crate::rtmp::name::{public_url, truncate};
use crate::rtmp::{Capabilities, Relaying};

/// What a client says about itself at `connect`. Holds no secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Connect {
    /// First part of the application path: all of it that is never a stream name.
    pub app: String,
    /// `tcUrl` down to the application: no password, query or stream name. Empty if not a URL.
    pub tc_url: String,
    /// The client's name and version as it gives them, at most 512 bytes.
    pub flash_ver: String,
    /// What it says about Enhanced RTMP.
    pub caps: Capabilities,
    /// What it says about the stream that it relays, if it is a node that does.
    pub relaying: Option<Relaying>,
}

impl Connect {
    pub(super) fn of(command: &Command, app: &str, tc_url: &str) -> Self {
        let object = &command.object;
        let mut flash_ver = text_of(object, "flashVer").to_owned();
        flash_ver.retain(|c| !c.is_control());
        truncate(&mut flash_ver, TEXT_BYTES_MAX);
        let (app, caps) = (app.to_owned(), Capabilities::of(object));
        let relaying = Relaying::of(object);
        Self { app, tc_url: public_url(tc_url), flash_ver, caps, relaying }
    }
}

/// Why a publisher is turned away or ended. The code is one that OBS and FFmpeg show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublishRefusal {
    /// The key is wrong, expired, revoked or not allowed from here.
    Denied,
    /// The name is taken or not usable.
    BadName,
    /// We cannot serve it now.
    Failed,
}

impl PublishRefusal {
    /// The status code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Denied => "NetStream.Publish.Denied",
            Self::BadName => "NetStream.Publish.BadName",
            Self::Failed => "NetStream.Failed",
        }
    }
}

/// Why a player is turned away. The code is one that clients show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlayRefusal {
    /// There is no such stream, or none for this viewer.
    StreamNotFound,
    /// This viewer may not play it.
    Denied,
    /// The stream is in this codec, which the player said it does not take.
    Codec(VideoFormat),
    /// The stream, or the node, takes no more viewers.
    Full,
    /// We cannot serve it now.
    Failed,
}

impl PlayRefusal {
    /// The status code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::StreamNotFound => "NetStream.Play.StreamNotFound",
            Self::Denied | Self::Codec(_) | Self::Full | Self::Failed => "NetStream.Play.Failed",
        }
    }
}

/// The reason in words for the player's user.
impl fmt::Display for PlayRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StreamNotFound => f.write_str("nobody publishes under this name"),
            Self::Full => f.write_str("no more viewers are taken"),
            Self::Denied => f.write_str("you may not play this stream"),
            Self::Codec(format) => write!(
                f,
                "the stream is in {format}, which this player says it cannot take: enable that \
                 codec in the player, or use another one"
            ),
            Self::Failed => f.write_str("the stream cannot be played now"),
        }
    }
}

/// The information object of a status. `error` decides the level.
pub(super) fn info(error: bool, code: &str, description: &str) -> Value {
    let mut description = description.to_owned();
    truncate(&mut description, TEXT_BYTES_MAX);
    Value::object([
        ("level", if error { "error" } else { "status" }.into()),
        ("code", code.into()),
        ("description", Value::String(description)),
    ])
}

/// Status with which a server asks to be connected to anew (Enhanced RTMP v2, "Reconnect Request").
pub(super) const RECONNECT_REQUEST: &str = "NetConnection.Connect.ReconnectRequest";

/// A string member, or nothing.
pub(super) fn text_of<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A number a peer sent as an unsigned integer; the nearest one if it is none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub(super) const fn saturate(number: f64) -> u32 {
    number as u32
}
