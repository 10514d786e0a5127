// How long frames of a stream take at each stage of their way, and those that took longest.

import { get } from "../api";
import { dateTime, milliseconds } from "../format";
import { usePolled } from "../hooks";
import type {
  FramePart,
  Latency,
  Origin,
  PublisherFrames,
  StageLatency,
  WorstFrame,
} from "../types";

const POLL_MS = 2_000;
/** Width of a bar in units of its own. */
const BAR = 1_000;
const BAR_HEIGHT = 16;
/** Frames that are shown. */
const WORST_SHOWN = 5;

/** What each stage is to people. */
const STAGES: Record<string, string> = {
  tick: "Until it is begun",
  compose: "Drawing",
  scale: "Scaling",
  queue: "Waiting for the encoder",
  lookahead: "Look-ahead of the encoder",
  encode: "Encoding",
  read: "Coming in",
  append: "To the log",
  hop: "To another core",
  send: "To the first viewer",
  fan_out: "To all viewers",
};

/** In these somebody works; in the others the frame waits. */
const WORK = ["compose", "scale", "encode", "read"];
/** Delay by design. */
const DESIGN = "lookahead";

export function LatencyPanel({ stream }: { stream: string }) {
  const answer = usePolled(() => get<Latency>("/latency"), POLL_MS, stream);
  const own = answer?.streams.find((it) => it.stream === stream);
  const stages = own?.stages.filter((it) => it.is_part && it.seconds_10.count > 0) ?? [];
  if (!own || stages.length === 0) return null;
  const parts = stages.map((it) => ({ stage: it.stage, us: it.seconds_10.p50_us }));
  return (
    <section class="latency" aria-label="Latency">
      <h3>Latency</h3>
      <Bar parts={parts} longest={total(parts)} label="A frame in the middle" />
      <p class="soft">
        About {span(withoutDesign(parts))} through the node{designText(parts)}.
      </p>
      <StageTable stages={stages} />
      {own.origin && answer && (
        <EndToEnd origin={own.origin} stages={own.stages} clock={answer.clock} />
      )}
      {own.publisher && answer && (
        <AtPublisher frames={own.publisher} stages={own.stages} clock={answer.clock} />
      )}
      {own.worst.length > 0 && <Worst frames={own.worst.slice(0, WORST_SHOWN)} />}
    </section>
  );
}

