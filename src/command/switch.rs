//! Channel switch: what others tell the stages of a channel, as flags.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The flags of a channel, or of one of its renditions, that others set and its stages read.
#[derive(Debug, Default)]
pub struct ChannelSwitch {
    stop: AtomicBool,
    key_wanted: AtomicBool,
    base_ms: AtomicU32,
    bitrate_bps: AtomicU32,
    /// Whether its times are those of another stream, whose pictures it encodes.
    follows_source: bool,
    /// Whether it passes another stream on, and fills its gaps.
    is_failover: bool,
    /// Whether it is not composed for the time being.
    is_paused: AtomicBool,
    /// Whether its stream ends with it, and does not wait for its source.
    has_left: AtomicBool,
    /// Of a rendition, that of its channel, which stops it as well; but for stopping, theirs are
    /// one.
    channel: Option<Arc<Self>>,
}

impl ChannelSwitch {
    /// That of a rendition, which may end before its channel.
    #[must_use]
    pub fn of_rendition(channel: &Arc<Self>) -> Self {
        Self { channel: Some(Arc::clone(channel)), ..Self::default() }
    }

    /// That of renditions of another stream: they have its times, and when it has left they wait
    /// for it as their viewers do.
    #[must_use]
    pub fn of_source() -> Self {
        Self { follows_source: true, ..Self::default() }
    }

    /// That of a stream that is passed on, with its gaps filled: it has the times that it is given,
    /// and waits for its source where that was lost.
    #[must_use]
    pub fn of_failover() -> Self {
        Self { is_failover: true, ..Self::of_source() }
    }

    /// Whether it passes another stream on, and fills its gaps.
    #[must_use]
    pub fn is_failover(&self) -> bool {
        self.shared().is_failover
    }

    /// Has its ticks left out from now on, or not. Who lets it go on rings the bell of the compose
    /// core; the first picture after a pause is a keyframe.
    pub fn pause(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Ordering::Relaxed);
    }

    /// Whether its ticks are left out.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    /// Whether its times are those of another stream.
    #[must_use]
    pub fn follows_source(&self) -> bool {
        self.shared().follows_source
    }

    /// Stops it, and its stream is over: see [`Self::stop`].
    pub fn leave(&self) {
        self.has_left.store(true, Ordering::Relaxed);
        self.stop();
    }

    /// Whether its stream waits for a source once it has stopped.
    #[must_use]
    pub fn awaits_source(&self) -> bool {
        let shared = self.shared();
        shared.follows_source && !shared.has_left.load(Ordering::Relaxed)
    }

    /// What a channel and its renditions have together.
    fn shared(&self) -> &Self {
        self.channel.as_deref().unwrap_or(self)
    }

    /// Ends the channel at its next tick, and its stream once its encoders have handed over what
    /// they hold.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the channel is to end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.shared().stop.load(Ordering::Relaxed)
    }

    /// Where one of its streams goes on from that of another source: its times, milliseconds modulo
    /// 2^32, begin there and not at 0, or later if another stream needs that. For the shard, before
    /// the channel's first tick.
    pub fn raise_base_ms(&self, base: u32) {
        let of = &self.shared().base_ms;
        let now = of.load(Ordering::Relaxed);
        if now == 0 || base.wrapping_sub(now).cast_signed() > 0 {
            of.store(base, Ordering::Relaxed);
        }
    }

    /// What its encoders add to the times of their messages.
    #[must_use]
    pub fn base_ms(&self) -> u32 {
        self.shared().base_ms.load(Ordering::Relaxed)
    }

    /// What the video encoder is to make from now on, bits per second.
    pub fn set_bitrate(&self, bps: u32) {
        self.bitrate_bps.store(bps, Ordering::Relaxed);
    }

    /// What the video encoder is to make; `None` if nobody has said anything else than the
    /// configuration.
    #[must_use]
    pub fn bitrate(&self) -> Option<u32> {
        Some(self.bitrate_bps.load(Ordering::Relaxed)).filter(|bps| *bps > 0)
    }

    /// Asks for a keyframe, in all renditions, as soon as the encoders may make one.
    pub fn request_key(&self) {
        self.shared().key_wanted.store(true, Ordering::Relaxed);
    }

    /// Takes the request, if there is one.
    #[must_use]
    pub fn take_key_request(&self) -> bool {
        let wanted = &self.shared().key_wanted;
        wanted.load(Ordering::Relaxed) && wanted.swap(false, Ordering::Relaxed)
    }
}
