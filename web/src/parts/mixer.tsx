// The mixer of a channel: how loud each source and the bus are, and what is changed of them while
// they play.

import { useEffect, useState } from "preact/hooks";
import { get, patch, path, post } from "../api";
import { usePolled } from "../hooks";
import { useLevels } from "../levels";
import { attempt } from "../store";
import type { AudioBus, AudioLevels, AudioMix, AudioSource, Channel } from "../types";
import { Panel } from "./bits";

const POLL_MS = 2_000;

/** What meters show, decibels. */
const METER_DB = -60;

/** The lowest place of a fader is silence. */
const FADER_DB = [-60, 24] as const;
const SILENCE_DB = -90;

const TARGETS = [-23, -16, -14];

/** Filters with their keys: name, lowest, highest, step, and what the node takes without it. */
const FILTERS = {
  gate: [
    ["open_db", -96, 0, 1, -26],
    ["close_db", -96, 0, 1, -32],
  ],
  eq: [
    ["low_db", -20, 20, 0.5, 0],
    ["mid_db", -20, 20, 0.5, 0],
    ["high_db", -20, 20, 0.5, 0],
  ],
  compressor: [
    ["ratio", 1, 32, 0.5, 10],
    ["threshold_db", -96, 0, 1, -18],
    ["output_gain_db", -32, 32, 0.5, 0],
  ],
} as const;
const FILTER_NAMES = { gate: "Gate", eq: "Equalizer", compressor: "Compressor" } as const;
type FilterName = keyof typeof FILTERS;

type Change = (body: Record<string, unknown>) => Promise<boolean>;

export function MixerPanel({ channel, canWrite }: { channel: Channel; canWrite: boolean }) {
  const at = path("channels", channel.name, "audio");
  const [known, setKnown] = useState<AudioMix | null>(null);
  const polled = usePolled(() => get<AudioMix>(at), POLL_MS, at);
  useEffect(() => setKnown(polled), [polled]);
  const levels = useLevels(channel.name);
  // A channel without audio has no mixer.
  if (!known) return null;
  const change = async (what: string, body: Record<string, unknown>) => {
    const isDone = await attempt(() => patch(`${at}/${what}`, body), "");
    setKnown(await get<AudioMix>(at).catch(() => known));
    return isDone;
  };
  return (
    <Panel title="Audio" class="wide mixer">
      <ul class="strips">
        {known.sources.map((source) => (
          <Strip
            key={source.name}
            source={source}
            levels={levels?.sources[source.name] ?? source.levels}
            canWrite={canWrite}
            change={(body) => change(`sources/${encodeURIComponent(source.name)}`, body)}
          />
        ))}
        <Bus
          bus={known.bus}
          levels={levels?.bus ?? known.bus.levels}
          canWrite={canWrite}
          change={(body) => change("bus", body)}
          reset={() => attempt(() => post(`${at}/loudness/reset`), "Loudness is measured anew")}
        />
      </ul>
    </Panel>
  );
}

interface StripProps {
  source: AudioSource;
  levels: AudioLevels;
  canWrite: boolean;
  change: Change;
}

function Strip({ source, levels, canWrite, change }: StripProps) {
  const toggle = (key: "mute" | "solo", text: string) => (
    <button
      type="button"
      class="small"
      aria-pressed={source[key]}
      disabled={!canWrite}
      onClick={() => void change({ [key]: !source[key] })}
    >
      {text}
    </button>
  );
  const fader = Math.max(source.gain_db, FADER_DB[0]);
  return (
    <li class="strip" data-source={source.name}>
      <h3>{source.name}</h3>
      <Meters levels={levels} of={source.name} />
      <Slider
        label={`Gain of ${source.name}`}
        text={source.gain_db <= SILENCE_DB ? "silent" : `${source.gain_db} dB`}
        range={[FADER_DB[0], FADER_DB[1], 0.5]}
        value={fader}
        isDisabled={!canWrite}
        take={(db) => change({ gain_db: db <= FADER_DB[0] ? SILENCE_DB : db })}
      />
      <Slider
        label={`Pan of ${source.name}`}
        text={source.pan === 0 ? "middle" : `${source.pan < 0 ? "left" : "right"}`}
        range={[-1, 1, 0.05]}
        value={source.pan}
        isDisabled={!canWrite}
        take={(pan) => change({ pan })}
      />
      <div class="actions">
        {toggle("mute", "Mute")}
        {toggle("solo", "Solo")}
      </div>
      <details>
        <summary>Filters</summary>
        {(Object.keys(FILTERS) as FilterName[]).map((name) => (
          <Filter key={name} name={name} source={source} canWrite={canWrite} change={change} />
        ))}
      </details>
    </li>
  );
}

