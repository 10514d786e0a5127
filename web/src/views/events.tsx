// Events of the node, newest first.

import { useEffect, useState } from "preact/hooks";
import { clock, dateTime, words } from "../format";
import { Choice, Empty, Panel } from "../parts/bits";
import { type Entry, loadEvents, model } from "../store";

/** Events that the node keeps. */
const EVENTS_KEPT = 1_000;

const SHOWN = [
  ["all", "All"],
  ["trouble", "Warnings and errors"],
] as const;
type Shown = (typeof SHOWN)[number][0];

/** What the events can be about, by the first segment of `#/events/KIND/…`. */
const SUBJECTS: Record<string, (entry: Entry, names: string[]) => boolean> = {
  output: ({ channel, output }, [of, name]) => channel === of && output === name,
  push: ({ channel, output }, [name]) => channel === undefined && output === name,
  pull: ({ pull }, [name]) => pull === name,
  recording: ({ record }, [name]) => record === name,
};

export function EventsView({ rest: [kind = "", ...names] }: { rest: string[] }) {
  const isAbout = SUBJECTS[kind];
  const about = isAbout ? `${kind} ${names.join("/")}` : "";
  return <Events key={about} about={about} isAbout={(entry) => isAbout?.(entry, names) ?? true} />;
}

interface EventsProps {
  /** What they are about; empty for everything. */
  about: string;
  isAbout: (entry: Entry) => boolean;
}

function Events({ about, isAbout }: EventsProps) {
  // Whoever comes from something in particular looks for what went wrong with it.
  const [shown, setShown] = useState<Shown>(about ? "trouble" : "all");
  const [text, setText] = useState("");
  useEffect(() => {
    if (about) void loadEvents(EVENTS_KEPT);
  }, [about]);
  const wanted = text.toLowerCase();
  const entries = model.events
    .filter(isAbout)
    .filter((entry) => shown === "all" || entry.level !== "info")
    .filter((entry) => `${entry.kind} ${entry.text}`.toLowerCase().includes(wanted))
    .reverse();
  return (
    <Panel
      title={about ? `Events of ${about}` : "Events"}
      actions={
        <>
          {about && <a href="#/events">All events</a>}
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
