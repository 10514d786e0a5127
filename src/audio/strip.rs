//! Mixer strip: one input with its delay, filters, gain, pan and ducking.

use std::f32::consts::{FRAC_PI_4, SQRT_2};

use super::delay_line::DelayLine;
use super::dynamics::{Compressor, Gate};
use super::equalizer::Equalizer;
use super::input::Input;
use super::meter::{Level, Meter};
use super::ramp::{Ramp, from_db};
use super::strip_spec::{DuckingSpec, GAIN_DB, Mapping};
use super::synth;
use super::{INPUTS_MAX, InputSpec, Source};
use crate::frame::AudioBlock;
use crate::media::{CHANNELS, Micros, SAMPLE_RATE};
use crate::ring::Receiver;

/// Samples in which a gain or mute change is carried out: 10 ms.
const GAIN_SAMPLES: u32 = SAMPLE_RATE / 100;

/// How much quieter the bed is while a live input plays, decibels.
const DUCK_DB: f32 = -8.0;

/// Samples in which the bed makes way: 300 ms.
const DUCK_SAMPLES: u32 = SAMPLE_RATE * 3 / 10;

/// Samples in which the bed comes back: 1.5 s.
const UNDUCK_SAMPLES: u32 = SAMPLE_RATE * 3 / 2;

/// One input with all that it goes through, in the order of the fields.
#[derive(Debug)]
pub(super) struct Strip {
    name: String,
    maker: Maker,
    delay: Option<DelayLine>,
    mapping: Mapping,
    gate: Option<Gate>,
    equalizer: Option<Equalizer>,
    compressor: Option<Compressor>,
    gain_db: f32,
    mute: bool,
    /// Whether others are in solo, and this one is not.
    left_out: bool,
    gain: Ramp,
    /// Factors of both sides, unless it is in the middle.
    pan: Option<[f32; CHANNELS]>,
    ducking: Option<Ducking>,
    duck: Ramp,
    meter: Meter,
}

/// What makes the samples of a strip.
#[derive(Debug)]
enum Maker {
    Bed,
    Tone(f32),
    Beep,
    Ring { live: bool, input: Option<Input> },
}

/// When a strip makes way, and how.
#[derive(Clone, Copy, Debug)]
struct Ducking {
    by: SideChain,
    gain: f32,
    attack: u32,
    release: u32,
}

/// For whom a strip makes way.
#[derive(Clone, Copy, Debug)]
enum SideChain {
    /// For any live input.
    AnyLive,
    /// For the input at this place in the mixer, from this peak on.
    Input(usize, f32),
}

