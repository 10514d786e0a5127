//! RTMP without sockets and without a clock: bytes and time in, bytes and events out. Both roles,
//! no panic on any input, memory bounded per connection (see [`limits`]).
//!
//! A [`Server`] or [`Client`] is driven by its owner: `feed` what the socket gave, drain
//! `poll_event`, send `output` and `consume_output` what was sent, `tick` now and then. The same
//! bytes give the same events and the same output, however they are cut: what a peer sends before
//! its request is answered waits for the answer, and a server that has much of it does not want
//! to be fed ([`Server::wants_input`]). Media on its way out is chunked once for everybody with
//! [`chunk::MessageHeader`] and does not pass through a session.

pub mod amf0;
mod capabilities;
pub mod chunk;
mod error;
mod handshake;
pub mod limits;
mod media;
mod message;
mod name;
mod origin;
mod relaying;
mod session;
mod url;

pub use crate::flv;
pub use capabilities::Capabilities;
pub use error::Error;
pub use message::type_id;
pub use name::{Address, Query, StreamName, stream_path};
pub use origin::{origin_message, read_origin};
pub use relaying::{Hop, Hops, Relaying};
pub use session::{
    Client, ClientEvent, ClientSpec, Connect, Goal, PlayRefusal, Playback, PublishRefusal, Server,
    ServerEvent, ServerSpec,
};
pub use url::{Login, Url, UrlError};
