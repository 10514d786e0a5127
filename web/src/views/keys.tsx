// Stream keys: who may publish what. A secret is shown once, when its key is made.

import { useState } from "preact/hooks";
import { patch, path, post, remove } from "../api";
import { date, dateTime, relative } from "../format";
import { Chip, Empty, Field, fieldText, Panel, type Tone } from "../parts/bits";
import { CopyLine } from "../parts/copy";
import { Confirm, Dialog, FormDialog } from "../parts/dialog";
import { Icon, type IconName } from "../parts/icon";
import { model, nodeNow, tried } from "../store";
import type { Key, NewKey, Snapshot } from "../types";
import { publishLine } from "../urls";
import { allLimitsOf, LimitFields, limitsOf, limitWords } from "./key-limits";

const SOON_MS = 3 * 86_400_000;
const DAY_S = 86_400;

export function KeysView({ snapshot }: { snapshot: Snapshot }) {
  const [isCreating, setCreating] = useState(false);
  const [made, setMade] = useState<NewKey | null>(null);
  const canWrite = snapshot.node.role === "admin";
  const keys = Object.values(snapshot.keys).sort((a, b) => b.created_at - a.created_at);
  const create = (
    <button
      type="button"
      class="primary small"
      disabled={model.phase !== "live"}
      onClick={() => setCreating(true)}
    >
      <Icon name="plus" />
      Create key
    </button>
  );
  return (
    <Panel
      title="Stream keys"
      class={model.phase === "lost" ? "stale" : ""}
      actions={canWrite && create}
    >
      {keys.length === 0 ? (
        <Empty title="No stream keys yet">
          <p>
            Whoever publishes to this node needs one. The secret is shown once, when it is made.
          </p>
        </Empty>
      ) : (
        <KeyTable keys={keys} canWrite={canWrite} onMade={setMade} />
      )}
      {isCreating && (
        <CreateKey
          onClose={() => setCreating(false)}
          onMade={(key) => {
            setCreating(false);
            setMade(key);
          }}
        />
      )}
      {made && <Secret made={made} snapshot={snapshot} onClose={() => setMade(null)} />}
    </Panel>
  );
}

interface KeyTableProps {
  keys: Key[];
  canWrite: boolean;
  onMade: (key: NewKey) => void;
}

