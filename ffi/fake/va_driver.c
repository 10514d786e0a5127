/* Fake VA driver `fake_drv_video.so`: checks its client, encodes with libx264 and libx265, and
 * fails as it is told to (faults.h). For tests on machines without a GPU. Like the drivers of some
 * GPUs it takes no packed headers from its client and writes its own, unless it is told to be like
 * those of others, which it can be for H.264. */

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "va.h"

/* As drivers have it: not what the client would guess. */
#define PITCH 512
#define ROWS 64
#define SIDE_MIN 32
#define SIDE_MAX 4096

static const VAProfile profiles[] = {VAProfileH264ConstrainedBaseline, VAProfileH264Main,
                                     VAProfileH264High, VAProfileHEVCMain};
#define PROFILES ((int)(sizeof profiles / sizeof *profiles))

struct driver *driver_enter(VADriverContextP ctx)
{
    struct driver *driver = ctx->pDriverData;
    pthread_mutex_lock(&driver->mutex);
    return driver;
}

void driver_leave(struct driver **driver)
{
    pthread_mutex_unlock(&(*driver)->mutex);
}

struct object *object_of(struct driver *driver, enum kind kind, unsigned id)
{
    struct object *object = id && id <= OBJECTS_MAX ? driver->objects[id - 1] : NULL;
    return object && object->kind == kind ? object : NULL;
}

struct object *object_new(struct driver *driver, enum kind kind, unsigned *id)
{
    for (unsigned n = 0; n < OBJECTS_MAX; n++)
        if (!driver->objects[n]) {
            struct object *object = driver->objects[n] = calloc(1, sizeof *object);
            object->kind = kind;
            *id = n + 1;
            return object;
        }
    return NULL;
}

void object_delete(struct driver *driver, unsigned id)
{
    free(driver->objects[id - 1]);
    driver->objects[id - 1] = NULL;
}

static VAStatus query_profiles(VADriverContextP ctx, VAProfile *list, int *count)
{
    ENTER(ctx);
    memcpy(list, profiles, sizeof profiles);
    *count = driver->faults.no_hevc ? PROFILES - 1 : PROFILES;
    return VA_STATUS_SUCCESS;
}

static int has_profile(const struct driver *driver, VAProfile profile)
{
    if (profile == VAProfileHEVCMain && driver->faults.no_hevc)
        return 0;
    for (int n = 0; n < PROFILES; n++)
        if (profiles[n] == profile)
            return 1;
    return 0;
}

static VAStatus query_entrypoints(VADriverContextP ctx, VAProfile profile, VAEntrypoint *list,
                                  int *count)
{
    ENTER(ctx);
    if (!has_profile(driver, profile))
        return VA_STATUS_ERROR_UNSUPPORTED_PROFILE;
    list[0] = driver->faults.no_device   ? VAEntrypointVLD
              : driver->faults.low_power ? VAEntrypointEncSliceLP
                                         : VAEntrypointEncSlice;
    *count = 1;
    return VA_STATUS_SUCCESS;
}

static unsigned attribute(const struct driver *driver, VAProfile profile,
                          VAConfigAttribType type)
{
    switch (type) {
    case VAConfigAttribRTFormat: return VA_RT_FORMAT_YUV420;
    case VAConfigAttribRateControl:
        return driver->faults.cqp_only ? VA_RC_CQP : VA_RC_CQP | VA_RC_CBR | VA_RC_VBR;
    case VAConfigAttribEncPackedHeaders:
        return driver->faults.packed && profile != VAProfileHEVCMain
                   ? VA_ENC_PACKED_HEADER_SEQUENCE | VA_ENC_PACKED_HEADER_SLICE |
                                           VA_ENC_PACKED_HEADER_MISC
                                     : VA_ENC_PACKED_HEADER_NONE;
    case VAConfigAttribEncMaxRefFrames: return 1;
    case VAConfigAttribEncMaxSlices: return 1;
    case VAConfigAttribEncQualityRange: return 7;
    case VAConfigAttribMaxPictureWidth: case VAConfigAttribMaxPictureHeight: return SIDE_MAX;
    default: return VA_ATTRIB_NOT_SUPPORTED;
    }
}

