/* Contexts, buffers and pictures of the fake VA driver, and the order in which a client may use
 * them. */

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "va.h"

/* Room that is left for the client's headers. */
#define HEADERS_MAX 4096

static long lost_displays;

VAStatus create_context(VADriverContextP ctx, VAConfigID config, int width, int height, int flag,
                        VASurfaceID *targets, int count, VAContextID *context)
{
    (void)flag;
    ENTER(ctx);
    struct object *of = object_of(driver, CONFIG, config);
    if (!of)
        return fault(driver, VA_STATUS_ERROR_INVALID_CONFIG, "a context of no config");
    for (int n = 0; n < count; n++)
        if (!object_of(driver, SURFACE, targets[n]))
            return fault(driver, VA_STATUS_ERROR_INVALID_SURFACE, "a context of no surface");
    if (driver->is_lost || driver->contexts >= driver->faults.sessions) {
        faults_log(&driver->faults, "refused");
        return VA_STATUS_ERROR_ALLOCATION_FAILED;
    }
    struct object *object = object_new(driver, CONTEXT, context);
    if (!object)
        return VA_STATUS_ERROR_ALLOCATION_FAILED;
    object->context = (struct context){
        .config = of->config, .width = (unsigned)width, .height = (unsigned)height,
        .api = of->config.profile == VAProfileHEVCMain ? &hevc_codec : &h264_codec,
        .task = {.fps_num = 30, .fps_den = 1, .gop = CODEC_NO_GOP}};
    driver->contexts++;
    return VA_STATUS_SUCCESS;
}

VAStatus destroy_context(VADriverContextP ctx, VAContextID context)
{
    ENTER(ctx);
    struct object *object = object_of(driver, CONTEXT, context);
    if (!object)
        return fault(driver, VA_STATUS_ERROR_INVALID_CONTEXT, "destroyed no context");
    struct context *it = &object->context;
    if (it->target && !driver->is_lost)
        fault(driver, 0, "closed within a picture");
    if (it->not_taken && !driver->is_lost)
        fault(driver, 0, "closed with %ld pictures never taken", it->not_taken);
    faults_log(&driver->faults, "closed after %ld pictures", it->pictures);
    if (it->codec)
        it->api->close(it->codec);
    for (unsigned n = 0; n <= VAEncPackedHeaderRawData; n++)
        free(it->packed[n].bytes);
    object_delete(driver, context);
    driver->contexts--;
    return VA_STATUS_SUCCESS;
}

/* Bytes of an element of this type, or 0 if any number will do. */
static size_t size_of(const struct context *context, VABufferType type)
{
    int is_hevc = context->config.profile == VAProfileHEVCMain;
    switch (type) {
    case VAEncSequenceParameterBufferType:
        return is_hevc ? sizeof(VAEncSequenceParameterBufferHEVC)
                       : sizeof(VAEncSequenceParameterBufferH264);
    case VAEncPictureParameterBufferType:
        return is_hevc ? sizeof(VAEncPictureParameterBufferHEVC)
                       : sizeof(VAEncPictureParameterBufferH264);
    case VAEncSliceParameterBufferType:
        return is_hevc ? sizeof(VAEncSliceParameterBufferHEVC)
                       : sizeof(VAEncSliceParameterBufferH264);
    case VAEncPackedHeaderParameterBufferType: return sizeof(VAEncPackedHeaderParameterBuffer);
    default: return 0;
    }
}

