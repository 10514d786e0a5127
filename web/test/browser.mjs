// Chromium without a window and with a profile of its own, and what the scenarios do with it.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

/** What a page may take to show something. */
const PATIENCE_MS = 20_000;

const FLAGS = [
  ...["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
  ...["--disable-dev-shm-usage", "--autoplay-policy=user-gesture-required", "--lang=en-GB"],
];

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

export class Browser {
  static async start(executablePath, out) {
    const profile = mkdtempSync(join(tmpdir(), "dashboard-"));
    const chromium = await puppeteer.launch({
      ...{ executablePath, userDataDir: profile, args: FLAGS, headless: true },
      defaultViewport: { width: 1440, height: 900 },
    });
    const browser = new Browser(chromium, profile, out);
    browser.page = await chromium.newPage();
    await browser.page.setBypassServiceWorker(true);
    browser.listen();
    return browser;
  }

  constructor(chromium, profile, out) {
    Object.assign(this, { chromium, profile, out, faults: [], hosts: new Set() });
  }

  async end() {
    await this.chromium.close();
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Everything a page should not do is a fault: errors, refused content, foreign requests. */
  listen() {
    this.page.on("pageerror", (error) => this.faults.push(`error: ${error.message}`));
    this.page.on("console", (message) => {
      const text = message.text();
      // A request that fails while the node is away is what the dashboard is there to bear.
      if (message.type() === "error" && !/Failed to load|ERR_|WebSocket/.test(text)) {
        this.faults.push(`console: ${text}`);
      }
      if (/Content Security Policy/i.test(text)) this.faults.push(`policy: ${text}`);
    });
    this.page.on("request", (request) => {
      const { protocol, hostname } = new URL(request.url());
      if (/^(http|ws)/.test(protocol)) this.hosts.add(hostname);
    });
  }

  expectNoFaults() {
    if (this.faults.length > 0) throw new Error(this.faults.join("\n"));
  }

  async open(node, place = "") {
    await this.page.goto(`${node.base}/#${node.token}`);
    await this.see('[data-state="live"]');
    if (place) await this.go(place);
  }

  async go(place) {
    await this.page.evaluate((to) => {
      location.hash = to;
    }, `#/${place}`);
  }

  /** Waits until `selector` is visible. */
  see(selector) {
    return this.page.waitForSelector(selector, { visible: true, timeout: PATIENCE_MS });
  }

  unsee(selector) {
    return this.page.waitForSelector(selector, { hidden: true, timeout: PATIENCE_MS });
  }

  /** Waits until `selector`'s text has `words` in it. */
  read(selector, words) {
    return this.until(
      (at, text) => document.querySelector(at)?.textContent.includes(text),
      selector,
      words,
    );
  }

  until(condition, ...details) {
    return this.page.waitForFunction(condition, { timeout: PATIENCE_MS, polling: 100 }, ...details);
  }

  /** Clicks a button by its text or its label. */
  async press(name, within = "body") {
    const handle = await this.until(
      (place, text) =>
        [...document.querySelectorAll(`${place} button`)].find(
          (one) =>
            !one.disabled && (one.textContent.trim() === text || one.ariaLabel?.startsWith(text)),
        ),
      within,
      name,
    );
    await handle.asElement().click();
  }

  async fill(label, text) {
    const id = await this.until(
      (words) =>
        [...document.querySelectorAll("label")].find((one) => one.textContent.trim() === words)
          ?.htmlFor,
      label,
    );
    const field = await this.see(`[id="${await id.jsonValue()}"]`);
    const isSelect = await field.evaluate((one) => one.matches("select"));
    if (isSelect) await field.select(text);
    else await field.type(text);
  }

  text(selector = "body") {
    return this.page.$eval(selector, (one) => one.innerText);
  }

  screenshot(name, options = {}) {
    return this.page.screenshot({ path: join(this.out, `${name}.png`), ...options });
  }

  /** What axe finds wrong, as lines. The policy keeps scripts out; the debugger's own go in. */
  async accessibilityFaults() {
    await this.page.evaluate(readFileSync(AXE, "utf8"));
    return await this.page.evaluate(async () => {
      const { violations } = await globalThis.axe.run(document, {
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      });
      return violations.flatMap(({ id, nodes }) =>
        nodes.map((one) => `${id}: ${one.html.slice(0, 160)} (${one.failureSummary})`),
      );
    });
  }

  /** Follows the tab key and returns what has the focus at each step. */
  async tabOrder(steps) {
    const names = [];
    for (let i = 0; i < steps; i++) {
      await this.page.keyboard.press("Tab");
      names.push(
        await this.page.evaluate(() => {
          const { ariaLabel, textContent } = document.activeElement;
          return (ariaLabel ?? textContent).trim();
        }),
      );
    }
    return names;
  }
}
