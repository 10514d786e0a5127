// What the dashboard must do, each in a browser of its own.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { MockNode } from "./node.mjs";

const PHONE = { width: 390, height: 844, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const DESKTOP = { width: 1440, height: 1000 };
const VIEWS = [
  "programme",
  "streams",
  "outputs",
  "relays",
  "recordings",
  "assets",
  "keys",
  "events",
  "node",
];
const PICTURE = fileURLToPath(
  new URL("../../docs/scenes/images-wide-contain.png", import.meta.url),
);
const HEX_64 = /[0-9a-f]{64}/;

export const SCENARIOS = [
  ["the token leaves the address and is asked for when it is missing", tokens],
  ["the preview of the programme plays", programmePlays],
  ["the dearest layers of a programme are told", dearestLayers],
  ["the audio of a programme is mixed and metered", audioMixed],
  ["the preview of a stream plays and is no viewer", streamPlays],
  ["the picture's controls leave with the mouse", controlsLeave],
  ["an address that makes no sense is borne", oddAddresses],
  ["video is compared with its target, and dropped frames are shown by hour", encoderFigures],
  ["an output leads to its last errors", outputErrors],
  ["a scene is switched", sceneSwitches],
  ["a scene is taken from preview", previewIsTaken],
  ["a scene in preview that cannot be shown says why", previewFails],
  ["an output is added, stopped, started and removed", outputsChange],
  ["a pull and a push are added, stopped, started and removed", relaysChange],
  ["a push of another rendition says so", substitutedRendition],
  ["a file is uploaded, seen and deleted", assetsChange],
  ["a recording is added, stopped, started and removed", recordingsChange],
  ["a key is created with its secret shown once, rotated, revoked and deleted", keysChange],
  // Before the node is killed and hangs, which costs it frames.
  ["pictures of the dashboard", pictures],
  ["a killed node is shown as unreachable and comes back by itself", nodeComesBack],
  ["a node that hangs is shown as unreachable and comes back", nodeHangs],
  ["a cut connection goes on where it ended", cutIsResumed],
  ["a token that may only read is shown nothing to press", readOnly],
  ["charts fill and name their figures", chartsFill],
  ["views are accessible, in the dark and in the light", accessible],
  ["the keyboard reaches everything in order", keyboard],
  ["nothing is wider than a phone", phone],
  ["an empty node says what to do next", emptyNode],
];

async function tokens(browser, node) {
  const { page } = browser;
  await browser.open(node);
  assert.equal(new URL(page.url()).hash, "", "the token is not in the address");
  await browser.press("Sign out");
  await browser.fill("Token", "wrong");
  await browser.press("Sign in");
  await browser.read("[role=alert]", "does not accept");
  await page.$eval("#token", (field) => {
    field.value = "";
  });
  await browser.fill("Token", node.token);
  await browser.press("Sign in");
  await browser.see('[data-state="live"]');
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage }));
  assert(!kept.includes(node.token), "the token lasts no longer than the tab");
}

async function programmePlays(browser, node) {
  await browser.open(node);
  const frames = await playing(browser);
  const { hostname } = new URL(node.base);
  assert.deepEqual([...browser.hosts], [hostname], "nothing is asked of anybody else");
  return `${frames} frames decoded`;
}

async function dearestLayers(browser, node) {
  const [channel] = await node.get("/channels");
  const { layers } = await node.get(`/channels/${encodeURIComponent(channel.name)}/composition`);
  assert(layers.length > 0 && layers[0].us_per_frame > 0, "layers have costs");
  await browser.open(node);
  await browser.read(".composition", layers[0].name);
  await browser.read(".composition .figures", "of a core");
  const shown = await browser.page.$$eval(".composition tbody tr", (rows) => rows.length);
  assert.equal(shown, Math.min(layers.length, 6));
  return `${shown} layers`;
}

