/*
 * Frames for Stream Manager: a program that draws sends its pictures to a layer of type "frames".
 *
 * This is the whole of a client: include it and link nothing. docs/frames.md has the protocol.
 * It needs Linux and memfd_create (glibc 2.27, musl 1.2), with _GNU_SOURCE defined before the first
 * header of the program.
 *
 *     struct smf_client client;
 *     if (smf_connect(&client, "/run/overlay", 1280, 720, SMF_BGRA_PREMULTIPLIED, 3) != 0)
 *         return 1;                              (errno, and client.reason, say why)
 *     for (;;) {
 *         uint8_t *pixels = smf_begin(&client);  (waits until a slot is free)
 *         if (pixels == NULL)
 *             break;                             (the node has gone; connect anew)
 *         draw(pixels);                          (rows of 4 * 1280 bytes, without gaps)
 *         if (smf_end(&client, 0, NULL, 0) != 0)
 *             break;
 *     }
 *     smf_close(&client);
 */
#ifndef STREAM_MANAGER_FRAMES_H
#define STREAM_MANAGER_FRAMES_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef MFD_ALLOW_SEALING
#error "define _GNU_SOURCE before the first header"
#endif

/* Limits of the node. */
#define SMF_SLOTS_MAX 8u
#define SMF_RECTANGLES_MAX 16u
#define SMF_FRAMES_PER_SECOND_MAX 120u

#define SMF_MAGIC "SMFR"
#define SMF_VERSION 1u

/* Formats. YUV is BT.709 of limited range. */
enum smf_format {
    SMF_BGRA = 1,               /* blue, green, red, alpha; colours not multiplied by alpha */
    SMF_BGRA_PREMULTIPLIED = 2, /* colours multiplied by alpha, as cairo and Skia have them */
    SMF_I420 = 3,
    SMF_NV12 = 4
};

/* Types of messages. */
enum smf_type {
    SMF_HELLO = 1,      /* to the node, once, with the memory */
    SMF_FRAME = 2,      /* to the node */
    SMF_WELCOME = 0x81, /* from the node, once */
    SMF_FREE = 0x82,    /* from the node: a slot may be written again */
    SMF_REFUSED = 0x83  /* from the node, before it closes the connection */
};

struct smf_hello {
    uint32_t type;
    char magic[4];
    uint32_t version;
    uint32_t width;  /* even, 16 to 8192, and at most 4096 * 2304 pixels in all */
    uint32_t height;
    uint32_t format;
    uint32_t slots;
    uint32_t reserved; /* 0 */
};

/* What has changed, pixels. */
struct smf_rectangle {
    uint32_t x, y, width, height;
};

struct smf_frame {
    uint32_t type;
    uint32_t slot;
    uint64_t time_us;    /* when it is shown, CLOCK_MONOTONIC, at most 250 ms ahead; 0: at once */
    uint32_t rectangles; /* how many follow; 0: all has changed */
    uint32_t reserved;   /* 0 */
    struct smf_rectangle rectangle[SMF_RECTANGLES_MAX];
};

/* Any message of the node. */
struct smf_reply {
    uint32_t type;
    uint32_t value; /* SMF_WELCOME: version; SMF_FREE: slot; SMF_REFUSED: bytes of the text */
    char text[248]; /* SMF_REFUSED: why, zero-terminated */
};

struct smf_client {
    int socket;
    int waiting; /* slot that is being written; -1 if none is */
    uint32_t slots;
    uint32_t busy; /* a bit for each slot that the node has */
    size_t slot_bytes;
    uint8_t *memory;
    char reason[248]; /* why the node has refused us; empty if it has not said */
};

/* Bytes of a picture. */
static inline size_t smf_picture_bytes(uint32_t width, uint32_t height, enum smf_format format) {
    size_t pixels = (size_t)width * height;
    return format == SMF_I420 || format == SMF_NV12 ? pixels + pixels / 2 : 4 * pixels;
}

/* Bytes from one slot to the next: a picture's, rounded up to 4096. */
static inline size_t smf_slot_bytes(uint32_t width, uint32_t height, enum smf_format format) {
    return (smf_picture_bytes(width, height, format) + 4095) / 4096 * 4096;
}

static inline void smf_close(struct smf_client *client) {
    if (client->memory != NULL)
        munmap(client->memory, client->slot_bytes * client->slots);
    if (client->socket >= 0)
        close(client->socket);
    client->memory = NULL;
    client->socket = -1;
}

