#!/usr/bin/env python3
"""Writes seeds for the fuzz targets that need no session with another program: PROXY headers, HTTP
heads and TLS hellos as clients send them, WebSocket frames, scripts of TLS connections, and FLV
tags of small streams. Needs ffmpeg with libx264, libx265 and libaom, curl and openssl."""

import os
import socket
import struct
import subprocess
import tempfile

from capture import FFMPEG, start, write

STREAM = ["-f", "lavfi", "-i", "testsrc=size=64x36:rate=10", "-f", "lavfi", "-i", "sine", "-t", "1"]
X264 = ["-c:v", "libx264", "-g", "5", "-b:v", "30k"]
AAC = ["-c:a", "aac", "-b:a", "24k"]
KEPT = 12000  # bytes of a stream


def proxies():
    v1 = {
        "tcp4": b"PROXY TCP4 192.0.2.1 198.51.100.1 50000 1935\r\n",
        "tcp6": b"PROXY TCP6 2001:db8::1 2001:db8::2 50000 1935\r\n",
        "mapped": b"PROXY TCP6 ::ffff:192.0.2.1 ::1 50000 1935\r\n",
        "unknown": b"PROXY UNKNOWN\r\n",
        "health": b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
    }
    for name, header in v1.items():
        write("proxy_header", f"v1-{name}", header + b"\x03\0\0\0\0")
    begin = b"\r\n\r\n\0\r\nQUIT\n"
    four = bytes([192, 0, 2, 1, 198, 51, 100, 1]) + struct.pack(">HH", 50000, 1935)
    six = bytes(15) + b"\1" + bytes(15) + b"\2" + struct.pack(">HH", 50000, 1935)
    crc = b"\x03\0\4\1\2\3\4"
    alpn = b"\x01\0\x08http/1.1"
    v2 = {
        "tcp4": (0x21, 0x11, four), "tcp6": (0x21, 0x21, six), "local": (0x20, 0, b""),
        "extras": (0x21, 0x11, four + crc + alpn), "unix": (0x21, 0x31, bytes(216)),
        "udp": (0x21, 0x12, four), "unspecified": (0x21, 0, b""),
    }
    for name, (command, family, body) in v2.items():
        header = begin + bytes([command, family]) + struct.pack(">H", len(body)) + body
        write("proxy_header", f"v2-{name}", header + b"\x03\0\0\0\0")


