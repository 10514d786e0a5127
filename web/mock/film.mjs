// A few seconds of film as FLV, played in a loop at its own pace to any number of viewers.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const SECONDS = 4;
const SEND_EVERY_MS = 40;
const FONT = new URL("../../assets/fonts/Inter-SemiBold.otf", import.meta.url).pathname;

const PICTURES = {
  demo: [
    "gradients=size=640x360:rate=30:c0=0x0b1830:c1=0x1d5fa8:c2=0x0f2d50:n=3:speed=0.012:seed=7",
    `drawtext=fontfile=${FONT}:text='Good evening':x=48:y=240:fontsize=38:fontcolor=white`,
    `drawtext=fontfile=${FONT}:text='%{pts\\:hms}':x=48:y=290:fontsize=20:fontcolor=white@0.8`,
  ].join(","),
  bars: "smptehdbars=size=640x360:rate=30",
};

export class Film {
  /** Lets ffmpeg draw and encode one. */
  static async make(name) {
    const { stdout } = await promisify(execFile)(
      "ffmpeg",
      [
        ...["-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", PICTURES[name]],
        ...["-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000", "-t", String(SECONDS)],
        ...["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "30"],
        ...["-bf", "0", "-b:v", "800k", "-c:a", "aac", "-b:a", "96k", "-ac", "2"],
        ...["-flvflags", "no_duration_filesize+no_metadata", "-f", "flv", "pipe:1"],
      ],
      { encoding: "buffer", maxBuffer: 64 << 20 },
    );
    return new Film(stdout);
  }

  constructor(bytes) {
    this.head = bytes.subarray(0, 13);
    this.configs = [];
    this.tags = [];
    for (let at = 13; at + 11 < bytes.length; ) {
      const size = bytes.readUIntBE(at + 1, 3);
      const tag = bytes.subarray(at, at + 11 + size + 4);
      if (isConfig(tag)) this.configs.push(tag);
      else this.tags.push({ time: timeOf(tag), bytes: tag });
      at += tag.length;
    }
    this.length = SECONDS * 1_000;
    this.begun = Date.now();
  }

  play(response) {
    response.writeHead(200, { "Content-Type": "video/x-flv", "Cache-Control": "no-store" });
    response.write(Buffer.concat([this.head, ...this.configs.map((tag) => at(tag, 0))]));
    // A viewer starts at the keyframe a little before now, as it would from a GOP cache.
    let sent = Math.floor((Date.now() - this.begun - 1_000) / 1_000) * 1_000 - 1;
    const timer = setInterval(() => {
      const now = Date.now() - this.begun;
      for (const bytes of this.between(sent, now)) response.write(bytes);
      sent = now;
    }, SEND_EVERY_MS);
    response.on("close", () => clearInterval(timer));
  }

  /** Tags after `from` up to `to`, milliseconds of the endless film. */
  *between(from, to) {
    for (let lap = Math.floor(Math.max(0, from) / this.length); lap * this.length <= to; lap++) {
      for (const tag of this.tags) {
        const time = lap * this.length + tag.time;
        if (time > from && time <= to && tag.time < this.length) yield at(tag.bytes, time);
      }
    }
  }
}

/** AVC and AAC sequence headers carry packet type 0. */
const isConfig = (tag) => (tag[0] === 9 || tag[0] === 8) && tag[12] === 0;
const timeOf = (tag) => tag.readUIntBE(4, 3) + tag[7] * 2 ** 24;

function at(tag, time) {
  const copy = Buffer.from(tag);
  copy.writeUIntBE(time & 0xffffff, 4, 3);
  copy[7] = (time >>> 24) & 0xff;
  return copy;
}
