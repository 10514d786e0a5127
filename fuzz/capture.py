#!/usr/bin/env python3
"""Captures what ffmpeg, GStreamer, rtmpdump, nginx-rtmp and our own program say to each other, and
writes the beginnings of it as seeds for the fuzz targets. Run it from the repository's root after
`cargo build`; what it needs is what the end-to-end tests need."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time

SEEDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seeds")
HELLO = 1 + 2 * 1536
KEPT = 4096  # bytes of a session, after the handshake


class Proxy:
    """Forwards one connection at a time and keeps both directions."""

    def __init__(self, to):
        self.to, self.said = to, None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.to))
            said = self.said = (bytearray(), bytearray())
            for a, b, kept in ((client, server, said[0]), (server, client, said[1])):
                threading.Thread(target=self.pump, args=(a, b, kept), daemon=True).start()

    @staticmethod
    def pump(a, b, kept):
        try:
            while data := a.recv(65536):
                kept.extend(data)
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def messages(data):
    """Type and body of each whole message."""
    size, streams, at = 128, {}, 0
    try:
        while at < len(data):
            form, csid = data[at] >> 6, data[at] & 63
            at += 1
            if csid == 0:
                csid, at = 64 + data[at], at + 1
            fields = data[at : at + (11, 7, 3, 0)[form]]
            at += len(fields)
            s = streams.setdefault(csid, {"body": b"", "ext": False})
            if form < 3:
                s["ext"] = fields[:3] == b"\xff\xff\xff"
            if form < 2:
                s["length"], s["type"] = int.from_bytes(fields[3:6], "big"), fields[6]
            at += 4 if s["ext"] else 0
            part = data[at : at + min(size, s["length"] - len(s["body"]))]
            s["body"] += part
            at += len(part)
            if len(s["body"]) == s["length"]:
                if s["type"] == 1:
                    size = int.from_bytes(s["body"], "big")
                yield s["type"], bytes(s["body"])
                s["body"] = b""
    except (IndexError, KeyError):
        return


def write(target, name, data):
    os.makedirs(os.path.join(SEEDS, target), exist_ok=True)
    with open(os.path.join(SEEDS, target, name), "wb") as file:
        file.write(bytes(data))


def keep(name, said, plays):
    """Both directions of a session, for every target that can use them."""
    up, down = (bytes(direction) for direction in said)
    assert len(up) > HELLO and len(down) > HELLO, f"{name}: no session"
    print(f"{name}: {len(up)} bytes up, {len(down)} down")
    write("handshake", f"{name}-up", b"\x00\x40" + up[:HELLO])
    write("handshake", f"{name}-down", b"\x02\x40" + down[:HELLO])
    # Modes of the targets: from behind the handshake, in large pieces, as publisher or player.
    write("server_session", name, b"\xf9" + up[HELLO:][:KEPT])
    write("client_session", name, bytes([0xF3 if plays else 0xF2]) + down[HELLO:][:KEPT])
    for way, data in (("up", up), ("down", down)):
        write("chunk_reader", f"{name}-{way}", b"\x07\x04" + data[HELLO:][:KEPT])
        seen = set()
        for number, (kind, body) in enumerate(messages(data[HELLO:])):
            target = {8: "flv_tags", 9: "flv_tags", 18: "amf0", 20: "amf0"}.get(kind)
            if target and (kind, body[:2]) not in seen and len(seen) < 8:
                seen.add((kind, body[:2]))
                write(target, f"{name}-{way}-{number}", body[:600])


def wait(what, seconds=20):
    end = time.time() + seconds
    while not what():
        assert time.time() < end, "nothing happens"
        time.sleep(0.05)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def start(*command):
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


def session(proxy, name, plays, *command):
    """Runs a program through the proxy until enough was said."""
    proxy.said = None
    process = start(*[part.replace("PORT", str(proxy.port)) for part in command])
    wait(lambda: proxy.said and all(len(way) > HELLO for way in proxy.said)
         and len(proxy.said[1 if plays else 0]) > HELLO + 2 * KEPT)
    process.terminate()
    process.wait()
    keep(name, proxy.said, plays)


FFMPEG = ["ffmpeg", "-v", "error", "-nostdin"]
SMALL = ["-re", "-f", "lavfi", "-i", "testsrc=size=64x36:rate=10", "-f", "lavfi", "-i", "sine",
         "-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-b:v", "40k", "-c:a", "aac",
         "-b:a", "32k", "-f", "flv"]
NODE = """[[channel]]
name = "show"
stream = "live/show"
[channel.video]
width = 64
height = 36
fps = 10
preset = "ultrafast"
[[channel.layer]]
name = "card"
type = "test-card"
x = 0
y = 0
width = 64
height = 36
[[channel.output]]
name = "out"
url = "rtmp://127.0.0.1:{port}/live/pushed"
"""


def main():
    folder, running = tempfile.mkdtemp(), []
    try:
        nginx = free_port()
        config = os.path.join(folder, "nginx.conf")
        with open(config, "w") as file:
            file.write("load_module /usr/lib/nginx/modules/ngx_rtmp_module.so; daemon off;"
                       f"master_process off; pid {folder}/pid; error_log {folder}/log;"
                       "events {} rtmp { access_log off; server {"
                       f"listen 127.0.0.1:{nginx}; application live {{ live on; }} }} }}")
        running.append(start("/usr/sbin/nginx", "-p", folder, "-c", config))
        wait(lambda: listens(nginx))
        proxy = Proxy(nginx)

        session(proxy, "ffmpeg-publish", False, *FFMPEG, *SMALL, "rtmp://127.0.0.1:PORT/live/a")
        gst = ("videotestsrc is-live=true ! video/x-raw,width=64,height=36,framerate=10/1 ! x264enc"
               " tune=zerolatency key-int-max=10 ! flvmux streamable=true name=m ! rtmp2sink"
               " location=rtmp://127.0.0.1:PORT/live/b audiotestsrc is-live=true ! avenc_aac ! m.")
        session(proxy, "gstreamer-publish", False, "gst-launch-1.0", "-q", *gst.split())

        running.append(start(*FFMPEG, *SMALL, f"rtmp://127.0.0.1:{nginx}/live/c"))
        time.sleep(2)
        url = "rtmp://127.0.0.1:PORT/live/c"
        session(proxy, "ffmpeg-play", True, *FFMPEG, "-i", url, "-f", "null", "-")
        session(proxy, "rtmpdump-play", True, "rtmpdump", "-q", "-v", "-r", url, "-o", "/dev/null")
        session(proxy, "gstreamer-play", True, "gst-launch-1.0", "-q", "rtmp2src",
                f"location={url}", "!", "fakesink")

        rtmp, http = free_port(), free_port()
        config = os.path.join(folder, "node.toml")
        with open(config, "w") as file:
            file.write(f"[rtmp]\nport = {rtmp}\n[http]\nport = {http}\n"
                       + NODE.format(port=proxy.port))
        proxy.said = None
        running.append(start("target/debug/stream-manager", "run", "--config", config,
                             "--data-dir", os.path.join(folder, "data")))
        wait(lambda: proxy.said and len(proxy.said[0]) > HELLO + KEPT)
        keep("own-push", proxy.said, False)
        own = Proxy(rtmp)
        url = "rtmp://127.0.0.1:PORT/live/show"
        session(own, "own-ffmpeg-play", True, *FFMPEG, "-i", url, "-f", "null", "-")
        session(own, "own-rtmpdump-play", True, "rtmpdump", "-q", "-v", "-r", url, "-o", "/dev/null")
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