static VAStatus get_attributes(VADriverContextP ctx, VAProfile profile, VAEntrypoint entrypoint,
                               VAConfigAttrib *list, int count)
{
    ENTER(ctx);
    if (!has_profile(driver, profile))
        return VA_STATUS_ERROR_UNSUPPORTED_PROFILE;
    if (entrypoint != VAEntrypointEncSlice && entrypoint != VAEntrypointEncSliceLP)
        return VA_STATUS_ERROR_UNSUPPORTED_ENTRYPOINT;
    for (int n = 0; n < count; n++)
        list[n].value = attribute(driver, profile, list[n].type);
    return VA_STATUS_SUCCESS;
}

static VAStatus create_config(VADriverContextP ctx, VAProfile profile, VAEntrypoint entrypoint,
                              VAConfigAttrib *list, int count, VAConfigID *config)
{
    ENTER(ctx);
    VAEntrypoint known = driver->faults.low_power ? VAEntrypointEncSliceLP : VAEntrypointEncSlice;
    if (!has_profile(driver, profile) || entrypoint != known)
        return fault(driver, VA_STATUS_ERROR_UNSUPPORTED_ENTRYPOINT, "a config that is not there");
    unsigned rate_control = VA_RC_CQP;
    for (int n = 0; n < count; n++) {
        unsigned offered = attribute(driver, profile, list[n].type);
        if (list[n].type == VAConfigAttribRateControl)
            rate_control = list[n].value;
        if (offered == VA_ATTRIB_NOT_SUPPORTED || (list[n].value & ~offered))
            return fault(driver, VA_STATUS_ERROR_INVALID_VALUE, "attribute %d is 0x%x",
                         list[n].type, list[n].value);
    }
    struct object *object = object_new(driver, CONFIG, config);
    if (!object)
        return VA_STATUS_ERROR_ALLOCATION_FAILED;
    object->config = (struct config){profile, entrypoint, rate_control};
    return VA_STATUS_SUCCESS;
}

static VAStatus destroy_config(VADriverContextP ctx, VAConfigID config)
{
    ENTER(ctx);
    if (!object_of(driver, CONFIG, config))
        return fault(driver, VA_STATUS_ERROR_INVALID_CONFIG, "destroyed no config");
    object_delete(driver, config);
    return VA_STATUS_SUCCESS;
}

static VAStatus query_surface_attributes(VADriverContextP ctx, VAConfigID config,
                                         VASurfaceAttrib *list, unsigned *count)
{
#define NUMBER(what, flag, number) \
    {.type = what, .flags = flag, .value = {VAGenericValueTypeInteger, {.i = number}}}
    const VASurfaceAttrib known[] = {
        NUMBER(VASurfaceAttribPixelFormat, VA_SURFACE_ATTRIB_GETTABLE | VA_SURFACE_ATTRIB_SETTABLE,
               VA_FOURCC_NV12),
        NUMBER(VASurfaceAttribMinWidth, VA_SURFACE_ATTRIB_GETTABLE, SIDE_MIN),
        NUMBER(VASurfaceAttribMinHeight, VA_SURFACE_ATTRIB_GETTABLE, SIDE_MIN),
        NUMBER(VASurfaceAttribMaxWidth, VA_SURFACE_ATTRIB_GETTABLE, SIDE_MAX),
        NUMBER(VASurfaceAttribMaxHeight, VA_SURFACE_ATTRIB_GETTABLE, SIDE_MAX),
    };
    const unsigned all = sizeof known / sizeof *known;
    ENTER(ctx);
    if (!object_of(driver, CONFIG, config))
        return fault(driver, VA_STATUS_ERROR_INVALID_CONFIG, "attributes of no config");
    unsigned room = *count;
    *count = all;
    if (!list)
        return VA_STATUS_SUCCESS;
    if (room < all)
        return VA_STATUS_ERROR_MAX_NUM_EXCEEDED;
    memcpy(list, known, sizeof known);
    return VA_STATUS_SUCCESS;
}