async function audioMixed(browser, node) {
  const [channel] = await node.get("/channels");
  const at = `/channels/${encodeURIComponent(channel.name)}/audio`;
  const [{ name, mute }] = (await node.get(at)).sources;
  await browser.open(node);
  const strip = `.strip[data-source="${name}"]`;
  await browser.see(`${strip} meter`);
  await browser.press("Mute", strip);
  await browser.see(`${strip} button[aria-pressed="${!mute}"]`);
  assert.equal((await node.get(at)).sources[0].mute, !mute, "it is muted");
  await browser.press("Mute", strip);
  await browser.page.$eval(`${strip} input[type=range]`, (fader) => {
    fader.value = "-7";
    fader.dispatchEvent(new Event("input", { bubbles: true }));
    fader.dispatchEvent(new Event("change", { bubbles: true }));
  });
  await browser.read(strip, "-7 dB");
  assert.equal((await node.get(at)).sources[0].gain_db, -7, "the fader is where it was put");
  await browser.read(".strip.bus", "LUFS");
}

async function streamPlays(browser, node) {
  const [channel] = await node.get("/channels");
  await browser.open(node, "streams");
  await browser.read("main", channel.stream);
  await browser.go(`streams/${channel.stream}`);
  const frames = await playing(browser);
  await browser.read(".viewers", "Nobody is watching");
  await browser.read(".detail .figures", "1 preview");
  await browser.see(".latency .stages rect.work");
  await browser.read('.latency tr[data-stage="encode"]', "ms");
  if (node instanceof MockNode) {
    await browser.read(".latency .origin", "Half within 142");
    await browser.read(".latency .origin", "synchronised, and off by 1.8");
    await browser.read(".latency .at-publisher", "38 ms from there to here");
    await browser.read(".latency .at-publisher", "12 were drawn too late");
  }
  return `${frames} frames decoded`;
}

/** Waits until pictures are shown and go on; the number of those decoded. */
async function playing(browser) {
  await browser.see('.monitor[data-phase="playing"]');
  const before = await film(browser);
  await browser.until(({ time, frames, audio }) => {
    const video = document.querySelector("video");
    const { totalVideoFrames } = video.getVideoPlaybackQuality();
    const isHeard = video.webkitAudioDecodedByteCount > audio;
    return video.currentTime > time + 1 && totalVideoFrames > frames + 10 && isHeard;
  }, before);
  const { frames, width } = await film(browser);
  assert(width > 0, "the picture has a size");
  return frames;
}

function film(browser) {
  return browser.page.$eval("video", (video) => ({
    time: video.currentTime,
    frames: video.getVideoPlaybackQuality().totalVideoFrames,
    audio: video.webkitAudioDecodedByteCount,
    width: video.videoWidth,
  }));
}

async function controlsLeave(browser, node) {
  const { page } = browser;
  await browser.open(node);
  await playing(browser);
  const isShown = (wanted) =>
    browser.until(
      (want) => (getComputedStyle(document.querySelector(".monitor-bar")).opacity === "1") === want,
      wanted,
    );
  await page.mouse.move(2, 2);
  await isShown(false);
  await page.hover(".monitor");
  await isShown(true);
  // A button that was clicked keeps the focus, which is no reason to stay.
  await browser.press("Audio");
  await page.mouse.move(2, 2);
  await isShown(false);
  await page.focus("main a");
  for (let tabs = 0; tabs < 40; tabs += 1) {
    if (await page.evaluate(() => document.activeElement.closest(".monitor") !== null)) break;
    await page.keyboard.press(tabs < 20 ? "Tab" : "Shift+Tab");
  }
  await isShown(true);
}

async function oddAddresses(browser, node) {
  const { page } = browser;
  await browser.open(node);
  for (const hash of ["#/streams/%E0%A4%A", "#/%", "#%zz", "#/nowhere/%2", "#//"]) {
    await page.evaluate((to) => {
      location.hash = to;
    }, hash);
    await browser.see("main .panel, main .empty");
    await page.goto(`${node.base}/?${Math.random()}${hash}`);
    await browser.see('[data-state="live"]');
    await browser.see("main .panel, main .empty");
  }
}

