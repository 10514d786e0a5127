// The made-up node's /api/v1.
import { randomBytes } from "node:crypto";
import { key } from "./model.mjs";

const CONFIG = '[node]\nname = "studio-1"\n\n[[channel]]\nname = "demo"\nstream = "live/demo"\n';

export async function answerApi(request, response, model, rights) {
  const url = new URL(request.url, "http://node");
  const token = (request.headers.authorization ?? "").replace("Bearer ", "");
  const right = rights(token);
  if (right === "none") return problem(response, 401, "The token is missing or wrong");
  if (right === "read" && request.method !== "GET") {
    return problem(response, 403, "This token may only read");
  }
  const parts = url.pathname.split("/").slice(3).map(decodeURIComponent);
  const found = ROUTES.find(([route]) => matches(route, request.method, parts));
  if (!found) return problem(response, 404, "There is no such thing");
  const body = parts[0] === "assets" ? await bytesOf(request) : await bodyOf(request);
  try {
    const answer = await found[1]({ model, parts, body, query: url.searchParams, right });
    return send(response, answer);
  } catch (error) {
    return problem(response, error.status ?? 500, error.message, error.hint);
  }
}

const ROUTES = [
  ["GET node", ({ model, right }) => ({ ...model.state.node, can_write: right === "write" })],
  ["GET state", ({ model }) => ({ at: Date.now(), ...model.state })],
  ["GET channels", ({ model }) => Object.values(model.state.channels)],
  ["GET outputs", ({ model }) => Object.values(model.state.outputs)],
  ["GET pulls", ({ model }) => Object.values(model.state.pulls)],
  ["GET pushes", ({ model }) => Object.values(model.state.pushes)],
  ["GET recordings", ({ model }) => Object.values(model.state.recordings)],
  ["GET streams", ({ model }) => Object.values(model.state.streams)],
  ["GET keys", ({ model }) => Object.values(model.state.keys)],
  ["GET events", ({ model }) => model.events],
  ["GET clients", ({ model, query }) => clients(model, query.get("stream"))],
  ["GET config", () => CONFIG],
  ["GET log-level", ({ model }) => ({ level: model.level })],
  ["PUT log-level", setLevel],
  ["GET latency", ({ model }) => latency(model)],
  ["GET assets", ({ model }) => assets(model)],
  ["GET assets/*/thumbnail", thumbnail],
  ["PUT assets/*", putAsset],
  ["DELETE assets/*", removeAsset],
  ["GET channels/*/composition", composition],
  ["GET channels/*/audio", ({ model, parts }) => model.audioOf(parts[1])],
  ["PATCH channels/*/audio/sources/*", patchAudio],
  ["PATCH channels/*/audio/bus", patchAudio],
  ["POST channels/*/audio/loudness/reset", () => undefined],
  ["POST mock/cut", ({ model }) => model.cut()],
  ["POST channels/*/scenes/*/activate", activate],
  ["GET channels/*/preview", ({ model, parts }) => previewOf(model, parts[1])],
  ["PUT channels/*/preview", putPreview],
  ["DELETE channels/*/preview", ({ model, parts }) => void model.previews.delete(parts[1])],
  ["POST channels/*/take", take],
  ["GET channels/*/preview/picture", picture],
  ["GET channels/*/programme/picture", picture],
  ["POST channels/*/outputs", addOutput],
  ["DELETE channels/*/outputs/*", removeOutput],
  ["POST channels/*/outputs/*/start", (ask) => setOutput(ask, "connecting")],
  ["POST channels/*/outputs/*/stop", (ask) => setOutput(ask, "stopped")],
  ...["pulls", "pushes"].flatMap((kind) => [
    [`POST ${kind}`, (ask) => addRelay(ask, kind)],
    [`DELETE ${kind}/*`, ({ model, parts }) => model.set(`${kind}/${parts[1]}`, null)],
    [`POST ${kind}/*/start`, (ask) => setRelay(ask, kind, "idle")],
    [`POST ${kind}/*/stop`, (ask) => setRelay(ask, kind, "stopped")],
  ]),
  ["POST recordings", addRecording],
  ["DELETE recordings/*", ({ model, parts }) => model.set(`recordings/${parts[1]}`, null)],
  ["POST recordings/*/start", (ask) => setRecording(ask, "idle")],
  ["POST recordings/*/stop", (ask) => setRecording(ask, "stopped")],
  ["DELETE streams/*/*/publisher", kickPublisher],
  ["DELETE clients/*", ({ model, parts }) => model.clients.get(parts[1])?.end()],
  ["POST keys", createKey],
  ["PATCH keys/*", changeKey],
  ["POST keys/*/rotate", rotateKey],
  ["POST keys/*/revoke", ({ model, parts }) => revoke(model, parts[1])],
  ["DELETE keys/*", ({ model, parts }) => model.set(`keys/${parts[1]}`, null)],
];

