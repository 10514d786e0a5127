// obs-websocket-js, which Companion and many bots are made with, against the program: in JSON as
// browsers have it, and in MessagePack as Node.js has it.
//
//   node test/obs-websocket.mjs PROGRAM
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import JsonClient from "obs-websocket-js/json";
import MessagePackClient, { EventSubscription } from "obs-websocket-js/msgpack";
import { freePort } from "./node.mjs";

const LIMIT_MS = 20_000;
const POLL_MS = 100;

const CONFIG = `
[rtmp]
bind = "127.0.0.1"
port = RTMP
[http]
port = HTTP
[obs_websocket]
enabled = true
port = OBS
[[channel]]
name = "show"
[channel.video]
width = 320
height = 180
[[channel.scene]]
name = "live"
[[channel.scene.layer]]
name = "title"
type = "text"
text = "live"
[[channel.scene]]
name = "break"
[[channel.scene.layer]]
name = "title"
type = "text"
text = "back soon"
[[channel.audio_source]]
name = "music"
type = "tone"
`;

async function main(program) {
  const folder = mkdtempSync(join(tmpdir(), "obs-websocket-"));
  const ports = { RTMP: await freePort(), HTTP: await freePort(), OBS: await freePort() };
  const text = CONFIG.replace(/RTMP|HTTP|OBS/g, (name) => ports[name]);
  const config = join(folder, "node.toml");
  writeFileSync(config, text);
  const stdio = ["ignore", "ignore", "inherit"];
  const node = spawn(program, ["run", "--config", config, "--data-dir", folder], { stdio });
  try {
    const url = `ws://127.0.0.1:${ports.OBS}`;
    const password = join(folder, "obs-websocket-password");
    await until(() => existsSync(password));
    for (const [name, Client] of [
      ["JSON", JsonClient],
      ["MessagePack", MessagePackClient],
    ]) {
      await controls(new Client(), url, readFileSync(password, "utf8").trim());
      console.log(`ok      obs-websocket-js controls a channel in ${name}`);
    }
  } finally {
    const ended = once(node, "exit");
    node.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true });
  }
}

async function controls(obs, url, password) {
  await assert.rejects(
    until(() => obs.connect(url, "a wrong password")),
    { code: 4009 },
  );
  const wanted = EventSubscription.Scenes | EventSubscription.SceneItems | EventSubscription.Inputs;
  const hello = await obs.connect(url, password, { rpcVersion: 1, eventSubscriptions: wanted });
  assert.equal(hello.negotiatedRpcVersion, 1);
  await obs.call("SetCurrentProgramScene", { sceneName: "live" });
  const changed = new Promise((resume) => {
    // Of the scene before there may be an event on its way.
    obs.on("CurrentProgramSceneChanged", ({ sceneName }) => sceneName === "break" && resume());
  });
  await obs.call("SetCurrentProgramScene", { sceneName: "break" });
  await within(changed);
  const { currentProgramSceneName, scenes } = await obs.call("GetSceneList");
  assert.equal(currentProgramSceneName, "break");
  assert.deepEqual(
    scenes.map((scene) => scene.sceneName),
    ["break", "live"],
  );
  const input = { inputName: "title", inputSettings: { text: "round two" } };
  await obs.call("SetInputSettings", input);
  const { inputSettings } = await obs.call("GetInputSettings", { inputName: "title" });
  assert.equal(inputSettings.text, "round two");
  const results = await obs.callBatch([
    { requestType: "GetSceneItemId", requestData: { sceneName: "live", sourceName: "title" } },
    { requestType: "GetSceneItemId", requestData: { sceneName: "live", sourceName: "nothing" } },
  ]);
  assert.deepEqual(
    results.map((result) => result.requestStatus.code),
    [100, 600],
  );
  const { sceneItemId } = results[0].responseData;
  const hidden = once(obs, "SceneItemEnableStateChanged");
  const item = { sceneName: "live", sceneItemId, sceneItemEnabled: false };
  await obs.call("SetSceneItemEnabled", item);
  assert.equal((await within(hidden))[0].sceneItemEnabled, false);
  await obs.call("SetSceneItemEnabled", { ...item, sceneItemEnabled: true });
  const quieter = once(obs, "InputVolumeChanged");
  await obs.call("SetInputVolume", { inputName: "music", inputVolumeDb: -20 });
  assert.equal((await within(quieter))[0].inputVolumeMul.toFixed(3), "0.100");
  await obs.call("SetInputVolume", { inputName: "music", inputVolumeMul: 1 });
  assert.equal((await obs.call("GetInputVolume", { inputName: "music" })).inputVolumeDb, 0);
  const muted = once(obs, "InputMuteStateChanged");
  await obs.call("ToggleInputMute", { inputName: "music" });
  assert.equal((await within(muted))[0].inputMuted, true);
  await obs.call("SetInputMute", { inputName: "music", inputMuted: false });
  assert.equal((await obs.call("GetInputMute", { inputName: "music" })).inputMuted, false);
  await assert.rejects(obs.call("StartStream"), /channel\.output/);
  await obs.disconnect();
}

/** What `what` gives, once it gives something. A port that is not there yet is asked again. */
async function until(what) {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    try {
      const found = await what();
      if (found) return found;
    } catch (error) {
      // 1006: nobody listens yet.
      if (error.code !== 1006 || Date.now() > deadline) throw error;
    }
    if (Date.now() > deadline) throw new Error("it takes too long");
    await new Promise((resume) => setTimeout(resume, POLL_MS));
  }
}

function within(event) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error("no event came")), LIMIT_MS).unref();
  });
  return Promise.race([event, late]);
}

await main(process.argv[2]);