function StageTable({ stages }: { stages: StageLatency[] }) {
  return (
    <div class="table-box">
      <table>
        <thead>
          <tr>
            <th>Stage, last 10 s</th>
            <th class="number">Half within</th>
            <th class="number">99 % within</th>
            <th class="number">Longest</th>
          </tr>
        </thead>
        <tbody>
          {stages.map(({ stage, seconds_10: of }) => (
            <tr key={stage} data-stage={stage}>
              <td class="name">
                <svg class="stage-key" viewBox="0 0 10 10" aria-hidden="true">
                  <rect class={kindOf(stage)} width="10" height="10" rx="2" />
                </svg>
                {STAGES[stage] ?? stage}
              </td>
              <td class="number" data-label="Half within">
                {span(of.p50_us)}
              </td>
              <td class="number" data-label="99 % within">
                {span(of.p99_us)}
              </td>
              <td class="number" data-label="Longest">
                {span(of.max_us)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface EndToEndProps {
  origin: Origin;
  stages: StageLatency[];
  clock: Latency["clock"];
}

/** How long frames took from the node that made them to this one, and what that is worth. */
function EndToEnd({ origin, stages, clock }: EndToEndProps) {
  const of = stages.find((it) => it.stage === "origin")?.minute;
  const ahead = origin.ahead > 0 ? ` ${origin.ahead} stamps were ahead of the clock here.` : "";
  return (
    <>
      <h3>From its origin</h3>
      <p class="origin">
        {of && of.count > 0
          ? `Half within ${span(of.p50_us)}, 99 % within ${span(of.p99_us)} in the last minute.`
          : "Nothing in the last minute."}
        {ahead} <span class="soft">{clockText(origin, clock)}</span>
      </p>
    </>
  );
}

interface AtPublisherProps {
  frames: PublisherFrames;
  stages: StageLatency[];
  clock: Latency["clock"];
}

/** What each stage at the publisher is to people. */
const PUBLISHER_STAGES: [string, string][] = [
  ["publisher_capture", "until its encoder was asked"],
  ["publisher_encode", "in its encoder"],
  ["publisher_uplink", "from there to here"],
];

/** How frames get on at a publisher that says so, and on their way from it. */
function AtPublisher({ frames, stages, clock }: AtPublisherProps) {
  const parts = PUBLISHER_STAGES.flatMap(([stage, text]) => {
    const of = stages.find((it) => it.stage === stage)?.minute;
    return of && of.count > 0 ? [`${span(of.p50_us)} ${text}`] : [];
  });
  const { rendered, lagged, dropped, encoder_skipped: skipped } = frames;
  const kept = clock.synchronised ? "is" : "is not known to be";
  return (
    <>
      <h3>At its publisher</h3>
      <p class="at-publisher">
        {parts.length > 0 ? `Half within ${parts.join(", ")}, in the last minute. ` : ""}
        Of {rendered} frames {lagged} were drawn too late, its encoder left {skipped} out, and its
        network {dropped}. <span class="soft">The clock here {kept} synchronised.</span>
      </p>
    </>
  );
}

function clockText(origin: Origin, clock: Latency["clock"]): string {
  if (origin.same_machine) return "Both nodes read this machine's clock.";
  if (clock.synchronised && clock.error_max_us !== null) {
    const off = span(clock.error_max_us);
    return `The clock here is synchronised, and off by ${off} at most; so must that of node ${origin.node} be.`;
  }
  if (clock.synchronised === false)
    return "The clock here is not synchronised: this means nothing.";
  return "Whether the clock here is synchronised is not known.";
}

function Worst({ frames }: { frames: WorstFrame[] }) {
  const longest = Math.max(...frames.map((frame) => total(frame.parts)));
  return (
    <>
      <h3>Slowest frames of the last minute</h3>
      <ul class="worst-frames">
        {frames.map((frame) => (
          <li key={`${frame.frame} ${frame.at}`}>
            <span title={dateTime(frame.at)}>
              Frame {frame.frame}: {span(frame.took_us)}
              <small>{mostOf(frame.parts)}</small>
            </span>
            <Bar parts={frame.parts} longest={longest} label={`Frame ${frame.frame}`} />
          </li>
        ))}
      </ul>
    </>
  );
}

interface BarProps {
  parts: FramePart[];
  /** Microseconds of the whole width. */
  longest: number;
  label: string;
}

/** The stages of a frame side by side. */
function Bar({ parts, longest, label }: BarProps) {
  let at = 0;
  const text = parts.map(({ stage, us }) => `${STAGES[stage] ?? stage} ${span(us)}`).join(", ");
  return (
    <svg
      class="stages"
      viewBox={`0 0 ${BAR} ${BAR_HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`${label}: ${text}`}
    >
      {parts.map(({ stage, us }) => {
        const width = (us / Math.max(longest, 1)) * BAR;
        const x = at;
        at += width;
        return (
          <rect key={stage} class={kindOf(stage)} x={x} width={width} height={BAR_HEIGHT}>
            <title>{`${STAGES[stage] ?? stage}: ${span(us)}`}</title>
          </rect>
        );
      })}
    </svg>
  );
}

function kindOf(stage: string): string {
  if (stage === DESIGN) return "design";
  return WORK.includes(stage) ? "work" : "waiting";
}

function total(parts: FramePart[]): number {
  return parts.reduce((all, { us }) => all + us, 0);
}

function withoutDesign(parts: FramePart[]): number {
  return total(parts.filter(({ stage }) => stage !== DESIGN));
}

function designText(parts: FramePart[]): string {
  const us = total(parts) - withoutDesign(parts);
  return us > 0 ? `, and ${span(us)} in the encoder by its design` : "";
}

/** Where most of its time went. */
function mostOf(parts: FramePart[]): string {
  const own = parts.filter(({ stage }) => stage !== DESIGN);
  const most = own.reduce((a, b) => (b.us > a.us ? b : a), own[0] ?? { stage: "", us: 0 });
  return ` ${(STAGES[most.stage] ?? most.stage).toLowerCase()} ${span(most.us)}`;
}

function span(us: number): string {
  return us < 1_000 ? `${us} µs` : milliseconds(us / 1_000);
}
