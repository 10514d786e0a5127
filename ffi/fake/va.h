/* State of one display of the fake VA driver: its objects, by number. */

#ifndef FAKE_VA_H
#define FAKE_VA_H

#include <pthread.h>
#include <stdint.h>

#include <va/va.h>
#include <va/va_backend.h>

#include "codec.h"
#include "faults.h"
#include "splice.h"

#define OBJECTS_MAX 1024

enum kind { FREE, CONFIG, SURFACE, CONTEXT, BUFFER, IMAGE, KINDS };

struct config {
    VAProfile profile;
    VAEntrypoint entrypoint;
    unsigned rate_control;
};

struct surface {
    unsigned width, height, pitch, rows;
    uint8_t *pixels;
    /* From the end of a picture until the client has waited for it. */
    int is_encoding;
    /* Number of the picture that was encoded from it. */
    long picture;
    struct context *context;
};

struct buffer {
    VABufferType type;
    unsigned size, count;
    uint8_t *data;
    int is_mapped;
    /* Of an image: the surface that its memory is, if the image was derived. */
    struct surface *surface;
    /* Of a coded buffer. */
    VACodedBufferSegment segment;
    struct surface *source;
    int is_filled, is_taken;
};

/* A header that the client has written, in Annex B. */
struct packed {
    uint8_t *bytes;
    unsigned bits;
};

struct context {
    struct config config;
    unsigned width, height;
    const struct codec_api *api;
    struct codec *codec;
    struct surface *target;
    int has_sequence, has_picture, slices;
    /* Of the sequence, the picture and the slice. */
    struct codec_task task;
    VABufferID output;
    int is_idr, quantiser_change;
    struct slice_format client_format, coded_format;
    /* Headers by kind; that which comes next. */
    struct packed packed[VAEncPackedHeaderRawData + 1], next;
    unsigned next_kind;
    long pictures, not_taken;
};

struct object {
    enum kind kind;
    union {
        struct config config;
        struct surface surface;
        struct context context;
        struct buffer buffer;
        struct {
            VAImage description;
            VASurfaceID derived_from;
        } image;
    };
};

struct driver {
    pthread_mutex_t mutex;
    struct faults faults;
    int is_lost;
    long contexts, derived, put;
    struct object *objects[OBJECTS_MAX];
};

/* The object of this number, or none. */
struct object *object_of(struct driver *driver, enum kind kind, unsigned id);

/* A new one, or none if there is no room. */
struct object *object_new(struct driver *driver, enum kind kind, unsigned *id);
void object_delete(struct driver *driver, unsigned id);

/* Holds the driver until the end of the block. */
struct driver *driver_enter(VADriverContextP ctx);
void driver_leave(struct driver **driver);
#define ENTER(ctx) \
    __attribute__((cleanup(driver_leave))) struct driver *driver = driver_enter(ctx)

/* va_encode.c */
VAStatus create_context(VADriverContextP ctx, VAConfigID config, int width, int height, int flag,
                        VASurfaceID *targets, int count, VAContextID *context);
VAStatus destroy_context(VADriverContextP ctx, VAContextID context);
VAStatus create_buffer(VADriverContextP ctx, VAContextID context, VABufferType type, unsigned size,
                       unsigned count, void *data, VABufferID *buffer);
VAStatus map_buffer(VADriverContextP ctx, VABufferID buffer, void **data);
VAStatus unmap_buffer(VADriverContextP ctx, VABufferID buffer);
VAStatus destroy_buffer(VADriverContextP ctx, VABufferID buffer);
VAStatus begin_picture(VADriverContextP ctx, VAContextID context, VASurfaceID target);
VAStatus render_picture(VADriverContextP ctx, VAContextID context, VABufferID *buffers, int count);
VAStatus end_picture(VADriverContextP ctx, VAContextID context);
VAStatus sync_surface(VADriverContextP ctx, VASurfaceID surface);
VAStatus sync_buffer(VADriverContextP ctx, VABufferID buffer, uint64_t timeout_ns);

#endif
