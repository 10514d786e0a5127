// Small pieces: panels, chips, figures, fields, empty states.

import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";

export type Tone = "good" | "warn" | "bad" | "soft" | "accent";

interface ChipProps {
  tone: Tone;
  title?: string | undefined;
  children: ComponentChildren;
}

export function Chip({ tone, title, children }: ChipProps) {
  return (
    <span class={`chip ${tone}`} title={title}>
      {children}
    </span>
  );
}

interface PanelProps {
  title: string;
  actions?: ComponentChildren;
  class?: string;
  children: ComponentChildren;
}

export function Panel({ title, actions, class: name = "", children }: PanelProps) {
  const id = useId();
  return (
    <section class={`panel ${name}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {actions && <div class="actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

interface FigureProps {
  label: string;
  value: string;
  note?: string | undefined;
  tone?: Tone | undefined;
}

export function Figure({ label, value, note, tone }: FigureProps) {
  return (
    <div class="figure">
      <dt>{label}</dt>
      <dd>
        <b class={tone ?? ""}>{value}</b>
        {note && <small>{note}</small>}
      </dd>
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

interface FieldProps {
  label: string;
  hint?: string;
  children: (id: string, hintId: string | undefined) => JSX.Element;
}

export function Field({ label, hint, children }: FieldProps) {
  const id = useId();
  const hintId = hint ? `${id}-hint` : undefined;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id, hintId)}
      {hint && <small id={hintId}>{hint}</small>}
    </div>
  );
}

/** The text of a form's field. */
export function fieldText(form: HTMLFormElement, name: string): string {
  const value = new FormData(form).get(name);
  return typeof value === "string" ? value.trim() : "";
}

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
}

/** A few options side by side, one of them chosen. */
export function Choice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  return (
    <fieldset class="choice">
      <legend class="hidden">{label}</legend>
      {options.map(([option, text]) => (
        <button
          key={option}
          type="button"
          aria-pressed={option === value}
          onClick={() => onChange(option)}
        >
          {text}
        </button>
      ))}
    </fieldset>
  );
}
