/*
 * A red bar that grows in the top left corner of a transparent picture, sent to a layer of type
 * "frames":
 *
 *     cc -std=c99 -Iffi examples/frames.c -o frames && ./frames /run/user/1000/overlay
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <time.h>

#include "stream_manager_frames.h"

enum { WIDTH = 320, HEIGHT = 180 };

/* Half transparent red, multiplied by its alpha. */
static const uint8_t RED[4] = {0, 0, 128, 128};

static void draw(uint8_t *pixels, int length) {
    memset(pixels, 0, 4 * WIDTH * HEIGHT);
    for (int y = 0; y < HEIGHT / 2; y++)
        for (int x = 0; x < length; x++)
            memcpy(pixels + 4 * (y * WIDTH + x), RED, sizeof RED);
}

int main(int count, char **arguments) {
    struct smf_client client;
    if (count != 2) {
        fprintf(stderr, "usage: %s SOCKET\n", arguments[0]);
        return 2;
    }
    if (smf_connect(&client, arguments[1], WIDTH, HEIGHT, SMF_BGRA_PREMULTIPLIED, 3) != 0) {
        fprintf(stderr, "%s: %s\n", client.reason[0] ? client.reason : "cannot connect",
                strerror(errno));
        return 1;
    }
    for (int frame = 0;; frame++) {
        /* The upper half alone ever changes. */
        const struct smf_rectangle changed = {0, 0, WIDTH, HEIGHT / 2};
        const struct timespec pause = {0, 40 * 1000 * 1000};
        uint8_t *pixels = smf_begin(&client);
        if (pixels == NULL)
            break;
        draw(pixels, WIDTH / 2 + frame % (WIDTH / 2));
        if (smf_end(&client, 0, &changed, 1) != 0)
            break;
        nanosleep(&pause, NULL);
    }
    fprintf(stderr, "the node has gone: %s\n", client.reason);
    smf_close(&client);
    return 1;
}
