// The dashboard's model, and the messages that change it. Views read `model` and are drawn again
// after a change, at most every DRAW_MS.

import { get, Problem, setToken, takeTokenFromAddress, token } from "./api";
import { History } from "./history";
import { Link } from "./link";
import type { Message, NodeEvent, Snapshot } from "./types";

const DRAW_MS = 50;
const SAMPLE_MS = 1_000;
/** Older ones are forgotten. */
const EVENTS_MAX = 1_000;
const EVENTS_AT_START = 200;
const TOASTS_MAX = 4;
const TOAST_MS = 6_000;
const PROBLEM_MS = 15_000;

export type Phase = "signed-out" | "connecting" | "live" | "lost";

export interface Entry extends Omit<NodeEvent, "level"> {
  id: string;
  level: "info" | "warn" | "error";
}

export interface Toast {
  id: number;
  level: "good" | "bad";
  text: string;
}

export interface Model {
  phase: Phase;
  /** The token was tried and refused. */
  isRefused: boolean;
  lostSince: number;
  retryAt: number;
  /** What the node's clock is ahead of ours, milliseconds. */
  skewMs: number;
  snapshot: Snapshot | null;
  events: Entry[];
  toasts: Toast[];
}

export const model: Model = {
  phase: "connecting",
  isRefused: false,
  lostSince: 0,
  retryAt: 0,
  skewMs: 0,
  snapshot: null,
  events: [],
  toasts: [],
};

export const history = new History();

const listeners = new Set<() => void>();
let isDrawDue = false;
let toastCount = 0;
let localCount = 0;
let run = 0;

const link = new Link({
  live(node, isSameRun) {
    const wasLost = model.phase === "lost";
    run = node.started_at;
    model.phase = "live";
    model.isRefused = false;
    if (model.snapshot) model.snapshot = { ...model.snapshot, node };
    if (wasLost) {
      note("info", isSameRun ? "The node is reachable again" : "The node was started again");
    }
    void loadEvents(EVENTS_AT_START);
    changed();
  },
  message(message) {
    applyMessage(message);
    changed();
  },
  lost(since, retryAt) {
    if (model.phase === "live") note("error", "The node is unreachable");
    model.phase = "lost";
    model.lostSince = since;
    model.retryAt = retryAt;
    changed();
  },
  denied() {
    model.isRefused = token() !== "";
    forget();
  },
});

export function start(): void {
  takeTokenFromAddress();
  if (token()) link.now();
  else model.phase = "signed-out";
  setInterval(() => {
    if (model.phase === "live" && model.snapshot) history.sample(model.snapshot, Date.now());
    changed();
  }, SAMPLE_MS);
}

export function signIn(value: string): void {
  setToken(value);
  model.phase = "connecting";
  model.isRefused = false;
  link.now();
  changed();
}

export function signOut(): void {
  model.isRefused = false;
  forget();
}

export const retryNow = (): void => link.now();

/** Milliseconds on the node's clock. */
export const nodeNow = (): number => Date.now() + model.skewMs;

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function changed(): void {
  if (isDrawDue) return;
  isDrawDue = true;
  setTimeout(() => {
    isDrawDue = false;
    for (const listener of listeners) listener();
  }, DRAW_MS);
}

/** Does something, and says so if it was done. Returns what was wrong, or nothing. */
export async function tried(action: () => Promise<unknown>, done: string): Promise<string> {
  try {
    await action();
    if (done) toast("good", done);
    return "";
  } catch (error) {
    if (error instanceof Problem && error.status === 401) signOut();
    return error instanceof Error ? error.message : String(error);
  }
}

/** Does something and says how it went. Returns whether it was done. */
export async function attempt(action: () => Promise<unknown>, done: string): Promise<boolean> {
  const problem = await tried(action, done);
  if (problem) toast("bad", problem);
  return problem === "";
}

export function toast(level: Toast["level"], text: string): void {
  toastCount += 1;
  const id = toastCount;
  model.toasts = [...model.toasts, { id, level, text }].slice(-TOASTS_MAX);
  setTimeout(() => dismiss(id), level === "good" ? TOAST_MS : PROBLEM_MS);
  changed();
}

export function dismiss(id: number): void {
  model.toasts = model.toasts.filter((other) => other.id !== id);
  changed();
}

function forget(): void {
  setToken("");
  link.close();
  history.clear();
  Object.assign(model, { phase: "signed-out", snapshot: null, events: [] });
  changed();
}

function applyMessage(message: Message): void {
  if (message.type === "state") {
    model.snapshot = message.state;
    model.skewMs = message.state.at - Date.now();
  } else if (message.type === "change") {
    if (model.snapshot) model.snapshot = withChange(model.snapshot, message.path, message.value);
  } else {
    addEvents([message.event]);
  }
}

const PARTS = [
  "channels",
  "outputs",
  "pulls",
  "pushes",
  "recordings",
  "transcodes",
  "fallbacks",
  "streams",
  "keys",
] as const;
type Part = (typeof PARTS)[number];

/** The snapshot with one part replaced, added, or (null) taken out. Unknown parts are ignored. */
export function withChange(snapshot: Snapshot, path: string, value: unknown): Snapshot {
  if (path === "node") {
    // Whether this token may write is said to us alone.
    const node = { ...snapshot.node, ...(value as Snapshot["node"]) };
    return { ...snapshot, node };
  }
  const slash = path.indexOf("/");
  const part = path.slice(0, slash) as Part;
  const name = path.slice(slash + 1);
  if (!PARTS.includes(part)) return snapshot;
  const entries: Record<string, unknown> = { ...snapshot[part] };
  if (value === null) delete entries[name];
  else entries[name] = value;
  return { ...snapshot, [part]: entries };
}

/** Adds the newest `limit` events of the node to those that are known. */
export async function loadEvents(limit: number): Promise<void> {
  const events = await get<NodeEvent[]>(`/events?limit=${limit}`).catch(() => []);
  addEvents(events);
  changed();
}

function addEvents(events: NodeEvent[]): void {
  const known = new Set(model.events.map((entry) => entry.id));
  const fresh = events
    .map((event) => ({ ...event, id: `${run}.${event.seq}`, level: levelOf(event) }))
    .filter((entry) => !known.has(entry.id));
  const all = [...model.events, ...fresh];
  if (fresh.length > 0) all.sort((a, b) => a.at - b.at || a.seq - b.seq);
  model.events = newest(all);
}

/** The newest of viewers' events and of all others: viewers must not push out the rest. */
function newest(all: Entry[]): Entry[] {
  if (all.length <= EVENTS_MAX) return all;
  const last = (wanted: boolean) =>
    all.filter((it) => isOfViewers(it) === wanted).slice(-EVENTS_MAX);
  const kept = new Set([...last(true), ...last(false)]);
  return all.filter((it) => kept.has(it));
}

function isOfViewers(event: NodeEvent): boolean {
  return /Play$/.test(event.kind) || (/Connect$/.test(event.kind) && event.state !== "publisher");
}

/** A line of the dashboard's own in the log. */
function note(level: Entry["level"], text: string): void {
  localCount += 1;
  const entry = { id: `here.${localCount}`, seq: 0, at: nodeNow(), kind: "dashboard", text, level };
  model.events = newest([...model.events, entry]);
}

/** Chatter is shown like all else that is no trouble. */
function levelOf({ level }: NodeEvent): Entry["level"] {
  return level === "debug" ? "info" : level;
}