function matches(route, method, parts) {
  const [wanted, path] = route.split(" ");
  const pattern = path.split("/");
  if (wanted !== method || pattern.length !== parts.length) return false;
  return pattern.every((part, index) => part === "*" || part === parts[index]);
}

/** A JSON merge patch, as far as the dashboard sends any. */
function patchAudio({ model, parts, body }) {
  const audio = model.audioOf(parts[1]);
  const strip = parts[4] ? audio.sources.find(({ name }) => name === parts[4]) : audio.bus;
  for (const [key, value] of Object.entries(body)) {
    if (value === null) delete strip[key];
    else strip[key] = typeof value === "object" ? { ...strip[key], ...value } : value;
  }
}

function composition({ model, parts }) {
  const channel = model.state.channels[parts[1]];
  if (!channel) throw Object.assign(new Error("There is no such channel"), { status: 404 });
  const layer = (name, us, pixels, cache) => ({
    name,
    us_per_frame: us,
    pixels_per_frame: pixels,
    cache_bytes: cache,
  });
  return {
    scene: channel.scene,
    frames: 30,
    frame_ms: { p50: 0.2, p99: 0.5 },
    us_per_frame: 212,
    pixels_per_frame: 71_400,
    skipped: channel.dropped,
    cache_bytes: 6_400_000,
    asset_cache: {
      entries: 38,
      bytes: 41_200_000,
      bytes_max: 268_435_456,
      hits: 912,
      misses: 61,
      evictions: 0,
    },
    layers: [
      layer("camera", 121, 57_600, 0),
      layer("overlay/ticker", 48, 12_000, 1_900_000),
      layer("clock", 9.4, 1_800, 400_000),
      layer("background", 0, 0, 4_100_000),
    ],
  };
}

/** Every stream is encoded here, and one frame in a minute waits for its encoder. */
function latency(model) {
  const usual = { tick: 90, compose: 2_100, queue: 40, lookahead: 66_000, encode: 5_200 };
  const parts = Object.entries({ ...usual, append: 60, send: 210, fan_out: 30 });
  const stages = parts.map(([stage, us]) => {
    const window = { count: 300, p50_us: us, p99_us: us * 2, p999_us: us * 3, max_us: us * 4 };
    const windows = { seconds_10: window, minute: window };
    return { stage, is_part: true, by_design: stage === "lookahead", ...windows };
  });
  const way = { count: 30, p50_us: 142_000, p99_us: 171_000, p999_us: 180_000, max_us: 180_000 };
  const whole = { is_part: false, by_design: false, seconds_10: way, minute: way };
  stages.push({ stage: "origin", ...whole });
  const before = { publisher_capture: 4_100, publisher_encode: 9_600, publisher_uplink: 38_000 };
  for (const [stage, us] of Object.entries(before)) {
    const window = { count: 30, p50_us: us, p99_us: us * 2, p999_us: us * 3, max_us: us * 3 };
    stages.push({ ...whole, stage, seconds_10: window, minute: window });
  }
  const encoder = { encoder_input: 18_000, encoder_skipped: 4, encoder_output: 17_996 };
  const frames = { rendered: 18_000, lagged: 12, dropped: 31, output: 17_969 };
  const publisher = { at: Date.now(), ...frames, ...encoder, ahead: 0 };
  const node = "1f83d9abfb41bd6b";
  const origin = { node, same_machine: false, frame: 5_400, took_us: 142_000, ahead: 0 };
  const clock = { synchronised: true, error_max_us: 1_800 };
  const slow = parts.map(([stage, us]) => ({ stage, us: stage === "queue" ? 52_000 : us }));
  const worst = [{ at: Date.now() - 20_000, frame: 4_711, took_us: 59_690, parts: slow }];
  const streams = Object.keys(model.state.streams);
  const each = (stream) => ({ stream, stages, worst, origin, publisher });
  return { streams: streams.map(each), threads: [], clock };
}

function clients(model, stream) {
  return [...model.clients.values()]
    .filter((client) => !stream || client.stream === stream)
    .map(({ end, ...client }) => ({ ...client, bytes_in: 0, bytes_out: 4e6, dropped: 0 }));
}

function setLevel({ model, body }) {
  model.level = body.level;
}

