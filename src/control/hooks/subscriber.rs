//! A program's own ear for everything that happens on the node.

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};

use crate::event::NodeEvent;

/// Events that wait for one subscriber. If it is slower, the oldest are taken from it and counted.
pub(super) const WAITING_MAX: usize = 1_024;

/// Hears every event from the moment it was made, on any thread and under any executor.
#[derive(Debug)]
pub struct Subscriber {
    events: Receiver<NodeEvent>,
    missed: u64,
}

impl Subscriber {
    pub(crate) fn to(events: &Sender<NodeEvent>) -> Self {
        Self { events: events.subscribe(), missed: 0 }
    }

    /// The next event; `None` once the node has ended.
    pub async fn next(&mut self) -> Option<NodeEvent> {
        loop {
            match self.events.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(count)) => self.missed += count,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The same; blocks the thread meanwhile.
    pub fn wait(&mut self) -> Option<NodeEvent> {
        futures_lite::future::block_on(self.next())
    }

    /// Events that it was too slow for: at most 1024 wait.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}

/// Where events are told to all subscribers.
pub(super) fn subscribers() -> Sender<NodeEvent> {
    broadcast::channel(WAITING_MAX).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_subscriber_loses_the_oldest_and_knows_how_many() {
        let to = subscribers();
        let mut subscriber = Subscriber::to(&to);
        for _ in 0..WAITING_MAX + 3 {
            to.send(NodeEvent::Started).unwrap();
        }
        drop(to);
        let heard = std::iter::from_fn(|| subscriber.wait()).count();
        assert_eq!((heard, subscriber.missed()), (WAITING_MAX, 3));
    }
}