/* Takes one message of the node; waits for it unless flags has MSG_DONTWAIT. 0 if one came. */
static inline int smf_receive(struct smf_client *client, int flags) {
    struct smf_reply reply;
    ssize_t bytes;
    memset(&reply, 0, sizeof reply);
    do {
        bytes = recv(client->socket, &reply, sizeof reply, flags);
    } while (bytes < 0 && errno == EINTR);
    if (bytes < 0)
        return -1;
    if (bytes < 8) {
        errno = ECONNRESET;
        return -1;
    }
    switch (reply.type) {
    case SMF_FREE:
        if (reply.value < client->slots)
            client->busy &= ~(1u << reply.value);
        return 0;
    case SMF_REFUSED:
        reply.text[sizeof reply.text - 1] = 0;
        memcpy(client->reason, reply.text, sizeof client->reason);
        errno = ECONNREFUSED;
        return -1;
    default:
        return 0;
    }
}

/* Sends the hello with its memory. */
static inline int smf_send_hello(int socket, const struct smf_hello *hello, int memory) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part;
    struct msghdr header;
    struct cmsghdr *rights;
    part.iov_base = (void *)(uintptr_t)hello;
    part.iov_len = sizeof *hello;
    memset(&header, 0, sizeof header);
    memset(&control, 0, sizeof control);
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.bytes;
    header.msg_controllen = sizeof control.bytes;
    rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &memory, sizeof memory);
    return sendmsg(socket, &header, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/*
 * Connects to the node's socket, with memory for so many pictures: two or three are enough. 0, or
 * -1 with errno and, if the node has said it, client->reason. The client is closed then.
 */
static inline int smf_connect(struct smf_client *client, const char *path, uint32_t width,
                              uint32_t height, enum smf_format format, uint32_t slots) {
    struct sockaddr_un address;
    struct smf_hello hello;
    size_t bytes;
    int memory = -1, failed;
    void *mapped = MAP_FAILED;
    memset(client, 0, sizeof *client);
    client->waiting = -1;
    client->slots = slots;
    client->slot_bytes = smf_slot_bytes(width, height, format);
    bytes = client->slot_bytes * slots;
    client->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (client->socket < 0)
        return -1;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    memset(&hello, 0, sizeof hello);
    hello.type = SMF_HELLO;
    memcpy(hello.magic, SMF_MAGIC, sizeof hello.magic);
    hello.version = SMF_VERSION;
    hello.width = width;
    hello.height = height;
    hello.format = (uint32_t)format;
    hello.slots = slots;
    failed = connect(client->socket, (const struct sockaddr *)&address, sizeof address) != 0 ||
             (memory = memfd_create("frames", MFD_CLOEXEC | MFD_ALLOW_SEALING)) < 0 ||
             ftruncate(memory, (off_t)bytes) != 0 ||
             fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0 ||
             (mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0)) ==
                 MAP_FAILED ||
             smf_send_hello(client->socket, &hello, memory) != 0 || smf_receive(client, 0) != 0;
    if (mapped != MAP_FAILED)
        client->memory = (uint8_t *)mapped;
    if (memory >= 0)
        close(memory); /* the mapping and the node keep it */
    if (failed) {
        int why = errno;
        smf_close(client);
        errno = why;
        return -1;
    }
    return 0;
}

/*
 * The pixels of a slot that the node does not have; waits until one is free. Planes follow each
 * other, rows too, without gaps. They are what was drawn in that slot before: a picture is whole,
 * whatever rectangles are said to have changed. NULL if the node has gone.
 */
static inline uint8_t *smf_begin(struct smf_client *client) {
    while (client->waiting < 0) {
        uint32_t slot;
        for (slot = 0; slot < client->slots && client->waiting < 0; slot++)
            if ((client->busy & (1u << slot)) == 0)
                client->waiting = (int)slot;
        /* Tells of an end as well, before the next picture is drawn for nobody. */
        if (smf_receive(client, client->waiting < 0 ? 0 : MSG_DONTWAIT) != 0 &&
            !(client->waiting >= 0 && (errno == EAGAIN || errno == EWOULDBLOCK)))
            return NULL;
    }
    return client->memory + client->slot_bytes * (size_t)client->waiting;
}

/*
 * Sends the slot of smf_begin. time_us: when it is shown (CLOCK_MONOTONIC, microseconds), or 0. What
 * has changed since the frame before: count rectangles, or 0 for all. 0, or -1 with errno.
 */
static inline int smf_end(struct smf_client *client, uint64_t time_us,
                          const struct smf_rectangle *rectangles, uint32_t count) {
    struct smf_frame frame;
    if (client->waiting < 0 || count > SMF_RECTANGLES_MAX) {
        errno = EINVAL;
        return -1;
    }
    memset(&frame, 0, sizeof frame);
    frame.type = SMF_FRAME;
    frame.slot = (uint32_t)client->waiting;
    frame.time_us = time_us;
    frame.rectangles = count;
    if (count > 0)
        memcpy(frame.rectangle, rectangles, count * sizeof *rectangles);
    if (send(client->socket, &frame,
             offsetof(struct smf_frame, rectangle) + count * sizeof *rectangles, MSG_NOSIGNAL) < 0)
        return -1;
    client->busy |= 1u << client->waiting;
    client->waiting = -1;
    return 0;
}

#endif
