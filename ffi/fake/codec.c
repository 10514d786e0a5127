/* libx264 as the hardware of the fake drivers. */

#include "codec.h"

#include <stdlib.h>
#include <string.h>

#include <x264.h>

struct codec {
    x264_param_t param;
    x264_t *encoder;
};

static void set_rate(x264_param_t *param, unsigned bits, unsigned buffer_bits)
{
    param->rc.i_bitrate = (int)(bits / 1000);
    param->rc.i_vbv_max_bitrate = (int)(bits / 1000);
    param->rc.i_vbv_buffer_size = (int)(buffer_bits / 1000);
}

struct codec *codec_open(const struct codec_task *task)
{
    struct codec *codec = calloc(1, sizeof *codec);
    x264_param_t *param = &codec->param;
    x264_param_default_preset(param, "ultrafast", "zerolatency");
    param->i_width = (int)task->width;
    param->i_height = (int)task->height;
    param->i_fps_num = task->fps_num;
    param->i_fps_den = task->fps_den;
    param->b_vfr_input = 0;
    param->i_threads = 1;
    param->b_sliced_threads = 0;
    param->i_log_level = X264_LOG_NONE;
    param->b_repeat_headers = 0;
    param->i_keyint_max = task->gop == CODEC_NO_GOP ? X264_KEYINT_MAX_INFINITE : (int)task->gop;
    param->i_keyint_min = 1;
    param->b_cabac = task->is_cabac;
    param->analyse.b_transform_8x8 = task->has_transform_8x8;
    param->b_deblocking_filter = task->has_deblocking;
    param->i_deblocking_filter_alphac0 = param->i_deblocking_filter_beta = 0;
    if (task->level)
        param->i_level_idc = task->level;
    /* A driver may make P pictures of those that could be B pictures. */
    param->i_bframe = 0;
    if (task->quantiser) {
        param->rc.i_rc_method = X264_RC_CQP;
        param->rc.i_qp_constant = task->quantiser;
    } else {
        param->rc.i_rc_method = X264_RC_ABR;
        param->rc.b_filler = task->has_filler;
        set_rate(param, task->bits, task->buffer_bits);
    }
    if (task->has_colours) {
        param->vui.b_fullrange = task->is_full_range;
        param->vui.i_colorprim = task->primaries;
        param->vui.i_transfer = task->transfer;
        param->vui.i_colmatrix = task->matrix;
    }
    codec->encoder = x264_encoder_open(param);
    if (!codec->encoder) {
        free(codec);
        return NULL;
    }
    return codec;
}

void codec_close(struct codec *codec)
{
    if (codec) {
        x264_encoder_close(codec->encoder);
        free(codec);
    }
}

size_t codec_headers(struct codec *codec, uint8_t *to, size_t room)
{
    x264_nal_t *nals;
    int count;
    size_t size = 0;
    if (x264_encoder_headers(codec->encoder, &nals, &count) < 0)
        return 0;
    for (int n = 0; n < count; n++)
        if (nals[n].i_type == NAL_SPS || nals[n].i_type == NAL_PPS) {
            if (size + (size_t)nals[n].i_payload > room)
                return 0;
            memcpy(to + size, nals[n].p_payload, (size_t)nals[n].i_payload);
            size += (size_t)nals[n].i_payload;
        }
    return size;
}

int codec_rate(struct codec *codec, unsigned bits, unsigned buffer_bits)
{
    set_rate(&codec->param, bits, buffer_bits);
    return x264_encoder_reconfig(codec->encoder, &codec->param);
}

int codec_encode(struct codec *codec, const struct picture *picture, struct coded *coded)
{
    x264_picture_t in, out;
    x264_nal_t *nals;
    int count;
    uint8_t *chroma = (uint8_t *)picture->chroma;
    x264_picture_init(&in);
    in.i_type = picture->force_idr ? X264_TYPE_IDR : X264_TYPE_AUTO;
    in.i_pts = picture->at;
    in.img.plane[0] = (uint8_t *)picture->luma;
    in.img.i_stride[0] = (int)picture->pitch;
    in.img.plane[1] = chroma;
    if (picture->format == CODEC_NV12) {
        in.img.i_csp = X264_CSP_NV12;
        in.img.i_plane = 2;
        in.img.i_stride[1] = (int)picture->pitch;
    } else {
        in.img.i_csp = picture->format == CODEC_YV12 ? X264_CSP_YV12 : X264_CSP_I420;
        in.img.i_plane = 3;
        in.img.plane[2] = chroma + (size_t)picture->pitch * picture->height / 4;
        in.img.i_stride[1] = in.img.i_stride[2] = (int)picture->pitch / 2;
    }
    int size = x264_encoder_encode(codec->encoder, &nals, &count, &in, &out);
    if (size <= 0)
        return 0;
    coded->bytes = nals[0].p_payload;
    coded->size = (size_t)size;
    coded->at = out.i_pts;
    coded->type = out.i_type == X264_TYPE_IDR ? CODED_IDR
                  : out.i_type == X264_TYPE_B ? CODED_B
                  : out.i_type == X264_TYPE_I ? CODED_I
                                              : CODED_P;
    return 1;
}

const struct codec_api h264_codec = {codec_open, codec_close, codec_headers, codec_rate,
                                    codec_encode};
