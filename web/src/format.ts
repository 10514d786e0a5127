// Figures as people read them. Units are SI: 1 Mb/s is a million bits per second.

export const NONE = "–";

export function bitrate(bps: number | null | undefined): string {
  if (bps == null || !Number.isFinite(bps)) return NONE;
  if (bps >= 1e9) return `${(bps / 1e9).toFixed(2)} Gb/s`;
  if (bps >= 1e6) return `${(bps / 1e6).toFixed(bps >= 1e8 ? 0 : 2)} Mb/s`;
  return `${Math.round(bps / 1e3)} kb/s`;
}

export function bytes(count: number): string {
  const steps = ["B", "kB", "MB", "GB", "TB"];
  let value = count;
  let step = 0;
  while (value >= 1000 && step < steps.length - 1) {
    value /= 1000;
    step += 1;
  }
  return `${value.toFixed(step === 0 || value >= 100 ? 0 : 1)} ${steps[step]}`;
}

export function integer(value: number): string {
  return Math.round(value).toLocaleString("en-GB");
}

export function milliseconds(ms: number | null | undefined): string {
  if (ms == null || !Number.isFinite(ms)) return NONE;
  if (ms >= 10_000) return `${(ms / 1000).toFixed(0)} s`;
  if (ms >= 1_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
}

/** A running time: `0:42`, `1:02:05`, `3 d 4:05:06`. */
export function duration(ms: number): string {
  const all = Math.max(0, Math.floor(ms / 1000));
  const two = (value: number) => String(value).padStart(2, "0");
  const [days, hours] = [Math.floor(all / 86_400), Math.floor(all / 3_600) % 24];
  const [minutes, seconds] = [Math.floor(all / 60) % 60, all % 60];
  if (days > 0) return `${days} d ${hours}:${two(minutes)}:${two(seconds)}`;
  if (hours > 0) return `${hours}:${two(minutes)}:${two(seconds)}`;
  return `${minutes}:${two(seconds)}`;
}

/** How long ago or ahead, in one unit: `in 29 days`, `5 min ago`. */
export function relative(at: number, now: number): string {
  const ahead = at > now;
  const seconds = Math.abs(at - now) / 1000;
  const text = span(seconds);
  if (text === "") return ahead ? "in a moment" : "just now";
  return ahead ? `in ${text}` : `${text} ago`;
}

function span(seconds: number): string {
  const many = (count: number, word: string) => `${count} ${word}${count === 1 ? "" : "s"}`;
  if (seconds < 45) return "";
  if (seconds < 90 * 60) return `${Math.max(1, Math.round(seconds / 60))} min`;
  if (seconds < 36 * 3_600) return many(Math.round(seconds / 3_600), "hour");
  return many(Math.round(seconds / 86_400), "day");
}

export function clock(at: number): string {
  return new Date(at).toLocaleTimeString("en-GB");
}

export function date(at: number): string {
  return new Date(at).toLocaleDateString("en-GB", {
    day: "numeric",
    month: "short",
    year: "numeric",
  });
}

export function dateTime(at: number): string {
  return `${date(at)}, ${clock(at)}`;
}

export function sum(counts: number | Record<string, number> | null | undefined): number {
  if (typeof counts === "number") return counts;
  return Object.values(counts ?? {}).reduce((total, count) => total + count, 0);
}

/** `publish_denied` as words. */
export function words(name: string): string {
  return name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replaceAll("_", " ")
    .toLowerCase();
}

/** A number with two places at most. */
export const trim = (value: number): string => String(Math.round(value * 100) / 100);