impl Strip {
    /// The strip of `spec`, which is one of `all`.
    pub(super) fn new(spec: &InputSpec, all: &[InputSpec]) -> Self {
        let maker = match &spec.source {
            Source::Bed => Maker::Bed,
            Source::Tone(hz) => Maker::Tone(*hz),
            Source::Beep => Maker::Beep,
            Source::Video(_) => Maker::Ring { live: false, input: None },
            Source::Live(_) | Source::Network(_) => Maker::Ring { live: true, input: None },
        };
        let left_out = !spec.solo && all.iter().any(|other| other.solo);
        // Nothing can be heard before it is there: the others wait for the earliest.
        let earliest = all.iter().map(|other| other.delay_ms).min().unwrap_or(0).min(0);
        let delay_ms = u32::try_from(spec.delay_ms.saturating_sub(earliest)).unwrap_or(0);
        Self {
            name: spec.name.clone(),
            ducking: Ducking::of(spec, all),
            maker,
            delay: DelayLine::new(delay_ms),
            mapping: spec.mapping,
            gate: spec.filters.gate.as_ref().map(Gate::new),
            equalizer: spec.filters.eq.as_ref().map(Equalizer::new),
            compressor: spec.filters.compressor.as_ref().map(Compressor::new),
            gain_db: spec.gain_db,
            mute: spec.mute,
            left_out,
            gain: Ramp::at(factor(spec.gain_db, spec.mute || left_out)),
            pan: (spec.pan != 0.0).then(|| pan(spec.pan, spec.mapping)),
            duck: Ramp::at(1.0),
            meter: Meter::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Takes the ring that it plays; `false` if it makes its own audio.
    pub(super) fn attach(&mut self, ring: Receiver<AudioBlock>) -> bool {
        let Maker::Ring { input, .. } = &mut self.maker else { return false };
        *input = Some(Input::new(ring));
        true
    }

    pub(super) const fn is_live_and_on(&self) -> bool {
        matches!(self.maker, Maker::Ring { live: true, .. }) && self.gain.target() > 0.0
    }

    pub(super) fn set_gain(&mut self, gain_db: f32) {
        self.gain_db = gain_db;
        self.change();
    }

    pub(super) fn set_mute(&mut self, mute: bool) {
        self.mute = mute;
        self.change();
    }

    fn change(&mut self) {
        self.gain.go(factor(self.gain_db, self.mute || self.left_out), GAIN_SAMPLES);
    }

    /// Makes way, or comes back: `peaks` are those of all inputs in the last chunk.
    pub(super) fn duck_for(&mut self, peaks: &[f32; INPUTS_MAX], live_heard: bool) {
        let Some(ducking) = self.ducking else { return };
        let is_heard = match ducking.by {
            SideChain::AnyLive => live_heard,
            SideChain::Input(place, threshold) => {
                peaks.get(place).is_some_and(|peak| *peak >= threshold)
            }
        };
        match is_heard {
            true => self.duck.go(ducking.gain, ducking.attack),
            false => self.duck.go(1.0, ducking.release),
        }
    }

    /// Whether anything may be heard of it after its source has fallen silent.
    pub(super) const fn goes_on(&self) -> bool {
        self.delay.is_some() || self.has_filters()
    }

    const fn has_filters(&self) -> bool {
        self.gate.is_some() || self.equalizer.is_some() || self.compressor.is_some()
    }

    /// Writes the source's samples; says whether they may be anything but silence. A muted ring is
    /// read all the same, so that it is in its place when it is heard again.
    pub(super) fn fill(&mut self, first_sample: u64, at: Micros, out: &mut [f32]) -> bool {
        let is_needed = self.gain.target() > 0.0 || !self.gain.is_at_rest() || self.goes_on();
        let heard = match &mut self.maker {
            Maker::Ring { input: None, .. } => false,
            Maker::Ring { input: Some(input), .. } => input.fill(at, out),
            Maker::Bed | Maker::Tone(_) | Maker::Beep if !is_needed => false,
            Maker::Bed => {
                synth::bed(first_sample, out);
                true
            }
            Maker::Tone(hz) => {
                synth::tone(*hz, first_sample, out);
                true
            }
            Maker::Beep => {
                synth::beep(first_sample, out);
                true
            }
        };
        if !heard {
            out.fill(0.0);
        }
        heard
    }

    /// Takes the source's samples through all that is after it; the highest of them before what
    /// ducking takes away.
    pub(super) fn finish(&mut self, samples: &mut [f32]) -> f32 {
        if let Some(delay) = &mut self.delay {
            delay.apply(samples);
        }
        map(self.mapping, samples);
        if let Some(gate) = &mut self.gate {
            gate.apply(samples);
        }
        if let Some(equalizer) = &mut self.equalizer {
            equalizer.apply(samples);
        }
        if let Some(compressor) = &mut self.compressor {
            compressor.apply(samples);
        }
        self.gain.apply(samples);
        if let Some([left, right]) = self.pan {
            for pair in samples.chunks_exact_mut(CHANNELS) {
                pair[0] *= left;
                pair[1] *= right;
            }
        }
        let peak = samples.iter().fold(0.0_f32, |peak, value| peak.max(value.abs()));
        self.duck.apply(samples);
        self.meter.feed(samples);
        peak
    }

    pub(super) fn level(&self) -> Level {
        self.meter.level()
    }
}

impl Ducking {
    /// That of an input; the bed makes way for all live ones, if nobody says otherwise.
    fn of(spec: &InputSpec, all: &[InputSpec]) -> Option<Self> {
        let Some(DuckingSpec { by, threshold_db, amount_db, attack_ms, release_ms }) =
            &spec.filters.ducking
        else {
            let (attack, release) = (DUCK_SAMPLES, UNDUCK_SAMPLES);
            let bed = Self { by: SideChain::AnyLive, gain: from_db(DUCK_DB), attack, release };
            return (spec.source == Source::Bed).then_some(bed);
        };
        let place = all.iter().position(|other| other.name == *by)?;
        Some(Self {
            by: SideChain::Input(place, from_db(*threshold_db)),
            gain: from_db(-amount_db),
            attack: samples(*attack_ms),
            release: samples(*release_ms),
        })
    }
}

/// Puts channels where they are to be heard.
fn map(mapping: Mapping, samples: &mut [f32]) {
    let change: fn(&mut [f32]) = match mapping {
        Mapping::Stereo => return,
        Mapping::Left => |pair| pair[1] = pair[0],
        Mapping::Right => |pair| pair[0] = pair[1],
        Mapping::Mono => |pair| pair.fill(f32::midpoint(pair[0], pair[1])),
        Mapping::Swapped => |pair| pair.swap(0, 1),
    };
    samples.chunks_exact_mut(CHANNELS).for_each(change);
}

/// Factors of both sides at a place. Where both carry the same, their power stays what it is in the
/// middle; of a stereo source the side that it moves to stays as it is, and the other falls.
fn pan(pan: f32, mapping: Mapping) -> [f32; CHANNELS] {
    let (right, left) = ((pan.clamp(-1.0, 1.0) + 1.0) * FRAC_PI_4).sin_cos();
    let power = [left * SQRT_2, right * SQRT_2].map(|side| side.max(0.0));
    match mapping {
        Mapping::Stereo | Mapping::Swapped => power.map(|side| side.min(1.0)),
        Mapping::Left | Mapping::Right | Mapping::Mono => power,
    }
}

/// The factor of a strip: 0 if it is silent or as low as a gain goes.
fn factor(gain_db: f32, is_silent: bool) -> f32 {
    if is_silent || gain_db.is_nan() || gain_db <= *GAIN_DB.start() {
        return 0.0;
    }
    from_db(gain_db.min(*GAIN_DB.end()))
}

/// Samples in so many milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "times have a range"
)]
fn samples(ms: f32) -> u32 {
    (ms / 1_000.0 * SAMPLE_RATE as f32) as u32
}
