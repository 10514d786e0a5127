// Outputs, the destinations of programmes: their state, and adding, starting, stopping, removing.

import { path, post } from "../api";
import { bitrate, bytes, integer, milliseconds, sum } from "../format";
import { Empty, Field, fieldText, Panel } from "../parts/bits";
import { FormDialog } from "../parts/dialog";
import {
  AddButton,
  Connects,
  NameField,
  RowActions,
  ServerFields,
  StateChip,
  Substitute,
  serverUrl,
  Trouble,
} from "../parts/running";
import { model, tried } from "../store";
import type { Output, Snapshot } from "../types";

/** Behind by more than this is worth a colour. */
const LAG_MS = 1_000;

export function OutputsView({ snapshot }: { snapshot: Snapshot }) {
  const canWrite = snapshot.node.can_write;
  const channels = Object.keys(snapshot.channels);
  return (
    <Panel
      title="Outputs"
      class={model.phase === "lost" ? "stale" : ""}
      actions={canWrite && channels.length > 0 && <AddOutputButton channels={channels} />}
    >
      <OutputList
        outputs={Object.values(snapshot.outputs)}
        canWrite={canWrite}
        isOneChannel={channels.length === 1}
      />
    </Panel>
  );
}

interface OutputListProps {
  outputs: Output[];
  canWrite: boolean;
  /** The channel's name would be the same everywhere. */
  isOneChannel: boolean;
}

export function OutputList({ outputs, canWrite, isOneChannel }: OutputListProps) {
  if (outputs.length === 0) {
    return (
      <Empty title="The programme is not pushed anywhere">
        <p>
          {canWrite
            ? "Add an output with the server address and the stream key of a platform or another node."
            : "Outputs that are added appear here."}
        </p>
      </Empty>
    );
  }
  return (
    <div class="table-box">
      <table>
        <thead>
          <tr>
            <th>Output</th>
            <th>State</th>
            <th>Destination</th>
            <th class="number">Bitrate</th>
            <th class="number">Behind</th>
            <th class="number">Sent</th>
            <th class="number">Dropped</th>
            <th class="number">Connects</th>
            {canWrite && <th class="end">Actions</th>}
          </tr>
        </thead>
        <tbody>
          {outputs.map((output) => (
            <Row key={`${output.channel}/${output.name}`} {...{ output, canWrite, isOneChannel }} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  output: Output;
  canWrite: boolean;
  isOneChannel: boolean;
}

function Row({ output, canWrite, isOneChannel }: RowProps) {
  const isMoving = output.state === "live";
  const events = ["output", output.channel, output.name];
  return (
    <tr data-output={`${output.channel}/${output.name}`}>
      <td class="name" title={`It sends ${output.stream}`}>
        {output.name}
        {!isOneChannel && <small>{output.channel}</small>}
        <Substitute rendition={output.rendition} />
      </td>
      <td data-label="State">
        <StateChip state={output.state} idle="Its programme makes no stream" />
      </td>
      <td class="address" data-label="Destination">
        <code>{output.url}</code>
        <Trouble error={output.error} at={events} />
      </td>
      <td class="number" data-label="Bitrate">
        {isMoving ? bitrate(output.bitrate_bps) : "–"}
      </td>
      <td class={`number ${isMoving && output.lag_ms > LAG_MS ? "warn" : ""}`} data-label="Behind">
        {isMoving ? milliseconds(output.lag_ms) : "–"}
      </td>
      <td class="number" data-label="Sent">
        {bytes(output.bytes)}
      </td>
      <td class={`number ${sum(output.dropped) > 0 ? "warn" : ""}`} data-label="Dropped">
        {integer(sum(output.dropped))}
      </td>
      <td class="number" data-label="Connects">
        <Connects connects={output.connects} failures={output.failures} at={events} />
      </td>
      {canWrite && (
        <td class="end">
          <RowActions
            kind="output"
            name={output.name}
            isStopped={output.state === "stopped"}
            at={path("channels", output.channel, "outputs", output.name)}
            consequence="Its destination is said goodbye to, and its address and key are forgotten."
            removed={`Output ${output.name} removed`}
          />
        </td>
      )}
    </tr>
  );
}

/** What the first encode of a channel is called. */
const MAIN_RENDITION = "main";

interface AddOutputProps {
  channels: string[];
  /** Further encodes of the one channel, which it may send instead of the first. */
  renditions?: string[];
}

export function AddOutputButton(props: AddOutputProps) {
  return <AddButton kind="output">{(close) => <AddOutput {...props} onClose={close} />}</AddButton>;
}

function AddOutput({
  channels,
  renditions = [],
  onClose,
}: AddOutputProps & { onClose: () => void }) {
  const submit = (form: HTMLFormElement) => {
    const [channel, name] = [
      fieldText(form, "channel") || channels[0] || "",
      fieldText(form, "name"),
    ];
    const url = serverUrl(form);
    const rendition = fieldText(form, "rendition") || MAIN_RENDITION;
    const output = { name, url, ...(rendition !== MAIN_RENDITION && { rendition }) };
    const add = () => post(path("channels", channel, "outputs"), output);
    return tried(add, `Output ${name} added`);
  };
  return (
    <FormDialog title="Add an output" action="Add output" onClose={onClose} onSubmit={submit}>
      {channels.length > 1 && (
        <Field label="Programme">
          {(id) => (
            <select id={id} name="channel">
              {channels.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          )}
        </Field>
      )}
      {renditions.length > 0 && (
        <Field label="Rendition">
          {(id) => (
            <select id={id} name="rendition">
              {[MAIN_RENDITION, ...renditions].map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          )}
        </Field>
      )}
      <NameField hint="What it is called here and in metrics" />
      <ServerFields
        hint="The address as the platform gives it"
        placeholder="rtmp://live.example.com/app"
        keyLabel="Stream key"
        keyHint="Sent to the destination, and never shown again"
      />
    </FormDialog>
  );
}
