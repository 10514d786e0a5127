// The connection to the node: asks who it is, opens the WebSocket, and comes back by itself after
// a loss, from the message after the last one it has.

import { get, Problem, token } from "./api";
import type { Message, NodeInfo } from "./types";

/** Waits between attempts, milliseconds. The last one repeats. */
export const BACK_OFF_MS = [500, 1_000, 2_000, 3_000, 5_000] as const;

/** Silence after which the node is asked whether it is there. It sends figures every second. */
const SILENCE_MS = 5_000;

/** Time for that answer. */
const PROBE_MS = 3_000;

const WATCH_MS = 1_000;

export interface LinkEvents {
  /** The node answered; the messages that follow continue from what is known, or start anew. */
  live(node: NodeInfo, isSameRun: boolean): void;
  message(message: Message): void;
  /** It is gone, since `since`; the next attempt is at `retryAt`. */
  lost(since: number, retryAt: number): void;
  /** The token is missing or not accepted. */
  denied(): void;
}

export class Link {
  private socket: WebSocket | null = null;
  private startedAt = 0;
  private seq = 0;
  private heardAt = 0;
  private lostSince = 0;
  private attempts = 0;
  private retry: number | undefined;
  private watch: number | undefined;
  private isConnecting = false;
  private isClosed = false;

  constructor(private readonly events: LinkEvents) {
    addEventListener("online", () => this.now());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && !this.socket) this.now();
    });
  }

  /** Begins, or makes the next attempt at once. */
  now(): void {
    this.isClosed = false;
    if (this.socket || this.isConnecting) return;
    clearTimeout(this.retry);
    this.isConnecting = true;
    void this.connect().finally(() => {
      this.isConnecting = false;
    });
  }

  close(): void {
    this.isClosed = true;
    this.seq = 0;
    this.startedAt = 0;
    clearTimeout(this.retry);
    this.drop();
  }

  private async connect(): Promise<void> {
    let node: NodeInfo;
    try {
      node = await get<NodeInfo>("/node");
    } catch (error) {
      if (this.isClosed) return;
      const status = error instanceof Problem ? error.status : 0;
      if (status === 401 || status === 403) this.events.denied();
      else this.lose();
      return;
    }
    if (!this.isClosed) this.open(node);
  }

  private open(node: NodeInfo): void {
    // A node that was restarted counts from the beginning: its numbers are not ours.
    const isSameRun = node.started_at === this.startedAt;
    this.startedAt = node.started_at;
    if (!isSameRun) this.seq = 0;
    const since = this.seq > 0 ? `?since=${this.seq}` : "";
    const address = new URL(`/ws${since}`, location.href.replace(/^http/, "ws"));
    const socket = new WebSocket(address, ["stream-manager", `bearer.${token()}`]);
    this.socket = socket;
    this.heardAt = Date.now();
    socket.onopen = () => {
      this.attempts = 0;
      this.lostSince = 0;
      this.heardAt = Date.now();
      this.events.live(node, isSameRun);
    };
    socket.onmessage = (event: MessageEvent<string>) => {
      this.heardAt = Date.now();
      const message = JSON.parse(event.data) as Message;
      this.seq = message.seq;
      this.events.message(message);
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.drop();
      this.lose();
    };
    this.watch = window.setInterval(() => void this.listen(socket), WATCH_MS);
  }

  /** A machine that lost its power closes nothing: silence is answered with a question. */
  private async listen(socket: WebSocket): Promise<void> {
    if (Date.now() - this.heardAt < SILENCE_MS) return;
    const heardAt = this.heardAt;
    clearInterval(this.watch);
    const isThere = await fetch("/healthz", { signal: AbortSignal.timeout(PROBE_MS) })
      .then((answer) => answer.ok)
      .catch(() => false);
    if (this.socket !== socket) return;
    if (isThere) {
      this.heardAt = Math.max(this.heardAt, Date.now());
      this.watch = window.setInterval(() => void this.listen(socket), WATCH_MS);
      return;
    }
    this.drop();
    this.lose(heardAt);
  }

  private lose(since = Date.now()): void {
    if (this.isClosed) return;
    this.lostSince ||= since;
    const wait = BACK_OFF_MS[Math.min(this.attempts, BACK_OFF_MS.length - 1)] ?? 5_000;
    this.attempts += 1;
    // Many dashboards lose the same node at once and should not come back at once.
    const pause = wait * (0.8 + Math.random() * 0.4);
    clearTimeout(this.retry);
    this.retry = window.setTimeout(() => this.now(), pause);
    this.events.lost(this.lostSince, Date.now() + pause);
  }

  private drop(): void {
    clearInterval(this.watch);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }
}
