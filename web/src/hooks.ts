// Hooks that views share: the model, the place in the address, and answers that are asked for.

import { useEffect, useState } from "preact/hooks";
import { type Model, model, subscribe } from "./store";
import { decoded } from "./urls";

/** The model; the caller is drawn again when it changes. */
export function useModel(): Model {
  const [, draw] = useState(0);
  useEffect(() => subscribe(() => draw((count) => count + 1)), []);
  return model;
}

/** The place as segments: `#/streams/live/demo` is `["streams", "live", "demo"]`. */
export function usePlace(): string[] {
  const [place, setPlace] = useState(placeOf);
  useEffect(() => {
    const moved = () => setPlace(placeOf());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return place;
}

function placeOf(): string[] {
  return location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decoded);
}

/** Asks again and again while it is shown. `null` until the first answer. */
export function usePolled<T>(ask: () => Promise<T>, everyMs: number, about: string): T | null {
  const [answer, setAnswer] = useState<{ about: string; value: T } | null>(null);
  // `about` names what `ask` asks, which is a new function each time.
  useEffect(() => {
    let isShown = true;
    const poll = async () => {
      const value = await ask().catch(() => null);
      if (isShown && value !== null) setAnswer({ about, value });
    };
    void poll();
    const timer = setInterval(() => void poll(), everyMs);
    return () => {
      isShown = false;
      clearInterval(timer);
    };
  }, [about, everyMs]);
  return answer?.about === about ? answer.value : null;
}

/** A choice that this browser remembers. */
export function useRemembered(name: string, first: string): [string, (value: string) => void] {
  const [value, setValue] = useState(() => recall(name) ?? first);
  const remember = (next: string) => {
    setValue(next);
    try {
      localStorage.setItem(name, next);
    } catch {
      // Storage may be forbidden; then it holds until the page is closed.
    }
  };
  return [value, remember];
}

function recall(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}
