// Events of the node, newest first.

import { useState } from "preact/hooks";
import { clock, dateTime, words } from "../format";
import { Choice, Empty, Panel } from "../parts/bits";
import { type Entry, model } from "../store";

const SHOWN = [
  ["all", "All"],
  ["trouble", "Warnings and errors"],
] as const;
type Shown = (typeof SHOWN)[number][0];

export function EventsView() {
  const [shown, setShown] = useState<Shown>("all");
  const [text, setText] = useState("");
  const wanted = text.toLowerCase();
  const entries = model.events
    .filter((entry) => shown === "all" || entry.level !== "info")
    .filter((entry) => `${entry.kind} ${entry.text}`.toLowerCase().includes(wanted))
    .reverse();
  return (
    <Panel
      title="Events"
      actions={
        <>
          <input
            type="search"
            placeholder="Filter"
            aria-label="Filter events"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <Choice label="Events shown" value={shown} options={SHOWN} onChange={setShown} />
        </>
      }
    >
      <EventList entries={entries} />
    </Panel>
  );
}

export function EventList({ entries }: { entries: Entry[] }) {
  if (entries.length === 0) {
    return (
      <Empty title="No events">
        <p>Connections, publishers, outputs and keys are told of here as soon as they change.</p>
      </Empty>
    );
  }
  return (
    <ol class="events">
      {entries.map((entry) => (
        <li key={entry.id} class={entry.level}>
          <time dateTime={new Date(entry.at).toISOString()} title={dateTime(entry.at)}>
            {clock(entry.at)}
          </time>
          <span class="event-kind">{words(entry.kind)}</span>
          <span class="event-text">
            {entry.text}
            {whoOf(entry) && <small class="soft"> {whoOf(entry)}</small>}
          </span>
        </li>
      ))}
    </ol>
  );
}

/** Whose connection it is, or who did it. */
function whoOf({ owner, label, encoder, actor }: Entry): string {
  const by = actor && `by ${actor}`;
  return [owner, label, encoder, by].filter(Boolean).join(" · ");
}