VAStatus create_buffer(VADriverContextP ctx, VAContextID context, VABufferType type, unsigned size,
                       unsigned count, void *data, VABufferID *buffer)
{
    ENTER(ctx);
    struct object *of = object_of(driver, CONTEXT, context);
    if (!of)
        return fault(driver, VA_STATUS_ERROR_INVALID_CONTEXT, "a buffer of no context");
    size_t wanted = size_of(&of->context, type);
    if (!size || !count || (wanted && size != wanted))
        return fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER, "%u bytes of type %d", size, type);
    int is_packed = type == VAEncPackedHeaderParameterBufferType ||
                    type == VAEncPackedHeaderDataBufferType;
    if (is_packed && !driver->faults.packed)
        return fault(driver, VA_STATUS_ERROR_UNSUPPORTED_BUFFERTYPE,
                     "a packed header, which was not offered");
    struct object *object = object_new(driver, BUFFER, buffer);
    if (!object)
        return VA_STATUS_ERROR_ALLOCATION_FAILED;
    object->buffer = (struct buffer){.type = type, .size = size, .count = count,
                                     .data = calloc(count, size)};
    if (data)
        memcpy(object->buffer.data, data, (size_t)size * count);
    return VA_STATUS_SUCCESS;
}

VAStatus destroy_buffer(VADriverContextP ctx, VABufferID buffer)
{
    ENTER(ctx);
    struct object *object = object_of(driver, BUFFER, buffer);
    if (!object || object->buffer.type == VAImageBufferType)
        return fault(driver, VA_STATUS_ERROR_INVALID_BUFFER, "destroyed no buffer");
    if (object->buffer.is_mapped)
        fault(driver, 0, "a buffer was destroyed while it was mapped");
    free(object->buffer.data);
    object_delete(driver, buffer);
    return VA_STATUS_SUCCESS;
}

/* Waits as the hardware would, which may be for ever. */
static void wait_for(struct driver *driver, struct surface *surface)
{
    const struct faults *faults = &driver->faults;
    if (!surface->is_encoding)
        return;
    if (faults->hang != NEVER && surface->picture >= faults->hang) {
        faults_log(faults, "hangs");
        pthread_mutex_unlock(&driver->mutex);
        for (;;)
            pause();
    }
    if (faults->late) {
        struct timespec time = {faults->late / 1000, faults->late % 1000 * 1000000};
        nanosleep(&time, NULL);
    }
    surface->is_encoding = 0;
}

VAStatus sync_surface(VADriverContextP ctx, VASurfaceID surface)
{
    ENTER(ctx);
    struct object *object = object_of(driver, SURFACE, surface);
    if (!object)
        return fault(driver, VA_STATUS_ERROR_INVALID_SURFACE, "waited for no surface");
    wait_for(driver, &object->surface);
    return VA_STATUS_SUCCESS;
}

VAStatus sync_buffer(VADriverContextP ctx, VABufferID buffer, uint64_t timeout_ns)
{
    (void)timeout_ns;
    ENTER(ctx);
    struct object *object = object_of(driver, BUFFER, buffer);
    if (!object)
        return VA_STATUS_ERROR_INVALID_BUFFER; /* how FFmpeg asks whether the call is there */
    if (object->buffer.source)
        wait_for(driver, object->buffer.source);
    return VA_STATUS_SUCCESS;
}

/* Makes a packet illegible outside of its mappings, or legible again: a client that still reads it
 * there is seen. FFmpeg 7 maps it twice, the first time for its size. */
static void scramble(struct buffer *it)
{
    for (unsigned n = 0; n < it->segment.size; n++)
        it->data[n] ^= 0xee;
}

VAStatus map_buffer(VADriverContextP ctx, VABufferID buffer, void **data)
{
    ENTER(ctx);
    struct object *object = object_of(driver, BUFFER, buffer);
    if (!object)
        return fault(driver, VA_STATUS_ERROR_INVALID_BUFFER, "mapped no buffer");
    struct buffer *it = &object->buffer;
    if (it->is_mapped)
        return fault(driver, VA_STATUS_ERROR_OPERATION_FAILED, "a buffer was mapped twice");
    if (it->surface && it->surface->is_encoding)
        return fault(driver, VA_STATUS_ERROR_SURFACE_BUSY,
                     "a surface was mapped before its picture was waited for");
    if (it->type == VAEncCodedBufferType) {
        if (!it->is_filled)
            return fault(driver, VA_STATUS_ERROR_INVALID_BUFFER, "mapped an empty output");
        wait_for(driver, it->source);
        if (it->is_taken)
            scramble(it);
        *data = &it->segment;
    } else {
        *data = it->data;
    }
    it->is_mapped = 1;
    return VA_STATUS_SUCCESS;
}

