// Pulls from other servers and pushes to them: their state, and adding, starting, stopping,
// removing.

import { path, post } from "../api";
import { bitrate, bytes } from "../format";
import { Empty, Field, fieldText, Panel } from "../parts/bits";
import { FormDialog } from "../parts/dialog";
import {
  AddButton,
  Connects,
  NameField,
  RowActions,
  ServerFields,
  StateChip,
  StreamField,
  Substitute,
  serverUrl,
  Trouble,
} from "../parts/running";
import { model, tried } from "../store";
import type { Pull, Push, Snapshot } from "../types";

type Kind = "pull" | "push";

const PLURAL = { pull: "pulls", push: "pushes" } as const;

const IDLE = { pull: "Nobody reads its stream", push: "Its stream is not there" } as const;

export function RelaysView({ snapshot }: { snapshot: Snapshot }) {
  const canWrite = snapshot.node.can_write;
  const streams = Object.keys(snapshot.streams);
  const stale = model.phase === "lost" ? "stale" : "";
  const addButton = (kind: Kind) => (
    <AddButton kind={kind}>
      {(close) => <Add kind={kind} streams={streams} onClose={close} />}
    </AddButton>
  );
  return (
    <>
      <Panel title="Pulls" class={stale} actions={canWrite && addButton("pull")}>
        <RelayList kind="pull" relays={Object.values(snapshot.pulls)} canWrite={canWrite} />
      </Panel>
      <Panel title="Pushes" class={stale} actions={canWrite && addButton("push")}>
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
  return (
    <tr {...{ [`data-${kind}`]: relay.name }}>
      <td class="name">
        {relay.name}
        <small>{relay.stream}</small>
        {"rendition" in relay && <Substitute rendition={relay.rendition} />}
      </td>
      <td data-label="State">
        <StateChip state={relay.state} idle={IDLE[kind]} />
      </td>
      <td class="address" data-label={kind === "pull" ? "From" : "To"}>
        <code>{relay.url}</code>
        <Trouble error={relay.error} at={[kind, relay.name]} />
      </td>
      <td class="number" data-label="Bitrate">
        {relay.state === "live" ? bitrate(relay.bitrate_bps) : "–"}
      </td>
      <td class="number" data-label={kind === "pull" ? "Received" : "Sent"}>
        {bytes(relay.bytes)}
      </td>
      <td class="number" data-label="Connects">
        <Connects connects={relay.connects} failures={relay.failures} at={[kind, relay.name]} />
      </td>
      {canWrite && (
        <td class="end">
          <RowActions
            kind={kind}
            name={relay.name}
            isStopped={relay.state === "stopped"}
            at={path(PLURAL[kind], relay.name)}
            consequence="The other server is said goodbye to, and its address and key are forgotten."
            removed={`${relay.name} removed`}
          />
        </td>
      )}
    </tr>
  );
}

function Add({ kind, streams, onClose }: { kind: Kind; streams: string[]; onClose: () => void }) {
  const submit = (form: HTMLFormElement) => {
    const [name, stream] = [fieldText(form, "name"), fieldText(form, "stream")];
    const url = serverUrl(form);
    const more = kind === "pull" ? { mode: fieldText(form, "mode") } : {};
    const add = () => post(path(PLURAL[kind]), { name, stream, url, ...more });
    return tried(add, `${name} added`);
  };
  return (
    <FormDialog title={`Add a ${kind}`} action={`Add ${kind}`} onClose={onClose} onSubmit={submit}>
      <NameField hint="What it is called here and in metrics" />
      <StreamField
        hint={kind === "pull" ? "The local name that it gets" : "It need not be there yet"}
        placeholder={kind === "pull" ? "live/copy" : "live/show"}
        known={kind === "push" ? streams : []}
      />
      <ServerFields
        hint="Its address with the application"
        placeholder="rtmp://node.example.com/live"
        keyLabel={kind === "pull" ? "Stream name there" : "Stream key"}
        keyHint="Sent to the server, and never shown again"
      />
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
