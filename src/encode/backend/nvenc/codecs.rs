//! Codecs of NVENC: their GUIDs and profiles, the settings that each has of its own, their headers
//! and their packets.

use crate::encode::backend::units::with_lengths;
use crate::encode::{Error, VideoSpec};
use crate::ffi::nvenc::{
    GUID, NV_ENC_CONFIG, NV_ENC_CONFIG_H264_VUI_PARAMETERS, NV_ENC_H264_ENTROPY_CODING_MODE_CAVLC,
    sm_nvenc_codec_h264, sm_nvenc_codec_hevc, sm_nvenc_profile_auto,
    sm_nvenc_profile_h264_baseline, sm_nvenc_profile_h264_high, sm_nvenc_profile_h264_main,
    sm_nvenc_profile_hevc_main,
};
#[cfg(nvenc_av1)]
use crate::ffi::nvenc::{sm_nvenc_codec_av1, sm_nvenc_profile_av1_main};
use crate::frame::{PacketBuf, PacketPool};
use crate::media::{VideoCodec, av1, h264, h265};

/// What this build can ask a GPU for: AV1 where the installed header has it, from version 12 on.
#[cfg(nvenc_av1)]
pub(in crate::encode) const CODECS: &[VideoCodec] =
    &[VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Av1];
#[cfg(not(nvenc_av1))]
pub(in crate::encode) const CODECS: &[VideoCodec] = &[VideoCodec::H264, VideoCodec::Hevc];

/// BT.709 as all three codecs number its primaries, transfer and matrix (ITU-T H.273).
const BT709: u32 = 1;

/// A video format that is not said (ITU-T H.264 table E-2).
const FORMAT_UNSPECIFIED: u32 = 5;

/// 4:2:0, as `chromaFormatIDC` has it.
const CHROMA_420: u32 = 1;

/// A temporal delimiter of AV1, which RTMP leaves out: an OBU of type 2 with a length of 0.
const TEMPORAL_DELIMITER: [u8; 2] = [0x12, 0];

/// The GUID of a codec.
///
/// # Errors
/// [`Error::Unavailable`] for AV1 where the header has no such thing.
pub(super) fn guid(codec: VideoCodec) -> Result<GUID, Error> {
    let guid = match codec {
        VideoCodec::H264 => &raw const sm_nvenc_codec_h264,
        VideoCodec::Hevc => &raw const sm_nvenc_codec_hevc,
        #[cfg(nvenc_av1)]
        VideoCodec::Av1 => &raw const sm_nvenc_codec_av1,
        #[cfg(not(nvenc_av1))]
        VideoCodec::Av1 => return Err(without_av1()),
    };
    // SAFETY: constants of this program that point to constants.
    Ok(unsafe { **guid })
}

/// That this build makes no AV1, and why.
#[cfg(not(nvenc_av1))]
fn without_av1() -> Error {
    use crate::ffi::nvenc::{SM_NVENC_API_MAJOR, SM_NVENC_API_MINOR, SM_NVENC_AV1_MAJOR};
    Error::Unavailable(format!(
        "AV1 needs version {SM_NVENC_AV1_MAJOR} of NVENC's interface, and this program was built \
         with the header of {SM_NVENC_API_MAJOR}.{SM_NVENC_API_MINOR}: build it where \
         nv-codec-headers are newer, or choose another encoder"
    ))
}

/// The GUID of the profile that a task wants.
///
/// # Errors
/// [`Error::Config`] for one that the codec does not have; as [`guid`].
pub(super) fn profile(spec: &VideoSpec) -> Result<GUID, Error> {
    let unknown = |known: &str| {
        let codec = spec.codec.name();
        let text = format!("profile = \"{}\": NVENC knows {known} for {codec}", spec.profile);
        Error::Config(text)
    };
    let guid = match (spec.codec, spec.profile.as_str()) {
        #[cfg(not(nvenc_av1))]
        (VideoCodec::Av1, _) => return Err(without_av1()),
        (_, "") => &raw const sm_nvenc_profile_auto,
        (VideoCodec::H264, "baseline") => &raw const sm_nvenc_profile_h264_baseline,
        (VideoCodec::H264, "main") => &raw const sm_nvenc_profile_h264_main,
        (VideoCodec::H264, "high") => &raw const sm_nvenc_profile_h264_high,
        (VideoCodec::Hevc, "main") => &raw const sm_nvenc_profile_hevc_main,
        #[cfg(nvenc_av1)]
        (VideoCodec::Av1, "main") => &raw const sm_nvenc_profile_av1_main,
        (VideoCodec::H264, _) => return Err(unknown("baseline, main, high")),
        (_, _) => return Err(unknown("main")),
    };
    // SAFETY: as for the codecs.
    Ok(unsafe { **guid })
}