static VAStatus create_surfaces(VADriverContextP ctx, unsigned format, unsigned width,
                                unsigned height, VASurfaceID *surfaces, unsigned count,
                                VASurfaceAttrib *list, unsigned attributes)
{
    ENTER(ctx);
    if (format != VA_RT_FORMAT_YUV420)
        return fault(driver, VA_STATUS_ERROR_UNSUPPORTED_RT_FORMAT, "format 0x%x", format);
    for (unsigned n = 0; n < attributes; n++)
        if (list[n].type == VASurfaceAttribPixelFormat && list[n].value.value.i != VA_FOURCC_NV12)
            return fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER, "pixels of another format");
    for (unsigned n = 0; n < count; n++) {
        struct object *object = object_new(driver, SURFACE, &surfaces[n]);
        if (!object)
            return VA_STATUS_ERROR_ALLOCATION_FAILED;
        unsigned pitch = (width + PITCH) / PITCH * PITCH, rows = (height + ROWS) / ROWS * ROWS;
        object->surface = (struct surface){
            .width = width, .height = height, .pitch = pitch, .rows = rows,
            .pixels = calloc(3, (size_t)pitch * rows / 2)};
    }
    return VA_STATUS_SUCCESS;
}

static VAStatus destroy_surfaces(VADriverContextP ctx, VASurfaceID *surfaces, int count)
{
    ENTER(ctx);
    for (int n = 0; n < count; n++) {
        struct object *object = object_of(driver, SURFACE, surfaces[n]);
        if (!object)
            return fault(driver, VA_STATUS_ERROR_INVALID_SURFACE, "destroyed no surface");
        if (object->surface.is_encoding && !driver->is_lost)
            fault(driver, 0, "a surface was destroyed that nobody had waited for");
        free(object->surface.pixels);
        object_delete(driver, surfaces[n]);
    }
    return VA_STATUS_SUCCESS;
}

static const VAImageFormat nv12 = {.fourcc = VA_FOURCC_NV12, .byte_order = VA_LSB_FIRST,
                                   .bits_per_pixel = 12};

static VAStatus query_image_formats(VADriverContextP ctx, VAImageFormat *list, int *count)
{
    (void)ctx;
    list[0] = nv12;
    *count = 1;
    return VA_STATUS_SUCCESS;
}

/* An image over the memory of a surface, or over memory of its own. */
static VAStatus new_image(struct driver *driver, struct surface *surface, unsigned width,
                          unsigned height, VAImage *image)
{
    unsigned id, pitch = surface ? surface->pitch : (width + PITCH) / PITCH * PITCH;
    unsigned rows = surface ? surface->rows : height, size = pitch * rows / 2 * 3;
    struct object *buffer = object_new(driver, BUFFER, &id);
    *image = (VAImage){.format = nv12, .buf = id, .width = (uint16_t)width,
                       .height = (uint16_t)height, .data_size = size, .num_planes = 2,
                       .pitches = {pitch, pitch}, .offsets = {0, pitch * rows}};
    struct object *object = buffer ? object_new(driver, IMAGE, &image->image_id) : NULL;
    if (!object)
        return VA_STATUS_ERROR_ALLOCATION_FAILED;
    buffer->buffer = (struct buffer){.type = VAImageBufferType, .size = size, .count = 1,
                                     .data = surface ? surface->pixels : malloc(size),
                                     .surface = surface};
    object->image.description = *image;
    return VA_STATUS_SUCCESS;
}

static VAStatus create_image(VADriverContextP ctx, VAImageFormat *format, int width, int height,
                             VAImage *image)
{
    ENTER(ctx);
    if (format->fourcc != VA_FOURCC_NV12)
        return fault(driver, VA_STATUS_ERROR_INVALID_IMAGE_FORMAT, "an image of another format");
    return new_image(driver, NULL, (unsigned)width, (unsigned)height, image);
}

