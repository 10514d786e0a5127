// Recordings: their state, and adding, starting, stopping, removing.

import { path, post } from "../api";
import { bytes, integer } from "../format";
import { Empty, Field, fieldText, Panel } from "../parts/bits";
import { FormDialog } from "../parts/dialog";
import {
  AddButton,
  NameField,
  RowActions,
  StateChip,
  StreamField,
  Trouble,
} from "../parts/running";
import { model, tried } from "../store";
import type { Recording, Snapshot } from "../types";

export function RecordingsView({ snapshot }: { snapshot: Snapshot }) {
  const canWrite = snapshot.node.can_write;
  return (
    <Panel
      title="Recordings"
      class={model.phase === "lost" ? "stale" : ""}
      actions={
        canWrite && (
          <AddButton kind="recording">
            {(close) => <AddRecording streams={Object.keys(snapshot.streams)} onClose={close} />}
          </AddButton>
        )
      }
    >
      <RecordingList recordings={Object.values(snapshot.recordings)} canWrite={canWrite} />
    </Panel>
  );
}

function RecordingList({ recordings, canWrite }: { recordings: Recording[]; canWrite: boolean }) {
  if (recordings.length === 0) {
    return (
      <Empty title="Nothing is recorded">
        <p>
          {canWrite
            ? "Add a recording with the stream's name and a folder of this machine."
            : "Recordings that are added appear here."}
        </p>
      </Empty>
    );
  }
  return (
    <div class="table-box">
      <table>
        <thead>
          <tr>
            <th>Recording</th>
            <th>State</th>
            <th>Folder</th>
            <th>Format</th>
            <th class="number">Files</th>
            <th class="number">Written</th>
            <th class="number">Left out</th>
            {canWrite && <th class="end">Actions</th>}
          </tr>
        </thead>
        <tbody>
          {recordings.map((recording) => (
            <Row key={recording.name} {...{ recording, canWrite }} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ recording, canWrite }: { recording: Recording; canWrite: boolean }) {
  return (
    <tr data-recording={recording.name}>
      <td class="name">
        {recording.name}
        <small>{recording.stream}</small>
      </td>
      <td data-label="State">
        <StateChip state={recording.state} idle="Its stream is not there" />
      </td>
      <td class="address" data-label="Folder">
        <code>{recording.dir}</code>
        {recording.file && <p>{recording.file}</p>}
        <Trouble error={recording.error} at={["recording", recording.name]} />
      </td>
      <td data-label="Format">{recording.format.toUpperCase()}</td>
      <td class="number" data-label="Files">
        {integer(recording.files)}
      </td>
      <td class="number" data-label="Written">
        {bytes(recording.bytes)}
      </td>
      <td class={`number ${recording.dropped > 0 ? "warn" : ""}`} data-label="Left out">
        {integer(recording.dropped)}
      </td>
      {canWrite && (
        <td class="end">
          <RowActions
            kind="recording"
            name={recording.name}
            isStopped={recording.state === "stopped"}
            at={path("recordings", recording.name)}
            consequence="Its file is completed. Its files stay where they are."
            removed={`Recording ${recording.name} removed`}
          />
        </td>
      )}
    </tr>
  );
}

function AddRecording({ streams, onClose }: { streams: string[]; onClose: () => void }) {
  const submit = (form: HTMLFormElement) => {
    const [name, stream, dir] = [
      fieldText(form, "name"),
      fieldText(form, "stream"),
      fieldText(form, "dir"),
    ];
    const split_s = Math.round(Number(fieldText(form, "minutes") || 0) * 60);
    const format = fieldText(form, "format");
    const add = () => post(path("recordings"), { name, stream, dir, format, split_s });
    return tried(add, `Recording ${name} added`);
  };
  return (
    <FormDialog title="Add a recording" action="Add recording" onClose={onClose} onSubmit={submit}>
      <NameField hint="The beginning of its files' names" />
      <StreamField hint="It need not be there yet" placeholder="live/show" known={streams} />
      <Field label="Folder" hint="On the node's machine; made if it is not there">
        {(id, hint) => (
          <input
            id={id}
            name="dir"
            required
            placeholder="/srv/recordings"
            autocapitalize="off"
            spellcheck={false}
            aria-describedby={hint}
          />
        )}
      </Field>
      <Field label="Format">
        {(id) => (
          <select id={id} name="format">
            <option value="flv">FLV</option>
            <option value="mp4">MP4</option>
          </select>
        )}
      </Field>
      <Field label="New file after, minutes" hint="Empty for one file">
        {(id, hint) => (
          <input id={id} name="minutes" type="number" min="0" step="any" aria-describedby={hint} />
        )}
      </Field>
    </FormDialog>
  );
}
