//! Send pacing of viewers: the kernel spreads what would leave at once, such as the pictures at a
//! viewer's start, so that they do not overflow the buffers of slow lines.

use super::stream::Stream;
use crate::shard::context::Context;
use crate::shard::io::{Action, PeerId};
use crate::shard::spec::PeerLimits;

/// The lowest pace by percent, bits per second: streams of audio alone, and those of which little
/// has come, are not held up.
const PACE_MIN_BPS: f64 = 256_000.0;

/// The pace of viewers of a stream of this mean rate, bits per second; `None` for any.
fn pace_of(limits: &PeerLimits, rate_bps: f64) -> Option<u64> {
    let fixed = (limits.pace_bps > 0).then_some(limits.pace_bps);
    // Of a stream that has not begun nothing is known.
    let known = limits.pace_percent > 0 && rate_bps > 0.0;
    let relative = known.then(|| {
        let bps = rate_bps * f64::from(limits.pace_percent) / 100.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let bps = bps.max(PACE_MIN_BPS) as u64;
        bps
    });
    match (fixed, relative) {
        (Some(fixed), Some(relative)) => Some(fixed.min(relative)),
        (fixed, relative) => fixed.or(relative),
    }
}

/// Whether viewers are to be told a pace that differs so much. Each of them costs a system call.
const fn is_news(told: u64, pace: u64) -> bool {
    pace > told + told / 8 || pace < told / 2
}

/// Sets the pace of a viewer that begins.
pub(super) fn begin(cx: &mut Context, stream: &Stream, viewer: PeerId) {
    if let Some(pace) = pace_of(&cx.spec.peer, stream.log.bitrate_bps()) {
        cx.act(Action::Pace(viewer, pace));
    }
}

/// Sets the pace of all viewers of a stream whose rate has changed.
pub(super) fn follow(cx: &mut Context, stream: &mut Stream) {
    if cx.spec.peer.pace_percent == 0 || stream.readers.is_empty() {
        return;
    }
    let pace = pace_of(&cx.spec.peer, stream.log.bitrate_bps());
    let Some(pace) = pace.filter(|pace| is_news(stream.paced_bps, *pace)) else { return };
    stream.paced_bps = pace;
    for viewer in stream.readers.iter().filter(|reader| !stream.outputs.contains(reader)) {
        cx.act(Action::Pace(*viewer, pace));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Micros;

    fn pace(pace_bps: u64, pace_percent: u32, rate_bps: f64) -> Option<u64> {
        let limits = PeerLimits {
            idle: Micros(0),
            blocked: Micros(0),
            buffer_bytes: 0,
            pace_bps,
            pace_percent,
        };
        pace_of(&limits, rate_bps)
    }

    #[test]
    fn a_pace_is_fixed_or_follows_the_stream_and_the_lower_one_holds() {
        assert_eq!(pace(0, 0, 1e6), None);
        assert_eq!(pace(5_000_000, 0, 1e6), Some(5_000_000));
        assert_eq!(pace(0, 150, 2e6), Some(3_000_000));
        assert_eq!(pace(5_000_000, 150, 2e6), Some(3_000_000));
        assert_eq!(pace(5_000_000, 150, 9e6), Some(5_000_000));
        assert_eq!(pace(0, 150, 0.0), None, "nothing is known yet");
        assert_eq!(pace(0, 150, 1_000.0), Some(256_000));
    }

    #[test]
    fn viewers_are_told_only_of_paces_that_differ() {
        assert!(is_news(0, 256_000) && is_news(1_000, 1_200) && is_news(1_000, 400));
        assert!(!is_news(1_000, 1_000) && !is_news(1_000, 1_100) && !is_news(1_000, 600));
    }
}
