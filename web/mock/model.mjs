// The made-up node's state, its changes as numbered messages, and the figures that move.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { demoAudio, levelsOf } from "./audio.mjs";

const RING = 500;
const DAY = 86_400_000;

export class Model {
  constructor(flvPort, isEmpty) {
    this.seq = 0;
    this.messages = [];
    this.listeners = new Set();
    this.events = [];
    this.previews = new Map();
    this.audio = new Map();
    this.clients = new Map();
    this.assets = demoAssets();
    this.level = "info";
    this.secrets = new Map();
    this.state = isEmpty ? emptyState(flvPort) : fullState(flvPort);
    for (const [kind, text, level, about] of isEmpty ? [] : STORY) {
      this.event(kind, text, level, about);
    }
  }

  /** The audio of a channel with its levels now. */
  audioOf(channel) {
    if (!this.state.channels[channel]) {
      throw Object.assign(new Error("There is no such channel"), { status: 404 });
    }
    if (!this.audio.has(channel)) this.audio.set(channel, demoAudio());
    const audio = this.audio.get(channel);
    const levels = levelsOf(audio);
    for (const source of audio.sources) source.levels = levels.sources[source.name];
    audio.bus.levels = levels.bus;
    return audio;
  }

  /** The message with them. */
  levelsOf(channel) {
    return { type: "audio_levels", channel, ...levelsOf(this.audioOf(channel)) };
  }

  /** Sets a part of the state (`null` takes it out) and tells everybody. */
  set(path, value) {
    const [part, ...rest] = path.split("/");
    if (part === "node") this.state.node = value;
    else if (value === null) delete this.state[part][rest.join("/")];
    else this.state[part][rest.join("/")] = value;
    this.tell({ type: "change", path, value });
  }

  event(kind, text, level = "info", about = {}) {
    const event = { seq: this.events.length + 1, at: Date.now(), kind, text, level, ...about };
    this.events.push(event);
    this.tell({ type: "event", event });
  }

  tell(message) {
    this.seq += 1;
    const numbered = { seq: this.seq, ...message };
    this.messages = [...this.messages, numbered].slice(-RING);
    for (const listener of this.listeners) listener(numbered);
  }

  /** Messages after `since`, or the whole state when they are not all there any more. */
  after(since) {
    const oldest = this.messages[0]?.seq ?? this.seq + 1;
    if (since > 0 && since <= this.seq && since + 1 >= oldest) {
      return this.messages.filter((message) => message.seq > since);
    }
    return [{ seq: this.seq, type: "state", state: { at: Date.now(), ...this.state } }];
  }

  /** Ends every WebSocket, as a bad network does. */
  cut() {
    for (const listener of this.listeners) listener(null);
  }

  watch(stream, address, isPreview, response) {
    const id = randomBytes(4).toString("hex");
    const state = isPreview ? "preview" : "player";
    const client = { id, address, state, protocol: "http-flv", stream };
    this.clients.set(id, { ...client, since_at: Date.now(), end: () => response.destroy() });
    response.on("close", () => this.clients.delete(id));
  }

