// A small line chart over time. The newest sample is at the right edge; where samples are missing
// (the node was not reachable) the line has a gap.

import { useState } from "preact/hooks";
import { clock } from "../format";

const WIDTH = 300;
const HEIGHT = 84;
/** Room above the scale for its label. */
const HEAD = 15;
/** A longer pause between two samples is a gap. */
const GAP_MS = 5_000;
const POINTS_MAX = 300;

export interface Point {
  at: number;
  value: number | null;
}

export interface Series {
  name: string;
  tone: "accent" | "soft" | "warn";
  points: readonly Point[];
  isBars?: boolean;
}

interface ChartProps {
  title: string;
  series: readonly Series[];
  format: (value: number) => string;
  /** Shown as a dashed line. */
  target?: number;
  /** The scale reaches at least so far. */
  topAtLeast: number;
  spanMs: number;
  now: number;
}

export function Chart({ title, series, format, target, topAtLeast, spanMs, now }: ChartProps) {
  const [pointed, setPointed] = useState<number | null>(null);
  const from = now - spanMs;
  const shown = series.map((one) => ({ ...one, points: thin(visible(one.points, from)) }));
  const values = shown.flatMap((one) => one.points.flatMap((p) => p.value ?? []));
  const top = nice(Math.max(topAtLeast, (target ?? 0) * 1.1, ...values));
  const x = (at: number) => ((at - from) / spanMs) * WIDTH;
  const y = (value: number) => HEIGHT - 1 - (Math.min(value, top) / top) * (HEIGHT - 1 - HEAD);
  const at = pointed === null ? null : from + pointed * spanMs;
  return (
    <figure class="chart">
      <figcaption>
        <span>{title}</span>
        <span class="chart-now">
          {shown.map((one) => (
            <span key={one.name} class={`series ${one.tone}`}>
              {series.length > 1 && <small>{one.name} </small>}
              <b>{read(at === null ? one.points.at(-1) : nearest(one.points, at), format)}</b>
            </span>
          ))}
        </span>
      </figcaption>
      <div
        class="chart-plot"
        onPointerMove={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          setPointed(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
        }}
        onPointerLeave={() => setPointed(null)}
      >
        <svg
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={describe(title, shown, format)}
        >
          <path
            class="grid"
            d={`M0 ${y(top)}H${WIDTH}M0 ${y(top / 2)}H${WIDTH}M0 ${y(0)}H${WIDTH}`}
          />
          {target ? <path class="target" d={`M0 ${y(target)}H${WIDTH}`} /> : null}
          {shown.map((one) =>
            one.isBars ? (
              <path key={one.name} class={`bars ${one.tone}`} d={bars(one.points, x, y)} />
            ) : (
              <Line key={one.name} tone={one.tone} runs={runs(one.points)} x={x} y={y} />
            ),
          )}
          {at !== null && <path class="cross" d={`M${x(at)} 0V${HEIGHT}`} />}
        </svg>
        <span class="chart-top">{format(top)}</span>
        {at !== null && <span class="chart-at">{clock(at)}</span>}
      </div>
    </figure>
  );
}

type Scale = (value: number) => number;
type Known = { at: number; value: number };

interface LineProps {
  tone: string;
  runs: Known[][];
  x: Scale;
  y: Scale;
}

function Line({ tone, runs, x, y }: LineProps) {
  const line = runs.map((run) => `M${run.map((p) => place(p, x, y)).join("L")}`).join("");
  const area = runs
    .map((run) => {
      const [first, last] = [run[0], run.at(-1)];
      if (!first || !last) return "";
      const top = run.map((p) => place(p, x, y)).join("L");
      return `M${short(x(first.at))} ${short(y(0))}L${top}L${short(x(last.at))} ${short(y(0))}Z`;
    })
    .join("");
  return (
    <>
      {tone === "accent" && <path class={`area ${tone}`} d={area} />}
      <path class={`line ${tone}`} d={line} />
    </>
  );
}

const short = (value: number): string => value.toFixed(1);
const place = (p: Known, x: Scale, y: Scale): string => `${short(x(p.at))} ${short(y(p.value))}`;

function bars(points: readonly Point[], x: Scale, y: Scale): string {
  return points
    .filter((p) => p.value)
    .map((p) => `M${short(x(p.at))} ${short(y(0))}V${short(y(p.value ?? 0))}`)
    .join("");
}

function visible(points: readonly Point[], from: number): Point[] {
  const first = points.findIndex((p) => p.at >= from);
  return first < 0 ? [] : points.slice(first);
}

/** At most POINTS_MAX points; of those that fall together the largest stays, so no peak is lost. */
function thin(points: Point[]): Point[] {
  const step = Math.ceil(points.length / POINTS_MAX);
  if (step <= 1) return points;
  const kept: Point[] = [];
  for (let i = 0; i < points.length; i += step) {
    const some = points.slice(i, i + step);
    kept.push(some.reduce((a, b) => ((b.value ?? -1) > (a.value ?? -1) ? b : a)));
  }
  return kept;
}

/** Runs of known values without a gap between them. */
function runs(points: readonly Point[]): Known[][] {
  const all: Known[][] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const { at, value } of points) {
    if (value === null) continue;
    const run = all.at(-1);
    if (run && at - last < GAP_MS) run.push({ at, value });
    else all.push([{ at, value }]);
    last = at;
  }
  return all;
}

function nearest(points: readonly Point[], at: number): Point | undefined {
  let best: Point | undefined;
  for (const point of points) {
    if (!best || Math.abs(point.at - at) < Math.abs(best.at - at)) best = point;
  }
  return best && Math.abs(best.at - at) < GAP_MS ? best : undefined;
}

function read(point: Point | undefined, format: (value: number) => string): string {
  return point?.value == null ? "–" : format(point.value);
}

/** The next of 1, 1.5, 2, 3, 4, 5, 6, 7, 8 times a power of ten. */
function nice(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  const step = [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 10].find((one) => one * power >= value * 0.999) ?? 10;
  return step * power;
}

function describe(
  title: string,
  series: readonly Series[],
  format: (value: number) => string,
): string {
  const parts = series.map(({ name, points }) => {
    const values = points.flatMap((p) => p.value ?? []);
    const last = points.at(-1)?.value;
    if (values.length === 0 || last == null) return `${name}: no figures yet`;
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return `${name}: now ${format(last)}, from ${format(low)} to ${format(high)}`;
  });
  return `${title}. ${parts.join(". ")}`;
}
