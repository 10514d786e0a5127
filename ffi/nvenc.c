/* Symbols that point to the GUIDs of the installed NVENC header. */

#include "nvenc.h"

const GUID *const sm_nvenc_presets[SM_NVENC_PRESETS] = {
    &NV_ENC_PRESET_P1_GUID, &NV_ENC_PRESET_P2_GUID, &NV_ENC_PRESET_P3_GUID, &NV_ENC_PRESET_P4_GUID,
    &NV_ENC_PRESET_P5_GUID, &NV_ENC_PRESET_P6_GUID, &NV_ENC_PRESET_P7_GUID,
};

const GUID *const sm_nvenc_codec_h264 = &NV_ENC_CODEC_H264_GUID;
const GUID *const sm_nvenc_codec_hevc = &NV_ENC_CODEC_HEVC_GUID;

const GUID *const sm_nvenc_profile_auto = &NV_ENC_CODEC_PROFILE_AUTOSELECT_GUID;
const GUID *const sm_nvenc_profile_h264_baseline = &NV_ENC_H264_PROFILE_BASELINE_GUID;
const GUID *const sm_nvenc_profile_h264_main = &NV_ENC_H264_PROFILE_MAIN_GUID;
const GUID *const sm_nvenc_profile_h264_high = &NV_ENC_H264_PROFILE_HIGH_GUID;
const GUID *const sm_nvenc_profile_hevc_main = &NV_ENC_HEVC_PROFILE_MAIN_GUID;

#if NVENCAPI_MAJOR_VERSION >= SM_NVENC_AV1_MAJOR
const GUID *const sm_nvenc_codec_av1 = &NV_ENC_CODEC_AV1_GUID;
const GUID *const sm_nvenc_profile_av1_main = &NV_ENC_AV1_PROFILE_MAIN_GUID;
#endif
