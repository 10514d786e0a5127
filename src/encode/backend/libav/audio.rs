//! Audio encoders of libavcodec: a codec of 48 kHz stereo, and the frame that it is fed with.

use std::ffi::{CStr, c_int};

use super::codec::Codec;
use crate::encode::{AudioSpec, Error};
use crate::ffi::{av, sys};
use crate::frame::PacketPool;
use crate::media::SAMPLE_RATE;

/// Opens the codec of this name for samples of `format`, with a frame of `block` of them for each
/// channel.
pub(super) fn open(
    (name, options): (&CStr, &[(&CStr, String)]),
    spec: &AudioSpec,
    pool: &PacketPool,
    (format, block): (sys::AVSampleFormat, c_int),
) -> Result<Codec, Error> {
    let setup = |context: &mut sys::AVCodecContext| {
        context.bit_rate = spec.bitrate_bps.into();
        context.sample_rate = SAMPLE_RATE.cast_signed();
        context.sample_fmt = format;
        context.time_base = sys::AVRational { num: 1, den: SAMPLE_RATE.cast_signed() };
        context.flags |= sys::AV_CODEC_FLAG_GLOBAL_HEADER.cast_signed();
        // SAFETY: writes the layout of a context that is ours.
        unsafe { sys::av_channel_layout_default(&raw mut context.ch_layout, 2) };
    };
    let mut codec = Codec::open(name, pool, setup, options)?;
    let frame = codec.frame_mut();
    frame.nb_samples = block;
    frame.format = format;
    frame.sample_rate = SAMPLE_RATE.cast_signed();
    // SAFETY: the frame is ours; its size, format and layout are set.
    let code = unsafe {
        sys::av_channel_layout_default(&raw mut frame.ch_layout, 2);
        sys::av_frame_get_buffer(frame, 0)
    };
    if code < 0 {
        return Err(Error::Unavailable(av::error_text(code)));
    }
    Ok(codec)
}