VAStatus unmap_buffer(VADriverContextP ctx, VABufferID buffer)
{
    ENTER(ctx);
    struct object *object = object_of(driver, BUFFER, buffer);
    if (!object || !object->buffer.is_mapped)
        return fault(driver, VA_STATUS_ERROR_INVALID_BUFFER, "unmapped no mapped buffer");
    struct buffer *it = &object->buffer;
    it->is_mapped = 0;
    if (it->type == VAEncCodedBufferType) {
        it->source->context->not_taken -= !it->is_taken;
        it->is_taken = 1;
        scramble(it);
    }
    return VA_STATUS_SUCCESS;
}

VAStatus begin_picture(VADriverContextP ctx, VAContextID context, VASurfaceID target)
{
    ENTER(ctx);
    struct object *object = object_of(driver, CONTEXT, context);
    struct object *surface = object_of(driver, SURFACE, target);
    if (!object || !surface)
        return fault(driver, VA_STATUS_ERROR_INVALID_CONTEXT, "began a picture of nothing");
    if (object->context.target)
        return fault(driver, VA_STATUS_ERROR_OPERATION_FAILED, "began a picture within another");
    if (surface->surface.is_encoding)
        return fault(driver, VA_STATUS_ERROR_SURFACE_BUSY, "began a picture of a surface in use");
    object->context.target = &surface->surface;
    object->context.has_picture = object->context.slices = 0;
    return VA_STATUS_SUCCESS;
}

static VAStatus take_misc(struct driver *driver, struct context *context,
                          const struct buffer *buffer)
{
    const VAEncMiscParameterBuffer *misc = (const void *)buffer->data;
    const void *data = misc->data;
    switch (misc->type) {
    case VAEncMiscParameterTypeRateControl: {
        const VAEncMiscParameterRateControl *rate = data;
        if (!rate->bits_per_second || rate->target_percentage > 100)
            return fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER, "a rate of nothing");
        unsigned percent = rate->target_percentage ? rate->target_percentage : 100;
        context->task.bits = (unsigned)((uint64_t)rate->bits_per_second * percent / 100);
        return VA_STATUS_SUCCESS;
    }
    case VAEncMiscParameterTypeHRD:
        context->task.buffer_bits = ((const VAEncMiscParameterHRD *)data)->buffer_size;
        return VA_STATUS_SUCCESS;
    case VAEncMiscParameterTypeFrameRate: {
        unsigned rate = ((const VAEncMiscParameterFrameRate *)data)->framerate;
        context->task.fps_num = rate & 0xffff;
        context->task.fps_den = rate >> 16 ? rate >> 16 : 1;
        return VA_STATUS_SUCCESS;
    }
    case VAEncMiscParameterTypeQualityLevel: return VA_STATUS_SUCCESS;
    default:
        return fault(driver, VA_STATUS_ERROR_UNSUPPORTED_BUFFERTYPE, "parameter %d", misc->type);
    }
}

/* The next packed header, in whose place another may have been. */
static VAStatus take_packed(struct driver *driver, struct context *context,
                            const struct buffer *buffer)
{
    struct packed *packed = &context->packed[context->next_kind];
    unsigned bits = context->next.bits;
    context->next.bits = 0;
    if (!bits || (bits + 7) / 8 > buffer->size * buffer->count)
        return fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER, "%u bits of a packed header", bits);
    free(packed->bytes);
    packed->bits = bits;
    packed->bytes = malloc((bits + 7) / 8);
    memcpy(packed->bytes, buffer->data, (bits + 7) / 8);
    return VA_STATUS_SUCCESS;
}

