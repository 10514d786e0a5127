// The frame around the views: who the node is and how it does, and the ways to the views.

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { bitrate, clock, duration, integer, NONE } from "./format";
import { useModel, usePlace, useRemembered } from "./hooks";
import { Icon, type IconName } from "./parts/icon";
import { dismiss, type Model, model, nodeNow, retryNow, signOut } from "./store";
import type { Snapshot } from "./types";
import { AssetsView } from "./views/assets";
import { EventsView } from "./views/events";
import { KeysView } from "./views/keys";
import { NodeView } from "./views/node";
import { OutputsView } from "./views/outputs";
import { ProgrammeView } from "./views/programme";
import { RecordingsView } from "./views/recordings";
import { RelaysView } from "./views/relays";
import { SignIn } from "./views/sign-in";
import { StreamsView } from "./views/streams";

interface ViewProps {
  snapshot: Snapshot;
  /** What the address says after the view's own name. */
  rest: string[];
}

const VIEWS: readonly (readonly [IconName, string, (props: ViewProps) => JSX.Element])[] = [
  ["programme", "Programme", ProgrammeView],
  ["streams", "Streams", StreamsView],
  ["outputs", "Outputs", OutputsView],
  ["relays", "Relays", RelaysView],
  ["recordings", "Recordings", RecordingsView],
  ["assets", "Assets", AssetsView],
  ["keys", "Keys", KeysView],
  ["events", "Events", EventsView],
  ["node", "Node", NodeView],
];

export function App() {
  const { phase, isRefused, snapshot } = useModel();
  const [name = "programme", ...rest] = usePlace();
  const view = VIEWS.find(([id]) => id === name) ?? VIEWS[0];
  const node = snapshot?.node.name ?? "Stream Manager";
  useEffect(() => {
    document.title = phase === "lost" ? `Unreachable: ${node}` : `${view?.[1]} · ${node}`;
  }, [phase, node, view]);
  if (phase === "signed-out") return <SignIn isRefused={isRefused} />;
  if (!view) return null;
  const [id, title, View] = view;
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the content
      </button>
      <TopBar snapshot={snapshot} />
      <Navigation current={id} snapshot={snapshot} />
      <main id="main" tabIndex={-1}>
        <h1 class="hidden">{title}</h1>
        <LostBanner />
        {snapshot ? <View snapshot={snapshot} rest={rest} /> : <Waiting />}
      </main>
      <Toasts />
    </div>
  );
}

function TopBar({ snapshot }: { snapshot: Snapshot | null }) {
  const node = snapshot?.node;
  return (
    <header class="top">
      <div class="brand">
        <img src="/favicon.svg" alt="" width="24" height="24" />
        <strong>{node?.name ?? "Stream Manager"}</strong>
      </div>
      <State />
      {node && (
        <dl class="vitals">
          <Vital label="Viewers" value={integer(node.viewers)} />
          <Vital label="In" value={bitrate(node.in_bps)} />
          <Vital label="Out" value={bitrate(node.out_bps)} />
          <Vital
            label="Up"
            value={model.phase === "live" ? duration(nodeNow() - node.started_at) : NONE}
          />
          <Vital label="Time" value={clock(nodeNow())} />
        </dl>
      )}
      <div class="top-actions">
        <ThemeButton />
        <button type="button" class="ghost square" aria-label="Sign out" onClick={signOut}>
          <Icon name="exit" />
        </button>
      </div>
    </header>
  );
}

function Vital({ label, value }: { label: string; value: string }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function State() {
  const { phase, snapshot } = model;
  const [tone, text] = STATES[phase];
  return (
    <div class="state-box" role="status">
      <span class={`chip ${tone}`} data-state={phase}>
        <i class="dot" />
        {text}
      </span>
      {snapshot && !snapshot.node.can_write && <span class="chip soft">Read only</span>}
    </div>
  );
}

const STATES: Record<Model["phase"], readonly [string, string]> = {
  live: ["good", "Connected"],
  lost: ["bad", "Unreachable"],
  connecting: ["soft", "Connecting"],
  "signed-out": ["soft", "Signed out"],
};

const THEMES: readonly string[] = ["auto", "dark", "light"];

function ThemeButton() {
  const [theme, setTheme] = useRemembered("theme", "auto");
  useEffect(() => {
    const root = document.documentElement;
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
  }, [theme]);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "auto";
  const icon = theme === "dark" ? "moon" : theme === "light" ? "sun" : "auto";
  return (
    <button
      type="button"
      class="ghost square"
      aria-label={`Theme: ${theme}. Change to ${next}`}
      title={`Theme: ${theme}`}
      onClick={() => setTheme(next)}
    >
      <Icon name={icon} />
    </button>
  );
}

function Navigation({ current, snapshot }: { current: string; snapshot: Snapshot | null }) {
  const outputs = Object.values(snapshot?.outputs ?? {});
  const recordings = Object.values(snapshot?.recordings ?? {});
  const relays = [
    ...Object.values(snapshot?.pulls ?? {}),
    ...Object.values(snapshot?.pushes ?? {}),
  ];
  const troubled: Record<string, number> = {
    outputs: outputs.filter((output) => output.error !== null).length,
    relays: relays.filter((relay) => relay.error !== null).length,
    recordings: recordings.filter((recording) => recording.error !== null).length,
  };
  const counts: Record<string, number> = {
    streams: Object.keys(snapshot?.streams ?? {}).length,
    outputs: outputs.length,
    relays: relays.length,
    recordings: recordings.length,
  };
  return (
    <nav aria-label="Views">
      <ul>
        {VIEWS.map(([id, title]) => (
          <li key={id}>
            <a href={`#/${id}`} aria-current={id === current ? "page" : undefined}>
              <Icon name={id} />
              <span>{title}</span>
              {(troubled[id] ?? 0) > 0 ? (
                <small class="count bad">
                  {troubled[id]}
                  <span class="hidden"> in trouble</span>
                </small>
              ) : (
                counts[id] !== undefined && <small class="count">{counts[id]}</small>
              )}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function LostBanner() {
  const { phase, lostSince, retryAt } = model;
  if (phase !== "lost") return null;
  const wait = Math.ceil((retryAt - Date.now()) / 1000);
  return (
    <div class="banner" data-part="lost">
      <Icon name="warn" />
      <div>
        <strong role="alert">Node unreachable since {clock(lostSince)}</strong>
        <span>
          {" "}
          What is shown is what was known then.{" "}
          {wait > 0 ? `Next attempt in ${wait} s.` : "Trying now."}
        </span>
      </div>
      <button type="button" onClick={retryNow}>
        Try now
      </button>
    </div>
  );
}

function Waiting() {
  return (
    <div class="empty">
      <span class="spinner" aria-hidden="true" />
      <p>Connecting to the node</p>
    </div>
  );
}

function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {model.toasts.map((toast) => (
        <div key={toast.id} class={`toast ${toast.level}`}>
          <Icon name={toast.level === "good" ? "check" : "warn"} />
          <span>{toast.text}</span>
          <button
            type="button"
            class="ghost square"
            aria-label="Dismiss"
            onClick={() => dismiss(toast.id)}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
