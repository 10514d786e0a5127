/* H.264 encoder inside the fake driver. */

#ifndef FAKE_CODEC_H
#define FAKE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include <ffnvcodec/nvEncodeAPI.h>

struct codec;

/* A picture as the client wrote it: rows `pitch` apart, chroma as the format says. */
struct picture {
    const uint8_t *pixels;
    unsigned width, height, pitch;
    NV_ENC_BUFFER_FORMAT format;
    int64_t at;
    int force_idr;
};

/* An access unit in Annex B; the bytes are valid until the next call. */
struct coded {
    const uint8_t *bytes;
    size_t size;
    int64_t at;
    NV_ENC_PIC_TYPE type;
};

struct codec *codec_open(const NV_ENC_INITIALIZE_PARAMS *task);
void codec_close(struct codec *codec);

/* SPS and PPS. */
size_t codec_headers(struct codec *codec, uint8_t *to, size_t room);

/* 0 if the rate is taken. */
int codec_rate(struct codec *codec, unsigned bits, unsigned buffer_bits);

/* 1 if an access unit came out. */
int codec_encode(struct codec *codec, const struct picture *picture, struct coded *coded);

#endif
