#!/usr/bin/env python3
"""A green bar that runs over a transparent picture, sent to a layer of type "frames":

    python3 examples/frames.py /run/user/1000/overlay

Only the standard library is used. Client is all that a program of your own needs: docs/frames.md has
the protocol. The program connects again whenever the node has gone.
"""

import array
import fcntl
import mmap
import os
import select
import socket
import struct
import sys
import time

BGRA, BGRA_PREMULTIPLIED, I420, NV12 = 1, 2, 3, 4
HELLO, FRAME, WELCOME, FREE, REFUSED = 1, 2, 0x81, 0x82, 0x83

# Not in the module fcntl of Python 3.11.
F_ADD_SEALS, F_SEAL_SHRINK = 1033, 2


class Gone(Exception):
    """The node has closed the connection, or refused us; with the reason, if it has said one."""


class Client:
    """A connection to the socket of a layer of type "frames"."""

    def __init__(self, path, width, height, pixel_format=BGRA_PREMULTIPLIED, slots=3):
        pixels = width * height
        is_yuv = pixel_format in (I420, NV12)
        self.picture_bytes = pixels * 3 // 2 if is_yuv else pixels * 4
        self.slot_bytes = (self.picture_bytes + 4095) // 4096 * 4096
        self.free = list(range(slots))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(path)
        memory = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(memory, slots * self.slot_bytes)
            fcntl.fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK)
            self.memory = mmap.mmap(memory, slots * self.slot_bytes)
            hello = struct.pack(
                "=I4s6I", HELLO, b"SMFR", 1, width, height, pixel_format, slots, 0
            )
            socket.send_fds(self.socket, [hello], [memory])
        finally:
            os.close(memory)
        self._receive()

    def send(self, picture, time_us=0, rectangles=()):
        """Sends a whole picture as bytes. time_us: when it is shown (time.monotonic_ns() // 1000),
        or 0 for at once. rectangles: what has changed, (x, y, width, height) each; none: all."""
        if len(picture) != self.picture_bytes:
            raise ValueError(f"a picture has {self.picture_bytes} bytes, not {len(picture)}")
        self.check()
        while not self.free:
            self._receive()
        slot = self.free.pop()
        begin = slot * self.slot_bytes
        self.memory[begin : begin + self.picture_bytes] = picture
        message = struct.pack("=IIQII", FRAME, slot, time_us, len(rectangles), 0)
        message += b"".join(struct.pack("=4I", *rectangle) for rectangle in rectangles)
        try:
            self.socket.send(message)
        except OSError as error:
            raise Gone(str(error)) from error

    def check(self):
        """Takes what the node has said; raises Gone if it has left."""
        while select.select([self.socket], [], [], 0)[0]:
            self._receive()

    def close(self):
        """Leaves the node."""
        self.socket.close()

    def _receive(self):
        """Waits for a message of the node."""
        try:
            message = self.socket.recv(256)
        except OSError as error:
            raise Gone(str(error)) from error
        if len(message) < 8:
            raise Gone("the node has closed the connection")
        kind, value = struct.unpack_from("=II", message)
        if kind == FREE:
            self.free.append(value)
        elif kind == REFUSED:
            raise Gone(message[8 : 8 + value].decode(errors="replace"))


def draw(width, height, frame):
    """A bar of half transparent green in the lower half, as bytes."""
    green = bytes([0, 128, 0, 128])
    bar = width // 2 + frame % (width // 2)
    row = array.array("B", green * bar + bytes(4 * (width - bar)))
    return bytes(4 * width * (height - height // 2)) + row.tobytes() * (height // 2)


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} SOCKET")
    width, height, frame = 320, 180, 0
    while True:
        try:
            client = Client(sys.argv[1], width, height)
            while True:
                client.send(draw(width, height, frame))
                frame += 1
                time.sleep(0.04)
        except (Gone, OSError) as error:
            print(f"not connected: {error}", file=sys.stderr)
            time.sleep(0.5)


if __name__ == "__main__":
    main()
