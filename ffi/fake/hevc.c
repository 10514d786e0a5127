/* libx265 as the hardware of the fake drivers. */

#include "codec.h"

#include <stdlib.h>
#include <string.h>

#include <x265.h>

struct codec {
    x265_param *param;
    x265_encoder *encoder;
    /* libx265 takes no NV12. */
    uint8_t *planes[2];
};

static void set_rate(x265_param *param, unsigned bits, unsigned buffer_bits)
{
    param->rc.bitrate = param->rc.vbvMaxBitrate = (int)(bits / 1000);
    param->rc.vbvBufferSize = (int)(buffer_bits / 1000);
}

static void set_up(x265_param *param, const struct codec_task *task)
{
    x265_param_default_preset(param, "ultrafast", "zerolatency");
    param->sourceWidth = (int)task->width;
    param->sourceHeight = (int)task->height;
    param->fpsNum = task->fps_num;
    param->fpsDenom = task->fps_den;
    param->internalCsp = X265_CSP_I420;
    param->logLevel = X265_LOG_NONE;
    param->frameNumThreads = 1;
    x265_param_parse(param, "pools", "none");
    param->bRepeatHeaders = 0;
    param->bEmitInfoSEI = 0;
    param->keyframeMax = task->gop == CODEC_NO_GOP ? -1 : (int)task->gop;
    param->keyframeMin = 1;
    param->scenecutThreshold = 0;
    param->bOpenGOP = 0;
    /* A driver may make P pictures of those that could be B pictures. */
    param->bframes = 0;
    if (task->has_colours) {
        param->vui.bEnableVideoSignalTypePresentFlag = 1;
        param->vui.bEnableVideoFullRangeFlag = task->is_full_range;
        param->vui.bEnableColorDescriptionPresentFlag = 1;
        param->vui.colorPrimaries = task->primaries;
        param->vui.transferCharacteristics = task->transfer;
        param->vui.matrixCoeffs = task->matrix;
    }
    if (task->quantiser) {
        param->rc.rateControlMode = X265_RC_CQP;
        param->rc.qp = task->quantiser;
        return;
    }
    /* libx265 takes a level with a rate alone. */
    param->levelIdc = task->level / 3;
    param->rc.rateControlMode = X265_RC_ABR;
    set_rate(param, task->bits, task->buffer_bits);
}

static void hevc_close(struct codec *codec)
{
    if (!codec)
        return;
    if (codec->encoder)
        x265_encoder_close(codec->encoder);
    x265_param_free(codec->param);
    free(codec->planes[0]);
    free(codec->planes[1]);
    free(codec);
}

static struct codec *hevc_open(const struct codec_task *task)
{
    struct codec *codec = calloc(1, sizeof *codec);
    size_t quarter = (size_t)task->width * task->height / 4;
    codec->param = x265_param_alloc();
    set_up(codec->param, task);
    codec->planes[0] = malloc(quarter);
    codec->planes[1] = malloc(quarter);
    codec->encoder = x265_encoder_open(codec->param);
    if (codec->encoder)
        return codec;
    hevc_close(codec);
    return NULL;
}

static size_t hevc_headers(struct codec *codec, uint8_t *to, size_t room)
{
    x265_nal *nals;
    uint32_t count;
    size_t size = 0;
    if (x265_encoder_headers(codec->encoder, &nals, &count) < 0)
        return 0;
    for (uint32_t n = 0; n < count; n++) {
        /* The last picture is still in the list. */
        if (nals[n].type < NAL_UNIT_VPS || nals[n].type > NAL_UNIT_PPS)
            continue;
        if (size + nals[n].sizeBytes > room)
            return 0;
        memcpy(to + size, nals[n].payload, nals[n].sizeBytes);
        size += nals[n].sizeBytes;
    }
    return size;
}

static int hevc_rate(struct codec *codec, unsigned bits, unsigned buffer_bits)
{
    set_rate(codec->param, bits, buffer_bits);
    return x265_encoder_reconfig(codec->encoder, codec->param) < 0;
}

static int hevc_encode(struct codec *codec, const struct picture *picture, struct coded *coded)
{
    x265_picture in, *out = x265_picture_alloc();
    x265_nal *nals;
    uint32_t count;
    unsigned width = (unsigned)codec->param->sourceWidth / 2;
    unsigned height = (unsigned)codec->param->sourceHeight / 2;
    x265_picture_init(codec->param, &in);
    in.planes[0] = (void *)picture->luma;
    in.stride[0] = (int)picture->pitch;
    if (picture->format == CODEC_NV12) {
        for (unsigned row = 0; row < height; row++)
            for (unsigned column = 0; column < width; column++)
                for (int plane = 0; plane < 2; plane++)
                    codec->planes[plane][row * width + column] =
                        picture->chroma[(size_t)row * picture->pitch + 2 * column + (size_t)plane];
        in.planes[1] = codec->planes[0];
        in.planes[2] = codec->planes[1];
        in.stride[1] = in.stride[2] = (int)width;
    } else {
        int is_swapped = picture->format == CODEC_YV12;
        uint8_t *chroma = (uint8_t *)picture->chroma;
        in.planes[1 + is_swapped] = chroma;
        in.planes[2 - is_swapped] = chroma + (size_t)picture->pitch * picture->height / 4;
        in.stride[1] = in.stride[2] = (int)picture->pitch / 2;
    }
    in.pts = picture->at;
    in.sliceType = picture->force_idr ? X265_TYPE_IDR : X265_TYPE_AUTO;
    int encoded = x265_encoder_encode(codec->encoder, &nals, &count, &in, out);
    int is_idr = out->sliceType == X265_TYPE_IDR;
    x265_picture_free(out);
    if (encoded <= 0 || !count)
        return 0;
    coded->bytes = nals[0].payload;
    coded->size = 0;
    for (uint32_t n = 0; n < count; n++)
        coded->size += nals[n].sizeBytes;
    coded->at = picture->at;
    coded->type = is_idr ? CODED_IDR : CODED_P;
    return 1;
}

const struct codec_api hevc_codec = {hevc_open, hevc_close, hevc_headers, hevc_rate,
                                    hevc_encode};
