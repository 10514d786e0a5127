// Text that is made to be copied, with a button that does it.

import { useState } from "preact/hooks";
import { Icon } from "./icon";

const THANKS_MS = 2_000;

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    setDone(await toClipboard(text));
    setTimeout(() => setDone(false), THANKS_MS);
  };
  return (
    <button type="button" class="ghost small" onClick={copy} aria-label={`Copy ${label}`}>
      <Icon name={isDone ? "check" : "copy"} />
      <span aria-live="polite">{isDone ? "Copied" : "Copy"}</span>
    </button>
  );
}

export function CopyLine({ text, label, title }: { text: string; label: string; title?: string }) {
  return (
    <div class="copy-line">
      {title && <span class="copy-title">{title}</span>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a line that scrolls needs the keyboard */}
      <code tabIndex={0}>{text}</code>
      <CopyButton text={text} label={label} />
    </div>
  );
}

/** The clipboard's own interface exists on HTTPS and on this machine only. */
async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return byCommand(text);
  }
}

function byCommand(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  const focused = document.activeElement;
  const place = focused?.closest("dialog") ?? document.body;
  place.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return isDone;
}
