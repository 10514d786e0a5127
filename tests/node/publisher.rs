//! Publisher by hand: its messages are sent as they are written.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::keyring::publisher;
use crate::node::Node;
use crate::wait::{SOON, wait_until};
use crate::wire::{AUDIO, VIDEO, Wire};

pub(crate) const AVC_HEADER: &[u8] =
    b"\x17\x00\x00\x00\x00\x01\x42\xc0\x0b\xff\xe1\x00\x01\x67\x01\x00\x01\x68";
pub(crate) const KEY: &[u8] = b"\x17\x01\x00\x00\x00\x00\x00\x00\x02\x65\x88";
pub(crate) const INTER: &[u8] = b"\x27\x01\x00\x00\x00\x00\x00\x00\x02\x41\x9a";
pub(crate) const AAC_HEADER: &[u8] = b"\xaf\x00\x11\x90";
pub(crate) const AAC: &[u8] = b"\xaf\x01\x21\x10";

/// Somebody who publishes.
pub(crate) struct Publisher {
    pub(crate) wire: Wire,
    pub(crate) stream: u32,
}

impl Publisher {
    pub(crate) fn start(node: &Node, name: &str) -> Self {
        let (wire, stream) = publisher(node, name);
        Self { wire, stream }
    }

    /// Audio and pictures with headers.
    pub(crate) fn both(node: &Node, name: &str) -> Self {
        let mut publisher = Self::start(node, name);
        publisher.send(VIDEO, 0, AVC_HEADER);
        publisher.send(AUDIO, 0, AAC_HEADER);
        publisher
    }

    pub(crate) fn send(&mut self, kind: u8, time: u32, body: &[u8]) {
        self.wire.send(kind, self.stream, time, body).unwrap();
    }

    /// The same with so much time between its header and its body.
    pub(crate) fn send_in_two(&self, kind: u8, time: u32, body: &[u8], between: Duration) {
        let bytes = Wire::bytes_of(kind, self.stream, time, body);
        let (header, rest) = bytes.split_at(bytes.len() - body.len());
        let mut socket = self.wire.socket();
        // The header is not to wait until what was sent before it has been acknowledged.
        socket.set_nodelay(true).unwrap();
        socket.write_all(header).unwrap();
        let begun = Instant::now();
        wait_until(SOON, "time has passed", || (begun.elapsed() >= between).then_some(()));
        socket.write_all(rest).unwrap();
    }
}
