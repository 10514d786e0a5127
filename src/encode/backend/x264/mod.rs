//! libx264, called directly: what libavcodec does not pass on is its speed, which can be changed
//! between two pictures.
//!
//! Facts this backend depends on, each tested: with the same options it makes the same bytes as
//! libavcodec's way to it (but for an encoder whose speed may change, which is also told what has
//! not moved); a picture is copied inside `x264_encoder_encode`, which then is done with it; the
//! NAL units that come out lie one behind the other; a reconfiguration makes no keyframe and no
//! other header.

mod encoder;
mod ladder;
mod params;
mod still;

#[cfg(test)]
mod tests;

pub(in crate::encode) use encoder::open;
