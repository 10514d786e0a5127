/* Encoders inside the fake drivers. */

#ifndef FAKE_CODEC_H
#define FAKE_CODEC_H

#include <stddef.h>
#include <stdint.h>

struct codec;

/* Keyframes come where the client asks for them alone. */
#define CODEC_NO_GOP 0

struct codec_task {
    unsigned width, height;
    unsigned fps_num, fps_den;
    unsigned gop;          /* pictures, or CODEC_NO_GOP */
    int level;             /* as the codec numbers them; 0 for the lowest that does */
    int is_cabac, has_transform_8x8, has_deblocking;
    int quantiser;         /* constant, without a rate; 0 for a rate */
    unsigned bits;         /* per second */
    unsigned buffer_bits;
    int has_filler;        /* easy pictures are filled up to the rate */
    int has_colours;       /* the four below are said */
    int is_full_range, primaries, transfer, matrix;
};

enum codec_format { CODEC_NV12, CODEC_I420, CODEC_YV12 };

/* A picture as the client wrote it: rows of luma, and of NV12's chroma, `pitch` apart, those of
 * separate chroma planes half of that. */
struct picture {
    const uint8_t *luma, *chroma;
    unsigned height, pitch;
    enum codec_format format;
    int64_t at;
    int force_idr;
};

enum coded_type { CODED_IDR, CODED_I, CODED_P, CODED_B };

/* An access unit in Annex B; the bytes are valid until the next call. */
struct coded {
    const uint8_t *bytes;
    size_t size;
    int64_t at;
    enum coded_type type;
};

struct codec *codec_open(const struct codec_task *task);
void codec_close(struct codec *codec);

/* Parameter sets. */
size_t codec_headers(struct codec *codec, uint8_t *to, size_t room);

/* 0 if the rate is taken. */
int codec_rate(struct codec *codec, unsigned bits, unsigned buffer_bits);

/* 1 if an access unit came out. */
int codec_encode(struct codec *codec, const struct picture *picture, struct coded *coded);

/* These calls of an encoder, whatever its codec. */
struct codec_api {
    struct codec *(*open)(const struct codec_task *task);
    void (*close)(struct codec *codec);
    size_t (*headers)(struct codec *codec, uint8_t *to, size_t room);
    int (*rate)(struct codec *codec, unsigned bits, unsigned buffer_bits);
    int (*encode)(struct codec *codec, const struct picture *picture, struct coded *coded);
};

extern const struct codec_api h264_codec, hevc_codec;

#endif