function activate({ model, parts: [, name, , scene] }) {
  const channel = model.state.channels[name];
  if (!channel?.scenes.includes(scene)) throw fault(404, `There is no scene ${scene}`);
  model.set(`channels/${name}`, { ...channel, scene });
  model.event("scene_changed", `${name} shows ${scene}`);
}

function previewOf(model, channel) {
  const scene = model.previews.get(channel);
  if (!scene) return { scene: null, state: null };
  if (scene !== "Break") return { scene, state: "ready" };
  return { scene, state: "failed", reason: 'layer "logo": cannot read logo.png' };
}

function putPreview({ model, parts: [, name], body }) {
  const channel = model.state.channels[name];
  if (!channel?.scenes.includes(body.scene)) throw fault(404, `There is no scene ${body.scene}`);
  model.previews.set(name, body.scene);
  model.event("preview_changed", `${name} has scene ${body.scene} in preview`);
}

function take({ model, parts: [, name] }) {
  const channel = model.state.channels[name];
  const scene = model.previews.get(name);
  if (!scene) throw fault(409, "There is no scene in preview");
  model.previews.set(name, channel.scene);
  model.set(`channels/${name}`, { ...channel, scene });
  model.event("scene_changed", `${name} shows ${scene}`);
  return { scene, asked_frame: 900, frame: 901, preview: channel.scene };
}

function picture({ model, parts: [, name, of] }) {
  if (of === "preview" && !model.previews.has(name)) throw fault(404, "There is no preview");
  return { type: "image/png", bytes: model.assets.get("logo.png").picture };
}

function addOutput({ model, parts: [, channel], body }) {
  const path = `${channel}/${body.name}`;
  if (model.state.outputs[path]) {
    throw fault(409, `There is an output ${body.name} already`, "Choose another name.");
  }
  const url = body.url.replace(/[^/]*$/, "***");
  model.set(`outputs/${path}`, {
    ...{ channel, name: body.name, url, state: "connecting", error: null, connects: 0 },
    ...{ failures: 0, bytes: 0, bitrate_bps: 0, lag_ms: 0, dropped: 0 },
  });
  return { status: 201, value: model.state.outputs[path] };
}

function removeOutput({ model, parts: [, channel, , name] }) {
  model.set(`outputs/${channel}/${name}`, null);
}

function setOutput({ model, parts: [, channel, , name] }, state) {
  const path = `outputs/${channel}/${name}`;
  const output = model.state.outputs[`${channel}/${name}`];
  if (!output) throw fault(404, `There is no output ${name}`);
  model.set(path, { ...output, state, bitrate_bps: 0 });
}

function addRelay({ model, body }, kind) {
  if (model.state[kind][body.name]) {
    throw fault(409, `${body.name} is there already`, "Choose another name.");
  }
  const { name, stream, mode } = body;
  const url = body.url.replace(/[^/]*$/, "***");
  model.set(`${kind}/${name}`, {
    ...{ name, stream, mode, url, state: "idle", error: null, connects: 0, failures: 0 },
    ...{ bytes: 0, bitrate_bps: 0, lag_ms: 0, dropped: 0 },
  });
  return { status: 201 };
}

function setRelay({ model, parts: [, name] }, kind, state) {
  const relay = model.state[kind][name];
  if (!relay) throw fault(404, `There is no ${name}`);
  model.set(`${kind}/${name}`, { ...relay, state, bitrate_bps: 0 });
}

function addRecording({ model, body }) {
  if (model.state.recordings[body.name]) {
    throw fault(409, `There is a recording ${body.name} already`, "Choose another name.");
  }
  const { name, stream, dir, format } = body;
  model.set(`recordings/${name}`, {
    ...{ name, stream, dir, format, state: "idle", error: null, file: null },
    ...{ files: 0, bytes: 0, dropped: 0 },
  });
  return { status: 201 };
}

function setRecording({ model, parts: [, name] }, state) {
  const recording = model.state.recordings[name];
  if (!recording) throw fault(404, `There is no recording ${name}`);
  model.set(`recordings/${name}`, { ...recording, state, file: null });
}

function kickPublisher({ model, parts: [, app, name] }) {
  model.set(`streams/${app}/${name}`, null);
  model.event("publisher_kicked", `The publisher of ${app}/${name} was disconnected`);
}

