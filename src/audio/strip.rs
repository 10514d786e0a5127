//! Mixer strip: one input with its delay, filters, gain, pan and ducking.

use std::f32::consts::{FRAC_PI_4, SQRT_2};

use super::chain::Chain;
use super::input::Input;
use super::meter::Meter;
use super::ramp::{Ramp, from_db};
use super::strip_spec::{DuckingSpec, GAIN_DB, Mapping};
use super::synth;
use super::{INPUTS_MAX, InputSpec, Source};
use crate::frame::AudioBlock;
use crate::media::{CHANNELS, Micros, SAMPLE_RATE};
use crate::ring::Receiver;
use crate::stats::AudioLevels;

/// Samples in which a gain or mute change is carried out: 10 ms.
const GAIN_SAMPLES: u32 = SAMPLE_RATE / 100;

/// Samples in which one chain of filters gives way to another: 20 ms.
const EXCHANGE_SAMPLES: u32 = SAMPLE_RATE / 50;

/// Bits of the factor that changes nothing.
const UNITY: u32 = 1.0_f32.to_bits();

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
    chain: Box<Chain>,
    /// The chain that it had before, while one gives way to the other, and how far it is heard.
    old_chain: Option<Box<Chain>>,
    exchange: Ramp,
    gain: Ramp,
    /// Factors of both sides.
    pan: [Ramp; CHANNELS],
    ducking: Option<Ducking>,
    duck: Ramp,
    meter: Meter,
}

/// How a strip is to be from a block on.
#[derive(Debug)]
pub(super) struct StripChange {
    gain: f32,
    /// Samples in which the gain goes there.
    fade: u32,
    pan: [f32; CHANNELS],
    ducking: Option<Ducking>,
    /// What takes the place of its chain, if that changes.
    chain: Option<Box<Chain>>,
}

impl StripChange {
    /// From the input at this place among `old` to that among `new`, with its gain within `fade`
    /// milliseconds.
    pub(super) fn new(place: usize, old: &[InputSpec], new: &[InputSpec], fade_ms: u32) -> Self {
        let spec = &new[place];
        let fade = u64::from(fade_ms) * u64::from(SAMPLE_RATE) / 1_000;
        let stays = Chain::stays((&old[place], old), (spec, new));
        Self {
            gain: gain_of(spec, new),
            fade: u32::try_from(fade).unwrap_or(u32::MAX).max(GAIN_SAMPLES),
            pan: pan_of(spec),
            ducking: Ducking::of(spec, new),
            chain: (!stays).then(|| Box::new(Chain::new(spec, new))),
        }
    }
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
            Source::Video(_) | Source::Playlist(_) => Maker::Ring { live: false, input: None },
            Source::Live(_) | Source::Network(_) => Maker::Ring { live: true, input: None },
        };
        Self {
            name: spec.name.clone(),
            maker,
            chain: Box::new(Chain::new(spec, all)),
            old_chain: None,
            exchange: Ramp::at(0.0),
            gain: Ramp::at(gain_of(spec, all)),
            pan: pan_of(spec).map(Ramp::at),
            ducking: Ducking::of(spec, all),
            duck: Ramp::at(1.0),
            meter: Meter::new(),
        }
    }

    /// Becomes what `change` says, in ramps; the chain that it had sounds out beside the new one.
    pub(super) fn change(&mut self, change: &mut StripChange) {
        self.gain.go(change.gain, change.fade);
        self.pan.iter_mut().zip(change.pan).for_each(|(pan, to)| pan.go(to, GAIN_SAMPLES));
        self.ducking = change.ducking;
        if let Some(mut chain) = change.chain.take() {
            chain.follow(&self.chain);
            self.old_chain = Some(std::mem::replace(&mut self.chain, chain));
            self.exchange = Ramp::at(1.0);
            self.exchange.go(0.0, EXCHANGE_SAMPLES);
        }
    }

    /// Whether it has two chains now, and can be given no other.
    pub(super) const fn is_exchanging(&self) -> bool {
        self.old_chain.is_some()
    }

    /// The chain that is heard no more.
    pub(super) fn take_retired(&mut self) -> Option<Box<Chain>> {
        if self.exchange.is_at_rest() { self.old_chain.take() } else { None }
    }

    /// Measures integrated loudness anew.
    pub(super) fn reset_integrated(&mut self) {
        self.meter.reset_integrated();
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

    /// Makes way, or comes back: `peaks` are those of all inputs in the last chunk.
    pub(super) fn duck_for(&mut self, peaks: &[f32; INPUTS_MAX], live_heard: bool) {
        let Some(ducking) = self.ducking else { return self.duck.go(1.0, UNDUCK_SAMPLES) };
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
    pub(super) fn goes_on(&self) -> bool {
        self.chain.goes_on() || self.old_chain.is_some()
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

    /// Takes the source's samples through all that is after it, with `spare` of the same length;
    /// the highest of them before what ducking takes away.
    pub(super) fn finish(&mut self, samples: &mut [f32], spare: &mut [f32]) -> f32 {
        if let Some(old) = &mut self.old_chain {
            spare.copy_from_slice(samples);
            old.apply(spare);
            self.chain.apply(samples);
            let pairs = samples.chunks_exact_mut(CHANNELS).zip(spare.chunks_exact(CHANNELS));
            for (new, old) in pairs {
                let share = self.exchange.next();
                new[0] += (old[0] - new[0]) * share;
                new[1] += (old[1] - new[1]) * share;
            }
        } else {
            self.chain.apply(samples);
        }
        self.gain.apply(samples);
        self.apply_pan(samples);
        let peak = samples.iter().fold(0.0_f32, |peak, value| peak.max(value.abs()));
        self.duck.apply(samples);
        self.meter.feed(samples);
        peak
    }

    fn apply_pan(&mut self, samples: &mut [f32]) {
        let is_middle = |side: &Ramp| side.is_at_rest() && side.target().to_bits() == UNITY;
        if self.pan.iter().all(is_middle) {
            return;
        }
        for pair in samples.chunks_exact_mut(CHANNELS) {
            pair[0] *= self.pan[0].next();
            pair[1] *= self.pan[1].next();
        }
    }

    pub(super) fn levels(&self) -> AudioLevels {
        self.meter.levels()
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

/// The factor that `spec`, which is one of `all`, has: nothing of it is heard while it is muted, or
/// others are in solo and it is not.
fn gain_of(spec: &InputSpec, all: &[InputSpec]) -> f32 {
    let is_left_out = !spec.solo && all.iter().any(|other| other.solo);
    factor(spec.gain_db, spec.mute || is_left_out)
}

/// Factors of both sides; exactly 1 in the middle.
fn pan_of(spec: &InputSpec) -> [f32; CHANNELS] {
    if spec.pan == 0.0 { [1.0; CHANNELS] } else { pan(spec.pan, spec.mapping) }
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