static VAStatus derive_image(VADriverContextP ctx, VASurfaceID surface, VAImage *image)
{
    ENTER(ctx);
    struct object *object = object_of(driver, SURFACE, surface);
    if (!object)
        return fault(driver, VA_STATUS_ERROR_INVALID_SURFACE, "derived from no surface");
    if (driver->faults.no_derive)
        return VA_STATUS_ERROR_OPERATION_FAILED;
    driver->derived++;
    struct surface *of = &object->surface;
    return new_image(driver, of, of->width, of->height, image);
}

static VAStatus destroy_image(VADriverContextP ctx, VAImageID image)
{
    ENTER(ctx);
    struct object *object = object_of(driver, IMAGE, image);
    if (!object)
        return fault(driver, VA_STATUS_ERROR_INVALID_IMAGE, "destroyed no image");
    VABufferID id = object->image.description.buf;
    struct object *buffer = object_of(driver, BUFFER, id);
    if (buffer) {
        if (buffer->buffer.is_mapped)
            fault(driver, 0, "an image was destroyed while it was mapped");
        if (!buffer->buffer.surface)
            free(buffer->buffer.data);
        object_delete(driver, id);
    }
    object_delete(driver, image);
    return VA_STATUS_SUCCESS;
}

/* The memory of an image and the surface that it goes to or comes from. */
static VAStatus copy_image(struct driver *driver, VASurfaceID surface, VAImageID image, int is_put)
{
    struct object *to = object_of(driver, SURFACE, surface);
    struct object *from = object_of(driver, IMAGE, image);
    if (!to || !from)
        return fault(driver, VA_STATUS_ERROR_INVALID_IMAGE, "put or got no image");
    const VAImage *layout = &from->image.description;
    struct object *buffer = object_of(driver, BUFFER, layout->buf);
    struct surface *into = &to->surface;
    if (!buffer || buffer->buffer.is_mapped || into->is_encoding)
        return fault(driver, VA_STATUS_ERROR_OPERATION_FAILED, "put or got an image in use");
    for (unsigned row = 0; row < into->height * 3 / 2; row++) {
        int is_luma = row < into->height;
        unsigned at = is_luma ? row : row - into->height;
        uint8_t *pixels = into->pixels + (is_luma ? 0 : (size_t)into->pitch * into->rows) +
                          (size_t)at * into->pitch;
        uint8_t *packed = buffer->buffer.data + layout->offsets[is_luma ? 0 : 1] +
                          (size_t)at * layout->pitches[0];
        memcpy(is_put ? pixels : packed, is_put ? packed : pixels, into->width);
    }
    driver->put += is_put;
    return VA_STATUS_SUCCESS;
}

static VAStatus put_image(VADriverContextP ctx, VASurfaceID surface, VAImageID image, int x, int y,
                          unsigned width, unsigned height, int to_x, int to_y, unsigned to_width,
                          unsigned to_height)
{
    ENTER(ctx);
    if (x || y || to_x || to_y || width != to_width || height != to_height)
        return fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER, "put a part of an image");
    return copy_image(driver, surface, image, 1);
}

static VAStatus get_image(VADriverContextP ctx, VASurfaceID surface, int x, int y, unsigned width,
                          unsigned height, VAImageID image)
{
    (void)width;
    (void)height;
    ENTER(ctx);
    if (x || y)
        return fault(driver, VA_STATUS_ERROR_INVALID_PARAMETER, "got a part of a surface");
    return copy_image(driver, surface, image, 0);
}

/* Everything that the client has not given back is a fault. */
static void check_leaks(struct driver *driver)
{
    int left[KINDS] = {0}, all = 0;
    for (unsigned n = 0; n < OBJECTS_MAX; n++)
        if (driver->objects[n]) {
            left[driver->objects[n]->kind]++;
            all++;
        }
    if (all)
        fault(driver, 0, "left %d configs, %d surfaces, %d contexts, %d buffers, %d images",
              left[CONFIG], left[SURFACE], left[CONTEXT], left[BUFFER], left[IMAGE]);
}

