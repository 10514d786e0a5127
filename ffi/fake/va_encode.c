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
    object->context = (struct context){.config = of->config, .width = (unsigned)width,
                                       .height = (unsigned)height, .fps_num = 30, .fps_den = 1};
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
    codec_close(it->codec);
    for (unsigned n = 0; n <= VAEncPackedHeaderRawData; n++)
        free(it->packed[n].bytes);
    object_delete(driver, context);
    driver->contexts--;
    return VA_STATUS_SUCCESS;
}

/* Bytes of an element of this type, or 0 if any number will do. */
static size_t size_of(VABufferType type)
{
    switch (type) {
    case VAEncSequenceParameterBufferType: return sizeof(VAEncSequenceParameterBufferH264);
    case VAEncPictureParameterBufferType: return sizeof(VAEncPictureParameterBufferH264);
    case VAEncSliceParameterBufferType: return sizeof(VAEncSliceParameterBufferH264);
    case VAEncPackedHeaderParameterBufferType: return sizeof(VAEncPackedHeaderParameterBuffer);
    default: return 0;
    }
}

VAStatus create_buffer(VADriverContextP ctx, VAContextID context, VABufferType type, unsigned size,
                       unsigned count, void *data, VABufferID *buffer)
{
    ENTER(ctx);
    if (!object_of(driver, CONTEXT, context))
        return fault(driver, VA_STATUS_ERROR_INVALID_CONTEXT, "a buffer of no context");
    if (!size || !count || (size_of(type) && size != size_of(type)))
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
        it->source->context->not_taken--;
        it->is_filled = 0;
        /* What a client still reads after this is seen. */
        memset(it->data, 0xee, it->segment.size);
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
        context->bits = (unsigned)((uint64_t)rate->bits_per_second * percent / 100);
        return VA_STATUS_SUCCESS;
    }
    case VAEncMiscParameterTypeHRD:
        context->buffer_bits = ((const VAEncMiscParameterHRD *)data)->buffer_size;
        return VA_STATUS_SUCCESS;
    case VAEncMiscParameterTypeFrameRate: {
        unsigned rate = ((const VAEncMiscParameterFrameRate *)data)->framerate;
        context->fps_num = rate & 0xffff;
        context->fps_den = rate >> 16 ? rate >> 16 : 1;
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

static VAStatus take(struct driver *driver, struct context *context, const struct buffer *buffer)
{
    switch (buffer->type) {
    case VAEncSequenceParameterBufferType:
        memcpy(&context->sequence, buffer->data, sizeof context->sequence);
        context->has_sequence = 1;
        return VA_STATUS_SUCCESS;
    case VAEncPictureParameterBufferType:
        memcpy(&context->picture, buffer->data, sizeof context->picture);
        context->has_picture = 1;
        return VA_STATUS_SUCCESS;
    case VAEncSliceParameterBufferType:
        context->slices += (int)buffer->count;
        context->quantiser_delta =
            ((const VAEncSliceParameterBufferH264 *)(const void *)buffer->data)->slice_qp_delta;
        return VA_STATUS_SUCCESS;
    case VAEncMiscParameterBufferType: return take_misc(driver, context, buffer);
    case VAEncPackedHeaderParameterBufferType: return take_packed_kind(driver, context, buffer);
    case VAEncPackedHeaderDataBufferType: return take_packed(driver, context, buffer);
    default:
        return fault(driver, VA_STATUS_ERROR_UNSUPPORTED_BUFFERTYPE, "type %d", buffer->type);
    }
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

/* libx264 as the first picture's parameters ask for it. */
static VAStatus open_codec(struct driver *driver, struct context *context)
{
    const VAEncSequenceParameterBufferH264 *sequence = &context->sequence;
    unsigned width = sequence->picture_width_in_mbs * 16u;
    unsigned height = sequence->picture_height_in_mbs * 16u;
    if (sequence->frame_cropping_flag) {
        width -= 2 * (sequence->frame_crop_left_offset + sequence->frame_crop_right_offset);
        height -= 2 * (sequence->frame_crop_top_offset + sequence->frame_crop_bottom_offset);
    }
    unsigned rate_control = context->config.rate_control;
    int is_rated = rate_control != VA_RC_CQP;
    if (is_rated && !context->bits)
        return fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER, "%s without a rate",
                     name_of(rate_control));
    unsigned percent = rate_control == VA_RC_CBR ? driver->faults.overshoot : 100;
    struct codec_task task = {
        .width = width, .height = height, .fps_num = context->fps_num,
        .fps_den = context->fps_den, .gop = CODEC_NO_GOP, .level = sequence->level_idc,
        .quantiser = is_rated ? 0 : context->picture.pic_init_qp + context->quantiser_delta,
        .bits = context->bits / 100 * percent, .buffer_bits = context->buffer_bits / 100 * percent};
    if (driver->faults.packed) {
        task.is_cabac = context->picture.pic_fields.bits.entropy_coding_mode_flag;
        task.has_transform_8x8 = context->picture.pic_fields.bits.transform_8x8_mode_flag;
        task.has_deblocking = 1;
    }
    context->codec = codec_open(&task);
    uint8_t headers[1024];
    if (context->codec)
        splice_read_sps(headers, codec_headers(context->codec, headers, sizeof headers),
                        &context->coded_format);
    context->coded_format.is_cabac = task.is_cabac;
    context->coded_format.has_deblocking_control = 1;
    context->coded_format.initial_quantiser = task.quantiser ? task.quantiser : 26;
    faults_log(&driver->faults, "%ux%u %u/%u %s, %u bits, buffer %u, quantiser %d%s", width, height,
               context->fps_num, context->fps_den, name_of(rate_control), context->bits,
               context->buffer_bits, task.quantiser,
               context->config.entrypoint == VAEntrypointEncSliceLP ? ", low power" : "");
    return context->codec ? VA_STATUS_SUCCESS
                          : fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER,
                                  "libx264 does not take that");
}