async function encoderFigures(browser, node) {
  await browser.open(node);
  await browser.read(".encoder", "Video bitrate");
  await browser.read(".encoder", "with audio");
  const bars = await browser.page.$$eval(".hours rect", (all) => all.length);
  assert.equal(bars, 24);
  if (!(node instanceof MockNode)) return "the figures are left out: they need the mock";
  const [channel] = await node.get("/channels");
  assert(channel.bitrate_bps > channel.video_bps);
  await browser.read(".hours .small-text", ": 60");
  await browser.read(".encoder", "like superfast");
  await browser.read(".encoder", "frames waited for the encoder, 3 late");
  return undefined;
}

async function outputErrors(browser, node) {
  if (!(node instanceof MockNode)) return "left out: it needs the mock";
  await browser.open(node, "outputs");
  await (await browser.see('[data-output="demo/backup"] .problem a')).click();
  await browser.read("main h2", "Events of output demo/backup");
  await browser.read(".events", "output backup of channel demo failed");
  assert.equal((await browser.page.$$(".events li")).length, 1, "neither others nor the push");
  await browser.press("All", ".panel");
  await browser.page.click("main .panel header a");
  await browser.read(".events", "push backup failed");
  return undefined;
}

async function sceneSwitches(browser, node) {
  const [{ name, scene, scenes }] = await node.get("/channels");
  const other = scenes.find((one) => one !== scene);
  assert(other, "the node has a second scene");
  await browser.open(node, `programme/${encodeURIComponent(name)}`);
  await onAir(browser, scene);
  await browser.page.click(".studio-switch");
  await pressScene(browser, other);
  await onAir(browser, other);
  const [after] = await node.get("/channels");
  assert.equal(after.scene, other, "the node shows it too");
  await browser.press("½ s");
  await pressScene(browser, scene);
  await onAir(browser, scene);
}

async function previewIsTaken(browser, node) {
  const { page } = browser;
  const [{ name, scene, scenes }] = await node.get("/channels");
  const other = scenes.find((one) => one !== scene);
  await browser.open(node, `programme/${encodeURIComponent(name)}`);
  await onAir(browser, scene);
  if (!(await page.$eval(".studio-switch", (box) => box.checked))) {
    await page.click(".studio-switch");
  }
  await pressScene(browser, other);
  await browser.read(".preview-bus", other);
  await browser.read(".preview-bus", "Ready");
  for (const bus of ["preview", "programme"]) await browser.see(`.${bus}-bus img:not([hidden])`);
  await onAir(browser, scene);
  await browser.press("Cut", ".studio");
  await onAir(browser, other);
  await browser.read(".preview-bus", scene);
  await browser.read(".preview-bus", "Ready");
  await page.focus(".studio");
  await page.keyboard.press("Space");
  await onAir(browser, scene);
  const [after] = await node.get("/channels");
  assert.equal(after.scene, scene, "the node shows it too");
}

async function previewFails(browser, node) {
  if (!(node instanceof MockNode)) return "left out: it needs the mock";
  await browser.open(node, "programme/demo");
  await pressScene(browser, "Break");
  await browser.read(".preview-bus", "Failed");
  await browser.read(".studio-reason", "cannot read logo.png");
  return undefined;
}

async function pressScene(browser, scene) {
  const handle = await browser.until(
    (name) =>
      [...document.querySelectorAll(".scene")].find(
        (one) => !one.disabled && one.querySelector(".scene-name").textContent === name,
      ),
    scene,
  );
  await handle.asElement().click();
}

function onAir(browser, scene) {
  return browser.until(
    (name) =>
      document.querySelector('.scene[aria-pressed="true"] .scene-name')?.textContent === name,
    scene,
  );
}

