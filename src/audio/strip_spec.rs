//! Strip settings: how one source of a mix is placed, held back and processed, with their ranges.

use std::ops::RangeInclusive;

/// Range of a gain, decibels.
pub const GAIN_DB: RangeInclusive<f32> = -90.0..=24.0;

/// Range of a place between left (-1) and right (1).
pub const PAN: RangeInclusive<f32> = -1.0..=1.0;

/// Range of a delay, milliseconds. Beyond it each source would hold more than a megabyte.
pub const DELAY_MS: RangeInclusive<i32> = -500..=2_000;

/// Range of a fade from one gain to another, milliseconds: a minute at most.
pub const FADE_MS: RangeInclusive<u32> = 0..=60_000;

/// Range of a threshold, decibels below full scale.
pub const THRESHOLD_DB: RangeInclusive<f32> = -96.0..=0.0;

/// Range of times of attack, hold and release, milliseconds.
pub const TIME_MS: RangeInclusive<f32> = 0.0..=10_000.0;

/// Range of a compressor's ratio.
pub const RATIO: RangeInclusive<f32> = 1.0..=32.0;

/// Range of a compressor's output gain, decibels.
pub const OUTPUT_GAIN_DB: RangeInclusive<f32> = -32.0..=32.0;

/// Range of a band of the equalizer, decibels.
pub const BAND_DB: RangeInclusive<f32> = -20.0..=20.0;

/// Range of what ducking takes away, decibels.
pub const DUCKING_DB: RangeInclusive<f32> = 0.0..=90.0;

/// Which channels of a source are heard where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mapping {
    /// As they are.
    #[default]
    Stereo,
    /// The left one on both sides.
    Left,
    /// The right one on both sides.
    Right,
    /// The mean of both on both sides.
    Mono,
    /// Each on the other side.
    Swapped,
}

/// What a source goes through, in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filters {
    /// Closes while there is nothing but noise.
    pub gate: Option<GateSpec>,
    /// Low, mid and high tones.
    pub eq: Option<EqSpec>,
    /// Makes what is loud less so.
    pub compressor: Option<CompressorSpec>,
    /// Makes way for another source of the mix.
    pub ducking: Option<DuckingSpec>,
}

impl Filters {
    /// None.
    pub const NONE: Self = Self { gate: None, eq: None, compressor: None, ducking: None };
}

/// A noise gate. Levels are peaks of the louder channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateSpec {
    /// Opens above this, decibels below full scale.
    pub open_db: f32,
    /// Closes below this, decibels below full scale; at most `open_db`.
    pub close_db: f32,
    /// How long it takes to open, milliseconds.
    pub attack_ms: f32,
    /// How long it stays open below `close_db`, milliseconds.
    pub hold_ms: f32,
    /// How long it takes to close, milliseconds.
    pub release_ms: f32,
}

impl Default for GateSpec {
    fn default() -> Self {
        let (open_db, close_db) = (-26.0, -32.0);
        Self { open_db, close_db, attack_ms: 25.0, hold_ms: 200.0, release_ms: 150.0 }
    }
}

/// A 3-band equalizer: a low shelf at 800 Hz, a high shelf at 5 kHz, and a bell between them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EqSpec {
    /// Gain of the low band, decibels.
    pub low_db: f32,
    /// Gain of the band in the middle, decibels.
    pub mid_db: f32,
    /// Gain of the high band, decibels.
    pub high_db: f32,
}

/// A compressor of both channels alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompressorSpec {
    /// So many decibels above the threshold become one.
    pub ratio: f32,
    /// Where it begins, decibels below full scale.
    pub threshold_db: f32,
    /// Time constant of its falling gain, milliseconds.
    pub attack_ms: f32,
    /// Time constant of its rising gain, milliseconds.
    pub release_ms: f32,
    /// Gain afterwards, decibels.
    pub output_gain_db: f32,
}

impl Default for CompressorSpec {
    fn default() -> Self {
        let (ratio, threshold_db, output_gain_db) = (10.0, -18.0, 0.0);
        Self { ratio, threshold_db, attack_ms: 6.0, release_ms: 60.0, output_gain_db }
    }
}

/// Ducking: a source is quieter while another one, its side chain, is heard.
#[derive(Clone, Debug, PartialEq)]
pub struct DuckingSpec {
    /// Name of the other source.
    pub by: String,
    /// The other's peak from which on it is heard, decibels below full scale.
    pub threshold_db: f32,
    /// How much quieter, decibels.
    pub amount_db: f32,
    /// How long it takes to make way, milliseconds.
    pub attack_ms: f32,
    /// How long it takes to come back, milliseconds.
    pub release_ms: f32,
}

impl DuckingSpec {
    /// The usual one, by this source: as much and as slowly as the bed makes way for live inputs.
    #[must_use]
    pub const fn by(name: String) -> Self {
        let (attack_ms, release_ms) = (300.0, 1_500.0);
        Self { by: name, threshold_db: -40.0, amount_db: 8.0, attack_ms, release_ms }
    }
}
