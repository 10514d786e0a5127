// Requests to the node. Every failure is a Problem whose text says what to do.

import { decoded } from "./urls";

const TOKEN = "token";
/** The characters of a node's tokens. */
const TOKEN_FORM = /^[\w.~-]+$/;
const TIMEOUT_MS = 8_000;

/** What went wrong with a request; status 0 means that the node did not answer. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly hint: string,
  ) {
    super([title, detail, hint].filter(Boolean).join(" — "));
  }
}

export function token(): string {
  return sessionStorage.getItem(TOKEN) ?? "";
}

export function setToken(value: string): void {
  if (value) sessionStorage.setItem(TOKEN, value);
  else sessionStorage.removeItem(TOKEN);
}

/** Moves a token out of the address (`/#TOKEN`) into the session, so that it is not in history. */
export function takeTokenFromAddress(): void {
  const fragment = decoded(location.hash.slice(1));
  // Whatever else stands there is a place, perhaps one that there is not.
  if (TOKEN_FORM.test(fragment)) {
    setToken(fragment);
    history.replaceState(null, "", location.pathname);
  }
}

export const get = <T>(path: string): Promise<T> => request<T>("GET", path);
export const post = <T = void>(path: string, body?: unknown): Promise<T> =>
  request<T>("POST", path, body);
export const put = <T = void>(path: string, body: unknown): Promise<T> =>
  request<T>("PUT", path, body);
export const patch = <T = void>(path: string, body: unknown): Promise<T> =>
  request<T>("PATCH", path, body);
/** A file as it is: it may take as long as the network does. */
export const upload = (path: string, file: Blob): Promise<void> => request("PUT", path, file);
export const remove = (path: string): Promise<void> => request<void>("DELETE", path);

/** Path segments with everything encoded that could change the path. */
export function path(...segments: string[]): string {
  return `/${segments.map(encodeURIComponent).join("/")}`;
}

/** `app/name` as two segments. */
export function streamPath(name: string, ...rest: string[]): string {
  return path("streams", ...name.split("/"), ...rest);
}

/** What is no JSON, such as a picture. */
export async function blob(at: string): Promise<Blob> {
  return (await answered("GET", at)).blob();
}

async function request<T>(method: string, at: string, body?: unknown): Promise<T> {
  const answer = await answered(method, at, body);
  const text = await answer.text();
  if (!text) return undefined as T;
  const isJson = answer.headers.get("Content-Type")?.includes("json");
  return (isJson ? JSON.parse(text) : text) as T;
}

async function answered(method: string, at: string, body?: unknown): Promise<Response> {
  const isFile = body instanceof Blob;
  const headers: Record<string, string> = { Authorization: `Bearer ${token()}` };
  if (body !== undefined && !isFile) headers["Content-Type"] = "application/json";
  let answer: Response;
  try {
    answer = await fetch(`/api/v1${at}`, {
      method,
      headers,
      body: body === undefined ? null : isFile ? body : JSON.stringify(body),
      signal: isFile ? null : AbortSignal.timeout(TIMEOUT_MS),
      cache: "no-store",
    });
  } catch {
    throw new Problem(0, "The node does not answer", "", "Try again when it is back.");
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

async function problemOf(answer: Response): Promise<Problem> {
  const fields = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
  const text = (name: string) => (typeof fields[name] === "string" ? String(fields[name]) : "");
  const title = text("title") || `The node refused (${answer.status})`;
  return new Problem(answer.status, title, text("detail"), text("hint"));
}