async function outputsChange(browser, node) {
  const [{ name: channel }] = await node.get("/channels");
  await browser.open(node, "outputs");
  await browser.press("Add output");
  await browser.fill("Name", "second");
  await browser.fill("Server", "rtmp://127.0.0.1:9/app");
  await browser.fill("Stream key", "a-very-secret-key");
  await browser.press("Add output", "dialog");
  const row = `[data-output="${channel}/second"]`;
  await browser.see(row);
  await browser.unsee("dialog");
  assert(!(await browser.text()).includes("a-very-secret-key"), "its key is not shown");
  await browser.press("Add output");
  await browser.fill("Name", "second");
  await browser.fill("Server", "rtmp://127.0.0.1:9/app");
  await browser.press("Add output", "dialog");
  await browser.until(() => document.querySelector("dialog .problem")?.textContent.length > 10);
  await browser.press("Cancel", "dialog");
  await browser.press("Stop output", row);
  await browser.read(row, "Stopped");
  await browser.press("Start output", row);
  await browser.until((at) => !document.querySelector(at).textContent.includes("Stopped"), row);
  await browser.press("Remove output", row);
  await browser.press("Remove", "dialog");
  await browser.unsee(row);
}

async function relaysChange(browser, node) {
  const [{ stream }] = await node.get("/channels");
  await browser.open(node, "relays");
  for (const kind of ["pull", "push"]) {
    await browser.press(`Add ${kind}`);
    await browser.fill("Name", "second");
    await browser.fill("Stream", kind === "pull" ? "live/second" : stream);
    // Nobody listens at port 1.
    await browser.fill("Server", "rtmp://127.0.0.1:1/live");
    await browser.fill(kind === "pull" ? "Stream name there" : "Stream key", "s3cret-of-it");
    await browser.press(`Add ${kind}`, "dialog");
    const row = `[data-${kind}="second"]`;
    await browser.see(row);
    await browser.unsee("dialog");
    if (kind === "push" && !(node instanceof MockNode)) {
      await browser.read(row, "Failed");
      await browser.read(`${row} .problem`, "127.0.0.1:1");
    }
    assert(!(await browser.page.content()).includes("s3cret-of-it"));
    await browser.press(`Stop ${kind}`, row);
    await browser.read(row, "Stopped");
    await browser.press(`Start ${kind}`, row);
    await browser.until((at) => !document.querySelector(at).textContent.includes("Stopped"), row);
    await browser.press(`Remove ${kind}`, row);
    await browser.press("Remove", "dialog");
    await browser.unsee(row);
  }
}

async function substitutedRendition(browser, node) {
  if (!(node instanceof MockNode)) return "left out: it needs the mock";
  await browser.open(node, "relays");
  await browser.read('[data-push="up"] .substitute', "sends live/demo_h264");
}

async function recordingsChange(browser, node) {
  const [{ stream }] = await node.get("/channels");
  await browser.open(node, "recordings");
  await browser.press("Add recording");
  await browser.fill("Name", "second");
  await browser.fill("Stream", stream);
  await browser.fill("Folder", "/proc/nowhere");
  await browser.press("Add recording", "dialog");
  const row = '[data-recording="second"]';
  await browser.see(row);
  await browser.unsee("dialog");
  // What cannot be written is told with its folder for as long as it lasts.
  if (!(node instanceof MockNode)) {
    await browser.read(row, "Failed");
    await browser.read(`${row} .problem`, "/proc/nowhere");
  }
  await browser.press("Add recording");
  await browser.fill("Name", "second");
  await browser.fill("Stream", stream);
  await browser.fill("Folder", "/proc/nowhere");
  await browser.press("Add recording", "dialog");
  await browser.until(() => document.querySelector("dialog .problem")?.textContent.length > 10);
  await browser.press("Cancel", "dialog");
  await browser.press("Stop recording", row);
  await browser.read(row, "Stopped");
  await browser.press("Start recording", row);
  await browser.until((at) => !document.querySelector(at).textContent.includes("Stopped"), row);
  await browser.press("Remove recording", row);
  await browser.press("Remove", "dialog");
  await browser.unsee(row);
}

