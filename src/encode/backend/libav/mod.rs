//! libavcodec: libx264 for pictures, its own AAC for sound.
//!
//! Three facts this backend depends on, each tested: libx264 copies a picture inside
//! `avcodec_send_frame` and then lets go of it; its packets are written straight into our slots
//! (`get_encode_buffer`), behind the headroom; with `annexb=0` its NAL units come with lengths.

mod aac;
mod codec;
mod x264;

#[cfg(test)]
mod tests;

pub(in crate::encode) use aac::open as open_aac;
pub(in crate::encode) use x264::open as open_x264;
