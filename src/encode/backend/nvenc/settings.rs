//! A task in NVENC's terms: preset and tuning, constant bitrate, groups of pictures.

use super::codecs;
use crate::encode::backend::options::buffer_bits;
use crate::encode::{Error, VideoSpec};
use crate::ffi::nvenc::{
    GUID, NV_ENC_BUFFER_FORMAT, NV_ENC_BUFFER_FORMAT_IYUV, NV_ENC_BUFFER_FORMAT_NV12,
    NV_ENC_CONFIG, NV_ENC_INITIALIZE_PARAMS, NV_ENC_PARAMS_RC_CBR, NV_ENC_TUNING_INFO,
    NV_ENC_TUNING_INFO_HIGH_QUALITY, NV_ENC_TUNING_INFO_LOW_LATENCY,
    NV_ENC_TUNING_INFO_ULTRA_LOW_LATENCY, SM_NVENC_INITIALIZE_VER, SM_NVENC_PRESETS,
    sm_nvenc_presets,
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

/// What of a task the driver is asked for by name.
#[derive(Clone, Copy)]
pub(super) struct Choice {
    pub(super) codec: GUID,
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
        let format = match spec.format {
            PixelFormat::I420 => NV_ENC_BUFFER_FORMAT_IYUV,
            PixelFormat::Nv12 => NV_ENC_BUFFER_FORMAT_NV12,
        };
        let (codec, profile) = (codecs::guid(spec.codec)?, codecs::profile(spec)?);
        Ok(Self { codec, preset: *preset, tuning, profile, format })
    }

    /// The GUID of the preset.
    pub(super) fn preset_guid(&self) -> GUID {
        const LAST: usize = SM_NVENC_PRESETS as usize - 1;
        // SAFETY: a constant table of this program, of pointers to constants.
        unsafe { *sm_nvenc_presets[(self.preset - 1).min(LAST)] }
    }
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
    codecs::fill_in(config, spec);
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
    params.encodeGUID = choice.codec;
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
