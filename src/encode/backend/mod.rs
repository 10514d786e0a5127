//! Encoder backends: libavcodec's software encoders, and the test double.

pub(super) mod libav;
pub(super) mod probe;