static VAStatus take_packed_kind(struct driver *driver, struct context *context,
                                 const struct buffer *buffer)
{
    const VAEncPackedHeaderParameterBuffer *packed = (const void *)buffer->data;
    if (packed->type != VAEncPackedHeaderSequence && packed->type != VAEncPackedHeaderSlice &&
        packed->type != VAEncPackedHeaderRawData)
        return fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER, "packed header %u", packed->type);
    context->next_kind = packed->type;
    context->next.bits = packed->bit_length;
    return VA_STATUS_SUCCESS;
}

static void take_h264(struct context *context, const struct buffer *buffer)
{
    struct codec_task *task = &context->task;
    struct slice_format *format = &context->client_format;
    const void *data = buffer->data;
    if (buffer->type == VAEncSequenceParameterBufferType) {
        const VAEncSequenceParameterBufferH264 *sequence = data;
        task->width = sequence->picture_width_in_mbs * 16u;
        task->height = sequence->picture_height_in_mbs * 16u;
        task->level = sequence->level_idc;
        if (sequence->frame_cropping_flag) {
            task->width -= 2 * (sequence->frame_crop_left_offset +
                                sequence->frame_crop_right_offset);
            task->height -= 2 * (sequence->frame_crop_top_offset +
                                 sequence->frame_crop_bottom_offset);
        }
        format->frame_num_bits = sequence->seq_fields.bits.log2_max_frame_num_minus4 + 4u;
        format->order_type = sequence->seq_fields.bits.pic_order_cnt_type;
        format->order_bits = sequence->seq_fields.bits.log2_max_pic_order_cnt_lsb_minus4 + 4u;
    } else if (buffer->type == VAEncPictureParameterBufferType) {
        const VAEncPictureParameterBufferH264 *picture = data;
        context->output = picture->coded_buf;
        context->is_idr = (int)picture->pic_fields.bits.idr_pic_flag;
        task->has_transform_8x8 = (int)picture->pic_fields.bits.transform_8x8_mode_flag;
        format->is_cabac = (int)picture->pic_fields.bits.entropy_coding_mode_flag;
        format->has_deblocking_control =
            (int)picture->pic_fields.bits.deblocking_filter_control_present_flag;
        format->initial_quantiser = picture->pic_init_qp;
    } else {
        context->quantiser_change = ((const VAEncSliceParameterBufferH264 *)data)->slice_qp_delta;
    }
}

static void take_hevc(struct context *context, const struct buffer *buffer)
{
    const void *data = buffer->data;
    if (buffer->type == VAEncSequenceParameterBufferType) {
        const VAEncSequenceParameterBufferHEVC *sequence = data;
        context->task.width = sequence->pic_width_in_luma_samples;
        context->task.height = sequence->pic_height_in_luma_samples;
        context->task.level = sequence->general_level_idc;
    } else if (buffer->type == VAEncPictureParameterBufferType) {
        const VAEncPictureParameterBufferHEVC *picture = data;
        context->output = picture->coded_buf;
        context->is_idr = (int)picture->pic_fields.bits.idr_pic_flag;
        context->client_format.initial_quantiser = picture->pic_init_qp;
    } else {
        context->quantiser_change = ((const VAEncSliceParameterBufferHEVC *)data)->slice_qp_delta;
    }
}

static VAStatus take(struct driver *driver, struct context *context, const struct buffer *buffer)
{
    switch (buffer->type) {
    case VAEncSequenceParameterBufferType: context->has_sequence = 1; break;
    case VAEncPictureParameterBufferType: context->has_picture = 1; break;
    case VAEncSliceParameterBufferType: context->slices += (int)buffer->count; break;
    case VAEncMiscParameterBufferType: return take_misc(driver, context, buffer);
    case VAEncPackedHeaderParameterBufferType: return take_packed_kind(driver, context, buffer);
    case VAEncPackedHeaderDataBufferType: return take_packed(driver, context, buffer);
    default:
        return fault(driver, VA_STATUS_ERROR_UNSUPPORTED_BUFFERTYPE, "type %d", buffer->type);
    }
    (context->api == &hevc_codec ? take_hevc : take_h264)(context, buffer);
    return VA_STATUS_SUCCESS;
}

