/* State of one encoding session of the fake driver. */

#ifndef FAKE_SESSION_H
#define FAKE_SESSION_H

#include <pthread.h>

#include <ffnvcodec/nvEncodeAPI.h>

#include "codec.h"
#include "faults.h"

#define BUFFERS_MAX 64

enum input_state { INPUT_FREE, INPUT_IDLE, INPUT_LOCKED, INPUT_ENCODING };

struct input {
    enum input_state state;
    uint8_t *pixels;
    unsigned width, height, pitch;
    NV_ENC_BUFFER_FORMAT format;
};

enum output_state { OUTPUT_FREE, OUTPUT_IDLE, OUTPUT_WAITING, OUTPUT_READY, OUTPUT_LOCKED };

struct output {
    enum output_state state;
    struct input *input;
    long picture;
    uint64_t at;
    int is_forced;
    struct coded coded;
    uint8_t *bytes;
};

struct session {
    uint32_t magic;
    pthread_mutex_t mutex;
    struct faults faults;
    int may_lose, is_lost, was_busy, was_lock_busy, is_over;
    NV_ENC_INITIALIZE_PARAMS task;
    NV_ENC_CONFIG config;
    const struct codec_api *api;
    struct codec *codec;
    long pictures;
    int force_idr;
    struct input inputs[BUFFERS_MAX];
    struct output outputs[BUFFERS_MAX];
    /* Pictures that have not been encoded, because the next anchor has not come. */
    int held;
    /* Outputs that were given with a picture and not locked since, oldest first. */
    struct output *order[BUFFERS_MAX];
    int waiting;
};

/* The session of a handle, or none, which is a fault of the client. */
struct session *session_of(void *encoder);

/* buffers.c */
NVENCSTATUS create_input(void *encoder, NV_ENC_CREATE_INPUT_BUFFER *params);
NVENCSTATUS destroy_input(void *encoder, NV_ENC_INPUT_PTR buffer);
NVENCSTATUS lock_input(void *encoder, NV_ENC_LOCK_INPUT_BUFFER *params);
NVENCSTATUS unlock_input(void *encoder, NV_ENC_INPUT_PTR buffer);
NVENCSTATUS create_output(void *encoder, NV_ENC_CREATE_BITSTREAM_BUFFER *params);
NVENCSTATUS destroy_output(void *encoder, NV_ENC_OUTPUT_PTR buffer);
NVENCSTATUS lock_output(void *encoder, NV_ENC_LOCK_BITSTREAM *params);
NVENCSTATUS unlock_output(void *encoder, NV_ENC_OUTPUT_PTR buffer);
struct input *input_of(struct session *session, NV_ENC_INPUT_PTR buffer);
struct output *output_of(struct session *session, NV_ENC_OUTPUT_PTR buffer);

/* Everything that the client has not given back is a fault. */
void check_leaks(struct session *session);

#endif
