/* libx264 for bindgen: the installed header, which wants its integer types declared before it, the
 * name that is a macro there, and what writes a line of its log. */

#ifndef STREAM_MANAGER_X264_H
#define STREAM_MANAGER_X264_H

#include <stdint.h>
#include <stdio.h>

#include <x264.h>

/* The release that the header is of: the library is linked by it (x264_encoder_open_NNN). */
static const int SM_X264_BUILD = X264_BUILD;

#endif
