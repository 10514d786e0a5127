// Things that run by themselves (outputs, pulls, pushes, recordings): the chip of their state, the
// buttons that start, stop, remove and add them, and the fields that their forms share.

import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { path, post, remove } from "../api";
import { integer } from "../format";
import { attempt, model, tried } from "../store";
import type { RunState } from "../types";
import { Chip, Field, fieldText, type Tone } from "./bits";
import { Confirm } from "./dialog";
import { Icon } from "./icon";

/** The states that everything that runs by itself has, in the node's own words. */
const STATES: Record<RunState, readonly [Tone, string]> = {
  stopped: ["soft", "Stopped"],
  idle: ["soft", "Idle"],
  connecting: ["accent", "Connecting"],
  live: ["good", "Live"],
  failed: ["bad", "Failed"],
};

interface StateChipProps {
  state: RunState;
  /** What `idle` means for it. */
  idle: string;
}

/** What is sent in the place of a stream whose codecs the destination does not take. */
export function Substitute({ rendition }: { rendition: string | null | undefined }) {
  if (!rendition) return null;
  return (
    <small class="substitute" title="Its destination does not take the codecs of the stream itself">
      sends {rendition}
    </small>
  );
}

export function StateChip({ state, idle }: StateChipProps) {
  const [tone, text] = STATES[state] ?? ["soft", state];
  const why = { idle, failed: "It tries again by itself" }[state as string];
  return (
    <Chip tone={tone} title={why}>
      <i class="dot" />
      {text}
    </Chip>
  );
}

interface TroubleProps {
  error: string | null;
  /** Its place among the events: `["output", channel, name]`. */
  at: string[];
}

/** What went wrong last, with the way to what went wrong before. */
export function Trouble({ error, at }: TroubleProps) {
  if (!error) return null;
  return (
    <p class="problem">
      {error} <a href={eventsOf(at)}>Last errors</a>
    </p>
  );
}

interface ConnectsProps {
  connects: number;
  failures: number;
  at: string[];
}

/** How often it was accepted and how often it failed, with the way to why. */
export function Connects({ connects, failures, at }: ConnectsProps) {
  return (
    <span>
      {integer(connects)}
      {failures > 0 && (
        <small>
          {" "}
          <a href={eventsOf(at)}>({integer(failures)} failed)</a>
        </small>
      )}
    </span>
  );
}

const eventsOf = (at: string[]): string => `#${path("events", ...at)}`;

interface RowActionsProps {
  /** What it is called beside its name. */
  kind: string;
  name: string;
  isStopped: boolean;
  /** Its path in the API. */
  at: string;
  /** What removing it means. */
  consequence: string;
  /** Said once it is removed. */
  removed: string;
}

/** Start or stop, and remove. */
export function RowActions({ kind, name, isStopped, at, consequence, removed }: RowActionsProps) {
  const [isRemoving, setRemoving] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const isLost = model.phase !== "live";
  const toggle = async () => {
    setBusy(true);
    const verb = isStopped ? "start" : "stop";
    await attempt(() => post(`${at}/${verb}`), "");
    setBusy(false);
  };
  return (
    <div class="actions">
      <button
        type="button"
        class="small"
        disabled={isBusy || isLost}
        aria-label={`${isStopped ? "Start" : "Stop"} ${kind} ${name}`}
        onClick={() => void toggle()}
      >
        <Icon name={isStopped ? "play" : "stop"} />
        {isStopped ? "Start" : "Stop"}
      </button>
      <button
        type="button"
        class="ghost square"
        disabled={isLost}
        aria-label={`Remove ${kind} ${name}`}
        onClick={() => setRemoving(true)}
      >
        <Icon name="trash" />
      </button>
      {isRemoving && (
        <Confirm
          title={`Remove ${name}?`}
          text={consequence}
          action="Remove"
          onClose={() => setRemoving(false)}
          onConfirm={() => tried(() => remove(at), removed)}
        />
      )}
    </div>
  );
}

interface AddButtonProps {
  kind: string;
  /** The dialog that adds one, given how it is closed. */
  children: (close: () => void) => ComponentChildren;
}

export function AddButton({ kind, children }: AddButtonProps) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        class="primary small"
        disabled={model.phase !== "live"}
        onClick={() => setOpen(true)}
      >
        <Icon name="plus" />
        Add {kind}
      </button>
      {isOpen && children(() => setOpen(false))}
    </>
  );
}

export function NameField({ hint }: { hint: string }) {
  return (
    <Field label="Name" hint={hint}>
      {(id, described) => (
        <input id={id} name="name" required maxLength={64} aria-describedby={described} />
      )}
    </Field>
  );
}

interface StreamFieldProps {
  hint: string;
  placeholder: string;
  /** Names to choose from; another one may be typed as well. */
  known: string[];
}

export function StreamField({ hint, placeholder, known }: StreamFieldProps): JSX.Element {
  return (
    <Field label="Stream" hint={hint}>
      {(id, described) => (
        <>
          <input
            id={id}
            name="stream"
            required
            list={known.length > 0 ? `${id}-known` : undefined}
            placeholder={placeholder}
            autocapitalize="off"
            spellcheck={false}
            aria-describedby={described}
          />
          <datalist id={`${id}-known`}>
            {known.map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
        </>
      )}
    </Field>
  );
}

interface ServerFieldsProps {
  hint: string;
  placeholder: string;
  keyLabel: string;
  keyHint: string;
}

/** The address of another server, and what is kept secret of it. */
export function ServerFields({ hint, placeholder, keyLabel, keyHint }: ServerFieldsProps) {
  return (
    <>
      <Field label="Server" hint={hint}>
        {(id, described) => (
          <input
            id={id}
            name="server"
            required
            pattern="rtmps?://.+"
            title="An address that begins with rtmp:// or rtmps://"
            placeholder={placeholder}
            inputMode="url"
            autocapitalize="off"
            spellcheck={false}
            aria-describedby={described}
          />
        )}
      </Field>
      <Field label={keyLabel} hint={keyHint}>
        {(id, described) => (
          <input
            id={id}
            name="key"
            type="password"
            autocomplete="off"
            aria-describedby={described}
          />
        )}
      </Field>
    </>
  );
}

/** The whole address that the fields of a server give. */
export function serverUrl(form: HTMLFormElement): string {
  const [server, key] = [fieldText(form, "server").replace(/\/+$/, ""), fieldText(form, "key")];
  return key ? `${server}/${key}` : server;
}
