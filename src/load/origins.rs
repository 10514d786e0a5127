//! Origin stamps in what a player receives: how long frames took from where they were made to here.

use std::cell::Cell;

use serde_json::json;

use super::demux::{DATA, VIDEO};
use super::report::{Report, Times};
use crate::media::{ClockState, Micros, NodeId, OriginStamp};
use crate::rtmp::flv::Video;
use crate::rtmp::read_origin;
use crate::runtime::{Clock, machine_number};

/// Bytes of each message that are looked at: stamps stand behind what encoders say of themselves,
/// which is less than half of it.
pub(super) const ORIGIN_PEEK: usize = 2 << 10;

/// The stamp in a message of this kind, of which at least the first bytes are given.
pub(super) fn read(kind: u8, start: &[u8]) -> Option<OriginStamp> {
    match kind {
        VIDEO => {
            let video = Video::parse(start).filter(Video::is_keyframe)?;
            let (codec, picture) = video.main_picture(start)?;
            OriginStamp::in_picture(codec, picture)
        }
        DATA => read_origin(start),
        _ => None,
    }
}

/// The time of day, which is looked at once a second: between two looks it goes as the clock does,
/// so that a step of it is in few intervals.
#[derive(Debug)]
pub(super) struct DayClock {
    clock: Clock,
    seen: Cell<(Micros, u64)>,
}

/// Between two looks.
const DAY_EVERY: Micros = Micros::from_secs(1);

impl DayClock {
    pub(super) fn start() -> Self {
        let clock = Clock::start();
        Self { clock, seen: Cell::new((clock.now(), clock.unix_at_start())) }
    }

    /// Microseconds since 1970.
    pub(super) fn unix_us(&self) -> u64 {
        let now = self.clock.now();
        let (mut seen, mut start) = self.seen.get();
        if now.since(seen) >= DAY_EVERY {
            (seen, start) = (now, self.clock.unix_at_start());
            self.seen.set((seen, start));
        }
        start + now.0
    }
}

/// The frame whose stamp a viewer had last.
pub(super) type LastFrame = Option<(NodeId, u64)>;

/// How long stamped frames took.
#[derive(Clone, Debug)]
pub(super) struct Origins {
    /// As if a node ran here.
    here: NodeId,
    times: Times,
    /// Stamps ahead of the clock here: they are counted, and no time is made of them.
    ahead: u64,
    /// Stamps of nodes that read another machine's clock.
    elsewhere: u64,
}

impl Default for Origins {
    fn default() -> Self {
        let here = NodeId::new(machine_number(), 0);
        Self { here, times: Times::default(), ahead: 0, elsewhere: 0 }
    }
}