async function assetsChange(browser, node) {
  await browser.open(node, "assets");
  await browser.see(".drop");
  const input = await browser.page.$('input[type="file"]');
  await input.uploadFile(PICTURE);
  const card = '[data-asset="images-wide-contain.png"]';
  await browser.see(`${card} img`);
  await browser.until((at) => document.querySelector(at)?.naturalWidth > 0, `${card} img`);
  await browser.read(".room", "1");
  await browser.press("Delete images-wide-contain.png", card);
  await browser.press("Delete", "dialog");
  await browser.unsee(card);
}

async function keysChange(browser, node) {
  await browser.open(node, "keys");
  await browser.press("Create key");
  await browser.fill("Stream", "live/test-show");
  await browser.fill("Label", "Browser test");
  await browser.page.click("dialog summary");
  await browser.fill("Bitrate, kb/s", "2500");
  await browser.fill("Viewers", "7");
  await browser.fill("Width, pixels", "1280");
  await browser.fill("Height, pixels", "720");
  await browser.fill("Frames per second", "30");
  await browser.press("Create key", "dialog");
  const secret = await shownSecret(browser);
  const before = await keyOf(node, "live/test-show");
  const row = `[data-key="${before.id}"]`;
  await browser.read(row, "Valid");
  await browser.read(row, "2.50 Mb/s, 7 viewers, 1280×720, 30 fps");
  const { bitrate_bps, viewers, max_width, max_height, max_fps, takeover } = before;
  const limits = [bitrate_bps, viewers, max_width, max_height, max_fps, takeover];
  assert.deepEqual(limits, [2_500_000, 7, 1_280, 720, 30, false]);

  await browser.press("Edit key", row);
  await browser.fill("Owner", "Somebody");
  await browser.press("Save", "dialog");
  await browser.read(row, "Somebody");
  const edited = await keyOf(node, "live/test-show");
  const { label, owner } = edited;
  assert.deepEqual([label, owner, edited.viewers], ["Browser test", "Somebody", 7]);

  await browser.press("Rotate key", row);
  await browser.press("Rotate", "dialog");
  const rotated = await shownSecret(browser);
  assert.notEqual(rotated, secret, "another secret");

  const keys = await node.get("/keys");
  const made = keys.filter((key) => key.stream === "live/test-show");
  const fresh = made.find((key) => key.id !== before.id) ?? before;
  const freshRow = `[data-key="${fresh.id}"]`;
  await browser.press("Revoke key", freshRow);
  await browser.press("Revoke", "dialog");
  await browser.read(freshRow, "Revoked");
  for (const { id } of made) {
    await browser.press("Delete key", `[data-key="${id}"]`);
    await browser.press("Delete", "dialog");
    await browser.unsee(`[data-key="${id}"]`);
  }
  const html = await browser.page.content();
  assert(!html.includes(secret) && !html.includes(rotated), "no secret stays in the page");
}

async function keyOf(node, stream) {
  const keys = await node.get("/keys");
  const key = keys.find((one) => one.stream === stream);
  assert(key, `a key for ${stream}`);
  return key;
}

