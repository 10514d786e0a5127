//! Audio of a programme: inputs read from rings or made here, each with delay, filters, gain and
//! pan; one stereo bus that never clips, meters. Pure steps over sample numbers and times; no I/O,
//! no clock, no allocation after the mixer is made.

mod delay_line;
mod dynamics;
mod equalizer;
mod framer;
mod input;
mod limiter;
mod meter;
mod mixer;
mod model;
mod ramp;
mod strip;
mod strip_spec;
mod synth;

pub use framer::AudioFramer;
pub use mixer::Mixer;
pub use model::{INPUTS_MAX, InputSpec, Source};
pub use strip_spec::{
    BAND_DB, CompressorSpec, DELAY_MS, DUCKING_DB, DuckingSpec, EqSpec, Filters, GAIN_DB, GateSpec,
    Mapping, OUTPUT_GAIN_DB, PAN, RATIO, THRESHOLD_DB, TIME_MS,
};
