// A picture of one view of a node's dashboard:
//
//   node test/picture.mjs BASE_URL TOKEN VIEW FILE.png
//
// Of the programme it waits until pictures are played.
import { basename, dirname } from "node:path";
import { Browser } from "./browser.mjs";

const CHROMIUM = "/usr/bin/chromium";
const SIZE = { width: 1200, height: 760 };

const [base, token, view, file] = process.argv.slice(2);
if (!file) throw new Error("usage: test/picture.mjs BASE_URL TOKEN VIEW FILE.png");

const browser = await Browser.start(CHROMIUM, dirname(file));
try {
  await browser.page.setViewport(SIZE);
  await browser.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
  await browser.open({ base, token }, view);
  await browser.see(view === "programme" ? '.monitor[data-phase="playing"]' : ".panel");
  await browser.page.mouse.move(0, 0);
  await browser.screenshot(basename(file, ".png"));
} finally {
  await browser.end();
}
