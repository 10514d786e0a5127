// Recordings: their state, and adding, starting, stopping, removing.

import { useState } from "preact/hooks";
import { path, post, remove } from "../api";
import { bytes, integer } from "../format";
import { Chip, Empty, Field, fieldText, Panel, type Tone } from "../parts/bits";
import { Confirm, FormDialog } from "../parts/dialog";
import { Icon } from "../parts/icon";
import { attempt, model, tried } from "../store";
import type { Recording, RecordingState, Snapshot } from "../types";

const STATES: Record<RecordingState, readonly [Tone, string]> = {
  recording: ["good", "Recording"],
  waiting: ["accent", "Waiting for its stream"],
  failed: ["bad", "Failed, tries again"],
  stopped: ["soft", "Stopped"],
};

export function RecordingsView({ snapshot }: { snapshot: Snapshot }) {
  const canWrite = snapshot.node.can_write;
  return (
    <Panel
      title="Recordings"
      class={model.phase === "lost" ? "stale" : ""}
      actions={canWrite && <AddRecordingButton streams={Object.keys(snapshot.streams)} />}
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
  const [tone, text] = STATES[recording.state] ?? (["soft", recording.state] as const);
  return (
    <tr data-recording={recording.name}>
      <td class="name">
        {recording.name}
        <small>{recording.stream}</small>
      </td>
      <td data-label="State">
        <Chip tone={tone}>
          <i class="dot" />
          {text}
        </Chip>
      </td>
      <td class="address" data-label="Folder">
        <code>{recording.dir}</code>
        {recording.file && <p>{recording.file}</p>}
        {recording.error && <p class="problem">{recording.error}</p>}
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
          <RowActions recording={recording} />
        </td>
      )}
    </tr>
  );
}

function RowActions({ recording }: { recording: Recording }) {
  const [isRemoving, setRemoving] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const isStopped = recording.state === "stopped";
  const at = path("recordings", recording.name);
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
        aria-label={`${isStopped ? "Start" : "Stop"} recording ${recording.name}`}
        onClick={() => void toggle()}
      >
        <Icon name={isStopped ? "play" : "stop"} />
        {isStopped ? "Start" : "Stop"}
      </button>
      <button
        type="button"
        class="ghost square"
        disabled={isLost}
        aria-label={`Remove recording ${recording.name}`}
        onClick={() => setRemoving(true)}
      >
        <Icon name="trash" />
      </button>
      {isRemoving && (
        <Confirm
          title={`Remove ${recording.name}?`}
          text="Its file is completed. Its files stay where they are."
          action="Remove"
          onClose={() => setRemoving(false)}
          onConfirm={() => tried(() => remove(at), `Recording ${recording.name} removed`)}
        />
      )}
    </div>
  );
}

function AddRecordingButton({ streams }: { streams: string[] }) {
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
        Add recording
      </button>
      {isOpen && <AddRecording streams={streams} onClose={() => setOpen(false)} />}
    </>
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
      <Field label="Name" hint="The beginning of its files' names">
        {(id, hint) => (
          <input id={id} name="name" required maxLength={64} aria-describedby={hint} />
        )}
      </Field>
      <Field label="Stream" hint="It need not be there yet">
        {(id, hint) => (
          <>
            <input
              id={id}
              name="stream"
              required
              list={`${id}-known`}
              placeholder="live/show"
              autocapitalize="off"
              spellcheck={false}
              aria-describedby={hint}
            />
            <datalist id={`${id}-known`}>
              {streams.map((name) => (
                <option key={name} value={name} />
              ))}
            </datalist>
          </>
        )}
      </Field>
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