/** The secret in the dialog, which is then closed. */
async function shownSecret(browser) {
  await browser.see('[data-part="secret"]');
  const text = await browser.text("dialog");
  const [secret] = text.match(HEX_64) ?? [];
  assert(secret, "a secret of 64 hex digits is shown");
  assert(/rtmp:\/\//.test(text), "with the server for OBS");
  await browser.screenshot("secret");
  await browser.page.keyboard.press("Escape");
  await browser.page.keyboard.press("Escape");
  await browser.see('[data-part="secret"]');
  await browser.press("Copy the stream key", "dialog");
  await browser.read("dialog", "Copied");
  await browser.page.click('dialog input[type="checkbox"]');
  await browser.press("Close", "dialog");
  await browser.unsee("dialog");
  return secret;
}

async function nodeComesBack(browser, node) {
  if (!node.canDie) return "left out: no --kill-pid and --restart";
  await browser.open(node);
  await playing(browser);
  await node.kill();
  await browser.see('[data-part="lost"]');
  await browser.read('[data-part="lost"]', "Node unreachable since");
  await browser.see('[data-state="lost"]');
  await browser.screenshot("lost");
  await node.revive();
  await browser.see('[data-state="live"]');
  await browser.unsee('[data-part="lost"]');
  await playing(browser);
  await browser.go("events");
  await browser.read(".events", "The node was started again");
  return undefined;
}

async function nodeHangs(browser, node) {
  if (!node.canDie) return "left out: no --kill-pid and --restart";
  await browser.open(node);
  node.freeze();
  try {
    await browser.see('[data-part="lost"]');
  } finally {
    node.thaw();
  }
  await browser.see('[data-state="live"]');
  return undefined;
}

async function cutIsResumed(browser, node) {
  if (!(node instanceof MockNode)) return "left out: it needs the mock";
  const devtools = await browser.page.createCDPSession();
  const asked = [];
  let states = 0;
  devtools.on("Network.webSocketCreated", ({ url }) => {
    const { search } = new URL(url);
    // Levels of audio have a socket of their own.
    if (!search.includes("levels=")) asked.push(search);
  });
  devtools.on("Network.webSocketFrameReceived", ({ response }) => {
    states += response.payloadData.includes('"type":"state"') ? 1 : 0;
  });
  await devtools.send("Network.enable");
  await browser.open(node, "events");
  await node.post("/mock/cut");
  await browser.read(".events", "The node is reachable again");
  assert.equal(asked.length, 2, "one connection and one more");
  assert.match(asked[1], /^\?since=[1-9]/);
  assert.equal(states, 1, "the state was sent once");
  return undefined;
}

async function readOnly(browser, node) {
  if (!(node instanceof MockNode)) return "left out: it needs the mock";
  await browser.open({ base: node.base, token: "mock-read" });
  await browser.read("header", "Read only");
  assert(await browser.page.$eval(".scene", (scene) => scene.disabled));
  for (const view of ["outputs", "relays", "recordings", "keys"]) {
    await browser.go(view);
    await browser.see("main table");
    const buttons = await browser.page.$$eval("main button", (all) => all.length);
    assert.equal(buttons, 0, view);
  }
  await browser.go("assets");
  await browser.see(".assets");
  assert.equal(await browser.page.$$eval("main button", (all) => all.length), 0, "assets");
  return undefined;
}

async function chartsFill(browser, node) {
  await browser.open(node);
  await browser.until(
    () =>
      [...document.querySelectorAll(".chart svg")].filter((one) =>
        /now .* from .* to /.test(one.ariaLabel ?? one.getAttribute("aria-label")),
      ).length === 4,
  );
  await browser.until(() => {
    const lines = [...document.querySelectorAll(".chart .line")];
    return lines.length >= 4 && lines.every((line) => line.getAttribute("d").includes("L"));
  });
}

async function accessible(browser, node) {
  const { page } = browser;
  const faults = [];
  const check = async (where) => {
    for (const fault of await browser.accessibilityFaults()) faults.push(`${where}: ${fault}`);
  };
  await browser.open(node);
  for (const theme of ["dark", "light"]) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
    for (const view of VIEWS) {
      await browser.go(view);
      await browser.see(".panel");
      await check(`${view}, ${theme}`);
    }
    await browser.go("keys");
    await browser.press("Create key");
    await browser.see("dialog");
    await page.click("dialog summary");
    await check(`key dialog, ${theme}`);
    await browser.press("Cancel", "dialog");
  }
  assert.deepEqual(faults, []);
}