  tick() {
    const { node, channels, outputs, streams } = this.state;
    const wave = (size) => (Math.random() - 0.5) * size;
    for (const channel of Object.values(channels)) {
      const dropped = { ...channel.dropped };
      const dropped_by_hour = [...channel.dropped_by_hour];
      if (Math.random() < 0.06) {
        const frames = Math.ceil(Math.random() * 3);
        dropped.queue_full += frames;
        dropped_by_hour[dropped_by_hour.length - 1] += frames;
      }
      this.set(`channels/${channel.name}`, {
        ...channel,
        dropped,
        dropped_by_hour,
        fps: channel.fps_target + wave(0.5) - (Math.random() < 0.05 ? 2 : 0),
        ...rates(channel.target_bps * (1 + wave(0.12))),
        frames: channel.frames + channel.fps_target,
        queue: Math.round(Math.random() * 2),
        latency_ms: { p50: 8 + wave(1.5), p99: 17 + wave(7) },
      });
    }
    for (const output of Object.values(outputs)) {
      const path = `outputs/${output.channel}/${output.name}`;
      if (output.state === "connecting") {
        this.set(path, { ...output, state: "live", connects: 1, error: null });
      }
      if (output.state !== "live") continue;
      const bitrate_bps = 6_120_000 * (1 + wave(0.1));
      const bytes = output.bytes + bitrate_bps / 8;
      this.set(path, { ...output, bitrate_bps, bytes, lag_ms: 40 + wave(50) });
    }
    for (const stream of Object.values(streams)) {
      const watching = [...this.clients.values()].filter((one) => one.stream === stream.name);
      const bitrate_bps = (stream.name === "live/demo" ? 6.1e6 : 3.4e6) * (1 + wave(0.1));
      const bytes_in = stream.bytes_in + bitrate_bps / 8;
      const viewers = watching.filter((one) => one.state === "player").length;
      const other_readers = { output: 0, preview: watching.length - viewers };
      const figures = { bitrate_bps, bytes_in, viewers, other_readers };
      this.set(`streams/${stream.name}`, { ...stream, ...figures });
    }
    const uptime_ms = Date.now() - node.started_at;
    const out_bps = Object.values(outputs).reduce((all, one) => all + one.bitrate_bps, 0);
    const viewers = [...this.clients.values()].filter((one) => one.state === "player").length;
    const in_bps = streams["live/studio"]?.bitrate_bps ?? 0;
    this.set("node", { ...node, uptime_ms, viewers, connections: viewers + 3, in_bps, out_bps });
  }
}

const STORY = [
  ["started", "The node is ready"],
  [
    ...["output_connected", "output platform of channel demo is live", "info"],
    { channel: "demo", output: "platform" },
  ],
  ["doneConnect", "A client of 198.51.100.23 left after 12 s", "debug"],
  [
    "publish_refused",
    "Publishing live/stage from 198.51.100.77 was refused: the key has expired",
    "warn",
  ],
  ["postPublish", "203.0.113.7 publishes live/studio"],
  [
    ...["output_failed", "output backup of channel demo failed and tries again in 8.0 s", "warn"],
    { channel: "demo", output: "backup" },
  ],
  ["output_failed", "push backup failed and tries again in 8.0 s", "warn", { output: "backup" }],
];

/** A channel's rates, with audio of 160 kb/s. */
const rates = (video_bps) => ({ video_bps, bitrate_bps: video_bps + 160_000 });

function emptyState(flvPort) {
  const parts = { channels: {}, outputs: {}, pulls: {}, pushes: {}, recordings: {} };
  return { node: node(flvPort), ...parts, transcodes: {}, streams: {}, keys: {} };
}

function node(flvPort) {
  return {
    name: "studio-1",
    version: "0.1.0",
    started_at: Date.now(),
    uptime_ms: 0,
    rtmp_port: flvPort,
    flv_url_base: `http://127.0.0.1:${flvPort}`,
    cores: { control: 0, net: [1], compose: 2, encode: [3, 4, 5, 6, 7] },
    driver: { kind: "glommio", reason: "io_uring and locked memory are there" },
    placement: "a channel or a pull goes to the shard with the least load",
    shards: [
      {
        number: 0,
        cpu: 1,
        busy: 0.123,
        channels: ["demo"],
        outputs: ["demo/cdn"],
        pushes: [],
        pulls: [],
        recordings: [],
      },
    ],
    connections: 3,
    viewers: 0,
    in_bps: 0,
    out_bps: 0,
    errors: { handshake: 2, timeout: 1 },
    drops: { jumped: 41, skipped: 0 },
    can_write: true,
    role: "admin",
  };
}

