// The node that is tested: the mock, or a real one somewhere, with a way to kill it and bring it
// back.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MOCK = fileURLToPath(new URL("../mock/server.mjs", import.meta.url));
const PATIENCE_MS = 30_000;
const POLL_MS = 100;

class Node {
  constructor(base, token) {
    Object.assign(this, { base: base.replace(/\/$/, ""), token, canDie: true });
  }

  async get(path) {
    const answer = await this.ask("GET", path);
    return await answer.json();
  }

  post(path) {
    return this.ask("POST", path);
  }

  async ask(method, path) {
    const headers = { Authorization: `Bearer ${this.token}` };
    const answer = await fetch(`${this.base}/api/v1${path}`, { method, headers });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }

  /** It lives, but does nothing: as unreachable as if its power were gone. */
  freeze() {
    process.kill(this.processId(), "SIGSTOP");
  }

  thaw() {
    process.kill(this.processId(), "SIGCONT");
  }

  async answers() {
    const deadline = Date.now() + PATIENCE_MS;
    while (Date.now() < deadline) {
      const answer = await fetch(`${this.base}/healthz`).catch(() => null);
      if (answer?.ok) return;
      await new Promise((resume) => setTimeout(resume, POLL_MS));
    }
    throw new Error(`${this.base} does not answer`);
  }
}

export class MockNode extends Node {
  static async start(...more) {
    const [http, flv] = [await freePort(), await freePort()];
    const node = new MockNode(`http://127.0.0.1:${http}`, "mock-token");
    node.args = ["--port", String(http), "--flv-port", String(flv), "--token", node.token, ...more];
    await node.revive();
    return node;
  }

  async kill() {
    const ended = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await ended;
  }

  async revive() {
    const stdio = ["ignore", "ignore", "inherit"];
    this.child = spawn(process.execPath, [MOCK, ...this.args], { stdio });
    await this.answers();
  }

  processId() {
    return this.child.pid;
  }

  end() {
    return this.kill();
  }
}

export class RealNode extends Node {
  constructor(base, token, pid, command) {
    super(base, token);
    Object.assign(this, { pid: Number(pid), command, canDie: Boolean(pid && command) });
  }

  processId() {
    return this.child?.pid ?? this.pid;
  }

  kill() {
    process.kill(this.processId(), "SIGKILL");
  }

  async revive() {
    const options = { stdio: "inherit", shell: "/bin/sh" };
    this.child = spawn(`exec ${this.command}`, options);
    await this.answers();
  }

  async end() {
    if (!this.child) return;
    const ended = once(this.child, "exit");
    this.child.kill("SIGTERM");
    await ended;
  }
}

/** The program itself, on free ports and in a folder of its own. */
export class Program extends RealNode {
  static async start(program) {
    const folder = mkdtempSync(join(tmpdir(), "dashboard-"));
    const [http, rtmp] = [await freePort(), await freePort()];
    const ports = `--http-port ${http} --rtmp-port ${rtmp}`;
    const command = `${program} run ${ports} --bind 127.0.0.1 --data-dir ${folder} >/dev/null 2>&1`;
    const node = new Program(`http://127.0.0.1:${http}`, "", 1, command);
    node.folder = folder;
    await node.revive();
    node.token = readFileSync(join(folder, "api-token"), "utf8").trim();
    return node;
  }

  async end() {
    await super.end();
    rmSync(this.folder, { recursive: true });
  }
}

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
