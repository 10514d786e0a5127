//! Waiting room of live inputs: what has come of them and is not to be decoded yet.

use std::collections::VecDeque;

use crate::decode::DecodeSink;
use crate::media::Micros;

/// Messages of one kind that may wait for the other kind: more than ten seconds. Beyond that the
/// oldest is decoded at once.
const WAITING_MAX: usize = 1_024;

/// What decodes messages, each at its time.
pub(super) trait Decodes {
    /// A message.
    type Item;

    /// From when on it is to be decoded; `None` for at once.
    fn decode_at(&self, item: &Self::Item) -> Option<Micros>;

    /// Decodes it.
    fn decode(&mut self, item: Self::Item, out: &mut dyn DecodeSink);
}

/// Messages that have come and are not to be decoded yet: audio, and pictures.
#[derive(Debug)]
pub(super) struct Waiting<T>([VecDeque<T>; 2]);

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self([VecDeque::new(), VecDeque::new()])
    }
}

impl<T> Waiting<T> {
    pub(super) fn add(&mut self, is_video: bool, item: T) {
        self.0[usize::from(is_video)].push_back(item);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
    }

    /// The newest message of the kind of which more waits.
    pub(super) fn newest(&self) -> Option<&T> {
        self.0.iter().max_by_key(|queue| queue.len()).and_then(VecDeque::back)
    }

    /// Decodes what is due at `now`; says when there will be more to do.
    pub(super) fn decode(
        &mut self,
        decoder: &mut impl Decodes<Item = T>,
        now: Micros,
        out: &mut dyn DecodeSink,
    ) -> Option<Micros> {
        let mut next = None;
        for queue in &mut self.0 {
            while let Some(item) = queue.front() {
                let at = decoder.decode_at(item).unwrap_or(now);
                if at > now && queue.len() <= WAITING_MAX {
                    next = Some(next.map_or(at, |next: Micros| next.min(at)));
                    break;
                }
                let Some(item) = queue.pop_front() else { break };
                decoder.decode(item, out);
            }
        }
        next
    }
}