impl Origins {
    /// A stamp came at `unix_us` to the viewer that had that of `last` before. A frame that is
    /// stamped twice, in its picture and by a message, counts once.
    pub(super) fn add(&mut self, stamp: &OriginStamp, unix_us: u64, last: &mut LastFrame) {
        let frame = Some((stamp.node, stamp.frame));
        if std::mem::replace(last, frame) == frame {
            return;
        }
        if !stamp.node.shares_clock_with(self.here) {
            self.elsewhere += 1;
        }
        match unix_us.checked_sub(stamp.unix_us) {
            Some(took) => self.times.add(took),
            None => self.ahead += 1,
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.times.merge(&other.times);
        self.ahead += other.ahead;
        self.elsewhere += other.elsewhere;
    }

    /// Writes it into a report, with what there is to say of the clocks.
    ///
    /// # Errors
    /// If no stamp has come.
    pub(super) fn tell(&self, report: &mut Report) -> Result<(), super::Failure> {
        if self.times.count() + self.ahead == 0 {
            let text = "the stream has no origin stamps: the node that makes it is to have \
                        `origin_stamp = true` in [channel.video], and to measure for longer than \
                        its keyframes are apart";
            return Err(text.into());
        }
        report.times("origin to viewer", &self.times);
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        report.number("stamps ahead", self.ahead as f64, "", 0);
        let is_shared = self.elsewhere == 0;
        let (text, value) = clock_of(is_shared, Clock::state());
        report.fact("clock", text, value);
        Ok(())
    }
}

/// What the times are worth: both ends read one clock, or this one is kept, or is not.
pub(super) fn clock_of(is_shared: bool, state: Option<ClockState>) -> (String, serde_json::Value) {
    let text = match (is_shared, state) {
        (true, _) => "one for both ends: same machine".to_owned(),
        (false, Some(ClockState { is_synchronised: true, error_max })) => {
            let ms = error_max.secs_f64() * 1e3;
            format!("synchronised, off by {ms:.1} ms at most; so must the origin's be")
        }
        (false, Some(_)) => "NOT synchronised: run NTP or PTP at both ends first".to_owned(),
        (false, None) => "of another machine; whether this one is synchronised is not known".into(),
    };
    let value = json!({
        "same_machine": is_shared,
        "synchronised": state.map(|state| state.is_synchronised),
        "error_max_us": state.map(|state| state.error_max.0),
    });
    (text, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::VideoCodec;
    use crate::rtmp::origin_message;

    const STAMP: OriginStamp =
        OriginStamp { unix_us: 1_780_000_000_000_000, node: NodeId::new(1, 2), frame: 9 };

    #[test]
    fn stamps_are_read_from_keyframes_and_data_that_are_cut_off_behind_them() {
        let unit = STAMP.unit(VideoCodec::H264);
        let key = [&b"\x17\x01\0\0\0"[..], &unit, b"\0\x01\0\0\x65\x88"].concat();
        assert_eq!(read(VIDEO, &key), Some(STAMP));
        let inter = [&b"\x27\x01\0\0\0"[..], &unit].concat();
        assert_eq!(read(VIDEO, &inter), None);
        let header = [&b"\x17\0\0\0\0"[..], &unit].concat();
        assert_eq!(read(VIDEO, &header), None);
        assert_eq!(read(DATA, &origin_message(&STAMP)), Some(STAMP));
        assert_eq!(read(8, &origin_message(&STAMP)), None);
    }

    #[test]
    fn a_frame_counts_once_for_each_viewer_and_stamps_ahead_of_the_clock_make_no_time() {
        let (mut origins, mut last) = (Origins::default(), None);
        origins.add(&STAMP, STAMP.unix_us + 50_000, &mut last);
        origins.add(&STAMP, STAMP.unix_us + 50_100, &mut last);
        origins.add(&STAMP, STAMP.unix_us + 60_000, &mut None);
        origins.add(&OriginStamp { frame: 10, ..STAMP }, STAMP.unix_us - 1, &mut last);
        let mut all = Origins::default();
        all.merge(&origins);
        assert_eq!((all.times.count(), all.ahead, all.elsewhere), (2, 1, 3));
        let mut report = Report::default();
        all.tell(&mut report).unwrap();
        let text = report.text(false);
        assert!(text.contains("(2 samples)") && text.contains("clock"), "{text}");
    }

    #[test]
    fn figures_say_what_the_clocks_are_worth() {
        let kept = ClockState { is_synchronised: true, error_max: Micros(2_500) };
        let (text, value) = clock_of(false, Some(kept));
        assert!(text.contains("2.5 ms") && value["synchronised"] == true, "{text}");
        let free = ClockState { is_synchronised: false, ..kept };
        assert!(clock_of(false, Some(free)).0.contains("NOT"));
        assert!(clock_of(true, Some(free)).0.contains("same machine"));
        assert!(clock_of(false, None).1["synchronised"].is_null());
        let told = Origins::default().tell(&mut Report::default()).unwrap_err().to_string();
        assert!(told.contains("origin_stamp = true"), "{told}");
    }
}