function KeyTable({ keys, canWrite, onMade }: KeyTableProps) {
  return (
    <div class="table-box">
      <table>
        <thead>
          <tr>
            <th>Stream</th>
            <th>Label</th>
            <th>State</th>
            <th>Type</th>
            <th>Expires</th>
            <th>Last used</th>
            <th>Live</th>
            <th>From</th>
            <th>Limits</th>
            <th>Id</th>
            {canWrite && <th class="end">Actions</th>}
          </tr>
        </thead>
        <tbody>
          {keys.map((key) => (
            <tr key={key.id} data-key={key.id}>
              <td class="name">
                {key.stream}
                {key.aliases.length > 0 && <small>alias {key.aliases.join(", ")}</small>}
              </td>
              <td data-label="Label">
                {key.label || "–"}
                {key.owner && <small class="soft"> {key.owner}</small>}
              </td>
              <td data-label="State">
                <KeyState value={key} />
              </td>
              <td data-label="Type">{key.type}</td>
              <td data-label="Expires">
                {key.expires_at === null ? (
                  "never"
                ) : (
                  <span title={dateTime(key.expires_at)}>{date(key.expires_at)}</span>
                )}
              </td>
              <td data-label="Last used">
                {key.last_used_at === null ? "never" : relative(key.last_used_at, nodeNow())}
              </td>
              <td data-label="Live">
                {key.live?.length ? (
                  <Chip tone="good">{key.live.map((use) => use.address).join(", ")}</Chip>
                ) : (
                  "–"
                )}
              </td>
              <td data-label="From">{key.allowed_ips.join(", ") || "anywhere"}</td>
              <td data-label="Limits">{limitWords(key) || "none"}</td>
              <td data-label="Id">
                <code>{key.id.slice(0, 8)}</code>
              </td>
              {canWrite && (
                <td class="end">
                  <KeyActions value={key} onMade={onMade} />
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function KeyState({ value }: { value: Key }) {
  const [tone, text] = stateOf(value, nodeNow());
  return <Chip tone={tone}>{text}</Chip>;
}

function stateOf(key: Key, now: number): [Tone, string] {
  if (key.revoked) return ["bad", "Revoked"];
  if (key.expires_at === null) return ["good", "Valid"];
  if (key.expires_at <= now) return ["bad", "Expired"];
  if (key.expires_at - now < SOON_MS) return ["warn", `Expires ${relative(key.expires_at, now)}`];
  return ["good", "Valid"];
}

function KeyActions({ value, onMade }: { value: Key; onMade: (key: NewKey) => void }) {
  const [asking, setAsking] = useState<"" | "edit" | "rotate" | "revoke" | "delete">("");
  const close = () => setAsking("");
  const name = value.label || value.stream;
  const at = path("keys", value.id);
  const isLost = model.phase !== "live";
  const isOver = value.revoked || (value.expires_at ?? Number.POSITIVE_INFINITY) <= nodeNow();
  return (
    <div class="actions">
      {!isOver && (
        <>
          <Action verb="Rotate" name={name} icon="turn" onClick={() => setAsking("rotate")} />
          <Action verb="Revoke" name={name} icon="ban" onClick={() => setAsking("revoke")} />
        </>
      )}
      <Action verb="Edit" name={name} onClick={() => setAsking("edit")} />
      <button
        type="button"
        class="ghost square"
        disabled={isLost}
        aria-label={`Delete key ${name}`}
        onClick={() => setAsking("delete")}
      >
        <Icon name="trash" />
      </button>
      {asking === "edit" && <EditKey value={value} onClose={close} />}
      {asking === "rotate" && <Rotate value={value} onClose={close} onMade={onMade} />}
      {asking === "revoke" && (
        <Confirm
          title={`Revoke the key for ${value.stream}?`}
          text="Whoever publishes with it is disconnected within a second and cannot come back."
          action="Revoke"
          onClose={close}
          onConfirm={() => tried(() => post(`${at}/revoke`), "The key was revoked")}
        />
      )}
      {asking === "delete" && (
        <Confirm
          title={`Delete the key for ${value.stream}?`}
          text="It is revoked and forgotten, with its aliases. This cannot be taken back."
          action="Delete"
          onClose={close}
          onConfirm={() => tried(() => remove(at), "The key was deleted")}
        />
      )}
    </div>
  );
}

interface ActionProps {
  verb: string;
  /** Of the key. */
  name: string;
  icon?: IconName;
  onClick: () => void;
}

function Action({ verb, name, icon, onClick }: ActionProps) {
  return (
    <button
      type="button"
      class="small"
      disabled={model.phase !== "live"}
      aria-label={`${verb} key ${name}`}
      onClick={onClick}
    >
      {icon && <Icon name={icon} />}
      {verb}
    </button>
  );
}

const GRACES = [
  [0, "at once"],
  [300, "for 5 minutes"],
  [3_600, "for an hour"],
  [DAY_S, "for a day"],
] as const;

interface RotateProps {
  value: Key;
  onClose: () => void;
  onMade: (key: NewKey) => void;
}

function Rotate({ value, onClose, onMade }: RotateProps) {
  const [grace, setGrace] = useState("3600");
  const rotate = async () => {
    let made: NewKey | null = null;
    const ask = async () => {
      made = await post<NewKey>(`${path("keys", value.id)}/rotate`, { grace_s: Number(grace) });
    };
    const problem = await tried(ask, "");
    if (made) onMade(made);
    return problem;
  };
  return (
    <Confirm
      title={`Rotate the key for ${value.stream}?`}
      text="A new secret is made; aliases point to it from now on."
      action="Rotate"
      onClose={onClose}
      onConfirm={rotate}
    >
      <Field label="The old key stays valid">
        {(id) => (
          <select id={id} value={grace} onChange={(event) => setGrace(event.currentTarget.value)}>
            {GRACES.map(([seconds, text]) => (
              <option key={seconds} value={seconds}>
                {seconds === 0 ? "not at all" : text}
              </option>
            ))}
          </select>
        )}
      </Field>
    </Confirm>
  );
}

const LIFETIMES = [
  ["", "as its type says"],
  [String(DAY_S), "24 hours"],
  [String(7 * DAY_S), "7 days"],
  [String(30 * DAY_S), "30 days"],
  [String(365 * DAY_S), "a year"],
] as const;

interface CreateKeyProps {
  onClose: () => void;
  onMade: (key: NewKey) => void;
}

function CreateKey({ onClose, onMade }: CreateKeyProps) {
  const submit = (form: HTMLFormElement) =>
    tried(async () => onMade(await post<NewKey>("/keys", wishOf(form))), "");
  return (
    <FormDialog title="Create a stream key" action="Create key" onClose={onClose} onSubmit={submit}>
      <Field label="Stream" hint="The public name that viewers play">
        {(id, hint) => (
          <input
            id={id}
            name="stream"
            required
            placeholder="live/studio"
            autocapitalize="off"
            spellcheck={false}
            aria-describedby={hint}
          />
        )}
      </Field>
      <div class="field-pair">
        <Field label="Label">
          {(id) => <input id={id} name="label" maxLength={64} placeholder="Camera 1" />}
        </Field>
        <Field label="Owner">{(id) => <input id={id} name="owner" maxLength={64} />}</Field>
      </div>
      <div class="field-pair">
        <Field label="Type">
          {(id) => (
            <select id={id} name="type">
              <option value="regular">regular: 30 days</option>
              <option value="alias">alias: a name for a key</option>
              <option value="development">development: 24 hours</option>
            </select>
          )}
        </Field>
        <Field label="Valid for">
          {(id) => (
            <select id={id} name="expires">
              {LIFETIMES.map(([seconds, text]) => (
                <option key={seconds} value={seconds}>
                  {text}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <Field label="Alias" hint="A lasting name; the key behind it can be rotated">
        {(id, hint) => <input id={id} name="alias" maxLength={64} aria-describedby={hint} />}
      </Field>
      <Field label="Allowed addresses" hint="IP addresses or CIDR, with commas; empty: anywhere">
        {(id, hint) => (
          <input
            id={id}
            name="ips"
            placeholder="203.0.113.7, 2001:db8::/32"
            aria-describedby={hint}
          />
        )}
      </Field>
      <LimitFields />
    </FormDialog>
  );
}

function EditKey({ value, onClose }: { value: Key; onClose: () => void }) {
  const submit = async (form: HTMLFormElement) => {
    const problem = await tried(
      () => patch(path("keys", value.id), changeOf(form)),
      "The key was changed",
    );
    if (!problem) onClose();
    return problem;
  };
  return (
    <FormDialog
      title={`Edit the key for ${value.stream}`}
      action="Save"
      onClose={onClose}
      onSubmit={submit}
    >
      <div class="field-pair">
        <Field label="Label">
          {(id) => <input id={id} name="label" maxLength={200} defaultValue={value.label ?? ""} />}
        </Field>
        <Field label="Owner">
          {(id) => <input id={id} name="owner" maxLength={200} defaultValue={value.owner ?? ""} />}
        </Field>
      </div>
      <Field label="Valid for, from now on">
        {(id) => (
          <select id={id} name="expires">
            <option value="">as it is</option>
            {LIFETIMES.filter(([seconds]) => seconds).map(([seconds, text]) => (
              <option key={seconds} value={seconds}>
                {text}
              </option>
            ))}
            <option value="0">without end</option>
          </select>
        )}
      </Field>
      <Field label="Allowed addresses" hint="IP addresses or CIDR, with commas; empty: anywhere">
        {(id, hint) => (
          <input
            id={id}
            name="ips"
            defaultValue={value.allowed_ips.join(", ")}
            aria-describedby={hint}
          />
        )}
      </Field>
      <LimitFields value={value} />
    </FormDialog>
  );
}

/** All fields of the form: an empty limit is none. */
function changeOf(form: HTMLFormElement): Record<string, unknown> {
  const change = allLimitsOf(form);
  change.label = fieldText(form, "label");
  change.owner = fieldText(form, "owner");
  const expires = fieldText(form, "expires");
  if (expires) change.expires_in_s = Number(expires);
  change.allowed_ips = addressesOf(form);
  return change;
}

function addressesOf(form: HTMLFormElement): string[] {
  return fieldText(form, "ips")
    .split(/[\s,;]+/)
    .filter(Boolean);
}

/** What the form asks for; empty fields are left to the node. */
function wishOf(form: HTMLFormElement): Record<string, unknown> {
  const wish = limitsOf(form);
  for (const name of ["stream", "type", "owner", "label", "alias"]) {
    const value = fieldText(form, name);
    if (value) wish[name] = value;
  }
  const expires = fieldText(form, "expires");
  if (expires) wish.expires_in_s = Number(expires);
  const ips = addressesOf(form);
  if (ips.length > 0) wish.allowed_ips = ips;
  return wish;
}

interface SecretProps {
  made: NewKey;
  snapshot: Snapshot;
  onClose: () => void;
}

function Secret({ made, snapshot, onClose }: SecretProps) {
  const [isSaved, setSaved] = useState(false);
  return (
    <Dialog title={`Key for ${made.key.stream}`} onClose={onClose} isSticky>
      <div class="secret" data-part="secret">
        <p class="notice">
          <Icon name="warn" />
          The secret is shown only now. Copy it before you close this.
        </p>
        <h3>OBS and other encoders</h3>
        <CopyLine title="Server" text={made.server} label="the server" />
        <CopyLine title="Stream key" text={made.stream_key} label="the stream key" />
        <h3>ffmpeg</h3>
        <CopyLine
          text={publishLine(snapshot.node, made.key.stream, made.secret)}
          label="the command"
        />
        <label class="switch">
          <input
            type="checkbox"
            checked={isSaved}
            onChange={(event) => setSaved(event.currentTarget.checked)}
          />
          I have saved the key
        </label>
      </div>
      <footer>
        <button type="button" class="primary" disabled={!isSaved} onClick={onClose}>
          Close
        </button>
      </footer>
    </Dialog>
  );
}
