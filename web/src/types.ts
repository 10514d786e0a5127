// The node's API as the dashboard sees it: /api/v1 and the messages of /ws. Times are Unix
// milliseconds, rates bits per second.

export type Counts = Record<string, number>;

export interface NodeInfo {
  name: string;
  version: string;
  started_at: number;
  uptime_ms: number;
  rtmp_port: number;
  flv_url_base: string;
  cores: Record<string, unknown>;
  /** What runs the shards, and why. */
  driver: { kind: string; reason: string };
  /** The rule by which the shards have what they have. */
  placement: string;
  shards: Shard[];
  connections: number;
  viewers: number;
  in_bps: number;
  out_bps: number;
  errors: Counts;
  drops: Counts;
  can_write: boolean;
  /** admin, operator (all but keys and the node itself) or read-only */
  role: string;
}

/** A shard and what is placed at it. */
export interface Shard {
  number: number;
  cpu: number;
  /** 0 to 1 */
  busy: number;
  channels: string[];
  outputs: string[];
  pushes: string[];
  pulls: string[];
  recordings: string[];
}

/** An encode of a channel's pictures, and the stream that it is. */
export interface Encode {
  name: string;
  stream: string;
  width: number;
  height: number;
  fps_target: number;
  fps: number;
  /** Of the pictures alone: what target_bps is about. */
  video_bps: number;
  /** Fewer than configured_bps while outputs, which alone read the stream, are congested. */
  target_bps: number;
  configured_bps: number;
  codec: string;
  encoder: string;
  /** The best one that the encoder may use. */
  preset: string;
  speed: Speed;
  frames: number;
  dropped: Counts;
  queue: number;
}

export interface Channel extends Encode {
  /** Video and audio. */
  bitrate_bps: number;
  /** Of the last 24 hours of the clock (UTC), oldest first; the last one goes on. */
  dropped_by_hour: number[];
  latency_ms: { p50: number; p99: number } | null;
  scene: string;
  scenes: string[];
  outputs: string[];
  /** Further encodes of the same pictures; what the channel is as an encode is about the first. */
  renditions: Rendition[];
}

/** A further encode of a channel's pictures. */
export interface Rendition extends Encode {
  /** The rendition whose encode it shows, if it has none of its own. */
  shares: string | null;
}

/** A stream that is filled in for while it is broken. */
export interface Fallback {
  stream: string;
  /** The stream that is published, as it is. */
  source: string;
  state: "idle" | "source" | "fallback" | "returning";
  since_at: number | null;
  /** Whether the fallback could be shown now. */
  ready: boolean;
  error: string | null;
  breaks: number;
  shown_ms: number;
}

/** A published stream in further encodes. */
export interface Transcode {
  name: string;
  source: string;
  streams: string[];
  state: "stopped" | "idle" | "waiting" | "live" | "failed";
  error: string | null;
  since_at: number | null;
  readers: number;
  /** Of the source, while it is live. */
  width: number;
  height: number;
  fps: number;
  renditions: Rendition[];
  starts: number;
  failures: number;
}

/** How fast an encoder encodes, and how many of its frames. */
export interface Speed {
  mode: "auto" | "fixed";
  /** The preset that it is like now; empty if its speed cannot be changed. */
  preset: string;
  step: number;
  steps: number;
  /** One frame of so many is encoded. */
  fps_divisor: number;
  /** Of the pictures now. */
  width: number;
  height: number;
  late_frames: number;
  reason: string | null;
  /** Newest first. */
  changes: {
    at: number;
    preset: string;
    fps_divisor: number;
    width: number;
    height: number;
    reason: string;
  }[];
}

/** Of an output, a pull, a push or a recording. */
export type RunState = "stopped" | "idle" | "connecting" | "live" | "failed";

export interface Output {
  channel: string;
  name: string;
  /** That of one of the channel's renditions. */
  stream: string;
  /** What it sends in the place of that stream, whose codecs its destination does not take. */
  rendition: string | null;
  url: string;
  state: RunState;
  error: string | null;
  connects: number;
  failures: number;
  bytes: number;
  bitrate_bps: number;
  lag_ms: number;
  dropped: number | Counts;
}

export interface Publisher {
  id: string;
  address: string;
  encoder: string;
  key: string | null;
  owner: string | null;
  label: string | null;
}

interface Relay {
  name: string;
  stream: string;
  url: string;
  state: RunState;
  error: string | null;
  connects: number;
  failures: number;
  bytes: number;
  bitrate_bps: number;
}

export interface Pull extends Relay {
  mode: string;
}

export interface Push extends Relay {
  /** What it sends in the place of its stream, whose codecs its destination does not take. */
  rendition: string | null;
  lag_ms: number;
  dropped: number;
}

export interface Recording {
  name: string;
  stream: string;
  dir: string;
  format: string;
  state: RunState;
  error: string | null;
  file: string | null;
  files: number;
  bytes: number;
  dropped: number;
}

export interface Stream {
  name: string;
  source: string;
  publisher: Publisher | null;
  since_at: number;
  viewers: number;
  other_readers: Counts;
  bytes_in: number;
  bytes_out: number;
  bitrate_bps: number;
  keyframe_interval_ms: number | null;
  /** How far pictures are ahead of the audio. */
  av_offset_ms: number | null;
  video: { codec: string; width: number; height: number; fps: number } | null;
  audio: { codec: string; sample_rate: number; channels: number } | null;
  flv_url: string;
}

