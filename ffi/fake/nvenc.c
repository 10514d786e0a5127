/* Fake libnvidia-encode.so.1: checks its client, encodes with libx264 and libx265, and fails as it is
 * told to (faults.h). For tests on machines without a GPU. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session.h"

#define MAGIC 0x4e56454eu
#define WIDTH_MIN 145
#define HEIGHT_MIN 49
#define SIDE_MAX 4096
#define BFRAMES_MAX 4

static long open_sessions, lost_sessions;

struct session *session_of(void *encoder)
{
    struct session *session = encoder;
    if (session && session->magic == MAGIC)
        return session;
    struct session nobody;
    faults_read(&nobody.faults);
    fault(&nobody, 0, "a call without a session");
    return NULL;
}

#define SESSION(encoder) \
    struct session *session = session_of(encoder); \
    if (!session) \
        return NV_ENC_ERR_INVALID_ENCODERDEVICE

#define VERSION(given, wanted) \
    if ((given) != (wanted)) \
        return fault(session, NV_ENC_ERR_INVALID_VERSION, #wanted " is 0x%08x", (given))

static int same(GUID a, GUID b) { return memcmp(&a, &b, sizeof a) == 0; }

static NVENCSTATUS open_session(NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS *params, void **encoder)
{
    struct session *session = calloc(1, sizeof *session);
    faults_read(&session->faults);
    struct faults *faults = &session->faults;
    faults_log(faults, "open");
    if (faults->crash)
        abort();
    while (faults->hang_open)
        pause();
    NVENCSTATUS code = NV_ENC_SUCCESS;
    if (params->version != NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS_VER)
        code = fault(session, NV_ENC_ERR_INVALID_VERSION, "session 0x%08x", params->version);
    else if (params->apiVersion != NVENCAPI_VERSION)
        code = fault(session, NV_ENC_ERR_INVALID_VERSION, "interface 0x%08x", params->apiVersion);
    else if (params->deviceType != NV_ENC_DEVICE_TYPE_CUDA || !params->device)
        code = fault(session, NV_ENC_ERR_INVALID_DEVICE, "no context");
    else if (faults->no_device)
        code = NV_ENC_ERR_UNSUPPORTED_DEVICE;
    else if (__atomic_add_fetch(&open_sessions, 1, __ATOMIC_RELAXED) > faults->sessions) {
        __atomic_sub_fetch(&open_sessions, 1, __ATOMIC_RELAXED);
        code = NV_ENC_ERR_OUT_OF_MEMORY;
    }
    if (code != NV_ENC_SUCCESS) {
        faults_log(faults, "refused with %d", code);
        free(session);
        *encoder = NULL;
        return code;
    }
    session->magic = MAGIC;
    pthread_mutex_init(&session->mutex, NULL);
    *encoder = session;
    return NV_ENC_SUCCESS;
}

/* The encoder of a codec, if this GPU makes it. */
static const struct codec_api *api_of(const struct session *session, GUID codec)
{
    if (same(codec, NV_ENC_CODEC_H264_GUID))
        return &h264_codec;
    if (same(codec, NV_ENC_CODEC_HEVC_GUID) && !session->faults.no_hevc)
        return &hevc_codec;
    return NULL;
}

