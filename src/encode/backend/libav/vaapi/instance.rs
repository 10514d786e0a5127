//! One encoder of libavcodec on a GPU, with its surfaces.

use std::ffi::{CStr, c_int};

use super::device::Device;
use super::surface::{self, Mapping};
use super::task::{RateControl, Task};
use crate::encode::backend::libav::codec::Codec;
use crate::encode::backend::libav::picture::{colour, fill_in, set_rate};
use crate::encode::backend::options::{PRESETS, ZERO_LATENCY, bitrate, one_of};
use crate::encode::backend::units::to_lengths;
use crate::encode::backend::watched::Emit;
use crate::encode::{Error, VideoPacket, VideoSpec};
use crate::ffi::picture::PictureCodec;
use crate::ffi::{sys, with_bt709};
use crate::frame::{FrozenFrame, PacketPool};
use crate::media::{VideoCodec, h264, h265};

/// H.264's profiles in libavcodec's numbers, which add a bit for "constrained".
const H264_PROFILES: [(&str, c_int); 3] = [("baseline", 578), ("main", 77), ("high", 100)];

/// H.265's.
const HEVC_PROFILES: [(&str, c_int); 1] = [("main", 1)];

/// An open encoder.
pub(super) struct Instance {
    codec: Codec,
    mapping: Mapping,
    kind: VideoCodec,
    pool: PacketPool,
    /// The configuration record. Some drivers say it with the first picture only.
    header: Option<Vec<u8>>,
}

// SAFETY: libavcodec binds an encoder to no thread, and its frames are ours alone.
unsafe impl Send for Instance {}

/// Whether the FFmpeg in use never frees the last picture of an encoder that ends, nor its surfaces
/// and the display: 7.1 does so.
pub(super) fn loses_pictures() -> bool {
    const FFMPEG_7_1: std::ops::RangeInclusive<u32> = (61 << 16 | 19 << 8)..=(61 << 16 | 0xffff);
    // SAFETY: a number of the library.
    FFMPEG_7_1.contains(&unsafe { sys::avcodec_version() })
}

/// What a task asks for and VAAPI does not do.
///
/// # Errors
/// [`Error::Config`] for what no encoder does, [`Error::Unavailable`] for what another does.
pub(super) fn check(spec: &VideoSpec) -> Result<(), Error> {
    bitrate("VAAPI", spec.bitrate_bps)?;
    one_of("VAAPI", "preset", &spec.preset, &PRESETS.map(|(name, _)| name))?;
    profile(spec)?;
    let text = match (spec.tune.as_str(), spec.b_frames) {
        ("" | ZERO_LATENCY, 0) => return Ok(()),
        ("" | ZERO_LATENCY, _) => {
            "VAAPI encodes without B-pictures; leave `b_frames` at 0".to_owned()
        }
        (tune, _) => {
            format!("VAAPI has no `tune = \"{tune}\"`; leave it out, or say \"{ZERO_LATENCY}\"")
        }
    };
    Err(Error::Unavailable(text))
}

fn profile(spec: &VideoSpec) -> Result<Option<c_int>, Error> {
    let known = if spec.codec == VideoCodec::Hevc { &HEVC_PROFILES[..] } else { &H264_PROFILES };
    let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
    one_of("VAAPI", "profile", &spec.profile, &names)?;
    Ok(known.iter().find(|(name, _)| *name == spec.profile).map(|(_, number)| *number))
}

