/* NVENC for bindgen: the installed header, and names for what bindgen cannot see in it. Version words
 * are function-like macros there; GUIDs are constants of a struct type, which nvenc.c points to. */

#ifndef STREAM_MANAGER_NVENC_H
#define STREAM_MANAGER_NVENC_H

#include <stdint.h>

#include <ffnvcodec/nvEncodeAPI.h>

static const uint32_t SM_NVENC_API_MAJOR = NVENCAPI_MAJOR_VERSION;
static const uint32_t SM_NVENC_API_MINOR = NVENCAPI_MINOR_VERSION;
static const uint32_t SM_NVENC_API_VERSION = NVENCAPI_VERSION;

static const uint32_t SM_NVENC_FUNCTION_LIST_VER = NV_ENCODE_API_FUNCTION_LIST_VER;
static const uint32_t SM_NVENC_OPEN_SESSION_VER = NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS_VER;
static const uint32_t SM_NVENC_CAPS_VER = NV_ENC_CAPS_PARAM_VER;
static const uint32_t SM_NVENC_PRESET_CONFIG_VER = NV_ENC_PRESET_CONFIG_VER;
static const uint32_t SM_NVENC_CONFIG_VER = NV_ENC_CONFIG_VER;
static const uint32_t SM_NVENC_INITIALIZE_VER = NV_ENC_INITIALIZE_PARAMS_VER;
static const uint32_t SM_NVENC_RECONFIGURE_VER = NV_ENC_RECONFIGURE_PARAMS_VER;
static const uint32_t SM_NVENC_SEQUENCE_VER = NV_ENC_SEQUENCE_PARAM_PAYLOAD_VER;
static const uint32_t SM_NVENC_CREATE_INPUT_VER = NV_ENC_CREATE_INPUT_BUFFER_VER;
static const uint32_t SM_NVENC_LOCK_INPUT_VER = NV_ENC_LOCK_INPUT_BUFFER_VER;
static const uint32_t SM_NVENC_CREATE_BITSTREAM_VER = NV_ENC_CREATE_BITSTREAM_BUFFER_VER;
static const uint32_t SM_NVENC_LOCK_BITSTREAM_VER = NV_ENC_LOCK_BITSTREAM_VER;
static const uint32_t SM_NVENC_PICTURE_VER = NV_ENC_PIC_PARAMS_VER;

/* Fastest to best, P1 to P7. */
#define SM_NVENC_PRESETS 7
extern const GUID *const sm_nvenc_presets[SM_NVENC_PRESETS];

/* AV1 came with version 12 of the interface. */
#define SM_NVENC_AV1_MAJOR 12

extern const GUID *const sm_nvenc_codec_h264;
extern const GUID *const sm_nvenc_codec_hevc;

extern const GUID *const sm_nvenc_profile_auto;
extern const GUID *const sm_nvenc_profile_h264_baseline;
extern const GUID *const sm_nvenc_profile_h264_main;
extern const GUID *const sm_nvenc_profile_h264_high;
extern const GUID *const sm_nvenc_profile_hevc_main;

#if NVENCAPI_MAJOR_VERSION >= SM_NVENC_AV1_MAJOR
extern const GUID *const sm_nvenc_codec_av1;
extern const GUID *const sm_nvenc_profile_av1_main;
#endif

#endif