async function keyboard(browser, node) {
  const { page } = browser;
  await browser.open(node);
  await browser.see(".scene");
  await page.evaluate(() => document.body.focus());
  const order = await browser.tabOrder(24);
  const places = ["Skip", "Theme", "Sign out", "Programme", "Streams", "Keys", "Node"];
  const found = places.map((name) => order.findIndex((one) => one.startsWith(name)));
  assert(!found.includes(-1), `reached: ${order.join(" | ")}`);
  assert.deepEqual(found, found.toSorted?.((a, b) => a - b) ?? [...found].sort((a, b) => a - b));
  await page.focus("nav a[href='#/keys']");
  await page.keyboard.press("Enter");
  await browser.read("main h2", "Stream keys");
  await page.focus("main .primary");
  await page.keyboard.press("Enter");
  await browser.see("dialog");
  assert(await page.evaluate(() => document.activeElement.closest("dialog") !== null));
  await page.keyboard.press("Escape");
  await browser.unsee("dialog");
  const back = await page.evaluate(() => document.activeElement.textContent);
  assert.equal(back, "Create key", "the focus returns");
}

async function phone(browser, node) {
  const { page } = browser;
  await page.setViewport(PHONE);
  await browser.open(node);
  for (const view of VIEWS) {
    await browser.go(view);
    await browser.see(".panel");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert(wide <= 0, `${view} is ${wide} pixels wider than the phone`);
  }
}

async function emptyNode(browser, node) {
  if (!(node instanceof MockNode)) return "left out: it needs the mock";
  const empty = await MockNode.start("--empty");
  try {
    await browser.open(empty);
    await browser.read("main", "This node has no programme");
    await browser.screenshot("empty");
    await browser.go("streams");
    await browser.read("main", "ffmpeg -re");
    await browser.go("keys");
    await browser.read("main", "No stream keys yet");
  } finally {
    await empty.end();
  }
  return undefined;
}

/** For people to look at, and for the documentation. */
async function pictures(browser, node) {
  const { page } = browser;
  await page.setViewport(DESKTOP);
  await browser.open(node);
  for (const theme of ["dark", "light"]) await desktopPictures(browser, node, theme);
  await page.setViewport(PHONE);
  for (const theme of ["dark", "light"]) await phonePictures(browser, theme);
}

async function desktopPictures(browser, node, theme) {
  const { page } = browser;
  const [channel] = await node.get("/channels");
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
  await browser.go("programme");
  await playing(browser);
  await page.mouse.move(0, 0);
  await browser.until(() => {
    const line = document.querySelector(".chart .line")?.getAttribute("d") ?? "";
    return line.split("L").length > 15;
  });
  await browser.screenshot(`desktop-${theme}`);
  await browser.go(`streams/${channel.stream}`);
  await playing(browser);
  await browser.screenshot(`streams-${theme}`);
  for (const view of ["outputs", "relays", "recordings", "assets", "events", "node", "keys"]) {
    await browser.go(view);
    await browser.see(".panel");
    await browser.screenshot(`${view}-${theme}`);
  }
  await browser.press("Create key");
  await browser.see("dialog");
  await browser.screenshot(`create-key-${theme}`);
  await browser.press("Cancel", "dialog");
}

async function phonePictures(browser, theme) {
  const { page } = browser;
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
  await browser.go("programme");
  await playing(browser);
  await browser.screenshot(`phone-${theme}`);
  await browser.screenshot(`phone-${theme}-whole`, { fullPage: true });
  for (const view of ["outputs", "keys"]) {
    await browser.go(view);
    await browser.see(".panel");
    await browser.screenshot(`phone-${view}-${theme}`, { fullPage: true });
  }
}