VAStatus render_picture(VADriverContextP ctx, VAContextID context, VABufferID *buffers, int count)
{
    ENTER(ctx);
    struct object *object = object_of(driver, CONTEXT, context);
    if (!object || !object->context.target)
        return fault(driver, VA_STATUS_ERROR_INVALID_CONTEXT, "parameters outside of a picture");
    for (int n = 0; n < count; n++) {
        struct object *buffer = object_of(driver, BUFFER, buffers[n]);
        if (!buffer || buffer->buffer.is_mapped)
            return fault(driver, VA_STATUS_ERROR_INVALID_BUFFER, "parameters in no buffer");
        VAStatus status = take(driver, &object->context, &buffer->buffer);
        if (status != VA_STATUS_SUCCESS)
            return status;
    }
    return VA_STATUS_SUCCESS;
}

static const char *name_of(unsigned rate_control)
{
    return rate_control == VA_RC_CBR ? "CBR" : rate_control == VA_RC_VBR ? "VBR" : "CQP";
}

/* An encoder as the first picture's parameters ask for it. */
static VAStatus open_codec(struct driver *driver, struct context *context)
{
    unsigned rate_control = context->config.rate_control;
    struct codec_task *task = &context->task;
    struct slice_format *format = &context->coded_format;
    uint8_t headers[1024];
    if (rate_control != VA_RC_CQP && !task->bits)
        return fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER, "%s without a rate",
                     name_of(rate_control));
    if (rate_control == VA_RC_CQP)
        task->quantiser = context->client_format.initial_quantiser + context->quantiser_change;
    faults_log(&driver->faults, "%ux%u %u/%u %s, %u bits, buffer %u, quantiser %d%s%s", task->width,
               task->height, task->fps_num, task->fps_den, name_of(rate_control), task->bits,
               task->buffer_bits, task->quantiser, context->api == &hevc_codec ? ", hevc" : "",
               context->config.entrypoint == VAEntrypointEncSliceLP ? ", low power" : "");
    unsigned percent = rate_control == VA_RC_CBR ? driver->faults.overshoot : 100;
    task->bits = task->bits / 100 * percent;
    task->buffer_bits = task->buffer_bits / 100 * percent;
    task->is_cabac = driver->faults.packed && context->client_format.is_cabac;
    task->has_transform_8x8 &= driver->faults.packed;
    task->has_deblocking = driver->faults.packed;
    context->codec = context->api->open(task);
    if (!context->codec)
        return fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER, "the encoder does not take that");
    size_t size = context->api->headers(context->codec, headers, sizeof headers);
    splice_read_sps(headers, size, format);
    format->is_cabac = task->is_cabac;
    format->has_deblocking_control = 1;
    format->initial_quantiser = task->quantiser ? task->quantiser : 26;
    return VA_STATUS_SUCCESS;
}

/* The client's headers before the macroblocks of libx264. */
static size_t with_packed(struct context *context, const struct coded *coded, uint8_t *to)
{
    const unsigned before[] = {VAEncPackedHeaderSequence, VAEncPackedHeaderRawData};
    size_t size = 0;
    for (int n = 0; n < 2; n++) {
        struct packed *packed = &context->packed[before[n]];
        if (packed->bytes)
            memcpy(to + size, packed->bytes, packed->bits / 8);
        size += packed->bits / 8;
        free(packed->bytes);
        *packed = (struct packed){NULL, 0};
    }
    const struct packed *slice = &context->packed[VAEncPackedHeaderSlice];
    if (!slice->bytes)
        return 0;
    size_t spliced = splice(slice->bytes, slice->bits, &context->client_format, coded->bytes,
                            coded->size, &context->coded_format, to + size);
    return spliced ? size + spliced : 0;
}

