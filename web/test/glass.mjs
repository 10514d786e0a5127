// Chromium as a player of tools/glass.sh: plays a stream on the dashboard, and hands on the row of
// blocks of each picture that it shows, 160 x 2 pixels of luma.
//
//   node web/test/glass.mjs CHROMIUM HTTP://HOST:PORT TOKEN STREAM TOP HEIGHT OUT
import { openSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { Browser } from "./browser.mjs";

const [executable, base, token, stream, top, height, out] = process.argv.slice(2);

const file = openSync(out, "w");
const browser = await Browser.start(executable, tmpdir());
process.on("SIGTERM", () => browser.end().then(() => process.exit(0)));
await browser.page.exposeFunction("shown", (luma) => {
  try {
    writeSync(file, Buffer.from(luma, "base64"));
  } catch {
    // Whoever measures has seen enough.
    browser.end().then(() => process.exit(0));
  }
});
await browser.open({ base, token }, `streams/${stream}`);
await browser.see('.monitor[data-phase="playing"]');
await browser.page.evaluate(
  (top, height) => {
    const video = document.querySelector(".monitor video");
    const canvas = new OffscreenCanvas(160, 2);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const take = () => {
      context.drawImage(video, 0, top, video.videoWidth, height, 0, 0, 160, 2);
      const { data } = context.getImageData(0, 0, 160, 2);
      const luma = data.filter((_, at) => at % 4 === 1);
      globalThis.shown(btoa(String.fromCharCode(...luma)));
      video.requestVideoFrameCallback(take);
    };
    video.requestVideoFrameCallback(take);
  },
  Number(top),
  Number(height),
);
