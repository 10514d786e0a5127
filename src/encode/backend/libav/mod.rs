//! libavcodec: libx264, libx265 and SVT-AV1 for video, its own AAC and libopus for audio.
//!
//! Three facts this backend depends on, each tested: libx264 copies a picture inside
//! `avcodec_send_frame` and then lets go of it; its packets are written straight into our slots
//! (`get_encode_buffer`), behind the headroom; with `annexb=0` its NAL units come with lengths.

mod aac;
mod audio;
mod codec;
mod opus;
mod picture;
mod software;
#[cfg(feature = "vaapi")]
pub(in crate::encode) mod vaapi;
mod x264;

#[cfg(test)]
mod tests;

pub(in crate::encode) use aac::open as open_aac;
pub(in crate::encode) use opus::open as open_opus;
pub(in crate::encode) use software::{open_svt_av1, open_x265};
pub(in crate::encode) use x264::open as open_x264;
