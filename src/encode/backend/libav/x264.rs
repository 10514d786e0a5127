//! libx264: constant bitrate, closed GOPs of a fixed length, BT.709 said in the bitstream.

use std::ffi::{c_int, c_void};

use super::codec::Codec;
use crate::encode::{Error, VideoEncoder, VideoPacket, VideoSink, VideoSpec};
use crate::ffi::av::sys;
use crate::frame::{FrozenFrame, PacketPool};
use crate::media::{PixelFormat, h264};

/// x264's presets, fastest first.
const PRESETS: [&str; 10] = [
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
    "placebo",
];

/// x264's tunings.
const TUNES: [&str; 8] =
    ["film", "animation", "grain", "stillimage", "psnr", "ssim", "fastdecode", "zerolatency"];

/// Profiles of 8-bit 4:2:0.
const PROFILES: [&str; 3] = ["baseline", "main", "high"];

/// Opens libx264.
pub(in crate::encode) fn open(
    spec: &VideoSpec,
    pool: &PacketPool,
) -> Result<Box<dyn VideoEncoder>, Error> {
    one_of("preset", &spec.preset, &PRESETS)?;
    one_of("tune", &spec.tune, &TUNES)?;
    one_of("profile", &spec.profile, &PROFILES)?;
    let mut options = vec![
        (c"preset", spec.preset.clone()),
        (c"forced-idr", "1".to_owned()),
        // Lengths instead of start codes, keyframes where we say and nowhere else, and filler up to
        // the constant rate.
        (c"x264-params", "annexb=0:scenecut=0:filler=1".to_owned()),
    ];
    for (key, value) in [(c"tune", &spec.tune), (c"profile", &spec.profile)] {
        if !value.is_empty() {
            options.push((key, value.clone()));
        }
    }
    let codec = Codec::open(c"libx264", pool, |context| fill_in(context, spec), &options)?;
    let header = header(codec.extradata())
        .ok_or_else(|| Error::Device("libx264 gave no parameter sets".to_owned()))?;
    Ok(Box::new(X264 { codec, header, format: av_format(spec.format) }))
}

fn one_of(key: &str, value: &str, known: &[&str]) -> Result<(), Error> {
    if known.contains(&value) || (value.is_empty() && key != "preset") {
        return Ok(());
    }
    Err(Error::Config(format!("{key} = \"{value}\": libx264 knows {}", known.join(", "))))
}

fn fill_in(context: &mut sys::AVCodecContext, spec: &VideoSpec) {
    context.width = spec.size.width().cast_signed();
    context.height = spec.size.height().cast_signed();
    context.pix_fmt = av_format(spec.format);
    let (num, den) = (spec.rate.num().cast_signed(), spec.rate.den().cast_signed());
    context.time_base = sys::AVRational { num: den, den: num };
    context.framerate = sys::AVRational { num, den };
    context.sample_aspect_ratio = sys::AVRational { num: 1, den: 1 };
    context.bit_rate = spec.bitrate_bps.into();
    context.rc_max_rate = spec.bitrate_bps.into();
    context.rc_buffer_size = spec.bitrate_bps.cast_signed();
    context.gop_size = spec.gop_frames.cast_signed();
    context.keyint_min = spec.gop_frames.cast_signed();
    context.max_b_frames = spec.b_frames.into();
    context.thread_count = spec.threads.max(1).into();
    context.flags |= sys::AV_CODEC_FLAG_GLOBAL_HEADER.cast_signed();
    context.color_primaries = sys::AVColorPrimaries_AVCOL_PRI_BT709;
    context.color_trc = sys::AVColorTransferCharacteristic_AVCOL_TRC_BT709;
    context.colorspace = sys::AVColorSpace_AVCOL_SPC_BT709;
    context.color_range = sys::AVColorRange_AVCOL_RANGE_MPEG;
    context.chroma_sample_location = sys::AVChromaLocation_AVCHROMA_LOC_LEFT;
}

const fn av_format(format: PixelFormat) -> c_int {
    match format {
        PixelFormat::I420 => sys::AVPixelFormat_AV_PIX_FMT_YUV420P,
        PixelFormat::Nv12 => sys::AVPixelFormat_AV_PIX_FMT_NV12,
    }
}

/// The configuration record out of the parameter sets in `extradata`, with lengths or start codes.
fn header(extradata: &[u8]) -> Option<Vec<u8>> {
    let of_type = |wanted: u8| {
        let is = |unit: &&[u8]| unit.first().is_some_and(|first| first & 0x1f == wanted);
        let annex_b = extradata.starts_with(&[0, 0, 0, 1]) || extradata.starts_with(&[0, 0, 1]);
        if annex_b {
            h264::annex_b_units(extradata).find(is)
        } else {
            h264::units(extradata).find(is)
        }
    };
    h264::avc_config(of_type(h264::nal::SPS)?, of_type(h264::nal::PPS)?)
}

