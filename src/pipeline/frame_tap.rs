//! Tap of a channel's frames: hands one to whoever looks at the programme, when that is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::frame::FrozenFrame;
use crate::ring::{Bell, Receiver, Sender, channel};

/// Frames that wait for whoever looks: each is asked for by itself.
const TAPPED_QUEUE: usize = 1;

/// The composer's end.
#[derive(Debug)]
pub struct FrameTap {
    is_asked: Arc<AtomicBool>,
    frames: Sender<FrozenFrame>,
}

/// The end of whoever looks.
#[derive(Debug)]
pub struct FrameTapEnd {
    is_asked: Arc<AtomicBool>,
    frames: Receiver<FrozenFrame>,
    bell: Arc<Bell>,
}

/// Both ends of a tap.
#[must_use]
pub fn frame_tap() -> (FrameTap, FrameTapEnd) {
    let (is_asked, bell) = (Arc::<AtomicBool>::default(), Bell::new());
    let (sender, frames) = channel(TAPPED_QUEUE, Arc::clone(&bell));
    let tap = FrameTap { is_asked: Arc::clone(&is_asked), frames: sender };
    (tap, FrameTapEnd { is_asked, frames, bell })
}

impl FrameTap {
    /// Hands on a frame, if one is asked for.
    pub(super) fn offer(&mut self, frame: &FrozenFrame) {
        if self.is_asked.load(Ordering::Relaxed) && self.is_asked.swap(false, Ordering::Relaxed) {
            // One that nobody has taken yet is as good.
            drop(self.frames.push(frame.share()));
        }
    }
}

impl FrameTapEnd {
    /// Waits for the next frame; `None` if none is drawn in this time.
    pub fn next(&mut self, wait: Duration) -> Option<FrozenFrame> {
        drop(self.frames.pop());
        self.is_asked.store(true, Ordering::Relaxed);
        let Self { frames, bell, .. } = &*self;
        bell.park(wait, || !frames.is_empty() || frames.is_closed());
        self.frames.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Geometry, Pool};
    use crate::media::{PixelFormat, Size};

    #[test]
    fn a_frame_is_held_only_when_somebody_has_asked_for_one() {
        let geometry = Geometry::new(Size::new(64, 32).unwrap(), PixelFormat::I420);
        let pool = Pool::new(geometry, 2).unwrap();
        let (mut tap, mut end) = frame_tap();
        let mut draw = || tap.offer(&pool.take().unwrap().freeze());
        draw();
        assert_eq!(pool.in_use(), 0, "nobody looks");
        assert!(end.next(Duration::ZERO).is_none());
        draw();
        draw();
        assert_eq!(pool.in_use(), 1, "the one that was asked for");
        drop(tap);
        assert!(end.next(Duration::from_secs(60)).is_none(), "the channel is gone");
        assert_eq!(pool.in_use(), 0);
    }
}
