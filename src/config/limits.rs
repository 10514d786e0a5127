//! Limits, `[limits]`: the most that the node takes on, of all peers and of each.

use super::fault::Faults;
use super::section::Section;
use crate::media::Micros;
use crate::rtmp::limits::PARTIAL_BYTES_MAX;

/// `[limits]`; 0 is no limit where a key allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Bits per second that all viewers and outputs together may need.
    pub egress_max_bps: u64,
    /// Connections at once of one address; `None` for a tenth of all, and 100 at least.
    pub connections_per_ip_max: Option<u32>,
    /// Connections a minute of one address.
    pub connects_per_minute: u32,
    /// Attempts to publish a minute of one address.
    pub publishes_per_minute: u32,
    /// How long a connected peer may neither publish nor play.
    pub idle_timeout: Micros,
    /// How long a viewer may take nothing of what is sent to it.
    pub blocked_timeout: Micros,
    /// Bytes of unfinished messages of one publisher.
    pub buffer_bytes_max: usize,
    /// The same of all peers together.
    pub buffer_bytes_total: usize,
    /// Bytes of memory for packets: the logs of all streams, and what is on its way.
    pub packet_bytes_max: usize,
    /// Bytes of loaded pictures that are kept for scenes which show them again; 0 to keep none.
    pub asset_cache_bytes_max: usize,
}

/// Bytes of unfinished messages of all peers, if nobody says.
const BUFFER_BYTES_TOTAL: usize = 256 << 20;

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            egress_max_bps: 0,
            connections_per_ip_max: None,
            connects_per_minute: 0,
            publishes_per_minute: 0,
            idle_timeout: Micros::from_secs(60),
            blocked_timeout: Micros::from_secs(10),
            buffer_bytes_max: PARTIAL_BYTES_MAX,
            buffer_bytes_total: BUFFER_BYTES_TOTAL,
            packet_bytes_max: PACKET_BYTES_MAX,
            asset_cache_bytes_max: ASSET_CACHE_BYTES_MAX,
        }
    }
}

/// Bytes of memory for packets, if nobody says: the logs of 1000 streams of 2.5 Mb/s.
const PACKET_BYTES_MAX: usize = 4 << 30;

/// Bytes of loaded pictures that are kept, if nobody says: about eighty of 1920x1080.
const ASSET_CACHE_BYTES_MAX: usize = 256 << 20;

/// The least of them: four publishers' largest messages.
const BUFFER_BYTES_TOTAL_MIN: usize = 4 * PARTIAL_BYTES_MAX;

/// The least memory for packets: what is mapped at start.
const PACKET_BYTES_MAX_MIN: usize = 256 << 20;

/// Highest rate per minute: tables count in steps of 16 microseconds.
const PER_MINUTE_MAX: u32 = 600_000;

/// Reads `[limits]`.
pub(super) fn read(mut s: Section<'_>, faults: &mut Faults<'_>) -> LimitsConfig {
    let default = LimitsConfig::default();
    let seconds = |n: Option<u32>, or: Micros| n.map_or(or, |n| Micros::from_secs(n.into()));
    let buffer = s.whole(faults, "buffer_bytes_max", 1 << 20..=PARTIAL_BYTES_MAX);
    let total = s.whole(faults, "buffer_bytes_total", 0..=1_usize << 40);
    if total.is_some_and(|total| (1..BUFFER_BYTES_TOTAL_MIN).contains(&total)) {
        let text = format!("`buffer_bytes_total` is 0 (any), or {BUFFER_BYTES_TOTAL_MIN} or more");
        faults.add(&s.place("buffer_bytes_total"), text);
    }
    let limits = LimitsConfig {
        egress_max_bps: s
            .bitrate(faults, "egress_max_bps", 0..=1_000_000_000_000)
            .unwrap_or(default.egress_max_bps),
        connections_per_ip_max: s.auto_or(faults, "connections_per_ip_max", 0..=1_000_000),
        connects_per_minute: s
            .whole(faults, "connects_per_minute", 0..=PER_MINUTE_MAX)
            .unwrap_or(default.connects_per_minute),
        publishes_per_minute: s
            .whole(faults, "publishes_per_minute", 0..=PER_MINUTE_MAX)
            .unwrap_or(default.publishes_per_minute),
        idle_timeout: seconds(s.whole(faults, "idle_timeout", 1..=86_400), default.idle_timeout),
        blocked_timeout: seconds(
            s.whole(faults, "blocked_timeout", 1..=3_600),
            default.blocked_timeout,
        ),
        buffer_bytes_max: buffer.unwrap_or(default.buffer_bytes_max),
        buffer_bytes_total: total.unwrap_or(default.buffer_bytes_total),
        packet_bytes_max: s
            .whole(faults, "packet_bytes_max", PACKET_BYTES_MAX_MIN..=1_usize << 40)
            .unwrap_or(default.packet_bytes_max),
        asset_cache_bytes_max: s
            .whole(faults, "asset_cache_bytes_max", 0..=1_usize << 40)
            .unwrap_or(default.asset_cache_bytes_max),
    };
    s.finish(faults);
    limits
}
