// Pulls from other servers and pushes to them: their state, and adding, starting, stopping,
// removing.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { path, post, remove } from "../api";
import { bitrate, bytes, integer } from "../format";
import { Chip, Empty, Field, fieldText, Panel, type Tone } from "../parts/bits";
import { Confirm, FormDialog } from "../parts/dialog";
import { Icon } from "../parts/icon";
import { attempt, model, tried } from "../store";
import type { Pull, Push, RelayState, Snapshot } from "../types";

type Kind = "pull" | "push";

const PLURAL = { pull: "pulls", push: "pushes" } as const;

function stateOf(kind: Kind, state: RelayState): readonly [Tone, string] {
  switch (state) {
    case "live":
      return ["good", "Live"];
    case "connecting":
      return ["accent", "Connecting"];
    case "waiting":
      return ["bad", "Failed, tries again"];
    case "idle":
      return ["soft", kind === "pull" ? "Nobody reads it" : "Waiting for its stream"];
    default:
      return ["soft", "Stopped"];
  }
}

export function RelaysView({ snapshot }: { snapshot: Snapshot }) {
  const canWrite = snapshot.node.can_write;
  const streams = Object.keys(snapshot.streams);
  const stale = model.phase === "lost" ? "stale" : "";
  return (
    <>
      <Panel
        title="Pulls"
        class={stale}
        actions={canWrite && <AddButton kind="pull" streams={streams} />}
      >
        <RelayList kind="pull" relays={Object.values(snapshot.pulls)} canWrite={canWrite} />
      </Panel>
      <Panel
        title="Pushes"
        class={stale}
        actions={canWrite && <AddButton kind="push" streams={streams} />}
      >
        <RelayList kind="push" relays={Object.values(snapshot.pushes)} canWrite={canWrite} />
      </Panel>
    </>
  );
}

interface RelayListProps {
  kind: Kind;
  relays: (Pull | Push)[];
  canWrite: boolean;
}

