#!/usr/bin/env python3
"""A web page as a layer: headless Chromium draws it with a transparent background, and its pictures go
to a layer of type "frames".

    python3 examples/browser_overlay.py /run/user/1000/overlay examples/browser_overlay.html

The page is a file or an address. --size 1280x720, --fps 30 (the most: what has not changed is not
sent), --browser chromium. Only the standard library is used. Chromium is started again when it dies,
and the node is connected again when it has gone.
"""

import argparse
import base64
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import zlib

from frames import BGRA, Client, Gone

FLAGS = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--hide-scrollbars",
    "--mute-audio",
    "--no-first-run",
    "--disable-gpu",
    "--force-color-profile=srgb",
]

# Longest answer of the browser, bytes.
ANSWER_MAX = 256 << 20


class BrowserGone(Exception):
    """The browser has died, or does not do what it is asked."""


class Browser:
    """A page in a Chromium of its own, over the DevTools protocol."""

    def __init__(self, program, url, width, height):
        self.folder = tempfile.TemporaryDirectory(prefix="overlay-", ignore_cleanup_errors=True)
        to_browser, self.write_end = os.pipe()
        self.read_end, from_browser = os.pipe()

        def place():
            # The browser reads descriptor 3 and writes descriptor 4; the copies are out of the way.
            copies = os.dup2(to_browser, 103), os.dup2(from_browser, 104)
            os.dup2(copies[0], 3)
            os.dup2(copies[1], 4)

        size = f"--window-size={width},{height}"
        flags = FLAGS + ([] if os.geteuid() else ["--no-sandbox"])
        command = [program, *flags, size, f"--user-data-dir={self.folder.name}", "about:blank"]
        self.process = subprocess.Popen(
            command, preexec_fn=place, pass_fds=(3, 4), stderr=subprocess.DEVNULL
        )
        os.close(to_browser)
        os.close(from_browser)
        self.number, self.buffer, self.session = 0, b"", None
        pages = []
        while not pages:
            targets = self.ask("Target.getTargets")["targetInfos"]
            pages = [it["targetId"] for it in targets if it["type"] == "page"]
        attached = self.ask("Target.attachToTarget", targetId=pages[0], flatten=True)
        self.session = attached["sessionId"]
        self.ask("Page.enable")
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.ask(
            "Emulation.setDefaultBackgroundColorOverride", color={"r": 0, "g": 0, "b": 0, "a": 0}
        )
        loader = self.ask("Page.navigate", url=url).get("loaderId")
        # Before that the page has no picture.
        while self._next().get("params", {}).get("frame", {}).get("loaderId") != loader:
            pass
        while self._next().get("method") != "Page.domContentEventFired":
            pass

    def ask(self, method, **parameters):
        """Calls a method of the protocol and waits for its answer."""
        self.number += 1
        call = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            call["sessionId"] = self.session
        try:
            message = json.dumps(call).encode() + b"\0"
            while message:
                message = message[os.write(self.write_end, message) :]
        except OSError as error:
            raise BrowserGone(str(error)) from error
        answer = {}
        while answer.get("id") != self.number:
            answer = self._next()
        if "error" in answer:
            raise BrowserGone(f"{method}: {answer['error'].get('message')}")
        return answer["result"]

    def picture(self):
        """The page as a PNG."""
        shot = self.ask("Page.captureScreenshot", format="png", optimizeForSpeed=True)
        return base64.b64decode(shot["data"])

    def close(self):
        """Ends the browser."""
        self.process.kill()
        self.process.wait()
        os.close(self.read_end)
        os.close(self.write_end)
        self.folder.cleanup()

    def _next(self):
        """The next answer or event."""
        parts = [self.buffer]
        while b"\0" not in parts[-1]:
            try:
                part = os.read(self.read_end, 1 << 20)
            except OSError as error:
                raise BrowserGone(str(error)) from error
            if not part or sum(map(len, parts)) > ANSWER_MAX:
                raise BrowserGone("the browser has ended")
            parts.append(part)
        message, self.buffer = b"".join(parts).split(b"\0", 1)
        message = json.loads(message)
        if message.get("method") in ("Inspector.detached", "Target.detachedFromTarget"):
            raise BrowserGone("the page has crashed")
        return message


def paeth(left, above, corner):
    """The predictor of PNG's filter of that name."""
    to_left, to_above = abs(above - corner), abs(left - corner)
    to_corner = abs(left + above - 2 * corner)
    if to_left <= to_above and to_left <= to_corner:
        return left
    return above if to_above <= to_corner else corner


def unfiltered(kind, row, above, step):
    """A row of a PNG without its filter; the browser uses filter 0 when it is to be fast."""
    if kind == 0:
        return row
    row = bytearray(row)
    for at in range(len(row)):
        left = row[at - step] if at >= step else 0
        corner = above[at - step] if at >= step else 0
        guess = {
            1: left,
            2: above[at],
            3: (left + above[at]) // 2,
            4: paeth(left, above[at], corner),
        }[kind]
        row[at] = (row[at] + guess) & 255
    return row


def bgra(png, width, height):
    """The pixels of a PNG of 8 bits with or without alpha, as bytes."""
    data, at, kind = b"", 8, None
    while at < len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        body = png[at + 8 : at + 8 + length]
        if name == b"IHDR":
            *size, depth, kind = struct.unpack_from(">IIBB", body)
            if size != [width, height] or depth != 8 or kind not in (2, 6):
                raise BrowserGone(f"the browser's picture is of another kind: {size}")
        elif name == b"IDAT":
            data += body
        at += length + 12
    step = 4 if kind == 6 else 3
    lines, length = zlib.decompress(data), step * width
    rows, above = [], bytes(length)
    for begin in range(0, height * (length + 1), length + 1):
        row = lines[begin + 1 : begin + 1 + length]
        above = unfiltered(lines[begin], row, above, step)
        rows.append(above)
    pixels = b"".join(rows)
    picture = bytearray(b"\xff" * (4 * width * height))
    for channel, source in enumerate((2, 1, 0, 3)[:step]):
        picture[channel::4] = pixels[source::step]
    return bytes(picture)


def run(arguments, width, height, url):
    """Shows the page until the browser or the node has gone."""
    client = Client(arguments.socket, width, height, BGRA)
    browser = None
    try:
        browser = Browser(arguments.browser, url, width, height)
        last = None
        while True:
            began = time.monotonic()
            png = browser.picture()
            if png != last:
                last = png
                client.send(bgra(png, width, height))
            else:
                client.check()
            time.sleep(max(0.0, 1 / arguments.fps - (time.monotonic() - began)))
    finally:
        client.close()
        if browser:
            browser.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("socket")
    parser.add_argument("page")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--browser", default="chromium")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    page = pathlib.Path(arguments.page)
    url = page.resolve().as_uri() if page.exists() else arguments.page
    while True:
        try:
            run(arguments, width, height, url)
        except (BrowserGone, Gone, OSError) as error:
            print(f"once more in half a second: {error}", file=sys.stderr)
            time.sleep(0.5)


if __name__ == "__main__":
    main()
