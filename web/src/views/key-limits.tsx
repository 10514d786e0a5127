// Limits of a stream key: the fields of a new one, and words for the list.

import { bitrate, integer } from "../format";
import { Field, fieldText } from "../parts/bits";
import type { Key } from "../types";

interface Limit {
  name: "bitrate" | "viewers" | "max_width" | "max_height" | "max_fps";
  label: string;
  placeholder: string;
}

const LIMITS: readonly Limit[] = [
  { name: "bitrate", label: "Bitrate, kb/s", placeholder: "6000" },
  { name: "viewers", label: "Viewers", placeholder: "100" },
  { name: "max_width", label: "Width, pixels", placeholder: "1920" },
  { name: "max_height", label: "Height, pixels", placeholder: "1080" },
  { name: "max_fps", label: "Frames per second", placeholder: "60" },
];

/** Fields that stay out of the way until somebody wants them. */
export function LimitFields({ value }: { value?: Key }) {
  return (
    <details class="more" open={value && limitWords(value) !== ""}>
      <summary>Limits</summary>
      <div class="more-fields">
        <p class="soft small-text">
          Empty: no limit. A publisher that sends more, or announces a larger picture, is ended.
        </p>
        <div class="field-pair">
          {LIMITS.map(({ name, label, placeholder }) => (
            <Field key={name} label={label}>
              {(id) => (
                <input
                  id={id}
                  name={name}
                  type="number"
                  inputmode="numeric"
                  min={1}
                  max={4_000_000_000}
                  step={1}
                  placeholder={placeholder}
                  defaultValue={value ? limitText(value, name) : ""}
                />
              )}
            </Field>
          ))}
        </div>
        <label class="switch">
          <input type="checkbox" name="takeover" defaultChecked={value?.takeover ?? false} />A
          second publisher takes the first one's place
        </label>
      </div>
    </details>
  );
}

function limitText(key: Key, name: Limit["name"]): string {
  const limit = name === "bitrate" ? key.bitrate_bps : key[name];
  if (limit === null) return "";
  return String(name === "bitrate" ? limit / 1_000 : limit);
}

/** What all fields say: an empty one that there is no limit. */
export function allLimitsOf(form: HTMLFormElement): Record<string, unknown> {
  const none = { bitrate_bps: null, viewers: null, max_width: null, max_height: null };
  return { ...none, max_fps: null, takeover: false, ...limitsOf(form) };
}

/** What the fields ask for; empty ones are left out. */
export function limitsOf(form: HTMLFormElement): Record<string, unknown> {
  const limits: Record<string, unknown> = {};
  for (const { name } of LIMITS) {
    const text = fieldText(form, name);
    if (!text) continue;
    if (name === "bitrate") limits.bitrate_bps = Number(text) * 1_000;
    else limits[name] = Number(text);
  }
  if (fieldText(form, "takeover")) limits.takeover = true;
  return limits;
}

/** Such as `6.00 Mb/s, 100 viewers, up to 1920×1080, 60 fps`. */
export function limitWords(key: Key): string {
  const words: string[] = [];
  if (key.bitrate_bps !== null) words.push(bitrate(key.bitrate_bps));
  if (key.viewers !== null)
    words.push(`${integer(key.viewers)} viewer${key.viewers === 1 ? "" : "s"}`);
  if (key.max_width !== null && key.max_height !== null)
    words.push(`${key.max_width}×${key.max_height}`);
  else if (key.max_width !== null) words.push(`${key.max_width} pixels wide`);
  else if (key.max_height !== null) words.push(`${key.max_height} pixels high`);
  if (key.max_fps !== null) words.push(`${key.max_fps} fps`);
  if (key.takeover) words.push("takes over");
  return words.join(", ");
}
