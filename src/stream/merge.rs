//! Send merging: messages go out each at once, or several in one call. A call to the kernel costs
//! the same for one message as for ten, and with a thousand viewers it is most of what delivery
//! costs.

use serde::{Deserialize, Serialize};

use crate::media::{Kind, Micros};

/// Longest wait that can be asked for, milliseconds.
pub const MERGE_MS_MAX: u32 = 1_000;

/// What may wait for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// Nothing waits.
    Off,
    /// Audio and data wait for the next picture, at most one frame interval.
    #[default]
    Frame,
    /// Everything waits for this many milliseconds, 1 to [`MERGE_MS_MAX`].
    Millis(u32),
}

/// When the messages of a stream that wait are to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Now.
    Now,
    /// Then, unless a message that is due now comes earlier.
    At(Micros),
}

/// What one stream waits for.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Merger {
    /// Until when the oldest message that waits may do so.
    #[serde(with = "crate::media::instants")]
    due: Option<Micros>,
    #[serde(with = "crate::media::instants")]
    last_picture: Option<Micros>,
    /// Time between two pictures, smoothed.
    interval: Micros,
}

/// Pictures that come more rarely than this are not waited for.
const INTERVAL_MAX: Micros = Micros::from_millis(100);

/// Of each new interval, one part in this many goes into the smoothed one.
const SMOOTHING: u64 = 8;

impl Merger {
    /// A message has come at `now`.
    pub fn arrived(&mut self, merge: Merge, kind: Kind, now: Micros) -> Due {
        let wait = match merge {
            Merge::Off => None,
            Merge::Frame if kind == Kind::Video => {
                self.picture(now);
                None
            }
            Merge::Frame => self.waits_for_picture(now),
            Merge::Millis(millis) => Some(Micros::from_millis(millis.into())),
        };
        match wait {
            None => {
                self.due = None;
                Due::Now
            }
            Some(wait) => Due::At(*self.due.get_or_insert(now + wait)),
        }
    }

    /// Whether something has waited long enough at `now`. If so, nothing waits any more.
    pub fn take_due(&mut self, now: Micros) -> bool {
        let is_due = self.due.is_some_and(|due| now >= due);
        if is_due {
            self.due = None;
        }
        is_due
    }

    /// Until when the oldest message that waits may do so.
    #[must_use]
    pub const fn due(&self) -> Option<Micros> {
        self.due
    }

    fn picture(&mut self, now: Micros) {
        if let Some(last) = self.last_picture {
            let new = now.since(last).min(INTERVAL_MAX);
            let old = if self.interval == Micros(0) { new } else { self.interval };
            self.interval = Micros((old.0 * (SMOOTHING - 1) + new.0) / SMOOTHING);
        }
        self.last_picture = Some(now);
    }

    /// How long audio may wait for a picture: not at all if none is to be expected.
    fn waits_for_picture(&self, now: Micros) -> Option<Micros> {
        let last = self.last_picture?;
        let is_expected = now.since(last) <= self.interval + self.interval;
        (is_expected && self.interval > Micros(0)).then_some(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Micros {
        Micros::from_millis(millis)
    }

    /// After ten pictures, 40 ms apart; the last at 360 ms.
    fn with_pictures() -> Merger {
        let mut merger = Merger::default();
        for n in 0..10 {
            assert_eq!(merger.arrived(Merge::Frame, Kind::Video, at(n * 40)), Due::Now);
        }
        merger
    }

    #[test]
    fn audio_waits_for_the_next_picture_and_goes_out_with_it() {
        let mut merger = with_pictures();
        assert_eq!(merger.arrived(Merge::Frame, Kind::Audio, at(370)), Due::At(at(410)));
        assert_eq!(merger.arrived(Merge::Frame, Kind::Audio, at(391)), Due::At(at(410)));
        assert_eq!(merger.arrived(Merge::Frame, Kind::Video, at(400)), Due::Now);
        assert!(!merger.take_due(at(500)), "nothing waits any more");
    }

    #[test]
    fn audio_waits_at_most_one_frame_interval() {
        let mut merger = with_pictures();
        merger.arrived(Merge::Frame, Kind::Audio, at(370));
        assert!(!merger.take_due(at(409)));
        assert!(merger.take_due(at(410)));
        assert!(!merger.take_due(at(410)));
    }

    #[test]
    fn audio_without_pictures_does_not_wait() {
        let mut merger = Merger::default();
        assert_eq!(merger.arrived(Merge::Frame, Kind::Audio, at(0)), Due::Now);
        let mut stopped = with_pictures();
        assert_eq!(stopped.arrived(Merge::Frame, Kind::Audio, at(1_000)), Due::Now);
    }

    #[test]
    fn nothing_waits_when_merging_is_off() {
        let mut merger = with_pictures();
        for kind in [Kind::Audio, Kind::Video, Kind::Data] {
            assert_eq!(merger.arrived(Merge::Off, kind, at(370)), Due::Now);
        }
    }

    #[test]
    fn with_a_number_everything_waits_from_the_oldest_message_on() {
        let mut merger = Merger::default();
        let merge = Merge::Millis(100);
        assert_eq!(merger.arrived(merge, Kind::Video, at(10)), Due::At(at(110)));
        assert_eq!(merger.arrived(merge, Kind::Audio, at(90)), Due::At(at(110)));
        assert!(merger.take_due(at(112)));
        assert_eq!(merger.arrived(merge, Kind::Video, at(120)), Due::At(at(220)));
        assert_eq!(merger.due(), Some(at(220)));
    }
}