function rendition(name, width, height, bps, more) {
  return {
    ...{ name, stream: `live/demo_${name}`, shares: null, width, height },
    ...{ fps_target: 60, fps: 60, video_bps: bps, codec: "h264" },
    ...{ target_bps: bps, configured_bps: bps },
    ...{ encoder: "x264", preset: "veryfast", frames: 12_000, dropped: {}, queue: 0 },
    speed: {
      ...{ mode: "auto", preset: "veryfast", step: 1, steps: 2, fps_divisor: 1, late_frames: 0 },
      ...{ reason: null, changes: [] },
    },
    ...more,
  };
}

function fullState(flvPort) {
  const now = Date.now();
  const demo = {
    ...{ name: "demo", stream: "live/demo", width: 1920, height: 1080, fps_target: 60, fps: 60 },
    ...rates(6e6),
    // Sixty frames five hours ago, two in the hour that goes on.
    dropped_by_hour: [...Array(18).fill(0), 60, 0, 0, 0, 0, 2],
    ...{ target_bps: 6e6, configured_bps: 6e6, codec: "h264", encoder: "x264" },
    speed: {
      ...{ mode: "auto", preset: "superfast", step: 0, steps: 2, fps_divisor: 1, late_frames: 3 },
      reason: "queue",
      changes: [
        { at: now - 5_000, preset: "superfast", fps_divisor: 1, reason: "queue" },
        { at: now - 60_000, preset: "veryfast", fps_divisor: 1, reason: "headroom" },
      ],
    },
    ...{ preset: "veryfast", frames: 12_000, dropped: { queue_full: 62, late: 0 }, queue: 0 },
    ...{ latency_ms: { p50: 8, p99: 17 }, scene: "Opening" },
    ...{ scenes: ["Opening", "Camera", "Interview", "Break"] },
    outputs: ["platform", "backup", "archive"],
    renditions: [
      rendition("720p", 1280, 720, 3e6, { dropped: { queue_full: 4 } }),
      rendition("360p", 640, 360, 8e5, { fps_target: 30, fps: 30 }),
      rendition("backup", 1920, 1080, 6e6, { shares: "main" }),
    ],
  };
  const output = (name, url, more) => ({
    ...{ channel: "demo", stream: "live/demo", name, url, state: "live", error: null },
    ...{ connects: 1, failures: 0 },
    ...{ bytes: 184e6, bitrate_bps: 6.1e6, lag_ms: 40, dropped: 0, rendition: null, ...more },
  });
  const relay = (name, more) => ({
    ...{ name, stream: "live/demo", url: "rtmp://node.example.com/live/***", state: "live" },
    ...{ error: null, connects: 1, failures: 0, bytes: 96e6, bitrate_bps: 6.1e6, ...more },
  });
  const recording = (name, more) => ({
    ...{ name, stream: "live/demo", dir: "/srv/recordings", format: "flv", state: "live" },
    ...{ error: null, file: null, files: 1, bytes: 96e6, dropped: 0, ...more },
  });
  const outputs = [
    output("platform", "rtmps://live.example.com/app/***", {}),
    output("backup", "rtmp://backup.example.net/in/***", {
      ...{ state: "failed", error: "Publishing was refused: NetStream.Publish.BadName" },
      ...{ connects: 4, failures: 4, bitrate_bps: 0, bytes: 0 },
    }),
    output("archive", "rtmp://10.0.0.12/archive/***", { state: "stopped", bitrate_bps: 0 }),
  ];
  const stream = (name, source, publisher) => ({
    ...{ name, source, publisher, since_at: now - 61_000, viewers: 0, bytes_in: 46e6 },
    other_readers: {},
    ...{ bytes_out: 0, bitrate_bps: 6.1e6, flv_url: `http://127.0.0.1:${flvPort}/${name}.flv` },
    video: { codec: "H264", width: 1280, height: 720, fps: 30 },
    audio: { codec: "AAC", sample_rate: 48_000, channels: 2 },
  });
  const streams = [
    stream("live/demo", "channel", null),
    stream("live/studio", "publisher", {
      ...{ id: "a1b2c3d4", address: "203.0.113.7:50122", encoder: "FMLE/3.0 (OBS)" },
      ...{ key: null, owner: "Studio", label: "Camera 1" },
    }),
  ];
  const keys = [
    key("live/studio", {
      ...{ label: "Camera 1", owner: "Studio", last_used_at: now - 61_000 },
      ...{ bitrate_bps: 6_000_000, max_width: 1_920, max_height: 1_080 },
      live: [{ client: "a1b2c3d4", address: "203.0.113.7:50122", stream: "live/studio" }],
    }),
    key("live/stage", { label: "Stage", expires_at: now - DAY, last_used_at: now - 9 * DAY }),
    key("live/remote", { aliases: ["remote"], type: "alias", expires_at: now + 2 * DAY }),
  ];
  return {
    node: node(flvPort),
    channels: { demo },
    pulls: {
      origin: relay("origin", { stream: "live/copy", mode: "on-demand" }),
      far: relay("far", {
        ...{ stream: "live/far", mode: "always", state: "failed", bitrate_bps: 0, failures: 4 },
        error: "far.example.com:1935: no address for far.example.com",
      }),
    },
    pushes: { up: relay("up", { lag_ms: 20, dropped: 0, rendition: "live/demo_h264" }) },
    recordings: {
      show: recording("show", { file: "show-20260101-120000-1.mp4", format: "mp4" }),
      safe: recording("safe", {
        ...{ dir: "/mnt/archive", state: "failed", files: 3 },
        error: "/mnt/archive: No space left on device",
      }),
    },
    transcodes: {
      studio: {
        ...{ name: "studio", source: "live/studio", streams: ["live/studio_480p"] },
        ...{ state: "live", error: null, since_at: now - 90_000, readers: 3 },
        ...{ width: 1_280, height: 720, fps: 30, starts: 1, failures: 0 },
        renditions: [rendition("480p", 854, 480, 1e6, { stream: "live/studio_480p" })],
      },
      "live/remote": {
        ...{ name: "live/remote", source: "live/remote", streams: ["live/remote_bridge"] },
        ...{ state: "idle", error: null, since_at: null, readers: 0 },
        ...{ width: 0, height: 0, fps: 0, starts: 0, failures: 0, renditions: [] },
      },
    },
    outputs: Object.fromEntries(outputs.map((one) => [`demo/${one.name}`, one])),
    streams: Object.fromEntries(streams.map((one) => [one.name, one])),
    keys: Object.fromEntries(keys.map((one) => [one.id, one])),
  };
}

export function key(stream, more) {
  const now = Date.now();
  return {
    ...{ id: randomBytes(8).toString("hex"), type: "regular", stream, owner: null, label: null },
    ...{ created_at: now - 8 * DAY, expires_at: now + 22 * DAY, allowed_ips: [] },
    ...{ revoked: false, last_used_at: null, bitrate_bps: null, viewers: null },
    ...{ max_width: null, max_height: null, max_fps: null, takeover: false },
    ...{ aliases: [], live: [], ...more },
  };
}

/** The program's own logo, and a font without a picture. */
function demoAssets() {
  const picture = readFileSync(new URL("../../assets/logo.png", import.meta.url));
  const folder = "./data/assets";
  const at = { changed_at: Date.now() - 3_600_000 };
  const logo = { name: "logo.png", path: `${folder}/logo.png`, kind: "image", picture };
  const font = { name: "Titles.otf", path: `${folder}/Titles.otf`, kind: "font", bytes: 271_000 };
  return new Map([
    ["logo.png", { ...logo, bytes: picture.length, ...at }],
    ["Titles.otf", { ...font, ...at }],
  ]);
}