export interface Client {
  id: string;
  address: string;
  state: string;
  protocol: string;
  stream: string | null;
  since_at: number;
  bytes_in: number;
  bytes_out: number;
  dropped: number;
  encoder: string;
  key: string | null;
  owner: string | null;
  label: string | null;
}

export interface Key {
  id: string;
  type: string;
  stream: string;
  owner: string | null;
  label: string | null;
  created_at: number;
  expires_at: number | null;
  allowed_ips: string[];
  revoked: boolean;
  last_used_at: number | null;
  bitrate_bps: number | null;
  viewers: number | null;
  max_width: number | null;
  max_height: number | null;
  max_fps: number | null;
  takeover: boolean;
  aliases: string[];
  /** Who publishes with it on this node; null if that is not known. */
  live: KeyUse[] | null;
}

export interface KeyUse {
  client: string;
  address: string;
  stream: string;
  encoder: string;
  since_at: number;
}

export interface NewKey {
  key: Key;
  secret: string;
  server: string;
  stream_key: string;
}

export interface NodeEvent {
  seq: number;
  at: number;
  kind: string;
  text: string;
  level: "debug" | "info" | "warn" | "error";
  state?: string;
  channel?: string;
  /** An output of `channel`; a push where there is no channel. */
  output?: string;
  pull?: string;
  record?: string;
  actor?: string;
  owner?: string;
  label?: string;
  encoder?: string;
}

export interface Snapshot {
  at: number;
  node: NodeInfo;
  channels: Record<string, Channel>;
  outputs: Record<string, Output>;
  pulls: Record<string, Pull>;
  pushes: Record<string, Push>;
  recordings: Record<string, Recording>;
  transcodes: Record<string, Transcode>;
  fallbacks: Record<string, Fallback>;
  streams: Record<string, Stream>;
  keys: Record<string, Key>;
}

/** How long frames take on their way through the node. */
export interface Latency {
  streams: {
    stream: string;
    stages: StageLatency[];
    worst: WorstFrame[];
    origin: Origin | null;
    publisher: PublisherFrames | null;
  }[];
  /** The time of day of the node's machine; null where its kernel does not say. */
  clock: { synchronised: boolean | null; error_max_us: number | null };
}

/** Where the frames of a stream were made that came from elsewhere. */
export interface Origin {
  node: string;
  same_machine: boolean;
  frame: number;
  /** Below zero if the clocks are further apart than that. */
  took_us: number;
  /** Stamps that were ahead of the clock. */
  ahead: number;
}

/** Frames of a publisher that says how it gets on, as OBS does. */
export interface PublisherFrames {
  rendered: number;
  /** Drawn too late. */
  lagged: number;
  /** Dropped because of its network. */
  dropped: number;
  encoder_input: number;
  /** Its encoder was too slow for them. */
  encoder_skipped: number;
  /** Keyframes that were ahead of the clock. */
  ahead: number;
}

export interface StageLatency {
  stage: string;
  /** Whether it is one part of the way, and not a stretch of several. */
  is_part: boolean;
  seconds_10: Distribution;
  minute: Distribution;
}

interface Distribution {
  count: number;
  p50_us: number;
  p99_us: number;
  max_us: number;
}

/** A frame among those of the last minute that took longest. */
export interface WorstFrame {
  at: number;
  frame: number;
  /** Without the encoder's delay by design. */
  took_us: number;
  parts: FramePart[];
}

export interface FramePart {
  stage: string;
  us: number;
}

/** What drawing a channel's pictures took in the last second. */
export interface Composition {
  us_per_frame: number;
  pixels_per_frame: number;
  cache_bytes: number;
  /** Of all channels. */
  asset_cache: { entries: number; bytes: number; bytes_max: number };
  /** Those that took most first. */
  layers: LayerLoad[];
}

export interface LayerLoad {
  name: string;
  us_per_frame: number;
  pixels_per_frame: number;
  cache_bytes: number;
}

/** Levels of a source or of the mix; -120 is silence. */
export interface AudioLevels {
  /** Left and right. */
  peak_db: number[];
  true_peak_dbtp: number;
  momentary_lufs: number;
  short_term_lufs: number;
  integrated_lufs: number;
}

/** An audio source of a channel; filters that are off are not there. */
export interface AudioSource {
  name: string;
  gain_db: number;
  mute: boolean;
  solo: boolean;
  pan: number;
  gate?: Record<string, number>;
  eq?: Record<string, number>;
  compressor?: Record<string, number>;
  levels: AudioLevels;
}

export interface AudioBus {
  normalize_lufs?: number;
  ceiling_dbtp: number;
  levels: AudioLevels;
}

export interface AudioMix {
  sources: AudioSource[];
  bus: AudioBus;
}

/** What comes ten times a second to who asked for the levels of a channel. */
export interface LevelsMessage {
  type: "audio_levels";
  channel: string;
  sources: Record<string, AudioLevels>;
  bus: AudioLevels;
}

export type Message =
  | { seq: number; type: "state"; state: Snapshot }
  | { seq: number; type: "change"; path: string; value: unknown }
  | { seq: number; type: "event"; event: NodeEvent };

/** A file that scenes may show. */
export interface Asset {
  name: string;
  /** What a layer of a scene calls it. */
  path: string;
  kind: "image" | "font" | "video";
  bytes: number;
  changed_at: number;
}

export interface AssetList {
  folder: string;
  bytes: number;
  total_bytes_max: number;
  file_bytes_max: number;
  files_max: number;
  assets: Asset[];
}

/** The scene in preview. */
export interface Preview {
  scene: string | null;
  state: "loading" | "ready" | "failed" | null;
  /** Why it has failed. */
  reason?: string;
}
