//! Figures of an encoder's speed: what its governor has chosen, and the last changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::cell::{Counter, Gauge};
use crate::media::{Micros, Size};

/// Changes that are kept.
pub const CHANGES_KEPT: usize = 8;

/// Why an encoder's speed or frame rate was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeedReason {
    /// Pictures waited for the encoder.
    Queue,
    /// Encoding took nearly all the time between two pictures.
    EncodeTime,
    /// There is time for better pictures, or for more of them.
    Headroom,
    /// An encoder of a channel of higher priority has too little time.
    Priority,
}

impl SpeedReason {
    const ALL: [Self; 4] = [Self::Queue, Self::EncodeTime, Self::Headroom, Self::Priority];

    /// The word for it in the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::EncodeTime => "encode_time",
            Self::Headroom => "headroom",
            Self::Priority => "priority",
        }
    }
}

/// What of an encoder was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Its speed.
    Speed,
    /// How many pictures it encodes.
    Rate,
    /// The size of its pictures.
    Size,
}

impl Changed {
    const ALL: [Self; 3] = [Self::Speed, Self::Rate, Self::Size];
}

/// A change of an encoder's speed, of its frame rate or of the size of its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpeedChange {
    /// When, on the node's clock, in whole milliseconds.
    pub at: Micros,
    /// The speed since then, 0 being the fastest; at most 15.
    pub step: u8,
    /// One picture of so many is encoded since then; at most 15.
    pub divisor: u8,
    /// Size of the pictures since then, 0 being the full one; at most 3.
    pub size: u8,
    /// What was changed.
    pub changed: Changed,
    /// Why.
    pub reason: SpeedReason,
}

impl SpeedChange {
    /// In one word, so that it is written and read at once: the time, and below it a nibble each of
    /// reason, size and kind, divisor (never 0), and step.
    fn packed(self) -> u64 {
        let low = (self.reason as u64) << 12
            | u64::from(self.size & 3) << 10
            | (self.changed as u64) << 8
            | u64::from(self.divisor & 15) << 4
            | u64::from(self.step & 15);
        self.at.millis() << 16 | low
    }

    /// `None` if nothing was written there.
    fn unpacked(word: u64) -> Option<Self> {
        let nibble = |at: u32| u8::try_from(word >> at & 15).unwrap_or(0);
        let divisor = Some(nibble(4)).filter(|divisor| *divisor > 0)?;
        let reason = *SpeedReason::ALL.get(usize::from(nibble(12)))?;
        let at = Micros::from_millis(word >> 16);
        let changed = *Changed::ALL.get(usize::from(nibble(8) & 3))?;
        Some(Self { at, step: nibble(0), divisor, size: nibble(8) >> 2, changed, reason })
    }
}

/// Written by the video encoder's thread.
#[derive(Debug, Default)]
pub(super) struct SpeedStats {
    /// The presets that its speeds are like, fastest first.
    presets: ArcSwap<Vec<&'static str>>,
    /// The sizes that its pictures may have, the full one first.
    sizes: ArcSwap<Vec<Size>>,
    step: Gauge,
    divisor: Gauge,
    size: Gauge,
    faster: Counter,
    slower: Counter,
    late: Counter,
    changes: Counter,
    kept: [AtomicU64; CHANGES_KEPT],
}

impl SpeedStats {
    pub(super) fn opened(&self, presets: Vec<&'static str>, step: usize) {
        self.presets.store(Arc::new(presets));
        self.step.set_count(step);
        self.divisor.set_count(1);
    }

    pub(super) fn sized(&self, sizes: Vec<Size>, size: usize, divisor: u32) {
        self.sizes.store(Arc::new(sizes));
        self.size.set_count(size);
        self.divisor.set(f64::from(divisor));
    }

    pub(super) fn changed(&self, change: SpeedChange) {
        self.step.set_count(change.step.into());
        self.divisor.set_count(change.divisor.into());
        self.size.set_count(change.size.into());
        match change.reason {
            SpeedReason::Headroom => self.slower.add(1),
            SpeedReason::Queue | SpeedReason::EncodeTime | SpeedReason::Priority => {
                self.faster.add(1);
            }
        }
        let place = self.changes.get() % CHANGES_KEPT as u64;
        if let Some(kept) = usize::try_from(place).ok().and_then(|place| self.kept.get(place)) {
            kept.store(change.packed(), Ordering::Relaxed);
        }
        self.changes.add(1);
    }

