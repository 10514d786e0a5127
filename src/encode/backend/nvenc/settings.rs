//! A task in NVENC's terms: preset and tuning, constant bitrate, groups of pictures, BT.709.

use crate::encode::backend::options::buffer_bits;
use crate::encode::{Error, VideoSpec};
use crate::ffi::nvenc::{
    GUID, NV_ENC_BUFFER_FORMAT, NV_ENC_BUFFER_FORMAT_IYUV, NV_ENC_BUFFER_FORMAT_NV12,
    NV_ENC_CONFIG, NV_ENC_H264_ENTROPY_CODING_MODE_CAVLC, NV_ENC_INITIALIZE_PARAMS,
    NV_ENC_PARAMS_RC_CBR, NV_ENC_TUNING_INFO, NV_ENC_TUNING_INFO_HIGH_QUALITY,
    NV_ENC_TUNING_INFO_LOW_LATENCY, NV_ENC_TUNING_INFO_ULTRA_LOW_LATENCY, SM_NVENC_INITIALIZE_VER,
    SM_NVENC_PRESETS, sm_nvenc_codec_h264, sm_nvenc_presets, sm_nvenc_profile_auto,
    sm_nvenc_profile_h264_baseline, sm_nvenc_profile_h264_high, sm_nvenc_profile_h264_main,
};
use crate::media::PixelFormat;

/// Our presets, and which of NVENC's P1 to P7 comes closest in what it spends on a picture.
const PRESETS: [(&str, usize); 10] = [
    ("ultrafast", 1),
    ("superfast", 2),
    ("veryfast", 3),
    ("faster", 4),
    ("fast", 4),
    ("medium", 5),
    ("slow", 6),
    ("slower", 7),
    ("veryslow", 7),
    ("placebo", 7),
];

/// BT.709 as H.264 numbers its primaries, transfer and matrix (ITU-T H.264 tables E-3 to E-5).
const BT709: u32 = 1;

/// A video format that is not said (ITU-T H.264 table E-2).
const FORMAT_UNSPECIFIED: u32 = 5;

/// What of a task the driver is asked for by name.
#[derive(Clone, Copy)]
pub(super) struct Choice {
    /// 1 to 7.
    pub(super) preset: usize,
    pub(super) tuning: NV_ENC_TUNING_INFO,
    pub(super) profile: GUID,
    pub(super) format: NV_ENC_BUFFER_FORMAT,
}

impl Choice {
    /// # Errors
    /// [`Error::Unavailable`] for what another encoder does and NVENC does not.
    pub(super) fn of(spec: &VideoSpec) -> Result<Self, Error> {
        let Some((_, preset)) = PRESETS.iter().find(|(name, _)| *name == spec.preset) else {
            let known = PRESETS.map(|(name, _)| name).join(", ");
            return Err(Error::Config(format!("preset = \"{}\": known are {known}", spec.preset)));
        };
        let tuning = match spec.tune.as_str() {
            "zerolatency" => NV_ENC_TUNING_INFO_ULTRA_LOW_LATENCY,
            "" if spec.b_frames == 0 => NV_ENC_TUNING_INFO_LOW_LATENCY,
            "" => NV_ENC_TUNING_INFO_HIGH_QUALITY,
            other => {
                return Err(Error::Unavailable(format!(
                    "NVENC has no `tune = \"{other}\"`; leave it out, or say \"zerolatency\""
                )));
            }
        };
        let profile = match spec.profile.as_str() {
            "" => &raw const sm_nvenc_profile_auto,
            "baseline" => &raw const sm_nvenc_profile_h264_baseline,
            "main" => &raw const sm_nvenc_profile_h264_main,
            "high" => &raw const sm_nvenc_profile_h264_high,
            other => {
                let text = format!("profile = \"{other}\": NVENC knows baseline, main, high");
                return Err(Error::Config(text));
            }
        };
        let format = match spec.format {
            PixelFormat::I420 => NV_ENC_BUFFER_FORMAT_IYUV,
            PixelFormat::Nv12 => NV_ENC_BUFFER_FORMAT_NV12,
        };
        // SAFETY: constants of this program that point to constants.
        let profile = unsafe { **profile };
        Ok(Self { preset: *preset, tuning, profile, format })
    }

