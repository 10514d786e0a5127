// The node itself: its cores, its traffic, what went wrong, how it is configured.

import { useState } from "preact/hooks";
import { get, put } from "../api";
import { bitrate, dateTime, duration, integer, words } from "../format";
import { usePolled } from "../hooks";
import { Empty, Figure, Panel } from "../parts/bits";
import { attempt, model, nodeNow } from "../store";
import type { Counts, Shard, Snapshot } from "../types";

const POLL_MS = 10_000;
const LEVELS = ["error", "warn", "info", "debug", "trace"];

export function NodeView({ snapshot }: { snapshot: Snapshot }) {
  const { node } = snapshot;
  return (
    <div class={`node-view ${model.phase === "lost" ? "stale" : ""}`}>
      <Panel title="Node">
        <dl class="figures">
          <Figure label="Name" value={node.name} />
          <Figure label="Version" value={node.version} />
          <Figure label="Started" value={dateTime(node.started_at)} />
          <Figure label="Up" value={duration(nodeNow() - node.started_at)} />
          <Figure label="Connections" value={integer(node.connections)} />
          <Figure label="Viewers" value={integer(node.viewers)} />
          <Figure label="In" value={bitrate(node.in_bps)} />
          <Figure label="Out" value={bitrate(node.out_bps)} />
          <Figure label="RTMP port" value={String(node.rtmp_port)} />
          <Figure label="Driver" value={node.driver.kind} note={node.driver.reason} />
        </dl>
      </Panel>
      <Panel title="Cores">
        <dl class="figures">
          {Object.entries(node.cores).map(([role, cores]) => (
            <Figure key={role} label={words(role)} value={coresText(cores)} />
          ))}
        </dl>
      </Panel>
      <Panel title="Shards">
        <dl class="figures">
          {node.shards.map((shard) => (
            <Figure key={shard.number} label={`Shard ${shard.number}`} value={shardText(shard)} />
          ))}
        </dl>
      </Panel>
      <CountsPanel title="Errors" counts={node.errors} none="No errors since the start" />
      <CountsPanel title="Dropped for viewers" counts={node.drops} none="Nothing was dropped" />
      <LogLevel canWrite={node.can_write} />
      <Configuration />
    </div>
  );
}

function coresText(cores: unknown): string {
  return [cores].flat().map(String).join(", ") || "–";
}

/** How busy it is, and how much of each kind it has. */
function shardText(shard: Shard): string {
  const kinds = ["channels", "outputs", "pushes", "pulls", "recordings"] as const;
  const some = kinds.filter((kind) => shard[kind].length > 0);
  const counts = some.map((kind) => `${kind} ${shard[kind].length}`);
  return [`${Math.round(shard.busy * 100)} % busy`, ...counts].join(", ");
}

function CountsPanel({ title, counts, none }: { title: string; counts: Counts; none: string }) {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return (
    <Panel title={title}>
      {some.length === 0 ? (
        <Empty title={none} />
      ) : (
        <dl class="figures">
          {some.map(([name, count]) => (
            <Figure key={name} label={words(name)} value={integer(count)} tone="warn" />
          ))}
        </dl>
      )}
    </Panel>
  );
}

function LogLevel({ canWrite }: { canWrite: boolean }) {
  const [chosen, setChosen] = useState<string | null>(null);
  const answer = usePolled(() => get<{ level: string }>("/log-level"), POLL_MS, "log-level");
  const level = chosen ?? answer?.level ?? "";
  const choose = async (next: string) => {
    setChosen(next);
    const isDone = await attempt(() => put("/log-level", { level: next }), `Log level is ${next}`);
    if (!isDone) setChosen(null);
  };
  return (
    <Panel title="Log">
      <div class="row">
        <label for="log-level">Level</label>
        <select
          id="log-level"
          value={level}
          disabled={!canWrite || model.phase !== "live"}
          onChange={(event) => void choose(event.currentTarget.value)}
        >
          {!LEVELS.includes(level) && <option>{level}</option>}
          {LEVELS.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
        <span class="soft">Until the next start.</span>
      </div>
      <p class="links">
        <a href="/api/v1/openapi.json">OpenAPI document</a>
        <a href="/healthz">Health</a>
        <a href="/readyz">Readiness</a>
        <a href="/licences.txt">Licences of this page</a>
      </p>
    </Panel>
  );
}

function Configuration() {
  const answer = usePolled(() => get<unknown>("/config"), POLL_MS, "config");
  if (answer === null) return null;
  const text = typeof answer === "string" ? answer : JSON.stringify(answer, null, 2);
  return (
    <Panel title="Effective configuration" class="wide">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: text that scrolls needs the keyboard */}
      <pre tabIndex={0}>{text}</pre>
    </Panel>
  );
}
