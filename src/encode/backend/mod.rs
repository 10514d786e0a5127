//! Encoder backends: libavcodec's software encoders, and the test double.

pub(super) mod libav;
#[cfg(test)]
pub(super) mod probe;
