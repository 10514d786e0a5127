/* Input and output buffers of the fake driver, and the order in which a client may use them. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session.h"

/* As drivers have it: not what the client would guess. */
#define PITCH 512

static NVENCSTATUS with(struct session *session, NVENCSTATUS code)
{
    pthread_mutex_unlock(&session->mutex);
    return code;
}

#define ENTER(encoder) \
    struct session *session = session_of(encoder); \
    if (!session) \
        return NV_ENC_ERR_INVALID_ENCODERDEVICE; \
    pthread_mutex_lock(&session->mutex)

#define VERSION(session, params, wanted) \
    if ((params)->version != (wanted)) \
        return with(session, fault(session, NV_ENC_ERR_INVALID_VERSION, #wanted " is 0x%08x", \
                                   (params)->version))

struct input *input_of(struct session *session, NV_ENC_INPUT_PTR buffer)
{
    struct input *input = buffer;
    int known = input >= session->inputs && input < session->inputs + BUFFERS_MAX;
    return known && input->state != INPUT_FREE ? input : NULL;
}

struct output *output_of(struct session *session, NV_ENC_OUTPUT_PTR buffer)
{
    struct output *output = buffer;
    int known = output >= session->outputs && output < session->outputs + BUFFERS_MAX;
    return known && output->state != OUTPUT_FREE ? output : NULL;
}

NVENCSTATUS create_input(void *encoder, NV_ENC_CREATE_INPUT_BUFFER *params)
{
    ENTER(encoder);
    VERSION(session, params, NV_ENC_CREATE_INPUT_BUFFER_VER);
    if (!session->codec)
        return with(session, fault(session, NV_ENC_ERR_ENCODER_NOT_INITIALIZED, "input too early"));
    NV_ENC_BUFFER_FORMAT format = params->bufferFmt;
    if (format != NV_ENC_BUFFER_FORMAT_NV12 && format != NV_ENC_BUFFER_FORMAT_IYUV &&
        format != NV_ENC_BUFFER_FORMAT_YV12)
        return with(session, fault(session, NV_ENC_ERR_UNSUPPORTED_PARAM, "format 0x%x", format));
    if (params->width < session->task.encodeWidth || params->height < session->task.encodeHeight)
        return with(session, fault(session, NV_ENC_ERR_INVALID_PARAM, "input of %ux%u",
                                   params->width, params->height));
    for (int n = 0; n < BUFFERS_MAX; n++) {
        struct input *input = &session->inputs[n];
        if (input->state != INPUT_FREE)
            continue;
        unsigned pitch = (params->width + PITCH - 1) / PITCH * PITCH;
        *input = (struct input){INPUT_IDLE, NULL, params->width, params->height, pitch, format};
        input->pixels = calloc(3, (size_t)pitch * params->height / 2);
        params->inputBuffer = input;
        return with(session, NV_ENC_SUCCESS);
    }
    return with(session, NV_ENC_ERR_OUT_OF_MEMORY);
}

NVENCSTATUS destroy_input(void *encoder, NV_ENC_INPUT_PTR buffer)
{
    ENTER(encoder);
    struct input *input = input_of(session, buffer);
    if (!input)
        return with(session, fault(session, NV_ENC_ERR_INVALID_PARAM, "destroyed no input"));
    if (input->state != INPUT_IDLE && !session->is_lost)
        fault(session, 0, "an input in use was destroyed");
    free(input->pixels);
    input->state = INPUT_FREE;
    return with(session, NV_ENC_SUCCESS);
}

NVENCSTATUS lock_input(void *encoder, NV_ENC_LOCK_INPUT_BUFFER *params)
{
    ENTER(encoder);
    VERSION(session, params, NV_ENC_LOCK_INPUT_BUFFER_VER);
    struct input *input = input_of(session, params->inputBuffer);
    if (!input)
        return with(session, fault(session, NV_ENC_ERR_INVALID_PARAM, "locked no input"));
    if (input->state == INPUT_ENCODING)
        return with(session, fault(session, NV_ENC_ERR_ENCODER_BUSY,
                                   "an input was locked before its output was unlocked"));
    if (input->state == INPUT_LOCKED)
        return with(session, fault(session, NV_ENC_ERR_INVALID_CALL, "an input was locked twice"));
    input->state = INPUT_LOCKED;
    params->bufferDataPtr = input->pixels;
    params->pitch = input->pitch;
    return with(session, NV_ENC_SUCCESS);
}

NVENCSTATUS unlock_input(void *encoder, NV_ENC_INPUT_PTR buffer)
{
    ENTER(encoder);
    struct input *input = input_of(session, buffer);
    if (!input || input->state != INPUT_LOCKED)
        return with(session, fault(session, NV_ENC_ERR_INVALID_CALL, "unlocked no locked input"));
    input->state = INPUT_IDLE;
    return with(session, NV_ENC_SUCCESS);
}