interface FilterProps {
  name: FilterName;
  source: AudioSource;
  canWrite: boolean;
  change: Change;
}

function Filter({ name, source, canWrite, change }: FilterProps) {
  const settings = source[name];
  return (
    <fieldset disabled={!canWrite}>
      <label class="switch">
        <input
          type="checkbox"
          checked={settings !== undefined}
          onChange={() => void change({ [name]: settings ? null : {} })}
        />
        {FILTER_NAMES[name]}
      </label>
      {settings &&
        FILTERS[name].map(([key, least, most, step, usual]) => (
          <Slider
            key={key}
            label={`${key} of ${source.name}`}
            text={`${key.replace("_db", "").replace("_", " ")} ${settings[key] ?? usual}`}
            range={[least, most, step]}
            value={settings[key] ?? usual}
            isDisabled={!canWrite}
            take={(value) => change({ [name]: { [key]: value } })}
          />
        ))}
    </fieldset>
  );
}

interface BusProps {
  bus: AudioBus;
  levels: AudioLevels;
  canWrite: boolean;
  change: Change;
  reset: () => Promise<boolean>;
}

function Bus({ bus, levels, canWrite, change, reset }: BusProps) {
  return (
    <li class="strip bus">
      <h3>Mix</h3>
      <Meters levels={levels} of="the mix" />
      <Slider
        label="Ceiling of the mix"
        text={`ceiling ${bus.ceiling_dbtp} dBTP`}
        range={[-20, 0, 0.5]}
        value={bus.ceiling_dbtp}
        isDisabled={!canWrite}
        take={(db) => change({ ceiling_dbtp: db })}
      />
      <label>
        <span>Loudness</span>
        <select
          disabled={!canWrite}
          value={String(bus.normalize_lufs ?? "")}
          onChange={(event) => {
            const { value } = event.currentTarget;
            void change({ normalize_lufs: value === "" ? null : Number(value) });
          }}
        >
          <option value="">as it is</option>
          {TARGETS.map((lufs) => (
            <option key={lufs} value={String(lufs)}>
              {lufs} LUFS
            </option>
          ))}
        </select>
      </label>
      <div class="actions">
        <button type="button" class="small" disabled={!canWrite} onClick={() => void reset()}>
          Measure anew
        </button>
      </div>
    </li>
  );
}

function Meters({ levels, of }: { levels: AudioLevels; of: string }) {
  const sides = ["Left", "Right"] as const;
  return (
    <div class="levels">
      {sides.map((side, n) => (
        <meter
          key={side}
          aria-label={`${side} peak of ${of}`}
          min={METER_DB}
          max={0}
          high={-6}
          value={Math.max(levels.peak_db[n] ?? METER_DB, METER_DB)}
        />
      ))}
      <small>
        {lufs(levels.momentary_lufs)} · {lufs(levels.short_term_lufs)} ·{" "}
        {lufs(levels.integrated_lufs)} LUFS
      </small>
    </div>
  );
}

const lufs = (value: number) => (value <= -70 ? "–" : value.toFixed(1));

interface SliderProps {
  label: string;
  text: string;
  range: [number, number, number];
  value: number;
  isDisabled: boolean;
  take: (value: number) => Promise<boolean>;
}

/** A value that stays where it is put while the node takes it. */
function Slider({ label, text, range, value, isDisabled, take }: SliderProps) {
  const [draft, setDraft] = useState<number | null>(null);
  const [min, max, step] = range;
  return (
    <label>
      <span>{draft === null ? text : draft}</span>
      <input
        type="range"
        aria-label={label}
        min={min}
        max={max}
        step={step}
        value={draft ?? value}
        disabled={isDisabled}
        onInput={(event) => setDraft(event.currentTarget.valueAsNumber)}
        onChange={(event) => {
          void take(event.currentTarget.valueAsNumber).finally(() => setDraft(null));
        }}
      />
    </label>
  );
}