    /// The GUID of the preset.
    pub(super) fn preset_guid(&self) -> GUID {
        const LAST: usize = SM_NVENC_PRESETS as usize - 1;
        // SAFETY: a constant table of this program, of pointers to constants.
        unsafe { *sm_nvenc_presets[(self.preset - 1).min(LAST)] }
    }
}

/// The GUID of H.264.
pub(super) fn codec_guid() -> GUID {
    // SAFETY: a constant of this program that points to a constant.
    unsafe { *sm_nvenc_codec_h264 }
}

/// Writes into a preset's configuration what the task wants otherwise.
pub(super) fn fill_in(config: &mut NV_ENC_CONFIG, spec: &VideoSpec, choice: &Choice) {
    config.profileGUID = choice.profile;
    config.gopLength = spec.gop_frames;
    config.frameIntervalP = i32::from(spec.b_frames) + 1;
    set_rate(config, spec, spec.bitrate_bps);
    let rate = &mut config.rcParams;
    rate.rateControlMode = NV_ENC_PARAMS_RC_CBR;
    rate.set_enableLookahead(0);
    rate.set_zeroReorderDelay(u32::from(spec.b_frames == 0));
    // SAFETY: the session was opened for H.264, so this is the member in use.
    let h264 = unsafe { &mut config.encodeCodecConfig.h264Config };
    h264.idrPeriod = spec.gop_frames;
    // Both are in the header that players get first.
    h264.set_repeatSPSPPS(0);
    h264.set_disableSPSPPS(1);
    h264.set_enableFillerDataInsertion(1);
    if spec.profile == "baseline" {
        h264.entropyCodingMode = NV_ENC_H264_ENTROPY_CODING_MODE_CAVLC;
    }
    let vui = &mut h264.h264VUIParameters;
    vui.videoSignalTypePresentFlag = 1;
    // From interface 12 on these are enumerations of the same values.
    vui.videoFormat = FORMAT_UNSPECIFIED as _;
    vui.videoFullRangeFlag = 0;
    vui.colourDescriptionPresentFlag = 1;
    vui.colourPrimaries = BT709 as _;
    vui.transferCharacteristics = BT709 as _;
    vui.colourMatrix = BT709 as _;
}

/// A constant rate: average = highest, and the buffer that goes with it, full half at the start.
pub(super) fn set_rate(config: &mut NV_ENC_CONFIG, spec: &VideoSpec, bitrate_bps: u32) {
    let buffer = buffer_bits(bitrate_bps, spec.rate);
    config.rcParams.averageBitRate = bitrate_bps;
    config.rcParams.maxBitRate = bitrate_bps;
    config.rcParams.vbvBufferSize = buffer;
    config.rcParams.vbvInitialDelay = buffer / 2;
}

/// The whole task, with a pointer to its configuration, which must outlive each call that reads it.
pub(super) fn initialize_params(
    spec: &VideoSpec,
    choice: &Choice,
    config: &mut NV_ENC_CONFIG,
) -> NV_ENC_INITIALIZE_PARAMS {
    // SAFETY: numbers and pointers, for which zeros and null are what the driver expects.
    let mut params: NV_ENC_INITIALIZE_PARAMS = unsafe { std::mem::zeroed() };
    let (width, height) = (spec.size.width(), spec.size.height());
    params.version = SM_NVENC_INITIALIZE_VER;
    params.encodeGUID = codec_guid();
    params.presetGUID = choice.preset_guid();
    params.tuningInfo = choice.tuning;
    params.encodeWidth = width;
    params.encodeHeight = height;
    params.maxEncodeWidth = width;
    params.maxEncodeHeight = height;
    params.darWidth = width;
    params.darHeight = height;
    params.frameRateNum = spec.rate.num();
    params.frameRateDen = spec.rate.den();
    params.enablePTD = 1;
    params.encodeConfig = config;
    params
}
