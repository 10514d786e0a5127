//! Queue share of an event: viewers are many, and their events must not push out all others.

use tokio::sync::mpsc;

use crate::event::NodeEvent;

/// The part of a queue that is open to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueShare {
    /// All of it.
    Whole,
    /// Only while less than half of it is taken.
    Half,
}

impl QueueShare {
    /// Half for viewers' events, the whole for all others.
    pub(super) fn of(event: &NodeEvent) -> Self {
        if event.is_of_viewers() { Self::Half } else { Self::Whole }
    }

    /// Whether there is room for it; for the whole, the queue itself says.
    pub(super) fn is_in<T>(self, queue: &mpsc::Sender<T>) -> bool {
        self == Self::Whole || queue.capacity() * 2 > queue.max_capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_leave_half_of_a_queue_to_everything_else() {
        let (queue, _reader) = mpsc::channel(8);
        let fill = |room: QueueShare| {
            (0..8).filter(|_| room.is_in(&queue) && queue.try_send(()).is_ok()).count()
        };
        assert_eq!((fill(QueueShare::Half), fill(QueueShare::Whole)), (4, 4));
    }
}
