//! Audio levels: what the mixer of a channel measures of each source and of its bus.

use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::Gauge;

/// What silence measures, decibels below full scale or LUFS.
pub const SILENCE_DB: f32 = -120.0;

/// Levels of a source, after its filters, gain and pan, or of the bus, after its limiter. Readers
/// see each value whole, though two values may come from neighbouring calls of the mixer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AudioLevels {
    /// Highest recent sample of the left and the right channel, dBFS; falls by 20 dB per second.
    pub peak_db: [f32; 2],
    /// Root of the mean square over about 300 ms of both, dBFS.
    pub rms_db: [f32; 2],
    /// The highest recent true peak of both channels (ITU-R BS.1770-4 annex 2), dBTP; falls by
    /// 20 dB per second.
    pub true_peak_db: f32,
    /// Loudness of the last 400 ms (EBU Tech 3341), LUFS.
    pub momentary_lufs: f32,
    /// Loudness of the last 3 s, LUFS.
    pub short_term_lufs: f32,
    /// Gated loudness since the start, or since it was reset, LUFS.
    pub integrated_lufs: f32,
}

impl AudioLevels {
    /// Those of silence.
    pub const SILENCE: Self = Self {
        peak_db: [SILENCE_DB; 2],
        rms_db: [SILENCE_DB; 2],
        true_peak_db: SILENCE_DB,
        momentary_lufs: SILENCE_DB,
        short_term_lufs: SILENCE_DB,
        integrated_lufs: SILENCE_DB,
    };
}

/// Levels of all sources of a mixer and of its bus at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioFigures {
    /// Of each source, with its name, in their order in the mixer.
    pub sources: Vec<(String, AudioLevels)>,
    /// Of the mixed audio, after the limiter.
    pub bus: AudioLevels,
}

/// Levels of all sources of a mixer and of its bus: the mixer writes them, any thread reads.
#[derive(Debug)]
pub struct AudioStats {
    sources: Box<[(String, Cell)]>,
    bus: Cell,
    resets: AtomicU64,
}

impl AudioStats {
    /// Of sources with these names, in their order in the mixer.
    #[must_use]
    pub fn new(sources: impl Iterator<Item = String>) -> Self {
        Self {
            sources: sources.map(|name| (name, Cell::new())).collect(),
            bus: Cell::new(),
            resets: AtomicU64::new(0),
        }
    }

    /// All of them, as they are now.
    #[must_use]
    pub fn read(&self) -> AudioFigures {
        let sources = self.sources.iter().map(|(name, cell)| (name.clone(), cell.get()));
        AudioFigures { sources: sources.collect(), bus: self.bus.get() }
    }

    /// Those of a source, by its place in the mixer.
    #[must_use]
    pub fn source(&self, place: usize) -> Option<AudioLevels> {
        self.sources.get(place).map(|(_, cell)| cell.get())
    }

    /// Those of the mixed audio, after the limiter.
    #[must_use]
    pub fn bus(&self) -> AudioLevels {
        self.bus.get()
    }

    /// Takes the levels of a source. For the mixer.
    pub fn set_source(&self, place: usize, levels: &AudioLevels) {
        if let Some((_, cell)) = self.sources.get(place) {
            cell.set(levels);
        }
    }

    /// Takes the levels of the bus. For the mixer.
    pub fn set_bus(&self, levels: &AudioLevels) {
        self.bus.set(levels);
    }

    /// Has the mixer measure integrated loudness anew from its next block on.
    pub fn reset_integrated(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was asked for.
    #[must_use]
    pub fn resets(&self) -> u64 {
        self.resets.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Cell([Gauge; 8]);

impl Cell {
    fn new() -> Self {
        let cell = Self(Default::default());
        cell.set(&AudioLevels::SILENCE);
        cell
    }

    fn get(&self) -> AudioLevels {
        #[expect(clippy::cast_possible_truncation, reason = "they were of single precision")]
        let [left, right, rms_left, rms_right, true_peak, momentary, short_term, integrated] =
            std::array::from_fn(|n| self.0[n].get() as f32);
        AudioLevels {
            peak_db: [left, right],
            rms_db: [rms_left, rms_right],
            true_peak_db: true_peak,
            momentary_lufs: momentary,
            short_term_lufs: short_term,
            integrated_lufs: integrated,
        }
    }

    fn set(&self, levels: &AudioLevels) {
        let AudioLevels { peak_db, rms_db, .. } = levels;
        let AudioLevels { true_peak_db, momentary_lufs, short_term_lufs, integrated_lufs, .. } =
            levels;
        let values = [
            peak_db[0],
            peak_db[1],
            rms_db[0],
            rms_db[1],
            *true_peak_db,
            *momentary_lufs,
            *short_term_lufs,
            *integrated_lufs,
        ];
        self.0.iter().zip(values).for_each(|(gauge, value)| gauge.set(value.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_as_they_were_written_and_begin_silent() {
        let stats = AudioStats::new(["a".to_owned(), "b".to_owned()].into_iter());
        assert_eq!(stats.source(1), Some(AudioLevels::SILENCE));
        let levels = AudioLevels { peak_db: [-1.5, -2.0], ..AudioLevels::SILENCE };
        stats.set_source(1, &levels);
        stats.set_source(2, &levels);
        stats.set_bus(&levels);
        let sources = vec![("a".to_owned(), AudioLevels::SILENCE), ("b".to_owned(), levels)];
        assert_eq!(stats.read(), AudioFigures { sources, bus: levels });
        assert_eq!((stats.bus(), stats.source(2)), (levels, None));
        stats.reset_integrated();
        assert_eq!(stats.resets(), 1);
    }
}