impl Instance {
    /// Opens an encoder.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with libavcodec's words.
    pub(super) fn open(device: &Device, task: &Task<'_>) -> Result<Self, Error> {
        let Task { spec, rate, level, pool } = *task;
        let bps = bitrate("VAAPI", spec.bitrate_bps)?;
        let profile = profile(spec)?;
        let surfaces = surface::pool(device, spec)?;
        let setup = move |context: &mut sys::AVCodecContext| {
            fill_in(context, spec);
            context.pix_fmt = sys::AV_PIX_FMT_VAAPI;
            // What fails is told by us; what drivers lack is no news.
            context.log_level_offset = (sys::AV_LOG_WARNING - sys::AV_LOG_ERROR).cast_signed();
            // Freed with the context.
            context.hw_frames_ctx = surfaces.into_raw();
            context.max_b_frames = 0;
            if let Some(profile) = profile {
                context.profile = profile;
            }
            if let Some(level) = level {
                context.level = level.into();
            }
            if rate.keeps_rate() {
                set_rate(context, bps, spec.rate);
            }
        };
        let (name, options) = options(spec.codec, rate);
        let codec = Codec::open(name, pool, setup, &options)
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        let header = header_of(spec.codec, codec.extradata());
        let (mapping, pool) = (Mapping::new()?, pool.clone());
        Ok(Self { codec, mapping, kind: spec.codec, pool, header })
    }

    /// The configuration record, if it is known.
    pub(super) fn header(&self) -> Option<&[u8]> {
        self.header.as_deref()
    }

    /// Encodes a picture, and emits what is ready.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub(super) fn encode(
        &mut self,
        picture: &FrozenFrame,
        pts: i64,
        force_key: bool,
        emit: Emit<'_>,
    ) -> Result<(), Error> {
        let surfaces = self.codec.context().hw_frames_ctx;
        let frame = self.codec.frame_mut();
        self.mapping.write(surfaces, frame, picture)?;
        colour(frame);
        frame.pts = pts;
        frame.pict_type =
            if force_key { sys::AV_PICTURE_TYPE_I } else { sys::AV_PICTURE_TYPE_NONE };
        self.codec.send_away().map_err(in_words)?;
        self.drain(emit)
    }

    /// Emits what is held; nothing may be encoded afterwards.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub(super) fn flush(&mut self, emit: Emit<'_>) -> Result<(), Error> {
        self.codec.finish().map_err(in_words)?;
        self.drain(emit)
    }

    fn drain(&mut self, emit: Emit<'_>) -> Result<(), Error> {
        while let Some(coded) = self.codec.receive().map_err(in_words)? {
            if self.header.is_none() {
                self.header = header_of(self.kind, &coded.body).map(|it| coloured(self.kind, it));
            }
            let body = to_lengths(self.kind, &self.pool, coded.body);
            emit(VideoPacket { body, pts: coded.pts, dts: coded.dts, key: coded.key });
        }
        Ok(())
    }
}

/// libavcodec's encoder, and what it is told beside its context.
fn options(codec: VideoCodec, rate: RateControl) -> (&'static CStr, Vec<(&'static CStr, String)>) {
    let mut options = vec![
        (c"rc_mode", rate.name().to_owned()),
        // A picture comes out before the next goes in.
        (c"async_depth", "1".to_owned()),
    ];
    if let RateControl::Cqp(quantiser) = rate {
        options.push((c"qp", quantiser.to_string()));
    }
    if codec == VideoCodec::Hevc {
        return (c"hevc_vaapi", options);
    }
    // Without the timing of a buffer, which depends on the bitrate, in the header.
    options.push((c"sei", "0".to_owned()));
    (c"h264_vaapi", options)
}

/// The record out of parameter sets with start codes.
fn header_of(codec: VideoCodec, bytes: &[u8]) -> Option<Vec<u8>> {
    let units: Vec<_> = h264::annex_b_units(bytes).collect();
    match codec {
        VideoCodec::Hevc => h265::config(&units.into_iter()),
        VideoCodec::H264 | VideoCodec::Av1 => h264::config(&units.into_iter()),
    }
}

/// A record of parameter sets that the driver has written, which is told no colours.
fn coloured(codec: VideoCodec, header: Vec<u8>) -> Vec<u8> {
    let of = if codec == VideoCodec::Hevc { PictureCodec::Hevc } else { PictureCodec::H264 };
    let changed = with_bt709(of, &header).and_then(|bytes| header_of(codec, &bytes));
    changed.unwrap_or(header)
}

/// libavcodec has no more words for it than "Input/output error".
fn in_words(error: Error) -> Error {
    match error {
        Error::Device(text) => Error::Device(format!(
            "the VA driver failed ({text}): look for the GPU's driver in the kernel's log"
        )),
        other => other,
    }
}
