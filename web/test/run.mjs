// The dashboard in headless Chromium, against a node or against the mock.
//
//   node test/run.mjs BASE_URL TOKEN [--kill-pid PID --restart COMMAND] [--out FOLDER]
//   node test/run.mjs --program PROGRAM [--out FOLDER]
//   node test/run.mjs --mock [--out FOLDER]
//
// The node needs a channel with two scenes or more. Without --kill-pid the scenario in which the
// node is killed and comes back is left out, and that is said. COMMAND starts the node again with
// the same addresses and token; what it starts is ended with the test.
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Browser } from "./browser.mjs";
import { MockNode, Program, RealNode } from "./node.mjs";
import { SCENARIOS } from "./scenarios.mjs";

const OUT = fileURLToPath(new URL("../../target/dashboard", import.meta.url));

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    mock: { type: "boolean", default: false },
    program: { type: "string" },
    "kill-pid": { type: "string" },
    restart: { type: "string" },
    out: { type: "string", default: OUT },
    chromium: { type: "string", default: "/usr/bin/chromium" },
  },
});

async function main() {
  mkdirSync(options.out, { recursive: true });
  const node = await nodeToTest();
  let failures = 0;
  try {
    for (const [name, scenario] of SCENARIOS) {
      failures += (await passes(name, scenario, node)) ? 0 : 1;
    }
  } finally {
    await node.end();
  }
  console.log(failures === 0 ? "all good" : `${failures} of ${SCENARIOS.length} failed`);
  process.exitCode = failures === 0 ? 0 : 1;
}

function nodeToTest() {
  if (options.mock) return MockNode.start();
  if (options.program) return Program.start(options.program);
  const [base, token] = positionals;
  if (!base || !token)
    throw new Error("usage: test/run.mjs BASE_URL TOKEN | --program PROGRAM | --mock");
  return new RealNode(base, token, options["kill-pid"], options.restart);
}

/** Runs one scenario in a browser of its own. */
async function passes(name, scenario, node) {
  const browser = await Browser.start(options.chromium, options.out);
  try {
    const note = await scenario(browser, node);
    browser.expectNoFaults();
    console.log(`ok      ${name}${note ? ` (${note})` : ""}`);
    return true;
  } catch (error) {
    console.log(`FAILED  ${name}\n${indented(error.stack ?? String(error))}`);
    await browser.screenshot(`failed-${name.replace(/\W+/g, "-")}`).catch(() => undefined);
    return false;
  } finally {
    await browser.end();
  }
}

const indented = (text) => text.replace(/^/gm, "        ");

await main();