struct X264 {
    codec: Codec,
    header: Vec<u8>,
    format: c_int,
}

impl VideoEncoder for X264 {
    fn name(&self) -> &'static str {
        "libx264"
    }

    fn header(&self) -> &[u8] {
        &self.header
    }

    fn delay_frames(&self) -> u32 {
        self.codec.context().delay.unsigned_abs()
    }

    fn encode(
        &mut self,
        frame: FrozenFrame,
        pts: i64,
        force_key: bool,
        sink: &mut dyn VideoSink,
    ) -> Result<(), Error> {
        let format = self.format;
        lend(self.codec.frame_mut(), frame, format)?;
        let av = self.codec.frame_mut();
        av.pts = pts;
        av.pict_type = if force_key {
            sys::AVPictureType_AV_PICTURE_TYPE_I
        } else {
            sys::AVPictureType_AV_PICTURE_TYPE_NONE
        };
        self.codec.send(false)?;
        self.drain(sink)
    }

    fn flush(&mut self, sink: &mut dyn VideoSink) -> Result<(), Error> {
        self.codec.finish()?;
        self.drain(sink)
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<(), Error> {
        // libavcodec's wrapper compares these with x264's own before each picture.
        let context = self.codec.context_mut();
        context.bit_rate = bitrate_bps.into();
        context.rc_max_rate = bitrate_bps.into();
        context.rc_buffer_size = bitrate_bps.cast_signed();
        Ok(())
    }
}

impl X264 {
    fn drain(&mut self, sink: &mut dyn VideoSink) -> Result<(), Error> {
        while let Some(coded) = self.codec.receive()? {
            let mut body = coded.body;
            // Where `annexb=0` was not honoured.
            if body.starts_with(&[0, 0, 0, 1])
                && h264::annex_b_to_lengths(body.as_mut_slice()).is_err()
            {
                let mut lengths = Vec::with_capacity(body.len() + 64);
                for unit in h264::annex_b_units(&body) {
                    let length = u32::try_from(unit.len()).unwrap_or(u32::MAX);
                    lengths.extend_from_slice(&length.to_be_bytes());
                    lengths.extend_from_slice(unit);
                }
                body = self.codec.copy(&lengths);
            }
            sink.packet(VideoPacket { body, pts: coded.pts, dts: coded.dts, key: coded.key });
        }
        Ok(())
    }
}

/// Makes `av` refer to the pooled frame without copying a pixel: the frame's reference belongs to
/// the AVFrame's buffer, and comes back through `give_back` when the last user lets go.
fn lend(av: &mut sys::AVFrame, frame: FrozenFrame, format: c_int) -> Result<(), Error> {
    let geometry = *frame.geometry();
    av.width = geometry.size().width().cast_signed();
    av.height = geometry.size().height().cast_signed();
    av.format = format;
    av.color_range = sys::AVColorRange_AVCOL_RANGE_MPEG;
    av.colorspace = sys::AVColorSpace_AVCOL_SPC_BT709;
    av.color_primaries = sys::AVColorPrimaries_AVCOL_PRI_BT709;
    av.color_trc = sys::AVColorTransferCharacteristic_AVCOL_TRC_BT709;
    for (index, plane) in geometry.planes().iter().enumerate() {
        av.data[index] = frame.plane(index).as_ptr().cast_mut();
        av.linesize[index] = c_int::try_from(plane.stride).unwrap_or(c_int::MAX);
    }
    av.extended_data = av.data.as_mut_ptr();
    let (base, bytes) = (av.data[0], geometry.bytes());
    let raw = frame.into_raw();
    // SAFETY: the slot's memory lives until `give_back` drops the reference; it is marked read-only,
    // so libavcodec never writes to it.
    let buffer = unsafe {
        let flags = sys::AV_BUFFER_FLAG_READONLY.cast_signed();
        sys::av_buffer_create(base, bytes, Some(give_back), raw, flags)
    };
    if buffer.is_null() {
        // SAFETY: nobody has taken the reference from `raw`.
        unsafe { give_back(raw, base) };
        return Err(Error::Device("out of memory".to_owned()));
    }
    av.buf[0] = buffer;
    Ok(())
}

unsafe extern "C" fn give_back(frame: *mut c_void, _data: *mut u8) {
    // SAFETY: the pointer comes from `into_raw` in `lend`; the buffer is freed once, on any thread.
    drop(unsafe { FrozenFrame::from_raw(frame) });
}
