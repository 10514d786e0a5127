/* Slice headers of H.264, read and put together (ITU-T H.264 7.3.2.1, 7.3.3). */

#include "splice.h"

#include <stdlib.h>
#include <string.h>

#define NAL_SLICE 1
#define NAL_IDR 5
#define NAL_SPS 7

struct bits {
    uint8_t *bytes;
    size_t at, end; /* in bits */
};

static unsigned get(struct bits *bits, unsigned count)
{
    unsigned value = 0;
    for (; count; count--, bits->at++)
        value = value << 1 |
                (bits->at < bits->end ? bits->bytes[bits->at / 8] >> (7 - bits->at % 8) & 1u : 0u);
    return value;
}

static unsigned get_ue(struct bits *bits)
{
    unsigned zeros = 0;
    while (zeros < 31 && bits->at < bits->end && !get(bits, 1))
        zeros++;
    return (1u << zeros) - 1 + get(bits, zeros);
}

static int get_se(struct bits *bits)
{
    unsigned code = get_ue(bits);
    return code & 1 ? (int)(code / 2 + 1) : -(int)(code / 2);
}

static void put(struct bits *bits, unsigned value, unsigned count)
{
    for (; count; count--, bits->at++) {
        uint8_t *byte = &bits->bytes[bits->at / 8], bit = (uint8_t)(1u << (7 - bits->at % 8));
        *byte = (uint8_t)(value >> (count - 1) & 1 ? *byte | bit : *byte & ~bit);
    }
}

static void put_se(struct bits *bits, int value)
{
    unsigned code = value > 0 ? (unsigned)(2 * value - 1) : (unsigned)(-2 * value);
    unsigned length = 0;
    while ((code + 1) >> length)
        length++;
    put(bits, 0, length - 1);
    put(bits, code + 1, length);
}

static void put_rest(struct bits *bits, struct bits *from)
{
    while (from->at < from->end)
        put(bits, get(from, 1), 1);
}

/* The unit of one of two types, without its start code; NULL if there is none. */
static const uint8_t *find(const uint8_t *annex_b, size_t size, int one, int other, size_t *length)
{
    for (size_t n = 0; n + 3 < size; n++) {
        int type = annex_b[n + 3] & 0x1f;
        if (annex_b[n] || annex_b[n + 1] || annex_b[n + 2] != 1 || (type != one && type != other))
            continue;
        const uint8_t *unit = annex_b + n + 3, *end = annex_b + size;
        for (const uint8_t *p = unit; p + 2 < end; p++)
            if (!p[0] && !p[1] && p[2] <= 1)
                end = p;
        *length = (size_t)(end - unit);
        return unit;
    }
    return NULL;
}

/* The payload behind the unit's first byte, without the bytes that prevent start codes. */
static struct bits payload(const uint8_t *unit, size_t size)
{
    struct bits bits = {malloc(size + 8), 0, 0};
    unsigned zeros = 0;
    size_t length = 0;
    for (size_t n = 1; n < size; n++) {
        if (zeros >= 2 && unit[n] == 3) {
            zeros = 0;
            continue;
        }
        zeros = unit[n] ? 0 : zeros + 1;
        bits.bytes[length++] = unit[n];
    }
    bits.end = length * 8;
    return bits;
}

int splice_read_sps(const uint8_t *annex_b, size_t size, struct slice_format *format)
{
    size_t length;
    const uint8_t *unit = find(annex_b, size, NAL_SPS, NAL_SPS, &length);
    if (!unit)
        return 0;
    struct bits bits = payload(unit, length);
    unsigned profile = get(&bits, 8);
    get(&bits, 16);
    get_ue(&bits);
    if (profile == 100) {
        get_ue(&bits);
        get_ue(&bits);
        get_ue(&bits);
        get(&bits, 2);
    }
    format->frame_num_bits = get_ue(&bits) + 4;
    format->order_type = get_ue(&bits);
    format->order_bits = format->order_type == 0 ? get_ue(&bits) + 4 : 0;
    free(bits.bytes);
    return 1;
}

