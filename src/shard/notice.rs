//! Notices: what one part of a shard tells the others. They are handled after the call that caused
//! them, so that no part is entered while it is being handled.

use std::sync::Arc;

use super::io::PeerId;
use super::stream_id::StreamId;
use crate::rtmp::{Hops, PublishRefusal};
use crate::stream::Prints;

/// Something that others on the shard have to hear.
#[derive(Debug)]
pub(super) enum Notice {
    /// A stream of this name can be read: players may be waiting for it.
    Available(Arc<str>),
    /// This stream is over for good.
    Ended(StreamId),
    /// This stream comes by another way than relays that read it were told.
    Rerouted(StreamId),
    /// Its source has left a stream of this name, which was this.
    SourceLeft(Arc<str>, Prints),
    /// Somebody reads a stream of this name, waits for it, or would relay it to these nodes: a pull
    /// may bring it.
    Wanted(Arc<str>, Hops),
    /// A connection of this shard has a good key for a name that is in use, and asks for it; with
    /// `takes` it replaces whoever has it. Answered with [`Notice::Name`].
    NameWanted {
        /// Public name of the stream.
        name: Arc<str>,
        /// Whether the publisher that is there has to go although it is active.
        takes: bool,
    },
    /// Whether this name is free, for the connections that wait for it.
    Name(Arc<str>, bool),
    /// The pull of this number has lost its name to a source at another shard.
    EndPull(usize),
    /// This publisher is to end, for this reason.
    EndPublisher(PeerId, PublishRefusal, &'static str),
}
