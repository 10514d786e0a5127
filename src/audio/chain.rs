//! Filter chain of one source: delay, channel mapping, gate, equalizer and compressor, exchanged as
//! a whole when one of them is changed.

use super::delay_line::DelayLine;
use super::dynamics::{Compressor, Gate};
use super::equalizer::Equalizer;
use super::strip_spec::Mapping;
use super::{Filters, InputSpec};
use crate::media::CHANNELS;

/// What a source goes through before its gain, in the order of the fields.
#[derive(Debug)]
pub(super) struct Chain {
    delay: Option<DelayLine>,
    mapping: Mapping,
    gate: Option<Gate>,
    equalizer: Option<Equalizer>,
    compressor: Option<Compressor>,
}

impl Chain {
    /// That of `spec`, which is one of `all`.
    pub(super) fn new(spec: &InputSpec, all: &[InputSpec]) -> Self {
        let Filters { gate, eq, compressor, .. } = &spec.filters;
        Self {
            delay: DelayLine::new(delay_ms(spec, all)),
            mapping: spec.mapping,
            gate: gate.as_ref().map(Gate::new),
            equalizer: eq.as_ref().map(Equalizer::new),
            compressor: compressor.as_ref().map(Compressor::new),
        }
    }

    /// Whether a source whose settings become `new` goes on with the chain that it has.
    pub(super) fn stays(
        (old, all_old): (&InputSpec, &[InputSpec]),
        (new, all_new): (&InputSpec, &[InputSpec]),
    ) -> bool {
        let filters = |spec: &InputSpec| Filters { ducking: None, ..spec.filters.clone() };
        delay_ms(old, all_old) == delay_ms(new, all_new)
            && old.mapping == new.mapping
            && filters(old) == filters(new)
    }

    /// Takes the place of `old`: it goes on with what that one holds, and as that one heard last.
    pub(super) fn follow(&mut self, old: &Self) {
        if let Some(delay) = &mut self.delay {
            delay.follow(old.delay.as_ref());
        }
        if let Some(gate) = &mut self.gate {
            gate.follow(old.gate.as_ref());
        }
        if let (Some(equalizer), Some(old)) = (&mut self.equalizer, &old.equalizer) {
            equalizer.follow(old);
        }
        if let (Some(compressor), Some(old)) = (&mut self.compressor, &old.compressor) {
            compressor.follow(old);
        }
    }

    /// Whether anything may come out of it after its source has fallen silent.
    pub(super) const fn goes_on(&self) -> bool {
        self.delay.is_some()
            || self.gate.is_some()
            || self.equalizer.is_some()
            || self.compressor.is_some()
    }

    /// Takes interleaved samples through all of it, where they lie.
    pub(super) fn apply(&mut self, samples: &mut [f32]) {
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
    }
}

/// How long a source is held back. Nothing can be heard before it is there: the others wait for the
/// earliest.
fn delay_ms(spec: &InputSpec, all: &[InputSpec]) -> u32 {
    let earliest = all.iter().map(|other| other.delay_ms).min().unwrap_or(0).min(0);
    u32::try_from(spec.delay_ms.saturating_sub(earliest)).unwrap_or(0)
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
