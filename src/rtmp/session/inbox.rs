//! Inbox: what has come from the peer and has not been acted on yet, in the order in which it came.

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::frame::PacketBuf;
use crate::media::Kind;
use crate::rtmp::Error;
use crate::rtmp::limits::{
    EVENTS_MAX, HELD_BYTES_MAX, HELD_COMMANDS_MAX, HELD_EXCESS, HELD_MESSAGES_MAX,
};
use crate::rtmp::message::Command;

/// One thing to act on.
#[derive(Serialize, Deserialize)]
pub(super) enum Item {
    /// What the chunk protocol owes the peer, whatever else is going on.
    Answer(Answer),
    Command {
        command: Command,
        /// Message stream on which it came.
        stream_id: u32,
        /// Length of its body.
        bytes: usize,
    },
    /// One media body: aggregates are split already.
    Media { kind: Kind, time: u32, body: PacketBuf },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// To a ping with this stamp.
    Pong([u8; 4]),
    /// To Set Peer Bandwidth: the window that it asks for, bytes.
    Window(u32),
    /// The number of bytes received that is to be acknowledged, modulo 2^32.
    Acknowledgement(u32),
}

/// The first `held` items are held: they wait for a decision, and later ones may go ahead.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Inbox {
    items: VecDeque<Item>,
    held: usize,
    /// How many of those are commands.
    held_commands: usize,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} items, {} of them held", self.items.len(), self.held)
    }
}

impl Inbox {
    /// Whether it does not contradict itself, as what is read from a snapshot may.
    pub(super) fn is_whole(&self) -> bool {
        let commands = self.items.iter().take(self.held);
        let commands = commands.filter(|item| matches!(item, Item::Command { .. })).count();
        self.held <= self.items.len() && self.held_commands == commands
    }

    /// # Errors
    /// [`Error::Limit`] if more is there than an owner that takes its events ever leaves.
    pub(super) fn push(&mut self, item: Item) -> Result<(), Error> {
        self.items.push_back(item);
        if self.items.len() < EVENTS_MAX { Ok(()) } else { Err(TOO_MANY_MESSAGES) }
    }

    /// The first item that is not held.
    pub(super) fn next(&self) -> Option<&Item> {
        self.items.get(self.held)
    }

    /// Takes it out.
    pub(super) fn take_next(&mut self) -> Option<Item> {
        let item = self.items.remove(self.held);
        if self.items.is_empty() && self.items.capacity() > ITEMS_KEPT {
            self.items = VecDeque::new();
        }
        item
    }

    /// Puts an item back to where it was taken from.
    pub(super) fn put_back(&mut self, item: Item) {
        self.items.insert(self.held, item);
    }

    /// Holds the next item, and says of how many bytes it is.
    ///
    /// # Errors
    /// [`Error::Limit`] if many more are held than the owner was told to read.
    pub(super) fn hold_next(&mut self) -> Result<usize, Error> {
        let (bytes, is_command) = match self.next() {
            None => return Ok(0),
            Some(Item::Answer(_)) => (0, false),
            Some(Item::Media { body, .. }) => (body.len(), false),
            Some(Item::Command { bytes, .. }) => (*bytes, true),
        };
        self.held += 1;
        self.held_commands += usize::from(is_command);
        let is_too_much = self.held > HELD_EXCESS * HELD_MESSAGES_MAX
            || self.held_commands > HELD_EXCESS * HELD_COMMANDS_MAX;
        match is_too_much {
            true => Err(Error::Limit("too much before the answer to a request")),
            false => Ok(bytes),
        }
    }

    /// Nothing is held any more.
    pub(super) const fn let_go(&mut self) {
        self.held = 0;
        self.held_commands = 0;
    }

    pub(super) const fn holds_any(&self) -> bool {
        self.held > 0
    }

    /// Whether more may come although something is held, of which so many bytes are kept.
    pub(super) const fn has_room(&self, bytes: usize) -> bool {
        self.held < HELD_MESSAGES_MAX
            && self.held_commands < HELD_COMMANDS_MAX
            && bytes < HELD_BYTES_MAX
    }
}

const TOO_MANY_MESSAGES: Error = Error::Limit("too many messages at once");

/// Room for items that is kept between two bursts.
const ITEMS_KEPT: usize = 256;
