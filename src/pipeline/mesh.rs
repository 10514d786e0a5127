//! The rings between shards: who feeds which stream, and the messages of those that others read.
//! One hop per message per shard that has readers.

use std::collections::HashMap;
use std::sync::Arc;

use crate::media::Micros;
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::stream::Message;

/// Messages that may wait between two shards: seconds of several streams.
const MESH_QUEUE: usize = 4_096;

/// What shards tell each other.
#[derive(Clone, Debug)]
pub enum MeshMessage {
    /// The sender feeds this stream now.
    Up(Arc<str>),
    /// The sender no longer does.
    Down(Arc<str>),
    /// The sender has readers for this stream.
    Subscribe(Arc<str>),
    /// The sender has a reader that waits for a keyframe of this stream.
    KeyWanted(Arc<str>),
    /// The sender has, or would have, readers for this stream, which the receiver can pull.
    Want(Arc<str>),
    /// A message of a stream the receiver subscribed to, with its arrival.
    Message(Arc<str>, Message, Micros),
}

/// One shard's ends of all rings to and from the others.
#[derive(Debug, Default)]
pub struct Mesh {
    to: Vec<Option<Sender<MeshMessage>>>,
    from: Vec<Option<Receiver<MeshMessage>>>,
    homes: HashMap<Arc<str>, usize>,
    lost: u64,
}

impl Mesh {
    /// The full mesh of shards with these bells.
    #[must_use]
    pub fn full(bells: &[Arc<Bell>]) -> Vec<Self> {
        let mut meshes: Vec<Self> = bells.iter().map(|_| Self::default()).collect();
        for sender in 0..bells.len() {
            for (receiver, bell) in bells.iter().enumerate() {
                let (to, from) = if sender == receiver {
                    (None, None)
                } else {
                    let (to, from) = channel(MESH_QUEUE, Arc::clone(bell));
                    (Some(to), Some(from))
                };
                meshes[sender].to.push(to);
                meshes[receiver].from.push(from);
            }
        }
        meshes
    }

    /// Whether another shard has said something.
    pub(super) fn has_mail(&self) -> bool {
        self.from.iter().flatten().any(|ring| !ring.is_empty())
    }

    /// The next thing another shard said, and which one.
    pub(super) fn receive(&mut self) -> Option<(usize, MeshMessage)> {
        let rings = self.from.iter_mut().enumerate();
        rings.filter_map(|(shard, ring)| Some((shard, ring.as_mut()?.pop()?))).next()
    }

    /// Tells shard `to`. A shard that does not keep up loses messages, not the sender.
    pub(super) fn send(&mut self, to: usize, message: MeshMessage) {
        if let Some(ring) = self.to.get_mut(to).and_then(Option::as_mut)
            && ring.push(message).is_err()
        {
            self.lost += 1;
        }
    }

    /// Tells all others.
    pub(super) fn send_all(&mut self, message: &MeshMessage) {
        for to in 0..self.to.len() {
            self.send(to, message.clone());
        }
    }

    /// Which other shard feeds a stream.
    pub(super) fn home(&self, name: &str) -> Option<usize> {
        self.homes.get(name).copied()
    }

    pub(super) fn learn(&mut self, name: Arc<str>, home: usize) {
        self.homes.insert(name, home);
    }

    pub(super) fn forget(&mut self, name: &str, home: usize) {
        if self.homes.get(name) == Some(&home) {
            self.homes.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shard_hears_the_others_and_not_itself() {
        let mut meshes = Mesh::full(&[Bell::new(), Bell::new(), Bell::new()]);
        meshes[1].send_all(&MeshMessage::Up(Arc::from("live/a")));
        assert!(!meshes[1].has_mail());
        for shard in [0, 2] {
            let (from, message) = meshes[shard].receive().unwrap();
            assert_eq!(from, 1);
            assert!(matches!(message, MeshMessage::Up(name) if &*name == "live/a"));
        }
    }

    #[test]
    fn only_the_shard_that_feeds_a_stream_can_take_it_down() {
        let mut mesh = Mesh::full(&[Bell::new()]).remove(0);
        mesh.learn(Arc::from("live/a"), 2);
        mesh.forget("live/a", 1);
        assert_eq!(mesh.home("live/a"), Some(2));
        mesh.forget("live/a", 2);
        assert_eq!(mesh.home("live/a"), None);
    }
}
