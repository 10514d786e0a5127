//! Audio of a programme: inputs read from rings or made here, each with delay, filters, gain and
//! pan; one stereo bus that never clips, meters. Pure steps over sample numbers and times; no I/O,
//! no clock, no allocation after the mixer is made.

mod chain;
mod delay_line;
mod dynamics;
mod equalizer;
mod framer;
mod input;
mod limiter;
mod line;
mod loudness;
mod meter;
mod mixer;
mod model;
mod normalizer;
mod ramp;
mod strip;
mod strip_spec;
mod synth;
mod true_peak;

pub use framer::AudioFramer;
pub use line::{Fade, LineFull, MixerControl};
pub use mixer::Mixer;
pub use model::{BusSpec, CEILING_DBTP, INPUTS_MAX, InputSpec, NORMALIZE_LUFS, Source};
pub use strip_spec::{
    BAND_DB, CompressorSpec, DELAY_MS, DUCKING_DB, DuckingSpec, EqSpec, FADE_MS, Filters, GAIN_DB,
    GateSpec, Mapping, OUTPUT_GAIN_DB, PAN, RATIO, THRESHOLD_DB, TIME_MS,
};