/* The client's headers before the macroblocks of libx264. */
static size_t with_packed(struct context *context, const struct coded *coded, uint8_t *to)
{
    const VAEncSequenceParameterBufferH264 *sequence = &context->sequence;
    const VAEncPictureParameterBufferH264 *picture = &context->picture;
    struct slice_format format = {
        sequence->seq_fields.bits.log2_max_frame_num_minus4 + 4u,
        sequence->seq_fields.bits.pic_order_cnt_type,
        sequence->seq_fields.bits.log2_max_pic_order_cnt_lsb_minus4 + 4u,
        (int)picture->pic_fields.bits.entropy_coding_mode_flag,
        (int)picture->pic_fields.bits.deblocking_filter_control_present_flag,
        picture->pic_init_qp};
    size_t size = 0;
    const unsigned before[] = {VAEncPackedHeaderSequence, VAEncPackedHeaderRawData};
    for (int n = 0; n < 2; n++) {
        struct packed *packed = &context->packed[before[n]];
        if (packed->bytes)
            memcpy(to + size, packed->bytes, packed->bits / 8);
        size += packed->bits / 8;
        free(packed->bytes);
        *packed = (struct packed){NULL, 0};
    }
    const struct packed *slice = &context->packed[VAEncPackedHeaderSlice];
    size_t spliced = slice->bytes ? splice(slice->bytes, slice->bits, &format, coded->bytes,
                                           coded->size, &context->coded_format, to + size)
                                  : 0;
    return spliced ? size + spliced : 0;
}

/* Encodes the picture of `surface` into a buffer, with parameter sets before a keyframe. */
static VAStatus encode(struct driver *driver, struct context *context, struct surface *surface,
                       struct buffer *output)
{
    int is_idr = context->picture.pic_fields.bits.idr_pic_flag;
    const uint8_t *chroma = surface->pixels + (size_t)surface->pitch * surface->rows;
    struct picture picture = {surface->pixels, chroma, surface->height, surface->pitch, CODEC_NV12,
                              context->pictures, is_idr};
    struct coded coded;
    uint8_t headers[1024];
    int is_packed = driver->faults.packed;
    /* First, as they use the same memory. */
    size_t size = is_idr && !is_packed
                      ? codec_headers(context->codec, headers, sizeof headers) : 0;
    if (!codec_encode(context->codec, &picture, &coded))
        return fault(driver, VA_STATUS_ERROR_ENCODING_ERROR, "libx264 gave nothing");
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
    surface->is_encoding = 1;
    surface->picture = context->pictures++;
    surface->context = context;
    context->not_taken++;
    faults_log(&driver->faults, "picture %ld, %s, %zu bytes", surface->picture,
               is_idr ? "key" : "not key", size);
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
    struct object *output = object_of(driver, BUFFER, context->picture.coded_buf);
    if (!context->has_sequence || !context->has_picture || !context->slices)
        return fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER, "a picture without parameters");
    if (!output || output->buffer.type != VAEncCodedBufferType || output->buffer.is_filled ||
        output->buffer.is_mapped)
        return fault(driver, VA_STATUS_ERROR_INVALID_BUFFER, "a picture into no idle buffer");
    if (!context->pictures && !context->picture.pic_fields.bits.idr_pic_flag)
        return fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER, "the first picture is no IDR");
    if (!context->codec) {
        VAStatus status = open_codec(driver, context);
        if (status != VA_STATUS_SUCCESS)
            return status;
    }
    return encode(driver, context, surface, &output->buffer);
}