static NVENCSTATUS guid_count(void *encoder, uint32_t *count)
{
    SESSION(encoder);
    *count = session->faults.no_hevc ? 1 : 2;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS guids(void *encoder, GUID *list, uint32_t room, uint32_t *count)
{
    SESSION(encoder);
    const GUID known[] = {NV_ENC_CODEC_H264_GUID, NV_ENC_CODEC_HEVC_GUID};
    uint32_t made = session->faults.no_hevc ? 1 : 2;
    *count = room < made ? room : made;
    memcpy(list, known, *count * sizeof *list);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS input_format_count(void *encoder, GUID codec, uint32_t *count)
{
    (void)codec;
    SESSION(encoder);
    *count = 3;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS input_formats(void *encoder, GUID codec, NV_ENC_BUFFER_FORMAT *list,
                                 uint32_t room, uint32_t *count)
{
    static const NV_ENC_BUFFER_FORMAT formats[] = {
        NV_ENC_BUFFER_FORMAT_NV12, NV_ENC_BUFFER_FORMAT_YV12, NV_ENC_BUFFER_FORMAT_IYUV};
    (void)codec;
    SESSION(encoder);
    *count = room < 3 ? room : 3;
    memcpy(list, formats, *count * sizeof *list);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS caps(void *encoder, GUID codec, NV_ENC_CAPS_PARAM *params, int *value)
{
    SESSION(encoder);
    VERSION(params->version, NV_ENC_CAPS_PARAM_VER);
    if (!api_of(session, codec))
        return NV_ENC_ERR_UNSUPPORTED_PARAM;
    switch (params->capsToQuery) {
    case NV_ENC_CAPS_NUM_MAX_BFRAMES: *value = BFRAMES_MAX; break;
    case NV_ENC_CAPS_SUPPORTED_RATECONTROL_MODES: *value = 63; break;
    case NV_ENC_CAPS_WIDTH_MIN: *value = WIDTH_MIN; break;
    case NV_ENC_CAPS_HEIGHT_MIN: *value = HEIGHT_MIN; break;
    case NV_ENC_CAPS_WIDTH_MAX: case NV_ENC_CAPS_HEIGHT_MAX: *value = SIDE_MAX; break;
    case NV_ENC_CAPS_SUPPORT_DYN_BITRATE_CHANGE: *value = !session->faults.fixed_rate; break;
    case NV_ENC_CAPS_NUM_ENCODER_ENGINES: case NV_ENC_CAPS_SUPPORT_CUSTOM_VBV_BUF_SIZE:
    case NV_ENC_CAPS_SUPPORT_CABAC: *value = 1; break;
    default: *value = 0;
    }
    return NV_ENC_SUCCESS;
}

static int preset_number(GUID preset)
{
    const GUID known[] = {NV_ENC_PRESET_P1_GUID, NV_ENC_PRESET_P2_GUID, NV_ENC_PRESET_P3_GUID,
                          NV_ENC_PRESET_P4_GUID, NV_ENC_PRESET_P5_GUID, NV_ENC_PRESET_P6_GUID,
                          NV_ENC_PRESET_P7_GUID};
    for (int n = 0; n < 7; n++)
        if (same(preset, known[n]))
            return n + 1;
    return 0;
}

static NVENCSTATUS preset_config(void *encoder, GUID codec, GUID preset, NV_ENC_TUNING_INFO tuning,
                                 NV_ENC_PRESET_CONFIG *params)
{
    SESSION(encoder);
    VERSION(params->version, NV_ENC_PRESET_CONFIG_VER);
    VERSION(params->presetCfg.version, NV_ENC_CONFIG_VER);
    const struct codec_api *api = api_of(session, codec);
    if (!api || !preset_number(preset) || !tuning)
        return fault(session, NV_ENC_ERR_UNSUPPORTED_PARAM, "no such preset");
    NV_ENC_CONFIG *config = &params->presetCfg;
    config->profileGUID = NV_ENC_CODEC_PROFILE_AUTOSELECT_GUID;
    config->gopLength = NVENC_INFINITE_GOPLENGTH;
    config->frameIntervalP = tuning == NV_ENC_TUNING_INFO_HIGH_QUALITY ? 4 : 1;
    config->rcParams.rateControlMode = NV_ENC_PARAMS_RC_VBR;
    config->rcParams.enableLookahead = tuning == NV_ENC_TUNING_INFO_HIGH_QUALITY;
    if (api == &hevc_codec) {
        config->encodeCodecConfig.hevcConfig.idrPeriod = NVENC_INFINITE_GOPLENGTH;
        config->encodeCodecConfig.hevcConfig.chromaFormatIDC = 1;
    } else {
        config->encodeCodecConfig.h264Config.idrPeriod = NVENC_INFINITE_GOPLENGTH;
    }
    return NV_ENC_SUCCESS;
}

/* What the configuration says of any codec, wherever that has it. */
struct said {
    int has_filler, has_no_sets, is_420;
    unsigned idr_period;
    const NV_ENC_CONFIG_H264_VUI_PARAMETERS *vui;
};

static struct said said_of(const struct session *session)
{
    const NV_ENC_CONFIG_H264 *h264 = &session->config.encodeCodecConfig.h264Config;
    const NV_ENC_CONFIG_HEVC *hevc = &session->config.encodeCodecConfig.hevcConfig;
    if (session->api == &hevc_codec)
        return (struct said){(int)hevc->enableFillerDataInsertion, (int)hevc->disableSPSPPS,
                             hevc->chromaFormatIDC == 1 && !hevc->pixelBitDepthMinus8,
                             hevc->idrPeriod, &hevc->hevcVUIParameters};
    return (struct said){(int)h264->enableFillerDataInsertion, (int)h264->disableSPSPPS, 1,
                         h264->idrPeriod, &h264->h264VUIParameters};
}

static struct codec *codec_of(const struct session *session)
{
    const NV_ENC_INITIALIZE_PARAMS *task = &session->task;
    const NV_ENC_CONFIG *config = &session->config;
    struct said said = said_of(session);
    return session->api->open(&(struct codec_task){
        .width = task->encodeWidth,
        .height = task->encodeHeight,
        .fps_num = task->frameRateNum,
        .fps_den = task->frameRateDen,
        .gop = config->gopLength == NVENC_INFINITE_GOPLENGTH ? CODEC_NO_GOP : config->gopLength,
        .bits = config->rcParams.averageBitRate,
        .buffer_bits = config->rcParams.vbvBufferSize,
        .has_filler = said.has_filler,
        .has_colours = (int)said.vui->colourDescriptionPresentFlag,
        .is_full_range = (int)said.vui->videoFullRangeFlag,
        .primaries = (int)said.vui->colourPrimaries,
        .transfer = (int)said.vui->transferCharacteristics,
        .matrix = (int)said.vui->colourMatrix,
    });
}

static NVENCSTATUS initialize(void *encoder, NV_ENC_INITIALIZE_PARAMS *task)
{
    SESSION(encoder);
    VERSION(task->version, NV_ENC_INITIALIZE_PARAMS_VER);
    if (session->codec)
        return fault(session, NV_ENC_ERR_INVALID_CALL, "initialised twice");
    session->api = api_of(session, task->encodeGUID);
    if (!session->api || !preset_number(task->presetGUID))
        return fault(session, NV_ENC_ERR_INVALID_PARAM, "no codec or preset");
    if (!task->encodeConfig || !task->enablePTD || task->enableEncodeAsync)
        return fault(session, NV_ENC_ERR_UNSUPPORTED_PARAM, "no configuration, or asynchronous");
    VERSION(task->encodeConfig->version, NV_ENC_CONFIG_VER);
    if (task->encodeWidth < WIDTH_MIN || task->encodeHeight < HEIGHT_MIN ||
        task->encodeWidth > SIDE_MAX || task->encodeHeight > SIDE_MAX)
        return fault(session, NV_ENC_ERR_INVALID_PARAM, "%ux%u", task->encodeWidth,
                     task->encodeHeight);
    session->task = *task;
    session->config = *task->encodeConfig;
    session->task.encodeConfig = &session->config;
    struct said said = said_of(session);
    int is_h264 = same(session->config.profileGUID, NV_ENC_H264_PROFILE_BASELINE_GUID) ||
        same(session->config.profileGUID, NV_ENC_H264_PROFILE_MAIN_GUID) ||
        same(session->config.profileGUID, NV_ENC_H264_PROFILE_HIGH_GUID);
    int is_hevc = same(session->config.profileGUID, NV_ENC_HEVC_PROFILE_MAIN_GUID);
    if (session->api == &hevc_codec ? is_h264 : is_hevc)
        return fault(session, NV_ENC_ERR_INVALID_PARAM, "the profile of another codec");
    if (!said.is_420 || said.idr_period != session->config.gopLength)
        return fault(session, NV_ENC_ERR_INVALID_PARAM, "a format or an interval of its own");
    session->codec = codec_of(session);
    if (!session->codec)
        return fault(session, NV_ENC_ERR_INVALID_PARAM, "the encoder does not take that");
    session->may_lose = session->faults.lost != NEVER &&
        __atomic_add_fetch(&lost_sessions, 1, __ATOMIC_RELAXED) <= session->faults.lost_sessions;
    const NV_ENC_RC_PARAMS *rc = &session->config.rcParams;
    faults_log(&session->faults,
               "initialised P%d tuning %d %ux%u %u/%u rate control %d, %u bits, buffer %u, gop %u, "
               "interval %d, filler %d%s", preset_number(task->presetGUID), task->tuningInfo,
               task->encodeWidth, task->encodeHeight, task->frameRateNum, task->frameRateDen,
               rc->rateControlMode, rc->averageBitRate, rc->vbvBufferSize,
               session->config.gopLength, session->config.frameIntervalP,
               said.has_filler, session->api == &hevc_codec ? ", hevc" : "");
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS reconfigure(void *encoder, NV_ENC_RECONFIGURE_PARAMS *params)
{
    SESSION(encoder);
    VERSION(params->version, NV_ENC_RECONFIGURE_PARAMS_VER);
    const NV_ENC_INITIALIZE_PARAMS *task = &params->reInitEncodeParams;
    VERSION(task->version, NV_ENC_INITIALIZE_PARAMS_VER);
    const NV_ENC_CONFIG *config = task->encodeConfig;
    if (!session->codec || !config)
        return fault(session, NV_ENC_ERR_INVALID_PARAM, "a change without a configuration");
    VERSION(config->version, NV_ENC_CONFIG_VER);
    if (session->faults.fixed_rate)
        return NV_ENC_ERR_UNSUPPORTED_PARAM;
    if (task->encodeWidth != session->task.encodeWidth ||
        task->encodeHeight != session->task.encodeHeight || !task->enablePTD ||
        !same(task->encodeGUID, session->task.encodeGUID) ||
        config->gopLength != session->config.gopLength ||
        config->frameIntervalP != session->config.frameIntervalP)
        return fault(session, NV_ENC_ERR_INVALID_PARAM, "a change of more than the rate");
    const NV_ENC_RC_PARAMS *rc = &config->rcParams;
    pthread_mutex_lock(&session->mutex);
    faults_log(&session->faults, "rate %u bits, buffer %u, reset %d, idr %d", rc->averageBitRate,
               rc->vbvBufferSize, params->resetEncoder, params->forceIDR);
    session->force_idr |= (int)params->forceIDR;
    int refused = session->api->rate(session->codec, rc->averageBitRate, rc->vbvBufferSize);
    pthread_mutex_unlock(&session->mutex);
    return refused ? NV_ENC_ERR_INVALID_PARAM : NV_ENC_SUCCESS;
}

static NVENCSTATUS sequence_params(void *encoder, NV_ENC_SEQUENCE_PARAM_PAYLOAD *params)
{
    SESSION(encoder);
    VERSION(params->version, NV_ENC_SEQUENCE_PARAM_PAYLOAD_VER);
    if (!session->codec || !params->spsppsBuffer || !params->outSPSPPSPayloadSize)
        return fault(session, NV_ENC_ERR_INVALID_PTR, "no place for parameter sets");
    size_t size = session->api->headers(session->codec, params->spsppsBuffer, params->inBufferSize);
    *params->outSPSPPSPayloadSize = (uint32_t)size;
    return size ? NV_ENC_SUCCESS : NV_ENC_ERR_NOT_ENOUGH_BUFFER;
}

/* Encodes the pictures that wait, oldest first, each into its output. */
static void encode_waiting(struct session *session)
{
    const struct codec_api *api = session->api;
    struct said said = said_of(session);
    for (int n = 0; n < session->waiting; n++) {
        struct output *output = session->order[n];
        if (output->state != OUTPUT_WAITING)
            continue;
        const struct input *input = output->input;
        enum codec_format format = input->format == NV_ENC_BUFFER_FORMAT_NV12   ? CODEC_NV12
                                   : input->format == NV_ENC_BUFFER_FORMAT_IYUV ? CODEC_I420
                                                                                : CODEC_YV12;
        const uint8_t *chroma = input->pixels + (size_t)input->pitch * input->height;
        struct picture picture = {input->pixels, chroma, input->height, input->pitch, format,
                                  (int64_t)output->at, output->is_forced};
        uint8_t headers[1024];
        size_t size = 0;
        struct coded *coded = &output->coded;
        /* First, as they use the same memory. */
        if (!said.has_no_sets)
            size = api->headers(session->codec, headers, sizeof headers);
        if (!api->encode(session->codec, &picture, coded)) {
            fault(session, 0, "the encoder gave nothing");
            continue;
        }
        if (coded->type != CODED_IDR)
            size = 0;
        free(output->bytes);
        output->bytes = malloc(size + coded->size);
        memcpy(output->bytes, headers, size);
        memcpy(output->bytes + size, coded->bytes, coded->size);
        coded->size += size;
        output->state = OUTPUT_READY;
        faults_log(&session->faults, "packet %ld, %s, %zu bytes", (long)coded->at,
                   coded->type == CODED_IDR ? "key" : "not key", coded->size);
    }
    session->held = 0;
}

static NVENCSTATUS check_picture(struct session *session, const NV_ENC_PIC_PARAMS *params)
{
    struct input *input = input_of(session, params->inputBuffer);
    struct output *output = output_of(session, params->outputBitstream);
    if (session->is_over)
        return fault(session, NV_ENC_ERR_INVALID_CALL, "a picture after the end");
    if (!input || !output)
        return fault(session, NV_ENC_ERR_INVALID_PARAM, "a picture without buffers");
    if (input->state != INPUT_IDLE)
        return fault(session, NV_ENC_ERR_INVALID_CALL, "a picture from an input in use");
    if (output->state != OUTPUT_IDLE)
        return fault(session, NV_ENC_ERR_INVALID_CALL, "a picture into an output in use");
    if (params->inputWidth != session->task.encodeWidth ||
        params->inputHeight != session->task.encodeHeight || params->bufferFmt != input->format ||
        params->pictureStruct != NV_ENC_PIC_STRUCT_FRAME)
        return fault(session, NV_ENC_ERR_INVALID_PARAM, "a picture of another kind");
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS encode(struct session *session, const NV_ENC_PIC_PARAMS *params)
{
    const struct faults *faults = &session->faults;
    if (session->is_lost || (session->may_lose && session->pictures >= faults->lost)) {
        session->is_lost = 1;
        faults_log(faults, "lost at %ld", session->pictures);
            return NV_ENC_ERR_DEVICE_NOT_EXIST;
    }
    if (params->encodePicFlags & NV_ENC_PIC_FLAG_EOS) {
        session->is_over = 1;
        encode_waiting(session);
        return NV_ENC_SUCCESS;
    }
    NVENCSTATUS code = check_picture(session, params);
    if (code != NV_ENC_SUCCESS)
        return code;
    if (faults->busy == session->pictures && !session->was_busy) {
        session->was_busy = 1;
        return NV_ENC_ERR_ENCODER_BUSY;
    }
    struct input *input = params->inputBuffer;
    struct output *output = params->outputBitstream;
    int is_idr = session->force_idr || (params->encodePicFlags & NV_ENC_PIC_FLAG_FORCEIDR) != 0;
    session->force_idr = 0;
    faults_log(faults, "picture %ld at %lu%s", session->pictures,
               (unsigned long)params->inputTimeStamp, is_idr ? ", forced" : "");
    input->state = INPUT_ENCODING;
    output->state = OUTPUT_WAITING;
    output->input = input;
    output->picture = session->pictures++;
    output->at = params->inputTimeStamp;
    output->is_forced = is_idr;
    session->order[session->waiting++] = output;
    /* With room for B pictures, those before an anchor wait for it. */
    int is_anchor = is_idr || output->picture % session->config.frameIntervalP == 0;
    session->held++;
    if (!is_anchor && session->held < session->config.frameIntervalP)
        return NV_ENC_ERR_NEED_MORE_INPUT;
    encode_waiting(session);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS encode_picture(void *encoder, NV_ENC_PIC_PARAMS *params)
{
    SESSION(encoder);
    VERSION(params->version, NV_ENC_PIC_PARAMS_VER);
    if (!session->codec)
        return fault(session, NV_ENC_ERR_ENCODER_NOT_INITIALIZED, "a picture too early");
    pthread_mutex_lock(&session->mutex);
    NVENCSTATUS code = encode(session, params);
    pthread_mutex_unlock(&session->mutex);
    return code;
}

static NVENCSTATUS destroy(void *encoder)
{
    SESSION(encoder);
    check_leaks(session);
    faults_log(&session->faults, "closed after %ld pictures", session->pictures);
    if (session->codec)
        session->api->close(session->codec);
    session->magic = 0;
    pthread_mutex_destroy(&session->mutex);
    free(session);
    __atomic_sub_fetch(&open_sessions, 1, __ATOMIC_RELAXED);
    return NV_ENC_SUCCESS;
}

static const char *last_error(void *encoder)
{
    (void)encoder;
    return "";
}

/* FFmpeg calls it, with nothing that matters for pictures of this side. */
static NVENCSTATUS set_streams(void *encoder, NV_ENC_CUSTREAM_PTR in, NV_ENC_CUSTREAM_PTR out)
{
    (void)in;
    (void)out;
    SESSION(encoder);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS absent(void)
{
    struct session nobody;
    faults_read(&nobody.faults);
    return fault(&nobody, NV_ENC_ERR_UNIMPLEMENTED, "a call that the fake driver does not have");
}

__attribute__((visibility("default"))) NVENCSTATUS
NvEncodeAPIGetMaxSupportedVersion(uint32_t *version)
{
    struct faults faults;
    faults_read(&faults);
    *version = faults.major << 4 | faults.minor;
    return NV_ENC_SUCCESS;
}

__attribute__((visibility("default"))) NVENCSTATUS
NvEncodeAPICreateInstance(NV_ENCODE_API_FUNCTION_LIST *list)
{
    struct session nobody, *session = &nobody;
    faults_read(&nobody.faults);
    VERSION(list->version, NV_ENCODE_API_FUNCTION_LIST_VER);
    /* Every pointer that nothing else is behind, up to the reserved ones. */
    for (void **entry = (void **)&list->nvEncOpenEncodeSession; entry < list->reserved2; entry++)
        *entry = (void *)absent;
    list->nvEncOpenEncodeSessionEx = open_session;
    list->nvEncGetEncodeGUIDCount = guid_count;
    list->nvEncGetEncodeGUIDs = guids;
    list->nvEncGetInputFormatCount = input_format_count;
    list->nvEncGetInputFormats = input_formats;
    list->nvEncGetEncodeCaps = caps;
    list->nvEncGetEncodePresetConfigEx = preset_config;
    list->nvEncInitializeEncoder = initialize;
    list->nvEncReconfigureEncoder = reconfigure;
    list->nvEncGetSequenceParams = sequence_params;
    list->nvEncCreateInputBuffer = create_input;
    list->nvEncDestroyInputBuffer = destroy_input;
    list->nvEncLockInputBuffer = lock_input;
    list->nvEncUnlockInputBuffer = unlock_input;
    list->nvEncCreateBitstreamBuffer = create_output;
    list->nvEncDestroyBitstreamBuffer = destroy_output;
    list->nvEncLockBitstream = lock_output;
    list->nvEncUnlockBitstream = unlock_output;
    list->nvEncEncodePicture = encode_picture;
    list->nvEncDestroyEncoder = destroy;
    list->nvEncGetLastErrorString = last_error;
    list->nvEncSetIOCudaStreams = set_streams;
    return NV_ENC_SUCCESS;
}