/// Writes into a preset's configuration what a task wants otherwise of its codec alone: keyframes,
/// parameter sets in the header that players get first and nowhere else, easy pictures filled up to
/// the rate, BT.709.
pub(super) fn fill_in(config: &mut NV_ENC_CONFIG, spec: &VideoSpec) {
    let codec = &mut config.encodeCodecConfig;
    match spec.codec {
        VideoCodec::H264 => {
            // SAFETY: the session is for H.264, so this is the member in use.
            let h264 = unsafe { &mut codec.h264Config };
            h264.idrPeriod = spec.gop_frames;
            h264.set_repeatSPSPPS(0);
            h264.set_disableSPSPPS(1);
            h264.set_enableFillerDataInsertion(1);
            if spec.profile == "baseline" {
                h264.entropyCodingMode = NV_ENC_H264_ENTROPY_CODING_MODE_CAVLC;
            }
            set_colours(&mut h264.h264VUIParameters);
        }
        VideoCodec::Hevc => {
            // SAFETY: the session is for HEVC, so this is the member in use.
            let hevc = unsafe { &mut codec.hevcConfig };
            hevc.idrPeriod = spec.gop_frames;
            hevc.set_repeatSPSPPS(0);
            hevc.set_disableSPSPPS(1);
            hevc.set_enableFillerDataInsertion(1);
            hevc.set_chromaFormatIDC(CHROMA_420);
            set_colours(&mut hevc.hevcVUIParameters);
        }
        #[cfg(not(nvenc_av1))]
        VideoCodec::Av1 => {}
        #[cfg(nvenc_av1)]
        VideoCodec::Av1 => {
            // SAFETY: the session is for AV1, so this is the member in use.
            let av1 = unsafe { &mut codec.av1Config };
            av1.idrPeriod = spec.gop_frames;
            // A sequence header in each keyframe is what AV1 in FLV has, beside that of the stream.
            av1.set_disableSeqHdr(0);
            av1.set_repeatSeqHdr(1);
            av1.set_outputAnnexBFormat(0);
            av1.set_enableBitstreamPadding(1);
            av1.set_chromaFormatIDC(CHROMA_420);
            av1.colorPrimaries = BT709;
            av1.transferCharacteristics = BT709;
            av1.matrixCoefficients = BT709;
            av1.colorRange = 0;
        }
    }
}

/// BT.709 of limited range; HEVC has the same structure as H.264.
fn set_colours(vui: &mut NV_ENC_CONFIG_H264_VUI_PARAMETERS) {
    vui.videoSignalTypePresentFlag = 1;
    // From interface 12 on these are enumerations of the same values.
    vui.videoFormat = FORMAT_UNSPECIFIED as _;
    vui.videoFullRangeFlag = 0;
    vui.colourDescriptionPresentFlag = 1;
    vui.colourPrimaries = BT709 as _;
    vui.transferCharacteristics = BT709 as _;
    vui.colourMatrix = BT709 as _;
}

/// The codec's configuration record, made of the parameter sets that the driver gives.
pub(super) fn header(codec: VideoCodec, sets: &[u8]) -> Option<Vec<u8>> {
    let units: Vec<_> = h264::annex_b_units(sets).collect();
    match codec {
        VideoCodec::H264 => h264::config(&units.into_iter()),
        VideoCodec::Hevc => h265::config(&units.into_iter()),
        VideoCodec::Av1 => av1::config(sets),
    }
}

/// What the driver made of a picture, as packets hold it.
pub(super) fn packet(codec: VideoCodec, pool: &PacketPool, coded: &[u8]) -> PacketBuf {
    if codec != VideoCodec::Av1 {
        return with_lengths(codec, pool, coded);
    }
    let unit = coded.strip_prefix(&TEMPORAL_DELIMITER).unwrap_or(coded);
    let mut body = pool.take(unit.len());
    body.extend(unit);
    body
}