    pub(super) fn late(&self) {
        self.late.add(1);
    }

    pub(super) fn read(&self) -> SpeedFigures {
        let presets = self.presets.load();
        let preset = |step: u64| {
            let step = usize::try_from(step).unwrap_or(usize::MAX);
            presets.get(step).copied().unwrap_or_default()
        };
        let sizes = self.sizes.load();
        let size = |size: u64| sizes.get(usize::try_from(size).unwrap_or(usize::MAX)).copied();
        let mut changes = self.kept.each_ref().map(|kept| {
            let change = SpeedChange::unpacked(kept.load(Ordering::Relaxed))?;
            Some((change, preset(change.step.into()), size(change.size.into())))
        });
        // What was kept stands in a circle.
        changes.sort_by_key(|change| change.map_or(u64::MAX, |(change, ..)| change.at.0));
        let step = self.step.get_count();
        SpeedFigures {
            step,
            steps: presets.len() as u64,
            preset: preset(step),
            divisor: self.divisor.get_count(),
            size: size(self.size.get_count()),
            faster: self.faster.get(),
            slower: self.slower.get(),
            late: self.late.get(),
            changes,
        }
    }
}

/// What had become of an encoder's speed at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpeedFigures {
    /// The speed, 0 being the fastest.
    pub step: u64,
    /// Speeds that there are; 0 if it is fixed.
    pub steps: u64,
    /// The preset that it is like; empty if it is fixed.
    pub preset: &'static str,
    /// One picture of so many is encoded; 0 before the first one.
    pub divisor: u64,
    /// Size of the pictures; `None` before the first one.
    pub size: Option<Size>,
    /// Changes to faster, fewer or smaller pictures.
    pub faster: u64,
    /// Changes to better, more or larger pictures.
    pub slower: u64,
    /// Pictures encoded more than two of their intervals after they were due.
    pub late: u64,
    /// The last changes, and the presets and sizes that they led to, oldest first, then nothing.
    pub changes: [Option<(SpeedChange, &'static str, Option<Size>)>; CHANGES_KEPT],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(ms: u64, step: u8, reason: SpeedReason) -> SpeedChange {
        let (at, changed) = (Micros::from_millis(ms), Changed::Speed);
        SpeedChange { at, step, divisor: 1, size: 0, changed, reason }
    }

    #[test]
    fn a_change_is_read_as_it_was_written() {
        for reason in SpeedReason::ALL {
            for changed in Changed::ALL {
                let change =
                    SpeedChange { divisor: 4, size: 2, changed, ..change(1 << 40, 7, reason) };
                assert_eq!(SpeedChange::unpacked(change.packed()), Some(change));
            }
        }
        assert_eq!(SpeedChange::unpacked(0), None);
    }

    #[test]
    fn the_last_changes_are_kept_with_the_names_of_their_presets() {
        let stats = SpeedStats::default();
        stats.opened(vec!["superfast", "veryfast"], 0);
        assert_eq!((stats.read().preset, stats.read().divisor), ("superfast", 1));
        for n in 0..11_u8 {
            let reason = [SpeedReason::Headroom, SpeedReason::Queue][usize::from(n % 2)];
            stats.changed(change(u64::from(n) * 1_000, (n + 1) % 2, reason));
        }
        stats.late();
        let figures = stats.read();
        assert_eq!((figures.step, figures.steps, figures.preset), (1, 2, "veryfast"));
        assert_eq!((figures.slower, figures.faster, figures.late), (6, 5, 1));
        let kept: Vec<_> = figures.changes.iter().flatten().collect();
        let times: Vec<_> = kept.iter().map(|(change, ..)| change.at.millis() / 1_000).collect();
        assert_eq!(times, [3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!((kept[0].1, kept[7].1), ("superfast", "veryfast"));
    }
}