static VAStatus terminate(VADriverContextP ctx)
{
    struct driver *driver = ctx->pDriverData;
    check_leaks(driver);
    faults_log(&driver->faults, "terminated: %ld surfaces mapped, %ld images put", driver->derived,
               driver->put);
    for (unsigned n = 0; n < OBJECTS_MAX; n++)
        free(driver->objects[n]);
    pthread_mutex_destroy(&driver->mutex);
    free(driver);
    ctx->pDriverData = NULL;
    return VA_STATUS_SUCCESS;
}

#if VA_CHECK_VERSION(1, 21, 0)
/* The same of clients that say what they will do with it. */
static VAStatus map_buffer2(VADriverContextP ctx, VABufferID id, void **to, uint32_t flags)
{
    (void)flags;
    return map_buffer(ctx, id, to);
}
#endif

static VAStatus absent(void)
{
    return VA_STATUS_ERROR_UNIMPLEMENTED;
}

static void fill_in(struct VADriverVTable *table)
{
    void **last = (void **)((char *)table + offsetof(struct VADriverVTable, reserved));
    for (void **entry = (void **)table; entry < last; entry++)
        *entry = (void *)absent;
    table->vaTerminate = terminate;
    table->vaQueryConfigProfiles = query_profiles;
    table->vaQueryConfigEntrypoints = query_entrypoints;
    table->vaGetConfigAttributes = get_attributes;
    table->vaCreateConfig = create_config;
    table->vaDestroyConfig = destroy_config;
    table->vaQuerySurfaceAttributes = query_surface_attributes;
    table->vaCreateSurfaces2 = create_surfaces;
    table->vaDestroySurfaces = destroy_surfaces;
    table->vaQueryImageFormats = query_image_formats;
    table->vaCreateImage = create_image;
    table->vaDeriveImage = derive_image;
    table->vaDestroyImage = destroy_image;
    table->vaPutImage = put_image;
    table->vaGetImage = get_image;
    table->vaCreateContext = create_context;
    table->vaDestroyContext = destroy_context;
    table->vaCreateBuffer = create_buffer;
    table->vaMapBuffer = map_buffer;
#if VA_CHECK_VERSION(1, 21, 0)
    table->vaMapBuffer2 = map_buffer2;
#endif
    table->vaUnmapBuffer = unmap_buffer;
    table->vaDestroyBuffer = destroy_buffer;
    table->vaBeginPicture = begin_picture;
    table->vaRenderPicture = render_picture;
    table->vaEndPicture = end_picture;
    table->vaSyncSurface = sync_surface;
    table->vaSyncBuffer = sync_buffer;
}

#define JOIN(name, major, minor) name##_##major##_##minor
#define INIT_OF(major, minor) JOIN(__vaDriverInit, major, minor)

__attribute__((visibility("default"))) VAStatus INIT_OF(VA_MAJOR_VERSION,
                                                        VA_MINOR_VERSION)(VADriverContextP ctx)
{
    struct driver *driver = calloc(1, sizeof *driver);
    faults_read(&driver->faults);
    faults_log(&driver->faults, "open");
    if (driver->faults.crash)
        abort();
    while (driver->faults.hang_open)
        pause();
    pthread_mutex_init(&driver->mutex, NULL);
    fill_in(ctx->vtable);
    ctx->pDriverData = driver;
    ctx->version_major = VA_MAJOR_VERSION;
    ctx->version_minor = VA_MINOR_VERSION;
    ctx->max_profiles = PROFILES;
    ctx->max_entrypoints = 1;
    ctx->max_attributes = 16;
    ctx->max_image_formats = 1;
    ctx->max_subpic_formats = 1;
    ctx->max_display_attributes = 1;
    ctx->str_vendor = "Fake VA driver";
    return VA_STATUS_SUCCESS;
}