function createKey({ model, body }) {
  if (!/^[\w.-]+\/[\w.-]+$/.test(body.stream ?? "")) {
    throw fault(400, "The stream's name is not one", "Write it as app/name, such as live/studio.");
  }
  const now = Date.now();
  const { stream, type = "regular", label = null, owner = null, allowed_ips = [] } = body;
  const expires_at = now + (body.expires_in_s ?? 30 * 86_400) * 1_000;
  const aliases = body.alias ? [body.alias] : [];
  const { bitrate_bps = null, viewers = null, max_width = null, max_height = null } = body;
  const limits = { bitrate_bps, viewers, max_width, max_height, max_fps: body.max_fps ?? null };
  const rights = { ...limits, allowed_ips, takeover: body.takeover ?? false };
  const made = { type, label, owner, aliases, created_at: now, expires_at, ...rights };
  return withSecret(model, key(stream, made));
}

function changeKey({ model, parts: [, id], body }) {
  const old = model.state.keys[id];
  if (!old) throw fault(404, "There is no such key");
  const { expires_in_s, ...change } = body;
  if (expires_in_s === 0) change.expires_at = null;
  else if (expires_in_s) change.expires_at = Date.now() + expires_in_s * 1_000;
  model.set(`keys/${id}`, { ...old, ...change });
  return model.state.keys[id];
}

function rotateKey({ model, parts: [, id], body }) {
  const old = model.state.keys[id];
  if (!old) throw fault(404, "There is no such key");
  const expires_at = Date.now() + (body?.grace_s ?? 0) * 1_000;
  model.set(`keys/${id}`, { ...old, aliases: [], expires_at });
  return withSecret(model, key(old.stream, { ...old, id: randomBytes(8).toString("hex") }));
}

function withSecret(model, made) {
  const secret = randomBytes(32).toString("hex");
  model.set(`keys/${made.id}`, made);
  model.event("key_created", `A key for ${made.stream} was made`);
  const server = `rtmp://127.0.0.1:${model.state.node.rtmp_port}/live`;
  return { status: 201, value: { key: made, secret, server, stream_key: secret } };
}

function revoke(model, id) {
  model.set(`keys/${id}`, { ...model.state.keys[id], revoked: true });
  model.event("key_revoked", `A key for ${model.state.keys[id].stream} was revoked`);
}

async function bytesOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function bodyOf(request) {
  const bytes = await bytesOf(request);
  return bytes.length > 0 ? JSON.parse(bytes) : undefined;
}

function assets(model) {
  const all = [...model.assets.values()].sort((a, b) => a.name.localeCompare(b.name));
  return {
    folder: "./data/assets",
    bytes: all.reduce((sum, asset) => sum + asset.bytes, 0),
    total_bytes_max: 4 * 2 ** 30,
    file_bytes_max: 64 * 2 ** 20,
    files_max: 1000,
    assets: all.map(({ picture, ...asset }) => asset),
  };
}

function thumbnail({ model, parts }) {
  const picture = model.assets.get(parts[1])?.picture;
  if (!picture) throw fault(404, "There is no such picture");
  return { type: "image/png", bytes: picture };
}

function putAsset({ model, parts: [, name], body }) {
  const kind = /\.[ot]tf$/.test(name) ? "font" : /\.(png|svg)$/.test(name) ? "image" : "video";
  if (kind === "image" && body.length < 20)
    throw fault(400, `${name} cannot be used: it is cut off`);
  const asset = { name, path: `./data/assets/${name}`, kind, bytes: body.length };
  model.assets.set(name, { ...asset, changed_at: Date.now(), picture: body });
  model.event("asset_uploaded", `asset ${name} was uploaded`);
}

function removeAsset({ model, parts: [, name] }) {
  if (!model.assets.has(name)) throw fault(404, `There is no asset ${name}`);
  if (name === "logo.png") throw fault(409, "logo.png is shown by scene main of channel demo");
  model.assets.delete(name);
}

function send(response, answer) {
  if (answer === undefined) return response.writeHead(204).end();
  if (typeof answer === "string") {
    return response.writeHead(200, { "Content-Type": "text/plain" }).end(answer);
  }
  if (answer.type) {
    return response.writeHead(200, { "Content-Type": answer.type }).end(answer.bytes);
  }
  const { status, value } = answer.value ? answer : { status: 200, value: answer };
  response.writeHead(status, { "Content-Type": "application/json" });
  return response.end(JSON.stringify(value));
}

function problem(response, status, title, hint = "") {
  response.writeHead(status, { "Content-Type": "application/problem+json" });
  response.end(JSON.stringify({ type: "about:blank", title, status, detail: "", hint }));
}

const fault = (status, text, hint) => Object.assign(new Error(text), { status, hint });