NVENCSTATUS create_output(void *encoder, NV_ENC_CREATE_BITSTREAM_BUFFER *params)
{
    ENTER(encoder);
    VERSION(session, params, NV_ENC_CREATE_BITSTREAM_BUFFER_VER);
    if (!session->codec)
        return with(session,
                    fault(session, NV_ENC_ERR_ENCODER_NOT_INITIALIZED, "output too early"));
    for (int n = 0; n < BUFFERS_MAX; n++)
        if (session->outputs[n].state == OUTPUT_FREE) {
            session->outputs[n] = (struct output){.state = OUTPUT_IDLE};
            params->bitstreamBuffer = &session->outputs[n];
            return with(session, NV_ENC_SUCCESS);
        }
    return with(session, NV_ENC_ERR_OUT_OF_MEMORY);
}

NVENCSTATUS destroy_output(void *encoder, NV_ENC_OUTPUT_PTR buffer)
{
    ENTER(encoder);
    struct output *output = output_of(session, buffer);
    if (!output)
        return with(session, fault(session, NV_ENC_ERR_INVALID_PARAM, "destroyed no output"));
    if (output->state == OUTPUT_LOCKED)
        fault(session, 0, "a locked output was destroyed");
    free(output->bytes);
    output->state = OUTPUT_FREE;
    return with(session, NV_ENC_SUCCESS);
}

NVENCSTATUS lock_output(void *encoder, NV_ENC_LOCK_BITSTREAM *params)
{
    static const NV_ENC_PIC_TYPE types[] = {
        [CODED_IDR] = NV_ENC_PIC_TYPE_IDR, [CODED_I] = NV_ENC_PIC_TYPE_I,
        [CODED_P] = NV_ENC_PIC_TYPE_P, [CODED_B] = NV_ENC_PIC_TYPE_B};
    ENTER(encoder);
    VERSION(session, params, NV_ENC_LOCK_BITSTREAM_VER);
    struct output *output = output_of(session, params->outputBitstream);
    if (!output || output->state == OUTPUT_IDLE || output->state == OUTPUT_LOCKED)
        return with(session, fault(session, NV_ENC_ERR_INVALID_PARAM,
                                   "locked an output that holds no picture"));
    if (session->order[0] != output)
        return with(session, fault(session, NV_ENC_ERR_INVALID_CALL, "outputs out of order"));
    while (session->faults.hang != NEVER && output->picture >= session->faults.hang) {
        faults_log(&session->faults, "hangs");
        pthread_mutex_unlock(&session->mutex);
        for (;;)
            pause();
    }
    if (session->is_lost)
        return with(session, NV_ENC_ERR_DEVICE_NOT_EXIST);
    if (output->picture == session->faults.lock_busy && !session->was_lock_busy) {
        session->was_lock_busy = 1;
        return with(session, NV_ENC_ERR_LOCK_BUSY);
    }
    if (output->state == OUTPUT_WAITING)
        return with(session, fault(session, NV_ENC_ERR_INVALID_CALL,
                                   "locked an output for which more input was asked"));
    output->state = OUTPUT_LOCKED;
    session->waiting--;
    memmove(session->order, session->order + 1, sizeof *session->order * BUFFERS_MAX -
                                                    sizeof *session->order);
    params->bitstreamBufferPtr = output->bytes;
    params->bitstreamSizeInBytes = (uint32_t)output->coded.size;
    params->outputTimeStamp = (uint64_t)output->coded.at;
    params->pictureType = types[output->coded.type];
    params->frameIdx = (uint32_t)output->picture;
    params->pictureStruct = NV_ENC_PIC_STRUCT_FRAME;
    return with(session, NV_ENC_SUCCESS);
}

NVENCSTATUS unlock_output(void *encoder, NV_ENC_OUTPUT_PTR buffer)
{
    ENTER(encoder);
    struct output *output = output_of(session, buffer);
    if (!output || output->state != OUTPUT_LOCKED)
        return with(session, fault(session, NV_ENC_ERR_INVALID_CALL, "unlocked no locked output"));
    output->state = OUTPUT_IDLE;
    output->input->state = INPUT_IDLE;
    /* What a client still reads after this is seen. */
    memset(output->bytes, 0xee, output->coded.size);
    return with(session, NV_ENC_SUCCESS);
}

void check_leaks(struct session *session)
{
    int inputs = 0, outputs = 0, locked = 0;
    for (int n = 0; n < BUFFERS_MAX; n++) {
        inputs += session->inputs[n].state != INPUT_FREE;
        outputs += session->outputs[n].state != OUTPUT_FREE;
        locked += session->outputs[n].state == OUTPUT_LOCKED;
        if (session->inputs[n].state != INPUT_FREE)
            free(session->inputs[n].pixels);
        if (session->outputs[n].state != OUTPUT_FREE)
            free(session->outputs[n].bytes);
    }
    if (inputs || outputs)
        fault(session, 0, "left %d inputs and %d outputs, %d of them locked", inputs, outputs,
              locked);
    if (session->pictures && !session->is_over && !session->is_lost)
        fault(session, 0, "closed without an end of stream");
    if (session->waiting && !session->is_lost)
        fault(session, 0, "closed with %d pictures never taken", session->waiting);
}