def first_bytes(*command):
    """What a client says first to whoever listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        port = str(listener.getsockname()[1])
        client = start(*[part.replace("PORT", port) for part in command])
        try:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                return connection.recv(16384).replace(b":" + port.encode(), b":1935")
        finally:
            client.terminate()
            client.wait()


BROWSER = """Host: node.example:1935
Connection: {connection}
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36
Accept: */*
Origin: http://node.example:8080
Accept-Encoding: gzip, deflate
Accept-Language: en-US,en;q=0.9
"""
UPGRADE = """Upgrade: websocket
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits
"""
BEHIND = """Host: localhost:8080
X-Forwarded-For: 203.0.113.7, 2001:db8::1, [192.0.2.9]:4711
X-Forwarded-Proto: https
Authorization: Bearer 0123456789abcdef
"""


def request(line, fields):
    return (line + "\n" + fields + "\n").replace("\n", "\r\n").encode()


def frame(first, payload, mask=b"\1\2\3\4"):
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
    return bytes([first]) + length + mask + bytes(
        byte ^ mask[at % 4] for at, byte in enumerate(payload))


def heads():
    url = "http://127.0.0.1:PORT/live/show.flv?key=a"
    plain = BROWSER.format(connection="keep-alive")
    socket_ = BROWSER.format(connection="Upgrade") + UPGRADE
    heads = {
        "ffmpeg": first_bytes(*FFMPEG, "-i", url, "-f", "null", "-"),
        "curl": first_bytes("curl", "-s", url),
        "curl-head": first_bytes("curl", "-s", "-I", url),
        "fetch": request("GET /live/show.flv HTTP/1.1", plain),
        "preflight": request("OPTIONS /live/show.flv HTTP/1.1",
                             plain + "Access-Control-Request-Method: GET\n"),
        "web-socket": request("GET /live/show.flv HTTP/1.1", socket_) + frame(0x89, b"ping")
                      + frame(0x88, b"\x03\xe8"),
        "old": b"GET http://node.example/live/show.flv HTTP/1.0\r\n\r\n",
        "post": request("POST /api/v1/keys HTTP/1.1", BEHIND + "Content-Length: 2\n") + b"{}",
        "behind": request("GET /healthz HTTP/1.1", BEHIND) + request("GET /stat HTTP/1.1", BEHIND),
        "large": b"GET /live/show.flv HTTP/1.1\r\nX: \xff\xff\xff\r\n\r\n",
    }
    for number, (name, head) in enumerate(heads.items()):
        write("http_head", name, bytes([number & 1, 7]) + head)
        write("http_port", name, b"\x10" + head)


def web_sockets():
    frames = {
        "pings": frame(0x89, b"") + frame(0x89, b"hello") + frame(0x8A, b"hello"),
        "text": frame(0x01, b"part") + frame(0x89, b"x" * 125) + frame(0x80, b"end"),
        "binary": frame(0x82, bytes(200)) + frame(0x88, b"\x03\xe8bye"),
        "close": frame(0x88, b""), "code": frame(0x88, b"\x0f\xa0"),
        "long": b"\x82\xff" + struct.pack(">Q", 4096) + b"abcd\xff" + frame(0x89, b"after"),
        "too-long": b"\x82\xff" + struct.pack(">Q", 1 << 40) + b"abcd",
        "unmasked": b"\x89\0",
    }
    for name, data in frames.items():
        for early in (0, 128):
            write("web_socket", f"{name}-{early}", bytes([early, 3]) + data)


def tls():
    hellos = {
        "openssl": first_bytes("openssl", "s_client", "-connect", "127.0.0.1:PORT",
                               "-servername", "node.example"),
        "openssl-1.2": first_bytes("openssl", "s_client", "-tls1_2", "-connect", "127.0.0.1:PORT"),
        "curl": first_bytes("curl", "-s", "-k", "https://127.0.0.1:PORT/"),
        "ffmpeg": first_bytes(*FFMPEG, "-i", "rtmps://127.0.0.1:PORT/live/a", "-f", "null", "-"),
        "rtmp": b"\x03" + bytes(1536), "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "alert": b"\x15\x03\x03\0\2\2\x28", "large": b"\x16\x03\x01\x40\0\1\0\x3f\xfc" + bytes(900),
    }
    for name, hello in hellos.items():
        write("tls_link", f"to-server-{name}", b"\x60\x30" + hello)
    for name in ("alert", "rtmp"):
        write("tls_link", f"to-client-{name}", b"\x61\x30" + hellos[name])
    # Steps of three bytes: what and which end, two operands.
    flow = bytes([0x0E, 0, 0, 0x0F, 0, 0])
    say, say_back, touch = bytes([6, 100, 5]), bytes([7, 200, 3]), bytes([0x0A, 128, 1])
    scripts = {
        "met": (0xA6, say + flow + say_back + flow),
        "handshake": (0xA2, flow * 4 + say + flow),
        "pieces": (0x66, say + b"\0\0\0\3\x20\0\3\x40\1" + flow),
        "touched": (0xA6, say + b"\0\0\0" + bytes([0x0B, 128, 1]) + flow),
        "touched-handshake": (0xA2, b"\0\0\0" + bytes([0x0B, 60, 4]) + flow * 3),
        "repeated": (0xA6, say + b"\0\0\0" + bytes([0x3B, 0, 0]) + flow),
        "closed": (0xA6, say + bytes([0x0C, 0, 0]) + flow + say_back + flow + touch),
    }
    for name, (mode, steps) in scripts.items():
        write("tls_link", f"script-{name}", bytes([mode, 0xFF]) + steps)


def made(suffix, *arguments):
    """A stream that ffmpeg makes."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"stream.{suffix}")
        subprocess.run([*FFMPEG, *STREAM, *arguments, path], check=True)
        with open(path, "rb") as file:
            return file.read()


def flv_tags(flv):
    """Kind, time and body of each tag."""
    at = 13
    while at + 11 <= len(flv):
        size = int.from_bytes(flv[at + 1 : at + 4], "big")
        time = int.from_bytes(flv[at + 4 : at + 7], "big")
        yield flv[at], time, flv[at + 11 : at + 11 + size]
        at += 11 + size + 4


def as_input(tags):
    """Tags as the targets read them."""
    out, last = b"", 0
    for kind, time, body in tags:
        step = min(max(time - last, 0), 255)
        last = time
        out += bytes([kind, step]) + struct.pack("<H", len(body)) + body
        if len(out) > KEPT:
            break
    return out


def annex_b(data):
    """The units of a byte stream, with lengths, one access unit for each first slice."""
    units = [unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")[1:]]
    parts, access = [], b""
    for unit in units:
        if unit[0] >> 1 & 0x3F == 39:  # what the encoder says of itself
            continue
        access += struct.pack(">I", len(unit)) + unit
        if unit[0] >> 1 & 0x3F < 32:  # a slice of HEVC
            parts.append(access)
            access = b""
    return parts


def streams():
    baseline = ["-profile:v", "baseline", "-pix_fmt", "yuv420p"]
    forms = {
        "baseline": [*X264, *baseline, *AAC],
        "b-frames": [*X264, "-bf", "3", "-pix_fmt", "yuv420p", *AAC],
        "444": [*X264, "-pix_fmt", "yuv444p", *AAC, "-ac", "6"],
        "10-bit": [*X264, "-pix_fmt", "yuv422p10le", *AAC, "-ar", "22050"],
        "interlaced": [*X264, "-pix_fmt", "yuv420p", "-flags", "+ildct+ilme", "-an"],
        "slices": [*X264, "-x264-params", "slices=4:cabac=0:intra-refresh=1", "-pix_fmt", "yuv420p",
                   "-an"],
        "mp3": [*X264, *baseline, "-c:a", "libmp3lame", "-ar", "44100"],
    }
    for name, arguments in forms.items():
        tags = list(flv_tags(made("flv", *arguments)))
        write("live_decoder", f"ffmpeg-{name}", b"\1" + as_input(tags))
        write("sequence_headers", f"ffmpeg-{name}", as_input(tags)[:4096])
    in_band = [tag for tag in flv_tags(made("flv", *X264, *baseline, "-an", "-bsf:v", "dump_extra"))]
    sets = next(body for kind, _, body in in_band if kind == 9 and body[1] == 0)
    length = int.from_bytes(sets[11:13], "big")
    sps, pps = sets[13 : 13 + length], sets[13 + length + 3 :]
    prefix = b"".join(struct.pack(">I", len(unit)) + unit for unit in (sps, pps))
    in_band = [(kind, time, body[:5] + prefix + body[5:] if body[:1] == b"\x17" else body)
               for kind, time, body in in_band if kind == 9 and body[1] == 1]
    write("live_decoder", "in-band", b"\0" + as_input(in_band))
    write("sequence_headers", "avc-in-band", as_input(in_band)[:4096])
    hevc = annex_b(made("hevc", "-c:v", "libx265", "-x265-params", "log-level=none", "-an"))
    forms = [b"\x91hvc1\0\0\0", b"\x93hvc1", b"\x96\x01hvc1\x02\0\0\0", b"\x96\x11hvc1\0"]
    for number, form in enumerate(forms):
        body = form + hevc[0]
        if number == 3:
            body = form + struct.pack(">I", len(hevc[0]) + 3)[1:] + b"\0\0\0" + hevc[0]
        write("sequence_headers", f"hevc-in-band-{number}", as_input([(9, 0, body)] * 2))
    av1 = made("obu", "-c:v", "libaom-av1", "-cpu-used", "8", "-an")
    for number, form in enumerate([b"\x91av01", b"\x96\x01av01\x01"]):
        write("sequence_headers", f"av1-in-band-{number}", as_input([(9, 0, form + av1[:900])] * 2))
    opus = [(8, 20, form + b"\xfc\x01\x02") for form in (b"\x91Opus", b"\x95\x01Opus\x02")]
    write("sequence_headers", "opus", as_input(opus * 2))
    bare = [(9, 40, b"\x17\x01\0\0\0\0\0\0\x02\x65\x88"), (8, 20, b"\xaf\x01\x21")]
    write("sequence_headers", "missing", as_input(bare * 4))


proxies()
heads()
web_sockets()
tls()
streams()