/* Reads a slice header up to the macroblocks, and says where the change of the quantiser is. */
static int read_header(struct bits *bits, int is_idr, int is_reference,
                       const struct slice_format *format, size_t *before, size_t *behind)
{
    get_ue(bits);
    int is_intra = get_ue(bits) % 5 == 2;
    get_ue(bits);
    get(bits, format->frame_num_bits);
    if (is_idr)
        get_ue(bits);
    if (format->order_type == 0)
        get(bits, format->order_bits);
    if (!is_intra) {
        if (get(bits, 1))
            get_ue(bits);
        if (get(bits, 1))
            while (get_ue(bits) != 3 && bits->at < bits->end)
                get_ue(bits);
    }
    if (is_reference) {
        if (is_idr)
            get(bits, 2);
        else if (get(bits, 1))
            for (unsigned change; (change = get_ue(bits)) && bits->at < bits->end;) {
                if (change != 5)
                    get_ue(bits);
                if (change == 3)
                    get_ue(bits);
            }
    }
    if (format->is_cabac && !is_intra)
        get_ue(bits);
    *before = bits->at;
    int change = get_se(bits);
    *behind = bits->at;
    if (format->has_deblocking_control && get_ue(bits) != 1) {
        get_se(bits);
        get_se(bits);
    }
    return change;
}

/* Writes a unit in Annex B. */
static size_t escape(uint8_t first, const uint8_t *bytes, size_t size, uint8_t *to)
{
    size_t length = 5;
    unsigned zeros = 0;
    memcpy(to, (uint8_t[]){0, 0, 0, 1, first}, length);
    for (size_t n = 0; n < size; n++) {
        if (zeros >= 2 && bytes[n] <= 3) {
            to[length++] = 3;
            zeros = 0;
        }
        zeros = bytes[n] ? 0 : zeros + 1;
        to[length++] = bytes[n];
    }
    return length;
}

size_t splice(const uint8_t *header, unsigned header_bits, const struct slice_format *of_header,
              const uint8_t *coded, size_t size, const struct slice_format *of_coded, uint8_t *to)
{
    size_t header_size, coded_size, before, behind;
    const uint8_t *head = find(header, (header_bits + 7) / 8, NAL_SLICE, NAL_IDR, &header_size);
    const uint8_t *body = find(coded, size, NAL_SLICE, NAL_IDR, &coded_size);
    if (!head || !body || (*head & 0x1f) != (*body & 0x1f))
        return 0;
    int is_idr = (*head & 0x1f) == NAL_IDR;
    struct bits from = payload(head, header_size), with = payload(body, coded_size);
    int change = read_header(&with, is_idr, *body >> 5, of_coded, &before, &behind);
    int quantiser = of_coded->initial_quantiser + change;
    /* The header ends with its last bit, not with its last byte. */
    size_t spare = (8 - header_bits % 8) % 8;
    from.end -= spare;
    read_header(&from, is_idr, *head >> 5, of_header, &before, &behind);
    /* A client may have aligned what CABAC has to follow. */
    if (of_header->is_cabac && from.end - from.at < 8)
        from.end = from.at;
    int fits = from.at == from.end && of_coded->is_cabac == of_header->is_cabac;
    struct bits out = {calloc(1, (from.end + with.end) / 8 + 16), 0, 0};
    from.at = 0;
    while (from.at < before)
        put(&out, get(&from, 1), 1);
    put_se(&out, quantiser - of_header->initial_quantiser);
    from.at = behind;
    put_rest(&out, &from);
    if (of_coded->is_cabac) {
        while (out.at % 8)
            put(&out, 1, 1);
        with.at = (with.at + 7) / 8 * 8;
    }
    /* The unit ends with a one and zeros. */
    while (with.end && !(with.bytes[(with.end - 1) / 8] >> (7 - (with.end - 1) % 8) & 1))
        with.end--;
    put_rest(&out, &with);
    size_t written = fits ? escape(*head, out.bytes, (out.at + 7) / 8, to) : 0;
    free(from.bytes);
    free(with.bytes);
    free(out.bytes);
    return written;
}
