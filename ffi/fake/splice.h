/* Slices of libx264 behind the slice headers of a client, as hardware writes them. */

#ifndef FAKE_SPLICE_H
#define FAKE_SPLICE_H

#include <stddef.h>
#include <stdint.h>

/* What parameter sets say of slice headers. */
struct slice_format {
    unsigned frame_num_bits;
    unsigned order_type, order_bits;
    int is_cabac, has_deblocking_control;
    int initial_quantiser;
};

/* The format by a sequence parameter set in Annex B, without what picture parameter sets say. 0 if
 * there is none in it. */
int splice_read_sps(const uint8_t *annex_b, size_t size, struct slice_format *format);

/* Writes a slice into `to`, which has room for `header_bits / 8 + size` and half as much more: the
 * client's header, but for the quantiser, and the macroblocks of an access unit of libx264. Gives
 * its size, or 0 if the two do not fit each other. */
size_t splice(const uint8_t *header, unsigned header_bits, const struct slice_format *of_header,
              const uint8_t *coded, size_t size, const struct slice_format *of_coded, uint8_t *to);

#endif