function RelayList({ kind, relays, canWrite }: RelayListProps) {
  if (relays.length === 0) {
    return (
      <Empty title={kind === "pull" ? "Nothing is pulled" : "Nothing is pushed"}>
        <p>
          {kind === "pull"
            ? "A pull brings a stream of another server under a local name."
            : "A push sends any stream of this node to another server."}
        </p>
      </Empty>
    );
  }
  return (
    <div class="table-box">
      <table>
        <thead>
          <tr>
            <th>{kind === "pull" ? "Pull" : "Push"}</th>
            <th>State</th>
            <th>{kind === "pull" ? "From" : "To"}</th>
            <th class="number">Bitrate</th>
            <th class="number">{kind === "pull" ? "Received" : "Sent"}</th>
            <th class="number">Connects</th>
            {canWrite && <th class="end">Actions</th>}
          </tr>
        </thead>
        <tbody>
          {relays.map((relay) => (
            <Row key={relay.name} {...{ kind, relay, canWrite }} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  kind: Kind;
  relay: Pull | Push;
  canWrite: boolean;
}

function Row({ kind, relay, canWrite }: RowProps) {
  const [tone, text] = stateOf(kind, relay.state);
  return (
    <tr {...{ [`data-${kind}`]: relay.name }}>
      <td class="name">
        {relay.name}
        <small>{relay.stream}</small>
      </td>
      <td data-label="State">
        <Chip tone={tone}>
          <i class="dot" />
          {text}
        </Chip>
      </td>
      <td class="address" data-label={kind === "pull" ? "From" : "To"}>
        <code>{relay.url}</code>
        {relay.error && <p class="problem">{relay.error}</p>}
      </td>
      <td class="number" data-label="Bitrate">
        {relay.state === "live" ? bitrate(relay.bitrate_bps) : "–"}
      </td>
      <td class="number" data-label={kind === "pull" ? "Received" : "Sent"}>
        {bytes(relay.bytes)}
      </td>
      <td class="number" data-label="Connects">
        <span>
          {integer(relay.connects)}
          {relay.failures > 0 && <small> ({integer(relay.failures)} failed)</small>}
        </span>
      </td>
      {canWrite && (
        <td class="end">
          <RowActions kind={kind} relay={relay} />
        </td>
      )}
    </tr>
  );
}

function RowActions({ kind, relay }: { kind: Kind; relay: Pull | Push }) {
  const [isRemoving, setRemoving] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const isStopped = relay.state === "stopped";
  const at = path(PLURAL[kind], relay.name);
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
        aria-label={`${isStopped ? "Start" : "Stop"} ${kind} ${relay.name}`}
        onClick={() => void toggle()}
      >
        <Icon name={isStopped ? "play" : "stop"} />
        {isStopped ? "Start" : "Stop"}
      </button>
      <button
        type="button"
        class="ghost square"
        disabled={isLost}
        aria-label={`Remove ${kind} ${relay.name}`}
        onClick={() => setRemoving(true)}
      >
        <Icon name="trash" />
      </button>
      {isRemoving && (
        <Confirm
          title={`Remove ${relay.name}?`}
          text="The other server is said goodbye to, and its address and key are forgotten."
          action="Remove"
          onClose={() => setRemoving(false)}
          onConfirm={() => tried(() => remove(at), `${relay.name} removed`)}
        />
      )}
    </div>
  );
}

function AddButton({ kind, streams }: { kind: Kind; streams: string[] }) {
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
      {isOpen && <Add kind={kind} streams={streams} onClose={() => setOpen(false)} />}
    </>
  );
}

function Add({ kind, streams, onClose }: { kind: Kind; streams: string[]; onClose: () => void }) {
  const submit = (form: HTMLFormElement) => {
    const [name, stream] = [fieldText(form, "name"), fieldText(form, "stream")];
    const [server, key] = [fieldText(form, "server").replace(/\/+$/, ""), fieldText(form, "key")];
    const url = key ? `${server}/${key}` : server;
    const more = kind === "pull" ? { mode: fieldText(form, "mode") } : {};
    const add = () => post(path(PLURAL[kind]), { name, stream, url, ...more });
    return tried(add, `${name} added`);
  };
  return (
    <FormDialog title={`Add a ${kind}`} action={`Add ${kind}`} onClose={onClose} onSubmit={submit}>
      <Field label="Name" hint="What it is called here and in metrics">
        {(id, hint) => (
          <input id={id} name="name" required maxLength={64} aria-describedby={hint} />
        )}
      </Field>
      <StreamField kind={kind} streams={streams} />
      <Field label="Server" hint="Its address with the application">
        {(id, hint) => (
          <input
            id={id}
            name="server"
            required
            pattern="rtmps?://.+"
            title="An address that begins with rtmp:// or rtmps://"
            placeholder="rtmp://node.example.com/live"
            inputMode="url"
            autocapitalize="off"
            spellcheck={false}
            aria-describedby={hint}
          />
        )}
      </Field>
      <Field
        label={kind === "pull" ? "Stream name there" : "Stream key"}
        hint="Sent to the server, and never shown again"
      >
        {(id, hint) => (
          <input id={id} name="key" type="password" autocomplete="off" aria-describedby={hint} />
        )}
      </Field>
      {kind === "pull" && (
        <Field label="When">
          {(id) => (
            <select id={id} name="mode">
              <option value="on-demand">While somebody reads it</option>
              <option value="always">Always</option>
            </select>
          )}
        </Field>
      )}
    </FormDialog>
  );
}

function StreamField({ kind, streams }: { kind: Kind; streams: string[] }): JSX.Element {
  const hint = kind === "pull" ? "The local name that it gets" : "It need not be there yet";
  return (
    <Field label="Stream" hint={hint}>
      {(id, described) => (
        <>
          <input
            id={id}
            name="stream"
            required
            list={kind === "push" ? `${id}-known` : undefined}
            placeholder={kind === "pull" ? "live/copy" : "live/show"}
            autocapitalize="off"
            spellcheck={false}
            aria-describedby={described}
          />
          <datalist id={`${id}-known`}>
            {streams.map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
        </>
      )}
    </Field>
  );
}
