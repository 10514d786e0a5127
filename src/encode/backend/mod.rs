//! Encoder backends: NVENC, libx264 called directly, libavcodec's software encoders, and the test
//! double.

#[cfg(any(feature = "nvenc", feature = "vaapi"))]
pub(super) mod check;
#[cfg(test)]
#[cfg(any(feature = "nvenc", feature = "vaapi"))]
mod fakes;
#[cfg(test)]
pub(super) mod fixture;
mod gaps;
mod geometry;
pub(super) mod libav;
#[cfg(feature = "nvenc")]
pub(super) mod nvenc;
mod options;
pub(super) mod pattern;
#[cfg(test)]
pub(super) mod probe;
#[cfg(any(feature = "nvenc", feature = "vaapi"))]
mod units;
#[cfg(any(feature = "nvenc", feature = "vaapi"))]
mod watched;
#[cfg(feature = "x264")]
pub(super) mod x264;

pub(super) use options::ZERO_LATENCY;
