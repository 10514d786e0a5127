//! Pictures for libavcodec's encoders: what a context is told of them, and frames that lend the
//! pool's memory.

use std::ffi::c_int;

use crate::encode::backend::options::buffer_bits;
use crate::encode::{Error, VideoSpec};
use crate::ffi::{Buffer, sys};
use crate::frame::{FrozenFrame, Geometry};
use crate::media::{FrameRate, PixelFormat};

/// What every encoder is told: size, times, GOPs that are closed, BT.709, and headers apart.
pub(super) fn fill_in(context: &mut sys::AVCodecContext, spec: &VideoSpec) {
    context.width = spec.size.width().cast_signed();
    context.height = spec.size.height().cast_signed();
    context.pix_fmt = av_format(spec.format);
    let (num, den) = (spec.rate.num().cast_signed(), spec.rate.den().cast_signed());
    context.time_base = sys::AVRational { num: den, den: num };
    context.framerate = sys::AVRational { num, den };
    context.sample_aspect_ratio = sys::AVRational { num: 1, den: 1 };
    context.gop_size = spec.gop_frames.cast_signed();
    context.keyint_min = spec.gop_frames.cast_signed();
    context.max_b_frames = spec.b_frames.into();
    context.thread_count = spec.threads.max(1).into();
    context.flags |= sys::AV_CODEC_FLAG_GLOBAL_HEADER.cast_signed();
    context.flags |= sys::AV_CODEC_FLAG_CLOSED_GOP.cast_signed();
    context.color_primaries = sys::AVCOL_PRI_BT709;
    context.color_trc = sys::AVCOL_TRC_BT709;
    context.colorspace = sys::AVCOL_SPC_BT709;
    context.color_range = sys::AVCOL_RANGE_MPEG;
    context.chroma_sample_location = sys::AVCHROMA_LOC_LEFT;
}

/// A constant rate: average = highest, and the buffer that goes with it.
pub(super) fn set_rate(context: &mut sys::AVCodecContext, bps: c_int, rate: FrameRate) {
    context.bit_rate = bps.into();
    context.rc_max_rate = bps.into();
    context.rc_buffer_size = buffer_bits(bps.unsigned_abs(), rate).cast_signed();
}

const fn av_format(format: PixelFormat) -> c_int {
    match format {
        PixelFormat::I420 => sys::AV_PIX_FMT_YUV420P,
        PixelFormat::Nv12 => sys::AV_PIX_FMT_NV12,
    }
}

/// Makes `av` refer to the pooled frame without copying a pixel.
pub(super) fn lend(av: &mut sys::AVFrame, frame: FrozenFrame) -> Result<(), Error> {
    let geometry = *frame.geometry();
    let planes = [0, 1, 2].map(|index| frame.plane(index).as_ptr().cast_mut());
    let Some(buffer) = Buffer::of_frame(frame) else {
        return Err(Error::Device("out of memory".to_owned()));
    };
    av.buf[0] = buffer.into_raw();
    for (index, plane) in geometry.planes().iter().enumerate() {
        av.data[index] = planes[index];
        av.linesize[index] = c_int::try_from(plane.stride).unwrap_or(c_int::MAX);
    }
    av.extended_data = av.data.as_mut_ptr();
    describe(av, &geometry);
    Ok(())
}

/// Says what the picture in `av` is.
pub(super) fn describe(av: &mut sys::AVFrame, geometry: &Geometry) {
    av.width = geometry.size().width().cast_signed();
    av.height = geometry.size().height().cast_signed();
    av.format = av_format(geometry.format());
    colour(av);
}

/// Says which colours are in `av`.
pub(super) const fn colour(av: &mut sys::AVFrame) {
    av.color_range = sys::AVCOL_RANGE_MPEG;
    av.colorspace = sys::AVCOL_SPC_BT709;
    av.color_primaries = sys::AVCOL_PRI_BT709;
    av.color_trc = sys::AVCOL_TRC_BT709;
}