/* Encodes the picture of `surface` into a buffer, with parameter sets before a keyframe. */
static VAStatus encode(struct driver *driver, struct context *context, struct surface *surface,
                       struct buffer *output)
{
    int is_packed = driver->faults.packed && context->api == &h264_codec;
    const uint8_t *chroma = surface->pixels + (size_t)surface->pitch * surface->rows;
    struct picture picture = {surface->pixels, chroma, surface->height, surface->pitch, CODEC_NV12,
                              context->pictures, context->is_idr};
    struct coded coded;
    uint8_t headers[1024];
    /* First, as they use the same memory. */
    size_t size = context->is_idr && !is_packed
                      ? context->api->headers(context->codec, headers, sizeof headers) : 0;
    if (!context->api->encode(context->codec, &picture, &coded))
        return fault(driver, VA_STATUS_ERROR_ENCODING_ERROR, "the encoder gave nothing");
    if (size + coded.size * 3 / 2 + HEADERS_MAX > output->size)
        return fault(driver, VA_STATUS_ERROR_NOT_ENOUGH_BUFFER, "%zu bytes for %zu", coded.size,
                     (size_t)output->size);
    if (is_packed) {
        size = with_packed(context, &coded, output->data);
        if (!size)
            return fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER, "another slice header");
    } else {
        memcpy(output->data, headers, size);
        memcpy(output->data + size, coded.bytes, coded.size);
        size += coded.size;
    }
    output->segment = (VACodedBufferSegment){.size = (uint32_t)size, .buf = output->data};
    output->source = surface;
    output->is_filled = 1;
    output->is_taken = 0;
    surface->is_encoding = 1;
    surface->picture = context->pictures++;
    surface->context = context;
    context->not_taken++;
    faults_log(&driver->faults, "picture %ld, %s, %zu bytes", surface->picture,
               context->is_idr ? "key" : "not key", size);
    return VA_STATUS_SUCCESS;
}

/* Whether the device is gone from this picture on. */
static int is_lost(struct driver *driver, const struct context *context)
{
    const struct faults *faults = &driver->faults;
    if (!driver->is_lost && faults->lost != NEVER && context->pictures >= faults->lost &&
        __atomic_fetch_add(&lost_displays, 1, __ATOMIC_RELAXED) < faults->lost_sessions) {
        driver->is_lost = 1;
        faults_log(faults, "lost at %ld", context->pictures);
    }
    return driver->is_lost;
}

VAStatus end_picture(VADriverContextP ctx, VAContextID id)
{
    ENTER(ctx);
    struct object *object = object_of(driver, CONTEXT, id);
    if (!object || !object->context.target)
        return fault(driver, VA_STATUS_ERROR_INVALID_CONTEXT, "ended no picture");
    struct context *context = &object->context;
    struct surface *surface = context->target;
    context->target = NULL;
    if (is_lost(driver, context))
        return VA_STATUS_ERROR_UNKNOWN;
    struct object *output = object_of(driver, BUFFER, context->output);
    if (!context->has_sequence || !context->has_picture || !context->slices)
        return fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER, "a picture without parameters");
    if (!output || output->buffer.type != VAEncCodedBufferType ||
        (output->buffer.is_filled && !output->buffer.is_taken) || output->buffer.is_mapped)
        return fault(driver, VA_STATUS_ERROR_INVALID_BUFFER, "a picture into no idle buffer");
    if (!context->pictures && !context->is_idr)
        return fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER, "the first picture is no IDR");
    if (!context->codec) {
        VAStatus status = open_codec(driver, context);
        if (status != VA_STATUS_SUCCESS)
            return status;
    }
    return encode(driver, context, surface, &output->buffer);
}
