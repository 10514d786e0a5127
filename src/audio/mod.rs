//! Audio of a programme: inputs read from rings or made here, gains, one stereo bus that never
//! clips, meters. Pure steps over sample numbers and times; no I/O, no clock, no allocation after
//! the mixer is made.

mod framer;
mod input;
mod limiter;
mod meter;
mod mixer;
mod model;
mod ramp;
mod synth;

pub use framer::AudioFramer;
pub use mixer::Mixer;
pub use model::{INPUTS_MAX, InputSpec, Source};
